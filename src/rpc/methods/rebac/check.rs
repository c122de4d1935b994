//! `rebac_check`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{moment, object, subject};
use crate::model::Rev;
use crate::rpc::codec::WireTime;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::checks;
use crate::service::relations::questions::Question;

/// Ask whether a subject has a permission on an object.
///
/// Relations alone answer: neither the bypass of admins nor what an agent inherits counts, whoever asks. Asking about
/// oneself and one's agents is always allowed; about others it takes `manage` on the object (for a file `execute`) or
/// an admin. A file's tenant is that of its node, whatever `tenant_id` says. What cannot be decided is `false`.
///
/// With `at_rev` or `at_time` the answer is that of an earlier revision: its tuples, namespaces, paths, owners and
/// tenants, and expiry at its time (with `at_time` at that very time). Who may ask is decided by the rights of today,
/// and for a file that lay at that path then and is not the one there now, by those of then, too.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RebacCheck {
    /// `[type, id]`; `["*", "*"]` asks whether it is public.
    subject: Vec<String>,
    /// A permission or a relation of the object's type, e.g. `read`.
    permission: String,
    /// `[type, id]`; the id of type `file` is an absolute virtual path.
    object: Vec<String>,
    /// The tenant of the subject, and of an object that is no file. Default: the caller's.
    #[serde(default)]
    tenant_id: Option<String>,
    /// Ask as of this revision instead of now. What an `X-Nexus-Revision` header named is one.
    #[serde(default)]
    at_rev: Option<Rev>,
    /// Ask as of this time instead of now: an ISO-8601 text or a date-time wrapper.
    #[serde(default)]
    at_time: Option<WireTime>,
}

impl Method for RebacCheck {
    const NAME: &'static str = "rebac_check";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::RevisionInFuture,
        ErrorCode::RevisionTooFar,
        ErrorCode::RevisionTooOld,
    ];
    type Output = bool;

    async fn call(self, cx: &RequestContext) -> Result<bool, RpcError> {
        let request = Question {
            subject: subject(&self.subject)?,
            permission: self.permission,
            object: object(&self.object)?,
            tenant: self.tenant_id,
        };
        Ok(checks::check(&cx.call, request, moment(self.at_rev, self.at_time)?).await?)
    }
}
