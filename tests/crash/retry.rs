//! The reply is lost after COMMIT: a retry with the same Idempotency-Key executes nothing twice and gets the same
//! answer, from the same process, after its writer has died, and after the process was killed.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use nexus_lite::cli::load::wire::envelope;
use nexus_lite::store::{FaultPoint, Faults};
use serde_json::{Value, json};

use crate::harness::client::{Answer, Client, request};
use crate::harness::process::Process;
use crate::harness::world::{Setup, Who, World};

/// How often the process is killed with a request under way.
const KILLS: usize = 8;
/// The file that is written.
const PATH: &str = "/retried.txt";

fn params(text: &str) -> Value {
    json!({"path": PATH, "content": text})
}

/// The process that is called goes on; the client has gone away.
#[tokio::test]
async fn the_reply_is_lost_on_its_way() {
    for point in [FaultPoint::AfterCommitBeforePublish, FaultPoint::AfterPublishBeforeReply] {
        let world = World::new().await;
        let head = world.head().await;
        let held = world.pause_at(point);
        {
            let mut first = Box::pin(world.rpc_once(Who::Instance, Some("k"), "write", params("x")));
            let sent = std::future::poll_fn(|cx| std::task::Poll::Ready(first.as_mut().poll(cx).is_pending()));
            assert!(sent.await, "it waits for the writer");
            held.reached();
            // Nobody waits for the answer any more.
        }
        held.release();
        let (again, rev, replayed) = world.rpc_once(Who::Instance, Some("k"), "write", params("x")).await;
        assert_eq!((rev, replayed), (head + 1, true), "{point:?}");
        assert_eq!(again.expect("the answer of the first time")["version"], 1, "{point:?}");
        assert_eq!(world.head().await, head + 1, "{point:?}: executed once");
        world.close().await;
    }
}

const IDLE: u8 = 0;
const ARMED: u8 = 1;
const COMMITTED: u8 = 2;

/// The writer dies between COMMIT and the reply; the next start finds the reply.
#[tokio::test]
async fn the_writer_dies_before_it_replies() {
    for point in [FaultPoint::AfterCommitBeforePublish, FaultPoint::AfterPublishBeforeReply] {
        let armed = Arc::new(AtomicU8::new(IDLE));
        let faults = {
            let armed = Arc::clone(&armed);
            Faults::armed(move |at| {
                // The batch that has changed something, and not one of the server's own that comes in between.
                if at == FaultPoint::AfterCommitBeforePublish && armed.load(Ordering::SeqCst) == ARMED {
                    armed.store(COMMITTED, Ordering::SeqCst);
                }
                assert!(at != point || armed.load(Ordering::SeqCst) != COMMITTED, "the writer dies by design");
            })
        };
        let tune = Box::new(move |options: &mut nexus_lite::store::Options| options.faults = faults);
        let mut world = World::with(Setup { tune, ..Setup::default() }).await;
        let head = world.head().await;
        armed.store(ARMED, Ordering::SeqCst);
        let (lost, _, replayed) = world.rpc_once(Who::Instance, Some("k"), "write", params("x")).await;
        match lost {
            // What was published is known, whoever is gone.
            Ok(_) => assert!(replayed && point == FaultPoint::AfterPublishBeforeReply, "{point:?}"),
            Err(lost) => assert_eq!(lost.data["code"], "outcome_unknown", "{point:?}: {lost:?}"),
        }

        let (path, keys, dir) = (world.path().to_owned(), world.keys(), world.take_dir());
        world.store.close().await.expect_err("its writer is gone");
        drop(world);
        let mut world = World::again(&path, Setup::default(), keys).await;
        world.keep(dir);
        let (again, rev, replayed) = world.rpc_once(Who::Instance, Some("k"), "write", params("x")).await;
        assert_eq!((rev, replayed), (head + 1, true), "{point:?}");
        assert_eq!(again.expect("the answer of the first time")["version"], 1, "{point:?}");
        assert_eq!(world.head().await, head + 1, "{point:?}: executed once");
        world.close().await;
    }
}

/// The bytes of a keyed write.
fn keyed(bearer: &str, key: &str, text: &str) -> Vec<u8> {
    let headers = [("Authorization", bearer), ("Idempotency-Key", key), ("Content-Type", "application/json")];
    request("POST", "/api/nfs/write", &headers, &envelope(1, "write", &params(text)))
}

fn replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

/// The real process is killed with the request under way, at whatever point it has come to; the client tries again.
#[test]
fn a_retry_after_a_kill_executes_once() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let mut process = Process::start(&dir.path().join("data"));
    let bearer = format!("Bearer {}", process.admin_key());
    for turn in 0..KILLS {
        let bytes = keyed(&bearer, &format!("turn-{turn}"), &format!("text {turn}"));
        let mut lost = TcpStream::connect(process.address()).expect("it listens");
        lost.write_all(&bytes).expect("sent");
        // Sometimes before, sometimes after COMMIT: an answer to somebody else comes in between.
        if turn % 2 == 1 {
            Client::new(process.address(), None).get("/health").expect("it answers");
        }
        process.kill();
        process.restart();
        let mut client = Client::new(process.address(), None);
        let first = client.exchange(&bytes).expect("an answer");
        let version = first.rpc().expect("written")["version"].as_u64();
        assert_eq!(version, Some(turn as u64 + 1), "executed once in turn {turn}");
        let again = client.exchange(&bytes).expect("an answer");
        assert!(replayed(&again), "turn {turn}");
        assert_eq!((again.json(), again.revision()), (first.json(), first.revision()), "turn {turn}");
    }
}

/// The real process dies right after COMMIT, before anybody can know of it; the client tries again.
#[test]
fn a_retry_after_a_death_behind_commit_is_answered_from_the_transaction() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let mut process = Process::start(&dir.path().join("data"));
    let bearer = format!("Bearer {}", process.admin_key());
    for turn in 1..=3 {
        let bytes = keyed(&bearer, &format!("turn-{turn}"), &format!("text {turn}"));
        process.kill();
        process.restart_armed("after_commit_before_publish:1:exit");
        let lost = Client::new(process.address(), None).exchange(&bytes);
        assert!(lost.is_err(), "it died before the answer");
        process.wait();
        process.restart();
        let mut client = Client::new(process.address(), None);
        let again = client.exchange(&bytes).expect("an answer");
        assert!(replayed(&again), "turn {turn}: COMMIT was said, so it was executed");
        assert_eq!(again.rpc().expect("written")["version"], turn, "executed once in turn {turn}");
    }
}
