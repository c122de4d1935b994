//! Tenants that get other names: everywhere, and nothing else does.

use serde_json::json;

use super::{How, bring_secret, export, import_as, lines, random_world};
use crate::harness::engine::sqlite_only;
use crate::harness::world::{Setup, Who, World};
use nexus_lite::store::bundle::Tenants;

fn how(pairs: &[&str]) -> How {
    let tenants = Tenants::parse(pairs.iter().copied()).expect("pairs");
    How { name: "bundle".into(), tenants, ..How::default() }
}

/// Something of the tenant `acme` in every table that names tenants.
async fn world() -> World {
    let world = random_world(11, 60).await;
    let calls = [
        (Who::OtherAdmin, "write", json!({"path": "/tenant:acme/mine/SKILL.md", "content": "---\nname: s\n---\n"})),
        (Who::OtherAdmin, "register_agent", json!({"agent_id": "admin,helper", "name": "helper"})),
        (Who::OtherAdmin, "register_workspace", json!({"path": "/tenant:acme/ws"})),
        (Who::OtherAdmin, "sandbox_get_or_create", json!({"name": "theirs"})),
        (Who::OtherAdmin, "admin_create_key", json!({"user_id": "carol", "name": "k"})),
        (
            Who::OtherAdmin,
            "rebac_create",
            json!({"subject": ["user", "alice"], "relation": "direct_viewer", "object": ["file", "/tenant:acme/mine"]}),
        ),
        (Who::OtherAdmin, "rename", json!({"old_path": "/tenant:acme/mine", "new_path": "/tenant:acme/ours"})),
    ];
    for (who, method, params) in calls {
        world.rpc(who, method, params).await.unwrap_or_else(|e| panic!("{method}: {e:?}"));
    }
    // A refusal that names the path.
    world
        .rpc(Who::OtherUser, "write", json!({"path": "/tenant:acme/ws/no.txt", "content": ""}))
        .await
        .expect_err("denied");
    world.store.tick().await.expect("a tick");
    world
}

#[tokio::test]
async fn a_name_changes_everywhere_and_back() {
    sqlite_only!("what is moved is a data directory");
    let world = world().await;
    let (path, keys, rev) = (world.path().to_owned(), world.keys(), world.head().await);
    let question =
        json!({"subject": ["user", "alice"], "permission": "read", "object": ["file", "/tenant:acme/ours/SKILL.md"]});
    assert_eq!(world.rpc(Who::OtherUser, "rebac_check", question).await.expect("an answer"), json!(true));
    let kept = world.close().await.expect("its directory");
    let (_, original) = export(&path).await;
    let target = kept.path().join("target");
    let imported = import_as(&target, &original, how(&["acme=zeta-9"])).expect("imported");
    assert!(imported.left_out["idempotency"] > 0 && imported.counts["denials"] > 0, "{imported:?}");
    let (header, renamed) = export(&target).await;
    let text = String::from_utf8(renamed.clone()).expect("UTF-8");
    // Bodies are base64 and mention it nowhere; everything else that did says the new name.
    let left: Vec<_> = text.lines().filter(|line| line.contains("acme")).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(text.matches("zeta-9").count() > 50, "{}", text.matches("zeta-9").count());

    // The people, the rights and the past are those of before, under the other name.
    bring_secret(&path, &target);
    let world = World::again(&target, Setup::default(), keys).await;
    assert!(world.store.check().await.expect("the check runs").violations.is_empty());
    let path_now = "/tenant:zeta-9/ours/SKILL.md";
    let mut question = json!({"subject": ["user", "alice"], "permission": "read", "object": ["file", path_now]});
    assert_eq!(world.rpc(Who::OtherUser, "rebac_check", question.clone()).await.expect("an answer"), json!(true));
    question["at_rev"] = json!(rev);
    question["object"] = json!(["file", "/tenant:zeta-9/ours"]);
    assert_eq!(world.rpc(Who::OtherAdmin, "rebac_check", question).await.expect("an answer"), json!(true));
    world.rpc(Who::OtherUser, "read", json!({"path": path_now})).await.expect("read");
    world.rpc(Who::Bob, "read", json!({"path": path_now})).await.expect_err("another tenant's");
    world.close().await;

    // And back: what does not travel to other names apart, the very same lines.
    let back = kept.path().join("back");
    import_as(&back, &renamed, how(&["zeta-9=acme"])).expect("imported");
    let (again, there_and_back) = export(&back).await;
    assert_ne!(again.incarnation, header.incarnation, "other names, another life");
    let rows = |bytes: &[u8]| {
        let mut lines = lines(bytes);
        lines.retain(|line| !line.starts_with("{\"meta\"") && !line.starts_with("{\"idempotency\""));
        lines[1..lines.len() - 1].to_vec()
    };
    assert!(rows(&original) == rows(&there_and_back));
}

#[tokio::test]
async fn a_name_that_is_taken_or_nobodys_is_refused() {
    sqlite_only!("what is moved is a data directory");
    let world = world().await;
    let path = world.path().to_owned();
    let kept = world.close().await.expect("its directory");
    let (_, bytes) = export(&path).await;
    let target = kept.path().join("target");
    let taken = import_as(&target, &bytes, how(&["acme=default"])).expect_err("taken").to_string();
    assert!(taken.contains("`default` is there already"), "{taken}");
    let nobodys = import_as(&target, &bytes, how(&["nobody=somebody"])).expect_err("nobody's").to_string();
    assert!(nobodys.contains("no row is of a tenant `nobody`"), "{nobodys}");
    assert!(!target.exists());
    // At once: they exchange their names.
    import_as(&target, &bytes, how(&["acme=default", "default=acme"])).expect("exchanged");
    let (_, swapped) = export(&target).await;
    let back = kept.path().join("back");
    import_as(&back, &swapped, how(&["acme=default", "default=acme"])).expect("exchanged again");
}
