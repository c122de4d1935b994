//! Health, readiness, metrics, identity, status and documents.

use actix_web::http::Method;
use serde_json::{Value, json};

use super::super::{docs, pages};
use super::describe::{Described, JSON, schema};
use super::{Operation, Route, call, none};
use crate::rpc::openapi::method_responses;

/// What belongs to no noun.
const SERVER: &str = "server";

/// A page: GET and nothing else.
macro_rules! page {
    ($path:literal, $describe:expr, |$request:pat_param| $serve:expr) => {
        Route {
            patterns: &[$path],
            parameters: none,
            operations: &[Operation {
                verb: Method::GET,
                serve: |$request, _| Box::pin($serve),
                describe: || $describe,
            }],
        }
    };
}

/// The routes.
pub(super) const ROUTES: &[Route] = &[
    page!("/health", health(), |_| pages::health()),
    page!("/ready", ready(), |r| pages::ready(r)),
    page!("/metrics", metrics(), |r| pages::metrics(r)),
    page!("/api/auth/whoami", whoami(), |r| pages::whoami(r)),
    Route {
        patterns: &["/api/nfs/status"],
        parameters: none,
        operations: &[
            Operation { verb: Method::GET, serve: |r, _| Box::pin(pages::status(r)), describe: status },
            Operation { verb: Method::POST, serve: |r, p| Box::pin(call(r, p)), describe: no_method },
        ],
    },
    page!("/openapi.json", document("openapi", "This document"), |r| pages::openapi(r)),
    page!("/openrpc.json", document("openrpc", "The methods, as OpenRPC"), |r| pages::openrpc(r)),
    page!("/docs", part("docs", "The documentation, drawn from this document", "text/html"), |r| docs::page(r)),
    page!("/redoc", part("redoc", "The same page as /docs", "text/html"), |r| docs::page(r)),
    page!("/docs/page.js", part("docs_script", "The script of /docs", "text/javascript"), |r| docs::script(r)),
    page!("/docs/page.css", part("docs_style", "The style of /docs", "text/css"), |r| docs::style(r)),
];

fn health() -> Described {
    let body = json!({
        "type": "object",
        "properties": { "status": { "const": "healthy" }, "service": { "type": "string" } },
        "required": ["status", "service"],
    });
    Described::new("health", SERVER, "Whether the process answers").keyless().answers(
        200,
        "It does",
        &[(JSON, body)],
        &[],
    )
}

fn ready() -> Described {
    let body = || [(JSON, schema("Readiness"))];
    Described::new("ready", SERVER, "Whether the store answers and takes writes")
        .for_everybody()
        .answers(200, "Ready, or degraded: reads and deletions are taken", &body(), &[])
        .answers(503, "Not ready", &body(), &[])
}

fn metrics() -> Described {
    let text = json!({ "type": "string" });
    Described::new("metrics", SERVER, "Metrics as Prometheus text").for_everybody().answers(
        200,
        "The metrics",
        &[("text/plain", text)],
        &[],
    )
}

fn whoami() -> Described {
    Described::new("whoami", SERVER, "Who the shown key speaks for")
        .says("An agent that a header names is not looked at.")
        .for_everybody()
        .answers(
            200,
            "Who it is; `authenticated: false` where nobody is known by the key",
            &[(JSON, schema("Whoami"))],
            &[],
        )
}

fn status() -> Described {
    let body = json!({
        "type": "object",
        "properties": {
            "status": { "const": "running" },
            "service": { "type": "string" },
            "version": { "type": "string" },
            "async": { "type": "boolean" },
            "methods": { "type": "array", "items": { "type": "string" } },
            "not_available": { "type": "object", "additionalProperties": { "type": "string" } },
            "revision": { "type": "integer" },
            "uptime_seconds": { "type": "integer" },
        },
        "required": ["status", "service", "version", "async"],
    });
    Described::new("status", SERVER, "Version, engine, disk and methods").for_everybody().answers(
        200,
        "The status",
        &[(JSON, body)],
        &[],
    )
}

/// The last segment names a method, and there is none of this name.
fn no_method() -> Described {
    let described = Described::new("status_call", SERVER, "No method: refused as one that is not known");
    let refused = schema("RpcErrorReply");
    let statuses = method_responses().into_iter().filter(|(status, _)| *status != 200);
    let described = described.answers(200, "An error", &[(JSON, refused)], &[]);
    statuses.fold(described, |described, (status, what)| {
        described.answers(status, what, &[(JSON, schema("RpcErrorReply"))], &[])
    })
}

fn document(id: &str, summary: &str) -> Described {
    let body: Value = json!({ "type": "object" });
    Described::new(id, SERVER, summary).for_everybody().answers(200, "The document", &[(JSON, body)], &[])
}

fn part(id: &str, summary: &str, kind: &'static str) -> Described {
    let text = json!({ "type": "string" });
    Described::new(id, SERVER, summary).keyless().answers(200, "It", &[(kind, text)], &[])
}
