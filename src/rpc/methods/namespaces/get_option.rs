//! `get_rebac_option`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::options;

/// Look at an option of the permission engine.
///
/// All of them are fixed bounds. `max_depth` and `cache_ttl` of other servers have no value here: there is no limit
/// of depth, and what is cached is exact and never ages.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GetRebacOption {
    /// Its name; a wrong one is answered with all there are.
    key: String,
}

/// An option.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OptionView {
    /// Its name.
    key: &'static str,
    /// Its value; null = there is nothing of the kind.
    value: Option<u64>,
    /// What the value counts.
    unit: &'static str,
    /// What it means.
    meaning: &'static str,
    /// Whether it can be set. None can.
    settable: bool,
}

impl Method for GetRebacOption {
    const NAME: &'static str = "get_rebac_option";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidParams];
    type Output = OptionView;

    async fn call(self, cx: &RequestContext) -> Result<OptionView, RpcError> {
        let option = options::get(&cx.call, &self.key).await?;
        Ok(OptionView {
            key: option.key,
            value: option.value,
            unit: option.unit,
            meaning: option.meaning,
            settable: false,
        })
    }
}
