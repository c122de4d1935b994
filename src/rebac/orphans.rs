//! Which tuples would lose their meaning if the rules of a type were others.
//!
//! A tuple means something while a rule reads tuples of its relation, or while no rule has that name. Owns the
//! comparison of two namespaces and the count of what is in use; whether a loss is refused is the service's to say.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::EntityId;

use super::defaults::default_namespace;
use super::edge::{Edge, PLAIN};
use super::graph::Graph;
use super::names::KindId;
use super::namespace::{Namespace, NamespaceError, Rule};
use super::schema::Direction;

/// Of this type the tuples with this relation are stored and never read.
const FILE: &str = "file";
const PARENT: &str = "parent";

/// The names of one kind that would lose their meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Lost {
    These(BTreeSet<String>),
    All,
}

impl Lost {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::These(names) => names.contains(name),
            Self::All => true,
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::These(names) if names.is_empty())
    }
}

/// What other rules would take from a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Losing {
    kind: String,
    /// Relations on objects of the type.
    relations: Lost,
    /// Names of usersets of the type.
    sets: Lost,
}

impl Losing {
    /// Whether it takes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.relations.is_empty() && self.sets.is_empty()
    }

    /// Whether it takes the meaning of tuples with this relation on objects of the type.
    #[must_use]
    pub fn relation(&self, relation: &str) -> bool {
        self.relations.has(relation)
    }

    /// Whether it takes the meaning of a tuple: `subject_type[#subject_relation] relation object_type`.
    #[must_use]
    pub fn takes(&self, subject_type: &str, subject_relation: Option<&str>, relation: &str, object_type: &str) -> bool {
        (object_type == self.kind && self.relations.has(relation))
            || (subject_type == self.kind && subject_relation.is_some_and(|set| self.sets.has(set)))
    }
}

/// Live tuples that use one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InUse {
    /// The relation.
    pub name: String,
    /// How many.
    pub tuples: u64,
    /// One of them, with its tenant.
    pub example: String,
}

/// Live tuples that use a type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses {
    /// On its objects, by relation.
    pub relations: Vec<InUse>,
    /// Whose subjects are sets of it, by the name of the set.
    pub sets: Vec<InUse>,
}

impl Graph {
    /// What `config` would take from the rules of `kind` that are in force; `None` = the stored rules are deleted,
    /// so that the default holds again, if there is one.
    pub fn losing(&self, kind: &str, config: Option<&Value>) -> Result<Losing, NamespaceError> {
        let kind = kind.to_owned();
        let after = match config.or_else(|| default_namespace(&kind)) {
            Some(config) => Namespace::parse(config)?,
            None => return Ok(Losing { kind, relations: Lost::All, sets: Lost::All }),
        };
        let (held, defined) = (holding(&after), names(&after));
        // Rules that cannot be read give no meaning to lose.
        let before = self.namespaces.get(&kind).map(|stored| stored.clone().unwrap_or_default());
        let Some(before) = before else {
            let relations = defined.difference(&held).cloned().collect();
            return Ok(Losing { kind, relations: Lost::These(relations), sets: Lost::These(BTreeSet::new()) });
        };
        let (had, knew) = (holding(&before), names(&before));
        let unread = (kind == FILE).then_some(PARENT);
        let shadowed = defined.iter().filter(|name| !held.contains(*name) && !knew.contains(*name));
        let lost = had.difference(&held).chain(shadowed).filter(|name| Some(name.as_str()) != unread);
        let relations = lost.cloned().collect();
        let sets = knew.difference(&defined).cloned().collect();
        Ok(Losing { kind, relations: Lost::These(relations), sets: Lost::These(sets) })
    }

    /// The live tuples whose meaning `losing` takes. Visits every entity once: not for the writer.
    #[must_use]
    pub fn orphans(&self, losing: &Losing, now_us: i64) -> Uses {
        self.count(&losing.kind, now_us, |name| losing.relations.has(name), |name| losing.sets.has(name))
    }

    /// The live tuples that use a type. Visits every entity once: not for the writer.
    #[must_use]
    pub fn uses(&self, kind: &str, now_us: i64) -> Uses {
        self.count(kind, now_us, |_| true, |_| true)
    }

    /// The live tuples that would begin to open their *subject*, which is of `kind`: `config` reads a tupleset from
    /// there that the rules in force do not. Whoever wrote them needed no right to the subject. Visits every entity
    /// once: not for the writer.
    pub fn opening(&self, kind: &str, config: &Value, now_us: i64) -> Result<Vec<InUse>, NamespaceError> {
        let Some(id) = self.kinds.find(kind) else { return Ok(Vec::new()) };
        let mut new = forward(id, &Namespace::parse(config)?);
        if let Some(Some(before)) = self.namespaces.get(kind) {
            let before = forward(id, before);
            new.retain(|tupleset| !before.contains(tupleset));
        }
        let mut found = BTreeMap::new();
        // A retired entity has no tuples left.
        let named = 0..self.entities.bound();
        for subject in named.filter(|entity| self.kind_of(*entity) == Some(id)) {
            // Plain subjects come first.
            for edge in self.edges_of(subject).iter().take_while(|edge| edge.head() == PLAIN) {
                let (relation, object) = (edge.middle(), edge.entity());
                if new.contains(self.relations.name(relation.into())) && self.is_live(object, subject, edge, now_us) {
                    let tuple = Tuple { object, relation, set: PLAIN, subject };
                    found.entry(relation).or_insert((0, tuple)).0 += 1;
                }
            }
        }
        Ok(self.in_use(found))
    }

    /// Whether the tuple of an edge of `subject` has not ended.
    fn is_live(&self, object: EntityId, subject: EntityId, of_subject: Edge, now_us: i64) -> bool {
        let forward = Edge::forward(of_subject.middle(), of_subject.head(), subject);
        let forward = if of_subject.has_meta() { forward.with_meta() } else { forward };
        self.meta(object, forward).and_then(|meta| meta.expires_at_us).is_none_or(|at| now_us < at)
    }

    fn count(&self, kind: &str, now_us: i64, relation: impl Fn(&str) -> bool, set: impl Fn(&str) -> bool) -> Uses {
        let Some(kind) = self.kinds.find(kind) else { return Uses::default() };
        let (mut relations, mut sets) = (BTreeMap::new(), BTreeMap::new());
        let live = |object: EntityId, edge: Edge| {
            self.meta(object, edge).and_then(|meta| meta.expires_at_us).is_none_or(|at| now_us < at)
        };
        let add = |found: &mut BTreeMap<u16, (u64, Tuple)>, name: u16, tuple: Tuple| {
            found.entry(name).or_insert((0, tuple)).0 += 1;
        };
        // A retired entity has no tuples left.
        for entity in (0..self.entities.bound()).filter(|entity| self.kind_of(*entity) == Some(kind)) {
            for edge in self.edges_on(entity).iter().filter(|edge| live(entity, *edge)) {
                let tuple = Tuple { object: entity, relation: edge.head(), set: edge.middle(), subject: edge.entity() };
                if relation(self.relations.name(tuple.relation.into())) {
                    add(&mut relations, tuple.relation, tuple);
                }
            }
            for edge in self.edges_of(entity).iter().filter(|edge| edge.head() != PLAIN) {
                let (set_id, relation, object) = (edge.head(), edge.middle(), edge.entity());
                if set(self.relations.name(u32::from(set_id - 1))) && self.is_live(object, entity, edge, now_us) {
                    add(&mut sets, set_id - 1, Tuple { object, relation, set: set_id, subject: entity });
                }
            }
        }
        Uses { relations: self.in_use(relations), sets: self.in_use(sets) }
    }

    fn in_use(&self, found: BTreeMap<u16, (u64, Tuple)>) -> Vec<InUse> {
        let named = found.into_iter().map(|(name, (tuples, example))| InUse {
            name: self.relations.name(name.into()).to_owned(),
            tuples,
            example: self.in_words(example),
        });
        let mut named: Vec<_> = named.collect();
        named.sort_by(|a, b| a.name.cmp(&b.name));
        named
    }

    fn in_words(&self, tuple: Tuple) -> String {
        let name = |id| self.name(id).map_or_else(|| "?".to_owned(), |name| format!("{}:{}", name.kind, name.id));
        let set = match tuple.set {
            PLAIN => String::new(),
            set => format!("#{}", self.relations.name(u32::from(set - 1))),
        };
        let tenant = self.name(tuple.object).map_or("?", |object| object.tenant);
        let (subject, object) = (name(tuple.subject), name(tuple.object));
        let relation = self.relations.name(tuple.relation.into());
        format!("'{subject}{set} {relation} {object}' of tenant '{tenant}'")
    }
}

#[derive(Debug, Clone, Copy)]
struct Tuple {
    object: EntityId,
    relation: u16,
    set: u16,
    subject: EntityId,
}

/// Every name that has a rule.
fn names(namespace: &Namespace) -> BTreeSet<String> {
    namespace.relations.keys().chain(namespace.permissions.keys()).cloned().collect()
}

/// The relations whose tuples some rule reads.
pub(super) fn holding(namespace: &Namespace) -> BTreeSet<String> {
    let mut held = BTreeSet::new();
    for (name, rule) in namespace.relations.iter().chain(&namespace.permissions) {
        rule.each(&mut |rule| match rule {
            Rule::Direct => drop(held.insert(name.clone())),
            Rule::TupleToUserset { tupleset, .. } => drop(held.insert(tupleset.clone())),
            Rule::Name(other) if !namespace.defines(other) => drop(held.insert(other.clone())),
            _ => {}
        });
    }
    held
}

/// The tuplesets that lead from an object of the type to what it is the subject on.
fn forward(kind: KindId, namespace: &Namespace) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rule in namespace.relations.values().chain(namespace.permissions.values()) {
        rule.each(&mut |rule| {
            if let Rule::TupleToUserset { tupleset, .. } = rule
                && Direction::of(kind, tupleset).forward()
            {
                found.insert(tupleset.clone());
            }
        });
    }
    found
}
