//! Subscriptions, written; and how far each has been told.

use serde_json::Value;

use crate::auth::{Caller, KeyHasher};
use crate::model::SubscriptionRow;
use crate::service::events::EventKind;
use crate::service::{Call, ServiceError};
use crate::store::subscriptions::{self, DeliveryRow};
use crate::store::{Sql, StoreError, WriteOp, WriteTx};

use super::draft::Draft;
use super::{Subscription, manages, refreshed, with_delivery};

/// Subscriptions of a tenant.
const SUBSCRIPTIONS_MAX: u64 = 500;
/// Deliveries that fail one after another before a subscription is disabled.
pub const FAILURES_MAX: u64 = 10;

/// Makes a subscription for the caller.
pub async fn create(call: &Call, hasher: &KeyHasher, draft: Draft) -> Result<Subscription, ServiceError> {
    let id = call.store.random().uuid();
    let usual = || EventKind::USUAL.map(|kind| kind.name().to_owned()).to_vec();
    let caller = call.caller.clone();
    let row = SubscriptionRow {
        tenant: caller.tenant.clone(),
        url: draft.url.unwrap_or_default(),
        event_types: json(draft.event_types.unwrap_or_else(usual)),
        patterns: draft.patterns.as_ref().map(json),
        secret: sealed(hasher, call, &id, draft.secret),
        name: draft.name,
        description: draft.description,
        metadata: draft.metadata.map(|map| Value::Object(map).to_string()),
        enabled: true,
        created_at_us: 0,
        updated_at_us: 0,
        created_by: caller.user.clone(),
        subject_type: caller.subject_type.clone(),
        subject_id: caller.subject_id.clone(),
        key_id: caller.key_id.clone(),
        subscription_id: id,
    };
    call.submit(CreateSubscription { caller, row }).await
}

/// Changes what a draft names of one; `None` if there is none that the caller may change.
pub async fn change(
    call: &Call,
    hasher: &KeyHasher,
    id: String,
    draft: Draft,
) -> Result<Option<Subscription>, ServiceError> {
    let secret = sealed(hasher, call, &id, draft.secret.clone());
    let draft = Draft { secret, ..draft };
    call.submit(ChangeSubscription { caller: call.caller.clone(), id, draft }).await
}

/// Deletes one; whether there was one that the caller may delete.
pub async fn delete(call: &Call, id: String) -> Result<bool, ServiceError> {
    call.submit(DeleteSubscription { caller: call.caller.clone(), id }).await
}

fn json(list: impl AsRef<[String]>) -> String {
    serde_json::to_string(list.as_ref()).expect("texts serialise")
}

/// An empty secret is none.
fn sealed(hasher: &KeyHasher, call: &Call, id: &str, secret: Option<String>) -> Option<String> {
    let secret = secret.filter(|secret| !secret.is_empty())?;
    Some(hasher.seal(id, &secret, &**call.store.random()))
}

/// Makes a subscription.
#[derive(Debug)]
pub struct CreateSubscription {
    /// Who asks.
    pub caller: Caller,
    /// All of it but the times.
    pub row: SubscriptionRow,
}

impl WriteOp for CreateSubscription {
    const NAME: &'static str = "subscription_create";
    type Output = Subscription;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Subscription, ServiceError> {
        let caller = refreshed(tx, &self.caller)?;
        if subscriptions::count(tx, &caller.tenant)? >= SUBSCRIPTIONS_MAX {
            let text = format!("this tenant has {SUBSCRIPTIONS_MAX} subscriptions, which is the limit");
            return Err(ServiceError::Precondition(text));
        }
        let now = tx.now_us();
        let row = SubscriptionRow { created_at_us: now, updated_at_us: now, ..self.row.clone() };
        subscriptions::insert(tx, row.clone())?;
        Ok(Subscription { row, delivery: DeliveryRow::default() })
    }

    fn bytes(&self) -> usize {
        let row = &self.row;
        let texts = [&row.patterns, &row.name, &row.description, &row.metadata, &row.secret];
        row.url.len() + row.event_types.len() + texts.iter().filter_map(|t| t.as_ref().map(String::len)).sum::<usize>()
    }
}

/// Changes a subscription. Switching it on forgets its failures; whom it speaks for, changed by itself, speaks with the key
/// of this request from now on.
#[derive(Debug)]
pub struct ChangeSubscription {
    /// Who asks.
    pub caller: Caller,
    /// Which.
    pub id: String,
    /// What changes; the secret is sealed.
    pub draft: Draft,
}

impl WriteOp for ChangeSubscription {
    const NAME: &'static str = "subscription_change";
    /// `None` = there is none that the caller may change.
    type Output = Option<Subscription>;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Self::Output, ServiceError> {
        let caller = refreshed(tx, &self.caller)?;
        let found = subscriptions::find(tx, &self.id)?.filter(|row| manages(&caller, row));
        let Some(before) = found else { return Ok(None) };
        let draft = &self.draft;
        let mut after = before.clone();
        let put = |field: &mut Option<String>, new: Option<String>| {
            if new.is_some() {
                *field = new;
            }
        };
        put(&mut after.patterns, draft.patterns.as_ref().map(json));
        put(&mut after.secret, draft.secret.clone());
        put(&mut after.name, draft.name.clone());
        put(&mut after.description, draft.description.clone());
        put(&mut after.metadata, draft.metadata.clone().map(|map| Value::Object(map).to_string()));
        after.url = draft.url.clone().unwrap_or(after.url);
        after.event_types = draft.event_types.as_ref().map_or(after.event_types, json);
        after.enabled = draft.enabled.unwrap_or(after.enabled);
        if (&caller.subject_type, &caller.subject_id) == (&after.subject_type, &after.subject_id)
            && caller.tenant == after.tenant
        {
            after.key_id.clone_from(&caller.key_id);
        }
        after.updated_at_us = tx.now_us().max(before.updated_at_us + 1);
        if draft.enabled == Some(true) {
            let mut delivery = subscriptions::delivery(tx, &self.id)?.unwrap_or_default();
            (delivery.failures, delivery.last_error) = (0, None);
            subscriptions::keep_delivery(tx, &self.id, &delivery)?;
        }
        subscriptions::update(tx, before, after.clone())?;
        Ok(Some(with_delivery(tx, after)?))
    }

    fn bytes(&self) -> usize {
        let draft = &self.draft;
        let texts = [&draft.url, &draft.secret, &draft.name, &draft.description];
        texts.iter().filter_map(|t| t.as_ref().map(String::len)).sum::<usize>() + size_of::<Self>()
    }
}

/// Deletes a subscription.
#[derive(Debug)]
pub struct DeleteSubscription {
    /// Who asks.
    pub caller: Caller,
    /// Which.
    pub id: String,
}

impl WriteOp for DeleteSubscription {
    const NAME: &'static str = "subscription_delete";
    const GROWS: bool = false;
    /// Whether there was one that the caller may delete.
    type Output = bool;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<bool, ServiceError> {
        let caller = refreshed(tx, &self.caller)?;
        let Some(row) = subscriptions::find(tx, &self.id)?.filter(|row| manages(&caller, row)) else {
            return Ok(false);
        };
        subscriptions::delete(tx, &row)?;
        Ok(true)
    }

    fn bytes(&self) -> usize {
        self.id.len()
    }
}

/// Keeps how far a subscription has been told, and disables it where that is due. Only the latter is a change.
#[derive(Debug)]
pub struct KeepDelivery {
    /// Which.
    pub id: String,
    /// The state of the subscription that was told.
    pub updated_at_us: i64,
    /// How far.
    pub delivery: DeliveryRow,
    /// Whether it is disabled, whatever the count of failures.
    pub halt: bool,
}

impl WriteOp for KeepDelivery {
    const NAME: &'static str = "delivery_keep";
    const UNRECORDED: bool = true;
    const GROWS: bool = false;
    /// Whether it goes on.
    type Output = bool;
    type Error = StoreError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<bool, StoreError> {
        let Some(row) = subscriptions::find(tx, &self.id)? else { return Ok(false) };
        // Somebody has changed it meanwhile: what was told stays told, the rest is no longer about it.
        if row.updated_at_us != self.updated_at_us {
            let mut kept = subscriptions::delivery(tx, &self.id)?.unwrap_or_default();
            kept.told = kept.told.max(self.delivery.told);
            kept.missed = kept.missed.max(self.delivery.missed);
            subscriptions::keep_delivery(tx, &self.id, &kept)?;
            return Ok(false);
        }
        subscriptions::keep_delivery(tx, &self.id, &self.delivery)?;
        let over = self.halt || self.delivery.failures >= FAILURES_MAX;
        if over && row.enabled {
            let updated_at_us = tx.now_us().max(row.updated_at_us + 1);
            let after = SubscriptionRow { enabled: false, updated_at_us, ..row.clone() };
            subscriptions::update(tx, row, after)?;
        }
        Ok(!over)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}
