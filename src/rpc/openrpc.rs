//! The OpenRPC document, derived from the list of methods.
//!
//! Parameters are described in place, results by name under `components`. The text depends on the list alone, so that
//! two runs give the same bytes.

use schemars::generate::SchemaSettings;
use schemars::transform::transform_subschemas;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::registry::{Entry, METHODS};

/// The version of the OpenRPC specification that is followed.
const OPENRPC: &str = "1.3.2";

/// The schemas of one method, ready for a document.
#[derive(Debug, Clone)]
pub struct Described {
    /// First paragraph of its docs.
    pub summary: String,
    /// All of its docs.
    pub description: String,
    /// The schema of the params object, without title and description.
    pub params: Map<String, Value>,
    /// The schema of the result; may refer to `#/components/schemas/…`.
    pub output: Value,
}

/// Collects the named schemas of results while methods are described.
#[derive(Debug)]
pub struct Describer {
    inputs: SchemaGenerator,
    outputs: SchemaGenerator,
}

impl Default for Describer {
    fn default() -> Self {
        let inline = |s: &mut SchemaSettings| s.inline_subschemas = true;
        let named = |s: &mut SchemaSettings| s.definitions_path = "/components/schemas".into();
        Self {
            inputs: SchemaSettings::draft2020_12().with(inline).for_deserialize().into_generator(),
            outputs: SchemaSettings::draft2020_12()
                .with(named)
                .with_transform(one_kind_of_item)
                .for_serialize()
                .into_generator(),
        }
    }
}

impl Describer {
    /// Describes one method.
    pub fn describe(&mut self, entry: &Entry) -> Described {
        let mut params = match Value::from((entry.params)(&mut self.inputs)) {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        let description = match params.shift_remove("description") {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        params.shift_remove("title");
        params.insert("additionalProperties".into(), false.into());
        let summary = description.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        let mut output = (entry.output)(&mut self.outputs);
        one_kind_of_item(&mut output);
        let summary = summary.trim_end_matches('.').to_owned();
        Described { summary, description, params, output: output.into() }
    }

    /// The schemas that the results of all described methods refer to.
    pub fn components(&mut self) -> Map<String, Value> {
        self.outputs.take_definitions(true)
    }
}

/// Says of a tuple of equal items what each item is, once: readers that know `prefixItems` under its older name,
/// a list below `items`, take the document for a broken one.
fn one_kind_of_item(schema: &mut Schema) {
    let kind = match schema.get("prefixItems") {
        Some(Value::Array(kinds)) => kinds.split_first().filter(|(first, rest)| rest.iter().all(|kind| kind == *first)),
        _ => None,
    };
    if let Some(kind) = kind.map(|(first, _)| first.clone()) {
        schema.remove("prefixItems");
        schema.insert("items".into(), kind);
    }
    transform_subschemas(&mut one_kind_of_item, schema);
}

/// The OpenRPC document of this server.
#[must_use]
pub fn document() -> Value {
    document_of(METHODS)
}

fn document_of(entries: &[Entry]) -> Value {
    let mut describer = Describer::default();
    let methods: Vec<Value> = entries.iter().map(|entry| method(entry, &describer.describe(entry))).collect();
    json!({
        "openrpc": OPENRPC,
        "info": { "title": "nexus-lite", "version": env!("CARGO_PKG_VERSION") },
        "methods": methods,
        "components": { "schemas": describer.components() },
    })
}

fn method(entry: &Entry, described: &Described) -> Value {
    let required: Vec<&str> = match described.params.get("required") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let params: Vec<Value> = match described.params.get("properties") {
        Some(Value::Object(properties)) => properties
            .iter()
            .map(|(name, schema)| {
                json!({
                    "name": name,
                    "description": schema.get("description").cloned().unwrap_or_default(),
                    "required": required.contains(&name.as_str()),
                    "schema": schema,
                })
            })
            .collect(),
        _ => Vec::new(),
    };
    let errors: Vec<Value> =
        entry.errors.iter().map(|code| json!({"code": code.number(), "message": code.name()})).collect();
    let mut method = json!({
        "name": entry.name,
        "summary": described.summary,
        "description": described.description,
        "paramStructure": "by-name",
        "params": params,
        "result": { "name": "result", "schema": described.output },
        "errors": errors,
        "x-access": entry.access,
    });
    if let Some(of) = entry.alias_of {
        method["deprecated"] = true.into();
        method["x-alias-of"] = of.into();
    }
    if let Some(why) = entry.refused {
        method["x-not-available"] = why.into();
    }
    method
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_and_parameter_says_what_it_is() {
        let mut describer = Describer::default();
        for entry in METHODS {
            let described = describer.describe(entry);
            assert!(!described.description.is_empty(), "{} has no description", entry.name);
            let Some(Value::Object(properties)) = described.params.get("properties") else { continue };
            for (name, schema) in properties {
                let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
                assert!(!text.is_empty(), "parameter {name} of {} has no description", entry.name);
            }
        }
    }

    #[test]
    fn named_schemas_do_not_clash() {
        let mut describer = Describer::default();
        METHODS.iter().for_each(|entry| drop(describer.describe(entry)));
        let components = describer.components();
        for name in components.keys() {
            let base = name.trim_end_matches(|c: char| c.is_ascii_digit());
            let clashes = base != name && components.contains_key(base);
            assert!(!clashes, "two types are called {base}: rename one with #[schemars(rename = \"…\")]");
        }
    }

    #[test]
    fn the_document_is_the_same_every_time() {
        assert_eq!(document().to_string(), document().to_string());
        assert_eq!(document()["methods"].as_array().map(Vec::len), Some(METHODS.len()));
    }
}
