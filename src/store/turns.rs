//! Who goes first where there are more threads than processors: a read before the next message of a batch.
//!
//! A batch is milliseconds of one thread, and a reader that woke meanwhile would wait for the end of a time slice. So the
//! writer offers its processor after each message, but only while somebody reads: beside a program that computes all day,
//! each offer costs the writer a time slice (`DESIGN.md` has the figures).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::model::time::monotonic;

/// So long after somebody has read others are taken to read, too: those wait for a processor, and cannot say so.
const READS_FOR: Duration = Duration::from_millis(1);

/// Whether somebody has read since the writer looked. On a cache line of its own: both sides write it all the time.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Turns {
    asked: AtomicBool,
}

/// What the writer remembers of it within a batch: until when somebody is taken to read.
#[derive(Debug, Default)]
pub(super) struct Reads {
    until: Option<Instant>,
}

impl Turns {
    /// Somebody reads, and will not write.
    pub(super) fn ask(&self) {
        // Looked at first, since a line that is only looked at is shared.
        if !self.asked.load(Ordering::Relaxed) {
            self.asked.store(true, Ordering::Relaxed);
        }
    }

    /// Lets others have the processor while somebody reads; whether it did.
    pub(super) fn give_way(&self, reads: &mut Reads) -> bool {
        if self.asked.load(Ordering::Relaxed) {
            self.asked.store(false, Ordering::Relaxed);
            reads.until = Some(monotonic() + READS_FOR);
        } else if reads.until.is_none_or(|until| until <= monotonic()) {
            reads.until = None;
            return false;
        }
        std::thread::yield_now();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_gives_way_while_somebody_reads_and_not_else() {
        let (turns, mut reads) = (Turns::default(), Reads::default());
        assert!(!turns.give_way(&mut reads), "nobody has read");
        turns.ask();
        turns.ask();
        assert!(turns.give_way(&mut reads), "somebody has");
        assert!(!turns.asked.load(Ordering::Relaxed), "and is not counted twice");
        assert!(reads.until.is_some_and(|until| until <= monotonic() + READS_FOR), "for so long");
        reads.until = Some(monotonic());
        assert!(!turns.give_way(&mut reads), "it was long ago");
        assert!(reads.until.is_none(), "and no clock is asked any more");
    }
}
