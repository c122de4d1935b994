//! Texts that a database, a pattern, a log line or a parser might take for its own, in every text parameter of every
//! method: stored and given back byte by byte, or refused with a reason.

use serde_json::{Value, json};

use super::{HOME, leaks, parameters, request, world};
use crate::harness::world::{Who, World};
use crate::rpc::{list, ok, read, write};
use nexus_lite::rpc::Access;
use nexus_lite::rpc::registry::METHODS;

/// The texts.
const TEXTS: &[&str] = &[
    "'; DROP TABLE nodes; --",
    "' OR '1'='1",
    "\"; DELETE FROM tuples; --",
    "' UNION SELECT hash FROM keys --",
    "%",
    "_",
    "%%_%",
    "a_b%c",
    "*",
    "?",
    "[a-z",
    "[!",
    "{a,{b,",
    "**/**/**",
    "(((((",
    "(a+)+$",
    "\\",
    "\\0",
    "$1",
    "?1",
    ":name",
    "NEAR(a b)",
    "a AND NOT",
    "x\u{0}y",
    "x\ny",
    "\u{1b}[31mred",
    "\u{202e}desrever",
    "\u{feff}",
    "{{7*7}}",
    "null",
    "NaN",
    "-1",
    "9999999999999999999999",
    "1e999",
    "2026-99-99T99:99:99Z",
    "\u{10ffff}",
];

/// Whether a parameter takes a text.
fn is_text(schema: &Value) -> bool {
    match &schema["type"] {
        Value::String(kind) => kind == "string",
        Value::Array(kinds) => kinds.contains(&json!("string")),
        _ => false,
    }
}

#[tokio::test]
async fn no_text_is_taken_for_anything_else() {
    let world = world().await;
    let mut wrong = Vec::new();
    let mut places = 0;
    for entry in METHODS {
        let parameters = parameters(entry);
        for parameter in parameters.iter().filter(|p| is_text(&p.schema)) {
            places += 1;
            for text in TEXTS {
                let params = request(&parameters, &parameter.name, json!(text));
                for who in [Who::Alice, Who::Instance] {
                    if who == Who::Instance && entry.access != Access::Admin && entry.access != Access::Read {
                        continue;
                    }
                    let answer = world.rpc(who, entry.name, params.clone()).await;
                    let cell = format!("{who:?} {} {} {text:?}", entry.name, parameter.name);
                    match &answer {
                        Err(failure) if failure.code == -32603 || failure.code == -32018 => {
                            wrong.push(format!("{cell}: {}", failure.message));
                        }
                        Ok(result) if who == Who::Alice && leaks(&result.to_string()) => {
                            wrong.push(format!("{cell}: it tells what is elsewhere: {result}"));
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    assert!(places > 80, "the schemas were read: {places}");
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(read(&world, Who::OtherAdmin, super::FOREIGN).await, super::SECRET);
}

/// The names among them go through every method that takes or gives names, and come back as they are.
#[tokio::test]
async fn names_come_back_as_they_are() {
    let world = world().await;
    let names: Vec<&str> = TEXTS.iter().copied().filter(|t| t.chars().all(|c| !c.is_control() && c != '/')).collect();
    assert!(names.len() > 25);
    let dir = format!("{HOME}/names");
    for name in &names {
        write(&world, Who::Alice, &format!("{dir}/{name}/{name}"), &format!("text {name}")).await;
    }
    for name in &names {
        each_method_takes_it_for_itself(&world, &dir, name).await;
    }
    let mut left = names.len();
    for name in &names {
        let (old, new) = (format!("{dir}/{name}"), format!("{dir}/moved {name}"));
        ok(&world, Who::Alice, "rename", json!({"old_path": old, "new_path": new})).await;
        assert_eq!(list(&world, Who::Alice, &new, true).await, [format!("{new}/{name}")]);
        assert_eq!(list(&world, Who::Alice, &dir, true).await.len(), left, "{name}: nothing else was moved");
        ok(&world, Who::Alice, "delete", json!({"path": format!("{new}/{name}")})).await;
        left -= 1;
        assert_eq!(list(&world, Who::Alice, &dir, true).await.len(), left, "{name}: that one and no other");
    }
}

async fn each_method_takes_it_for_itself(world: &World, dir: &str, name: &str) {
    let path = format!("{dir}/{name}/{name}");
    let text = format!("text {name}");
    assert_eq!(read(world, Who::Alice, &path).await, text);
    assert_eq!(list(world, Who::Alice, &format!("{dir}/{name}"), true).await, std::slice::from_ref(&path), "{name}");
    let found = ok(world, Who::Alice, "glob", json!({"pattern": "**", "path": format!("{dir}/{name}")})).await;
    assert_eq!(found["matches"], json!([path]), "{name}");
    let found = ok(world, Who::Alice, "grep", json!({"pattern": "text", "path": path})).await;
    assert_eq!(found["results"][0]["file"], json!(path), "{name}");
    assert_eq!(found["results"][0]["content"], json!(text), "{name}");
    let stat = ok(world, Who::Alice, "stat", json!({"path": path})).await;
    assert_eq!(stat["size"], json!(text.len()), "{name}");
}
