//! Random schemas, random tuples, random histories: the engine in all its ways against the oracle.

use std::collections::VecDeque;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::*;
use super::oracle::{Oracle, Terms};
use super::world::{HOME, Who, World, who};
use crate::model::EntityId;

const SUBJECTS: &[&str] = &[
    "user:u1",
    "user:u2",
    "away|user:u3",
    "*",
    "away|*",
    "group:g1",
    "group:g2",
    "group:g1#member",
    "group:g2#member",
    "group:g1#viewer",
    "group:g2#banned",
    "away|group:g3#member",
    "doc:d1",
    "doc:d1#viewer",
    "doc:d2#editor",
    "file:/a",
    "file:/a/b#viewer",
    "file:/a/b/c",
    "doc:d2",
];
pub(super) const OBJECTS: &[&str] = &[
    "file:/",
    "file:/a",
    "file:/a/b",
    "file:/a/b/c",
    "file:/ab",
    "file:x",
    "away|file:/a",
    "group:g1",
    "group:g2",
    "away|group:g3",
    "doc:d1",
    "doc:d2",
    "doc:d3",
];
const RELATIONS: &[&str] = &[
    "direct_viewer",
    "direct_owner",
    "viewer",
    "editor",
    "member",
    "banned",
    "parent",
    "shared-viewer",
    "folder",
    "read",
];
pub(super) const ASKERS: &[&str] =
    &["user:u1", "user:u2", "away|user:u3", "*", "group:g1", "user:stranger", "away|user:stranger"];
pub(super) const FILES: &[&str] = &["/", "/a", "/a/b", "/a/b/c", "/a/b/c/new", "/ab", "/new", "/b/b", "/b/b/c"];
pub(super) const ANYTHING: &[&str] = &[
    "file:/",
    "file:/a",
    "file:/a/b",
    "file:/a/b/c",
    "file:/a/b/c/new",
    "file:/ab",
    "file:x",
    "away|file:/a",
    "away|file:/a/b",
    "nowhere|file:/a",
    "group:g1",
    "group:g2",
    "away|group:g3",
    "doc:d1",
    "doc:d2",
    "doc:new",
];
/// The file that user u2 may own by column.
pub(super) const OWNED: &str = "file:/a/b/c";
pub(super) const KINDS: &[&str] = &["file", "group", "doc"];
const CONDITIONS: &[&str] = &[r#"{"attributes":{"team":"red"}}"#, r#"{"unheard_of":1}"#];

pub(super) fn pick(from: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    (0..from.len()).prop_map(|i| from[i])
}

fn rule() -> impl Strategy<Value = Value> {
    let name = || pick(RELATIONS);
    let ttu = || {
        let sets =
            prop_oneof![Just("parent"), Just("direct_viewer"), Just("direct_owner"), Just("folder"), Just("member")];
        (sets, name()).prop_map(|(t, c)| json!({"tupleToUserset": {"tupleset": t, "computedUserset": c}}))
    };
    let operand = prop_oneof![4 => name().prop_map(|n| json!(n)), 1 => ttu()];
    let operand = operand.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..3).prop_map(|list| json!({"union": list})),
            proptest::collection::vec(inner.clone(), 1..3).prop_map(|list| json!({"intersection": list})),
            inner.prop_map(|excluded| json!({"exclusion": excluded})),
        ]
    });
    prop_oneof![
        3 => Just(json!({})),
        4 => proptest::collection::vec(operand.clone(), 0..4).prop_map(|list| json!({"union": list})),
        2 => ttu(),
        1 => proptest::collection::vec(operand.clone(), 1..3).prop_map(|list| json!({"intersection": list})),
        1 => operand.prop_map(|excluded| json!({"exclusion": excluded})),
        1 => name().prop_map(|n| json!({"computed_userset": {"relation": n}})),
    ]
}

pub(super) fn config() -> impl Strategy<Value = Value> {
    let section = || proptest::collection::btree_map(pick(RELATIONS), rule(), 0..6);
    let any = (section(), proptest::collection::btree_map(pick(&["read", "viewer", "member"]), rule(), 0..3));
    prop_oneof![3 => any.prop_map(|(relations, permissions)| json!({"relations": relations, "permissions": permissions})), 2 => inheriting()]
}

/// A namespace like that of files: names that read themselves above, wrapped in more or fewer unions.
fn inheriting() -> impl Strategy<Value = Value> {
    let leaf = || {
        proptest::collection::vec(
            pick(&["direct_viewer", "direct_owner", "shared-viewer", "editor", "folder", "groups"]),
            1..4,
        )
    };
    (leaf(), leaf(), any::<bool>(), any::<bool>()).prop_map(|(viewer, editor, wrapped, stray)| {
        let above = |name: &str| json!({"tupleToUserset": {"tupleset": "parent", "computedUserset": name}});
        let mut viewer: Vec<Value> = viewer.into_iter().map(Value::from).collect();
        viewer.push(if wrapped { json!({"union": [above("viewer")]}) } else { above("viewer") });
        let mut editor: Vec<Value> = editor.into_iter().map(Value::from).collect();
        editor.push(above(if stray { "viewer" } else { "editor" }));
        json!({
            "relations": {
                "viewer": {"union": viewer}, "editor": {"union": editor}, "folder": {},
                "groups": {"tupleToUserset": {"tupleset": "direct_viewer", "computedUserset": "member"}},
            },
            "permissions": {"read": ["viewer", "editor"], "banned": ["read", "direct_viewer"]},
        })
    })
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Grant {
        subject: &'static str,
        relation: &'static str,
        object: &'static str,
        expires: Option<i64>,
        condition: Option<&'static str>,
    },
    Revoke(usize),
    Namespace(&'static str, Value),
    DropNamespace(&'static str),
    Rename(usize),
    Remove(usize),
    Clock(i64),
    Team(Option<&'static str>),
}

pub(super) fn grant() -> impl Strategy<Value = Step> {
    let expires = prop_oneof![4 => Just(None), 1 => (998_i64..1_004).prop_map(Some)];
    let condition = prop_oneof![8 => Just(None), 1 => pick(CONDITIONS).prop_map(Some)];
    // Half of the tuples are of the few that meet each other.
    let any = || (pick(SUBJECTS), pick(RELATIONS), pick(OBJECTS));
    let member =
        (pick(&["user:u1", "user:u2", "group:g1#member", "*"]), Just("member"), pick(&["group:g1", "group:g2"]));
    let grantee = pick(&["user:u1", "group:g1", "group:g2", "group:g1#member", "group:g2#member"]);
    let grant =
        (grantee, pick(&["direct_viewer", "direct_owner"]), pick(&["file:/", "file:/a", "file:/a/b", "file:/b"]));
    (prop_oneof![2 => any(), 1 => member, 1 => grant], expires, condition).prop_map(
        |((subject, relation, object), expires, condition)| Step::Grant {
            subject,
            relation,
            object,
            expires,
            condition,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => grant(),
        4 => any::<usize>().prop_map(Step::Revoke),
        1 => (pick(KINDS), config()).prop_map(|(kind, config)| Step::Namespace(kind, config)),
        1 => pick(KINDS).prop_map(Step::DropNamespace),
        1 => any::<usize>().prop_map(Step::Rename),
        1 => any::<usize>().prop_map(Step::Remove),
        1 => (998_i64..1_004).prop_map(Step::Clock),
        1 => prop_oneof![Just(None), Just(Some("red")), Just(Some("blue"))].prop_map(Step::Team),
    ]
}

pub(super) fn run(world: &mut World, step: &Step) {
    match step {
        Step::Grant { subject, relation, object, expires, condition } => {
            let with = Terms { expires: *expires, condition: condition.map(str::to_owned) };
            world.grant_with(&format!("{subject} {relation} {object}"), with);
        }
        Step::Revoke(nth) => {
            let count = world.tuples.len().max(1);
            if let Some((s, relation, o)) = world.tuples.keys().nth(nth % count).cloned() {
                world.revoke(&format!("{} {relation} {}", text(&s), text(&o)));
            }
        }
        Step::Namespace(kind, config) => {
            world.namespace(kind, config.clone());
        }
        Step::DropNamespace(kind) => {
            world.drop_namespace(kind);
        }
        Step::Rename(nth) => {
            let from = OBJECTS[nth % 6];
            let taken = |name: &str| world.graph.entity(who(name).object()).is_some();
            let to = ["file:/z", "file:/a/z", "file:/a/b"][nth % 3];
            if taken(from) && !taken(to) {
                world.rename(from, to);
            }
        }
        Step::Remove(nth) => {
            world.remove(OBJECTS[nth % OBJECTS.len()]);
        }
        Step::Clock(now) => {
            world.at(*now);
        }
        Step::Team(team) => {
            world.context(team.map_or(json!({}), |team| json!({"team": team})));
        }
    }
}

pub(super) fn text(who: &Who) -> String {
    let set = who.set.as_ref().map_or(String::new(), |set| format!("#{set}"));
    format!("{}|{}:{}{set}", who.tenant, who.kind, who.id)
}

pub(super) fn as_oracle(verdict: &Verdict) -> Option<bool> {
    match verdict {
        Verdict::Allow => Some(true),
        Verdict::Deny => Some(false),
        Verdict::Unknown(_) => None,
    }
}

/// All ways to an answer agree with the oracle, for one subject on some objects.
fn compare(world: &World, asker: &str, objects: &[&'static str], names: &[&str]) {
    let subject = Who { set: None, ..who(asker) };
    let questions = |objects: &[&str]| {
        let pairs = objects.iter().flat_map(|object| names.iter().map(|name| (who(object), (*name).to_owned())));
        pairs.collect::<Vec<_>>()
    };
    let facts = world.facts();
    let check = |questions: Vec<(Who, String)>, owner: Option<EntityId>| {
        let owned = owner.map(|_| (who(OWNED), who("user:u2")));
        let wanted = Oracle::new(&facts, &subject, owned).answers(&questions);
        for ((object, name), wanted) in questions.iter().zip(wanted) {
            let query = Query { subject: subject.object(), permission: name, object: object.object() };
            let verdict = world.decide(&world.graph, &query, LeafFacts { owner });
            assert_eq!(as_oracle(&verdict), wanted, "{asker} {name} {} owner {owner:?}: {verdict:?}", text(object));
        }
    };
    check(questions(objects), None);
    if let Some(owner) = world.graph.entity(who("user:u2").object()) {
        check(questions(&[OWNED]), Some(owner));
    }
}

/// What is visible follows from what is readable, and the cached list is the fresh one.
fn compare_visibility(world: &World, graph: &Graph, asker: &str, name: &str, tops: &[&str]) {
    let subject = who(asker);
    let paths: Vec<&str> = FILES.iter().copied().chain(["/z", "/a/z", "/a/z/y"]).collect();
    let readable = |path: &str| {
        let object = ObjectRef { tenant: HOME, kind: "file", id: path };
        let query = Query { subject: subject.object(), permission: name, object };
        graph.check(&query, LeafFacts::default(), &world.env, None, &mut Budget::edges(1_000_000)) == Verdict::Allow
    };
    for top in tops {
        let ask = |caches| {
            let budget = &mut Budget::edges(1_000_000);
            match graph.visible_candidates(subject.object(), name, HOME, top, &world.env, caches, budget) {
                Candidates::No => Some(Vec::new()),
                Candidates::Paths(paths) => Some(paths.to_vec()),
                Candidates::Search => None,
            }
        };
        let found = ask(None);
        assert_eq!(ask(Some(&world.caches)), found, "cached candidates below {top} for {asker}");
        assert_eq!(ask(Some(&world.caches)), found, "cached candidates below {top} for {asker}, again");
        let Some(found) = found else { continue };
        assert!(found.iter().all(|path| readable(path)), "{asker} {name} {top}: {found:?} holds what is not readable");
        let below = |path: &str, top: &str| top == "/" || path == top || path.starts_with(&format!("{top}/"));
        if !readable(top) {
            for path in paths.iter().filter(|path| below(path, top) && readable(path)) {
                assert!(
                    found.iter().any(|f| below(path, f)),
                    "{asker} {name}: {path} is missing below {top}: {found:?}"
                );
            }
        }
    }
}

/// How many random cases each property gets; [`cases`](super::cases) has the many.
const CASES: u32 = 100;
/// How many random histories; each step of each is a case.
const HISTORIES: u32 = 30;

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, ..ProptestConfig::default() })]

    /// Any schema, valid or not, any tuples: all ways give what the oracle gives.
    #[test]
    fn every_way_gives_what_the_rules_say(
        configs in proptest::collection::vec((pick(KINDS), config()), 0..3),
        grants in proptest::collection::vec(grant(), 0..24),
        team in prop_oneof![Just(None), Just(Some("red")), Just(Some("blue"))],
        asker in pick(ASKERS),
        objects in proptest::collection::vec(pick(ANYTHING), 1..5),
    ) {
        let mut world = World::new();
        world.context(team.map_or(json!({}), |team| json!({"team": team})));
        for (kind, config) in &configs {
            world.namespace(kind, config.clone());
        }
        for step in &grants {
            run(&mut world, step);
        }
        compare(&world, asker, &objects, &["read", "viewer", "member"]);
        compare_visibility(&world, &world.graph, asker, "read", FILES);
    }

    /// A filter that is given paths in any order says what each check says.
    #[test]
    fn a_filter_remembers_nothing_wrong(
        config in config(),
        grants in proptest::collection::vec(grant(), 0..16),
        order in proptest::collection::vec(pick(FILES), 1..20),
        asker in pick(ASKERS),
    ) {
        let mut world = World::new();
        if order.len() % 2 == 0 {
            world.namespace("file", config);
        }
        grants.iter().for_each(|step| run(&mut world, step));
        let subject = who(asker);
        let mut filter = world.graph.filter(subject.object(), "read", HOME, &world.env, None);
        for path in order {
            let query = Query { subject: subject.object(), permission: "read", object: ObjectRef { tenant: HOME, kind: "file", id: path } };
            let budget = &mut Budget::edges(1_000_000);
            let alone = world.graph.check(&query, LeafFacts::default(), &world.env, None, budget);
            let directory = path.rsplit_once('/').map_or("/", |(above, _)| if above.is_empty() { "/" } else { above });
            if filter.allows_all_in(directory, budget) {
                prop_assert_eq!(&alone, &Verdict::Allow, "{} in {}", path, directory);
            }
            prop_assert_eq!(filter.check(path, LeafFacts::default(), budget), alone, "{}", path);
        }
    }

    /// A smaller budget only makes answers unknown.
    #[test]
    fn a_budget_never_flips_an_answer(
        config in config(),
        grants in proptest::collection::vec(grant(), 0..24),
        asker in pick(ASKERS),
        object in pick(OBJECTS),
        edges in 0_u64..60,
    ) {
        let mut world = World::new();
        world.namespace("doc", config.clone()).namespace("file", config);
        grants.iter().for_each(|step| run(&mut world, step));
        let (subject, object) = (who(asker), who(object));
        let query = Query { subject: subject.object(), permission: "read", object: object.object() };
        let check = |edges| world.graph.check(&query, LeafFacts::default(), &world.env, None, &mut Budget::edges(edges));
        let (short, full) = (check(edges), check(1_000_000));
        prop_assert!(short == full || short == Verdict::Unknown(Why::Budget), "{:?} became {:?}", full, short);
    }

    /// Undoing what was done gives the answers of before; a rolled-back clone never shows.
    #[test]
    fn the_way_back_is_the_way_there(grants in proptest::collection::vec(grant(), 1..16), more in proptest::collection::vec(step(), 1..8), asker in pick(ASKERS)) {
        let mut world = World::new();
        grants.iter().for_each(|step| run(&mut world, step));
        let answers = |world: &World| {
            let subject = who(asker);
            let objects = OBJECTS.iter().map(|object| who(object));
            objects.map(|object| {
                let query = Query { subject: subject.object(), permission: "read", object: object.object() };
                world.decide(&world.graph, &query, LeafFacts::default())
            }).collect::<Vec<_>>()
        };
        let before = answers(&world);
        let saved = world.clone();
        more.iter().for_each(|step| run(&mut world, step));
        let world = saved;
        prop_assert_eq!(answers(&world), before);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: HISTORIES, ..ProptestConfig::default() })]

    /// After every step of a history, for readers of this and of older revisions: what is cached is what is computed.
    #[test]
    fn what_is_cached_is_what_is_computed(steps in proptest::collection::vec(step(), 1..32), askers in (pick(ASKERS), pick(ASKERS))) {
        let mut world = World::new();
        let mut published: VecDeque<Arc<Graph>> = VecDeque::new();
        for (i, step) in steps.iter().enumerate() {
            run(&mut world, step);
            let asker = if i % 2 == 0 { askers.0 } else { askers.1 };
            published.push_front(Arc::new(world.graph.clone()));
            published.truncate(3);
            // Newest first, so that older readers meet entries from their future.
            for graph in &published {
                for object in ["file:/a/b/c", ANYTHING[i % ANYTHING.len()]] {
                    let (subject, object) = (who(asker), who(object));
                    let query = Query { subject: subject.object(), permission: "read", object: object.object() };
                    world.decide(graph, &query, LeafFacts::default());
                }
                compare_visibility(&world, graph, asker, "read", &["/", "/a/b"]);
            }
            compare(&world, asker, &[ANYTHING[i % ANYTHING.len()]], &["read"]);
        }
    }
}
