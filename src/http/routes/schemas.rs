//! The named parts of the OpenAPI document that the routes refer to: shapes and headers.

use serde_json::{Map, Value, json};

/// What is added to `components`, by kind.
pub(super) fn components() -> [(&'static str, Map<String, Value>); 2] {
    let object = |value: Value| match value {
        Value::Object(object) => object,
        _ => Map::new(),
    };
    let mut schemas = object(shapes());
    schemas.extend(object(subscription_shapes()));
    [("schemas", schemas), ("headers", object(headers()))]
}

fn shapes() -> Value {
    let error = json!({ "$ref": "#/components/schemas/ErrorObject" });
    json!({
        "FileError": { "type": "object", "properties": { "error": error }, "required": ["error"] },
        "FileWritten": {
            "type": "object",
            "properties": {
                "etag": { "type": "string" },
                "version": { "type": "integer" },
                "modified_at": { "type": "string", "format": "date-time" },
                "size": { "type": "integer" },
            },
            "required": ["etag", "version", "modified_at", "size"],
        },
        "Refusal": {
            "type": "object",
            "properties": {
                "detail": { "type": "string" },
                "code": { "type": "string" },
                "data": { "type": "object" },
            },
            "required": ["detail", "code", "data"],
        },
        "Faults": {
            "description": "Fields that cannot be taken, each with its place",
            "type": "object",
            "properties": { "detail": { "type": "array", "minItems": 1, "items": {
                "type": "object",
                "properties": {
                    "type": { "type": "string" },
                    "loc": { "type": "array", "items": { "type": "string" } },
                    "msg": { "type": "string" },
                    "input": {},
                },
                "required": ["type", "loc", "msg", "input"],
            } } },
            "required": ["detail"],
        },
        "Event": {
            "type": "object",
            "properties": {
                "id": { "description": "The same whenever the event is told", "type": "string" },
                "event": { "enum": super::events::kinds() },
                "timestamp": { "type": "string", "format": "date-time" },
                "revision": { "type": "integer" },
                "data": { "description": "A path that the reader may not see is null", "type": "object" },
            },
            "required": ["id", "event", "timestamp", "revision", "data"],
        },
        "Events": {
            "type": "object",
            "properties": {
                "events": { "type": "array", "items": { "$ref": "#/components/schemas/Event" } },
                "last_event_id": { "description": "To go on from here", "type": "string" },
                "more": { "description": "Whether there is more already", "type": "boolean" },
            },
            "required": ["events", "last_event_id", "more"],
        },
        "Whoami": {
            "type": "object",
            "properties": {
                "authenticated": { "type": "boolean" },
                "subject_type": { "type": ["string", "null"] },
                "subject_id": { "type": ["string", "null"] },
                "tenant_id": { "type": ["string", "null"] },
                "is_admin": { "type": "boolean" },
                "inherit_permissions": { "type": "boolean" },
                "user": { "type": ["string", "null"] },
            },
            "required": [
                "authenticated", "subject_type", "subject_id", "tenant_id", "is_admin", "inherit_permissions", "user"
            ],
        },
        "Readiness": {
            "type": "object",
            "properties": {
                "status": { "enum": ["ready", "degraded", "not ready"] },
                "reason": { "type": "string" },
            },
            "required": ["status"],
        },
        "SkillIndex": {
            "type": "object",
            "properties": {
                "$schema": { "type": "string" },
                "skills": { "type": "array", "items": {
                    "type": "object",
                    "properties": {
                        "name": { "type": "string" },
                        "type": { "enum": ["skill-md", "archive"] },
                        "description": { "type": "string" },
                        "url": { "type": "string" },
                        "digest": { "type": "string", "pattern": "^sha256:[0-9a-f]{64}$" },
                    },
                    "required": ["name", "type", "description", "url", "digest"],
                } },
            },
            "required": ["$schema", "skills"],
        },
    })
}

fn subscription_shapes() -> Value {
    let text = json!({ "type": ["string", "null"] });
    json!({
        "Subscription": {
            "type": "object",
            "properties": {
                "id": { "type": "string" },
                "tenant_id": { "type": "string" },
                "url": { "type": "string" },
                "event_types": { "type": "array", "items": { "enum": super::events::kinds() } },
                "patterns": { "type": ["array", "null"], "items": { "type": "string" } },
                "name": text,
                "description": text,
                "metadata": { "type": ["object", "null"] },
                "enabled": { "type": "boolean" },
                "last_delivery_at": text,
                "last_delivery_status": text,
                "consecutive_failures": { "type": "integer" },
                "created_at": { "type": "string" },
                "updated_at": { "type": "string" },
                "created_by": { "type": "string" },
                "last_error": text,
                "missed": { "description": "Events that could not be told", "type": "integer" },
                "signed": { "description": "Whether there is a secret", "type": "boolean" },
            },
            "required": [
                "id", "tenant_id", "url", "event_types", "patterns", "name", "description", "metadata", "enabled",
                "last_delivery_at", "last_delivery_status", "consecutive_failures", "created_at", "updated_at",
                "created_by", "last_error", "missed", "signed",
            ],
            "additionalProperties": false,
        },
        "Subscriptions": {
            "type": "object",
            "properties": {
                "subscriptions": { "type": "array", "items": { "$ref": "#/components/schemas/Subscription" } },
            },
            "required": ["subscriptions"],
        },
    })
}

fn headers() -> Value {
    let number = || json!({ "type": "integer" });
    let text = || json!({ "type": "string" });
    let header = |what: &str, schema: Value| json!({ "description": what, "required": true, "schema": schema });
    json!({
        "X-Request-ID": header("The request's id: the caller's own, else a new one", text()),
        "X-Nexus-Revision": header("The revision that the answer depends on", number()),
        "X-Nexus-Version": header("The version of the file, from 1", number()),
        "ETag": header("The tag of this version, in quotes", text()),
        "Last-Modified": header("When it was written", text()),
        "Accept-Ranges": header("`bytes`", text()),
        "Content-Range": header("Which bytes of how many", text()),
        "Content-Disposition": header("Whether a browser shows it, and its name", text()),
    })
}
