//! `sandbox_connect`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Unread;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::sandboxes;

/// Mount the file tree in a sandbox. Not supported: mounts are not built.
///
/// The call is refused with a typed error, and nothing is done: programs of the local provider have a private directory
/// and no way out of it. `capabilities.mount` of every sandbox says so.
#[expect(dead_code, reason = "documented and checked; nothing is mounted")]
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SandboxConnect {
    /// The id.
    sandbox_id: String,
    /// The provider.
    #[serde(default)]
    provider: Option<String>,
    /// The key of the provider.
    #[serde(default)]
    sandbox_api_key: Option<Unread>,
    /// Where to mount.
    #[serde(default)]
    mount_path: Option<String>,
    /// The address of this server.
    #[serde(default)]
    nexus_url: Option<String>,
    /// The key for the mount.
    #[serde(default)]
    nexus_api_key: Option<Unread>,
    /// The agent it is for.
    #[serde(default)]
    agent_id: Option<String>,
}

/// A mounted sandbox.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SandboxConnectOutput {
    /// Whether it was done.
    success: bool,
}

impl Method for SandboxConnect {
    const NAME: &'static str = "sandbox_connect";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::FileNotFound, ErrorCode::NotSupported];
    type Output = SandboxConnectOutput;

    async fn call(self, cx: &RequestContext) -> Result<SandboxConnectOutput, RpcError> {
        let info = sandboxes::get(&cx.call, self.sandbox_id).await?;
        let text = format!(
            "sandbox_connect is not supported: the provider '{}' keeps a private directory and mounts nothing",
            info.row.provider
        );
        Err(RpcError::new(ErrorCode::NotSupported, text)
            .hint("look at `capabilities.mount` of the sandbox; work on the files with read and write"))
    }
}
