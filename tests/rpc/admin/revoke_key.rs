use nexus_lite::auth::AuthError;
use nexus_lite::service::{ServiceError, agents};
use serde_json::json;

use super::{key_of, make, shown, with_one_root};
use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, NOT_FOUND, PRECONDITION, ok, refused};

const UNAUTHENTICATED: i64 = -32019;

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_also_where_it_is_under_way() {
    let world = World::new().await;
    let call = world.call_as(Who::Bob);
    let id = json!({"key_id": key_of(&world, Who::Bob)});
    agents::list(&call).await.expect("not yet");
    let answer = ok(&world, Who::Admin, "admin_revoke_key", id.clone()).await;
    assert_eq!(answer, json!({"success": true, "key_id": id["key_id"]}));
    let under_way = agents::list(&call).await;
    assert!(matches!(under_way, Err(ServiceError::Unauthenticated)), "{under_way:?}");
    refused(&world, Who::Bob, "list_agents", json!({}), UNAUTHENTICATED).await;
    let before = ok(&world, Who::Admin, "admin_get_key", id.clone()).await;
    ok(&world, Who::Admin, "admin_revoke_key", id.clone()).await;
    assert_eq!(ok(&world, Who::Admin, "admin_get_key", id).await, before, "again changes nothing");
    assert_eq!((&before["revoked"], &before["revoked_at"]), (&json!(true), &json!("2026-01-02T03:04:05.000000")));
}

#[tokio::test]
async fn a_write_of_the_same_batch_is_refused_after_the_revocation() {
    let world = World::new().await;
    let bob = world.call_as(Who::Bob).caller;
    let admin = world.call_as(Who::Admin).caller;
    let register = |sandbox_id: &str, name: &str| nexus_lite::service::sandboxes::ops::GetOrCreateSandbox {
        caller: bob.clone(),
        sandbox_id: sandbox_id.into(),
        name: name.into(),
        provider: "local".into(),
        template_id: None,
        ttl_minutes: 1,
        reuse: true,
        stale: None,
    };
    let revoke = nexus_lite::service::keys::ops::RevokeKey { caller: admin, key_id: key_of(&world, Who::Bob) };
    let origin = || nexus_lite::store::Origin::system("test");
    let held = world.hold_writer();
    let before = world.store.submit(origin(), register("sb-1", "one"));
    let revoked = world.store.submit(origin(), revoke);
    let after = world.store.submit(origin(), register("sb-2", "two"));
    held.release();
    assert!(before.await.is_ok() && revoked.await.is_ok());
    let after = after.await;
    assert!(matches!(after, Err(ServiceError::Unauthenticated)), "{after:?}");
}

#[tokio::test]
async fn an_admin_revokes_in_its_tenant_and_not_above_itself() {
    let world = with_one_root().await;
    let bobs = json!({"key_id": key_of(&world, Who::Bob)});
    for who in [Who::Alice, Who::Bob, Who::Heir, Who::OtherUser] {
        refused(&world, who, "admin_revoke_key", bobs.clone(), DENIED).await;
    }
    refused(&world, Who::OtherAdmin, "admin_revoke_key", bobs, NOT_FOUND).await;
    refused(&world, Who::Admin, "admin_revoke_key", json!({"key_id": "nope"}), NOT_FOUND).await;
    let roots = json!({"key_id": key_of(&world, Who::Instance)});
    refused(&world, Who::Admin, "admin_revoke_key", roots.clone(), DENIED).await;
    refused(&world, Who::Instance, "admin_revoke_key", roots.clone(), PRECONDITION).await;
    let second = json!({"user_id": "root2", "name": "x", "is_instance_admin": true});
    let second = ok(&world, Who::Instance, "admin_create_key", second).await;
    ok(&world, Who::Instance, "admin_revoke_key", roots).await;
    assert!(world.try_call_as(Who::Instance).is_err());
    assert!(shown(&world, &second).expect("known").is_instance_admin);
    let made = make(&world, Who::Admin, "carol").await;
    ok(&world, Who::Admin, "admin_revoke_key", json!({"key_id": made["key_id"]})).await;
    assert_eq!(shown(&world, &made), Err(AuthError::Invalid));
}
