//! Where the lines of the log go: standard error, by a thread of its own.
//!
//! A line of the level info or below is left in a buffer of the thread that logs it and written within [`GATHER`], many at
//! once: a request neither waits for whoever reads the log nor for another thread's line, nor pays a system call. What is
//! left when the process is killed is lost; an orderly end, a panic and [`flush`] write it. Lines of the levels warn and
//! error are written before whoever logs them goes on, behind everything that was left before. Invariant: the lines of a
//! thread keep their order, and those that are written together stand in the order of their text, which begins with the
//! time; only the first kind is ever dropped, when a buffer is full because nobody reads the log; dropped lines are
//! counted.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use parking_lot::Mutex;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::by_thread::ByThread;
use super::lines::{Lines, in_order};
use super::log::redact;
use super::metric;
use crate::model::time::monotonic;

/// Most bytes of one thread that wait to be written.
const WAITING_BYTES_MAX: usize = 512 << 10;
/// The thread does not gather longer than until another one has left as many bytes.
const GATHER_BYTES: usize = WAITING_BYTES_MAX / 8;
/// How long a line may wait for others.
const GATHER: Duration = Duration::from_millis(5);

/// Lines on their way.
struct Sink<W> {
    lanes: ByThread<Mutex<Waiting>>,
    /// The thread that writes, once it has begun.
    thread: OnceLock<Thread>,
    /// It sleeps until there is a line.
    idle: AtomicBool,
    /// There are many lines.
    full: AtomicBool,
    /// Held while something is written. Taken before any lane.
    out: Mutex<Out<W>>,
}

/// What one thread has left.
#[derive(Default)]
struct Waiting {
    lines: Lines,
    /// Since the thread that writes last said so.
    dropped: u64,
}

struct Out<W> {
    to: W,
    /// What was taken from each lane, in turn with what waits there.
    taken: Vec<Lines>,
    /// All of it.
    text: Vec<u8>,
}

impl<W: Write + Send> Sink<W> {
    fn new(to: W) -> Self {
        let out = Mutex::new(Out { to, taken: Vec::new(), text: Vec::new() });
        let (idle, full) = Default::default();
        Self { lanes: ByThread::default(), thread: OnceLock::new(), idle, full, out }
    }

    /// Leaves a line; drops it if too many wait.
    fn leave(&self, line: &[u8]) {
        let mut waiting = self.lanes.own().lock();
        let before = waiting.lines.bytes();
        let after = before + line.len();
        if after > WAITING_BYTES_MAX {
            waiting.dropped += 1;
            drop(waiting);
            metric::LOG_DROPPED.count(&[]);
            return;
        }
        waiting.lines.push(line);
        drop(waiting);
        if before < GATHER_BYTES && after >= GATHER_BYTES {
            self.full.store(true, Ordering::Release);
            self.wake();
        } else if before == 0 && self.idle.swap(false, Ordering::AcqRel) {
            // Whoever writes says that it is idle before it looks into this lane: it has seen the line, or is woken.
            self.wake();
        }
    }

    fn wake(&self) {
        self.thread.get().into_iter().for_each(Thread::unpark);
    }

    /// Writes everything that waits, and then `line`.
    fn write_through(&self, line: &[u8]) {
        let mut out = self.out.lock();
        let Out { to, taken, text } = &mut *out;
        for (at, lane) in self.lanes.all().enumerate() {
            if at == taken.len() {
                taken.push(Lines::default());
            }
            std::mem::swap(&mut taken[at], &mut lane.lock().lines);
        }
        text.clear();
        in_order(taken, text);
        taken.iter_mut().for_each(Lines::clear);
        text.extend_from_slice(line);
        // A log that cannot be written must not stop the server.
        let _ = to.write_all(text);
        let _ = to.flush();
    }

    /// Waits for lines and for some more, writes them, and returns how many were dropped meanwhile.
    fn write_next(&self) -> u64 {
        self.thread.get_or_init(thread::current);
        self.idle.store(true, Ordering::Release);
        while self.lanes.all().all(|lane| lane.lock().lines.bytes() == 0) {
            thread::park();
            self.idle.store(true, Ordering::Release);
        }
        self.idle.store(false, Ordering::Release);
        let until = monotonic() + GATHER;
        while !self.full.swap(false, Ordering::AcqRel) {
            let left = until.saturating_duration_since(monotonic());
            if left.is_zero() {
                break;
            }
            thread::park_timeout(left);
        }
        self.write_through(b"");
        self.lanes.all().map(|lane| std::mem::take(&mut lane.lock().dropped)).sum()
    }
}

/// The one of the process.
static SINK: OnceLock<Sink<io::Stderr>> = OnceLock::new();

/// Writes what waits; returns when it is written.
pub fn flush() {
    if let Some(sink) = SINK.get() {
        sink.write_through(b"");
    }
}

/// Starts the thread.
pub(super) fn start() {
    let mut first = false;
    let sink = SINK.get_or_init(|| {
        first = true;
        Sink::new(io::stderr())
    });
    if !first {
        return;
    }
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // A panic of who is writing must not wait for itself.
        if sink.out.try_lock().is_some() {
            sink.write_through(b"");
        }
        previous(panic);
    }));
    let write = move || {
        loop {
            let dropped = sink.write_next();
            if dropped > 0 {
                tracing::warn!(dropped, "lines of the log were dropped: they came faster than they were read");
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().name("nexus-log".into()).spawn(write) {
        tracing::warn!(%error, "the log has no thread: its lines come when something fails, and at the end");
    }
}

/// Makes writers of lines.
pub(super) struct ToSink;

impl<'a> MakeWriter<'a> for ToSink {
    type Writer = Line;
    fn make_writer(&'a self) -> Line {
        Line { urgent: true }
    }
    fn make_writer_for(&'a self, about: &Metadata<'_>) -> Line {
        Line { urgent: *about.level() <= Level::WARN }
    }
}

/// Takes one line, in one piece.
pub(super) struct Line {
    urgent: bool,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed);
        let safe = redact(&text);
        match SINK.get() {
            Some(sink) if self.urgent => sink.write_through(safe.as_bytes()),
            Some(sink) => sink.leave(safe.as_bytes()),
            None => io::stderr().lock().write_all(safe.as_bytes())?,
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use super::*;

    /// What was written, in one piece each.
    type Written = Arc<Mutex<Vec<u8>>>;

    struct To(Written);

    impl Write for To {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn sink() -> (Sink<To>, Written) {
        let written = Written::default();
        (Sink::new(To(Arc::clone(&written))), written)
    }

    /// What this thread has left.
    fn mine(sink: &Sink<To>) -> parking_lot::MutexGuard<'_, Waiting> {
        sink.lanes.own().lock()
    }

    #[test]
    fn what_is_urgent_is_written_at_once_and_behind_the_rest() {
        let (sink, written) = sink();
        sink.leave(b"one\n");
        sink.leave(b"two\n");
        assert!(written.lock().is_empty(), "nobody has written yet");
        sink.write_through(b"three\n");
        assert_eq!(*written.lock(), b"one\ntwo\nthree\n");
        sink.leave(b"four\n");
        assert_eq!(sink.write_next(), 0);
        assert_eq!(*written.lock(), b"one\ntwo\nthree\nfour\n");
    }

    #[test]
    fn a_full_buffer_drops_counts_and_never_drops_what_is_urgent() {
        let (sink, written) = sink();
        let line = vec![b'x'; 1000];
        for _ in 0..2 * WAITING_BYTES_MAX / line.len() {
            sink.leave(&line);
        }
        assert!(mine(&sink).lines.bytes() <= WAITING_BYTES_MAX);
        sink.write_through(b"urgent");
        let dropped = mine(&sink).dropped;
        let kept = written.lock().len() - "urgent".len();
        assert_eq!(kept / line.len() + usize::try_from(dropped).expect("few"), 2 * WAITING_BYTES_MAX / line.len());
        assert!(dropped > 0 && written.lock().ends_with(b"urgent"));
        sink.leave(b"\n");
        assert_eq!(sink.write_next(), dropped, "said once");
        sink.leave(b"\n");
        assert_eq!(sink.write_next(), 0);
    }

    /// Gives what is written to whoever waits for it.
    struct Tell(mpsc::Sender<Vec<u8>>);

    impl Write for Tell {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).expect("somebody waits");
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_wakes_whoever_writes() {
        const LINES: usize = 50;
        let (tell, told) = mpsc::channel();
        // For ever, and by threads that nobody waits for: one that was not woken must not keep the test from failing.
        let sink: &'static Sink<Tell> = Box::leak(Box::new(Sink::new(Tell(tell))));
        std::thread::spawn(|| (0..LINES).for_each(|_| assert_eq!(sink.write_next(), 0)));
        for n in 0..LINES {
            // Each by a thread of its own, whose lane may be one that has not been looked into yet.
            std::thread::spawn(move || sink.leave(format!("{n}\n").as_bytes())).join().expect("left");
            let written = told.recv_timeout(Duration::from_secs(60)).expect("woken");
            assert_eq!(written, format!("{n}\n").as_bytes());
        }
    }

    /// Lines of several threads and of both kinds, while a third one writes: each is there once, and in the order of
    /// whoever logged it.
    #[test]
    fn nothing_is_lost_or_turned_round() {
        const LINES: usize = 2_000;
        let (sink, written) = sink();
        let (done, ends) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            for who in 0..2 {
                let (sink, done) = (&sink, done.clone());
                scope.spawn(move || {
                    for n in 0..LINES {
                        let line = format!("{who} {n}\n");
                        if n % 97 == 0 { sink.write_through(line.as_bytes()) } else { sink.leave(line.as_bytes()) }
                    }
                    drop(done);
                });
            }
            drop(done);
            while ends.try_recv() != Err(mpsc::TryRecvError::Disconnected) {
                sink.write_through(b"");
            }
        });
        sink.write_through(b"");
        let text = String::from_utf8(written.lock().clone()).expect("text");
        for who in ["0", "1"] {
            let mine = text.lines().filter_map(|line| line.strip_prefix(who)?.trim().parse::<usize>().ok());
            assert!(mine.eq(0..LINES), "{who}");
        }
    }
}
