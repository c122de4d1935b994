//! `admin_audit_query`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rpc::codec::WireTime;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::audit::view::{ChangeView, FieldView};
use crate::service::audit::{self, AuditEntry, AuditFilter, AuditKind, AuditRequest};

/// Entries of a page, unless the caller says otherwise.
const LIMIT: usize = 100;
/// Most entries of a page.
const LIMIT_MAX: usize = 1_000;

/// Who changed what, and who was refused what: the log of changes and the denials, in order of time.
///
/// An admin sees what was done and refused in its tenant; the instance admin all. An entry says which rows changed and
/// which of their fields, never a body, a rule or anything of a key but its id and its flags. Denials are kept for 30
/// days, written up to a second late, and may be missing when very many come at once.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AdminAuditQuery {
    /// `change` or `denial`. Default: both.
    #[serde(default)]
    kind: Option<String>,
    /// By this actor, e.g. `user:alice`.
    #[serde(default)]
    actor: Option<String>,
    /// Of this operation, e.g. `file_put`, or, for denials, of this method, e.g. `write`.
    #[serde(default)]
    op: Option<String>,
    /// About an object whose name begins so: a path, `group:eng`.
    #[serde(default)]
    object_prefix: Option<String>,
    /// Of this tenant. Default: the caller's; for the instance admin all.
    #[serde(default)]
    tenant_id: Option<String>,
    /// From this revision on.
    #[serde(default)]
    since_rev: Option<u64>,
    /// Up to this revision.
    #[serde(default)]
    until_rev: Option<u64>,
    /// From this time on.
    #[serde(default)]
    since: Option<WireTime>,
    /// Up to this time.
    #[serde(default)]
    until: Option<WireTime>,
    /// `newest` or `oldest` first. Default: newest.
    #[serde(default)]
    order: Option<String>,
    /// Longest page, 1 to 1,000. Default: 100.
    #[serde(default)]
    limit: Option<usize>,
    /// The `cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
}

/// A page of the audit.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AuditPageView {
    /// The entries.
    entries: Vec<EntryView>,
    /// Where to go on; with the oldest first also later, for what has come since.
    cursor: String,
    /// With `order: oldest` it goes on after everything there is now.
    end: String,
    /// Whether there are no more.
    complete: bool,
    /// Why there may be more.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// An entry of the audit.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EntryView {
    /// `change` or `denial`.
    kind: &'static str,
    /// ISO-8601, UTC.
    at: String,
    /// The revision that was made, or at which it was refused.
    rev: u64,
    /// Who, `type:id`.
    actor: String,
    /// The caller's tenant.
    tenant_id: String,
    /// The operation, or the method that was called.
    op: String,
    /// The request.
    request_id: String,
    /// Of a denial: what was missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    permission: Option<String>,
    /// Of a denial: on what, as it was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    /// Of a change: the rows, at most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<RowView>,
}

/// A changed row.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RowView {
    /// `node`, `tuple`, `namespace`, `key`, `agent`, `workspace`, `mount` or `sandbox`.
    kind: &'static str,
    /// `created`, `changed`, `moved` or `deleted`.
    action: &'static str,
    /// The tenant it belongs to; null if it holds for all.
    tenant_id: Option<String>,
    /// Which: a path, `type:id`; of a tuple its object. Null if it cannot be told any more.
    object: Option<String>,
    /// Where a node that was moved lay.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// Of a tuple: `subject relation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<String>,
    /// The fields that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<FieldOutput>,
}

/// A field that differs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FieldOutput {
    /// Its name.
    field: String,
    /// The value before; left out if it is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    /// The value after; left out if it is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
}

impl From<FieldView> for FieldOutput {
    fn from(FieldView { field, before, after }: FieldView) -> Self {
        Self { field, before, after }
    }
}

impl From<ChangeView> for RowView {
    fn from(view: ChangeView) -> Self {
        let ChangeView { kind, action, tenant, object, from, grant, fields } = view;
        let fields = fields.into_iter().map(FieldOutput::from).collect();
        Self { kind, action, tenant_id: tenant, object, from, grant, fields }
    }
}

impl From<AuditEntry> for EntryView {
    fn from(entry: AuditEntry) -> Self {
        match entry {
            AuditEntry::Change(row, changes) => Self {
                kind: "change",
                at: WireTime::aware(row.at_us).iso(),
                rev: row.rev,
                actor: row.actor,
                tenant_id: row.tenant,
                op: row.op,
                request_id: row.request_id,
                permission: None,
                object: None,
                changes: changes.into_iter().map(RowView::from).collect(),
            },
            AuditEntry::Denial(row) => Self {
                kind: "denial",
                at: WireTime::aware(row.denial.at_us).iso(),
                rev: row.denial.rev,
                actor: row.denial.actor,
                tenant_id: row.denial.tenant,
                op: row.denial.method,
                request_id: row.denial.request_id,
                permission: Some(row.denial.permission),
                object: Some(row.denial.object),
                changes: Vec::new(),
            },
        }
    }
}

impl Method for AdminAuditQuery {
    const NAME: &'static str = "admin_audit_query";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = AuditPageView;

    async fn call(self, cx: &RequestContext) -> Result<AuditPageView, RpcError> {
        let limit = self.limit.unwrap_or(LIMIT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(RpcError::invalid_params(format_args!("limit must be between 1 and {LIMIT_MAX}, got {limit}")));
        }
        let kind = match self.kind.as_deref() {
            None => None,
            Some("change") => Some(AuditKind::Change),
            Some("denial") => Some(AuditKind::Denial),
            Some(other) => return Err(one_of("kind", "change, denial", other)),
        };
        let newest_first = match self.order.as_deref() {
            None | Some("newest") => true,
            Some("oldest") => false,
            Some(other) => return Err(one_of("order", "newest, oldest", other)),
        };
        let filter = AuditFilter {
            kind,
            actor: self.actor,
            op: self.op,
            object: self.object_prefix,
            tenant: self.tenant_id,
            since_rev: self.since_rev,
            until_rev: self.until_rev,
            since_us: self.since.map(|at| at.us),
            until_us: self.until.map(|at| at.us),
        };
        let request = AuditRequest { filter, newest_first, limit, cursor: self.cursor };
        let page = audit::query(&cx.call, request).await?;
        Ok(AuditPageView {
            entries: page.entries.into_iter().map(EntryView::from).collect(),
            cursor: page.cursor,
            end: page.end,
            complete: page.cut_short.is_none(),
            reason: page.cut_short,
        })
    }
}

fn one_of(what: &str, known: &str, given: &str) -> RpcError {
    RpcError::invalid_params(format_args!("{what} must be one of {known}, got '{given}'"))
}
