//! Checks: one, or many at one revision.

use std::sync::Arc;

use crate::model::time::monotonic;
use crate::rebac::{Budget, ENGINE_VERSION, Verdict};
use crate::store::{DecisionNote, Note, ReadTx, Sql, Store};
use crate::telemetry::metric;

use super::names::check_word;
use super::past::{At, PastView};
use super::questions::{Asker, Question};
use super::{Call, ServiceError};

/// Most checks of one batch.
pub const BATCH_CHECKS_MAX: usize = 10_000;
/// Checks that a batch may have to be answered where the request is.
const INLINE_CHECKS_MAX: usize = 64;

/// The answer; `None` if the caller may not ask this.
fn answer<T: Sql>(asker: &Asker<'_, T>, asked: &Question, store: &Store) -> Result<Option<bool>, ServiceError> {
    let resolved = asker.resolve(asked)?;
    if !asker.may_ask(&resolved)? {
        return Ok(None);
    }
    let mut budget = Budget::request();
    let started = monotonic();
    let graph = asker.graph();
    let verdict = graph.check(&resolved.query(), resolved.on.leaf, &asker.env, asker.caches(), &mut budget);
    let result = match verdict {
        Verdict::Allow => "allow",
        Verdict::Deny => "deny",
        Verdict::Unknown(_) => "unknown",
    };
    metric::REBAC_CHECK.seconds(started.elapsed(), &[("result", result)]);
    // Of an answer about the past no record is kept: it warms nothing.
    if !asker.is_past() && !matches!(verdict, Verdict::Unknown(_)) {
        store.note(Note::Decision(DecisionNote {
            tenant: resolved.on.tenant.clone(),
            subject_type: asked.subject.kind.clone(),
            subject_id: asked.subject.id.clone(),
            permission: asked.permission.clone(),
            object_type: asked.object.kind.clone(),
            object_id: asked.object.id.clone(),
            allowed: verdict.allowed(),
            rev: asker.access.tx().rev(),
            engine: ENGINE_VERSION,
        }));
    }
    Ok(Some(verdict.allowed()))
}

/// Answers questions, of one revision: that of the data, or an earlier one.
async fn ask<R: Send + 'static>(
    call: &Call,
    at: Option<At>,
    slow: bool,
    answers: impl FnOnce(&Asker<'_, ReadTx<'_>>, &Store) -> Result<R, ServiceError> + Send + 'static,
) -> Result<R, ServiceError> {
    let (caller, caches, store) = (call.caller.clone(), Arc::clone(&call.caches), call.store.clone());
    let work = move |tx: &ReadTx<'_>| {
        let past = at.map(|at| PastView::open(tx, at)).transpose()?;
        answers(&Asker::at(tx, &caller, &caches, past.as_ref())?, &store)
    };
    if slow || at.is_some() { call.read_slow(work).await } else { call.read(work).await }
}

/// Whether the subject has the permission on the object, by relations alone, now or at an earlier moment. What is not
/// decidable is no.
pub async fn check(call: &Call, question: Question, at: Option<At>) -> Result<bool, ServiceError> {
    check_word("permission", "name", &question.permission)?;
    let answers = move |asker: &Asker<'_, ReadTx<'_>>, store: &Store| {
        answer(asker, &question, store)?.ok_or_else(|| asker.refusal(&question))
    };
    ask(call, at, false, answers).await
}

/// Many checks at one revision, answered by position; `None` for one that the caller may not ask.
pub async fn check_batch(
    call: &Call,
    questions: Vec<Question>,
    at: Option<At>,
) -> Result<Vec<Option<bool>>, ServiceError> {
    if questions.len() > BATCH_CHECKS_MAX {
        let text = format!("a batch has at most {BATCH_CHECKS_MAX} checks, got {}", questions.len());
        return Err(ServiceError::InvalidParams(text));
    }
    for question in &questions {
        check_word("permission", "name", &question.permission)?;
    }
    let many = questions.len() > INLINE_CHECKS_MAX;
    let answers = move |asker: &Asker<'_, ReadTx<'_>>, store: &Store| {
        questions.iter().map(|question| answer(asker, question, store)).collect()
    };
    ask(call, at, many, answers).await
}
