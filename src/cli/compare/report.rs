//! What a comparison has shown, engine by engine, and whether it holds.
//!
//! Every figure is counted from the run. Invariant: it has passed only if every engine gave every answer right, its
//! server logged no error, `/health` answered each time, and it stopped as it should.

use serde::Serialize;
use serde_json::Value;

use super::super::waves::report::Report;
use super::mixed::Mixed;

/// Errors of a log that are shown.
const ERRORS_SHOWN: usize = 5;

/// A whole comparison.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// When it ended, UTC.
    pub at: String,
    /// Of this program.
    pub version: &'static str,
    /// Whether this is an optimised build: the times of another say nothing.
    pub optimised: bool,
    /// Processor, cores, memory.
    pub machine: String,
    /// Of the last 1, 5 and 15 minutes.
    pub load_average_before: String,
    /// The same.
    pub load_average_after: String,
    /// How often the seven waves were run.
    pub rounds: usize,
    /// How many times as wide.
    pub scale: usize,
    /// How long the mixed load was to last, seconds.
    pub seconds: f64,
    /// One after the other.
    pub engines: Vec<EngineReport>,
}

/// What one engine has shown.
#[derive(Debug, Clone, Serialize)]
pub struct EngineReport {
    /// `SQLite` or `PostgreSQL`.
    pub engine: &'static str,
    /// With its version.
    pub version: String,
    /// Where its data was.
    pub place: &'static str,
    /// The seven waves.
    pub waves: Report,
    /// The mixed load.
    pub mixed: Mixed,
    /// The server's log.
    pub log_errors: LogErrors,
    /// The most memory that the server had, bytes.
    pub memory: Option<u64>,
    /// The most memory that the processes of a database server of our own had together, bytes.
    pub database_memory: Option<u64>,
    /// Whether the server ended with 0 when it was asked to.
    pub stopped_cleanly: bool,
}

/// Lines at error level, and lines that are no log lines at all (a panic).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LogErrors {
    /// How many.
    pub count: usize,
    /// The first ones.
    pub first: Vec<String>,
}

/// Counts the errors in a log of JSON lines.
#[must_use]
pub fn errors_in(log: &str) -> LogErrors {
    let is_error = |line: &&str| match serde_json::from_str::<Value>(line) {
        Ok(event) => event["level"].as_str().is_none_or(|level| level == "ERROR"),
        Err(_) => !line.trim().is_empty(),
    };
    let lines: Vec<&str> = log.lines().filter(is_error).collect();
    LogErrors { count: lines.len(), first: lines.iter().take(ERRORS_SHOWN).map(|line| (*line).to_owned()).collect() }
}

impl Comparison {
    /// Whether all engines have passed, and there was one.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.engines.is_empty() && self.engines.iter().all(EngineReport::passed)
    }

    /// `SQLite 100 %, PostgreSQL 100 %`: of everything that was sent to each.
    #[must_use]
    pub fn right_answers(&self) -> String {
        let share = |e: &EngineReport| format!("{} {}", e.engine, percent(e.right(), e.operations()));
        self.engines.iter().map(share).collect::<Vec<_>>().join(", ")
    }
}

impl EngineReport {
    /// Everything that was sent.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.waves.operations + self.mixed.operations
    }

    /// What was answered right.
    #[must_use]
    pub fn right(&self) -> usize {
        self.waves.right + self.mixed.right
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.findings().is_empty()
    }

    /// What is wrong, in words.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        let mut found = Vec::new();
        if !self.waves.passed() {
            found.push(format!("seven waves: {} of {} right", self.waves.right, self.waves.operations));
            found.extend(self.waves.reasons.iter().take(ERRORS_SHOWN).map(|(count, why)| format!("{count} x {why}")));
        }
        if !self.mixed.passed() {
            let busy = self.mixed.busy;
            let text = format!("mixed load: {} of {} right, {busy} refused", self.mixed.right, self.mixed.operations);
            found.push(text);
            found.extend(self.mixed.reasons.iter().take(ERRORS_SHOWN).cloned());
        }
        let failed = self.waves.health_failed + self.mixed.health_failed;
        if failed > 0 {
            found.push(format!("/health failed {failed} times"));
        }
        if self.log_errors.count > 0 {
            found.push(format!("errors in the server's log: {}", self.log_errors.count));
            found.extend(self.log_errors.first.iter().cloned());
        }
        if !self.stopped_cleanly {
            found.push("the server did not stop as it should".to_owned());
        }
        found
    }
}

/// `100 %` only for all of them; what is below is never rounded up to it.
#[must_use]
pub fn percent(right: usize, of: usize) -> String {
    match (right * 1000).checked_div(of) {
        None => "nothing".to_owned(),
        Some(1000) => "100 %".to_owned(),
        Some(tenths) => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_one_is_not_all() {
        assert_eq!(percent(12_000, 12_000), "100 %");
        assert_eq!(percent(11_999, 12_000), "99.9 %");
        assert_eq!(percent(12, 35), "34.2 %");
        assert_eq!((percent(0, 7).as_str(), percent(0, 0).as_str()), ("0.0 %", "nothing"));
    }

    #[test]
    fn errors_and_panics_are_counted_and_warnings_are_not() {
        let log = "{\"level\":\"WARN\",\"message\":\"ERROR is a word\"}\n\
            {\"level\":\"ERROR\",\"message\":\"database is locked\"}\n\nthread 'writer' panicked at src/x.rs:1:1\n";
        let errors = errors_in(log);
        assert_eq!(errors.count, 2, "{errors:?}");
        assert!(errors.first[0].contains("locked") && errors.first[1].contains("panicked"));
        assert_eq!(errors_in(""), LogErrors::default());
    }
}
