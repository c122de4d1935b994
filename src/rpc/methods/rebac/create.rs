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
///
/// `dynamic_viewer` on a `.csv` file with `column_config` lets the subject, the members of a group or everybody read some
/// columns: `{"hidden_columns": [names], "aggregations": {name: operation}, "visible_columns": [names]}`, the operations
/// being mean, sum, min, max, std, median and count. A column stands in one of the three; without visible columns all the
/// rest is shown. Of a file that is there all of them must be. `read` and `read_with_dynamic_viewer` show what the rules
/// leave, every other way to the bytes is refused, and so is a table that the rules do not fit any more. The grant binds
/// whoever else has let the subject in; several bind together, each column being shown only as far as all of them show
/// it. It is the file's: whoever deletes it and writes another should think of whom he has let in to the directory.
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
    /// The column rules of a `dynamic_viewer`.
    #[serde(default)]
    column_config: Option<Value>,
}

impl Method for RebacCreate {
    const NAME: &'static str = "rebac_create";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied, ErrorCode::Precondition];
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
            columns: self.column_config,
        };
        cx.reply_with(String::clone);
        Ok(tuples_ops::create(&cx.call, request).await?)
    }
}
