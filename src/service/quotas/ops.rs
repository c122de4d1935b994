//! Quotas, written.

use crate::auth::{Caller, check_name};
use crate::service::keys::{not_instance_admin, require_admin};
use crate::service::quotas::TenantUse;
use crate::service::{Call, ServiceError};
use crate::store::quotas::{self, Quota, Quotas};
use crate::store::{Sql, WriteOp, WriteTx};

/// What is to become of a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Limit {
    /// It stays.
    #[default]
    Keep,
    /// There is none.
    None,
    /// So many.
    Most(u64),
}

impl Limit {
    fn of(self, before: Option<u64>) -> Option<u64> {
        match self {
            Self::Keep => before,
            Self::None => None,
            Self::Most(most) => Some(most),
        }
    }
}

/// What is to become of the quota of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaChange {
    /// It has one of its own, with these limits.
    Own {
        /// Bytes of all its files.
        bytes: Limit,
        /// Its files.
        files: Limit,
    },
    /// It has what the settings say.
    Default,
}

/// Gives a tenant another quota; what it has and may have then. A limit below what is there only stops growth.
pub async fn set(call: &Call, tenant: String, change: QuotaChange) -> Result<TenantUse, ServiceError> {
    check_name("tenant_id", &tenant).map_err(|e| ServiceError::InvalidParams(e.to_string()))?;
    if let QuotaChange::Own { bytes, files } = change {
        let huge = |limit| matches!(limit, Limit::Most(most) if i64::try_from(most).is_err());
        if huge(bytes) || huge(files) {
            return Err(ServiceError::InvalidParams("a limit must be below 2^63".into()));
        }
    }
    call.submit(SetQuota { caller: call.caller.clone(), tenant, change }).await
}

/// Gives a tenant another quota.
#[derive(Debug)]
pub struct SetQuota {
    caller: Caller,
    tenant: String,
    change: QuotaChange,
}

impl WriteOp for SetQuota {
    const NAME: &'static str = "quota_set";
    const GROWS: bool = false;
    type Output = TenantUse;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<TenantUse, ServiceError> {
        if !require_admin(&*tx, &self.caller)?.is_instance_admin {
            return Err(not_instance_admin());
        }
        let before = quotas::of(&*tx, &self.tenant);
        let after = match self.change {
            QuotaChange::Default => None,
            QuotaChange::Own { bytes, files } => {
                Some(Quota { bytes_max: bytes.of(before.bytes_max), files_max: files.of(before.files_max) })
            }
        };
        quotas::put(tx, &self.tenant, after)?;
        let used = quotas::used(&*tx, &self.tenant)?;
        let own = tx.view::<Quotas>().get(&self.tenant).is_some();
        Ok(TenantUse { tenant: self.tenant.clone(), used, quota: quotas::of(&*tx, &self.tenant), own })
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.tenant.len()
    }
}
