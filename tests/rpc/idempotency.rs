//! Every writing method with an Idempotency-Key: executed once, answered alike, for one request of one caller.

use std::collections::BTreeSet;
use std::task::Poll;

use nexus_lite::rpc::Access;
use nexus_lite::rpc::registry::METHODS;
use nexus_lite::store::idempotency::RETENTION_US;
use serde_json::{Value, json};

use super::{DENIED, EXISTS, INVALID_PARAMS, NOT_FOUND, ok, read, refused};
use crate::harness::world::{Who, World};

const KEY_REUSED: i64 = -32027;
const ALREADY_EXECUTED: i64 = -32028;

/// Writing methods that no key makes a difference to, and why.
const WITHOUT: &[(&str, &str)] = &[
    ("sandbox_run", "nothing is run in the process of a test: tests/sandbox/runs.rs repeats one of the real server"),
    ("set_rebac_option", "it changes nothing: it says why it cannot"),
    ("sync_mount", "it makes many changes; executed again it finds nothing left to do"),
];

/// Calls before the call.
type Before = Vec<(&'static str, Value)>;

/// A writing method: what is called first, and its parameters, given what those calls gave.
struct Case {
    method: &'static str,
    before: Before,
    params: fn(&[Value]) -> Value,
    /// Other parameters of the same method.
    other: fn(&[Value]) -> Value,
}

fn case(method: &'static str, before: Before, params: fn(&[Value]) -> Value, other: fn(&[Value]) -> Value) -> Case {
    Case { method, before, params, other }
}

fn file(path: &str) -> (&'static str, Value) {
    ("write", json!({"path": path, "content": "text"}))
}

/// A mount of a directory of the machine with the mount point's name, in the one that stands for `$host`.
fn mount(point: &str) -> Value {
    json!({"mount_point": point, "backend_type": "local", "backend_config": {"data_dir": format!("$host{point}")}})
}

fn at(point: &str) -> Value {
    json!({ "mount_point": point })
}

/// The parameters with a directory of the machine that is there.
fn hosted(world: &World, mut params: Value) -> Value {
    if let Some(dir) = params["backend_config"]["data_dir"].as_str() {
        let dir = dir.replace("$host", world.host().to_str().expect("UTF-8"));
        std::fs::create_dir_all(&dir).expect("a directory");
        params["backend_config"]["data_dir"] = dir.into();
    }
    params
}

/// A workspace with two snapshots, and a file that came after them.
fn snapshots(path: &str) -> Before {
    let snapshot = || ("workspace_snapshot", json!({"workspace_path": path}));
    vec![("register_workspace", json!({"path": path})), snapshot(), snapshot(), file(&format!("{path}/later"))]
}

fn own_skill(name: &str) -> Before {
    vec![("skills_create", json!({"name": name, "description": "d"}))]
}

fn submitted(name: &str, comments: &str) -> Value {
    json!({"skill_name": name, "submitted_by": "root", "comments": comments})
}

/// A skill that waits for a review.
fn submission(name: &str) -> Before {
    let mut calls = own_skill(name);
    calls.push(("skills_submit_approval", submitted(name, "look")));
    calls
}

fn decided(made: &[Value], comments: &str) -> Value {
    json!({"approval_id": made[1]["approval_id"], "reviewed_by": "root", "comments": comments})
}

/// An archive with one skill.
fn archive(name: &str) -> Value {
    use base64::Engine as _;
    use nexus_lite::service::skills::archive::{Member, write};
    let body = format!("---\nname: {name}\ndescription: d\n---\n");
    let packed = write(&[Member { path: format!("{name}/SKILL.md"), body: body.into() }]).expect("an archive");
    json!({"zip_data": base64::engine::general_purpose::STANDARD.encode(packed)})
}

fn rules() -> Value {
    json!({"relations": {"owner": {}}, "permissions": {"read": ["owner"]}})
}

fn etag(text: &str) -> String {
    nexus_lite::model::ContentHash::of(text.as_bytes()).to_hex()
}

fn sandbox(made: &[Value]) -> Value {
    json!({"sandbox_id": made[0]["sandbox_id"]})
}

fn cases() -> Vec<Case> {
    let key = || vec![("admin_create_key", json!({"user_id": "u", "name": "k"}))];
    let box_ = |name: &str| vec![("sandbox_create", json!({"name": name}))];
    let nobody = |_: &[Value]| json!({"sandbox_id": "sb-0"});
    let connected = |name: &str| [box_(name), vec![("sandbox_connect", json!({"sandbox_id": "$0"}))]].concat();
    let of_key = |made: &[Value]| json!({"key_id": made[0]["key_id"]});
    let grant = json!({"subject": ["user", "bob"], "relation": "direct_viewer", "object": ["file", "/a/granted"]});
    vec![
        case(
            "admin_create_key",
            vec![],
            |_| json!({"user_id": "u", "name": "made"}),
            |_| json!({"user_id": "u", "name": "n"}),
        ),
        case("admin_revoke_key", key(), of_key, |_| json!({"key_id": "another"})),
        case(
            "admin_set_quota",
            vec![],
            |_| json!({"tenant_id": "of-somebody", "files_max": 5}),
            |_| json!({"tenant_id": "of-somebody", "files_max": 6}),
        ),
        case(
            "admin_update_key",
            key(),
            |made| json!({"key_id": made[0]["key_id"], "name": "new"}),
            |made| json!({"key_id": made[0]["key_id"], "name": "newer"}),
        ),
        case(
            "append",
            vec![file("/a/log")],
            |_| json!({"path": "/a/log", "content": "a"}),
            |_| json!({"path": "/a/log", "content": "b"}),
        ),
        case(
            "copy",
            vec![file("/a/source")],
            |_| json!({"src_path": "/a/source", "dst_path": "/a/copy"}),
            |_| json!({"src_path": "/a/source", "dst_path": "/a/copied"}),
        ),
        case("delete", vec![file("/a/gone")], |_| json!({"path": "/a/gone"}), |_| json!({"path": "/a/other"})),
        case(
            "delete_agent",
            vec![("register_agent", json!({"agent_id": "root,gone", "name": "gone"}))],
            |_| json!({"agent_id": "root,gone"}),
            |_| json!({"agent_id": "root,other"}),
        ),
        case(
            "delete_bulk",
            vec![file("/a/gone1"), file("/a/gone2")],
            |_| json!({"paths": ["/a/gone1", "/a/gone2", "/a/none"]}),
            |_| json!({"paths": ["/a/gone1"]}),
        ),
        case(
            "edit",
            vec![file("/a/edited")],
            |_| json!({"path": "/a/edited", "edits": [{"old_str": "ext", "new_str": "ext text"}]}),
            |_| json!({"path": "/a/edited", "edits": [{"old_str": "t", "new_str": "d"}]}),
        ),
        case(
            "import_metadata",
            vec![file("/a/here")],
            |_| json!({"data": format!("{{\"path\":\"/a/imported\",\"etag\":\"{}\"}}", etag("text"))}),
            |_| json!({"data": ""}),
        ),
        case("mkdir", vec![], |_| json!({"path": "/made"}), |_| json!({"path": "/made", "exist_ok": true})),
        case(
            "namespace_create",
            vec![],
            |_| json!({"object_type": "doc", "config": rules()}),
            |_| json!({"object_type": "dog", "config": rules()}),
        ),
        case(
            "namespace_delete",
            vec![("namespace_create", json!({"object_type": "cat", "config": rules()}))],
            |_| json!({"object_type": "cat"}),
            |_| json!({"object_type": "dog"}),
        ),
        case(
            "rebac_create",
            vec![file("/a/shared")],
            |_| json!({"subject": ["user", "bob"], "relation": "direct_viewer", "object": ["file", "/a/shared"]}),
            |_| json!({"subject": ["user", "bob"], "relation": "direct_editor", "object": ["file", "/a/shared"]}),
        ),
        case(
            "rebac_delete",
            vec![file("/a/granted"), ("rebac_create", grant)],
            |made| json!({"tuple_id": made[1]}),
            |_| json!({"tuple_id": "another"}),
        ),
        case(
            "register_agent",
            vec![],
            |_| json!({"agent_id": "root,quiet", "name": "quiet"}),
            |_| json!({"agent_id": "root,quiet", "name": "loud"}),
        ),
        case(
            "register_namespace",
            vec![],
            |_| json!({"namespace": {"object_type": "dot", "config": rules()}}),
            |_| json!({"namespace": {"object_type": "dog", "config": rules()}}),
        ),
        case("register_memory", vec![], |_| json!({"path": "/a/notes"}), |_| json!({"path": "/a/thoughts"})),
        case("register_workspace", vec![], |_| json!({"path": "/a/work"}), |_| json!({"path": "/a/play"})),
        case(
            "rename",
            vec![file("/a/old")],
            |_| json!({"old_path": "/a/old", "new_path": "/a/new"}),
            |_| json!({"old_path": "/a/old", "new_path": "/a/newer"}),
        ),
        case(
            "rename_bulk",
            vec![file("/a/old1")],
            |_| json!({"renames": [["/a/old1", "/a/new1"], ["/a/none", "/a/new2"]]}),
            |_| json!({"renames": []}),
        ),
        case(
            "rmdir",
            vec![file("/dir/file")],
            |_| json!({"path": "/dir", "recursive": true}),
            |_| json!({"path": "/dir", "recursive": false}),
        ),
        case(
            "rollback",
            vec![file("/a/back")],
            |_| json!({"path": "/a/back", "version": 1}),
            |_| json!({"path": "/a/back", "version": 2}),
        ),
        case("sandbox_connect", box_("connect"), sandbox, nobody),
        case("sandbox_create", vec![], |_| json!({"name": "one"}), |_| json!({"name": "two"})),
        case("sandbox_get_or_create", vec![], |_| json!({"name": "three"}), |_| json!({"name": "four"})),
        case("sandbox_pause", box_("pause"), sandbox, nobody),
        case(
            "sandbox_resume",
            [box_("resume"), vec![("sandbox_pause", json!({"sandbox_id": "$0"}))]].concat(),
            sandbox,
            nobody,
        ),
        case("sandbox_disconnect", connected("disconnect"), sandbox, nobody),
        case("sandbox_stop", box_("stop"), sandbox, nobody),
        case("sandbox_sync", connected("sync"), sandbox, nobody),
        case(
            "undelete",
            vec![file("/a/lost"), ("delete", json!({"path": "/a/lost"}))],
            |_| json!({"path": "/a/lost"}),
            |_| json!({"path": "/a/found"}),
        ),
        case(
            "unregister_memory",
            vec![("register_memory", json!({"path": "/a/forgotten"}))],
            |_| json!({"path": "/a/forgotten"}),
            |_| json!({"path": "/a/right"}),
        ),
        case(
            "unregister_workspace",
            vec![("register_workspace", json!({"path": "/a/left"}))],
            |_| json!({"path": "/a/left"}),
            |_| json!({"path": "/a/right"}),
        ),
        case("store_memory", vec![], |_| json!({"content": "a"}), |_| json!({"content": "b"})),
        case("update_memory", vec![remembered()], |made| of(made, "a"), |made| of(made, "b")),
        case("approve_memory", vec![remembered()], memory, |_| json!({"memory_id": "another"})),
        case("approve_memory_batch", vec![remembered()], memories, |_| json!({"memory_ids": ["another"]})),
        case(
            "deactivate_memory",
            vec![("store_memory", json!({"content": "m"}))],
            memory,
            |_| json!({"memory_id": "another"}),
        ),
        case(
            "deactivate_memory_batch",
            vec![("store_memory", json!({"content": "m"}))],
            memories,
            |_| json!({"memory_ids": ["another"]}),
        ),
        case("delete_memory", vec![remembered()], memory, |_| json!({"memory_id": "another"})),
        case("delete_memory_batch", vec![remembered()], memories, |_| json!({"memory_ids": ["another"]})),
        case(
            "ace_start_trajectory",
            vec![],
            |_| json!({"task_description": "a"}),
            |_| json!({"task_description": "b"}),
        ),
        case("start_trajectory", vec![], |_| json!({"task_description": "a"}), |_| json!({"task_description": "b"})),
        case("ace_log_trajectory_step", vec![begun()], step, |_| {
            json!({"trajectory_id": "another",
            "step_type": "action", "description": "d"})
        }),
        case(
            "load_workspace_memory_config",
            vec![],
            |_| json!({"workspaces": [{"path": "/a/loaded"}]}),
            |_| json!({"memories": [{"path": "/a/loaded"}]}),
        ),
        case("log_trajectory_step", vec![begun()], step, |_| {
            json!({"trajectory_id": "another",
            "step_type": "action", "description": "d"})
        }),
        case(
            "ace_complete_trajectory",
            vec![begun()],
            end,
            |_| json!({"trajectory_id": "another", "status": "failure"}),
        ),
        case("complete_trajectory", vec![begun()], end, |_| json!({"trajectory_id": "another", "status": "failure"})),
        case(
            "ace_add_feedback",
            vec![begun()],
            |made| json!({"trajectory_id": made[0]["trajectory_id"], "feedback_type": "human"}),
            |made| json!({"trajectory_id": made[0]["trajectory_id"], "feedback_type": "other"}),
        ),
        case(
            "ace_mark_for_relearning",
            vec![begun()],
            |made| json!({"trajectory_id": made[0]["trajectory_id"], "reason": "a"}),
            |made| json!({"trajectory_id": made[0]["trajectory_id"], "reason": "b"}),
        ),
        case("ace_create_playbook", vec![], |_| json!({"name": "a"}), |_| json!({"name": "b"})),
        case(
            "skills_create",
            vec![],
            |_| json!({"name": "created", "description": "d"}),
            |_| json!({"name": "created", "description": "e"}),
        ),
        case(
            "skills_create_from_content",
            vec![],
            |_| json!({"name": "content", "description": "d", "content": "x"}),
            |_| json!({"name": "content", "description": "d", "content": "y"}),
        ),
        case(
            "skills_create_from_file",
            vec![],
            |_| json!({"source": "of-file.md", "file_data": "IyBoaQo="}),
            |_| json!({"source": "other.md", "file_data": "IyBoaQo="}),
        ),
        case(
            "skills_fork",
            own_skill("forked"),
            |_| json!({"source_name": "forked", "target_name": "fork"}),
            |_| json!({"source_name": "forked", "target_name": "fork2"}),
        ),
        case(
            "skills_publish",
            own_skill("published"),
            |_| json!({"skill_name": "published"}),
            |_| json!({"skill_name": "published", "target_tier": "system"}),
        ),
        case("skills_import", vec![], |_| archive("imported"), |_| archive("imported2")),
        case(
            "skills_submit_approval",
            own_skill("submitted"),
            |_| submitted("submitted", "a"),
            |_| submitted("submitted", "b"),
        ),
        case("skills_approve", submission("approved"), |made| decided(made, "a"), |made| decided(made, "b")),
        case("skills_reject", submission("rejected"), |made| decided(made, "a"), |made| decided(made, "b")),
        case(
            "workspace_delete_snapshot",
            snapshots("/a/thinned"),
            |_| json!({"workspace_path": "/a/thinned", "snapshot_number": 1}),
            |_| json!({"workspace_path": "/a/thinned", "snapshot_number": 2}),
        ),
        case(
            "workspace_restore",
            snapshots("/a/undone"),
            |_| json!({"workspace_path": "/a/undone", "snapshot_number": 1}),
            |_| json!({"workspace_path": "/a/undone", "snapshot_number": 2}),
        ),
        case(
            "workspace_snapshot",
            snapshots("/a/kept"),
            |_| json!({"workspace_path": "/a/kept"}),
            |_| json!({"workspace_path": "/a/kept", "description": "another"}),
        ),
        case(
            "write",
            vec![],
            |_| json!({"path": "/a/written", "content": "a"}),
            |_| json!({"path": "/a/written", "content": "b"}),
        ),
        case(
            "write_batch",
            vec![],
            |_| json!({"files": [["/a/one", "1"], ["/a/two", "2"]]}),
            |_| json!({"files": [["/a/one", "1"]]}),
        ),
        case("share_with_user", vec![], |_| share("ann"), |_| share("ben")),
        case("revoke_share", vec![("share_with_user", share("cid"))], |_| share("cid"), |_| share("ben")),
        case(
            "revoke_share_by_id",
            vec![("share_with_user", share("dan"))],
            |made| json!({"share_id": made[0]}),
            |_| json!({"share_id": "another"}),
        ),
        case("make_public", vec![], |_| resource("/a/public"), |_| resource("/a/other")),
        case(
            "make_private",
            vec![("make_public", resource("/a/private"))],
            |_| resource("/a/private"),
            |_| resource("/a/other"),
        ),
        case("grant_consent", vec![], |_| consent("ann"), |_| consent("ben")),
        case("revoke_consent", vec![("grant_consent", consent("cid"))], |_| consent("cid"), |_| consent("ben")),
        case(
            "update_agent",
            vec![("register_agent", json!({"agent_id": "root,changed", "name": "changed"}))],
            |_| json!({"agent_id": "root,changed", "name": "new"}),
            |_| json!({"agent_id": "root,changed", "name": "newer"}),
        ),
        // A key that it makes is shown once, as that of admin_create_key.
        case(
            "provision_user",
            vec![],
            |_| json!({"user_id": "comes", "create_api_key": false}),
            |_| json!({"user_id": "other", "create_api_key": false}),
        ),
        case(
            "deprovision_user",
            vec![("provision_user", json!({"user_id": "goes"}))],
            |_| json!({"user_id": "goes"}),
            |_| json!({"user_id": "other"}),
        ),
        case("add_mount", vec![], |_| mount("/mnt/added"), |_| mount("/mnt/other")),
        case("remove_mount", vec![("add_mount", mount("/mnt/gone"))], |_| at("/mnt/gone"), |_| at("/mnt/other")),
        case("save_mount", vec![], |_| mount("/mnt/saved"), |_| mount("/mnt/other")),
        case("load_mount", vec![("save_mount", mount("/mnt/loaded"))], |_| at("/mnt/loaded"), |_| at("/mnt/other")),
        case(
            "delete_saved_mount",
            vec![("save_mount", mount("/mnt/forgot"))],
            |_| at("/mnt/forgot"),
            |_| at("/mnt/other"),
        ),
        case(
            "write_stream",
            vec![],
            |_| json!({"path": "/a/streamed", "chunks": "a"}),
            |_| json!({"path": "/a/streamed", "chunks": "b"}),
        ),
    ]
}

fn resource(path: &str) -> Value {
    json!({"resource": ["file", path]})
}

fn share(user: &str) -> Value {
    json!({"resource": ["file", "/a/shared"], "user_id": user})
}

fn consent(to: &str) -> Value {
    json!({"from_subject": ["user", "root"], "to_subject": ["user", to]})
}

fn remembered() -> (&'static str, Value) {
    ("store_memory", json!({"content": "m", "state": "inactive"}))
}

fn memory(made: &[Value]) -> Value {
    json!({"memory_id": made[0]["memory_id"]})
}

fn memories(made: &[Value]) -> Value {
    json!({"memory_ids": [made[0]["memory_id"]]})
}

fn of(made: &[Value], content: &str) -> Value {
    json!({"memory_id": made[0]["memory_id"], "content": content})
}

fn begun() -> (&'static str, Value) {
    ("ace_start_trajectory", json!({"task_description": "a task"}))
}

fn step(made: &[Value]) -> Value {
    json!({"trajectory_id": made[0]["trajectory_id"], "step_type": "action", "description": "d"})
}

fn end(made: &[Value]) -> Value {
    json!({"trajectory_id": made[0]["trajectory_id"], "status": "success"})
}

#[test]
fn every_writing_method_is_in_one_of_the_lists() {
    let writing = METHODS.iter().filter(|entry| entry.access != Access::Read).map(|entry| entry.name);
    let cases = cases();
    let listed = cases.iter().map(|case| case.method).chain(WITHOUT.iter().map(|(method, _)| *method));
    assert_eq!(writing.collect::<BTreeSet<_>>(), listed.collect::<BTreeSet<_>>());
}

#[tokio::test]
async fn every_writing_method_is_executed_once_and_answers_alike() {
    let world = World::new().await;
    let root = Who::Instance;
    for Case { method, before, params, other } in cases() {
        let mut made: Vec<Value> = Vec::new();
        for (name, mut given) in before {
            if given["sandbox_id"] == "$0" {
                given = sandbox(&made);
            }
            made.push(ok(&world, root, name, hosted(&world, given)).await);
        }
        let (given, key) = (hosted(&world, params(&made)), format!("key-of-{method}"));
        let head = world.head().await;
        let (first, rev, replayed) = world.rpc_once(root, Some(&key), method, given.clone()).await;
        let first = first.unwrap_or_else(|e| panic!("{method}: {e:?}"));
        assert!(!replayed, "{method}");
        assert_eq!((rev, world.head().await), (head + 1, head + 1), "{method} is one change");

        // Something else happens in between, so that "the newest revision" would be another answer.
        let (between, at) = world.rpc_at(root, "write", json!({"path": "/between", "content": method})).await;
        between.expect("written");
        for _ in 0..2 {
            let (again, again_at, replayed) = world.rpc_once(root, Some(&key), method, given.clone()).await;
            assert_eq!((again_at, replayed), (rev, true), "{method}: the revision of the first time");
            match again {
                Ok(again) => assert_eq!(again, first, "{method}"),
                Err(e) => {
                    assert_eq!((method, e.code), ("admin_create_key", ALREADY_EXECUTED), "{e:?}");
                    assert_eq!(e.data["revision"], rev, "{e:?}");
                }
            }
        }
        for (called, given) in [(method, other(&made)), ("mkdir", json!({"path": format!("/of-{method}")}))] {
            let (reused, _, replayed) = world.rpc_once(root, Some(&key), called, given).await;
            let error = reused.expect_err("the key is another request's");
            assert_eq!((error.code, replayed), (KEY_REUSED, false), "{called} after {method}: {error:?}");
            assert!(error.data["hint"].is_string() && error.message.contains(method), "{error:?}");
        }
        assert_eq!(world.head().await, at, "{method}: nothing was done again");
    }
    world.close().await;
}

#[tokio::test]
async fn a_key_is_of_one_caller() {
    let world = World::new().await;
    ok(&world, Who::Instance, "mkdir", json!({"path": "/box"})).await;
    for who in [Who::Alice, Who::Agent, Who::Heir, Who::OtherUser] {
        let (tenant, user) = who.user();
        let path = format!("/tenant:{tenant}/user:{user}/{who:?}/a");
        let params = json!({"path": path, "content": "x"});
        let (first, _, replayed) = world.rpc_once(who, Some("same"), "write", params).await;
        assert!(!replayed, "{who:?}: what another has done under this key is not its answer: {first:?}");
        assert_ne!(first.err().map(|e| e.code), Some(KEY_REUSED), "{who:?}");
    }
    world.close().await;
}

#[tokio::test]
async fn what_a_method_would_refuse_by_now_is_answered_as_it_was() {
    let world = World::new().await;
    let root = Who::Instance;
    let params = json!({"path": "/once"});
    let (made, ..) = world.rpc_once(root, Some("k"), "mkdir", params.clone()).await;
    refused(&world, root, "mkdir", params.clone(), EXISTS).await;
    assert_eq!(world.rpc_once(root, Some("k"), "mkdir", params.clone()).await.0, made);
    // Also when it is gone again.
    ok(&world, root, "rmdir", json!({"path": "/once"})).await;
    assert_eq!(world.rpc_once(root, Some("k"), "mkdir", params).await.0, made);
    assert_eq!(ok(&world, root, "exists", json!({"path": "/once"})).await["exists"], false);
    world.close().await;
}

#[tokio::test]
async fn what_was_refused_runs_again() {
    let world = World::new().await;
    let (root, alice) = (Who::Instance, Who::Alice);
    let missing = json!({"path": "/later"});
    let (refusal, _, replayed) = world.rpc_once(root, Some("k"), "delete", missing.clone()).await;
    assert_eq!((refusal.expect_err("nothing is there").code, replayed), (NOT_FOUND, false));
    ok(&world, root, "write", json!({"path": "/later", "content": "x"})).await;
    let (denied, ..) = world.rpc_once(alice, Some("k"), "delete", missing.clone()).await;
    assert_eq!(denied.expect_err("not hers").code, DENIED);
    let (done, _, replayed) = world.rpc_once(root, Some("k"), "delete", missing).await;
    assert_eq!((done.expect("deleted")["deleted"].as_bool(), replayed), (Some(true), false));
    world.close().await;
}

#[tokio::test]
async fn what_changed_nothing_is_remembered_without_a_revision() {
    let world = World::new().await;
    let root = Who::Instance;
    ok(&world, root, "mkdir", json!({"path": "/there"})).await;
    let head = world.head().await;
    let params = json!({"path": "/there", "exist_ok": true});
    let (first, rev, _) = world.rpc_once(root, Some("k"), "mkdir", params.clone()).await;
    assert_eq!((rev, world.head().await), (head, head), "the row alone is no change");
    let (again, again_rev, replayed) = world.rpc_once(root, Some("k"), "mkdir", params).await;
    assert_eq!((again, again_rev, replayed), (first, head, true));
    world.close().await;
}

#[tokio::test]
async fn reads_do_not_look_at_the_key() {
    let world = World::new().await;
    let root = Who::Instance;
    let params = |text: &str| json!({"path": "/f", "content": text});
    world.rpc_once(root, Some("k"), "write", params("old")).await.0.expect("written");
    for key in ["k", "", "not a key", &"k".repeat(300)] {
        let (found, _, replayed) = world.rpc_once(root, Some(key), "exists", json!({"path": "/f"})).await;
        assert_eq!((found.expect("read")["exists"].as_bool(), replayed), (Some(true), false), "{key}");
    }
    ok(&world, root, "write", params("new")).await;
    assert_eq!(read(&world, root, "/f").await, "new");
    world.close().await;
}

#[tokio::test]
async fn what_is_no_key_is_refused_with_a_hint() {
    let world = World::new().await;
    let head = world.head().await;
    for key in ["", "two words", "käse", "tab\tbed", &"k".repeat(256)] {
        let (refusal, ..) = world.rpc_once(Who::Instance, Some(key), "mkdir", json!({"path": "/m"})).await;
        let refusal = refusal.expect_err(key);
        assert_eq!(refusal.code, INVALID_PARAMS, "{key}: {refusal:?}");
        assert!(refusal.data["hint"].as_str().is_some_and(|hint| hint.contains("UUID")), "{refusal:?}");
    }
    assert_eq!(world.head().await, head);
    let longest = "k".repeat(255);
    world.rpc_once(Who::Instance, Some(&longest), "mkdir", json!({"path": "/m"})).await.0.expect("a key");
    world.close().await;
}

#[tokio::test]
async fn secrets_are_shown_once_and_stand_nowhere() {
    let world = World::new().await;
    let root = Who::Instance;
    let key = json!({"user_id": "u", "name": "k"});
    let agent = json!({"agent_id": "root,with", "name": "with", "generate_api_key": true});
    let mut shown = Vec::new();
    for (method, params) in [("admin_create_key", key), ("register_agent", agent)] {
        let (made, rev, _) = world.rpc_once(root, Some(method), method, params.clone()).await;
        shown.push(made.expect("made")["api_key"].as_str().expect("a key").to_owned());
        let (again, ..) = world.rpc_once(root, Some(method), method, params).await;
        let again = again.expect_err("shown once");
        assert_eq!((again.code, again.data["revision"].as_u64()), (ALREADY_EXECUTED, Some(rev)), "{again:?}");
        assert!(again.message.contains("secret") && !again.message.contains(&shown[0]), "{again:?}");
    }
    let path = world.path().to_owned();
    let dir = world.close().await;
    for entry in std::fs::read_dir(&path).expect("the data directory") {
        let path = entry.expect("an entry").path();
        let Ok(bytes) = std::fs::read(&path) else { continue };
        for secret in &shown {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds a key", path.display());
        }
    }
    drop(dir);
}

#[tokio::test]
async fn the_same_request_twice_at_once_is_executed_once() {
    let world = World::new().await;
    let root = Who::Instance;
    let head = world.head().await;
    // All of them are in one batch: the writer stands still until they are sent.
    let held = world.hold_writer();
    let params = json!({"path": "/same", "content": "x"});
    let calls: Vec<_> = (0..5).map(|_| world.rpc_once(root, Some("k"), "write", params.clone())).collect();
    let other = world.rpc_once(root, Some("k"), "mkdir", json!({"path": "/other"}));
    let all = futures_util::future::join(futures_util::future::join_all(calls), other);
    let mut all = Box::pin(all);
    let sent = std::future::poll_fn(|cx| Poll::Ready(all.as_mut().poll(cx).is_pending())).await;
    assert!(sent, "they wait for the writer");
    held.release();
    let (answers, other) = all.as_mut().await;
    drop(all);
    assert_eq!(answers.iter().filter(|(_, _, replayed)| !replayed).count(), 1, "{answers:?}");
    for (answer, rev, _) in &answers {
        assert_eq!(answer.as_ref().expect("written")["version"], 1);
        assert_eq!(*rev, answers[0].1);
    }
    assert_eq!(other.0.expect_err("another request").code, KEY_REUSED);
    assert_eq!(world.head().await, head + 2, "the one that held the writer, and the write");
    world.close().await;
}

#[tokio::test]
async fn a_day_later_the_key_is_forgotten() {
    let world = World::new().await;
    let root = Who::Instance;
    let day = std::time::Duration::from_micros(RETENTION_US.unsigned_abs());
    let minute = std::time::Duration::from_secs(60);
    let version = async |key: &str| {
        let params = json!({"path": "/f", "content": "x"});
        let (written, _, replayed) = world.rpc_once(root, Some(key), "write", params).await;
        (written.expect("written")["version"].as_u64().expect("a version"), replayed)
    };
    assert_eq!(version("k").await, (1, false));
    world.pass(day - minute).await;
    assert_eq!(version("k").await, (1, true));
    assert_eq!(version("l").await, (2, false));
    world.pass(minute).await;
    // Whether the tick has removed the row or not.
    assert_eq!(version("k").await, (3, false));
    assert_eq!(version("l").await, (2, true));
    world.close().await;
}
