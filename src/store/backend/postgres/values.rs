//! Values on their way to the server: owned, because a statement may be sent now and waited for later.

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::store::row::Val;

/// A parameter that outlives the call that gave it.
#[derive(Debug)]
pub(super) enum Owned {
    Int(Option<i64>),
    Text(Option<String>),
    Blob(Option<Vec<u8>>),
    Real(Option<f64>),
}

impl From<&Val<'_>> for Owned {
    fn from(val: &Val<'_>) -> Self {
        match *val {
            Val::Int(v) => Self::Int(v),
            Val::Text(v) => Self::Text(v.map(str::to_owned)),
            Val::Blob(v) => Self::Blob(v.map(<[u8]>::to_vec)),
            Val::Real(v) => Self::Real(v),
        }
    }
}

/// The type that the parameter is sent as. Told to the server at PREPARE: it would otherwise guess another one for
/// `?1 IS NULL OR …` or `?1 + 1`.
pub(super) fn type_of(val: &Val<'_>) -> Type {
    match val {
        Val::Int(_) => Type::INT8,
        Val::Text(_) => Type::TEXT,
        Val::Blob(_) => Type::BYTEA,
        Val::Real(_) => Type::FLOAT8,
    }
}

impl ToSql for Owned {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Int(v) => v.to_sql(ty, out),
            Self::Text(v) => v.to_sql(ty, out),
            Self::Blob(v) => v.to_sql(ty, out),
            Self::Real(v) => v.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// `?1` as PostgreSQL writes it. Literals of ours hold no question mark (tested).
pub(super) fn numbered(sql: &str) -> String {
    sql.replace('?', "$")
}

/// A column of whole numbers: what counts and compares gives is narrower than what is stored.
pub(in crate::store) fn int(row: &tokio_postgres::Row, at: usize) -> Result<Option<i64>, tokio_postgres::Error> {
    match row.columns().get(at).map(tokio_postgres::Column::type_) {
        Some(&Type::INT2) => row.try_get::<_, Option<i16>>(at).map(|v| v.map(i64::from)),
        Some(&Type::INT4) => row.try_get::<_, Option<i32>>(at).map(|v| v.map(i64::from)),
        Some(&Type::BOOL) => row.try_get::<_, Option<bool>>(at).map(|v| v.map(i64::from)),
        _ => row.try_get::<_, Option<i64>>(at),
    }
}
