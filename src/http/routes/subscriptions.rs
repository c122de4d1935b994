//! `/api/subscriptions`: who is told of events of files, and where.

use actix_web::http::Method;
use serde_json::{Value, json};

use super::super::subscriptions;
use super::describe::{BODIES, Described, JSON, Shape, WRITES, parameter, schema};
use super::{Operation, Route, none};
use crate::outbound::URL_BYTES_MAX;
use crate::rpc::ErrorCode;
use crate::service::events::pattern::{PATTERN_CHARS_MAX, PATTERNS_MAX};
use crate::service::subscriptions::draft::{DESCRIPTION_CHARS_MAX, NAME_CHARS_MAX, SECRET_CHARS_MAX};

/// Addresses that are taken: fewer than there are, as `outbound::Target` has it.
const ADDRESS: &str = r"^https?://[a-z0-9]+(\.[a-z][a-z0-9]*)*(:[1-9][0-9]{0,3})?(/[a-zA-Z0-9._-]*)*$";
/// Texts that every engine can keep.
const NO_NUL: &str = r"^[^\x00]*$";
/// Of every answer.
const HEADERS: &[&str] = &["X-Nexus-Revision"];

/// The routes.
pub(super) const ROUTES: &[Route] = &[
    Route {
        patterns: &["/api/subscriptions", "/api/subscriptions/"],
        parameters: none,
        operations: &[
            Operation { verb: Method::GET, serve: |r, p| Box::pin(subscriptions::serve(r, p)), describe: list },
            Operation { verb: Method::POST, serve: |r, p| Box::pin(subscriptions::serve(r, p)), describe: create },
        ],
    },
    Route {
        patterns: &["/api/subscriptions/{id}"],
        parameters: id,
        operations: &[
            Operation { verb: Method::GET, serve: |r, p| Box::pin(subscriptions::serve(r, p)), describe: get },
            Operation { verb: Method::PATCH, serve: |r, p| Box::pin(subscriptions::serve(r, p)), describe: change },
            Operation { verb: Method::DELETE, serve: |r, p| Box::pin(subscriptions::serve(r, p)), describe: delete },
        ],
    },
    Route {
        patterns: &["/api/subscriptions/{id}/test"],
        parameters: id,
        operations: &[Operation {
            verb: Method::POST,
            serve: |r, p| Box::pin(subscriptions::serve(r, p)),
            describe: test,
        }],
    },
];

fn id() -> Vec<Value> {
    vec![parameter("path", "id", "Which subscription", json!({ "type": "string", "minLength": 1 }))]
}

/// The fields of a body; null is as not given, but for what is needed.
fn draft(new: bool) -> Value {
    let text = |chars: usize| json!({ "type": ["string", "null"], "maxLength": chars, "pattern": NO_NUL });
    let url_kind = if new { json!("string") } else { json!(["string", "null"]) };
    let glob = json!({ "type": "string", "maxLength": PATTERN_CHARS_MAX, "pattern": NO_NUL });
    let mut schema = json!({
        "type": "object",
        "properties": {
            "url": {
                "description": "Where events are sent: a public address, or one that the setting webhook_allow names",
                "type": url_kind, "maxLength": URL_BYTES_MAX, "pattern": ADDRESS,
            },
            "event_types": {
                "description": "Writes, deletions and renames of files where nothing is given",
                "type": ["array", "null"], "minItems": 1, "items": { "enum": super::events::kinds() },
            },
            "patterns": {
                "description": "Globs, one of which the path must match",
                "type": ["array", "null"], "maxItems": PATTERNS_MAX, "items": glob,
            },
            "secret": {
                "description": "Deliveries are signed with it: X-Nexus-Signature is `sha256=` and the HMAC of the body",
                "type": ["string", "null"], "maxLength": SECRET_CHARS_MAX, "pattern": NO_NUL,
            },
            "name": text(NAME_CHARS_MAX),
            "description": text(DESCRIPTION_CHARS_MAX),
            "metadata": { "description": "Free; comes along with each event", "type": ["object", "null"] },
        },
        "additionalProperties": false,
    });
    if new {
        schema["required"] = json!(["url"]);
    } else {
        schema["properties"]["enabled"] = json!({ "type": ["boolean", "null"] });
    }
    schema
}

fn one() -> [(&'static str, Value); 1] {
    [(JSON, schema("Subscription"))]
}

fn faults(described: Described) -> Described {
    described.answers(422, "Fields that cannot be taken", &[(JSON, schema("Faults"))], HEADERS)
}

fn missing(described: Described) -> Described {
    described.answers(404, "No such subscription of this caller", &[(JSON, schema("Detail"))], HEADERS)
}

fn list() -> Described {
    let number = json!({ "type": "integer", "minimum": 0, "maximum": usize::MAX });
    let yes = json!({ "enum": ["true", "false", "1", "0", "yes", "no", "on", "off"] });
    let described =
        Described::new("subscription_list", "events", "The subscriptions that the caller may see, newest first")
            .takes(vec![
                parameter("query", "enabled_only", "Without those that are switched off", yes),
                parameter("query", "limit", "So many of them; at most 1000 come", number.clone()),
                parameter("query", "offset", "Without so many first ones", number),
            ])
            .answers(200, "The subscriptions", &[(JSON, schema("Subscriptions"))], HEADERS);
    faults(described).refused(Shape::Rest, &[])
}

fn create() -> Described {
    let described = Described::new("subscription_create", "events", "Be told of events of files at an address")
        .says("Deliveries are signed, in order for each path, repeated until they are taken, and speak with this key: it is told what its caller may read by then.")
        .body(JSON, draft(true), true)
        .answers(201, "The subscription, without its secret", &one(), HEADERS);
    faults(described).refused(Shape::Rest, &[BODIES, WRITES, &[ErrorCode::Precondition]])
}

fn get() -> Described {
    let described = Described::new("subscription_get", "events", "One subscription, and what became of its deliveries");
    missing(described.answers(200, "The subscription", &one(), HEADERS)).refused(Shape::Rest, &[])
}

fn change() -> Described {
    let described = Described::new("subscription_update", "events", "Change what the body names of a subscription")
        .body(JSON, draft(false), true)
        .answers(200, "The subscription as it is now", &one(), HEADERS);
    missing(faults(described)).refused(Shape::Rest, &[BODIES, WRITES])
}

fn delete() -> Described {
    let deleted = json!({ "type": "object", "properties": { "deleted": { "const": true } }, "required": ["deleted"] });
    let described = Described::new("subscription_delete", "events", "Delete a subscription; nothing is sent any more")
        .answers(200, "It is gone", &[(JSON, deleted)], HEADERS);
    missing(described).refused(Shape::Rest, &[WRITES])
}

fn test() -> Described {
    let told = json!({
        "type": "object",
        "properties": {
            "success": { "type": "boolean" },
            "event_id": { "type": "string" },
            "subscription_id": { "type": "string" },
            "error": { "type": "string" },
        },
        "required": ["success"],
    });
    Described::new("subscription_test", "events", "Send one event that says it is a test")
        .answers(
            200,
            "Whether it was taken; `success: false` also where there is no such subscription",
            &[(JSON, told)],
            HEADERS,
        )
        .refused(Shape::Rest, &[])
}
