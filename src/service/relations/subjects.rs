//! Listing the subjects who have a permission on an object, and the tree of rules behind it.
//!
//! For whoever manages the object: the answer names others. Decides nothing but that.

use std::sync::Arc;

use crate::model::Rev;
use crate::rebac::{
    Budget, Everybody, Expanded, Graph, LeafFacts, ObjectRef, Query, SubjectName, Subjects, SubjectsQuery, Verdict, Why,
};
use crate::service::access::reason;
use crate::service::names::{EntityName, check_word};
use crate::service::relations::objects::{INLINE_EDGES_MAX, SLOW_EDGES_MAX};
use crate::service::relations::questions::{Asker, Placed};
use crate::service::relations::shares_ops::{CONSENT, PUBLIC};
use crate::service::{Call, Lacking, ServiceError};
use crate::store::{ReadTx, Sql};

/// "Who has `permission` on `object`?"
#[derive(Debug, Clone)]
pub struct SubjectsRequest {
    /// A permission or a relation.
    pub permission: String,
    /// On what.
    pub object: EntityName,
    /// The type of the subjects; `None` = of any type.
    pub kind: Option<String>,
    /// The tenant of an object that is no file; the caller's if it is not given.
    pub tenant: Option<String>,
}

/// The permission to learn that somebody is there, where the rules of its type define it.
const DISCOVER: &str = "discover";

/// Who has it.
#[derive(Debug, Clone, Default)]
pub struct SubjectsAnswer {
    /// Those whom tuples name, in order.
    pub subjects: Vec<SubjectName>,
    /// Whole tenants.
    pub everybody: Vec<Everybody>,
    /// Those of whom it cannot be said, and why.
    pub undecided: Vec<(SubjectName, String)>,
    /// `None` = that is all; else why it may not be.
    pub cut_short: Option<String>,
    /// The tenant of the object.
    pub tenant: String,
    /// The tree, if it was asked for.
    pub tree: Option<Expanded>,
    /// The revision it is of.
    pub rev: Rev,
}

/// Everybody who has the permission, at one revision.
pub async fn list(call: &Call, request: SubjectsRequest) -> Result<SubjectsAnswer, ServiceError> {
    answer(call, request, false, None).await
}

/// The same with the tree of rules and tuples.
pub async fn tree(call: &Call, request: SubjectsRequest) -> Result<SubjectsAnswer, ServiceError> {
    answer(call, request, true, None).await
}

/// The subjects of the object's own tenant as `(type, id)`, everybody of it as `("*", "*")`. This form has no place
/// for what is not known, so that is an error. Subjects of other tenants are left out: by type and id alone one would
/// take them for namesakes here.
pub async fn flat(call: &Call, request: SubjectsRequest) -> Result<Vec<(String, String)>, ServiceError> {
    pairs(call, request, None).await
}

/// As [`flat`], without those whom `requester` may not discover. Where the rules of somebody's type define `discover`
/// they decide; else whoever made itself public or has given its consent may be discovered. Everybody may discover
/// itself, and `("*", "*")` is nobody in particular.
pub async fn discoverable(
    call: &Call,
    request: SubjectsRequest,
    requester: EntityName,
) -> Result<Vec<(String, String)>, ServiceError> {
    pairs(call, request, Some(requester)).await
}

async fn pairs(
    call: &Call,
    request: SubjectsRequest,
    requester: Option<EntityName>,
) -> Result<Vec<(String, String)>, ServiceError> {
    let (object, permission) = (request.object.to_string(), request.permission.clone());
    let answer = answer(call, request, false, requester).await?;
    match answer.cut_short {
        Some(reason) => Err(ServiceError::Indeterminate { permission, path: object, reason }),
        None => {
            let own = answer.subjects.into_iter().filter(|subject| subject.tenant == answer.tenant);
            Ok(own.map(|subject| (subject.kind, subject.id)).collect())
        }
    }
}

async fn answer(
    call: &Call,
    request: SubjectsRequest,
    with_tree: bool,
    discoverer: Option<EntityName>,
) -> Result<SubjectsAnswer, ServiceError> {
    check_word("permission", "name", &request.permission)?;
    if let Some(kind) = &request.kind {
        check_word("subject", "type", kind)?;
    }
    let work = |edges: u64| {
        let (caller, caches) = (call.caller.clone(), Arc::clone(&call.caches));
        let (request, discoverer) = (request.clone(), discoverer.clone());
        move |tx: &ReadTx<'_>| {
            let asker = Asker::new(tx, &caller, &caches)?;
            let on = asker.place(&request.object, request.tenant.as_deref())?;
            if !asker.manages(&on)? {
                return Err(refusal(&asker, &on));
            }
            let budget = &mut Budget::edges(edges);
            let mut answer = find(tx, &asker, &request, &on, with_tree, budget);
            if let Some(discoverer) = &discoverer {
                answer.subjects.retain(|subject| may_discover(&asker, discoverer, subject, budget));
                if budget.is_spent() {
                    answer.cut_short = Some(reason(&Why::Budget));
                }
            }
            Ok(answer)
        }
    };
    let inline = call.read(work(INLINE_EDGES_MAX)).await?;
    match inline.cut_short {
        None => Ok(inline),
        Some(_) => call.read_slow(work(SLOW_EDGES_MAX)).await,
    }
}

fn find<T: Sql>(
    tx: &T,
    asker: &Asker<'_, T>,
    request: &SubjectsRequest,
    on: &Placed<'_>,
    with_tree: bool,
    budget: &mut Budget,
) -> SubjectsAnswer {
    let graph = tx.view::<Graph>();
    let (permission, object) = (request.permission.as_str(), on.name());
    let query = SubjectsQuery { permission, object, leaf: on.leaf, kind: request.kind.as_deref() };
    let found = graph.list_subjects(&query, &asker.env, budget);
    let tree = with_tree.then(|| graph.expand(permission, object, on.leaf, &asker.env, budget));
    let Subjects { allowed, everybody, undecided, complete } = found;
    let told = |(subject, why): (SubjectName, Why)| (subject, reason(&why));
    SubjectsAnswer {
        subjects: allowed,
        everybody,
        undecided: undecided.into_iter().map(told).collect(),
        cut_short: (!complete).then(|| reason(&Why::Budget)),
        tenant: on.tenant.clone(),
        tree,
        rev: tx.rev(),
    }
}

/// Whether `who`, of the caller's tenant, may learn that a subject is there. What is not known is a no.
fn may_discover<T: Sql>(asker: &Asker<'_, T>, who: &EntityName, subject: &SubjectName, budget: &mut Budget) -> bool {
    let tenant = asker.access.caller().tenant.as_str();
    if (tenant, &who.kind, &who.id) == (&subject.tenant, &subject.kind, &subject.id) {
        return true;
    }
    let graph = asker.graph();
    let names: &[&str] =
        if graph.defines(&subject.kind, DISCOVER) { &[DISCOVER] } else { &[DISCOVER, PUBLIC, CONSENT] };
    names.iter().any(|permission| {
        let query = Query {
            subject: ObjectRef { tenant, kind: &who.kind, id: &who.id },
            permission,
            object: ObjectRef { tenant: &subject.tenant, kind: &subject.kind, id: &subject.id },
        };
        graph.check(&query, LeafFacts::default(), &asker.env, asker.caches(), budget).allowed()
    })
}

/// The refusal, the same whether the object exists or not.
fn refusal<T: Sql>(asker: &Asker<'_, T>, on: &Placed<'_>) -> ServiceError {
    let user = &asker.access.caller().user;
    ServiceError::PermissionDenied {
        message: format!("Access denied: User '{user}' may not ask who has access to '{}'", on.object),
        hint: "it takes the right to manage its permissions: for a file 'execute', its owner has it".into(),
        lacking: Lacking::new("manage", on.object),
    }
}

/// What an [`Everybody`] says, and why if it is not known.
#[must_use]
pub fn told(verdict: &Verdict) -> (&'static str, Option<String>) {
    match verdict {
        Verdict::Allow => ("yes", None),
        Verdict::Deny => ("no", None),
        Verdict::Unknown(why) => ("unknown", Some(reason(why))),
    }
}
