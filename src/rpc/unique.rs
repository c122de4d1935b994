//! Names that stand twice in one object: JSON allows them, and every reader takes another one of the two.
//!
//! A rule, a condition or a context that says two things must not be read as either.

use std::borrow::Cow;
use std::fmt;

use rustc_hash::FxHashSet;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// How much of a name is told, bytes.
const NAME_BYTES_MAX: usize = 100;

/// Why `json`, a valid object, must not be read: a name that stands twice in an object below the outermost one, whose
/// names are checked where the method is known.
pub(super) fn twice(json: &str) -> Option<String> {
    // Most requests hold no object in the object.
    if !json.as_bytes().iter().skip(1).any(|byte| *byte == b'{') {
        return None;
    }
    let outermost: Result<Outermost, _> = serde_json::from_str(json);
    outermost.err().filter(serde_json::Error::is_data).map(|error| super::envelope::strip_position(&error))
}

/// The object whose own names are of no interest here.
struct Outermost;

impl<'de> Deserialize<'de> for Outermost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Outermost;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Outermost, A::Error> {
                while map.next_entry::<IgnoredAny, Unique>()?.is_some() {}
                Ok(Outermost)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Any value in whose objects no name stands twice.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_bool<E>(self, _: bool) -> Result<Unique, E> {
        Ok(Unique)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Unique, E> {
        Ok(Unique)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Unique, E> {
        Ok(Unique)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Unique, E> {
        Ok(Unique)
    }
    fn visit_str<E>(self, _: &str) -> Result<Unique, E> {
        Ok(Unique)
    }
    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unique, A::Error> {
        while items.next_element::<Unique>()?.is_some() {}
        Ok(Unique)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
        let mut names: FxHashSet<Cow<'de, str>> = FxHashSet::default();
        while let Some(Name(name)) = map.next_key()? {
            if names.contains(&name) {
                let shown = &name[..name.floor_char_boundary(NAME_BYTES_MAX)];
                return Err(A::Error::custom(format_args!("the name `{shown}` stands twice in one object")));
            }
            names.insert(name);
            map.next_value::<Unique>()?;
        }
        Ok(Unique)
    }
}

/// A name, borrowed where it has no escape.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::twice;

    #[test]
    fn names_are_told_wherever_they_stand_twice() {
        for (json, name) in [
            (r#"{"a":{"b":1,"b":2}}"#, "b"),
            (r#"{"a":[[{"x":{"b":null,"c":true,"b":2.5}}]]}"#, "b"),
            (r#"{"a":{"b":1,"\u0062":2}}"#, "b"),
            (r#"{"a":{"":1,"":1}}"#, ""),
        ] {
            assert_eq!(twice(json), Some(format!("the name `{name}` stands twice in one object")), "{json}");
        }
    }

    #[test]
    fn everything_else_is_left_to_the_methods() {
        for json in [
            "{}",
            r#"{"a":1,"a":2}"#,
            r#"{"a":{"b":1},"c":{"b":1}}"#,
            r#"{"a":[{"b":1},{"b":1}]}"#,
            r#"{"a":{"b":{"b":{"b":[]}}}}"#,
            r#"{"a":"{\"b\":1,\"b\":2}"}"#,
            r#"{"a":{"b":18446744073709551616,"c":-1e300}}"#,
            // Not ours to tell.
            r#"{"a":{"b":"\ud800"}}"#,
            r#"{"a":{"b":1e999}}"#,
        ] {
            assert_eq!(twice(json), None, "{json}");
        }
    }
}
