//! Truth tables: what each relation of each default namespace opens and what it does not, and each operator.

use serde_json::{Value, json};

use super::super::*;
use super::world::World;

/// Per type: relation, and the permissions it opens.
const OPENS: &[(&str, &str, &[&str])] = &[
    ("file", "direct_owner", &["read", "write", "execute", "owner"]),
    ("file", "direct_editor", &["read", "write", "editor"]),
    ("file", "direct_viewer", &["read", "viewer"]),
    ("file", "shared-owner", &["read", "write", "execute", "owner", "editor", "viewer"]),
    ("file", "shared-editor", &["read", "write", "editor", "viewer"]),
    ("file", "shared-viewer", &["read", "viewer"]),
    ("file", "parent", &[]),
    ("file", "owner", &[]),
    ("file", "viewer", &[]),
    ("file", "owner-of", &[]),
    ("file", "dynamic_viewer", &[]),
    ("group", "member", &["read", "viewer"]),
    ("group", "admin", &["read", "write", "manage", "viewer"]),
    ("memory", "owner", &["read", "write", "execute"]),
    ("memory", "editor", &["read", "write"]),
    ("memory", "viewer", &["read"]),
    ("playbook", "owner", &["read", "write", "delete"]),
    ("playbook", "editor", &["read", "write"]),
    ("playbook", "viewer", &["read"]),
    ("trajectory", "owner", &["read", "write", "delete"]),
    ("trajectory", "viewer", &["read"]),
    ("skill", "owner", &["read", "write", "delete", "fork", "publish"]),
    ("skill", "editor", &["read", "write", "fork"]),
    ("skill", "viewer", &["read", "fork"]),
    ("skill", "public", &["read", "fork"]),
    ("skill", "approver", &["approve"]),
    ("skill", "tenant", &[]),
    ("widget", "spin", &[]),
];

/// Everything that could be asked.
const ASKED: &[&str] = &[
    "read",
    "write",
    "execute",
    "delete",
    "fork",
    "publish",
    "approve",
    "manage",
    "owner",
    "editor",
    "viewer",
    "member",
    "admin",
    "discover",
    "direct_owner",
    "spin",
];

#[test]
fn each_relation_opens_exactly_what_its_row_says() {
    for (kind, relation, opens) in OPENS {
        let mut world = World::new();
        let object = format!("{kind}:{}", if *kind == "file" { "/w/doc" } else { "x" });
        world.grant(&format!("user:alice {relation} {object}"));
        for asked in ASKED {
            // A relation without a rule may be asked for by its own name.
            let direct =
                asked == relation && !["file owner", "file viewer"].contains(&format!("{kind} {relation}").as_str());
            let wanted = opens.contains(asked) || direct;
            assert_eq!(world.allows(&format!("user:alice {asked} {object}")), wanted, "{relation} on {kind}: {asked}");
            world.no(&format!("user:bob {asked} {object}"));
            world.no(&format!("away|user:alice {asked} {object}"));
            world.no(&format!("user:alice {asked} away|{object}"));
            world.no(&format!("* {asked} {object}"));
        }
    }
}

#[test]
fn grants_on_directories_reach_down_and_not_up_nor_sideways() {
    for (relation, permission) in [("direct_owner", "execute"), ("direct_editor", "write"), ("shared-viewer", "read")] {
        let mut world = World::new();
        world.grant(&format!("user:alice {relation} file:/w/a"));
        for below in ["/w/a", "/w/a/b", "/w/a/b/c.txt"] {
            world.yes(&format!("user:alice {permission} file:{below}"));
        }
        for elsewhere in ["/", "/w", "/w/ab", "/w/b", "/w/A", "/w/a.", "/x/w/a", "w/a", "/w/a\u{301}"] {
            world.no(&format!("user:alice {permission} file:{elsewhere}"));
        }
    }
    let mut world = World::new();
    world.grant("user:root direct_owner file:/");
    world.yes("user:root execute file:/").yes("user:root execute file:/any/where").no("user:root read file:opaque");
    world
        .grant("user:op direct_viewer file:opaque")
        .yes("user:op read file:opaque")
        .no("user:op read file:opaque/below");
}

#[test]
fn both_forms_of_a_group_grant() {
    for grant in ["group:eng direct_editor file:/w", "group:eng#member direct_editor file:/w"] {
        let mut world = World::new();
        world.grant(grant).grant("user:alice member group:eng").grant("user:root admin group:eng");
        world.yes("user:alice write file:/w/x").no("user:root write file:/w/x").no("user:bob write file:/w/x");
        world.no("user:alice execute file:/w/x");
        world.revoke("user:alice member group:eng").no("user:alice write file:/w/x");
    }
    // Nested groups, three deep; the plain form does not nest groups.
    let mut world = World::new();
    world.grant("group:all direct_viewer file:/w");
    world.grant("group:eng#member member group:all").grant("group:core#member member group:eng");
    world.grant("user:deep member group:core").yes("user:deep read file:/w");
    world.grant("group:other member group:all").grant("user:out member group:other").no("user:out read file:/w");
    // The group itself, asked as a subject, is a plain subject.
    world.yes("group:all read file:/w").no("group:eng read file:/w");
}

#[test]
fn a_skill_of_a_tenant_opens_to_its_members() {
    let mut world = World::new();
    world.grant("skill:s tenant tenant:acme").grant("user:alice member tenant:acme");
    world
        .yes("user:alice read skill:s")
        .yes("user:alice fork skill:s")
        .no("user:alice write skill:s")
        .no("user:bob read skill:s");
    world.revoke("skill:s tenant tenant:acme").no("user:alice read skill:s");
}

#[test]
fn the_owner_column_is_an_edge_on_the_leaf_only() {
    let mut world = World::new();
    world
        .grant("user:alice member group:eng")
        .grant("user:bob member group:none")
        .grant("away|user:eve member away|group:x");
    let alice = world.id("user:alice");
    let ask = |question: &str, owner: &str| world.ask_as_owner(question, Some(world.id(owner))).allowed();
    assert!(ask("user:alice execute file:/w/x", "user:alice"));
    assert!(!ask("user:bob read file:/w/x", "user:alice"));
    assert!(!ask("away|user:eve read file:/w/x", "away|user:eve"), "an owner of another tenant does not count");
    assert!(ask("away|user:eve read away|file:/w/x", "away|user:eve"));
    assert!(ask("user:alice write file:/w/x", "group:eng"), "a group that owns is its members");
    assert_eq!(world.ask_as_owner("user:alice direct_owner group:eng", Some(alice)), Verdict::Allow);
}

#[test]
fn the_public_subject() {
    let mut world = World::new();
    world.grant("* direct_viewer file:/pub");
    world
        .yes("user:nobody read file:/pub/x")
        .yes("agent:a,b read file:/pub")
        .yes("* read file:/pub")
        .no("user:nobody write file:/pub");
    world.no("away|user:nobody read file:/pub").no("away|* read file:/pub").no("* read file:/");
    // As a member of a group: everybody is, and so is the public.
    world
        .grant("* member group:all")
        .grant("group:all#member direct_viewer file:/g")
        .yes("user:nobody read file:/g")
        .yes("* read file:/g");
    // It is no way into a group that only names people.
    world.grant("user:alice member group:few").grant("group:few#member direct_viewer file:/f").no("* read file:/f");
    // It never stands for a userset, and has no members.
    world.grant("user:eve member *").grant("*#member direct_viewer file:/h").grant("* direct_viewer file:/i");
    world.no("user:eve read file:/h").yes("user:eve read file:/i");
    world
        .grant("away|* shared-viewer file:/j")
        .no("user:a read file:/j")
        .no("away|user:a read file:/j")
        .no("away|* read file:/j");
}

#[test]
fn shares_cross_tenants_and_nothing_else_does() {
    let mut world = World::new();
    world.grant("away|user:bob shared-editor file:/w/doc");
    world.yes("away|user:bob write file:/w/doc/x").no("user:bob write file:/w/doc").no("away|user:bob write file:/w");
    world
        .no("away|user:bob write away|file:/w/doc")
        .no("third|user:bob read third|file:/w/doc")
        .no("away|user:bob execute file:/w/doc");
    world.grant("away|user:bob direct_owner file:/w").no("away|user:bob read file:/w");
    world
        .grant("away|user:bob member group:eng")
        .grant("group:eng#member direct_viewer file:/e")
        .no("away|user:bob read file:/e");
    // A share to another tenant's group is to whom that tenant puts in it.
    world.grant("away|group:team#member shared-viewer file:/s").grant("away|user:carol member away|group:team");
    world.grant("user:carol member away|group:team").yes("away|user:carol read file:/s").no("user:carol read file:/s");
}

/// A namespace with two direct relations and one name by `rule`, as a relation or as a permission.
fn with_rule(rule: &Value, as_permission: bool) -> World {
    let mut world = World::new();
    let mut config = json!({"relations": {"a": {}, "b": {}}, "permissions": {}});
    config[if as_permission { "permissions" } else { "relations" }]["x"] = rule.clone();
    world.namespace("doc", config.clone()).namespace("file", config);
    world
}

#[test]
fn operators_at_both_levels() {
    // Answers for: neither, a, b, both.
    let rows: &[(Value, [bool; 4])] = &[
        (json!({"union": ["a", "b"]}), [false, true, true, true]),
        (json!(["a", "b"]), [false, true, true, true]),
        (json!({"union": []}), [false; 4]),
        (json!({"intersection": ["a", "b"]}), [false, false, false, true]),
        (json!({"exclusion": "b"}), [true, true, false, false]),
        (json!({"intersection": ["a", {"exclusion": "b"}]}), [false, true, false, false]),
        (json!({"union": ["a", {"exclusion": "b"}]}), [true, true, false, true]),
        (json!({"exclusion": {"intersection": ["a", "b"]}}), [true, true, true, false]),
        (json!({"exclusion": {"exclusion": "a"}}), [false, true, false, true]),
        (json!({"computed_userset": {"relation": "b"}}), [false, false, true, true]),
        (json!({}), [false; 4]),
    ];
    for (rule, wanted) in rows {
        for as_permission in [false, true] {
            for object in ["doc:d", "file:/d"] {
                for (has, wanted) in
                    [(&[][..], wanted[0]), (&["a"], wanted[1]), (&["b"], wanted[2]), (&["a", "b"], wanted[3])]
                {
                    let mut world = with_rule(rule, as_permission);
                    has.iter().for_each(|relation| {
                        world.grant(&format!("user:u {relation} {object}"));
                    });
                    assert_eq!(world.allows(&format!("user:u x {object}")), wanted, "{rule} with {has:?} on {object}");
                }
            }
        }
    }
}

#[test]
fn exclusion_is_decided_for_the_concrete_subject() {
    let mut world = World::new();
    let can = json!({"intersection": ["viewer", {"exclusion": "banned"}]});
    world.namespace("doc", json!({"relations": {"viewer": {}, "banned": {}}, "permissions": {"read": can}}));
    world
        .grant("* viewer doc:d")
        .grant("user:bob banned doc:d")
        .grant("group:bad#member banned doc:d")
        .grant("user:eve member group:bad");
    world
        .no("user:bob read doc:d")
        .no("user:eve read doc:d")
        .yes("user:alice read doc:d")
        .yes("user:unknown read doc:d");
    world.yes("* read doc:d").no("away|user:alice read doc:d");
    world.grant("* banned doc:d").no("user:alice read doc:d");
}

#[test]
fn names_are_found_in_order() {
    let mut world = World::new();
    // As a question the permission comes first; inside a rule and behind a userset the relation does.
    world.namespace(
        "doc",
        json!({
            "relations": {"viewer": {}, "admin": {}, "member": {}},
            "permissions": {"viewer": ["admin"], "member": ["viewer"], "read": ["viewer"], "both": ["read", "admin"]},
        }),
    );
    world.grant("user:v viewer doc:d").grant("user:a admin doc:d").grant("user:m member doc:d");
    world
        .no("user:v viewer doc:d")
        .yes("user:a viewer doc:d")
        .yes("user:v read doc:d")
        .yes("user:v member doc:d")
        .no("user:m member doc:d");
    world.yes("user:v both doc:d").yes("user:a both doc:d").no("user:m both doc:d");
    world.grant("doc:d#member direct_viewer file:/x").yes("user:m read file:/x").no("user:v read file:/x");
    // No namespace, or none that knows the name: tuples.
    world
        .grant("user:u anything doc:d")
        .yes("user:u anything doc:d")
        .grant("user:u spin widget:w")
        .yes("user:u spin widget:w");
    world
        .grant("group:g#member spin widget:w")
        .grant("user:x member group:g")
        .yes("user:x spin widget:w")
        .no("user:x read widget:w");
}
