//! The rules per object type, and the options of the engine, one method a file.

pub mod create;
pub mod delete;
pub mod get;
pub mod get_namespace;
pub mod get_option;
pub mod list;
pub mod register;
pub mod set_option;
pub mod validate;

pub use create::NamespaceCreate;
pub use delete::NamespaceDelete;
pub use get::NamespaceGet;
pub use get_namespace::GetNamespace;
pub use get_option::GetRebacOption;
pub use list::NamespaceList;
pub use register::RegisterNamespace;
pub use set_option::SetRebacOption;
pub use validate::NamespaceValidate;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::rpc::RequestContext;
use crate::rpc::codec::WireTime;
use crate::service::relations::namespaces::NamespaceInfo;
use crate::service::relations::namespaces_ops::Outcome;

/// Says how the reply is made from whether anything has changed; a message that asks for another look is none.
fn replies<R: Serialize>(cx: &RequestContext, reply: impl Fn(bool) -> R + Send + Sync + 'static) {
    cx.reply_if(move |outcome: &Outcome| match outcome {
        Outcome::Done(changed) => Some(reply(*changed)),
        Outcome::LookAgain => None,
    });
}

/// The rules of an object type.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NamespaceView {
    /// Its id; `builtin-<type>` for built-in rules.
    namespace_id: String,
    /// The object type.
    object_type: String,
    /// `{"relations": {name: rule}, "permissions": {name: rule}}`.
    config: Value,
    /// When it was first put, ISO-8601, UTC; null = built in.
    created_at: Option<String>,
    /// When it was last put, ISO-8601, UTC; null = built in.
    updated_at: Option<String>,
    /// Whether it is built in: nobody has put another.
    builtin: bool,
}

impl From<NamespaceInfo> for NamespaceView {
    fn from(info: NamespaceInfo) -> Self {
        let iso = |us: i64| WireTime::aware(us).iso();
        Self {
            builtin: info.builtin(),
            namespace_id: info.namespace_id,
            object_type: info.object_type,
            config: info.config,
            created_at: info.created_at_us.map(iso),
            updated_at: info.updated_at_us.map(iso),
        }
    }
}
