//! From named arguments to a params struct, and from a result to bytes.
//!
//! The names are checked against the method's schema before anything is decoded; a value that does not fit is
//! reported with the parameter it was meant for.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::io;

use serde::Serialize;
use serde::de::value::MapDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::envelope::strip_position;
use super::registry::{Params, Spec};
use super::{ErrorCode, RpcError};
use crate::model::nearest;

/// The largest result, bytes. A larger one is refused, never cut.
pub const RESULT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How much of the words about a bad value is told, bytes.
const DETAIL_BYTES_MAX: usize = 300;

/// Named arguments, not decoded yet.
#[derive(Debug)]
pub enum Arguments<'a> {
    /// Texts of values, in the order of the request.
    Raw(Vec<(Cow<'a, str>, &'a RawValue)>),
    /// Values.
    Value(Map<String, Value>),
}

/// Takes the parameters apart and checks their names against the method's: known, not twice, nothing missing.
pub fn arguments<'a>(spec: &Spec, params: Params<'a>) -> Result<Arguments<'a>, RpcError> {
    let method = spec.entry.name;
    match params {
        Params::Raw(text) => {
            let Pairs(mut pairs) = serde_json::from_str(text.get()).map_err(|e| misfit(method, None, &e))?;
            pairs.retain(|(name, _)| !is_ignored(spec, name));
            let names: Vec<&str> = pairs.iter().map(|(name, _)| &**name).collect();
            check_names(spec, &names)?;
            Ok(Arguments::Raw(pairs))
        }
        Params::Value(mut map) => {
            map.retain(|name, _| !is_ignored(spec, name));
            let names: Vec<&str> = map.keys().map(String::as_str).collect();
            check_names(spec, &names)?;
            Ok(Arguments::Value(map))
        }
    }
}

/// Whether a parameter is accepted and not looked at: some clients send a `context` of their own to the methods of
/// agents, sandboxes, learning and credentials; who calls is decided by the key alone.
fn is_ignored(spec: &Spec, name: &str) -> bool {
    let method = spec.entry.alias_of.unwrap_or(spec.entry.name);
    let lenient = ["sandbox_", "ace_", "mcp_", "oauth_"];
    name == "context"
        && (method == "register_agent" || lenient.iter().any(|prefix| method.starts_with(prefix)))
        && !spec.parameters.iter().any(|p| p.name == name)
}

fn check_names(spec: &Spec, names: &[&str]) -> Result<(), RpcError> {
    let method = spec.entry.name;
    let known = || spec.parameters.iter().map(|p| p.name.as_str());
    for (at, name) in names.iter().enumerate() {
        if !known().any(|k| k == *name) {
            let name = clip(name);
            let error = RpcError::invalid_params(format_args!("{method} got an unexpected keyword argument '{name}'"));
            return Err(error.hint(match nearest(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if spec.parameters.is_empty() => format!("{method} takes no parameters"),
                None => format!("{method} takes {}", known().collect::<Vec<_>>().join(", ")),
            }));
        }
        if names[..at].contains(name) {
            return Err(RpcError::invalid_params(format_args!("{method} got the parameter '{name}' twice")));
        }
    }
    let missing: Vec<_> = spec.parameters.iter().filter(|p| p.required && !names.contains(&p.name.as_str())).collect();
    if let Some(first) = missing.first() {
        let list = missing.iter().map(|p| format!("'{}'", p.name)).collect::<Vec<_>>().join(", ");
        let s = if missing.len() == 1 { "" } else { "s" };
        let text = format!("{method} missing {} required positional argument{s}: {list}", missing.len());
        return Err(RpcError::invalid_params(text).with("parameter", first.name.as_str()));
    }
    Ok(())
}

/// The members of an object, in order, doubles included.
struct Pairs<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// A key, borrowed where it has no escape.
        struct Key<'a>(Cow<'a, str>);
        impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl<'de> Visitor<'de> for Text {
                    type Value = Cow<'de, str>;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a name")
                    }
                    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                        Ok(Cow::Borrowed(text))
                    }
                    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                        Ok(Cow::Owned(text.to_owned()))
                    }
                }
                deserializer.deserialize_str(Text).map(Key)
            }
        }
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some((Key(name), value)) = map.next_entry()? {
                    pairs.push((name, value));
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Members).map(Pairs)
    }
}

/// Decodes checked arguments into the params struct of `method`.
pub fn decode<T: DeserializeOwned>(method: &str, arguments: Arguments<'_>) -> Result<T, RpcError> {
    match arguments {
        Arguments::Raw(pairs) => decode_pairs(method, pairs.into_iter()),
        Arguments::Value(map) => decode_pairs(method, map.into_iter().map(|(k, v)| (Cow::Owned(k), v))),
    }
}

fn decode_pairs<'a, 'de, T, V>(method: &str, pairs: impl Iterator<Item = (Cow<'a, str>, V)>) -> Result<T, RpcError>
where
    T: DeserializeOwned,
    V: IntoDeserializer<'de, serde_json::Error>,
{
    let current = RefCell::new(None);
    let noted = pairs.map(|(name, value)| {
        let name = name.into_owned();
        *current.borrow_mut() = Some(name.clone());
        (name, value)
    });
    let decoded = T::deserialize(MapDeserializer::new(noted));
    decoded.map_err(|e: serde_json::Error| misfit(method, current.take().as_deref(), &e))
}

/// The error of a value that does not fit, or, where its text is not JSON at all (a lone surrogate), of the body.
fn misfit(method: &str, parameter: Option<&str>, error: &serde_json::Error) -> RpcError {
    let text = strip_position(error);
    let detail = clip(&text);
    if error.is_syntax() && !text.contains("recursion limit") {
        return RpcError::parse(detail);
    }
    match parameter {
        Some(name) => RpcError::invalid_params(format_args!("{method}: '{name}': {detail}")).with("parameter", name),
        None => RpcError::invalid_params(format_args!("{method}: {detail}")),
    }
}

/// The beginning of a text that a caller sent.
fn clip(text: &str) -> &str {
    &text[..text.floor_char_boundary(DETAIL_BYTES_MAX)]
}

/// Appends a result as JSON; refuses one over [`RESULT_BYTES_MAX`].
pub fn write_result<T: Serialize>(out: &mut Vec<u8>, result: &T) -> Result<(), RpcError> {
    write_bounded(out, result, RESULT_BYTES_MAX)
}

fn write_bounded<T: Serialize>(out: &mut Vec<u8>, result: &T, limit_bytes: usize) -> Result<(), RpcError> {
    let mut bounded = Bounded { out, left_bytes: limit_bytes };
    serde_json::to_writer(&mut bounded, result).map_err(|error| {
        if error.is_io() {
            return RpcError::result_too_large(limit_bytes);
        }
        tracing::error!(%error, "a result could not be serialised");
        RpcError::internal()
    })
}

struct Bounded<'a> {
    out: &'a mut Vec<u8>,
    left_bytes: usize,
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left_bytes = self.left_bytes.checked_sub(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl RpcError {
    /// The refusal of a method that does not exist, in the words that clients know.
    #[must_use]
    pub fn unknown_method(name: &str) -> Self {
        let name = clip(name);
        let error = Self::new(ErrorCode::MethodNotFound, format!("Invalid parameters: Unknown method: {name}"));
        match nearest(name, super::registry::METHODS.iter().map(|entry| entry.name)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("GET /openrpc.json lists the methods"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::{Access, Entry, Method, RequestContext, entry};
    use schemars::JsonSchema;
    use serde_json::json;

    /// A method of the test.
    #[derive(Debug, serde::Deserialize, JsonSchema)]
    struct Probe {
        /// A text.
        path: String,
        /// A pair.
        #[serde(default)]
        subject: Option<(String, String)>,
        /// Bytes.
        #[serde(default)]
        content: Option<super::super::codec::WireBytes>,
        /// Anything.
        #[serde(default)]
        metadata: Option<Value>,
    }

    impl Method for Probe {
        const NAME: &'static str = "probe";
        const ACCESS: Access = Access::Read;
        const ERRORS: &'static [ErrorCode] = &[];
        type Output = ();
        async fn call(self, _cx: &RequestContext) -> Result<(), RpcError> {
            Ok(())
        }
    }

    /// A method that lets a context be sent.
    #[derive(Debug, serde::Deserialize, JsonSchema)]
    struct SandboxProbe {}

    impl Method for SandboxProbe {
        const NAME: &'static str = "sandbox_probe";
        const ACCESS: Access = Access::Read;
        const ERRORS: &'static [ErrorCode] = &[];
        type Output = ();
        async fn call(self, _cx: &RequestContext) -> Result<(), RpcError> {
            Ok(())
        }
    }

    static PROBE: Entry = entry::<Probe>();
    static SANDBOX_PROBE: Entry = entry::<SandboxProbe>();

    /// Decodes by both ways; they must agree.
    fn probe(params: &str) -> Result<Probe, RpcError> {
        let raw: &RawValue = serde_json::from_str(params).expect("JSON");
        let spec = Spec::of(&PROBE);
        let by_text = arguments(&spec, Params::Raw(raw)).and_then(|a| decode::<Probe>("probe", a));
        if let Ok(Value::Object(map)) = serde_json::from_str(params) {
            let by_value = arguments(&spec, Params::Value(map)).and_then(|a| decode::<Probe>("probe", a));
            assert_eq!(by_text.is_ok(), by_value.is_ok(), "{params}");
        }
        by_text
    }

    #[test]
    fn decodes_what_fits() {
        let probe = probe(
            r#"{"path":"/a","subject":["user","u"],"content":{"__type__":"bytes","data":"eA=="},"metadata":null}"#,
        );
        let probe = probe.expect("fits");
        assert_eq!(probe.path, "/a");
        assert_eq!(probe.subject, Some(("user".into(), "u".into())));
        assert_eq!(probe.content.expect("sent").0.as_ref(), b"x");
        assert!(probe.metadata.is_none());
    }

    #[test]
    fn names_are_checked() {
        let spec = Spec::of(&PROBE);
        assert_eq!(spec.parameters.len(), 4);
        assert!(spec.parameters[0].required && !spec.parameters[1].required);

        let error = probe(r#"{"path":"/a","subjct":1}"#).expect_err("unknown");
        assert_eq!(error.message, "Invalid parameters: probe got an unexpected keyword argument 'subjct'");
        assert_eq!(error.hint.as_deref(), Some("did you mean `subject`?"));
        let error = probe(r#"{"path":"/a","zzz":1}"#).expect_err("unknown");
        assert_eq!(error.hint.as_deref(), Some("probe takes path, subject, content, metadata"));
        let error = probe("{}").expect_err("missing");
        assert_eq!(error.message, "Invalid parameters: probe missing 1 required positional argument: 'path'");
        let error = probe(r#"{"path":"/a","context":{}}"#).expect_err("no context here");
        assert_eq!(error.code, ErrorCode::InvalidParams);
        let raw: &RawValue = serde_json::from_str(r#"{"path":"/a","path":"/b"}"#).expect("JSON");
        let error = arguments(&spec, Params::Raw(raw)).expect_err("twice");
        assert_eq!(error.message, "Invalid parameters: probe got the parameter 'path' twice");
    }

    #[test]
    fn a_context_is_ignored_where_clients_send_one() {
        let spec = Spec::of(&SANDBOX_PROBE);
        let raw: &RawValue = serde_json::from_str(r#"{"context":{"user":"root"}}"#).expect("JSON");
        let left = arguments(&spec, Params::Raw(raw)).expect("accepted");
        decode::<SandboxProbe>("sandbox_probe", left).expect("nothing left to decode");
        let Value::Object(map) = json!({"context": 1, "other": 2}) else { unreachable!() };
        let error = arguments(&spec, Params::Value(map)).expect_err("only the context");
        assert_eq!(error.hint.as_deref(), Some("sandbox_probe takes no parameters"));
    }

    #[test]
    fn types_are_checked() {
        for (params, says) in [
            (r#"{"path":5}"#, "probe: 'path': invalid type: integer `5`, expected a string"),
            (r#"{"path":null}"#, "probe: 'path': invalid type: null, expected a string"),
            (r#"{"path":"/a","subject":["user"]}"#, "probe: 'subject': invalid length 1"),
            (r#"{"path":"/a","content":{"__type__":"bytes","data":"A"}}"#, "probe: 'content': invalid base64"),
        ] {
            let error = probe(params).expect_err(params);
            assert_eq!(error.code, ErrorCode::InvalidParams, "{params}");
            assert!(error.message.contains(says), "{params}: {}", error.message);
        }
        assert_eq!(probe(r#"{"path":"\ud800"}"#).expect_err("lone surrogate").code, ErrorCode::Parse);
        let long = format!(r#"{{"path":"/a","content":{{"__type__":"{}"}}}}"#, "ä".repeat(5000));
        assert!(probe(&long).expect_err("wrong kind").message.len() < 500);
    }

    #[test]
    fn a_result_is_whole_or_refused() {
        let mut out = Vec::new();
        write_bounded(&mut out, &"x".repeat(8), 10).expect("fits exactly");
        assert_eq!(out.len(), 10);
        let error = write_bounded(&mut out, &"x".repeat(9), 10).expect_err("too large");
        assert_eq!(error.code, ErrorCode::ResultTooLarge);
    }
}
