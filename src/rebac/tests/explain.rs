//! Explanations against the oracle: proofs are replayed, changes are made, and where none is promised none is found.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::explain::{Action, Explanation, How, MissWhy, Repair};
use super::super::*;
use super::oracle::{Facts, Identity, Oracle, Terms, Who};
use super::random::{Flavour, Names, Rng};
use super::runner::seed_of;
use super::verifier::{Verifier, identity, tuples};
use super::world::World;

/// Denials whose changes are made and taken apart.
const DENIALS: usize = 1_000;
/// Allows whose proofs are replayed.
const ALLOWS: usize = 500;
/// Denials that nothing can repair, for which all pairs of changes are tried.
const PAIRED: usize = 12;

type Counts = BTreeMap<String, usize>;

/// One question in its world.
struct Case {
    facts: Facts,
    owner: Option<(Who, Who)>,
    subject: Who,
    object: Who,
    permission: String,
    world: World,
}

impl Case {
    fn random(flavour: Flavour, rng: &mut Rng) -> Self {
        let names = Names::new(flavour, rng);
        let mut schema = World::new();
        for _ in 0..rng.between(1, 3) {
            if let Some((kind, config)) = names.namespace(rng) {
                schema.namespace(kind, config);
            }
        }
        let guarded = flavour == Flavour::Free && rng.chance(20);
        if guarded {
            schema.namespace("file", guarded_file());
        }
        let mut facts = names.facts(&schema.namespaces, rng);
        let owner = rng.chance(30).then(|| names.owned(rng));
        let mut subject = names.asker(&facts, rng);
        let (mut object, mut permission) = names.asked(&facts, rng);
        if let Some((leaf, owner)) = owner.as_ref().filter(|_| rng.chance(30)) {
            object = leaf.clone();
            if rng.chance(20) {
                facts.tuples.insert((subject.clone(), "member".into(), owner.clone()), names.terms(rng));
            }
        }
        if guarded && object.kind == "file" {
            if let Some((leaf, owner)) = owner.as_ref().filter(|_| rng.chance(40)) {
                (subject, object) = (owner.clone(), leaf.clone());
            }
            permission = rng.pick(&["read", "read", "read", "strange", "strange", "never"]).to_owned();
            guard(&mut facts, &subject, &object, rng);
        }
        let mut world = schema;
        world.know(&facts, owner.as_ref().map(|(_, owner)| owner));
        let owner = owner.filter(|(leaf, _)| *leaf == object);
        Self { facts, owner, subject, object, permission, world }
    }

    fn query(&self) -> Query<'_> {
        Query { subject: self.subject.object(), permission: &self.permission, object: self.object.object() }
    }

    fn explain(&self) -> Explanation {
        let owner = self.owner.as_ref().and_then(|(_, owner)| self.world.graph.entity(owner.object()));
        let budget = &mut Budget::edges(10_000_000);
        let (graph, caches) = (&self.world.graph, Some(&*self.world.caches));
        graph.explain(&self.query(), LeafFacts { owner }, &self.world.env, caches, budget, &|| false)
    }

    fn oracle(&self, facts: &Facts, owner: Option<(Who, Who)>) -> Option<bool> {
        Oracle::new(facts, &self.subject, owner).answers(&[(self.object.clone(), self.permission.clone())])[0]
    }

    /// The oracle's answer after a part of a change.
    fn after(&self, repair: &Repair, part: u32) -> Option<bool> {
        let (facts, owner) = after(&self.facts, self.owner.clone(), repair, part);
        self.oracle(&facts, owner)
    }

    fn verifier(&self) -> Verifier<'_> {
        Verifier { facts: &self.facts, subject: self.subject.clone(), owner: self.owner.clone() }
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stored: BTreeMap<_, _> =
            self.facts.namespaces.iter().filter(|(kind, config)| default_namespace(kind) != Some(config)).collect();
        let (facts, owner) = (&self.facts, &self.owner);
        writeln!(f, "{:?} owner {owner:?} context {:?}\n{stored:#?}", self.query(), facts.context)?;
        facts.tuples.iter().try_for_each(|tuple| writeln!(f, "  {tuple:?}"))
    }
}

/// What is there after a part of a change: the elements whose bit is set.
pub(super) fn after(
    facts: &Facts,
    mut owner: Option<(Who, Who)>,
    repair: &Repair,
    part: u32,
) -> (Facts, Option<(Who, Who)>) {
    let mut facts = facts.clone();
    for (_, element) in (0..).zip(&repair.elements).filter(|(i, _)| part >> i & 1 == 1) {
        match element.action {
            Action::RemoveOwner => owner = None,
            Action::Remove => {
                assert!(facts.tuples.remove(&identity(&element.tuple)).is_some(), "{element:?} was not there");
            }
            _ => {
                facts.tuples.insert(identity(&element.tuple), Terms::default());
            }
        }
    }
    (facts, owner)
}

/// Files that are for whom nobody banned.
fn guarded_file() -> Value {
    let team = |set: &str| json!({"tupleToUserset": {"tupleset": set, "computedUserset": "member"}});
    json!({
        "relations": {"direct_viewer": {}, "direct_owner": {}, "banned": {}, "team": team("direct_owner")},
        "permissions": {
            "read": {"intersection": [{"union": ["direct_viewer", "team"]}, {"exclusion": "banned"}]},
            "never": {"intersection": ["banned", {"exclusion": "banned"}]},
            "strange": {"intersection": [{"exclusion": "direct_owner"}, {"exclusion": team("direct_viewer")}]},
        },
    })
}

/// Some tuples that let the subject in, and some that keep it out.
fn guard(facts: &mut Facts, subject: &Who, object: &Who, rng: &mut Rng) {
    let group = Who::new(&object.tenant, "group", "a");
    let members = Who { set: Some("member".into()), ..group.clone() };
    let mut put = |percent: usize, s: &Who, relation: &str, o: &Who| {
        if rng.chance(percent) {
            facts.tuples.insert((s.clone(), relation.to_owned(), o.clone()), Terms::default());
        }
    };
    put(60, subject, "direct_viewer", object);
    put(30, subject, "banned", object);
    put(30, &members, "banned", object);
    put(30, subject, "member", &group);
    put(10, &group, "direct_viewer", object);
    put(10, subject, "direct_owner", object);
}

/// Runs cases of all flavours until `enough`.
fn cases(name: &str, mut case: impl FnMut(Case, u64, &mut Rng) -> bool) {
    let mut seeds = Rng::new(seed_of(name));
    for round in 0_u64.. {
        let flavour = match round % 4 {
            0 | 1 => Flavour::Free,
            2 => Flavour::Defaults,
            _ => Flavour::Inheriting,
        };
        let seed = seeds.next();
        let mut rng = Rng::new(seed);
        if case(Case::random(flavour, &mut rng), seed, &mut rng) {
            return;
        }
        assert!(round < 200_000, "the generator does not give what {name} needs");
    }
}

#[test]
fn every_allow_has_a_proof_that_can_be_replayed() {
    let mut counts = Counts::new();
    let mut allows = 0;
    cases("explain_allows", |case, seed, _| {
        let explanation = case.explain();
        if !explanation.verdict.allowed() {
            assert!(explanation.proof.is_none());
            return false;
        }
        assert_eq!(case.oracle(&case.facts, case.owner.clone()), Some(true), "{seed}: {case:?}");
        allows += 1;
        let proof = explanation.proof.as_ref().unwrap_or_else(|| panic!("no proof: {seed}: {case:?}"));
        if let Err(failure) = case.verifier().accepts(proof, &case.permission, &case.object) {
            panic!("{failure}\n{proof:#?}\n{seed}: {case:?}");
        }
        for fact in &proof.facts {
            *counts.entry(kind_of(&fact.how).to_owned()).or_default() += 1;
        }
        for cited in tuples(proof) {
            let mut facts = case.facts.clone();
            facts.tuples.remove(&cited).expect("a stored tuple");
            let without = Verifier { facts: &facts, ..case.verifier() };
            assert!(without.accepts(proof, &case.permission, &case.object).is_err(), "{cited:?} is not needed");
        }
        allows >= ALLOWS
    });
    println!("{allows} proofs, facts by kind: {counts:?}");
    for kind in ["tuple", "owner", "userset", "any of", "all of", "absent", "directory", "through", "through owner"] {
        assert!(counts.contains_key(kind), "no {kind} in {counts:?}");
    }
}

fn kind_of(how: &How) -> &'static str {
    use super::super::explain::Step;
    match how {
        How::Tuple(_) => "tuple",
        How::Owner => "owner",
        How::Userset { .. } => "userset",
        How::AnyOf { .. } => "any of",
        How::AllOf { .. } => "all of",
        How::Absent { .. } => "absent",
        How::Through { step: Step::Directory, .. } => "directory",
        How::Through { step: Step::Tuple(_), .. } => "through",
        How::Through { step: Step::Owner(_), .. } => "through owner",
    }
}

#[test]
fn every_change_flips_and_no_part_of_it_does() {
    let mut counts = Counts::new();
    let (mut denials, mut paired) = (0, 0);
    cases("explain_denials", |case, seed, _| {
        let explanation = case.explain();
        let mut count = |what: &str| *counts.entry(what.to_owned()).or_default() += 1;
        match &explanation.verdict {
            Verdict::Allow => return false,
            Verdict::Deny => denials += 1,
            Verdict::Unknown(_) => count("unknown"),
        }
        assert!(explanation.repairs.len() <= 5 && explanation.stats.candidates <= 1_000);
        assert_eq!(explanation.no_repair.is_some(), explanation.repairs.is_empty());
        for repair in &explanation.repairs {
            let all = (1_u32 << repair.elements.len()) - 1;
            assert_eq!(case.after(repair, all), Some(true), "{repair:#?} does not help: {seed}: {case:?}");
            for part in 1..all {
                assert_ne!(case.after(repair, part), Some(true), "{part:b} of {repair:#?} is enough: {seed}: {case:?}");
            }
            repair.elements.iter().for_each(|element| count(&format!("{:?}", element.action)));
            count(&format!("of {}", repair.elements.len()));
        }
        for miss in &explanation.misses {
            count(match miss.why {
                MissWhy::Expired(_) => "miss: expired",
                MissWhy::Condition { .. } => "miss: condition",
            });
        }
        match (explanation.no_repair, explanation.complete) {
            (Some(_), true) => {
                count("none, certainly");
                paired += usize::from(nothing_repairs(&case, paired < PAIRED));
            }
            (Some(why), false) => count(&format!("none, {why:?}")),
            (None, _) => {}
        }
        denials >= DENIALS && paired >= PAIRED
    });
    println!("{denials} denials: {counts:?}, {paired} times all pairs were tried");
    let wanted =
        ["Renew", "Condition", "Join", "GrantOnObject", "GrantAbove", "Remove", "RemoveOwner", "Link", "unknown"];
    for kind in wanted.into_iter().chain(["none, certainly", "miss: expired", "miss: condition", "of 1", "of 2"]) {
        assert!(counts.contains_key(kind), "no {kind} in {counts:?}");
    }
}

/// No change of one tuple helps, nor (if asked for) any of two. Tells whether pairs were tried.
fn nothing_repairs(case: &Case, pairs: bool) -> bool {
    let mut subjects = vec![case.subject.clone()];
    let mut objects = vec![case.object.clone()];
    let mut relations = vec![case.permission.clone(), "member".into(), "direct_viewer".into(), "parent".into()];
    for (s, relation, o) in case.facts.tuples.keys() {
        subjects.push(s.clone());
        objects.push(o.clone());
        relations.push(relation.clone());
    }
    for list in [&mut subjects, &mut objects] {
        list.sort();
        list.dedup();
    }
    relations.sort();
    relations.dedup();
    let adds = |most: usize| {
        let (subjects, objects, relations) = (&subjects, &objects, &relations);
        let all = objects.iter().flat_map(move |o| {
            subjects.iter().flat_map(move |s| relations.iter().map(move |r| (s.clone(), r.clone(), o.clone())))
        });
        let total = objects.len() * subjects.len() * relations.len();
        all.step_by(total.div_ceil(most).max(1)).map(|identity| (identity, true))
    };
    let removals = || case.facts.tuples.keys().map(|identity| (identity.clone(), false));
    let fails = |changes: &[&(Identity, bool)]| {
        let mut facts = case.facts.clone();
        for (identity, add) in changes {
            if *add {
                facts.tuples.insert(identity.clone(), Terms::default());
            } else {
                facts.tuples.remove(identity);
            }
        }
        let answer = case.oracle(&facts, case.owner.clone());
        assert_ne!(answer, Some(true), "{changes:?} helps: {case:?}");
    };
    adds(500).chain(removals()).for_each(|change| fails(&[&change]));
    if pairs {
        let changes: Vec<_> = adds(60).chain(removals()).collect();
        for (i, one) in changes.iter().enumerate() {
            changes[i + 1..].iter().for_each(|other| fails(&[one, other]));
        }
    }
    pairs
}
