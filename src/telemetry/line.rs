//! A line of the log as JSON: time, level, fields of the event, target, the span with its fields.
//!
//! Owns the shape of the line, which is that of `tracing_subscriber`'s own (`json`, flattened, with the current span):
//! a test compares the two. Written straight into the line, because there is one for each request.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::model::time::{Clock as _, MICROS_PER_SECOND, SystemClock, iso_naive};

/// Fields of this kind tell where a line of another log came from.
const OF_OTHER_LOGS: &str = "log.";
/// The one of them that is kept: as the target.
const TARGET_OF_OTHER_LOG: &str = "log.target";

thread_local! {
    /// The second of this thread's last line, and its text: a date is not worked out for each line.
    static SECOND: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
    /// Room for a line. Taken while one is made: what is shown in a line may log, too.
    static ROOM: Cell<String> = const { Cell::new(String::new()) };
}

/// Formats events.
pub(super) struct JsonLine;

/// Formats the fields of spans: `"name":value`, with commas between.
pub(super) struct JsonPairs;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, cx: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        // In a text of its own, since each piece put into the writer is a call that cannot be inlined.
        let mut line = ROOM.take();
        line.clear();
        line.push_str(r#"{"timestamp":""#);
        time(&mut line, SystemClock.now_us());
        line.push_str(r#"","level":""#);
        line.push_str(event.metadata().level().as_str());
        line.push('"');
        let mut pairs = Pairs { out: &mut line, begun: true, target: None };
        event.record(&mut pairs);
        let target = pairs.target;
        line.push_str(r#","target":"#);
        text(&mut line, target.as_deref().unwrap_or(event.metadata().target()));
        let span = event.parent().and_then(|id| cx.span(id)).or_else(|| cx.lookup_current());
        if let Some(span) = span {
            line.push_str(r#","span":{"#);
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>().filter(|fields| !fields.is_empty()) {
                line.push_str(fields);
                line.push(',');
            }
            line.push_str(r#""name":"#);
            text(&mut line, span.name());
            line.push('}');
        }
        line.push_str("}\n");
        let written = out.write_str(&line);
        ROOM.set(line);
        written
    }
}

impl<'writer> FormatFields<'writer> for JsonPairs {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut out = String::new();
        fields.record(&mut Pairs { out: &mut out, begun: false, target: None });
        writer.write_str(&out)
    }

    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        fields: &tracing::span::Record<'_>,
    ) -> fmt::Result {
        let begun = !current.is_empty();
        fields.record(&mut Pairs { out: &mut current.fields, begun, target: None });
        Ok(())
    }
}

/// Writes fields as the members of an object.
struct Pairs<'a> {
    out: &'a mut String,
    /// Whether a member stands before.
    begun: bool,
    target: Option<String>,
}

impl Pairs<'_> {
    /// One member, behind a comma where it is not the first.
    fn pair(&mut self, field: &Field, value: impl FnOnce(&mut String)) {
        let name = field.name();
        if name.starts_with(OF_OTHER_LOGS) {
            return;
        }
        if std::mem::replace(&mut self.begun, true) {
            self.out.push(',');
        }
        text(self.out, name.strip_prefix("r#").unwrap_or(name));
        self.out.push(':');
        value(self.out);
    }

    fn integer(&mut self, field: &Field, value: impl itoa::Integer) {
        self.pair(field, |out| out.push_str(itoa::Buffer::new().format(value)));
    }
}

impl Visit for Pairs<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.pair(field, |out| if value.is_finite() { shown(out, &value) } else { out.push_str("null") });
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.integer(field, value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.integer(field, value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.pair(field, |out| out.push_str(if value { "true" } else { "false" }));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == TARGET_OF_OTHER_LOG {
            self.target = Some(value.to_owned());
        }
        self.pair(field, |out| text(out, value));
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.pair(field, |out| {
            out.push('"');
            shown(&mut Escaped(out), value);
            out.push('"');
        });
    }
}

/// What a value says of itself. Where it fails to, the line says as much as it said.
fn shown(out: &mut impl Write, value: &dyn fmt::Debug) {
    let _ = write!(out, "{value:?}");
}

/// `2025-12-17T22:53:05.660123Z`.
fn time(out: &mut String, now_us: i64) {
    let (second, micros) = (now_us.div_euclid(MICROS_PER_SECOND), now_us.rem_euclid(MICROS_PER_SECOND));
    SECOND.with_borrow_mut(|(known, text)| {
        if *known != second {
            *text = iso_naive(second * MICROS_PER_SECOND);
            text.truncate(text.find('.').unwrap_or(text.len()));
            *known = second;
        }
        out.push_str(text);
    });
    // A whole second more makes seven digits of it, of which the first is a point here.
    out.push('.');
    out.push_str(&itoa::Buffer::new().format(MICROS_PER_SECOND + micros)[1..]);
    out.push('Z');
}

/// A JSON string.
fn text(out: &mut String, text: &str) {
    out.push('"');
    escaped(out, text);
    out.push('"');
}

/// Whether a byte cannot stand in a JSON string as it is.
fn is_special(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// What may stand between the quotes of a JSON string.
fn escaped(out: &mut String, text: &str) {
    // Looked at as a whole, since that is done many bytes at once; hardly any holds one.
    if !text.bytes().fold(false, |found, byte| found | is_special(byte)) {
        out.push_str(text);
        return;
    }
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other if other < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(other))),
            other => out.push(other),
        }
    }
}

/// Writes what may stand between the quotes of a JSON string.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escaped(self.0, text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use serde_json::Value;
    use tracing::field::Empty;

    use super::*;

    /// A log in memory.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Log {
        fn lines(&self) -> Vec<Value> {
            let text = String::from_utf8(self.0.lock().clone()).expect("text");
            text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
        }
    }

    /// Everything that a line can hold.
    fn speak() {
        tracing::info!("bare");
        let odd = "quotes \" \\ and\nlines\t\u{1} and \u{2028} ümläut";
        let span = tracing::info_span!("rpc", rpc.method = "list", request.id = %odd, n = 7, later = Empty);
        span.in_scope(|| {
            tracing::warn!(code = "ok", duration_ms = 0.25, whole = 3.0, tiny = 1e-9, revision = 5_u64, "answered");
            span.record("later", -1);
            let inner = tracing::error_span!("inner");
            inner.in_scope(|| tracing::error!(error = ?Some(odd), is = true, minus = -5, "failed: {odd}"));
            tracing::info!(parent: &inner, r#type = "x", infinite = f64::INFINITY, big = 1_u128);
        });
        tracing::info!(target: "else\"where", odd);
    }

    #[test]
    fn times_are_those_of_the_clock() {
        let said = |us| {
            let mut text = String::new();
            time(&mut text, us);
            text
        };
        assert_eq!(said(1_766_011_985_000_007), "2025-12-17T22:53:05.000007Z");
        assert_eq!(said(1_766_011_985_999_999), "2025-12-17T22:53:05.999999Z");
        assert_eq!(said(1_766_011_986_000_000), "2025-12-17T22:53:06.000000Z");
        assert_eq!(said(1_766_011_984_500_000), "2025-12-17T22:53:04.500000Z", "clocks are set back");
    }

    #[test]
    fn a_line_says_what_the_usual_one_says() {
        let (ours, usual) = (Log::default(), Log::default());
        let to = |log: &Log| {
            let log = log.clone();
            tracing_subscriber::fmt().with_writer(move || log.clone())
        };
        let of_ours = to(&ours).event_format(JsonLine).fmt_fields(JsonPairs).finish();
        tracing::subscriber::with_default(of_ours, speak);
        let of_usual = to(&usual).json().flatten_event(true).with_current_span(true).with_span_list(false).finish();
        tracing::subscriber::with_default(of_usual, speak);
        let (ours, usual) = (ours.lines(), usual.lines());
        assert_eq!(ours.len(), 5);
        for (mut our, mut usual) in ours.into_iter().zip(usual) {
            for line in [&mut our, &mut usual] {
                let time = line["timestamp"].take();
                assert!(time.as_str().is_some_and(|time| time.ends_with('Z') && time.len() == 27), "{time}");
            }
            assert_eq!(our, usual);
        }
    }
}
