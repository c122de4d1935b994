//! The writer message that makes an earlier version the newest.
//!
//! Needs `write` and nothing more: who may write may write these bytes, and the answer does not show them.

use crate::auth::Caller;
use crate::model::VirtualPath;
use crate::service::ServiceError;
use crate::service::access::{Access, Permission};
use crate::service::files::ops::{MESSAGE_BYTES, PutOptions};
use crate::service::files::tree::{FileBody, Written, put_at};
use crate::service::files::{content_of, damaged, lost};
use crate::service::located::Located;
use crate::service::versions::{find, hash_of};
use crate::store::versions::VersionRow;
use crate::store::{Sql, WriteOp, WriteTx, contents};

/// The source of a version that repeats an earlier one.
const ROLLBACK: &str = "rollback";

/// Makes an earlier version of a file the newest: the next version, with the same bytes.
#[derive(Debug)]
pub struct RollbackFile {
    /// Who asks.
    pub caller: Caller,
    /// The file.
    pub path: VirtualPath,
    /// The number of the earlier version.
    pub version: u64,
    /// The etag that the file must have.
    pub if_match: Option<String>,
}

impl WriteOp for RollbackFile {
    const NAME: &'static str = "file_rollback";
    type Output = Written;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Written, ServiceError> {
        let located = Located::find(tx, &self.path)?;
        let access = Access::in_writer(&*tx, &self.caller)?;
        let row = self.check(&access, &located)?;
        let caller = access.caller().clone();
        let hash = hash_of(&row, &self.path)?;
        let content = contents::get(tx, hash).map_err(|e| damaged(&self.path, e))?.ok_or_else(|| lost(&self.path))?;
        let body = FileBody::stored(&self.path, hash, row.size, content.body.as_deref());
        put_at(tx, &caller, &located, &body, ROLLBACK, Some(&format!("Rollback to version {}", self.version)))
    }

    fn bytes(&self) -> usize {
        self.path.as_str().len() + MESSAGE_BYTES
    }
}

impl RollbackFile {
    /// The rights and the rules, for the request and for the writer; the version that is repeated.
    pub fn check<T: Sql>(&self, access: &Access<'_, T>, located: &Located) -> Result<VersionRow, ServiceError> {
        access.require_file(located.target(), Permission::Write)?;
        let node = located.node().ok_or_else(|| access.missing(located, Permission::Write))?;
        content_of(node, &self.path)?;
        PutOptions::over(self.if_match.clone()).check(&self.path, Some(node))?;
        find(access.tx(), node, &self.path, self.version)
    }
}
