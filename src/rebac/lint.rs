//! What is allowed in a namespace and yet hardly meant: warnings, each with its place.
//!
//! Changes no answer and refuses nothing; what is refused is in [`namespace`](super::namespace) and
//! [`stratify`](super::stratify). Reads rules only, never tuples.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::nearest;

use super::namespace::{Namespace, Rule};

/// The type whose `parent` is the directory.
const FILE: &str = "file";
/// The tupleset of files that no tuple is read for.
const PARENT: &str = "parent";

/// The sections of a namespace.
const RELATIONS: &str = "relations";
const PERMISSIONS: &str = "permissions";

/// A name of the type: its section and itself.
type Named<'n> = (&'static str, &'n str);

/// Whether a rule has a property, given whether what it refers to has it.
type Holds = fn(&Rule, &dyn Fn(&Rule) -> bool) -> bool;

/// What may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WarningKind {
    /// A name that the type does not define: it means the bare tuples of that name.
    UndefinedName,
    /// A name behind a tupleset that no type defines.
    UndefinedComputed,
    /// A relation that no permission and no rule reads.
    UnusedRelation,
    /// A name that nobody can ever have.
    NobodyCanHave,
    /// A relation and a permission of one name with two meanings.
    TwoMeanings,
    /// A tupleset whose rule is not read.
    ComputedTupleset,
    /// Everybody has it who is not excluded.
    DefaultAllow,
    /// Tuples that are stored already begin to open their subjects.
    OpensSubjects,
}

/// One warning.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    /// Where, e.g. `permissions.read[0]`.
    pub place: String,
    /// What.
    pub kind: WarningKind,
    /// What it means, and what may have been meant.
    pub text: String,
    /// The name it is about.
    pub name: String,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// What is hardly meant in `namespace`, which was read from `config`. `in_force`: the namespaces of all types, that of
/// `kind` replaced by this one. By place.
pub(super) fn lint(
    kind: &str,
    config: &Value,
    namespace: &Namespace,
    in_force: &BTreeMap<String, Option<Namespace>>,
) -> Vec<Warning> {
    let mut linter = Linter { kind, namespace, in_force, found: BTreeSet::new() };
    for (section, rules) in [(RELATIONS, &namespace.relations), (PERMISSIONS, &namespace.permissions)] {
        for (name, rule) in rules {
            visit(rule, &config[section][name], &format!("{section}.{name}"), &mut |rule, place| {
                linter.reference(rule, place);
            });
        }
    }
    linter.unused();
    linter.nobody();
    linter.two_meanings();
    linter.default_allow();
    linter.found.into_iter().collect()
}

/// Gives each rule to `each` with its place, in the form in which it was written.
fn visit(rule: &Rule, written: &Value, place: &str, each: &mut dyn FnMut(&Rule, &str)) {
    let operator = written.as_object().and_then(|keys| keys.iter().next());
    let inner = operator.map_or_else(|| place.to_owned(), |(operator, _)| format!("{place}.{operator}"));
    let operand = operator.map_or(written, |(_, operand)| operand);
    each(rule, &inner);
    match rule {
        Rule::Union(rules) | Rule::Intersection(rules) => {
            for (i, rule) in rules.iter().enumerate() {
                visit(rule, &operand[i], &format!("{inner}[{i}]"), each);
            }
        }
        Rule::Exclusion(rule) => visit(rule, operand, &inner, each),
        Rule::Direct | Rule::Name(_) | Rule::TupleToUserset { .. } => {}
    }
}

struct Linter<'n> {
    kind: &'n str,
    namespace: &'n Namespace,
    in_force: &'n BTreeMap<String, Option<Namespace>>,
    found: BTreeSet<Warning>,
}

impl Linter<'_> {
    fn warn(&mut self, place: &str, kind: WarningKind, name: &str, text: String) {
        self.found.insert(Warning { place: place.to_owned(), kind, text, name: name.to_owned() });
    }

    /// Whether a tupleset of this type is the path and no tuple.
    fn is_path(&self, tupleset: &str) -> bool {
        self.kind == FILE && tupleset == PARENT
    }

    fn own_names(&self) -> impl Iterator<Item = &str> {
        self.namespace.relations.keys().chain(self.namespace.permissions.keys()).map(String::as_str)
    }

    /// The namespaces of all types that can be read, this one among them.
    fn types(&self) -> impl Iterator<Item = &Namespace> {
        let others = self.in_force.iter().filter(|(kind, _)| *kind != self.kind);
        others.filter_map(|(_, other)| other.as_ref()).chain(std::iter::once(self.namespace))
    }

    /// What a rule refers to.
    fn reference(&mut self, rule: &Rule, place: &str) {
        match rule {
            Rule::Name(name) if !self.namespace.defines(name) => {
                let meant = did_you_mean(name, self.own_names());
                let text = format!(
                    "'{name}' is neither a relation nor a permission of '{}', so it means the tuples with that very \
                     relation{meant}",
                    self.kind
                );
                self.warn(place, WarningKind::UndefinedName, name, text);
            }
            Rule::TupleToUserset { tupleset, computed } => {
                self.tupleset(tupleset, place);
                self.computed(tupleset, computed, place);
            }
            _ => {}
        }
    }

    fn tupleset(&mut self, tupleset: &str, place: &str) {
        if self.is_path(tupleset) {
            return;
        }
        if !self.namespace.defines(tupleset) {
            let meant = did_you_mean(tupleset, self.namespace.relations.keys().map(String::as_str));
            let text = format!(
                "the tupleset '{tupleset}' is no relation of '{}', so it means the tuples with that very \
                 relation{meant}",
                self.kind
            );
            return self.warn(place, WarningKind::UndefinedName, tupleset, text);
        }
        let mut holds = false;
        if let Some(rule) = self.namespace.relations.get(tupleset) {
            rule.each(&mut |rule| holds |= *rule == Rule::Direct);
        }
        let computed = self.namespace.relations.get(tupleset).is_none_or(|rule| *rule != Rule::Direct);
        if computed {
            let text = format!(
                "'{tupleset}' is computed by a rule, which is not read through a tupleset: only tuples with the very \
                 relation '{tupleset}' lead on{}",
                if holds { "" } else { ", and its rule reads none" }
            );
            self.warn(place, WarningKind::ComputedTupleset, tupleset, text);
        }
    }

    fn computed(&mut self, tupleset: &str, computed: &str, place: &str) {
        let path = self.is_path(tupleset);
        let known = if path { self.namespace.defines(computed) } else { self.types().any(|t| t.defines(computed)) };
        if known {
            return;
        }
        let names: BTreeSet<&str> = match path {
            true => self.own_names().collect(),
            false => {
                self.types().flat_map(|t| t.relations.keys().chain(t.permissions.keys())).map(String::as_str).collect()
            }
        };
        let meant = did_you_mean(computed, names);
        let whose = if path { "of 'file'".to_owned() } else { "of any type in force".to_owned() };
        let text = format!(
            "'{computed}' behind '{tupleset}' is no relation or permission {whose}, so it means the tuples with that \
             very relation{meant}"
        );
        self.warn(place, WarningKind::UndefinedComputed, computed, text);
    }

    /// Relations that only a question for their very name can find.
    fn unused(&mut self) {
        let mut used: BTreeSet<&str> = BTreeSet::new();
        for (name, rule) in self.namespace.relations.iter().chain(&self.namespace.permissions) {
            rule.each(&mut |rule| match rule {
                // A relation that refers to itself is not used by that; a permission of the same name uses it.
                Rule::Name(other) if other != name || self.namespace.permissions.contains_key(name) => {
                    used.insert(other);
                }
                Rule::TupleToUserset { tupleset, .. } => drop(used.insert(tupleset)),
                _ => {}
            });
        }
        for namespace in self.types() {
            for rule in namespace.relations.values().chain(namespace.permissions.values()) {
                rule.each(&mut |rule| {
                    if let Rule::TupleToUserset { computed, .. } = rule {
                        used.insert(computed);
                    }
                });
            }
        }
        let unused: Vec<&String> =
            self.namespace.relations.keys().filter(|name| !used.contains(name.as_str())).collect();
        for name in unused {
            let text = format!("no permission and no rule reads '{name}': it gives nothing but its own name");
            self.warn(&format!("relations.{name}"), WarningKind::UnusedRelation, name, text);
        }
    }

    /// Names that no tuple whatsoever gives to anybody.
    fn nobody(&mut self) {
        let possible = self.solve(true, possible);
        let all = self.strata().into_keys().filter(|named| !possible.contains(named));
        for (section, name) in all.map(owned).collect::<Vec<_>>() {
            let why = match self.rule((section, &name)) {
                Rule::Union(rules) if rules.is_empty() => "its list is empty",
                _ => "all it refers to is itself or empty",
            };
            let text = format!("nobody can ever have '{name}': {why}");
            self.warn(&format!("{section}.{name}"), WarningKind::NobodyCanHave, &name, text);
        }
    }

    fn two_meanings(&mut self) {
        let Namespace { relations, permissions } = self.namespace;
        for (name, permission) in permissions {
            let Some(relation) = relations.get(name) else { continue };
            let only_itself = match permission {
                Rule::Union(rules) => matches!(rules.as_slice(), [Rule::Name(only)] if only == name),
                Rule::Name(only) => only == name,
                _ => false,
            };
            if !only_itself && permission != relation {
                let text = format!(
                    "'{name}' is a relation, too: asked for, it means this permission; in a rule, a userset or \
                     behind a tupleset it means the relation"
                );
                self.warn(&format!("permissions.{name}"), WarningKind::TwoMeanings, name, text);
            }
        }
    }

    /// Names that those have who are only not excluded.
    fn default_allow(&mut self) {
        let open = self.solve(false, default_allow);
        let Namespace { relations, permissions } = self.namespace;
        let mut read = BTreeSet::new();
        for (name, rule) in relations.iter().chain(permissions) {
            rule.each(&mut |rule| {
                if let Rule::Name(other) = rule
                    && (other != name || permissions.contains_key(name))
                {
                    read.insert(other.as_str());
                }
            });
        }
        // A relation that rules read is a part; whether the whole is open is told where it is whole.
        let whole = open.into_iter().filter(|(section, name)| *section == PERMISSIONS || !read.contains(name));
        for (section, name) in whole.map(owned).collect::<Vec<_>>() {
            let text = format!(
                "'{name}' rests on an exclusion alone: everybody has it who is not excluded, unknown subjects and \
                 those of other tenants among them. Intersect the exclusion with what somebody must have"
            );
            self.warn(&format!("{section}.{name}"), WarningKind::DefaultAllow, &name, text);
        }
    }

    /// The names of this type for which `holds` says yes, given those for which it does: the least such set, one
    /// stratum of exclusions after the other. `otherwise`: what is said of tuples and of other types.
    fn solve(&self, otherwise: bool, holds: Holds) -> BTreeSet<Named<'_>> {
        let strata = self.strata();
        let mut known: BTreeSet<Named<'_>> = BTreeSet::new();
        for stratum in 0..=strata.values().copied().max().unwrap_or(0) {
            loop {
                let refers = |rule: &Rule| self.refers(rule).map_or(otherwise, |named| known.contains(&named));
                let of_it = strata.iter().filter(|(named, at)| **at == stratum && !known.contains(*named));
                let new: Vec<_> =
                    of_it.filter(|(named, _)| holds(self.rule(**named), &refers)).map(|(named, _)| *named).collect();
                if new.is_empty() {
                    break;
                }
                known.extend(new);
            }
        }
        known
    }

    fn rule(&self, (section, name): Named<'_>) -> &Rule {
        if section == RELATIONS { &self.namespace.relations[name] } else { &self.namespace.permissions[name] }
    }

    /// The name of this type that a rule stands for, if it is one, or reads one on the directory above.
    fn refers(&self, rule: &Rule) -> Option<Named<'_>> {
        let name = match rule {
            Rule::Name(name) => name,
            Rule::TupleToUserset { tupleset, computed } if self.is_path(tupleset) => computed,
            _ => return None,
        };
        let relation = self.namespace.relations.get_key_value(name).map(|(name, _)| (RELATIONS, name.as_str()));
        relation
            .or_else(|| self.namespace.permissions.get_key_value(name).map(|(name, _)| (PERMISSIONS, name.as_str())))
    }

    /// How many exclusions lie below each name at most. There are no rings through one.
    fn strata(&self) -> BTreeMap<Named<'_>, usize> {
        let Namespace { relations, permissions } = self.namespace;
        let all = relations.keys().map(|name| (RELATIONS, name.as_str()));
        let all = all.chain(permissions.keys().map(|name| (PERMISSIONS, name.as_str())));
        let mut strata: BTreeMap<Named<'_>, usize> = all.map(|named| (named, 0)).collect();
        for _ in 0..=strata.len() {
            let mut next = strata.clone();
            for (named, at) in &mut next {
                self.depth(self.rule(*named), 0, &mut |below, exclusions| {
                    *at = (*at).max(strata[&below] + exclusions);
                });
            }
            if next == strata {
                break;
            }
            strata = next;
        }
        strata
    }

    fn depth<'s>(&'s self, rule: &'s Rule, exclusions: usize, each: &mut dyn FnMut(Named<'s>, usize)) {
        if let Some(named) = self.refers(rule) {
            each(named, exclusions);
        }
        match rule {
            Rule::Union(rules) | Rule::Intersection(rules) => {
                rules.iter().for_each(|rule| self.depth(rule, exclusions, each));
            }
            Rule::Exclusion(rule) => self.depth(rule, exclusions + 1, each),
            Rule::Direct | Rule::Name(_) | Rule::TupleToUserset { .. } => {}
        }
    }
}

/// Whether some tuples can give it to somebody.
fn possible(rule: &Rule, refers: &dyn Fn(&Rule) -> bool) -> bool {
    match rule {
        Rule::Direct | Rule::Exclusion(_) => true,
        Rule::Name(_) | Rule::TupleToUserset { .. } => refers(rule),
        Rule::Union(rules) => rules.iter().any(|rule| possible(rule, refers)),
        Rule::Intersection(rules) => rules.iter().all(|rule| possible(rule, refers)),
    }
}

/// Whether a subject without any tuple has it.
fn default_allow(rule: &Rule, refers: &dyn Fn(&Rule) -> bool) -> bool {
    match rule {
        Rule::Direct => false,
        Rule::Exclusion(rule) => !default_allow(rule, refers),
        Rule::Name(_) | Rule::TupleToUserset { .. } => refers(rule),
        Rule::Union(rules) => rules.iter().any(|rule| default_allow(rule, refers)),
        Rule::Intersection(rules) => rules.iter().all(|rule| default_allow(rule, refers)),
    }
}

fn owned((section, name): Named<'_>) -> (&'static str, String) {
    (section, name.to_owned())
}

fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |known| format!("; did you mean '{known}'?"))
}

#[cfg(test)]
mod tests;
