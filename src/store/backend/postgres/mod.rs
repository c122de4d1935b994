//! PostgreSQL (15 or newer): one server of ours on one database.
//!
//! Owns the sessions, the types of the schema there, and what a lost connection means. The driver is asynchronous and
//! runs on a thread of its own; everybody else waits for it as for a function, so that the store has one synchronous
//! text for both engines. `DESIGN.md` beside the store has the reasons.

mod connect;
mod ddl;
mod link;
pub(in crate::store) mod migrate;
mod reader;
mod session;
mod tls;
mod values;

use tokio_postgres::error::SqlState;

pub(in crate::store) use connect::Connector;
pub use connect::{PostgresUrl, UrlError};
pub(in crate::store) use ddl::rewritten;
pub(in crate::store) use link::{Outcome, Writer};
pub(in crate::store) use reader::Reader;
pub(in crate::store) use session::{Committed, Session};
pub(in crate::store) use values::int;

/// What an error says, for people: never with the values of a row, which its detail may hold.
pub(in crate::store) fn words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{} (SQLSTATE {})", said.message(), said.code().code()),
        None => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(error);
            while let Some(inner) = source {
                text = format!("{text}: {inner}");
                source = inner.source();
            }
            text
        }
    }
}

/// Whether the connection is gone, or about to be.
pub(in crate::store) fn is_gone(error: &tokio_postgres::Error) -> bool {
    let Some(code) = error.code() else {
        // Without a state the server has said nothing: the connection, or the driver, has failed. An error of a
        // parameter or a column is the program's, and is found by its tests.
        return error.is_closed() || std::error::Error::source(error).is_some_and(|s| s.is::<std::io::Error>());
    };
    let going = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW];
    going.contains(code) || code.code().starts_with("08")
}

/// Whether the server had no space.
pub(in crate::store) fn is_full(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::DISK_FULL)
}

/// Whether a statement ran into its time limit.
pub(in crate::store) fn is_late(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::QUERY_CANCELED)
}
