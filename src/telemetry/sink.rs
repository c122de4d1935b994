//! Where the lines of the log go: standard error, by a thread of its own.
//!
//! A line of the level info or below is left in a buffer and written within [`GATHER`], many at once: a request neither
//! waits for whoever reads the log nor pays a system call. What is left when the process is killed is lost; an orderly
//! end, a panic and [`flush`] write it. Lines of the levels warn and error are written before whoever logs them goes on,
//! behind everything that was left before. Invariant: lines keep their order, and only the first kind is ever dropped,
//! when the buffer is full because nobody reads the log; dropped lines are counted.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::log::redact;
use super::metric;

/// Most bytes that wait to be written.
const WAITING_BYTES_MAX: usize = 1 << 20;
/// The thread does not gather longer than until there are as many bytes.
const GATHER_BYTES: usize = WAITING_BYTES_MAX / 16;
/// How long a line may wait for others.
const GATHER: Duration = Duration::from_millis(5);

/// Lines on their way.
struct Sink<W> {
    waiting: Mutex<Waiting>,
    /// There is a first line, or there are many.
    filled: Condvar,
    /// Held while something is written. Taken before `waiting`.
    out: Mutex<Out<W>>,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Since the thread last said so.
    dropped: u64,
}

struct Out<W> {
    to: W,
    /// Spare room, to be exchanged for what waits.
    lines: Vec<u8>,
}

impl<W: Write> Sink<W> {
    fn new(to: W) -> Self {
        let (waiting, filled) = (Mutex::default(), Condvar::new());
        Self { waiting, filled, out: Mutex::new(Out { to, lines: Vec::new() }) }
    }

    /// Leaves a line; drops it if too many wait.
    fn leave(&self, line: &[u8]) {
        let mut waiting = self.waiting.lock();
        let before = waiting.lines.len();
        if before + line.len() > WAITING_BYTES_MAX {
            waiting.dropped += 1;
            drop(waiting);
            metric::LOG_DROPPED.count(&[]);
            return;
        }
        waiting.lines.extend_from_slice(line);
        let after = waiting.lines.len();
        drop(waiting);
        if before == 0 || (before < GATHER_BYTES && after >= GATHER_BYTES) {
            self.filled.notify_one();
        }
    }

    /// Writes everything that waits, and then `line`.
    fn write_through(&self, line: &[u8]) {
        let mut out = self.out.lock();
        let Out { to, lines } = &mut *out;
        lines.clear();
        std::mem::swap(lines, &mut self.waiting.lock().lines);
        // A log that cannot be written must not stop the server.
        let _ = to.write_all(lines);
        let _ = to.write_all(line);
        let _ = to.flush();
    }

    /// Waits for lines and for some more, writes them, and returns how many were dropped meanwhile.
    fn write_next(&self) -> u64 {
        let mut waiting = self.waiting.lock();
        self.filled.wait_while(&mut waiting, |waiting| waiting.lines.is_empty());
        if waiting.lines.len() < GATHER_BYTES {
            // Early or late, what is there is written.
            let _ = self.filled.wait_for(&mut waiting, GATHER);
        }
        drop(waiting);
        self.write_through(b"");
        std::mem::take(&mut self.waiting.lock().dropped)
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
pub(super) struct Lines;

impl<'a> MakeWriter<'a> for Lines {
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
        assert!(sink.waiting.lock().lines.len() <= WAITING_BYTES_MAX);
        sink.write_through(b"urgent");
        let dropped = sink.waiting.lock().dropped;
        let kept = written.lock().len() - "urgent".len();
        assert_eq!(kept / line.len() + usize::try_from(dropped).expect("few"), 2 * WAITING_BYTES_MAX / line.len());
        assert!(dropped > 0 && written.lock().ends_with(b"urgent"));
        sink.leave(b"\n");
        assert_eq!(sink.write_next(), dropped, "said once");
        sink.leave(b"\n");
        assert_eq!(sink.write_next(), 0);
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
