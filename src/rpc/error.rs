//! The table of error codes, and the one place where errors of the inside become errors of the wire.
//!
//! Owns codes, wording and the `data` object. Must never know HTTP beyond a status number. Invariant: no text of the
//! inside (a panic, a statement, a path of the machine) reaches a caller; it is logged under the request id.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::service::{Lacking, ServiceError};
use crate::store::StoreError;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $text:literal;)*) => {
        /// What went wrong, as a client can act on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorCode { $($(#[$doc])* $name,)* }

        impl ErrorCode {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
            /// The JSON-RPC number.
            #[must_use]
            pub fn number(self) -> i32 { match self { $(Self::$name => $code,)* } }
            /// The HTTP status that carries it: 200, but where no JSON-RPC answer is due.
            #[must_use]
            pub fn http_status(self) -> u16 { match self { $(Self::$name => $status,)* } }
            /// The name that stays the same over versions, in `data.code`.
            #[must_use]
            pub fn name(self) -> &'static str { match self { $(Self::$name => $text,)* } }
        }
    };
}

error_codes! {
    /// No such file, and the caller may know it.
    FileNotFound = -32000, 200, "file_not_found";
    /// Something is there already.
    FileExists = -32001, 200, "file_exists";
    /// A path that no method accepts.
    InvalidPath = -32002, 200, "invalid_path";
    /// The caller lacks a right.
    PermissionDenied = -32004, 200, "permission_denied";
    /// Content that breaks a rule of its kind.
    Validation = -32005, 200, "validation";
    /// `if_match` does not hold. Always with path and both etags: published clients read them without looking.
    Conflict = -32006, 200, "conflict";
    /// Too much at once: nothing was done, try again.
    Busy = -32010, 503, "busy";
    /// The disk is full: nothing was done.
    StorageFull = -32011, 507, "storage_full";
    /// The whole answer would pass the limit: ask for pages.
    ResultTooLarge = -32012, 200, "result_too_large";
    /// Not built, not configured or not supported.
    NotSupported = -32013, 200, "not_supported";
    /// A question before the horizon of the changelog.
    RevisionTooOld = -32014, 200, "revision_too_old";
    /// A permission that could not be decided: a no that says so.
    Indeterminate = -32015, 503, "indeterminate";
    /// The body passes the limit.
    BodyTooLarge = -32016, 413, "body_too_large";
    /// The deadline passed; nothing was done unless the text says so.
    DeadlineExceeded = -32017, 503, "deadline_exceeded";
    /// A write whose outcome is not known.
    OutcomeUnknown = -32018, 503, "outcome_unknown";
    /// The key is not known, revoked or expired.
    Unauthenticated = -32019, 401, "unauthenticated";
    /// Stored data that is not what was stored.
    Integrity = -32020, 200, "integrity";
    /// The state forbids it, e.g. a directory that is not empty.
    Precondition = -32021, 200, "precondition";
    /// The store takes no writes until it is mended and restarted.
    ReadOnly = -32022, 503, "read_only";
    /// The body did not arrive in time.
    RequestTimeout = -32023, 408, "request_timeout";
    /// A question about a revision from which more changes lead back than one request undoes.
    RevisionTooFar = -32024, 200, "revision_too_far";
    /// A question about a revision or a time that has not come.
    RevisionInFuture = -32025, 200, "revision_in_future";
    /// The list that a cursor continues is not kept any more.
    CursorExpired = -32026, 200, "cursor_expired";
    /// The Idempotency-Key was used for another request.
    IdempotencyKeyReused = -32027, 200, "idempotency_key_reused";
    /// A repeat of a request that was executed and whose reply is not kept.
    AlreadyExecuted = -32028, 200, "already_executed";
    /// It would make a tenant larger than its quota: nothing was done.
    QuotaExceeded = -32029, 200, "quota_exceeded";
    /// Not JSON.
    Parse = -32700, 200, "parse_error";
    /// JSON, but no JSON-RPC request.
    InvalidRequest = -32600, 200, "invalid_request";
    /// No such method.
    MethodNotFound = -32601, 200, "method_not_found";
    /// A parameter that is missing, unknown, of the wrong type or without sense.
    InvalidParams = -32602, 200, "invalid_params";
    /// Ours to mend.
    Internal = -32603, 200, "internal";
}

/// An error of the wire: code, message, and in `data` the stable name, a hint and what the code brings along.
#[derive(Debug, Clone)]
pub struct RpcError {
    /// The code.
    pub code: ErrorCode,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// Further fields of `data`, e.g. `path`, `expected_etag`, `current_etag`.
    pub data: Option<Box<Map<String, Value>>>,
    /// What the caller was refused for, if it was; for the record, never sent.
    pub lacking: Option<Box<Lacking>>,
}

impl RpcError {
    /// An error without hint and data.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, data: None, lacking: None }
    }
    /// `Invalid parameters: <what>`, the wording that clients know.
    #[must_use]
    pub fn invalid_params(what: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::InvalidParams, format!("Invalid parameters: {what}"))
    }
    /// Adds what the caller was refused for.
    #[must_use]
    pub(super) fn lacking(mut self, lacking: Lacking) -> Self {
        self.lacking = Some(Box::new(lacking));
        self
    }
    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl RpcError {
    /// `Parse error: <what>`: the body is not JSON.
    #[must_use]
    pub fn parse(what: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::Parse, format!("Parse error: {what}"))
    }
    /// Ours to mend. The cause is for the log; the caller gets the request id to ask about it.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(ErrorCode::Internal, "Internal error: the server failed on this request; nothing else is affected")
            .hint("the server's log has the cause under this request_id")
    }
    /// Adds a field of `data`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.data.get_or_insert_default().insert(key.to_owned(), value.into());
        self
    }
    /// The `error` object: code, message and `data` with the stable name, the hint and the request id.
    #[must_use]
    pub fn to_wire(&self, request_id: &str) -> Value {
        let mut data = Map::new();
        data.insert("code".into(), self.code.name().into());
        if let Some(hint) = &self.hint {
            data.insert("hint".into(), hint.as_str().into());
        }
        data.insert("request_id".into(), request_id.into());
        data.extend(self.data.as_deref().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
        json!({"code": self.code.number(), "message": self.message, "data": data})
    }
}

impl std::fmt::Display for RpcError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.code.name())
    }
}

impl From<ServiceError> for RpcError {
    fn from(error: ServiceError) -> Self {
        let text = error.to_string();
        match error {
            ServiceError::NotFound(what) => Self::new(ErrorCode::FileNotFound, text).with("path", what),
            ServiceError::NoSnapshot(number) => Self::new(ErrorCode::FileNotFound, text)
                .hint("workspace_log lists the snapshots there are")
                .with("snapshot_number", number),
            ServiceError::NoRecord { id, .. } => Self::new(ErrorCode::FileNotFound, text).with("id", id),
            ServiceError::Exists(_) => Self::new(ErrorCode::FileExists, text),
            ServiceError::InvalidPath { path, reason } => {
                let text = if path.trim().is_empty() { reason.to_string() } else { text };
                Self::new(ErrorCode::InvalidPath, text).with("path", path)
            }
            ServiceError::PermissionDenied { message, hint, lacking } => {
                Self::new(ErrorCode::PermissionDenied, message).hint(hint).lacking(lacking)
            }
            ServiceError::Unauthenticated => Self::new(ErrorCode::Unauthenticated, UNAUTHENTICATED).hint(KEY_HINT),
            ServiceError::InvalidParams(what) => Self::invalid_params(what),
            ServiceError::Validation(_) => Self::new(ErrorCode::Validation, text),
            ServiceError::Conflict { path, expected, current } => Self::new(ErrorCode::Conflict, text)
                .hint("read the file again and repeat the write with its etag")
                .with("path", path)
                .with("expected_etag", expected)
                .with("current_etag", current),
            ServiceError::Decided { approval_id, status, reviewed_by } => Self::new(ErrorCode::Precondition, text)
                .hint("a decision stands; submit the skill again for another")
                .with("approval_id", approval_id)
                .with("status", status)
                .with("reviewed_by", reviewed_by),
            ServiceError::Precondition(_) => Self::new(ErrorCode::Precondition, text),
            ServiceError::NotSupported { message, hint } => Self::new(ErrorCode::NotSupported, message).hint(hint),
            ServiceError::FileTooLarge { path, .. } => Self::new(ErrorCode::ResultTooLarge, text)
                .hint("read it in parts with `read_range`, or as it is with GET /files/{path}")
                .with("path", path),
            ServiceError::ResultTooLarge { limit_bytes } => Self::result_too_large(limit_bytes),
            ServiceError::Indeterminate { permission, path, .. } => Self::new(ErrorCode::Indeterminate, text)
                .lacking(Lacking { permission, object: path.clone() })
                .hint("ask again with the context that the condition needs, or ask who manages the object")
                .with("path", path),
            ServiceError::Namespace { object_type, error } => {
                let place = error.place().unwrap_or_default().to_owned();
                Self::invalid_params(text).hint(error.hint()).with("object_type", object_type).with("place", place)
            }
            ServiceError::RevisionTooOld { first, .. } => Self::new(ErrorCode::RevisionTooOld, text)
                .hint("ask about a later revision or time")
                .with("first_revision", first),
            ServiceError::RevisionTooFar { .. } => Self::new(ErrorCode::RevisionTooFar, text)
                .hint("ask about a later revision or time; for older ones open a copy of a backup from that time"),
            ServiceError::RevisionInFuture { head, .. } => Self::new(ErrorCode::RevisionInFuture, text)
                .hint("a token of a revision that is gone after a restore looks like this, too")
                .with("revision", head),
            ServiceError::CursorExpired => {
                Self::new(ErrorCode::CursorExpired, text).hint("list again without the cursor, from the beginning")
            }
            ServiceError::Integrity { path } => Self::new(ErrorCode::Integrity, text)
                .hint("other files are not affected; `nexus-lite doctor --scrub` lists all damage, a backup has the content")
                .with("path", path),
            ServiceError::Store(error) => from_store(&error),
        }
    }
}

/// The message of a refused identity, the one that clients know.
pub const UNAUTHENTICATED: &str = "Invalid or missing API key";
/// What to do about it.
pub const KEY_HINT: &str = "key not known or revoked; `nexus-lite key list` shows the live ones";

impl RpcError {
    /// The whole answer would pass `limit_bytes`.
    #[must_use]
    pub fn result_too_large(limit_bytes: usize) -> Self {
        let text = format!("the result is larger than {limit_bytes} bytes");
        Self::new(ErrorCode::ResultTooLarge, text).hint("ask for pages with `limit` and `cursor`")
    }
}

fn from_store(error: &StoreError) -> RpcError {
    let text = error.to_string();
    match error {
        StoreError::Busy { .. } => RpcError::new(ErrorCode::Busy, text).hint("nothing was done; try again"),
        StoreError::Closed => {
            RpcError::new(ErrorCode::Busy, text).hint("nothing was done; try again after the restart")
        }
        StoreError::DeadlineExceeded { .. } => RpcError::new(ErrorCode::DeadlineExceeded, text)
            .hint("nothing was done; ask for less at once, or try again"),
        StoreError::Repeated => RpcError::new(ErrorCode::Busy, "the same request is being executed")
            .hint("nothing was done twice; send it again for its answer"),
        StoreError::WriterGone | StoreError::Indeterminate { .. } => {
            tracing::error!(error = %text, "a write has no known outcome");
            RpcError::new(ErrorCode::OutcomeUnknown, "the outcome of this write is not known")
                .hint("restart the server, then read before repeating the write")
        }
        StoreError::ReadOnly { .. } => {
            tracing::error!(error = %text, "a write was refused: the store is read-only");
            RpcError::new(
                ErrorCode::ReadOnly,
                "the store takes no writes since an input/output error; nothing was done",
            )
            .hint("see the server's log, mend the disk and restart the server")
        }
        StoreError::Full => RpcError::new(ErrorCode::StorageFull, text)
            .hint("reads and deletes are taken; everything else again when there is space on the server's disk"),
        StoreError::OverQuota(over) => RpcError::new(ErrorCode::QuotaExceeded, text)
            .hint(format!(
                "delete files (a removed directory counts until its files are freed, moments later), or ask the \
                 operator for more: nexus-lite quota set {} --{} N",
                over.tenant,
                over.counted.as_str()
            ))
            .with("tenant_id", over.tenant.as_str())
            .with("counted", over.counted.as_str())
            .with("used", over.used)
            .with("limit", over.limit)
            .with("needed", over.needed),
        StoreError::Unreachable { .. } => {
            tracing::error!(error = %text, "the database server cannot be reached");
            RpcError::new(ErrorCode::Busy, "the database server cannot be reached; nothing was done")
                .hint("try again in a moment; an operator finds the reason in the server's log")
        }
        StoreError::NotHere { remedy, .. } => RpcError::new(ErrorCode::NotSupported, text.clone()).hint(*remedy),
        StoreError::RevisionUnavailable { .. } => RpcError::new(ErrorCode::RevisionTooOld, text),
        damage if damage.is_damage() => {
            tracing::error!(error = %text, "stored data is damaged");
            RpcError::new(ErrorCode::Integrity, "stored data is damaged; it was not handed out")
                .hint("run `nexus-lite doctor --scrub`, and restore from a backup")
        }
        // Whatever else a store says is about statements, files and panics: for the log, not for a caller.
        _ => {
            tracing::error!(error = %text, "the store failed");
            RpcError::internal()
        }
    }
}

impl From<StoreError> for RpcError {
    fn from(error: StoreError) -> Self {
        Self::from(ServiceError::from(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        let mut numbers: Vec<_> = ErrorCode::ALL.iter().map(|c| c.number()).collect();
        let mut names: Vec<_> = ErrorCode::ALL.iter().map(|c| c.name()).collect();
        numbers.sort_unstable();
        names.sort_unstable();
        numbers.dedup();
        names.dedup();
        assert_eq!((numbers.len(), names.len()), (ErrorCode::ALL.len(), ErrorCode::ALL.len()));
    }

    #[test]
    fn keeps_the_wording_that_clients_know() {
        let wire = |e: ServiceError| RpcError::from(e).to_wire("r1");
        let found = wire(ServiceError::NotFound("/a".into()));
        assert_eq!(
            found,
            json!({"code": -32000, "message": "File not found: /a",
                   "data": {"code": "file_not_found", "request_id": "r1", "path": "/a"}})
        );
        let found = wire(ServiceError::InvalidParams("bad regex".into()));
        assert_eq!((&found["code"], &found["message"]), (&json!(-32602), &json!("Invalid parameters: bad regex")));
        let found = wire(ServiceError::path("/a/../b", crate::model::PathError::ParentSegment));
        assert_eq!(
            (&found["code"], &found["message"]),
            (&json!(-32002), &json!("Path contains '..' segments: /a/../b"))
        );
        let found = wire(ServiceError::path("", crate::model::PathError::Empty));
        assert_eq!(found["message"], json!("Path cannot be empty or whitespace-only"));
        let found =
            wire(ServiceError::Conflict { path: "/a".into(), expected: "e".repeat(64), current: "c".repeat(64) });
        let text = "Conflict detected - file was modified by another agent. Expected etag 'eeeeeeeeeeeeeeee...', but current etag is 'cccccccccccccccc...': /a";
        assert_eq!((&found["code"], &found["message"]), (&json!(-32006), &json!(text)));
        assert_eq!(found["data"]["expected_etag"], json!("e".repeat(64)));
        assert_eq!(found["data"]["current_etag"], json!("c".repeat(64)));
    }

    #[test]
    fn the_inside_stays_inside() {
        let io = StoreError::io("opening", std::path::Path::new("/srv/secret"), std::io::Error::other("boom"));
        let text = RpcError::from(io).to_wire("r1").to_string();
        assert!(!text.contains("secret") && !text.contains("boom"), "{text}");
        let full = RpcError::from(StoreError::Full);
        assert_eq!((full.code, full.code.http_status()), (ErrorCode::StorageFull, 507));
        let busy = RpcError::from(StoreError::Busy { queue: "writer" });
        assert_eq!((busy.code, busy.code.http_status()), (ErrorCode::Busy, 503));
    }
}
