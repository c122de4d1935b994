//! A whole store moved: what was exported is what is imported, and what is not a bundle leaves nothing behind.

// Random stores there and back, byte by byte, and what people are told before and after.
mod round_trip;
// Bundles that are cut short, altered, doctored, of another form or schema.
mod damaged;
// Tenants that get other names.
mod tenants;
// To PostgreSQL and back.
#[cfg(feature = "postgres")]
mod engines;

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use nexus_lite::model::{
    ApprovalRow, ManualClock, MountRow, SnapshotRow, SubscriptionRow, TrajectoryNoteRow, TrajectoryRow, TupleRow,
};
use nexus_lite::store::bundle::{self, Header, How, Imported, MoveError, What};
use nexus_lite::store::{
    Options, Origin, Quota, Sql, Store, StoreError, WriteOp, WriteTx, approvals, entities, mounts, quotas, snapshots,
    subscriptions, trajectories, tuples,
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::harness::world::{ELSEWHERE, START_US, Setup, Who, World};
use crate::property::random::Rng;

/// Bytes of a body that is in several parts.
const LARGE: usize = 600_000;
/// Bytes of one that is just not in its row.
const OVER_INLINE: usize = 65_537;

/// A writer that others can read.
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

fn options(dir: &Path) -> Options {
    let mut options = Options::new(dir);
    options.clock = Arc::new(ManualClock::new(START_US));
    options
}

/// Exports the store in `dir`, which nobody uses.
async fn export(dir: &Path) -> (Header, Vec<u8>) {
    let store = Store::builder(options(dir)).open().expect("opens");
    let out = Shared::default();
    let what = What { name: "test".into(), secret: None };
    let exported = store.export(Box::new(out.clone()), what, Box::new(|_| ControlFlow::Continue(()))).await;
    store.close().await.expect("closes");
    let bytes = std::mem::take(&mut *out.0.lock());
    (exported.expect("exported"), bytes)
}

/// Imports into `dir`.
fn import_as(dir: &Path, mut bytes: &[u8], how: How) -> Result<Imported, MoveError> {
    bundle::import(options(dir), &mut bytes, how, &mut |_| ControlFlow::Continue(()))
}

fn import(dir: &Path, bytes: &[u8]) -> Result<Imported, MoveError> {
    import_as(dir, bytes, How { name: "bundle".into(), ..How::default() })
}

/// The lines, without what differs from export to export: the time in the first, the hash in the last.
fn lines(bytes: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut first: Value = serde_json::from_str(&lines[0]).expect("JSON");
    first["made_at"] = json!(null);
    lines[0] = first.to_string();
    let last = lines.len() - 1;
    let mut end: Value = serde_json::from_str(&lines[last]).expect("JSON");
    end["end"]["blake3"] = json!(null);
    lines[last] = end.to_string();
    lines
}

/// What no method of the wire can make: a mount, and a tuple with a condition and an end.
struct Beside(u64);

impl WriteOp for Beside {
    const NAME: &'static str = "test_beside";
    type Output = ();
    type Error = StoreError;
    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        let mount = MountRow {
            mount_point: format!("/tenant:acme/mnt/{}", self.0),
            backend_type: "GCSBackend".into(),
            backend_config: r#"{"bucket":"b"}"#.into(),
            priority: -5,
            readonly: true,
            tenant: ELSEWHERE.into(),
            mount_id: "of a test".into(),
            active: true,
            saved: false,
            owner: None,
            description: None,
            created_at_us: tx.now_us(),
            updated_at_us: tx.now_us(),
        };
        mounts::insert(tx, mount)?;
        let snapshot = SnapshotRow {
            snapshot_id: format!("snapshot-{}", self.0),
            number: 1,
            path: format!("/tenant:{ELSEWHERE}/w{}", self.0),
            tenant: ELSEWHERE.into(),
            node: 1,
            rev: Some(tx.rev()),
            description: Some("é \u{1F600}\"".into()),
            tags: r#"["a"]"#.into(),
            created_by: "u".into(),
            created_at_us: tx.now_us(),
            file_count: Some(3),
            total_size: None,
            manifest_hash: None,
        };
        snapshots::insert(tx, snapshot)?;
        let subscription = SubscriptionRow {
            subscription_id: format!("subscription-{}", self.0),
            tenant: ELSEWHERE.into(),
            url: "https://example.org/?a=\"b".into(),
            event_types: r#"["file_write"]"#.into(),
            patterns: Some(r#"["/\u00e4/**"]"#.into()),
            secret: Some("sealed".into()),
            name: None,
            description: Some("é \u{1F600}\"".into()),
            metadata: Some("{}".into()),
            enabled: true,
            created_at_us: tx.now_us(),
            updated_at_us: tx.now_us(),
            created_by: "u".into(),
            subject_type: "user".into(),
            subject_id: "u".into(),
            key_id: None,
        };
        subscriptions::insert(tx, subscription)?;
        quotas::put(tx, ELSEWHERE, Some(Quota { bytes_max: Some(1 << 40), files_max: None }))?;
        let trajectory = TrajectoryRow {
            trajectory_id: format!("trajectory-{}", self.0),
            tenant: ELSEWHERE.into(),
            user_id: "u".into(),
            agent_id: None,
            task: "é \u{1F600}".into(),
            task_type: None,
            status: "success".into(),
            success_score: Some(500_000),
            error_message: None,
            started_at_us: tx.now_us(),
            completed_at_us: Some(tx.now_us()),
            relearn_reason: None,
            relearn_priority: Some(-1),
        };
        trajectories::insert(tx, trajectory)?;
        for number in 1..3 {
            let note = TrajectoryNoteRow {
                trajectory_id: format!("trajectory-{}", self.0),
                number,
                note_id: format!("note-{}-{number}", self.0),
                what: if number == 1 { trajectories::STEP } else { trajectories::FEEDBACK }.into(),
                note_type: "human".into(),
                score: Some(250_000),
                source: None,
                message: Some("é \u{1F600}\"".into()),
                data: Some(r#"{"a":[1]}"#.into()),
                at_us: tx.now_us(),
            };
            trajectories::add_note(tx, note)?;
        }
        let approval = ApprovalRow {
            approval_id: format!("approval-{}", self.0),
            tenant: ELSEWHERE.into(),
            skill_name: "s".into(),
            path: format!("/tenant:{ELSEWHERE}/user:u/skill/s"),
            digest: "00".into(),
            submitted_by: "u".into(),
            submitted_at_us: tx.now_us(),
            reviewers: r#"["v"]"#.into(),
            comments: Some("é".into()),
            status: "approved".into(),
            reviewed_by: Some("v".into()),
            reviewed_at_us: Some(tx.now_us()),
            published_at_us: None,
        };
        approvals::insert(tx, approval)?;
        let object = entities::intern(tx, ELSEWHERE, "tenant", ELSEWHERE)?;
        let subject = entities::intern(tx, ELSEWHERE, "user", &format!("u{}\u{1F600}\"\\\n", self.0))?;
        let row = TupleRow {
            tuple_id: format!("tuple-{}", self.0),
            object,
            relation: "member".into(),
            subject,
            subject_relation: None,
            created_at_us: tx.now_us(),
            expires_at_us: Some(tx.now_us() + 1_000_000),
            condition: Some(r#"{"allowed_ips":["10.0.0.1"]}"#.into()),
            created_by: format!("tenant:{ELSEWHERE}"),
            rev: tx.rev(),
        };
        tuples::put(tx, row).map(|_| ())
    }
    fn bytes(&self) -> usize {
        64
    }
}

const PATHS: &[&str] = &[
    "/a.txt",
    "/a/b.txt",
    "/a/b/c.bin",
    "/é \"q\".txt",
    "/tenant:acme/x.txt",
    "/tenant:acme/d/y.bin",
    "/skills/one/SKILL.md",
    "/tenant:default/user:alice/skill/two/SKILL.md",
];
const DIRECTORIES: &[&str] = &["/", "/a", "/a/b", "/tenant:acme", "/tenant:acme/d", "/skills", "/new"];
const PEOPLE: &[Who] = &[Who::Instance, Who::Admin, Who::Alice, Who::Bob, Who::OtherAdmin, Who::OtherUser, Who::Heir];

/// One random request.
fn request(rng: &mut Rng, step: u64) -> (Who, &'static str, Value) {
    let who = *rng.one_of(PEOPLE);
    let path = rng.pick(PATHS);
    let (method, params) = match rng.below(27) {
        0..7 => {
            let body = match rng.below(8) {
                0 => "l".repeat(LARGE + rng.below(10)),
                1 => "m".repeat(OVER_INLINE + rng.below(3)),
                2 => String::new(),
                _ => format!("---\nname: s{step}\ndescription: é \u{1F600}\nversion: \"1\"\n---\nbody"),
            };
            ("write", json!({"path": path, "content": body}))
        }
        7 => ("delete", json!({"path": path})),
        8 => ("mkdir", json!({"path": rng.pick(DIRECTORIES), "parents": true})),
        9 => ("rename", json!({"old_path": path, "new_path": format!("/moved/{step}/SKILL.md")})),
        10 => ("rename", json!({"old_path": rng.pick(DIRECTORIES), "new_path": format!("/a/moved{step}")})),
        11 => ("rmdir", json!({"path": rng.pick(DIRECTORIES), "recursive": rng.chance(50)})),
        12..16 => {
            let subject = match rng.below(4) {
                0 => json!(["*", "*"]),
                1 => json!(["group", "g", "member"]),
                _ => json!(["user", rng.pick(&["alice", "bob", "grace"])]),
            };
            let mut tuple = match rng.chance(70) {
                true => json!({"subject": subject, "relation": "direct_viewer", "object": ["file", path]}),
                false => json!({"subject": ["user", "bob"], "relation": "member", "object": ["group", "g"]}),
            };
            if rng.chance(30) {
                tuple["expires_at"] = json!("2027-01-02T03:04:05Z");
            }
            ("rebac_create", tuple)
        }
        16 => {
            let relations = json!({"member": {}, "admin": {}});
            let config = json!({"relations": relations, "permissions": {"read": ["member"], "manage": ["admin"]}});
            ("namespace_create", json!({"object_type": rng.pick(&["group", "doc"]), "config": config}))
        }
        17 => ("namespace_delete", json!({"object_type": "doc"})),
        18 => ("register_agent", json!({"agent_id": format!("alice,a{step}"), "name": "é", "metadata": {"k": [1]}})),
        19 => ("admin_create_key", json!({"user_id": "u", "name": format!("k{step}")})),
        20 => (
            "register_workspace",
            json!({"path": format!("{}w{step}", if rng.chance(30) { "/tenant:acme/" } else { "/" }), "metadata": {"a": "b"}}),
        ),
        21 => ("sandbox_get_or_create", json!({"name": "box"})),
        22 => ("read", json!({"path": path})),
        23 => {
            let scope = *rng.one_of(&["agent", "user", "tenant"]);
            let content = if rng.chance(20) { "m".repeat(OVER_INLINE) } else { format!("é {step} \u{1F600}") };
            (
                "store_memory",
                json!({"content": content, "scope": scope, "namespace": "n/é", "path_key": format!("k{}", rng.below(3))}),
            )
        }
        24 => ("ace_start_trajectory", json!({"task_description": format!("é {step}"), "task_type": "t"})),
        25 => ("ace_create_playbook", json!({"name": format!("p{step}"), "scope": "user"})),
        _ => ("rebac_check", json!({"subject": ["user", "bob"], "permission": "read", "object": ["file", path]})),
    };
    (who, method, params)
}

/// A world with a random history of so many requests, every fourth with an Idempotency-Key.
async fn random_world(seed: u64, steps: u64) -> World {
    let world = World::with(Setup { seed, ..Setup::default() }).await;
    world.rpc(Who::Instance, "mkdir", json!({"path": "/tenant:acme"})).await.expect("a directory");
    let mut rng = Rng::new(seed);
    for step in 0..steps {
        let (who, method, params) = request(&mut rng, step);
        let key = step.is_multiple_of(4).then(|| format!("key-{step}"));
        // Whether it is allowed is not the question.
        let _ = world.rpc_once(who, key.as_deref(), method, params).await;
    }
    world.store.submit(Origin::system("test"), Beside(seed)).await.expect("stored");
    // What waits in the second lane: denials.
    world.store.tick().await.expect("a tick");
    world
}

/// The secret travels by hand.
fn bring_secret(from: &Path, to: &Path) {
    std::fs::copy(from.join("server.secret"), to.join("server.secret")).expect("copied");
}
