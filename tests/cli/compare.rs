//! `waves --compare`: the figures of a real run on each engine, the private cluster, what is refused.

use serde_json::{Value, json};

use super::{arg, run};

/// Seconds of the mixed load in the runs here.
const SHORT: &str = "1";

/// Runs a comparison that must hold; its JSON.
fn holds(engines: &str, more: &[&str]) -> Value {
    let said = run(["waves", "--compare", engines, "--seconds", SHORT, "--json"].iter().chain(more));
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    for engine in report["engines"].as_array().expect("a list") {
        let (waves, mixed) = (&engine["waves"], &engine["mixed"]);
        assert_eq!((&waves["operations"], &waves["right"]), (&json!(30), &json!(30)), "{engine}");
        assert!(mixed["operations"].as_u64() >= Some(50) && mixed["operations"] == mixed["right"], "{engine}");
        assert!(mixed["revisions"].as_u64() > Some(100), "{engine}");
        let asked: Vec<_> = mixed["endpoints"].as_array().expect("lines").iter().map(|l| &l["operation"]).collect();
        assert_eq!(asked, ["list", "read", "rebac_check", "skills_list", "write"]);
        assert_eq!((&engine["log_errors"]["count"], &engine["stopped_cleanly"]), (&json!(0), &json!(true)), "{engine}");
        assert!(!cfg!(target_os = "linux") || engine["memory"].as_u64() > Some(1 << 20), "{engine}");
    }
    report
}

#[test]
fn sqlite_alone_is_right() {
    let report = holds("sqlite", &[]);
    assert_eq!(report["engines"][0]["engine"], "SQLite");
    println!("{report}");
}

#[test]
fn without_postgresql_the_way_to_one_is_said() {
    let empty = tempfile::tempdir().expect("a directory");
    let said = run(["waves", "--compare", "postgres", "--postgres-bin", arg(empty.path())]);
    assert_eq!(said.code, 69, "{}", said.err);
    if cfg!(feature = "postgres") {
        for part in ["docker run ", "-p 5433:5432 postgres:15-alpine", "--database-url postgres://"] {
            assert!(said.err.contains(part), "{part}: {}", said.err);
        }
    } else {
        assert!(said.err.contains("built without it") && said.err.contains("--features postgres"), "{}", said.err);
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for wrong in [
        &["--compare", "oracle"][..],
        &["--compare", "sqlite", "--url", "http://127.0.0.1:1"],
        &["--compare", "sqlite", "--control"],
        &["--compare", "sqlite", "--seconds", "0"],
        &["--compare", "sqlite", "--database-url", "postgres://u@h/d"],
        &["--database-url", "postgres://u@h/d"],
        &["--seconds", "3"],
    ] {
        let said = run(["waves"].iter().chain(wrong));
        assert_eq!(said.code, 64, "{wrong:?}: {}{}", said.out, said.err);
    }
}

/// What needs a PostgreSQL; says why, or fails, where there is none.
#[cfg(feature = "postgres")]
mod on_postgres {
    use std::io::{BufRead as _, BufReader};
    use std::net::{SocketAddr, TcpStream};
    use std::os::unix::fs::PermissionsExt as _;

    use nexus_lite::cli::compare::cluster::Cluster;
    use nexus_lite::cli::compare::interrupt::Interrupt;
    use rustix::process::{Pid, Signal, kill_process};

    use super::super::{program, run};
    use super::{SHORT, holds};
    use crate::harness::postgres;

    #[test]
    fn an_interrupted_run_leaves_nothing_behind() {
        if postgres::shared().is_none() {
            return;
        }
        let dir = tempfile::tempdir().expect("a directory");
        // The server may run as somebody else, who has to come through.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("its mode");
        let mut command = program(["waves", "--compare", "postgres", "--seconds", "600"]);
        let mut child = command.env("TMPDIR", dir.path()).spawn().expect("the program runs");
        let mut said = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
        assert!(said.any(|line| line.contains("the mixed load")), "it comes so far");
        assert_eq!(
            std::fs::read_dir(dir.path()).expect("readable").count(),
            2,
            "the run's directory and the cluster's"
        );
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, Signal::INT).expect("our own child");
        assert_eq!(child.wait().expect("our own child").code(), Some(130));
        assert!(said.any(|line| line.contains("interrupted")));
        let left: Vec<_> = std::fs::read_dir(dir.path()).expect("readable").collect();
        assert!(left.is_empty(), "{left:?}");
    }

    #[test]
    fn both_engines_are_right_and_a_private_cluster_is_made() {
        if postgres::shared().is_none() {
            return;
        }
        let report = holds("sqlite,postgres", &[]);
        let postgres = &report["engines"][1];
        assert!(postgres["version"].as_str().is_some_and(|v| v.starts_with("PostgreSQL ")), "{postgres}");
        assert!(postgres["database_memory"].as_u64() > Some(1 << 20), "{postgres}");
        println!("{report}");
    }

    #[test]
    fn an_empty_database_is_used_and_one_that_holds_something_is_left_alone() {
        let Some(database) = postgres::fresh_database() else { return };
        let report = holds("postgres", &["--database-url", database.url()]);
        assert_eq!(report["engines"][0]["place"], "the database of the given URL");
        let again = run(["waves", "--compare", "postgres", "--seconds", SHORT, "--database-url", database.url()]);
        assert_eq!(again.code, 65, "{}{}", again.out, again.err);
        assert!(again.err.contains("is not empty") && again.err.contains("nothing was changed"), "{}", again.err);
    }

    #[test]
    fn a_private_cluster_comes_and_goes() {
        if postgres::shared().is_none() {
            return;
        }
        let cluster = Cluster::start(None, &Interrupt::default()).expect("the machine has one");
        let place = cluster.path().to_owned();
        let url = cluster.url().expose();
        let address: SocketAddr = url.split(['@', '/']).nth(3).expect("host and port").parse().expect("an address");
        TcpStream::connect(address).expect("it listens");
        assert!(address.ip().is_loopback() && place.join("data/PG_VERSION").exists());
        assert!(cluster.version.starts_with("PostgreSQL "), "{}", cluster.version);
        drop(cluster);
        assert!(TcpStream::connect(address).is_err(), "the server is gone");
        assert!(!place.exists(), "what it made is gone");
    }
}
