//! The OpenAPI 3.1 document, derived from the list of methods: one path per method, JSON-RPC in and out.

use serde_json::{Map, Value, json};

use super::openrpc::Describer;
use super::registry::METHODS;

/// The OpenAPI document of this server.
#[must_use]
pub fn document() -> Value {
    let mut describer = Describer::default();
    let mut paths = Map::new();
    for (path, summary) in OTHER_ROUTES {
        paths.insert((*path).into(), json!({ "get": get(summary) }));
    }
    for entry in METHODS {
        let described = describer.describe(entry);
        let operation = json!({
            "operationId": entry.name,
            "summary": described.summary,
            "description": described.description,
            "tags": [tag(entry.access)],
            "requestBody": { "content": { "application/json": { "schema": request(entry.name, described.params) } } },
            "responses": responses(&described.output),
        });
        paths.insert(format!("/api/nfs/{}", entry.name), json!({ "post": operation }));
    }
    let mut schemas = describer.components();
    schemas.insert("RpcId".into(), json!({ "type": ["string", "integer", "null"] }));
    schemas.insert("RpcErrorReply".into(), error_reply());
    json!({
        "openapi": "3.1.0",
        "info": { "title": "nexus-lite", "version": env!("CARGO_PKG_VERSION") },
        "security": [{ "key": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } },
            "schemas": schemas,
        },
    })
}

/// The routes that are no methods.
const OTHER_ROUTES: &[(&str, &str)] = &[
    ("/health", "Whether the process answers"),
    ("/ready", "Whether the store answers and takes writes"),
    ("/api/auth/whoami", "Who the shown key speaks for"),
    ("/api/nfs/status", "Version, engine and methods"),
    ("/metrics", "Metrics as Prometheus text"),
];

fn tag(access: super::Access) -> &'static str {
    match access {
        super::Access::Read => "read",
        super::Access::Write => "write",
        super::Access::Admin => "admin",
    }
}

fn get(summary: &str) -> Value {
    json!({ "summary": summary, "responses": { "200": { "description": summary } } })
}

fn request(method: &str, params: Map<String, Value>) -> Value {
    let needs_params = params.get("required").and_then(Value::as_array).is_some_and(|names| !names.is_empty());
    json!({
        "type": "object",
        "properties": {
            "jsonrpc": { "const": "2.0" },
            "id": { "$ref": "#/components/schemas/RpcId" },
            "method": { "const": method },
            "params": params,
        },
        "required": if needs_params { &["params"][..] } else { &[] },
    })
}

fn responses(output: &Value) -> Value {
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
    let body = |description: &str, schema: &Value| json!({ "description": description, "content": { "application/json": { "schema": schema } } });
    json!({
        "200": body("The result, or an error of the method", &json!({ "anyOf": [success, failure] })),
        "304": { "description": "The reply named by If-None-Match still holds" },
        "401": { "description": "No key, or one that is not known, revoked or expired" },
        "413": body("The body passes the limit", &failure),
        "503": body("Too much at once, or not to be decided: nothing was done", &failure),
        "507": body("No space left: nothing was done", &failure),
    })
}

fn error_reply() -> Value {
    let names: Vec<&str> = super::ErrorCode::ALL.iter().map(|code| code.name()).collect();
    json!({
        "type": "object",
        "properties": {
            "jsonrpc": { "const": "2.0" },
            "id": { "$ref": "#/components/schemas/RpcId" },
            "error": {
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
            },
        },
        "required": ["jsonrpc", "id", "error"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `$ref` of the document, found by walking it.
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                for (key, member) in members {
                    match member {
                        Value::String(target) if key == "$ref" => found.push(target),
                        _ => references(member, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for target in found {
            let pointer = target.strip_prefix('#').expect("references stay inside the document");
            assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
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
