//! `rebac_create`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{grantee, object};
use crate::rpc::codec::WireTime;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::tuples_ops::{self, TupleRequest};

/// Write a relationship tuple: `subject` `relation` `object`.
///
/// Needs `manage` on the object: for a file `execute` (its owner) or an admin of its tenant; for other types what
/// their namespace calls `manage`, or an admin. Where the tuple would open its subject (`parent`, the `tenant` of a
/// skill), `manage` on the subject too. On files grant `direct_owner`, `direct_editor` or `direct_viewer`; a name that
/// the namespace computes (`owner`, `viewer`) is stored and grants nothing.
///
/// The same tuple again keeps its id and gets the new expiry. A tuple on a file belongs to the file's tenant; only
/// `shared-*` relations name a subject of another tenant, with `tenant_id`. A directory that a write made by itself
/// stays for good once something is granted on it. Returns the id of the tuple.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RebacCreate {
    /// `[type, id]`, or `[type, id, relation]` for everybody who has that relation on it; `["*", "*"]` is everybody
    /// in the object's tenant.
    subject: Vec<String>,
    /// The relation, e.g. `direct_viewer`, `member`.
    relation: String,
    /// `[type, id]`; the id of type `file` is an absolute virtual path, which need not exist yet.
    object: Vec<String>,
    /// When it ends: an ISO-8601 text or a date-time wrapper. Default: never.
    #[serde(default)]
    expires_at: Option<WireTime>,
    /// The tenant of an object that is no file, and of the subject of a share. Default: the caller's.
    #[serde(default)]
    tenant_id: Option<String>,
    /// Column rules of a `dynamic_viewer`; not supported.
    #[serde(default)]
    column_config: Option<Value>,
}

impl Method for RebacCreate {
    const NAME: &'static str = "rebac_create";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::InvalidPath, ErrorCode::NotSupported, ErrorCode::PermissionDenied, ErrorCode::Precondition];
    type Output = String;

    async fn call(self, cx: &RequestContext) -> Result<String, RpcError> {
        let (subject, subject_relation) = grantee(&self.subject)?;
        let request = TupleRequest {
            subject,
            subject_relation,
            relation: self.relation,
            object: object(&self.object)?,
            tenant: self.tenant_id,
            expires_at_us: self.expires_at.map(|at| at.us),
            has_column_rules: self.column_config.is_some(),
        };
        cx.reply_with(String::clone);
        Ok(tuples_ops::create(&cx.call, request).await?)
    }
}
