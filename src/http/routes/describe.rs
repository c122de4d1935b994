//! One operation of the OpenAPI document, put together from what is particular to it.
//!
//! Owns what is the same for all: what the gate answers before anybody serves, what a key is answered, how the refusals of
//! the rules become statuses (by the table that the handlers use, so that the two cannot part).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::{files, subscriptions};
use crate::rpc::ErrorCode;

/// Any bytes.
pub(super) const BYTES: &str = "*/*";
/// JSON.
pub(super) const JSON: &str = "application/json";

/// Who may ask.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    /// Whoever has a key.
    Needed,
    /// Without one there is less to see, or nothing where the server does not listen on loopback.
    ForDetail,
    /// Nobody is asked for one.
    Unread,
}

/// The shape of a refusal by the rules.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// `{"error": …}`.
    File,
    /// `{"detail": …, "code": …}`.
    Rest,
}

impl Shape {
    fn schema(self) -> &'static str {
        match self {
            Self::File => "FileError",
            Self::Rest => "Refusal",
        }
    }

    fn status(self, code: ErrorCode) -> u16 {
        match self {
            Self::File => files::status(code).as_u16(),
            Self::Rest => subscriptions::status(code).as_u16(),
        }
    }
}

/// What may refuse whatever is asked.
const ANY: &[ErrorCode] = &[ErrorCode::Busy, ErrorCode::DeadlineExceeded, ErrorCode::Integrity, ErrorCode::Internal];
/// What may refuse a write.
pub(super) const WRITES: &[ErrorCode] = &[ErrorCode::StorageFull, ErrorCode::ReadOnly, ErrorCode::OutcomeUnknown];
/// What may refuse a body.
pub(super) const BODIES: &[ErrorCode] =
    &[ErrorCode::InvalidRequest, ErrorCode::RequestTimeout, ErrorCode::BodyTooLarge];

/// An operation.
pub(super) struct Described {
    operation: Map<String, Value>,
    key: Key,
    /// Each by its status: description, content, headers.
    answers: BTreeMap<u16, Answer>,
}

#[derive(Default)]
struct Answer {
    texts: Vec<String>,
    content: Vec<(&'static str, Value)>,
    headers: Vec<&'static str>,
}

/// `{"$ref": "#/components/schemas/…"}`.
pub(super) fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A parameter of the query, of the address or of a header.
pub(super) fn parameter(place: &str, name: &str, what: &str, schema: Value) -> Value {
    let mut parameter = json!({ "name": name, "in": place, "description": what, "schema": schema });
    if place == "path" {
        parameter["required"] = true.into();
    }
    parameter
}

impl Described {
    /// An operation for whoever has a key.
    pub(super) fn new(id: &str, tag: &str, summary: &str) -> Self {
        let operation = json!({ "operationId": id, "summary": summary, "tags": [tag] });
        let Value::Object(operation) = operation else { unreachable!("an object was written") };
        Self { operation, key: Key::Needed, answers: BTreeMap::new() }
    }

    /// More than the summary.
    pub(super) fn says(mut self, text: &str) -> Self {
        self.operation.insert("description".into(), text.into());
        self
    }

    /// Everybody is answered; who has a key, or asks from the machine itself, sees more.
    pub(super) fn for_everybody(mut self) -> Self {
        self.key = Key::ForDetail;
        self
    }

    /// No key is looked at.
    pub(super) fn keyless(mut self) -> Self {
        self.key = Key::Unread;
        self
    }

    /// Takes parameters.
    pub(super) fn takes(mut self, parameters: Vec<Value>) -> Self {
        self.operation.insert("parameters".into(), parameters.into());
        self
    }

    /// Takes a body.
    pub(super) fn body(mut self, kind: &str, schema: Value, required: bool) -> Self {
        let body = json!({ "required": required, "content": { kind: { "schema": schema } } });
        self.operation.insert("requestBody".into(), body);
        self
    }

    /// Answers so, with content of these kinds and these headers.
    pub(super) fn answers(
        mut self,
        status: u16,
        what: &str,
        content: &[(&'static str, Value)],
        headers: &[&'static str],
    ) -> Self {
        let answer = self.answers.entry(status).or_default();
        answer.texts.push(what.into());
        answer.content.extend(content.iter().cloned());
        answer.headers.extend(headers);
        self
    }

    /// Is refused so by the rules, in this shape.
    pub(super) fn refused(mut self, shape: Shape, codes: &[&[ErrorCode]]) -> Self {
        let mut names = Vec::new();
        for code in codes.iter().copied().chain([ANY]).flatten() {
            names.push(code.name());
            let answer = self.answers.entry(shape.status(*code)).or_default();
            answer.texts.push(code.name().into());
            if !answer.content.iter().any(|(_, known)| *known == schema(shape.schema())) {
                answer.content.push((JSON, schema(shape.schema())));
            }
        }
        self.operation.insert("x-errors".into(), names.into());
        self
    }

    /// The operation as the document shows it.
    pub(super) fn finish(self) -> Value {
        let Self { mut operation, key, mut answers } = self;
        match key {
            Key::Needed => {}
            Key::ForDetail => drop(operation.insert("security".into(), json!([{}, { "key": [] }]))),
            Key::Unread => drop(operation.insert("security".into(), json!([]))),
        }
        let mut responses = Map::new();
        // Those of the gate and of the key; where the operation answers so as well, both shapes may come.
        for (status, name, _) in crate::rpc::openapi::BEFORE {
            let of_the_key = matches!(status, 401 | 429);
            if of_the_key && key == Key::Unread {
                continue;
            }
            match answers.get_mut(status) {
                None => {
                    let target = format!("#/components/responses/{name}");
                    responses.insert(status.to_string(), json!({ "$ref": target }));
                }
                Some(answer) => {
                    answer.texts.push("or a request that is not served at all".into());
                    answer.content.push((JSON, schema("Detail")));
                }
            }
        }
        responses.extend(answers.into_iter().map(|(status, answer)| (status.to_string(), answer.finish())));
        responses.sort_keys();
        operation.insert("responses".into(), responses.into());
        operation.into()
    }
}

impl Answer {
    fn finish(self) -> Value {
        let mut response = json!({ "description": self.texts.join(", ") });
        let mut kinds: Vec<(&str, Vec<Value>)> = Vec::new();
        for (kind, schema) in self.content {
            match kinds.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, schemas)) => schemas.push(schema),
                None => kinds.push((kind, vec![schema])),
            }
        }
        for (kind, mut schemas) in kinds {
            let schema = if schemas.len() == 1 { schemas.remove(0) } else { json!({ "anyOf": schemas }) };
            response["content"][kind] = json!({ "schema": schema });
        }
        for name in self.headers.into_iter().chain(["X-Request-ID"]) {
            response["headers"][name] = json!({ "$ref": format!("#/components/headers/{name}") });
        }
        response
    }
}
