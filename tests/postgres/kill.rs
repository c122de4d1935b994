//! Kills under load: of the server, of the database server, and of the connection between COMMIT and its answer.
//!
//! The load and its ledgers are those of SQLite's kill test. What was acknowledged must be there, what was refused must
//! not, and what nobody knows is there as a whole or not at all.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

use nexus_lite::model::random::SeededRandom;
use nexus_lite::model::time::monotonic;
use serde_json::json;

use crate::crash::ledger::{self, Ledger, Told, pick};
use crate::harness::client::{Client, LIVENESS};
use crate::harness::measure::{percentile, short};
use crate::harness::postgres::{Cluster, Setup, USER};
use crate::harness::process::{FAR_KEY, Process, seed, soak};

/// How often the server is killed: 50 times with NEXUS_LITE_SOAK=5.
const SERVER_KILLS: u64 = 10;
/// How often the database server is: 20 times with NEXUS_LITE_SOAK=5.
const DATABASE_KILLS: u64 = 4;
/// How often the connection is cut.
const CUTS: u64 = 6;
/// Clients at the same time.
const CLIENTS: u64 = 4;
/// Acknowledged writes after which something is killed: a random number up to this one.
const ACKS_MAX: u64 = 40;
/// Acknowledged writes after a cut until the books are compared.
const ACKS_AFTER: u64 = 8;
/// The code of "busy": nothing was done.
const BUSY: i64 = -32010;

/// A cluster that syncs, and its database for this test.
fn durable() -> Option<(Cluster, String)> {
    let cluster = Cluster::start(Setup { durable: true, tcp: true, ..Setup::default() })?;
    cluster.run("CREATE DATABASE kill");
    let url = format!("postgres://{USER}@127.0.0.1:{}/kill", cluster.port());
    Some((cluster, url))
}

/// What a round of load has brought.
#[derive(Default)]
struct Round {
    acked: u64,
    refused: u64,
}

/// Lets all clients write until `stop`, which is called with the channel of acknowledgements, returns and they have
/// noticed.
fn load(
    server: &Process,
    ledgers: &mut [Ledger],
    seed: u64,
    until: &AtomicBool,
    stop: impl FnOnce(&mpsc::Receiver<()>) -> u64,
) -> Round {
    let (ack, acks) = mpsc::channel();
    let (address, refused) = (server.address(), AtomicU64::new(0));
    let mut round = Round::default();
    std::thread::scope(|scope| {
        for (client, ledger) in (0..).zip(ledgers) {
            let (ack, refused) = (ack.clone(), &refused);
            let random = SeededRandom::new(seed ^ (client + 1));
            scope.spawn(move || {
                let mut connection = Client::new(address, Some(FAR_KEY));
                while !until.load(Ordering::SeqCst) {
                    match ledger.step(client, &mut connection, &random) {
                        Told::Done => ack.send(()).expect("counted until all clients are done"),
                        Told::Refused(failure) if failure.code == BUSY => drop(refused.fetch_add(1, Ordering::SeqCst)),
                        Told::Refused(failure) => panic!("client {client}: {failure:?}"),
                        Told::Nothing => break,
                    }
                }
            });
        }
        drop(ack);
        round.acked = stop(&acks);
        round.acked += acks.iter().count() as u64;
    });
    round.refused = refused.into_inner();
    round
}

/// Waits for some acknowledgements; fewer if every client has ended.
fn wait_for(acks: &mpsc::Receiver<()>, count: u64) -> u64 {
    let mut seen = 0;
    while seen < count {
        match acks.recv_timeout(LIVENESS) {
            Ok(()) => seen += 1,
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the server answers no writes"),
        }
    }
    seen
}

/// Waits until the server says that it is ready.
fn ready(server: &Process) {
    let began = monotonic();
    loop {
        let answer = Client::new(server.address(), None).get("/ready");
        if answer.is_ok_and(|answer| answer.status == 200) {
            return;
        }
        assert!(began.elapsed() < LIVENESS, "not ready again\n{}", server.log());
        std::thread::yield_now();
    }
}

fn settle(server: &Process, ledgers: &mut [Ledger]) {
    ready(server);
    ledger::settle(ledgers, &mut Client::new(server.address(), Some(FAR_KEY))).expect("it answers");
}

fn books() -> Vec<Ledger> {
    (0..CLIENTS).map(|_| Ledger::default()).collect()
}

#[test]
fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let Some((_cluster, url)) = durable() else { return };
    let (seed, began, kills) = (seed(), monotonic(), SERVER_KILLS * soak());
    let chance = SeededRandom::new(seed);
    let (mut server, mut ledgers, mut acked) = (Process::start_far(&url, &["--log", "warn"]), books(), 0);
    for kill in 0..kills {
        let until = 1 + pick(&chance, ACKS_MAX);
        let never = AtomicBool::new(false);
        let process = rustix::process::Pid::from_raw(i32::try_from(server.id()).expect("a pid")).expect("a pid");
        let round = load(&server, &mut ledgers, seed ^ (kill << 8), &never, |acks| {
            let seen = wait_for(acks, until);
            rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("our own child");
            seen
        });
        assert_eq!(round.refused, 0, "nothing but the server was in trouble");
        acked += round.acked;
        server.wait();
        server.restart();
        settle(&server, &mut ledgers);
    }
    let mut starts = std::mem::take(&mut server.starts);
    starts.sort_unstable();
    let [median, slowest] = [0.5, 1.0].map(|share| short(percentile(&starts, share)));
    println!(
        "{kills} kills of the server, {acked} acknowledged writes, none lost; ready again after {median}, at most \
         {slowest}; {}",
        short(began.elapsed())
    );
    assert!(acked > kills, "the load must be one");
}

#[test]
fn nothing_acknowledged_is_lost_when_the_database_is_killed() {
    let Some((cluster, url)) = durable() else { return };
    let (seed, began, kills) = (seed(), monotonic(), DATABASE_KILLS * soak());
    let chance = SeededRandom::new(seed);
    let (server, mut ledgers) = (Process::start_far(&url, &["--log", "error"]), books());
    let (mut acked, mut refused) = (0, 0);
    for kill in 0..kills {
        let until = 1 + pick(&chance, ACKS_MAX);
        let enough = AtomicBool::new(false);
        let round = load(&server, &mut ledgers, seed ^ (kill << 8), &enough, |acks| {
            let mut seen = wait_for(acks, until);
            if kill % 2 == 0 {
                // Every process at once.
                cluster.kill();
            }
            // Else as `pg_ctl stop -m immediate` does it; and back.
            cluster.restart();
            seen += wait_for(acks, ACKS_AFTER);
            enough.store(true, Ordering::SeqCst);
            seen
        });
        (acked, refused) = (acked + round.acked, refused + round.refused);
        settle(&server, &mut ledgers);
    }
    println!(
        "{kills} kills of the database server, {acked} acknowledged writes, none lost, {refused} refused; {}",
        short(began.elapsed())
    );
    assert!(acked > kills && refused > 0, "the load must be one, and the kills must have met it");
}

#[test]
fn nothing_is_lost_or_done_twice_when_the_answer_to_commit_is_cut_off() {
    let Some((cluster, _)) = durable() else { return };
    let proxy = Proxy::start(cluster.port());
    let url = format!("postgres://{USER}@127.0.0.1:{}/kill", proxy.port);
    let (seed, began, cuts) = (seed(), monotonic(), CUTS * soak());
    let chance = SeededRandom::new(seed);
    let (server, mut ledgers) = (Process::start_far(&url, &["--log", "error"]), books());
    let (mut acked, mut refused) = (0, 0);
    for cut in 0..cuts {
        let until = 1 + pick(&chance, ACKS_MAX);
        let enough = AtomicBool::new(false);
        let round = load(&server, &mut ledgers, seed ^ (cut << 8), &enough, |acks| {
            let mut seen = wait_for(acks, until);
            // Half of them never reach the database.
            proxy.cut(if cut % 2 == 0 { Cut::AfterCommit } else { Cut::BeforeCommit });
            seen += wait_for(acks, ACKS_AFTER + until);
            enough.store(true, Ordering::SeqCst);
            seen
        });
        (acked, refused) = (acked + round.acked, refused + round.refused);
        settle(&server, &mut ledgers);
    }
    let done = proxy.done();
    println!(
        "{done} connections cut at COMMIT, {acked} acknowledged writes, none lost, {refused} refused; {}",
        short(began.elapsed())
    );
    assert_eq!(done, cuts, "every cut must have met a COMMIT");
}

/// The parts of a large body move no revision, so the head row tells nothing of a COMMIT of theirs that was cut off.
#[test]
fn parts_of_a_body_that_never_arrived_are_not_taken_for_stored() {
    let Some((cluster, _)) = durable() else { return };
    let proxy = Proxy::start(cluster.port());
    let url = format!("postgres://{USER}@127.0.0.1:{}/kill", proxy.port);
    let server = Process::start_far(&url, &["--log", "error"]);
    let mut client = Client::new(server.address(), Some(FAR_KEY));
    for (turn, cut) in [Cut::BeforeCommit, Cut::AfterCommit, Cut::BeforeCommit].into_iter().enumerate() {
        let params = json!({"path": "/large.txt", "content": format!("{turn}").repeat(100 << 10)});
        proxy.cut(cut);
        match client.rpc("write", &params) {
            Ok(_) => {}
            Err(failure) => {
                assert_eq!(failure.code, BUSY, "{failure:?}");
                client.rpc("write", &params).expect("there is a connection again");
            }
        }
        ready(&server);
        let read = client.rpc("read", &json!({"path": "/large.txt"})).expect("what was acknowledged is there");
        assert_eq!(ledger::text(&read), params["content"].as_str().expect("a text"));
    }
    assert_eq!(proxy.done(), 3, "every cut must have met a COMMIT");
}

/// Where a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// The next COMMIT reaches the database, its answer nobody.
    AfterCommit,
    /// The next COMMIT reaches nobody.
    BeforeCommit,
}

/// Between a server and its database: passes everything on, and cuts where it is told to.
struct Proxy {
    port: u16,
    state: Arc<ProxyState>,
}

#[derive(Default)]
struct ProxyState {
    wanted: parking_lot::Mutex<Option<Cut>>,
    done: AtomicU64,
}

impl Proxy {
    fn start(to: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(ProxyState::default());
        let shared = Arc::clone(&state);
        // Ends with the process of the test.
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) else { continue };
                let (shared, silent) = (Arc::clone(&shared), Arc::new(AtomicBool::new(false)));
                let (near2, far2, silent2) =
                    (near.try_clone().expect("a socket"), far.try_clone().expect("a socket"), Arc::clone(&silent));
                std::thread::spawn(move || to_database(near, far, &shared, &silent));
                std::thread::spawn(move || to_server(far2, near2, &silent2));
            }
        });
        Self { port, state }
    }

    fn cut(&self, how: Cut) {
        *self.state.wanted.lock() = Some(how);
    }

    fn done(&self) -> u64 {
        self.state.done.load(Ordering::SeqCst)
    }
}

/// What the server sends. A COMMIT is a message of its own, and small: it is never split.
fn to_database(mut near: TcpStream, mut far: TcpStream, state: &ProxyState, silent: &AtomicBool) {
    const COMMIT: &[u8] = b"COMMIT\0";
    let mut buffer = vec![0; 256 << 10];
    while let Ok(count @ 1..) = near.read(&mut buffer) {
        let bytes = &buffer[..count];
        let commits = bytes.windows(COMMIT.len()).any(|window| window == COMMIT);
        let cut = if commits { state.wanted.lock().take() } else { None };
        if cut.is_some() {
            silent.store(true, Ordering::SeqCst);
            state.done.fetch_add(1, Ordering::SeqCst);
        }
        if cut != Some(Cut::BeforeCommit) && far.write_all(bytes).is_err() {
            break;
        }
        if cut == Some(Cut::AfterCommit) {
            // The answer is on its way when the other thread ends the connection.
            return;
        }
        if cut.is_some() {
            break;
        }
    }
    let _ = near.shutdown(Shutdown::Both);
    let _ = far.shutdown(Shutdown::Both);
}

/// What the database answers.
fn to_server(mut far: TcpStream, mut near: TcpStream, silent: &AtomicBool) {
    let mut buffer = vec![0; 256 << 10];
    while let Ok(count @ 1..) = far.read(&mut buffer) {
        if silent.load(Ordering::SeqCst) || near.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = near.shutdown(Shutdown::Both);
    let _ = far.shutdown(Shutdown::Both);
}
