//! The methods in the OpenAPI 3.1 document, derived from their list: one path per method, JSON-RPC in and out.
//!
//! Owns the frame of the document, too, and what is answered before anybody looks at an address. The routes that are no
//! methods are added where they are declared, in `http`.

use serde_json::{Map, Value, json};

use super::openrpc::Describer;
use super::registry::METHODS;

/// The document with the methods alone.
#[must_use]
pub fn document() -> Value {
    let mut describer = Describer::default();
    let mut paths = Map::new();
    for entry in METHODS {
        let described = describer.describe(entry);
        let mut operation = json!({
            "operationId": entry.name,
            "summary": described.summary,
            "description": described.description,
            "tags": [tag(entry.access)],
            "requestBody": { "content": { "application/json": { "schema": request(entry.name, described.params) } } },
            "responses": responses(&described.output, entry.lines.is_some()),
            "x-errors": entry.errors.iter().map(|code| code.name()).collect::<Vec<_>>(),
        });
        if entry.alias_of.is_some() {
            operation["deprecated"] = true.into();
        }
        if let Some(why) = entry.refused {
            operation["x-not-available"] = why.into();
        }
        paths.insert(format!("/api/nfs/{}", entry.name), json!({ "post": operation }));
    }
    let mut schemas = describer.components();
    schemas.insert("RpcId".into(), json!({ "type": ["string", "integer", "null"] }));
    schemas.insert("RpcErrorReply".into(), error_reply());
    schemas.insert("ErrorObject".into(), error_object());
    schemas.insert("Detail".into(), detail());
    json!({
        "openapi": "3.1.0",
        "info": { "title": "nexus-lite", "version": env!("CARGO_PKG_VERSION"), "description": OF_ALL },
        "security": [{ "key": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer", "description": KEY } },
            "schemas": schemas,
            "responses": responses_before(),
        },
    })
}

/// What holds for every operation.
const OF_ALL: &str = "Every request may bring an `X-Request-ID`, which the answer repeats; without one it gets one. A method \
    that writes may bring an `Idempotency-Key`: the same request with the same key is executed once and answered alike. \
    A method that reads a file may bring `If-None-Match`. `X-Nexus-Revision` is the revision that an answer depends on. A \
    request from a page of another origin is answered if the setting `cors_origins` names that origin.";
/// What a key is.
const KEY: &str = "An API key. `X-Agent-ID` beside it names an agent of the key's user, which then acts.";

/// What a request may be answered before anybody looks at its address, or its body: the status, the name among the
/// responses, and what it means.
pub const BEFORE: &[(u16, &str, &str)] = &[
    (401, "NoKey", "No key, or one that is not known, revoked or expired"),
    (403, "Foreign", "A page of another origin, or an agent that is not of the calling user"),
    (414, "LongTarget", "The address is longer than 8 KiB"),
    (421, "ForeignHost", "The host name is not one of this server"),
    (429, "TooOften", "Too many wrong keys from this address, or too many requests with this key"),
    (503, "Closing", "The server is about to stop"),
];

fn responses_before() -> Map<String, Value> {
    let said = BEFORE.iter();
    let said =
        said.map(|(_, name, what)| ((*name).to_owned(), body(what, &json!({ "$ref": "#/components/schemas/Detail" }))));
    said.collect()
}

fn detail() -> Value {
    json!({
        "type": "object",
        "properties": {
            "detail": { "type": "string" },
            "hint": { "type": "string" },
            "request_id": { "type": "string" },
        },
        "required": ["detail"],
    })
}

fn tag(access: super::Access) -> &'static str {
    match access {
        super::Access::Read => "read",
        super::Access::Write => "write",
        super::Access::Admin => "admin",
    }
}

fn request(method: &str, params: Map<String, Value>) -> Value {
    let needs_params = params.get("required").and_then(Value::as_array).is_some_and(|names| !names.is_empty());
    json!({
        "type": "object",
        "properties": {
            "jsonrpc": { "description": "`2.0`; not looked at" },
            "id": { "$ref": "#/components/schemas/RpcId" },
            "method": { "enum": [method, null] },
            "params": if needs_params { params.into() } else { json!({ "anyOf": [params, { "type": "null" }] }) },
        },
        "required": if needs_params { &["params"][..] } else { &[] },
    })
}

fn body(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

fn responses(output: &Value, in_lines: bool) -> Value {
    let success = json!({
        "type": "object",
        "properties": {
            "jsonrpc": { "const": "2.0" },
            "id": { "$ref": "#/components/schemas/RpcId" },
            "result": output,
        },
        "required": ["jsonrpc", "id", "result"],
    });
    let failure = json!({ "$ref": "#/components/schemas/RpcErrorReply" });
    let mut answer = body("The result, or an error of the method", &json!({ "anyOf": [success, failure] }));
    if in_lines {
        answer["content"]["application/x-ndjson"] = json!({ "schema": { "type": "string" } });
    }
    let mut all = Map::from_iter([("200".to_owned(), answer)]);
    all.insert("304".into(), json!({ "description": "The reply named by If-None-Match still holds" }));
    for (status, name, _) in BEFORE {
        all.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/{name}") }));
    }
    for (status, what) in method_responses() {
        let mut schema = failure.clone();
        if status == CLOSING {
            schema = json!({ "anyOf": [failure, { "$ref": "#/components/schemas/Detail" }] });
        }
        all.insert(status.to_string(), body(what, &schema));
    }
    all.sort_keys();
    all.into()
}

/// A server that stops answers so as well.
const CLOSING: u16 = 503;

/// The statuses of errors beside 200, with what they mean.
#[must_use]
pub fn method_responses() -> Vec<(u16, &'static str)> {
    let mut statuses: Vec<u16> = super::ErrorCode::ALL.iter().map(|code| code.http_status()).collect();
    statuses.sort_unstable();
    statuses.dedup();
    let said = |status| match status {
        408 => Some("The body did not arrive in time: nothing was done"),
        413 => Some("The body passes the limit"),
        503 => Some("Too much at once, or not to be decided: nothing was done unless the text says so"),
        507 => Some("No space left: nothing was done"),
        _ => None,
    };
    statuses.into_iter().filter_map(|status| Some((status, said(status)?))).collect()
}

fn error_reply() -> Value {
    json!({
        "type": "object",
        "properties": {
            "jsonrpc": { "const": "2.0" },
            "id": { "$ref": "#/components/schemas/RpcId" },
            "error": { "$ref": "#/components/schemas/ErrorObject" },
        },
        "required": ["jsonrpc", "id", "error"],
    })
}

fn error_object() -> Value {
    let names: Vec<&str> = super::ErrorCode::ALL.iter().map(|code| code.name()).collect();
    json!({
        "type": "object",
        "properties": {
            "code": { "type": "integer" },
            "message": { "type": "string" },
            "data": {
                "type": "object",
                "properties": {
                    "code": { "enum": names },
                    "hint": { "type": "string" },
                    "request_id": { "type": "string" },
                },
                "required": ["code", "request_id"],
            },
        },
        "required": ["code", "message", "data"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_an_error_is_described() {
        let responses = &document()["paths"]["/api/nfs/read"]["post"]["responses"];
        for code in super::super::ErrorCode::ALL {
            assert!(responses[code.http_status().to_string()].is_object(), "{code:?}");
        }
    }

    #[test]
    fn every_method_has_a_path() {
        let document = document();
        for entry in METHODS {
            let operation = &document["paths"][format!("/api/nfs/{}", entry.name)]["post"];
            assert_eq!(operation["operationId"], entry.name);
        }
        assert_eq!(document.to_string(), super::document().to_string());
    }
}
