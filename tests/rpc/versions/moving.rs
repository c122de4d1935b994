//! `export_metadata` and `import_metadata`.

use nexus_lite::model::ContentHash;
use serde_json::{Value, json};

use super::super::*;
use super::shared_world;

fn lines(result: &Value) -> Vec<Value> {
    let data = result["data"].as_str().expect("text");
    data.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn lines_go_out_and_come_in() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/a.txt", "a").await;
    write(&world, Who::Alice, "/w/alice/b.txt", "b").await;
    let all = ok(&world, Who::Bob, "export_metadata", json!({})).await;
    let found = lines(&all);
    assert_eq!((found.len(), &all["count"], &all["next_cursor"]), (2, &json!(2), &Value::Null), "{all}");
    assert_eq!(found[0]["path"], "/w/alice/a.txt");
    assert_eq!((&found[0]["version"], &found[0]["size"]), (&json!(1), &json!(1)));
    assert_eq!(found[0]["etag"], json!(ContentHash::of(b"a").to_hex()));
    let page = ok(&world, Who::Bob, "export_metadata", json!({"limit": 1, "prefix": "/w/alice"})).await;
    let next = json!({"limit": 1, "prefix": "/w/alice", "cursor": page["next_cursor"]});
    assert_eq!(lines(&ok(&world, Who::Bob, "export_metadata", next).await), [found[1].clone()]);
    // The names are new, the bytes are there.
    let data = all["data"].as_str().expect("text").replace("/w/alice/", "/w/alice/copy/");
    let dry = ok(&world, Who::Alice, "import_metadata", json!({"data": data, "dry_run": true})).await;
    let done = ok(&world, Who::Alice, "import_metadata", json!({"data": data})).await;
    assert_eq!(done, json!({"created": 2, "updated": 0, "skipped": 0, "remapped": 0, "errors": []}));
    assert_eq!(dry, done);
    assert_eq!(read(&world, Who::Bob, "/w/alice/copy/b.txt").await, "b");
    let again = ok(&world, Who::Alice, "import_metadata", json!({"data": data})).await;
    assert_eq!(again["skipped"], 2);
    let b = |path: &str| json!({"path": path, "etag": ContentHash::of(b"b").to_hex()}).to_string();
    let over = json!({"data": b("/w/alice/a.txt"), "overwrite": true});
    assert_eq!(ok(&world, Who::Alice, "import_metadata", over).await["updated"], 1);
    assert_eq!(read(&world, Who::Bob, "/w/alice/a.txt").await, "b");
    let refuse = json!({"data": b("/w/alice/copy/a.txt"), "skip_existing": false});
    assert_eq!(ok(&world, Who::Alice, "import_metadata", refuse).await["errors"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_hash_is_no_right_to_the_bytes() {
    let world = shared_world().await;
    let line = |path: &str| json!({"path": path, "etag": ContentHash::of(b"secret").to_hex()}).to_string();
    // `/w/secret.txt` has these bytes; alice may not read it.
    let done = ok(&world, Who::Alice, "import_metadata", json!({"data": line("/w/alice/x")})).await;
    let error = done["errors"][0]["error"].as_str().expect("a text").to_owned();
    assert!(error.contains("no file that you may read has this content"), "{error}");
    let nothing = json!({"path": "/w/alice/x", "etag": "0".repeat(64)}).to_string();
    let none = ok(&world, Who::Alice, "import_metadata", json!({"data": nothing})).await;
    assert_eq!(none, done, "the same as of bytes that nobody has");
    assert_eq!(ok(&world, Who::Admin, "import_metadata", json!({"data": line("/w/x")})).await["created"], 1);
    for who in [Who::Bob, Who::Stranger, Who::OtherUser, Who::Agent] {
        let done = ok(&world, who, "import_metadata", json!({"data": line("/w/alice/x")})).await;
        assert!(done.to_string().contains("Access denied"), "{who:?}: {done}");
    }
    assert_eq!(lines(&ok(&world, Who::Stranger, "export_metadata", json!({})).await), Vec::<Value>::new());
}

#[tokio::test]
async fn no_file_of_the_server() {
    let world = shared_world().await;
    let out = refused(&world, Who::Instance, "export_metadata", json!({"output_path": "/tmp/x"}), NOT_SUPPORTED).await;
    assert!(out.data["hint"].as_str().is_some_and(|hint| hint.contains("`data`")), "{:?}", out.data);
    let into =
        refused(&world, Who::Instance, "import_metadata", json!({"input_path": "/etc/passwd"}), NOT_SUPPORTED).await;
    assert!(into.data["hint"].as_str().is_some_and(|hint| hint.contains("`data`")), "{:?}", into.data);
    for data in ["x", "{}", "{\"path\":\"/a\",\"etag\":\"x\"}"] {
        refused(&world, Who::Instance, "import_metadata", json!({"data": data}), INVALID_PARAMS).await;
    }
    refused(&world, Who::Instance, "import_metadata", json!({}), INVALID_PARAMS).await;
}
