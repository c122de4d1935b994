//! Namespaces, written: by the instance admin alone, and never so that stored tuples lose their meaning unseen.
//!
//! Whether tuples would lose theirs takes a look at the whole graph, which the writer has no time for. So a reader looks
//! at revision R, and the writer looks at what was granted after R: nothing, as a rule. Invariant: what the two
//! looked at together is every live tuple at the revision of the change.

use serde_json::Value;

use crate::auth::Caller;
use crate::model::{Change, EntityId, NamespaceRow, Rev, TupleRow};
use crate::rebac::{Graph, Losing, Warning, default_namespace};
use crate::service::relations::namespaces::{
    check_type, invalid, losing, refuse_orphans, refuse_owners, require_instance_admin, with_tuples,
};
use crate::service::{Call, ServiceError};
use crate::store::{Sql, WriteOp, WriteTx, changelog, namespaces};

/// Revisions that the writer looks at; with more in between the reader looks again.
const RECHECK_REVISIONS_MAX: u64 = 256;
/// Characters of these revisions in the changelog, together.
const RECHECK_CHARS_MAX: u64 = 1024 * 1024;
/// How often the reader looks before the caller is told to come back.
const ATTEMPTS: usize = 5;

/// Puts the rules of a type in force, instead of its former ones. Warnings go to the log; `namespace_validate` gives
/// them to the caller.
pub async fn put(call: &Call, object_type: String, config: Value) -> Result<(), ServiceError> {
    check_type(&object_type)?;
    let namespace_id = call.store.random().uuid();
    for _ in 0..ATTEMPTS {
        let (checked, warnings) = look(call, object_type.clone(), Some(config.clone())).await?;
        let op = PutNamespace {
            caller: call.caller.clone(),
            namespace_id: namespace_id.clone(),
            object_type: object_type.clone(),
            config: config.clone(),
            checked,
        };
        if let Outcome::Done(changed) = call.submit(op).await? {
            if changed {
                tell(&object_type, &warnings);
            }
            return Ok(());
        }
    }
    Err(crowded(&object_type))
}

/// Deletes the stored rules of a type; built-in ones hold again. Returns whether there were any.
pub async fn delete(call: &Call, object_type: String) -> Result<bool, ServiceError> {
    for _ in 0..ATTEMPTS {
        let (checked, _) = look(call, object_type.clone(), None).await?;
        let op = DeleteNamespace { caller: call.caller.clone(), object_type: object_type.clone(), checked };
        if let Outcome::Done(changed) = call.submit(op).await? {
            return Ok(changed);
        }
    }
    Err(crowded(&object_type))
}

fn tell(object_type: &str, warnings: &[Warning]) {
    for Warning { place, text, .. } in warnings {
        tracing::warn!(object_type, place, "namespace: {text}");
    }
}

fn crowded(object_type: &str) -> ServiceError {
    ServiceError::Precondition(format!(
        "permissions change faster than it can be checked whether tuples need the former rules of '{object_type}'; \
         nothing was changed, try again"
    ))
}

/// What a reader found: the tuples of its revision lose nothing.
#[derive(Debug, Clone)]
pub struct Checked {
    rev: Rev,
    losing: Losing,
}

/// Refuses what is wrong at the newest revision.
async fn look(
    call: &Call,
    object_type: String,
    config: Option<Value>,
) -> Result<(Checked, Vec<Warning>), ServiceError> {
    let caller = call.caller.clone();
    call.read_slow(move |tx| {
        require_instance_admin(tx, &caller)?;
        let graph = tx.view::<Graph>();
        let mut warnings = Vec::new();
        if let Some(config) = &config {
            warnings = graph.validate_namespace(&object_type, config).map_err(|e| invalid(&object_type, e))?;
            with_tuples(graph, &object_type, config, tx.now_us(), &mut warnings)?;
        }
        let is_stored = namespaces::current(tx, &object_type)?.is_some();
        let losing = losing(graph, &object_type, config.as_ref())?;
        if config.is_some() || is_stored {
            refuse_orphans(tx, &object_type, &losing, config.is_some())?;
        }
        Ok((Checked { rev: tx.rev(), losing }, warnings))
    })
    .await
}

/// What the writer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is so now; whether that is a change.
    Done(bool),
    /// Too much happened since the reader looked.
    LookAgain,
}

/// Whether what happened since the reader looked lets the change stand.
fn still_free(
    tx: &WriteTx<'_>,
    object_type: &str,
    config: Option<&Value>,
    checked: &Checked,
) -> Result<bool, ServiceError> {
    let graph = tx.view::<Graph>();
    if losing(graph, object_type, config)? != checked.losing {
        return Ok(false);
    }
    if checked.losing.is_empty() {
        return Ok(true);
    }
    refuse_owners(tx, object_type, &checked.losing)?;
    if graph.perm_rev() <= checked.rev {
        return Ok(true);
    }
    let since = changelog::permissions_after(tx, checked.rev, RECHECK_REVISIONS_MAX, RECHECK_CHARS_MAX)?;
    let Some(since) = since else { return Ok(false) };
    let mut granted = since.iter().flat_map(|row| &row.changes).filter_map(|change| match change {
        Change::Tuple(delta) => delta.after.as_ref(),
        _ => None,
    });
    // The reader finds it, counts it and words the refusal; or it is gone again.
    Ok(!granted.any(|tuple| takes(graph, &checked.losing, tuple)))
}

fn takes(graph: &Graph, losing: &Losing, tuple: &TupleRow) -> bool {
    let kind = |id: EntityId| graph.name(id).map_or("", |name| name.kind);
    losing.takes(kind(tuple.subject), tuple.subject_relation.as_deref(), &tuple.relation, kind(tuple.object))
}

/// Puts the rules of a type.
#[derive(Debug)]
pub struct PutNamespace {
    /// Who asks.
    pub caller: Caller,
    /// The id they get if they are the first of their type; drawn by the request.
    pub namespace_id: String,
    /// The type.
    pub object_type: String,
    /// The rules.
    pub config: Value,
    /// What the reader found.
    pub checked: Checked,
}

impl WriteOp for PutNamespace {
    const NAME: &'static str = "namespace_put";
    type Output = Outcome;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Outcome, ServiceError> {
        require_instance_admin(tx, &self.caller)?;
        let kind = self.object_type.as_str();
        tx.view::<Graph>().validate_namespace(kind, &self.config).map_err(|error| invalid(kind, error))?;
        let config = self.config.to_string();
        if namespaces::current(tx, kind)?.is_some_and(|stored| stored.config == config) {
            return Ok(Outcome::Done(false));
        }
        if !still_free(tx, kind, Some(&self.config), &self.checked)? {
            return Ok(Outcome::LookAgain);
        }
        let now_us = tx.now_us();
        let row = NamespaceRow {
            namespace_id: self.namespace_id.clone(),
            object_type: self.object_type.clone(),
            config,
            created_at_us: now_us,
            updated_at_us: now_us,
        };
        namespaces::put(tx, row)?;
        Ok(Outcome::Done(true))
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.object_type.len() + self.config.to_string().len()
    }
}

/// Deletes the stored rules of a type.
#[derive(Debug)]
pub struct DeleteNamespace {
    /// Who asks.
    pub caller: Caller,
    /// The type.
    pub object_type: String,
    /// What the reader found.
    pub checked: Checked,
}

impl WriteOp for DeleteNamespace {
    const NAME: &'static str = "namespace_delete";
    const GROWS: bool = false;
    type Output = Outcome;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Outcome, ServiceError> {
        require_instance_admin(tx, &self.caller)?;
        let kind = self.object_type.as_str();
        if namespaces::current(tx, kind)?.is_none() {
            return Ok(Outcome::Done(false));
        }
        // What holds again must fit the other types as well as what was put.
        if let Some(default) = default_namespace(kind) {
            tx.view::<Graph>().validate_namespace(kind, default).map_err(|error| invalid(kind, error))?;
        }
        if !still_free(tx, kind, None, &self.checked)? {
            return Ok(Outcome::LookAgain);
        }
        Ok(Outcome::Done(namespaces::delete(tx, kind)?))
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.object_type.len()
    }
}
