//! The program dies in the middle of an import: what it leaves is served by nobody, says what to do, and is begun anew.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Output;

use nexus_lite::store::FaultPoint::{self, *};
use rustix::process::Signal;

use super::points::write;
use super::{consistent, directory, read_text};
use crate::harness::client::Client;
use crate::harness::process::{Process, program};

/// Points of an import; whether the store is there then.
pub(super) const IMPORTING: &[(FaultPoint, bool)] =
    &[(ImportMarked, false), (ImportCommitted, false), (ImportFilled, false), (ImportDone, true)];
/// Files, and their bytes, that are together more than one transaction of an import.
const FILES: usize = 60;
const BYTES: usize = 60_000;

fn body(n: usize) -> String {
    format!("{n:05}").repeat(BYTES / 5)
}

/// A data directory with more than one transaction of rows and a blob file, and its bundle with the secret.
fn bundle(root: &Path) -> String {
    let data = root.join("data");
    let mut server = Process::start(&data);
    let key = server.admin_key();
    let mut client = Client::new(server.address(), Some(&key));
    for n in 0..FILES {
        write(&mut client, &format!("/f/{n}"), &body(n)).expect("written");
    }
    write(&mut client, "/big", &"b".repeat(300_000)).expect("written");
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    let mut export = program("");
    export.arg("export").arg(root.join("bundle")).arg("--with-secret").arg("--data-dir").arg(&data);
    let exported = export.output().expect("the program runs");
    assert!(exported.status.success(), "{}", text(&exported));
    key
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_import_that_dies_is_served_by_nobody_and_begun_anew() {
    let root = directory();
    let key = bundle(root.path());
    for (point, is_there) in IMPORTING {
        let target = root.path().join(point.name());
        let import = |armed: &str| {
            let mut command = program(armed);
            command.arg("import").arg(root.path().join("bundle")).arg("--data-dir").arg(&target);
            command.output().expect("the program runs")
        };
        let died = import(&format!("{}:exit", point.name()));
        assert_eq!(died.status.signal(), Some(Signal::KILL.as_raw()), "{}: not reached: {}", point.name(), text(&died));
        if !is_there {
            let mut serve = program("");
            serve.args(["serve", "--port", "0", "--data-dir"]).arg(&target);
            let refused = serve.output().expect("the program runs");
            assert_eq!(refused.status.code(), Some(65), "{}", text(&refused));
            assert!(text(&refused).contains("an import was cut short") && text(&refused).contains("nexus-lite import"));
            let again = import("");
            assert!(again.status.success(), "{}: {}", point.name(), text(&again));
        } else {
            assert_eq!(import("").status.code(), Some(65), "it is there, and nothing is written over it");
        }
        let mut server = Process::start(&target);
        let mut client = Client::new(server.address(), Some(&key));
        for n in [0, FILES / 2, FILES - 1] {
            assert_eq!(read_text(&mut client, &format!("/f/{n}")), Some(body(n)), "{}", point.name());
        }
        assert_eq!(read_text(&mut client, "/big").map(|body| body.len()), Some(300_000));
        server.kill();
        consistent(&target);
    }
}

/// The same on a database of a server, where the tables stay and the rows go.
#[cfg(feature = "postgres")]
#[test]
fn an_import_into_postgresql_that_dies_is_begun_anew() {
    use crate::harness::postgres::fresh_database;
    let root = directory();
    bundle(root.path());
    for (point, is_there) in IMPORTING {
        let Some(database) = fresh_database() else { return };
        let run = |armed: &str, command: &str, file: &str| {
            let mut program = program(armed);
            program.arg(command).arg(root.path().join(file)).arg("--database-url").arg(database.url());
            program.output().expect("the program runs")
        };
        let died = run(&format!("{}:exit", point.name()), "import", "bundle");
        assert_eq!(died.status.signal(), Some(Signal::KILL.as_raw()), "{}: not reached: {}", point.name(), text(&died));
        if !is_there {
            let refused = run("", "export", "nothing");
            assert_eq!(refused.status.code(), Some(65), "{}", text(&refused));
            assert!(text(&refused).contains("an import was cut short"), "{}", text(&refused));
            let again = run("", "import", "bundle");
            assert!(again.status.success(), "{}: {}", point.name(), text(&again));
        }
        assert_eq!(run("", "import", "bundle").status.code(), Some(65), "it is there, and nothing is written over it");
        let exported = run("", "export", &format!("from-{}", point.name()));
        assert!(exported.status.success(), "{}", text(&exported));
        let rows = |file: &str| {
            let text = std::fs::read_to_string(root.path().join(file)).expect("a bundle");
            let rows = text.lines().filter(|line| line.starts_with("{\"nodes\"") || line.starts_with("{\"body\""));
            rows.map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(rows("bundle") == rows(&format!("from-{}", point.name())), "{}", point.name());
    }
}
