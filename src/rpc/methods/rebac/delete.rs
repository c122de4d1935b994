//! `rebac_delete`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::tuples_ops;

/// Delete a relationship tuple.
///
/// Needs the right that writing it needs. The id `owner-<number>`, as `rebac_list_tuples` shows it, takes a file from
/// its owner. Returns whether the tuple was there; whoever has not the right is refused either way.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RebacDelete {
    /// The id that `rebac_create` returned or `rebac_list_tuples` shows.
    tuple_id: String,
}

impl Method for RebacDelete {
    const NAME: &'static str = "rebac_delete";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied];
    type Output = bool;

    async fn call(self, cx: &RequestContext) -> Result<bool, RpcError> {
        cx.reply_with(|was_there: &bool| *was_there);
        Ok(tuples_ops::delete(&cx.call, self.tuple_id).await?)
    }
}
