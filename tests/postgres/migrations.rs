//! The schema that the migrations make, on both engines.

use std::collections::{BTreeMap, BTreeSet};

use nexus_lite::store::migrate::MIGRATIONS;
use tokio_postgres::Client;

use super::{connected, lite};

/// A table, in words that both engines can be asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Table {
    /// Name, type, whether NULL is refused, default; in order.
    columns: Vec<(String, String, bool, Option<String>)>,
    key: Vec<String>,
    /// Name, whether unique, columns or expressions, condition.
    indexes: BTreeSet<(String, bool, Vec<String>, Option<String>)>,
    checks: BTreeSet<String>,
}

type Tables = BTreeMap<String, Table>;

#[tokio::test]
async fn every_migration_makes_the_same_schema_on_both_engines() {
    let Some((client, _database)) = connected().await else { return };
    let lite = lite();
    for migration in MIGRATIONS {
        lite.execute_batch(migration.sql).expect(migration.name);
        client.batch_execute(&migration.for_postgres()).await.expect(migration.name);
        let (ours, theirs) = (of_sqlite(&lite), of_postgres(&client).await);
        assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{}", migration.name);
        for (name, table) in &ours {
            assert!(!table.columns.is_empty(), "{name}");
            assert_eq!(table, &theirs[name], "{}: {name}", migration.name);
        }
    }
    let tables = of_sqlite(&lite);
    // That the comparison sees what it compares.
    assert_eq!(tables["head"].checks, BTreeSet::from(["one=1".to_owned()]));
    assert_eq!(tables["nodes"].checks, BTreeSet::from(["typein0,1".to_owned()]));
    assert_eq!(tables["nodes"].columns[6], ("implicit".into(), "INTEGER".into(), true, Some("0".into())));
    let active = ("sandboxes_active".into(), true, ["tenant", "user_id", "name"].map(str::to_owned).into());
    assert!(tables["sandboxes"].indexes.contains(&(active.0, active.1, active.2, Some("status='active'".into()))));
    let skills = ("skills_by_path".into(), false, vec!["substrpath,1,600".to_owned()], None);
    assert!(tables["skills"].indexes.contains(&skills));
}

/// Texts are compared byte by byte, whatever the order of the database is.
#[tokio::test]
async fn every_text_column_and_every_index_compares_bytes() {
    let Some((client, _database)) = connected().await else { return };
    for migration in MIGRATIONS {
        client.batch_execute(&migration.for_postgres()).await.expect(migration.name);
    }
    let odd = "SELECT a.attrelid::regclass::text || '.' || a.attname FROM pg_attribute AS a \
        JOIN pg_class AS c ON c.oid = a.attrelid WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 \
        AND a.attcollation NOT IN (0, (SELECT oid FROM pg_collation WHERE collname = 'C'))";
    let odd: Vec<String> = client.query(odd, &[]).await.expect("runs").iter().map(|row| row.get(0)).collect();
    assert_eq!(odd, Vec::<String>::new());
}

/// An expression without what the engines add or leave out: spaces, brackets, casts, quotes of names.
fn plain(text: &str) -> String {
    let mut text = text.to_lowercase().replace("= any (array[", "in ");
    for cast in ["::text", "::bigint", "::integer", " collate \"c\""] {
        text = text.replace(cast, "");
    }
    text.retain(|c| !c.is_whitespace() && !"()[]\"".contains(c));
    text
}

fn of_sqlite(conn: &rusqlite::Connection) -> Tables {
    let mut tables = Tables::new();
    for (name, sql) in
        rows(conn, "SELECT name, sql FROM sqlite_schema WHERE type = 'table'", |r| (r.text(0), r.text(1)))
    {
        let mut table = Table::default();
        let mut key = BTreeMap::new();
        let columns = format!("SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_xinfo('{name}')");
        for (column, place) in rows(conn, &columns, |r| {
            ((r.text(0), r.text(1), r.text(2) == "1", r.some(3).map(|d| plain(&d))), r.text(4))
        }) {
            if place != "0" {
                key.insert(place.parse::<u32>().expect("a place"), column.0.clone());
            }
            table.columns.push(column);
        }
        table.key = key.into_values().collect();
        let indexes = format!(
            "SELECT l.name, l.\"unique\", s.sql FROM pragma_index_list('{name}') AS l \
            JOIN sqlite_schema AS s ON s.name = l.name WHERE s.sql IS NOT NULL"
        );
        for (index, unique, sql) in rows(conn, &indexes, |r| (r.text(0), r.text(1) == "1", r.text(2))) {
            let (on, condition) =
                sql.split_once(" WHERE ").map_or((sql.as_str(), None), |(on, c)| (on, Some(plain(c))));
            let of = format!("SELECT name FROM pragma_index_xinfo('{index}') WHERE key = 1 ORDER BY seqno");
            let listed = on.split_once(&format!(" ON {name} (")).expect("of this table").1;
            let parts = parts(listed.strip_suffix(')').expect("a list"));
            for (column, part) in rows(conn, &of, |r| r.some(0)).iter().zip(&parts) {
                assert!(column.is_none() || column.as_ref() == Some(part), "{index}: {part} is read wrongly");
            }
            table.indexes.insert((index, unique, parts.iter().map(|part| plain(part)).collect(), condition));
        }
        table.checks = checks(&sql);
        tables.insert(name, table);
    }
    tables
}

/// The members of a list, at the commas outside brackets.
fn parts(list: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for c in list.chars() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if c == ',' && depth == 0 {
            parts.push(String::new());
        } else {
            parts.last_mut().expect("one").push(c);
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}

/// The conditions in the text of a table.
fn checks(sql: &str) -> BTreeSet<String> {
    let text: String = sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
    let ends = |text: &str| {
        let mut depth = 0;
        text.find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        })
    };
    text.split("CHECK ").skip(1).map(|rest| plain(&rest[..ends(rest).expect("closed")])).collect()
}

async fn of_postgres(client: &Client) -> Tables {
    let mut tables = Tables::new();
    let columns = "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, \
        pg_get_expr(d.adbin, d.adrelid) FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid \
        LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum \
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 ORDER BY c.relname, a.attnum";
    for row in client.query(columns, &[]).await.expect("runs") {
        let kind = match row.get(2) {
            "bigint" => "INTEGER",
            "text" => "TEXT",
            "bytea" => "BLOB",
            "double precision" => "REAL",
            other => other,
        };
        let default: Option<String> = row.get(4);
        let column = (row.get(1), kind.to_owned(), row.get(3), default.map(|d| plain(&d)));
        tables.entry(row.get(0)).or_default().columns.push(column);
    }
    let indexes = "SELECT t.relname::text, i.relname::text, x.indisunique, x.indisprimary, \
        pg_get_expr(x.indpred, x.indrelid), (SELECT array_agg(pg_get_indexdef(x.indexrelid, k, true) ORDER BY k) \
        FROM generate_series(1, x.indnkeyatts::int) AS k) FROM pg_index AS x \
        JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_class AS t ON t.oid = x.indrelid \
        WHERE t.relnamespace = 'public'::regnamespace";
    for row in client.query(indexes, &[]).await.expect("runs") {
        let parts: Vec<String> = row.get::<_, Vec<String>>(5).iter().map(|part| plain(part)).collect();
        let table = tables.get_mut(row.get::<_, &str>(0)).expect("listed above");
        if row.get(3) {
            table.key = parts;
        } else {
            let condition: Option<String> = row.get(4);
            table.indexes.insert((row.get(1), row.get(2), parts, condition.map(|c| plain(&c))));
        }
    }
    let checks = "SELECT conrelid::regclass::text, pg_get_expr(conbin, conrelid) FROM pg_constraint \
        WHERE contype = 'c' AND connamespace = 'public'::regnamespace";
    for row in client.query(checks, &[]).await.expect("runs") {
        let table = tables.get_mut(row.get::<_, &str>(0)).expect("listed above");
        table.checks.insert(plain(row.get(1)));
    }
    tables
}

/// Columns as text.
struct Texts<'a>(&'a rusqlite::Row<'a>);

impl Texts<'_> {
    fn some(&self, at: usize) -> Option<String> {
        use rusqlite::types::ValueRef;
        match self.0.get_ref(at).expect("a column") {
            ValueRef::Null => None,
            ValueRef::Integer(v) => Some(v.to_string()),
            ValueRef::Text(v) => Some(String::from_utf8_lossy(v).into_owned()),
            other => panic!("{other:?}"),
        }
    }
    fn text(&self, at: usize) -> String {
        self.some(at).unwrap_or_default()
    }
}

fn rows<T>(conn: &rusqlite::Connection, sql: &str, read: impl Fn(&Texts<'_>) -> T) -> Vec<T> {
    let mut statement = conn.prepare(sql).expect(sql);
    statement.query_map([], |row| Ok(read(&Texts(row)))).expect(sql).map(|row| row.expect(sql)).collect()
}
