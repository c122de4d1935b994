//! One value for each thread, for what all threads add to and somebody collects now and then.
//!
//! Whatever two threads write in turn is on a cache line that they wait for, many times as long as a write takes; the more
//! threads, the longer. Must never know what the values are. Invariant: what a thread left outlives it.

use thread_local::ThreadLocal;

/// A `T` for each thread that has asked for its own.
#[derive(Debug)]
pub struct ByThread<T: Send>(ThreadLocal<Padded<T>>);

/// On cache lines of its own; two, since processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded<T>(T);

impl<T: Send> Default for ByThread<T> {
    fn default() -> Self {
        Self(ThreadLocal::new())
    }
}

impl<T: Send + Sync + Default> ByThread<T> {
    /// That of this thread. After the thread has ended, another one may go on with it.
    pub fn own(&self) -> &T {
        &self.0.get_or_default().0
    }

    /// Those of all threads.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|padded| &padded.0)
    }
}
