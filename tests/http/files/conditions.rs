//! Conditions: what the client has, and what it would overwrite.

use serde_json::json;

use super::super::{Served, Who};
use super::{body, tag};

/// Writers of one file at the same time.
const WRITERS: usize = 8;

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() {
    let served = Served::new().await;
    let body = body(70_000);
    served.put(Who::Instance, "/c/a", &[], &body).await;
    let modified = served.get(Who::Instance, "/c/a", &[]).await.header("last-modified").expect("a time").to_owned();
    let (etag, weak) = (tag(&body), format!("\"x\", W/{}", tag(&body)));
    for header in [("If-None-Match", etag.as_str()), ("If-None-Match", &weak), ("If-Modified-Since", &modified)] {
        let got = served.get(Who::Instance, "/c/a", &[header]).await;
        assert_eq!((got.status, got.body.len()), (304, 0), "{header:?}");
        assert_eq!(got.header("etag"), Some(etag.as_str()));
    }
    let changed = served.get(Who::Instance, "/c/a", &[("If-Match", "\"x\"")]).await;
    assert_eq!(served.refused(&changed).await, (412, "conflict".into()));
    let old = served.get(Who::Instance, "/c/a", &[("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")]).await;
    assert_eq!(old.status, 412);
    // The right comes before the condition.
    let stranger = served.get(Who::Stranger, "/c/a", &[("If-None-Match", &etag)]).await;
    assert_eq!(served.refused(&stranger).await, (403, "permission_denied".into()));
    served.stop().await;
}

#[tokio::test]
async fn a_write_is_a_compare_and_swap() {
    let served = Served::new().await;
    let (one, two) = (body(10), body(100_000));
    assert_eq!(served.put(Who::Instance, "/c/a", &[("If-Match", "*")], &one).await.status, 412, "there is none");
    assert_eq!(served.put(Who::Instance, "/c/a", &[("If-None-Match", "*")], &one).await.status, 201);
    for size in [10, 100_000, 2 << 20] {
        let answer = served.put(Who::Instance, "/c/a", &[("If-None-Match", "*")], &body(size)).await;
        assert_eq!(served.refused(&answer).await, (412, "conflict".into()), "{size}");
    }
    assert_eq!(served.put(Who::Instance, "/c/a", &[("If-Match", &tag(&two))], &two).await.status, 412);
    let listed = format!("{}, {}", tag(&two), tag(&one));
    let next = served.put(Who::Instance, "/c/a", &[("If-Match", &listed)], &two).await;
    assert_eq!((next.status, next.header("x-nexus-version")), (200, Some("2")));
    assert_eq!(served.put(Who::Instance, "/c/a", &[("If-None-Match", &tag(&two))], &one).await.status, 412);
    assert_eq!(served.put(Who::Instance, "/c/a", &[("If-Match", "*")], &one).await.status, 200);
    for bad in [("If-Match", "no-quotes"), ("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")] {
        assert_eq!(served.put(Who::Instance, "/c/a", &[bad], &two).await.status, 400, "{bad:?}");
    }
    let delete = async |tag: &str| {
        let header = [("If-Match", tag)];
        served.send(Who::Instance, "DELETE", "/files/c/a", &header, b"").await.status
    };
    assert_eq!(delete("\"x\"").await, 412);
    assert_eq!(served.get(Who::Instance, "/c/a", &[]).await.body, one, "nothing of what was refused is there");
    assert_eq!((delete(&tag(&one)).await, delete("*").await), (204, 404));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_writers_at_the_same_time_one_is_first() {
    let served = Served::new().await;
    for large in [0, 80_000] {
        let path = format!("/c/race-{large}");
        let bodies: Vec<_> = (0..WRITERS).map(|n| [body(large), vec![n as u8]].concat()).collect();
        let puts = bodies.iter().map(|body| served.put(Who::Instance, &path, &[("If-None-Match", "*")], body));
        let answers = futures_util::future::join_all(puts).await;
        let won: Vec<_> = answers.iter().enumerate().filter(|(_, answer)| answer.status == 201).collect();
        assert_eq!(won.len(), 1, "{:?}", answers.iter().map(|a| a.status).collect::<Vec<_>>());
        assert!(answers.iter().all(|answer| matches!(answer.status, 201 | 412)));
        assert_eq!(served.get(Who::Instance, &path, &[]).await.body, bodies[won[0].0]);
        assert_eq!(served.ok("stat", json!({"path": path})).await["version"], json!(1));
    }
    served.stop().await;
}
