//! Series that every request adds to: by thread first, and from there to the recorder.
//!
//! Owns what each thread has counted since it was last told. Invariant: whoever renders the metrics tells before, so that
//! nothing is missing in what is shown.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;

use super::by_thread::ByThread;
use super::metric::{self, Counter, Labels, Seconds};

/// Durations of one thread that wait to be told, at most.
const WAITING_MAX: usize = 256;

/// What was counted and is not told yet.
trait Untold: Send + Sync {
    fn tell(&self);
}

/// That of all series.
static UNTOLD: Mutex<Vec<Arc<dyn Untold>>> = Mutex::new(Vec::new());

/// Tells the recorder what all threads have counted.
pub(super) fn tell() {
    UNTOLD.lock().iter().for_each(|series| series.tell());
}

/// A series at its first use.
fn begun<T: Untold + 'static>(make: impl FnOnce() -> T) -> Arc<T> {
    // What is looked up before there is a recorder would count nowhere for ever.
    metric::recorder();
    let series = Arc::new(make());
    UNTOLD.lock().push(Arc::<T>::clone(&series));
    series
}

/// One series of a counter: looked up by its labels at its first use, not at each.
#[derive(Default)]
pub struct CounterSeries(OnceLock<Arc<Counted>>);

struct Counted {
    by_thread: ByThread<AtomicU64>,
    to: metrics::Counter,
}

impl Untold for Counted {
    fn tell(&self) {
        self.by_thread.all().for_each(|count| self.to.increment(count.swap(0, Ordering::Relaxed)));
    }
}

impl CounterSeries {
    /// A series that is not looked up yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }
    /// Adds one to the series `with` of `of`; the same ones at each call.
    pub fn count(&self, of: &Counter, with: Labels<'_>) {
        let series = self.0.get_or_init(|| begun(|| Counted { by_thread: ByThread::default(), to: of.series(with) }));
        series.by_thread.own().fetch_add(1, Ordering::Relaxed);
    }
}

/// One series of a distribution: looked up by its labels at its first use, not at each.
#[derive(Default)]
pub struct SecondsSeries(OnceLock<Arc<Measured>>);

struct Measured {
    by_thread: ByThread<Mutex<Vec<Duration>>>,
    to: metrics::Histogram,
}

impl Untold for Measured {
    fn tell(&self) {
        self.by_thread.all().for_each(|waiting| self.tell_of(&mut waiting.lock()));
    }
}

impl Measured {
    fn tell_of(&self, waiting: &mut Vec<Duration>) {
        waiting.drain(..).for_each(|duration| self.to.record(duration));
    }
}

impl SecondsSeries {
    /// A series that is not looked up yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }
    /// Records a duration in the series `with` of `of`; the same ones at each call.
    pub fn seconds(&self, of: &Seconds, with: Labels<'_>, duration: Duration) {
        let series = self.0.get_or_init(|| begun(|| Measured { by_thread: ByThread::default(), to: of.series(with) }));
        let mut waiting = series.by_thread.own().lock();
        waiting.push(duration);
        if waiting.len() >= WAITING_MAX {
            series.tell_of(&mut waiting);
        }
    }
}

impl std::fmt::Debug for CounterSeries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("CounterSeries").field(&self.0.get().is_some()).finish()
    }
}

impl std::fmt::Debug for SecondsSeries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SecondsSeries").field(&self.0.get().is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::metric::{RPC_DURATION, RPC_REQUESTS, render};
    use super::*;

    #[test]
    fn what_several_threads_count_is_shown_as_one_series() {
        static ANSWERED: CounterSeries = CounterSeries::new();
        static TOOK: SecondsSeries = SecondsSeries::new();
        let with = [("method", "series_test"), ("code", "ok")];
        let each = 2 * WAITING_MAX + 3;
        let count = || {
            for _ in 0..each {
                ANSWERED.count(&RPC_REQUESTS, &with);
                TOOK.seconds(&RPC_DURATION, &with[..1], Duration::from_millis(3));
            }
        };
        std::thread::scope(|scope| (0..3).for_each(|_| drop(scope.spawn(count))));
        RPC_REQUESTS.count(&with);
        let shown = |counted: usize| {
            let text = render();
            let requests = format!("rpc_requests_total{{method=\"series_test\",code=\"ok\"}} {}\n", counted + 1);
            let durations = format!("rpc_duration_seconds_count{{method=\"series_test\"}} {counted}\n");
            assert!(text.contains(&requests) && text.contains(&durations), "{counted}: {text}");
        };
        shown(3 * each);
        shown(3 * each);
        count();
        shown(4 * each);
    }
}
