//! Prints what was measured beside what was promised.

use std::io::Write as _;
use std::time::Duration;

use nexus_lite::model::time::monotonic;

use crate::measure::{load_average, median, percentile};

/// CPU time of this thread so far.
pub(crate) fn thread_cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// What some operations took, added up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Took {
    /// CPU per operation of each part that was added, µs.
    parts: Vec<f64>,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    pub(crate) operations: u64,
}

impl Took {
    /// Runs `work`, which does `operations`, and adds what it took.
    pub(crate) fn add(&mut self, operations: u64, work: impl FnOnce()) {
        let (wall, cpu) = (monotonic(), thread_cpu());
        work();
        let cpu = thread_cpu() - cpu;
        self.cpu += cpu;
        self.parts.push(cpu.as_secs_f64() * 1e6 / operations.max(1) as f64);
        self.wall += monotonic() - wall;
        self.operations += operations;
    }

    /// Adds what other operations took.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.parts.extend(&other.parts);
        self.wall += other.wall;
        self.cpu += other.cpu;
        self.operations += other.operations;
    }

    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.operations.max(1) as f64
    }

    /// CPU per operation, µs, in the part in the middle: what others take from the caches in between counts less.
    pub(crate) fn median_us(&self) -> f64 {
        median(&self.parts)
    }

    pub(crate) fn wall_us(&self) -> f64 {
        self.wall.as_secs_f64() * 1e6 / self.operations.max(1) as f64
    }
}

/// Where the lines go.
pub(crate) struct Report {
    /// Whether the figures mean anything: a tiny run only shows that everything works.
    pub(crate) full: bool,
}

impl Report {
    pub(crate) fn say(&self, line: &str) {
        writeln!(std::io::stdout().lock(), "{line}").expect("the terminal takes a line");
    }

    pub(crate) fn section(&self, title: &str) {
        self.say(&format!("\n{title}   [load average {}]", load_average()));
    }

    /// The CPU time per operation against a target in µs: of the part in the middle, and on average.
    pub(crate) fn each(&self, what: &str, took: &Took, target_us: f64) {
        let (middle, mean, wall) = (took.median_us(), took.cpu_us(), took.wall_us());
        let verdict = self.verdict(middle <= target_us);
        self.say(&format!(
            "  {what:<48} {middle:>8.2} µs CPU in the median (mean {mean:.2}, wall {wall:.2})   target <= {target_us} µs \
             {verdict}"
        ));
    }

    /// The median of wall times against a target in µs, with mean CPU.
    pub(crate) fn median(&self, what: &str, wall: &mut [Duration], cpu: &Took, target_us: f64) {
        wall.sort_unstable();
        let us = |share| percentile(wall, share).as_secs_f64() * 1e6;
        let (p50, p99, max) = (us(0.5), us(0.99), us(1.0));
        let verdict = self.verdict(p50 <= target_us);
        self.say(&format!(
            "  {what:<42} p50 {p50:>7.1} p99 {p99:>7.1} max {max:>8.1} µs wall, mean {:>6.1} µs CPU   target p50 <= \
             {target_us} µs {verdict}",
            cpu.cpu_us()
        ));
    }

    /// How wall times are spread, and mean CPU. No target.
    pub(crate) fn spread(&self, what: &str, wall: &mut [Duration], cpu: &Took) {
        wall.sort_unstable();
        let us = |share| percentile(wall, share).as_secs_f64() * 1e6;
        let (p50, p99, max) = (us(0.5), us(0.99), us(1.0));
        self.say(&format!(
            "  {what:<48} p50 {p50:>8.1} p99 {p99:>8.1} max {max:>8.1} µs wall, mean {:>8.1} µs CPU",
            cpu.cpu_us()
        ));
    }

    /// Any figure against its target.
    pub(crate) fn figure(&self, what: &str, value: &str, target: &str, holds: bool) {
        self.say(&format!("  {what:<58} {value:<28} target {target} {}", self.verdict(holds)));
    }

    fn verdict(&self, holds: bool) -> &'static str {
        match (self.full, holds) {
            (false, _) => "(tiny: no verdict)",
            (true, true) => "HOLDS",
            (true, false) => "FALLS SHORT",
        }
    }
}
