//! Tests of the tool that other tests trust.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nexus_lite::model::time::monotonic;

use super::{connect, connected};
use crate::harness::client::LIVENESS;
use crate::harness::postgres::{self, Cluster, Setup};

/// Set for the process that is killed.
const VICTIM: &str = "POSTGRES_CLUSTER_VICTIM";

/// The question whether the server speaks TLS; it answers with one byte.
const ASKS_FOR_TLS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

#[tokio::test]
async fn each_test_has_a_database_of_its_own() {
    let Some((one, _first)) = connected().await else { return };
    let (other, _second) = connected().await.expect("the same server");
    one.batch_execute("CREATE TABLE t (a BIGINT)").await.expect("runs");
    other.batch_execute("CREATE TABLE t (a BIGINT)").await.expect("nothing of the other test is there");
    let order = "SELECT 'B' < 'a', ('B' COLLATE \"C\") < ('a' COLLATE \"C\")";
    let row = one.query_one(order, &[]).await.expect("runs");
    assert_eq!((row.get(0), row.get(1)), (false, true), "its order of texts is not that of bytes");
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_kill() {
    let Some(cluster) = Cluster::start(Setup { durable: true, ..Setup::default() }) else { return };
    let database = cluster.database();
    let client = connect(&database).await;
    client.batch_execute("CREATE TABLE t (a BIGINT); INSERT INTO t VALUES (1)").await.expect("runs");
    cluster.kill();
    assert!(client.batch_execute("INSERT INTO t VALUES (2)").await.is_err(), "nobody answers");
    cluster.restart();
    let client = connect(&database).await;
    let rows = client.query("SELECT a FROM t", &[]).await.expect("runs");
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<i64>>(), [1]);
    let dir = cluster.dir().to_owned();
    drop(cluster);
    assert!(!dir.exists(), "nothing is left of it");
}

/// No test by itself: the process that the next one kills runs it.
#[test]
fn a_process_with_a_cluster() {
    if std::env::var_os(VICTIM).is_none() {
        return;
    }
    let cluster = postgres::shared().expect("the other process has found it");
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", cluster.dir().display()).and_then(|()| out.flush()).expect("somebody reads");
    // Until the other process is gone, should it forget to kill.
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn no_cluster_outlives_a_process_that_is_killed() {
    if postgres::shared().is_none() {
        return;
    }
    let mut victim = Command::new(std::env::current_exe().expect("a test"))
        .args(["--exact", "postgres::cluster::a_process_with_a_cluster", "--nocapture"])
        .env(VICTIM, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the same program");
    let mut lines = BufReader::new(victim.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let dir = PathBuf::from(lines.find(|line| line.starts_with('/')).expect("it names the directory"));
    let mut connection = UnixStream::connect(dir.join(".s.PGSQL.5432")).expect("it serves");
    connection.set_read_timeout(Some(LIVENESS)).expect("a time");
    // An answer, so that it is one of the server's own by now: it waits a minute for one that comes while it ends.
    connection.write_all(&ASKS_FOR_TLS).expect("it listens");
    connection.read_exact(&mut [0]).expect("yes or no");
    victim.kill().expect("our own child");
    victim.wait().expect("our own child");
    // The server holds the other end until it is gone.
    let said = connection.read(&mut [0]);
    assert!(matches!(said, Ok(0)), "the server goes on: {said:?}");
    let began = monotonic();
    while dir.exists() {
        assert!(began.elapsed() < LIVENESS, "{} is left", dir.display());
        std::thread::yield_now();
    }
}
