//! A kept reply outlives the changes of other things, and not one of what it was made from. The build that the tests run
//! makes each kept reply again and panics where it is another, so whatever is asked here twice is compared.

use nexus_lite::model::random::SeededRandom;
use nexus_lite::telemetry::metric;
use serde_json::{Value, json};

use super::glance::Dice;
use super::replies::answered_by_kept;
use crate::harness::engine::sqlite_only;
use crate::harness::world::{Who, World};
use crate::rpc::ok;
use crate::rpc::skills::{TENANT, skill};

/// Histories, and steps of each.
const HISTORIES: u64 = 4;
const STEPS: usize = 90;
/// Changes of other things in a row.
const OTHERS: usize = 40;

const DIRECTORIES: [&str; 5] = ["/p", "/p/in", "/p/in/deep", "/q", TENANT];
const NAMES: [&str; 4] = ["a", "in", "deep", "SKILL.md"];
const ASKING: [Who; 4] = [Who::Alice, Who::Bob, Who::Heir, Who::Admin];

/// What somebody may ask, that is kept.
fn questions() -> Vec<(&'static str, Value)> {
    let mut all = vec![("skills_list", json!({}))];
    for directory in ["/"].iter().chain(&DIRECTORIES) {
        all.push(("list", json!({"path": directory, "recursive": false})));
        all.push(("list", json!({"path": directory, "details": true})));
        all.push(("list", json!({"path": directory, "recursive": false, "limit": 2})));
        all.push(("stat", json!({"path": directory})));
        for name in NAMES {
            let path = format!("{}/{name}", directory.trim_end_matches('/'));
            all.push(("read", json!({"path": path})));
            all.push(("get_metadata", json!({"path": path})));
        }
    }
    all
}

/// One thing that happens; whether it may is not the point.
async fn step(world: &World, dice: &Dice) {
    let path = |dice: &Dice| format!("{}/{}", dice.one_of(&DIRECTORIES), dice.one_of(&NAMES));
    let (one, other) = (path(dice), path(dice));
    let who = *dice.one_of(&[Who::Admin, Who::Admin, Who::Alice, Who::Bob]);
    let call = |method: &'static str, params: Value| world.rpc(who, method, params);
    let subject = *dice.one_of(&[["user", "alice"], ["user", "bob"], ["group", "g"]]);
    match dice.below(16) {
        0..5 => drop(call("write", json!({"path": one, "content": skill(&format!("s{}", dice.below(9)), "")})).await),
        5 => drop(call("delete", json!({"path": one})).await),
        6 | 7 => drop(call("rename", json!({"old_path": one, "new_path": other})).await),
        8 => {
            let (old, new) = (*dice.one_of(&DIRECTORIES), *dice.one_of(&DIRECTORIES));
            drop(call("rename", json!({"old_path": old, "new_path": format!("{new}/{}", dice.below(2))})).await);
        }
        9 => drop(call("rmdir", json!({"path": dice.one_of(&DIRECTORIES), "recursive": true})).await),
        10 => drop(call("mkdir", json!({"path": dice.one_of(&DIRECTORIES), "parents": true})).await),
        11 => drop(call("undelete", json!({"path": one})).await),
        12 | 13 => {
            let relation = *dice.one_of(&["direct_viewer", "direct_owner"]);
            let object = if dice.below(2) == 0 { one } else { (*dice.one_of(&DIRECTORIES)).to_owned() };
            drop(
                call("rebac_create", json!({"subject": subject, "relation": relation, "object": ["file", object]}))
                    .await,
            );
        }
        14 => {
            let all = ok(world, Who::Admin, "rebac_list_tuples", json!({})).await;
            let all = all.as_array().expect("a list");
            drop(world.rpc(Who::Admin, "rebac_delete", json!({"tuple_id": dice.one_of(all)["tuple_id"]})).await);
        }
        _ => {
            let member = json!({"subject": ["user", "bob"], "relation": "member", "object": ["group", "g"]});
            drop(world.rpc(Who::Admin, "rebac_create", member).await);
        }
    }
}

/// `/p` is alice's, bob may read `/p/in`.
async fn furnished() -> World {
    let world = World::new().await;
    for directory in DIRECTORIES {
        world.rpc(Who::Admin, "mkdir", json!({"path": directory, "parents": true})).await.expect("a place");
    }
    for (who, relation, path) in [("alice", "direct_owner", "/p"), ("bob", "direct_viewer", "/p/in")] {
        let grant = json!({"subject": ["user", who], "relation": relation, "object": ["file", path]});
        world.rpc(Who::Admin, "rebac_create", grant).await.expect("granted");
    }
    for path in ["/p/a", "/p/in/a"] {
        world.rpc(Who::Admin, "write", json!({"path": path, "content": "text"})).await.expect("written");
    }
    world
        .rpc(Who::Admin, "write", json!({"path": format!("{TENANT}/a/SKILL.md"), "content": skill("a", "")}))
        .await
        .expect("a skill");
    let open = json!({"subject": ["user", "bob"], "relation": "direct_viewer", "object": ["file", TENANT]});
    world.rpc(Who::Admin, "rebac_create", open).await.expect("granted");
    world
}

#[tokio::test]
async fn in_whatever_history_a_kept_reply_is_what_would_be_made() {
    sqlite_only!("there the database alone knows the newest revision, and nothing is kept");
    metric::recorder();
    for seed in 0..HISTORIES {
        let (world, dice) = (furnished().await, Dice(SeededRandom::new(seed)));
        let questions = questions();
        let before = answered_by_kept();
        for _ in 0..STEPS {
            step(&world, &dice).await;
            for (method, params) in &questions {
                // What is asked twice is kept; so is what was asked before the step.
                let who = *dice.one_of(&ASKING);
                drop(world.rpc(who, method, params.clone()).await);
            }
        }
        let (asked, kept) = (STEPS * questions.len(), answered_by_kept() - before);
        assert!(kept > asked as u64 / 20, "of {asked} answers {kept} were kept ones: nothing was tested");
        world.close().await;
    }
}

#[tokio::test]
async fn a_reply_outlives_what_happens_elsewhere() {
    sqlite_only!("there the database alone knows the newest revision, and nothing is kept");
    metric::recorder();
    let world = furnished().await;
    let questions = [
        ("list", json!({"path": "/p", "recursive": false})),
        ("list", json!({"path": "/p/in", "details": true})),
        ("read", json!({"path": "/p/in/a"})),
        ("stat", json!({"path": "/p/in/a"})),
        ("skills_list", json!({})),
    ];
    let mut first = Vec::new();
    for (method, params) in &questions {
        ok(&world, Who::Bob, method, params.clone()).await;
        first.push(ok(&world, Who::Bob, method, params.clone()).await);
    }
    let before = answered_by_kept();
    for at in 0..OTHERS {
        let written = json!({"path": format!("/q/{at}.txt"), "content": "elsewhere"});
        let (written, rev) = world.rpc_at(Who::Admin, "write", written).await;
        written.expect("written");
        for ((method, params), first) in questions.iter().zip(&first) {
            let (answer, seen) = world.rpc_at(Who::Bob, method, params.clone()).await;
            assert_eq!(&answer.expect("an answer"), first, "{method}");
            assert_eq!(seen, rev, "{method}: it is the answer of now");
        }
    }
    let (asked, kept) = (OTHERS * (questions.len() - 1), answered_by_kept() - before);
    // All but the first list, which shows `/p/in` to bob for what lies deeper: that depends on everything.
    assert!(kept >= asked as u64, "of {asked} answers {kept} were kept ones");
    world.close().await;
}

/// Each change, and the question whose answer it changes.
#[tokio::test]
async fn a_reply_ends_with_each_change_of_what_it_was_made_from() {
    sqlite_only!("there the database alone knows the newest revision, and nothing is kept");
    let list = |path: &str| ("list", json!({"path": path, "details": true}));
    let read = || ("read", json!({"path": "/p/in/a", "return_metadata": true}));
    let skills = || ("skills_list", json!({}));
    let rename = |old: &str, new: &str| ("rename", json!({"old_path": old, "new_path": new}));
    let write = |path: &str, text: &str| ("write", json!({"path": path, "content": text}));
    let grant = |relation: &str, path: &str| {
        ("rebac_create", json!({"subject": ["user", "bob"], "relation": relation, "object": ["file", path]}))
    };
    let skill_file = format!("{TENANT}/a/SKILL.md");
    let cases = [
        (write("/p/in/a", "longer text"), list("/p/in")),
        (write("/p/in/a", "longer text"), read()),
        (write("/p/in/b", "new"), list("/p/in")),
        (("delete", json!({"path": "/p/in/a"})), list("/p/in")),
        (rename("/p/a", "/p/in/b"), list("/p/in")),
        (rename("/p/in/a", "/p/b"), list("/p/in")),
        (rename("/p/in", "/p/out"), list("/p/in")),
        (rename("/p", "/o"), read()),
        (("rmdir", json!({"path": "/p", "recursive": true})), list("/p/in")),
        (rename(TENANT, "/elsewhere"), skills()),
        (write(&skill_file, &skill("b", "")), skills()),
        (("rmdir", json!({"path": format!("{TENANT}/a"), "recursive": true})), skills()),
        (rename(&format!("{TENANT}/a"), &format!("{TENANT}/b")), skills()),
        (grant("direct_viewer", "/q"), list("/q")),
    ];
    for (change, question) in cases {
        let world = furnished().await;
        world.rpc(Who::Admin, "write", json!({"path": "/q/a", "content": "text"})).await.expect("written");
        let ask =
            || async { world.rpc(Who::Bob, question.0, question.1.clone()).await.map_err(|failure| failure.code) };
        let mut before = ask().await;
        for _ in 0..2 {
            before = ask().await;
        }
        ok(&world, Who::Admin, change.0, change.1.clone()).await;
        let after = ask().await;
        assert_ne!(after, before, "{change:?} {question:?}");
        assert_eq!(ask().await, after, "{change:?} {question:?}");
        world.close().await;
    }
}
