//! The table of error codes, and the one place where errors of the inside become errors of the wire.

use serde::Serialize;
use serde_json::Value;

use crate::service::ServiceError;
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
    /// `if_match` does not hold.
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
    Indeterminate = -32015, 200, "indeterminate";
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
    pub data: Option<serde_json::Map<String, Value>>,
}

impl RpcError {
    /// An error without hint and data.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, data: None }
    }
    /// `Invalid parameters: <what>`, the wording that clients know.
    #[must_use]
    pub fn invalid_params(what: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::InvalidParams, format!("Invalid parameters: {what}"))
    }
    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<ServiceError> for RpcError {
    fn from(error: ServiceError) -> Self {
        todo!("rpc helper")
    }
}

impl From<StoreError> for RpcError {
    fn from(error: StoreError) -> Self {
        Self::from(ServiceError::from(error))
    }
}
