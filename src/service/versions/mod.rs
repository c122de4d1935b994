//! The past of a file: its versions, what lay in them, and what differs between two.
//!
//! Owns who may look: whoever may read the file today, also into versions of a time when he could not (the rights of
//! now decide). History follows the file when it is moved. Changes nothing; `ops` does.

pub mod deleted;
pub mod metadata;
pub mod moving;
pub mod ops;
pub mod undelete_ops;

use bytes::Bytes;

use crate::model::{ContentHash, NodeKind, NodeRow, VirtualPath};
use crate::service::access::Permission;
use crate::service::files::edit::{TEXT_BYTES_MAX, difference};
use crate::service::files::{content_of, damaged, lost, readable};
use crate::service::located::{End, Located};
use crate::service::versions::ops::RollbackFile;
use crate::service::{Call, ServiceError};
use crate::store::versions::{self, VersionRow};
use crate::store::{ReadTx, Sql, contents};

/// Versions that one answer lists at most.
pub const LISTED_MAX: usize = 10_000;
/// What is said of two versions with the same bytes.
const SAME: &str = "(no content changes)";

/// A version of a file, with the names that clients know it and the one before it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Made from the node and the number: the same whenever it is asked for.
    pub id: String,
    /// That of the version before; `None` for the first.
    pub parent: Option<String>,
    /// What is known of it.
    pub row: VersionRow,
}

/// The newest `limit` versions of the file at `path`, newest first; of a directory and of what is not there, none.
pub async fn list(call: &Call, path: VirtualPath, limit: usize) -> Result<Vec<Version>, ServiceError> {
    let asked = call.clone();
    call.read(move |tx| {
        let (access, located) = (asked.access(tx)?, Located::find(tx, &path)?);
        access.require_file(located.target(), Permission::Read)?;
        let Some(node) = located.node().filter(|node| node.kind == NodeKind::File) else { return Ok(Vec::new()) };
        let rows = versions::of_node(tx, node.id, limit.min(LISTED_MAX))?;
        Ok(rows.into_iter().map(|row| Version::new(node.id, row)).collect())
    })
    .await
}

impl Version {
    fn new(node: u64, row: VersionRow) -> Self {
        let parent = (row.version > 1).then(|| version_id(node, row.version - 1));
        Self { id: version_id(node, row.version), parent, row }
    }
}

/// A UUID that is the same for one version of one node, whoever asks.
fn version_id(node: u64, version: u64) -> String {
    let hash = ContentHash::of(format!("version {version} of node {node}").as_bytes()).to_hex();
    let part = |from, to| hash.get(from..to).unwrap_or_default();
    format!("{}-{}-8{}-8{}-{}", part(0, 8), part(8, 12), part(12, 15), part(15, 18), part(18, 30))
}

/// The body of one version.
pub async fn read(call: &Call, path: VirtualPath, version: u64) -> Result<Bytes, ServiceError> {
    let (asked, of) = (call.clone(), path.clone());
    let (hash, body) = call
        .read(move |tx| {
            let (_, row) = readable_version(&asked, tx, &path, version)?;
            let hash = hash_of(&row, &path)?;
            let content = contents::get(tx, hash).map_err(|e| damaged(&path, e))?.ok_or_else(|| lost(&path))?;
            Ok::<_, ServiceError>((hash, content.body))
        })
        .await?;
    match body {
        Some(body) => Ok(body.into()),
        None => call.store.get_blob(hash).await.map_err(|e| damaged(&of, e)),
    }
}

/// A version of a file that the caller may read, and the file.
fn readable_version(
    call: &Call,
    tx: &ReadTx<'_>,
    path: &VirtualPath,
    version: u64,
) -> Result<(NodeRow, VersionRow), ServiceError> {
    let node = readable(&call.access(tx)?, End::find(tx, path)?.target())?;
    content_of(&node, path)?;
    let row = find(tx, &node, path, version)?;
    Ok((node, row))
}

/// One version of a file.
fn find(tx: &impl Sql, node: &NodeRow, path: &VirtualPath, version: u64) -> Result<VersionRow, ServiceError> {
    let found = versions::of_number(tx, node.id, version)?;
    found.ok_or_else(|| ServiceError::NotFound(format!("{path} (version {version})")))
}

/// The content that a version names.
fn hash_of(row: &VersionRow, path: &VirtualPath) -> Result<ContentHash, ServiceError> {
    row.content.as_deref().and_then(ContentHash::from_hex).ok_or_else(|| lost(path))
}

/// Two versions of a file that the caller may read.
pub async fn pair(call: &Call, path: VirtualPath, numbers: [u64; 2]) -> Result<[VersionRow; 2], ServiceError> {
    let asked = call.clone();
    call.read(move |tx| {
        let (node, first) = readable_version(&asked, tx, &path, numbers[0])?;
        Ok([first, find(tx, &node, &path, numbers[1])?])
    })
    .await
}

/// The unified difference between two versions: of text; of anything else that there is one. On the slow lane; after
/// a second a longer difference than the best is shown.
pub async fn diff(call: &Call, path: VirtualPath, numbers: [u64; 2]) -> Result<String, ServiceError> {
    let asked = call.clone();
    call.read_slow(move |tx| {
        let (node, first) = readable_version(&asked, tx, &path, numbers[0])?;
        let second = find(tx, &node, &path, numbers[1])?;
        if first.content == second.content {
            return Ok(SAME.to_owned());
        }
        if let Some(row) = [&first, &second].into_iter().find(|row| row.size > TEXT_BYTES_MAX as u64) {
            let (size, number) = (row.size, row.version);
            return Err(ServiceError::Precondition(format!(
                "version {number} of {path} has {size} bytes; a difference is shown of at most {TEXT_BYTES_MAX}"
            )));
        }
        let text = |row: &VersionRow| {
            let body = contents::body(tx, hash_of(row, &path)?).map_err(|e| damaged(&path, e))?;
            // As git has it: a text holds no NUL.
            let body = body.ok_or_else(|| lost(&path))?;
            Ok::<_, ServiceError>(String::from_utf8(body).ok().filter(|text| !text.contains('\0')))
        };
        let (Some(before), Some(after)) = (text(&first)?, text(&second)?) else {
            let sizes = format!("{} and {} bytes", first.size, second.size);
            return Ok(format!("(binary content differs: {sizes})"));
        };
        let (mut diff, cut) = difference(&path, numbers, &before, &after);
        if cut {
            diff.push_str("\n(the difference is longer)\n");
        }
        Ok(diff)
    })
    .await
}

/// Makes an earlier version the newest. Only over the version with the etag `if_match`, if that is given.
pub async fn rollback(
    call: &Call,
    path: VirtualPath,
    version: u64,
    if_match: Option<String>,
) -> Result<(), ServiceError> {
    let (asked, op) = (call.clone(), RollbackFile { caller: call.caller.clone(), path, version, if_match });
    let op = call
        .read(move |tx| {
            op.check(&asked.access(tx)?, &Located::find(tx, &op.path)?)?;
            Ok::<_, ServiceError>(op)
        })
        .await?;
    call.submit(op).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_versions_are_uuids_and_all_differ() {
        let ids: std::collections::HashSet<_> =
            (1..50).flat_map(|node| (1..50).map(move |version| version_id(node, version))).collect();
        assert_eq!(ids.len(), 49 * 49);
        assert!(ids.iter().all(|id| id.len() == 36 && id.split('-').map(str::len).eq([8, 4, 4, 4, 12])), "{ids:?}");
    }
}
