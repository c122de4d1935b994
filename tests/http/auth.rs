//! Who is calling: keys, agents, open mode; and that it is settled before the body.

use serde_json::json;

use nexus_lite::auth::{ApiKey, DEMO_KEY};
use nexus_lite::model::OsRandom;

use super::{Served, Who, object};
use crate::harness::client::{Answer, Client, request};
use crate::harness::world::HOME;

/// A read that everybody with a key may ask.
const BODY: &[u8] = br#"{"id":1,"params":{"path":"/"}}"#;

#[tokio::test]
async fn without_a_valid_key_nobody_is_served() {
    let served = Served::new().await;
    let good = served.world.key(Who::Alice).expect("a key").to_owned();
    let wrong = format!("Bearer {}x", &good[..good.len() - 1]);
    let lower = format!("bearer {good}");
    let bare = good.clone();
    for header in [
        None,
        Some("Basic Zm9vOmJhcg=="),
        Some("Bearer "),
        Some("Bearer sk-short"),
        Some("Bearer sk-default_admin_00000000_00000000000000000000000000000000"),
        Some(wrong.as_str()),
        Some(lower.as_str()),
        Some(bare.as_str()),
    ] {
        let headers: Vec<(&str, &str)> = header.iter().map(|h| ("Authorization", *h)).collect();
        let answer = served.raw(request("POST", "/api/nfs/exists", &headers, BODY)).await;
        assert_eq!(answer.status, 401, "{header:?}");
        let body = object(&answer);
        assert_eq!(body["detail"], "Invalid or missing API key", "{header:?}");
        assert!(body["hint"].as_str().is_some_and(|h| h.contains("key")), "{body}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    let answer = served.send(Who::Alice, "POST", "/api/nfs/exists", &[], BODY).await;
    assert_eq!(answer.status, 200);
    served.stop().await;
}

/// `key` with another digit at `at`.
fn misspelt(key: &str, at: usize) -> String {
    let other = if key.as_bytes()[at] == b'0' { '1' } else { '0' };
    format!("{}{other}{}", &key[..at], &key[at + 1..])
}

/// Keys that open nothing, and why.
async fn dead_keys(served: &Served) -> Vec<(&'static str, String)> {
    let ok = async |method: &str, params: serde_json::Value| {
        let answer = served.world.rpc(Who::Admin, method, params).await;
        answer.unwrap_or_else(|e| panic!("{method}: {e:?}"))
    };
    let make = async |is_admin: bool| {
        let key = json!({"user_id": "alice", "name": "to be lost", "tenant_id": HOME, "is_admin": is_admin});
        let made = ok("admin_create_key", key).await;
        let text = |field: &str| made[field].as_str().expect("a text").to_owned();
        (text("key_id"), text("api_key"))
    };
    let (good, admin) = (served.world.key(Who::Alice).expect("a key"), served.world.key(Who::Admin).expect("a key"));
    let secret = good.rfind('_').expect("parts") + 1;
    let mut keys = vec![
        ("nobody's", ApiKey::generate(&OsRandom, HOME, "user", "alice").expose().to_owned()),
        ("of no tenant", ApiKey::generate(&OsRandom, "nowhere", "user", "nobody").expose().to_owned()),
        ("wrong from the first digit", misspelt(good, secret)),
        ("wrong in the last digit", misspelt(good, good.len() - 1)),
        ("an admin's, wrong in the last digit", misspelt(admin, admin.len() - 1)),
        ("with another one's label", misspelt(good, secret - 2)),
        ("cut", good[..good.len() - 1].to_owned()),
        ("no key by its form", "sk-short".to_owned()),
        ("the demo's", DEMO_KEY.to_owned()),
    ];
    for (why, is_admin) in [("revoked", false), ("an admin's, revoked", true)] {
        let (key_id, key) = make(is_admin).await;
        ok("admin_revoke_key", json!({"key_id": key_id})).await;
        keys.push((why, key));
    }
    let (key_id, key) = make(false).await;
    ok("admin_update_key", json!({"key_id": key_id, "expires_days": 0})).await;
    keys.push(("expired", key));
    let agent = json!({"agent_id": "admin,Lost", "name": "Lost", "generate_api_key": true});
    let key = ok("register_agent", agent).await["api_key"].as_str().expect("a key").to_owned();
    ok("delete_agent", json!({"agent_id": "admin,Lost"})).await;
    keys.push(("of an agent that is gone", key));
    keys
}

#[tokio::test]
async fn every_dead_key_is_answered_alike() {
    let served = Served::with(|state| state.limits.wrong_keys_per_minute = 0).await;
    let keys = dead_keys(&served).await;
    let whole = |answer: Answer| {
        let mut headers: Vec<_> = answer.headers.into_iter().filter(|(name, _)| name != "date").collect();
        headers.sort();
        (answer.status, headers, String::from_utf8_lossy(&answer.body).into_owned())
    };
    for (verb, path, body, status) in [
        ("POST", "/api/nfs/exists", BODY, 401),
        ("POST", "/api/nfs/admin_list_keys", br#"{"params":{}}"# as &[u8], 401),
        ("POST", "/api/nfs/no_such_method", b"{}", 401),
        ("GET", "/files/a.txt", b"", 401),
        ("PUT", "/files/a.txt", b"text", 401),
        ("GET", "/api/subscriptions", b"", 401),
        ("GET", "/api/events?wait=0", b"", 401),
        // It says who one is, and to nobody that he is nobody.
        ("GET", "/api/auth/whoami", b"", 200),
    ] {
        let mut first = None;
        for (why, key) in &keys {
            for agent in [None, Some("alice,Helper"), Some("alice,Nobody")] {
                let bearer = format!("Bearer {key}");
                let mut headers = vec![("Authorization", bearer.as_str()), ("X-Request-ID", "the-same-for-all")];
                headers.extend(agent.map(|agent| ("X-Agent-ID", agent)));
                let answer = whole(served.raw(request(verb, path, &headers, body)).await);
                assert_eq!(answer.0, status, "{verb} {path} with a key that is {why}: {}", answer.2);
                assert_eq!(*first.get_or_insert_with(|| answer.clone()), answer, "{verb} {path}, {why}, {agent:?}");
            }
        }
    }
    served.stop().await;
}

#[tokio::test]
async fn agents_act_for_their_own_user_only() {
    let served = Served::new().await;
    for (who, agent, status) in [
        (Who::Alice, "alice,Helper", 200),
        (Who::Alice, "alice,Nobody", 403),
        (Who::Bob, "alice,Helper", 403),
        (Who::OtherUser, "alice,Helper", 403),
        (Who::Alice, "", 200),
    ] {
        let answer = served.send(who, "POST", "/api/nfs/exists", &[("X-Agent-ID", agent)], BODY).await;
        assert_eq!(answer.status, status, "{who:?} as {agent:?}");
    }
    served.stop().await;
}

#[tokio::test]
async fn whoami_is_always_answered() {
    let served = Served::new().await;
    let nobody = json!({
        "authenticated": false, "subject_type": null, "subject_id": null, "tenant_id": null,
        "is_admin": false, "inherit_permissions": true, "user": null,
    });
    let answer = served.send(Who::Anonymous, "GET", "/api/auth/whoami", &[], b"").await;
    assert_eq!((answer.status, object(&answer)), (200, nobody.clone()));
    let bad = [("Authorization", "Bearer sk-bad_x_y_z")];
    let answer = served.raw(request("GET", "/api/auth/whoami", &bad, b"")).await;
    assert_eq!((answer.status, object(&answer)), (200, nobody));

    let answer = served.send(Who::Admin, "GET", "/api/auth/whoami", &[], b"").await;
    let admin = json!({
        "authenticated": true, "subject_type": "user", "subject_id": "admin", "tenant_id": "default",
        "is_admin": true, "inherit_permissions": false, "user": "admin",
    });
    assert_eq!(object(&answer), admin);
    let answer = served.send(Who::Alice, "GET", "/api/auth/whoami", &[("X-Agent-ID", "alice,Helper")], b"").await;
    assert_eq!(object(&answer)["subject_id"], "alice", "the header is not looked at");
    let answer = served.send(Who::OtherUser, "GET", "/api/auth/whoami", &[], b"").await;
    assert_eq!(object(&answer)["tenant_id"], "acme");
    served.stop().await;
}

#[tokio::test]
async fn open_mode_believes_and_never_makes_an_admin() {
    let served = Served::with(|state| state.open_access = true).await;
    for (headers, subject, tenant) in [
        (vec![], "anonymous", "default"),
        (vec![("X-Nexus-Subject", "user:carol")], "carol", "default"),
        (vec![("X-Nexus-Subject", "user:carol"), ("X-Nexus-Tenant-ID", "acme")], "carol", "acme"),
        (vec![("Authorization", "Bearer sk-acme_dave_11111111_2222")], "dave", "acme"),
    ] {
        let who = object(&served.raw(request("GET", "/api/auth/whoami", &headers, b"")).await);
        let expected = (&json!(true), &json!(subject), &json!(tenant), &json!(false));
        assert_eq!((&who["authenticated"], &who["subject_id"], &who["tenant_id"], &who["is_admin"]), expected);
        let answer = served.raw(request("POST", "/api/nfs/exists", &headers, BODY)).await;
        assert_eq!(answer.status, 200, "{headers:?}");
    }
    served.stop().await;
}

#[tokio::test]
async fn a_stranger_is_refused_before_the_body_is_read() {
    let served = Served::new().await;
    // The body never comes; the answer does.
    let head = "POST /api/nfs/write HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n";
    assert_eq!(served.raw(head.as_bytes().to_vec()).await.status, 401);
    served.stop().await;
}

/// Wrong keys that are sent one after the other.
const WRONG_KEYS: usize = 5_000;

#[tokio::test]
async fn whoever_tries_out_keys_is_told_to_wait() {
    let served = Served::with(|state| state.limits.wrong_keys_per_minute = 1).await;
    let address = served.address();
    let good = served.world.key(Who::Alice).expect("a key").to_owned();
    let tried = tokio::task::spawn_blocking(move || {
        let mut tried = Vec::new();
        let mut client = Client::new(address, None);
        for number in 0..WRONG_KEYS {
            let wrong = format!("Bearer sk-default_alice_{number:08x}_{number:032x}");
            let bytes = request("POST", "/api/nfs/exists", &[("Authorization", &wrong)], BODY);
            let answer = client.exchange(&bytes).expect("an answer");
            assert!(answer.status != 429 || answer.header("retry-after").is_some());
            tried.push((answer.status, String::from_utf8_lossy(&answer.body).into_owned()));
        }
        tried
    });
    let tried = tried.await.expect("no panic");
    assert_eq!(tried[0].0, 401);
    let waiting = tried.iter().filter(|(status, _)| *status == 429).count();
    assert!(waiting >= WRONG_KEYS - 10, "{waiting} of {WRONG_KEYS}");
    assert!(tried.iter().all(|(status, _)| matches!(status, 401 | 429)), "nobody came in");
    // A key with one wrong letter is told the same as one that nobody has.
    let near = format!("Bearer {}{}", &good[..good.len() - 1], if good.ends_with('0') { '1' } else { '0' });
    let near = served.raw(request("POST", "/api/nfs/exists", &[("Authorization", &near)], BODY)).await;
    let without_id = |text: &str| text.split("request_id").next().map(str::to_owned);
    assert_eq!((near.status, without_id(&String::from_utf8_lossy(&near.body))), (429, without_id(&tried[99].1)));
    // Whoever has a key is served, from the same address.
    assert_eq!(served.send(Who::Alice, "POST", "/api/nfs/exists", &[], BODY).await.status, 200);
    served.stop().await;
}

#[tokio::test]
async fn a_key_may_be_told_to_slow_down() {
    let served = Served::with(|state| state.limits.requests_per_second = 1).await;
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(served.send(Who::Alice, "POST", "/api/nfs/exists", &[], BODY).await.status);
    }
    assert_eq!(statuses[0], 200);
    assert!(statuses.contains(&429), "{statuses:?}");
    // Who is known and asks too often is not told that its key is none.
    let mut answers = Vec::new();
    while !answers.iter().any(|(status, _)| *status == 429) {
        let answer = served.send(Who::Alice, "GET", "/api/auth/whoami", &[], b"").await;
        answers.push((answer.status, String::from_utf8_lossy(&answer.body).into_owned()));
    }
    assert!(!answers.iter().any(|(_, body)| body.contains("\"authenticated\":false")), "{answers:?}");
    assert_eq!(served.send(Who::Bob, "POST", "/api/nfs/exists", &[], BODY).await.status, 200, "each key its own");
    served.stop().await;
}
