use std::time::Duration;

use serde_json::{Value, json};

use super::{create, project};
use crate::harness::world::{ELSEWHERE, HOME, Who, World};
use crate::rpc::{CURSOR_EXPIRED, DENIED, INVALID_PARAMS, grant, grant_across, ok, refused, write};

fn of(user: &str, kind: &str) -> Value {
    json!({"subject": ["user", user], "permission": "read", "object_type": kind})
}

fn with(mut params: Value, more: Value) -> Value {
    let more = more.as_object().expect("an object").clone();
    params.as_object_mut().expect("an object").extend(more);
    params
}

fn ids(page: &Value) -> Vec<String> {
    let objects = page["objects"].as_array().expect("objects");
    objects.iter().map(|o| o[1].as_str().expect("an id").to_owned()).collect()
}

/// All pages of a list.
async fn pages(world: &World, who: Who, params: &Value, limit: usize) -> Vec<Value> {
    let (mut pages, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let page =
            ok(world, who, "rebac_list_objects", with(params.clone(), json!({"limit": limit, "cursor": cursor})));
        let page = page.await;
        cursor = page["next_cursor"].clone();
        assert!(page["complete"] == json!(true), "{page}");
        assert!(ids(&page).len() == limit || cursor.is_null(), "a short page that is not the last: {page}");
        pages.push(page);
        if cursor.is_null() {
            return pages;
        }
    }
}

/// A tree with every kind of right in it.
async fn forest() -> World {
    let world = World::new().await;
    for path in [
        "/a/b/one.txt",
        "/a/b.txt",
        "/a/b/two/deep.txt",
        "/a.txt",
        "/ab/x.txt",
        "/group/in/it.txt",
        "/open/to/all.txt",
        "/closed/no.txt",
    ] {
        write(&world, Who::Admin, path, "text").await;
    }
    write(&world, Who::OtherAdmin, &format!("/tenant:{ELSEWHERE}/theirs.txt"), "theirs").await;
    grant(&world, ("user", "alice"), "direct_owner", "/mine").await;
    grant(&world, ("user", "bob"), "direct_viewer", "/a/b").await;
    grant(&world, ("user", "bob"), "direct_viewer", "/a.txt").await;
    grant(&world, ("user", "bob"), "direct_viewer", "/not/there/yet").await;
    grant(&world, ("group", "eng"), "direct_viewer", "/group/in").await;
    grant(&world, ("*", "*"), "direct_viewer", "/open").await;
    // Whoever reads everything of this tenant reads nothing of another.
    grant(&world, ("user", "reader"), "direct_viewer", "/").await;
    grant_across(&world, Some(HOME), ("user", "bob"), "shared-viewer", &format!("/tenant:{ELSEWHERE}/theirs.txt"))
        .await;
    create(&world, Who::Admin, ("user", "bob"), "member", ("group", "eng")).await;
    // A file of bob by its column alone, in a directory that says nothing of him.
    grant(&world, ("user", "bob"), "direct_editor", "/closed").await;
    write(&world, Who::Bob, "/closed/of-bob.txt", "his").await;
    let tuples = ok(&world, Who::Admin, "rebac_list_tuples", json!({"object": ["file", "/closed"]})).await;
    let id =
        tuples.as_array().expect("tuples").iter().find(|t| t["subject_id"] == "bob").expect("his")["tuple_id"].clone();
    ok(&world, Who::Admin, "rebac_delete", json!({"tuple_id": id})).await;
    world
}

#[tokio::test]
async fn files_are_listed_in_tree_order_and_are_those_that_a_check_allows() {
    let world = forest().await;
    let params = of("bob", "file");
    let page = ok(&world, Who::Admin, "rebac_list_objects", params.clone()).await;
    let wanted = [
        "/a/b",
        "/a/b/one.txt",
        "/a/b/two",
        "/a/b/two/deep.txt",
        "/a.txt",
        "/closed/of-bob.txt",
        "/group/in",
        "/group/in/it.txt",
        "/open",
        "/open/to",
        "/open/to/all.txt",
    ];
    assert_eq!(ids(&page), wanted);
    assert_eq!(page["objects"][0], json!(["file", "/a/b"]));
    assert_eq!(
        (&page["complete"], &page["next_cursor"], &page["changed"]),
        (&json!(true), &Value::Null, &json!(false))
    );
    assert_eq!(page["revision"], json!(world.head().await));
    assert_eq!(page["undecided"], json!([]));
    for limit in 1..5 {
        let paged: Vec<String> = pages(&world, Who::Bob, &params, limit).await.iter().flat_map(ids).collect();
        assert_eq!(paged, wanted, "pages of {limit}");
    }
    // Every node there is, asked one by one.
    for who in ["bob", "alice", "nobody", "admin", "reader"] {
        let listed = ids(&ok(&world, Who::Admin, "rebac_list_objects", of(who, "file")).await);
        let all = ok(&world, Who::Admin, "list", json!({"path": "/", "recursive": true})).await;
        for path in all["files"].as_array().expect("files").iter().filter_map(Value::as_str) {
            let check = json!({"subject": ["user", who], "permission": "read", "object": ["file", path]});
            let said = ok(&world, Who::Admin, "rebac_check", check).await;
            let foreign = path.starts_with(&format!("/tenant:{ELSEWHERE}"));
            assert_eq!(json!(listed.iter().any(|p| p == path)), json!(said == json!(true) && !foreign), "{who} {path}");
        }
    }
}

#[tokio::test]
async fn a_prefix_is_by_component_and_a_name_may_be_any() {
    let world = forest().await;
    let below = |path: &str| with(of("bob", "file"), json!({"path_prefix": path}));
    for (prefix, wanted) in [
        ("/a", vec!["/a/b", "/a/b/one.txt", "/a/b/two", "/a/b/two/deep.txt"]),
        ("/a/b/two", vec!["/a/b/two", "/a/b/two/deep.txt"]),
        ("/a.txt", vec!["/a.txt"]),
        ("/not/there/yet", vec![]),
        ("/closed/", vec!["/closed/of-bob.txt"]),
    ] {
        let page = ok(&world, Who::Bob, "rebac_list_objects", below(prefix)).await;
        assert_eq!(ids(&page), wanted, "{prefix}");
    }
    let owned = with(of("bob", "file"), json!({"permission": "direct_owner"}));
    assert_eq!(ids(&ok(&world, Who::Bob, "rebac_list_objects", owned).await), ["/closed/of-bob.txt"]);
    let unheard = with(of("bob", "file"), json!({"permission": "unheard_of"}));
    assert_eq!(ids(&ok(&world, Who::Bob, "rebac_list_objects", unheard).await), Vec::<String>::new());
}

/// A file that is there and readable during the whole walk comes once, and the client hears that something moved.
#[tokio::test]
async fn pages_of_files_say_when_something_changed() {
    let world = forest().await;
    let params = with(of("bob", "file"), json!({"path_prefix": "/a", "limit": 2}));
    let next = |cursor: &Value| with(params.clone(), json!({"cursor": cursor}));
    let first = ok(&world, Who::Bob, "rebac_list_objects", params.clone()).await;
    assert_eq!(ids(&first), ["/a/b", "/a/b/one.txt"]);
    let cursor = &first["next_cursor"];
    // Elsewhere, and a body: no change of what is listed.
    write(&world, Who::Admin, "/ab/y.txt", "new").await;
    write(&world, Who::Admin, "/a/b/one.txt", "another body").await;
    let second = ok(&world, Who::Bob, "rebac_list_objects", next(cursor)).await;
    assert_eq!(
        (ids(&second), &second["changed"]),
        (vec!["/a/b/two".into(), "/a/b/two/deep.txt".into()], &json!(false))
    );
    for (what, change) in [
        ("write", json!({"path": "/a/b/three.txt", "content": "new"})),
        ("delete", json!({"path": "/a/b/one.txt"})),
        ("rebac_create", json!({"subject": ["user", "x"], "relation": "direct_viewer", "object": ["file", "/a/b"]})),
        ("rebac_create", json!({"subject": ["user", "x"], "relation": "member", "object": ["group", "eng"]})),
        ("rename", json!({"old_path": "/a/b/two", "new_path": "/a/b/zwei"})),
        ("rename", json!({"old_path": "/a", "new_path": "/moved"})),
    ] {
        let first = ok(&world, Who::Bob, "rebac_list_objects", params.clone()).await;
        assert_eq!(first["changed"], json!(false));
        ok(&world, Who::Admin, what, change.clone()).await;
        let second = ok(&world, Who::Bob, "rebac_list_objects", next(&first["next_cursor"])).await;
        assert_eq!(second["changed"], json!(true), "{what} {change}");
        assert_eq!(second["revision"], json!(world.head().await), "each page is of its own revision");
    }
}

#[tokio::test]
async fn a_right_taken_between_pages_is_gone() {
    let world = forest().await;
    let params = with(of("bob", "file"), json!({"path_prefix": "/open", "limit": 1}));
    let first = ok(&world, Who::Bob, "rebac_list_objects", params.clone()).await;
    assert_eq!(ids(&first), ["/open"]);
    let tuples = ok(&world, Who::Admin, "rebac_list_tuples", json!({"object": ["file", "/open"]})).await;
    ok(&world, Who::Admin, "rebac_delete", json!({"tuple_id": tuples[0]["tuple_id"]})).await;
    let second = with(params, json!({"cursor": first["next_cursor"]}));
    let second = ok(&world, Who::Bob, "rebac_list_objects", second).await;
    assert_eq!((ids(&second), &second["changed"]), (vec![], &json!(true)));
}

/// Groups, memberships and a rule of another type: bob's memories.
async fn memories() -> World {
    let world = World::new().await;
    for i in 0..7 {
        let id = format!("m{i}");
        create(&world, Who::Admin, ("user", "bob"), "viewer", ("memory", &id)).await;
        create(&world, Who::Admin, ("user", "alice"), "owner", ("memory", &format!("a{i}"))).await;
    }
    create(&world, Who::Admin, ("*", "*"), "viewer", ("memory", "public")).await;
    world
}

#[tokio::test]
async fn pages_of_others_stay_at_the_revision_of_the_first_for_a_minute() {
    let world = memories().await;
    let wanted = ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "public"];
    let params = of("bob", "memory");
    assert_eq!(ids(&ok(&world, Who::Bob, "rebac_list_objects", params.clone()).await), wanted);
    let first = ok(&world, Who::Bob, "rebac_list_objects", with(params.clone(), json!({"limit": 3}))).await;
    assert_eq!(ids(&first), wanted[..3]);
    create(&world, Who::Admin, ("user", "bob"), "viewer", ("memory", "m33")).await;
    let tuples = ok(&world, Who::Admin, "rebac_list_tuples", json!({"object": ["memory", "m4"]})).await;
    ok(&world, Who::Admin, "rebac_delete", json!({"tuple_id": tuples[0]["tuple_id"]})).await;
    world.pass(Duration::from_secs(59)).await;
    let next = |cursor: &Value| with(params.clone(), json!({"limit": 3, "cursor": cursor}));
    let second = ok(&world, Who::Bob, "rebac_list_objects", next(&first["next_cursor"])).await;
    assert_eq!(ids(&second), wanted[3..6]);
    assert_eq!(second["revision"], first["revision"]);
    assert_ne!(second["revision"], json!(world.head().await));
    // The same page again is the same page.
    assert_eq!(ok(&world, Who::Bob, "rebac_list_objects", next(&first["next_cursor"])).await, second);
    world.pass(Duration::from_secs(1)).await;
    let expired = refused(&world, Who::Bob, "rebac_list_objects", next(&second["next_cursor"]), CURSOR_EXPIRED).await;
    assert_eq!(expired.data["code"], json!("cursor_expired"));
    let again = ok(&world, Who::Bob, "rebac_list_objects", params).await;
    assert_eq!(ids(&again), ["m0", "m1", "m2", "m3", "m33", "m5", "m6", "public"]);
}

#[tokio::test]
async fn many_begun_lists_forget_the_oldest() {
    let world = memories().await;
    let params = with(of("bob", "memory"), json!({"limit": 1}));
    let begin = || ok(&world, Who::Bob, "rebac_list_objects", params.clone());
    let next = |cursor: &Value| with(params.clone(), json!({"cursor": cursor}));
    let tick = || world.clock.as_ref().expect("a clock").advance(Duration::from_micros(1));
    let first = begin().await;
    tick();
    let second = begin().await;
    for _ in 0..255 {
        tick();
        begin().await;
    }
    refused(&world, Who::Bob, "rebac_list_objects", next(&first["next_cursor"]), CURSOR_EXPIRED).await;
    assert_eq!(ids(&ok(&world, Who::Bob, "rebac_list_objects", next(&second["next_cursor"])).await), ["m1"]);
}

#[tokio::test]
async fn a_cursor_opens_nothing_that_its_holder_may_not_ask() {
    let world = memories().await;
    let params = with(of("bob", "memory"), json!({"limit": 1}));
    let first = ok(&world, Who::Bob, "rebac_list_objects", params.clone()).await;
    let stolen = with(params.clone(), json!({"cursor": first["next_cursor"]}));
    let failure = refused(&world, Who::Stranger, "rebac_list_objects", stolen, DENIED).await;
    assert!(!failure.message.contains("m1"), "{}", failure.message);
    let bent = with(of("mallory", "memory"), json!({"cursor": first["next_cursor"]}));
    refused(&world, Who::Stranger, "rebac_list_objects", bent, INVALID_PARAMS).await;
    for cursor in ["", "x", "bm90aGluZw"] {
        let params = with(params.clone(), json!({"cursor": cursor}));
        refused(&world, Who::Bob, "rebac_list_objects", params, INVALID_PARAMS).await;
    }
}

#[tokio::test]
async fn others_are_listed_by_admins_of_their_tenant_alone() {
    let world = project().await;
    for who in [Who::Alice, Who::Stranger, Who::Agent, Who::OtherUser] {
        let failure = refused(&world, who, "rebac_list_objects", of("bob", "file"), DENIED).await;
        assert!(!failure.message.contains("/proj"), "{}", failure.message);
    }
    let mine = ids(&ok(&world, Who::Alice, "rebac_list_objects", of("alice", "file")).await);
    assert_eq!(mine, ["/proj", "/proj/a.txt"]);
    assert_eq!(ids(&ok(&world, Who::Heir, "rebac_list_objects", of("alice", "file")).await), mine);
    // An agent that inherits nothing asks about itself and nobody else.
    refused(&world, Who::Agent, "rebac_list_objects", of("alice", "file"), DENIED).await;
    let agent = json!({"subject": ["agent", "alice,Helper"], "permission": "read", "object_type": "file"});
    assert_eq!(ids(&ok(&world, Who::Agent, "rebac_list_objects", agent.clone()).await), Vec::<String>::new());
    assert_eq!(ids(&ok(&world, Who::Alice, "rebac_list_objects", agent).await), Vec::<String>::new());
    // The namesake of another tenant has nothing here, and nobody but the instance admin asks across.
    assert_eq!(ids(&ok(&world, Who::OtherUser, "rebac_list_objects", of("alice", "file")).await), Vec::<String>::new());
    let across = with(of("alice", "file"), json!({"tenant_id": HOME}));
    refused(&world, Who::OtherUser, "rebac_list_objects", across.clone(), DENIED).await;
    refused(&world, Who::OtherAdmin, "rebac_list_objects", across.clone(), DENIED).await;
    assert_eq!(ids(&ok(&world, Who::Instance, "rebac_list_objects", across).await), mine);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let world = project().await;
    for wrong in [
        json!({"limit": 0}),
        json!({"limit": 10_001}),
        json!({"object_type": ""}),
        json!({"permission": " "}),
        json!({"object_type": "memory", "path_prefix": "/a"}),
        json!({"subject": ["user"]}),
    ] {
        refused(&world, Who::Admin, "rebac_list_objects", with(of("bob", "file"), wrong), INVALID_PARAMS).await;
    }
}

/// A rule with a NOT says nothing about where to look: everything is looked at, in pages.
#[tokio::test]
async fn a_large_tree_is_listed_in_whole_even_where_rules_do_not_lead() {
    let world = World::new().await;
    for directory in 0..4 {
        for file in 0..40 {
            write(&world, Who::Admin, &format!("/t/{directory}/f{file:02}"), "x").await;
        }
    }
    let not_banned = json!({"object_type": "file", "config": {
        "relations": {"banned": {}, "direct_owner": {}},
        "permissions": {"read": {"exclusion": "banned"}, "execute": ["direct_owner"]},
    }});
    ok(&world, Who::Instance, "namespace_create", not_banned).await;
    create(&world, Who::Admin, ("user", "bob"), "banned", ("file", "/t/2/f07")).await;
    let params = with(of("bob", "file"), json!({"path_prefix": "/t"}));
    let whole = ids(&ok(&world, Who::Admin, "rebac_list_objects", params.clone()).await);
    assert_eq!(whole.len(), 1 + 4 + 4 * 40 - 1);
    assert!(!whole.iter().any(|path| path == "/t/2/f07"));
    let paged: Vec<String> = pages(&world, Who::Admin, &params, 7).await.iter().flat_map(ids).collect();
    assert_eq!(paged, whole);
}
