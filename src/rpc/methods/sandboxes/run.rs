//! `sandbox_run`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Key;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::sandbox::{Ending, Report};
use crate::service::sandboxes::run::{self, RunRequest};

/// Run code in a sandbox.
///
/// Its owner or an admin of the tenant may; for others it is not there. The program sees the directory of the sandbox
/// (`$HOME`) and the system's programs, no network and nothing else of the machine. Its input is empty; of each output the
/// first MiB is kept. It is ended when its time is over, when it uses too much memory or disk, and when whoever asked
/// hangs up; what it wrote until then is answered.
/// Where `capabilities.server` is true, it reaches this server, and nothing else, over the Unix socket `$NEXUS_SOCKET` with
/// the key `$NEXUS_API_KEY`, which speaks for the caller, never as an admin, to the methods about files, versions,
/// snapshots, memories and skills, until the program ends.
/// `capabilities` of the sandbox say whether this machine can confine programs, and in which languages.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SandboxRun {
    /// The id.
    sandbox_id: String,
    /// `python`, `javascript`, `js`, `bash` or `sh`.
    language: String,
    /// The program, up to 1 MiB.
    code: String,
    /// Seconds it may take, up to 3600. Default: 300.
    #[serde(default)]
    timeout: Option<f64>,
    /// Put into its environment as `NEXUS_URL`, instead of the address of this server.
    #[serde(default)]
    nexus_url: Option<String>,
    /// Put into its environment as `NEXUS_API_KEY`, instead of the key of its own; it opens nothing from inside.
    #[serde(default)]
    nexus_api_key: Option<Key>,
}

/// What a program did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SandboxRunOutput {
    /// Its standard output, up to 1 MiB.
    stdout: String,
    /// Its standard error, up to 1 MiB.
    stderr: String,
    /// Its exit status; 128 and the number of the signal, if one ended it.
    exit_code: i32,
    /// Seconds it took.
    execution_time: f64,
    /// How it ended.
    ended: Ending,
    /// Whether it wrote more than is answered.
    stdout_truncated: bool,
    /// Whether it wrote more than is answered.
    stderr_truncated: bool,
}

impl From<&Report> for SandboxRunOutput {
    fn from(report: &Report) -> Self {
        Self {
            stdout: report.stdout.clone(),
            stderr: report.stderr.clone(),
            exit_code: report.exit_code,
            execution_time: f64::from(u32::try_from(report.millis).unwrap_or(u32::MAX)) / 1000.0,
            ended: report.ended,
            stdout_truncated: report.stdout_truncated,
            stderr_truncated: report.stderr_truncated,
        }
    }
}

impl Method for SandboxRun {
    const NAME: &'static str = "sandbox_run";
    const ACCESS: Access = Access::Write;
    const LONG: bool = true;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::FileNotFound, ErrorCode::NotSupported, ErrorCode::Precondition];
    type Output = SandboxRunOutput;

    async fn call(self, cx: &RequestContext) -> Result<SandboxRunOutput, RpcError> {
        cx.reply_with(|report: &Report| SandboxRunOutput::from(report));
        let named = [("NEXUS_URL", self.nexus_url), ("NEXUS_API_KEY", self.nexus_api_key.map(|key| key.0))];
        let request = RunRequest {
            sandbox_id: self.sandbox_id,
            language: self.language,
            code: self.code,
            seconds: self.timeout.unwrap_or(run::SECONDS),
            environment: named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        };
        let report = run::run(&cx.call, &cx.services.sandboxes, &cx.services.passes, request).await?;
        Ok(SandboxRunOutput::from(&report))
    }
}
