//! Calls that pass the routes by: the answer does not tell which way a request took.

use serde_json::json;

use super::{Served, Who, with_host};
use crate::harness::client::{Answer, request};

/// What sends a call by the routes, and changes nothing in its answer.
const BY_THE_ROUTES: [(&str, &str); 2] = [("Accept-Encoding", "identity"), ("Origin", "http://127.0.0.1")];

/// A request, and what is expected of its answer.
struct Case {
    path: String,
    host: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    status: u16,
}

impl Case {
    /// A call with the key of the instance admin.
    fn new(served: &Served, path: &str, body: &str, status: u16) -> Self {
        let bearer = format!("Bearer {}", served.world.key(Who::Instance).expect("a key"));
        let headers = vec![("Authorization", bearer), ("X-Request-ID", "one".to_owned())];
        Self { path: path.to_owned(), host: "127.0.0.1", headers, body: body.into(), status }
    }

    /// With one header more.
    fn and(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The answer to it with `more` in its head.
    async fn ask(&self, served: &Served, more: Option<(&str, &str)>) -> Answer {
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let all = [headers, more.into_iter().collect()].concat();
        served.raw(with_host(&request("POST", &self.path, &all, &self.body), Some(self.host))).await
    }
}

/// What of an answer must be the same: everything but the time of day, and an id that the server made up.
fn comparable(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let made_up = answer.header("x-request-id").filter(|id| *id != "one").map(str::to_owned);
    let same = |text: &str| made_up.as_ref().map_or_else(|| text.to_owned(), |id| text.replace(id, "an id"));
    let mut headers: Vec<(String, String)> = answer
        .headers
        .iter()
        .filter(|(name, _)| name != "date")
        .map(|(name, value)| (name.clone(), same(value)))
        .collect();
    headers.sort();
    (answer.status, headers, same(&String::from_utf8_lossy(&answer.body)))
}

/// The answer to `case` is of the expected status, and the same by each way.
async fn same_by_each_way(served: &Served, case: &Case) -> Answer {
    let what = format!("{} {:?} {}", case.path.chars().take(60).collect::<String>(), case.headers, case.host);
    let direct = case.ask(served, None).await;
    assert_eq!(direct.status, case.status, "{what}: {}", String::from_utf8_lossy(&direct.body));
    assert!(direct.header("x-request-id").is_some(), "{what}");
    for more in BY_THE_ROUTES {
        let routed = case.ask(served, Some(more)).await;
        assert_eq!(comparable(&direct), comparable(&routed), "{what}, {more:?}");
    }
    direct
}

#[tokio::test]
async fn an_answer_does_not_tell_which_way_its_request_took() {
    let served = Served::with(|state| state.limits.body_bytes = 1000).await;
    for name in ["a.txt", "b.txt"] {
        let body = json!({"params": {"path": format!("/workspace/{name}"), "content": name}}).to_string();
        assert_eq!(served.post("write", body.as_bytes()).await.status, 200);
    }
    let list = r#"{"jsonrpc":"2.0","id":7,"method":"list","params":{"path":"/workspace"}}"#;
    let case = |path: &str, body: &str, status: u16| Case::new(&served, path, body, status);

    let read = r#"{"id":8,"params":{"path":"/workspace/a.txt"}}"#;
    let answer = same_by_each_way(&served, &case("/api/nfs/read", read, 200)).await;
    let tag = answer.header("etag").expect("a tag").to_owned();
    let large = format!(r#"{{"params":{{"path":"/{}"}}}}"#, "x".repeat(1000));
    let cases = [
        case("/api/nfs/list?x=1", list, 200),
        case("/api/nfs/list", list, 200),
        case("/api/nfs/read", read, 304).and("If-None-Match", &tag),
        case("/api/nfs/list", list, 200).and("Accept", "application/x-ndjson"),
        case("/api/nfs/list", list, 403).and("X-Agent-ID", "nobody,knows"),
        case("/api/nfs/list", list, 200).and("Idempotency-Key", "two words, and a comma"),
        case("/api/nfs/list", list, 200).and("X-Request-ID", "not one that stands in a log"),
        case("/api/nfs/status", r#"{"id":1}"#, 200),
        case("/api/nfs/read", r#"{"id":"x","params":{"path":"/workspace/none.txt"}}"#, 200),
        case("/api/nfs/read", r#"{"id":null,"params":{}}"#, 200),
        case("/api/nfs/nope", r#"{"id":1}"#, 200),
        case("/api/nfs/list", r#"{"method":"read"}"#, 200),
        case("/api/nfs/list", "{", 200),
        case("/api/nfs/list", "", 200),
        case("/api/nfs/list", "[]", 200),
        case("/api/nfs/list", &large, 413),
        case("/api/nfs/list", list, 200).and("Content-Encoding", "gzip"),
        case("/api/nfs/list", list, 401).and("Authorization", "Bearer sk-wrong"),
        case("/api/nfs/list", list, 401).and("Authorization", ""),
        case("/api/nfs/list/", list, 404),
        case("/api/nfs/", list, 404),
        case("/api/nfs/li%73t", list, 200),
        case("/api/nfs/..%2fhealth", list, 200),
        case(&format!("/api/nfs/{}", "x".repeat(20_000)), list, 414),
        case("http://evil.example/api/nfs/list", list, 421),
        Case { host: "evil.example", ..case("/api/nfs/list", list, 421) },
    ];
    for case in &cases {
        same_by_each_way(&served, case).await;
    }
    served.running.close_doors();
    same_by_each_way(&served, &case("/api/nfs/list", list, 503)).await;
    served.stop().await;
}
