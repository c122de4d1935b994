//! `GET /api/events`: the stream, coming back to it, and the answer that waits.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::{live, ok, own, short, write};
use crate::harness::client::{Client, LIVENESS, request};
use crate::harness::engine;
use crate::harness::server::Server;
use crate::harness::world::{Setup, Who, World};

/// Files written while nobody listens: more than a page of events.
const WRITES: usize = 300;
/// Files that are written at once.
const BATCH: usize = 200;

/// An open stream.
struct Stream {
    reader: BufReader<TcpStream>,
    /// The last id that came.
    id: String,
}

/// What came.
#[derive(Debug, PartialEq)]
enum Came {
    Event(Value),
    End(Value),
    Closed,
}

impl Stream {
    /// Opens one as `who`, and waits for its first id.
    async fn open(served: &(World, Server), who: Who, query: &str, last: Option<&str>) -> Self {
        let (world, server) = served;
        let bearer = format!("Bearer {}", world.key(who).expect("a key"));
        let mut headers = vec![("Authorization", bearer.as_str()), ("Accept", "text/event-stream")];
        headers.extend(who.agent().map(|agent| ("X-Agent-ID", agent)));
        headers.extend(last.map(|id| ("Last-Event-ID", id)));
        let bytes = request("GET", &format!("/api/events{query}"), &headers, b"");
        let address = server.address();
        let open = move || {
            let mut stream = TcpStream::connect(address).expect("connected");
            stream.set_read_timeout(Some(LIVENESS)).expect("a socket");
            stream.write_all(&bytes).expect("sent");
            let mut stream = Self { reader: BufReader::new(stream), id: String::new() };
            let status = stream.line().expect("a status");
            assert!(status.starts_with("HTTP/1.1 200"), "{status}");
            while stream.id.is_empty() {
                stream.line().expect("an id");
            }
            stream
        };
        tokio::task::spawn_blocking(open).await.expect("no panic")
    }

    /// A line; the sizes of chunks come along and are no fields.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.reader.read_line(&mut line).expect("in time");
        let line = line.trim_end().to_owned();
        if let Some(id) = line.strip_prefix("id: ") {
            id.clone_into(&mut self.id);
        }
        (read > 0).then_some(line)
    }

    fn next(&mut self) -> Came {
        let mut kind = String::new();
        while let Some(line) = self.line() {
            // The last chunk.
            if line == "0" {
                break;
            }
            if let Some(name) = line.strip_prefix("event: ") {
                name.clone_into(&mut kind);
            }
            if let Some(data) = line.strip_prefix("data: ") {
                let data: Value = serde_json::from_str(data).expect("JSON");
                return if kind == "end" { Came::End(data) } else { Came::Event(data) };
            }
        }
        Came::Closed
    }

    /// So many events, in short.
    async fn take(self, count: usize) -> (Self, Vec<String>) {
        let take = move || {
            let mut stream = self;
            let events = (0..count).map(|_| match stream.next() {
                Came::Event(event) => short(&event),
                other => panic!("{other:?}"),
            });
            let events = events.collect();
            (stream, events)
        };
        tokio::task::spawn_blocking(take).await.expect("no panic")
    }
}

async fn served() -> (World, Server) {
    let world = World::with(Setup { injected: false, ..Setup::default() }).await;
    let server = Server::start(&world);
    (world, server)
}

async fn stop((world, server): (World, Server)) {
    server.stop().await;
    world.close().await;
}

/// A GET; status and body.
async fn get((world, server): &(World, Server), who: Who, query: &str) -> (u16, Value) {
    let (address, key) = (server.address(), world.key(who).map(str::to_owned));
    let path = format!("/api/events{query}");
    let get = move || Client::new(address, key.as_deref()).get(&path).expect("an answer");
    let answer = tokio::task::spawn_blocking(get).await.expect("no panic");
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_read_is_told_and_nobody_else() {
    let served = served().await;
    let world = &served.0;
    for (user, path) in [("alice", "/w"), ("mallory", "/m"), ("bob", "/b")] {
        own(world, user, path).await;
    }
    let alice = Stream::open(&served, Who::Alice, "", None).await;
    let heir = Stream::open(&served, Who::Heir, "?types=file_delete", None).await;
    let bob = Stream::open(&served, Who::Bob, "?path=/b/**/x*&path=/w/**", None).await;
    let stranger = Stream::open(&served, Who::Stranger, "", None).await;
    let other = Stream::open(&served, Who::OtherAdmin, "", None).await;
    let wanted = live(world, Who::Alice, "/w/a.txt").await;
    write(world, Who::Bob, "/b/y.txt", "x").await;
    write(world, Who::Bob, "/b/d/x1.txt", "x").await;
    write(world, Who::Admin, "/secret/s.txt", "x").await;
    // The last words, each for one of them.
    write(world, Who::Stranger, "/m/own.txt", "x").await;
    ok(world, Who::OtherAdmin, "write", json!({"path": "/tenant:acme/x.txt", "content": "x"})).await;
    write(world, Who::Alice, "/w/end.txt", "x").await;
    ok(world, Who::Alice, "mkdir", json!({"path": "/w/dir"})).await;

    let (_, told) = alice.take(wanted.len() + 2).await;
    let ends = ["file_write /w/end.txt".to_owned(), "directory_create /w/dir".to_owned()];
    assert_eq!(told, [&wanted[..], &ends].concat());
    assert_eq!(heir.take(1).await.1, ["file_delete /w/a.txt.moved"]);
    assert_eq!(bob.take(1).await.1, ["file_write /b/d/x1.txt"]);
    assert_eq!(stranger.take(1).await.1, ["file_write /m/own.txt"]);
    assert_eq!(other.take(1).await.1, ["file_write /tenant:acme/x.txt"]);
    stop(served).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_misses_nothing() {
    let served = served().await;
    let world = &served.0;
    own(world, "alice", "/w").await;
    let stream = Stream::open(&served, Who::Alice, "", None).await;
    let begin = stream.id.clone();
    let files: Vec<Value> = (0..WRITES).map(|at| json!([format!("/w/{at:03}"), "x"])).collect();
    // Some of one revision, some of many.
    for batch in files[..WRITES - 10].chunks(BATCH) {
        ok(world, Who::Alice, "write_batch", json!({"files": batch})).await;
    }
    let mut wanted: Vec<String> = (0..WRITES - 10).map(|at| format!("file_write /w/{at:03}")).collect();
    let (stream, told) = stream.take(5).await;
    assert_eq!(told, wanted[..5]);
    let last = stream.id.clone();
    drop(stream);
    for at in WRITES - 10..WRITES {
        write(world, Who::Alice, &format!("/w/{at:03}"), "x").await;
        wanted.push(format!("file_write /w/{at:03}"));
    }
    let again = Stream::open(&served, Who::Alice, "", Some(&last)).await;
    let (again, rest) = again.take(WRITES - 5).await;
    assert_eq!(rest, wanted[5..], "from within a revision, over pages");
    // The same from the beginning, by the same ids.
    let (_, all) = Stream::open(&served, Who::Alice, "", Some(&begin)).await.take(WRITES).await;
    assert_eq!(all, wanted);
    // And as answers.
    let (mut since, mut polled) = (begin, Vec::new());
    while polled.len() < WRITES {
        let (status, page) = get(&served, Who::Alice, &format!("?wait=0&since={since}")).await;
        let events = page["events"].as_array().expect("a list").clone();
        assert!(status == 200 && !events.is_empty(), "{status} {page}");
        polled.extend(events.iter().map(short));
        page["last_event_id"].as_str().expect("an id").clone_into(&mut since);
    }
    assert_eq!(polled, wanted);
    assert_eq!(again.id.split('.').next(), Some(since.as_str()), "the same place");
    stop(served).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_waits_for_the_first_event() {
    let served = served().await;
    let world = &served.0;
    let head = world.head().await;
    let (status, none) = get(&served, Who::Admin, "?wait=0").await;
    assert_eq!((status, &none["events"], &none["last_event_id"]), (200, &json!([]), &json!(head.to_string())));
    let path = format!("?wait=30&since={head}&types=file_write");
    let (waited, ()) = tokio::join!(get(&served, Who::Admin, &path), async {
        ok(world, Who::Admin, "mkdir", json!({"path": "/not/this", "parents": true})).await;
        write(world, Who::Admin, "/w/this.txt", "x").await;
    });
    assert_eq!((waited.0, short(&waited.1["events"][0])), (200, "file_write /w/this.txt".to_owned()));
    for query in ["?wait=x", "?wait=61", "?types=no", "?since=x", "?color=red"] {
        assert_eq!(get(&served, Who::Admin, query).await.0, 422, "{query}");
    }
    let (status, body) = get(&served, Who::Admin, &format!("?since={}", head + 1_000)).await;
    assert_eq!(status, 410, "{body}");
    assert_eq!(get(&served, Who::Anonymous, "").await.0, 401);
    stop(served).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_key_and_with_the_server() {
    let served = served().await;
    let world = &served.0;
    own(world, "alice", "/w").await;
    let (mut alice, mut bob) =
        (Stream::open(&served, Who::Alice, "", None).await, Stream::open(&served, Who::Bob, "", None).await);
    let keys = ok(world, Who::Admin, "admin_list_keys", json!({"user_id": "alice"})).await;
    let key_id = keys["keys"][0]["key_id"].clone();
    ok(world, Who::Admin, "admin_revoke_key", json!({"key_id": key_id})).await;
    write(world, Who::Admin, "/w/after.txt", "x").await;
    let ends = tokio::task::spawn_blocking(move || (alice.next(), alice.next())).await.expect("no panic");
    assert!(matches!(&ends.0, Came::End(said) if said["code"] == "unauthenticated"), "{ends:?}");
    assert_eq!(ends.1, Came::Closed);
    let (world, server) = served;
    server.stop().await;
    let ends = tokio::task::spawn_blocking(move || bob.next()).await.expect("no panic");
    assert!(matches!(&ends, Came::End(said) if said["code"] == "closing"), "{ends:?}");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_what_is_kept_is_gone() {
    let world = World::with(Setup { injected: false, ..Setup::default() }).await;
    write(&world, Who::Admin, "/w/a.txt", "x").await;
    let (path, keys) = (world.path().to_owned(), world.keys());
    let dir = world.close().await;
    engine::run(&path, "DELETE FROM changelog WHERE rev <= 1");
    engine::run(&path, "INSERT INTO meta (key, value) VALUES ('floor_rev', '1')");
    let mut world = World::again(&path, Setup { injected: false, ..Setup::default() }, keys).await;
    world.keep(dir);
    let server = Server::start(&world);
    let served = (world, server);
    let (status, body) = get(&served, Who::Admin, "?since=0").await;
    assert_eq!((status, &body["code"]), (410, &json!("revision_too_old")), "{body}");
    assert!(body["detail"].as_str().is_some_and(|text| text.contains("begins with revision 1")), "{body}");
    let (status, body) = get(&served, Who::Admin, "?since=1&wait=0").await;
    assert_eq!((status, short(&body["events"][0])), (200, "file_write /w/a.txt".to_owned()), "{body}");
    stop(served).await;
}
