//! What a self-test found: a table for people, JSON for scripts.

use std::fmt::Write as _;
use std::time::Duration;

use super::ledger::Tally;
use super::watch::{Drift, log_cap};

/// A whole run, summed up.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Report {
    /// The seed that replays the plan.
    pub seed: u64,
    /// How long it ran, seconds.
    pub seconds: u64,
    /// Ends of the server by SIGKILL.
    pub kills: u64,
    /// Ends by SIGTERM.
    pub stops: u64,
    /// The longest time from a start until the server said where it listens, ms.
    pub start_ms_max: u64,
    /// What the clients did.
    #[serde(flatten)]
    pub tally: Tally,
    /// Backups that were made under load.
    pub backups: u64,
    /// Of them verified as good.
    pub backups_good: u64,
    /// Restores of a backup that held exactly what was acknowledged.
    pub drills: u64,
    /// Lives on a disk that was said to be full.
    pub full_disks: u64,
    /// Writes that broke off in the middle, because no file could grow.
    pub broken_writes: u64,
    /// The largest write-ahead log, bytes.
    pub log_bytes_max: u64,
    /// Memory over the last life, bytes.
    pub memory: Option<Drift>,
    /// Descriptors over the last life.
    pub descriptors: Option<Drift>,
    /// What is wrong; empty = passed.
    pub findings: Vec<String>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.findings.is_empty() && self.tally.acknowledged > 0
    }

    /// Adds what one client did.
    pub fn add(&mut self, tally: &Tally) {
        let sum = &mut self.tally;
        sum.acknowledged += tally.acknowledged;
        sum.compared += tally.compared;
        sum.refused += tally.refused;
        sum.unanswered_done += tally.unanswered_done;
        sum.unanswered_not_done += tally.unanswered_not_done;
    }

    /// Takes note of a start.
    pub fn started(&mut self, took: Duration) {
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.start_ms_max = self.start_ms_max.max(ms);
    }

    /// For a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(out, "  {name:<22} {value}");
        };
        let tally = &self.tally;
        line("seed", self.seed.to_string());
        line("time", format!("{} s", self.seconds));
        line("ends of the server", format!("{} killed, {} stopped", self.kills, self.stops));
        line("slowest start", format!("{} ms", self.start_ms_max));
        line("writes acknowledged", tally.acknowledged.to_string());
        line("answers compared", tally.compared.to_string());
        let (done, not) = (tally.unanswered_done, tally.unanswered_not_done);
        line("writes unanswered", format!("{} ({done} done as a whole, {not} not at all)", done + not));
        line("refused, nothing done", tally.refused.to_string());
        line("backups under load", format!("{}, {} verified", self.backups, self.backups_good));
        line("restore drills", self.drills.to_string());
        line("full disks", format!("{}, and {} times no file could grow", self.full_disks, self.broken_writes));
        line("log, at most", format!("{} KiB (may keep {})", self.log_bytes_max / 1024, log_cap() / 1024));
        let drift = |drift: Option<Drift>, unit: u64, name: &str| {
            drift.map_or_else(|| "not judged".into(), |d| format!("{} to {}{name}", d.from / unit, d.to / unit))
        };
        line("memory", drift(self.memory, 1024, " KiB in the last life"));
        line("descriptors", drift(self.descriptors, 1, " in the last life"));
        let verdict = match (self.findings.len(), tally.acknowledged) {
            (0, 0) => "FAILED: nothing was written".into(),
            (0, _) => "passed: nothing lost, nothing altered".into(),
            (found, _) => format!("FAILED: {found} finding(s)"),
        };
        line("verdict", verdict);
        for finding in &self.findings {
            let _ = writeln!(out, "  - {finding}");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_done_is_nothing_passed() {
        let mut report = Report::default();
        assert!(!report.passed() && report.to_text().contains("FAILED: nothing was written"));
        report.add(&Tally { acknowledged: 1, ..Tally::default() });
        assert!(report.passed() && report.to_text().contains("passed"));
        report.findings.push("LOST /a".into());
        assert!(!report.passed() && report.to_text().contains("- LOST /a"), "{}", report.to_text());
    }
}
