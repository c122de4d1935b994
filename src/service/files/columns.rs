//! Tables that somebody is shown only some columns of: read for the caller, or as somebody else would be shown them.
//!
//! Read and filtered in one transaction on the slow lane, whole or not at all.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::model::{ContentHash, NodeKind, NodeRow, VirtualPath};
use crate::rebac::{Budget, ObjectRef};
use crate::service::access::{Access, FILE, Permission};
use crate::service::columns::{ColumnRules, Filtered, TABLE_BYTES_MAX, apply};
use crate::service::files::bulk_read::READ_BYTES_MAX;
use crate::service::files::{FileRead, content_of, damaged, described, lost};
use crate::service::located::Located;
use crate::service::names::EntityName;
use crate::service::relations::questions::{Asker, Question, Resolved};
use crate::service::{Call, ServiceError};
use crate::store::{ReadTx, contents};

/// What is asked of somebody's rights to read a table.
const READ: &str = "read";

/// What the caller is shown of a table that it is not shown whole. The body stays away where its etag is `known`.
pub(super) async fn read(call: &Call, path: VirtualPath, known: Option<String>) -> Result<FileRead, ServiceError> {
    let asked = call.clone();
    call.read_slow(move |tx| {
        let (access, located) = (asked.access(tx)?, Located::find(tx, &path)?);
        let rules = access.column_rules(located.target())?;
        let node = match &rules {
            Some(_) => located.node().cloned().ok_or_else(|| access.missing(&located, Permission::Read))?,
            None => described(&access, located.target())?,
        };
        let (body, _) = shown(tx, &path, &node, rules.as_ref())?;
        let etag = ContentHash::of(&body).to_hex();
        let size = body.len() as u64;
        let body = if known.as_ref() == Some(&etag) { Bytes::new() } else { body };
        Ok(FileRead { body, etag, version: node.version, modified_at_us: node.modified_at_us, size })
    })
    .await
}

/// What the rules show of a file.
fn shown(
    tx: &ReadTx<'_>,
    path: &VirtualPath,
    node: &NodeRow,
    rules: Option<&ColumnRules>,
) -> Result<(Bytes, Option<Filtered>), ServiceError> {
    let hash = content_of(node, path)?;
    let limit_bytes = if rules.is_some() { TABLE_BYTES_MAX } else { READ_BYTES_MAX };
    if node.size > limit_bytes as u64 {
        return Err(ServiceError::FileTooLarge { path: path.to_string(), limit_bytes });
    }
    let body = contents::body(tx, hash).map_err(|e| damaged(path, e))?.ok_or_else(|| lost(path))?;
    let Some(rules) = rules else { return Ok((body.into(), None)) };
    let mut filtered = apply(rules, &body).map_err(|reason| {
        ServiceError::Precondition(format!("{path} is not shown: its column rules cannot be applied: {reason}"))
    })?;
    let text = std::mem::take(&mut filtered.text);
    Ok((text.into(), Some(filtered)))
}

/// The column rules that bind somebody on a file; for whoever may ask about that.
pub async fn rules_of(call: &Call, path: VirtualPath, subject: EntityName) -> Result<Option<Value>, ServiceError> {
    let (caller, caches) = (call.caller.clone(), Arc::clone(&call.caches));
    let question = question(subject, &path);
    call.read(move |tx| {
        let asker = Asker::new(tx, &caller, &caches)?;
        let resolved = allowed(&asker, &question)?;
        Ok(binding(&asker.access, &resolved, &path)?.map(|rules| rules.to_value()))
    })
    .await
}

fn question(subject: EntityName, path: &VirtualPath) -> Question {
    let object = EntityName { kind: FILE.to_owned(), id: path.as_str().to_owned() };
    Question { subject, permission: READ.to_owned(), object, tenant: None }
}

fn allowed<'q>(asker: &Asker<'_, ReadTx<'_>>, question: &'q Question) -> Result<Resolved<'q>, ServiceError> {
    let resolved = asker.resolve(question)?;
    match asker.may_ask(&resolved)? {
        true => Ok(resolved),
        false => Err(asker.refusal(question)),
    }
}

fn binding(
    access: &Access<'_, ReadTx<'_>>,
    resolved: &Resolved<'_>,
    path: &VirtualPath,
) -> Result<Option<ColumnRules>, ServiceError> {
    let subject = &resolved.question.subject;
    let subject = ObjectRef { tenant: &resolved.subject_tenant, kind: &subject.kind, id: &subject.id };
    access.column_rules_of(&[subject], &resolved.on.tenant, path)
}

/// A table as somebody is shown it.
#[derive(Debug, Clone)]
pub struct ShownAs {
    /// The bytes.
    pub body: Bytes,
    /// The rules that were applied; `None` = the file is whole.
    pub rules: Option<Value>,
    /// What they made of it.
    pub filtered: Option<Filtered>,
}

/// Reads a file as `subject` is shown it, for whoever may ask about that. About itself the caller gets what `read` gives
/// it; about others the relations alone count, and what binds the caller binds here, too.
pub async fn read_as(call: &Call, path: VirtualPath, subject: EntityName) -> Result<ShownAs, ServiceError> {
    let asked = call.clone();
    let question = question(subject, &path);
    call.read_slow(move |tx| {
        let asker = Asker::new(tx, &asked.caller, &asked.caches)?;
        let resolved = allowed(&asker, &question)?;
        let (access, located) = (&asker.access, Located::find(tx, &path)?);
        let own = access.column_rules(located.target())?;
        let reads = own.is_some() || access.file(located.target(), Permission::Read)?.allowed();
        let (rules, may) = if access.subject() == resolved.query().subject {
            (own, reads)
        } else {
            let theirs = binding(access, &resolved, &path)?;
            let may = (theirs.is_some() || may_read(&asker, &resolved)) && (reads || acts_for(&asker, &resolved));
            (both(own, theirs), may)
        };
        if !may {
            return Err(access.denial(Permission::Read, &path, &path));
        }
        let Some(node) = located.node().filter(|node| node.kind == NodeKind::File) else {
            return Err(access.missing(&located, Permission::Read));
        };
        let (body, filtered) = shown(tx, &path, node, rules.as_ref())?;
        Ok(ShownAs { body, rules: rules.map(|rules| rules.to_value()), filtered })
    })
    .await
}

/// Whether another subject may read the file by its relations.
fn may_read(asker: &Asker<'_, ReadTx<'_>>, resolved: &Resolved<'_>) -> bool {
    let budget = &mut Budget::request();
    asker.graph().check(&resolved.query(), resolved.on.leaf, &asker.env, asker.caches(), budget).allowed()
}

/// Whether what the subject may see the caller may see anyhow, acting as that subject.
fn acts_for(asker: &Asker<'_, ReadTx<'_>>, resolved: &Resolved<'_>) -> bool {
    asker.is_own(&resolved.subject_tenant, &resolved.question.subject)
}

fn both(one: Option<ColumnRules>, other: Option<ColumnRules>) -> Option<ColumnRules> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.and(&other)),
        (one, other) => one.or(other),
    }
}

/// Refuses column rules for a file that is there and is no table with these columns.
pub(in crate::service) fn check(tx: &ReadTx<'_>, path: &VirtualPath, columns: &Value) -> Result<(), ServiceError> {
    let rules = ColumnRules::parse(columns).map_err(ServiceError::InvalidParams)?;
    let located = Located::find(tx, path)?;
    let Some(node) = located.node() else { return Ok(()) };
    let refused = |reason: String| ServiceError::InvalidParams(format!("column_config does not fit {path}: {reason}"));
    if node.kind == NodeKind::Directory {
        return Err(refused("it is a directory".into()));
    }
    if node.size > TABLE_BYTES_MAX as u64 {
        return Err(refused(format!("it has more than {TABLE_BYTES_MAX} bytes")));
    }
    let hash = content_of(node, path)?;
    let body = contents::body(tx, hash).map_err(|e| damaged(path, e))?.ok_or_else(|| lost(path))?;
    apply(&rules, &body).map(|_| ()).map_err(refused)
}

/// What column rules show of a text that the client brings along.
pub async fn try_out(call: &Call, data: String, columns: Value) -> Result<Filtered, ServiceError> {
    let rules = ColumnRules::parse(&columns).map_err(ServiceError::InvalidParams)?;
    call.read_slow(move |_| apply(&rules, data.as_bytes()).map_err(ServiceError::InvalidParams)).await
}
