use std::sync::Arc;

use nexus_lite::store::FaultPoint;
use serde_json::{Value, json};

use super::{WS, of, snapshot, workspace};
use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, INVALID_PARAMS, INVALID_PATH, NOT_FOUND, grant, ok, refused, write};

/// Alice's workspace in a directory that bob may read and edith may change; three files.
async fn shared() -> World {
    let world = World::new().await;
    write(&world, Who::Admin, "/team/readme", "x").await;
    grant(&world, ("user", "alice"), "direct_editor", "/team").await;
    workspace(&world, Who::Alice, &[("a.txt", "aa"), ("d/b.txt", "bbb"), ("d/c.txt", "c")]).await;
    grant(&world, ("user", "bob"), "direct_viewer", WS).await;
    grant(&world, ("user", "edith"), "direct_editor", WS).await;
    world
}

#[tokio::test]
async fn a_snapshot_says_what_it_holds() {
    let world = shared().await;
    let params = json!({"workspace_path": "/team//ws/", "description": "first", "tags": ["t", "é"], "created_by": "bob",
                        "agent_id": "ignored"});
    let (made, rev) = world.rpc_at(Who::Alice, "workspace_snapshot", params).await;
    let made = made.expect("taken");
    assert_eq!(made["revision"], json!(rev - 1), "the state just before it");
    for (field, wanted) in [
        ("snapshot_number", json!(1)),
        ("file_count", json!(3)),
        ("total_size_bytes", json!(6)),
        ("description", json!("first")),
        ("tags", json!(["t", "é"])),
        ("created_by", json!("alice")),
        ("created_at", json!({"__type__": "datetime", "data": "2026-01-02T03:04:05.000000"})),
    ] {
        assert_eq!(made[field], wanted, "{field}");
    }
    assert_eq!(made["manifest_hash"].as_str().map(str::len), Some(64));
    assert_eq!(made["snapshot_id"].as_str().map(str::len), Some(36));

    // The same state has the same hash; another state another one; back again, the first.
    let hash = async || {
        ok(&world, Who::Alice, "workspace_snapshot", json!({"workspace_path": WS})).await["manifest_hash"].clone()
    };
    assert_eq!(hash().await, made["manifest_hash"]);
    write(&world, Who::Alice, "/team/ws/a.txt", "ab").await;
    assert_ne!(hash().await, made["manifest_hash"]);
    write(&world, Who::Alice, "/team/ws/a.txt", "aa").await;
    assert_eq!(hash().await, made["manifest_hash"]);
    ok(&world, Who::Alice, "rename", json!({"old_path": "/team/ws/a.txt", "new_path": "/team/ws/z.txt"})).await;
    assert_ne!(hash().await, made["manifest_hash"], "a name is part of it");
    let logged = ok(&world, Who::Alice, "workspace_log", json!({"workspace_path": WS})).await;
    assert_eq!(logged.as_array().and_then(|rows| rows.last()), Some(&made));
}

#[tokio::test]
async fn who_may_what() {
    let world = shared().await;
    snapshot(&world, Who::Alice).await;
    write(&world, Who::Alice, "/team/ws/a.txt", "changed").await;
    snapshot(&world, Who::Alice).await;
    let mut last = 2;
    for (who, reads, writes) in [
        (Who::Instance, true, true),
        (Who::Admin, true, true),
        (Who::Alice, true, true),
        (Who::Heir, true, true),
        (Who::Edith, true, true),
        (Who::Bob, true, false),
        (Who::Agent, false, false),
        (Who::Stranger, false, false),
        (Who::OtherUser, false, false),
        (Who::OtherAdmin, false, false),
    ] {
        let (number, _) = snapshot(&world, Who::Alice).await;
        assert!(number > last, "a number is not given twice: {number} after {last}");
        last = number;
        for (method, params, may) in [
            ("workspace_log", json!({"workspace_path": WS}), reads),
            ("workspace_diff", json!({"workspace_path": WS, "snapshot_1": 1, "snapshot_2": 2}), reads),
            ("workspace_restore", json!({"workspace_path": WS, "snapshot_number": 1, "dry_run": true}), writes),
            ("workspace_delete_snapshot", of(number), writes),
            ("workspace_snapshot", json!({"workspace_path": WS}), writes),
        ] {
            if !may {
                let there = refused(&world, who, method, params.clone(), DENIED).await;
                let mut missing = params;
                missing["workspace_path"] = json!("/team/no");
                let missing = refused(&world, who, method, missing, DENIED).await;
                assert_eq!(there.message.replace(WS, "/team/no"), missing.message, "{who:?} {method}");
                continue;
            }
            let told = ok(&world, who, method, params.clone()).await;
            match method {
                "workspace_diff" => {
                    let modified = &told["modified"][0];
                    assert_eq!((&modified["path"], &modified["old_size"]), (&json!("a.txt"), &json!(2)), "{who:?}");
                    assert_eq!((&told["unchanged"], &told["complete"]), (&json!(2), &json!(true)));
                }
                "workspace_delete_snapshot" => {
                    assert_eq!(told["deleted"], json!(true));
                    let failure = refused(&world, who, method, params, NOT_FOUND).await;
                    assert_eq!(failure.message, format!("Snapshot not found: snapshot:{number}"));
                    refused(&world, who, "workspace_restore", of(number), NOT_FOUND).await;
                }
                "workspace_snapshot" => {
                    let taken = told["snapshot_number"].as_u64().expect("a number");
                    assert!(taken > last, "{taken} after {last}, which was deleted");
                    last = taken;
                }
                _ => {}
            }
        }
    }
    assert!(world.rpc(Who::Anonymous, "workspace_log", json!({"workspace_path": WS})).await.is_err());
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused() {
    let world = shared().await;
    for path in [json!(null), json!("")] {
        let failure =
            refused(&world, Who::Alice, "workspace_log", json!({"workspace_path": path}), INVALID_PARAMS).await;
        assert_eq!(failure.message, "Invalid parameters: workspace_path must be provided");
    }
    let failure =
        refused(&world, Who::Admin, "workspace_snapshot", json!({"workspace_path": "/nows"}), INVALID_PARAMS).await;
    assert_eq!(failure.message, "Invalid parameters: Workspace not registered: /nows. Use register_workspace() first.");
    for path in ["/", "/a/../b", "/a\0b"] {
        refused(&world, Who::Admin, "workspace_snapshot", json!({"workspace_path": path}), INVALID_PATH).await;
    }
    for bad in [
        json!({"workspace_path": WS, "tags": vec!["t"; 65]}),
        json!({"workspace_path": WS, "tags": ["t".repeat(256)]}),
        json!({"workspace_path": WS, "description": "d".repeat(9_000)}),
    ] {
        refused(&world, Who::Alice, "workspace_snapshot", bad, INVALID_PARAMS).await;
    }
    for limit in [0, 1_001] {
        refused(&world, Who::Alice, "workspace_log", json!({"workspace_path": WS, "limit": limit}), INVALID_PARAMS)
            .await;
    }
    refused(
        &world,
        Who::Alice,
        "workspace_diff",
        json!({"workspace_path": WS, "snapshot_1": 1, "snapshot_2": 2}),
        NOT_FOUND,
    )
    .await;
    ok(&world, Who::Alice, "unregister_workspace", json!({"path": WS})).await;
    refused(&world, Who::Alice, "workspace_snapshot", json!({"workspace_path": WS}), INVALID_PARAMS).await;
}

#[tokio::test]
async fn the_log_comes_in_pages() {
    let world = shared().await;
    for _ in 0..7 {
        snapshot(&world, Who::Alice).await;
    }
    let numbers = |page: &Value| -> Vec<u64> {
        let rows = page.as_array().expect("rows");
        rows.iter().map(|row| row["snapshot_number"].as_u64().expect("a number")).collect()
    };
    let (mut before, mut all) = (json!(null), Vec::new());
    loop {
        let params = json!({"workspace_path": WS, "limit": 3, "before": before});
        let page = numbers(&ok(&world, Who::Bob, "workspace_log", params).await);
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        before = json!(last);
        all.extend(page);
    }
    assert_eq!(all, [7, 6, 5, 4, 3, 2, 1]);
}

#[tokio::test]
async fn a_comparison_names_files_and_says_when_it_stops() {
    let world = shared().await;
    snapshot(&world, Who::Alice).await;
    write(&world, Who::Alice, "/team/ws/d/b.txt", "other").await;
    ok(&world, Who::Alice, "delete", json!({"path": "/team/ws/a.txt"})).await;
    write(&world, Who::Alice, "/team/ws/a.txt/now/a/directory", "n").await;
    write(&world, Who::Alice, "/team/ws/d-e/f", "1234").await;
    snapshot(&world, Who::Alice).await;
    let ask = |from: u64, to: u64, limit: u64| json!({"workspace_path": WS, "snapshot_1": from, "snapshot_2": to, "limit": limit});
    let told = ok(&world, Who::Bob, "workspace_diff", ask(1, 2, 100)).await;
    assert_eq!(told["added"], json!([{"path": "a.txt/now/a/directory", "size": 1}, {"path": "d-e/f", "size": 4}]));
    assert_eq!(told["removed"], json!([{"path": "a.txt", "size": 2}]));
    assert_eq!(told["modified"][0]["path"], json!("d/b.txt"));
    assert_eq!((&told["modified"][0]["new_size"], &told["unchanged"]), (&json!(5), &json!(1)));
    assert_eq!(told["snapshot_1"]["snapshot_number"], json!(1));
    let back = ok(&world, Who::Bob, "workspace_diff", ask(2, 1, 100)).await;
    assert_eq!((&back["added"], &back["removed"]), (&told["removed"], &told["added"]));
    let none = ok(&world, Who::Bob, "workspace_diff", ask(2, 2, 100)).await;
    assert_eq!((&none["added"], &none["modified"], &none["unchanged"]), (&json!([]), &json!([]), &json!(4)));
    let short = ok(&world, Who::Bob, "workspace_diff", ask(1, 2, 1)).await;
    assert_eq!((&short["complete"], &short["removed"], &short["added"]), (&json!(false), &told["removed"], &json!([])));
}

#[tokio::test]
async fn snapshots_go_along_with_a_directory_and_not_with_its_path() {
    let world = shared().await;
    snapshot(&world, Who::Alice).await;
    ok(&world, Who::Alice, "rename", json!({"old_path": WS, "new_path": "/team/moved"})).await;
    ok(&world, Who::Alice, "register_workspace", json!({"path": "/team/moved"})).await;
    let moved = json!({"workspace_path": "/team/moved"});
    let numbers = async |who, params: &Value| {
        let rows = ok(&world, who, "workspace_log", params.clone()).await;
        rows.as_array()
            .expect("rows")
            .iter()
            .map(|row| row["snapshot_number"].as_u64().expect("one"))
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers(Who::Bob, &moved).await, [1], "with the rights on the directory");
    let next = ok(&world, Who::Alice, "workspace_snapshot", moved.clone()).await;
    assert_eq!((&next["snapshot_number"], &next["file_count"]), (&json!(2), &json!(3)));

    // Somebody else makes a directory at the old path: it is bob's, and what lay there is none of his business.
    grant(&world, ("user", "bob"), "direct_editor", "/team").await;
    ok(&world, Who::Bob, "mkdir", json!({"path": WS})).await;
    let here = json!({"workspace_path": WS});
    assert_eq!(numbers(Who::Bob, &here).await, [0_u64; 0]);
    refused(&world, Who::Bob, "workspace_restore", of(1), NOT_FOUND).await;
    refused(&world, Who::Bob, "workspace_delete_snapshot", of(1), NOT_FOUND).await;
    // Who took it, and the admin, still have it under the path it was taken at.
    assert_eq!(numbers(Who::Admin, &here).await, [1]);
    assert_eq!(numbers(Who::Alice, &here).await, [1]);
    let next = ok(&world, Who::Bob, "workspace_snapshot", here.clone()).await;
    assert_eq!((&next["snapshot_number"], &next["file_count"]), (&json!(2), &json!(0)));
    assert_eq!(numbers(Who::Bob, &here).await, [2]);
    assert_eq!(world.store.check().await.expect("checked").violations, []);
}

#[tokio::test]
async fn a_right_that_is_taken_back_is_gone_at_once() {
    let world = shared().await;
    snapshot(&world, Who::Alice).await;
    write(&world, Who::Alice, "/team/ws/new.txt", "n").await;
    snapshot(&world, Who::Alice).await;
    let diff = json!({"workspace_path": WS, "snapshot_1": 1, "snapshot_2": 2});
    let told = ok(&world, Who::Bob, "workspace_diff", diff.clone()).await;
    assert_eq!(told["added"][0]["path"], json!("new.txt"));
    crate::rpc::revoke(&world, WS).await;
    refused(&world, Who::Bob, "workspace_diff", diff, DENIED).await;
}

#[tokio::test]
async fn a_walk_sees_one_revision_and_ends_when_nobody_waits() {
    let world = Arc::new(shared().await);
    let held = world.pause_at_later(FaultPoint::TreeNextEntry, 2);
    let asking = Arc::clone(&world);
    let taking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(asking.rpc(Who::Alice, "workspace_snapshot", json!({"workspace_path": WS})))
    });
    held.reached();
    for name in ["a.txt", "d/c.txt", "zz"] {
        write(&world, Who::Alice, &format!("{WS}/{name}"), "while it was counted").await;
    }
    held.release();
    let taken = taking.join().expect("no panic").expect("taken");
    assert_eq!((&taken["file_count"], &taken["total_size_bytes"]), (&json!(3), &json!(6)));
    snapshot(&world, Who::Alice).await;
    let diff = json!({"workspace_path": WS, "snapshot_1": 1, "snapshot_2": 2});
    let told = ok(&world, Who::Alice, "workspace_diff", diff).await;
    assert_eq!(told["modified"].as_array().map(Vec::len), Some(2));
    assert_eq!(told["added"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_directory_that_cannot_be_counted_in_time_has_a_snapshot_all_the_same() {
    use nexus_lite::service::workspaces::snapshot_ops::{SnapshotRequest, take};
    let world = shared().await;
    let mut call = world.call_as(Who::Alice);
    call.deadline = Some(world.store.clock().instant() + std::time::Duration::from_secs(2));
    let request = SnapshotRequest { path: Some(WS.to_owned()), ..SnapshotRequest::default() };
    let row = take(&call, request).await.expect("taken");
    assert_eq!((row.file_count, row.total_size, row.manifest_hash.as_deref()), (None, None, None));
    assert_eq!(row.rev, Some(world.head().await), "the state at its own revision");
    write(&world, Who::Alice, "/team/ws/a.txt", "changed").await;
    let done = ok(&world, Who::Alice, "workspace_restore", of(1)).await;
    assert_eq!((&done["files_restored"], &done["snapshot_info"]["file_count"]), (&json!(1), &json!(null)));
    assert_eq!(crate::rpc::read(&world, Who::Alice, "/team/ws/a.txt").await, "aa");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_that_nobody_waits_for_stops_at_once() {
    use nexus_lite::store::Faults;
    use parking_lot::{Condvar, Mutex};
    use std::sync::atomic::{AtomicUsize, Ordering};
    let seen = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(false), Condvar::new()));
    let hook = Arc::clone(&seen);
    let faults = Faults::armed(move |point| match point {
        FaultPoint::TreeAbandoned => drop(hook.1.fetch_add(1, Ordering::SeqCst)),
        FaultPoint::TreeNextEntry if hook.0.fetch_add(1, Ordering::SeqCst) == 0 => {
            hook.3.wait_while_for(&mut hook.2.lock(), |open| !*open, crate::harness::client::LIVENESS);
        }
        _ => {}
    });
    let tune = Box::new(|options: &mut nexus_lite::store::Options| {
        options.faults = faults;
        options.limits.slow_threads = 1;
    });
    let setup = crate::harness::world::Setup { tune, ..crate::harness::world::Setup::default() };
    let world = Arc::new(World::with(setup).await);
    ok(&world, Who::Admin, "register_workspace", json!({"path": WS})).await;
    for at in 0..20 {
        write(&world, Who::Admin, &format!("{WS}/{at}"), "x").await;
    }
    let asking = Arc::clone(&world);
    let task =
        tokio::spawn(async move { asking.rpc(Who::Admin, "workspace_snapshot", json!({"workspace_path": WS})).await });
    while seen.0.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    task.abort();
    assert!(task.await.expect_err("given up").is_cancelled());
    assert_eq!(seen.1.load(Ordering::SeqCst), 1, "somebody noticed");
    *seen.2.lock() = true;
    seen.3.notify_all();
    // The only thread of the lane is free again when this is answered.
    world.store.read_slow(|_| Ok::<_, nexus_lite::store::StoreError>(())).await.expect("read");
    assert_eq!(seen.0.load(Ordering::SeqCst), 1, "it looked at nothing more");
    assert_eq!(ok(&world, Who::Admin, "workspace_log", json!({"workspace_path": WS})).await, json!([]));
}
