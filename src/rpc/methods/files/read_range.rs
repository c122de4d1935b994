//! `read_range`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rpc::codec::WireBytes;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::ServiceError;
use crate::service::files::{self, transfer};

/// Read a part of a file.
///
/// The bytes from `start` up to, not including, `end`, as far as there are any; at most 48 MiB at once, of a file of
/// any size. Needs `read` on the file.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadRange {
    /// Absolute virtual path.
    path: String,
    /// The first byte, from 0.
    start: u64,
    /// The byte after the last.
    end: u64,
    /// Fail with a conflict unless the stored etag (BLAKE3, hex) equals this one: all parts are of one version.
    #[serde(default)]
    if_match: Option<String>,
}

impl Method for ReadRange {
    const NAME: &'static str = "read_range";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::FileNotFound,
        ErrorCode::Conflict,
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::Precondition,
        ErrorCode::Integrity,
        ErrorCode::ResultTooLarge,
    ];
    type Output = WireBytes;

    async fn call(self, cx: &RequestContext) -> Result<WireBytes, RpcError> {
        if self.end < self.start {
            return Err(RpcError::invalid_params("end must not be before start"));
        }
        let path = files::path_below_root(&self.path)?;
        let file = transfer::open(&cx.call, path.clone(), |_| true).await?;
        if let Some(expected) = self.if_match.filter(|etag| !etag.is_empty() && *etag != file.etag) {
            return Err(ServiceError::Conflict { path: path.to_string(), expected, current: file.etag }.into());
        }
        Ok(WireBytes(transfer::read_part(&cx.call, file, self.start..self.end).await?))
    }
}
