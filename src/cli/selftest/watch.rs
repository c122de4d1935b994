//! Whether a server that runs for long stays as large as it was: memory, descriptors, write-ahead log.
//!
//! Owns the samples and the thresholds. Memory and descriptors are judged over one life without kills, by medians, so
//! that a single sample decides nothing.

use std::time::Duration;

use super::server::Usage;
use crate::store::Limits;

/// What the memory may grow by in an hour, as a share.
const MEMORY_GROWTH_AN_HOUR: f64 = 0.10;
/// What it may grow by in any case, bytes: caches fill up, and a short run sees little else.
const MEMORY_SLACK: u64 = 32 << 20;
/// What descriptors may grow by.
const DESCRIPTORS_SLACK: u64 = 8;
/// The share of a life that is warming up and not judged.
const WARM_UP: f64 = 0.15;
/// The log may be this many times as large as the writer wants it, for a while.
const LOG_FACTOR: u64 = 4;
/// How long that while may be.
const LOG_PATIENCE: Duration = Duration::from_secs(10);
/// Fewer samples than this say nothing.
const SAMPLES_MIN: usize = 6;

/// What was seen of one server.
#[derive(Debug, Default)]
pub struct Watch {
    samples: Vec<(Duration, Usage)>,
    large_since: Option<Duration>,
}

/// From where to where something went: medians of the first and of the last third.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Drift {
    /// At the beginning.
    pub from: u64,
    /// At the end.
    pub to: u64,
}

/// What one life showed.
#[derive(Debug, Clone, Default)]
pub struct Drifts {
    /// Memory, bytes.
    pub memory: Drift,
    /// Descriptors.
    pub descriptors: Drift,
    /// What grew too much, in words.
    pub findings: Vec<String>,
}

impl Watch {
    /// Takes a sample at `age` of the server; what is wrong with the log by then, in words.
    pub fn take(&mut self, age: Duration, usage: Usage) -> Option<String> {
        self.samples.push((age, usage));
        let cap = log_cap();
        if usage.log <= cap {
            self.large_since = None;
            return None;
        }
        let since = *self.large_since.get_or_insert(age);
        let for_long = age.saturating_sub(since) > LOG_PATIENCE;
        for_long.then(|| format!("the log is over {cap} bytes for {} s: {} bytes", LOG_PATIENCE.as_secs(), usage.log))
    }

    /// The largest log, bytes.
    #[must_use]
    pub fn log_max(&self) -> u64 {
        self.samples.iter().map(|(_, usage)| usage.log).max().unwrap_or_default()
    }

    /// Judges the whole life; `None` if it was too short, or the system says nothing.
    #[must_use]
    pub fn judge(&self) -> Option<Drifts> {
        let whole = self.samples.last()?.0;
        let warm: Vec<_> =
            self.samples.iter().filter(|(age, _)| age.as_secs_f64() >= whole.as_secs_f64() * WARM_UP).collect();
        if warm.len() < SAMPLES_MIN {
            return None;
        }
        let third = warm.len() / 3;
        let (first, last) = (&warm[..third], &warm[warm.len() - third..]);
        let drift = |of: fn(&Usage) -> u64| Drift {
            from: median(first.iter().map(|(_, usage)| of(usage))),
            to: median(last.iter().map(|(_, usage)| of(usage))),
        };
        let mut drifts =
            Drifts { memory: drift(|u| u.memory), descriptors: drift(|u| u.descriptors), ..Drifts::default() };
        let hours = (last[0].0.saturating_sub(first[0].0)).as_secs_f64() / 3600.0;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an allowance"
        )]
        let share = (drifts.memory.from as f64 * MEMORY_GROWTH_AN_HOUR * hours) as u64;
        for (what, drift, allowed) in [
            ("memory, bytes", drifts.memory, share.max(MEMORY_SLACK)),
            ("descriptors", drifts.descriptors, DESCRIPTORS_SLACK),
        ] {
            if drift.to > drift.from + allowed {
                let text =
                    format!("{what}: from {} to {} in one life, {allowed} more are allowed", drift.from, drift.to);
                drifts.findings.push(text);
            }
        }
        Some(drifts)
    }
}

/// The size that the log must not keep, bytes.
#[must_use]
pub fn log_cap() -> u64 {
    Limits::default().checkpoint_bytes * LOG_FACTOR
}

fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(usage: impl Fn(u64) -> Usage) -> Watch {
        let mut watch = Watch::default();
        for second in 0..60 {
            watch.take(Duration::from_secs(second), usage(second));
        }
        watch
    }

    #[test]
    fn steady_is_fine_and_growth_is_told() {
        let steady = |second| Usage { memory: (50 << 20) + (second % 7) * 4096, descriptors: 40, log: 1 << 20 };
        assert!(watched(steady).judge().expect("enough samples").findings.is_empty());
        // Warming up is no growth.
        let warming = |second| Usage { memory: if second < 8 { 10 << 20 } else { 90 << 20 }, descriptors: 40, log: 0 };
        assert!(watched(warming).judge().expect("enough samples").findings.is_empty());
        let leaking = |second| Usage { memory: (50 << 20) + second * (2 << 20), descriptors: 40 + second, log: 0 };
        let told = watched(leaking).judge().expect("enough samples").findings;
        assert!(told.len() == 2 && told[0].contains("memory") && told[1].contains("descriptors"), "{told:?}");
        assert!(Watch::default().judge().is_none());
    }

    #[test]
    fn a_log_may_be_large_for_a_while_only() {
        let mut watch = Watch::default();
        let large = Usage { memory: 1, descriptors: 1, log: log_cap() + 1 };
        let at = Duration::from_secs;
        assert_eq!((watch.take(at(1), large), watch.take(at(11), large)), (None, None));
        assert!(watch.take(at(12), large).is_some_and(|told| told.contains("for 10 s")));
        assert_eq!(watch.take(at(13), Usage { log: 0, ..large }), None);
        assert_eq!((watch.take(at(14), large), watch.log_max()), (None, log_cap() + 1));
    }
}
