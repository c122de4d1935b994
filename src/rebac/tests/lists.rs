//! Lists against the oracle and against the checks: objects, subjects, and the expanded tree.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::super::*;
use super::oracle::Oracle;
use super::property::{ANYTHING, ASKERS, FILES, KINDS, OWNED, as_oracle, config, grant, pick, run};
use super::world::{HOME, Who, World, who};

const NAMES: &[&str] = &["read", "viewer", "member"];
/// Everybody who may be in a list of subjects, and some who are named nowhere.
const UNIVERSE: &[&str] = &[
    "user:u1",
    "user:u2",
    "away|user:u3",
    "user:stranger",
    "away|user:stranger",
    "nowhere|user:stranger",
    "group:g1",
    "group:g2",
    "away|group:g3",
    "group:new",
    "doc:d1",
    "doc:d2",
    "file:/a",
    "file:/a/b/c",
    "*",
    "away|*",
    "nowhere|*",
];

/// How many random cases each property gets. Raise it for a night.
const CASES: u32 = 100;

fn enough() -> Budget {
    Budget::edges(10_000_000)
}

fn world(configs: &[(&'static str, serde_json::Value)], grants: &[super::property::Step], team: Option<&str>) -> World {
    let mut world = World::new();
    world.context(team.map_or(json!({}), |team| json!({"team": team})));
    for (kind, config) in configs {
        world.namespace(kind, config.clone());
    }
    grants.iter().for_each(|step| run(&mut world, step));
    world
}

/// What objects of a type and tenant a live tuple names that the graph reads.
fn domain(world: &World, tenant: &str, kind: &str) -> BTreeSet<Who> {
    let mut found = BTreeSet::new();
    for ((subject, relation, object), row) in &world.tuples {
        let live = row.expires_at_us.is_none_or(|at| world.env.now_us < at);
        if live && !(relation == "parent" && subject.kind == "file") {
            found.extend([Who { set: None, ..subject.clone() }, object.clone()]);
        }
    }
    found.retain(|who| who.tenant == tenant && who.kind == kind);
    found
}

fn texts(ids: &[Arc<str>]) -> Vec<String> {
    ids.iter().map(|id| id.to_string()).collect()
}

/// The list is what the oracle says of each object of the domain, whole and in pages of every size.
fn compare_objects(world: &World, asker: &str, kind: &str, tenant: &str, name: &str) {
    let subject = who(asker);
    let query = ObjectsQuery { subject: subject.object(), permission: name, kind, tenant };
    let list = |caches| world.graph.list_objects(&query, None, 1_000, &world.env, caches, &mut enough());
    let whole = list(None);
    assert_eq!(list(Some(&*world.caches)), whole, "cached and uncached");
    assert!(whole.complete && whole.next.is_none());
    let questions: Vec<_> = domain(world, tenant, kind).into_iter().map(|object| (object, name.to_owned())).collect();
    let answers = Oracle::new(&world.facts(), &subject, None).answers(&questions);
    let said = |wanted| {
        let pairs = questions.iter().zip(&answers).filter(move |(_, answer)| **answer == wanted);
        pairs.map(|((object, _), _)| object.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(texts(&whole.allowed), said(Some(true)), "{asker} {name} {tenant} {kind}");
    let undecided: Vec<_> = whole.undecided.iter().map(|(id, _)| id.to_string()).collect();
    assert_eq!(undecided, said(None), "{asker} {name} {tenant} {kind}, undecided");
    for limit in 1..4 {
        let (mut allowed, mut undecided, mut after) = (Vec::new(), Vec::new(), None::<Arc<str>>);
        loop {
            let page = world.graph.list_objects(&query, after.as_deref(), limit, &world.env, None, &mut enough());
            assert!(page.complete);
            let full = page.allowed.len() + page.undecided.len();
            assert!(full == limit || page.next.is_none(), "a short page that is not the last");
            allowed.extend(page.allowed);
            undecided.extend(page.undecided);
            assert!(allowed.len() + undecided.len() <= 1_000, "pages without end");
            let Some(next) = page.next else { break };
            after = Some(next);
        }
        assert_eq!((&allowed, &undecided), (&whole.allowed, &whole.undecided), "pages of {limit}");
    }
}

/// Outside of the roots nothing is readable, nor undecided.
fn compare_roots(world: &World, asker: &str, name: &str) {
    let subject = who(asker);
    let roots = world.graph.file_roots(subject.object(), name, HOME, &world.env, &mut enough()).expect("enough");
    let FileRoots::Below { paths, owners } = roots else { return };
    assert!(paths.is_sorted_by(|a, b| tree_order(a, b).is_lt()));
    let below = |path: &str, top: &str| top == "/" || path == top || path.starts_with(&format!("{top}/"));
    for path in FILES.iter().copied().chain(["/b", "/z", "/a/z/y"]) {
        for owner in [None, world.graph.entity(who("user:u2").object())] {
            let object = ObjectRef { tenant: HOME, kind: "file", id: path };
            let query = Query { subject: subject.object(), permission: name, object };
            let verdict = world.graph.check(&query, LeafFacts { owner }, &world.env, None, &mut enough());
            let inside = paths.iter().any(|top| below(path, top)) || owner.is_some_and(|o| owners.contains(&o));
            assert!(inside || verdict == Verdict::Deny, "{asker} {name} {path} by {owner:?}: {verdict:?} {paths:?}");
        }
    }
}

/// The lists of subjects say of everybody what a check says.
fn compare_subjects(world: &World, object: &str, name: &str, owner: Option<&str>) {
    let object = who(object);
    let leaf = LeafFacts { owner: owner.and_then(|owner| world.graph.entity(who(owner).object())) };
    for kind in [Some("user"), Some("group"), Some("*"), None] {
        let query = SubjectsQuery { permission: name, object: object.object(), leaf, kind };
        let list = world.graph.list_subjects(&query, &world.env, &mut enough());
        assert!(list.complete);
        let mut sorted = list.allowed.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted, list.allowed, "in order and without doubles");
        let of_kind = |who: &Who| kind.is_none_or(|kind| who.kind == kind);
        for subject in UNIVERSE.iter().map(|s| who(s)).filter(of_kind) {
            if kind == Some("*") && subject.tenant != object.tenant {
                continue;
            }
            let question = Query { subject: subject.object(), permission: name, object: object.object() };
            let wanted = world.graph.check(&question, leaf, &world.env, None, &mut enough());
            let said = list.verdict(subject.object());
            assert_eq!(as_oracle(&said), as_oracle(&wanted), "{subject:?} {name} {object:?} of {kind:?}: {list:?}");
        }
        for named in list.allowed.iter().chain(list.undecided.iter().map(|(who, _)| who)) {
            assert!(kind.is_none_or(|kind| kind == named.kind), "{named:?} is no {kind:?}");
        }
    }
}

/// A reading of the expanded tree that knows nothing of rules: `None` = it cannot say.
struct Reading<'w> {
    world: &'w World,
    subject: Who,
}

impl Reading<'_> {
    fn any<'e>(&self, of: impl Iterator<Item = &'e Expanded>, above: Option<&[Expanded]>) -> Option<bool> {
        of.map(|e| self.read(e, above)).try_fold(false, |any, one| Some(any | one?))
    }

    /// `above`: the entries of the enclosing list of directories that come after this one.
    fn read(&self, tree: &Expanded, above: Option<&[Expanded]>) -> Option<bool> {
        match &tree.operation {
            Operation::Union(parts) => self.any(parts.iter(), above),
            Operation::Intersection(parts) => {
                parts.iter().map(|e| self.read(e, above)).try_fold(true, |all, one| Some(all & one?))
            }
            Operation::Exclusion(part) => Some(!self.read(part, above)?),
            Operation::Inherited(levels) => self.levels(levels),
            Operation::Above => self.levels(above?),
            Operation::Direct { subjects, truncated: false } => self.grantees(subjects),
            Operation::Through { sets, truncated: false, .. } => self.grantees(sets),
            _ => None,
        }
    }

    fn levels(&self, levels: &[Expanded]) -> Option<bool> {
        let Some((first, rest)) = levels.split_first() else { return Some(false) };
        self.read(first, Some(rest))
    }

    fn grantees(&self, grantees: &[Grantee]) -> Option<bool> {
        let one = |grantee: &Grantee| {
            let graph = &self.world.graph;
            let who = grantee.subject.name();
            if grantee.conditional {
                return None;
            }
            let Some(relation) = &grantee.relation else {
                let everybody = who.kind == "*" && who.tenant == self.subject.tenant;
                return Some(everybody || who == self.subject.object());
            };
            if who.kind == "*" {
                return Some(false);
            }
            let relation = graph.relations.find(relation).expect("a relation of the tree");
            let entity = graph.entity(who).expect("an entity of the tree");
            let name = graph.reference(entity, u16::try_from(relation).expect("small")).expect("a name");
            let subject = graph.subject(self.subject.object());
            let verdict = graph.evaluate(subject, name, who, None, &self.world.env, &mut enough());
            as_oracle(&verdict)
        };
        grantees.iter().map(one).try_fold(false, |any, one| Some(any | one?))
    }
}

fn compare_tree(world: &World, object: &str, name: &str, owner: Option<&str>) -> usize {
    let object = who(object);
    let leaf = LeafFacts { owner: owner.and_then(|owner| world.graph.entity(who(owner).object())) };
    let tree = world.graph.expand(name, object.object(), leaf, &world.env, &mut enough());
    let mut read = 0;
    for subject in UNIVERSE.iter().map(|s| who(s)) {
        let query = Query { subject: subject.object(), permission: name, object: object.object() };
        let wanted = as_oracle(&world.graph.check(&query, leaf, &world.env, None, &mut enough()));
        let said = Reading { world, subject: subject.clone() }.read(&tree, None);
        if let (Some(said), Some(wanted)) = (said, wanted) {
            assert_eq!(said, wanted, "{subject:?} {name} {object:?}: {tree:#?}");
            read += 1;
        }
    }
    read
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, ..ProptestConfig::default() })]

    /// Any schema, valid or not, any tuples: the list of objects is what the rules say of each.
    #[test]
    fn objects_are_those_that_the_rules_allow(
        configs in proptest::collection::vec((pick(KINDS), config()), 0..3),
        grants in proptest::collection::vec(grant(), 0..32),
        team in prop_oneof![Just(None), Just(Some("red")), Just(Some("blue"))],
        asker in pick(ASKERS),
    ) {
        let world = world(&configs, &grants, team);
        for kind in ["doc", "group", "file", "user", "planet"] {
            for name in NAMES {
                compare_objects(&world, asker, kind, HOME, name);
            }
        }
        NAMES.iter().for_each(|name| compare_roots(&world, asker, name));
        compare_objects(&world, asker, "group", "away", "member");
        compare_objects(&world, asker, "file", "away", "read");
    }

    /// A list of subjects, its exceptions applied, is what a check says of each, known or not.
    #[test]
    fn subjects_are_those_that_the_rules_allow(
        configs in proptest::collection::vec((pick(KINDS), config()), 0..3),
        grants in proptest::collection::vec(grant(), 0..32),
        team in prop_oneof![Just(None), Just(Some("red")), Just(Some("blue"))],
        objects in proptest::collection::vec(pick(ANYTHING), 1..4),
    ) {
        let world = world(&configs, &grants, team);
        for object in &objects {
            for name in NAMES {
                compare_subjects(&world, object, name, None);
                compare_tree(&world, object, name, None);
            }
        }
        compare_subjects(&world, OWNED, "read", Some("user:u2"));
        compare_tree(&world, OWNED, "read", Some("user:u2"));
    }

    /// Less budget gives less, and says so; what it gives is right.
    #[test]
    fn a_small_budget_is_never_a_short_list(
        config in config(),
        grants in proptest::collection::vec(grant(), 0..24),
        asker in pick(ASKERS),
        object in pick(ANYTHING),
        edges in 0_u64..120,
    ) {
        let world = world(&[("doc", config)], &grants, None);
        let subject = who(asker);
        let query = ObjectsQuery { subject: subject.object(), permission: "read", kind: "doc", tenant: HOME };
        let list = |budget| world.graph.list_objects(&query, None, 1_000, &world.env, None, &mut Budget::edges(budget));
        let (short, whole) = (list(edges), list(1_000_000));
        prop_assert!(whole.allowed.starts_with(&short.allowed));
        prop_assert!(short == whole || !short.complete);
        let object = who(object);
        let query = SubjectsQuery { permission: "read", object: object.object(), leaf: LeafFacts::default(), kind: Some("user") };
        let list = |budget| world.graph.list_subjects(&query, &world.env, &mut Budget::edges(budget));
        let (short, whole) = (list(edges), list(1_000_000));
        prop_assert!(whole.allowed.starts_with(&short.allowed));
        prop_assert!(short == whole || !short.complete);
    }
}

fn names(list: &[SubjectName]) -> Vec<String> {
    list.iter().map(|s| format!("{}|{}:{}", s.tenant, s.kind, s.id)).collect()
}

fn subjects(world: &World, name: &str, object: &str, kind: Option<&str>) -> Subjects {
    let object = who(object);
    let query = SubjectsQuery { permission: name, object: object.object(), leaf: LeafFacts::default(), kind };
    world.graph.list_subjects(&query, &world.env, &mut enough())
}

fn objects(world: &World, subject: &str, name: &str, kind: &str) -> Vec<String> {
    let subject = who(subject);
    let query = ObjectsQuery { subject: subject.object(), permission: name, kind, tenant: HOME };
    texts(&world.graph.list_objects(&query, None, 1_000, &world.env, None, &mut enough()).allowed)
}

/// T6: everybody but the banned, never a bare star.
#[test]
fn everybody_except() {
    let mut world = World::new();
    let read = json!({"intersection": ["viewer", {"exclusion": "banned"}]});
    world.namespace("doc", json!({"relations": {"viewer": {}, "banned": {}}, "permissions": {"read": read}}));
    world.grant("* viewer doc:d1").grant("user:bob banned doc:d1").grant("user:alice viewer doc:d1");
    let list = subjects(&world, "read", "doc:d1", Some("user"));
    assert_eq!(names(&list.allowed), ["home|user:alice"]);
    assert_eq!(list.everybody.len(), 1, "{list:?}");
    let everybody = &list.everybody[0];
    assert_eq!((everybody.tenant.as_deref(), &everybody.verdict), (Some(HOME), &Verdict::Allow));
    assert_eq!(names(&everybody.except), ["home|user:bob"]);
    assert_eq!(list.verdict(who("away|user:x").object()), Verdict::Deny);
    assert_eq!(names(&subjects(&world, "read", "doc:d1", None).allowed), ["home|*:*", "home|user:alice"]);
    // A rule alone lets everybody in, of every tenant.
    world.namespace("doc", json!({"relations": {"banned": {}}, "permissions": {"read": {"exclusion": "banned"}}}));
    let list = subjects(&world, "read", "doc:d1", Some("user"));
    let all: Vec<_> = list.everybody.iter().map(|e| e.tenant.as_deref()).collect();
    assert_eq!(all, [Some(HOME), None]);
    assert_eq!(names(&list.everybody[0].except), ["home|user:bob"]);
    assert_eq!(objects(&world, "user:stranger", "read", "doc"), ["d1"]);
    assert_eq!(objects(&world, "user:bob", "read", "doc"), Vec::<String>::new());
}

/// An exclusion inside an exclusion: who is banned and pardoned is in again.
#[test]
fn everybody_except_whom_nobody_pardoned() {
    let mut world = World::new();
    let banned = json!({"intersection": ["banned", {"exclusion": "pardoned"}]});
    let read = json!({"intersection": ["viewer", {"exclusion": banned}]});
    let relations = json!({"viewer": {}, "banned": {}, "pardoned": {}});
    world.namespace("doc", json!({"relations": relations, "permissions": {"read": read}}));
    world.grant("* viewer doc:d").grant("user:bob banned doc:d").grant("user:eve banned doc:d");
    world.grant("user:eve pardoned doc:d").grant("user:idle pardoned doc:d");
    let list = subjects(&world, "read", "doc:d", Some("user"));
    assert_eq!(names(&list.allowed), ["home|user:eve", "home|user:idle"]);
    assert_eq!(names(&list.everybody[0].except), ["home|user:bob"]);
    // Everybody is banned, but for the pardoned: nobody is left to be everybody.
    world.grant("* banned doc:d");
    let list = subjects(&world, "read", "doc:d", Some("user"));
    assert_eq!((names(&list.allowed).len(), list.everybody.len()), (2, 0), "{list:?}");
}

/// What came in by a share names its tenant.
#[test]
fn subjects_of_another_tenant_carry_it() {
    let mut world = World::new();
    world.grant("away|user:carol shared-viewer file:/a").grant("away|group:g#member shared-viewer file:/a");
    world.grant("away|user:dan member away|group:g").grant("user:alice direct_viewer file:/a");
    let list = subjects(&world, "read", "file:/a/b", Some("user"));
    assert_eq!(names(&list.allowed), ["away|user:carol", "away|user:dan", "home|user:alice"]);
    assert!(list.everybody.is_empty());
    world.grant("away|* member away|group:g");
    let list = subjects(&world, "read", "file:/a/b", Some("user"));
    assert_eq!(list.everybody.iter().map(|e| e.tenant.as_deref()).collect::<Vec<_>>(), [Some("away")]);
}

/// Nested groups, other types, tuplesets in both directions: all that the original missed.
#[test]
fn objects_through_everything_that_leads_to_them() {
    let mut world = World::new();
    let above = json!({"tupleToUserset": {"tupleset": "parent", "computedUserset": "viewer"}});
    let by_team = json!({"tupleToUserset": {"tupleset": "direct_team", "computedUserset": "member"}});
    world.namespace(
        "doc",
        json!({"relations": {"own": {}, "viewer": {"union": ["own", above, by_team]}}, "permissions": {}}),
    );
    world
        .grant("user:a member group:in")
        .grant("group:in#member member group:mid")
        .grant("group:mid#member own doc:nested");
    world.grant("doc:child parent doc:nested").grant("group:in direct_team doc:team").grant("user:b own doc:other");
    world.grant("* own doc:public").grant_until("user:a own doc:ended", 900);
    assert_eq!(objects(&world, "user:a", "viewer", "doc"), ["child", "nested", "public", "team"]);
    assert_eq!(objects(&world, "user:b", "viewer", "doc"), ["other", "public"]);
    assert_eq!(objects(&world, "user:nobody", "viewer", "doc"), ["public"]);
}

/// The other way round: who is found over tuplesets in both directions.
#[test]
fn subjects_through_everything_that_leads_to_the_object() {
    let mut world = World::new();
    let above = json!({"tupleToUserset": {"tupleset": "parent", "computedUserset": "viewer"}});
    let by_team = json!({"tupleToUserset": {"tupleset": "direct_team", "computedUserset": "member"}});
    let viewer = json!({"union": ["own", above, by_team]});
    world.namespace("doc", json!({"relations": {"own": {}, "viewer": viewer}, "permissions": {}}));
    world.grant("user:a own doc:top").grant("doc:child parent doc:top").grant("group:in direct_team doc:child");
    world.grant("user:b member group:in").grant("user:c own doc:grandchild").grant("doc:grandchild parent doc:child");
    assert_eq!(names(&subjects(&world, "viewer", "doc:child", Some("user")).allowed), ["home|user:a", "home|user:b"]);
}

/// Rules that read each other are shown once.
#[test]
fn a_tree_of_rules_in_a_ring_ends() {
    let mut world = World::new();
    let (a, b) = (json!({"union": ["own", "b"]}), json!({"union": ["a", "other"]}));
    world.namespace("doc", json!({"relations": {"own": {}, "other": {}, "a": a, "b": b}, "permissions": {}}));
    world.grant("user:u own doc:d");
    let tree = world.graph.expand("a", who("doc:d").object(), LeafFacts::default(), &world.env, &mut enough());
    let text = format!("{tree:?}");
    assert_eq!((text.matches("Repeated").count(), text.matches("Truncated").count()), (1, 0), "{tree:#?}");
}

/// A directory in between that no tuple names does not hide what lies below it.
#[test]
fn objects_behind_files_far_below_a_grant() {
    let mut world = World::new();
    world.namespace("doc", json!({"relations": {"seen": {}}, "permissions": {}}));
    world.grant("user:a direct_viewer file:/top").grant("file:/top/not/named/x#viewer seen doc:d");
    world.grant("file:/topper#viewer seen doc:e");
    assert_eq!(objects(&world, "user:a", "seen", "doc"), ["d"]);
}

/// Files of those whose owning counts are found by their owner, as far as rules lead to one.
#[test]
fn owners_by_column_are_roots_of_their_own() {
    let mut world = World::new();
    world.grant("user:boss chief user:u2").grant("user:u2 direct_viewer file:/else");
    let roots = |world: &World, asker: &str| {
        let found = world.graph.file_roots(who(asker).object(), "read", HOME, &world.env, &mut enough());
        let Ok(FileRoots::Below { paths, owners }) = found else { panic!("{found:?}") };
        (texts(&paths), owners)
    };
    let owner = world.id("user:u2");
    assert_eq!(roots(&world, "user:u2"), (vec!["/else".to_owned()], vec![owner]));
    assert_eq!(roots(&world, "user:boss"), (vec![], vec![world.id("user:boss")]));
    let by_chief = json!({"tupleToUserset": {"tupleset": "direct_owner", "computedUserset": "chief"}});
    world.namespace("file", json!({"relations": {"direct_owner": {}}, "permissions": {"read": {"union": [by_chief]}}}));
    assert_eq!(roots(&world, "user:boss"), (vec![], vec![owner]));
    world.namespace("file", json!({"relations": {}, "permissions": {"read": {"exclusion": "banned"}}}));
    let found = world.graph.file_roots(who("user:x").object(), "read", HOME, &world.env, &mut enough());
    assert_eq!(found, Ok(FileRoots::Everywhere));
}

/// The work follows what the subject has, not what there is.
#[test]
fn a_list_of_few_among_many_is_cheap() {
    let mut world = World::new();
    world.compare = false;
    for i in 0..2_000 {
        world.grant(&format!("user:other owner memory:m{i:04}")).grant(&format!("user:a direct_viewer file:/f{i}"));
    }
    world.grant("user:a viewer memory:m0007");
    let subject = who("user:a");
    let query = ObjectsQuery { subject: subject.object(), permission: "read", kind: "memory", tenant: HOME };
    let candidates = world.graph.object_candidates(&query, &world.env, &mut Budget::edges(10)).expect("few edges");
    assert_eq!(candidates.len(), 1);
    let page = world.graph.objects_page(&query, &candidates, None, 10, &world.env, None, &mut enough());
    assert_eq!(texts(&page.allowed), ["m0007"]);
}

#[test]
fn the_tree_shows_rules_tuples_and_marks() {
    let mut world = World::new();
    world.grant_until("user:alice direct_viewer file:/a/b", 5_000).grant_until("user:old direct_viewer file:/a", 900);
    world.grant_if("user:bob direct_editor file:/a", r#"{"attributes":{"team":"red"}}"#);
    world.grant("group:eng direct_viewer file:/").grant("group:ops#member direct_viewer file:/");
    let owner = LeafFacts { owner: Some(world.id("user:bob")) };
    let object = who("file:/a/b");
    let tree = world.graph.expand("read", object.object(), owner, &world.env, &mut enough());
    assert_eq!((tree.name.as_str(), tree.object.id.as_str()), ("permissions.read", "/a/b"));
    let mut flat = BTreeMap::new();
    collect(&tree, &mut flat);
    let at = |place: &str| flat.get(place).cloned().unwrap_or_default();
    assert_eq!(at("/a/b direct_viewer"), ["user:alice until 5000"]);
    assert_eq!(at("/a/b direct_owner"), ["user:bob owner"]);
    assert_eq!(at("/a direct_editor"), ["user:bob if"]);
    assert_eq!(at("/a direct_viewer"), Vec::<String>::new(), "what has ended is no tuple");
    assert_eq!(at("/ direct_viewer"), ["group:eng", "group:ops#member"]);
    assert_eq!(at("/ relations.group_viewer"), ["group:eng#member"]);
    let small = world.graph.expand("read", object.object(), owner, &world.env, &mut Budget::edges(3));
    assert!(format!("{small:?}").contains("Truncated"), "{small:?}");
}

fn collect(tree: &Expanded, into: &mut BTreeMap<String, Vec<String>>) {
    let one = |g: &Grantee| {
        let set = g.relation.as_ref().map_or(String::new(), |r| format!("#{r}"));
        let until = g.expires_at_us.map_or(String::new(), |at| format!(" until {at}"));
        let marks = [(g.conditional, " if"), (g.is_owner, " owner")];
        let marks: String = marks.iter().filter(|m| m.0).map(|m| m.1).collect();
        format!("{}:{}{set}{until}{marks}", g.subject.kind, g.subject.id)
    };
    match &tree.operation {
        Operation::Direct { subjects: list, .. } | Operation::Through { sets: list, .. } => {
            into.insert(format!("{} {}", tree.object.id, tree.name), list.iter().map(one).collect());
        }
        Operation::Union(parts) | Operation::Intersection(parts) | Operation::Inherited(parts) => {
            parts.iter().for_each(|part| collect(part, into));
        }
        Operation::Exclusion(part) => collect(part, into),
        Operation::Above | Operation::Repeated | Operation::Truncated | Operation::Unreadable => {}
    }
}

/// A tree as deep as the path would be more than a reader of JSON takes.
#[test]
fn a_deep_path_gives_no_deep_tree() {
    let mut world = World::new();
    world.grant("user:a direct_viewer file:/");
    let path = format!("file:{}", "/d".repeat(100));
    let read = compare_tree(&world, &path, "read", None);
    assert_eq!(read, UNIVERSE.len(), "the whole tree could be read");
    assert!(compare_tree(&world, &path, "viewer", None) == UNIVERSE.len());
}
