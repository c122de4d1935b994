//! `list_connectors`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::mounts::connectors::{CONNECTORS, Connector};

/// List the types of backends that `add_mount` knows, and what is missing to use each.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListConnectors {
    /// Only those of this kind: `storage`, `api`, `oauth` or `database`.
    #[serde(default)]
    category: Option<String>,
}

/// A type of backend.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConnectorView {
    /// The name, as `add_mount` takes it.
    name: &'static str,
    /// For people.
    description: &'static str,
    /// `storage`, `api` or `oauth`.
    category: &'static str,
    /// Names of its settings.
    requires: &'static [&'static str],
    /// Whether each user has settings of their own.
    user_scoped: bool,
    /// Whether this server can mount it.
    available: bool,
    /// What is missing, if it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<&'static str>,
}

impl From<&Connector> for ConnectorView {
    fn from(connector: &Connector) -> Self {
        let Connector { name, description, category, requires, missing } = *connector;
        let available = missing.is_none();
        Self { name, description, category, requires, user_scoped: false, available, missing }
    }
}

impl Method for ListConnectors {
    const NAME: &'static str = "list_connectors";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = Vec<ConnectorView>;

    async fn call(self, _: &RequestContext) -> Result<Vec<ConnectorView>, RpcError> {
        let asked = |connector: &&Connector| self.category.as_deref().is_none_or(|asked| asked == connector.category);
        Ok(CONNECTORS.iter().filter(asked).map(ConnectorView::from).collect())
    }
}
