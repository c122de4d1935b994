//! The published comparison, run again: the same program on one engine after the other, the same load, every body
//! checked, side by side.
//!
//! Owns the order of a run and what it starts. Invariants: every server is this very program as a child, so that memory
//! and log are its own; only directories, clusters and databases that were empty are written to; nothing that it made is
//! left behind, and nothing of the user's is ever dropped.

pub mod cluster;
pub mod engine;
pub mod interrupt;
pub mod keeper;
pub mod memory;
pub mod mixed;
pub mod report;
pub mod table;

use std::io::Write as _;
use std::path::PathBuf;

use self::engine::{Kind, Place};
use self::interrupt::Interrupt;
use self::keeper::Keeper;
use self::report::{Comparison, EngineReport};
use super::demo::provision;
use super::load::machine;
use super::running::runtime;
use super::selftest::server::Server;
use super::waves::client::Target;
use super::waves::{self, Load};
use super::{Failure, exit};
use crate::config::Secret;
use crate::model::time::iso_utc;
use crate::model::{Clock as _, SystemClock};

/// What to compare, and how.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The engines, in order.
    pub engines: Vec<Kind>,
    /// An empty PostgreSQL database; without it a private cluster is made.
    pub database_url: Option<Secret>,
    /// Where PostgreSQL's programs are; without it they are looked for.
    pub postgres_bin: Option<PathBuf>,
    /// How often the seven waves are run.
    pub rounds: usize,
    /// How many times as wide.
    pub scale: usize,
    /// How long the mixed load lasts, seconds.
    pub seconds: f64,
}

impl Plan {
    /// Runs it.
    pub fn run(&self) -> Result<Comparison, Failure> {
        // Before anything is made: what this build cannot do.
        self.engines.iter().try_for_each(|kind| kind.check_built())?;
        let interrupt = Interrupt::listen()?;
        let load_average_before = machine::load_average();
        let mut engines = Vec::with_capacity(self.engines.len());
        for kind in &self.engines {
            let place = Place::prepare(*kind, self, &interrupt)?;
            engines.push(self.run_on(&place, &interrupt)?);
        }
        Ok(Comparison {
            at: iso_utc(SystemClock.now_us()),
            version: env!("CARGO_PKG_VERSION"),
            optimised: !cfg!(debug_assertions),
            machine: machine::facts(),
            load_average_before,
            load_average_after: machine::load_average(),
            rounds: self.rounds,
            scale: self.scale,
            seconds: self.seconds,
            engines,
        })
    }

    /// One engine from its demo data to the verdict on the last answer.
    fn run_on(&self, place: &Place, interrupt: &Interrupt) -> Result<EngineReport, Failure> {
        let say = |what: &str| say(place, what);
        say("making the demo's data");
        let key = engine::admin_key();
        let runtime = runtime()?;
        let made = runtime.block_on(provision::provision(place.config(), &key))?;
        interrupt.check()?;

        let log = place.path().join("server.log");
        let mut server = Server::start_with(&place.data_dir(), &log, &place.arguments(), &place.environment())?;
        let _keeper = Keeper::start(server.pid(), "KILL", place.path())?;
        let watch = place.watch_memory()?;
        say("the seven waves");
        let target = Target { url: server.url().to_owned(), key };
        let load = Load {
            target: target.clone(),
            expect: Some(made.expect),
            rounds: self.rounds,
            scale: self.scale,
            serial: false,
        };
        let waves = waves::run_until(load, interrupt.flag());
        interrupt.check()?;
        let waves = waves?;
        say("the mixed load");
        let ran = mixed::run(&target, self.seconds, interrupt)?;
        interrupt.check()?;

        let memory = machine::peak_memory(server.pid());
        let database_memory = watch.and_then(memory::Watch::stop);
        let stopped = server.stop();
        say("checking every answer against its revision");
        let (mixed, status) = runtime.block_on(mixed::verify(&ran, place.config()))?;
        let log_errors = report::errors_in(&std::fs::read_to_string(&log).unwrap_or_default());
        Ok(EngineReport {
            engine: place.kind().name(),
            version: place.version(&status),
            place: place.describe(),
            waves,
            mixed,
            log_errors,
            memory,
            database_memory,
            stopped_cleanly: stopped.is_some_and(|status| status.success()),
        })
    }
}

/// Says on standard error what is going on: standard output is for the tables.
fn say(place: &Place, what: &str) {
    // Nobody has to read along.
    let _ = writeln!(std::io::stderr().lock(), "{}: {what}", place.kind().name());
}

/// The load could not be run, which is not a wrong answer.
fn unavailable(why: impl std::fmt::Display) -> Failure {
    Failure::new(exit::UNAVAILABLE, why.to_string())
}
