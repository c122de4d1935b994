//! The namespaces that apply to a type until somebody stores another for it.

use std::sync::LazyLock;

use serde_json::{Map, Value};

static DEFAULTS: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("default_namespaces.json")).expect("the embedded text is an object")
});

/// The default namespaces: object type and config, in their fixed order.
pub fn default_namespaces() -> impl Iterator<Item = (&'static str, &'static Value)> {
    DEFAULTS.iter().map(|(kind, config)| (kind.as_str(), config))
}

/// The default config of one type.
#[must_use]
pub fn default_namespace(kind: &str) -> Option<&'static Value> {
    DEFAULTS.get(kind)
}
