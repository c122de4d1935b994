//! The same questions by a recursive query in SQLite, on the same graph in memory.

use nexus_lite::rebac::{Budget, Caches, Env, LeafFacts, Query};
use rusqlite::{Connection, params};

use crate::Bench;
use crate::claims::Took;
use crate::org::{self, Org};

/// Ids and nothing else: both tables clustered by what the query looks for, which is the best SQLite can do here.
const TABLES: &str = "
    CREATE TABLE on_object (object INTEGER, relation INTEGER, subject INTEGER, set_of INTEGER,
        PRIMARY KEY (object, relation, subject, set_of)) WITHOUT ROWID;
    CREATE TABLE of_subject (subject INTEGER, set_of INTEGER, relation INTEGER, object INTEGER,
        PRIMARY KEY (subject, set_of, relation, object)) WITHOUT ROWID;
    CREATE TABLE paths (name TEXT PRIMARY KEY, id INTEGER) WITHOUT ROWID;";
const PUT_ON_OBJECT: &str = "INSERT INTO on_object VALUES (?1, ?2, ?3, ?4)";
const PUT_OF_SUBJECT: &str = "INSERT INTO of_subject SELECT subject, set_of, relation, object FROM on_object";
const PUT_PATH: &str = "INSERT INTO paths VALUES (?1, ?2)";
/// Groups of the subject by any depth of membership (relation 0), then the grants on the path and above it.
const MAY_READ: &str = "
    WITH RECURSIVE
      groups(id) AS (
        SELECT object FROM of_subject WHERE subject = ?1 AND set_of = 0 AND relation = 0
        UNION
        SELECT t.object FROM groups g JOIN of_subject t ON t.subject = g.id AND t.set_of = 1 AND t.relation = 0),
      above(path) AS (
        SELECT ?2
        UNION ALL
        SELECT substr(path, 1, length(rtrim(path, replace(path, '/', ''))) - 1) FROM above WHERE path <> '')
    SELECT EXISTS (
      SELECT 1 FROM above a JOIN paths p ON p.name = a.path JOIN on_object t ON t.object = p.id
      WHERE (t.subject = ?1 AND t.set_of = 0) OR t.subject IN groups)";

/// Tuples as rows of integers.
fn filled(org: &Org) -> rusqlite::Result<Connection> {
    let db = Connection::open_in_memory()?;
    db.execute_batch(TABLES)?;
    db.execute_batch("BEGIN")?;
    let mut put = db.prepare(PUT_ON_OBJECT)?;
    for row in &org.tuples {
        let relation = ["member", "direct_viewer", "direct_editor", "direct_owner"]
            .iter()
            .position(|name| *name == row.relation)
            .and_then(|at| i64::try_from(at).ok());
        put.execute(params![row.object, relation, row.subject, i64::from(row.subject_relation.is_some())])?;
    }
    drop(put);
    let mut put = db.prepare(PUT_PATH)?;
    for row in org.entities.iter().filter(|row| row.kind == "file") {
        put.execute(params![row.name, row.id])?;
    }
    drop(put);
    db.execute_batch(PUT_OF_SUBJECT)?;
    db.execute_batch("COMMIT")?;
    Ok(db)
}

/// P12: what walks from ids gain on the query, which took so long on average. The walks are measured in the same run.
pub(crate) fn factor(bench: &Bench<'_>, tables: &str, query: &Took) {
    let walk = crate::decide::walked_hot(bench);
    let times = query.cpu_us() / walk.cpu_us();
    let value = format!("{times:.0}x ({:.0} µs / {:.2} µs)", query.cpu_us(), walk.cpu_us());
    bench.report.figure(&format!("recursive CTE on {tables} / hot walk, CPU"), &value, ">= 200x", times >= 200.0);
}

/// P12 against tables made for the query.
pub(crate) fn against_sql(bench: &Bench<'_>) {
    let (org, env, caches) = (bench.org, Env { now_us: 1, context: None }, Caches::new());
    let db = filled(org).expect("SQLite in memory takes the rows");
    let mut may_read = db.prepare(MAY_READ).expect("the query is valid");
    let questions = crate::decide::hot_questions(bench, bench.effort.queries);
    let names: Vec<String> = questions.iter().map(|(n, _)| org.name_of(org.user(*n)).to_owned()).collect();

    let (mut engine, mut ours) = (Took::default(), Vec::new());
    // Once to have the closures and the pages of both warm, then for the figures.
    for _ in 0..2 {
        (engine, ours) = (Took::default(), Vec::with_capacity(questions.len()));
        engine.add(questions.len() as u64, || {
            for ((_, path), name) in questions.iter().zip(&names) {
                let query = Query { subject: org::user(name), permission: "read", object: org::file(path) };
                let verdict =
                    bench.graph.check(&query, LeafFacts::default(), &env, Some(&caches), &mut Budget::request());
                ours.push(verdict.allowed());
            }
        });
    }
    let (mut sqlite, mut theirs) = (Took::default(), Vec::new());
    for _ in 0..2 {
        (sqlite, theirs) = (Took::default(), Vec::with_capacity(questions.len()));
        sqlite.add(questions.len() as u64, || {
            for (user, path) in &questions {
                let found: bool = may_read.query_row(params![org.user(*user), path], |row| row.get(0)).expect("a row");
                theirs.push(found);
            }
        });
    }
    assert_eq!(ours, theirs, "the engine and the recursive query answer alike");
    factor(bench, "integers clustered for it, in memory", &sqlite);
    let times = sqlite.cpu_us() / engine.cpu_us();
    bench.report.say(&format!("  of a whole check from strings ({:.2} µs): {times:.0}x", engine.cpu_us()));
    bench.report.say("  on the store's own tables, which are what a server without an engine would ask: see `start`");
}
