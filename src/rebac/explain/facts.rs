//! What an explanation is made of, in words: names, tuples, proofs, misses and changes.
//!
//! Plain data for the service; owns no logic. Invariant: a proof is a list in which reasons come after what they
//! support, so that nobody needs a deep stack to read it.

use crate::model::Rev;

use super::super::{Verdict, Why};

/// A typed name within a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Named {
    /// The tenant.
    pub tenant: String,
    /// The type.
    pub kind: String,
    /// The id.
    pub id: String,
    /// The subject is certainly in a set of it by tuples: a group it is a member of.
    pub held: bool,
    /// Nothing has this name yet; a change proposes to make it.
    pub invented: bool,
}

impl Named {
    /// Takes the name away and leaves the type.
    pub fn hide(&mut self) {
        self.tenant.clear();
        self.id.clear();
        self.invented = false;
    }

    /// Whether only the type is left.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.id.is_empty()
    }
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_hidden() { f.write_str(&self.kind) } else { write!(f, "{}:{}", self.kind, self.id) }
    }
}

/// A tuple, stored or proposed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TupleFact {
    /// Who.
    pub subject: Named,
    /// For a userset: the relation of the subject that counts.
    pub subject_relation: Option<String>,
    /// The relation.
    pub relation: String,
    /// On what.
    pub object: Named,
    /// Unix time, µs.
    pub expires_at_us: Option<i64>,
    /// Whether it has a condition.
    pub conditional: bool,
    /// The id that clients know; the graph does not keep it, whoever can look it up fills it in.
    pub tuple_id: Option<String>,
}

/// How a tupleset leads from one object to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Along a tuple.
    Tuple(TupleFact),
    /// To the directory of the path.
    Directory,
    /// To the owner in the owner column.
    Owner(Named),
}

/// Why one fact of a proof holds. Numbers are positions in [`Proof::facts`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// A tuple names the subject, or everybody.
    Tuple(TupleFact),
    /// The owner column names the subject.
    Owner,
    /// A tuple names a set, and the subject is in it.
    Userset {
        /// The tuple.
        tuple: TupleFact,
        /// Why the subject is in the set.
        because: usize,
    },
    /// One branch of a union holds.
    AnyOf {
        /// The branches, by name.
        operands: Vec<String>,
        /// Which.
        branch: usize,
        /// Why.
        because: usize,
    },
    /// Every branch of an intersection holds.
    AllOf {
        /// The branches, by name.
        operands: Vec<String>,
        /// Why each does.
        because: Vec<usize>,
    },
    /// What is excluded does not hold: nobody put the subject there.
    Absent {
        /// What is excluded.
        operand: String,
    },
    /// A tupleset leads to an object on which the subject has `computed`.
    Through {
        /// The tupleset.
        tupleset: String,
        /// The name on the next object.
        computed: String,
        /// How it leads there.
        step: Step,
        /// Why the subject has it there.
        because: usize,
    },
}

/// "The subject has `name` on `object`, because …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// On what.
    pub object: Named,
    /// The permission or relation; `None` for a rule within a rule.
    pub name: Option<String>,
    /// Why.
    pub how: How,
}

/// Why a subject has a permission; can be replayed. The first fact is the answer, reasons come later in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The facts.
    pub facts: Vec<Fact>,
}

/// A stored tuple that would help if it counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miss {
    /// The tuple.
    pub tuple: TupleFact,
    /// Why it does not count.
    pub why: MissWhy,
}

/// Why a stored tuple does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissWhy {
    /// Its time is over since then (Unix time, µs).
    Expired(i64),
    /// Its condition does not hold, or is not known to.
    Condition {
        /// Context keys that are absent or malformed.
        missing: Vec<String>,
        /// Context keys whose values do not fit.
        failed: Vec<String>,
        /// The stored condition cannot be read.
        unreadable: bool,
    },
}

/// What an element of a change does, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Grant an expired tuple again.
    Renew,
    /// Satisfy the condition of a tuple, or grant it again without.
    Condition,
    /// Put the subject into a set that has the right already.
    Join,
    /// Take a tuple away that an exclusion reads.
    Remove,
    /// Take the owner in the owner column away, for the same reason.
    RemoveOwner,
    /// Grant on the object itself.
    GrantOnObject,
    /// Grant on an object whose rights are inherited.
    GrantAbove,
    /// Link the object to a set that the subject is in, or to a new one.
    Link,
}

/// One element of a change.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Element {
    /// What to do.
    pub action: Action,
    /// With which tuple. [`Action::Renew`] and [`Action::Condition`] mean the same tuple without what stops it.
    pub tuple: TupleFact,
}

/// Tuples to write and to delete so that the answer becomes yes. No part of it is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// What to do, all of it.
    pub elements: Vec<Element>,
}

/// Why no change was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRepair {
    /// No tuples at all can satisfy the rule.
    Unsatisfiable,
    /// The subject is of another tenant, and no rule counts a share.
    OtherTenant,
    /// The search ended without one.
    NotFound,
    /// The graph refuses to answer at all.
    Unanswerable,
}

/// What an explanation took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// The revision of the graph.
    pub rev: Rev,
    /// Edges and path components visited for the answer itself.
    pub edges: u64,
    /// Whether the sets of the subject came from the cache.
    pub closure_cached: bool,
    /// Changes tried.
    pub candidates: usize,
}

/// An answer with its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What [`Graph::check`](super::super::Graph::check) says.
    pub verdict: Verdict,
    /// For an allow.
    pub proof: Option<Proof>,
    /// Otherwise: stored tuples that would help, nearest first.
    pub misses: Vec<Miss>,
    /// Otherwise: what would make it an allow, best first.
    pub repairs: Vec<Repair>,
    /// Otherwise: why there is none.
    pub no_repair: Option<NoRepair>,
    /// Whether the search was not cut short. With no repair: certainly there is none.
    pub complete: bool,
    /// Whether the namespace of the object's type names what was asked; without a namespace every name is a relation.
    pub defined: bool,
    /// What it took.
    pub stats: Stats,
}

impl Explanation {
    /// An explanation that only has an answer.
    pub(super) fn bare(verdict: Verdict, stats: Stats) -> Self {
        let no_repair = (!verdict.allowed()).then_some(NoRepair::Unanswerable);
        let (proof, misses, repairs) = (None, Vec::new(), Vec::new());
        Self { verdict, proof, misses, repairs, no_repair, complete: false, defined: true, stats }
    }

    /// Shows every tuple, to complete it.
    pub fn each_tuple<E>(&mut self, mut each: impl FnMut(&mut TupleFact) -> Result<(), E>) -> Result<(), E> {
        for fact in self.proof.iter_mut().flat_map(|proof| &mut proof.facts) {
            match &mut fact.how {
                How::Tuple(tuple) | How::Userset { tuple, .. } | How::Through { step: Step::Tuple(tuple), .. } => {
                    each(tuple)?;
                }
                How::Owner | How::AnyOf { .. } | How::AllOf { .. } | How::Absent { .. } | How::Through { .. } => {}
            }
        }
        let elements = self.repairs.iter_mut().flat_map(|repair| &mut repair.elements);
        let misses = self.misses.iter_mut().map(|miss| &mut miss.tuple);
        misses.chain(elements.map(|element| &mut element.tuple)).try_for_each(each)
    }

    /// Shows every name, to hide it.
    pub fn each_name(&mut self, mut each: impl FnMut(&mut Named)) {
        for fact in self.proof.iter_mut().flat_map(|proof| &mut proof.facts) {
            each(&mut fact.object);
            if let How::Through { step: Step::Owner(owner), .. } = &mut fact.how {
                each(owner);
            }
        }
        let shown: Result<(), std::convert::Infallible> = self.each_tuple(|tuple| {
            each(&mut tuple.subject);
            each(&mut tuple.object);
            if tuple.subject.is_hidden() || tuple.object.is_hidden() {
                tuple.tuple_id = None;
            }
            Ok(())
        });
        let Ok(()) = shown;
    }

    /// Why the answer is not known, if it is not.
    #[must_use]
    pub fn why_unknown(&self) -> Option<&Why> {
        if let Verdict::Unknown(why) = &self.verdict { Some(why) } else { None }
    }
}
