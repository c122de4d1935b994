//! Explanations and lists: what they take at a million tuples, for questions that nobody has chosen.

use std::collections::BTreeMap;
use std::time::Duration;

use nexus_lite::model::time::monotonic;
use nexus_lite::rebac::{Budget, Caches, LeafFacts, ObjectsQuery, Query, SubjectsQuery, Verdict};

use crate::Bench;
use crate::claims::Took;
use crate::decide::{env, user_name};
use crate::org::{self, Dice};

/// Explanations, and lists of each kind, per 1,000 checks of the effort, at most.
const QUESTIONS_MAX: u32 = 1_000;
/// When the search for changes ends, as in the server.
const SEARCH_TIME: Duration = Duration::from_millis(10);
/// Edges that one list may visit.
const EDGES_PER_LIST: u64 = 100_000_000;
/// Objects of a page.
const PAGE: usize = 10_000;

fn questions(bench: &Bench<'_>) -> u32 {
    bench.effort.checks.min(QUESTIONS_MAX)
}

/// Random explains: users anywhere, files anywhere.
pub(crate) fn explanations(bench: &Bench<'_>) {
    let (caches, mut dice, users) = (Caches::new(), Dice::new(21), bench.org.size().users);
    let mut kinds: BTreeMap<&str, (Vec<Duration>, Took)> = BTreeMap::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..questions(bench) {
        let (user, path) = (user_name(dice.below(users)), bench.org.deep_file(&mut dice));
        let query = Query { subject: org::user(&user), permission: "read", object: org::file(&path) };
        let (begun, mut took, mut told) = (monotonic(), Took::default(), None);
        let stop = || monotonic() - begun >= SEARCH_TIME;
        took.add(1, || {
            let budget = &mut Budget::request();
            told = Some(bench.graph.explain(&query, LeafFacts::default(), &env(), Some(&caches), budget, &stop));
        });
        let wall = monotonic() - begun;
        let told = told.expect("an explanation");
        let kind = if told.verdict.allowed() { "why allowed" } else { "why denied" };
        assert_eq!(told.verdict.allowed(), told.proof.is_some(), "an allow has a proof, and nothing else has");
        let found = match (told.verdict.allowed(), told.repairs.is_empty(), told.complete) {
            (true, ..) => "proved",
            (false, false, true) => "with changes, complete",
            (false, false, false) => "with changes, cut short",
            (false, true, _) => "without a change",
        };
        *counts.entry(found).or_default() += 1;
        let (walls, all) = kinds.entry(kind).or_default();
        walls.push(wall);
        all.merge(&took);
    }
    for (kind, (walls, took)) in &mut kinds {
        bench.report.spread(&format!("{kind} ({} of them)", walls.len()), walls, took);
    }
    bench.report.say(&format!("  {counts:?}"));
}

/// What a user may have, who may have a file.
pub(crate) fn lists(bench: &Bench<'_>) {
    let (caches, mut dice, users) = (Caches::new(), Dice::new(22), bench.org.size().users);
    let (mut objects, mut subjects) = ((Vec::new(), Took::default()), (Vec::new(), Took::default()));
    let (mut groups, mut people) = (0, 0);
    for _ in 0..questions(bench) / 10 {
        let user = user_name(dice.below(users));
        let what = ObjectsQuery { subject: org::user(&user), permission: "read", kind: "group", tenant: org::TENANT };
        let begun = monotonic();
        objects.1.add(1, || {
            let budget = &mut Budget::edges(EDGES_PER_LIST);
            let page = bench.graph.list_objects(&what, None, PAGE, &env(), Some(&caches), budget);
            assert!(page.complete, "the budget was enough");
            groups += page.allowed.len();
        });
        objects.0.push(monotonic() - begun);
        let path = bench.org.deep_file(&mut dice);
        let whose = SubjectsQuery {
            permission: "read",
            object: org::file(&path),
            leaf: LeafFacts::default(),
            kind: Some("user"),
        };
        let begun = monotonic();
        subjects.1.add(1, || {
            let list = bench.graph.list_subjects(&whose, &env(), &mut Budget::edges(EDGES_PER_LIST));
            assert!(list.complete, "the budget was enough");
            people += list.allowed.len();
        });
        subjects.0.push(monotonic() - begun);
        let denied = Query { subject: org::user("nobody"), permission: "read", object: org::file(&path) };
        let check = bench.graph.check(&denied, LeafFacts::default(), &env(), None, &mut Budget::request());
        assert_eq!(check, Verdict::Deny, "nobody has nothing");
    }
    let of = |count: usize, lists: usize| count / lists.max(1);
    let title = format!("groups that a user may read ({} each)", of(groups, objects.0.len()));
    bench.report.spread(&title, &mut objects.0, &objects.1);
    let title = format!("users who may read a file ({} each)", of(people, subjects.0.len()));
    bench.report.spread(&title, &mut subjects.0, &subjects.1);
}
