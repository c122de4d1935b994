//! Syncs that run by themselves: progress, cancel, restart.

use nexus_lite::store::FaultPoint;
use serde_json::{Value, json};

use super::super::*;
use super::{MNT, has, mounted, put, synced};
use crate::harness::world::{Setup, World};

/// Files of a job that is looked at while it runs: more than one message.
const FILES: usize = 600;

/// The job when it is over.
async fn over(world: &World, id: &Value) -> Value {
    loop {
        let job = ok(world, Who::Instance, "get_sync_job", json!({"job_id": id})).await;
        if job["status"] != "pending" && job["status"] != "running" {
            return job;
        }
        tokio::task::yield_now().await;
    }
}

async fn start(world: &World) -> Value {
    let begun = ok(world, Who::Instance, "sync_mount_async", json!({"mount_point": MNT})).await;
    has(&begun, json!({"status": "pending", "mount_point": MNT}));
    begun["job_id"].clone()
}

#[tokio::test]
async fn a_job_tells_how_far_it_is_and_what_it_gave() {
    let world = World::new().await;
    let host = mounted(&world, true).await;
    put(&host, "a.txt", "a");
    let id = start(&world).await;
    let job = over(&world, &id).await;
    has(
        &job,
        json!({"id": id, "mount_point": MNT, "status": "completed", "progress_pct": 100, "created_by": "user:root"}),
    );
    has(&job["result"], json!({"files_created": 1, "files_scanned": 1, "errors": []}));
    has(&job["progress_detail"], json!({"files_scanned": 1}));
    has(&job["sync_params"], json!({"recursive": true, "dry_run": false}));
    assert!(job["completed_at"].is_string() && job["error_message"].is_null(), "{job}");
    has(&synced(&world).await, json!({"cache_skipped": 1}));
    let second = start(&world).await;
    over(&world, &second).await;
    let ids = async |params: Value| {
        let jobs = ok(&world, Who::Instance, "list_sync_jobs", params).await;
        jobs.as_array().expect("a list").iter().map(|job| job["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(json!({})).await.len(), 2);
    assert_eq!(ids(json!({"limit": 1})).await.len(), 1);
    assert_eq!(ids(json!({"mount_point": "/mnt/host/", "status": "completed"})).await.len(), 2);
    assert_eq!(ids(json!({"status": "failed"})).await, Vec::<Value>::new());
    assert_eq!(ids(json!({"mount_point": "/elsewhere"})).await, Vec::<Value>::new());
    assert_eq!(ok(&world, Who::Instance, "get_sync_job", json!({"job_id": "none"})).await, Value::Null);
    has(&ok(&world, Who::Instance, "cancel_sync_job", json!({"job_id": "none"})).await, json!({"success": false}));
    let late = ok(&world, Who::Instance, "cancel_sync_job", json!({"job_id": id})).await;
    has(&late, json!({"success": false, "message": "The job is over: completed"}));
    refused(&world, Who::Instance, "sync_mount_async", json!({"mount_point": "/nowhere"}), NOT_FOUND).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_cancelled_keeps_what_it_did() {
    let world = World::new().await;
    let host = mounted(&world, true).await;
    for at in 0..FILES {
        put(&host, &format!("{at:04}.txt"), at.to_string());
    }
    // The writer stands still with the first files.
    let held = world.pause_at_later(FaultPoint::BeforeCommit, 2);
    let id = start(&world).await;
    held.reached();
    let busy = refused_while_running(&world).await;
    assert!(busy.contains("under way"), "{busy}");
    let job = ok(&world, Who::Instance, "get_sync_job", json!({"job_id": id})).await;
    assert_eq!(job["status"], json!("running"), "{job}");
    let told = ok(&world, Who::Instance, "cancel_sync_job", json!({"job_id": id})).await;
    has(&told, json!({"success": true, "job_id": id}));
    held.release();
    let job = over(&world, &id).await;
    has(&job, json!({"status": "cancelled", "result": null}));
    let done = list(&world, Who::Instance, MNT, true).await.len();
    assert!(done > 0 && done < FILES, "{done}: what it did stands, the rest was not done");
    has(&synced(&world).await, json!({"files_created": FILES - done, "cache_skipped": done, "errors": []}));
}

/// What a second sync of the same mount is told.
async fn refused_while_running(world: &World) -> String {
    refused(world, Who::Instance, "sync_mount", json!({"mount_point": MNT}), PRECONDITION).await.message
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_under_which_the_server_stops_says_so() {
    let world = World::new().await;
    let host = mounted(&world, true).await;
    for at in 0..FILES {
        put(&host, &format!("{at:04}.txt"), at.to_string());
    }
    let held = world.pause_at_later(FaultPoint::BeforeCommit, 2);
    let id = start(&world).await;
    held.reached();
    // The store closes as soon as the writer goes on: the job's next message is refused.
    let (path, keys, store) = (world.path().to_owned(), world.keys(), world.store.clone());
    let closing = tokio::spawn(async move { store.close().await });
    while world.store.glance(|_| ()).is_some() {
        tokio::task::yield_now().await;
    }
    held.release();
    closing.await.expect("closed").expect("closed well");
    let dir = world.close().await;
    let world = World::again(&path, Setup::default(), keys).await;
    let job = ok(&world, Who::Instance, "get_sync_job", json!({"job_id": id})).await;
    has(&job, json!({"status": "failed", "error_message": "server stopped"}));
    let done = list(&world, Who::Instance, MNT, true).await.len();
    assert!(done < FILES, "{done}");
    has(&synced(&world).await, json!({"files_created": FILES - done, "cache_skipped": done, "errors": []}));
    assert!(world.store.check().await.expect("a check").violations.is_empty());
    world.close().await;
    drop(dir);
}

#[tokio::test]
async fn a_job_whose_mount_is_removed_ends() {
    let world = World::new().await;
    let host = mounted(&world, true).await;
    put(&host, "a.txt", "a");
    ok(&world, Who::Instance, "remove_mount", json!({"mount_point": MNT})).await;
    mounted(&world, true).await;
    let id = start(&world).await;
    ok(&world, Who::Instance, "remove_mount", json!({"mount_point": MNT})).await;
    let job = over(&world, &id).await;
    assert!(job["status"] == "failed" || job["status"] == "completed", "{job}");
    if job["status"] == "failed" {
        assert!(job["error_message"].as_str().expect("why").contains("not mounted any more"), "{job}");
    }
}
