//! The right bodies: where they come from and how they are written down.
//!
//! A body is JSON in which an object with one `$…` key stands for what cannot be known beforehand:
//! `{"$any": "text"}` (a text that is not empty), `{"$any": "number"}`, `{"$any": "time"}`, `{"$any": "anything"}`,
//! `{"$time_us": n}` (this moment, in whichever form), `{"$optional": body}` (the key may be absent).

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::plan::{Operation, SANDBOX_NAMES};
use crate::model::Rev;

/// The format of the file, so that another one is refused instead of misread.
pub const FORMAT: &str = "nexus-lite expectations 1";

/// What is right, by operation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Expectations {
    /// [`FORMAT`].
    pub format: String,
    /// In words, for the report: where these bodies come from.
    pub source: String,
    /// Every path there is, files and explicit directories; empty where nobody knows.
    #[serde(default)]
    pub paths: Vec<String>,
    /// The revision of the server at which they hold; 0 where nobody knows.
    #[serde(default)]
    pub revision: Rev,
    /// The right results.
    pub operations: Vec<Expected>,
}

/// The right result of one operation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Expected {
    /// The RPC method.
    pub method: String,
    /// Its parameters.
    pub params: Value,
    /// The `result` of the reply.
    pub result: Value,
}

/// Why a file of expectations cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadExpectations {
    /// It cannot be read.
    #[error("{0} cannot be read: {1}")]
    Read(String, std::io::Error),
    /// It is not JSON of this shape.
    #[error("{0} is no file of expectations: {1}")]
    Parse(String, serde_json::Error),
    /// It has another format.
    #[error("{0} has the format `{1}`; this program reads `{FORMAT}`")]
    Format(String, String),
}

impl Expectations {
    /// No bodies yet.
    #[must_use]
    pub fn new(source: impl Into<String>) -> Self {
        Self { format: FORMAT.into(), source: source.into(), paths: Vec::new(), revision: 0, operations: Vec::new() }
    }

    /// Adds the right result of an operation.
    pub fn add(&mut self, method: &str, params: Value, result: Value) {
        self.operations.push(Expected { method: method.into(), params, result });
    }

    /// The right result of an operation, if it is known.
    #[must_use]
    pub fn result_of(&self, operation: &Operation) -> Option<&Value> {
        let found = self.operations.iter().find(|e| operation.asks_the_same(&e.method, &e.params));
        found.map(|e| &e.result)
    }

    /// Reads a file that [`save`](Self::save) wrote.
    pub fn load(path: &Path) -> Result<Self, BadExpectations> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| BadExpectations::Read(name.clone(), e))?;
        Self::from_json(&name, &text)
    }

    /// Reads what [`to_json`](Self::to_json) made; `place` is where it was kept, for errors.
    pub fn from_json(place: &str, text: &str) -> Result<Self, BadExpectations> {
        let read: Self = serde_json::from_str(text).map_err(|e| BadExpectations::Parse(place.to_owned(), e))?;
        if read.format == FORMAT { Ok(read) } else { Err(BadExpectations::Format(place.to_owned(), read.format)) }
    }

    /// Writes them as a file.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        std::fs::write(path, self.to_json())
    }

    /// As text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts and JSON values serialise") + "\n"
    }
}

/// A sandbox as `sandbox_get_or_create` must answer it, of one user and tenant.
#[must_use]
pub fn sandbox(name: &str, user: &str, tenant: &str) -> Value {
    json!({
        "sandbox_id": { "$any": "text" },
        "name": name,
        "user_id": user,
        "agent_id": null,
        "tenant_id": tenant,
        "provider": { "$any": "text" },
        "template_id": null,
        "status": "active",
        "created_at": { "$any": "time" },
        "last_active_at": { "$any": "time" },
        "paused_at": null,
        "stopped_at": null,
        "ttl_minutes": 10,
        "expires_at": { "$any": "time" },
        "uptime_seconds": { "$any": "number" },
        "capabilities": { "$optional": { "$any": "anything" } },
        "verified": { "$optional": true },
        "provider_status": { "$optional": "active" },
    })
}

/// The fields of a sandbox that move from one answer to the next.
const MOVING: &[(&str, &str)] = &[("last_active_at", "time"), ("expires_at", "time"), ("uptime_seconds", "number")];

/// Makes expectations of what one serial run answered: what moves in a sandbox is masked, all else must stay.
#[must_use]
pub fn from_serial_run(answers: Vec<(Operation, Value)>) -> Expectations {
    let mut made = Expectations::new("one serial run before the load");
    for (operation, mut result) in answers {
        let name = operation.params.get("name").and_then(Value::as_str).unwrap_or_default();
        if SANDBOX_NAMES.contains(&name)
            && let Some(row) = result.as_object_mut()
        {
            for (field, kind) in MOVING {
                row.insert((*field).into(), json!({ "$any": kind }));
            }
            for field in ["verified", "provider_status"] {
                row.insert(field.into(), json!({ "$optional": { "$any": "anything" } }));
            }
        }
        made.add(operation.method, operation.params, result);
    }
    made
}
