//! What the contract asks of things outside that are not there: lists of them are empty, and that is the truth.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};

/// List mounted MCP servers.
///
/// There are none: this server starts no MCP servers and connects to none.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct McpListMounts {
    /// Those of a tier.
    #[serde(default)]
    #[expect(dead_code, reason = "of none there is none")]
    tier: Option<String>,
    /// Also those that are configured and not mounted.
    #[serde(default)]
    #[expect(dead_code, reason = "of none there is none")]
    include_unmounted: Option<bool>,
}

impl Method for McpListMounts {
    const NAME: &'static str = "mcp_list_mounts";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = Vec<Value>;

    async fn call(self, _cx: &RequestContext) -> Result<Vec<Value>, RpcError> {
        Ok(Vec::new())
    }
}

/// List OAuth providers.
///
/// There are none: none can be configured.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct OauthListProviders {}

impl Method for OauthListProviders {
    const NAME: &'static str = "oauth_list_providers";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = Vec<Value>;

    async fn call(self, _cx: &RequestContext) -> Result<Vec<Value>, RpcError> {
        Ok(Vec::new())
    }
}

/// List OAuth credentials.
///
/// There are none: this server keeps none.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct OauthListCredentials {
    /// Those of a provider.
    #[serde(default)]
    #[expect(dead_code, reason = "of none there is none")]
    provider: Option<String>,
    /// Also those that were revoked.
    #[serde(default)]
    #[expect(dead_code, reason = "of none there is none")]
    include_revoked: Option<bool>,
}

impl Method for OauthListCredentials {
    const NAME: &'static str = "oauth_list_credentials";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = Vec<Value>;

    async fn call(self, _cx: &RequestContext) -> Result<Vec<Value>, RpcError> {
        Ok(Vec::new())
    }
}

/// Wait for threads that parse files.
///
/// There are none: nothing is parsed in the background, so all of them have ended.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ShutdownParserThreads {
    /// Seconds to wait.
    #[serde(default)]
    #[expect(dead_code, reason = "there is nothing to wait for")]
    timeout: Option<f64>,
}

/// What became of the threads.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct ParserThreadsView {
    /// How many there were.
    total_threads: u64,
    /// How many have ended.
    completed: u64,
    /// How many have not.
    timed_out: u64,
    /// Those by name.
    timeout_threads: Vec<String>,
}

impl Method for ShutdownParserThreads {
    const NAME: &'static str = "shutdown_parser_threads";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = ParserThreadsView;

    async fn call(self, _cx: &RequestContext) -> Result<ParserThreadsView, RpcError> {
        Ok(ParserThreadsView::default())
    }
}
