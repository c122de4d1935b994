//! A connection for reading: its transactions are REPEATABLE READ and READ ONLY, and a lost one is made anew.

use crate::store::StoreError;
use crate::store::backend::Conn;

use super::{Connector, Session};

/// One snapshot for the whole transaction, taken by its first question.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// A connection for reading.
pub(in crate::store) struct Reader {
    connector: Connector,
    session: Session,
}

impl Reader {
    pub(in crate::store) fn open(connector: Connector) -> Result<Self, StoreError> {
        let session = connector.session()?;
        Ok(Self { connector, session })
    }

    pub(in crate::store) fn session(&self) -> &Session {
        &self.session
    }

    /// Begins a transaction with its first question, in one flight. A connection that was lost since the last one, as
    /// all are when the database server was restarted, is made anew.
    pub(in crate::store) fn begin<T>(
        &mut self,
        first: impl Fn(Conn<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        for tried in [false, true] {
            if self.session.is_gone() {
                self.session = self.connector.session()?;
            }
            self.session.begin(BEGIN, false);
            match first(Conn::Pg(&self.session)) {
                Err(_) if !tried && self.session.is_gone() => {}
                answer => return answer,
            }
        }
        Err(StoreError::Unreachable { place: self.connector.place(), reason: "the connection was lost".into() })
    }
}
