//! `sandbox_connect`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Unread;
use crate::rpc::codec::WireTime;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::sandboxes::connect::{self, ConnectRequest, Connected};

/// Copy a directory of the tree into a sandbox, with the rights of whoever asks.
///
/// Its owner or an admin of the tenant may; for others it is not there. Programs find the copy at `mount_path`, with the
/// paths of the tree below it, and `NEXUS_MOUNT` names it. What may not be read is not copied, and is told. It is a copy:
/// `sandbox_sync` and `sandbox_disconnect` bring back what programs have changed. More than 10,000 files or 256 MiB are
/// refused, and nothing is copied. Asked again by the same caller for the same directory, nothing is copied anew.
#[expect(dead_code, reason = "accepted as the original's clients send them, and not needed")]
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SandboxConnect {
    /// The id.
    sandbox_id: String,
    /// The directory. Default: `/`, of which whatever the caller may read is copied.
    #[serde(default)]
    workspace: Option<String>,
    /// Accepted; the sandbox's own provider does it.
    #[serde(default)]
    provider: Option<String>,
    /// Accepted; the local provider wants no key.
    #[serde(default)]
    sandbox_api_key: Option<Unread>,
    /// Accepted; the reply says where the copy is.
    #[serde(default)]
    mount_path: Option<String>,
    /// Accepted; nothing is mounted over the network.
    #[serde(default)]
    nexus_url: Option<String>,
    /// Accepted; the rights are those of the key that asks.
    #[serde(default)]
    nexus_api_key: Option<Unread>,
    /// An agent of the caller, with whose rights it is done.
    #[serde(default)]
    agent_id: Option<String>,
}

/// A connected sandbox.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SandboxConnectOutput {
    /// True: what could not be done is an error.
    success: bool,
    /// The id.
    sandbox_id: String,
    /// Who made the copy.
    provider: String,
    /// Where programs find the copy of `/`.
    mount_path: String,
    /// ISO 8601, UTC, without a zone.
    mounted_at: String,
    /// The same in the words of the original, for people too.
    mount_status: MountStatus,
    /// The directory that was copied.
    workspace: String,
    /// Bytes that were copied; 0 where it was connected already.
    bytes: u64,
    /// Files that the caller may not read and that were not copied.
    withheld: u64,
    /// The first hundred of them.
    withheld_paths: Vec<String>,
    /// Whether it was connected before, and nothing was copied now.
    already_connected: bool,
}

/// What a mount is to the original's clients.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MountStatus {
    /// True.
    success: bool,
    /// Where programs find the copy of `/`.
    mount_path: String,
    /// What was done.
    message: String,
    /// Files that were copied.
    files_visible: u64,
}

impl SandboxConnectOutput {
    fn new(sandbox_id: &str, connected: &Connected) -> Self {
        let Connected { files, bytes, withheld, workspace, .. } = connected;
        let what = if connected.already { "were copied before, and nothing now" } else { "were copied" };
        let mut message = format!("{files} files of {workspace} ({bytes} bytes) {what}");
        if *withheld > 0 {
            message.push_str(&format!("; {withheld} that you may not read were not"));
        }
        Self {
            success: true,
            sandbox_id: sandbox_id.to_owned(),
            provider: connected.provider.clone(),
            mount_path: connected.mount_path.clone(),
            mounted_at: WireTime::naive(connected.at_us).iso(),
            mount_status: MountStatus {
                success: true,
                mount_path: connected.mount_path.clone(),
                message,
                files_visible: *files as u64,
            },
            workspace: workspace.clone(),
            bytes: *bytes,
            withheld: *withheld,
            withheld_paths: connected.withheld_paths.clone(),
            already_connected: connected.already,
        }
    }
}

impl Method for SandboxConnect {
    const NAME: &'static str = "sandbox_connect";
    const ACCESS: Access = Access::Write;
    const LONG: bool = true;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::FileNotFound,
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::Precondition,
        ErrorCode::ResultTooLarge,
    ];
    type Output = SandboxConnectOutput;

    async fn call(self, cx: &RequestContext) -> Result<SandboxConnectOutput, RpcError> {
        let id = self.sandbox_id.clone();
        cx.reply_with(move |connected: &Connected| SandboxConnectOutput::new(&id, connected));
        let request =
            ConnectRequest { sandbox_id: self.sandbox_id.clone(), workspace: self.workspace, agent_id: self.agent_id };
        cx.services.sandboxes.ready().await;
        let connected = connect::connect(&cx.call, &cx.services.sandboxes, request).await?;
        Ok(SandboxConnectOutput::new(&self.sandbox_id, &connected))
    }
}
