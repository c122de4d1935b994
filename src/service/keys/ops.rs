//! API keys, written: creation, change, revocation, and the key of the first start.
//!
//! The text of a key is made by the request and shown once; the messages here carry its hash only.

use crate::auth::{ApiKey, AuthIndex, Caller, KeyHasher, SERVER_SCHEME, check_name};
use crate::model::{DEFAULT_TENANT, KeyRow};
use crate::service::keys::{KeyInfo, not_admin, not_instance_admin, require_admin, visible};
use crate::service::{Call, ServiceError};
use crate::store::{Origin, Sql, Store, WriteOp, WriteTx, keys, meta};

/// µs in a day.
const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Longest life of a key, days.
const LIFE_DAYS_MAX: i64 = 36_500;
/// Longest label, bytes.
const LABEL_BYTES_MAX: usize = 255;
/// The user of the first key.
const FIRST_USER: &str = "admin";
/// The label of the first key.
const FIRST_LABEL: &str = "Admin Bootstrap Key";

/// A key that was just made: the only time that its text is at hand.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The text.
    pub key: ApiKey,
    /// What is stored of it.
    pub row: KeyRow,
}

/// What a new key is to be.
#[derive(Debug, Clone)]
pub struct KeyRequest {
    /// The owner.
    pub user_id: String,
    /// A label.
    pub name: String,
    /// `user`, `agent` or `service`.
    pub subject_type: String,
    /// The subject; the owner if it is not given.
    pub subject_id: Option<String>,
    /// The tenant; the caller's if it is not given.
    pub tenant: Option<String>,
    /// Whether it rules its tenant.
    pub is_admin: bool,
    /// Whether it crosses tenants.
    pub is_instance_admin: bool,
    /// Days until it ends; `None` or 0 = never.
    pub expires_days: Option<i64>,
}

/// Makes a key for a user, a service or a registered agent.
pub async fn create(call: &Call, hasher: &KeyHasher, request: KeyRequest) -> Result<NewKey, ServiceError> {
    let subject_id = request.subject_id.unwrap_or_else(|| request.user_id.clone());
    let tenant = request.tenant.unwrap_or_else(|| call.caller.tenant.clone());
    if !matches!(request.subject_type.as_str(), "user" | "agent" | "service") {
        let given = &request.subject_type;
        let text = format!("subject_type must be one of user, agent, service, got '{given}'");
        return Err(ServiceError::InvalidParams(text));
    }
    check_label(&request.name)?;
    for (what, name) in [("user_id", &request.user_id), ("subject_id", &subject_id), ("tenant_id", &tenant)] {
        check_name(what, name).map_err(|e| ServiceError::InvalidParams(e.to_string()))?;
    }
    let now_us = call.store.clock().now_us();
    let row = KeyRow {
        is_admin: request.is_admin || request.is_instance_admin,
        is_instance_admin: request.is_instance_admin,
        expires_at_us: request.expires_days.filter(|days| *days != 0).map(|days| ending(now_us, days)).transpose()?,
        name: request.name,
        ..blank(call.store.random().uuid(), tenant, request.user_id, request.subject_type, subject_id, now_us)
    };
    let new = with_text(hasher, row, None, &call.store);
    call.submit(CreateKey { caller: call.caller.clone(), row: new.row.clone() }).await?;
    Ok(new)
}

/// The moment `days` from now.
fn ending(now_us: i64, days: i64) -> Result<i64, ServiceError> {
    if (0..=LIFE_DAYS_MAX).contains(&days) {
        return Ok(now_us + days * MICROS_PER_DAY);
    }
    Err(ServiceError::InvalidParams(format!("expires_days must be between 0 and {LIFE_DAYS_MAX}, got {days}")))
}

fn check_label(name: &str) -> Result<(), ServiceError> {
    if name.trim().is_empty() || name.len() > LABEL_BYTES_MAX || name.chars().any(char::is_control) {
        let text = format!("name must have 1 to {LABEL_BYTES_MAX} bytes without control characters");
        return Err(ServiceError::InvalidParams(text));
    }
    Ok(())
}

/// A row without label, flags and hash.
pub(in crate::service) fn blank(
    key_id: String,
    tenant: String,
    user_id: String,
    subject_type: String,
    subject_id: String,
    now_us: i64,
) -> KeyRow {
    KeyRow {
        key_id,
        hash: String::new(),
        hash_scheme: SERVER_SCHEME.to_owned(),
        user_id,
        subject_type,
        subject_id,
        tenant,
        is_admin: false,
        is_instance_admin: false,
        inherit_permissions: false,
        name: String::new(),
        created_at_us: now_us,
        expires_at_us: None,
        revoked_at_us: None,
    }
}

/// Gives a row its text, a new one or the given one, and the hash of it.
pub(in crate::service) fn with_text(hasher: &KeyHasher, row: KeyRow, given: Option<ApiKey>, store: &Store) -> NewKey {
    let make = || ApiKey::generate(&**store.random(), &row.tenant, &row.subject_type, &row.subject_id);
    let key = given.unwrap_or_else(make);
    let row = KeyRow { hash: hasher.hash(key.expose()), ..row };
    NewKey { key, row }
}

/// Adds a key.
#[derive(Debug)]
pub struct CreateKey {
    /// Who asks.
    pub caller: Caller,
    /// What is stored of the key.
    pub row: KeyRow,
}

impl WriteOp for CreateKey {
    const NAME: &'static str = "key_create";
    type Output = ();
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), ServiceError> {
        let caller = require_admin(tx, &self.caller)?;
        if !caller.administers(&self.row.tenant) || (self.row.is_instance_admin && !caller.is_instance_admin) {
            return Err(not_instance_admin());
        }
        let mut row = self.row.clone();
        if row.subject_type == "agent" {
            let agent = tx.view::<AuthIndex>().agent(&row.tenant, &row.subject_id);
            let agent = agent.filter(|agent| agent.user_id == row.user_id).ok_or_else(|| {
                let (agent, user) = (&row.subject_id, &row.user_id);
                let text = format!("User '{user}' has no agent '{agent}'; register it first (register_agent)");
                ServiceError::InvalidParams(text)
            })?;
            row.inherit_permissions = agent.inherit_permissions;
        }
        Ok(keys::insert(tx, row)?)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.row.name.len()
    }
}

/// What of a key changes; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct KeyChange {
    /// Another label.
    pub name: Option<String>,
    /// Rules its tenant, or no longer.
    pub is_admin: Option<bool>,
    /// Days from now until it ends; 0 = now.
    pub expires_days: Option<i64>,
}

/// Changes a key and returns it.
pub async fn update(call: &Call, key_id: String, change: KeyChange) -> Result<KeyInfo, ServiceError> {
    if let Some(name) = &change.name {
        check_label(name)?;
    }
    call.submit(UpdateKey { caller: call.caller.clone(), key_id, change }).await
}

/// Changes label, expiry or admin flag of a key.
#[derive(Debug)]
pub struct UpdateKey {
    /// Who asks.
    pub caller: Caller,
    /// The key.
    pub key_id: String,
    /// What changes.
    pub change: KeyChange,
}

impl WriteOp for UpdateKey {
    const NAME: &'static str = "key_update";
    type Output = KeyInfo;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<KeyInfo, ServiceError> {
        let before = changeable(tx, &self.caller, &self.key_id)?;
        let mut after = before.clone();
        if let Some(name) = &self.change.name {
            after.name.clone_from(name);
        }
        if let Some(is_admin) = self.change.is_admin {
            after.is_admin = is_admin;
        }
        if let Some(days) = self.change.expires_days {
            after.expires_at_us = Some(ending(tx.wall_us(), days)?);
        }
        let weaker = !after.is_admin || after.expires_at_us != before.expires_at_us;
        if before.is_instance_admin && weaker {
            require_another(tx, &before)?;
        }
        if after != before {
            keys::update(tx, before, after.clone())?;
        }
        let last_used_at_us = keys::last_used(tx, &after.key_id)?;
        Ok(KeyInfo { row: after, last_used_at_us })
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.change.name.as_ref().map_or(0, String::len)
    }
}

/// Revokes a key: it is refused from the moment this is acknowledged, also in requests that are under way.
pub async fn revoke(call: &Call, key_id: String) -> Result<(), ServiceError> {
    call.submit(RevokeKey { caller: call.caller.clone(), key_id }).await
}

/// Revokes a key; a revoked one stays as it is.
#[derive(Debug)]
pub struct RevokeKey {
    /// Who asks.
    pub caller: Caller,
    /// The key.
    pub key_id: String,
}

impl WriteOp for RevokeKey {
    const NAME: &'static str = "key_revoke";
    const GROWS: bool = false;
    type Output = ();
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), ServiceError> {
        let before = changeable(tx, &self.caller, &self.key_id)?;
        if before.revoked_at_us.is_some() {
            return Ok(());
        }
        if before.is_instance_admin {
            require_another(tx, &before)?;
        }
        let after = KeyRow { revoked_at_us: Some(tx.now_us()), ..before.clone() };
        Ok(keys::update(tx, before, after)?)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

/// The key, if the caller may change it: one of its tenant, and that of an instance admin only as one.
fn changeable(tx: &WriteTx<'_>, caller: &Caller, key_id: &str) -> Result<KeyRow, ServiceError> {
    let caller = require_admin(tx, caller)?;
    let key = visible(tx.view::<AuthIndex>(), &caller, key_id)?;
    if key.is_instance_admin && !caller.is_instance_admin {
        return Err(not_admin("only an instance admin changes the key of an instance admin"));
    }
    Ok(key.clone())
}

/// Refuses to end the last key that crosses tenants: nobody could make another.
fn require_another(tx: &WriteTx<'_>, key: &KeyRow) -> Result<(), ServiceError> {
    let mut others = tx.view::<AuthIndex>().keys().filter(|other| {
        other.key_id != key.key_id
            && other.is_instance_admin
            && other.revoked_at_us.is_none()
            && other.expires_at_us.is_none()
    });
    match others.next() {
        Some(_) => Ok(()),
        None => Err(ServiceError::Precondition(
            "this is the last key of an instance admin that does not end; create another one first \
             (admin_create_key with is_instance_admin)"
                .into(),
        )),
    }
}

/// At the first start, makes the key of the instance admin (user `admin` of the default tenant), with the given text
/// if there is one. `None` if the store has keys already.
///
/// It only draws the key: whoever starts writes it where its owner finds it, and then stores it ([`bootstrap`]). The
/// other way round, a crash in between would leave a directory whose only key nobody has.
pub fn first_key(store: &Store, hasher: &KeyHasher, given: Option<ApiKey>) -> Option<NewKey> {
    if !store.published().view::<AuthIndex>().is_empty() {
        return None;
    }
    let row = KeyRow {
        name: FIRST_LABEL.to_owned(),
        is_admin: true,
        is_instance_admin: true,
        ..blank(
            store.random().uuid(),
            DEFAULT_TENANT.to_owned(),
            FIRST_USER.to_owned(),
            "user".to_owned(),
            FIRST_USER.to_owned(),
            store.clock().now_us(),
        )
    };
    Some(with_text(hasher, row, given, store))
}

/// Stores the first key. `false` if the store has keys already.
pub async fn bootstrap(store: &Store, first: &NewKey) -> Result<bool, ServiceError> {
    let (made, _) = store.submit(Origin::system("bootstrap"), CreateFirstKey { row: first.row.clone() }).await?;
    Ok(made)
}

/// Stores the hash by which the server's secret is known again. Moves no revision: it is no data.
pub async fn keep_secret_check(store: &Store, hash: String) -> Result<(), ServiceError> {
    store.submit(Origin::system("secret check"), PutSecretCheck { hash }).await.map(|((), _)| ())
}

/// Stores the hash by which the server's secret is known again, unless there is one.
#[derive(Debug)]
pub struct PutSecretCheck {
    /// The hash.
    pub hash: String,
}

impl WriteOp for PutSecretCheck {
    const NAME: &'static str = "secret_check_put";
    const UNRECORDED: bool = true;
    type Output = ();
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), ServiceError> {
        if meta::get(tx, meta::SECRET_CHECK)?.is_none() {
            meta::put(tx, meta::SECRET_CHECK, &self.hash)?;
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.hash.len()
    }
}

/// Adds the first key of all. Returns whether it was the first.
#[derive(Debug)]
pub struct CreateFirstKey {
    /// What is stored of the key.
    pub row: KeyRow,
}

impl WriteOp for CreateFirstKey {
    const NAME: &'static str = "key_create_first";
    type Output = bool;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<bool, ServiceError> {
        if !tx.view::<AuthIndex>().is_empty() {
            return Ok(false);
        }
        keys::insert(tx, self.row.clone())?;
        Ok(true)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}
