//! Results that are an object with a field per path, in the order in which the paths were sent.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

/// What is said of each path, as it was sent.
#[derive(Debug, Clone)]
pub struct ByPath<T>(Vec<(String, T)>);

impl<T> ByPath<T> {
    /// Pairs in their order; of one path the last counts.
    pub(in crate::rpc) fn new(pairs: impl IntoIterator<Item = (String, T)>) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        let mut seen = std::collections::HashSet::new();
        let mut at = pairs.len();
        // From the end, so that the last of a path stays.
        let keeps: Vec<bool> = pairs.iter().rev().map(|(path, _)| seen.insert(path.clone())).collect();
        pairs.retain(|_| {
            at -= 1;
            keeps[at]
        });
        Self(pairs)
    }
}

impl<T: Serialize> Serialize for ByPath<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (path, value) in &self.0 {
            map.serialize_entry(path, value)?;
        }
        map.end()
    }
}

impl<T: JsonSchema> JsonSchema for ByPath<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}ByPath", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, T>::json_schema(generator)
    }
}

/// What became of one of several files.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Outcome {
    /// Whether it was done.
    pub(super) success: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// Where it is now, if it was moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) new_path: Option<String>,
}

impl Outcome {
    pub(super) fn of(outcome: &Result<(), String>) -> Self {
        Self { success: outcome.is_ok(), error: outcome.as_ref().err().cloned(), new_path: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order_and_the_last_of_a_path() {
        let pairs = ["b", "a", "b", "c"].into_iter().map(str::to_owned).zip(0..);
        assert_eq!(serde_json::to_string(&ByPath::new(pairs)).expect("JSON"), r#"{"a":1,"b":2,"c":3}"#);
    }
}
