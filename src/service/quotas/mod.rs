//! What tenants have and may have: for the admin of a tenant his own, for the instance admin all.
//!
//! Nobody is above a quota, the instance admin neither: whoever writes, a file counts for the tenant it belongs to.
//! Where a quota is kept is `store::quotas`; here it is read and set.

pub mod ops;

use crate::service::keys::{not_instance_admin, require_admin};
use crate::service::{Call, ServiceError};
use crate::store::quotas::{self, Quota, Quotas, Use};
use crate::store::{ReadTx, Sql};

/// What a tenant has and may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantUse {
    /// The tenant.
    pub tenant: String,
    /// What it has.
    pub used: Use,
    /// What it may have.
    pub quota: Quota,
    /// Whether that is a quota of its own; else it is what the settings say.
    pub own: bool,
}

impl TenantUse {
    fn of(tx: &impl Sql, tenant: String, used: Use) -> Self {
        let own = tx.view::<Quotas>().get(&tenant).is_some();
        Self { quota: quotas::of(tx, &tenant), tenant, used, own }
    }
}

/// A page of tenants.
#[derive(Debug, Clone, Default)]
pub struct QuotaPage {
    /// By name.
    pub tenants: Vec<TenantUse>,
    /// The name behind which the next page begins; `None` = this was the last.
    pub next: Option<String>,
}

/// What a tenant has and may have; without a name the caller's.
pub async fn get(call: &Call, tenant: Option<String>) -> Result<TenantUse, ServiceError> {
    let caller = call.caller.clone();
    call.read(move |tx| {
        let caller = require_admin(tx, &caller)?;
        let tenant = tenant.unwrap_or_else(|| caller.tenant.clone());
        if !caller.administers(&tenant) {
            return Err(not_instance_admin());
        }
        let used = quotas::used(tx, &tenant)?;
        Ok(TenantUse::of(tx, tenant, used))
    })
    .await
}

/// The tenants that have files or a quota of their own, as far as the caller rules them.
pub async fn list(call: &Call, after: Option<String>, limit: usize) -> Result<QuotaPage, ServiceError> {
    let caller = call.caller.clone();
    call.read(move |tx: &ReadTx<'_>| {
        let caller = require_admin(tx, &caller)?;
        if !caller.is_instance_admin {
            let used = quotas::used(tx, &caller.tenant)?;
            let tenants =
                if after.is_none() { vec![TenantUse::of(tx, caller.tenant.clone(), used)] } else { Vec::new() };
            return Ok(QuotaPage { tenants, next: None });
        }
        let mut rows = quotas::page(tx, after.as_deref().unwrap_or_default(), limit as u64 + 1)?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let tenants: Vec<_> = rows.into_iter().map(|(tenant, used)| TenantUse::of(tx, tenant, used)).collect();
        let next = if more { tenants.last().map(|last| last.tenant.clone()) } else { None };
        Ok(QuotaPage { tenants, next })
    })
    .await
}
