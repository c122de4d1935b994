//! Explanations of chosen cases: what comes first, what bounds the search, and how deep and wide a proof may be.

use serde_json::json;

use super::super::explain::{Action, Explanation, How, MissWhy, NoRepair, Proof};
use super::super::*;
use super::oracle::Terms;
use super::verifier::Verifier;
use super::world::{World, parts};

fn explain_until(world: &World, question: &str, stop: &dyn Fn() -> bool) -> Explanation {
    let (subject, permission, object) = parts(question);
    let query = Query { subject: subject.object(), permission: &permission, object: object.object() };
    let (leaf, caches, budget) = (LeafFacts::default(), Some(&*world.caches), &mut Budget::request());
    world.graph.explain(&query, leaf, &world.env, caches, budget, stop)
}

fn explain(world: &World, question: &str) -> Explanation {
    explain_until(world, question, &|| false)
}

/// Each change as `action subject relation object`.
fn changes(explanation: &Explanation) -> Vec<String> {
    let text = |element: &super::super::explain::Element| {
        let tuple = &element.tuple;
        let set = tuple.subject_relation.as_ref().map_or(String::new(), |set| format!("#{set}"));
        let (s, o) = (&tuple.subject, &tuple.object);
        format!("{:?} {}:{}{set} {} {}:{}", element.action, s.kind, s.id, tuple.relation, o.kind, o.id)
    };
    explanation.repairs.iter().map(|r| r.elements.iter().map(text).collect::<Vec<_>>().join(" + ")).collect()
}

#[test]
fn the_nearest_comes_first() {
    let mut world = World::new();
    world
        .grant_until("user:u direct_editor file:/a/b/c", 900)
        .grant("group:team#member direct_viewer file:/a")
        .grant("user:v member group:team");
    let explanation = explain(&world, "user:u read file:/a/b/c");
    assert_eq!(explanation.verdict, Verdict::Deny);
    assert!(explanation.complete && explanation.no_repair.is_none());
    assert_eq!(explanation.misses.len(), 1);
    assert_eq!(explanation.misses[0].why, MissWhy::Expired(900));
    let wanted = [
        "Renew user:u direct_editor file:/a/b/c",
        "Join user:u member group:team",
        "GrantOnObject user:u direct_viewer file:/a/b/c",
        "GrantAbove user:u direct_viewer file:/a/b",
        "GrantAbove user:u direct_viewer file:/a",
    ];
    assert_eq!(changes(&explanation), wanted);
    assert!(!explanation.stats.closure_cached, "nobody asked before");
    assert!(explain(&world, "user:u read file:/a/b/c").stats.closure_cached);
}

#[test]
fn a_condition_is_named_with_its_keys() {
    let mut world = World::new();
    world.grant_if("user:u direct_viewer file:/a", r#"{"attributes":{"team":"red","level":3}}"#);
    let unknown = explain(&world, "user:u read file:/a");
    assert_eq!(unknown.verdict, Verdict::Unknown(Why::MissingContext(vec!["level".into(), "team".into()])));
    let keys = |missing: &[&str], failed: &[&str]| MissWhy::Condition {
        missing: missing.iter().map(|key| (*key).to_owned()).collect(),
        failed: failed.iter().map(|key| (*key).to_owned()).collect(),
        unreadable: false,
    };
    assert_eq!(unknown.misses[0].why, keys(&["level", "team"], &[]));
    assert_eq!(unknown.repairs[0].elements[0].action, Action::Condition);
    world.context(json!({"team": "blue"}));
    let denied = explain(&world, "user:u read file:/a");
    assert_eq!((&denied.verdict, &denied.misses[0].why), (&Verdict::Deny, &keys(&["level"], &["team"])));
    assert_eq!(changes(&denied)[0], "Condition user:u direct_viewer file:/a");
}

#[test]
fn an_exclusion_is_undone_by_removals() {
    let mut world = World::new();
    let guarded = json!({"relations": {"viewer": {}, "banned": {}}, "permissions":
        {"read": {"intersection": ["viewer", {"exclusion": "banned"}]}}});
    world
        .namespace("doc", guarded)
        .grant("user:u viewer doc:d")
        .grant("user:u banned doc:d")
        .grant("group:bad#member banned doc:d")
        .grant("user:u member group:bad");
    let explanation = explain(&world, "user:u read doc:d");
    let direct = "Remove user:u banned doc:d";
    let wanted = [
        format!("{direct} + Remove user:u member group:bad"),
        format!("{direct} + Remove group:bad#member banned doc:d"),
    ];
    let mut found = changes(&explanation);
    found.sort();
    let mut wanted = wanted.map(|change| {
        let mut elements: Vec<_> = change.split(" + ").collect();
        elements.sort_unstable();
        elements.join(" + ")
    });
    wanted.sort();
    let sorted = |change: &String| {
        let mut elements: Vec<_> = change.split(" + ").collect();
        elements.sort_unstable();
        elements.join(" + ")
    };
    assert_eq!(found.iter().map(sorted).collect::<Vec<_>>(), wanted);
}

#[test]
fn what_nothing_can_repair_says_so() {
    let mut world = World::new();
    world.namespace(
        "doc",
        json!({"relations": {"viewer": {}, "loop": ["ring"], "ring": ["loop"]}, "permissions": {
            "nobody": [],
            "both": {"intersection": ["viewer", {"exclusion": "viewer"}]},
            "circle": ["ring"],
            "some": {"intersection": ["viewer", {"exclusion": "loop"}]},
        }}),
    );
    for name in ["nobody", "both", "circle"] {
        let explanation = explain(&world, &format!("user:u {name} doc:d"));
        assert_eq!(explanation.no_repair, Some(NoRepair::Unsatisfiable), "{name}");
        assert!(explanation.complete && explanation.repairs.is_empty(), "{name}");
    }
    assert_eq!(changes(&explain(&world, "user:u some doc:d")), ["GrantOnObject user:u viewer doc:d"]);
    let unheard = explain(&world, "user:u fly doc:d");
    assert!(!unheard.defined, "doc names no such thing");
    assert_eq!(changes(&unheard), ["GrantOnObject user:u fly doc:d"], "only a tuple of that very name would count");
}

#[test]
fn a_search_that_is_stopped_is_not_complete() {
    let mut world = World::new();
    world.grant("user:v direct_viewer file:/a");
    let explanation = explain_until(&world, "user:u read file:/a", &|| true);
    assert_eq!((explanation.verdict, explanation.stats.candidates), (Verdict::Deny, 0));
    assert_eq!((explanation.complete, explanation.no_repair), (false, Some(NoRepair::NotFound)));
}

#[test]
fn a_cell_of_many_sets_is_proved_by_the_one_that_counts() {
    let mut world = World::new();
    (0..2_000).for_each(|i| {
        world.grant(&format!("group:g{i}#member direct_viewer file:/a"));
    });
    world.grant("user:u member group:g1999");
    let allowed = explain(&world, "user:u read file:/a/b");
    assert!(allowed.verdict.allowed() && allowed.proof.is_some_and(|proof| proof.facts.len() < 20));
    let denied = explain(&world, "user:v read file:/a/b");
    assert!(!denied.complete, "not all 2,000 groups were looked at");
    assert!(denied.stats.candidates < 20 && denied.repairs.len() == 5);
}

#[test]
fn a_proof_may_be_as_deep_as_the_groups() {
    const DEPTH: usize = 5_000;
    let mut world = World::new();
    for i in 0..DEPTH {
        world.put(parts(&format!("group:g{i}#member member group:g{}", i + 1)), Terms::default());
    }
    world.grant("user:u member group:g0").grant(&format!("group:g{DEPTH}#member direct_viewer file:/a"));
    let explanation = explain(&world, "user:u read file:/a");
    let proof = explanation.proof.expect("a proof");
    assert!(proof.facts.len() > DEPTH);
}

/// The proof of an allow, accepted by the verifier.
fn verified(world: &World, question: &str) -> Proof {
    let (subject, permission, object) = parts(question);
    let proof = explain(world, question).proof.expect("a proof");
    let facts = world.facts();
    let verifier = Verifier { facts: &facts, subject, owner: None };
    verifier.accepts(&proof, &permission, &object).expect("a proof that can be replayed");
    proof
}

#[test]
fn an_exclusion_that_does_not_hold_proves_nothing() {
    let mut world = World::new();
    let rules = json!({"relations": {"viewer": {}, "team": ["viewer"], "banned": {}}, "permissions":
        {"read": [{"exclusion": "banned"}, {"union": ["team"]}]}});
    world.namespace("doc", rules).grant("user:u banned doc:d").grant("user:u viewer doc:d");
    let last = verified(&world, "user:u read doc:d").facts.pop().expect("a fact");
    assert!(matches!(last.how, How::Tuple(_)), "{last:?}");
    let absent = verified(&world, "user:v read doc:d").facts.pop().expect("a fact");
    assert!(matches!(absent.how, How::Absent { .. }), "{absent:?}");
}

#[test]
fn reasons_come_after_what_rests_on_them() {
    let mut world = World::new();
    let rules = json!({"relations": {"v": {}, "a": ["v"], "b": ["a"]}, "permissions":
        {"read": {"intersection": ["a", "b"]}}});
    world.namespace("doc", rules).grant("user:u v doc:d");
    let proof = verified(&world, "user:u read doc:d");
    let names: Vec<_> = proof.facts.iter().filter_map(|fact| fact.name.as_deref()).collect();
    assert_eq!(names, ["read", "b", "a", "v"]);
}

#[test]
fn a_set_of_another_tenant_is_no_way_in() {
    let mut world = World::new();
    world.grant("away|group:g#member direct_viewer file:/a").grant("away|user:u member away|group:g");
    let explanation = explain(&world, "away|user:u read file:/a");
    assert_eq!(explanation.verdict, Verdict::Deny);
    assert_eq!(changes(&explanation)[0], "GrantOnObject user:u shared-viewer file:/a");
}
