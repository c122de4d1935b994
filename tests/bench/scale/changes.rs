//! The writer's time for changes of half of a tree. How long it is held is told by its own metric, the time of each of its
//! transactions meanwhile; beside it stands the worst time of a small write that waits for it, and the same for as long a
//! time without the change.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nexus_lite::model::time::monotonic;
use nexus_lite::telemetry::metric;
use serde_json::{Value, json};

use super::measure::short;
use super::world::{Who, World};
use super::{say, verdict};

/// The target: the longest that the writer may be held.
const HELD: Duration = Duration::from_millis(50);

/// Trees of up to so many files are counted before the log has grown to its limit beside these writes, at which whoever
/// reads it is cut.
const COUNTED_MIN: usize = 1_000_000;

/// Changes of half of the tree, each beside small writes.
pub(super) async fn changed(world: Arc<World>, files: usize) {
    let register = json!({"path": "/tree/right", "name": "half"});
    world.rpc(Who::Admin, "register_workspace", register).await.expect("registered");
    let half = files / 2;
    let steps: [(String, &str, Value); 3] = [
        (
            format!("rename of a directory with {half} files"),
            "rename",
            json!({"old_path": "/tree/left", "new_path": "/tree/moved"}),
        ),
        (
            format!("snapshot of a workspace of {half} files"),
            "workspace_snapshot",
            json!({"workspace_path": "/tree/right"}),
        ),
        (
            format!("removal of a directory with {half} files"),
            "rmdir",
            json!({"path": "/tree/moved", "recursive": true}),
        ),
    ];
    for (what, method, params) in steps {
        let rpc = world.rpc(Who::Admin, method, params);
        let (before, before_long) = batches();
        let (answer, took, worst) = beside_writes(&world, rpc).await;
        let (after, after_long) = batches();
        let answer = answer.expect("done");
        let (_, _, alone) = beside_writes(&world, tokio::time::sleep(took)).await;
        let (all, long) = (after - before, after_long - before_long);
        let held = verdict(long == 0);
        say(&format!("  {what:<60} {:>9}; of {all} transactions {long} over 50 ms   {held}", short(took)));
        say(&format!("    a write beside it {} at most; as long without it {}", short(worst), short(alone)));
        if method == "workspace_snapshot" {
            // A snapshot whose count is cut says that it was not counted.
            let counted = &answer["file_count"];
            assert!(*counted == json!(files - half) || counted.is_null() && files > COUNTED_MIN, "{answer}");
            say(&format!("    files counted: {counted}"));
        }
    }
    let gone = world.rpc(Who::Admin, "exists", json!({"path": "/tree/moved"})).await.expect("an answer");
    assert_eq!(gone["exists"], false);
}

/// Transactions of the writer so far, and those of them that held it for more than [`HELD`].
fn batches() -> (u64, u64) {
    let text = metric::render();
    let count = |series: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        line.and_then(|value| value.trim().parse().ok()).expect("a series of the writer")
    };
    let short = format!("writer_batch_seconds_bucket{{le=\"{}\"}}", HELD.as_secs_f64());
    let all = count("writer_batch_seconds_count");
    (all, all - count(&short))
}

/// What `work` gives, how long it took, and the worst time of a small write meanwhile.
async fn beside_writes<T>(world: &Arc<World>, work: impl Future<Output = T>) -> (T, Duration, Duration) {
    let over = Arc::new(AtomicBool::new(false));
    let beside = tokio::spawn(write_beside(Arc::clone(world), Arc::clone(&over)));
    let began = monotonic();
    let done = work.await;
    let took = began.elapsed();
    over.store(true, Ordering::SeqCst);
    (done, took, beside.await.expect("no panic"))
}

/// Writes one small file after the other; the worst time.
async fn write_beside(world: Arc<World>, over: Arc<AtomicBool>) -> Duration {
    let mut worst = Duration::ZERO;
    for number in 0_u64.. {
        let began = monotonic();
        let params: HashMap<&str, String> =
            [("path", "/beside.txt".to_owned()), ("content", number.to_string())].into();
        world.rpc(Who::Admin, "write", json!(params)).await.expect("written");
        worst = worst.max(began.elapsed());
        if over.load(Ordering::SeqCst) {
            break;
        }
    }
    worst
}
