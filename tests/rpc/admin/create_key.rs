use std::time::Duration;

use nexus_lite::auth::{ApiKey, AuthError};
use nexus_lite::service::keys::ops::{bootstrap, first_key};
use serde_json::json;

use super::{make, shown};
use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, INVALID_PARAMS, ok, refused};

#[tokio::test]
async fn a_key_is_made_and_shown_once() {
    let world = World::new().await;
    let params = json!({"user_id": "carol", "name": "carol key", "expires_days": 30});
    let made = ok(&world, Who::Admin, "admin_create_key", params).await;
    let key = made["api_key"].as_str().expect("a key");
    let parts: Vec<&str> = key.split('_').collect();
    assert_eq!((parts[0], parts[1], parts[2].len(), parts[3].len()), ("sk-default", "carol", 8, 64));
    assert_eq!((&made["subject_type"], &made["subject_id"]), (&json!("user"), &json!("carol")));
    assert_eq!((&made["tenant_id"], &made["is_admin"]), (&json!("default"), &json!(false)));
    assert_eq!(made["expires_at"], "2026-02-01T03:04:05.000000+00:00");
    let caller = shown(&world, &made).expect("known");
    assert_eq!((caller.tenant.as_str(), caller.user.as_str(), caller.is_admin), ("default", "carol", false));

    let id = json!({"key_id": made["key_id"]});
    let seen = ok(&world, Who::Admin, "admin_get_key", id).await;
    assert_eq!((&seen["name"], &seen["key"]["name"]), (&json!("carol key"), &json!("carol key")));
    for answer in [seen, ok(&world, Who::Admin, "admin_list_keys", json!({})).await] {
        assert!(!answer.to_string().contains("sk-"), "{answer}");
    }
    world.pass(Duration::from_secs(30 * 86_400)).await;
    assert_eq!(shown(&world, &made), Err(AuthError::Invalid));
}

#[tokio::test]
async fn only_admins_make_keys_and_only_of_their_tenant() {
    let world = World::new().await;
    let plain = json!({"user_id": "carol", "name": "x"});
    for who in [Who::Alice, Who::Bob, Who::Agent, Who::Heir, Who::Stranger, Who::OtherUser] {
        let failure = refused(&world, who, "admin_create_key", plain.clone(), DENIED).await;
        assert_eq!(failure.message, "Permission denied: Admin privileges required for this operation");
    }
    let elsewhere = json!({"user_id": "carol", "name": "x", "tenant_id": "acme"});
    let crossing = json!({"user_id": "carol", "name": "x", "is_instance_admin": true});
    for params in [elsewhere.clone(), crossing.clone()] {
        refused(&world, Who::Admin, "admin_create_key", params, DENIED).await;
    }
    refused(
        &world,
        Who::OtherAdmin,
        "admin_create_key",
        json!({"user_id": "x", "name": "x", "tenant_id": "default"}),
        DENIED,
    )
    .await;
    assert_eq!(make(&world, Who::OtherAdmin, "dave").await["tenant_id"], "acme");
    let made = ok(&world, Who::Instance, "admin_create_key", elsewhere).await;
    assert_eq!(shown(&world, &made).expect("known").tenant, "acme");
    let made = ok(&world, Who::Instance, "admin_create_key", crossing).await;
    assert!(shown(&world, &made).expect("known").is_instance_admin);
    let admin = json!({"user_id": "erin", "name": "x", "is_admin": true});
    let made = ok(&world, Who::Admin, "admin_create_key", admin).await;
    let caller = shown(&world, &made).expect("known");
    assert!(caller.is_admin && !caller.is_instance_admin);
}

#[tokio::test]
async fn names_and_kinds_are_checked() {
    let world = World::new().await;
    for params in [
        json!({"user_id": "*", "name": "x"}),
        json!({"user_id": "", "name": "x"}),
        json!({"user_id": "a/b", "name": "x"}),
        json!({"user_id": "a", "name": ""}),
        json!({"user_id": "a", "name": "x", "subject_type": "robot"}),
        json!({"user_id": "a", "name": "x", "subject_type": "service", "subject_id": "*"}),
        json!({"user_id": "a", "name": "x", "expires_days": -1}),
        // An agent that is not registered, and one of another user.
        json!({"user_id": "alice", "name": "x", "subject_type": "agent", "subject_id": "alice,Nobody"}),
        json!({"user_id": "bob", "name": "x", "subject_type": "agent", "subject_id": "alice,Helper"}),
    ] {
        refused(&world, Who::Admin, "admin_create_key", params, INVALID_PARAMS).await;
    }
    refused(
        &world,
        Who::Instance,
        "admin_create_key",
        json!({"user_id": "a", "name": "x", "tenant_id": "*"}),
        INVALID_PARAMS,
    )
    .await;
    let params = json!({"user_id": "alice", "name": "x", "subject_type": "agent", "subject_id": "alice,Helper"});
    let made = ok(&world, Who::Admin, "admin_create_key", params).await;
    let caller = shown(&world, &made).expect("known");
    assert_eq!((caller.actor(), caller.user.as_str(), caller.inherits), ("agent:alice,Helper", "alice", false));
}

#[tokio::test]
async fn the_first_key_is_made_when_there_is_none() {
    let world = World::new().await;
    let hasher = &world.services.hasher;
    assert!(first_key(&world.store, hasher, None).is_none(), "there are keys");

    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let store = nexus_lite::store::Store::builder(nexus_lite::store::Options::new(dir.path().join("data")))
        .project::<nexus_lite::rebac::Graph>()
        .project::<nexus_lite::auth::AuthIndex>()
        .open()
        .expect("a new store");
    let text = "sk-default_admin_dddddddd_eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";
    let given = ApiKey::given(text).expect("a key");
    let draw = |given| first_key(&store, hasher, given).expect("there is none");
    let (one, other) = (draw(Some(given.clone())), draw(None));
    let (one, other) = tokio::join!(bootstrap(&store, &one), bootstrap(&store, &other));
    assert!(one.expect("asked") && !other.expect("asked"), "one of two at once");
    let published = store.published();
    let caller = published.view::<nexus_lite::auth::AuthIndex>().identify(text, None, store.clock().now_us(), hasher);
    let caller = caller.expect("known");
    assert_eq!((caller.actor(), caller.tenant.as_str()), ("user:admin", "default"));
    assert!(caller.is_admin && caller.is_instance_admin);
    drop(published);
    store.close().await.expect("closed");
}
