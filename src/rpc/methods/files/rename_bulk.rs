//! `rename_bulk`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::by_path::{ByPath, Outcome};
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files::bulk_ops::{Outcomes, rename_many};

/// Move files and directories.
///
/// At most 256 pairs, one after the other in one revision, so a later one sees what an earlier one did; of each is
/// said what became of it, and one that is refused stops no other. Each is moved as by `rename`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RenameBulk {
    /// Pairs: the absolute virtual path of what is moved, and the one it gets.
    renames: Vec<(String, String)>,
}

fn output(renames: &[(String, String)], outcomes: &Outcomes) -> ByPath<Outcome> {
    let one = |((old, new), outcome): (&(String, String), &Result<(), String>)| {
        let new_path = outcome.is_ok().then(|| new.clone());
        (old.clone(), Outcome { new_path, ..Outcome::of(outcome) })
    };
    ByPath::new(renames.iter().zip(outcomes).map(one))
}

impl Method for RenameBulk {
    const NAME: &'static str = "rename_bulk";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = ByPath<Outcome>;

    async fn call(self, cx: &RequestContext) -> Result<ByPath<Outcome>, RpcError> {
        let renames = self.renames.clone();
        cx.reply_with(move |outcomes: &Outcomes| output(&renames, outcomes));
        let outcomes = rename_many(&cx.call, &self.renames).await?;
        Ok(output(&self.renames, &outcomes))
    }
}
