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
    // The last segment names a method, and there is none of this name.
    paths["/api/nfs/status"]["post"] = json!({
        "summary": "No method: refused as one that is not known",
        "responses": {
            "200": body("An error", &json!({ "$ref": "#/components/schemas/RpcErrorReply" })),
            "401": { "description": "No key, or one that is not known, revoked or expired" },
            "429": { "description": "Too many wrong keys from this address" },
        },
    });
    paths.insert("/files/{path}".into(), files());
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
    let error = json!({ "$ref": "#/components/schemas/ErrorObject" });
    schemas.insert(
        "FileError".into(),
        json!({ "type": "object", "properties": { "error": error }, "required": ["error"] }),
    );
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

/// A page that answers without a key as well: more to those who show one, or come from the machine itself.
fn get(summary: &str) -> Value {
    json!({ "summary": summary, "security": [{}, { "key": [] }], "responses": {
        "200": { "description": summary },
        "401": { "description": "No key, where one is wanted" },
        "429": { "description": "Too many wrong keys from this address" },
    } })
}

/// Entity tags, or `*`; never empty.
const ENTITY_TAGS: &str = r#"^(\*|"[!#-~]*"|[0-9A-Za-z]+)$"#;
/// Segments with something in them, without control characters and backslashes.
const PLAIN_PATH: &str = r"^[^\x00-\x1f\x7f-\x9f\\/]+(/[^\x00-\x1f\x7f-\x9f\\/]+)*$";

/// A file as its bytes.
fn files() -> Value {
    let error = |status: &str, what: &str| {
        let content = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/FileError" } } });
        (status.to_owned(), json!({ "description": what, "content": content }))
    };
    let plain = |status: &str, what: &str| (status.to_owned(), json!({ "description": what }));
    let bytes = |status: &str, what: &str| {
        let content = json!({ "*/*": { "schema": { "type": "string", "format": "binary" } } });
        (status.to_owned(), json!({ "description": what, "content": content }))
    };
    let all = |own: Vec<(String, Value)>| {
        let refusals = [
            error("400", "A path or a header that is none"),
            plain("401", "No key, or one that is not known, revoked or expired"),
            error("403", "A right is missing; told alike for files that are there and that are not"),
            error("404", "No such file"),
            error("409", "It is a directory, or the path leads through a file"),
            error("412", "If-Match or If-None-Match does not hold"),
            plain("429", "Too many wrong keys from this address, or too many requests with this key"),
            error("503", "Too much at once, or not to be decided: nothing was done"),
        ];
        own.into_iter().chain(refusals).collect::<Map<String, Value>>()
    };
    let header = |name: &str, what: &str, schema: Value| json!({ "name": name, "in": "header", "description": what, "schema": schema });
    let tags = || json!({ "type": "string", "pattern": ENTITY_TAGS });
    let (matches, matches_none) = (
        header("If-Match", "Entity tags of which the file must have one, or `*`", tags()),
        header("If-None-Match", "Entity tags of which the file must have none, or `*`", tags()),
    );
    let text = || json!({ "type": "string" });
    let reading = |id: &str, summary: &str, own| {
        json!({
            "operationId": id,
            "summary": summary,
            "tags": ["read"],
            "parameters": [
                header("Range", "One range of bytes", text()), header("If-Range", "Of which version", text()), matches, matches_none
            ],
            "responses": all(own),
        })
    };
    let written = json!({ "type": "object", "properties": {
        "etag": { "type": "string" },
        "version": { "type": "integer" },
        "modified_at": { "type": "string", "format": "date-time" },
        "size": { "type": "integer" },
    }, "required": ["etag", "version", "modified_at", "size"] });
    let wrote = |status: &str, what: &str| {
        (status.to_owned(), json!({ "description": what, "content": { "application/json": { "schema": written } } }))
    };
    json!({
        "parameters": [{
            "name": "path", "in": "path", "required": true, "schema": { "type": "string", "pattern": PLAIN_PATH },
            "description": "The absolute virtual path without its first slash; it may hold slashes",
        }],
        "get": reading("file_get", "The bytes of a file, or of a range of it", vec![
            bytes("200", "The file"),
            bytes("206", "The range"),
            plain("304", "The version named by If-None-Match still holds"),
            plain("416", "A range past the end"),
        ]),
        "head": reading("file_head", "The headers of a file", vec![
            plain("200", "Its size, tag, kind and time"),
            plain("304", "The version named by If-None-Match still holds"),
            plain("206", "The range"),
            plain("416", "A range past the end"),
        ]),
        "put": {
            "operationId": "file_put",
            "summary": "Write a file: a new one, or the next version; whole or not at all",
            "tags": ["write"],
            "parameters": [matches, matches_none],
            "requestBody": { "content": { "*/*": { "schema": { "type": "string", "format": "binary" } } } },
            "responses": all(vec![
                wrote("200", "The next version"),
                wrote("201", "A new file"),
                error("408", "The body did not arrive in time"),
                error("413", "The file is larger than upload_limit"),
                error("507", "No space left: nothing was done"),
            ]),
        },
        "delete": {
            "operationId": "file_delete",
            "summary": "Delete a file, or a directory that is empty",
            "tags": ["write"],
            "parameters": [matches, matches_none],
            "responses": all(vec![plain("204", "It is gone")]),
        },
    })
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
    json!({
        "200": answer,
        "304": { "description": "The reply named by If-None-Match still holds" },
        "401": { "description": "No key, or one that is not known, revoked or expired" },
        "413": body("The body passes the limit", &failure),
        "429": { "description": "Too many wrong keys from this address, or too many requests with this key" },
        "503": body("Too much at once, or not to be decided: nothing was done", &failure),
        "507": body("No space left: nothing was done", &failure),
    })
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
