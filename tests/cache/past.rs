//! Checks at earlier revisions: what was answered at a revision is answered about it for ever after, whatever became
//! of names, owners, tuples, namespaces and directories, and across a restart.

use std::collections::BTreeMap;
use std::time::Duration;

use nexus_lite::model::NamespaceRow;
use nexus_lite::model::random::{RandomSource, SeededRandom};
use nexus_lite::model::time::iso_utc;
use nexus_lite::service::ServiceError;
use nexus_lite::service::relations::past::{At, PastView};
use nexus_lite::store::{Durability, Origin, StoreError, WriteOp, WriteTx, namespaces};
use serde_json::{Value, json};

use crate::harness::world::{Setup, Who, World};
use crate::rpc::ok;

/// Histories, and steps of each.
const HISTORIES: u64 = 3;
const STEPS: usize = 60;

/// Directories and files that the histories are about: of two tenants, and some that come to nothing.
const DIRECTORIES: [&str; 4] = ["/p", "/p/in", "/q", "/tenant:acme/r"];
const FILE: &str = "a.txt";
const PERMISSIONS: [&str; 2] = ["read", "execute"];
/// Every so many-th time is asked about.
const TIMES: usize = 4;
const SUBJECTS: [&[&str]; 7] = [
    &["user", "alice"],
    &["user", "bob"],
    &["user", "mallory"],
    &["agent", "alice,Fresh"],
    &["group", "g", "member"],
    &["group", "h", "member"],
    &["*", "*"],
];
/// Rules of files under which answers differ from the default ones.
const ODD_RULES: &str = r#"{"relations": {"direct_owner": {}, "direct_editor": {}, "direct_viewer": {}, "parent": {},
    "banned": {"union": ["direct_editor"]}, "seen": {"union": ["direct_viewer", "direct_owner"]}},
    "permissions": {"read": ["seen"], "write": ["direct_owner"], "execute": ["direct_owner"]}}"#;

/// Repeatable dice.
struct Dice(SeededRandom);

impl Dice {
    fn below(&self, limit: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % limit as u64).expect("below a usize")
    }
    fn of<'a, T: ?Sized>(&self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }
    fn path(&self) -> String {
        let directory = self.of(&DIRECTORIES);
        if self.below(3) == 0 { directory.to_owned() } else { format!("{directory}/{FILE}") }
    }
}

/// Puts or deletes the namespace of files, past all rules.
struct Rules(Option<&'static str>);

impl WriteOp for Rules {
    const NAME: &'static str = "test_rules";
    type Output = ();
    type Error = StoreError;
    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        let Some(config) = self.0 else { return namespaces::delete(tx, "file").map(|_| ()) };
        let row = NamespaceRow {
            namespace_id: "00000000-0000-4000-8000-000000000001".to_owned(),
            object_type: "file".to_owned(),
            config: config.to_owned(),
            created_at_us: 0,
            updated_at_us: 0,
        };
        namespaces::put(tx, row).map(|_| ())
    }
    fn bytes(&self) -> usize {
        64
    }
}

/// One thing that happens; whether it may is not the point.
async fn step(world: &World, dice: &Dice, tuples: &mut Vec<Value>) {
    let (path, other) = (dice.path(), dice.path());
    let who = match dice.below(3) {
        0 => Who::Instance,
        _ if path.starts_with("/tenant:acme") => Who::OtherAdmin,
        _ => Who::Alice,
    };
    let call = |method: &'static str, params: Value| world.rpc(who, method, params);
    let tenant = if path.starts_with("/tenant:acme") { "acme" } else { "default" };
    match dice.below(24) {
        0..5 => drop(call("write", json!({"path": path, "content": other})).await),
        5..12 => {
            let relation = dice.of(&["direct_viewer", "direct_editor", "direct_owner"]);
            let mut tuple = json!({"subject": dice.of(&SUBJECTS), "relation": relation, "object": ["file", path], "tenant_id": tenant});
            if dice.below(4) == 0 {
                let ends = world.store.clock().now_us() + 1_000_000 * i64::try_from(dice.below(40)).expect("small");
                tuple["expires_at"] = json!(iso_utc(ends));
            }
            tuples.extend(call("rebac_create", tuple).await.ok());
        }
        12..15 => {
            let member = dice.of(&[&["user", "bob"][..], &["user", "mallory"], &["group", "h", "member"]]);
            let tuple = json!({"subject": member, "relation": "member", "object": ["group", dice.of(&["g", "h"])],
                "tenant_id": tenant});
            tuples.extend(call("rebac_create", tuple).await.ok());
        }
        15 | 16 if !tuples.is_empty() => {
            let tuple = tuples.swap_remove(dice.below(tuples.len()));
            drop(world.rpc(Who::Instance, "rebac_delete", json!({"tuple_id": tuple})).await);
        }
        17 => drop(call("rename", json!({"old_path": path, "new_path": other})).await),
        18 => drop(call("rmdir", json!({"path": dice.of(&DIRECTORIES), "recursive": true})).await),
        19 => drop(call("delete", json!({"path": path})).await),
        20 => {
            // The owner column of a file goes.
            let of_it = json!({"object": ["file", path], "relation": "direct_owner"});
            let listed = ok(world, Who::Instance, "rebac_list_tuples", of_it).await;
            let ids = listed.as_array().expect("a list").iter().map(|row| row["tuple_id"].clone());
            for id in ids.filter(|id| id.as_str().is_some_and(|id| id.starts_with("owner-"))) {
                ok(world, Who::Instance, "rebac_delete", json!({"tuple_id": id})).await;
            }
        }
        21 => {
            let agent = json!({"agent_id": "alice,Fresh", "name": "Fresh"});
            match dice.below(2) {
                0 => drop(world.rpc(Who::Alice, "register_agent", agent).await),
                _ => drop(world.rpc(Who::Alice, "delete_agent", json!({"agent_id": "alice,Fresh"})).await),
            }
        }
        _ => {
            let rules = Rules((dice.below(3) == 0).then_some(ODD_RULES));
            world.store.submit(Origin::system("rules"), rules).await.expect("rules");
        }
    }
}

/// Who may what, now or then.
async fn answers(world: &World, at: Value) -> Value {
    let mut all = Vec::new();
    let files = DIRECTORIES.iter().map(|d| format!("{d}/{FILE}"));
    let paths: Vec<String> = DIRECTORIES.iter().map(|d| (*d).to_owned()).chain(files).collect();
    for tenant in ["default", "acme"] {
        let mut checks = Vec::new();
        for path in paths.iter().filter(|path| path.starts_with("/tenant:acme") == (tenant == "acme")) {
            for subject in SUBJECTS.iter().filter(|subject| subject.len() == 2) {
                checks.extend(PERMISSIONS.map(|permission| json!([subject, permission, ["file", path]])));
            }
        }
        let mut params = json!({"checks": checks, "tenant_id": tenant});
        params.as_object_mut().expect("an object").extend(at.as_object().cloned().unwrap_or_default());
        let said = ok(world, Who::Instance, "rebac_check_batch", params).await;
        let said = said.as_array().expect("a list").clone();
        all.extend(checks.into_iter().zip(said).map(|(check, said)| json!([check, said])));
    }
    Value::Array(all)
}

fn hasty() -> Setup {
    Setup { tune: Box::new(|options| options.durability = Durability::Relaxed), ..Setup::default() }
}

#[tokio::test]
async fn what_was_answered_at_a_revision_is_answered_about_it() {
    let (mut grants, mut changes) = (0, 0);
    for seed in 0..HISTORIES {
        let world = World::with(hasty()).await;
        let dice = Dice(SeededRandom::new(seed));
        let (mut by_rev, mut by_time) = (BTreeMap::new(), BTreeMap::new());
        let mut tuples = Vec::new();
        for directory in ["/p", "/q"] {
            ok(&world, Who::Instance, "mkdir", json!({"path": directory})).await;
            let owner =
                json!({"subject": ["user", "alice"], "relation": "direct_owner", "object": ["file", directory]});
            ok(&world, Who::Instance, "rebac_create", owner).await;
        }
        for _ in 0..STEPS {
            world.pass(Duration::from_secs(1 + dice.below(3) as u64)).await;
            let (before, now_us) = (world.head().await, world.store.clock().now_us());
            step(&world, &dice, &mut tuples).await;
            let (rev, said) = (world.head().await, answers(&world, json!({})).await);
            if rev > before {
                by_rev.insert(rev, said.clone());
            }
            by_time.insert(now_us, said);
        }
        let all: Vec<&Value> = by_rev.values().collect();
        changes += all.windows(2).filter(|pair| pair[0] != pair[1]).count();
        grants += all.iter().flat_map(|said| said.as_array().expect("a list")).filter(|a| a[1] == json!(true)).count();
        let some = by_rev.iter().step_by(3).map(|(rev, said)| (*rev, said.clone())).collect();
        same(&world, seed, &some, &by_time).await;
        let (keys, directory) = (world.keys(), world.path().to_owned());
        let _kept = world.close().await;
        let mut setup = hasty();
        setup.seed = seed + 1_000;
        let world = World::again(&directory, setup, keys).await;
        same(&world, seed, &by_rev, &by_time).await;
        world.close().await;
    }
    assert!(changes > 30 && grants > 1_000, "{changes} changes and {grants} grants are no test");
}

async fn same(world: &World, seed: u64, by_rev: &BTreeMap<u64, Value>, by_time: &BTreeMap<i64, Value>) {
    for (rev, said) in by_rev {
        let again = answers(world, json!({"at_rev": rev})).await;
        assert!(again == *said, "history {seed}, revision {rev}: {}", difference(said, &again));
    }
    // The world that was opened again begins its clock anew, and the store goes on from the last time it has seen.
    for (time, said) in by_time.iter().step_by(TIMES) {
        let again = answers(world, json!({"at_time": iso_utc(*time)})).await;
        assert!(again == *said, "history {seed}, time {}: {}", iso_utc(*time), difference(said, &again));
    }
}

/// The first answer that is another.
fn difference(said: &Value, again: &Value) -> String {
    let mut pairs = said.as_array().into_iter().flatten().zip(again.as_array().into_iter().flatten());
    let (said, again) = pairs.find(|(a, b)| a != b).expect("they differ");
    format!("{said} then, {again} now")
}

#[tokio::test]
async fn the_way_back_has_a_limit() {
    let world = World::new().await;
    let first = world.head().await;
    for n in 0..4 {
        let member = json!({"subject": ["user", "bob"], "relation": "member", "object": ["group", format!("g{n}")]});
        ok(&world, Who::Admin, "rebac_create", member).await;
        // Does not decide permissions, so it costs nothing on the way.
        ok(&world, Who::Admin, "sandbox_create", json!({"name": format!("s{n}")})).await;
    }
    let store = &world.store;
    let open = |back: u64, limit: u64| {
        store.read_slow(move |tx| {
            PastView::open_within(tx, At::Rev(back), limit).map(|view| (view.rev(), view.at_us() > 0))
        })
    };
    assert_eq!(open(first, 4).await.expect("four steps"), (first, true));
    let far = open(first, 3).await.expect_err("a step too many");
    assert!(matches!(far, ServiceError::RevisionTooFar { limit: 3, .. }), "{far}");
    assert_eq!(open(first + 2, 3).await.expect("three steps"), (first + 2, true));
}
