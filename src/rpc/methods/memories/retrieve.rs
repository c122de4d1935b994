//! `retrieve_memory`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ContentView, MemoryView};
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::memories::{self, Which};
use crate::service::{ServiceError, files};

/// The memory of a name, or of an id.
///
/// A name is looked for among the agent's own memories, then the user's, the tenant's and everybody's. Null alike where
/// there is none and where the caller may not see it. What is remembered is given as a value if it is JSON.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RetrieveMemory {
    /// The first part of the name.
    #[serde(default)]
    namespace: Option<String>,
    /// The last part of the name.
    #[serde(default)]
    path_key: Option<String>,
    /// Both in one, `namespace/…/key`, written as a path: the key is what follows the last `/`.
    #[serde(default)]
    path: Option<String>,
    /// The id, in place of a name.
    #[serde(default)]
    memory_id: Option<String>,
}

/// A memory, or null.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RetrievedView {
    /// The memory; null where there is none for the caller.
    memory: Option<MemoryView>,
}

/// Namespace and key of a name in one; it is written as paths are.
fn split(path: &str) -> Result<Option<(String, String)>, ServiceError> {
    let path = files::path_below_root(path)?;
    let name = path.as_str().trim_start_matches('/').rsplit_once('/');
    Ok(name.map(|(namespace, key)| (namespace.to_owned(), key.to_owned())))
}

impl Method for RetrieveMemory {
    const NAME: &'static str = "retrieve_memory";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath, ErrorCode::Integrity];
    type Output = RetrievedView;

    async fn call(self, cx: &RequestContext) -> Result<RetrievedView, RpcError> {
        let named = match (self.path, self.namespace, self.path_key) {
            (Some(path), None, None) => split(&path)?,
            (None, Some(namespace), Some(path_key)) => Some((namespace, path_key)),
            (None, None, None) => None,
            _ => return Err(RpcError::invalid_params("give path, or namespace and path_key, or memory_id")),
        };
        let which = match (self.memory_id, named) {
            (Some(id), None) => Which::Id(id),
            (None, Some((namespace, path_key))) => Which::Name { namespace, path_key },
            _ => {
                return Err(RpcError::invalid_params(
                    "give path (namespace/key), or namespace and path_key, or memory_id",
                ));
            }
        };
        let found = memories::retrieve(&cx.call, which).await?;
        Ok(RetrievedView { memory: found.map(|memory| MemoryView::with(memory, ContentView::parsed)) })
    }
}
