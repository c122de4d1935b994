//! What one tenant has, another does not learn and does not change: every method of the registry and every route, as a
//! user, his agent and the admin of one tenant, with every id and path of two others.
//!
//! The calls are made from the registry: `parameters` knows what each parameter names and fails for one that it does not
//! know. Four names stand for a thing: that of each other tenant's, one that is missing there, and one of a tenant that is
//! nowhere. All are to be answered alike, with nothing in the answer that the caller did not send. A last test makes the
//! same calls as who may: there they must tell what is from what is not, else the matrix would show nothing.

mod borders;
mod nest;
mod parameters;
mod routes;

use std::collections::BTreeSet;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use nexus_lite::rpc::Access;
use nexus_lite::rpc::registry::{METHODS, Spec, find};
use nexus_lite::store::Durability;
use nexus_lite::store::bundle::What;
use parking_lot::Mutex;
use serde_json::{Value, json};

use self::nest::{Door, Names, Nest, furnish, is_uuid, nobodys};
use self::parameters::{Calls, calls};
use crate::harness::client::Answer;
use crate::harness::server::Server;
use crate::harness::world::{Setup, Who, World};

/// The tenant that reaches for the others.
const OWN: &str = "harrier";
/// The others.
const OTHERS: [&str; 2] = ["kestrel", "buzzard"];
/// What is missing in another tenant.
const MISSING: &str = "vulture";
/// What is nowhere.
const NOWHERE: &str = "goshawk";
/// Fields that count what the caller himself has done.
const COUNTS: [&str; 6] = ["revision", "rev", "snapshot_number", "version", "last_used_at", "deleted_id"];
/// What the tenant's own audit says grows with what the tenant asks.
const GROWS: [&str; 1] = ["admin_audit_query"];

/// A served world without people but the instance admin.
struct Aviary {
    world: World,
    server: Server,
    root: String,
    host: PathBuf,
}

impl Aviary {
    async fn new() -> Self {
        let hasty = |options: &mut nexus_lite::store::Options| options.durability = Durability::Relaxed;
        let world = World::with(Setup { tune: Box::new(hasty), ..Setup::default() }).await;
        let server = Server::start(&world);
        let root = world.key(Who::Instance).expect("a key").to_owned();
        let host = world.host();
        Self { world, server, root, host }
    }

    /// Does something that blocks.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&mut Door, &str, PathBuf) -> T + Send + 'static) -> T {
        let (mut door, root, host) = (Door::to(self.server.address()), self.root.clone(), self.host.clone());
        tokio::task::spawn_blocking(move || work(&mut door, &root, host)).await.expect("no panic")
    }

    async fn furnish(&self, bird: &'static str) -> Nest {
        self.run(move |door, root, host| furnish(door, root, bird, bird, &host)).await
    }

    /// Every row of the store, a line each, without those that change by themselves.
    async fn rows(&self) -> BTreeSet<String> {
        #[derive(Clone, Default)]
        struct Shared(Arc<Mutex<Vec<u8>>>);
        impl Write for Shared {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        self.world.store.tick().await.expect("a tick");
        let out = Shared::default();
        let what = What { name: "matrix".into(), secret: None };
        let exported =
            self.world.store.export(Box::new(out.clone()), what, Box::new(|_| ControlFlow::Continue(()))).await;
        exported.expect("exported");
        let bytes = std::mem::take(&mut *out.0.lock());
        let text = String::from_utf8(bytes).expect("UTF-8");
        let timeless = |line: &str| {
            let mut row: Value = serde_json::from_str(line).expect("JSON");
            if let Some(key) = row.get_mut("api_keys") {
                key["last_used_at_us"] = Value::Null;
            }
            row.to_string()
        };
        text.lines().map(timeless).collect()
    }

    async fn stop(self) {
        self.server.stop().await;
        self.world.close().await;
    }
}

/// The methods of which a matrix is made: all but those that refuse everybody, and the second names of others.
fn methods() -> impl Iterator<Item = &'static Spec> {
    METHODS.iter().filter(|entry| entry.refused.is_none()).map(|entry| find(entry.name).expect("listed"))
}

/// All that an answer says, with what is encoded in it.
fn said(answer: &Answer) -> String {
    use base64::Engine as _;
    let mut text = String::new();
    for (name, value) in answer.headers.iter().filter(|(name, _)| name != "date") {
        text.push_str(&format!("{name}: {value}\n"));
    }
    let body = String::from_utf8_lossy(&answer.body);
    text.push_str(&body);
    for piece in body.split('"').filter(|piece| piece.len() >= 8) {
        if let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(piece) {
            text.push('\n');
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
    text
}

/// An answer without the names that the caller gave, and without what is new in every answer.
fn normal(answer: &Answer) -> String {
    without(answer, &COUNTS)
}

/// The same with the number of a version, which says whether something was there.
fn told(answer: &Answer) -> String {
    without(answer, &COUNTS.map(|count| if count == "version" { "" } else { count }))
}

fn without(answer: &Answer, counts: &[&str]) -> String {
    let kept = |name: &str| !matches!(name, "date" | "x-nexus-revision" | "content-length");
    let mut headers: Vec<_> = answer.headers.iter().filter(|(name, _)| kept(name)).collect();
    headers.sort();
    let mut body = answer.json();
    forget_counts(&mut body, counts);
    let text = match body {
        Value::Null => String::from_utf8_lossy(&answer.body).into_owned(),
        body => body.to_string(),
    };
    without_names(&format!("{} {headers:?} {text}", answer.status))
}

fn shown(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).chars().take(800).collect()
}

/// The names that the matrix tries: of one of the others, of nothing in it, of nothing anywhere, of the other one.
fn tried(others: &[Nest; 2]) -> [Names; 4] {
    let missing = nobodys(OTHERS[0], OTHERS[0], MISSING);
    [others[0].names.clone(), missing, nobodys(NOWHERE, NOWHERE, NOWHERE), others[1].names.clone()]
}

/// Where two answers differ, and how they go on.
fn difference(one: &str, other: &str) -> String {
    let same = one
        .char_indices()
        .zip(other.chars())
        .find(|((_, a), b)| a != b)
        .map_or(one.len().min(other.len()), |((at, _), _)| at);
    let from = one[..same].char_indices().rev().take(80).last().map_or(0, |(at, _)| at);
    let shown = |text: &str| text[from..].chars().take(400).collect::<String>();
    format!("\n    {}\n    {}", shown(one), shown(other))
}

fn without_names(text: &str) -> String {
    let mut text = text.to_owned();
    for word in OTHERS.into_iter().chain([MISSING, NOWHERE]) {
        text = text.replace(word, "<word>");
    }
    let number = |part: &str| part.len() >= 8 && part.contains(|c: char| c.is_ascii_digit());
    let (mut kept, mut rest) = (String::with_capacity(text.len()), text.as_str());
    while !rest.is_empty() {
        let run = rest.find(|c: char| !(c.is_ascii_hexdigit() || c == '-')).unwrap_or(rest.len());
        match is_uuid(&rest[..run]) {
            true => kept.push_str("<drawn>"),
            false => {
                let parts = rest[..run].split('-').map(|part| if number(part) { "<drawn>" } else { part });
                kept.push_str(&parts.collect::<Vec<_>>().join("-"));
            }
        }
        let other = rest[run..].chars().next();
        kept.extend(other);
        rest = &rest[run + other.map_or(0, char::len_utf8)..];
    }
    kept
}

fn forget_counts(value: &mut Value, counts: &[&str]) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match counts.contains(&name.as_str()) {
                    true => *value = Value::Null,
                    false => forget_counts(value, counts),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| forget_counts(value, counts)),
        _ => {}
    }
}

/// What an answer gives away of `nest` that was not sent; of a call that sends nothing of it, the word itself.
fn leaks<'a>(answer: &Answer, sent: &str, word: &'a str, nest: &'a Nest) -> Vec<&'a str> {
    let said = said(answer);
    // Most secrets hold the word: where it is not, they are not.
    let held = said.contains(word);
    let secrets = nest.secrets.iter().map(String::as_str).chain([word]);
    let there = secrets.filter(|secret| (held || !secret.contains(word)) && said.contains(secret));
    there.filter(|secret| !sent.contains(secret)).collect()
}

/// What each reading method answers to who asks for his own things, or for all of them.
fn own_view(door: &mut Door, nest: &Nest) -> Vec<(String, Answer)> {
    let mut view = Vec::new();
    for spec in methods().filter(|spec| spec.entry.access == Access::Read) {
        let main = calls(spec, &nest.names, &nest.names).expect("the_matrix_knows_every_parameter").main;
        let bare = json!({});
        let bare_too = main != bare && spec.parameters.iter().all(|parameter| !parameter.required);
        for params in std::iter::once(main).chain(bare_too.then_some(bare)) {
            for caller in nest.callers() {
                let answer = door.call(&caller.key, spec.entry.name, &params);
                view.push((format!("{} as {} with {params}", spec.entry.name, caller.role), answer));
            }
        }
    }
    view
}

#[test]
fn the_matrix_knows_every_parameter() {
    let (own, theirs) = (nobodys(OWN, OWN, OWN), nobodys(OTHERS[0], OTHERS[0], OTHERS[0]));
    let wrong: Vec<String> = methods().filter_map(|spec| calls(spec, &own, &theirs).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let naming = methods().filter(|spec| calls(spec, &own, &theirs).is_ok_and(|calls| calls.names_things)).count();
    assert!(naming > 120, "only {naming} methods name things");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_have_changes_nothing_that_one_sees() {
    let aviary = Aviary::new().await;
    let own = aviary.furnish(OWN).await;
    let (own, before) = aviary
        .run(|door, _, _| {
            let view = own_view(door, &own);
            (own, view)
        })
        .await;
    let others = [aviary.furnish(OTHERS[0]).await, aviary.furnish(OTHERS[1]).await];
    let wrong = aviary.run(move |door, _, _| {
        let (mut wrong, mut seen) = (Vec::new(), 0);
        for ((cell, before), (_, after)) in before.into_iter().zip(own_view(door, &own)) {
            let grows = GROWS.iter().any(|method| cell.starts_with(method));
            if !grows && normal(&before) != normal(&after) {
                wrong.push(format!("{cell}, when others came: {}", difference(&normal(&before), &normal(&after))));
            }
            for (word, nest) in OTHERS.iter().zip(&others) {
                wrong.extend(
                    leaks(&after, "", word, nest)
                        .iter()
                        .map(|secret| format!("{cell}: reveals {secret}: {}", shown(&after))),
                );
            }
            seen += usize::from(after.rpc().is_ok_and(|result| result.to_string().contains(OWN)));
        }
        assert!(seen > 100, "only {seen} answers hold anything of the caller's own");
        wrong
    });
    let wrong = wrong.await;
    assert!(wrong.is_empty(), "{} answers:\n{}", wrong.len(), wrong.join("\n"));
    aviary.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reaches_into_another_tenant() {
    let aviary = Aviary::new().await;
    let own = aviary.furnish(OWN).await;
    let others = [aviary.furnish(OTHERS[0]).await, aviary.furnish(OTHERS[1]).await];
    let viewed = aviary.run(move |door, _, _| {
        let views: Vec<_> = others.iter().map(|nest| own_view(door, nest)).collect();
        (others, views)
    });
    let (others, views) = viewed.await;
    let rows_before = aviary.rows().await;
    let reached = aviary.run(move |door, _, _| {
        // What is asked comes first: what is written under the names of others is the writer's own, and he sees it.
        let (reads, writes): (Vec<_>, Vec<_>) = methods().partition(|spec| spec.entry.access == Access::Read);
        let mut wrong: Vec<String> = reads.iter().flat_map(|spec| reach(door, spec, &own, &others)).collect();
        wrong.extend(routes::reach(door, &own, &others));
        wrong.extend(writes.iter().flat_map(|spec| reach(door, spec, &own, &others)));
        (own, others, wrong)
    });
    let (own, others, mut wrong) = reached.await;
    let rows_after = aviary.rows().await;
    wrong.extend(changed(&rows_before, &rows_after));
    let views = aviary.run(move |door, _, _| {
        let mut wrong = Vec::new();
        for (nest, before) in others.iter().zip(views) {
            for ((cell, before), (_, after)) in before.into_iter().zip(own_view(door, nest)) {
                if !GROWS.iter().any(|method| cell.starts_with(method)) && normal(&before) != normal(&after) {
                    wrong.push(format!("{cell}, after all that: {}", difference(&normal(&before), &normal(&after))));
                }
                wrong.extend(
                    leaks(&after, "", OWN, &own)
                        .iter()
                        .map(|secret| format!("{cell}: reveals {secret}: {}", shown(&after))),
                );
            }
        }
        wrong
    });
    wrong.extend(views.await);
    assert!(wrong.is_empty(), "{} cells:\n{}", wrong.len(), wrong.join("\n"));
    aviary.stop().await;
}

/// Methods whose call says the same of what is there and of what is not, also to who may know, and why.
const BLIND: &[&str] = &[
    // What it makes is new, whatever was there: one is replaced only where two names are given, or another scope.
    "ace_create_playbook",
    "admin_create_key",
    "store_memory",
    // The instance admin's, who is told first that this directory of the machine may not be mounted.
    "add_mount",
    "save_mount",
    // It sets what there is no need to have been.
    "admin_set_quota",
];

#[tokio::test(flavor = "multi_thread")]
async fn who_may_is_told_what_is_there() {
    let aviary = Aviary::new().await;
    let answered = aviary.run(|door, root, host| {
        let (mut blind, mut number, mut changed) = (Vec::new(), 0, true);
        let mut nest: Option<Nest> = None;
        for spec in methods() {
            let method = spec.entry.name;
            if changed {
                // Another one in the same tenant: the last method may have taken something away.
                number += 1;
                let word: &'static str = Box::leak(format!("buzz{number:03}").into_boxed_str());
                nest = Some(furnish(door, root, OTHERS[1], word, &host));
            }
            let nest = nest.as_ref().expect("furnished");
            let word = &nest.names["user"][..OWN.len()];
            let missing = nobodys(OTHERS[1], word, MISSING);
            let theirs = calls(spec, &nest.names, &nest.names).expect("known");
            let absent = calls(spec, &missing, &missing).expect("known");
            // Of what names a tenant and nothing in it.
            let nowhere = nobodys(NOWHERE, NOWHERE, NOWHERE);
            let elsewhere = calls(spec, &nowhere, &nowhere).expect("known");
            let keys = [nest.user.key.as_str(), nest.admin.key.as_str(), root];
            let mut tells = !theirs.names_things;
            let mut cases = vec![(&theirs.main, &absent.main)];
            cases.extend(theirs.others.iter().zip(&absent.others));
            if spec.entry.access == Access::Read {
                cases.extend(theirs.others.iter().zip(&elsewhere.others));
            }
            changed = false;
            for (there, not) in cases {
                for key in keys {
                    if !tells {
                        let not = told(&door.call(key, method, not)).replace(word, "<word>");
                        tells = told(&door.call(key, method, there)).replace(word, "<word>") != not;
                        changed = spec.entry.access != Access::Read;
                    }
                }
            }
            if tells == BLIND.contains(&method) {
                let said = shown(&door.call(keys[0], method, &theirs.main));
                blind.push(format!("{method}: {} and {}: {said}", theirs.main, absent.main));
            }
        }
        blind
    });
    let blind = answered.await;
    assert!(blind.is_empty(), "{} methods:\n{}", blind.len(), blind.join("\n"));
    aviary.stop().await;
}

/// Calls one method with everything of the others' and of nobody's.
fn reach(door: &mut Door, spec: &Spec, own: &Nest, others: &[Nest; 2]) -> Vec<String> {
    let method = spec.entry.name;
    let names = tried(others);
    let made: Vec<_> = names.iter().map(|names| calls(spec, &own.names, names).expect("known")).collect();
    let mut wrong = Vec::new();
    for case in 0..=made[0].others.len() {
        // The agent may do what its user may, and one tenant is as good as another: once each.
        let (callers, variants) = if case == 0 { (3, 4) } else { (2, 3) };
        let params = |calls: &Calls| if case == 0 { calls.main.clone() } else { calls.others[case - 1].clone() };
        let of_theirs = params(&made[0]);
        let (admin, user, agent) = (&own.admin, &own.user, &own.agent);
        for caller in [admin, user, agent].into_iter().take(callers) {
            let mut first: Option<(Answer, String)> = None;
            for params in made.iter().take(variants).map(params) {
                let answer = door.call(&caller.key, method, &params);
                let cell = format!("{method} as {} with {params}", caller.role);
                for (word, nest) in OTHERS.iter().zip(others) {
                    for secret in leaks(&answer, &params.to_string(), word, nest) {
                        wrong.push(format!("{cell}: reveals {secret}: {}", shown(&answer)));
                    }
                }
                let said = normal(&answer);
                match &first {
                    None => first = Some((answer, said)),
                    Some((_, before)) if *before == said || GROWS.contains(&method) => {}
                    // It may be that the caller has changed what is his own: then both are alike now.
                    Some((before, _))
                        if before.rpc().is_ok() && {
                            let again = door.call(&caller.key, method, &of_theirs);
                            normal(&again) == normal(&door.call(&caller.key, method, &params))
                        } => {}
                    Some((_, before)) => wrong.push(format!("{cell}: {}", difference(before, &said))),
                }
            }
        }
    }
    wrong
}

/// What became of the rows of the others.
fn changed(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Vec<String> {
    let theirs = |row: &Value| {
        let text = row.to_string();
        OTHERS.iter().any(|word| text.contains(&format!("\"tenant\":\"{word}\"")))
    };
    let parsed = |line: &String| serde_json::from_str::<Value>(line).expect("JSON");
    let entities: BTreeSet<u64> =
        after.iter().map(parsed).filter(theirs).filter_map(|row| row["entities"]["id"].as_u64()).collect();
    let nodes: BTreeSet<u64> =
        before.iter().map(parsed).filter(theirs).filter_map(|row| row["nodes"]["id"].as_u64()).collect();
    let of = |ids: &BTreeSet<u64>, id: &Value| id.as_u64().is_some_and(|id| ids.contains(&id));
    let touches = |row: &Value| {
        theirs(row)
            || of(&entities, &row["tuples"]["object"])
            || of(&nodes, &row["versions"]["node"])
            || of(&nodes, &row["skills"]["node"])
    };
    let describe = |what: &str, line: &String| touches(&parsed(line)).then(|| format!("{what}: {line}"));
    let gone = before.difference(after).filter_map(|line| describe("of the others is gone", line));
    // With whom something is shared is a name in his tenant, and nothing of it.
    let named = |line: &&String| parsed(line)["entities"]["type"] == "user";
    let new =
        after.difference(before).filter(|line| !named(line)).filter_map(|line| describe("of the others is new", line));
    gone.chain(new).collect()
}
