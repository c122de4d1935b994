//! `batch_get_content_ids`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rpc::methods::files::by_path::ByPath;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::versions::metadata::content_ids;

/// The content ids (BLAKE3, hex) of several files.
///
/// At most 1000 paths, all of one revision. Null for a directory, for what is not there and for what the caller may
/// not read: these are not told apart. Needs `read` on each file.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct BatchGetContentIds {
    /// Absolute virtual paths.
    paths: Vec<String>,
}

impl Method for BatchGetContentIds {
    const NAME: &'static str = "batch_get_content_ids";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = ByPath<Option<String>>;

    async fn call(self, cx: &RequestContext) -> Result<ByPath<Option<String>>, RpcError> {
        let found = content_ids(&cx.call, self.paths.clone()).await?;
        Ok(ByPath::new(self.paths.into_iter().zip(found)))
    }
}
