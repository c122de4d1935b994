//! Eight clients read, write, delete and compare-and-swap ten files while the program is killed: what they saw of each
//! file must be linearizable.
//!
//! A request without an answer was carried out before its process ended, or never: so each life of the process is
//! checked by itself, from what the lives before may have left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};

use nexus_lite::model::random::SeededRandom;
use nexus_lite::model::time::monotonic;
use nexus_lite::model::{ContentHash, RandomSource as _};
use serde_json::json;

use super::register::{Held, Operation, Seen, explain};
use super::{consistent, directory, read_answer};
use crate::harness::client::{Client, Failure, LIVENESS};
use crate::harness::measure::short;
use crate::harness::process::{Process, seed, soak};

/// Lives of the process.
const LIVES: u64 = 24;
/// Clients at the same time.
const CLIENTS: u64 = 8;
/// Files.
const KEYS: u64 = 10;
/// Answers after which the process is killed: a random number up to this one.
const ANSWERS_MAX: u64 = 200;
/// Points at which half of the processes die.
const POINTS: &[&str] = &["before_commit", "after_commit_before_publish", "after_publish_before_reply"];
/// A point is reached at most this often before.
const HITS_MAX: u64 = 60;

/// A moment: later ones are greater, for all threads.
fn tick(clock: &AtomicU64) -> u64 {
    clock.fetch_add(1, Ordering::SeqCst)
}

fn pick(random: &SeededRandom, below: u64) -> u64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    u64::from_le_bytes(bytes) % below
}

fn path(key: u64) -> String {
    format!("/linear/{key}.txt")
}

fn text(value: u64) -> String {
    format!("value {value}")
}

fn etag(value: u64) -> String {
    ContentHash::of(text(value).as_bytes()).to_hex()
}

/// One client in one life of the process.
struct Asker<'t> {
    clock: &'t AtomicU64,
    values: &'t AtomicU64,
    connection: Client,
    random: SeededRandom,
    /// What it last saw of each key.
    last: BTreeMap<u64, u64>,
    history: Vec<(u64, Operation)>,
}

impl Asker<'_> {
    /// Asks once; `false` when the process is gone.
    fn step(&mut self) -> bool {
        let key = pick(&self.random, KEYS);
        let value = self.values.fetch_add(1, Ordering::SeqCst);
        let path = path(key);
        let last = self.last.get(&key).copied();
        let called = tick(self.clock);
        // What it will have been if there is no answer.
        let (seen, method, params) = match (pick(&self.random, 10), last) {
            (0..=3, _) => (None, "read", json!({"path": path})),
            (4 | 5, Some(old)) => {
                let params = json!({"path": path, "content": text(value), "if_match": etag(old)});
                (Some(Seen::Swapped(old, value)), "write", params)
            }
            (6, _) => (Some(Seen::Deleted), "delete", json!({"path": path})),
            _ => (Some(Seen::Wrote(value)), "write", json!({"path": path, "content": text(value)})),
        };
        let answer = self.connection.call(method, &params);
        let answered = tick(self.clock);
        let Ok(answer) = answer else {
            // A read that nobody saw has done nothing.
            self.history.extend(seen.map(|seen| (key, Operation { called, answered, seen, open: true })));
            return false;
        };
        let seen = match (seen, answer.rpc()) {
            (None, answer) => {
                let read = read_answer(&path, answer);
                Seen::Read(read.map(|text| text.trim_start_matches("value ").parse().expect("a value of ours")))
            }
            (Some(seen), Ok(_)) => seen,
            (Some(Seen::Swapped(old, _)), Err(Failure { code: -32006 | -32000, .. })) => Seen::NotSwapped(old),
            (Some(Seen::Deleted), Err(Failure { code: -32000, .. })) => Seen::NothingThere,
            (seen, Err(e)) => panic!("{seen:?} of {path}: {e:?}"),
        };
        match seen {
            Seen::Read(Some(value)) | Seen::Wrote(value) | Seen::Swapped(_, value) => {
                self.last.insert(key, value);
            }
            _ => {}
        }
        self.history.push((key, Operation { called, answered, seen, open: false }));
        true
    }
}

#[test]
fn what_clients_see_of_a_file_is_linearizable_across_kills() {
    let seed = seed();
    let began = monotonic();
    let lives = LIVES * soak();
    let dir = directory();
    let data_dir = dir.path().join("data");
    let mut server = Process::start_with(&data_dir, "", &["--log", "warn"]);
    let key = server.admin_key();
    let (clock, values) = (AtomicU64::new(1), AtomicU64::new(1));
    let chance = SeededRandom::new(seed);
    let mut held: Vec<BTreeSet<Held>> = (0..KEYS).map(|_| BTreeSet::from([None])).collect();
    let (mut operations, mut open) = (0, 0);
    for life in 0..lives {
        let until = 1 + pick(&chance, ANSWERS_MAX);
        let (told, tells) = mpsc::channel();
        let address = server.address();
        let histories: Vec<Vec<(u64, Operation)>> = std::thread::scope(|scope| {
            let askers: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let told = told.clone();
                    let mut asker = Asker {
                        clock: &clock,
                        values: &values,
                        connection: Client::new(address, Some(&key)),
                        random: SeededRandom::new(seed ^ (life * CLIENTS + client + 1)),
                        last: BTreeMap::new(),
                        history: Vec::new(),
                    };
                    scope.spawn(move || {
                        while asker.step() {
                            told.send(()).expect("counted until all clients are done");
                        }
                        asker.history
                    })
                })
                .collect();
            drop(told);
            for _ in 0..until {
                match tells.recv_timeout(LIVENESS) {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => panic!("the server does not answer"),
                }
            }
            server.kill();
            askers.into_iter().map(|asker| asker.join().expect("no panic")).collect()
        });
        // An open request can have been carried out until the very end, not only until its client noticed it.
        let ended = tick(&clock);
        for (key, held) in (0..).zip(&mut held) {
            let of_key = histories.iter().flatten().filter(|(k, _)| *k == key).map(|(_, operation)| *operation);
            let history: Vec<_> = of_key.map(|o| if o.open { Operation { answered: ended, ..o } } else { o }).collect();
            operations += history.len();
            open += history.iter().filter(|operation| operation.open).count();
            let after = explain(&history, held);
            assert!(!after.is_empty(), "seed {seed}, life {life}, file {key}, from {held:?}:\n{history:#?}");
            *held = after;
        }
        let point = POINTS[usize::try_from(pick(&chance, POINTS.len() as u64)).expect("few")];
        let armed = format!("{point}:{}:exit", 1 + pick(&chance, HITS_MAX));
        server.restart_armed(if pick(&chance, 2) == 0 { &armed } else { "" });
    }
    server.kill();
    drop(server);
    consistent(&data_dir);
    println!(
        "{lives} lives, {operations} operations ({open} without an answer) on {KEYS} files, all linearizable; {}",
        short(began.elapsed())
    );
    assert!(operations as u64 > lives * KEYS, "the load must be one");
}
