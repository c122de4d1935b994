//! `sandbox_disconnect`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Unread;
use super::sync::Changes;
use crate::rpc::codec::WireTime;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::sandboxes::bring_back::{self, BroughtBack};

/// Bring back what programs have made of the files of a sandbox, and remove the copy.
///
/// As `sandbox_sync`; afterwards the sandbox is not connected. If something was not brought back, the copy stays in the
/// sandbox under another name (`kept`) until the sandbox ends.
#[expect(dead_code, reason = "accepted as the original's clients send them, and not needed")]
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SandboxDisconnect {
    /// The id.
    sandbox_id: String,
    /// Accepted; the sandbox's own provider does it.
    #[serde(default)]
    provider: Option<String>,
    /// Accepted; the local provider wants no key.
    #[serde(default)]
    sandbox_api_key: Option<Unread>,
}

/// A sandbox that is connected no more.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SandboxDisconnectOutput {
    /// True: what could not be done at all is an error; files that were not brought back are in `changes`.
    success: bool,
    /// The id.
    sandbox_id: String,
    /// Whose sandbox it is.
    provider: String,
    /// ISO 8601, UTC, without a zone.
    unmounted_at: String,
    /// What was brought back, and what not.
    changes: Changes,
    /// What the copy is called in the sandbox, if not everything was brought back.
    kept: Option<String>,
}

impl SandboxDisconnectOutput {
    fn new(sandbox_id: &str, back: &BroughtBack) -> Self {
        Self {
            success: true,
            sandbox_id: sandbox_id.to_owned(),
            provider: back.provider.clone(),
            unmounted_at: WireTime::naive(back.at_us).iso(),
            changes: Changes::from(back),
            kept: back.kept.clone(),
        }
    }
}

impl Method for SandboxDisconnect {
    const NAME: &'static str = "sandbox_disconnect";
    const ACCESS: Access = Access::Write;
    const LONG: bool = true;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::FileNotFound, ErrorCode::PermissionDenied, ErrorCode::Precondition];
    type Output = SandboxDisconnectOutput;

    async fn call(self, cx: &RequestContext) -> Result<SandboxDisconnectOutput, RpcError> {
        let id = self.sandbox_id.clone();
        cx.reply_with(move |back: &BroughtBack| SandboxDisconnectOutput::new(&id, back));
        let back = bring_back::bring_back(&cx.call, &cx.services.sandboxes, self.sandbox_id.clone(), true).await?;
        Ok(SandboxDisconnectOutput::new(&self.sandbox_id, &back))
    }
}
