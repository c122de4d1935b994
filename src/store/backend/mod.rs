//! The engines, and the one seam through which the store talks to either.
//!
//! Owns opening connections and running statements; nothing above this folder names an engine's crate. A statement has
//! one text with `?N` placeholders for both. Where an engine has needs of its own (checkpoints, a reconnect), the code
//! that has them asks which engine it is through `Link` and `Conn`, and nowhere else.

use std::ops::ControlFlow;

use rusqlite::ErrorCode;

use super::StoreError;
use super::row::{Row, Val};

#[cfg(feature = "postgres")]
pub(in crate::store) mod postgres;
pub(in crate::store) mod sqlite;

/// What an engine says when something fails.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// SQLite.
    #[error(transparent)]
    Lite(#[from] rusqlite::Error),
    /// PostgreSQL.
    #[cfg(feature = "postgres")]
    #[error("{}", postgres::words(.0))]
    Pg(#[from] tokio_postgres::Error),
}

impl EngineError {
    /// Whether there was no space.
    pub(in crate::store) fn is_full(&self) -> bool {
        match self {
            Self::Lite(error) => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
            #[cfg(feature = "postgres")]
            Self::Pg(error) => postgres::is_full(error),
        }
    }

    /// Whether a time limit has ended it.
    pub(in crate::store) fn is_late(&self) -> bool {
        match self {
            Self::Lite(error) => error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted),
            #[cfg(feature = "postgres")]
            Self::Pg(error) => postgres::is_late(error),
        }
    }

    /// SQLite's code, if it was SQLite.
    pub(in crate::store) fn lite_code(&self) -> Option<ErrorCode> {
        match self {
            Self::Lite(error) => error.sqlite_error_code(),
            #[cfg(feature = "postgres")]
            Self::Pg(_) => None,
        }
    }
}

/// What makes a write connection unusable, or the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Trouble {
    /// No space: the transaction is gone, the connection is made anew.
    Full,
    /// No memory: likewise.
    NoMemory,
    /// Input/output error or corruption: what is on disk is known only after a restart.
    Io,
    /// The connection to a database server is lost.
    Gone,
}

impl Trouble {
    /// What `error` means for the connection that gave it; `None` = nothing.
    pub(in crate::store) fn of(error: &StoreError) -> Option<Self> {
        match error {
            StoreError::Full => Some(Self::Full),
            StoreError::Unreachable { .. } => Some(Self::Gone),
            StoreError::Sql { source, .. } => match &**source {
                EngineError::Lite(error) => match error.sqlite_error_code()? {
                    ErrorCode::OutOfMemory => Some(Self::NoMemory),
                    ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Some(Self::Io),
                    _ => None,
                },
                #[cfg(feature = "postgres")]
                EngineError::Pg(error) => postgres::is_gone(error).then_some(Self::Gone),
            },
            _ => None,
        }
    }
}

/// A connection for reading, of either engine.
pub(in crate::store) enum Reader {
    Lite(rusqlite::Connection),
    #[cfg(feature = "postgres")]
    Pg(postgres::Reader),
}

impl Reader {
    /// One to a database server.
    #[cfg(feature = "postgres")]
    pub(in crate::store) fn far(connector: &postgres::Connector) -> Result<Self, StoreError> {
        postgres::Reader::open(connector.clone()).map(Self::Pg)
    }

    /// For statements.
    pub(in crate::store) fn conn(&self) -> Conn<'_> {
        match self {
            Self::Lite(conn) => Conn::Lite(conn),
            #[cfg(feature = "postgres")]
            Self::Pg(reader) => Conn::Pg(reader.session()),
        }
    }

    /// Begins a read transaction; `first` asks the question that fixes its snapshot.
    pub(in crate::store) fn begin<T>(
        &mut self,
        first: impl Fn(Conn<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self {
            Self::Lite(conn) => {
                sqlite::control(conn, "beginning a read", "BEGIN")?;
                first(Conn::Lite(conn))
            }
            #[cfg(feature = "postgres")]
            Self::Pg(reader) => reader.begin(first),
        }
    }

    /// Ends the transaction, if there is one.
    pub(in crate::store) fn end(&self) -> Result<(), StoreError> {
        match self {
            Self::Lite(conn) if conn.is_autocommit() => Ok(()),
            Self::Lite(conn) => sqlite::control(conn, "ending a read", "ROLLBACK"),
            #[cfg(feature = "postgres")]
            Self::Pg(reader) => {
                reader.session().abandon();
                Ok(())
            }
        }
    }
}

/// The writer's connection, of either engine.
pub(in crate::store) enum Link {
    Lite(sqlite::RwConnection),
    #[cfg(feature = "postgres")]
    Pg(postgres::Writer),
}

impl Link {
    /// For statements.
    pub(in crate::store) fn conn(&self) -> Conn<'_> {
        match self {
            Self::Lite(conn) => Conn::Lite(conn),
            #[cfg(feature = "postgres")]
            Self::Pg(writer) => Conn::Pg(writer.session()),
        }
    }

    /// SQLite's connection, if it is one.
    pub(in crate::store) fn lite(&self) -> Option<&sqlite::RwConnection> {
        match self {
            Self::Lite(conn) => Some(conn),
            #[cfg(feature = "postgres")]
            Self::Pg(_) => None,
        }
    }

    /// Whether a statement of the open transaction is known to have failed, so that every other will.
    pub(in crate::store) fn has_failed(&self) -> bool {
        match self {
            Self::Lite(_) => false,
            #[cfg(feature = "postgres")]
            Self::Pg(writer) => writer.session().has_failed(),
        }
    }
}

/// A connection of either engine, for whoever only runs statements.
#[derive(Clone, Copy)]
pub(in crate::store) enum Conn<'a> {
    Lite(&'a rusqlite::Connection),
    #[cfg(feature = "postgres")]
    Pg(&'a postgres::Session),
}

impl<'a> From<&'a rusqlite::Connection> for Conn<'a> {
    fn from(conn: &'a rusqlite::Connection) -> Self {
        Self::Lite(conn)
    }
}

impl<'a> From<&'a sqlite::RwConnection> for Conn<'a> {
    fn from(conn: &'a sqlite::RwConnection) -> Self {
        Self::Lite(conn)
    }
}

impl Conn<'_> {
    /// Runs a query and gives each row to `each`, until it breaks. Waits for the rows.
    pub(in crate::store) fn each(
        self,
        sql: &'static str,
        params: &[Val<'_>],
        each: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        match self {
            Self::Lite(conn) => sqlite::each(conn, sql, params, each),
            #[cfg(feature = "postgres")]
            Self::Pg(session) => session.each(sql, params, each),
        }
    }

    /// As [`each`](Self::each), for results of any length: rows are read while they are given out, so `each` must not
    /// run a statement on this connection.
    pub(in crate::store) fn stream(
        self,
        sql: &'static str,
        params: &[Val<'_>],
        each: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        match self {
            Self::Lite(conn) => sqlite::each(conn, sql, params, each),
            #[cfg(feature = "postgres")]
            Self::Pg(session) => session.stream(sql, params, each),
        }
    }

    /// Runs a statement that changes rows. In a pipelined transaction it is only sent: its error is that of COMMIT.
    pub(in crate::store) fn exec(self, sql: &'static str, params: &[Val<'_>]) -> Result<(), StoreError> {
        match self {
            Self::Lite(conn) => sqlite::exec(conn, sql, params).map(|_| ()),
            #[cfg(feature = "postgres")]
            Self::Pg(session) => session.exec(sql, params),
        }
    }

    /// As [`exec`](Self::exec), and waits for the number of rows that it changed.
    pub(in crate::store) fn exec_count(self, sql: &'static str, params: &[Val<'_>]) -> Result<u64, StoreError> {
        match self {
            Self::Lite(conn) => sqlite::exec(conn, sql, params),
            #[cfg(feature = "postgres")]
            Self::Pg(session) => session.exec_count(sql, params),
        }
    }

    /// Runs a statement without parameters or rows that both engines know: SAVEPOINT, RELEASE, ROLLBACK and the like.
    pub(in crate::store) fn control(self, step: &'static str, sql: &'static str) -> Result<(), StoreError> {
        match self {
            Self::Lite(conn) => sqlite::control(conn, step, sql),
            #[cfg(feature = "postgres")]
            Self::Pg(session) => session.control(step, sql),
        }
    }

    /// The only row of a query that gives one number, if it gives one.
    pub(in crate::store) fn number(self, sql: &'static str, params: &[Val<'_>]) -> Result<Option<i64>, StoreError> {
        let mut found = None;
        self.each(sql, params, |row| {
            found = Some(row.int(0)?);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// Whether it is SQLite's.
    pub(in crate::store) fn is_lite(self) -> bool {
        match self {
            Self::Lite(_) => true,
            #[cfg(feature = "postgres")]
            Self::Pg(_) => false,
        }
    }

    /// Whether no transaction is open.
    pub(in crate::store) fn is_autocommit(self) -> bool {
        match self {
            Self::Lite(conn) => conn.is_autocommit(),
            #[cfg(feature = "postgres")]
            Self::Pg(session) => session.is_autocommit(),
        }
    }

    /// Whether a statement changes nothing, as far as the engine tells.
    pub(in crate::store) fn reads_only(self, sql: &'static str) -> bool {
        match self {
            Self::Lite(conn) => sqlite::reads_only(conn, sql),
            #[cfg(feature = "postgres")]
            Self::Pg(_) => true,
        }
    }
}
