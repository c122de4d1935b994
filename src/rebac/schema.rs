//! The namespaces of all types, compiled: what a name means on an object of a type, and whether it can be walked.
//!
//! A *plan* is how a name is decided. `Walk` needs the name to be a plain union of grants found on the object, or (for
//! files) on the object and every directory above it; everything else is `General` and goes to
//! [`eval`](super::eval). Invariant: a walk is an optimisation, never another meaning.

mod classify;

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use super::edge::{RelId, SetId};
use super::limits::RELATIONS_MAX;
use super::names::{KindId, Names, RelationSet};
use super::namespace::{Namespace, Rule};
use super::reverse::Reverse;
use classify::Classifier;

/// Types and relations with numbers of their own, interned first by every graph.
pub(super) const KINDS: &[&str] = &["*", "file"];
pub(super) const PUBLIC_KIND: KindId = 0;
pub(super) const FILE: KindId = 1;
pub(super) const RELATIONS: &[&str] = &["shared-viewer", "shared-editor", "shared-owner", "parent", "direct_owner"];
pub(super) const PARENT: RelId = 3;
pub(super) const DIRECT_OWNER: RelId = 4;

/// Whether a tuple of this relation may name a subject of another tenant.
pub(super) fn crosses_tenants(relation: RelId) -> bool {
    if mutant!(SharesDoNotCross) {
        return false;
    }
    if mutant!(AllRelationsCross) {
        return true;
    }
    relation < PARENT
}

/// The id of a relation name, given one if there is room.
pub(super) fn relation_id(relations: &mut Names, name: &str) -> Option<RelId> {
    let known = relations.find(name).or_else(|| (relations.len() < RELATIONS_MAX).then(|| relations.intern(name)));
    known.and_then(|id| RelId::try_from(id).ok())
}

pub(super) type NodeId = u32;

/// What a name stands for on an object of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Name {
    /// The tuples of this relation and nothing else.
    Direct(RelId),
    /// A rule.
    Node(NodeId),
    /// The stored namespace of the type cannot be read: nothing is known.
    Broken,
}

/// Where a tupleset leads from an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// To the directory of the path; no tuple is read.
    Path,
    /// To the objects of tuples with this object as subject.
    Forward,
    /// To the plain subjects of tuples on this object.
    Reverse,
    /// Both ways.
    Both,
}

impl Direction {
    /// `parent` is stored child-as-subject, `direct_*` is a grant on the object; the form does not tell of others.
    /// On files nothing but the path leads away from a file: a tuple elsewhere must not open it.
    pub(super) fn of(kind: KindId, tupleset: &str) -> Self {
        match (kind, tupleset) {
            (FILE, "parent") => Self::Path,
            (_, "parent") if mutant!(TuplesetReadBackwards) => Self::Reverse,
            (_, grant) if mutant!(TuplesetReadBackwards) && grant.starts_with("direct_") => Self::Forward,
            (_, "parent") if mutant!(ParentReadBothWays) => Self::Both,
            (FILE, _) => Self::Reverse,
            (_, "parent") => Self::Forward,
            (_, grant) if grant.starts_with("direct_") => Self::Reverse,
            _ => Self::Both,
        }
    }

    pub(super) fn forward(self) -> bool {
        matches!(self, Self::Forward | Self::Both)
    }

    pub(super) fn reverse(self) -> bool {
        matches!(self, Self::Reverse | Self::Both)
    }
}

/// A compiled rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Union(Box<[Name]>),
    Intersection(Box<[Name]>),
    Exclusion(Name),
    Ttu { tupleset: RelId, direction: Direction, computed: RelId },
}

/// One relation that grants in a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) relation: RelId,
    /// Its subjects themselves, and the members of its usersets.
    pub(super) direct: bool,
    /// Whoever is in one of these sets of its plain subjects.
    pub(super) computed: Box<[SetId]>,
}

/// A name that is a union of grants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Walk {
    /// Whether a directory's grants hold below it: the name is homogeneous.
    pub(super) inherits: bool,
    pub(super) grants: Box<[Grant]>,
    /// Index + 1 into `grants` by relation.
    index: Box<[u8]>,
}

impl Walk {
    fn new(inherits: bool, granting: BTreeMap<RelId, (bool, Vec<SetId>)>) -> Option<Self> {
        let mut index = vec![0; granting.keys().max().map_or(0, |max| usize::from(*max) + 1)];
        let mut grants = Vec::with_capacity(granting.len());
        for (relation, (direct, computed)) in granting {
            grants.push(Grant { relation, direct, computed: computed.into() });
            // More granting relations than a byte can count: the general evaluator has no such bound.
            index[usize::from(relation)] = u8::try_from(grants.len()).ok()?;
        }
        Some(Self { inherits, grants: grants.into(), index: index.into() })
    }
}

/// How a name is decided.
#[derive(Debug, Clone, Copy)]
pub(super) enum Plan<'s> {
    /// By the grants on the object, or on it and all directories above it.
    Walk(&'s Walk),
    /// By the tuples of one relation on the object.
    Single(RelId),
    /// By the general evaluator.
    General,
}

impl<'s> Plan<'s> {
    /// Whether edges of this relation grant: directly, and through which sets of their subjects.
    pub(super) fn grant(self, relation: RelId) -> Option<(bool, &'s [SetId])> {
        match self {
            Self::Walk(walk) => {
                let at = usize::from(*walk.index.get(usize::from(relation))?).checked_sub(1)?;
                let grant = &walk.grants[at];
                Some((grant.direct, &grant.computed))
            }
            Self::Single(single) => (single == relation).then_some((true, &[])),
            Self::General => None,
        }
    }

    /// All granting relations.
    pub(super) fn grants(self) -> impl Iterator<Item = (RelId, bool, &'s [SetId])> {
        let (walk, single): (&[Grant], _) = match self {
            Self::Walk(walk) => (&walk.grants, None),
            Self::Single(relation) => (&[], Some((relation, true, [].as_slice()))),
            Self::General => (&[], None),
        };
        walk.iter().map(|g| (g.relation, g.direct, &*g.computed)).chain(single)
    }

    pub(super) fn inherits(self) -> bool {
        matches!(self, Self::Walk(walk) if walk.inherits)
    }
}

/// The names of one type.
#[derive(Debug, Clone, Default)]
struct Kind {
    relations: FxHashMap<RelId, Name>,
    permissions: FxHashMap<RelId, Name>,
    broken: bool,
}

/// All namespaces, compiled.
#[derive(Debug, Clone, Default)]
pub(super) struct Schema {
    kinds: FxHashMap<KindId, Kind>,
    nodes: Vec<Node>,
    /// Where each node was written, for errors: `file relations.viewer`.
    places: Vec<String>,
    /// By node; `None` = general.
    walks: Vec<Option<Walk>>,
    /// Sets that walks on files, and walks on other objects, look for in plain subjects.
    pub(super) computed_on_files: RelationSet,
    pub(super) computed_elsewhere: RelationSet,
    /// Tuplesets read with the object as the tuple's subject.
    forward: FxHashSet<(KindId, RelId)>,
    /// What reads a name.
    reverse: Reverse,
}

impl Schema {
    /// Compiles the namespaces in force; `None` = the stored text of that type cannot be read.
    pub(super) fn compile(
        namespaces: &BTreeMap<String, Option<Namespace>>,
        kinds: &mut Names,
        relations: &mut Names,
    ) -> Self {
        let mut schema = Self::default();
        for (kind_name, namespace) in namespaces {
            let kind = kinds.intern(kind_name);
            let compiled = namespace.as_ref().and_then(|n| schema.add(kind, kind_name, n, relations));
            let compiled = compiled.unwrap_or(Kind { broken: true, ..Kind::default() });
            schema.kinds.insert(kind, compiled);
        }
        schema.walks = (0..schema.nodes.len()).map(|_| None).collect();
        let mut known = FxHashMap::default();
        for (kind, node) in schema.owned_nodes() {
            let walk = Classifier { schema: &schema }.walk(node, &mut known);
            if let Some(walk) = &walk {
                let computed =
                    if kind == FILE { &mut schema.computed_on_files } else { &mut schema.computed_elsewhere };
                walk.grants.iter().flat_map(|g| &*g.computed).for_each(|set| computed.insert(set - 1));
            }
            schema.walks[node as usize] = walk;
        }
        schema.reverse = Reverse::of(&schema);
        schema
    }

    fn owned_nodes(&self) -> Vec<(KindId, NodeId)> {
        let names = |kind: &Kind| kind.relations.values().chain(kind.permissions.values()).copied().collect::<Vec<_>>();
        let node = |name| if let Name::Node(node) = name { Some(node) } else { None };
        self.kinds.iter().flat_map(|(id, kind)| names(kind).into_iter().filter_map(node).map(|n| (*id, n))).collect()
    }

    /// `None` = no room for its relation names.
    fn add(&mut self, kind: KindId, kind_name: &str, namespace: &Namespace, relations: &mut Names) -> Option<Kind> {
        let mut compiled = Kind::default();
        let mut pending = Vec::new();
        for (section, rules) in [("relations", &namespace.relations), ("permissions", &namespace.permissions)] {
            for (name, rule) in rules {
                let id = relation_id(relations, name)?;
                let meaning = match rule {
                    Rule::Direct => Name::Direct(id),
                    Rule::Intersection(_) | Rule::Exclusion(_)
                        if mutant!(RelationOperatorsIgnored) && section == "relations" =>
                    {
                        Name::Direct(id)
                    }
                    _ => {
                        let node = self.reserve(format!("{kind_name} {section}.{name}"));
                        pending.push((node, id, rule));
                        Name::Node(node)
                    }
                };
                if section == "relations" { &mut compiled.relations } else { &mut compiled.permissions }
                    .insert(id, meaning);
            }
        }
        for (node, own, rule) in pending {
            self.nodes[node as usize] = self.rule(kind, &compiled, own, node, rule, relations)?;
        }
        Some(compiled)
    }

    fn reserve(&mut self, place: String) -> NodeId {
        self.nodes.push(Node::Union([].into()));
        self.places.push(place);
        NodeId::try_from(self.nodes.len() - 1).expect("namespaces are bounded")
    }

    fn rule(
        &mut self,
        kind: KindId,
        names: &Kind,
        own: RelId,
        at: NodeId,
        rule: &Rule,
        relations: &mut Names,
    ) -> Option<Node> {
        let mut operands = |schema: &mut Self, rules: &[Rule], operator: &str| {
            let operand = |(i, rule)| schema.operand(kind, names, own, format!("{operator}[{i}]"), at, rule, relations);
            rules.iter().enumerate().map(operand).collect::<Option<Box<[Name]>>>()
        };
        Some(match rule {
            Rule::Direct => Node::Union([Name::Direct(own)].into()),
            Rule::Name(_) => Node::Union(operands(self, std::slice::from_ref(rule), "name")?),
            Rule::Union(rules) => Node::Union(operands(self, rules, "union")?),
            Rule::Intersection(rules) => Node::Intersection(operands(self, rules, "intersection")?),
            Rule::Exclusion(inner) => Node::Exclusion(operands(self, std::slice::from_ref(inner), "exclusion")?[0]),
            Rule::TupleToUserset { tupleset, computed } => {
                let direction = Direction::of(kind, tupleset);
                let tupleset = relation_id(relations, tupleset)?;
                if direction.forward() {
                    self.forward.insert((kind, tupleset));
                }
                Node::Ttu { tupleset, direction, computed: relation_id(relations, computed)? }
            }
        })
    }

    #[expect(clippy::too_many_arguments, reason = "one recursion over the text form, with its place")]
    fn operand(
        &mut self,
        kind: KindId,
        names: &Kind,
        own: RelId,
        step: String,
        at: NodeId,
        rule: &Rule,
        relations: &mut Names,
    ) -> Option<Name> {
        match rule {
            Rule::Direct => Some(Name::Direct(own)),
            Rule::Name(name) => Some(names.reference(relation_id(relations, name)?)),
            _ => {
                let node = self.reserve(format!("{}.{step}", self.places[at as usize]));
                self.nodes[node as usize] = self.rule(kind, names, own, node, rule, relations)?;
                Some(Name::Node(node))
            }
        }
    }

    /// What a reference from a rule or a userset means: a relation of the type, else a permission, else tuples.
    pub(super) fn reference(&self, kind: KindId, relation: RelId) -> Name {
        self.kinds.get(&kind).map_or(Name::Direct(relation), |names| names.reference(relation))
    }

    /// What a question means: a permission of the type, else a relation, else tuples.
    pub(super) fn question(&self, kind: KindId, name: RelId) -> Name {
        let Some(names) = self.kinds.get(&kind) else { return Name::Direct(name) };
        if names.broken {
            return Name::Broken;
        }
        if mutant!(QuestionMeansRelationFirst) {
            return names.reference(name);
        }
        let known = names.permissions.get(&name).or_else(|| names.relations.get(&name));
        known.copied().unwrap_or(Name::Direct(name))
    }

    /// Whether the type has a namespace that names it.
    pub(super) fn defines(&self, kind: KindId, name: RelId) -> bool {
        self.kinds.get(&kind).is_some_and(|k| k.permissions.contains_key(&name) || k.relations.contains_key(&name))
    }

    pub(super) fn has_namespace(&self, kind: KindId) -> bool {
        self.kinds.contains_key(&kind)
    }

    pub(super) fn reads_forward(&self, kind: KindId, relation: RelId) -> bool {
        self.forward.contains(&(kind, relation))
    }

    pub(super) fn node(&self, node: NodeId) -> &Node {
        &self.nodes[node as usize]
    }

    pub(super) fn place(&self, node: NodeId) -> &str {
        &self.places[node as usize]
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        (0..).zip(&self.nodes)
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = KindId> + '_ {
        self.kinds.keys().copied()
    }

    /// Every relation and every permission: type, name, meaning.
    pub(super) fn each_name(&self) -> impl Iterator<Item = (KindId, RelId, Name)> + '_ {
        let names = |kind: &'_ Kind| -> Vec<(RelId, Name)> {
            kind.relations.iter().chain(&kind.permissions).map(|(id, name)| (*id, *name)).collect()
        };
        self.kinds
            .iter()
            .flat_map(move |(id, kind)| names(kind).into_iter().map(|(name, meaning)| (*id, name, meaning)))
    }

    /// What reads a name.
    pub(super) fn reverse(&self) -> &Reverse {
        &self.reverse
    }

    pub(super) fn is_broken(&self, kind: KindId) -> bool {
        self.kinds.get(&kind).is_some_and(|k| k.broken)
    }

    /// What the names of the type stand for.
    pub(super) fn all_names(&self, kind: KindId) -> Vec<Name> {
        let names = self.kinds.get(&kind).into_iter();
        names.flat_map(|kind| kind.relations.values().chain(kind.permissions.values()).copied()).collect()
    }

    /// The name of the type that stands for this, if one does; a relation before a permission.
    pub(super) fn named(&self, kind: KindId, name: Name) -> Option<RelId> {
        let names = self.kinds.get(&kind)?;
        let all = names.relations.iter().chain(&names.permissions);
        all.into_iter().find(|(_, meaning)| **meaning == name).map(|(id, _)| *id)
    }

    pub(super) fn plan(&self, name: Name) -> Plan<'_> {
        match name {
            Name::Direct(relation) => Plan::Single(relation),
            Name::Node(node) => self.walks[node as usize].as_ref().map_or(Plan::General, Plan::Walk),
            Name::Broken => Plan::General,
        }
    }
}

impl Kind {
    fn reference(&self, relation: RelId) -> Name {
        if self.broken {
            return Name::Broken;
        }
        if mutant!(ReferenceMeansRelationOnly) {
            return self.relations.get(&relation).copied().unwrap_or(Name::Direct(relation));
        }
        let known = self.relations.get(&relation).or_else(|| self.permissions.get(&relation));
        known.copied().unwrap_or(Name::Direct(relation))
    }
}
