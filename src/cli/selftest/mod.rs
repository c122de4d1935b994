//! `selftest`: this machine, this disk and this program, tried together: writes, kills, restarts, backups, restores.
//!
//! Owns the command and its directory. Invariant: only servers and directories that it made itself are touched; what
//! was acknowledged is known outside of the server, and compared after every start.

pub mod ledger;
pub mod report;
pub mod server;
pub mod soak;
pub mod threads;
pub mod watch;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use self::soak::Soak;
use super::scratch::Scratch;
use super::{Failure, exit, print};
use crate::model::{OsRandom, RandomSource as _};

/// Tries servers of its own with kills and restarts, and proves that nothing acknowledged is lost. Touches no other
/// data.
#[derive(Debug, clap::Args)]
pub struct Selftest {
    /// How long, in minutes, e.g. 20 or 0.5; without it some seconds.
    #[arg(long, value_name = "MINUTES", value_parser = minutes)]
    soak: Option<f64>,
    /// Replays the plan of a run that printed this number.
    #[arg(long)]
    seed: Option<u64>,
    /// Where to make its directory: on the disk that is to be tried. By default the system's temporary directory.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Throw the write-ahead log away after a kill: a server that loses what it acknowledged.
    #[cfg(feature = "faults")]
    #[arg(long, hide = true)]
    lose: bool,
}

/// Without `--soak`.
const QUICK: Duration = Duration::from_secs(12);
/// The longest run, minutes: a week.
const MINUTES_MAX: f64 = 7.0 * 24.0 * 60.0;

fn minutes(text: &str) -> Result<f64, String> {
    let given = text.parse::<f64>().ok().filter(|minutes| *minutes > 0.0 && *minutes <= MINUTES_MAX);
    given.ok_or_else(|| format!("a number of minutes over 0, at most {MINUTES_MAX}"))
}

impl Selftest {
    /// Runs; the exit code is 1 if anything was lost, altered, or grew without end.
    pub fn run(self) -> Result<u8, Failure> {
        let seed = self.seed.unwrap_or_else(|| {
            let mut bytes = [0; 8];
            OsRandom.fill(&mut bytes);
            u64::from_le_bytes(bytes)
        });
        // First of all: a run that dies can be replayed.
        if self.json {
            // Standard output is one JSON document.
            let _ = writeln!(std::io::stderr().lock(), "seed {seed}");
        } else {
            print(&format!("seed {seed}\n"))?;
        }
        let scratch = match &self.dir {
            Some(dir) => Scratch::below(dir, "nexus-lite-selftest")?,
            None => Scratch::new("nexus-lite-selftest")?,
        };
        let length = self.soak.map_or(QUICK, |minutes| Duration::from_secs_f64(minutes * 60.0));
        let report = Soak::new(seed, length, scratch.path().to_owned(), self.loses()).run()?;
        if self.json {
            print(&format!("{}\n", serde_json::to_string_pretty(&report).expect("texts and numbers serialise")))?;
        } else {
            print(&report.to_text())?;
        }
        if report.passed() {
            return Ok(exit::OK);
        }
        let kept = scratch.keep();
        // Whoever reads the exit code knows that there is something to look at.
        let _ = writeln!(std::io::stderr().lock(), "kept for a look: {}", kept.display());
        Ok(exit::WRONG)
    }

    #[cfg(feature = "faults")]
    fn loses(&self) -> bool {
        self.lose
    }

    #[cfg(not(feature = "faults"))]
    #[expect(clippy::unused_self, reason = "the other build asks a flag")]
    fn loses(&self) -> bool {
        false
    }
}
