//! Traps that other engines fell into. Each test is named after what must not happen, or must.

use serde_json::json;

use super::super::*;
use super::world::{World, who};

#[test]
fn cycles_of_groups_add_nothing_and_end() {
    let mut world = World::new();
    world
        .grant("group:a#member member group:b")
        .grant("group:b#member member group:a")
        .grant("group:a#member member group:a");
    world.grant("group:a direct_viewer file:/w").no("user:u read file:/w");
    world
        .grant("user:u member group:b")
        .yes("user:u read file:/w")
        .yes("user:u member group:a")
        .no("user:v member group:a");
    world.revoke("user:u member group:b").no("user:u read file:/w");
}

#[test]
fn a_denial_under_way_poisons_nothing() {
    // A <- B, B <- A, A <- C, C <- u: ask in every order with one cache.
    for order in [["a", "b", "c"], ["a", "c", "b"], ["b", "a", "c"], ["b", "c", "a"], ["c", "a", "b"], ["c", "b", "a"]]
    {
        let mut world = World::new();
        world.grant("group:b#member member group:a").grant("group:a#member member group:b");
        world.grant("group:c#member member group:a").grant("user:u member group:c");
        for group in order {
            world.yes(&format!("user:u member group:{group}"));
        }
    }
}

#[test]
fn a_budget_below_a_ban_never_grants() {
    let config = json!({
        "relations": {
            "viewer": {}, "banned": {},
            "out": {"union": ["banned", {"tupleToUserset": {"tupleset": "parent", "computedUserset": "out"}}]},
        },
        "permissions": {"read": {"intersection": ["viewer", {"exclusion": "out"}]}},
    });
    let mut world = World::new();
    world.namespace("file", config);
    let path: String = (0..60).map(|i| format!("/d{i}")).collect();
    world.grant(&format!("* viewer file:{path}")).grant("user:u banned file:/d0");
    world.no(&format!("user:u read file:{path}")).yes(&format!("user:v read file:{path}"));
    let (subject, object) = (who("user:u"), who(&format!("file:{path}")));
    let query = Query { subject: subject.object(), permission: "read", object: object.object() };
    for edges in 0..400 {
        let verdict = world.graph.check(&query, LeafFacts::default(), &world.env, None, &mut Budget::edges(edges));
        assert!(matches!(verdict, Verdict::Deny | Verdict::Unknown(Why::Budget)), "{edges}: {verdict:?}");
    }
}

#[test]
fn the_relation_of_a_userset_counts() {
    let mut world = World::new();
    world
        .grant("group:g#admin direct_viewer file:/w")
        .grant("user:plain member group:g")
        .grant("user:chief admin group:g");
    world.no("user:plain read file:/w").yes("user:chief read file:/w");
}

#[test]
fn owning_a_child_opens_no_parent() {
    let mut world = World::new();
    world.grant("user:u direct_owner file:/ws/a").no("user:u write file:/ws").no("user:u read file:/ws/b");
}

#[test]
fn a_stored_parent_of_a_file_is_never_read() {
    let mut world = World::new();
    world.grant("user:mallory direct_owner file:/mine").grant("file:/secret/x parent file:/mine");
    world.no("user:mallory read file:/secret/x").no("user:mallory read file:/secret");
    // Not even as what it says.
    world.grant("file:/secret#owner parent file:/mine").grant("user:boss direct_owner file:/secret");
    world.no("file:/secret/x parent file:/mine").no("user:boss parent file:/mine");
    world.revoke("file:/secret/x parent file:/mine").no("user:mallory read file:/secret/x");
    assert!(!world.graph.reads_forward("file", "parent"));
    assert!(world.graph.reads_forward("skill", "tenant") && !world.graph.reads_forward("skill", "owner"));
}

#[test]
fn forward_tuplesets_are_told() {
    let mut world = World::new();
    let ttu = |tupleset: &str| json!({"tupleToUserset": {"tupleset": tupleset, "computedUserset": "viewer"}});
    let relations = json!({"a": ttu("parent"), "b": ttu("folder"), "c": ttu("direct_viewer")});
    world.namespace("doc", json!({"relations": relations, "permissions": {}}));
    let forward = |relation| world.graph.reads_forward("doc", relation);
    assert!(forward("parent") && forward("folder") && !forward("direct_viewer") && !forward("a"));
}

#[test]
fn anybody_can_be_a_group() {
    // `member` on a user opens that user's grants: the engine says so, and the service refuses to write it.
    let mut world = World::new();
    world.grant("user:alice direct_viewer file:/w").grant("user:bob member user:alice").yes("user:bob read file:/w");
}

#[test]
fn a_condition_drops_its_tuple_only() {
    let mut world = World::new();
    let red = r#"{"attributes":{"team":"red"}}"#;
    world.grant_if("user:u direct_viewer file:/w", red).context(json!({"team": "blue"})).no("user:u read file:/w");
    world.grant("group:g direct_viewer file:/w").grant("user:u member group:g").yes("user:u read file:/w");
    world.revoke("user:u member group:g").context(json!({"team": "red"})).yes("user:u read file:/w");
    world.context(json!({}));
    assert_eq!(world.ask("user:u read file:/w"), Verdict::Unknown(Why::MissingContext(vec!["team".into()])));
    world.grant("user:u direct_viewer file:/").yes("user:u read file:/w");
}

#[test]
fn a_condition_that_is_not_known_does_not_lift_a_ban() {
    let can = json!({"intersection": ["viewer", {"exclusion": "banned"}]});
    for (condition, context, wanted) in [
        (r#"{"attributes":{"team":"red"}}"#, json!({}), Verdict::Unknown(Why::MissingContext(vec!["team".into()]))),
        (r#"{"attributes":{"team":"red"}}"#, json!({"team": "red"}), Verdict::Deny),
        (r#"{"attributes":{"team":"red"}}"#, json!({"team": "blue"}), Verdict::Allow),
        ("not json", json!({}), Verdict::Unknown(Why::CorruptCondition)),
        (r#"{"moon":"full"}"#, json!({"moon": "full"}), Verdict::Unknown(Why::CorruptCondition)),
    ] {
        for direct in [true, false] {
            let mut world = World::new();
            world.namespace("doc", json!({"relations": {"viewer": {}, "banned": {}}, "permissions": {"read": can}}));
            world.grant("user:u viewer doc:d").context(context.clone());
            if direct {
                world.grant_if("user:u banned doc:d", condition);
            } else {
                world.grant_if("user:u member group:g", condition).grant("group:g#member banned doc:d");
            }
            assert_eq!(world.ask("user:u read doc:d"), wanted, "{condition} {context} {direct}");
        }
    }
}

#[test]
fn only_what_matters_is_said_to_be_missing() {
    let mut world = World::new();
    // Conditions on grants to others, and one that fails anyway, are nobody's business here.
    world.grant_if("group:g direct_viewer file:/w", r#"{"attributes":{"team":"red"}}"#).grant("user:v member group:g");
    world.grant_if("user:u direct_editor file:/w", r#"{"allowed_devices":["mac"],"attributes":{"floor":2}}"#);
    world
        .grant_if("user:u direct_viewer file:/w", r#"{"allowed_ips":["10.0.0.0/8"]}"#)
        .context(json!({"device": "pc"}));
    assert_eq!(world.ask("user:u read file:/w/x"), Verdict::Unknown(Why::MissingContext(vec!["ip".into()])));
    assert_eq!(world.ask("user:v read file:/w/x"), Verdict::Unknown(Why::MissingContext(vec!["team".into()])));
}

#[test]
fn conditions_on_membership() {
    let mut world = World::new();
    let ip = r#"{"allowed_ips":["10.0.0.0/8"]}"#;
    world.grant("group:g direct_viewer file:/w").grant_if("user:u member group:g", ip);
    assert_eq!(world.ask("user:u read file:/w"), Verdict::Unknown(Why::MissingContext(vec!["ip".into()])));
    // The same cache, another context: nothing conditional is kept.
    world
        .context(json!({"ip": "10.1.1.1"}))
        .yes("user:u read file:/w")
        .context(json!({"ip": "11.1.1.1"}))
        .no("user:u read file:/w");
}

#[test]
fn an_obligation_neither_grants_nor_blocks() {
    let mut world = World::new();
    let columns = r#"{"type":"dynamic_viewer","column_config":{"hidden_columns":["salary"]}}"#;
    world
        .grant_if("user:u dynamic_viewer file:/x.csv", columns)
        .no("user:u read file:/x.csv")
        .yes("user:u dynamic_viewer file:/x.csv");
}

#[test]
fn ids_are_bytes() {
    let mut world = World::new();
    let ids = ["a:b", "a|b", "a@b", "A", "a", "a%", "a_", "a.b", "a*", "\u{e9}", "e\u{301}", "a/b", "*", "a\u{0}"];
    for granted in ids {
        world.grant(&format!("user:{granted} spin widget:{granted}"));
        for asked in ids {
            let same = granted == asked;
            assert_eq!(world.allows(&format!("user:{asked} spin widget:{granted}")), same, "{asked:?} {granted:?}");
            let known = world.allows(&format!("user:{granted} spin widget:{asked}"));
            assert_eq!(known, same, "{granted:?} on {asked:?}");
        }
    }
}

#[test]
fn neighbours_by_text_are_no_neighbours() {
    let mut world = World::new();
    world.grant("user:u direct_owner file:/work").grant("user:u direct_owner file:/a_b");
    world
        .no("user:u read file:/workspace")
        .no("user:u read file:/work.txt")
        .no("user:u read file:/axb")
        .yes("user:u read file:/work/space");
}

#[test]
fn depth_takes_no_stack_and_width_is_met_from_the_smaller_side() {
    let mut world = World::new();
    world.compare = false;
    for i in 0..20_000 {
        world.grant(&format!("group:{i}#member member group:{}", i + 1));
    }
    world.grant("user:u member group:0").grant("group:20000 direct_viewer file:/w").yes("user:u read file:/w");
    let deep: String = (0..2_000).map(|_| "/d").collect();
    world.yes(&format!("user:u read file:/w{deep}"));
    world.revoke("group:9999#member member group:10000").no("user:u read file:/w");
    for i in 0..5_000 {
        world.grant(&format!("user:{i} direct_viewer file:/wide"));
    }
    let query = |subject| Query {
        subject,
        permission: "read",
        object: ObjectRef { tenant: "home", kind: "file", id: "/wide/x" },
    };
    let (known, stranger) = (who("user:77"), who("user:stranger"));
    for (subject, wanted) in [(&known, Verdict::Allow), (&stranger, Verdict::Deny)] {
        let mut budget = Budget::request();
        let verdict = world.graph.check(&query(subject.object()), LeafFacts::default(), &world.env, None, &mut budget);
        assert_eq!(verdict, wanted);
        assert!(budget.spent() < 200, "{} edges for one of 5,000", budget.spent());
    }
}

#[test]
fn a_spent_budget_is_told() {
    let mut world = World::new();
    world.compare = false;
    for i in 0..200 {
        world.grant(&format!("user:u member group:{i}"));
    }
    world.grant("group:150 direct_viewer file:/w");
    let subject = who("user:u");
    let object = who("file:/w");
    let query = Query { subject: subject.object(), permission: "read", object: object.object() };
    let check = |edges| {
        let caches = Some(&*world.caches);
        world.graph.check(&query, LeafFacts::default(), &world.env, caches, &mut Budget::edges(edges))
    };
    assert_eq!(check(100), Verdict::Unknown(Why::Budget));
    assert_eq!(world.caches.len(), (0, 0), "half a closure is not kept");
    assert_eq!(check(1_000), Verdict::Allow);
}

#[test]
fn the_last_relation_name_is_refused_before_it_is_written() {
    let mut world = World::new();
    world.compare = false;
    let mut n = 0;
    while world.graph.can_intern_relation("one-more") {
        world.grant(&format!("user:u r{n} widget:w"));
        n += 1;
    }
    assert!(world.graph.can_intern_relation("r0") && world.graph.can_intern_relation("direct_viewer"));
    let config = json!({"relations": {"one-more": {}}, "permissions": {}});
    assert_eq!(world.graph.validate_namespace("doc", &config), Err(NamespaceError::TooManyRelations));
    world.yes(&format!("user:u r{} widget:w", n - 1)).no("user:v r0 widget:w");
    // One that slips through makes everything unknown and nothing another name.
    world.grant("user:u one-more widget:w");
    assert_eq!(world.ask("user:u one-more widget:w"), Verdict::Unknown(Why::TooManyRelations));
}

#[test]
fn grants_follow_a_rename_and_leave_nothing_behind() {
    let mut world = World::new();
    world.grant("user:bob direct_viewer file:/a").grant("file:/a#viewer spin widget:w").yes("user:bob spin widget:w");
    world
        .rename("file:/a", "file:/d")
        .no("user:bob read file:/a/x")
        .yes("user:bob read file:/d/x")
        .yes("user:bob spin widget:w");
    world
        .grant("user:eve direct_viewer file:/a")
        .yes("user:eve read file:/a")
        .no("user:eve read file:/d")
        .no("user:bob read file:/a");
}

#[test]
fn a_removed_file_is_no_subject_of_its_successor() {
    let mut world = World::new();
    world.grant("file:/team direct_viewer file:/data").grant("user:u member file:/team").yes("user:u read file:/data");
    let before = world.id("file:/team");
    world.remove("file:/team").no("user:u read file:/data");
    world.grant("user:v member file:/team").no("user:v read file:/data").no("user:u member file:/team");
    assert_ne!(world.id("file:/team"), before, "ids are never reused");
}

#[test]
fn names_can_be_swapped_in_one_operation() {
    use crate::model::{Change, Delta, EntityRow};
    use crate::store::Projection;
    let mut world = World::new();
    world.grant("user:u direct_viewer file:/a").grant("user:v direct_viewer file:/b");
    let row = |id, name: &str| EntityRow { id, tenant: "home".into(), kind: "file".into(), name: name.into() };
    let (a, b) = (world.id("file:/a"), world.id("file:/b"));
    for (id, from, to) in [(a, "/a", "/b"), (b, "/b", "/a")] {
        world.graph.apply(&Change::Entity(Delta::update(row(id, from), row(id, to))), 99);
    }
    world.graph.publish(99);
    world.yes("user:u read file:/b").no("user:u read file:/a").yes("user:v read file:/a").no("user:v read file:/b");
}
