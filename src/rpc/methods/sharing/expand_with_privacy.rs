//! `rebac_expand_with_privacy`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rpc::methods::rebac::{object, subject};
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::names::EntityName;
use crate::service::relations::subjects::{self, SubjectsRequest};

/// Expand a permission on an object to those whom somebody may discover.
///
/// As `rebac_expand` without `tree`, for whoever manages the permissions of the object, and of that list only those whom
/// the requester may discover: itself, those who made themselves public and those who gave it their consent. Where the
/// rules of somebody's type define `discover`, they decide instead.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RebacExpandWithPrivacy {
    /// A permission or a relation of the object's type, e.g. `read`.
    permission: String,
    /// `[type, id]`; the id of type `file` is an absolute virtual path.
    object: Vec<String>,
    /// False: everybody, as `rebac_expand`.
    #[serde(default = "yes")]
    respect_consent: bool,
    /// Who wants to know: `[type, id]`. Default: the caller.
    #[serde(default)]
    requester: Option<Vec<String>>,
}

fn yes() -> bool {
    true
}

impl Method for RebacExpandWithPrivacy {
    const NAME: &'static str = "rebac_expand_with_privacy";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied, ErrorCode::Indeterminate];
    type Output = Vec<(String, String)>;

    async fn call(self, cx: &RequestContext) -> Result<Vec<(String, String)>, RpcError> {
        let object = object(&self.object)?;
        let request = SubjectsRequest { permission: self.permission, object, kind: None, tenant: None };
        if !self.respect_consent {
            return Ok(subjects::flat(&cx.call, request).await?);
        }
        let requester = match &self.requester {
            Some(parts) => subject(parts)?,
            None => {
                let caller = &cx.call.caller;
                EntityName::subject(&caller.subject_type, &caller.subject_id)?
            }
        };
        Ok(subjects::discoverable(&cx.call, request, requester).await?)
    }
}
