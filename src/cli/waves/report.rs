//! What a run has shown: per wave and per operation, as a table, as Markdown, as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::client::Health;
use super::judge::Verdict;
use super::plan::Operation;

/// Reasons of misses that are printed; the rest is counted.
const REASONS_SHOWN: usize = 10;

/// One operation of the load and what became of it.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What was sent.
    pub operation: Operation,
    /// How long it took.
    pub took: Duration,
    /// Whether the body was right.
    pub verdict: Verdict,
}

/// One line: the operations of one wave that ask the same, or all operations of one endpoint.
#[derive(Debug, Clone, Serialize, PartialEq)]
pub struct Line {
    /// 1 to 7; absent where all waves are taken together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wave: Option<usize>,
    /// Method and path, or the method alone.
    pub operation: String,
    /// How often it was sent.
    pub operations: usize,
    /// How often the whole body was right.
    pub right: usize,
    /// The median, ms.
    pub p50_ms: f64,
    /// The 99th percentile, ms.
    pub p99_ms: f64,
    /// `right` or `WRONG`.
    pub verdict: &'static str,
}

/// A whole run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The server.
    pub target: String,
    /// Where the right bodies come from.
    pub expectations: String,
    /// How often the seven waves were run.
    pub rounds: usize,
    /// How many times as wide.
    pub scale: usize,
    /// From the first request to the last answer, seconds.
    pub seconds: f64,
    /// Operations sent.
    pub operations: usize,
    /// Of them right.
    pub right: usize,
    /// By wave and operation.
    pub waves: Vec<Line>,
    /// By endpoint.
    pub endpoints: Vec<Line>,
    /// The longest answer of `/health` meanwhile, ms.
    pub health_worst_ms: f64,
    /// How often `/health` was asked.
    pub health_polls: usize,
    /// How often it did not answer 200.
    pub health_failed: usize,
    /// What was wrong, each reason once with its count, most frequent first.
    pub reasons: Vec<(usize, String)>,
}

impl Report {
    /// Sums up a run: the server, where the right bodies come from, rounds, scale, what was sent, and what `/health`
    /// did meanwhile and how long it all took.
    #[must_use]
    pub fn new(
        target: String,
        expectations: String,
        rounds: usize,
        scale: usize,
        samples: &[Sample],
        seen: (Health, Duration),
    ) -> Self {
        let (health, took) = seen;
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        for sample in samples {
            if let Err(reason) = &sample.verdict {
                *reasons.entry(format!("{}: {reason}", sample.operation.name())).or_default() += 1;
            }
        }
        let mut reasons: Vec<(usize, String)> = reasons.into_iter().map(|(reason, count)| (count, reason)).collect();
        reasons.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        Self {
            target,
            expectations,
            rounds,
            scale,
            seconds: took.as_secs_f64(),
            operations: samples.len(),
            right: samples.iter().filter(|s| s.verdict.is_ok()).count(),
            waves: lines(samples, |s| (Some(s.operation.wave), s.operation.name())),
            endpoints: lines(samples, |s| (None, s.operation.method.to_owned())),
            health_worst_ms: millis(health.worst),
            health_polls: health.polls,
            health_failed: health.failed,
            reasons,
        }
    }

    /// Whether every body was right.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.operations > 0 && self.right == self.operations
    }

    /// For a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = format!(
            "seven waves against {}: {} round(s), {} x wide\nright bodies from {}\n\n",
            self.target, self.rounds, self.scale, self.expectations
        );
        for (title, lines) in [("wave", &self.waves), ("", &self.endpoints)] {
            let width = lines.iter().map(|l| l.operation.chars().count()).max().unwrap_or(0).max(9);
            let _ = writeln!(
                out,
                "{title:>4}  {:width$}  {:>5} {:>5} {:>9} {:>9}  verdict",
                "operation", "sent", "right", "p50 ms", "p99 ms"
            );
            for l in lines {
                let wave = l.wave.map_or_else(String::new, |wave| wave.to_string());
                let (name, sent, right, p50, p99) = (&l.operation, l.operations, l.right, l.p50_ms, l.p99_ms);
                let _ = writeln!(
                    out,
                    "{wave:>4}  {name:width$}  {sent:>5} {right:>5} {p50:>9.2} {p99:>9.2}  {}",
                    l.verdict
                );
            }
            out.push('\n');
        }
        let _ = writeln!(
            out,
            "/health meanwhile: worst {:.2} ms of {} polls, {} failed",
            self.health_worst_ms, self.health_polls, self.health_failed
        );
        for (count, reason) in self.reasons.iter().take(REASONS_SHOWN) {
            let _ = writeln!(out, "{count} x {reason}");
        }
        if self.reasons.len() > REASONS_SHOWN {
            let _ = writeln!(out, "and {} other reasons", self.reasons.len() - REASONS_SHOWN);
        }
        let verdict = if self.passed() { "every body is right" } else { "FAILED" };
        let _ = writeln!(out, "{} of {} right: {verdict}", self.right, self.operations);
        out
    }

    /// For a README.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut out = String::from(
            "| wave | operation | sent | right | p50 ms | p99 ms | verdict |\n|---|---|---|---|---|---|---|\n",
        );
        for l in &self.waves {
            let _ = writeln!(
                out,
                "| {} | `{}` | {} | {} | {:.2} | {:.2} | {} |",
                l.wave.unwrap_or_default(),
                l.operation,
                l.operations,
                l.right,
                l.p50_ms,
                l.p99_ms,
                l.verdict
            );
        }
        let _ = writeln!(
            out,
            "\n{} round(s), {} x wide: **{} of {} right**; right bodies from {}; worst `/health` meanwhile {:.2} ms.",
            self.rounds, self.scale, self.right, self.operations, self.expectations, self.health_worst_ms
        );
        out
    }
}

fn lines(samples: &[Sample], key: impl Fn(&Sample) -> (Option<usize>, String)) -> Vec<Line> {
    type Group<'s> = ((Option<usize>, String), Vec<&'s Sample>);
    let mut groups: Vec<Group<'_>> = Vec::new();
    for sample in samples {
        let key = key(sample);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, group)) => group.push(sample),
            None => groups.push((key, vec![sample])),
        }
    }
    // Rounds repeat the waves: back into their order.
    groups.sort_by_key(|((wave, _), _)| *wave);
    groups.into_iter().map(|((wave, operation), group)| line(wave, operation, &group)).collect()
}

fn line(wave: Option<usize>, operation: String, group: &[&Sample]) -> Line {
    let times = group.iter().map(|s| s.took).collect();
    timed(wave, operation, times, group.iter().filter(|s| s.verdict.is_ok()).count())
}

/// A line about operations that took `times`, of which `right` were right.
#[must_use]
pub fn timed(wave: Option<usize>, operation: String, mut times: Vec<Duration>, right: usize) -> Line {
    times.sort_unstable();
    Line {
        wave,
        operation,
        operations: times.len(),
        right,
        p50_ms: millis(percentile(&times, 50)),
        p99_ms: millis(percentile(&times, 99)),
        verdict: if right == times.len() { "right" } else { "WRONG" },
    }
}

/// The nearest rank in sorted times.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// In milliseconds.
#[must_use]
pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::super::plan::operations;
    use super::*;

    fn samples(miss: Option<usize>) -> Vec<Sample> {
        let sample = |(at, operation)| Sample {
            operation,
            took: Duration::from_millis(at as u64 + 1),
            verdict: if Some(at) == miss { Err("short".into()) } else { Ok(()) },
        };
        operations().into_iter().enumerate().map(sample).collect()
    }

    #[test]
    fn one_miss_fails_the_run_and_is_named() {
        let seen = (Health::default(), Duration::ZERO);
        let good = Report::new("t".into(), "e".into(), 1, 1, &samples(None), seen);
        assert!(good.passed() && good.to_text().contains("30 of 30 right: every body is right"), "{}", good.to_text());
        let bad = Report::new("t".into(), "e".into(), 1, 1, &samples(Some(29)), seen);
        let text = bad.to_text();
        assert!(
            !bad.passed() && text.contains("29 of 30 right: FAILED") && text.contains("skills_list: short"),
            "{text}"
        );
        assert!(bad.to_markdown().contains("29 of 30"));
        let wrong: Vec<_> = bad.waves.iter().filter(|l| l.verdict == "WRONG").collect();
        assert_eq!((wrong.len(), wrong[0].wave, wrong[0].right), (1, Some(7), 9));
        assert!(!Report::new("t".into(), "e".into(), 0, 1, &[], seen).passed());
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Duration::from_millis(50));
        assert_eq!(percentile(&times, 99), Duration::from_millis(99));
        assert_eq!(percentile(&times[..1], 99), Duration::from_millis(1));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }
}
