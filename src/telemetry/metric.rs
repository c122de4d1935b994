//! The metrics of the doors and of permission checks, each declared once with its help text, and the one recorder.
//!
//! The store declares its own, in the same way, in `store/metrics.rs`.
//! Label values come from fixed lists (the registry, the table of errors), never from a request.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::Label;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::series;

/// Upper bounds of the buckets of every duration, seconds.
const SECONDS_BUCKETS: &[f64] =
    &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Upper bounds of the buckets of every size of a group (operations of a batch).
const COUNT_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// Labels: name and value.
pub type Labels<'a> = &'a [(&'static str, &'static str)];

fn labels(labels: Labels<'_>) -> Vec<Label> {
    labels.iter().map(|(name, value)| Label::from_static_parts(name, value)).collect()
}

/// A number that only grows.
#[derive(Debug)]
pub struct Counter(&'static str);

impl Counter {
    /// Adds one.
    pub fn count(&self, with: Labels<'_>) {
        self.add(1, with);
    }
    /// Adds `by`.
    pub fn add(&self, by: u64, with: Labels<'_>) {
        self.series(with).increment(by);
    }
    pub(super) fn series(&self, with: Labels<'_>) -> metrics::Counter {
        metrics::counter!(self.0, labels(with))
    }
}

/// A number that goes up and down.
#[derive(Debug)]
pub struct Gauge(&'static str);

impl Gauge {
    /// Sets it. Counts over 2^52 lose their last digits.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
    pub fn set(&self, value: u64) {
        metrics::gauge!(self.0).set(value as f64);
    }
}

/// A distribution of durations.
#[derive(Debug)]
pub struct Seconds(&'static str);

impl Seconds {
    /// Records one duration.
    pub fn seconds(&self, duration: Duration, with: Labels<'_>) {
        self.series(with).record(duration);
    }
    pub(super) fn series(&self, with: Labels<'_>) -> metrics::Histogram {
        metrics::histogram!(self.0, labels(with))
    }
}

macro_rules! metrics_list {
    ($($name:ident: $kind:ident = $text:literal, $help:literal;)*) => {
        $(#[doc = $help] pub static $name: $kind = $kind($text);)*

        /// Every metric: name, kind, help text.
        pub static ALL: &[(&str, &str, &str)] = &[$(($text, stringify!($kind), $help)),*];
    };
}

metrics_list! {
    AUTH_REFUSED: Counter = "auth_refused_total", "Requests without a valid key, or for a foreign agent.";
    CACHE_ROWS_WARMED: Gauge = "permission_cache_warm_rows", "Rows of the permission cache that warmed the closures at start.";
    INTEGRITY_ERRORS: Counter = "integrity_errors_total", "Reads of files whose stored content is damaged.";
    KEPT_REPLIES: Counter = "kept_replies_total", "Requests that were answered by a kept reply.";
    LOG_DROPPED: Counter = "log_lines_dropped_total", "Lines of the log that were dropped because nobody read them fast enough.";
    REBAC_CHECK: Seconds = "rebac_check_seconds", "Time of one permission check that was asked for, by result.";
    RPC_DURATION: Seconds = "rpc_duration_seconds", "Time of a request, by method.";
    RPC_REQUESTS: Counter = "rpc_requests_total", "Requests, by method and code.";
    SANDBOX_RUNS: Counter = "sandbox_runs_total", "Programs that were run in sandboxes, by how they ended.";
    SANDBOX_RUN_SECONDS: Seconds = "sandbox_run_seconds", "Time of a program in a sandbox, by language.";
    WEBHOOKS_DISABLED: Counter = "webhooks_disabled_total", "Subscriptions that were disabled after too many failures, or for want of a valid key.";
    WEBHOOK_DELIVERIES: Counter = "webhook_deliveries_total", "Attempts to deliver an event, by result.";
}

/// The recorder of this process, installed at the first call. Every server of the process shares it.
pub fn recorder() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS_BUCKETS)
            .and_then(|b| b.set_buckets_for_metric(Matcher::Full("writer_batch_ops".into()), COUNT_BUCKETS))
            .expect("the lists of buckets are not empty")
            .build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder is installed; /metrics stays empty");
        }
        for (name, kind, help) in ALL {
            match *kind {
                "Counter" => metrics::describe_counter!(*name, *help),
                "Gauge" => metrics::describe_gauge!(*name, *help),
                _ => metrics::describe_histogram!(*name, *help),
            }
        }
        metrics::describe_gauge!("nexus_build_info", "The version of this server; always 1.");
        metrics::gauge!("nexus_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        // A counter that never counted is shown as 0, so that its absence is not taken for one.
        AUTH_REFUSED.add(0, &[]);
        INTEGRITY_ERRORS.add(0, &[]);
        LOG_DROPPED.add(0, &[]);
        handle
    })
}

/// All metrics as Prometheus text.
#[must_use]
pub fn render() -> String {
    let recorder = recorder();
    series::tell();
    recorder.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_was_counted() {
        recorder();
        RPC_REQUESTS.count(&[("method", "metric_test"), ("code", "ok")]);
        RPC_DURATION.seconds(Duration::from_millis(3), &[("method", "metric_test")]);
        let text = render();
        assert!(text.contains("# HELP rpc_requests_total Requests"), "{text}");
        assert!(text.contains(r#"rpc_requests_total{method="metric_test",code="ok"} 1"#), "{text}");
        assert!(text.contains(r#"rpc_duration_seconds_bucket{method="metric_test",le="0.005"} 1"#), "{text}");
        assert!(text.contains("auth_refused_total "), "{text}");
        assert!(text.contains("nexus_build_info{version="), "{text}");
    }

    #[test]
    fn names_are_unique_and_sorted_by_constant() {
        let mut names: Vec<_> = ALL.iter().map(|(name, ..)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
