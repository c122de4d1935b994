//! `doctor`: what is the matter with a data directory, its settings and this program, and what to do about each thing.
//!
//! Changes nothing, whether a server runs there or not. Owns the wording; what is looked at lies in `store::inspect`.

mod database;
mod directory;
mod safety;
mod sandboxes;

use std::io::{IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::running::runtime;
use super::scratch::Scratch;
use super::settings::Settings;
use super::{Failure, exit, print};
use crate::config::Config;
use crate::model::time::monotonic;
use crate::model::{Clock as _, SystemClock};
use crate::store::inspect::{Inspector, State};
use crate::store::scrub::{Progress, Scrubbed};

/// How often progress is shown.
const SHOWN_EVERY: Duration = Duration::from_millis(500);

/// Says what is the matter: settings, data directory, lock, database, keys, backups. Changes nothing, and may be used
/// while a server runs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Doctor {
    #[command(flatten)]
    settings: Settings,
    /// Read every body and check every rule as well. Takes as long as the store is large; Ctrl-C ends it.
    #[arg(long)]
    scrub: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

const EXIT_CODES: &str = "Exit codes:
  0    nothing worse than a note
  1    at least one warning: it works, and something should be done
  2    at least one failure: damaged, unusable, or refused by serve
  130  ended by Ctrl-C before the scrub was done";

/// How bad it is; the worst one is the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// It works, and something should be done.
    Warning,
    /// It does not work, or data is damaged.
    Failure,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Failure => "FAILURE",
        }
    }

    fn exit_code(self) -> u8 {
        match self {
            Self::Ok | Self::Note => exit::OK,
            Self::Warning => exit::WRONG,
            Self::Failure => exit::FAILED,
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// How bad it is.
    pub level: Level,
    /// What it is about.
    pub topic: &'static str,
    /// What was found.
    pub what: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// The findings so far.
#[derive(Debug, Default)]
pub struct Lines(Vec<Line>);

impl Lines {
    fn add(&mut self, level: Level, topic: &'static str, what: impl Into<String>) -> &mut Line {
        self.0.push(Line { level, topic, what: what.into(), remedy: None });
        self.0.last_mut().expect("one was pushed")
    }

    fn ok(&mut self, topic: &'static str, what: impl Into<String>) {
        self.add(Level::Ok, topic, what);
    }

    fn note(&mut self, topic: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(Level::Note, topic, what).remedy = Some(remedy.into());
    }

    fn warn(&mut self, topic: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(Level::Warning, topic, what).remedy = Some(remedy.into());
    }

    fn fail(&mut self, topic: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(Level::Failure, topic, what).remedy = Some(remedy.into());
    }

    fn verdict(&self) -> Level {
        self.0.iter().map(|line| line.level).max().unwrap_or(Level::Ok)
    }

    fn worded(&self) -> String {
        let word = |line: &Line| {
            let remedy = line.remedy.iter().map(|remedy| format!("{:20}-> {remedy}\n", "")).collect::<String>();
            format!("{:<8} {:<10} {}\n{remedy}", line.level.word(), line.topic, line.what)
        };
        self.0.iter().map(word).collect()
    }
}

impl Doctor {
    /// Runs; the exit code says the worst that was found.
    pub fn run(self) -> Result<u8, Failure> {
        let config = self.settings.load()?;
        let scratch = Scratch::new("nexus-lite-doctor")?;
        let inspector = Inspector::new(&config.data_dir, scratch.path());
        let found = inspector.inspect(SystemClock.now_us());
        let mut lines = Lines::default();
        database::program(&mut lines);
        safety::settings(&config, &mut lines);
        directory::look(&config, &found, &mut lines);
        sandboxes::look(&config, scratch.path(), &mut lines);
        database::look(&found, &mut lines);
        let scrubbed = match &found.state {
            State::Readable(_) if self.scrub => Some(scrub(inspector)?),
            _ => None,
        };
        if let Some(scrubbed) = &scrubbed {
            database::scrubbed(scrubbed, &mut lines);
        }
        let verdict = lines.verdict();
        let text = if self.json {
            let report = json!({"verdict": verdict, "lines": lines.0, "found": found, "scrub": scrubbed});
            format!("{}\n", serde_json::to_string_pretty(&report).expect("JSON values serialise"))
        } else {
            format!("{}{}: {}\n", lines.worded(), config.data_dir.display(), verdict.word())
        };
        print(&text)?;
        let interrupted = scrubbed.is_some_and(|scrubbed| scrubbed.interrupted);
        Ok(if interrupted { exit::INTERRUPTED } else { verdict.exit_code() })
    }
}

/// Runs the scrub on a thread of its own; the first Ctrl-C ends it after the body that is being read, the second one
/// ends the process.
fn scrub(inspector: Inspector) -> Result<Scrubbed, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&stop);
    let runtime = runtime()?;
    let scrubbed = runtime.block_on(async move {
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                if heard.swap(true, Ordering::AcqRel) {
                    crate::telemetry::log::flush();
                    std::process::exit(i32::from(exit::INTERRUPTED));
                }
            }
        });
        let work = move || {
            let mut shown = Shown::new();
            let scrubbed = inspector.scrub(&mut |progress| {
                shown.show(progress);
                if stop.load(Ordering::Acquire) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            shown.clear();
            scrubbed
        };
        tokio::task::spawn_blocking(work).await
    });
    let scrubbed = scrubbed.map_err(|e| Failure::new(exit::SOFTWARE, format!("the scrub failed: {e}")))?;
    Ok(scrubbed?)
}

/// The line of progress, where somebody looks.
struct Shown {
    terminal: bool,
    last: Option<std::time::Instant>,
}

impl Shown {
    fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), last: None }
    }

    fn show(&mut self, progress: Progress) {
        let due = self.last.is_none_or(|last| last.elapsed() >= SHOWN_EVERY);
        if !self.terminal || !due {
            return;
        }
        self.last = Some(monotonic());
        let Progress { step, done, all } = progress;
        let mib = |bytes: u64| bytes >> 20;
        // Progress that cannot be shown is no reason to stop.
        let _ = write!(
            std::io::stderr().lock(),
            "\r\x1b[Kreading {step}: {} of {} bodies, {} of {} MiB",
            done.count,
            all.count,
            mib(done.bytes),
            mib(all.bytes)
        );
    }

    fn clear(&self) {
        if self.terminal && self.last.is_some() {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// The remedy for anything that only a backup mends.
fn restore(config_dir: &std::path::Path) -> String {
    format!(
        "restore a backup: nexus-lite restore BACKUP --data-dir {}; the present directory is kept beside it",
        config_dir.display()
    )
}

/// What a setting is when nobody serves by it.
#[must_use]
fn refused(config: &Config) -> Option<String> {
    config.check_serving().err().map(|error| error.to_string())
}
