//! The writer's connection: the one that may change the database, and that no other server has.
//!
//! Owns the advisory lock, the head row's lock, and what is known after a connection was lost. The head row tells: who
//! holds its lock knows that every transaction before has ended, and which one was the last.

use std::time::Duration;

use crate::model::time::monotonic;
use crate::store::StoreError;
use crate::store::backend::Conn;
use crate::store::row::Row;
use crate::store::tx::Counters;

use super::{Committed, Connector, Session};

/// How long a writer that has lost its connection tries to get another one before it answers that it does not know.
const RECONNECT_TIME: Duration = Duration::from_secs(10);
/// How long it waits between two tries.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// How long the database may be another session's before it is another server's: that of a server that was killed ends
/// when the database server notices.
const LOCK_TIME: Duration = Duration::from_secs(3);
/// How long the lock is left alone between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Locks the head row: it is read and written by one transaction at a time.
const HEAD_LOCK: &str = "SELECT rev, next_id, next_entity FROM head WHERE one = 1 FOR UPDATE";
/// The version for people: '15.18 (Debian …)'.
const VERSION: &str = "SELECT split_part(current_setting('server_version'), ' ', 1)";
/// Takes the database for this server while the session lasts; one server for each schema.
const SERVER_LOCK: &str = "SELECT pg_try_advisory_lock(1316506740, hashtext(current_schema()))";
/// Who has it.
const SERVER_LOCK_HOLDER: &str = "SELECT a.application_name, a.pid, CAST(a.backend_start AS TEXT) FROM pg_locks l \
    JOIN pg_stat_activity a ON a.pid = l.pid \
    WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 1316506740 \
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())";
/// This session, so that it can be told from another one that gets its number later.
const OWN_BACKEND: &str = "SELECT pid, CAST(EXTRACT(EPOCH FROM backend_start) * 1000000 AS BIGINT) \
    FROM pg_stat_activity WHERE pid = pg_backend_pid()";
/// Ends a session of ours of which we no longer hear.
const END_BACKEND: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
    WHERE pid = ?1 AND CAST(EXTRACT(EPOCH FROM backend_start) * 1000000 AS BIGINT) = ?2";

/// The writer's connection.
pub(in crate::store) struct Writer {
    connector: Connector,
    session: Session,
    /// Number and begin (µs) of the server's process behind the session.
    backend: (i64, i64),
}

/// What a lost COMMIT has left.
pub(in crate::store) enum Outcome {
    /// The transaction is there.
    Committed,
    /// It is not.
    RolledBack,
    /// The head row says neither: somebody else has written.
    Foreign {
        /// What it says.
        rev: u64,
    },
}

impl Writer {
    /// Connects and takes the database; refused if another server has it.
    pub(in crate::store) fn open(connector: Connector) -> Result<Self, StoreError> {
        let session = connector.session()?;
        take_lock(&session, &connector, None)?;
        let backend = own_backend(&session)?;
        Ok(Self { connector, session, backend })
    }

    /// The server's version, as it says it.
    pub(in crate::store) fn version(&self) -> Result<String, StoreError> {
        let mut version = String::new();
        self.session.each(VERSION, &[], |row| {
            version = row.string(0)?;
            Ok(std::ops::ControlFlow::Break(()))
        })?;
        Ok(version)
    }

    pub(in crate::store) fn session(&self) -> &Session {
        &self.session
    }

    /// Begins a transaction and locks the head row, which must say `expected`.
    pub(in crate::store) fn begin(&self, expected: &Counters, piped: bool) -> Result<(), StoreError> {
        self.session.begin("BEGIN", piped);
        let head = head(&self.session)?;
        if head != *expected {
            self.session.abandon();
            let what = format!("the database is at revision {}, this server at {}", head.rev, expected.rev);
            return Err(StoreError::ReadOnly { reason: format!("{what}: somebody else has written to it") });
        }
        Ok(())
    }

    /// COMMIT, and everything that was sent before it.
    pub(in crate::store) fn commit(&self) -> Committed {
        self.session.commit()
    }

    /// Whether the connection is lost.
    pub(in crate::store) fn is_gone(&self) -> bool {
        self.session.is_gone()
    }

    /// A connection again, in the place of one that is lost; tries once.
    pub(in crate::store) fn reconnect(&mut self) -> Result<(), StoreError> {
        let session = self.connector.session()?;
        // The lost one may still live on the server: its transaction, and its locks, end with it.
        session.each(END_BACKEND, crate::params![self.backend.0, self.backend.1], |_| {
            Ok(std::ops::ControlFlow::Continue(()))
        })?;
        take_lock(&session, &self.connector, Some(self.backend.0))?;
        self.backend = own_backend(&session)?;
        self.session = session;
        tracing::info!(place = self.connector.place(), "connected to PostgreSQL again");
        Ok(())
    }

    /// As [`reconnect`](Self::reconnect), for as long as a caller can be made to wait.
    pub(in crate::store) fn reconnect_soon(&mut self) -> Result<(), StoreError> {
        let began = monotonic();
        loop {
            match self.reconnect() {
                Err(error) if began.elapsed() < RECONNECT_TIME => {
                    tracing::debug!(%error, "not yet");
                    std::thread::park_timeout(RECONNECT_PAUSE);
                }
                done => return done,
            }
        }
    }

    /// The head row, when every transaction that had its lock has ended.
    pub(in crate::store) fn head(&self) -> Result<Counters, StoreError> {
        self.session.begin("BEGIN", false);
        let head = head(&self.session);
        self.session.abandon();
        head
    }

    /// What became of a transaction whose COMMIT was not answered: it would have moved the head from `before` to `after`.
    /// On a connection that was made since.
    pub(in crate::store) fn outcome(&self, before: &Counters, after: &Counters) -> Result<Outcome, StoreError> {
        Ok(match self.head()? {
            // First: a transaction that would not have moved the head has left no sign, and what is taken for done
            // without being there would be lost. Such messages may be sent again.
            head if head == *before => Outcome::RolledBack,
            head if head == *after => Outcome::Committed,
            head => Outcome::Foreign { rev: head.rev },
        })
    }
}

/// Reads the head row and locks it.
fn head(session: &Session) -> Result<Counters, StoreError> {
    let mut head = None;
    session.each(HEAD_LOCK, &[], |row: &Row<'_>| {
        head = Some(Counters { rev: row.id(0)?, next_id: row.id(1)?, next_entity: row.entity(2)? });
        Ok(std::ops::ControlFlow::Break(()))
    })?;
    head.ok_or_else(|| StoreError::Corrupt { what: "the table head has no row".into() })
}

fn own_backend(session: &Session) -> Result<(i64, i64), StoreError> {
    let mut own = (0, 0);
    session.each(OWN_BACKEND, &[], |row| {
        own = (row.int(0)?, row.int(1)?);
        Ok(std::ops::ControlFlow::Break(()))
    })?;
    Ok(own)
}

/// Takes the database for this server; held until the session ends, however it ends. `own`: the session of before, which
/// may still be ending. So may that of a server that was killed just now.
fn take_lock(session: &Session, connector: &Connector, own: Option<i64>) -> Result<(), StoreError> {
    let began = monotonic();
    loop {
        if Conn::Pg(session).number(SERVER_LOCK, &[])? == Some(1) {
            return Ok(());
        }
        let (mut pid, mut who) = (None, String::from("a session that has ended since"));
        session.each(SERVER_LOCK_HOLDER, &[], |row| {
            pid = Some(row.int(1)?);
            who = format!("{}, session {} since {}", row.text(0)?, row.int(1)?, row.text(2)?);
            Ok(std::ops::ControlFlow::Break(()))
        })?;
        if began.elapsed() >= LOCK_TIME {
            let reason = "the session of before has not ended yet".into();
            return Err(match pid {
                Some(pid) if own == Some(pid) => StoreError::Unreachable { place: connector.place(), reason },
                _ => StoreError::Occupied { place: connector.place(), who },
            });
        }
        std::thread::park_timeout(LOCK_PAUSE);
    }
}
