//! Subscriptions: whom the server tells of events of files.
//!
//! A subscription belongs to who made it and speaks with the key it was made with: it is told what that caller may read at
//! that moment, of files of its own tenant. Only its maker and the admin of the tenant see, change and delete it; for
//! everybody else it is not there. A secret is kept sealed and never handed out.

pub mod deliver;
pub mod draft;
pub mod ops;
mod send;

use crate::auth::{AuthIndex, Caller, Identity};
use crate::model::SubscriptionRow;
use crate::service::{Call, ServiceError};
use crate::store::subscriptions::{self, DeliveryRow};
use crate::store::{ReadTx, Sql};

/// A subscription and how far it has been told.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// What was asked for.
    pub row: SubscriptionRow,
    /// What became of it.
    pub delivery: DeliveryRow,
}

/// The subscriptions that the caller may see, newest first.
pub async fn list(
    call: &Call,
    enabled_only: bool,
    skip: usize,
    take: usize,
) -> Result<Vec<Subscription>, ServiceError> {
    let caller = call.caller.clone();
    call.read(move |tx| {
        let caller = refreshed(tx, &caller)?;
        let rows = subscriptions::of_tenant(tx, &caller.tenant)?.into_iter();
        let rows = rows.filter(|row| (row.enabled || !enabled_only) && manages(&caller, row));
        rows.skip(skip).take(take).map(|row| with_delivery(tx, row)).collect()
    })
    .await
}

/// One of them; `None` if there is none that the caller may see.
pub async fn get(call: &Call, id: String) -> Result<Option<Subscription>, ServiceError> {
    let caller = call.caller.clone();
    call.read(move |tx: &ReadTx<'_>| {
        let caller = refreshed(tx, &caller)?;
        let row = subscriptions::find(tx, &id)?.filter(|row| manages(&caller, row));
        row.map(|row| with_delivery(tx, row)).transpose()
    })
    .await
}

fn with_delivery(tx: &impl Sql, row: SubscriptionRow) -> Result<Subscription, ServiceError> {
    let delivery = subscriptions::delivery(tx, &row.subscription_id)?.unwrap_or_default();
    Ok(Subscription { row, delivery })
}

fn refreshed(tx: &impl Sql, caller: &Caller) -> Result<Caller, ServiceError> {
    tx.view::<AuthIndex>().refresh(caller, tx.wall_us()).map_err(|_| ServiceError::Unauthenticated)
}

/// Whether the caller made it, or is the user of the agent that did, or rules its tenant.
fn manages(caller: &Caller, row: &SubscriptionRow) -> bool {
    let made = caller.subject_type == row.subject_type && caller.subject_id == row.subject_id;
    let users = caller.agent.is_none() && caller.subject_type == "user" && caller.user == row.created_by;
    let rules = caller.agent.is_none() && caller.is_admin;
    if caller.tenant == row.tenant { made || users || rules } else { rules && caller.is_instance_admin }
}

/// For whom a subscription speaks, to be looked up anew: never an admin by itself.
fn speaker(row: &SubscriptionRow) -> Caller {
    let speaker = Identity {
        key_id: row.key_id.clone(),
        tenant: row.tenant.clone(),
        subject_type: row.subject_type.clone(),
        subject_id: row.subject_id.clone(),
        user: row.created_by.clone(),
        agent: (row.subject_type == "agent").then(|| row.subject_id.clone()),
        inherits: true,
        is_admin: false,
        is_instance_admin: false,
        confined: false,
    };
    speaker.into()
}
