//! The door asks the same rules as the methods, and tells nobody more than they may know.

use serde_json::json;

use super::super::{Served, Who, text};
use super::body;
use crate::harness::client::{Answer, LIVENESS};

/// What an answer tells, without the names of path and request.
fn told(answer: &Answer, path: &str) -> String {
    let mut said = answer.json();
    said["error"]["data"]["request_id"] = json!(null);
    format!("{} {}", answer.status, said.to_string().replace(path, "<path>"))
}

#[tokio::test]
async fn what_is_there_and_what_is_not_look_alike_to_strangers() {
    let served = Served::new().await;
    served.alice_owns().await;
    assert_eq!(served.put(Who::Alice, "/a/secret.txt", &[], b"the secret").await.status, 201);
    for who in [Who::Stranger, Who::Bob, Who::OtherUser, Who::OtherAdmin] {
        for (verb, body) in [("GET", &b""[..]), ("PUT", b"mine"), ("DELETE", b"")] {
            let there = served.send(who, verb, "/files/a/secret.txt", &[], body).await;
            let not_there = served.send(who, verb, "/files/a/nothing.txt", &[], body).await;
            assert_eq!(served.refused(&there).await, (403, "permission_denied".into()), "{who:?} {verb}");
            let (there, not_there) = (told(&there, "/a/secret.txt"), told(&not_there, "/a/nothing.txt"));
            assert_eq!(there, not_there, "{who:?} {verb}");
            assert!(!there.contains("the secret"));
        }
        let heads = [served.head(who, "/a/secret.txt", &[]).await, served.head(who, "/a/nothing.txt", &[]).await];
        assert_eq!((heads[0].0, heads[1].0), (403, 403));
        assert!(heads.iter().all(|(_, head)| !head.iter().any(|line| line.starts_with("etag"))));
    }
    let large = served.put(Who::Stranger, "/a/secret.txt", &[], &body(300_000)).await;
    assert_eq!(large.status, 403);
    assert_eq!(served.partials(), 0, "nobody stores what may not be written");
    assert_eq!(served.get(Who::Alice, "/a/nothing.txt", &[]).await.status, 404);
    assert_eq!(served.get(Who::Alice, "/a/secret.txt", &[]).await.body, b"the secret");
    assert_eq!(served.get(Who::Admin, "/a/secret.txt", &[]).await.body, b"the secret");
    served.stop().await;
}

#[tokio::test]
async fn nobody_is_served_without_a_key_and_agents_are_asked_for_themselves() {
    let served = Served::new().await;
    served.alice_owns().await;
    served.put(Who::Alice, "/a/x", &[], b"x").await;
    for verb in ["GET", "PUT", "DELETE"] {
        let answer = served.send(Who::Anonymous, verb, "/files/a/x", &[], b"").await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")), "{verb}");
    }
    let helper = ("X-Agent-ID", Who::Agent.agent().expect("an agent"));
    let answer = served.get(Who::Alice, "/a/x", &[helper]).await;
    assert_eq!(served.refused(&answer).await, (403, "permission_denied".into()));
    let heir = ("X-Agent-ID", Who::Heir.agent().expect("an agent"));
    assert_eq!(served.get(Who::Alice, "/a/x", &[heir]).await.body, b"x");
    let answer = served.send(Who::Alice, "POST", "/files/a/x", &[], b"").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD, PUT, DELETE")), "{}", text(&answer));
    let foreign = served.get(Who::Alice, "/a/x", &[("Origin", "http://evil.example")]).await;
    assert_eq!(foreign.status, 403);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_that_goes_while_the_body_arrives_is_gone() {
    let served = Served::new().await;
    served.alice_owns().await;
    let tuples = served.ok("rebac_list_tuples", json!({"subject": ["user", "alice"]})).await;
    let id = tuples[0]["tuple_id"].as_str().expect("a tuple").to_owned();
    let held = served.world.hold_writer();
    let queued = |more: usize| {
        let (store, before) = (served.world.store.clone(), served.world.store.status().writer_queue_depth);
        async move {
            let waited = tokio::time::timeout(LIVENESS, async {
                while store.status().writer_queue_depth < before + more {
                    tokio::task::yield_now().await;
                }
            });
            waited.await.expect("it never came to the writer");
        }
    };
    let both = async {
        let one_more = queued(1);
        let revoke = served.world.rpc(Who::Instance, "rebac_delete", json!({"tuple_id": id}));
        let late = async {
            one_more.await;
            // Asked at the head, alice may still write; the revoke comes to the writer first.
            let one_more = queued(1);
            let put = served.put(Who::Alice, "/a/late", &[], b"late");
            let release = async {
                one_more.await;
                held.release();
            };
            tokio::join!(put, release).0
        };
        tokio::join!(revoke, late)
    };
    let (revoked, answer) = both.await;
    revoked.expect("revoked");
    assert_eq!(served.refused(&answer).await, (403, "permission_denied".into()));
    served.stop().await;
}
