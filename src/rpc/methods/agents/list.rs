//! `list_agents`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::AgentView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::agents;

/// List agents.
///
/// A user sees its own, the admin of a tenant all of the tenant, an agent that inherits nothing itself. By id.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListAgents {}

impl Method for ListAgents {
    const NAME: &'static str = "list_agents";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = Vec<AgentView>;

    async fn call(self, cx: &RequestContext) -> Result<Vec<AgentView>, RpcError> {
        Ok(agents::list(&cx.call).await?.into_iter().map(AgentView::from).collect())
    }
}
