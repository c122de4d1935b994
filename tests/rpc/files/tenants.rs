//! Tenants: what crosses them, and what does not.

use nexus_lite::model::VirtualPath;
use nexus_lite::store::{StoreError, nodes};
use serde_json::json;

use super::super::*;
use super::shared_world;

#[tokio::test]
async fn a_tenants_tree_is_its_own() {
    let world = shared_world().await;
    write(&world, Who::OtherAdmin, "/tenant:acme/user:alice/a.txt", "acme").await;
    for who in [Who::Admin, Who::Alice, Who::Stranger] {
        for path in ["/tenant:acme/user:alice/a.txt", "/tenant:acme/none.txt", "/tenant:none/x.txt"] {
            refused(&world, who, "read", json!({"path": path}), DENIED).await;
            refused(&world, who, "write", json!({"path": path, "content": "x"}), DENIED).await;
        }
        assert!(!list(&world, who, "/", false).await.contains(&"/tenant:acme".to_owned()), "{who:?}");
        assert_eq!(list(&world, who, "/tenant:acme", true).await, Vec::<String>::new(), "{who:?}");
    }
    assert_eq!(list(&world, Who::OtherAdmin, "/", true).await, ["/tenant:acme/user:alice/a.txt"]);
    assert_eq!(list(&world, Who::OtherAdmin, "/", false).await, ["/tenant:acme"]);
    for (who, path) in [(Who::OtherAdmin, "/w/x.txt"), (Who::OtherAdmin, "/x.txt"), (Who::OtherUser, "/x.txt")] {
        refused(&world, who, "write", json!({"path": path, "content": "x"}), DENIED).await;
    }
    assert!(list(&world, Who::Instance, "/", true).await.contains(&"/tenant:acme/user:alice/a.txt".to_owned()));
    // An admin of one tenant, who rules `/`, makes no room for another.
    refused(&world, Who::Admin, "mkdir", json!({"path": "/tenant:third"}), DENIED).await;
    ok(&world, Who::Instance, "mkdir", json!({"path": "/tenant:third"})).await;
}

#[tokio::test]
async fn a_share_opens_what_was_shared_and_the_way_to_it() {
    let world = shared_world().await;
    write(&world, Who::OtherAdmin, "/tenant:acme/docs/shared/a.txt", "for bob").await;
    write(&world, Who::OtherAdmin, "/tenant:acme/docs/b.txt", "not for bob").await;
    grant_across(&world, Some("default"), ("user", "bob"), "shared-viewer", "/tenant:acme/docs/shared").await;
    assert_eq!(read(&world, Who::Bob, "/tenant:acme/docs/shared/a.txt").await, "for bob");
    refused(&world, Who::Bob, "read", json!({"path": "/tenant:acme/docs/b.txt"}), DENIED).await;
    refused(&world, Who::Alice, "read", json!({"path": "/tenant:acme/docs/shared/a.txt"}), DENIED).await;
    let expected = ["/tenant:acme/docs/shared", "/tenant:acme/docs/shared/a.txt", "/w/alice"];
    assert_eq!(list(&world, Who::Bob, "/", true).await, expected);
    assert_eq!(list(&world, Who::Bob, "/tenant:acme", false).await, ["/tenant:acme/docs"]);
    revoke(&world, "/w/alice").await;
    assert_eq!(ok(&world, Who::Bob, "exists", json!({"path": "/"})).await, json!({"exists": true}));
    // A plain grant does not cross.
    grant_across(&world, Some("default"), ("user", "mallory"), "direct_viewer", "/tenant:acme/docs/shared").await;
    refused(&world, Who::Stranger, "read", json!({"path": "/tenant:acme/docs/shared/a.txt"}), DENIED).await;
}

#[tokio::test]
async fn a_directory_with_files_of_two_tenants_is_moved_by_the_instance_admin_only() {
    let world = shared_world().await;
    grant_across(&world, Some("acme"), ("user", "alice"), "shared-editor", "/w/alice").await;
    write(&world, Who::OtherUser, "/w/alice/sub/theirs.txt", "of acme").await;
    write(&world, Who::Alice, "/w/alice/plain/ours.txt", "of default").await;
    let tenant_of = |path: &'static str| {
        world.store.read(move |tx| {
            let node = nodes::find(tx, &VirtualPath::parse(path).expect("a path"))?.expect("there");
            Ok::<_, StoreError>((node.tenant, node.mixed))
        })
    };
    assert_eq!(tenant_of("/w/alice/sub/theirs.txt").await.expect("read"), ("acme".into(), false));
    for mixed in ["/w/alice", "/w", "/"] {
        assert_eq!(tenant_of(mixed).await.expect("read"), ("default".into(), true), "{mixed}");
    }
    assert_eq!(tenant_of("/w/alice/plain").await.expect("read"), ("default".into(), false));
    // Its content is its creator's; the directory's admin does not see it, and moves nothing that holds it.
    refused(&world, Who::Admin, "read", json!({"path": "/w/alice/sub/theirs.txt"}), DENIED).await;
    assert_eq!(read(&world, Who::OtherUser, "/w/alice/sub/theirs.txt").await, "of acme");
    for who in [Who::Admin, Who::Alice] {
        let rmdir = json!({"path": "/w/alice", "recursive": true});
        let text = refused(&world, who, "rmdir", rmdir, DENIED).await.message;
        assert!(text.starts_with("Access denied: User"), "{text}");
    }
    refused(&world, Who::Admin, "rename", json!({"old_path": "/w", "new_path": "/v"}), DENIED).await;
    ok(&world, Who::Alice, "rename", json!({"old_path": "/w/alice/plain", "new_path": "/w/alice/p"})).await;
    // A mixed directory that is moved makes those above mixed.
    ok(&world, Who::Instance, "mkdir", json!({"path": "/v"})).await;
    assert_eq!(tenant_of("/v").await.expect("read"), ("default".into(), false));
    ok(&world, Who::Instance, "rename", json!({"old_path": "/w/alice", "new_path": "/v/new/alice"})).await;
    for mixed in ["/v", "/v/new"] {
        assert_eq!(tenant_of(mixed).await.expect("read"), ("default".into(), true), "{mixed}");
    }
    assert_eq!(read(&world, Who::OtherUser, "/v/new/alice/sub/theirs.txt").await, "of acme");
    ok(&world, Who::Instance, "rmdir", json!({"path": "/v", "recursive": true})).await;
}

#[tokio::test]
async fn nobody_but_the_instance_admin_moves_into_another_tenants_tree() {
    let world = shared_world().await;
    write(&world, Who::OtherAdmin, "/tenant:acme/inbox/x.txt", "x").await;
    grant_across(&world, Some("default"), ("user", "alice"), "shared-editor", "/tenant:acme/inbox").await;
    write(&world, Who::Alice, "/w/alice/a.txt", "x").await;
    let to_acme = json!({"old_path": "/w/alice/a.txt", "new_path": "/tenant:acme/inbox/a.txt"});
    refused(&world, Who::Alice, "rename", to_acme.clone(), DENIED).await;
    write(&world, Who::Alice, "/tenant:acme/inbox/new.txt", "a new file there is acme's").await;
    assert_eq!(read(&world, Who::OtherAdmin, "/tenant:acme/inbox/new.txt").await, "a new file there is acme's");
    ok(&world, Who::Instance, "rename", to_acme).await;
}

/// What is granted on a path that another tenant's directory has taken.
#[tokio::test]
async fn a_grant_on_what_became_another_tenants_shows_what_lies_below_only_where_it_is_inherited() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/d/ours.txt", "of default").await;
    ok(&world, Who::Instance, "rename", json!({"old_path": "/w/alice/d", "new_path": "/tenant:acme/d"})).await;
    write(&world, Who::OtherAdmin, "/tenant:acme/e/theirs.txt", "of acme").await;
    ok(&world, Who::Instance, "rename", json!({"old_path": "/tenant:acme/e", "new_path": "/tenant:acme/d/e"})).await;
    // No method leaves such a grant behind: a directory takes its own along, and those of its new place are ended.
    let grant = Grant {
        object_tenant: Some("acme".to_owned()),
        tenant: None,
        subject: ("user".to_owned(), "alice".to_owned()),
        relation: "direct_viewer".to_owned(),
        path: VirtualPath::parse("/tenant:acme/d").expect("a path"),
        tuple_id: world.store.random().uuid(),
    };
    world.store.submit(Origin::system("grant"), grant).await.expect("a grant");
    let rules = |above: Value| {
        let viewer = json!({"union": ["direct_viewer", "direct_editor", "direct_owner", "above"]});
        let relations = json!({"direct_owner": {}, "direct_editor": {}, "direct_viewer": {}, "parent": {}, "above": above, "viewer": viewer});
        let permissions = json!({"read": ["viewer"], "write": ["direct_owner"], "execute": ["direct_owner"]});
        let config = json!({"relations": relations, "permissions": permissions});
        json!({"object_type": "file", "config": config})
    };
    let inherited = json!({"tupleToUserset": {"tupleset": "parent", "computedUserset": "viewer"}});
    ok(&world, Who::Instance, "namespace_create", rules(inherited)).await;
    assert_eq!(list(&world, Who::OtherUser, "/", true).await, ["/tenant:acme/d/e/theirs.txt"]);
    assert_eq!(list(&world, Who::OtherUser, "/tenant:acme", false).await, ["/tenant:acme/d"]);
    ok(&world, Who::Instance, "namespace_create", rules(json!({}))).await;
    for directory in ["/", "/tenant:acme", "/tenant:acme/d", "/tenant:acme/d/e"] {
        assert_eq!(list(&world, Who::OtherUser, directory, false).await, Vec::<String>::new(), "{directory}");
    }
    assert_eq!(ok(&world, Who::OtherUser, "exists", json!({"path": "/tenant:acme/d"})).await, json!({"exists": false}));
}
