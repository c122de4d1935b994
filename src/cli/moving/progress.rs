//! How far it is: a bar where somebody looks, a line every few seconds elsewhere. On standard error.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::model::time::monotonic;
use crate::store::bundle::Progress;

/// How often a line is written where nobody looks.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// How often a bar is drawn, per second.
const DRAWN_PER_SECOND: u8 = 5;
/// Bytes of bodies that count as much as one row.
const ROW_BYTES: u64 = 4096;

/// The progress of one move.
pub(super) struct Shown {
    verb: &'static str,
    kind: Kind,
}

enum Kind {
    Nothing,
    Bar(ProgressBar),
    Lines(Instant),
}

impl Shown {
    /// Shows nothing where `quiet` is asked for. `verb`: `exporting`.
    pub(super) fn new(verb: &'static str, quiet: bool) -> Self {
        let kind = if quiet {
            Kind::Nothing
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(DRAWN_PER_SECOND));
            let style = ProgressStyle::with_template("{prefix} [{bar:32}] {percent}% {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
            bar.set_prefix(verb);
            Kind::Bar(bar)
        } else {
            Kind::Lines(monotonic())
        };
        Self { verb, kind }
    }

    /// Shows how far it is.
    pub(super) fn show(&mut self, progress: Progress) {
        match &mut self.kind {
            Kind::Nothing => {}
            Kind::Bar(bar) => {
                bar.set_length(progress.rows_all + progress.bytes_all / ROW_BYTES);
                bar.set_position(progress.rows + progress.bytes / ROW_BYTES);
                bar.set_message(worded(progress));
            }
            Kind::Lines(last) if last.elapsed() >= LINE_EVERY => {
                *last = monotonic();
                // Progress that cannot be shown is no reason to stop.
                let _ = writeln!(std::io::stderr().lock(), "{} {}", self.verb, worded(progress));
            }
            Kind::Lines(_) => {}
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Kind::Bar(bar) = &self.kind {
            bar.finish_and_clear();
        }
    }
}

fn worded(progress: Progress) -> String {
    let Progress { step, rows, rows_all, bytes, bytes_all } = progress;
    format!("{step}: {rows} of {rows_all} rows, {} of {} MiB of large bodies", bytes >> 20, bytes_all >> 20)
}
