//! The file commands: what people do with a tree of files, on a running server or on a stopped one's directory.
//!
//! Owns arguments and what is printed; every rule is the server's, reached through its methods. Paths of the server are
//! absolute and written as they are; what is local is said to be local.

mod change;
mod history;
mod look;
pub(super) mod table;
mod transfer;

pub use change::{Copy, MakeDirectory, Move, Remove};
pub use history::{Diff, Log, Rollback, Snapshot, Undo};
pub use look::{DiskUse, Find, Grep, List};
pub use transfer::{Cat, Get, Put};

use serde_json::{Value, json};

use super::Failure;
use super::door::Session;

/// What `stat` says of a path; `None` where nothing is that the caller may see.
fn stat(session: &Session, path: &str) -> Result<Option<Value>, Failure> {
    let seen = session.call("exists", json!({ "path": path }))?;
    match path == "/" || seen["exists"] == true {
        true => session.call("stat", json!({ "path": path })).map(Some),
        false => Ok(None),
    }
}

fn is_directory(stat: &Value) -> bool {
    stat["is_directory"] == true
}

/// The last part of a path.
fn name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// `name` in the directory `path`.
fn child(path: &str, name: &str) -> String {
    format!("{}/{name}", path.trim_end_matches('/'))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

/// The rows of a listing with details, all pages.
fn listed(session: &Session, path: &str, recursive: bool) -> Result<Vec<Value>, Failure> {
    const PAGE: u32 = 5_000;
    let mut rows = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let query = json!({"path": path, "recursive": recursive, "details": true, "limit": PAGE, "cursor": cursor});
        let mut page = session.call("list", query)?;
        if let Value::Array(found) = page["files"].take() {
            rows.extend(found);
        }
        cursor = page["next_cursor"].take();
        if cursor.is_null() {
            return Ok(rows);
        }
    }
}
