//! The program is killed under load, a hundred times on one directory: by SIGKILL, and at fault points.
//!
//! Four clients write, move and delete files, make and remove directories, write skills, give and take rights; what
//! they were told they note outside the server. After each restart everything acknowledged must be there, whole and
//! unaltered; what was not answered is there as a whole or not at all. Nothing is repaired by hand.

use std::sync::mpsc::{self, RecvTimeoutError};

use nexus_lite::model::random::SeededRandom;
use nexus_lite::model::time::monotonic;

use super::ledger::{self, Ledger, Told, pick};
use super::{consistent, directory};
use crate::harness::client::{Client, LIVENESS};
use crate::harness::measure::{percentile, short};
use crate::harness::process::{Process, program, seed, soak};

/// How often the server is killed.
const KILLS: u64 = 100;
/// Kills after which the whole directory is checked.
const CHECK_EVERY: u64 = 10;
/// Clients at the same time.
const CLIENTS: u64 = 4;
/// Acknowledged writes after which the server is killed: a random number up to this one.
const ACKS_MAX: u64 = 50;
/// Points at which half of the processes are to die, and how often each is passed before: a random number below this
/// one. A process that does not come to its point in time is killed.
const POINTS: &[(&str, u64)] = &[
    ("before_commit", 12),
    ("after_commit_before_publish", 12),
    ("after_publish_before_reply", 12),
    ("blob_written", 2),
    ("blob_synced", 2),
    ("blob_renamed", 2),
    ("blob_durable", 2),
];

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let seed = seed();
    let began = monotonic();
    let kills = KILLS * soak();
    let dir = directory();
    let data_dir = dir.path().join("data");
    let mut server = Process::start_with(&data_dir, "", &["--log", "warn"]);
    let key = server.admin_key();
    let mut ledgers: Vec<Ledger> = (0..CLIENTS).map(|_| Ledger::default()).collect();
    let chance = SeededRandom::new(seed);
    let (mut acked, mut at_points) = (0, 0);
    for kill in 0..kills {
        let until = 1 + pick(&chance, ACKS_MAX);
        let (ack, acks) = mpsc::channel();
        let address = server.address();
        std::thread::scope(|scope| {
            for (client, ledger) in (0..).zip(&mut ledgers) {
                let (key, ack) = (&key, ack.clone());
                let random = SeededRandom::new(seed ^ (kill * CLIENTS + client + 1));
                scope.spawn(move || {
                    let mut connection = Client::new(address, Some(key));
                    loop {
                        match ledger.step(client, &mut connection, &random) {
                            Told::Done => ack.send(()).expect("counted until all clients are done"),
                            Told::Nothing => break,
                            Told::Refused(failure) => panic!("client {client}: {failure:?}"),
                        }
                    }
                });
            }
            drop(ack);
            for _ in 0..until {
                match acks.recv_timeout(LIVENESS) {
                    Ok(()) => acked += 1,
                    // Every client has lost it: it died at its point.
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => panic!("the server answers no writes"),
                }
            }
            at_points += u64::from(server.has_ended());
            server.kill();
            acked += acks.iter().count() as u64;
        });
        if kill % CHECK_EVERY == CHECK_EVERY - 1 {
            consistent(&data_dir);
        }
        let (point, most) = POINTS[usize::try_from(pick(&chance, POINTS.len() as u64)).expect("few")];
        let armed = format!("{point}:{}:exit", 1 + pick(&chance, most));
        server.restart_armed(if pick(&chance, 2) == 0 { &armed } else { "" });
        // The armed point may be reached by what the comparison asks; then another process answers.
        while ledger::settle(&mut ledgers, &mut Client::new(server.address(), Some(&key))).is_err() {
            server.kill();
            server.restart();
        }
    }
    server.kill();
    let mut starts = std::mem::take(&mut server.starts);
    drop(server);
    let checked = program("").arg("check").arg("--data-dir").arg(&data_dir).output().expect("the program runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    starts.sort_unstable();
    let [median, slowest] = [0.5, 1.0].map(|share| short(percentile(&starts, share)));
    println!(
        "{kills} kills ({at_points} at a fault point), {acked} acknowledged writes, none lost; ready again after \
         {median}, at most {slowest}; {}",
        short(began.elapsed())
    );
    assert!(acked > kills, "the load must be one");
}
