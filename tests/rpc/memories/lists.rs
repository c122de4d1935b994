//! Pages, filters and search.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::{contents, keep};
use crate::harness::world::{Who, World};
use crate::rpc::ok;

/// More than are read at once, and no multiple of a page.
const MANY: usize = 300;
const PAGE: usize = 47;

#[tokio::test]
async fn pages_give_each_memory_once_whatever_way_it_comes() {
    let world = World::new().await;
    let clock = world.clock.as_ref().expect("a clock");
    let mut expected = Vec::new();
    for number in 0..MANY {
        // Several of the same time, and of every source that bob has.
        if number % 3 == 0 {
            clock.advance(Duration::from_secs(1));
        }
        let (who, scope) = match number % 5 {
            0 => (Who::Alice, "tenant"),
            1 => (Who::Instance, "global"),
            2 => (Who::Alice, "user"),
            _ => (Who::Bob, "user"),
        };
        let id = keep(&world, who, json!({"content": format!("number {number}"), "scope": scope})).await;
        if number % 5 == 2 {
            let tuple = json!({"subject": ["user", "bob"], "relation": "viewer", "object": ["memory", id]});
            ok(&world, Who::Alice, "rebac_create", tuple).await;
        } else if number % 5 == 3 {
            // By two ways.
            let tuple = json!({"subject": ["user", "bob"], "relation": "owner", "object": ["memory", id]});
            ok(&world, Who::Bob, "rebac_create", tuple).await;
        }
        expected.push(id);
    }
    let (mut seen, mut cursor, mut pages) = (Vec::new(), Value::Null, 0);
    loop {
        let page = ok(&world, Who::Bob, "list_memories", json!({"limit": PAGE, "cursor": cursor})).await;
        let rows = page["memories"].as_array().expect("rows");
        seen.extend(
            rows.iter()
                .map(|row| (row["created_at"].to_string(), row["memory_id"].as_str().expect("an id").to_owned())),
        );
        pages += 1;
        cursor = page["next_cursor"].clone();
        assert_eq!(page["complete"], cursor.is_null(), "{page}");
        if cursor.is_null() {
            break;
        }
        assert_eq!(rows.len(), PAGE);
    }
    assert_eq!(pages, MANY.div_ceil(PAGE));
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "newest first, each once");
    let ids: BTreeSet<&String> = seen.iter().map(|(_, id)| id).collect();
    assert_eq!(ids, expected.iter().collect(), "all of them");
    // Somebody else's pages have none of what is bob's.
    let edith = ok(&world, Who::Edith, "list_memories", json!({"limit": 1_000})).await;
    assert_eq!(edith["memories"].as_array().map(Vec::len), Some(MANY / 5 * 2));
    assert_eq!(edith["complete"], true);
    world.close().await;
}

#[tokio::test]
async fn filters_let_through_what_they_name() {
    let world = World::new().await;
    for (content, scope, kind, namespace) in [
        ("a", "user", "fact", Some("project/x")),
        ("b", "user", "preference", Some("project/y")),
        ("c", "agent", "fact", Some("other")),
        ("d", "tenant", "fact", None),
    ] {
        keep(
            &world,
            Who::Alice,
            json!({"content": content, "scope": scope, "memory_type": kind, "namespace": namespace}),
        )
        .await;
        world.clock.as_ref().expect("a clock").advance(Duration::from_secs(1));
    }
    for (filter, expected) in [
        (json!({}), vec!["d", "c", "b", "a"]),
        (json!({"scope": "user"}), vec!["b", "a"]),
        (json!({"memory_type": "fact"}), vec!["d", "c", "a"]),
        (json!({"namespace": "project/x"}), vec!["a"]),
        (json!({"namespace": "project"}), vec![]),
        (json!({"namespace_prefix": "project/"}), vec!["b", "a"]),
        (json!({"namespace_prefix": "project/", "memory_type": "fact"}), vec!["a"]),
        (json!({"limit": 2}), vec!["d", "c"]),
    ] {
        assert_eq!(contents(&world, Who::Alice, filter.clone()).await, expected, "{filter}");
    }
    world.close().await;
}

#[tokio::test]
async fn a_search_is_by_words_and_says_so() {
    let world = World::new().await;
    for (content, importance) in [
        ("Alice prefers dark mode in every editor", 0.5),
        ("the mode of transport is the train", 0.5),
        ("a dark night", 0.9),
        ("nothing of the kind", 1.0),
    ] {
        keep(&world, Who::Alice, json!({"content": content, "importance": importance, "scope": "user"})).await;
    }
    keep(&world, Who::Bob, json!({"content": "dark mode is what bob likes", "scope": "user"})).await;
    keep(
        &world,
        Who::Alice,
        json!({"content": "100% of what is asked", "namespace": "searchable", "path_key": "by-name"}),
    )
    .await;
    for mode in [json!(null), json!("keyword"), json!("hybrid"), json!("semantic")] {
        let found = ok(&world, Who::Alice, "query_memories", json!({"query": "Dark Mode", "search_mode": mode})).await;
        assert_eq!((&found["search_mode"], &found["complete"]), (&json!("keyword"), &json!(true)), "{found}");
        let rows: Vec<(String, f64)> = found["memories"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| (row["content"].as_str().expect("text").to_owned(), row["score"].as_f64().expect("a score")))
            .collect();
        let texts: Vec<&str> = rows.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(
            texts,
            ["Alice prefers dark mode in every editor", "a dark night", "the mode of transport is the train"],
            "all words, then what matters more"
        );
        assert_eq!(rows[0].1, 1.0);
        assert!(rows[1].1 == rows[2].1 && rows[2].1 < 1.0);
    }
    let cut = ok(&world, Who::Alice, "query_memories", json!({"query": "dark mode", "limit": 1})).await;
    assert_eq!((cut["memories"].as_array().map(Vec::len), &cut["complete"]), (Some(1), &json!(false)), "{cut}");
    assert_eq!(contents(&world, Who::Alice, json!({"query": "%"})).await, [json!("100% of what is asked")]);
    assert_eq!(contents(&world, Who::Alice, json!({"query": "by-name"})).await.len(), 1);
    assert_eq!(contents(&world, Who::Alice, json!({"query": "zebra"})).await, Vec::<Value>::new());
    let plain = ok(&world, Who::Alice, "query_memories", json!({"query": " "})).await;
    assert_eq!((plain["memories"].as_array().map(Vec::len), &plain["search_mode"]), (Some(5), &Value::Null));
    world.close().await;
}
