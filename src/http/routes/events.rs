//! `/api/events`: what happens to files, as it happens.

use actix_web::http::Method;
use serde_json::json;

use super::super::events;
use super::describe::{Described, JSON, Shape, parameter, schema};
use super::{Operation, Route, none};
use crate::rpc::ErrorCode;
use crate::service::events::EventKind;
use crate::service::events::pattern::{PATTERN_CHARS_MAX, PATTERNS_MAX};

/// A revision, or the place of an event in it.
const PLACE: &str = r"^([0-9]{1,18}|[1-9][0-9]{0,17}\.[0-9]{1,18})?$";

/// The route.
pub(super) const ROUTES: &[Route] = &[Route {
    patterns: &["/api/events"],
    parameters: none,
    operations: &[Operation { verb: Method::GET, serve: |r, _| Box::pin(events::serve(r)), describe: get }],
}];

/// The names of all events.
pub(super) fn kinds() -> Vec<&'static str> {
    EventKind::ALL.map(EventKind::name).to_vec()
}

fn get() -> Described {
    let place = || json!({ "type": "string", "pattern": PLACE });
    let glob = json!({ "type": "string", "maxLength": PATTERN_CHARS_MAX, "pattern": "^[^\\x00]*$" });
    let globs = json!({ "type": "array", "items": glob, "maxItems": PATTERNS_MAX });
    let mut types = parameter(
        "query",
        "types",
        "Names of events, with commas between them; all where none is given",
        json!({ "type": "array", "items": { "enum": kinds() } }),
    );
    types["explode"] = false.into();
    let wait = json!({ "type": "integer", "minimum": 0, "maximum": events::WAIT_SECONDS_MAX });
    Described::new("events", "events", "Events of files, as a stream or as one answer that waits for the first")
        .says(
            "Without `wait` the answer is a stream of server-sent events that ends with the key, or with the server; the \
             last frame is then `event: end`. With `wait` it is one JSON answer: the first events, or none after that many \
             seconds. Who comes back with the id of the last event misses nothing. Only events of files that the caller \
             may read are told.",
        )
        .takes(vec![
            parameter("query", "path", "Globs, one of which the path must match; all paths where none is given", globs),
            types,
            parameter("query", "since", "As `Last-Event-ID`, which comes first", place()),
            parameter("query", "wait", "Seconds to wait for the first event", wait),
            parameter("header", "Last-Event-ID", "Where to go on: a revision, or the id of an event", place()),
        ])
        .answers(
            200,
            "The stream, or the events",
            &[(JSON, schema("Events")), ("text/event-stream", json!({ "type": "string" }))],
            &["X-Nexus-Revision"],
        )
        .answers(422, "A parameter that cannot be taken", &[(JSON, schema("Faults"))], &[])
        .answers(410, "The store has no such revision, or its events are not kept any more", &[(JSON, schema("Detail"))], &[])
        .refused(Shape::Rest, &[&[ErrorCode::RevisionTooOld, ErrorCode::PermissionDenied]])
}
