//! The oracle: what the rules say, computed the slowest and plainest way.
//!
//! Strings and sets only; reads the namespaces from their JSON itself and shares nothing with the engine. Two bounds of
//! the alternating fixpoint over all atoms: `low` = certainly, `high` = possibly.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::world::{Who, World};
use crate::model::TupleRow;

/// (object, section, name): section `r` = relations, `p` = permissions, `t` = tuples only, `n` = a rule inside the rule
/// of a name, as name and JSON. It is an atom of its own, as if it had been given a name.
type Atom = (Who, char, String);

pub(super) struct Oracle<'w> {
    world: &'w World,
    subject: Who,
    /// The object of the question and who owns it by column.
    owner: Option<(Who, Who)>,
    on: BTreeMap<Who, Vec<(&'w Who, &'w str, &'w TupleRow)>>,
    of: BTreeMap<Who, Vec<(&'w Who, &'w str, &'w TupleRow)>>,
}

#[derive(Default)]
struct Bounds {
    low: BTreeSet<Atom>,
    high: BTreeSet<Atom>,
}

fn plain(who: &Who) -> Who {
    Who { set: None, ..who.clone() }
}

fn is_public(who: &Who) -> bool {
    who.kind == "*" && who.id == "*"
}

impl<'w> Oracle<'w> {
    pub(super) fn new(world: &'w World, subject: &Who, owner: Option<(Who, Who)>) -> Self {
        let (mut on, mut of) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
        for ((s, relation, o), row) in &world.tuples {
            if relation == "parent" && s.kind == "file" {
                continue;
            }
            if s.tenant != o.tenant && (is_public(s) || !relation.starts_with("shared-")) {
                continue;
            }
            on.entry(o.clone()).or_default().push((s, relation.as_str(), row));
            of.entry(plain(s)).or_default().push((o, relation.as_str(), row));
        }
        Self { world, subject: subject.clone(), owner, on, of }
    }

    /// `Some(true)` = yes, `Some(false)` = no, `None` = not known.
    pub(super) fn answers(&self, questions: &[(Who, String)]) -> Vec<Option<bool>> {
        let root = |(object, name): &(Who, String)| {
            let config = self.world.namespaces.get(&object.kind);
            let has = |section: &str| config.is_some_and(|c| c[section].get(name).is_some());
            (
                object.clone(),
                if has("permissions") {
                    'p'
                } else if has("relations") {
                    'r'
                } else {
                    't'
                },
                name.clone(),
            )
        };
        let roots: Vec<Atom> = questions.iter().map(root).collect();
        let universe = self.universe(&roots);
        let mut bounds = Bounds::default();
        loop {
            self.least(&universe, &mut bounds, true);
            let before = bounds.low.len();
            self.least(&universe, &mut bounds, false);
            if bounds.low.len() == before {
                break;
            }
        }
        let answer = |atom: &Atom| match (bounds.low.contains(atom), bounds.high.contains(atom)) {
            (true, _) => Some(true),
            (false, false) => Some(false),
            (false, true) => None,
        };
        roots.iter().map(answer).collect()
    }

    /// All atoms that the questions could depend on.
    fn universe(&self, roots: &[Atom]) -> Vec<Atom> {
        let mut found: BTreeSet<Atom> = roots.iter().cloned().collect();
        let mut open = roots.to_vec();
        while let Some(atom) = open.pop() {
            let mut named = Vec::new();
            self.holds(&atom, true, &mut |read: &Atom, _| {
                named.push(read.clone());
                false
            });
            open.extend(named.into_iter().filter(|atom| found.insert(atom.clone())));
        }
        found.into_iter().collect()
    }

    fn least(&self, universe: &[Atom], bounds: &mut Bounds, high: bool) {
        if high {
            bounds.high.clear()
        } else {
            bounds.low.clear()
        }
        loop {
            let mut changed = false;
            for atom in universe {
                let mut read = |read: &Atom, high: bool| if high { &bounds.high } else { &bounds.low }.contains(read);
                if self.holds(atom, high, &mut read) {
                    changed |= if high { &mut bounds.high } else { &mut bounds.low }.insert(atom.clone());
                }
            }
            if !changed {
                return;
            }
        }
    }

    fn reference(&self, object: &Who, name: &str) -> Atom {
        let config = self.world.namespaces.get(&object.kind);
        let has = |section: &str| config.is_some_and(|c| c[section].get(name).is_some());
        (
            plain(object),
            if has("relations") {
                'r'
            } else if has("permissions") {
                'p'
            } else {
                't'
            },
            name.to_owned(),
        )
    }

    fn holds(&self, (object, section, name): &Atom, high: bool, read: &mut dyn FnMut(&Atom, bool) -> bool) -> bool {
        let section = match section {
            'r' => "relations",
            'p' => "permissions",
            'n' => {
                let (own, rule) = name.split_once(' ').expect("name and rule");
                return self.rule(&serde_json::from_str(rule).expect("JSON"), object, own, high, read);
            }
            _ => return self.direct(object, name, high, read),
        };
        let rule = &self.world.namespaces[&object.kind][section][name];
        self.rule(rule, object, name, high, read)
    }

    fn rule(
        &self,
        rule: &Value,
        object: &Who,
        own: &str,
        high: bool,
        read: &mut dyn FnMut(&Atom, bool) -> bool,
    ) -> bool {
        let operand = |operand: &Value, high: bool, read: &mut dyn FnMut(&Atom, bool) -> bool| match operand.as_str() {
            Some(name) => read(&self.reference(object, name), high),
            None => read(&(object.clone(), 'n', format!("{own} {operand}")), high),
        };
        let empty = Map::new();
        let keys = rule.as_object().unwrap_or(&empty);
        if let Some(list) = rule.as_array().or_else(|| keys.get("union")?.as_array()) {
            return list.iter().fold(false, |any, o| operand(o, high, read) | any);
        }
        if let Some(list) = keys.get("intersection").and_then(Value::as_array) {
            return list.iter().fold(true, |all, o| operand(o, high, read) & all);
        }
        if let Some(excluded) = keys.get("exclusion") {
            return !operand(excluded, !high, read);
        }
        if let Some(computed) = keys.get("computed_userset") {
            return operand(&computed["relation"], high, read);
        }
        match keys.get("tupleToUserset") {
            Some(ttu) => {
                let text = |key: &str| ttu[key].as_str().expect("a name").to_owned();
                self.leads(object, &text("tupleset"), &text("computedUserset"), high, read)
            }
            None => self.direct(object, own, high, read),
        }
    }

    fn direct(&self, object: &Who, relation: &str, high: bool, read: &mut dyn FnMut(&Atom, bool) -> bool) -> bool {
        let owned =
            |(leaf, owner): &(Who, Who)| leaf == object && relation == "direct_owner" && owner.tenant == object.tenant;
        if self.owner.as_ref().is_some_and(|o| owned(o) && o.1 == self.subject) {
            return true;
        }
        let tuples =
            self.on.get(object).into_iter().flatten().filter(|(_, r, row)| *r == relation && self.counts(row, high));
        let grants = |s: &Who, read: &mut dyn FnMut(&Atom, bool) -> bool| match &s.set {
            Some(set) => !is_public(s) && read(&self.reference(s, set), high),
            None => *s == self.subject || (is_public(s) && s.tenant == self.subject.tenant),
        };
        tuples.fold(false, |any, (s, _, _)| grants(s, read) | any)
    }

    fn leads(
        &self,
        object: &Who,
        tupleset: &str,
        computed: &str,
        high: bool,
        read: &mut dyn FnMut(&Atom, bool) -> bool,
    ) -> bool {
        if object.kind == "file" && tupleset == "parent" {
            let Some((directory, _)) =
                object.id.rsplit_once('/').filter(|_| object.id.starts_with('/') && object.id != "/")
            else {
                return false;
            };
            let directory = if directory.is_empty() { "/" } else { directory };
            return read(&self.reference(&Who { id: directory.to_owned(), ..object.clone() }, computed), high);
        }
        let is_grant = object.kind == "file" || tupleset.starts_with("direct_");
        let mut next = Vec::new();
        if !is_grant {
            let tuples = self.of.get(object).into_iter().flatten();
            let from_here =
                tuples.filter(|(_, r, row)| *r == tupleset && row.subject_relation.is_none() && self.counts(row, high));
            next.extend(from_here.map(|(holder, _, _)| (*holder).clone()));
        }
        if tupleset != "parent" {
            let tuples = self.on.get(object).into_iter().flatten();
            let to_here = tuples.filter(|(s, r, row)| *r == tupleset && s.set.is_none() && self.counts(row, high));
            next.extend(to_here.map(|(s, _, _)| (*s).clone()));
            let owned = self.owner.as_ref().filter(|(leaf, owner)| leaf == object && owner.tenant == object.tenant);
            next.extend(owned.filter(|_| tupleset == "direct_owner").map(|(_, owner)| owner.clone()));
        }
        next.iter().fold(false, |any, next| (!is_public(next) && read(&self.reference(next, computed), high)) | any)
    }

    /// Live, and its condition holds (certainly or possibly). The tests use one kind of condition.
    fn counts(&self, row: &TupleRow, high: bool) -> bool {
        let live = row.expires_at_us.is_none_or(|at| self.world.env.now_us < at);
        let holds = match row.condition.as_deref() {
            None => true,
            Some(r#"{"attributes":{"team":"red"}}"#) => {
                let team = self.world.env.context.as_ref().and_then(|context| context.get("team"));
                team.map_or(high, |team| team == "red")
            }
            Some(_) => high,
        };
        live && holds
    }
}
