//! The value encoding of the wire (contract §1.4): bytes, date-times and durations as wrapper objects.
//!
//! Owns the three wrapper types and [`RawJson`]. Must never know a method. Invariant: what is written here is read
//! back as the same value, and text that is not what it claims to be (base64, ISO-8601) is an error, never a guess.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Unexpected, Visitor};
use serde::ser::{Error as _, SerializeMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::model::time::{iso_naive, iso_utc, parse_iso};

/// The key that marks a wrapper object.
const TYPE_KEY: &str = "__type__";

/// Bytes: `{"__type__":"bytes","data":"<base64>"}`; incoming also a plain string, taken as UTF-8 text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireBytes(pub Bytes);

/// A date-time, µs: `{"__type__":"datetime","data":"<ISO-8601>"}`; incoming also a plain ISO string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireTime {
    /// Unix time, µs.
    pub us: i64,
    /// Whether the text names its offset (`+00:00`): values made in this request do, stored ones do not.
    pub aware: bool,
}

impl WireTime {
    /// A time made in this request: written with its offset.
    #[must_use]
    pub fn aware(us: i64) -> Self {
        Self { us, aware: true }
    }
    /// A stored time: UTC, written without saying so.
    #[must_use]
    pub fn naive(us: i64) -> Self {
        Self { us, aware: false }
    }
    /// The ISO-8601 text, for the replies that carry it without a wrapper.
    #[must_use]
    pub fn iso(self) -> String {
        if self.aware { iso_utc(self.us) } else { iso_naive(self.us) }
    }
}

/// A duration: `{"__type__":"timedelta","seconds":<number>}`; incoming also a plain number of seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WireDuration {
    /// Seconds.
    pub seconds: f64,
}

impl Serialize for WireBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(TYPE_KEY, "bytes")?;
        map.serialize_entry("data", &Encoded(&self.0))?;
        map.end()
    }
}

/// Writes base64 straight into the reply, without a string between.
struct Encoded<'a>(&'a [u8]);

impl Serialize for Encoded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

impl<'de> Deserialize<'de> for WireBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Content;
        impl<'de> Visitor<'de> for Content {
            type Value = WireBytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or {\"__type__\":\"bytes\",\"data\":\"<base64>\"}")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<WireBytes, E> {
                Ok(WireBytes(Bytes::copy_from_slice(text.as_bytes())))
            }
            fn visit_string<E: serde::de::Error>(self, text: String) -> Result<WireBytes, E> {
                Ok(WireBytes(Bytes::from(text)))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WireBytes, A::Error> {
                read_wrapper(map, "bytes", "data", Base64).map(WireBytes)
            }
        }
        deserializer.deserialize_any(Content)
    }
}

/// Reads `{"__type__": kind, value_key: …}`, in any order, refusing every other key.
fn read_wrapper<'de, A: MapAccess<'de>, S: DeserializeSeed<'de> + Copy>(
    mut map: A,
    kind: &'static str,
    value_key: &'static str,
    seed: S,
) -> Result<S::Value, A::Error> {
    let mut typed = false;
    let mut value = None;
    while let Some(key) = map.next_key::<Cow<'de, str>>()? {
        if key == TYPE_KEY {
            let found: Cow<'de, str> = map.next_value()?;
            if found != kind {
                return Err(A::Error::invalid_value(Unexpected::Str(&found), &kind));
            }
            typed = true;
        } else if key == value_key {
            value = Some(map.next_value_seed(seed)?);
        } else {
            map.next_value::<IgnoredAny>()?;
            return Err(A::Error::custom(format_args!("a {kind} wrapper has no key `{key}`")));
        }
    }
    match value {
        Some(value) if typed => Ok(value),
        Some(_) => Err(A::Error::missing_field(TYPE_KEY)),
        None => Err(A::Error::missing_field(value_key)),
    }
}

/// Decodes base64 straight from the text of the request.
#[derive(Clone, Copy)]
struct Base64;

impl<'de> DeserializeSeed<'de> for Base64 {
    type Value = Bytes;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Bytes, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Base64 {
    type Value = Bytes;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard padded base64")
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Bytes, E> {
        STANDARD.decode(text).map(Bytes::from).map_err(|e| E::custom(format_args!("invalid base64: {e}")))
    }
}

/// Reads a text that is a time.
#[derive(Clone, Copy)]
struct IsoText;

impl<'de> DeserializeSeed<'de> for IsoText {
    type Value = i64;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<i64, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsoText {
    type Value = i64;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an ISO-8601 date or date-time")
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<i64, E> {
        parse_iso(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl Serialize for WireTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(TYPE_KEY, "datetime")?;
        map.serialize_entry("data", &self.iso())?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for WireTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Time;
        impl<'de> Visitor<'de> for Time {
            type Value = WireTime;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an ISO-8601 string or {\"__type__\":\"datetime\",\"data\":\"<ISO-8601>\"}")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<WireTime, E> {
                IsoText.visit_str(text).map(WireTime::aware)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WireTime, A::Error> {
                read_wrapper(map, "datetime", "data", IsoText).map(WireTime::aware)
            }
        }
        deserializer.deserialize_any(Time)
    }
}

impl Serialize for WireDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.seconds.is_finite() {
            return Err(S::Error::custom("a duration is a finite number of seconds"));
        }
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(TYPE_KEY, "timedelta")?;
        map.serialize_entry("seconds", &self.seconds)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for WireDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seconds;
        impl<'de> Visitor<'de> for Seconds {
            type Value = WireDuration;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seconds or {\"__type__\":\"timedelta\",\"seconds\":<number>}")
            }
            fn visit_f64<E: serde::de::Error>(self, seconds: f64) -> Result<WireDuration, E> {
                Ok(WireDuration { seconds })
            }
            #[expect(clippy::cast_precision_loss, reason = "a duration of 2^53 seconds is not asked for")]
            fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> Result<WireDuration, E> {
                Ok(WireDuration { seconds: seconds as f64 })
            }
            #[expect(clippy::cast_precision_loss, reason = "a duration of 2^53 seconds is not asked for")]
            fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> Result<WireDuration, E> {
                Ok(WireDuration { seconds: seconds as f64 })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WireDuration, A::Error> {
                let seconds = read_wrapper(map, "timedelta", "seconds", PhantomData::<f64>)?;
                Ok(WireDuration { seconds })
            }
        }
        deserializer.deserialize_any(Seconds)
    }
}

/// The schema of a wrapper object; `plain` is what an incoming value may be instead.
fn wrapper_schema(generator: &SchemaGenerator, object: Schema, plain: &Schema) -> Schema {
    if generator.contract().is_serialize() {
        return object;
    }
    json_schema!({ "anyOf": [object, plain] })
}

impl JsonSchema for WireBytes {
    fn schema_name() -> Cow<'static, str> {
        "WireBytes".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let object = json_schema!({
            "type": "object",
            "properties": {
                "__type__": { "const": "bytes" },
                "data": { "type": "string", "contentEncoding": "base64" },
            },
            "required": ["__type__", "data"],
        });
        wrapper_schema(generator, object, &json_schema!({ "type": "string" }))
    }
}

impl JsonSchema for WireTime {
    fn schema_name() -> Cow<'static, str> {
        "WireTime".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let object = json_schema!({
            "type": "object",
            "properties": { "__type__": { "const": "datetime" }, "data": { "type": "string" } },
            "required": ["__type__", "data"],
        });
        wrapper_schema(generator, object, &json_schema!({ "type": "string" }))
    }
}

impl JsonSchema for WireDuration {
    fn schema_name() -> Cow<'static, str> {
        "WireDuration".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let object = json_schema!({
            "type": "object",
            "properties": { "__type__": { "const": "timedelta" }, "seconds": { "type": "number" } },
            "required": ["__type__", "seconds"],
        });
        wrapper_schema(generator, object, &json_schema!({ "type": "number" }))
    }
}

/// A result that was serialised before (a cached reply): written as it is, with the schema of `T`.
#[derive(Debug)]
pub struct RawJson<T>(std::sync::Arc<RawValue>, PhantomData<fn() -> T>);

impl<T: Serialize> RawJson<T> {
    /// Serialises `value` once.
    pub fn of(value: &T) -> Result<Self, serde_json::Error> {
        Ok(Self(serde_json::value::to_raw_value(value)?.into(), PhantomData))
    }
}

impl<T> RawJson<T> {
    /// Its size, bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.get().len()
    }
}

impl<T> Clone for RawJson<T> {
    fn clone(&self) -> Self {
        Self(std::sync::Arc::clone(&self.0), PhantomData)
    }
}

impl<T> Serialize for RawJson<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for RawJson<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_str, from_value, json, to_value};

    #[test]
    fn bytes_go_both_ways() {
        let wire = json!({"__type__": "bytes", "data": "AP8="});
        let value: WireBytes = from_value(wire.clone()).expect("wrapper");
        assert_eq!(value.0.as_ref(), [0, 255]);
        assert_eq!(to_value(&value).expect("serialises"), wire);
        let turned = r#"{"data":"AP8=","__type__":"bytes"}"#;
        assert_eq!(from_str::<WireBytes>(turned).expect("any order"), value);
        assert_eq!(from_str::<WireBytes>(r#""h\u00e9""#).expect("text").0.as_ref(), "hé".as_bytes());
        assert_eq!(from_value::<WireBytes>(json!("")).expect("empty").0.len(), 0);
    }

    #[test]
    fn bytes_that_are_none_are_refused() {
        for (bad, says) in [
            (json!({"__type__": "bytes", "data": "A"}), "invalid base64"),
            (json!({"__type__": "bytes", "data": "AP8"}), "invalid base64"),
            (json!({"__type__": "bytes", "data": "_-8="}), "invalid base64"),
            (json!({"__type__": "blob", "data": ""}), "blob"),
            (json!({"data": ""}), "__type__"),
            (json!({"__type__": "bytes"}), "data"),
            (json!({"__type__": "bytes", "data": "", "x": 1}), "`x`"),
            (json!(5), "expected a string or"),
            (json!([1, 2]), "expected a string or"),
        ] {
            let error = from_value::<WireBytes>(bad.clone()).expect_err(&bad.to_string()).to_string();
            assert!(error.contains(says), "{bad}: {error}");
        }
    }

    #[test]
    fn times_go_both_ways() {
        let us = 1_765_983_185_660_123;
        assert_eq!(
            to_value(WireTime::aware(us)).expect("serialises"),
            json!({"__type__": "datetime", "data": "2025-12-17T14:53:05.660123+00:00"})
        );
        assert_eq!(
            to_value(WireTime::naive(us)).expect("serialises"),
            json!({"__type__": "datetime", "data": "2025-12-17T14:53:05.660123"})
        );
        for text in
            ["2025-12-17T14:53:05.660123+00:00", "2025-12-17T14:53:05.660123", "2025-12-17T15:53:05.660123+01:00"]
        {
            assert_eq!(from_value::<WireTime>(json!(text)).expect(text).us, us, "{text}");
            let wrapped = json!({"__type__": "datetime", "data": text});
            assert_eq!(from_value::<WireTime>(wrapped).expect(text).us, us, "{text}");
        }
        assert!(from_value::<WireTime>(json!("yesterday")).is_err());
        assert!(from_value::<WireTime>(json!(us)).is_err());
    }

    #[test]
    fn durations_go_both_ways() {
        let wire = json!({"__type__": "timedelta", "seconds": 1.5});
        let value: WireDuration = from_value(wire.clone()).expect("wrapper");
        assert_eq!(to_value(value).expect("serialises"), wire);
        assert!((from_value::<WireDuration>(json!(3)).expect("number").seconds - 3.0).abs() < f64::EPSILON);
        assert!(serde_json::to_string(&WireDuration { seconds: f64::NAN }).is_err());
    }

    #[test]
    fn numbers_without_a_value_become_null() {
        assert_eq!(serde_json::to_string(&[f64::NAN, f64::INFINITY, 1.0]).expect("serialises"), "[null,null,1.0]");
    }

    #[test]
    fn raw_json_is_written_as_it_is() {
        let raw = RawJson::of(&json!({"b": 1, "a": [2]})).expect("serialises");
        assert_eq!(serde_json::to_string(&raw).expect("serialises"), r#"{"b":1,"a":[2]}"#);
    }
}
