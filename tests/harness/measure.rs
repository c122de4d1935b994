//! What a benchmark prints beside its result, so that a reader can judge it: percentiles, CPU time, load average.

use std::time::Duration;

/// Ticks of `/proc/self/stat` in a second; Linux has had 100 on every machine since 2.6.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time of this process so far, all threads and those that have ended, in seconds.
pub(crate) fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The command's name may hold spaces; what follows its closing bracket does not.
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = |at: usize| after.split_whitespace().nth(at).and_then(|v| v.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / TICKS_PER_SECOND
}

/// The load average of the last minutes.
pub(crate) fn load_average() -> String {
    nexus_lite::cli::load::machine::load_average()
}

/// The largest resident set of this process, MiB.
pub(crate) fn peak_rss_mib() -> u64 {
    nexus_lite::cli::load::machine::peak_memory(std::process::id()).unwrap_or(0) >> 20
}

/// The value below which `share` (0 to 1) of the sorted `values` lie.
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> Duration {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index into a slice in memory")]
    let at = ((sorted.len() as f64) * share).ceil() as usize;
    sorted.get(at.saturating_sub(1).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// The middle one; of an even number the upper of the two.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A duration as people compare it: `812 µs`, `4.21 ms`, `3.40 s`.
pub(crate) fn short(duration: Duration) -> String {
    match duration.as_micros() {
        us @ 0..1000 => format!("{us} µs"),
        us @ 1000..1_000_000 => format!("{:.2} ms", us as f64 / 1e3),
        us => format!("{:.2} s", us as f64 / 1e6),
    }
}
