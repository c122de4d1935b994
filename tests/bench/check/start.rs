//! P18's second part: from nothing to serving, on a directory with a million files and a million tuples; and P12, the
//! recursive query, on the tables of that very store.

use nexus_lite::app::App;
use nexus_lite::config::Config;
use nexus_lite::model::time::monotonic;
use nexus_lite::rebac::Graph;
use nexus_lite::store::{DATABASE_FILE, Options, Store, entities};
use rusqlite::{Connection, params};

use crate::Bench;
use crate::claims::Took;
use crate::measure::cpu_seconds;
use crate::org::{self, Org};

/// First starts that are measured.
const FIRST_STARTS: usize = 5;
/// Files in one directory.
const FILES_PER_DIRECTORY: u32 = 1_000;
/// Bytes of every body; they all have one, so that the rows are what is measured.
const BODY: &[u8] = b"a body";
/// A time of writing, µs.
const AT_US: i64 = 1_767_323_045_000_000;

const PUT_ENTITY: &str = "INSERT INTO entities (id, tenant, type, name, key) VALUES (?1, ?2, ?3, ?4, ?5)";
const PUT_TUPLE: &str = "INSERT INTO tuples (object, relation, subject, subject_relation, tuple_id, created_at_us, \
    expires_at_us, condition, created_by, rev) VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, NULL, 'user:bench', 1)";
const PUT_NODE: &str = "INSERT INTO nodes (parent, name, id, tenant, type, owner, content, size, version, mime, \
    created_at_us, modified_at_us, created_by) VALUES (?1, ?2, ?3, ?4, ?5, NULL, ?6, ?7, ?8, NULL, ?9, ?9, 'user:bench')";
const PUT_VERSION: &str = "INSERT INTO versions (node, from_rev, to_rev, parent, name, version, content, size, mime, \
    created_at_us, created_by, source, reason) \
    VALUES (?1, 1, NULL, ?2, ?3, ?4, ?5, ?6, NULL, ?7, 'user:bench', 'original', NULL)";
const PUT_CONTENT: &str = "INSERT INTO contents (hash, size, body, created_at_us) VALUES (?1, ?2, ?3, ?4)";
const PUT_HEAD: &str = "UPDATE head SET next_id = ?1, next_entity = ?2 WHERE one = 1";
const EMPTY: &str = "DELETE FROM tuples; DELETE FROM entities";
/// Groups of the subject by any depth of membership, then the grants on the path and above it: the store's tables.
const MAY_READ: &str = "
    WITH RECURSIVE
      me(id) AS (
        SELECT id FROM entities WHERE tenant = ?1 AND type = 'user' AND substr(name, 1, 600) = ?2 AND name = ?2),
      groups(id) AS (
        SELECT t.object FROM me JOIN tuples t ON t.subject = me.id
          WHERE t.relation = 'member' AND t.subject_relation = ''
        UNION
        SELECT t.object FROM groups g JOIN tuples t ON t.subject = g.id
          WHERE t.relation = 'member' AND t.subject_relation = 'member'),
      above(path) AS (
        SELECT ?3
        UNION ALL
        SELECT substr(path, 1, length(rtrim(path, replace(path, '/', ''))) - 1) FROM above WHERE path <> '')
    SELECT EXISTS (
      SELECT 1 FROM above a
        JOIN entities e ON e.tenant = ?1 AND e.type = 'file' AND substr(e.name, 1, 600) = substr(a.path, 1, 600)
          AND e.name = a.path
        JOIN tuples t ON t.object = e.id
      WHERE t.relation IN ('direct_viewer', 'direct_editor', 'direct_owner')
        AND ((t.subject IN me AND t.subject_relation = '') OR t.subject IN groups))";

/// Writes the organisation, and files beside it, into the database of a stopped server.
fn fill(database: &std::path::Path, org: &Org, files: u32) -> rusqlite::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "no server has this directory open")]
    let db = Connection::open(database)?;
    db.execute_batch("BEGIN")?;
    db.execute_batch(EMPTY)?;
    let mut put = db.prepare(PUT_ENTITY)?;
    for row in &org.entities {
        put.execute(params![row.id, row.tenant, row.kind, row.name, entities::key(&row.tenant, &row.kind, &row.name)])?;
    }
    let mut put = db.prepare(PUT_TUPLE)?;
    for (at, row) in org.tuples.iter().enumerate() {
        let set = row.subject_relation.as_deref().unwrap_or_default();
        put.execute(params![row.object, row.relation, row.subject, set, format!("t{at}"), AT_US])?;
    }
    let hash = blake3::hash(BODY);
    let (hash, size) = (&hash.as_bytes()[..], i64::try_from(BODY.len()).expect("it is small"));
    db.execute(PUT_CONTENT, params![hash, size, BODY, AT_US])?;
    let (mut node, mut version) = (db.prepare(PUT_NODE)?, db.prepare(PUT_VERSION)?);
    let (mut id, mut directory) = (1_000_000_u32, 0);
    for at in 0..files {
        if at % FILES_PER_DIRECTORY == 0 {
            id += 1;
            directory = id;
            let name = format!("d{at}");
            node.execute(params![1, name, id, org::TENANT, 1, None::<&[u8]>, 0, 0, AT_US])?;
            version.execute(params![id, 1, name, 0, None::<&[u8]>, 0, AT_US])?;
        }
        id += 1;
        let name = format!("f{at}");
        node.execute(params![directory, name, id, org::TENANT, 0, hash, size, 1, AT_US])?;
        version.execute(params![id, directory, name, 1, hash, size, AT_US])?;
    }
    let next_entity = i64::try_from(org.entities.len() + 1).expect("ids fit");
    db.execute(PUT_HEAD, params![id + 1, next_entity])?;
    drop((put, node, version));
    db.execute_batch("COMMIT; ANALYZE; PRAGMA wal_checkpoint(TRUNCATE)")
}

/// P18, and P12 on the store's own tables.
pub(crate) fn start(bench: &Bench<'_>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    let files = u32::try_from(bench.org.size().tuples).expect("they fit");
    let open_app = || {
        let (begun, cpu) = (monotonic(), cpu_seconds());
        let app = runtime.block_on(App::open(Config::for_directory(dir.path()))).expect("it opens");
        (app, monotonic() - begun, cpu_seconds() - cpu)
    };
    // Before the data is made, whose way to the disk would hold the syncs of a start up.
    let empty = first_start(&runtime);
    let (app, ..) = open_app();
    runtime.block_on(app.close(None)).expect("it closes");
    let database = dir.path().join(DATABASE_FILE);
    fill(&database, bench.org, files).expect("it is filled");
    let bytes = std::fs::metadata(&database).map_or(0, |file| file.len());
    bench.report.say(&format!(
        "  {files} files, {} tuples, {} entities; a database of {} MiB, in the system's cache",
        bench.org.tuples.len(),
        bench.org.entities.len(),
        bytes >> 20
    ));
    let millis = |time: std::time::Duration| format!("{:.0} ms", time.as_secs_f64() * 1e3);
    bench.report.figure(
        "first start on an empty directory, the median of 5",
        &millis(empty),
        "<= 100 ms",
        empty.as_millis() <= 100,
    );
    for _ in 0..3 {
        let (app, took, cpu) = open_app();
        let graph = app.store.published().view::<Graph>().clone();
        let value = format!("{} ({:.0} ms CPU of all threads)", millis(took), cpu * 1e3);
        bench.report.figure("ready to answer", &value, "<= 1 s", took.as_millis() <= 1_000);
        let query = nexus_lite::rebac::Query {
            subject: org::user("user-0"),
            permission: "member",
            object: nexus_lite::rebac::ObjectRef {
                kind: "group",
                id: bench.org.name_of(bench.org.tuples[0].object),
                tenant: org::TENANT,
            },
        };
        let mut budget = nexus_lite::rebac::Budget::request();
        graph.check(&query, nexus_lite::rebac::LeafFacts::default(), &crate::decide::env(), None, &mut budget);
        runtime.block_on(app.close(None)).expect("it closes");
    }
    let begun = monotonic();
    let store = Store::builder(Options::new(dir.path())).open().expect("it opens");
    bench.report.say(&format!("  of it the store alone, without a graph: {}", millis(monotonic() - begun)));
    runtime.block_on(store.close()).expect("it closes");
    query_of_the_store(bench, &database).expect("the query runs");
}

/// The first start on an empty directory, the median of some.
fn first_start(runtime: &tokio::runtime::Runtime) -> std::time::Duration {
    let mut starts: Vec<_> = (0..FIRST_STARTS)
        .map(|_| {
            let dir = tempfile::tempdir().expect("a directory");
            let begun = monotonic();
            let app = runtime.block_on(App::open(Config::for_directory(dir.path()))).expect("it opens");
            let took = monotonic() - begun;
            runtime.block_on(app.close(None)).expect("it closes");
            took
        })
        .collect();
    starts.sort_unstable();
    starts[starts.len() / 2]
}

/// The recursive query on the store's tables, in a connection of its own with everything cached.
fn query_of_the_store(bench: &Bench<'_>, database: &std::path::Path) -> rusqlite::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "no server has this directory open")]
    let db = Connection::open(database)?;
    db.execute_batch("PRAGMA cache_size = -1000000")?;
    let mut ask = db.prepare(MAY_READ)?;
    let questions: Vec<_> = crate::decide::hot_questions(bench, bench.effort.queries)
        .into_iter()
        .map(|(user, path)| (crate::decide::user_name(user), path))
        .collect();
    let (mut warm, mut took) = (Took::default(), Took::default());
    for round in [&mut warm, &mut took] {
        for (user, path) in &questions {
            let mut answer = Ok(false);
            round.add(1, || answer = ask.query_row(params![org::TENANT, user, path], |row| row.get::<_, bool>(0)));
            let query =
                nexus_lite::rebac::Query { subject: org::user(user), permission: "read", object: org::file(path) };
            let mut budget = nexus_lite::rebac::Budget::request();
            let leaf = nexus_lite::rebac::LeafFacts::default();
            let verdict = bench.graph.check(&query, leaf, &crate::decide::env(), None, &mut budget);
            assert_eq!(answer?, verdict.allowed(), "{user} {path}");
        }
    }
    crate::sql::factor(bench, "the store's tables, in a file", &took);
    Ok(())
}
