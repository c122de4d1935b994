//! What tenants may have: who says so, what is refused, and that what is counted is what is there.

use nexus_lite::service::files::ops::free_detached;
use serde_json::{Value, json};

use super::*;
use crate::harness::world::{ELSEWHERE, HOME, Setup};
use crate::rpc::files::shared_world;

/// Code of the refusal.
const OVER: i64 = -32029;
const A: &str = "/w/alice/a.txt";
/// Bytes of a body that does not go into a row.
const LARGE: usize = 70_000;
/// Files of a directory that comes back in more than one message.
const FILES: usize = 300;

async fn set(world: &World, limits: Value) -> Value {
    let mut params = limits;
    params["tenant_id"] = HOME.into();
    ok(world, Who::Instance, "admin_set_quota", params).await
}

/// Files and bytes that `default` has, and that this is what a count gives.
async fn used(world: &World) -> (u64, u64) {
    free_detached(world.store.clone()).await;
    let report = world.store.check().await.expect("a report");
    assert_eq!(report.violations, []);
    let said = ok(world, Who::Admin, "admin_get_quota", json!({})).await;
    (said["files_used"].as_u64().expect("a number"), said["bytes_used"].as_u64().expect("a number"))
}

#[tokio::test]
async fn the_instance_admin_sets_and_admins_read_their_own() {
    let world = shared_world().await;
    write(&world, Who::OtherAdmin, "/tenant:acme/x.txt", "four").await;
    let limits = json!({"tenant_id": ELSEWHERE, "bytes_max": 100, "files_max": 3});
    let own = json!({"tenant_id": ELSEWHERE, "bytes_used": 4, "bytes_max": 100, "files_used": 1, "files_max": 3,
        "is_default": false});
    for who in Who::KNOWN.into_iter().filter(|who| *who != Who::Instance) {
        refused(&world, who, "admin_set_quota", limits.clone(), DENIED).await;
    }
    assert_eq!(ok(&world, Who::Instance, "admin_set_quota", limits.clone()).await, own);
    assert_eq!(ok(&world, Who::OtherAdmin, "admin_get_quota", json!({})).await, own);
    assert_eq!(ok(&world, Who::OtherAdmin, "admin_list_quotas", json!({})).await["tenants"], json!([own]));
    for who in Who::KNOWN {
        match who {
            Who::Instance | Who::Admin => {
                let here = ok(&world, who, "admin_get_quota", json!({})).await;
                let wanted = json!({"tenant_id": HOME, "bytes_used": 6, "bytes_max": null, "files_used": 1,
                    "files_max": null, "is_default": true});
                assert_eq!(here, wanted);
            }
            Who::OtherAdmin => {}
            _ => {
                refused(&world, who, "admin_get_quota", json!({}), DENIED).await;
                refused(&world, who, "admin_list_quotas", json!({}), DENIED).await;
            }
        }
    }
    refused(&world, Who::Admin, "admin_get_quota", json!({"tenant_id": ELSEWHERE}), DENIED).await;
    let first = ok(&world, Who::Instance, "admin_list_quotas", json!({"limit": 1})).await;
    assert_eq!((&first["tenants"], &first["next_cursor"]), (&json!([own]), &json!(ELSEWHERE)));
    let rest = ok(&world, Who::Instance, "admin_list_quotas", json!({"cursor": ELSEWHERE})).await;
    assert_eq!((&rest["tenants"][0]["tenant_id"], &rest["next_cursor"]), (&json!(HOME), &json!(null)));

    // What is not sent stays, null is no limit, and the default is neither.
    let change = |change: Value| {
        let mut params = change;
        params["tenant_id"] = ELSEWHERE.into();
        ok(&world, Who::Instance, "admin_set_quota", params)
    };
    let set = change(json!({"bytes_max": null})).await;
    assert_eq!((&set["bytes_max"], &set["files_max"], &set["is_default"]), (&json!(null), &json!(3), &json!(false)));
    let set = change(json!({"use_default": true})).await;
    assert_eq!((&set["bytes_max"], &set["files_max"], &set["is_default"]), (&json!(null), &json!(null), &json!(true)));
    for bad in [
        json!({}),
        json!({"use_default": true, "files_max": 1}),
        json!({"files_max": -1}),
        json!({"bytes_max": u64::MAX}),
        json!({"bytes_max": 1, "tenant_id": ""}),
    ] {
        let mut params = bad;
        if params["tenant_id"].is_null() {
            params["tenant_id"] = HOME.into();
        }
        refused(&world, Who::Instance, "admin_set_quota", params, INVALID_PARAMS).await;
    }
    let audit = json!({"op": "quota_set", "limit": 10});
    let entries = ok(&world, Who::Instance, "admin_audit_query", audit).await;
    assert_eq!(entries["entries"].as_array().map(Vec::len), Some(3), "{entries}");
}

#[tokio::test]
async fn whatever_grows_is_refused_and_changes_nothing() {
    let world = shared_world().await;
    write(&world, Who::Alice, A, "eight by").await;
    let etag = write(&world, Who::Alice, A, "1").await["etag"].clone();
    write(&world, Who::Alice, "/w/alice/e.txt", "abc").await;
    write(&world, Who::Alice, "/w/alice/d.txt", "deleted").await;
    ok(&world, Who::Alice, "delete", json!({"path": "/w/alice/d.txt"})).await;
    ok(&world, Who::Alice, "register_workspace", json!({"path": "/w/alice/ws"})).await;
    write(&world, Who::Alice, "/w/alice/ws/s.txt", "in the snapshot").await;
    ok(&world, Who::Alice, "workspace_snapshot", json!({"workspace_path": "/w/alice/ws"})).await;
    ok(&world, Who::Alice, "delete", json!({"path": "/w/alice/ws/s.txt"})).await;
    let (files, bytes) = used(&world).await;
    assert_eq!((files, bytes), (3, 10));

    let overwritten = json!({"path": A, "content": "22"});
    let line = json!({"path": "/w/alice/i.txt", "etag": etag}).to_string();
    let grows: [(&str, Value, bool); 11] = [
        ("write", overwritten.clone(), false),
        ("write", json!({"path": "/w/alice/n.txt", "content": "x"}), true),
        ("write", json!({"path": "/w/alice/l.txt", "content": "x".repeat(LARGE)}), true),
        ("write_batch", json!({"files": [["/w/alice/n1", "x"], ["/w/alice/n2", "x"]]}), true),
        ("write_stream", json!({"path": "/w/alice/n3", "chunks": ["a", "b"]}), true),
        ("append", json!({"path": A, "content": "more"}), false),
        ("edit", json!({"path": "/w/alice/e.txt", "edits": [{"old_str": "b", "new_str": "bb"}]}), false),
        ("copy", json!({"src_path": A, "dst_path": "/w/alice/c.txt"}), true),
        ("rollback", json!({"path": A, "version": 1}), false),
        ("undelete", json!({"path": "/w/alice/d.txt"}), true),
        ("workspace_restore", json!({"workspace_path": "/w/alice/ws", "snapshot_number": 1}), true),
    ];
    for (limits, counted) in [
        (json!({"bytes_max": bytes, "files_max": null}), "bytes"),
        (json!({"bytes_max": null, "files_max": files}), "files"),
    ] {
        set(&world, limits).await;
        let head = world.head().await;
        for (method, params, makes_files) in &grows {
            if counted == "files" && !makes_files {
                continue;
            }
            let said = refused(&world, Who::Alice, method, params.clone(), OVER).await;
            let data = &said.data;
            assert_eq!((&data["code"], &data["counted"]), (&json!("quota_exceeded"), &json!(counted)), "{method}");
            assert_eq!(data["tenant_id"], HOME, "{method}");
            let limit = if counted == "files" { files } else { bytes };
            assert_eq!((&data["used"], &data["limit"]), (&json!(limit), &json!(limit)), "{method}");
            assert!(data["needed"].as_u64() > Some(limit), "{method}: {data}");
            assert!(data["hint"].as_str().is_some_and(|hint| hint.contains("quota set")), "{method}: {data}");
            assert!(said.message.contains("Quota exceeded"), "{}", said.message);
        }
        // Nobody is above it.
        refused(&world, Who::Instance, "write", json!({"path": "/n.txt", "content": "x"}), OVER).await;
        let import = json!({"data": line, "skip_existing": false});
        let became = ok(&world, Who::Alice, "import_metadata", import).await;
        assert!(became["errors"][0].to_string().contains("Quota exceeded"), "{became}");
        // What does not grow is taken.
        ok(&world, Who::Alice, "mkdir", json!({"path": format!("/w/alice/{counted}")})).await;
        ok(&world, Who::Alice, "write", json!({"path": A, "content": "2"})).await;
        ok(&world, Who::Alice, "write", json!({"path": A, "content": "1"})).await;
        write(&world, Who::OtherAdmin, &format!("/tenant:acme/{counted}"), "of another tenant").await;
        assert_eq!(used(&world).await, (files, bytes));
        assert_eq!(world.head().await, head + 4, "nothing else has happened");
    }
    // None of them was refused for anything else.
    set(&world, json!({"bytes_max": null, "files_max": null})).await;
    for (method, params, _) in grows {
        ok(&world, Who::Alice, method, params).await;
    }
    used(&world).await;
}

#[tokio::test]
async fn what_is_counted_is_what_is_there() {
    let world = shared_world().await;
    assert_eq!(used(&world).await, (1, 6));
    write(&world, Who::Alice, "/w/alice/x/y/z.txt", "0123456789").await;
    write(&world, Who::Alice, "/w/alice/x/y/z.txt", "01234").await;
    ok(&world, Who::Alice, "copy", json!({"src_path": "/w/alice/x/y/z.txt", "dst_path": "/w/alice/x/c"})).await;
    assert_eq!(used(&world).await, (3, 16));
    // Below a quota that has become too small everything goes on that does not grow.
    set(&world, json!({"bytes_max": 3, "files_max": 1})).await;
    ok(&world, Who::Alice, "rename", json!({"old_path": "/w/alice/x/c", "new_path": "/w/alice/x/m"})).await;
    ok(&world, Who::Alice, "write", json!({"path": "/w/alice/x/m", "content": "0123"})).await;
    refused(&world, Who::Alice, "append", json!({"path": "/w/alice/x/m", "content": "4"}), OVER).await;
    ok(&world, Who::Alice, "rmdir", json!({"path": "/w/alice/x", "recursive": true})).await;
    assert_eq!(used(&world).await, (1, 6));
    set(&world, json!({"use_default": true})).await;
    // A node keeps its tenant where the instance admin moves it below another's directory.
    ok(&world, Who::OtherAdmin, "mkdir", json!({"path": "/tenant:acme"})).await;
    let across = json!({"old_path": "/w/secret.txt", "new_path": "/tenant:acme/s.txt"});
    ok(&world, Who::Instance, "rename", across).await;
    assert_eq!(used(&world).await, (1, 6));
    // A message that fails takes its count along.
    let many = json!({"files": [["/w/alice/1", "x"], ["/w/alice/1/2", "x"]]});
    assert!(world.rpc(Who::Alice, "write_batch", many).await.is_err());
    assert_eq!(used(&world).await, (1, 6));
}

#[tokio::test]
async fn a_batch_is_all_or_nothing_and_fits_exactly() {
    let world = shared_world().await;
    set(&world, json!({"bytes_max": 10, "files_max": 3})).await;
    let batch = |last: &str| json!({"files": [["/w/alice/1", "ab"], ["/w/alice/2", last]]});
    let said = refused(&world, Who::Alice, "write_batch", batch("abc"), OVER).await;
    assert_eq!((&said.data["used"], &said.data["needed"]), (&json!(6), &json!(11)));
    assert_eq!(used(&world).await, (1, 6));
    ok(&world, Who::Alice, "write_batch", batch("ab")).await;
    assert_eq!(used(&world).await, (3, 10));
    // Neighbours in one batch of the writer see each other: of several that fit alone one is taken.
    set(&world, json!({"bytes_max": 12, "files_max": null})).await;
    let paths: Vec<String> = (0..8).map(|n| format!("/w/alice/n{n}")).collect();
    let writes = paths.iter().map(|path| world.rpc(Who::Alice, "write", json!({"path": path, "content": "xy"})));
    let done = futures_util::future::join_all(writes).await;
    assert_eq!(done.iter().filter(|answer| answer.is_ok()).count(), 1, "{done:?}");
    assert_eq!(used(&world).await, (4, 12));
}

#[tokio::test]
async fn the_default_and_what_was_set_and_counted_outlive_a_restart() {
    let tune = || Setup { tune: Box::new(|options| options.limits.quota.files_max = Some(4)), ..Setup::default() };
    let world = World::with(tune()).await;
    ok(&world, Who::Admin, "mkdir", json!({"path": "/w"})).await;
    for n in 0..4 {
        write(&world, Who::Admin, &format!("/w/{n}"), "text").await;
    }
    let more = json!({"path": "/w/more", "content": "x"});
    let said = refused(&world, Who::Admin, "write", more.clone(), OVER).await;
    assert_eq!((&said.data["counted"], &said.data["limit"]), (&json!("files"), &json!(4)));
    ok(&world, Who::OtherAdmin, "mkdir", json!({"path": "/tenant:acme"})).await;
    write(&world, Who::OtherAdmin, "/tenant:acme/x", "x").await;
    ok(&world, Who::Instance, "admin_set_quota", json!({"tenant_id": ELSEWHERE, "files_max": 1})).await;
    let (path, keys) = (world.path().to_owned(), world.keys());
    let dir = world.close().await;
    let mut world = World::again(&path, tune(), keys).await;
    world.keep(dir);
    assert_eq!(used(&world).await, (4, 16));
    refused(&world, Who::Admin, "write", more.clone(), OVER).await;
    refused(&world, Who::OtherAdmin, "write", json!({"path": "/tenant:acme/y", "content": "x"}), OVER).await;
    // A quota of its own, even none, goes before the default.
    set(&world, json!({"files_max": null})).await;
    ok(&world, Who::Admin, "write", more).await;
}

#[tokio::test]
async fn a_directory_whose_way_back_was_cut_short_goes_on() {
    let world = shared_world().await;
    ok(&world, Who::Alice, "mkdir", json!({"path": "/w/alice/d"})).await;
    for from in (0..FILES).step_by(100) {
        let files: Vec<_> = (from..from + 100).map(|n| json!([format!("/w/alice/d/{n:04}"), "x"])).collect();
        ok(&world, Who::Alice, "write_batch", json!({"files": files})).await;
    }
    write(&world, Who::Alice, "/w/alice/d/z/deep/er.txt", "deep").await;
    let before = list(&world, Who::Alice, "/w/alice", true).await;
    ok(&world, Who::Alice, "rmdir", json!({"path": "/w/alice/d", "recursive": true})).await;
    assert_eq!(used(&world).await.0, 1);
    // Room for the first message and not for the second.
    set(&world, json!({"files_max": 270})).await;
    let back = json!({"path": "/w/alice/d"});
    refused(&world, Who::Alice, "undelete", back.clone(), OVER).await;
    assert_eq!(used(&world).await.0, 251);
    // What was deleted afterwards does not come back by the same request.
    ok(&world, Who::Alice, "delete", json!({"path": "/w/alice/d/0007"})).await;
    set(&world, json!({"files_max": null})).await;
    // Others do not learn of it.
    for who in [Who::Bob, Who::Stranger, Who::OtherAdmin] {
        refused(&world, who, "undelete", back.clone(), DENIED).await;
    }
    let (path, keys) = (world.path().to_owned(), world.keys());
    let dir = world.close().await;
    let mut world = World::again(&path, Setup::default(), keys).await;
    world.keep(dir);
    let done = ok(&world, Who::Alice, "undelete", back.clone()).await;
    // The files that were missing, z and deep, and the file in it.
    assert_eq!((&done["count"], &done["skipped"]), (&json!(FILES - 250 + 3), &json!([])));
    let mut after = list(&world, Who::Alice, "/w/alice", true).await;
    after.retain(|path| path != "/w/alice/d/z" && path != "/w/alice/d/z/deep");
    assert_eq!(after, before.into_iter().filter(|path| path != "/w/alice/d/0007").collect::<Vec<_>>());
    assert_eq!(used(&world).await.0, FILES as u64 + 1);
    // Now nothing is missing.
    let head = world.head().await;
    assert!(world.rpc(Who::Alice, "undelete", back).await.is_err());
    assert_eq!(world.head().await, head);
    ok(&world, Who::Alice, "undelete", json!({"path": "/w/alice/d/0007"})).await;
}

#[tokio::test]
async fn a_sync_takes_what_fits() {
    let world = World::new().await;
    let host = world.host();
    for name in ["a", "b", "c"] {
        std::fs::write(host.join(name), "text").expect("a file");
    }
    let mount = json!({"mount_point": "/mnt/host", "backend_type": "local", "backend_config": {"data_dir": host}});
    ok(&world, Who::Instance, "add_mount", mount).await;
    set(&world, json!({"files_max": 2})).await;
    let said = ok(&world, Who::Instance, "sync_mount", json!({"mount_point": "/mnt/host"})).await;
    assert!(said["errors"].to_string().contains("Quota exceeded"), "{said}");
    assert_eq!(used(&world).await, (2, 8));
    set(&world, json!({"files_max": 3})).await;
    let said = ok(&world, Who::Instance, "sync_mount", json!({"mount_point": "/mnt/host"})).await;
    assert_eq!(said["errors"], json!([]), "{said}");
    assert_eq!(used(&world).await, (3, 12));
}
