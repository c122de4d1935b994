//! `delete_bulk`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::by_path::{ByPath, Outcome};
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files::bulk_ops::{Done, remove_many};

/// Delete files and directories.
///
/// At most 256 paths, one after the other in one revision; of each is said what became of it, and one that is refused
/// stops no other. A file is removed as by `delete`, a directory as by `rmdir`. Needs `write` on each.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DeleteBulk {
    /// Absolute virtual paths.
    paths: Vec<String>,
    /// Directories with everything below them.
    #[serde(default)]
    recursive: bool,
}

fn output(paths: &[String], done: &Done) -> ByPath<Outcome> {
    ByPath::new(paths.iter().cloned().zip(done.outcomes.iter().map(Outcome::of)))
}

impl Method for DeleteBulk {
    const NAME: &'static str = "delete_bulk";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = ByPath<Outcome>;

    async fn call(self, cx: &RequestContext) -> Result<ByPath<Outcome>, RpcError> {
        let paths = self.paths.clone();
        cx.reply_with(move |done: &Done| output(&paths, done));
        let done = remove_many(&cx.call, &self.paths, self.recursive).await?;
        Ok(output(&self.paths, &done))
    }
}
