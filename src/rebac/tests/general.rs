//! What is homogeneous and what is not, exclusion across recursion, and rings that tuples close.

use serde_json::{Value, json};

use super::super::*;
use super::world::World;

fn ttu(tupleset: &str, computed: &str) -> Value {
    json!({"tupleToUserset": {"tupleset": tupleset, "computedUserset": computed}})
}

/// The class of `read` under a file namespace with these relations and permissions.
fn class(relations: Value, permissions: Value) -> Class {
    let mut world = World::new();
    world.namespace("file", json!({"relations": relations, "permissions": permissions}));
    world.graph.classify("file", "read")
}

#[test]
fn the_default_file_namespace_is_homogeneous() {
    let graph = Graph::new();
    for name in ["read", "write", "execute", "owner", "editor", "viewer"] {
        assert_eq!(graph.classify("file", name), Class::Homogeneous, "{name}");
    }
    for name in ["direct_viewer", "parent_viewer", "group_viewer", "unknown"] {
        assert_eq!(graph.classify("file", name), Class::General, "{name}");
    }
    assert_eq!(graph.classify("memory", "read"), Class::General, "other types have no directories");
}

#[test]
fn what_is_homogeneous() {
    let above = ttu("parent", "viewer");
    let viewer = |rule: Value| json!({"v": {}, "viewer": rule, "above": above});
    let read = || json!({"read": ["viewer"]});
    let yes = Class::Homogeneous;
    assert_eq!(class(viewer(json!({"union": ["v", "above"]})), read()), yes);
    assert_eq!(class(viewer(json!({"union": ["v", above]})), read()), yes, "inline");
    assert_eq!(
        class(viewer(json!({"union": [{"union": ["v"]}, {"union": [{"union": ["above"]}]}]})), read()),
        yes,
        "wrapped"
    );
    let owner = json!({"o": {}, "owner": ["o", ttu("parent", "owner")], "v": {}, "viewer": ["v", "owner", above]});
    assert_eq!(class(owner, json!({"read": ["viewer", "owner"]})), yes, "what it contains may be read above too");
    let itself = json!({"v": {}, "groups": ttu("v", "member"), "read": ["v", "groups", ttu("parent", "read")]});
    assert_eq!(class(itself, json!({})), yes);
}

#[test]
fn what_is_not_homogeneous() {
    let no = Class::General;
    let v = || json!({"v": {}, "w": {}, "viewer": ["v", ttu("parent", "viewer")], "far": ttu("parent", "viewer")});
    assert_eq!(class(v(), json!({"read": ["v", ttu("parent", "v")]})), no, "one level");
    assert_eq!(class(v(), json!({"read": ["v"]})), no, "no directory at all");
    assert_eq!(class(v(), json!({"read": ["viewer", "w"]})), no, "a grant that stays");
    assert_eq!(class(v(), json!({"read": ["far"]})), no, "not on the object itself");
    assert_eq!(class(v(), json!({"read": {"intersection": ["viewer"]}})), no);
    assert_eq!(class(v(), json!({"read": ["viewer", {"exclusion": "v"}]})), no);
    assert_eq!(class(v(), json!({"read": ["viewer", ttu("parent", "w")]})), no, "reads above what it does not contain");
}

#[test]
fn one_level_is_one_level() {
    let mut world = World::new();
    world.namespace("file", json!({"relations": {"direct_viewer": {}, "p1": ttu("parent", "direct_viewer")}, "permissions": {"read": ["direct_viewer", "p1"]}}));
    world
        .grant("user:u direct_viewer file:/a")
        .yes("user:u read file:/a")
        .yes("user:u read file:/a/b")
        .no("user:u read file:/a/b/c");
    let budget = &mut Budget::request();
    let mut filter =
        world.graph.filter(ObjectRef { tenant: "home", kind: "user", id: "u" }, "read", "home", &world.env, None);
    for (path, wanted) in
        [("/a", Verdict::Allow), ("/a/b", Verdict::Allow), ("/a/b/c", Verdict::Deny), ("/a/b/d", Verdict::Deny)]
    {
        assert_eq!(filter.check(path, LeafFacts::default(), budget), wanted, "{path}");
    }
}

#[test]
fn a_filter_goes_from_directory_to_directory() {
    let mut world = World::new();
    world
        .grant("user:u direct_viewer file:/a")
        .grant("user:u direct_viewer file:/c/d")
        .grant("user:v direct_viewer file:/b");
    let mut filter =
        world.graph.filter(ObjectRef { tenant: "home", kind: "user", id: "u" }, "read", "home", &world.env, None);
    let rows = [
        ("/a/x", true),
        ("/b/x", false),
        ("/a/x/y", true),
        ("/b", false),
        ("/c", false),
        ("/c/d", true),
        ("/c/e", false),
        ("/c/d/e/f", true),
        ("/c/e/e/f", false),
        ("/ab/x", false),
        ("/", false),
        ("/a", true),
        ("x", false),
    ];
    for (path, wanted) in rows {
        assert_eq!(filter.check(path, LeafFacts::default(), &mut Budget::request()).allowed(), wanted, "{path}");
    }
}

#[test]
fn without_the_parent_rule_nothing_is_inherited() {
    let mut world = World::new();
    world.namespace("file", json!({"relations": {"direct_viewer": {}}, "permissions": {"read": ["direct_viewer"]}}));
    world.grant("user:u direct_viewer file:/a").yes("user:u read file:/a").no("user:u read file:/a/b");
    let subject = ObjectRef { tenant: "home", kind: "user", id: "u" };
    let ask =
        |top| world.graph.visible_candidates(subject, "read", "home", top, &world.env, None, &mut Budget::request());
    assert!(matches!(ask("/a/b"), Candidates::No));
    assert!(matches!(ask("/"), Candidates::Paths(paths) if paths.len() == 1 && &*paths[0] == "/a"));
}

#[test]
fn what_is_not_inherited_is_granted_below_what_is_granted_too() {
    let mut world = World::new();
    let members = json!({"tupleToUserset": {"tupleset": "direct_viewer", "computedUserset": "member"}});
    world.namespace("file", json!({"relations": {"direct_viewer": {}, "read": members}, "permissions": {}}));
    for path in ["/", "/a/b", "/a/b/c"] {
        world.grant(&format!("group:g direct_viewer file:{path}"));
    }
    world.grant("user:u member group:g").yes("user:u read file:/a/b").no("user:u read file:/a");
    let subject = ObjectRef { tenant: "home", kind: "user", id: "u" };
    let ask = |top| {
        let budget = &mut Budget::request();
        match world.graph.visible_candidates(subject, "read", "home", top, &world.env, None, budget) {
            Candidates::Paths(paths) => paths.iter().map(ToString::to_string).collect(),
            other => vec![format!("{other:?}")],
        }
    };
    assert_eq!(ask("/"), ["/", "/a/b", "/a/b/c"]);
    assert_eq!(ask("/a"), ["/a/b", "/a/b/c"]);
    assert_eq!(ask("/a/b/c"), ["/a/b/c"]);
}

#[test]
fn a_ban_on_a_directory_reaches_down() {
    let mut world = World::new();
    world.namespace(
        "file",
        json!({
            "relations": {
                "direct_viewer": {}, "banned": {},
                "viewer": ["direct_viewer", ttu("parent", "viewer")],
                "out": ["banned", ttu("parent", "out")],
            },
            "permissions": {"read": {"intersection": ["viewer", {"exclusion": "out"}]}, "open": {"exclusion": "out"}},
        }),
    );
    world.grant("user:u direct_viewer file:/a").grant("user:u banned file:/a/b");
    world
        .yes("user:u read file:/a")
        .yes("user:u read file:/a/x/y")
        .no("user:u read file:/a/b")
        .no("user:u read file:/a/b/c/d");
    // Default-allow: answers where the graph knows nothing at all.
    world
        .yes("user:u open file:/z")
        .yes("user:nobody open file:/z/y")
        .no("user:u open file:/a/b/c")
        .yes("user:u open nowhere|file:/z");
}

/// Whether a namespace may be registered.
fn refused(kind: &str, relations: Value, permissions: Value) -> Option<NamespaceError> {
    let world = World::new();
    world.graph.validate_namespace(kind, &json!({"relations": relations, "permissions": permissions})).err()
}

#[test]
fn a_name_may_not_depend_on_its_own_absence() {
    let cases = [
        ("doc", json!({"a": {"exclusion": "a"}}), json!({})),
        ("doc", json!({"a": {"exclusion": "b"}, "b": {"union": ["a"]}}), json!({})),
        (
            "doc",
            json!({"a": {"intersection": ["c", {"exclusion": "b"}]}, "b": ["c", "p"], "c": {}}),
            json!({"p": ["a"]}),
        ),
        ("file", json!({"v": {}, "viewer": {"union": ["v", {"exclusion": ttu("parent", "viewer")}]}}), json!({})),
        (
            "file",
            json!({"banned": ["read"], "v": {}}),
            json!({"read": {"intersection": ["v", {"exclusion": ttu("parent", "banned")}]}}),
        ),
        ("doc", json!({"a": {"exclusion": ttu("folder", "a")}}), json!({})),
        ("doc", json!({"a": {"exclusion": {"exclusion": "a"}}}), json!({})),
    ];
    for (kind, relations, permissions) in cases {
        let error = refused(kind, relations.clone(), permissions);
        assert!(matches!(&error, Some(NamespaceError::NegativeCycle { .. })), "{relations}: {error:?}");
        let text = error.map(|e| e.to_string()).unwrap_or_default();
        assert!(text.starts_with(&format!("{kind} ")) && text.contains("->"), "names place and way: {text}");
    }
}

#[test]
fn a_ring_through_another_type_is_seen() {
    let mut world = World::new();
    let a = json!({"relations": {"x": {"exclusion": ttu("up", "y")}}, "permissions": {}});
    assert_eq!(world.graph.validate_namespace("a", &a).map(|_| ()), Ok(()));
    world.namespace("a", a);
    let b = json!({"relations": {"y": ttu("up", "x")}, "permissions": {}});
    assert!(matches!(world.graph.validate_namespace("b", &b), Err(NamespaceError::NegativeCycle { .. })));
}

#[test]
fn recursion_and_exclusion_apart_are_accepted() {
    let relations = json!({"v": {}, "banned": {}, "viewer": ["v", ttu("parent", "viewer")], "out": ["banned", ttu("parent", "out")]});
    assert_eq!(refused("file", relations, json!({"read": {"intersection": ["viewer", {"exclusion": "out"}]}})), None);
    for (kind, config) in default_namespaces() {
        assert_eq!(Graph::new().validate_namespace(kind, config), Ok(Vec::new()), "{kind}");
    }
}

#[test]
fn a_ring_that_tuples_close_through_an_exclusion_is_unknown() {
    let mut world = World::new();
    let member = json!({"intersection": ["direct", {"exclusion": "banned"}]});
    world.namespace("club", json!({"relations": {"direct": {}, "banned": {}, "member": member}, "permissions": {}}));
    world.grant("user:tom direct club:c").yes("user:tom member club:c");
    // Whoever is a member is banned.
    world.grant("club:c#member banned club:c");
    assert_eq!(world.ask("user:tom member club:c"), Verdict::Unknown(Why::NegativeCycle));
    assert_eq!(world.ask("user:tom banned club:c"), Verdict::Unknown(Why::NegativeCycle));
    world.no("user:ann member club:c").no("user:ann banned club:c");
    // Banned through a group as well, or by name: nothing is in doubt.
    world.grant("group:bad#member banned club:c").grant("user:tom member group:bad");
    world.no("user:tom member club:c").yes("user:tom banned club:c").revoke("user:tom member group:bad");
    world.grant("user:tom banned club:c").no("user:tom member club:c").yes("user:tom banned club:c");
}

#[test]
fn computed_membership_is_never_flattened() {
    let mut world = World::new();
    let member = json!({"intersection": ["direct_member", {"exclusion": "banned"}]});
    world.namespace(
        "group",
        json!({"relations": {"direct_member": {}, "banned": {}, "member": member}, "permissions": {}}),
    );
    world
        .grant("user:u direct_member group:g")
        .grant("user:u member group:g")
        .grant("group:g direct_viewer file:/plain");
    world
        .grant("group:g#member direct_viewer file:/set")
        .grant("group:g#member member team:t")
        .grant("team:t#member direct_viewer file:/far");
    for path in ["/plain", "/set", "/far"] {
        world.yes(&format!("user:u read file:{path}/x"));
    }
    world.grant("user:u banned group:g");
    for path in ["/plain", "/set", "/far"] {
        world.no(&format!("user:u read file:{path}/x"));
    }
    // A union grants more than its tuples.
    world.namespace(
        "group",
        json!({"relations": {"admin": {}, "base": {}, "member": ["admin", "base"]}, "permissions": {}}),
    );
    world.grant("user:chief admin group:g").yes("user:chief read file:/plain").yes("user:chief read file:/far");
}

#[test]
fn a_set_of_a_file_inherits_as_the_file_does() {
    let mut world = World::new();
    world
        .grant("user:u direct_viewer file:/a")
        .grant("file:/a/b/c#viewer direct_viewer file:/z")
        .yes("user:u read file:/z/x");
    world.revoke("user:u direct_viewer file:/a").no("user:u read file:/z/x");
}

#[test]
fn a_ring_of_groups_in_the_general_evaluator() {
    let mut world = World::new();
    world.compare = false;
    let can = json!({"intersection": ["v", {"exclusion": "banned"}]});
    world.namespace("doc", json!({"relations": {"v": {}, "banned": {}}, "permissions": {"read": can}}));
    for i in 0..5_000 {
        world.grant(&format!("group:{i}#member member group:{}", (i + 1) % 5_000));
    }
    world
        .grant("group:0#member v doc:d")
        .no("user:u read doc:d")
        .grant("user:u member group:2500")
        .yes("user:u read doc:d");
}

#[test]
fn a_namespace_that_cannot_be_read_is_unknown_and_nothing_more() {
    use crate::model::{Change, Delta};
    use crate::store::Projection;
    let mut world = World::new();
    world
        .grant("user:u owner memory:m")
        .yes("user:u read memory:m")
        .grant("group:g direct_viewer file:/a")
        .grant("user:u member group:g");
    world.grant("user:u direct_viewer file:/own");
    world.compare = false;
    let mut graph = world.graph.clone();
    for (kind, config) in [("memory", "{"), ("group", r#"{"relations":{"member":{"xor":[]}},"permissions":{}}"#)] {
        let mut row = super::world::namespace_row(kind, &json!({}));
        row.config = config.into();
        graph.apply(&Change::Namespace(Delta::insert(row)), 50);
    }
    graph.publish(50);
    world.graph = graph;
    for question in ["user:u read memory:m", "user:v anything memory:m", "user:u read file:/a"] {
        assert_eq!(world.ask(question), Verdict::Unknown(Why::CorruptNamespace), "{question}");
    }
    world.yes("user:u read file:/own").no("user:u read file:/other").no("user:u read playbook:p");
}

#[test]
fn defaults_apply_until_something_is_stored_and_again_after() {
    let mut world = World::new();
    assert!(
        world.graph.has_namespace("file")
            && world.graph.defines("file", "execute")
            && !world.graph.defines("file", "fly")
    );
    assert!(!world.graph.has_namespace("user") && !world.graph.defines("user", "read"));
    world.grant("user:u direct_viewer file:/a").namespace("file", json!({"relations": {}, "permissions": {}}));
    world
        .no("user:u read file:/a")
        .yes("user:u direct_viewer file:/a")
        .drop_namespace("file")
        .yes("user:u read file:/a");
    world.namespace("profile", json!({"relations": {"public_discoverable": {}, "consent_granted": {}}, "permissions": {"discover": ["public_discoverable", "consent_granted"]}}));
    world
        .grant("* public_discoverable profile:alice")
        .yes("user:x discover profile:alice")
        .no("user:x discover profile:bob");
    world.drop_namespace("profile").no("user:x discover profile:alice");
    assert!(!world.graph.has_namespace("profile"));
}
