//! What somebody sends to make or change a subscription: read field by field, and each fault named with its field.

use serde_json::{Map, Value};

use crate::outbound::Target;
use crate::service::events::EventKind;
use crate::service::events::feed::check_patterns;

/// Longest secret, characters.
pub const SECRET_CHARS_MAX: usize = 512;
/// Longest name, characters.
pub const NAME_CHARS_MAX: usize = 255;
/// Longest description, characters.
pub const DESCRIPTION_CHARS_MAX: usize = 8 * 1024;
/// Longest value that a fault repeats, bytes of JSON.
const INPUT_BYTES_MAX: usize = 255;
/// Longest properties, bytes of JSON.
const METADATA_BYTES_MAX: usize = 16 * 1024;
/// The fields that both may have.
const FIELDS: [&str; 7] = ["url", "event_types", "patterns", "secret", "name", "description", "metadata"];
/// That of a change alone.
const ENABLED: &str = "enabled";

/// A field that cannot be taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Which; `None` = the whole.
    pub field: Option<String>,
    /// Which kind of fault, in the words of those who check such bodies: `missing`, `string_type`, `value_error`, …
    pub kind: &'static str,
    /// What is wrong.
    pub message: String,
    /// What was sent; null for what must not be repeated.
    pub input: Value,
}

/// The fields that were given, all of them good.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// Where to.
    pub url: Option<String>,
    /// Names of events.
    pub event_types: Option<Vec<String>>,
    /// Globs.
    pub patterns: Option<Vec<String>>,
    /// What deliveries are signed with, in clear.
    pub secret: Option<String>,
    /// The display name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Free properties.
    pub metadata: Option<Map<String, Value>>,
    /// Whether events are sent.
    pub enabled: Option<bool>,
}

impl Draft {
    /// Reads a body; of a new subscription `url` is needed. Null is as not given.
    pub fn read(body: &Value, new: bool) -> Result<Self, Vec<Fault>> {
        let Value::Object(fields) = body else {
            let message = "Input should be a valid dictionary".to_owned();
            return Err(vec![Fault { field: None, kind: "dict_type", message, input: Value::Null }]);
        };
        let mut reader = Reader { fields, faults: Vec::new() };
        let draft = Self {
            url: reader.take("url", url),
            event_types: reader.take("event_types", event_types),
            patterns: reader.take("patterns", patterns),
            secret: reader.take("secret", |v| text(v, SECRET_CHARS_MAX)),
            name: reader.take("name", |v| text(v, NAME_CHARS_MAX)),
            description: reader.take("description", |v| text(v, DESCRIPTION_CHARS_MAX)),
            metadata: reader.take("metadata", metadata),
            enabled: if new { None } else { reader.take(ENABLED, boolean) },
        };
        if new && !fields.contains_key("url") {
            reader.fault("url", "missing", "Field required".into(), Value::Null);
        } else if new && fields["url"].is_null() {
            reader.fault("url", "string_type", "Input should be a valid string".into(), Value::Null);
        }
        for name in fields.keys().filter(|name| !FIELDS.contains(&name.as_str()) && (new || *name != ENABLED)) {
            reader.fault(name, "extra_forbidden", "Extra inputs are not permitted".into(), Value::Null);
        }
        if reader.faults.is_empty() { Ok(draft) } else { Err(reader.faults) }
    }
}

/// A kind of fault and its text.
type Refusal = (&'static str, String);

struct Reader<'a> {
    fields: &'a Map<String, Value>,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn take<T>(&mut self, name: &str, read: impl FnOnce(&Value) -> Result<T, Refusal>) -> Option<T> {
        let value = self.fields.get(name).filter(|value| !value.is_null())?;
        match read(value) {
            Ok(value) => Some(value),
            Err((kind, message)) => {
                // A secret is not sent back, nor what is as long as a page.
                let short = value.to_string().len() <= INPUT_BYTES_MAX && name != "secret";
                let input = if short { value.clone() } else { Value::Null };
                self.fault(name, kind, message, input);
                None
            }
        }
    }

    fn fault(&mut self, field: &str, kind: &'static str, message: String, input: Value) {
        self.faults.push(Fault { field: Some(field.to_owned()), kind, message, input });
    }
}

fn wrong(text: impl std::fmt::Display) -> Refusal {
    ("value_error", format!("Value error, {text}"))
}

fn text(value: &Value, limit: usize) -> Result<String, Refusal> {
    let text = value.as_str().ok_or_else(|| ("string_type", "Input should be a valid string".to_owned()))?;
    if text.chars().count() > limit || text.contains('\0') {
        return Err(("string_too_long", format!("String should have at most {limit} characters, none of them NUL")));
    }
    Ok(text.to_owned())
}

fn texts(value: &Value) -> Result<Vec<String>, Refusal> {
    let list = value.as_array().ok_or_else(|| ("list_type", "Input should be a valid list".to_owned()))?;
    let texts: Option<Vec<String>> = list.iter().map(|item| item.as_str().map(str::to_owned)).collect();
    texts.ok_or_else(|| ("string_type", "Input should be a valid list of strings".to_owned()))
}

fn url(value: &Value) -> Result<String, Refusal> {
    let url = value.as_str().ok_or_else(|| ("string_type", "Input should be a valid string".to_owned()))?;
    Target::parse(url).map_err(wrong)?;
    Ok(url.to_owned())
}

fn event_types(value: &Value) -> Result<Vec<String>, Refusal> {
    let names = texts(value)?;
    if names.is_empty() {
        return Err(wrong("event_types must name at least one event"));
    }
    let known = || EventKind::ALL.map(EventKind::name).join(", ");
    match names.iter().find(|name| EventKind::named(name).is_none()) {
        Some(_) => Err(wrong(format!("event_types must be of {}", known()))),
        None => {
            let mut names = names;
            names.dedup();
            names.truncate(EventKind::ALL.len());
            Ok(names)
        }
    }
}

fn patterns(value: &Value) -> Result<Vec<String>, Refusal> {
    let patterns = texts(value)?;
    check_patterns(&patterns).map_err(wrong)?;
    Ok(patterns)
}

fn metadata(value: &Value) -> Result<Map<String, Value>, Refusal> {
    let map = value.as_object().ok_or_else(|| ("dict_type", "Input should be a valid dictionary".to_owned()))?;
    if value.to_string().len() > METADATA_BYTES_MAX {
        return Err(wrong(format!("metadata is longer than {METADATA_BYTES_MAX} bytes")));
    }
    Ok(map.clone())
}

fn boolean(value: &Value) -> Result<bool, Refusal> {
    value.as_bool().ok_or_else(|| ("bool_type", "Input should be a valid boolean".to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_fault_is_told_with_its_field() {
        let fields = |body: Value, new: bool| {
            let faults = Draft::read(&body, new).expect_err("faults");
            faults.into_iter().map(|fault| (fault.field.unwrap_or_default(), fault.kind)).collect::<Vec<_>>()
        };
        let of = |field: &str, kind: &'static str| vec![(field.to_owned(), kind)];
        assert_eq!(fields(json!({}), true), of("url", "missing"));
        assert_eq!(fields(json!([]), true), of("", "dict_type"));
        assert_eq!(fields(json!({"url": 5}), true), of("url", "string_type"));
        assert_eq!(fields(json!({"url": null}), true), of("url", "string_type"));
        assert_eq!(fields(json!({"url": "ftp://x"}), true), of("url", "value_error"));
        assert_eq!(fields(json!({"url": "http://x", "enabled": true}), true), of("enabled", "extra_forbidden"));
        assert_eq!(fields(json!({"event_types": []}), false), of("event_types", "value_error"));
        assert_eq!(fields(json!({"event_types": ["x"]}), false), of("event_types", "value_error"));
        assert_eq!(fields(json!({"event_types": [1]}), false), of("event_types", "string_type"));
        assert_eq!(fields(json!({"patterns": "x"}), false), of("patterns", "list_type"));
        assert_eq!(fields(json!({"metadata": []}), false), of("metadata", "dict_type"));
        assert_eq!(fields(json!({"enabled": "yes"}), false), of("enabled", "bool_type"));
        assert_eq!(fields(json!({"name": 1, "secret": 2}), false).len(), 2);
        assert!(Draft::read(&json!({"name": null}), false).is_ok());
    }

    #[test]
    fn a_secret_is_not_sent_back() {
        let faults = Draft::read(&json!({"secret": ["hidden"]}), false).expect_err("a fault");
        assert!(!format!("{faults:?}").contains("hidden"), "{faults:?}");
    }
}
