//! Every statement constant on PostgreSQL: it can be prepared, and means by each parameter what the code passes.

use nexus_lite::store::migrate::MIGRATIONS;
use nexus_lite::store::statements;
use serde_json::Value;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::Type;

use super::{connected, lite};

/// What `Val` can carry.
const PARAMETERS: [Type; 4] = [Type::INT8, Type::TEXT, Type::BYTEA, Type::FLOAT8];
/// What `Row` can read.
const COLUMNS: [Type; 7] = [Type::INT8, Type::INT4, Type::INT2, Type::BOOL, Type::TEXT, Type::BYTEA, Type::FLOAT8];

#[tokio::test]
async fn every_statement_can_be_prepared_with_the_types_that_are_passed() {
    let Some((client, _database)) = connected().await else { return };
    for migration in MIGRATIONS {
        client.batch_execute(&migration.for_postgres()).await.expect(migration.name);
    }
    let mut problems = Vec::new();
    let mut prepared = 0;
    for (file, name, sql) in statements::all().filter(|(file, name, _)| !statements::is_of_sqlite(file, name)) {
        let text = numbered(sql);
        // Without types, so that the server says what it takes each parameter for.
        let statement = match client.prepare(&text).await {
            Ok(statement) => statement,
            Err(e) => {
                let told = e.as_db_error().map_or_else(|| e.to_string(), ToString::to_string);
                problems.push(format!("{file}: {name}: {told}"));
                continue;
            }
        };
        for (at, kind) in statement.params().iter().enumerate() {
            if !PARAMETERS.contains(kind) {
                problems.push(format!("{file}: {name}: parameter {} is taken for {kind}", at + 1));
            }
        }
        for column in statement.columns() {
            if !COLUMNS.contains(column.type_()) {
                problems.push(format!("{file}: {name}: column {} is {}", column.name(), column.type_()));
            }
        }
        prepared += 1;
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(prepared > 100, "only {prepared} statements");
}

/// Indexes whose condition is all that is looked for, or as much of it as another index has: among empty tables, one is
/// as good as the other.
const PARTIAL: [&str; 3] = ["nodes_by_owner", "memories_global", "playbooks_global"];
/// Files and statements that look at everything anyway: the check, a move of the whole store, and what a start clears.
const WHOLE: [&str; 3] = ["bundle", "check", "CHUNK_SWEEP"];

/// Where SQLite looks a table up by an index, PostgreSQL can: no column's type or order stands in its way.
#[tokio::test]
async fn what_one_engine_finds_by_an_index_the_other_does_too() {
    let Some((client, _database)) = connected().await else { return };
    let lite = lite();
    for migration in MIGRATIONS {
        lite.execute_batch(migration.sql).expect(migration.name);
        client.batch_execute(&migration.for_postgres()).await.expect(migration.name);
    }
    client.batch_execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan").await.expect("runs");
    let (mut problems, mut searched) = (Vec::new(), 0);
    for (file, name, sql) in statements::all().filter(|(file, name, _)| !statements::is_of_sqlite(file, name)) {
        let mut tables = lite_searches(&lite, sql);
        if tables.is_empty() || WHOLE.contains(&file) || WHOLE.contains(&name) {
            continue;
        }
        let text = numbered(sql);
        let count = client.prepare(&text).await.expect(name).params().len();
        let nulls = if count == 0 { String::new() } else { format!("({})", vec!["NULL"; count].join(", ")) };
        client.batch_execute(&format!("PREPARE looked_at AS {text}")).await.expect(name);
        let explain = format!("EXPLAIN (FORMAT JSON) EXECUTE looked_at{nulls}");
        let rows = client.simple_query(&explain).await.expect(name);
        client.batch_execute("DEALLOCATE looked_at").await.expect(name);
        let plan = rows.iter().find_map(|row| match row {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        let plan: Value = serde_json::from_str(plan.expect("a plan")).expect("JSON");
        found_by_index(&plan[0]["Plan"], &mut |table| tables.retain(|searched| searched != table));
        problems.extend(tables.into_iter().map(|table| format!("{file}: {name}: {table} is read whole")));
        searched += 1;
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(searched > 60, "only {searched} statements");
}

/// The tables that SQLite looks up by the value of an index or a key.
fn lite_searches(conn: &rusqlite::Connection, sql: &str) -> Vec<String> {
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect(sql);
    let mut rows = statement.raw_query();
    let mut tables = Vec::new();
    while let Some(row) = rows.next().expect(sql) {
        let detail: String = row.get(3).expect("a text");
        let name = detail.strip_prefix("SEARCH ").and_then(|rest| rest.split(' ').next());
        // Under its own name or an alias that the other engine tells, too.
        tables.extend(name.filter(|_| !detail.contains("AUTOMATIC")).map(str::to_owned));
    }
    tables
}

/// Tells the tables of which `plan` reads a part by an index.
fn found_by_index(plan: &Value, tell: &mut impl FnMut(&str)) {
    // The part of a bitmap scan that reads the index names no table; the part above it does.
    let partial = plan["Index Name"].as_str().is_some_and(|index| PARTIAL.contains(&index));
    if let Some(table) = plan["Alias"].as_str()
        && (partial || plan.get("Index Cond").is_some() || plan.get("Recheck Cond").is_some())
    {
        tell(table);
    }
    for below in plan["Plans"].as_array().into_iter().flatten() {
        found_by_index(below, tell);
    }
}

/// `?1` as PostgreSQL spells it.
fn numbered(sql: &str) -> String {
    sql.replace('?', "$")
}
