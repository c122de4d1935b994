//! SIGKILL under load, thirty times on one directory.
//!
//! Four clients write and delete files and give and take rights; what they were told they note outside the server.
//! After each restart everything acknowledged must be there, whole and unaltered; what was not answered is there as a
//! whole or not at all. Nothing is repaired by hand.

use std::collections::BTreeMap;
use std::sync::mpsc;

use nexus_lite::auth::AuthIndex;
use nexus_lite::model::random::SeededRandom;
use nexus_lite::model::{ContentHash, OsRandom, RandomSource};
use nexus_lite::rebac::Graph;
use nexus_lite::store::{Options, Store};
use serde_json::{Value, json};

use crate::harness::client::{Client, Failure, LIVENESS};
use crate::harness::measure::{percentile, short};
use crate::harness::process::Process;

/// How often the server is killed.
const KILLS: usize = 30;
/// Clients at the same time.
const CLIENTS: u64 = 4;
/// Acknowledged writes after which the server is killed: a random number up to this one.
const ACKS_MAX: u64 = 120;
/// Files of each client.
const FILES: u64 = 12;
/// Largest body, bytes: more than lies in the database, so that blob files are killed too.
const BODY_MAX: u64 = 100 * 1024;

/// What one client knows of the server.
#[derive(Default)]
struct Ledger {
    /// The etag of each file as acknowledged last; `None` = deleted.
    files: BTreeMap<u64, Option<String>>,
    /// The id of the right to each file as acknowledged last; `None` = taken back.
    rights: BTreeMap<u64, Option<String>>,
    /// What was sent and not answered when the server died.
    pending: Option<Step>,
    /// Writes so far, for distinct bodies.
    count: u64,
}

/// One write of a client.
#[derive(Debug, Clone)]
enum Step {
    Put { file: u64, etag: String },
    Delete { file: u64 },
    Grant { file: u64 },
    Revoke { file: u64 },
}

fn path(client: u64, file: u64) -> String {
    format!("/kill/c{client}/f{file}.bin")
}

/// A subject of its own for each file, so that a right is one tuple.
fn subject(client: u64, file: u64) -> [String; 2] {
    ["user".to_owned(), format!("u{client}-{file}")]
}

fn body(client: u64, count: u64, random: &SeededRandom) -> String {
    let mut text = format!("client {client} write {count}\n");
    // One in eight is a blob file.
    let size = if pick(random, 8) == 0 { BODY_MAX - pick(random, 1024) } else { pick(random, 4096) };
    text.extend(std::iter::repeat_n('x', usize::try_from(size).expect("small")));
    text
}

fn pick(random: &SeededRandom, below: u64) -> u64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    u64::from_le_bytes(bytes) % below
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let mut seed = [0; 8];
    OsRandom.fill(&mut seed);
    let seed = u64::from_le_bytes(seed);
    println!("seed {seed}");
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on the disk of the project");
    let data_dir = dir.path().join("data");
    let mut server = Process::start(&data_dir);
    let key = server.admin_key();
    let mut ledgers: Vec<Ledger> = (0..CLIENTS).map(|_| Ledger::default()).collect();
    let chance = SeededRandom::new(seed);
    let mut acked = 0;
    for kill in 0..KILLS as u64 {
        let until = 1 + pick(&chance, ACKS_MAX);
        let (ack, acks) = mpsc::channel();
        let address = server.address();
        std::thread::scope(|scope| {
            for (client, ledger) in (0..).zip(&mut ledgers) {
                let (key, ack) = (&key, ack.clone());
                let random = SeededRandom::new(seed ^ (kill * CLIENTS + client + 1));
                scope.spawn(move || {
                    let mut connection = Client::new(address, Some(key));
                    while ledger.step(client, &mut connection, &random) {
                        ack.send(()).expect("counted until all clients are done");
                    }
                });
            }
            for _ in 0..until {
                acks.recv_timeout(LIVENESS).expect("the server answers writes");
            }
            server.kill();
        });
        acked += until + acks.try_iter().count() as u64;
        server.restart();
        let mut connection = Client::new(server.address(), Some(&key));
        for (client, ledger) in (0..).zip(&mut ledgers) {
            ledger.settle(client, &mut connection);
        }
    }
    server.kill();
    let mut starts = std::mem::take(&mut server.starts);
    drop(server);
    integrity(&data_dir);
    starts.sort_unstable();
    let [median, slowest] = [0.5, 1.0].map(|share| short(percentile(&starts, share)));
    println!("{KILLS} kills, {acked} acknowledged writes, none lost; ready again after {median}, at most {slowest}");
}

impl Ledger {
    /// Sends one write; `false` when the server is gone.
    fn step(&mut self, client: u64, connection: &mut Client, random: &SeededRandom) -> bool {
        let file = pick(random, FILES);
        let exists = self.files.get(&file).is_some_and(Option::is_some);
        let right = self.rights.get(&file).cloned().flatten();
        self.count += 1;
        let (step, method, params) = match pick(random, 10) {
            0 if exists => (Step::Delete { file }, "delete", json!({"path": path(client, file)})),
            1 | 2 if exists && right.is_none() => {
                let object = json!(["file", path(client, file)]);
                let params = json!({"subject": subject(client, file), "relation": "direct_viewer", "object": object});
                (Step::Grant { file }, "rebac_create", params)
            }
            3 if right.is_some() => (Step::Revoke { file }, "rebac_delete", json!({"tuple_id": right})),
            _ => {
                let body = body(client, self.count, random);
                let etag = ContentHash::of(body.as_bytes()).to_hex();
                (Step::Put { file, etag }, "write", json!({"path": path(client, file), "content": body}))
            }
        };
        self.pending = Some(step.clone());
        let Ok(answer) = connection.call(method, &params) else { return false };
        let result = answer.rpc().unwrap_or_else(|e| panic!("client {client} {step:?}: {e:?}"));
        self.pending = None;
        self.note(step, &result);
        true
    }

    /// Takes down what was acknowledged.
    fn note(&mut self, step: Step, result: &Value) {
        match step {
            Step::Put { file, etag } => {
                assert_eq!(result["bytes_written"]["etag"], json!(etag));
                self.files.insert(file, Some(etag));
            }
            Step::Delete { file } => {
                // A right on a file dies with it.
                self.files.insert(file, None);
                self.rights.insert(file, None);
            }
            Step::Grant { file } => {
                self.rights.insert(file, Some(result.as_str().expect("a tuple id").to_owned()));
            }
            Step::Revoke { file } => {
                assert_eq!(*result, json!(true));
                self.rights.insert(file, None);
            }
        }
    }

    /// Compares what the restarted server has with what was acknowledged, and learns how the open write ended.
    fn settle(&mut self, client: u64, connection: &mut Client) {
        let pending = self.pending.take();
        for file in 0..FILES {
            let open = pending.as_ref().filter(|step| step.file() == file);
            let found = read(connection, &path(client, file));
            let acked = self.files.get(&file).cloned().flatten();
            let allowed = match open {
                Some(Step::Put { etag, .. }) => vec![acked, Some(etag.clone())],
                Some(Step::Delete { .. }) => vec![acked, None],
                _ => vec![acked],
            };
            assert!(allowed.contains(&found), "client {client} file {file}: {found:?}, not of {allowed:?} ({open:?})");
            self.files.insert(file, found.clone());

            let right = right(connection, client, file);
            let acked = self.rights.get(&file).cloned().flatten();
            let plausible = match open {
                Some(Step::Grant { .. }) => right.is_some() || acked.is_none(),
                Some(Step::Revoke { .. }) => right.is_none() || right == acked,
                Some(Step::Delete { .. }) if found.is_none() => right.is_none(),
                _ => right == acked,
            };
            assert!(plausible, "client {client} right {file}: {right:?}, acknowledged {acked:?} ({open:?})");
            self.rights.insert(file, right);
        }
    }
}

impl Step {
    fn file(&self) -> u64 {
        let (Self::Put { file, .. } | Self::Delete { file } | Self::Grant { file } | Self::Revoke { file }) = self;
        *file
    }
}

/// The etag of the file, computed from the bytes that are read; `None` if there is no file.
fn read(connection: &mut Client, path: &str) -> Option<String> {
    use base64::Engine as _;
    match connection.rpc("read", &json!({"path": path, "return_metadata": true})) {
        Ok(found) => {
            let data = found["content"]["data"].as_str().expect("bytes");
            let body = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
            let etag = ContentHash::of(&body).to_hex();
            assert_eq!(found["etag"], json!(etag), "{path}: the body is not the one its row names");
            Some(etag)
        }
        Err(Failure { code: -32000, .. }) => None,
        Err(e) => panic!("{path}: {e:?}"),
    }
}

/// The id of the right to the file, if there is one.
fn right(connection: &mut Client, client: u64, file: u64) -> Option<String> {
    let params = json!({"subject": subject(client, file), "relation": "direct_viewer"});
    let found = connection.rpc("rebac_list_tuples", &params).expect("a list");
    let rows = found.as_array().expect("a list");
    assert!(rows.len() <= 1, "client {client} file {file}: {rows:?}");
    rows.first().map(|row| row["tuple_id"].as_str().expect("an id").to_owned())
}

/// SQLite's own check and the rules of the schema, on what the last kill left.
fn integrity(data_dir: &std::path::Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let opened = Store::builder(Options::new(data_dir)).project::<Graph>().project::<AuthIndex>().open();
    let store = opened.expect("what a killed server leaves opens without help");
    let report = runtime.block_on(store.check()).expect("the check runs");
    assert!(report.violations.is_empty(), "{:?}", report.violations);
    runtime.block_on(store.close()).expect("a clean end");
}
