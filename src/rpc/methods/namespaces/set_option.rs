//! `set_rebac_option`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::options;

/// Refuse to set an option of the permission engine, and say why.
///
/// The bounds are fixed, so that an answer depends on data and never on settings. Nothing is set.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SetRebacOption {
    /// Its name.
    key: String,
    /// The value that is not set.
    #[serde(rename = "value")]
    _value: Value,
}

impl Method for SetRebacOption {
    const NAME: &'static str = "set_rebac_option";
    const ACCESS: Access = Access::Admin;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::PermissionDenied, ErrorCode::InvalidParams, ErrorCode::NotSupported];
    type Output = ();

    async fn call(self, cx: &RequestContext) -> Result<(), RpcError> {
        Ok(options::set(&cx.call, &self.key).await?)
    }
}
