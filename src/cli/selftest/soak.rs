//! One run: life after life of a server, each ended by a kill or a stop, and what must hold in between.
//!
//! The plan (how long each life is, how it ends, what happens in it) follows from the seed alone. The last quarter of
//! a run is one life without kills, in which growth shows.

use std::ffi::OsStr;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::super::waves::client::{Client, Target, with_client};
use super::super::{Failure, exit};
use super::ledger::{Ledger, pick};
use super::report::Report;
use super::server::{Server, bytes_below, run};
use super::threads::{Common, back_up, call_backup, listen_for_signals, no_thread, spawn, work};
use super::watch::Watch;
use crate::auth::SECRET_FILE;
use crate::config::SETTINGS;
use crate::model::random::SeededRandom;
use crate::model::time::monotonic;

/// Clients at the same time.
const CLIENTS: u64 = 4;
/// The longest life that ends with a kill.
const LIFE_MAX: Duration = Duration::from_secs(60);
/// The fewest lives of a run, about.
const LIVES_MIN: u32 = 6;
/// The shortest one, ms.
const LIFE_MS_MIN: u64 = 700;
/// The longest last life.
const CALM_MAX: Duration = Duration::from_secs(3600);
/// A backup is restored and compared this often.
const DRILL_EVERY: Duration = Duration::from_secs(600);
/// One life in so many ends with SIGTERM.
const STOP_ONE_IN: u64 = 5;
/// One life in so many has a full disk.
const FULL_ONE_IN: u64 = 6;
/// The first life with a full disk.
const FULL_AT: u64 = 2;
/// With a directory larger than this a new one is begun, bytes.
const DATA_BYTES_MAX: u64 = 512 << 20;
/// How often the server is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The setting that says how full is full, and a value of it that every disk is below.
const FLOOR: (&str, &str) = ("free_floor", "900000000GiB");

/// A run.
pub struct Soak {
    length: Duration,
    scratch: PathBuf,
    loses: bool,
    random: SeededRandom,
    report: Report,
    ledgers: Vec<Ledger>,
    generation: u64,
    began: Instant,
    drilled: Instant,
    interrupted: Arc<AtomicBool>,
}

/// How one life goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// To be killed, or stopped; with a backup at this time of it, if any.
    Short { length: Duration, killed: bool, backup: Option<Duration> },
    /// As short ones, and the disk is said to be full.
    Full { length: Duration },
    /// Half-way through no file can grow any more: a write breaks off, and the server has to end by itself.
    Broken { length: Duration },
    /// The last one: backups, no kill.
    Calm { length: Duration },
}

/// When something happens in a life, from its beginning.
#[derive(Debug, Clone, Copy)]
struct Times {
    length: Duration,
    backup: Option<Duration>,
    broken: Option<Duration>,
}

impl std::fmt::Debug for Soak {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Soak").field("seed", &self.report.seed).finish_non_exhaustive()
    }
}

impl Soak {
    /// A run of about `length` in `scratch`; `loses` throws the log away after a kill, so that the run must fail.
    #[must_use]
    pub fn new(seed: u64, length: Duration, scratch: PathBuf, loses: bool) -> Self {
        let now = monotonic();
        Self {
            length,
            scratch,
            loses,
            random: SeededRandom::new(seed),
            report: Report { seed, ..Report::default() },
            ledgers: (0..CLIENTS).map(Ledger::new).collect(),
            generation: 0,
            began: now,
            drilled: now,
            interrupted: Arc::default(),
        }
    }

    /// Runs it to its end, or to the first finding.
    pub fn run(mut self) -> Result<Report, Failure> {
        listen_for_signals(&self.interrupted)?;
        let calm = (self.length / 4).min(CALM_MAX);
        while self.report.findings.is_empty() && !self.interrupted() && self.began.elapsed() + calm < self.length {
            let life = self.plan(self.length.saturating_sub(calm));
            self.live(life)?;
            self.begin_anew_if_large()?;
        }
        if self.report.findings.is_empty() && !self.interrupted() {
            self.live(Life::Calm { length: calm })?;
        }
        if self.report.findings.is_empty() {
            self.close()?;
        }
        for ledger in &self.ledgers {
            self.report.add(&ledger.tally);
        }
        self.report.seconds = self.began.elapsed().as_secs();
        progress_over();
        Ok(self.report)
    }

    fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }

    fn data_dir(&self) -> PathBuf {
        self.scratch.join(format!("data-{}", self.generation))
    }

    /// The next life. Draws the same numbers whatever it is, so that the plan depends on nothing else.
    fn plan(&self, all_short: Duration) -> Life {
        let most = (all_short / LIVES_MIN).min(LIFE_MAX);
        let most_ms = u64::try_from(most.as_millis()).unwrap_or(u64::MAX).max(LIFE_MS_MIN + 1);
        let length = Duration::from_millis(LIFE_MS_MIN + pick(&self.random, most_ms - LIFE_MS_MIN));
        let killed = pick(&self.random, STOP_ONE_IN) > 0;
        let (full, backed_up) = (pick(&self.random, FULL_ONE_IN) == 0, pick(&self.random, 2) == 0);
        let at = length.mul_f64(0.1 * f64::from(u32::try_from(pick(&self.random, 10)).unwrap_or(5)));
        // The first lives write something that can be lost; then comes a disk of each kind, also in a short run.
        let nth = self.report.kills + self.report.stops;
        let early = nth < FULL_AT;
        let broken = if nth < FULL_AT + 2 { nth > FULL_AT } else { pick(&self.random, 2) == 0 };
        match ((full || nth < FULL_AT + 2) && !early && can_be_full(), broken) {
            (true, true) => return Life::Broken { length },
            (true, false) => return Life::Full { length },
            (false, _) => {}
        }
        Life::Short { length, killed: killed || early, backup: backed_up.then_some(at) }
    }

    /// One life: start, compare, load, end.
    fn live(&mut self, life: Life) -> Result<(), Failure> {
        let more: Vec<String> = match life {
            Life::Full { .. } => vec![format!("--{}", FLOOR.0.replace('_', "-")), FLOOR.1.to_owned()],
            _ => Vec::new(),
        };
        let mut server = match Server::start(&self.data_dir(), &self.log(), &more) {
            Ok(server) => server,
            Err(failure) if failure.code == exit::WRONG => {
                self.report.findings.push(failure.message);
                return Ok(());
            }
            Err(failure) => return Err(failure),
        };
        self.report.started(server.start);
        let target = server.target()?;
        self.settle(&target)?;
        self.drill_if_due(&target)?;
        if !self.report.findings.is_empty() {
            return Ok(());
        }
        let refused_before = self.refused();
        let (length, killed, backup) = match life {
            Life::Short { length, killed, backup } => (length, killed, backup),
            Life::Full { length } | Life::Broken { length } => (length, true, None),
            Life::Calm { length } => (length, false, Some(length / 2)),
        };
        let broken = matches!(life, Life::Broken { .. });
        self.ledgers.iter_mut().for_each(|ledger| ledger.nothing_grows = broken);
        let times = Times { length, backup, broken: broken.then_some(length / 2) };
        let (watch, backup) = self.load(&mut server, &target, times, killed)?;
        self.report.log_bytes_max = self.report.log_bytes_max.max(watch.log_max());
        match life {
            Life::Full { .. } => {
                self.report.full_disks += 1;
                if self.refused() == refused_before && length > LOOK_EVERY {
                    self.report.findings.push("a full disk refused nothing".into());
                }
            }
            Life::Calm { .. } => {
                if let Some(drifts) = watch.judge() {
                    (self.report.memory, self.report.descriptors) = (Some(drifts.memory), Some(drifts.descriptors));
                    self.report.findings.extend(drifts.findings);
                }
            }
            Life::Broken { .. } => self.report.broken_writes += 1,
            Life::Short { .. } => {}
        }
        if killed {
            self.report.kills += 1;
            self.lose_if_asked();
        } else {
            self.report.stops += 1;
        }
        if let Some(path) = backup {
            self.verify_backup(&path);
        }
        Ok(())
    }

    /// Clients write and ask until the life is over; then the server is ended. What was seen, and the backup made.
    fn load(
        &mut self,
        server: &mut Server,
        target: &Target,
        times: Times,
        killed: bool,
    ) -> Result<(Watch, Option<PathBuf>), Failure> {
        let common = Arc::new(Common::default());
        let clients: Vec<JoinHandle<Option<Ledger>>> = std::mem::take(&mut self.ledgers)
            .into_iter()
            .map(|ledger| {
                let random = SeededRandom::new(pick(&self.random, u64::MAX));
                let (target, common) = (target.clone(), Arc::clone(&common));
                spawn("selftest-client", move || {
                    with_client(target, move |client| work(client, ledger, random, common)).ok()
                })
            })
            .collect::<Result<_, _>>()?;
        let backup = times
            .backup
            .map(|after| {
                let (target, common) = (target.clone(), Arc::clone(&common));
                spawn("selftest-backup", move || {
                    with_client(target, move |client| back_up(client, after, common)).ok().flatten()
                })
            })
            .transpose()?;
        let watch = self.look_on(server, &common, times);
        if !killed {
            // A stop in the middle of everything: what was accepted is answered.
            let status = server.stop();
            if !status.is_some_and(|status| status.success()) {
                common.wrong.lock().push(format!("a stop ended with {status:?}, not with 0"));
            }
        }
        server.kill();
        common.over.store(true, Ordering::Release);
        for client in clients {
            let ledger = client.join().ok().flatten();
            let lost = || Failure::new(exit::SOFTWARE, "a client of the self-test broke off");
            self.ledgers.push(ledger.ok_or_else(lost)?);
        }
        let path = backup.and_then(|thread| thread.join().ok().flatten());
        self.report.findings.append(&mut common.wrong.lock());
        Ok((watch, path))
    }

    /// Looks at the server once a second until its time is over.
    fn look_on(&self, server: &mut Server, common: &Common, mut times: Times) -> Watch {
        let (began, mut watch) = (monotonic(), Watch::default());
        let (length, may_end) = (times.length, times.broken.is_some());
        loop {
            let age = began.elapsed();
            if let Some(told) = server.usage().and_then(|usage| watch.take(age, usage)) {
                common.wrong.lock().push(told);
            }
            if times.broken.is_some_and(|at| age >= at) {
                times.broken = None;
                server.stop_growth();
            }
            if let Some(status) = server.ended() {
                if may_end && status.code() == Some(i32::from(exit::IO)) {
                    return watch;
                }
                common.wrong.lock().push(format!("the server ended by itself: {status}"));
            }
            if age >= length || self.interrupted() || !common.wrong.lock().is_empty() {
                return watch;
            }
            self.progress(common);
            std::thread::park_timeout(LOOK_EVERY.min(length - age));
        }
    }

    /// Compares everything with what was acknowledged.
    fn settle(&mut self, target: &Target) -> Result<(), Failure> {
        let ledgers = std::mem::take(&mut self.ledgers);
        let compare = |client: Client| async move {
            let (mut ledgers, mut wrong) = (ledgers, Vec::new());
            for ledger in &mut ledgers {
                wrong.extend(ledger.settle(&client).await.err());
            }
            (ledgers, wrong)
        };
        let (ledgers, mut wrong) = with_client(target.clone(), compare).map_err(no_thread)?;
        self.ledgers = ledgers;
        self.report.findings.append(&mut wrong);
        Ok(())
    }

    /// Makes a backup of what nobody changes now, restores it elsewhere, and compares what is served from there.
    fn drill_if_due(&mut self, target: &Target) -> Result<(), Failure> {
        let every = DRILL_EVERY.min(self.length / 3);
        if !self.report.findings.is_empty() || self.drilled.elapsed() < every {
            return Ok(());
        }
        self.drilled = monotonic();
        let made = with_client(target.clone(), |client| async move { call_backup(&client).await });
        let path = match made.map_err(no_thread)? {
            Ok(path) => path,
            Err(reason) => {
                self.report.findings.push(format!("drill: no backup: {reason}"));
                return Ok(());
            }
        };
        let place = self.scratch.join("drill");
        let (data, secret) = (self.data_dir(), self.data_dir().join(SECRET_FILE));
        let restore = [
            OsStr::new("restore"),
            path.as_ref(),
            OsStr::new("--data-dir"),
            place.as_ref(),
            OsStr::new("--server-secret"),
            secret.as_ref(),
        ];
        if let Err(reason) = run(&restore).and_then(|()| check(&place)) {
            self.report.findings.push(format!("drill: {reason}"));
            return Ok(());
        }
        // The key of before opens the restored one as well; it is no part of a backup.
        let key = crate::app::ADMIN_KEY_FILE;
        std::fs::copy(data.join(key), place.join(key)).map_err(|e| Failure::file("copying", &place, &e))?;
        let kept = self.ledgers.clone();
        let mut restored = Server::start(&place, &self.log(), &[])?;
        let before = self.report.findings.len();
        self.settle(&restored.target()?)?;
        self.ledgers = kept;
        restored.stop();
        for finding in &mut self.report.findings[before..] {
            finding.insert_str(0, "drill: ");
        }
        self.report.drills += 1;
        if self.report.findings.is_empty() {
            remove(&place);
            remove(&path);
        }
        Ok(())
    }

    /// Reads a backup that was made under load in full, and removes it if it is good.
    fn verify_backup(&mut self, path: &Path) {
        self.report.backups += 1;
        match run(&[OsStr::new("backup"), OsStr::new("verify"), path.as_ref()]) {
            Ok(()) => {
                self.report.backups_good += 1;
                remove(path);
            }
            Err(reason) => self.report.findings.push(reason),
        }
    }

    /// The last comparison, a clean stop, and the check of everything that is on the disk.
    fn close(&mut self) -> Result<(), Failure> {
        let mut server = Server::start(&self.data_dir(), &self.log(), &[])?;
        self.settle(&server.target()?)?;
        let status = server.stop();
        if !status.is_some_and(|status| status.success()) {
            self.report.findings.push(format!("the last stop ended with {status:?}, not with 0"));
        }
        self.report.findings.extend(check(&self.data_dir()).err());
        Ok(())
    }

    /// Bounds what a long run leaves on the disk: every version of every file is kept.
    fn begin_anew_if_large(&mut self) -> Result<(), Failure> {
        if !self.report.findings.is_empty() || bytes_below(&self.data_dir()) < DATA_BYTES_MAX {
            return Ok(());
        }
        self.close()?;
        if self.report.findings.is_empty() {
            remove(&self.data_dir());
        }
        for ledger in &self.ledgers {
            self.report.add(&ledger.tally);
        }
        self.ledgers = (0..CLIENTS).map(Ledger::new).collect();
        self.generation += 1;
        Ok(())
    }

    fn lose_if_asked(&self) {
        if self.loses {
            // What is not there need not be removed.
            let _ = std::fs::remove_file(self.data_dir().join(crate::store::WAL_FILE));
        }
    }

    fn refused(&self) -> u64 {
        self.ledgers.iter().map(|ledger| ledger.tally.refused).sum()
    }

    fn log(&self) -> PathBuf {
        self.scratch.join("server.log")
    }

    fn progress(&self, common: &Common) {
        let mut err = std::io::stderr().lock();
        if !err.is_terminal() {
            return;
        }
        let (now, all) = (self.began.elapsed().as_secs(), self.length.as_secs());
        let (kills, drills, writes) = (self.report.kills, self.report.drills, common.writes.load(Ordering::Relaxed));
        // A terminal that has gone away is no reason to stop.
        let _ = write!(err, "\r{now} of {all} s: {kills} kills, {drills} drills, {writes} writes in this life\x1b[K");
    }
}

fn progress_over() {
    let mut err = std::io::stderr().lock();
    if err.is_terminal() {
        // As above.
        let _ = write!(err, "\r\x1b[K");
    }
}

fn check(data_dir: &Path) -> Result<(), String> {
    run(&[OsStr::new("check"), OsStr::new("--data-dir"), data_dir.as_ref()])
}

/// Whether this build has the setting that makes a disk full.
fn can_be_full() -> bool {
    SETTINGS.iter().any(|setting| setting.name == FLOOR.0)
}

fn remove(dir: &Path) {
    // What is left goes with the whole directory at the end.
    let _ = std::fs::remove_dir_all(dir);
}
