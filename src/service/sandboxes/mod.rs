//! Sandboxes, read: a user's own, and for the admin of a tenant those of its users.

pub mod bring_back;
pub mod connect;
pub mod expiry;
pub mod ops;
pub mod run;

use crate::auth::{AuthIndex, Caller};
use crate::model::SandboxRow;
use crate::service::{Call, ServiceError};
use crate::store::{Sql, sandboxes};

/// Which sandboxes to list.
#[derive(Debug, Clone, Default)]
pub struct SandboxFilter {
    /// Of this user; heeded for admins, others see their own.
    pub user_id: Option<String>,
    /// Of this tenant; heeded for the instance admin.
    pub tenant: Option<String>,
    /// Made by this agent.
    pub agent_id: Option<String>,
    /// `active`, `paused` or `stopped`.
    pub status: Option<String>,
}

/// A sandbox and the time at which it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxInfo {
    /// The record; past its time it shows as stopped.
    pub row: SandboxRow,
    /// Unix time, µs.
    pub now_us: i64,
}

impl SandboxInfo {
    /// The record as of `now_us`.
    #[must_use]
    pub fn new(mut row: SandboxRow, now_us: i64) -> Self {
        if let (sandboxes::ACTIVE, Some(at)) = (row.status.as_str(), row.expires_at_us)
            && at <= now_us
        {
            row.status = sandboxes::STOPPED.to_owned();
            row.stopped_at_us = Some(at);
        }
        Self { row, now_us }
    }

    /// Whether it is active.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.row.status == sandboxes::ACTIVE
    }

    /// How long it has been there, or was, in seconds.
    #[must_use]
    pub fn uptime_seconds(&self) -> f64 {
        let end = self.row.stopped_at_us.unwrap_or(self.now_us);
        let micros = u32::try_from((end - self.row.created_at_us).max(0) / 1000).unwrap_or(u32::MAX);
        f64::from(micros) / 1000.0
    }
}

/// Whether the caller may use a sandbox: its own (an agent that inherits nothing: one it made), or as admin.
pub(in crate::service) fn may_use(caller: &Caller, row: &SandboxRow) -> bool {
    let own = caller.tenant == row.tenant && caller.user == row.user_id;
    (own && (caller.inherits || caller.agent == row.agent_id)) || caller.administers(&row.tenant)
}

/// The sandbox, or the refusal that is the same for a missing and a foreign one.
pub(in crate::service) fn usable(tx: &impl Sql, caller: &Caller, sandbox_id: &str) -> Result<SandboxRow, ServiceError> {
    let found = sandboxes::find(tx, sandbox_id)?.filter(|row| may_use(caller, row));
    found.ok_or_else(|| ServiceError::NotFound(format!("Sandbox {sandbox_id} not found")))
}

/// The caller as of this transaction.
pub(in crate::service) fn refreshed(tx: &impl Sql, caller: &Caller) -> Result<Caller, ServiceError> {
    tx.view::<AuthIndex>().refresh(caller, tx.wall_us()).map_err(|_| ServiceError::Unauthenticated)
}

/// The sandboxes that the caller may use and the filter lets through, oldest first.
pub async fn list(call: &Call, filter: SandboxFilter) -> Result<Vec<SandboxInfo>, ServiceError> {
    let caller = call.caller.clone();
    call.read(move |tx| {
        let caller = refreshed(tx, &caller)?;
        let tenant = filter.tenant.filter(|tenant| caller.administers(tenant)).unwrap_or_else(|| caller.tenant.clone());
        let user = filter.user_id.filter(|_| caller.administers(&tenant)).unwrap_or_else(|| caller.user.clone());
        let agent = caller.agent.clone().or(filter.agent_id);
        let now_us = tx.now_us();
        let found = sandboxes::of_tenant(tx, &tenant)?.into_iter();
        Ok(found
            .filter(|row| row.user_id == user && agent.as_ref().is_none_or(|a| row.agent_id.as_ref() == Some(a)))
            .filter(|row| may_use(&caller, row))
            .map(|row| SandboxInfo::new(row, now_us))
            .filter(|info| filter.status.as_ref().is_none_or(|status| info.row.status == *status))
            .collect())
    })
    .await
}

/// One sandbox that the caller may use.
pub async fn get(call: &Call, sandbox_id: String) -> Result<SandboxInfo, ServiceError> {
    let caller = call.caller.clone();
    call.read(move |tx| {
        let caller = refreshed(tx, &caller)?;
        Ok(SandboxInfo::new(usable(tx, &caller, &sandbox_id)?, tx.now_us()))
    })
    .await
}
