//! A session of the first hour: what a newcomer does with files, versions and snapshots, and sees.

use serde_json::json;

use super::{WS, of};
use crate::harness::world::{Who, World};
use crate::rpc::{ok, read, write};

/// Bytes of the large file; as large as tests may be.
const LARGE: usize = 8 << 20;

#[tokio::test]
async fn a_newcomer_works_in_a_workspace() {
    let world = World::new().await;
    ok(&world, Who::Admin, "register_workspace", json!({"path": WS, "name": "first"})).await;
    let file = format!("{WS}/a.txt");

    // put, cat, ls: content, size, version 1, owner, time.
    let written = write(&world, Who::Admin, &file, "hi").await;
    assert_eq!((&written["version"], &written["size"]), (&json!(1), &json!(2)));
    assert_eq!(read(&world, Who::Admin, &file).await, "hi");
    let listed = ok(&world, Who::Admin, "list", json!({"path": WS, "details": true})).await;
    let row = &listed["files"][0];
    assert_eq!((&row["path"], &row["size"]), (&json!(file), &json!(2)));
    assert!(row["modified_at"].is_object() || row["modified_at"].is_string(), "{row}");

    // Writes twice, log, diff, restore of version 1: version 3 is version 1.
    write(&world, Who::Admin, &file, "hi there").await;
    let versions = ok(&world, Who::Admin, "list_versions", json!({"path": file})).await;
    assert_eq!(versions.as_array().map(Vec::len), Some(2));
    let diff = json!({"path": file, "v1": 1, "v2": 2, "mode": "content"});
    let diff = ok(&world, Who::Admin, "diff_versions", diff).await.to_string();
    assert!(diff.contains("-hi") && diff.contains("+hi there"), "{diff}");
    ok(&world, Who::Admin, "rollback", json!({"path": file, "version": 1})).await;
    assert_eq!(read(&world, Who::Admin, &file).await, "hi");
    let versions = ok(&world, Who::Admin, "list_versions", json!({"path": file})).await;
    assert_eq!(versions[0]["version"], json!(3));
    assert_eq!(versions[0]["content_hash"], versions[2]["content_hash"]);

    // A directory is removed, and comes back whole.
    for name in ["x/1", "x/2", "x/deep/3"] {
        write(&world, Who::Admin, &format!("{WS}/{name}"), name).await;
    }
    let taken = ok(&world, Who::Admin, "workspace_snapshot", json!({"workspace_path": WS, "tags": ["before"]})).await;
    assert_eq!(taken["file_count"], json!(4));
    ok(&world, Who::Admin, "rmdir", json!({"path": format!("{WS}/x"), "recursive": true})).await;
    let dry = json!({"workspace_path": WS, "snapshot_number": 1, "dry_run": true});
    let would = ok(&world, Who::Admin, "workspace_restore", dry).await;
    assert_eq!((&would["files_restored"], &would["files_deleted"]), (&json!(3), &json!(0)));
    ok(&world, Who::Admin, "workspace_restore", of(1)).await;
    assert_eq!(read(&world, Who::Admin, &format!("{WS}/x/deep/3")).await, "x/deep/3");
    // And the restore itself can be undone.
    ok(&world, Who::Admin, "workspace_snapshot", json!({"workspace_path": WS})).await;
    let diff =
        ok(&world, Who::Admin, "workspace_diff", json!({"workspace_path": WS, "snapshot_1": 1, "snapshot_2": 2})).await;
    assert_eq!((&diff["added"], &diff["removed"], &diff["modified"]), (&json!([]), &json!([]), &json!([])));

    // A large file: the same hash back, and a part of it.
    let large: String = "0123456789abcdef".repeat(LARGE / 16);
    let path = format!("{WS}/large.bin");
    let written = write(&world, Who::Admin, &path, &large).await;
    assert_eq!(written["etag"], json!(blake3::hash(large.as_bytes()).to_hex().to_string()));
    let part = ok(&world, Who::Admin, "read_range", json!({"path": path, "start": 16, "end": 26})).await;
    assert_eq!(crate::rpc::text_of(&part), "0123456789");
    ok(&world, Who::Admin, "workspace_snapshot", json!({"workspace_path": WS})).await;
    ok(&world, Who::Admin, "delete", json!({"path": path})).await;
    ok(&world, Who::Admin, "workspace_restore", of(3)).await;
    let back = ok(&world, Who::Admin, "stat", json!({"path": path})).await;
    assert_eq!(back["size"], json!(LARGE));
    let etag = ok(&world, Who::Admin, "get_etag", json!({"path": path})).await;
    assert_eq!(etag["etag"], written["etag"]);
}
