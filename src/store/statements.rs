//! The register of every SQL statement constant, so that a test can prepare each one on the current schema.
//!
//! Each `store/<noun>.rs` declares its texts through `statements!` and has a line in `LISTS`.

/// Declares statement constants: `statements! { /// What it does. NODE_BY_ID = "SELECT …"; }`.
///
/// Makes a `pub(crate) const` of each, and `ALL`, the list of them that the register reads.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* pub(crate) const $name: &str = $sql;)*
        /// Every statement of this file, by name.
        pub(super) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name)),*];
    };
}
pub(crate) use statements;

/// One line per file that declares statements.
const LISTS: &[(&str, &[(&str, &str)])] = &[
    ("agents", super::agents::ALL),
    ("approvals", super::approvals::ALL),
    ("audit", super::audit::ALL),
    ("backup", super::backup::ALL),
    ("bundle", super::bundle::ALL),
    ("changelog", super::changelog::ALL),
    ("check", super::check::ALL),
    ("chunks", super::chunks::ALL),
    ("collection", super::collection::ALL),
    ("contents", super::contents::ALL),
    ("decisions", super::decisions::ALL),
    ("denials", super::denials::ALL),
    ("entities", super::entities::ALL),
    ("idempotency", super::idempotency::ALL),
    ("inspect", super::inspect::ALL),
    ("keys", super::keys::ALL),
    ("members", super::members::ALL),
    ("memories", super::memories::ALL),
    ("meta", super::meta::ALL),
    ("migrate", super::migrate::ALL),
    ("mount_files", super::mount_files::ALL),
    ("mounts", super::mounts::ALL),
    ("namespaces", super::namespaces::ALL),
    ("nodes", super::nodes::ALL),
    ("past", super::past::ALL),
    ("playbooks", super::playbooks::ALL),
    ("quotas", super::quotas::ALL),
    ("retention", super::retention::ALL),
    ("sandboxes", super::sandboxes::ALL),
    ("schema", super::schema::ALL),
    ("scrub", super::scrub::ALL),
    ("skills", super::skills::ALL),
    ("snapshots", super::snapshots::ALL),
    ("subscriptions", super::subscriptions::ALL),
    ("sync_jobs", super::sync_jobs::ALL),
    ("tables", super::tables::ALL),
    ("trajectories", super::trajectories::ALL),
    ("tuples", super::tuples::ALL),
    ("versions", super::versions::ALL),
    ("ways", super::ways::ALL),
    ("workspaces", super::workspaces::ALL),
];

/// Statements in words that only SQLite knows: file, name, and why no portable text can serve.
const OF_SQLITE: &[(&str, &str, &str)] =
    &[("schema", "SCHEMA_OBJECTS", "doctor compares a file's own catalogue with what our migrations make")];

/// Whether a statement is one for SQLite alone, which the other engine is never asked.
#[must_use]
pub fn is_of_sqlite(file: &str, name: &str) -> bool {
    OF_SQLITE.iter().any(|(of, called, _)| (*of, *called) == (file, name))
}

/// Every statement constant of the store: file, name, text.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    LISTS.iter().flat_map(|(file, list)| list.iter().map(move |(name, sql)| (*file, *name, *sql)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::backend::Conn;
    use crate::store::{Options, Sql, Store, StoreError};

    #[tokio::test]
    async fn every_statement_can_be_prepared_on_the_current_schema() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::builder(Options::new(dir.path())).open().expect("opens");
        let prepared = store.read_slow(|tx| {
            for (file, name, sql) in all() {
                let Conn::Lite(conn) = tx.conn else { panic!("opened on SQLite") };
                let prepared = conn.prepare(sql);
                assert!(
                    prepared.is_ok(),
                    "{file}: {name}: {}",
                    prepared.err().map(|e| e.to_string()).unwrap_or_default()
                );
            }
            Ok::<_, StoreError>(tx.rev())
        });
        prepared.await.expect("read");
        store.close().await.expect("closes");
    }

    /// SQLite prepares a statement anew, at the cost of a parse, where its plan may depend on a parameter's value.
    #[tokio::test]
    async fn no_statement_is_prepared_again_for_other_parameters() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::builder(Options::new(dir.path())).open().expect("opens");
        let ran = store.read_slow(|tx| {
            for (file, name, sql) in all() {
                let Conn::Lite(conn) = tx.conn else { panic!("opened on SQLite") };
                let mut statement = conn.prepare(sql).expect(name);
                for value in 1..4_i64 {
                    for at in 1..=statement.parameter_count() {
                        statement.raw_bind_parameter(at, value).expect(name);
                    }
                    // Those that write are refused here, after the moment that counts.
                    let mut rows = statement.raw_query();
                    while let Ok(Some(_)) = rows.next() {}
                }
                let again = statement.get_status(rusqlite::StatementStatus::RePrepare);
                assert_eq!(again, 0, "{file}: {name} was prepared again");
            }
            Ok::<_, StoreError>(tx.rev())
        });
        ran.await.expect("read");
        store.close().await.expect("closes");
    }

    #[test]
    fn what_is_marked_as_of_sqlite_is_there() {
        for (file, name, why) in OF_SQLITE {
            assert!(all().any(|(of, called, _)| (of, called) == (*file, *name)), "{file}: {name}: {why}");
        }
    }

    #[test]
    fn the_register_knows_every_file_that_declares_statements() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
        for entry in std::fs::read_dir(folder).expect("the folder is there") {
            let path = entry.expect("readable").path();
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            let text = if path.is_file() { std::fs::read_to_string(&path).expect("text") } else { String::new() };
            if text.lines().any(|line| line == "statements! {") {
                assert!(LISTS.iter().any(|(file, _)| *file == name), "{name} has no line in LISTS");
            }
        }
    }
}
