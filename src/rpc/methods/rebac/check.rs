//! `rebac_check`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{object, subject};
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::checks;
use crate::service::questions::Question;

/// Ask whether a subject has a permission on an object.
///
/// Relations alone answer: neither the bypass of admins nor what an agent inherits counts, whoever asks. Asking about
/// oneself and one's agents is always allowed; about others it takes `manage` on the object (for a file `execute`) or
/// an admin. A file's tenant is that of its node, whatever `tenant_id` says. What cannot be decided is `false`.
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
}

impl Method for RebacCheck {
    const NAME: &'static str = "rebac_check";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied];
    type Output = bool;

    async fn call(self, cx: &RequestContext) -> Result<bool, RpcError> {
        let request = Question {
            subject: subject(&self.subject)?,
            permission: self.permission,
            object: object(&self.object)?,
            tenant: self.tenant_id,
        };
        Ok(checks::check(&cx.call, request).await?)
    }
}
