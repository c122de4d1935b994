//! PostgreSQL in the bench of writes: many connections with a transaction each beside our SQLite, and our own engine on
//! it, over a socket and behind a network.
//!
//! The server is a private one with everything synced. The many connections check nothing and keep no graph: two
//! statements and a COMMIT, as a program writes that keeps a row and a log. Ours is measured with the same two, and with
//! a whole `write`.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use nexus_lite::auth::AuthIndex;
use nexus_lite::model::time::monotonic;
use nexus_lite::params;
use nexus_lite::rebac::Graph;
use nexus_lite::store::{Options, Origin, PostgresUrl, Sql as _, Store, StoreError, WriteOp, WriteTx};
use tokio_postgres::{Client, NoTls, Statement};

use super::measure::{percentile, short};
use super::postgres::{Cluster, Setup, USER};
use super::{BODY_BYTES, FILES, Refused, Round, Size, asynchronous, body, call, runtime, write};

/// Writers at the same time.
const WRITERS: [usize; 3] = [1, 10, 64];
/// What a message takes one way on the slower line: half of a round trip between machines of one zone.
const ONE_WAY: Duration = Duration::from_micros(300);
/// Bytes that a line passes on at once.
const CHUNK: usize = 256 << 10;
/// The target of P16.
const TIMES: f64 = 3.0;

/// A program's own tables.
const TABLES: &str = "CREATE TABLE files (client BIGINT, n BIGINT, body BYTEA, PRIMARY KEY (client, n)); \
    CREATE TABLE log (id BIGSERIAL PRIMARY KEY, client BIGINT, n BIGINT, at TIMESTAMPTZ)";
const PUT: &str = "INSERT INTO files (client, n, body) VALUES ($1, $2, $3) \
    ON CONFLICT (client, n) DO UPDATE SET body = excluded.body";
const LOG: &str = "INSERT INTO log (client, n, at) VALUES ($1, $2, now())";

/// The same tables and statements for our writer on SQLite.
const OUR_TABLES: [&str; 2] = [
    "CREATE TABLE files (client INTEGER, n INTEGER, body BLOB, PRIMARY KEY (client, n))",
    "CREATE TABLE log (id INTEGER PRIMARY KEY, client INTEGER, n INTEGER, at INTEGER)",
];
const OUR_PUT: &str = "INSERT INTO files (client, n, body) VALUES (?1, ?2, ?3) \
    ON CONFLICT (client, n) DO UPDATE SET body = excluded.body";
const OUR_LOG: &str = "INSERT INTO log (client, n, at) VALUES (?1, ?2, ?3)";

/// Measures and prints; `ours` is the rate of a whole `write` on SQLite with as many clients in the same run, `scratch` a
/// directory for one more store.
pub(super) fn compare(say: &mut impl FnMut(String), size: &Size, ours: f64, scratch: &Path, full: bool) {
    let Some(cluster) = Cluster::start(Setup { durable: true, tcp: true, ..Setup::default() }) else {
        return say("\nPostgreSQL: none is installed, so P16 was not measured".to_owned());
    };
    ["peer", "near", "far"].iter().for_each(|name| cluster.run(&format!("CREATE DATABASE {name}")));
    let url = |port: u16, name: &str| format!("postgres://{USER}@127.0.0.1:{port}/{name}");
    say("\nPostgreSQL, everything synced; 1 KiB overwrites".to_owned());
    say(format!("  {:<52} {:>7} {:>9} {:>10} {:>10} {:>10}", "design", "clients", "ok/s", "p50", "p99", "worst"));
    let mut line = |name: &str, clients: usize, round: &Round| {
        let mut took = round.took.clone();
        took.sort_unstable();
        let [p50, p99, worst] = [0.5, 0.99, 1.0].map(|share| short(percentile(&took, share)));
        let rate = took.len() as f64 / round.elapsed.as_secs_f64();
        say(format!("  {name:<52} {clients:>7} {rate:>9.0} {p50:>10} {p99:>10} {worst:>10}"));
        round.other.iter().take(1).for_each(|what| say(format!("    {} failed, e.g. {what}", round.other.len())));
        rate
    };
    let length = size.round * u32::try_from(size.rounds).expect("few");
    let round = peers(&url(cluster.port(), "peer"), size.clients, length);
    let theirs = line("N connections, two statements and a COMMIT each", size.clients, &round);
    let alike =
        line("our writer on SQLite, the same two statements", size.clients, &alike(scratch, size.clients, length));
    let slower = Line::start(cluster.port());
    for (name, url) in [
        ("our engine on it, loopback", url(cluster.port(), "near")),
        ("our engine on it, 0.6 ms away", url(slower, "far")),
    ] {
        for clients in WRITERS.into_iter().filter(|clients| full || *clients <= size.clients) {
            line(name, clients, &engine(&url, clients, length));
        }
    }
    if full {
        let times = alike / theirs;
        let verdict = if times >= TIMES { "holds" } else { "falls short" };
        say(format!("  P16   rate, our writer / those connections: {times:.2}, target ≥ {TIMES}: {verdict}"));
        say(format!("        a whole `write` (permissions, path, version, log) / those: {:.2}", ours / theirs));
    }
}

/// The store on PostgreSQL, with as many writers.
fn engine(url: &str, clients: usize, length: Duration) -> Round {
    let options = Options::postgres(PostgresUrl::parse(url).expect("a URL"));
    let store = Store::builder(options).project::<Graph>().project::<AuthIndex>().open().expect("the store");
    let caller = call(&store);
    runtime().block_on(async {
        for client in 0..clients {
            for wrote in join_all((0..FILES).map(|n| write(&caller, client, n, 0))).await {
                wrote.expect("a file");
            }
        }
    });
    let round = asynchronous(clients, length, |client, n| {
        let write = write(&caller, client, n, 1);
        async move { write.await.map_err(Refused::Other) }
    });
    runtime().block_on(store.close()).expect("a clean end");
    round
}

/// What the peers do, as a message to our writer.
struct TwoStatements {
    client: usize,
    turn: usize,
    body: Vec<u8>,
}

impl WriteOp for TwoStatements {
    const NAME: &'static str = "bench_two_statements";
    const UNRECORDED: bool = true;
    type Output = ();
    type Error = StoreError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        let (client, turn, now) = (self.client as u64, self.turn as u64, tx.now_us());
        tx.exec(OUR_PUT, params![client, turn, &self.body[..]])?;
        tx.exec(OUR_LOG, params![client, turn, now])
    }

    fn bytes(&self) -> usize {
        self.body.len()
    }
}

/// Makes the tables of [`TwoStatements`].
struct Tables;

impl WriteOp for Tables {
    const NAME: &'static str = "bench_tables";
    const UNRECORDED: bool = true;
    type Output = ();
    type Error = StoreError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        OUR_TABLES.iter().try_for_each(|table| tx.exec(table, &[]))
    }

    fn bytes(&self) -> usize {
        0
    }
}

/// The peers' two statements through our writer.
fn alike(scratch: &Path, clients: usize, length: Duration) -> Round {
    let store = Store::builder(Options::new(scratch)).open().expect("the store");
    runtime().block_on(store.submit(Origin::system("bench"), Tables)).expect("made");
    let round = asynchronous(clients, length, |client, n| {
        let op = TwoStatements { client, turn: n % FILES, body: body(client, n, 1) };
        let written = store.submit(Origin::system("bench"), op);
        async move { written.await.map(|_| ()).map_err(|e| Refused::Other(e.to_string())) }
    });
    runtime().block_on(store.close()).expect("a clean end");
    round
}

/// One connection of the peers, and what it says.
struct Peer {
    client: Client,
    put: Statement,
    log: Statement,
}

/// As many connections, a transaction for each write.
fn peers(url: &str, clients: usize, length: Duration) -> Round {
    let driver = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    driver.block_on(async { connect(url).await.batch_execute(TABLES).await.expect("the tables") });
    let open = || async {
        let client = connect(url).await;
        let put = client.prepare(PUT).await.expect("a statement");
        let log = client.prepare(LOG).await.expect("a statement");
        Peer { client, put, log }
    };
    let peers: Vec<Peer> = driver.block_on(async { join_all((0..clients).map(|_| open())).await });
    asynchronous(clients, length, |client, n| {
        let peer = &peers[client];
        let (row, turn) = (client as i64, (n % FILES) as i64);
        async move {
            let body = body(client, n, 1);
            debug_assert_eq!(body.len(), BODY_BYTES);
            let work = async {
                peer.client.batch_execute("BEGIN").await?;
                peer.client.execute(&peer.put, &[&row, &turn, &body]).await?;
                peer.client.execute(&peer.log, &[&row, &turn]).await?;
                peer.client.batch_execute("COMMIT").await
            };
            work.await.map_err(|e| Refused::Other(e.to_string()))
        }
    })
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("it serves");
    tokio::spawn(connection);
    client
}

/// A line on which every message takes its time, however many are under way.
struct Line;

impl Line {
    /// Leads to a port of this machine; the port at this end.
    fn start(to: u16) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        // Ends with the process.
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let far = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).expect("the server");
                [&near, &far].iter().for_each(|end| end.set_nodelay(true).expect("a socket"));
                let again = |end: &TcpStream| end.try_clone().expect("a socket");
                Self::one_way(again(&near), again(&far));
                Self::one_way(far, near);
            }
        });
        port
    }

    fn one_way(mut from: TcpStream, mut to: TcpStream) {
        let (send, receive) = mpsc::channel::<(Instant, Vec<u8>)>();
        std::thread::spawn(move || {
            let mut buffer = vec![0; CHUNK];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                if send.send((monotonic() + ONE_WAY, buffer[..count].to_vec())).is_err() {
                    break;
                }
            }
        });
        std::thread::spawn(move || {
            for (due, bytes) in receive {
                loop {
                    let left = due.saturating_duration_since(monotonic());
                    if left.is_zero() {
                        break;
                    }
                    std::thread::park_timeout(left);
                }
                if to.write_all(&bytes).is_err() {
                    break;
                }
            }
            // Either end has gone: so does the other.
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}
