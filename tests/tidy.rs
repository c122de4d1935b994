//! Taste that matters, as a test: reads every source file and fails where the architecture is broken.
//!
//! What belongs here: rules about the text of the project (direction of imports, who may name which crate, lists that
//! must be complete, sizes, leftovers). What does not: behaviour.

use std::fs;
use std::path::{Path, PathBuf};

/// Rank of each top folder; a module imports only from lower ranks, and never from another module of its own rank.
const RANKS: &[(&str, u8)] = &[
    ("model", 0),
    ("config", 1),
    ("telemetry", 2),
    ("store", 3),
    ("rebac", 4),
    ("auth", 4),
    ("sandbox", 4),
    ("outbound", 4),
    ("service", 5),
    ("rpc", 6),
    ("http", 7),
    ("app", 8),
    ("cli", 9),
];

/// Lines past which a source file wants splitting, and past which the test fails.
const LINES_WARN: usize = 500;
const LINES_MAX: usize = 800;

struct Source {
    /// Path below the project's root, with `/`.
    path: String,
    /// The top folder (or file stem) under `src`.
    module: String,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(dir).expect("readable").map(|e| e.expect("readable").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    walk(&root().join("src"), &mut files);
    let source = |path: PathBuf| {
        let below = path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
        let module = below.trim_start_matches("src/").split('/').next().unwrap_or_default();
        Source {
            module: module.trim_end_matches(".rs").to_owned(),
            text: fs::read_to_string(&path).expect("utf-8"),
            path: below,
        }
    };
    files.into_iter().map(source).collect()
}

/// The text without comments and without the unit tests at its end.
fn code(source: &Source) -> String {
    let body = source.text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    body.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn rank(module: &str) -> Option<u8> {
    RANKS.iter().find(|(name, _)| *name == module).map(|(_, rank)| *rank)
}

fn assert_none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn imports_go_down_only() {
    let mut broken = Vec::new();
    for source in sources() {
        let Some(own) = rank(&source.module) else { continue };
        for (number, line) in source.text.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for used in line.match_indices("crate::").map(|(at, _)| &line[at + "crate::".len()..]) {
                let name: String = used.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                let Some(other) = rank(&name) else { continue };
                if name != source.module && other >= own {
                    broken.push(format!("{}:{}: {} uses {name}", source.path, number + 1, source.module));
                }
            }
        }
    }
    assert_none("a module imports only from those below it", &broken);
}

#[test]
fn crates_stay_in_their_folder() {
    const HOMES: &[(&str, &str)] = &[
        ("rusqlite", "store"),
        ("tokio_postgres", "store"),
        ("actix::", "store"),
        ("actix_web", "http"),
        ("actix_cors", "http"),
        ("actix_http", "http"),
        ("actix_service", "http"),
        ("awc", "cli"),
        ("awc", "outbound"),
    ];
    let mut broken = Vec::new();
    for source in sources() {
        for (number, line) in code(&source).lines().enumerate() {
            for (name, home) in HOMES {
                let named = line.match_indices(name).any(|(at, _)| {
                    let before = line[..at].chars().next_back().unwrap_or(' ');
                    let after = line[at + name.len()..].chars().next().unwrap_or(' ');
                    !before.is_alphanumeric() && before != '_' && (name.ends_with(':') || after == ':' || after == ';')
                });
                let at_home = HOMES.iter().any(|(one, home)| one == name && source.module == *home);
                if named && !at_home {
                    broken.push(format!(
                        "{}: code line {} names {name}, which belongs to {home}/",
                        source.path,
                        number + 1
                    ));
                }
            }
        }
    }
    assert_none("some crates are named in one folder only", &broken);
}

#[test]
fn sql_lives_in_the_store() {
    const VERBS: &[&str] = &[
        "\"SELECT ",
        "\"INSERT INTO ",
        "\"UPDATE ",
        "\"DELETE FROM ",
        "\"CREATE ",
        "\"PRAGMA ",
        "\"BEGIN",
        "\"WITH RECURSIVE",
    ];
    let mut broken = Vec::new();
    for source in sources().into_iter().filter(|s| s.module != "store") {
        for line in code(&source).lines().filter(|line| VERBS.iter().any(|verb| line.contains(verb))) {
            broken.push(format!("{}: {}", source.path, line.trim()));
        }
    }
    assert_none("SQL text lives in store/ only", &broken);
}

#[test]
fn no_sql_is_put_together_from_strings() {
    let mut broken = Vec::new();
    for source in sources().into_iter().filter(|s| s.module == "store") {
        for line in code(&source).lines() {
            let formats = line.contains("format!(\"") || line.contains("push_str(\"");
            let sql = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", " WHERE "].iter().any(|verb| line.contains(verb));
            if formats && sql {
                broken.push(format!("{}: {}", source.path, line.trim()));
            }
        }
    }
    assert_none("statements are constants", &broken);
}

#[test]
fn every_method_is_in_the_registry() {
    let registry = fs::read_to_string(root().join("src/rpc/registry.rs")).expect("the registry");
    let mut broken = Vec::new();
    for source in sources().into_iter().filter(|s| s.path.starts_with("src/rpc/methods/")) {
        for line in source.text.lines() {
            let Some(name) = line.strip_prefix("impl Method for ") else { continue };
            let name = name.trim_end_matches([' ', '{']);
            if !registry.contains(&format!("::{name}>()")) {
                broken.push(format!("{}: {name} is not in rpc/registry.rs", source.path));
            }
        }
    }
    assert_none("every method is in the list", &broken);
}

#[test]
fn every_writer_message_is_in_the_list() {
    let list = fs::read_to_string(root().join("src/service/ops.rs")).expect("the list of writer messages");
    let mut broken = Vec::new();
    for source in sources().into_iter().filter(|s| s.module != "store") {
        let implemented = code(&source);
        for line in implemented.lines() {
            let Some(name) = line.trim_start().strip_prefix("impl WriteOp for ") else { continue };
            let name = name.trim_end_matches([' ', '{']);
            if !list.contains(&format!("::{name}")) {
                broken.push(format!("{}: {name} is not in service/ops.rs", source.path));
            }
        }
    }
    assert_none("every writer message is in the list", &broken);
}

#[test]
fn files_have_a_header_and_a_size() {
    let mut broken = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//!") && !source.text.starts_with("#![doc") {
            broken.push(format!("{}: no module header (what it owns, what it must never know)", source.path));
        }
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            broken.push(format!("{}: {lines} lines, the most is {LINES_MAX}", source.path));
        } else if lines > LINES_WARN {
            println!("{}: {lines} lines, is it still one thing?", source.path);
        }
    }
    assert_none("files have a header and a size", &broken);
}

#[test]
fn no_leftovers() {
    // Put together here, so that this file does not hold what it looks for.
    let banned = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!("));
    let mut broken = Vec::new();
    for source in sources() {
        for (number, line) in source.text.lines().enumerate() {
            let unfinished = banned.iter().any(|b| line.contains(b.as_str())) || line.contains(concat!("FIX", "ME"));
            let sleeps = line.contains("thread::sleep(") && !line.trim_start().starts_with("//");
            if unfinished || sleeps {
                broken.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    let mut tests = Vec::new();
    walk(&root().join("tests"), &mut tests);
    let waits = ["thread::", "time::"].map(|module| format!("{module}sleep("));
    for path in tests.into_iter().filter(|p| !p.ends_with("tidy.rs")) {
        let text = fs::read_to_string(&path).expect("utf-8");
        for (number, line) in text.lines().enumerate() {
            let skipped = line.trim_start().starts_with(concat!("#[", "ignore"));
            let waits =
                waits.iter().any(|w| line.contains(w.as_str())) && !path.components().any(|c| c.as_os_str() == "bench");
            if skipped || waits {
                broken.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    assert_none("no leftovers, no sleeping, nothing skipped", &broken);
}

#[test]
fn the_top_level_is_known() {
    const KNOWN: &[&str] = &[
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "LICENSE",
        "schema.sql",
        "rustfmt.toml",
        "clippy.toml",
        "deny.toml",
        "src",
        "tests",
        "examples",
        "target",
    ];
    let mut broken = Vec::new();
    for entry in fs::read_dir(root()).expect("readable") {
        let name = entry.expect("readable").file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !KNOWN.contains(&name.as_str()) && !name.starts_with("nexus-data") {
            broken.push(name);
        }
    }
    assert_none("the top level holds what architecture knows", &broken);
}

#[test]
fn routes_are_added_in_one_place() {
    const ADDERS: &[&str] = &["web::resource(", "web::scope(", ".service(", ".route(", "default_service("];
    // The failing control of the demo is a server of its own.
    const HOMES: &[&str] = &["src/http/routes/mod.rs", "src/http/control.rs"];
    let mut broken = Vec::new();
    for source in sources().into_iter().filter(|s| s.module == "http" && !HOMES.contains(&s.path.as_str())) {
        for line in code(&source).lines().filter(|line| ADDERS.iter().any(|adder| line.contains(adder))) {
            broken.push(format!("{}: {}", source.path, line.trim()));
        }
    }
    assert_none("http/routes/mod.rs alone adds routes, from the list that the document is drawn from", &broken);
}
