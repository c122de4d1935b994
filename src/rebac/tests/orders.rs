//! T13: one writer publishes while two readers look, compute and fill, in many orders. A late fill is dead on arrival:
//! no reader ever gets what computing on its own graph would not give.

use std::panic::{AssertUnwindSafe, catch_unwind};

use shuttle::sync::Mutex;
use shuttle::thread;

use super::super::mutant::{self, Mutant};
use super::super::*;
use super::world::World;

const ORDERS: usize = 400;
const QUESTIONS: usize = 3;

/// The states that the writer publishes, oldest first.
fn published() -> (Vec<Graph>, Env) {
    let mut world = World::new();
    world.grant("group:all#member direct_viewer file:/a").grant("user:x member group:other");
    let mut states = vec![world.graph.clone()];
    world.grant("user:bob member group:all");
    states.push(world.graph.clone());
    world.revoke("user:bob member group:all");
    states.push(world.graph.clone());
    world.grant("user:bob member group:inner");
    states.push(world.graph.clone());
    world.grant("group:inner#member member group:all");
    states.push(world.graph.clone());
    world.grant_until("user:bob member group:inner", 900);
    states.push(world.graph.clone());
    (states, world.env)
}

fn read(graph: &Graph, env: &Env, caches: &Caches) {
    let object = |kind, id| ObjectRef { tenant: super::world::HOME, kind, id };
    let query = Query { subject: object("user", "bob"), permission: "read", object: object("file", "/a/b") };
    let check = |caches| graph.check(&query, LeafFacts::default(), env, caches, &mut Budget::request());
    assert_eq!(check(Some(caches)), check(None), "at revision {}", graph.rev);
}

fn one_writer_two_readers() {
    let (states, env) = published();
    let head = Arc::new(Mutex::new(Arc::new(states[0].clone())));
    let (caches, env) = (Arc::new(Caches::new()), Arc::new(env));
    let reader = || {
        let (head, caches, env) = (Arc::clone(&head), Arc::clone(&caches), Arc::clone(&env));
        thread::spawn(move || {
            let first = Arc::clone(&head.lock().expect("no panic"));
            for _ in 0..QUESTIONS {
                let newest = Arc::clone(&head.lock().expect("no panic"));
                thread::yield_now();
                read(&newest, &env, &caches);
                // A request that began earlier goes on with what it began with.
                read(&first, &env, &caches);
            }
        })
    };
    let readers = [reader(), reader()];
    for state in states.into_iter().skip(1) {
        *head.lock().expect("no panic") = Arc::new(state);
        thread::yield_now();
    }
    readers.into_iter().for_each(|reader| reader.join().expect("a reader"));
}

fn play() {
    mutant::play_orders(true);
    shuttle::check_random(one_writer_two_readers, ORDERS);
    shuttle::check_pct(one_writer_two_readers, ORDERS, 3);
    mutant::play_orders(false);
}

#[test]
fn a_late_fill_is_dead_on_arrival() {
    play();
}

#[test]
fn orders_show_what_is_wrong_with_stamps() {
    for mutant in [Mutant::ReaderOlderThanEntry, Mutant::StaleAfterGrantOrRevoke, Mutant::StaleAfterNesting] {
        let noticed = mutant::with(mutant, || catch_unwind(AssertUnwindSafe(play)).is_err());
        mutant::play_orders(false);
        assert!(noticed, "no order shows {mutant:?}");
    }
}
