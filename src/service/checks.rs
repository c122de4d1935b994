//! Checks: one, or many at one revision.

use std::sync::Arc;

use crate::model::time::monotonic;
use crate::rebac::{Budget, ENGINE_VERSION, Graph, Verdict};
use crate::store::{DecisionNote, Note, ReadTx, Sql, Store};
use crate::telemetry::metric;

use super::names::check_word;
use super::questions::{Asker, Question};
use super::{Call, ServiceError};

/// Most checks of one batch.
pub const BATCH_CHECKS_MAX: usize = 10_000;
/// Checks that a batch may have to be answered where the request is.
const INLINE_CHECKS_MAX: usize = 64;

/// The answer; `None` if the caller may not ask this.
fn answer<T: Sql>(asker: &Asker<'_, T>, asked: &Question, store: &Store) -> Result<Option<bool>, ServiceError> {
    let tx = asker.access.tx();
    let resolved = asker.resolve(asked)?;
    if !asker.may_ask(&resolved)? {
        return Ok(None);
    }
    let mut budget = Budget::request();
    let started = monotonic();
    let graph = tx.view::<Graph>();
    let verdict = graph.check(&resolved.query(), resolved.on.leaf, &asker.env, Some(asker.caches), &mut budget);
    let result = match verdict {
        Verdict::Allow => "allow",
        Verdict::Deny => "deny",
        Verdict::Unknown(_) => "unknown",
    };
    metric::REBAC_CHECK.seconds(started.elapsed(), &[("result", result)]);
    if !matches!(verdict, Verdict::Unknown(_)) {
        store.note(Note::Decision(DecisionNote {
            tenant: resolved.on.tenant.clone(),
            subject_type: asked.subject.kind.clone(),
            subject_id: asked.subject.id.clone(),
            permission: asked.permission.clone(),
            object_type: asked.object.kind.clone(),
            object_id: asked.object.id.clone(),
            allowed: verdict.allowed(),
            rev: tx.rev(),
            engine: ENGINE_VERSION,
        }));
    }
    Ok(Some(verdict.allowed()))
}

/// Whether the subject has the permission on the object, by relations alone. What is not decidable is no.
pub async fn check(call: &Call, question: Question) -> Result<bool, ServiceError> {
    check_word("permission", "name", &question.permission)?;
    let (caller, caches, store) = (call.caller.clone(), Arc::clone(&call.caches), call.store.clone());
    call.read(move |tx| {
        let asker = Asker::new(tx, &caller, &caches)?;
        answer(&asker, &question, &store)?.ok_or_else(|| asker.refusal(&question))
    })
    .await
}

/// Many checks at one revision, answered by position; `None` for one that the caller may not ask.
pub async fn check_batch(call: &Call, questions: Vec<Question>) -> Result<Vec<Option<bool>>, ServiceError> {
    if questions.len() > BATCH_CHECKS_MAX {
        let text = format!("a batch has at most {BATCH_CHECKS_MAX} checks, got {}", questions.len());
        return Err(ServiceError::InvalidParams(text));
    }
    for question in &questions {
        check_word("permission", "name", &question.permission)?;
    }
    let (caller, caches, store) = (call.caller.clone(), Arc::clone(&call.caches), call.store.clone());
    let many = questions.len() > INLINE_CHECKS_MAX;
    let answers = move |tx: &ReadTx<'_>| {
        let asker = Asker::new(tx, &caller, &caches)?;
        questions.iter().map(|question| answer(&asker, question, &store)).collect::<Result<Vec<_>, ServiceError>>()
    };
    if many { call.read_slow(answers).await } else { call.read(answers).await }
}
