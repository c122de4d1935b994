//! `admin_get_key`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::KeyView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::keys;

/// Look at an API key, without the key.
///
/// A key of another tenant is not there.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AdminGetKey {
    /// The id.
    key_id: String,
}

/// An API key, flat and under `key`, as two clients read it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct KeyDetails {
    /// The key.
    #[serde(flatten)]
    flat: KeyView,
    /// The key once more.
    key: KeyView,
}

impl Method for AdminGetKey {
    const NAME: &'static str = "admin_get_key";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::FileNotFound, ErrorCode::PermissionDenied];
    type Output = KeyDetails;

    async fn call(self, cx: &RequestContext) -> Result<KeyDetails, RpcError> {
        let view = KeyView::from(keys::get(&cx.call, self.key_id).await?);
        Ok(KeyDetails { flat: view.clone(), key: view })
    }
}
