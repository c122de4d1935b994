//! What the tables of records have in common: scopes, owners of names, and pages, newest first.

use super::{Row, StoreError};
use crate::model::ContentHash;

/// For one agent or one person.
pub const AGENT: &str = "agent";
/// For a user and his agents.
pub const USER: &str = "user";
/// For all of a tenant.
pub const TENANT: &str = "tenant";
/// For everybody.
pub const GLOBAL: &str = "global";

/// Whose names are meant.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// One of the scopes.
    pub scope: &'a str,
    /// `agent:<id>`, `user:<id>`, or empty for all of the scope.
    pub name: &'a str,
}

/// Which rows a page is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'a> {
    /// All of a user in a tenant, and of his agents.
    User(&'a str, &'a str),
    /// All of a tenant.
    Tenant(&'a str),
    /// Those of a tenant that are for all of it.
    Shared(&'a str),
    /// Those for everybody.
    Global,
}

/// Where a page begins: before this time and, of the same time, before this id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// Unix time, µs.
    pub at_us: i64,
    /// The id.
    pub id: String,
}

impl Before {
    /// Before nothing: the first page.
    #[must_use]
    pub fn everything() -> Self {
        Self { at_us: i64::MAX, id: String::new() }
    }
}

/// The hash that a row names.
pub(super) fn hash_of(text: &str) -> Result<ContentHash, StoreError> {
    ContentHash::from_hex(text).ok_or_else(|| StoreError::Corrupt { what: format!("'{text}' names no body") })
}

/// The hash in a column, as text.
pub(super) fn hash_text(row: &Row<'_>, at: usize) -> Result<String, StoreError> {
    let bytes = row.blob(at)?.try_into();
    let bytes = bytes.map_err(|_| StoreError::Corrupt { what: "a content address is not 32 bytes".into() })?;
    Ok(ContentHash::from_bytes(bytes).to_hex())
}
