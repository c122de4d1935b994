//! Deliveries: at least once, in order, by the rights of the moment, and not at any price.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use nexus_lite::model::time::Clock as _;
use nexus_lite::service::subscriptions::draft::Draft;
use nexus_lite::service::subscriptions::{self, Subscription, ops};
use nexus_lite::store::Sql as _;
use serde_json::{Value, json};
use sha2::Sha256;

use super::receiver::Receiver;
use super::{live, ok, own, short, write};
use crate::harness::client::LIVENESS;
use crate::harness::world::{Who, World};

/// How long the receiver is away, of injected time.
const AWAY: Duration = Duration::from_secs(60);
/// By how much the clock is moved at once.
const STEP: Duration = Duration::from_secs(1);
/// The same, where it takes an hour until a subscription is given up.
const LONG_STEP: Duration = Duration::from_secs(180);
/// How long a step waits for what it brings about.
const LOOK: Duration = Duration::from_millis(5);
/// Files that live while the receiver is away.
const FILES: usize = 5;

async fn subscribe(world: &World, who: Who, body: Value) -> String {
    let draft = Draft::read(&body, true).expect("a good body");
    let made = ops::create(&world.call_as(who), &world.services.hasher, draft).await.expect("made");
    world.services.hooks.touch();
    made.row.subscription_id
}

async fn state(world: &World, id: &str) -> Subscription {
    let found = subscriptions::get(&world.call_as(Who::Admin), id.to_owned()).await.expect("a read");
    found.expect("a subscription")
}

/// Moves the clock on until `enough` has come to the receiver.
async fn pass_until(
    world: &World,
    receiver: &Receiver,
    step: Duration,
    enough: impl Fn(&[super::receiver::Delivery]) -> bool + Clone + Send + 'static,
) {
    let began = nexus_lite::model::time::monotonic();
    while !receiver.within(LOOK, enough.clone()).await {
        assert!(began.elapsed() < LIVENESS, "it does not come: {} came", receiver.count());
        world.clock.as_ref().expect("injected").advance(step);
        world.services.hooks.touch();
    }
}

/// Waits until the store says something of a subscription.
async fn until(world: &World, id: &str, what: impl Fn(&Subscription) -> bool) -> Subscription {
    let began = nexus_lite::model::time::monotonic();
    let mut revisions = world.store.revisions();
    loop {
        let found = state(world, id).await;
        if what(&found) {
            return found;
        }
        assert!(began.elapsed() < LIVENESS, "{found:?}");
        let _ = tokio::time::timeout(Duration::from_millis(50), revisions.changed()).await;
    }
}

async fn end(world: World) {
    world.services.hooks.stop();
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_was_away_gets_everything_in_order() {
    let world = World::new().await;
    world.app.deliver();
    own(&world, "alice", "/w").await;
    let receiver = Receiver::start(0);
    let body = json!({"url": receiver.url(), "patterns": ["/w/**"], "secret": "a word"});
    let id = subscribe(&world, Who::Alice, body).await;
    let mut wanted = Vec::new();
    for file in 0..FILES {
        wanted.extend(live(&world, Who::Alice, &format!("/w/{file}.txt")).await);
        // What nobody asked for.
        write(&world, Who::Admin, &format!("/elsewhere/{file}.txt"), "x").await;
        ok(&world, Who::Alice, "mkdir", json!({"path": format!("/w/d{file}")})).await;
    }
    let start = world.clock.as_ref().expect("injected").now_us();
    let away = i64::try_from(AWAY.as_micros()).expect("small");
    let mut came = 0;
    while world.clock.as_ref().expect("injected").now_us() < start + away {
        pass_until(&world, &receiver, STEP, move |deliveries| deliveries.len() > came).await;
        came = receiver.count();
    }
    assert_eq!(receiver.taken().len(), 0);
    let before = state(&world, &id).await;
    assert!(before.row.enabled && before.delivery.failures > 0, "{before:?}");
    assert_eq!(before.delivery.last_status.as_deref(), Some("failed"));

    receiver.answer(200);
    let all = wanted.len();
    pass_until(&world, &receiver, STEP, move |deliveries| deliveries.iter().filter(|d| d.taken).count() >= all).await;
    let taken = receiver.taken();
    let told: Vec<String> = taken.iter().map(|delivery| short(&delivery.json())).collect();
    assert_eq!(told, wanted, "each once, in the order of the log");
    let after = until(&world, &id, |s| s.delivery.last_status.as_deref() == Some("success")).await;
    assert_eq!((after.delivery.failures, after.delivery.missed), (0, 0));

    // What a delivery looks like.
    let first = &taken[0];
    let event = first.json();
    let sign = |bytes: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"a word").expect("any length");
        mac.update(bytes);
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    assert_eq!(first.header("content-type"), Some("application/json"));
    assert_eq!(first.header("x-nexus-event"), Some("file_write"));
    assert_eq!(first.header("x-nexus-signature"), Some(format!("sha256={}", sign(&first.body)).as_str()));
    let time = first.header("x-nexus-timestamp").expect("a time");
    let dated = sign(&[format!("{time}.").as_bytes(), &first.body].concat());
    assert_eq!(first.header("x-nexus-signature-dated"), Some(format!("t={time},sha256={dated}").as_str()));
    assert!(first.header("x-nexus-delivery-id").is_some_and(|id| id.starts_with("del_") && id.len() == 20));
    let data = &event["data"];
    assert_eq!((&data["size"], &data["version"], &data["created"]), (&json!(3), &json!(1), &json!(true)));
    assert_eq!((&data["user_id"], &data["agent_id"]), (&json!("alice"), &json!(null)));
    assert_eq!((&data["tenant_id"], data["etag"].as_str().map(str::len)), (&json!("default"), Some(64)));
    assert_eq!((&taken[1].json()["data"]["created"], &taken[1].json()["data"]["version"]), (&json!(false), &json!(2)));
    assert_eq!(event["subscription"]["id"], id);
    assert!(event["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{event}");
    let report = world.store.check().await.expect("a check");
    assert!(report.violations.is_empty(), "{report:?}");
    end(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_ten_failures_it_is_disabled_and_goes_on_where_it_was() {
    // What sends on says so for good: one attempt each.
    fails_with(500, 30, "the receiver answered 500").await;
    fails_with(302, 10, "the receiver answered 302, and it is not followed to where that leads").await;
}

async fn fails_with(status: u16, attempts: usize, why: &str) {
    let world = World::new().await;
    world.app.deliver();
    let receiver = Receiver::start(status);
    let id = subscribe(&world, Who::Admin, json!({"url": receiver.url()})).await;
    write(&world, Who::Admin, "/w/first.txt", "x").await;
    pass_until(&world, &receiver, LONG_STEP, move |deliveries| deliveries.len() >= attempts).await;
    let off = until(&world, &id, |s| !s.row.enabled).await;
    assert_eq!(off.delivery.failures, 10, "{off:?}");
    assert_eq!(off.delivery.last_error.as_deref(), Some(why));
    assert_eq!(receiver.count(), attempts);
    write(&world, Who::Admin, "/w/second.txt", "x").await;

    receiver.answer(200);
    let draft = Draft { enabled: Some(true), ..Draft::default() };
    let on = ops::change(&world.call_as(Who::Admin), &world.services.hasher, id, draft).await.expect("changed");
    world.services.hooks.touch();
    assert_eq!(on.expect("there").delivery.failures, 0);
    receiver.until_taken(2).await;
    let told: Vec<String> = receiver.taken().iter().map(|delivery| short(&delivery.json())).collect();
    assert_eq!(told, ["file_write /w/first.txt", "file_write /w/second.txt"]);
    end(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_what_its_maker_may_not_read_at_that_moment() {
    let world = World::new().await;
    world.app.deliver();
    let (alices, strangers, others) = (Receiver::start(0), Receiver::start(200), Receiver::start(200));
    own(&world, "alice", "/w").await;
    own(&world, "mallory", "/m").await;
    subscribe(&world, Who::Alice, json!({"url": alices.url()})).await;
    subscribe(&world, Who::Stranger, json!({"url": strangers.url()})).await;
    subscribe(&world, Who::OtherAdmin, json!({"url": others.url()})).await;
    let grant = json!({"subject": ["user", "alice"], "relation": "direct_viewer", "object": ["file", "/shared"]});
    ok(&world, Who::Admin, "mkdir", json!({"path": "/shared"})).await;
    let tuple = ok(&world, Who::Admin, "rebac_create", grant).await;
    write(&world, Who::Admin, "/shared/a.txt", "x").await;
    // Not her own file: what she owns she may read wherever it lies.
    write(&world, Who::Admin, "/w/kept.txt", "x").await;
    write(&world, Who::Admin, "/secret/b.txt", "x").await;
    // Moved from where she reads to where she does not, and back.
    ok(&world, Who::Admin, "rename", json!({"old_path": "/w/kept.txt", "new_path": "/secret/kept.txt"})).await;
    ok(&world, Who::Admin, "rename", json!({"old_path": "/secret/kept.txt", "new_path": "/w/back.txt"})).await;
    // Before her receiver is there she loses a right.
    alices.within(LIVENESS, |deliveries| !deliveries.is_empty()).await;
    let tuple_id = tuple.as_str().map(|id| json!(id)).unwrap_or_else(|| tuple["tuple_id"].clone());
    ok(&world, Who::Admin, "rebac_delete", json!({"tuple_id": tuple_id})).await;
    write(&world, Who::Stranger, "/m/own.txt", "x").await;
    ok(&world, Who::OtherAdmin, "write", json!({"path": "/tenant:acme/x.txt", "content": "x"})).await;
    write(&world, Who::Alice, "/w/last.txt", "x").await;
    alices.answer(200);

    let done = |deliveries: &[super::receiver::Delivery]| {
        deliveries.iter().any(|d| d.taken && short(&d.json()) == "file_write /w/last.txt")
    };
    pass_until(&world, &alices, STEP, done).await;
    let told: Vec<String> = alices.taken().iter().map(|delivery| short(&delivery.json())).collect();
    let wanted =
        ["file_write /w/kept.txt", "file_rename /w/kept.txt ?", "file_rename ? /w/back.txt", "file_write /w/last.txt"];
    assert_eq!(told, wanted);
    strangers.until_taken(1).await;
    others.until_taken(1).await;
    let only = |receiver: &Receiver| receiver.taken().iter().map(|d| short(&d.json())).collect::<Vec<_>>();
    assert_eq!(only(&strangers), ["file_write /m/own.txt"]);
    assert_eq!(only(&others), ["file_write /tenant:acme/x.txt"]);
    end(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_key_it_was_made_with_it_ends() {
    let world = World::new().await;
    world.app.deliver();
    let receiver = Receiver::start(200);
    own(&world, "alice", "/w").await;
    let id = subscribe(&world, Who::Alice, json!({"url": receiver.url()})).await;
    write(&world, Who::Alice, "/w/a.txt", "x").await;
    receiver.until_taken(1).await;
    let key_id = state(&world, &id).await.row.key_id.expect("a key");
    ok(&world, Who::Admin, "admin_revoke_key", json!({"key_id": key_id})).await;
    write(&world, Who::Admin, "/w/b.txt", "x").await;
    let off = until(&world, &id, |s| !s.row.enabled).await;
    assert!(off.delivery.last_error.is_some_and(|why| why.contains("key")), "it says why");
    assert_eq!(receiver.count(), 1);
    let head = world.store.read(|tx| Ok::<_, nexus_lite::store::StoreError>(tx.rev())).await.expect("a read");
    assert!(head > 0);
    end(world).await;
}
