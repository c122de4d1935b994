//! From SQLite to PostgreSQL and back: the same lines, and the same refusals.

use std::ops::ControlFlow;

use nexus_lite::store::bundle::{self, Header, How, Imported, MoveError, What};
use nexus_lite::store::{Engine, Options, PostgresUrl, Store};

use super::{Shared, export, import, lines, options, random_world};
use crate::harness::engine::sqlite_only;
use crate::harness::postgres::{Database, fresh_database};
use crate::harness::process::soak;

/// Random stores in CI.
const STORES: u64 = 8;
/// Requests in the history of one.
const STEPS: u64 = 40;

fn far(database: &Database) -> Options {
    let mut options = options(std::path::Path::new(""));
    options.engine = Engine::Postgres(PostgresUrl::parse(database.url()).expect("a URL"));
    options
}

async fn export_from(database: &Database) -> (Header, Vec<u8>) {
    let store = Store::builder(far(database)).open().expect("opens");
    let out = Shared::default();
    let what = What { name: "test".into(), secret: None };
    let exported = store.export(Box::new(out.clone()), what, Box::new(|_| ControlFlow::Continue(()))).await;
    let checked = store.check().await.expect("the check runs");
    store.close().await.expect("closes");
    assert!(checked.violations.is_empty(), "{:?}", checked.violations);
    let bytes = std::mem::take(&mut *out.0.lock());
    (exported.expect("exported"), bytes)
}

fn import_into(database: &Database, mut bytes: &[u8]) -> Result<Imported, MoveError> {
    let how = How { name: "bundle".into(), ..How::default() };
    bundle::import(far(database), &mut bytes, how, &mut |_| ControlFlow::Continue(()))
}

#[tokio::test]
async fn random_stores_go_there_and_back() {
    sqlite_only!("what is moved is a data directory");
    for seed in 201..=200 + STORES * soak() {
        let Some(database) = fresh_database() else { return };
        let world = random_world(seed, STEPS).await;
        let path = world.path().to_owned();
        let kept = world.close().await.expect("its directory");
        let (_, near) = export(&path).await;
        let imported = import_into(&database, &near).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        assert_eq!(imported.counts, imported.header.counts, "seed {seed}");
        let (_, there) = export_from(&database).await;
        assert!(lines(&near) == lines(&there), "seed {seed}: PostgreSQL says something else");
        let back = kept.path().join("back");
        import(&back, &there).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        let (_, again) = export(&back).await;
        assert!(lines(&near) == lines(&again), "seed {seed}: what came back is something else");
    }
}

#[tokio::test]
async fn what_is_refused_leaves_an_empty_database() {
    sqlite_only!("what is moved is a data directory");
    let Some(database) = fresh_database() else { return };
    let world = random_world(9, STEPS).await;
    let path = world.path().to_owned();
    let kept = world.close().await.expect("its directory");
    let (_, bytes) = export(&path).await;
    for cut in [3, 2] {
        let error = import_into(&database, &bytes[..bytes.len() - bytes.len() / cut]).expect_err("cut short");
        assert!(matches!(error, MoveError::Refused { .. }), "{error}");
    }
    // A rule of the schema, which this engine tells of when the rows are committed.
    let twice = std::str::from_utf8(&bytes).expect("UTF-8").lines().map(|line| {
        let is_key = line.starts_with("{\"api_keys\"");
        let mut row: serde_json::Value = serde_json::from_str(line).expect("JSON");
        if is_key {
            row["api_keys"]["hash"] = "the same for all".into();
        }
        format!("{}\n", if is_key { row.to_string() } else { line.to_owned() })
    });
    let error = import_into(&database, twice.collect::<String>().as_bytes()).expect_err("twice");
    assert!(matches!(error, MoveError::Refused { .. }), "{error:?}");
    bundle::free(&far(&database)).expect("nothing is there");
    import_into(&database, &bytes).expect("imported");
    let error = import_into(&database, &bytes).expect_err("there is a store").to_string();
    assert!(error.contains("there is a store already"), "{error}");
    drop(kept);
}
