//! Values that go into a statement and rows that come out, in a shape that fits two engines: typed parameters, columns
//! by position.

use super::StoreError;
use crate::model::EntityId;

/// A parameter. A NULL keeps its type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Val<'a> {
    /// A 64-bit integer; booleans are 0 and 1.
    Int(Option<i64>),
    /// Text without NUL.
    Text(Option<&'a str>),
    /// Bytes.
    Blob(Option<&'a [u8]>),
    /// A double.
    Real(Option<f64>),
}

impl From<i64> for Val<'_> {
    fn from(v: i64) -> Self {
        Self::Int(Some(v))
    }
}
impl From<Option<i64>> for Val<'_> {
    fn from(v: Option<i64>) -> Self {
        Self::Int(v)
    }
}
impl From<u64> for Val<'_> {
    fn from(v: u64) -> Self {
        // Revisions, ids and sizes stay far below 2^63; a larger one is an error of the program.
        Self::Int(Some(i64::try_from(v).expect("ids, revisions and sizes fit 63 bits")))
    }
}
impl From<Option<u64>> for Val<'_> {
    fn from(v: Option<u64>) -> Self {
        Val::Int(v.map(|v| i64::try_from(v).expect("ids, revisions and sizes stay below 2^63")))
    }
}
impl From<u32> for Val<'_> {
    fn from(v: u32) -> Self {
        Self::Int(Some(i64::from(v)))
    }
}
impl From<Option<u32>> for Val<'_> {
    fn from(v: Option<u32>) -> Self {
        Self::Int(v.map(i64::from))
    }
}
impl From<bool> for Val<'_> {
    fn from(v: bool) -> Self {
        Self::Int(Some(i64::from(v)))
    }
}
impl<'a> From<&'a str> for Val<'a> {
    fn from(v: &'a str) -> Self {
        Self::Text(Some(v))
    }
}
impl<'a> From<&'a String> for Val<'a> {
    fn from(v: &'a String) -> Self {
        Self::Text(Some(v))
    }
}
impl<'a> From<Option<&'a str>> for Val<'a> {
    fn from(v: Option<&'a str>) -> Self {
        Self::Text(v)
    }
}
impl<'a> From<&'a Option<String>> for Val<'a> {
    fn from(v: &'a Option<String>) -> Self {
        Self::Text(v.as_deref())
    }
}
impl<'a> From<&'a [u8]> for Val<'a> {
    fn from(v: &'a [u8]) -> Self {
        Self::Blob(Some(v))
    }
}
impl<'a> From<Option<&'a [u8]>> for Val<'a> {
    fn from(v: Option<&'a [u8]>) -> Self {
        Self::Blob(v)
    }
}

/// Turns values into the parameter list of a statement: `params![id, name, None::<&str>]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::store::Val::from($value)),*] };
}

/// A row of a result, read by position. Reading a column as another type than it has is an error, not a guess.
#[derive(Debug)]
pub enum Row<'a> {
    /// A row of SQLite.
    Lite(&'a rusqlite::Row<'a>),
    /// A row of PostgreSQL.
    #[cfg(feature = "postgres")]
    Pg(&'a tokio_postgres::Row),
}

/// The entity id in a column.
fn entity(at: usize, value: i64) -> Result<EntityId, StoreError> {
    EntityId::try_from(value).map_err(|_| StoreError::Corrupt { what: format!("column {at} holds {value}") })
}

/// The step of an error of a column.
const COLUMN: &str = "reading a column";

/// Reads a column in the way of either engine.
macro_rules! column {
    ($row:expr, $at:expr, $lite:ident => $from_lite:expr, $pg:ty) => {
        match $row {
            Self::Lite(row) => {
                let $lite = row.get_ref($at).map_err(|e| StoreError::sql(COLUMN, e))?;
                $from_lite.map_err(|e| StoreError::sql(COLUMN, rusqlite::Error::from(e)))
            }
            #[cfg(feature = "postgres")]
            Self::Pg(row) => row.try_get::<_, $pg>($at).map_err(|e| StoreError::sql(COLUMN, e)),
        }
    };
}

impl Row<'_> {
    /// An integer column.
    pub fn int(&self, at: usize) -> Result<i64, StoreError> {
        let null = || StoreError::Corrupt { what: format!("column {at} is NULL") };
        self.opt_int(at)?.ok_or_else(null)
    }
    /// An integer column that may be NULL.
    pub fn opt_int(&self, at: usize) -> Result<Option<i64>, StoreError> {
        match self {
            Self::Lite(row) => row.get(at).map_err(|e| StoreError::sql(COLUMN, e)),
            #[cfg(feature = "postgres")]
            Self::Pg(row) => super::backend::postgres::int(row, at).map_err(|e| StoreError::sql(COLUMN, e)),
        }
    }
    /// An integer column that holds an id, a revision, a size or a count.
    pub fn id(&self, at: usize) -> Result<u64, StoreError> {
        let value = self.int(at)?;
        u64::try_from(value).map_err(|_| StoreError::Corrupt { what: format!("column {at} holds {value}") })
    }
    /// An integer column that holds an entity id.
    pub fn entity(&self, at: usize) -> Result<EntityId, StoreError> {
        entity(at, self.int(at)?)
    }
    /// A column that holds an entity id or NULL.
    pub fn opt_entity(&self, at: usize) -> Result<Option<EntityId>, StoreError> {
        self.opt_int(at)?.map(|value| entity(at, value)).transpose()
    }
    /// A column that holds 0 or 1.
    pub fn bool(&self, at: usize) -> Result<bool, StoreError> {
        self.int(at).map(|v| v != 0)
    }
    /// A text column.
    pub fn text(&self, at: usize) -> Result<&str, StoreError> {
        column!(self, at, value => value.as_str(), &str)
    }
    /// A text column that may be NULL.
    pub fn opt_text(&self, at: usize) -> Result<Option<&str>, StoreError> {
        column!(self, at, value => value.as_str_or_null(), Option<&str>)
    }
    /// A text column, owned.
    pub fn string(&self, at: usize) -> Result<String, StoreError> {
        self.text(at).map(str::to_owned)
    }
    /// A text column that may be NULL, owned.
    pub fn opt_string(&self, at: usize) -> Result<Option<String>, StoreError> {
        self.opt_text(at).map(|v| v.map(str::to_owned))
    }
    /// A column of bytes.
    pub fn blob(&self, at: usize) -> Result<&[u8], StoreError> {
        column!(self, at, value => value.as_blob(), &[u8])
    }
    /// A column of bytes that may be NULL.
    pub fn opt_blob(&self, at: usize) -> Result<Option<&[u8]>, StoreError> {
        column!(self, at, value => value.as_blob_or_null(), Option<&[u8]>)
    }
}
