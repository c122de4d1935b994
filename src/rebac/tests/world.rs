//! A store in miniature: names, tuples and namespaces in text, applied to a graph one revision at a time.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::super::*;
use super::oracle::{Facts, Identity, Terms};
use crate::model::{Change, Delta, EntityId, EntityRow, NamespaceRow, Rev, TupleRow};
use crate::store::{self, Projection};

/// The tenant of a text that names none.
pub(super) const HOME: &str = "home";

pub(super) use super::oracle::Who;

/// `[tenant|]kind:id[#relation]`, or `*`.
pub(super) fn who(text: &str) -> Who {
    let named = text.split_once('|').filter(|(tenant, _)| !tenant.contains(':'));
    let (tenant, rest) = named.unwrap_or((HOME, text));
    let public = rest == "*" || rest.starts_with("*#");
    let (kind, rest) = if public { ("*", rest) } else { rest.split_once(':').expect("kind:id") };
    let (id, set) = rest.split_once('#').map_or((rest, None), |(id, set)| (id, Some(set.to_owned())));
    Who { tenant: tenant.into(), kind: kind.into(), id: id.into(), set }
}

impl Who {
    pub(super) fn object(&self) -> ObjectRef<'_> {
        ObjectRef { tenant: &self.tenant, kind: &self.kind, id: &self.id }
    }
}

#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) graph: Graph,
    pub(super) tuples: BTreeMap<Identity, TupleRow>,
    pub(super) namespaces: BTreeMap<String, Value>,
    pub(super) names: BTreeMap<Who, EntityId>,
    pub(super) next: EntityId,
    pub(super) rev: Rev,
    pub(super) env: Env,
    pub(super) caches: Arc<Caches>,
    /// All changes since the beginning or the last start.
    pub(super) log: Vec<Change>,
    /// Compare the ways to an answer; off where their cost would be the test.
    pub(super) compare: bool,
}

impl World {
    pub(super) fn new() -> Self {
        // Compiling the defaults is most of the cost of a small world.
        static EMPTY: LazyLock<Graph> = LazyLock::new(Graph::new);
        let namespaces = default_namespaces().map(|(kind, config)| (kind.to_owned(), config.clone())).collect();
        Self {
            // A defect may be one of compiling them.
            graph: if mutant::any() { Graph::new() } else { EMPTY.clone() },
            tuples: BTreeMap::new(),
            namespaces,
            names: BTreeMap::new(),
            next: 1,
            rev: 0,
            env: Env { now_us: 1_000, context: None },
            caches: Arc::new(Caches::new()),
            log: Vec::new(),
            compare: true,
        }
    }

    /// One committed and published operation.
    fn commit(&mut self, changes: &[Change]) {
        self.rev += 1;
        changes.iter().for_each(|change| self.graph.apply(change, self.rev));
        self.graph.publish(self.rev);
        self.log.extend_from_slice(changes);
    }

    fn intern(&mut self, name: &Who, changes: &mut Vec<Change>) -> EntityId {
        let name = Who { set: None, ..name.clone() };
        if let Some(id) = self.names.get(&name) {
            return *id;
        }
        let id = self.next;
        self.next += 1;
        changes.push(Change::Entity(Delta::insert(row(id, &name))));
        self.names.insert(name, id);
        id
    }

    /// The world that the facts describe; an owner by column is known.
    pub(super) fn of(facts: &Facts, owner: Option<&Who>) -> Self {
        let mut world = Self::new();
        world.know(facts, owner);
        world
    }

    /// Adds facts to a world.
    pub(super) fn know(&mut self, facts: &Facts, owner: Option<&Who>) {
        for (kind, config) in &facts.namespaces {
            if self.namespaces.get(kind) != Some(config) {
                self.namespace(kind, config.clone());
            }
        }
        for (identity, terms) in &facts.tuples {
            self.put(identity.clone(), terms.clone());
        }
        if let Some(owner) = owner {
            let mut changes = Vec::new();
            self.intern(owner, &mut changes);
            self.commit(&changes);
        }
        self.env.now_us = facts.now;
        self.env.context = Some(Arc::new(facts.context.clone()));
    }

    pub(super) fn id(&self, text: &str) -> EntityId {
        self.names[&who(text)]
    }

    /// `subject relation object`, separated by blanks.
    pub(super) fn grant(&mut self, tuple: &str) -> &mut Self {
        self.grant_with(tuple, Terms::default())
    }

    pub(super) fn grant_until(&mut self, tuple: &str, expires: i64) -> &mut Self {
        self.grant_with(tuple, Terms { expires: Some(expires), condition: None })
    }

    pub(super) fn grant_if(&mut self, tuple: &str, condition: &str) -> &mut Self {
        self.grant_with(tuple, Terms { expires: None, condition: Some(condition.to_owned()) })
    }

    pub(super) fn grant_with(&mut self, tuple: &str, with: Terms) -> &mut Self {
        self.put(parts(tuple), with)
    }

    /// Writes a tuple, over the one of its identity if there is one.
    pub(super) fn put(&mut self, (subject, relation, object): Identity, with: Terms) -> &mut Self {
        let mut changes = Vec::new();
        let row = TupleRow {
            tuple_id: String::new(),
            object: self.intern(&object, &mut changes),
            relation: relation.clone(),
            subject: self.intern(&subject, &mut changes),
            subject_relation: subject.set.clone(),
            created_at_us: 0,
            expires_at_us: with.expires,
            condition: with.condition,
            created_by: "user:test".into(),
            rev: self.rev,
        };
        let before = self.tuples.insert((subject, relation, object), row.clone());
        changes.push(Change::Tuple(Delta { before, after: Some(row) }));
        self.commit(&changes);
        self
    }

    /// Takes a tuple back; nothing happens if there is none.
    pub(super) fn revoke(&mut self, tuple: &str) -> &mut Self {
        self.take(&parts(tuple))
    }

    /// As [`revoke`](Self::revoke).
    pub(super) fn take(&mut self, identity: &Identity) -> &mut Self {
        if let Some(row) = self.tuples.remove(identity) {
            self.commit(&[Change::Tuple(Delta::delete(row))]);
        }
        self
    }

    pub(super) fn namespace(&mut self, kind: &str, config: Value) -> &mut Self {
        let delta = Delta { before: self.stored(kind), after: Some(namespace_row(kind, &config)) };
        self.commit(&[Change::Namespace(delta)]);
        self.namespaces.insert(kind.to_owned(), config);
        self
    }

    /// The row of a namespace that is not a default.
    fn stored(&self, kind: &str) -> Option<NamespaceRow> {
        let config = self.namespaces.get(kind).filter(|config| default_namespace(kind) != Some(*config))?;
        Some(namespace_row(kind, config))
    }

    /// Deletes the stored namespace: the default, if there is one, applies again.
    pub(super) fn drop_namespace(&mut self, kind: &str) -> &mut Self {
        let Some(before) = self.stored(kind) else { return self };
        self.commit(&[Change::Namespace(Delta::delete(before))]);
        match default_namespace(kind) {
            Some(default) => self.namespaces.insert(kind.to_owned(), default.clone()),
            None => self.namespaces.remove(kind),
        };
        self
    }

    /// Gives an entity another name; its tuples follow.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> &mut Self {
        self.rename_to(&who(from), &who(to))
    }

    /// As [`rename`](Self::rename).
    pub(super) fn rename_to(&mut self, from: &Who, to: &Who) -> &mut Self {
        let id = self.names.remove(from).expect("a known entity");
        self.names.insert(to.clone(), id);
        let moved = |name: &Who| {
            if name.object() == from.object() { Who { set: name.set.clone(), ..to.clone() } } else { name.clone() }
        };
        let tuples = std::mem::take(&mut self.tuples);
        self.tuples = tuples.into_iter().map(|((s, r, o), row)| ((moved(&s), r, moved(&o)), row)).collect();
        self.commit(&[Change::Entity(Delta::update(row(id, from), row(id, to)))]);
        self
    }

    /// Removes an entity with all its tuples, as the removal of a file does.
    pub(super) fn remove(&mut self, text: &str) -> &mut Self {
        self.remove_all(&who(text))
    }

    /// As [`remove`](Self::remove).
    pub(super) fn remove_all(&mut self, gone: &Who) -> &mut Self {
        let gone = gone.plain();
        let Some(id) = self.names.remove(&gone) else { return self };
        let of_it = |(s, _, o): &(Who, String, Who)| s.object() == gone.object() || o.object() == gone.object();
        let keys: Vec<_> = self.tuples.keys().filter(|key| of_it(key)).cloned().collect();
        let rows = keys.iter().filter_map(|key| self.tuples.remove(key));
        let mut changes: Vec<_> = rows.map(|row| Change::Tuple(Delta::delete(row))).collect();
        changes.push(Change::Entity(Delta::delete(row(id, &gone))));
        self.commit(&changes);
        self
    }

    /// The same from its rows as a start reads them, in small chunks, with empty caches.
    pub(super) fn restarted(&self) -> Self {
        let (mut builder, mut chunks) = (GraphBuilder::new(), Vec::new());
        for (kind, config) in self.namespaces.iter().filter(|(kind, config)| default_namespace(kind) != Some(*config)) {
            builder.namespace(kind, &config.to_string());
        }
        let mut give = |chunk| chunks.push(chunk);
        let mut packer = load::Packer::new(3, &mut give);
        for (name, id) in &self.names {
            packer.entity(store::entities::Name { id: *id, tenant: &name.tenant, kind: &name.kind, name: &name.id });
        }
        for row in self.tuples.values() {
            packer.tuple(store::tuples::Link {
                object: row.object,
                relation: &row.relation,
                subject: row.subject,
                subject_relation: row.subject_relation.as_deref().unwrap_or_default(),
                expires_at_us: row.expires_at_us,
                condition: row.condition.as_deref(),
            });
        }
        packer.hand_over();
        chunks.into_iter().for_each(|chunk| builder.chunk(chunk));
        Self {
            graph: builder.finish(self.rev),
            names: self.names.clone(),
            tuples: self.tuples.clone(),
            namespaces: self.namespaces.clone(),
            env: self.env.clone(),
            next: self.next,
            rev: self.rev,
            ..Self::new()
        }
    }

    /// What the oracle needs to know.
    pub(super) fn facts(&self) -> Facts {
        let terms = |row: &TupleRow| Terms { expires: row.expires_at_us, condition: row.condition.clone() };
        Facts {
            tuples: self.tuples.iter().map(|(identity, row)| (identity.clone(), terms(row))).collect(),
            namespaces: self.namespaces.clone(),
            now: self.env.now_us,
            context: self.env.context.as_deref().cloned().unwrap_or_default(),
        }
    }

    pub(super) fn at(&mut self, now_us: i64) -> &mut Self {
        self.env.now_us = now_us;
        self
    }

    pub(super) fn context(&mut self, context: Value) -> &mut Self {
        self.env.context = context.as_object().cloned().map(Arc::new);
        self
    }

    /// `subject permission object`, decided in every way there is.
    pub(super) fn ask(&self, question: &str) -> Verdict {
        self.ask_as_owner(question, None)
    }

    pub(super) fn ask_as_owner(&self, question: &str, owner: Option<EntityId>) -> Verdict {
        let (subject, permission, object) = parts(question);
        let query = Query { subject: subject.object(), permission: &permission, object: object.object() };
        self.decide(&self.graph, &query, LeafFacts { owner })
    }

    /// The answer of `graph`, which may be an older one.
    pub(super) fn decide(&self, graph: &Graph, query: &Query<'_>, leaf: LeafFacts) -> Verdict {
        self.ways(graph, query, leaf).unwrap_or_else(|differ| panic!("{differ}"))
    }

    /// The answer, or which ways to it differ.
    pub(super) fn ways(&self, graph: &Graph, query: &Query<'_>, leaf: LeafFacts) -> Result<Verdict, String> {
        let budget = &mut Budget::edges(10_000_000);
        let uncached = graph.check(query, leaf, &self.env, None, budget);
        if !self.compare {
            return Ok(uncached);
        }
        let same = |verdict: Verdict, way: &str| {
            if verdict == uncached {
                Ok(())
            } else {
                Err(format!("{way} says {verdict:?}, uncached {uncached:?}: {query:?}"))
            }
        };
        let caches = Some(&*self.caches);
        same(graph.check(query, leaf, &self.env, caches, budget), "cached")?;
        same(graph.check(query, leaf, &self.env, caches, budget), "cached for the second time")?;
        same(graph.check_general(query, leaf, &self.env, budget), "the general evaluator")?;
        if query.object.kind == "file" {
            let mut filter = graph.filter(query.subject, query.permission, query.object.tenant, &self.env, caches);
            same(filter.check(query.object.id, leaf, budget), "a filter")?;
        }
        Ok(uncached)
    }

    /// The answer with a budget of so many edges.
    pub(super) fn short(&self, graph: &Graph, query: &Query<'_>, leaf: LeafFacts, edges: u64) -> Verdict {
        graph.check(query, leaf, &self.env, None, &mut Budget::edges(edges))
    }

    pub(super) fn allows(&self, question: &str) -> bool {
        self.ask(question) == Verdict::Allow
    }

    #[track_caller]
    pub(super) fn yes(&mut self, question: &str) -> &mut Self {
        assert_eq!(self.ask(question), Verdict::Allow, "{question}");
        self
    }

    #[track_caller]
    pub(super) fn no(&mut self, question: &str) -> &mut Self {
        assert_eq!(self.ask(question), Verdict::Deny, "{question}");
        self
    }
}

fn row(id: EntityId, name: &Who) -> EntityRow {
    EntityRow { id, tenant: name.tenant.clone(), kind: name.kind.clone(), name: name.id.clone() }
}

pub(super) fn namespace_row(kind: &str, config: &Value) -> NamespaceRow {
    NamespaceRow {
        namespace_id: kind.into(),
        object_type: kind.into(),
        config: config.to_string(),
        created_at_us: 0,
        updated_at_us: 0,
    }
}

/// `subject relation object`.
pub(super) fn parts(text: &str) -> (Who, String, Who) {
    let mut words = text.split(' ');
    let mut next = || words.next().expect("three words");
    let (subject, relation, object) = (next(), next(), next());
    (who(subject), relation.to_owned(), who(object))
}
