//! Time, injected. Nothing else in the project may ask the operating system what time it is.
//!
//! Wall time is µs since the Unix epoch (`i64`); it can jump. Deadlines and durations use [`Instant`]s of the same
//! clock, which cannot.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// µs in a second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;

/// A clock: wall time for what people see, monotonic time for deadlines.
pub trait Clock: Send + Sync + 'static {
    /// µs since the Unix epoch. May jump; never used for order.
    fn now_us(&self) -> i64;
    /// Monotonic time.
    fn instant(&self) -> Instant;
}

/// A shared clock.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    fn now_us(&self) -> i64 {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock before 1970 is a broken clock; 0 keeps every comparison meaningful.
        since_epoch.map_or(0, micros)
    }
    fn instant(&self) -> Instant {
        monotonic()
    }
}

/// A duration in whole µs.
#[must_use]
pub fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// Monotonic time, for measuring a duration where no clock is at hand (metrics, benches).
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the monotonic clock")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// A clock that a test moves. Its monotonic time moves with it.
#[derive(Debug)]
pub struct ManualClock {
    start: Instant,
    start_us: i64,
    now_us: AtomicI64,
    /// The furthest that it has come since the start.
    passed_us: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `now_us` (µs since the Unix epoch) until it is moved.
    #[must_use]
    pub fn new(now_us: i64) -> Self {
        Self { start: monotonic(), start_us: now_us, now_us: AtomicI64::new(now_us), passed_us: AtomicI64::new(0) }
    }
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.now_us.fetch_add(micros(by), Ordering::SeqCst);
    }
    /// Sets the wall time, also backwards. Monotonic time does not follow backwards.
    pub fn set(&self, now_us: i64) {
        self.now_us.store(now_us, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_us(&self) -> i64 {
        self.now_us.load(Ordering::SeqCst)
    }
    fn instant(&self) -> Instant {
        let passed = self.now_us.load(Ordering::SeqCst).saturating_sub(self.start_us).max(0);
        let passed = self.passed_us.fetch_max(passed, Ordering::SeqCst).max(passed);
        self.start + Duration::from_micros(passed.unsigned_abs())
    }
}

/// `2025-12-17T22:53:05.660123+00:00`, the text form of the wire for a time that is known to be UTC.
#[must_use]
pub fn iso_utc(us: i64) -> String {
    format!("{}+00:00", iso_naive(us))
}

/// `2025-12-17T22:53:05.660123` (UTC without saying so), which the wire has for stored times.
#[must_use]
pub fn iso_naive(us: i64) -> String {
    let at = jiff::Timestamp::from_microsecond(us).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string()
}

/// Reads an ISO-8601 date or date-time; without an offset it means UTC.
#[must_use]
pub fn parse_iso(text: &str) -> Option<i64> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.as_microsecond());
    }
    if let Ok(at) = text.parse::<jiff::civil::DateTime>() {
        return at.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|z| z.timestamp().as_microsecond());
    }
    let date = text.parse::<jiff::civil::Date>().ok()?;
    date.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|z| z.timestamp().as_microsecond())
}
