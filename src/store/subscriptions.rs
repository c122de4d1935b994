//! Subscriptions to events, and how far each has been told.
//!
//! Owns the tables `subscriptions`, whose changes are recorded here, and `deliveries`, whose are not: a record in the log
//! that somebody was told of the log would be told as well. Knows nothing of who may see an event. Invariant: a
//! subscription has exactly one row in each of the two.

use super::statements::statements;
use super::{Row, Sql, StoreError, WriteTx};
use crate::model::{Change, Delta, Rev, SubscriptionRow};
use crate::params;

/// The status of a delivery that was taken.
pub const SUCCESS: &str = "success";
/// The status of one that was not.
pub const FAILED: &str = "failed";

statements! {
    /// One.
    SUBSCRIPTION_BY_ID = "SELECT subscription_id, tenant, url, event_types, patterns, secret, name, description, \
         metadata, enabled, created_at_us, updated_at_us, created_by, subject_type, subject_id, key_id \
         FROM subscriptions WHERE subscription_id = ?1";
    /// Those of a tenant, newest first.
    SUBSCRIPTIONS_OF = "SELECT subscription_id, tenant, url, event_types, patterns, secret, name, description, \
         metadata, enabled, created_at_us, updated_at_us, created_by, subject_type, subject_id, key_id \
         FROM subscriptions WHERE tenant = ?1 ORDER BY created_at_us DESC, subscription_id DESC";
    /// Those that are told.
    SUBSCRIPTIONS_ENABLED = "SELECT subscription_id, tenant, url, event_types, patterns, secret, name, description, \
         metadata, enabled, created_at_us, updated_at_us, created_by, subject_type, subject_id, key_id \
         FROM subscriptions WHERE enabled = 1 ORDER BY subscription_id";
    /// How many a tenant has.
    SUBSCRIPTIONS_COUNT = "SELECT COUNT(*) FROM subscriptions WHERE tenant = ?1";
    /// A new one.
    INSERT_SUBSCRIPTION = "INSERT INTO subscriptions (subscription_id, tenant, url, event_types, patterns, secret, \
         name, description, metadata, enabled, created_at_us, updated_at_us, created_by, subject_type, subject_id, \
         key_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
    /// What may change of one.
    UPDATE_SUBSCRIPTION = "UPDATE subscriptions SET url = ?2, event_types = ?3, patterns = ?4, secret = ?5, name = ?6, \
         description = ?7, metadata = ?8, enabled = ?9, updated_at_us = ?10, key_id = ?11 WHERE subscription_id = ?1";
    /// Its end.
    DELETE_SUBSCRIPTION = "DELETE FROM subscriptions WHERE subscription_id = ?1";
    /// How far one has been told.
    DELIVERY_OF = "SELECT rev, part, failures, missed, last_at_us, last_status, last_error FROM deliveries \
         WHERE subscription_id = ?1";
    /// The beginning of such a record.
    INSERT_DELIVERY = "INSERT INTO deliveries (subscription_id, rev, part, failures, missed, last_at_us, last_status, \
         last_error) VALUES (?1, ?2, 0, 0, 0, NULL, NULL, NULL)";
    /// Goes on with it.
    UPDATE_DELIVERY = "UPDATE deliveries SET rev = ?2, part = ?3, failures = ?4, missed = ?5, last_at_us = ?6, \
         last_status = ?7, last_error = ?8 WHERE subscription_id = ?1";
    /// Its end.
    DELETE_DELIVERY = "DELETE FROM deliveries WHERE subscription_id = ?1";
}

/// A place between two events of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// Everything up to this revision lies before it …
    pub rev: Rev,
    /// … and so many events of the next one.
    pub part: u64,
}

/// A row of `deliveries`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryRow {
    /// What has been told.
    pub told: Position,
    /// Deliveries that failed since the last one that did not.
    pub failures: u64,
    /// Events that could not be told any more.
    pub missed: u64,
    /// When the last delivery ended, Unix time, µs.
    pub last_at_us: Option<i64>,
    /// [`SUCCESS`] or [`FAILED`].
    pub last_status: Option<String>,
    /// Why it failed, or why nothing is sent any more.
    pub last_error: Option<String>,
}

fn from_row(row: &Row<'_>) -> Result<SubscriptionRow, StoreError> {
    Ok(SubscriptionRow {
        subscription_id: row.string(0)?,
        tenant: row.string(1)?,
        url: row.string(2)?,
        event_types: row.string(3)?,
        patterns: row.opt_string(4)?,
        secret: row.opt_string(5)?,
        name: row.opt_string(6)?,
        description: row.opt_string(7)?,
        metadata: row.opt_string(8)?,
        enabled: row.bool(9)?,
        created_at_us: row.int(10)?,
        updated_at_us: row.int(11)?,
        created_by: row.string(12)?,
        subject_type: row.string(13)?,
        subject_id: row.string(14)?,
        key_id: row.opt_string(15)?,
    })
}

/// The subscription of this id.
pub fn find(tx: &impl Sql, id: &str) -> Result<Option<SubscriptionRow>, StoreError> {
    tx.query_one(SUBSCRIPTION_BY_ID, params![id], from_row)
}

/// Those of a tenant, newest first.
pub fn of_tenant(tx: &impl Sql, tenant: &str) -> Result<Vec<SubscriptionRow>, StoreError> {
    tx.query(SUBSCRIPTIONS_OF, params![tenant], from_row)
}

/// Those of every tenant that are told, by id.
pub fn enabled(tx: &impl Sql) -> Result<Vec<SubscriptionRow>, StoreError> {
    tx.query(SUBSCRIPTIONS_ENABLED, &[], from_row)
}

/// How many a tenant has.
pub fn count(tx: &impl Sql, tenant: &str) -> Result<u64, StoreError> {
    Ok(tx.query_one(SUBSCRIPTIONS_COUNT, params![tenant], |row| row.id(0))?.unwrap_or(0))
}

/// Adds one; it is told of what comes after.
pub fn insert(tx: &mut WriteTx<'_>, row: SubscriptionRow) -> Result<(), StoreError> {
    tx.exec(
        INSERT_SUBSCRIPTION,
        params![
            &row.subscription_id,
            &row.tenant,
            &row.url,
            &row.event_types,
            &row.patterns,
            &row.secret,
            &row.name,
            &row.description,
            &row.metadata,
            row.enabled,
            row.created_at_us,
            row.updated_at_us,
            &row.created_by,
            &row.subject_type,
            &row.subject_id,
            &row.key_id,
        ],
    )?;
    let rev = tx.rev();
    tx.exec(INSERT_DELIVERY, params![&row.subscription_id, rev])?;
    tx.record(Change::Subscription(Delta::insert(row)));
    Ok(())
}

/// Changes one that was read in this transaction.
pub fn update(tx: &mut WriteTx<'_>, before: SubscriptionRow, after: SubscriptionRow) -> Result<(), StoreError> {
    tx.exec(
        UPDATE_SUBSCRIPTION,
        params![
            &after.subscription_id,
            &after.url,
            &after.event_types,
            &after.patterns,
            &after.secret,
            &after.name,
            &after.description,
            &after.metadata,
            after.enabled,
            after.updated_at_us,
            &after.key_id,
        ],
    )?;
    tx.record(Change::Subscription(Delta::update(before, after)));
    Ok(())
}

/// Removes one that was read in this transaction.
pub fn delete(tx: &mut WriteTx<'_>, row: &SubscriptionRow) -> Result<(), StoreError> {
    tx.exec(DELETE_SUBSCRIPTION, params![&row.subscription_id])?;
    tx.exec(DELETE_DELIVERY, params![&row.subscription_id])?;
    tx.record(Change::Subscription(Delta::delete(row.clone())));
    Ok(())
}

/// How far a subscription has been told.
pub fn delivery(tx: &impl Sql, id: &str) -> Result<Option<DeliveryRow>, StoreError> {
    tx.query_one(DELIVERY_OF, params![id], |row| {
        Ok(DeliveryRow {
            told: Position { rev: row.id(0)?, part: row.id(1)? },
            failures: row.id(2)?,
            missed: row.id(3)?,
            last_at_us: row.opt_int(4)?,
            last_status: row.opt_string(5)?,
            last_error: row.opt_string(6)?,
        })
    })
}

/// Keeps how far one has been told. Not recorded: only a message that says so may do this alone.
pub fn keep_delivery(tx: &mut WriteTx<'_>, id: &str, row: &DeliveryRow) -> Result<(), StoreError> {
    tx.exec(
        UPDATE_DELIVERY,
        params![
            id,
            row.told.rev,
            row.told.part,
            row.failures,
            row.missed,
            row.last_at_us,
            &row.last_status,
            &row.last_error,
        ],
    )
}
