//! What survives: processes killed, disks that fail, power that goes.

// Backups: under load, damaged, cut short, restored.
mod backup;
// Mixed commands, and what each must have left behind.
mod work;
// What a database holds, read without the store.
mod state;
// The power goes: images of the disk at random points.
pub(crate) mod power;
// Files that are damaged, foreign, empty or missing.
mod corrupt;
// Disks that are full, and limits on the size of files.
mod full;
// The program started through other programs; no tests.
mod launch;
// Backups as one file: plain and encrypted, damaged in every way, restored; schemas that are not ours; how many stay.
mod bundle;
// Each guarantee taken out: the test of it must notice.
mod mutations;
// The n-th call of the disk fails, for each n.
mod sweep;
// What the clients of a killed server know of it; no tests.
pub(crate) mod ledger;
// The program is killed under load, again and again, on one directory.
mod kill;
// The reply is lost: a retry with the same Idempotency-Key executes nothing twice.
mod retry;
// SIGTERM with requests under way, a second one, SIGSTOP and SIGCONT.
mod drain;
// What clients see of a file across kills is linearizable.
mod linear;
// The checker of that.
mod register;
// The clock jumps.
mod clock;
// Directories of earlier schemas are migrated; of newer ones refused.
mod upgrade;
// It dies in the middle of an import.
mod moving;
// It dies at each named point: of a write, a blob, a checkpoint, a start, an end, a backup, a restore.
mod points;

use std::path::Path;

use nexus_lite::auth::AuthIndex;
use nexus_lite::rebac::Graph;
use nexus_lite::store::{Options, Store};
use serde_json::{Value, json};

use crate::harness::client::{Client, Failure};

/// A directory on the disk of the project: /tmp may be memory.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

/// SQLite's own check and the rules of the schema, on what a server has left.
fn consistent(data_dir: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let opened = Store::builder(Options::new(data_dir)).project::<Graph>().project::<AuthIndex>().open();
    let store = opened.expect("what a killed server leaves opens without help");
    let report = runtime.block_on(store.check()).expect("the check runs");
    assert!(report.violations.is_empty(), "{:?}", report.violations);
    runtime.block_on(store.close()).expect("a clean end");
}

/// The text of a file; `None` if there is no file.
fn read_text(client: &mut Client, path: &str) -> Option<String> {
    read_answer(path, client.rpc("read", &json!({"path": path})))
}

/// The text in the answer to `read`.
fn read_answer(path: &str, answer: Result<Value, Failure>) -> Option<String> {
    use base64::Engine as _;
    match answer {
        Ok(found) => {
            let data = found["data"].as_str().expect("bytes");
            let body = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
            Some(String::from_utf8(body).expect("text"))
        }
        Err(Failure { code: -32000, .. }) => None,
        Err(e) => panic!("{path}: {e:?}"),
    }
}

/// Copies a directory with all that is in it.
fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("made");
    for entry in std::fs::read_dir(from).expect("listed") {
        let entry = entry.expect("listed");
        let to = to.join(entry.file_name());
        match entry.file_type().expect("known").is_dir() {
            true => copy_dir(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), &to).expect("copied")),
        }
    }
}
