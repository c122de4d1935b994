//! The oracle: what the rules say, computed the slowest and plainest way.
//!
//! Plain data in, answers out: strings and sets only. It reads namespaces and conditions from their JSON itself and
//! shares nothing with the engine, so it is compiled into the tests of the engine and into those of the whole server.
//! Every atom (an object and a name) is written out as a formula over other atoms; then the alternating fixpoint over
//! all of them: `low` = certainly, `high` = possibly.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// `kind:id` of a tenant, or a userset of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Who {
    pub(crate) tenant: String,
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) set: Option<String>,
}

impl Who {
    pub(crate) fn new(tenant: &str, kind: &str, id: &str) -> Self {
        Self { tenant: tenant.to_owned(), kind: kind.to_owned(), id: id.to_owned(), set: None }
    }

    pub(crate) fn plain(&self) -> Self {
        Self { set: None, ..self.clone() }
    }

    pub(crate) fn is_public(&self) -> bool {
        self.kind == "*" && self.id == "*"
    }
}

/// Subject, relation, object: what a tuple is known by.
pub(crate) type Identity = (Who, String, Who);

/// What a tuple says beside its identity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Live while `now < expires`.
    pub(crate) expires: Option<i64>,
    /// JSON text.
    pub(crate) condition: Option<String>,
}

/// All that answers depend on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) tuples: BTreeMap<Identity, Terms>,
    /// Those in force, the defaults included. One that is no object cannot be read.
    pub(crate) namespaces: BTreeMap<String, Value>,
    pub(crate) now: i64,
    pub(crate) context: Map<String, Value>,
}

/// An object and a name: `p` of its permissions, `r` of its relations, `t` its tuples only, `n` a rule inside the rule
/// of a name (as name and JSON), which is an atom of its own as if it had been given a name.
type Atom = (Who, char, String);

/// What an atom is made of; numbers are atoms.
enum Formula {
    Known(Option<bool>),
    Atom(usize),
    Any(Vec<Formula>),
    All(Vec<Formula>),
    Not(usize),
}

/// The answers about one subject.
pub(crate) struct Oracle<'f> {
    facts: &'f Facts,
    subject: Who,
    /// The object of the question and who owns it by column.
    owner: Option<(Who, Who)>,
    on: BTreeMap<&'f Who, Vec<(&'f Identity, &'f Terms)>>,
    of: BTreeMap<Who, Vec<(&'f Identity, &'f Terms)>>,
    numbers: BTreeMap<Atom, usize>,
    open: Vec<Atom>,
    formulas: Vec<Formula>,
    low: Vec<bool>,
    high: Vec<bool>,
}

impl<'f> Oracle<'f> {
    pub(crate) fn new(facts: &'f Facts, subject: &Who, owner: Option<(Who, Who)>) -> Self {
        let (mut on, mut of) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
        for (identity, terms) in &facts.tuples {
            let (s, relation, o) = identity;
            let stored_parent = relation == "parent" && s.kind == "file";
            let share = ["shared-viewer", "shared-editor", "shared-owner"].contains(&relation.as_str());
            let crosses = s.tenant != o.tenant && (s.is_public() || !share);
            if !stored_parent && !crosses {
                on.entry(o).or_default().push((identity, terms));
                of.entry(s.plain()).or_default().push((identity, terms));
            }
        }
        let subject = subject.plain();
        let (numbers, open, formulas) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { facts, subject, owner, on, of, numbers, open, formulas, low: Vec::new(), high: Vec::new() }
    }

    /// `Some(true)` = yes, `Some(false)` = no, `None` = not known.
    pub(crate) fn answers(mut self, questions: &[(Who, String)]) -> Vec<Option<bool>> {
        let roots: Vec<usize> = questions.iter().map(|(object, name)| self.named(object, name, "pr")).collect();
        // The order of numbers is the order in which atoms were opened.
        let mut next = 0;
        while next < self.open.len() {
            let formula = self.formula(&self.open[next].clone());
            self.formulas.push(formula);
            next += 1;
        }
        self.low = vec![false; next];
        loop {
            self.high = self.least(true);
            let low = self.least(false);
            if low == self.low {
                break;
            }
            self.low = low;
        }
        let answer = |root: &usize| match (self.low[*root], self.high[*root]) {
            (true, _) => Some(true),
            (false, false) => Some(false),
            (false, true) => None,
        };
        roots.iter().map(answer).collect()
    }

    /// The least fixpoint of one bound, the other held.
    fn least(&mut self, high: bool) -> Vec<bool> {
        let bound = |oracle: &mut Self| std::mem::take(if high { &mut oracle.high } else { &mut oracle.low });
        let before = bound(self);
        let mut now = vec![false; self.formulas.len()];
        loop {
            let mut changed = false;
            for (atom, formula) in self.formulas.iter().enumerate() {
                if !now[atom] && self.holds(formula, high, &now) {
                    now[atom] = true;
                    changed = true;
                }
            }
            if !changed {
                *(if high { &mut self.high } else { &mut self.low }) = before;
                return now;
            }
        }
    }

    fn holds(&self, formula: &Formula, high: bool, same: &[bool]) -> bool {
        let other = if high { &self.low } else { &self.high };
        match formula {
            Formula::Known(value) => value.unwrap_or(high),
            Formula::Atom(atom) => same[*atom],
            Formula::Any(list) => list.iter().any(|f| self.holds(f, high, same)),
            Formula::All(list) => list.iter().all(|f| self.holds(f, high, same)),
            Formula::Not(atom) => !other[*atom],
        }
    }

    fn atom(&mut self, atom: Atom) -> usize {
        let next = self.numbers.len();
        let number = *self.numbers.entry(atom.clone()).or_insert(next);
        if number == next {
            self.open.push(atom);
        }
        number
    }

    /// A question looks among permissions first, a reference among relations.
    fn named(&mut self, object: &Who, name: &str, order: &str) -> usize {
        let config = self.facts.namespaces.get(&object.kind);
        let has = |section: &char| config.is_some_and(|c| c[section_of(*section)].get(name).is_some());
        let section = order.chars().find(has).unwrap_or('t');
        self.atom((object.plain(), section, name.to_owned()))
    }

    fn reference(&mut self, object: &Who, name: &str) -> Formula {
        Formula::Atom(self.named(object, name, "rp"))
    }

    fn formula(&mut self, (object, section, name): &Atom) -> Formula {
        let facts = self.facts;
        let config = facts.namespaces.get(&object.kind);
        if config.is_some_and(|config| !config.is_object()) {
            return Formula::Known(None);
        }
        match (section, config) {
            ('n', _) => {
                let (own, rule) = name.split_once('\n').expect("name and rule");
                self.rule(&serde_json::from_str(rule).expect("JSON"), object, own)
            }
            ('r' | 'p', Some(config)) => self.rule(&config[section_of(*section)][name], object, name),
            _ => self.direct(object, name),
        }
    }

    fn rule(&mut self, rule: &Value, object: &Who, own: &str) -> Formula {
        let number = |oracle: &mut Self, operand: &Value| match operand.as_str() {
            Some(name) => oracle.named(object, name, "rp"),
            None => oracle.atom((object.clone(), 'n', format!("{own}\n{operand}"))),
        };
        let all = |oracle: &mut Self, list: &[Value]| {
            list.iter().map(|operand| Formula::Atom(number(oracle, operand))).collect::<Vec<_>>()
        };
        let text = |value: &Value| value.as_str().expect("a name").to_owned();
        if let Some(list) = rule.as_array().or_else(|| rule.get("union")?.as_array()) {
            return Formula::Any(all(self, list));
        }
        if let Some(list) = rule.get("intersection").and_then(Value::as_array) {
            return Formula::All(all(self, list));
        }
        if let Some(excluded) = rule.get("exclusion") {
            return Formula::Not(number(self, excluded));
        }
        if let Some(computed) = rule.get("computed_userset") {
            return Formula::Atom(number(self, &computed["relation"]));
        }
        match rule.get("tupleToUserset") {
            Some(ttu) => self.leads(object, &text(&ttu["tupleset"]), &text(&ttu["computedUserset"])),
            None => self.direct(object, own),
        }
    }

    /// The owner by column, if it counts as a `direct_owner` of the object.
    fn owner_of(&self, object: &Who, relation: &str) -> Option<Who> {
        let (leaf, owner) = self.owner.as_ref()?;
        (leaf == object && relation == "direct_owner" && owner.tenant == object.tenant).then(|| owner.clone())
    }

    fn direct(&mut self, object: &Who, relation: &str) -> Formula {
        let is_subject = |who: &Who, subject: &Who| {
            who == subject || (who.is_public() && who.set.is_none() && who.tenant == subject.tenant)
        };
        let owned = self.owner_of(object, relation).is_some_and(|owner| owner == self.subject);
        let mut any = vec![Formula::Known(Some(owned))];
        let tuples = self.on.get(object).cloned().unwrap_or_default();
        for ((s, _, _), terms) in tuples.into_iter().filter(|(t, _)| t.1 == *relation) {
            let grants = match &s.set {
                Some(_) if s.is_public() => continue,
                Some(set) => self.reference(s, set),
                None => Formula::Known(Some(is_subject(s, &self.subject))),
            };
            any.push(Formula::All(vec![Formula::Known(self.counts(terms)), grants]));
        }
        Formula::Any(any)
    }

    /// `computed` on what the tupleset leads to.
    fn leads(&mut self, object: &Who, tupleset: &str, computed: &str) -> Formula {
        if object.kind == "file" && tupleset == "parent" {
            let path = Some(object.id.as_str()).filter(|id| id.starts_with('/') && *id != "/");
            let Some((above, _)) = path.and_then(|path| path.rsplit_once('/')) else {
                return Formula::Known(Some(false));
            };
            let above = if above.is_empty() { "/" } else { above };
            return self.reference(&Who { id: above.to_owned(), ..object.clone() }, computed);
        }
        let is_grant = object.kind == "file" || tupleset.starts_with("direct_");
        let mut next: Vec<(Who, Option<bool>)> = Vec::new();
        let named = |tuples: Option<&Vec<(&'f Identity, &'f Terms)>>| {
            let plain = tuples.into_iter().flatten().filter(|((s, r, _), _)| r == tupleset && s.set.is_none());
            plain.copied().collect::<Vec<_>>()
        };
        if !is_grant {
            next.extend(
                named(self.of.get(object)).into_iter().map(|((_, _, o), terms)| (o.clone(), self.counts(terms))),
            );
        }
        if tupleset != "parent" {
            next.extend(
                named(self.on.get(object)).into_iter().map(|((s, _, _), terms)| (s.clone(), self.counts(terms))),
            );
            next.extend(self.owner_of(object, tupleset).map(|owner| (owner, Some(true))));
        }
        let next = next.into_iter().filter(|(who, _)| !who.is_public());
        Formula::Any(
            next.map(|(who, counts)| Formula::All(vec![Formula::Known(counts), self.reference(&who, computed)]))
                .collect(),
        )
    }

    /// Whether a tuple is live and its condition holds; `None` = not known.
    fn counts(&self, terms: &Terms) -> Option<bool> {
        let live = terms.expires.is_none_or(|expires| self.facts.now < expires);
        if live {
            terms.condition.as_deref().map_or(Some(true), |text| holds(text, &self.facts.context))
        } else {
            Some(false)
        }
    }
}

fn section_of(section: char) -> &'static str {
    if section == 'p' { "permissions" } else { "relations" }
}

/// A condition, as far as the generators write them: attributes, devices, addresses.
fn holds(text: &str, context: &Map<String, Value>) -> Option<bool> {
    let Ok(Value::Object(condition)) = serde_json::from_str(text) else { return None };
    if condition.get("type") == Some(&json!("dynamic_viewer")) {
        return Some(true);
    }
    let mut tests = BTreeSet::new();
    for (key, wanted) in &condition {
        match (key.as_str(), wanted) {
            ("attributes", Value::Object(wanted)) => {
                tests.extend(wanted.iter().map(|(key, value)| context.get(key).map(|given| given == value)));
            }
            ("allowed_devices", Value::Array(list)) => {
                tests.insert(context.get("device").map(|given| list.contains(given)));
            }
            ("allowed_ips", Value::Array(list)) => {
                tests.insert(context.get("ip").map(|given| list.contains(given)));
            }
            _ => return None,
        }
    }
    let failed = tests.contains(&Some(false));
    if failed { Some(false) } else { (!tests.contains(&None)).then_some(true) }
}
