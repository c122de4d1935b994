//! `sandbox_run`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Unread;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::sandboxes;

/// Run code in a sandbox. Not supported: processes are not built.
///
/// The local provider keeps private directories and starts no process; `capabilities.run` of every sandbox says so.
#[expect(dead_code, reason = "documented and checked; nothing runs yet")]
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SandboxRun {
    /// The id.
    sandbox_id: String,
    /// `python`, `javascript`, `js`, `bash` or `sh`.
    language: String,
    /// The program.
    code: String,
    /// Seconds it may take.
    #[serde(default)]
    timeout: Option<f64>,
    /// The address of this server for the program.
    #[serde(default)]
    nexus_url: Option<String>,
    /// The key for the program.
    #[serde(default)]
    nexus_api_key: Option<Unread>,
}

/// What a program did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SandboxRunOutput {
    /// Its standard output.
    stdout: String,
    /// Its standard error.
    stderr: String,
    /// Its exit status.
    exit_code: i32,
    /// Seconds it took.
    execution_time: f64,
}

impl Method for SandboxRun {
    const NAME: &'static str = "sandbox_run";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::FileNotFound, ErrorCode::NotSupported];
    type Output = SandboxRunOutput;

    async fn call(self, cx: &RequestContext) -> Result<SandboxRunOutput, RpcError> {
        let info = sandboxes::get(&cx.call, self.sandbox_id).await?;
        let text = format!(
            "sandbox_run is not supported: the provider '{}' keeps a private directory and runs no code",
            info.row.provider
        );
        Err(RpcError::new(ErrorCode::NotSupported, text)
            .hint("look at `capabilities.run` of the sandbox before running code in it"))
    }
}
