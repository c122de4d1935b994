//! `rebac_filter`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{object, subject};
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::filter::{self, FilterRequest};

/// Ask of many objects whether a subject has a permission on them, at one revision.
///
/// As `rebac_check` of each, for up to 10,000 objects: a directory is looked up and decided once. The answers come in
/// the order of the objects, which may come more than once; `null` stands for an object that the caller may not ask
/// about. A work budget that is spent is an error (`indeterminate`).
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RebacFilter {
    /// `[type, id]`; `["*", "*"]` asks whether they are public.
    subject: Vec<String>,
    /// A permission or a relation of the types of the objects, e.g. `read`.
    permission: String,
    /// `[type, id]` each.
    objects: Vec<Vec<String>>,
    /// The tenant of the subject, and of objects that are no files. Default: the caller's.
    #[serde(default)]
    tenant_id: Option<String>,
}

impl Method for RebacFilter {
    const NAME: &'static str = "rebac_filter";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath, ErrorCode::Indeterminate];
    type Output = Vec<Option<bool>>;

    async fn call(self, cx: &RequestContext) -> Result<Vec<Option<bool>>, RpcError> {
        let request = FilterRequest {
            subject: subject(&self.subject)?,
            permission: self.permission,
            objects: self.objects.iter().map(|parts| object(parts)).collect::<Result<_, _>>()?,
            tenant: self.tenant_id,
        };
        Ok(filter::filter(&cx.call, request).await?)
    }
}
