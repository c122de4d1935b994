//! 20,000 random cases: any schema, any tuples, any names, and every way to an answer against the oracle.
//!
//! A suite is a flavour of cases. A failure is made as small as it stays one before it is told.

use super::super::*;
use super::oracle::{Facts, Oracle, Who};
use super::random::{Flavour, Names, Rng};
use super::runner::{Figures, run};
use super::world::World;

/// Sets of tuples tried under one schema.
const TUPLES_PER_SCHEMA: usize = 4;
/// Who is asked about in each case, and how much.
const ASKERS: usize = 2;
const QUESTIONS: usize = 3;

/// Questions about one subject, with a file that somebody owns by column.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) subject: Who,
    pub(super) owner: Option<(Who, Who)>,
    pub(super) questions: Vec<(Who, String)>,
}

impl Asked {
    pub(super) fn random(names: &Names, facts: &Facts, owner: Option<&(Who, Who)>, rng: &mut Rng) -> Self {
        let mut questions: Vec<_> = (0..QUESTIONS).map(|_| names.asked(facts, rng)).collect();
        if let Some((leaf, _)) = owner {
            questions.push((leaf.clone(), "read".to_owned()));
        }
        Self { subject: names.asker(facts, rng), owner: owner.cloned(), questions }
    }
}

pub(super) fn as_answer(verdict: &Verdict) -> Option<bool> {
    match verdict {
        Verdict::Allow => Some(true),
        Verdict::Deny => Some(false),
        Verdict::Unknown(_) => None,
    }
}

/// What the facts of the owner column are for a question.
pub(super) fn leaf(graph: &Graph, asked: &Asked, object: &Who) -> LeafFacts {
    let owner = asked.owner.as_ref().filter(|(leaf, _)| leaf == object);
    LeafFacts { owner: owner.and_then(|(_, owner)| graph.entity(owner.object())) }
}

/// Every way to each answer on `graph`, against the oracle on `facts`.
pub(super) fn compare(
    world: &World,
    graph: &Graph,
    facts: &Facts,
    asked: &Asked,
    figures: &mut Figures,
) -> Result<(), String> {
    // An owner by column is asked for on its leaf alone.
    let (owned, others): (Vec<_>, Vec<_>) =
        asked.questions.iter().cloned().partition(|(object, _)| asked.owner.as_ref().is_some_and(|(o, _)| o == object));
    for (questions, owner) in [(others, None), (owned, asked.owner.clone())] {
        if questions.is_empty() {
            continue;
        }
        let wanted = Oracle::new(facts, &asked.subject, owner).answers(&questions);
        for ((object, name), wanted) in questions.iter().zip(wanted) {
            let query = Query { subject: asked.subject.object(), permission: name, object: object.object() };
            let verdict = world.ways(graph, &query, leaf(graph, asked, object))?;
            if as_answer(&verdict) != wanted {
                return Err(format!("{query:?} is {verdict:?}, the oracle says {wanted:?}"));
            }
            // Cut short, an answer is the full one or none.
            let short =
                |edges| graph.check_general(&query, leaf(graph, asked, object), &world.env, &mut Budget::edges(edges));
            let edges = figures.comparisons % 16;
            for short in [short(edges), world.short(graph, &query, leaf(graph, asked, object), edges)] {
                if short != verdict && short != Verdict::Unknown(Why::Budget) {
                    return Err(format!("{query:?} is {verdict:?}, with {edges} edges {short:?}"));
                }
            }
            figures.count(wanted);
        }
    }
    filter_in_any_order(world, graph, asked)
}

/// A filter that goes from file to file says what each check says.
fn filter_in_any_order(world: &World, graph: &Graph, asked: &Asked) -> Result<(), String> {
    let files: Vec<_> = asked.questions.iter().filter(|(object, _)| object.kind == "file").collect();
    let Some((first, permission)) = files.first() else { return Ok(()) };
    let subject = asked.subject.object();
    let mut filter = graph.filter(subject, permission, &first.tenant, &world.env, None);
    for (object, _) in files {
        let object = Who { tenant: first.tenant.clone(), ..object.clone() };
        let (leaf, budget) = (leaf(graph, asked, &object), &mut Budget::edges(1_000_000));
        let query = Query { subject, permission, object: object.object() };
        let alone = graph.check(&query, leaf, &world.env, None, budget);
        let found = filter.check(&object.id, leaf, budget);
        if found != alone {
            return Err(format!("a filter that came by says {found:?}, alone {alone:?}: {query:?}"));
        }
    }
    Ok(())
}

/// The schema of a seed, and its cases.
pub(super) fn case(flavour: Flavour, seed: u64, figures: &mut Figures) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let names = Names::new(flavour, &mut rng);
    let mut schema = World::new();
    for _ in 0..rng.between(1, 3) {
        if let Some((kind, config)) = names.namespace(&mut rng) {
            schema.namespace(kind, config);
        }
    }
    for _ in 0..TUPLES_PER_SCHEMA {
        figures.cases += 1;
        let facts = names.facts(&schema.namespaces, &mut rng);
        let owner = rng.chance(30).then(|| names.owned(&mut rng));
        let mut world = schema.clone();
        world.caches = Arc::new(Caches::new());
        world.know(&facts, owner.as_ref().map(|(_, owner)| owner));
        for _ in 0..ASKERS {
            let asked = Asked::random(&names, &facts, owner.as_ref(), &mut rng);
            if let Err(failure) = compare(&world, &world.graph, &facts, &asked, figures) {
                return Err(if mutant::any() { failure } else { smallest(facts, asked, failure) });
            }
        }
    }
    Ok(())
}

/// Takes out what the failure does not need.
fn smallest(mut facts: Facts, mut asked: Asked, mut failure: String) -> String {
    let try_it = |facts: &Facts, asked: &Asked| {
        let world = World::of(facts, asked.owner.as_ref().map(|(_, owner)| owner));
        compare(&world, &world.graph, facts, asked, &mut Figures::default()).err()
    };
    loop {
        let mut smaller = Vec::new();
        smaller.extend(facts.tuples.keys().map(|identity| {
            let mut fewer = facts.clone();
            fewer.tuples.remove(identity);
            (fewer, asked.clone())
        }));
        smaller.extend(facts.namespaces.keys().filter(|kind| default_namespace(kind).is_none()).map(|kind| {
            let mut fewer = facts.clone();
            fewer.namespaces.remove(kind);
            (fewer, asked.clone())
        }));
        smaller.extend((0..asked.questions.len()).map(|at| {
            let mut fewer = asked.clone();
            fewer.questions.remove(at);
            (facts.clone(), fewer)
        }));
        let found = smaller.into_iter().find_map(|(facts, asked)| Some((try_it(&facts, &asked)?, facts, asked)));
        let Some(found) = found else { break };
        (failure, facts, asked) = found;
    }
    let stored: Vec<_> =
        facts.namespaces.iter().filter(|(kind, config)| default_namespace(kind) != Some(*config)).collect();
    let tuples: Vec<_> = facts.tuples.iter().map(|tuple| format!("  {tuple:?}")).collect();
    format!(
        "{failure}\nowner {:?}, context {:?}, namespaces {stored:#?}, tuples\n{}",
        asked.owner,
        facts.context,
        tuples.join("\n")
    )
}

#[test]
fn cases_of_any_rules() {
    let figures = run("cases_of_any_rules", 9_000, |seed, figures| case(Flavour::Free, seed, figures));
    assert_ne!(figures.unknowns, 0, "conditions and rings leave answers open");
}

#[test]
fn cases_of_the_default_namespaces() {
    run("cases_of_the_default_namespaces", 6_000, |seed, figures| case(Flavour::Defaults, seed, figures));
}

#[test]
fn cases_of_inheriting_files() {
    run("cases_of_inheriting_files", 4_000, |seed, figures| case(Flavour::Inheriting, seed, figures));
}

#[test]
fn cases_with_many_tuples() {
    run("cases_with_many_tuples", 1_000, |seed, figures| case(Flavour::Crowded, seed, figures));
}
