//! `sandbox_disconnect`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Unread;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::sandboxes;

/// Unmount the file tree from a sandbox. Not supported: mounts are not built.
///
/// The call is refused with a typed error, and nothing is done: programs of the local provider have a private directory
/// and no way out of it. `capabilities.mount` of every sandbox says so.
#[expect(dead_code, reason = "documented and checked; nothing is mounted")]
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SandboxDisconnect {
    /// The id.
    sandbox_id: String,
    /// The provider.
    #[serde(default)]
    provider: Option<String>,
    /// The key of the provider.
    #[serde(default)]
    sandbox_api_key: Option<Unread>,
}

/// A mounted sandbox.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SandboxDisconnectOutput {
    /// Whether it was done.
    success: bool,
}

impl Method for SandboxDisconnect {
    const NAME: &'static str = "sandbox_disconnect";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::FileNotFound, ErrorCode::NotSupported];
    type Output = SandboxDisconnectOutput;

    async fn call(self, cx: &RequestContext) -> Result<SandboxDisconnectOutput, RpcError> {
        let info = sandboxes::get(&cx.call, self.sandbox_id).await?;
        let text = format!(
            "sandbox_disconnect is not supported: the provider '{}' keeps a private directory and mounts nothing",
            info.row.provider
        );
        Err(RpcError::new(ErrorCode::NotSupported, text)
            .hint("look at `capabilities.mount` of the sandbox; work on the files with read and write"))
    }
}
