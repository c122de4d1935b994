//! The store's metrics. Handles are taken once, when the store is opened, so that each series exists (as 0) from the
//! start and a hot path looks nothing up. A recorder must be installed before the store is opened.

use metrics::{Counter, Gauge, Histogram};

/// The handles.
pub(super) struct Metrics {
    pub(super) queue_depth: Gauge,
    pub(super) queue_oldest_seconds: Gauge,
    pub(super) batch_ops: Histogram,
    pub(super) batch_seconds: Histogram,
    pub(super) commit_seconds: Histogram,
    pub(super) refused: Counter,
    pub(super) reader_wait_seconds: Histogram,
    pub(super) publish_lag: Counter,
    pub(super) wal_bytes: Gauge,
    pub(super) busy: Counter,
    pub(super) notes_dropped: Counter,
    pub(super) notes_written: Counter,
    pub(super) panics: Counter,
    pub(super) slow_refused: Counter,
    pub(super) reads_cut: Counter,
    pub(super) refused_full: Counter,
    pub(super) disk_free_bytes: Gauge,
    pub(super) disk_degraded: Gauge,
    pub(super) ballast_bytes: Gauge,
    pub(super) states_dropped: Counter,
    pub(super) bodies_collected: Counter,
    pub(super) bytes_collected: Counter,
    pub(super) files_swept: Counter,
}

impl Metrics {
    pub(super) fn register() -> Self {
        use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
        describe_gauge!("writer_queue_depth", Unit::Count, "messages admitted to the writer and not yet answered");
        describe_gauge!("writer_queue_oldest_seconds", Unit::Seconds, "age of the oldest message not yet answered");
        describe_histogram!("writer_batch_ops", Unit::Count, "messages in one transaction");
        let held = "how long one transaction held the writer, from BEGIN to the publish";
        describe_histogram!("writer_batch_seconds", Unit::Seconds, held);
        describe_histogram!("writer_commit_seconds", Unit::Seconds, "duration of COMMIT");
        describe_counter!("writer_refused_total", Unit::Count, "messages refused because the queue was full");
        describe_histogram!("reader_wait_seconds", Unit::Seconds, "time that a read waited for a connection");
        describe_counter!("publish_lag_total", Unit::Count, "reads that waited for the publish of their revision");
        describe_gauge!("wal_bytes", Unit::Bytes, "bytes in use in the write-ahead log");
        describe_counter!("sqlite_busy_total", Unit::Count, "times that SQLite said busy or locked");
        describe_counter!("notes_dropped_total", Unit::Count, "records dropped because the second lane was full");
        describe_counter!("notes_written_total", Unit::Count, "records written by the second lane");
        describe_counter!("writer_panics_total", Unit::Count, "operations that panicked and were rolled back");
        describe_counter!("slow_lane_refused_total", Unit::Count, "scans refused because the slow lane was full");
        describe_counter!("reads_cut_total", Unit::Count, "times that reads were cut because the log was at its limit");
        describe_counter!("writes_refused_full_total", Unit::Count, "writes refused because the disk is full");
        describe_gauge!("disk_free_bytes", Unit::Bytes, "bytes that may still be written to the disk");
        describe_gauge!("disk_degraded", Unit::Count, "1 while only reads and what frees space are taken");
        describe_gauge!("ballast_bytes", Unit::Bytes, "space held back for the day when the disk is full");
        describe_counter!("past_states_dropped_total", Unit::Count, "states of the past that were not kept any longer");
        describe_counter!("bodies_collected_total", Unit::Count, "bodies removed that nothing named any more");
        describe_counter!("bodies_collected_bytes_total", Unit::Bytes, "bytes of those bodies");
        describe_counter!("blob_files_swept_total", Unit::Count, "blob files removed that no row named");
        let this = Self {
            queue_depth: gauge!("writer_queue_depth"),
            queue_oldest_seconds: gauge!("writer_queue_oldest_seconds"),
            batch_ops: histogram!("writer_batch_ops"),
            batch_seconds: histogram!("writer_batch_seconds"),
            commit_seconds: histogram!("writer_commit_seconds"),
            refused: counter!("writer_refused_total"),
            reader_wait_seconds: histogram!("reader_wait_seconds"),
            publish_lag: counter!("publish_lag_total"),
            wal_bytes: gauge!("wal_bytes"),
            busy: counter!("sqlite_busy_total"),
            notes_dropped: counter!("notes_dropped_total"),
            notes_written: counter!("notes_written_total"),
            panics: counter!("writer_panics_total"),
            slow_refused: counter!("slow_lane_refused_total"),
            reads_cut: counter!("reads_cut_total"),
            refused_full: counter!("writes_refused_full_total"),
            disk_free_bytes: gauge!("disk_free_bytes"),
            disk_degraded: gauge!("disk_degraded"),
            ballast_bytes: gauge!("ballast_bytes"),
            states_dropped: counter!("past_states_dropped_total"),
            bodies_collected: counter!("bodies_collected_total"),
            bytes_collected: counter!("bodies_collected_bytes_total"),
            files_swept: counter!("blob_files_swept_total"),
        };
        let counters = [&this.refused, &this.publish_lag, &this.busy, &this.notes_dropped, &this.notes_written];
        let more = [&this.panics, &this.slow_refused, &this.reads_cut, &this.refused_full];
        let house = [&this.states_dropped, &this.bodies_collected, &this.bytes_collected, &this.files_swept];
        for counter in counters.into_iter().chain(more).chain(house) {
            counter.increment(0);
        }
        this.queue_depth.set(0.0);
        this.disk_degraded.set(0.0);
        this
    }
}
