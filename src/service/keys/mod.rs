//! API keys, read: for the admin of a tenant its own, for the instance admin all.

pub mod ops;

use crate::auth::{AuthIndex, Caller};
use crate::model::KeyRow;
use crate::service::{Call, Lacking, ServiceError};
use crate::store::{Sql, keys};

/// Which keys to list.
#[derive(Debug, Clone, Default)]
pub struct KeyFilter {
    /// Of this user.
    pub user_id: Option<String>,
    /// Of this tenant; `None` = all that the caller may see.
    pub tenant: Option<String>,
    /// Of admins, or not of admins.
    pub is_admin: Option<bool>,
    /// The revoked ones too.
    pub include_revoked: bool,
    /// The expired ones too.
    pub include_expired: bool,
    /// Longest answer, rows.
    pub limit: usize,
    /// Rows to leave out from the beginning.
    pub offset: usize,
}

/// A key and when it was last used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// The key's row.
    pub row: KeyRow,
    /// Unix time, µs, to the minute.
    pub last_used_at_us: Option<i64>,
}

/// One page of keys.
#[derive(Debug, Clone)]
pub struct KeyPage {
    /// The keys, newest first.
    pub keys: Vec<KeyInfo>,
    /// How many there are before paging.
    pub total: usize,
}

/// The caller as of this transaction, if it is the admin of a tenant by its own key. An agent that inherits may do
/// with files what its owner may; keys it may not make.
pub(in crate::service) fn require_admin(tx: &impl Sql, caller: &Caller) -> Result<Caller, ServiceError> {
    let index = tx.view::<AuthIndex>();
    let caller = index.refresh(caller, tx.wall_us()).map_err(|_| ServiceError::Unauthenticated)?;
    if caller.is_admin && caller.agent.is_none() { Ok(caller) } else { Err(not_admin("")) }
}

/// The refusal of everything that admins alone may do.
pub(in crate::service) fn not_admin(hint: &str) -> ServiceError {
    refused_for("admin", hint)
}

fn refused_for(permission: &str, hint: &str) -> ServiceError {
    ServiceError::PermissionDenied {
        message: "Permission denied: Admin privileges required for this operation".into(),
        hint: if hint.is_empty() { "use the key of an admin of this tenant".into() } else { hint.into() },
        lacking: Lacking::new(permission, "tenant"),
    }
}

/// The refusal of what crosses tenants.
pub(in crate::service) fn not_instance_admin() -> ServiceError {
    refused_for("instance_admin", "only the instance admin, whose key was made at the first start, crosses tenants")
}

/// The key that the caller may see, or "not found" in the same words for a missing and a foreign one.
pub(in crate::service) fn visible<'a>(
    index: &'a AuthIndex,
    caller: &Caller,
    key_id: &str,
) -> Result<&'a KeyRow, ServiceError> {
    let found = index.key(key_id).filter(|key| caller.administers(&key.tenant));
    found.ok_or_else(|| ServiceError::NotFound(format!("API key not found: {key_id}")))
}

/// The keys that the caller rules and the filter lets through, newest first.
pub async fn list(call: &Call, filter: KeyFilter) -> Result<KeyPage, ServiceError> {
    let caller = call.caller.clone();
    call.read(move |tx| {
        let caller = require_admin(tx, &caller)?;
        if filter.tenant.as_deref().is_some_and(|tenant| !caller.administers(tenant)) {
            return Err(not_instance_admin());
        }
        let now_us = tx.wall_us();
        let mut found: Vec<&KeyRow> = tx
            .view::<AuthIndex>()
            .keys()
            .filter(|key| caller.administers(&key.tenant))
            .filter(|key| filter.tenant.as_ref().is_none_or(|tenant| key.tenant == *tenant))
            .filter(|key| filter.user_id.as_ref().is_none_or(|user| key.user_id == *user))
            .filter(|key| filter.is_admin.is_none_or(|admin| key.is_admin == admin))
            .filter(|key| filter.include_revoked || key.revoked_at_us.is_none())
            .filter(|key| filter.include_expired || key.expires_at_us.is_none_or(|at| now_us < at))
            .collect();
        found.sort_unstable_by(|a, b| (b.created_at_us, &b.key_id).cmp(&(a.created_at_us, &a.key_id)));
        let total = found.len();
        let page = found.into_iter().skip(filter.offset).take(filter.limit);
        let keys = page.map(|row| info(tx, row)).collect::<Result<_, ServiceError>>()?;
        Ok(KeyPage { keys, total })
    })
    .await
}

/// One key that the caller rules.
pub async fn get(call: &Call, key_id: String) -> Result<KeyInfo, ServiceError> {
    let caller = call.caller.clone();
    call.read(move |tx| {
        let caller = require_admin(tx, &caller)?;
        info(tx, visible(tx.view::<AuthIndex>(), &caller, &key_id)?)
    })
    .await
}

fn info(tx: &impl Sql, row: &KeyRow) -> Result<KeyInfo, ServiceError> {
    Ok(KeyInfo { row: row.clone(), last_used_at_us: keys::last_used(tx, &row.key_id)? })
}
