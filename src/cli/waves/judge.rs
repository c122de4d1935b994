//! Right or not: compares a whole body with the expected one and names the first difference.
//!
//! Knows nothing of HTTP. Invariant: what is not equal in every value, key and order is a miss.

use serde_json::{Map, Value};

use super::client::Answer;
use crate::model::time::parse_iso;

/// The verdict on one answer: `Ok`, or what is wrong with it, in words.
pub type Verdict = Result<(), String>;

/// Judges an answer against the right result.
pub fn judge(answer: &Answer, expected: &Value) -> Verdict {
    let result = result_of(answer)?;
    compare("result", expected, &result)
}

/// The `result` of an answer, or why there is none: no reply, another status than 200, no JSON, an error object.
pub fn result_of(answer: &Answer) -> Result<Value, String> {
    let body = answer.body.as_ref().map_err(Clone::clone)?;
    let parsed: Result<Map<String, Value>, _> = serde_json::from_slice(body);
    if let Ok(reply) = &parsed
        && let Some(error) = reply.get("error").filter(|e| !e.is_null())
    {
        let message = error.get("message").and_then(Value::as_str).map_or_else(|| error.to_string(), str::to_owned);
        return Err(format!("error: {message}"));
    }
    if answer.status != 200 {
        let text = String::from_utf8_lossy(body);
        return Err(format!("HTTP {}: {}", answer.status, shorten(&text)));
    }
    let mut reply = parsed.map_err(|e| format!("not a JSON object: {e}"))?;
    reply.shift_remove("result").ok_or_else(|| "neither result nor error".to_owned())
}

/// Compares in full; the error names the first place that differs.
pub fn compare(place: &str, expected: &Value, actual: &Value) -> Verdict {
    if let Some((kind, wanted)) = pattern(expected) {
        return matches_pattern(place, kind, wanted, actual);
    }
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => compare_objects(place, expected, actual),
        (Value::Array(expected), Value::Array(actual)) => {
            if expected.len() != actual.len() {
                return Err(wrong_length(place, expected, actual));
            }
            let mut pairs = expected.iter().zip(actual).enumerate();
            pairs.try_for_each(|(at, (e, a))| compare(&format!("{place}[{at}]"), e, a))
        }
        _ if expected == actual => Ok(()),
        _ => Err(format!("{place} is {}, not {}", shorten(&actual.to_string()), shorten(&expected.to_string()))),
    }
}

fn compare_objects(place: &str, expected: &Map<String, Value>, actual: &Map<String, Value>) -> Verdict {
    for (key, wanted) in expected {
        let place = format!("{place}.{key}");
        match (actual.get(key), pattern(wanted)) {
            (None, Some(("$optional", _))) => {}
            (None, _) => return Err(format!("{place} is missing")),
            (Some(found), _) => compare(&place, wanted, found)?,
        }
    }
    match actual.keys().find(|key| !expected.contains_key(*key)) {
        Some(unknown) => Err(format!("{place}.{unknown} should not be there")),
        None => Ok(()),
    }
}

/// A short answer is the worst bug: say what is missing, or else what is too much.
fn wrong_length(place: &str, expected: &[Value], actual: &[Value]) -> String {
    let name = |row: &Value| shorten(&row.get("name").or_else(|| row.get("path")).unwrap_or(row).to_string());
    let absent = expected.iter().find(|e| !actual.iter().any(|a| compare("", e, a).is_ok()));
    let foreign = actual.iter().find(|a| !expected.iter().any(|e| compare("", e, a).is_ok()));
    let which = match (absent, foreign) {
        (Some(absent), _) => format!("; missing: {}", name(absent)),
        (None, Some(foreign)) => format!("; too much: {}", name(foreign)),
        (None, None) => "; one of them twice".to_owned(),
    };
    format!("{place} has {} of {} entries{which}", actual.len(), expected.len())
}

fn pattern(value: &Value) -> Option<(&str, &Value)> {
    let (key, wanted) = value.as_object().filter(|o| o.len() == 1)?.iter().next()?;
    key.starts_with('$').then_some((key.as_str(), wanted))
}

fn matches_pattern(place: &str, kind: &str, wanted: &Value, actual: &Value) -> Verdict {
    let fits = match (kind, wanted.as_str()) {
        ("$optional", _) => return compare(place, wanted, actual),
        ("$any", Some("anything")) => true,
        ("$any", Some("text")) => actual.as_str().is_some_and(|text| !text.is_empty()),
        ("$any", Some("number")) => actual.is_number(),
        ("$any", Some("time")) => time_us(actual).is_some(),
        ("$time_us", _) => wanted.is_i64() && time_us(actual) == wanted.as_i64(),
        _ => return Err(format!("{place}: the expectation has an unknown pattern {kind}")),
    };
    if fits { Ok(()) } else { Err(format!("{place} is {}, not {kind} {wanted}", shorten(&actual.to_string()))) }
}

/// A time of the wire, as text or as wrapper, in µs since the epoch.
fn time_us(value: &Value) -> Option<i64> {
    let text = value.as_str().or_else(|| value.get("data").and_then(Value::as_str))?;
    parse_iso(text)
}

/// Texts in a reason are cut to this many characters.
const SHOWN_CHARS: usize = 120;

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn answer(status: u16, body: &Value) -> Answer {
        Answer { status, body: Ok(body.to_string().into()), took: Duration::ZERO }
    }

    fn skills(names: &[&str]) -> Value {
        let rows: Vec<Value> = names.iter().map(|name| json!({ "name": name, "requires": [] })).collect();
        json!({ "skills": rows, "count": names.len() })
    }

    #[test]
    fn a_full_list_is_right_and_a_short_one_is_not() {
        let expected = skills(&["docx", "pdf", "xlsx"]);
        assert_eq!(judge(&answer(200, &json!({ "result": expected })), &expected), Ok(()));
        let short = json!({ "jsonrpc": "2.0", "id": 1, "result": skills(&["docx", "xlsx"]) });
        let reason = judge(&answer(200, &short), &expected).expect_err("one is missing");
        assert!(reason.contains("2 of 3") && reason.contains("pdf"), "{reason}");
    }

    #[test]
    fn status_200_is_not_enough() {
        let expected = json!([]);
        let error = json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": -32603, "message": "database is locked" } });
        assert_eq!(judge(&answer(200, &error), &expected), Err("error: database is locked".into()));
        assert!(judge(&answer(500, &json!("Internal Server Error")), &expected).is_err());
        assert!(judge(&answer(200, &json!({ "id": 1 })), &expected).is_err());
        assert!(judge(&answer(503, &json!({ "result": [] })), &expected).is_err());
        let lost = Answer { status: 0, body: Err("timed out".into()), took: Duration::ZERO };
        assert_eq!(judge(&lost, &expected), Err("timed out".into()));
    }

    #[test]
    fn every_difference_counts() {
        let expected = json!({ "files": ["/a", "/b"], "n": 1 });
        for doctored in [
            json!({ "files": ["/b", "/a"], "n": 1 }),
            json!({ "files": ["/a", "/b", "/c"], "n": 1 }),
            json!({ "files": ["/a", "/b"], "n": "1" }),
            json!({ "files": ["/a", "/b"] }),
            json!({ "files": ["/a", "/b"], "n": 1, "more": true }),
            json!(["/a", "/b"]),
            Value::Null,
        ] {
            assert!(compare("result", &expected, &doctored).is_err(), "{doctored}");
        }
    }

    #[test]
    fn what_cannot_be_known_is_still_looked_at() {
        let us = parse_iso("2026-11-22T00:50:49.700622").expect("a time");
        let expected = json!({ "id": { "$any": "text" }, "at": { "$time_us": us }, "more": { "$optional": 1 } });
        for right in [
            json!({ "id": "x", "at": "2026-11-22T00:50:49.700622" }),
            json!({ "id": "x", "at": "2026-11-22T00:50:49.700622+00:00", "more": 1 }),
            json!({ "id": "x", "at": { "__type__": "datetime", "data": "2026-11-22T00:50:49.700622" } }),
        ] {
            assert_eq!(compare("result", &expected, &right), Ok(()));
        }
        for wrong in [
            json!({ "id": "", "at": "2026-11-22T00:50:49.700622" }),
            json!({ "id": "x", "at": "2026-11-22T00:50:49.700623" }),
            json!({ "id": "x", "at": "2026-11-22T00:50:49.700622", "more": 2 }),
            json!({ "id": "x" }),
        ] {
            assert!(compare("result", &expected, &wrong).is_err(), "{wrong}");
        }
    }
}
