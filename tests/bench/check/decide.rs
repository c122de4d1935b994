//! Checks: warm and hot, warm and anywhere, with a closure still to be computed; a directory of a thousand; a ring.

use std::sync::Arc;

use nexus_lite::rebac::{Budget, Caches, Env, Graph, GraphBuilder, LeafFacts, Query, Verdict, Why};

use crate::claims::Took;
use crate::org::{self, Dice, Org};
use crate::{Bench, memory};

/// Questions that are made ready together and timed together: their texts are warm, as those of a request are.
const CHUNK: u32 = 256;
const HOT_USERS: u32 = 64;
const HOT_PATHS: usize = 1_000;
/// Files in one directory.
const SIBLINGS: u32 = 1_000;
/// Bytes of stack for whoever walks the ring.
const SMALL_STACK: usize = 128 * 1024;

pub(crate) fn env() -> Env {
    Env { now_us: 1, context: None }
}

fn ask(graph: &Graph, caches: &Caches, user: &str, path: &str, env: &Env) -> Verdict {
    let query = Query { subject: org::user(user), permission: "read", object: org::file(path) };
    graph.check(&query, LeafFacts::default(), env, Some(caches), &mut Budget::request())
}

/// Times `count` questions, each from strings to verdict. Returns what they took and how many were allowed.
fn time(graph: &Graph, caches: &Caches, count: u32, mut question: impl FnMut() -> (String, String)) -> (Took, u32) {
    let (env, mut took, mut allowed) = (env(), Took::default(), 0);
    for _ in 0..count.div_ceil(CHUNK) {
        let chunk: Vec<(String, String)> = (0..CHUNK).map(|_| question()).collect();
        took.add(u64::from(CHUNK), || {
            for (user, path) in &chunk {
                allowed += u32::from(ask(graph, caches, user, path, &env).allowed());
            }
        });
    }
    (took, allowed)
}

pub(crate) fn user_name(n: u32) -> String {
    format!("user-{n}")
}

fn warm_all(bench: &Bench<'_>, caches: &Caches, users: std::ops::Range<u32>) {
    for n in users {
        bench.graph.warm(caches, org::user(&user_name(n)), &env());
    }
}

fn hot_paths(org: &Org) -> Vec<String> {
    let mut dice = Dice::new(11);
    (0..HOT_PATHS).map(|_| org.deep_file(&mut dice)).collect()
}

/// P9 in process: the whole check from strings with a warm closure.
pub(crate) fn checks(bench: &Bench<'_>) {
    let (org, users) = (bench.org, bench.org.size().users);
    let caches = Caches::new();
    warm_all(bench, &caches, 0..users);
    bench.report.say(&format!("  {} closures held", caches.len().0));
    let paths = hot_paths(org);
    let mut dice = Dice::new(12);
    let hot_users: Vec<String> = (0..HOT_USERS).map(|_| user_name(dice.below(users))).collect();
    let mut any_hot = || {
        let path = dice.below(u32::try_from(paths.len()).expect("paths fit")) as usize;
        (hot_users[dice.below(HOT_USERS) as usize].clone(), paths[path].clone())
    };
    time(bench.graph, &caches, bench.effort.checks / 4, &mut any_hot);
    let (took, allowed) = time(bench.graph, &caches, bench.effort.checks, &mut any_hot);
    let share = 100.0 * f64::from(allowed) / took.operations as f64;
    bench.report.each(&format!("hot: 64 users x 1000 paths ({share:.0} % allowed)"), &took, 1.5);
    let mut dice = Dice::new(13);
    let anywhere = || (user_name(dice.below(users)), org.deep_file(&mut dice));
    let (took, allowed) = time(bench.graph, &caches, bench.effort.checks, anywhere);
    let share = 100.0 * f64::from(allowed) / took.operations as f64;
    bench.report.each(&format!("uniformly random ({share:.0} % allowed)"), &took, 3.0);
}

/// The users whose questions are hot, by number; any others for another count.
pub(crate) fn some_users(count: u32, users: u32) -> Vec<u32> {
    (0..count).map(|n| n * 7_919 % users).collect()
}

/// Questions that are asked again and again: 64 users, 1000 paths.
pub(crate) fn hot_questions(bench: &Bench<'_>, count: u32) -> Vec<(u32, String)> {
    let (users, paths, mut dice) = (some_users(HOT_USERS, bench.org.size().users), hot_paths(bench.org), Dice::new(31));
    let mut path = || paths[dice.below(u32::try_from(paths.len()).expect("they fit")) as usize].clone();
    (0..count as usize).map(|n| (users[n % users.len()], path())).collect()
}

/// Walks from ids: the subjects and their closures are at hand, each question brings a path.
pub(crate) fn walked(bench: &Bench<'_>, among: u32, hot: bool) -> Took {
    let (org, users) = (bench.org, bench.org.size().users);
    let (caches, env) = (Caches::new(), env());
    warm_all(bench, &caches, 0..users);
    let (paths, mut dice) = (hot_paths(org), Dice::new(15));
    let names: Vec<String> = some_users(among, users).into_iter().map(user_name).collect();
    let of = |name| bench.graph.filter(org::user(name), "read", org::TENANT, &env, Some(&caches));
    let mut filters: Vec<_> = names.iter().map(|name| of(name)).collect();
    let mut took = Took::default();
    for round in 0..bench.effort.checks.div_ceil(CHUNK) + 16 {
        let mut path = || match hot {
            true => paths[dice.below(u32::try_from(paths.len()).expect("they fit")) as usize].clone(),
            false => org.deep_file(&mut dice),
        };
        let chunk: Vec<String> = (0..CHUNK).map(|_| path()).collect();
        let at: Vec<usize> = (0..CHUNK).map(|_| dice.below(among) as usize).collect();
        let mut work = || {
            for (path, at) in chunk.iter().zip(&at) {
                filters[*at].check(path, LeafFacts::default(), &mut Budget::request());
            }
        };
        // The first questions prepare the filters.
        if round < 16 { work() } else { took.add(u64::from(CHUNK), work) }
    }
    took
}

/// Hot walks, as P9 and P12 mean them.
pub(crate) fn walked_hot(bench: &Bench<'_>) -> Took {
    walked(bench, HOT_USERS, true)
}

/// P9's walk from ids.
pub(crate) fn walks(bench: &Bench<'_>) {
    bench.report.each("hot: 64 users x 1000 paths", &walked_hot(bench), 1.5);
    let among = 10_000.min(bench.org.size().users);
    bench.report.each("uniformly random paths, 10,000 users", &walked(bench, among, false), 3.0);
}

/// The first walk of a user, others having been there before: a closure that must be computed; and the whole check.
pub(crate) fn cold_closures(bench: &Bench<'_>) {
    let (users, half) = (bench.org.size().users, bench.org.size().users / 2);
    let (paths, env) = (hot_paths(bench.org), env());
    let questions = |from: u32| -> Vec<(String, String)> {
        (from..from + users - half).map(|n| (user_name(n % users), paths[n as usize % paths.len()].clone())).collect()
    };
    let caches = Caches::new();
    warm_all(bench, &caches, 0..half);
    let mut took = Took::default();
    for chunk in questions(half).chunks(CHUNK as usize) {
        took.add(chunk.len() as u64, || {
            for (user, path) in chunk {
                let mut filter = bench.graph.filter(org::user(user), "read", org::TENANT, &env, Some(&caches));
                filter.check(path, LeafFacts::default(), &mut Budget::request());
            }
        });
    }
    bench.report.each("first walk of a user, closure computed", &took, 5.0);
    let first_checks = |from: u32, caches: &Caches| {
        let mut questions = questions(from).into_iter();
        time(bench.graph, caches, (users - half) / CHUNK * CHUNK, || questions.next().expect("as many as asked for")).0
    };
    let caches = Caches::new();
    warm_all(bench, &caches, 0..half);
    bench.report.each("first check of a user, from strings", &first_checks(half, &caches), 5.0);
    let us = first_checks(0, &Caches::new()).cpu_us();
    bench.report.say(&format!("  the same with nothing known of the groups either: {us:.2} µs CPU on average"));
    let (direct, all) = bench.org.groups_of_users(1_000);
    bench.report.say(&format!("  a user is in {direct:.1} groups directly, {all:.1} in all"));
}

/// A listing of a thousand files in a directory that is not readable as a whole.
pub(crate) fn siblings(bench: &Bench<'_>) {
    let (env, caches, mut dice) = (env(), Caches::new(), Dice::new(14));
    let mut took = Took::default();
    for _ in 0..(bench.effort.writes / 10).max(1) {
        let user = user_name(dice.below(bench.org.size().users));
        let directory = bench.org.deep_file(&mut dice);
        let paths: Vec<String> = (0..SIBLINGS).map(|n| format!("{directory}/file-{n:04}.txt")).collect();
        took.add(1, || {
            let mut filter = bench.graph.filter(org::user(&user), "read", org::TENANT, &env, Some(&caches));
            let mut budget = Budget::request();
            let shown = paths.iter().filter(|path| filter.check(path, LeafFacts::default(), &mut budget).allowed());
            assert!([0, SIBLINGS as usize].contains(&shown.count()), "a directory is decided once");
        });
    }
    bench.report.each("filter of 1,000 siblings", &took, 300.0);
}

/// A ring of groups, each a member of the next: constant stack, linear memory, or the end of the budget.
pub(crate) fn ring(bench: &Bench<'_>) {
    let count = bench.effort.ring;
    let mut builder = GraphBuilder::new();
    let row = |id, kind: &str, name: String| nexus_lite::model::EntityRow {
        id,
        tenant: org::TENANT.into(),
        kind: kind.into(),
        name,
    };
    builder.entity(&row(1, "user", "user-0".into()));
    builder.entity(&row(2, "file", "/area0".into()));
    (0..count).for_each(|n| builder.entity(&row(3 + n, "group", format!("ring-{n}"))));
    builder.tuple(&org::tuple(3, "member", 1, None));
    (0..count).for_each(|n| builder.tuple(&org::tuple(3 + (n + 1) % count, "member", 3 + n, Some("member"))));
    // The last of the ring may read the folder.
    builder.tuple(&org::tuple(2, "direct_viewer", 3 + count - 1, Some("member")));
    let graph = Arc::new(builder.finish(1));
    let ask = |budget: Budget| {
        let graph = Arc::clone(&graph);
        let asked = std::thread::Builder::new().stack_size(SMALL_STACK).spawn(move || {
            let (caches, mut budget, mut took, mut verdict) = (Caches::new(), budget, Took::default(), None);
            memory::reset_peak();
            let before = memory::live();
            took.add(1, || {
                let query = Query { subject: org::user("user-0"), permission: "read", object: org::file("/area0") };
                verdict = Some(graph.check(&query, LeafFacts::default(), &env(), Some(&caches), &mut budget));
            });
            (verdict.expect("an answer"), took, memory::peak() - before)
        });
        asked.expect("a thread").join().expect("the stack was enough")
    };
    let (verdict, took, peak) = ask(Budget::edges(100 * u64::from(count)));
    assert_eq!(verdict, Verdict::Allow, "the budget was enough");
    bench.report.say(&format!(
        "  {count} groups in a ring, a stack of {} KiB: allowed in {:.0} ms CPU, {:.1} B of memory a group",
        SMALL_STACK / 1024,
        took.cpu_us() / 1e3,
        peak as f64 / f64::from(count)
    ));
    let (verdict, took, _) = ask(Budget::request());
    let ends = count < 100_000 || verdict == Verdict::Unknown(Why::Budget);
    assert!(ends, "the budget of a request must end it: {verdict:?}");
    bench.report.say(&format!("  with the budget of a request: {verdict:?} after {:.1} ms CPU", took.cpu_us() / 1e3));
}
