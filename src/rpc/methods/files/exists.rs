//! `exists`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::VirtualPath;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files;

/// Whether there is a file or directory that the caller may see.
///
/// Seen is what the caller may read, and a directory with something below it that the caller may read. What is not
/// seen does not exist. `/` exists for everybody who sees anything.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Exists {
    /// Absolute virtual path; one that no file can have is not there.
    path: String,
}

/// What `exists` found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExistsOutput {
    /// Whether it is there and seen.
    exists: bool,
}

impl Method for Exists {
    const NAME: &'static str = "exists";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::Indeterminate];
    const CACHE: CachePolicy = CachePolicy::MaxAge(60);
    type Output = ExistsOutput;

    async fn call(self, cx: &RequestContext) -> Result<ExistsOutput, RpcError> {
        let Ok(path) = VirtualPath::parse(&self.path) else { return Ok(ExistsOutput { exists: false }) };
        Ok(ExistsOutput { exists: files::visible_kind(&cx.call, path).await?.is_some() })
    }
}
