//! Random histories of the engine: after every step all that must hold does, for readers of this and of older
//! revisions, with caches that live through the whole history.
//!
//! A step is one message of the writer or what happens between two. Messages are published together, a failing one
//! leaves nothing, the last one can be undone by its inverted changes, and a restart builds the graph again from rows.

use std::collections::{BTreeSet, VecDeque};

use serde_json::{Map, Value, json};

use super::super::*;
use super::cases::{Asked, as_answer, compare, leaf};
use super::explain::after;
use super::oracle::{Facts, Identity, Oracle, Terms, Who};
use super::random::{Flavour, NOW, Names, Rng};
use super::runner::{Figures, run};
use super::verifier::Verifier;
use super::world::World;
use crate::model::Change;
use crate::store::Projection;

/// Published states that readers still hold.
const HELD: usize = 4;
/// Changes that an explanation of a denial may try.
const CHANGES_TRIED: usize = 8;
/// Subjects who ask, so that what is cached meets what changed.
const ASKERS: usize = 3;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Grant(Identity, Terms),
    /// The nth tuple, with other terms.
    Regrant(usize, Terms),
    Revoke(usize),
    Namespace(&'static str, Value),
    DropNamespace(&'static str),
    /// The nth file that has an entity, with all below it.
    Rename(usize, String),
    /// The nth entity of a tuple, with its tuples.
    Remove(usize),
    /// The nth tuple's file goes and comes again.
    Recreate(usize, Identity),
    Clock(i64),
    Context(Map<String, Value>),
    /// A message that does these and fails.
    Fail(Vec<Step>),
    Undo,
    Restart,
}

/// What readers of one revision see.
struct Snapshot {
    graph: Graph,
    facts: Facts,
}

pub(super) struct Machine {
    names: Names,
    world: World,
    askers: Vec<Who>,
    held: VecDeque<Snapshot>,
    /// Before the last message.
    before: Option<(World, Vec<Change>)>,
}

fn group_rules(rng: &mut Rng) -> Value {
    let member = [
        json!({}),
        json!({"union": ["direct_member", "admin"]}),
        json!({"intersection": ["admin", {"union": [{}]}]}),
        json!({"union": [{}, "admin"]}),
        json!({"intersection": [{}, {"exclusion": "banned"}]}),
    ];
    json!({"relations": {"member": rng.one_of(&member), "admin": {}, "banned": {}, "viewer": ["member"]}, "permissions": {"read": ["viewer"]}})
}

pub(super) fn step(names: &Names, rng: &mut Rng, depth: usize) -> Step {
    let any = rng.below(10_000);
    match rng.below(100) {
        0..35 => Step::Grant(names.identity(rng), names.terms(rng)),
        35..45 => Step::Regrant(any, names.terms(rng)),
        45..60 => Step::Revoke(any),
        60..64 => match names.namespace(rng) {
            Some((kind, config)) => Step::Namespace(kind, config),
            None => Step::Namespace("group", group_rules(rng)),
        },
        64..66 => Step::Namespace("group", group_rules(rng)),
        66..69 => Step::DropNamespace(names.kind(rng)),
        69..73 => Step::Rename(any, names.path(rng).to_owned()),
        73..76 => Step::Remove(any),
        76..79 => Step::Recreate(any, names.identity(rng)),
        79..85 => Step::Clock(NOW - 3 + i64::try_from(rng.below(7)).expect("small")),
        85..88 => Step::Context(Names::context(rng)),
        88..94 if depth == 0 => Step::Fail((0..rng.between(1, 3)).map(|_| step(names, rng, 1)).collect()),
        94..97 if depth == 0 => Step::Undo,
        97..98 if depth == 0 => Step::Restart,
        _ => Step::Grant(names.identity(rng), Terms::default()),
    }
}

impl Machine {
    pub(super) fn new(names: Names, rng: &mut Rng) -> Self {
        let askers = (0..ASKERS).map(|_| names.user(rng)).collect();
        Self { names, world: World::new(), askers, held: VecDeque::new(), before: None }
    }

    /// One message; its changes are kept for the way back.
    fn message(&mut self, step: &Step) {
        self.world.log.clear();
        let before = self.world.clone();
        self.change(step);
        self.before = Some((before, self.world.log.clone()));
    }

    fn change(&mut self, step: &Step) {
        let world = &mut self.world;
        let nth = |world: &World, nth: usize| world.tuples.keys().nth(nth % world.tuples.len().max(1)).cloned();
        match step {
            Step::Grant(identity, terms) => {
                world.put(identity.clone(), terms.clone());
            }
            Step::Regrant(at, terms) => {
                if let Some(identity) = nth(world, *at) {
                    world.put(identity, terms.clone());
                }
            }
            Step::Revoke(at) => {
                if let Some(identity) = nth(world, *at) {
                    world.take(&identity);
                }
            }
            Step::Namespace(kind, config) => {
                world.namespace(kind, config.clone());
            }
            Step::DropNamespace(kind) => {
                world.drop_namespace(kind);
            }
            Step::Rename(at, to) => rename(world, *at, to),
            Step::Remove(at) => {
                if let Some((s, _, o)) = nth(world, *at) {
                    world.remove_all(if at % 3 == 0 { &s } else { &o });
                }
            }
            Step::Recreate(at, (subject, relation, _)) => {
                if let Some((_, _, o)) = nth(world, *at) {
                    world.remove_all(&o);
                    world.put((subject.clone(), relation.clone(), o), Terms::default());
                }
            }
            Step::Clock(now) => world.env.now_us = *now,
            Step::Context(context) => world.env.context = Some(Arc::new(context.clone())),
            Step::Fail(_) | Step::Undo | Step::Restart => {}
        }
    }

    pub(super) fn step(&mut self, step: &Step, rng: &mut Rng, figures: &mut Figures) -> Result<(), String> {
        match step {
            Step::Fail(steps) => {
                let before = self.world.clone();
                for step in steps {
                    self.change(step);
                    self.second_check(rng, figures)?;
                }
                // Back to the savepoint, revision included. Time is not rolled back.
                let env = std::mem::take(&mut self.world.env);
                self.world = World { env, ..before };
            }
            Step::Undo => self.undo(rng, figures)?,
            Step::Restart => {
                self.world = self.world.restarted();
                self.held.clear();
                self.before = None;
            }
            message => self.message(message),
        }
        let published = rng.chance(60);
        if published || self.held.is_empty() {
            self.held.push_front(Snapshot { graph: self.world.graph.clone(), facts: self.world.facts() });
            self.held.truncate(HELD);
        }
        self.ask(0, rng, figures)?;
        self.ask(rng.below(self.held.len()), rng, figures)
    }

    /// The writer looks at its own unpublished state, without the readers' caches.
    fn second_check(&self, rng: &mut Rng, figures: &mut Figures) -> Result<(), String> {
        let mut writer = self.world.clone();
        if !mutant!(WriterFillsCaches) {
            writer.caches = Arc::new(Caches::new());
        }
        let facts = writer.facts();
        let asked = self.asked(&facts, rng);
        compare(&writer, &writer.graph, &facts, &asked, figures).map_err(|e| format!("inside a message: {e}"))
    }

    fn asked(&self, facts: &Facts, rng: &mut Rng) -> Asked {
        let owner = rng.chance(10).then(|| self.names.owned(rng));
        let subject = if rng.chance(80) { rng.one_of(&self.askers).clone() } else { self.names.asker(facts, rng) };
        Asked {
            subject,
            questions: vec![self.names.asked(facts, rng)],
            ..Asked::random(&self.names, facts, owner.as_ref(), rng)
        }
    }

    /// A reader of the nth newest published state, whose clock may be a moment apart.
    fn ask(&mut self, nth: usize, rng: &mut Rng, figures: &mut Figures) -> Result<(), String> {
        let now = self.world.env.now_us;
        if rng.chance(20) {
            self.world.env.now_us += i64::try_from(rng.below(3)).expect("small") - 1;
        }
        let (reader, held) = (&self.world, &mut self.held[nth]);
        held.facts.now = reader.env.now_us;
        held.facts.context = reader.env.context.as_deref().cloned().unwrap_or_default();
        let (held, facts) = (&self.held[nth], &self.held[nth].facts);
        let asked = self.asked(facts, rng);
        let same = compare(reader, &held.graph, facts, &asked, figures)
            .and_then(|()| closure_is_what_a_search_finds(reader, &held.graph, &asked))
            .and_then(|()| visible_is_what_is_computed(reader, &held.graph, &asked))
            .and_then(|()| lists_are_what_is_decided(reader, &held.graph, facts, &asked))
            .and_then(|()| reasons_hold(reader, &held.graph, facts, &asked));
        self.world.env.now_us = now;
        same.map_err(|e| format!("{nth} back: {e}"))
    }

    /// The inverted changes of the last message lead to the answers of before.
    fn undo(&mut self, rng: &mut Rng, figures: &mut Figures) -> Result<(), String> {
        let Some((before, changes)) = self.before.take() else { return Ok(()) };
        let facts = Facts { now: self.world.env.now_us, ..before.facts() };
        let mut world = World { caches: Arc::new(Caches::new()), env: self.world.env.clone(), ..before };
        let facts = Facts { context: world.facts().context, ..facts };
        world.graph = self.world.graph.clone();
        let rev = world.graph.rev + 1;
        changes.into_iter().rev().for_each(|change| world.graph.apply(&change.inverse(), rev));
        for _ in 0..2 {
            let asked = self.asked(&facts, rng);
            compare(&world, &world.graph, &facts, &asked, figures).map_err(|e| format!("undone: {e}"))?;
        }
        Ok(())
    }
}

/// Moves a path and all below it to where nothing is.
fn rename(world: &mut World, nth: usize, to: &str) {
    let is_path = |who: &&Who| who.kind == "file" && who.id.starts_with('/') && who.id.len() > 1;
    let mut files: Vec<_> = world.tuples.keys().flat_map(|(s, _, o)| [s, o]).filter(is_path).map(Who::plain).collect();
    files.sort();
    files.dedup();
    let Some(top) = files.get(nth % files.len().max(1)).cloned() else { return };
    let is_at_or_below =
        |path: &str, top: &str| path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let to = if to.starts_with('/') && to.len() > 1 { to.to_owned() } else { format!("/moved{}", nth % 3) };
    let taken = files.iter().any(|file| file.tenant == top.tenant && is_at_or_below(&file.id, &to));
    if taken || is_at_or_below(&to, &top.id) {
        return;
    }
    for from in files.into_iter().filter(|file| file.tenant == top.tenant && is_at_or_below(&file.id, &top.id)) {
        let id = format!("{to}{}", &from.id[top.id.len()..]);
        world.rename_to(&from, &Who { id, ..from.clone() });
    }
}

/// P9: a closure from the cache is the one that is computed.
fn closure_is_what_a_search_finds(world: &World, graph: &Graph, asked: &Asked) -> Result<(), String> {
    let sets = |caches| {
        let subject = graph.subject(asked.subject.object());
        let closure = graph.closure(subject, &world.env, caches, &mut Budget::edges(1_000_000)).expect("within budget");
        let mut sets: Vec<_> = closure.sets.iter().collect();
        sets.sort_unstable();
        (sets, closure.partial)
    };
    let (computed, cached) = (sets(None), sets(Some(&*world.caches)));
    if computed == cached {
        Ok(())
    } else {
        Err(format!("closure of {:?}: {computed:?}, cached {cached:?}", asked.subject))
    }
}

/// The cached list of granted paths is the computed one, and each is readable.
fn visible_is_what_is_computed(world: &World, graph: &Graph, asked: &Asked) -> Result<(), String> {
    let (object, name) = &asked.questions[0];
    let subject = asked.subject.object();
    let paths = |caches| {
        let budget = &mut Budget::edges(1_000_000);
        match graph.visible_candidates(subject, name, &object.tenant, "/", &world.env, caches, budget) {
            Candidates::Search => None,
            Candidates::No => Some(Vec::new()),
            Candidates::Paths(paths) => Some(paths.to_vec()),
        }
    };
    let (computed, cached) = (paths(None), paths(Some(&*world.caches)));
    if computed != cached {
        return Err(format!("{subject:?} {name}: granted paths {computed:?}, cached {cached:?}"));
    }
    for path in computed.into_iter().flatten() {
        let object = Who::new(&object.tenant, "file", &path);
        let query = Query { subject, permission: name, object: object.object() };
        let budget = &mut Budget::edges(1_000_000);
        if graph.check(&query, leaf(graph, asked, &object), &world.env, None, budget) != Verdict::Allow {
            return Err(format!("{query:?} is denied and a granted path"));
        }
    }
    Ok(())
}

/// P4 and P5: the list of objects is what the oracle says of each that a live tuple names, and the list of subjects
/// says of the asker what the check says.
fn lists_are_what_is_decided(world: &World, graph: &Graph, facts: &Facts, asked: &Asked) -> Result<(), String> {
    let (object, name) = &asked.questions[0];
    let (subject, leaf) = (asked.subject.object(), leaf(graph, asked, object));
    let budget = &mut Budget::edges(10_000_000);
    let query = Query { subject, permission: name, object: object.object() };
    let check = as_answer(&graph.check(&query, leaf, &world.env, None, budget));
    let whose = SubjectsQuery { permission: name, object: object.object(), leaf, kind: None };
    let list = graph.list_subjects(&whose, &world.env, budget);
    if !list.complete || as_answer(&list.verdict(subject)) != check {
        return Err(format!("{query:?} is {check:?}, the list of subjects {list:?}"));
    }
    if object.kind == "file" {
        return Ok(());
    }
    let live = |((subject, relation, _), terms): &(&Identity, &Terms)| {
        terms.expires.is_none_or(|at| facts.now < at) && (relation != "parent" || subject.kind != "file")
    };
    let ends = facts.tuples.iter().filter(live).flat_map(|((s, _, o), _)| [s.plain(), o.plain()]);
    let domain: BTreeSet<Who> = ends.filter(|who| who.kind == object.kind && who.tenant == object.tenant).collect();
    let questions: Vec<_> = domain.into_iter().map(|object| (object, name.clone())).collect();
    let answers = Oracle::new(facts, &asked.subject, None).answers(&questions);
    let allowed = questions.iter().zip(answers).filter(|(_, answer)| *answer == Some(true));
    let wanted: Vec<_> = allowed.map(|((object, _), _)| object.id.as_str()).collect();
    let what = ObjectsQuery { subject, permission: name, kind: &object.kind, tenant: &object.tenant };
    for caches in [None, Some(&*world.caches)] {
        let page = graph.list_objects(&what, None, 1_000, &world.env, caches, budget);
        if !page.complete || !page.allowed.iter().map(|id| &**id).eq(wanted.iter().copied()) {
            return Err(format!("{what:?} lists {page:?}, the oracle {wanted:?}"));
        }
    }
    Ok(())
}

/// P6: the proof of an allow is replayed from the tuples; the best change of a denial flips the oracle's answer.
fn reasons_hold(world: &World, graph: &Graph, facts: &Facts, asked: &Asked) -> Result<(), String> {
    let (object, name) = &asked.questions[0];
    let query = Query { subject: asked.subject.object(), permission: name, object: object.object() };
    let leaf = leaf(graph, asked, object);
    let owner = asked.owner.clone().filter(|(leaf, _)| leaf == object);
    let tried = std::cell::Cell::new(0);
    let stop = || tried.replace(tried.get() + 1) >= CHANGES_TRIED;
    let budget = &mut Budget::edges(10_000_000);
    let told = graph.explain(&query, leaf, &world.env, Some(&*world.caches), budget, &stop);
    let check = graph.check(&query, leaf, &world.env, None, budget);
    if told.verdict != check {
        return Err(format!("{query:?} is {check:?}, the explanation says {:?}", told.verdict));
    }
    if check == Verdict::Allow {
        let proof = told.proof.as_ref().ok_or_else(|| format!("{query:?} is allowed without a proof"))?;
        let verifier = Verifier { facts, subject: asked.subject.clone(), owner };
        return verifier.accepts(proof, name, object).map_err(|e| format!("the proof of {query:?}: {e}\n{proof:#?}"));
    }
    let Some(repair) = told.repairs.first() else { return Ok(()) };
    let (facts, owner) = after(facts, owner, repair, u32::MAX);
    match Oracle::new(&facts, &asked.subject, owner).answers(std::slice::from_ref(&asked.questions[0]))[0] {
        Some(true) => Ok(()),
        other => Err(format!("{query:?}: after {repair:#?} the oracle says {other:?}")),
    }
}

/// The history of a seed, `steps` long.
pub(super) fn history(flavour: Flavour, seed: u64, steps: usize, figures: &mut Figures) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let names = Names::new(flavour, &mut rng);
    let steps: Vec<_> = (0..steps).map(|_| (step(&names, &mut rng, 0), rng.next())).collect();
    let play = |steps: &[(Step, u64)], figures: &mut Figures| {
        let mut machine = Machine::new(names.clone(), &mut Rng::new(seed));
        for (at, (step, seed)) in steps.iter().enumerate() {
            figures.cases += 1;
            machine.step(step, &mut Rng::new(*seed), figures).map_err(|e| (at, e))?;
        }
        Ok(())
    };
    let Err((at, mut failure)) = play(&steps, figures) else { return Ok(()) };
    // Takes out what the failure does not need, many steps at once first.
    let mut needed = steps[..=at].to_vec();
    let mut width = if mutant::any() { 0 } else { needed.len() / 2 };
    while width > 0 {
        let mut from = 0;
        while from < needed.len() {
            let fewer = [&needed[..from], &needed[(from + width).min(needed.len())..]].concat();
            match play(&fewer, &mut Figures::default()) {
                Err((at, e)) => (needed, failure) = (fewer[..=at].to_vec(), e),
                Ok(()) => from += width,
            }
        }
        width /= 2;
    }
    let steps: Vec<_> = needed.iter().map(|(step, _)| format!("  {step:?}")).collect();
    Err(format!("{failure}\nafter\n{}", steps.join("\n")))
}

/// One history in ten is long.
fn histories(name: &str, flavour: Flavour, steps: u64) {
    let figures = run(name, steps, |seed, figures| {
        let steps = if seed % 10 == 0 { 500 } else { 50 + usize::try_from(seed % 50).expect("small") };
        history(flavour, seed, steps, figures)
    });
    assert_ne!(figures.unknowns, 0, "conditions leave answers open");
}

#[test]
fn histories_of_any_rules() {
    histories("histories_of_any_rules", Flavour::Free, 1_500);
}

#[test]
fn histories_of_the_default_namespaces() {
    histories("histories_of_the_default_namespaces", Flavour::Defaults, 2_000);
}

#[test]
fn histories_of_inheriting_files() {
    histories("histories_of_inheriting_files", Flavour::Inheriting, 1_000);
}
