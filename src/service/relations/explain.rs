//! Explanations: why an answer about a relation is what it is, in names that the caller may see.
//!
//! Asks the engine and looks the ids of tuples up; decides nothing but who sees which name. Whoever manages the object,
//! or rules its tenant, sees all names of its own tenant; one who asks about oneself sees oneself, the path that was
//! named and the groups one is in, and of all else the type. Invariant: to who does not manage a file the explanation
//! of a denial is the same whether the file exists or not.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::{AuthIndex, Caller};
use crate::model::time::monotonic;
use crate::rebac::explain::{Action, Explanation, Named, NoRepair, Repair, TupleFact};
use crate::rebac::{Budget, Graph, LeafFacts, ObjectRef, Query, Verdict};
use crate::service::access::{FILE, USER, reason};
use crate::service::names::{EntityName, check_word};
use crate::service::relations::past::{At, PastView};
use crate::service::relations::questions::{Asker, Question, Resolved, is_own};
use crate::service::relations::tuples_ops::OWNER_PREFIX;
use crate::service::{Call, ServiceError};
use crate::store::{ReadTx, Sql, StoreError, tuples};

/// How long changes may be tried. Tests run unoptimised code on busy machines.
const SEARCH_TIME: Duration = Duration::from_millis(if cfg!(debug_assertions) { 5_000 } else { 10 });
/// Tuples whose ids are looked up.
const IDS_MAX: usize = 1_000;

/// An explanation for one caller.
#[derive(Debug, Clone)]
pub struct Explained {
    /// What was asked.
    pub question: Question,
    /// The answer with its reasons; names that the caller may not see are hidden.
    pub explanation: Explanation,
    /// Whether some are.
    pub hidden: bool,
    /// What the name stands for on the object's type: the names of a union, if it is one.
    pub expanded_to: Vec<String>,
    /// What the file methods make of it, where the caller may know.
    pub around: Option<Around>,
    /// The time of the answer, Unix µs.
    pub now_us: i64,
}

/// What holds around relations, for the file methods (read, write, execute).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Around {
    /// What they would decide for the subject.
    pub allowed: bool,
    /// Whether that is another answer.
    pub differs: bool,
    /// Why, in words.
    pub because: Vec<String>,
}

/// Explains one answer, of now or of an earlier moment; the changes are then what would have helped.
pub async fn explain(call: &Call, question: Question, at: Option<At>) -> Result<Explained, ServiceError> {
    check_word("permission", "name", &question.permission)?;
    let (caller, caches) = (call.caller.clone(), Arc::clone(&call.caches));
    call.read_slow(move |tx| {
        let past = at.map(|at| PastView::open(tx, at)).transpose()?;
        let asker = Asker::at(tx, &caller, &caches, past.as_ref())?;
        let resolved = asker.resolve(&question)?;
        if !asker.may_ask(&resolved)? {
            return Err(asker.refusal(&question));
        }
        Explainer { asker: &asker, resolved: &resolved }.explain()
    })
    .await
}

struct Explainer<'a, 't, 'c> {
    asker: &'a Asker<'t, ReadTx<'c>>,
    resolved: &'a Resolved<'a>,
}

impl Explainer<'_, '_, '_> {
    fn explain(&self) -> Result<Explained, ServiceError> {
        let sees_all = self.asker.manages(&self.resolved.on)?;
        let mut explanation = self.ask(&self.resolved.query(), self.resolved.on.leaf);
        let verdict = explanation.verdict.clone();
        if !sees_all && !verdict.allowed() {
            explanation = self.as_if_missing(explanation);
            // How much there was to look at would tell of grants that the caller may not see.
            explanation.stats.edges = 0;
        }
        self.look_up(&mut explanation)?;
        let mut hidden = false;
        explanation.each_name(|name| {
            if !name.is_hidden() && !self.sees(name, sees_all) {
                name.hide();
                hidden = true;
            }
        });
        let mut seen: Vec<Repair> = Vec::new();
        explanation.repairs.retain(|repair| {
            !seen.contains(repair) && {
                seen.push(repair.clone());
                true
            }
        });
        let question = self.resolved.question;
        Ok(Explained {
            around: self.around(&verdict)?,
            expanded_to: self.graph().union_of(&question.object.kind, &question.permission),
            question: question.clone(),
            explanation,
            hidden,
            now_us: self.asker.env.now_us,
        })
    }

    fn graph(&self) -> &Graph {
        self.asker.graph()
    }

    fn caller(&self) -> &Caller {
        self.asker.access.caller()
    }

    fn ask(&self, query: &Query<'_>, leaf: LeafFacts) -> Explanation {
        let started = monotonic();
        let stop = || started.elapsed() >= SEARCH_TIME;
        let budget = &mut Budget::request();
        self.graph().explain(query, leaf, &self.asker.env, self.asker.caches(), budget, &stop)
    }

    /// The explanation of a denial for who does not manage the file: that of a file of the caller's own tenant, which
    /// is what a missing one would be. Whose an existing one is would show otherwise.
    fn as_if_missing(&self, real: Explanation) -> Explanation {
        let query = self.resolved.query();
        if self.resolved.on.object.path().is_none() || query.object.tenant == self.caller().tenant {
            return real;
        }
        let object = ObjectRef { tenant: &self.caller().tenant, ..query.object };
        let told = self.ask(&Query { object, ..query }, LeafFacts::default());
        if told.verdict == real.verdict {
            return told;
        }
        let no_repair = Some(NoRepair::NotFound);
        Explanation { misses: Vec::new(), repairs: Vec::new(), no_repair, complete: false, ..real }
    }

    /// Fills in the ids of stored tuples; of those of an earlier moment, if they are stored still.
    fn look_up(&self, explanation: &mut Explanation) -> Result<(), ServiceError> {
        let tx = self.asker.access.tx();
        let graph = self.graph();
        let entity = |name: &Named| graph.entity(ObjectRef { tenant: &name.tenant, kind: &name.kind, id: &name.id });
        let mut left = IDS_MAX;
        explanation.each_tuple(|tuple: &mut TupleFact| {
            if left == 0 || tuple.subject.invented || tuple.object.invented {
                return Ok(());
            }
            left -= 1;
            let (Some(subject), Some(object)) = (entity(&tuple.subject), entity(&tuple.object)) else {
                return Ok::<_, StoreError>(());
            };
            let set = tuple.subject_relation.as_deref();
            let row = tuples::find_identity(tx, object, &tuple.relation, subject, set)?;
            tuple.tuple_id = row.map(|row| row.tuple_id);
            Ok(())
        })?;
        let owner = explanation.repairs.iter_mut().flat_map(|repair| &mut repair.elements);
        for element in owner.filter(|element| element.action == Action::RemoveOwner) {
            if let Some(path) = self.resolved.on.object.path() {
                let located = self.asker.locate(&path)?;
                element.tuple.tuple_id = located.node().map(|node| format!("{OWNER_PREFIX}{}", node.id));
            }
        }
        Ok(())
    }

    /// Whether the caller may see a name.
    fn sees(&self, name: &Named, sees_all: bool) -> bool {
        let Question { subject, object, .. } = self.resolved.question;
        let own_tenant = name.tenant == self.caller().tenant;
        let is = |asked: &EntityName| asked.kind == name.kind && asked.id == name.id;
        let asked = (is(subject) && name.tenant == self.resolved.subject_tenant)
            || (is(object) && (own_tenant || name.tenant == self.resolved.on.tenant));
        if asked || name.kind == "*" || self.asker.access.is_instance_admin() {
            return true;
        }
        if !own_tenant {
            return false;
        }
        let own = EntityName { kind: name.kind.clone(), id: name.id.clone() };
        sees_all
            || name.held
            || name.invented
            || is_directory_of(name, object)
            || is_own(self.caller(), self.asker.access.tx().view::<AuthIndex>(), &name.tenant, &own)
    }

    /// What the file methods add to relations (architecture: bypass, inheritance, read-only directories).
    fn around(&self, verdict: &Verdict) -> Result<Option<Around>, ServiceError> {
        let question = self.resolved.question;
        let Some(path) = question.object.path() else { return Ok(None) };
        let (access, tenant) = (&self.asker.access, self.resolved.subject_tenant.as_str());
        // Flags and agents are those of today, so of an earlier moment this is not known.
        let may_know = !self.asker.is_past()
            && (self.asker.is_own(tenant, &question.subject) || access.rules(&self.resolved.on.tenant));
        if !may_know || !["read", "write", "execute"].contains(&question.permission.as_str()) {
            return Ok(None);
        }
        let relations = verdict.allowed();
        let mut around = Around { allowed: relations, differs: false, because: Vec::new() };
        let person = self.person();
        if let Some(person) = &person {
            if question.permission != "execute" && person.rules(&self.resolved.on.tenant) {
                around.allow("an admin of the tenant may read and write without a relation");
            }
            if person.inherits && question.subject.kind != USER {
                let owner = ObjectRef { tenant, kind: USER, id: &person.user };
                let query = Query { subject: owner, ..self.resolved.query() };
                let (leaf, caches) = (self.resolved.on.leaf, self.asker.caches());
                let inherited = self.graph().check(&query, leaf, &self.asker.env, caches, &mut Budget::request());
                if inherited.allowed() {
                    around.allow(&format!("it inherits from user {}", person.user));
                }
            } else if question.subject.kind == "agent" {
                around.because.push(format!("it inherits nothing from user {}", person.user));
            }
        }
        let instance_admin = person.is_some_and(|person| person.instance_admin);
        if let Some(first) = path.components().next().filter(|first| crate::service::access::is_read_only(first))
            && question.permission == "write"
            && !instance_admin
        {
            around.allowed = false;
            around.because.push(format!("nobody but the instance admin writes below /{first}"));
        }
        around.differs = around.allowed != relations;
        Ok(Some(around))
    }

    /// Whose rights count for the subject: the caller's as they are, of others those of their best key.
    fn person(&self) -> Option<Person> {
        let (subject, tenant) = (&self.resolved.question.subject, &self.resolved.subject_tenant);
        let caller = self.caller();
        if subject.kind == caller.subject_type && subject.id == caller.subject_id && *tenant == caller.tenant {
            return Some(Person {
                user: caller.user.clone(),
                tenant: tenant.clone(),
                inherits: caller.inherits,
                admin: caller.is_admin,
                instance_admin: caller.is_admin && caller.is_instance_admin,
            });
        }
        let index = self.asker.access.tx().view::<AuthIndex>();
        let (user, inherits) = match subject.kind.as_str() {
            USER => (subject.id.clone(), true),
            "agent" => {
                let agent = index.agent(tenant, &subject.id)?;
                (agent.user_id.clone(), agent.inherit_permissions)
            }
            _ => return None,
        };
        let now = self.asker.env.now_us;
        let keys = || {
            index
                .keys_of(&user, tenant)
                .filter(|key| key.subject_type == USER && key.expires_at_us.is_none_or(|at| now < at))
        };
        Some(Person {
            tenant: tenant.clone(),
            inherits,
            admin: inherits && keys().any(|key| key.is_admin),
            instance_admin: inherits && keys().any(|key| key.is_admin && key.is_instance_admin),
            user,
        })
    }
}

impl Around {
    fn allow(&mut self, because: &str) {
        self.allowed = true;
        self.because.push(because.to_owned());
    }
}

/// Who stands behind a subject.
struct Person {
    user: String,
    tenant: String,
    inherits: bool,
    admin: bool,
    instance_admin: bool,
}

impl Person {
    fn rules(&self, tenant: &str) -> bool {
        self.instance_admin || (self.admin && self.tenant == tenant)
    }
}

/// Whether it is a directory on the way to the object.
fn is_directory_of(name: &Named, object: &EntityName) -> bool {
    name.kind == FILE
        && object.kind == FILE
        && name.id.starts_with('/')
        && (name.id == "/" || object.id.strip_prefix(&name.id).is_some_and(|rest| rest.starts_with('/')))
}

impl Explained {
    /// The answer in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Question { subject, permission, object, .. } = &self.question;
        let expanded = match self.expanded_to.as_slice() {
            [] => String::new(),
            names => format!(" (expanded to relations: {})", names.join(", ")),
        };
        match &self.explanation.verdict {
            Verdict::Allow => format!("{subject} has '{permission}' on {object}{expanded}"),
            Verdict::Deny => format!("{subject} does NOT have '{permission}' on {object}{expanded}"),
            Verdict::Unknown(why) => {
                format!("whether {subject} has '{permission}' on {object} is not known: {}", reason(why))
            }
        }
    }

    /// Why there is no change that would help; `None` if there is one, or none is needed.
    #[must_use]
    pub fn no_repair_sentence(&self) -> Option<String> {
        let Question { subject, permission, object, .. } = &self.question;
        let why = match self.explanation.no_repair? {
            NoRepair::Unsatisfiable => {
                format!(
                    "no tuple can give '{permission}' on {object}: the rules of {} cannot be satisfied",
                    object.kind
                )
            }
            NoRepair::OtherTenant => format!("{subject} is of another tenant, and no share that would help was found"),
            NoRepair::NotFound => "no change was found that would help".to_owned(),
            NoRepair::Unanswerable => "the engine cannot answer at present".to_owned(),
        };
        Some(why)
    }

    /// A remark on the name that was asked.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        let Question { permission, object, .. } = &self.question;
        let text = || {
            format!(
                "the rules of {} do not name '{permission}': only a tuple with that very relation counts",
                object.kind
            )
        };
        (!self.explanation.defined).then(text)
    }
}
