//! The log: one line per event on standard error, for people on a terminal, as JSON elsewhere.
//!
//! What writes them is `sink`. Whatever a caller of the log forgets, a key does not get through: every line is searched before it is left.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

use super::line::{JsonLine, JsonPairs};
use super::sink;
pub use super::sink::flush;
use crate::config::LogStyle;

/// A filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the log filter `{filter}` is not valid: {reason}. Try `info`, or `warn,nexus_lite::store=debug`")]
pub struct BadFilter {
    filter: String,
    reason: String,
}

/// Starts the log of the process. A second call (several servers in one test process) changes nothing.
pub fn init(filter: &str, format: LogStyle) -> Result<(), BadFilter> {
    let parsed =
        EnvFilter::try_new(filter).map_err(|e| BadFilter { filter: filter.to_owned(), reason: e.to_string() })?;
    let terminal = io::stderr().is_terminal();
    let pretty = match format {
        LogStyle::Auto => terminal,
        LogStyle::Pretty => true,
        LogStyle::Json => false,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(parsed).with_writer(sink::ToSink);
    // Failing means that a log is there already: the first one stays.
    let _ = if pretty {
        builder.with_ansi(terminal).with_target(false).try_init()
    } else {
        builder.event_format(JsonLine).fmt_fields(JsonPairs).try_init()
    };
    sink::start();
    Ok(())
}

/// What stands before a secret.
const MARKS: &[&str] = &["sk-", "Bearer ", "bearer "];
/// One of them stands in each of those: fewer to look for in each line.
const PARTS_OF_MARKS: &[&str] = &["sk-", "earer "];
/// What a secret keeps of itself, bytes: enough to tell which key it was.
const KEPT_BYTES: usize = 3;
/// Shorter words after a mark are words, not secrets.
const SECRET_BYTES_MIN: usize = 8;

/// Replaces what looks like a key or a token.
#[must_use]
pub fn redact(text: &str) -> std::borrow::Cow<'_, str> {
    if !PARTS_OF_MARKS.iter().any(|part| text.contains(part)) {
        return text.into();
    }
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, mark)) = MARKS.iter().filter_map(|m| rest.find(m).map(|at| (at, *m))).min() {
        let secret_at = at + mark.len();
        safe.push_str(&rest[..secret_at]);
        let secret = &rest[secret_at..];
        let end = secret.find(|c: char| !is_part_of_secret(c)).unwrap_or(secret.len());
        if end >= SECRET_BYTES_MIN {
            safe.push_str(&secret[..secret.floor_char_boundary(if mark == "sk-" { KEPT_BYTES } else { 0 })]);
            safe.push('…');
        } else {
            safe.push_str(&secret[..end]);
        }
        rest = &secret[end..];
    }
    safe.push_str(rest);
    safe.into()
}

fn is_part_of_secret(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ',' | '+' | '/' | '=' | '~' | ':' | '@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_mark_is_overlooked() {
        for mark in MARKS {
            assert!(PARTS_OF_MARKS.iter().any(|part| mark.contains(part)), "{mark}");
        }
    }

    #[test]
    fn keys_do_not_get_through() {
        let key = "sk-default_admin_dddddddd_eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";
        for line in [
            format!("{{\"key\":\"{key}\"}}"),
            format!("authorization=Bearer {key} next"),
            format!("{key}{key}"),
            format!("a {key}\nb {key}"),
            "Bearer eyJhbGciOi.J9.x-y_z".to_owned(),
        ] {
            let safe = redact(&line);
            assert!(!safe.contains("dddd") && !safe.contains("eeee") && !safe.contains("J9"), "{safe}");
        }
        assert_eq!(redact(&format!("k={key}; path=/a")), "k=sk-def…; path=/a");
        for harmless in ["no secret", "risk-free", "Bearer of news", "task-force, sk-", ""] {
            assert_eq!(redact(harmless), harmless);
        }
    }

    #[test]
    fn a_bad_filter_is_told() {
        let error = init("nexus_lite=loud", LogStyle::Json).expect_err("no such level").to_string();
        assert!(error.contains("nexus_lite=loud") && error.contains("Try"), "{error}");
    }
}
