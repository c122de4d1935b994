//! `rebac_check_batch`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{moment, object, subject};
use crate::model::Rev;
use crate::rpc::codec::WireTime;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::checks;
use crate::service::relations::questions::Question;

/// Ask many times whether a subject has a permission on an object, at one revision.
///
/// As `rebac_check`, up to 10,000 at once. The answers come in the order of the questions; `null` stands for a
/// question that the caller may not ask. `at_rev` or `at_time` make it one earlier revision.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RebacCheckBatch {
    /// `[subject, permission, object]` each, e.g. `[["user","alice"],"read",["file","/a"]]`.
    checks: Vec<(Vec<String>, String, Vec<String>)>,
    /// The tenant of the subjects, and of objects that are no files. Default: the caller's.
    #[serde(default)]
    tenant_id: Option<String>,
    /// Ask as of this revision instead of now. What an `X-Nexus-Revision` header named is one.
    #[serde(default)]
    at_rev: Option<Rev>,
    /// Ask as of this time instead of now: an ISO-8601 text or a date-time wrapper.
    #[serde(default)]
    at_time: Option<WireTime>,
}

impl Method for RebacCheckBatch {
    const NAME: &'static str = "rebac_check_batch";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::InvalidPath, ErrorCode::RevisionInFuture, ErrorCode::RevisionTooFar, ErrorCode::RevisionTooOld];
    type Output = Vec<Option<bool>>;

    async fn call(self, cx: &RequestContext) -> Result<Vec<Option<bool>>, RpcError> {
        let (tenant, at) = (self.tenant_id, moment(self.at_rev, self.at_time)?);
        let named = self.checks.into_iter().map(|(who, permission, what)| {
            Ok(Question { subject: subject(&who)?, permission, object: object(&what)?, tenant: tenant.clone() })
        });
        let requests = named.collect::<Result<Vec<_>, RpcError>>()?;
        Ok(checks::check_batch(&cx.call, requests, at).await?)
    }
}
