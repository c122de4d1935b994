//! One connection, as a function call: statements go out, the caller waits, or does not.
//!
//! Owns the statements that were prepared on it and those that were sent and not waited for. In a **pipelined**
//! transaction a statement that changes rows is only sent (on a network the wait is what a write costs: `DESIGN.md`);
//! its outcome is collected by [`Session::commit`], or by whatever ends the transaction. A query always waits.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Waker};

use futures_executor::block_on;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio_postgres::{Client, Row as PgRow, RowStream, Statement};

use crate::store::StoreError;
use crate::store::row::{Row, Val};

use super::values::{Owned, numbered, type_of};
use super::{is_gone, words};

/// What a statement that was only sent will say.
type Sent = Pin<Box<dyn Future<Output = Result<u64, tokio_postgres::Error>> + Send>>;

/// A connection. Not shared between threads: one thread talks at a time.
pub(in crate::store) struct Session {
    /// Host, port and database, for messages.
    place: Arc<str>,
    client: Arc<Client>,
    /// By their text: a constant has several addresses.
    statements: RefCell<HashMap<&'static str, Statement>>,
    sent: RefCell<Vec<Sent>>,
    open: Cell<bool>,
    piped: Cell<bool>,
    failed: Cell<bool>,
    gone: Cell<bool>,
}

/// How COMMIT ended.
pub(in crate::store) enum Committed {
    /// It is durable.
    Yes,
    /// A statement before it had failed: the server has rolled everything back.
    RolledBack(StoreError),
    /// The connection was lost: nobody here knows.
    Unknown(StoreError),
}

impl Session {
    pub(super) fn new(client: Client, place: Arc<str>) -> Self {
        Self {
            place,
            client: Arc::new(client),
            statements: RefCell::default(),
            sent: RefCell::default(),
            open: Cell::new(false),
            piped: Cell::new(false),
            failed: Cell::new(false),
            gone: Cell::new(false),
        }
    }

    /// Whether the connection can no longer be used.
    pub(in crate::store) fn is_gone(&self) -> bool {
        self.gone.get() || self.client.is_closed()
    }

    /// Whether a statement of the open transaction is known to have failed: the server refuses all others.
    pub(in crate::store) fn has_failed(&self) -> bool {
        self.failed.get()
    }

    /// Whether no transaction is open.
    pub(in crate::store) fn is_autocommit(&self) -> bool {
        !self.open.get()
    }

    /// Sends a BEGIN. `piped`: what changes rows is only sent, and waited for at the end.
    pub(in crate::store) fn begin(&self, text: &'static str, piped: bool) {
        self.open.set(true);
        self.failed.set(false);
        self.piped.set(piped);
        self.send_control(text);
    }

    /// Sends COMMIT and waits for it, and for everything that was sent before.
    pub(in crate::store) fn commit(&self) -> Committed {
        self.send_control("COMMIT");
        self.open.set(false);
        match self.settle("committing") {
            Ok(()) if self.failed.get() => {
                let what = "a statement of the transaction had failed, and COMMIT has rolled it back".into();
                Committed::RolledBack(StoreError::Corrupt { what })
            }
            Ok(()) => Committed::Yes,
            Err(error) if self.gone.get() => Committed::Unknown(error),
            Err(error) => Committed::RolledBack(error),
        }
    }

    /// Sends ROLLBACK, for a transaction of which nobody wants to know anything more; does not wait for it.
    pub(in crate::store) fn abandon(&self) {
        if self.open.replace(false) {
            self.send_control("ROLLBACK");
        }
        // They are on their way, and what they say is of no use to anybody.
        self.sent.borrow_mut().clear();
        self.failed.set(false);
    }

    /// As [`abandon`](Self::abandon), and waits until everything is answered that was sent: what comes next must not
    /// hear of it.
    pub(in crate::store) fn discard(&self) {
        self.abandon();
        // What failed is why it is given up; a lost connection is remembered.
        let _ = self.settle("rolling back");
        self.failed.set(false);
    }

    /// Runs a statement without parameters or rows. In a pipelined transaction it is only sent.
    pub(in crate::store) fn control(&self, step: &'static str, text: &'static str) -> Result<(), StoreError> {
        self.send_control(text);
        if text == "ROLLBACK" || text == "COMMIT" {
            self.open.set(false);
        }
        if text.starts_with("ROLLBACK") {
            // Back before whatever has failed.
            self.failed.set(false);
        }
        if self.piped.get() && self.open.get() { Ok(()) } else { self.settle(step) }
    }

    fn send_control(&self, text: &'static str) {
        let client = Arc::clone(&self.client);
        self.send(Box::pin(async move { client.batch_execute(text).await.map(|()| 0) }));
    }

    /// Lifts the time limit of statements, for a start that reads whole tables, or sets it again.
    pub(in crate::store) fn limit(&self, time: Option<std::time::Duration>) -> Result<(), StoreError> {
        let ms = time.map_or(0, |time| time.as_millis());
        self.script("setting the time limit", format!("SET statement_timeout = {ms}"))
    }

    /// Several statements in one text: a migration.
    pub(in crate::store) fn script(&self, step: &'static str, text: String) -> Result<(), StoreError> {
        let client = Arc::clone(&self.client);
        self.send(Box::pin(async move { client.batch_execute(&text).await.map(|()| 0) }));
        self.settle(step)
    }

    /// Runs a statement that changes rows; in a pipelined transaction it is only sent.
    pub(in crate::store) fn exec(&self, sql: &'static str, params: &[Val<'_>]) -> Result<(), StoreError> {
        self.send_statement(sql, params)?;
        if self.piped.get() && self.open.get() { Ok(()) } else { self.settle("writing") }
    }

    /// As [`exec`](Self::exec), and waits for how many rows it changed.
    pub(in crate::store) fn exec_count(&self, sql: &'static str, params: &[Val<'_>]) -> Result<u64, StoreError> {
        self.send_statement(sql, params)?;
        let last = self.sent.borrow_mut().pop();
        let before = self.settle("writing");
        let count = last.map_or(Ok(0), |last| self.wait("writing", last));
        before.and(count)
    }

    fn send_statement(&self, sql: &'static str, params: &[Val<'_>]) -> Result<(), StoreError> {
        let statement = self.prepared(sql, params)?;
        let values = owned(params)?;
        let client = Arc::clone(&self.client);
        self.send(Box::pin(async move { client.execute_raw(&statement, values).await }));
        Ok(())
    }

    /// Runs a query and gives each row to `each`, until it breaks. All rows are here before the first is given out, so
    /// `each` may ask further questions.
    pub(in crate::store) fn each(
        &self,
        sql: &'static str,
        params: &[Val<'_>],
        mut each: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let rows = self.ask(sql, params)?;
        let rows: Vec<PgRow> = self.wait("reading rows", rows.try_collect())?;
        for row in &rows {
            if each(&Row::Pg(row))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// As [`each`](Self::each), with one row in memory at a time: `each` must not use this session.
    pub(in crate::store) fn stream(
        &self,
        sql: &'static str,
        params: &[Val<'_>],
        mut each: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let mut rows = pin!(self.ask(sql, params)?);
        while let Some(row) = block_on(rows.next()) {
            let row = row.map_err(|error| self.note("reading rows", error))?;
            if each(&Row::Pg(&row))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn ask(&self, sql: &'static str, params: &[Val<'_>]) -> Result<RowStream, StoreError> {
        let statement = self.prepared(sql, params)?;
        let values = owned(params)?;
        self.wait("asking", self.client.query_raw(&statement, values))
    }

    /// The statement of `sql`; prepared once, with the types of the values it is first asked with.
    fn prepared(&self, sql: &'static str, params: &[Val<'_>]) -> Result<Statement, StoreError> {
        if let Some(known) = self.statements.borrow().get(sql) {
            return Ok(known.clone());
        }
        let types: Vec<_> = params.iter().map(type_of).collect();
        let text = numbered(sql);
        let statement = self.wait("preparing a statement", self.client.prepare_typed(&text, &types))?;
        self.statements.borrow_mut().insert(sql, statement.clone());
        Ok(statement)
    }

    /// Sends what the future asks for, without waiting: the driver answers requests in the order of this.
    fn send(&self, mut sent: Sent) {
        let polled = sent.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        match polled {
            std::task::Poll::Pending => self.sent.borrow_mut().push(sent),
            std::task::Poll::Ready(outcome) => self.sent.borrow_mut().push(Box::pin(std::future::ready(outcome))),
        }
    }

    /// Waits for everything that was sent; the first thing that went wrong.
    pub(in crate::store) fn settle(&self, step: &'static str) -> Result<(), StoreError> {
        let sent = std::mem::take(&mut *self.sent.borrow_mut());
        let mut first = Ok(());
        for one in sent {
            let outcome = self.wait(step, one).map(|_| ());
            if first.is_ok() {
                first = outcome;
            }
        }
        first
    }

    fn wait<T>(
        &self,
        step: &'static str,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        block_on(work).map_err(|error| self.note(step, error))
    }

    /// Remembers what an error means for the session.
    fn note(&self, step: &'static str, error: tokio_postgres::Error) -> StoreError {
        self.failed.set(true);
        if is_gone(&error) || self.client.is_closed() {
            self.gone.set(true);
            tracing::warn!(step, error = words(&error), "the connection to PostgreSQL is lost");
            return StoreError::Unreachable { place: self.place.as_ref().into(), reason: words(&error) };
        }
        StoreError::sql(step, error)
    }
}

/// The values of a statement, owned; refuses what one of the engines cannot store.
fn owned(params: &[Val<'_>]) -> Result<Vec<Owned>, StoreError> {
    if params.iter().any(|value| matches!(value, Val::Text(Some(text)) if text.as_bytes().contains(&0))) {
        return Err(StoreError::Corrupt { what: "a text to be stored contains NUL; nothing was stored".into() });
    }
    Ok(params.iter().map(Owned::from).collect())
}
