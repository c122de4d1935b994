//! Checks: one, or many at one revision. Answered from the published state alone where nothing has to be looked up.

use std::sync::Arc;

use crate::model::time::monotonic;
use crate::rebac::{Budget, ENGINE_VERSION, Verdict};
use crate::service::names::check_word;
use crate::service::relations::past::{At, PastView};
use crate::service::relations::questions::{Asker, Question, Resolved};
use crate::service::{Call, ServiceError};
use crate::store::{DecisionNote, Glance, Note, ReadTx, Sql, Store};
use crate::telemetry::metric;
use crate::telemetry::series::SecondsSeries;

/// Most checks of one batch.
pub const BATCH_CHECKS_MAX: usize = 10_000;
/// Checks that a batch may have to be answered where the request is.
const INLINE_CHECKS_MAX: usize = 64;

/// How long the decisions took, by result.
static ALLOWED: SecondsSeries = SecondsSeries::new();
static DENIED: SecondsSeries = SecondsSeries::new();
static UNDECIDED: SecondsSeries = SecondsSeries::new();

/// A question and what the engine needs to answer it; `None` if the caller may not ask this.
fn prepare<'q, T: Sql>(asker: &Asker<'_, T>, asked: &'q Question) -> Result<Option<Resolved<'q>>, ServiceError> {
    let resolved = asker.resolve(asked)?;
    Ok(asker.may_ask(&resolved)?.then_some(resolved))
}

/// The answer. Asks no table, and leaves its record.
fn decide<T: Sql>(asker: &Asker<'_, T>, resolved: &Resolved<'_>, store: &Store) -> bool {
    let asked = resolved.question;
    let mut budget = Budget::request();
    let started = monotonic();
    let graph = asker.graph();
    let verdict = graph.check(&resolved.query(), resolved.on.leaf, &asker.env, asker.caches(), &mut budget);
    let (result, series) = match verdict {
        Verdict::Allow => ("allow", &ALLOWED),
        Verdict::Deny => ("deny", &DENIED),
        Verdict::Unknown(_) => ("unknown", &UNDECIDED),
    };
    series.seconds(&metric::REBAC_CHECK, &[("result", result)], started.elapsed());
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
    verdict.allowed()
}

/// One answer, or the refusal.
fn one<T: Sql>(asker: &Asker<'_, T>, question: &Question, store: &Store) -> Result<bool, ServiceError> {
    let resolved = prepare(asker, question)?.ok_or_else(|| asker.refusal(question))?;
    Ok(decide(asker, &resolved, store))
}

/// Answers by position. All questions are prepared before the first is answered, so that one which needs a table leaves
/// no records of the others.
fn all<T: Sql>(asker: &Asker<'_, T>, questions: &[Question], store: &Store) -> Result<Vec<Option<bool>>, ServiceError> {
    let prepared: Vec<_> = questions.iter().map(|question| prepare(asker, question)).collect::<Result<_, _>>()?;
    Ok(prepared.iter().map(|resolved| resolved.as_ref().map(|resolved| decide(asker, resolved, store))).collect())
}

/// The answer of `ask` from the published state alone, if no table is needed: that of this very revision, without a
/// read transaction.
fn at_a_glance<R>(
    call: &Call,
    ask: impl FnOnce(&Asker<'_, Glance<'_>>) -> Result<R, ServiceError>,
) -> Option<Result<R, ServiceError>> {
    call.glance(|tx| ask(&Asker::new(tx, &call.caller, &call.caches)?))
}

/// Answers questions in a read transaction, of one revision: that of the data, or an earlier one.
async fn in_tables<R: Send + 'static>(
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
    if at.is_none()
        && let Some(answer) = at_a_glance(call, |asker| one(asker, &question, &call.store))
    {
        return answer;
    }
    in_tables(call, at, false, move |asker, store| one(asker, &question, store)).await
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
    if at.is_none()
        && !many
        && let Some(answers) = at_a_glance(call, |asker| all(asker, &questions, &call.store))
    {
        return answers;
    }
    in_tables(call, at, many, move |asker, store| all(asker, &questions, store)).await
}
