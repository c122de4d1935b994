//! What is cached is what would be computed: the counterexamples that naive stamps miss, time, and the way back.

use std::sync::Arc;

use serde_json::json;

use super::super::*;
use super::world::{HOME, World, who};
use crate::model::{Change, Delta, KeyRow, NodeKind, NodeRow};
use crate::store::Projection;

fn read<'a>(subject: &'a str, path: &'a str) -> Query<'a> {
    let object = ObjectRef { tenant: HOME, kind: "file", id: path };
    Query { subject: ObjectRef { tenant: HOME, kind: "user", id: subject }, permission: "read", object }
}

#[test]
fn a_revoked_grant_leaves_nothing_cached() {
    let mut world = World::new();
    world.grant("user:bob direct_viewer file:/a").yes("user:bob read file:/a/x");
    world.revoke("user:bob direct_viewer file:/a").no("user:bob read file:/a/x");
    for (kind, relation, permission) in
        [("memory", "viewer", "read"), ("skill", "owner", "publish"), ("group", "admin", "write")]
    {
        let (tuple, question) = (format!("user:bob {relation} {kind}:x"), format!("user:bob {permission} {kind}:x"));
        // Asked before it exists, granted, revoked, granted again.
        world.no(&question).grant(&tuple).yes(&question).revoke(&tuple).no(&question).grant(&tuple).yes(&question);
    }
}

#[test]
fn an_older_reader_gets_nothing_from_a_newer_one() {
    let mut world = World::new();
    world.grant("group:g direct_viewer file:/a").grant("user:bob direct_viewer file:/own");
    let older = world.graph.clone();
    world.grant("user:bob member group:g").yes("user:bob read file:/a");
    assert_eq!(world.decide(&older, &read("bob", "/a"), LeafFacts::default()), Verdict::Deny);
    // And a newer one nothing from an older one, where it matters.
    let older = world.graph.clone();
    world.revoke("user:bob member group:g");
    assert_eq!(world.decide(&older, &read("bob", "/a"), LeafFacts::default()), Verdict::Allow);
    world.no("user:bob read file:/a");
}

#[test]
fn a_reverse_read_has_no_cell_and_is_still_exact() {
    let mut world = World::new();
    world.grant("user:bob member tenant:t").no("user:bob read skill:s");
    world
        .grant("skill:s tenant tenant:t")
        .yes("user:bob read skill:s")
        .revoke("skill:s tenant tenant:t")
        .no("user:bob read skill:s");
}

#[test]
fn a_shortened_expiry_is_a_change() {
    let mut world = World::new();
    world
        .grant("group:g direct_viewer file:/a")
        .at(10)
        .grant_until("user:alice member group:g", 100)
        .yes("user:alice read file:/a");
    world
        .grant_until("user:alice member group:g", 50)
        .at(49)
        .yes("user:alice read file:/a")
        .at(60)
        .no("user:alice read file:/a");
}

#[test]
fn a_namespace_of_another_type_counts() {
    let mut world = World::new();
    world.grant("group:g direct_viewer file:/a").grant("user:bob member group:g").yes("user:bob read file:/a");
    let member = json!({"intersection": ["direct_member", {"exclusion": "banned"}]});
    world.namespace(
        "group",
        json!({"relations": {"direct_member": {}, "banned": {}, "member": member}, "permissions": {}}),
    );
    world.no("user:bob read file:/a").grant("user:bob direct_member group:g").yes("user:bob read file:/a");
    world.grant("user:bob banned group:g").no("user:bob read file:/a");
    world.drop_namespace("group").yes("user:bob read file:/a");
}

#[test]
fn a_set_that_nobody_referred_to_is_in_the_closure_once_somebody_does() {
    let mut world = World::new();
    // `crew` is named by no rule and no userset when the closure is computed.
    world.grant("user:bob crew ship:s").grant("user:bob direct_viewer file:/own").yes("user:bob read file:/own");
    world.grant("ship:s#crew direct_viewer file:/deck").yes("user:bob read file:/deck");
}

#[test]
fn the_public_subject_may_come_later() {
    let mut world = World::new();
    world.grant("user:bob direct_viewer file:/own").yes("user:bob read file:/own").no("user:bob read file:/pub");
    world.grant("* direct_viewer file:/pub").yes("user:bob read file:/pub");
    world
        .grant("group:all#member direct_viewer file:/g")
        .no("user:bob read file:/g")
        .grant("* member group:all")
        .yes("user:bob read file:/g");
}

#[test]
fn the_public_subject_may_go() {
    let mut world = World::new();
    world.grant("* member group:all").grant("group:all#member direct_viewer file:/a").grant("user:bob member group:b");
    world.yes("user:bob read file:/a");
    // With it goes the name by which its stamp is found.
    world.remove("*").no("user:bob read file:/a").no("user:bob member group:all");
}

#[test]
fn live_until_the_very_tick() {
    let mut world = World::new();
    world
        .grant_until("user:u direct_viewer file:/a", 100)
        .grant("group:g direct_viewer file:/b")
        .grant_until("user:u member group:g", 100);
    world
        .grant("group:h#member member group:k")
        .grant("group:k direct_viewer file:/c")
        .grant_until("user:u member group:h", 100);
    for path in ["/a/x", "/b/x", "/c/x"] {
        let question = format!("user:u read file:{path}");
        world.at(99).yes(&question).at(100).no(&question);
        // A reader of the same revision whose clock is a little behind.
        world.at(99).yes(&question);
    }
    world.grant_until("user:u direct_viewer file:/a", 200).at(150).yes("user:u read file:/a");
}

#[test]
fn a_ban_that_expires_allows() {
    let mut world = World::new();
    let can = json!({"intersection": ["viewer", {"exclusion": "banned"}]});
    world.namespace("doc", json!({"relations": {"viewer": {}, "banned": {}}, "permissions": {"read": can}}));
    world
        .grant("user:u viewer doc:d")
        .grant_until("user:u banned doc:d", 100)
        .at(99)
        .no("user:u read doc:d")
        .at(100)
        .yes("user:u read doc:d");
}

#[test]
fn a_rolled_back_operation_never_was() {
    let mut world = World::new();
    world.grant("group:g direct_viewer file:/a").no("user:bob read file:/a");
    let save = world.graph.clone();
    let mut working = world.clone();
    // A failed message interns a name and grants; the next one reuses the revision and the id for another.
    working.grant("user:bob member group:g");
    assert_eq!(
        working.graph.check(&read("bob", "/a"), LeafFacts::default(), &world.env, None, &mut Budget::request()),
        Verdict::Allow
    );
    drop(working);
    world.graph = save;
    world
        .no("user:bob read file:/a")
        .grant("user:eve member group:g")
        .no("user:bob read file:/a")
        .yes("user:eve read file:/a");
}

#[test]
fn a_snapshot_is_what_it_was() {
    let mut world = World::new();
    let mut snapshots = Vec::new();
    for i in 0..300 {
        world.grant(&format!("user:u{i} direct_viewer file:/a"));
        snapshots.push(world.graph.clone());
    }
    for (i, graph) in snapshots.iter().enumerate().step_by(37) {
        for (j, wanted) in [(i, Verdict::Allow), (i + 1, Verdict::Deny)] {
            let subject = format!("u{j}");
            assert_eq!(world.decide(graph, &read(&subject, "/a/b"), LeafFacts::default()), wanted);
        }
    }
}

#[test]
fn inverted_changes_lead_back() {
    let mut world = World::new();
    world.grant("user:u direct_viewer file:/a").grant_until("user:v direct_viewer file:/a", 5_000);
    let row = world.tuples.values().next().expect("a tuple").clone();
    let longer = crate::model::TupleRow { expires_at_us: Some(1), ..row.clone() };
    let change = Change::Tuple(Delta::update(row, longer));
    let mut graph = world.graph.clone();
    graph.apply(&change, 50);
    graph.publish(50);
    assert_eq!(world.decide(&graph, &read("u", "/a"), LeafFacts::default()), Verdict::Deny);
    graph.apply(&change.inverse(), 51);
    graph.publish(51);
    assert_eq!(world.decide(&graph, &read("u", "/a"), LeafFacts::default()), Verdict::Allow);
}

#[test]
fn perm_rev_moves_with_what_decides_and_with_nothing_else() {
    let mut world = World::new();
    world.grant("user:u direct_viewer file:/a");
    let before = world.graph.perm_rev();
    let node = NodeRow {
        id: 7,
        parent: 1,
        name: "x".into(),
        tenant: HOME.into(),
        kind: NodeKind::File,
        owner: Some(1),
        implicit: false,
        mixed: false,
        content: None,
        size: 0,
        version: 1,
        mime: None,
        created_at_us: 0,
        modified_at_us: 0,
        created_by: String::new(),
    };
    let mut graph = world.graph.clone();
    let moved = NodeRow { parent: 2, ..node.clone() };
    let written = NodeRow { size: 5, version: 2, ..node.clone() };
    for (change, moves) in [
        (Change::Node(Delta::insert(node.clone())), false),
        (Change::Node(Delta::update(node.clone(), written)), false),
        (Change::Node(Delta::update(node.clone(), moved)), true),
        (Change::Node(Delta::update(node.clone(), NodeRow { owner: None, ..node.clone() })), true),
        (Change::Node(Delta::delete(node)), true),
        (Change::Key(Delta { before: None::<KeyRow>, after: None }), true),
    ] {
        let rev = graph.perm_rev() + 10;
        let was = graph.perm_rev();
        graph.apply(&change, rev);
        assert_eq!(graph.perm_rev() == rev, moves, "{change:?}");
        assert!(moves || graph.perm_rev() == was);
    }
    assert!(graph.perm_rev() > before);
}

#[test]
fn stamps_move_with_their_cells() {
    let mut world = World::new();
    world.grant("user:u direct_viewer file:/a").grant("user:u direct_viewer file:/b");
    let (a, b) = (world.id("file:/a"), world.id("file:/b"));
    let of_b = world.graph.cell_rev(b);
    world.grant_until("user:u direct_viewer file:/a", 5_000);
    assert_eq!((world.graph.cell_rev(a), world.graph.cell_rev(b)), (world.rev, of_b));
    world.rename("file:/b", "file:/c");
    assert_eq!(world.graph.cell_rev(b), world.rev);
}

#[test]
fn unrelated_writes_keep_a_closure() {
    let mut world = World::new();
    world
        .grant("user:bob member group:g")
        .grant("group:g direct_viewer file:/a")
        .grant("user:eve direct_viewer file:/e");
    let closure = |world: &World| {
        let subject = world.graph.subject(who("user:bob").object());
        world.graph.closure(subject, &world.env, Some(&world.caches), &mut Budget::request()).expect("in budget")
    };
    let kept = closure(&world);
    world
        .grant("user:eve direct_viewer file:/f")
        .grant("user:bob direct_viewer file:/f")
        .grant("user:eve member group:g");
    assert!(Arc::ptr_eq(&kept, &closure(&world)), "files and other members do not change it");
    for change in ["user:bob member group:h", "* member group:all", "group:g#member member group:h"] {
        let kept = closure(&world);
        world.grant(change);
        assert!(!Arc::ptr_eq(&kept, &closure(&world)), "{change}");
    }
}

#[test]
fn what_is_above_a_group_is_shared_and_exact() {
    let mut world = World::new();
    world
        .grant("group:c direct_viewer file:/c")
        .grant("user:ann member group:a")
        .grant("group:a#member member group:b");
    world.grant("group:b#member member group:c").grant("group:c#member member group:a").yes("user:ann read file:/c");
    // Each newcomer finds what the one before asked for.
    world.grant("user:bob member group:a").yes("user:bob read file:/c");
    let older = world.graph.clone();
    world.revoke("group:b#member member group:c").grant("user:cay member group:a").no("user:cay read file:/c");
    assert_eq!(world.decide(&older, &read("bob", "/c"), LeafFacts::default()), Verdict::Allow);
    // Expiry of a nested membership, at the tick and not before; then again without.
    world.at(50).grant_until("group:b#member member group:c", 100).yes("user:bob read file:/c");
    world.grant("user:dan member group:b").at(99).yes("user:dan read file:/c");
    world.grant("user:eve member group:a").at(100).no("user:eve read file:/c").no("user:bob read file:/c");
    world.at(99).yes("user:eve read file:/c");
    world.grant("group:b#member member group:c").grant("user:fay member group:a").at(200).yes("user:fay read file:/c");
    // A condition in between: nobody below is denied by a walk.
    world.grant_if("group:b#member member group:c", r#"{"allowed_devices":["mac"]}"#);
    world.grant("user:guy member group:a").grant("user:hal member group:b");
    world.context(json!({"device": "mac"})).yes("user:guy read file:/c").yes("user:hal read file:/c");
    world.context(json!({"device": "pc"})).no("user:guy read file:/c").no("user:hal read file:/c");
    // And the rules: what a member of `b` is may change.
    world.grant("group:b#member member group:c").context(json!({})).yes("user:hal read file:/c");
    let both = json!({"intersection": ["direct_member", "direct_cleared"]});
    let cleared = json!({"direct_member": {}, "direct_cleared": {}, "member": both});
    world.namespace("group", json!({"relations": cleared, "permissions": {}}));
    world.grant("user:ivy member group:b").no("user:ivy read file:/c").no("user:hal read file:/c");
    world.drop_namespace("group").yes("user:ivy read file:/c");
}

/// As many groups, each with as long a list above it as is kept, that the lists of all of them are more than may be
/// kept: the table stays below its bound, counts what it holds, begins anew, and no answer depends on it.
#[test]
fn what_is_kept_above_groups_has_a_bound() {
    const LONG: usize = limits::SETS_ABOVE_MAX - 1;
    const GROUPS: usize = limits::ABOVE_CACHE_BYTES / (LONG * size_of::<(EntityId, u32)>()) + 100;
    let mut world = World::new();
    world.compare = false;
    for n in 0..LONG {
        world.grant(&format!("group:mid#member member group:top{n}"));
    }
    world.grant(&format!("group:top{} direct_viewer file:/top", LONG - 1));
    for n in 0..GROUPS {
        world.grant(&format!("group:{n}#member member group:mid")).grant(&format!("user:{n} member group:{n}"));
    }
    let may = |world: &World, who: &str, path: &str| {
        let mut budget = Budget::request();
        let caches = Some(&*world.caches);
        world.graph.check(&read(who, path), LeafFacts::default(), &world.env, caches, &mut budget).allowed()
    };
    let (mut most, mut held_before, mut begun) = (0, 0, 0);
    for n in 0..GROUPS {
        assert!(may(&world, &n.to_string(), "/top") && !may(&world, &n.to_string(), "/other"), "{n}");
        let bytes = world.caches.above.bytes.load(std::sync::atomic::Ordering::Relaxed);
        let held = world.caches.above.held.read();
        assert!(bytes <= limits::ABOVE_CACHE_BYTES, "{bytes} bytes after {n} groups");
        most = most.max(bytes);
        if held.len() < held_before || n % 500 == 0 {
            assert_eq!(held.values().map(|above| above.bytes()).sum::<usize>(), bytes, "what is counted is there");
            begun += usize::from(held.len() < held_before);
        }
        held_before = held.len();
    }
    assert!(most > limits::ABOVE_CACHE_BYTES / 10 * 9 && begun == 1, "at most {most} bytes, begun anew {begun} times");
    // Whoever asks about the forgotten ones is answered alike, and finds them again.
    world.grant("user:late member group:0").grant("user:late member group:1");
    assert!(may(&world, "late", "/top") && !may(&world, "late", "/other"));
    assert_eq!(world.caches.above.held.read().len(), held_before + 2);
}

#[test]
fn a_long_chain_of_groups_is_followed_without_being_kept() {
    let mut world = World::new();
    world.compare = false;
    let groups = limits::SETS_ABOVE_MAX as u32 + 50;
    for n in 0..groups {
        world.grant(&format!("group:{n}#member member group:{}", n + 1));
    }
    world.grant(&format!("group:{groups} direct_viewer file:/top"));
    world.compare = true;
    // Far below the top, and near it; in many at once.
    world.grant("user:low member group:0").yes("user:low read file:/top").no("user:low read file:/other");
    world.grant(&format!("user:high member group:{}", groups - 3)).yes("user:high read file:/top");
    for n in (0..groups).step_by(10) {
        world.grant(&format!("user:all member group:{n}"));
    }
    world.yes("user:all read file:/top");
    world.revoke(&format!("group:{}#member member group:{}", groups - 20, groups - 19));
    world.no("user:low read file:/top").yes("user:high read file:/top").yes("user:all read file:/top");
}

#[test]
fn warming_fills_the_closure_of_a_known_subject() {
    let mut world = World::new();
    world.grant("user:bob member group:g");
    let subject = |id| ObjectRef { tenant: HOME, kind: "user", id };
    world.graph.warm(&world.caches, subject("nobody"), &world.env);
    assert_eq!(world.caches.len().0, 0);
    world.graph.warm(&world.caches, subject("bob"), &world.env);
    assert_eq!(world.caches.len().0, 1);
}

#[test]
fn candidates_are_the_topmost_granted_paths() {
    let mut world = World::new();
    world
        .grant("user:u direct_viewer file:/p/a/deep")
        .grant("user:u direct_viewer file:/p/a")
        .grant("group:g direct_owner file:/q/x.txt");
    world
        .grant("user:u member group:g")
        .grant("user:other direct_viewer file:/r")
        .grant("user:u direct_viewer file:/p/a.txt");
    world.grant_until("user:u shared-viewer file:/late", 5_000).grant("user:u direct_viewer away|file:/elsewhere");
    let ask = |world: &World, path: &str| {
        let subject = ObjectRef { tenant: HOME, kind: "user", id: "u" };
        let caches = Some(&*world.caches);
        match world.graph.visible_candidates(subject, "read", HOME, path, &world.env, caches, &mut Budget::request()) {
            Candidates::No => Vec::new(),
            Candidates::Paths(paths) => paths.iter().map(|path| path.to_string()).collect(),
            Candidates::Search => vec!["?".into()],
        }
    };
    assert_eq!(ask(&world, "/"), ["/late", "/p/a", "/p/a.txt", "/q/x.txt"]);
    assert_eq!(ask(&world, "/p"), ["/p/a", "/p/a.txt"]);
    assert_eq!(ask(&world, "/p/a"), ["/p/a"]);
    assert_eq!(ask(&world, "/p/a/other"), Vec::<String>::new());
    assert_eq!(ask(&world, "/r"), Vec::<String>::new());
    world.at(5_000);
    assert_eq!(ask(&world, "/late"), Vec::<String>::new());
    world.revoke("user:u member group:g").rename("file:/p/a", "file:/n");
    assert_eq!(ask(&world, "/"), ["/n", "/p/a.txt", "/p/a/deep"].map(str::to_owned).to_vec().tap_sorted());
    // A grant with a condition is looked at for each who asks.
    world.grant_if("user:u direct_viewer file:/c", r#"{"allowed_devices":["mac"]}"#);
    for (device, wanted) in [("mac", vec!["/c"]), ("pc", vec![]), ("mac", vec!["/c"])] {
        world.context(json!({"device": device}));
        assert_eq!(ask(&world, "/c"), wanted, "{device}");
    }
    world.grant_if("user:u member group:g", r#"{"allowed_devices":["mac"]}"#);
    assert_eq!(ask(&world, "/q"), ["?"], "a conditional membership");
}

/// Sorts in tree order, where `/` comes before every other byte.
trait TapSorted {
    fn tap_sorted(self) -> Self;
}

impl TapSorted for Vec<String> {
    fn tap_sorted(mut self) -> Self {
        self.sort_by_key(|path| path.replace('/', "\0"));
        self
    }
}
