//! `/files/{path}`: a file as its bytes.

use actix_web::http::Method;
use serde_json::{Value, json};

use super::super::files;
use super::describe::{BODIES, BYTES, Described, JSON, Shape, WRITES, parameter, schema};
use super::{Operation, Route};
use crate::rpc::ErrorCode;

/// Entity tags, or `*`; never empty.
const ENTITY_TAGS: &str = r#"^(\*|"[!#-~]*"|[0-9A-Za-z]+)$"#;
/// Segments with something in them, without control characters and backslashes.
const PLAIN_PATH: &str = r"^[^\x00-\x1f\x7f-\x9f\\/]+(/[^\x00-\x1f\x7f-\x9f\\/]+)*$";
/// Of every answer about a version.
const OF_A_VERSION: &[&str] = &["ETag", "Last-Modified", "Accept-Ranges", "X-Nexus-Version", "X-Nexus-Revision"];
/// Of every answer with its bytes.
const OF_BYTES: &[&str] =
    &["ETag", "Last-Modified", "Accept-Ranges", "X-Nexus-Version", "X-Nexus-Revision", "Content-Disposition"];
/// What may refuse any of them.
const ALL: &[ErrorCode] = &[
    ErrorCode::InvalidRequest,
    ErrorCode::InvalidPath,
    ErrorCode::PermissionDenied,
    ErrorCode::Indeterminate,
    ErrorCode::Conflict,
    ErrorCode::FileNotFound,
    ErrorCode::Precondition,
];

/// The route.
pub(super) const ROUTES: &[Route] = &[Route {
    patterns: &["/files/{path:.*}", "/files"],
    parameters: path,
    operations: &[
        Operation { verb: Method::GET, serve: |r, p| Box::pin(files::serve(r, p)), describe: get },
        Operation { verb: Method::HEAD, serve: |r, p| Box::pin(files::serve(r, p)), describe: head },
        Operation { verb: Method::PUT, serve: |r, p| Box::pin(files::serve(r, p)), describe: put },
        Operation { verb: Method::DELETE, serve: |r, p| Box::pin(files::serve(r, p)), describe: delete },
    ],
}];

fn path() -> Vec<Value> {
    let what = "The absolute virtual path without its first slash; it may hold slashes";
    vec![parameter("path", "path", what, json!({ "type": "string", "pattern": PLAIN_PATH }))]
}

fn header(name: &str, what: &str, schema: Value) -> Value {
    parameter("header", name, what, schema)
}

fn tags() -> [Value; 2] {
    let tags = || json!({ "type": "string", "pattern": ENTITY_TAGS });
    [
        header("If-Match", "Entity tags of which the file must have one, or `*`", tags()),
        header("If-None-Match", "Entity tags of which the file must have none, or `*`", tags()),
    ]
}

fn bytes() -> Value {
    json!({ "type": "string", "format": "binary" })
}

fn times() -> [Value; 2] {
    let text = || json!({ "type": "string" });
    [
        header("If-Modified-Since", "A time; one that is none counts as not sent", text()),
        header("If-Unmodified-Since", "A time; one that is none counts as not sent", text()),
    ]
}

fn get() -> Described {
    let text = || json!({ "type": "string" });
    let range = header("Range", "One range of bytes; several, or none at all, give the whole file", text());
    let if_range = header("If-Range", "Of which version the range is: its tag or its time", text());
    let nothing = ["Content-Range"];
    Described::new("file_get", "files", "The bytes of a file, or of a range of it")
        .takes([range, if_range].into_iter().chain(tags()).chain(times()).collect())
        .answers(200, "The file", &[(BYTES, bytes())], OF_BYTES)
        .answers(206, "The range", &[(BYTES, bytes())], &[OF_BYTES, &nothing].concat())
        .answers(304, "The version that the conditions name still holds", &[], OF_A_VERSION)
        .answers(416, "A range past the end", &[], &[OF_A_VERSION, &nothing].concat())
        .refused(Shape::File, &[ALL])
}

fn head() -> Described {
    let described = Described::new("file_head", "files", "The headers of a file")
        .takes(tags().into_iter().chain(times()).collect())
        .answers(200, "Its size, tag, kind and time", &[], OF_BYTES)
        .answers(304, "The version that the conditions name still holds", &[], OF_A_VERSION);
    described.refused(Shape::File, &[ALL])
}

fn put() -> Described {
    let written = || [(JSON, schema("FileWritten"))];
    let headers = ["ETag", "X-Nexus-Version", "X-Nexus-Revision"];
    Described::new("file_put", "files", "Write a file: a new one, or the next version; whole or not at all")
        .takes(tags().into())
        .body(BYTES, bytes(), false)
        .answers(200, "The next version", &written(), &headers)
        .answers(201, "A new file", &written(), &headers)
        .refused(Shape::File, &[ALL, BODIES, WRITES, &[ErrorCode::FileExists, ErrorCode::QuotaExceeded]])
}

fn delete() -> Described {
    Described::new("file_delete", "files", "Delete a file, or a directory that is empty")
        .takes(tags().into())
        .answers(204, "It is gone", &[], &["X-Nexus-Revision"])
        .refused(Shape::File, &[ALL, WRITES])
}
