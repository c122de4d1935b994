//! Several files in one request, read at one revision.

use bytes::Bytes;

use crate::model::{ContentHash, NodeRow, VirtualPath};
use crate::service::files::{FileRead, content_of, damaged, lost, path_below_root, readable};
use crate::service::located::End;
use crate::service::{Call, ServiceError};
use crate::store::{ReadTx, StoreError, contents};

/// Files that one request may read.
pub const READ_FILES_MAX: usize = 1_000;
/// Bytes of all bodies, or of one, that one request may read; they take a third more in an answer.
pub const READ_BYTES_MAX: usize = 48 << 20;
/// Files that are read on the caller's thread; more go to the slow lane.
const INLINE_FILES_MAX: usize = 16;

/// A file, or why it was not read.
type Outcome<T> = Result<T, ServiceError>;

/// Reads files, each with its own outcome, in the order of `paths`. What concerns all of them is an error of the whole.
pub async fn read_many(call: &Call, paths: Vec<String>) -> Result<Vec<Outcome<FileRead>>, ServiceError> {
    if paths.len() > READ_FILES_MAX {
        return Err(ServiceError::InvalidParams(format!("at most {READ_FILES_MAX} paths, not {}", paths.len())));
    }
    let asked = call.clone();
    let few = paths.len() <= INLINE_FILES_MAX;
    let read = move |tx: &ReadTx<'_>| {
        let access = asked.access(tx)?;
        let mut bytes = 0;
        let found = paths.iter().map(|text| {
            let path = path_below_root(text)?;
            let node = readable(&access, End::find(tx, &path)?.target())?;
            let hash = content_of(&node, &path)?;
            bytes += usize::try_from(node.size).unwrap_or(usize::MAX).min(READ_BYTES_MAX);
            if bytes > READ_BYTES_MAX {
                return Err(ServiceError::ResultTooLarge { limit_bytes: READ_BYTES_MAX });
            }
            let content = contents::get(tx, hash).map_err(|e| damaged(&path, e))?.ok_or_else(|| lost(&path))?;
            Ok((path, node, hash, content.body.map(Bytes::from)))
        });
        found.map(of_one).collect::<Result<Vec<_>, ServiceError>>()
    };
    let found = if few { call.read(read).await? } else { call.read_slow(read).await? };
    let mut files = Vec::with_capacity(found.len());
    for file in found {
        files.push(match file {
            Ok(file) => of_one(whole(call, file).await)?,
            Err(error) => Err(error),
        });
    }
    Ok(files)
}

/// A file that was found, with its body if it lies in the database.
type FoundFile = (VirtualPath, NodeRow, ContentHash, Option<Bytes>);

async fn whole(call: &Call, (path, node, hash, body): FoundFile) -> Outcome<FileRead> {
    let body = match body {
        Some(body) => body,
        None => call.store.get_blob(hash).await.map_err(|e| damaged(&path, e))?,
    };
    let (version, modified_at_us, size) = (node.version, node.modified_at_us, node.size);
    Ok(FileRead { body, etag: node.content.unwrap_or_default(), version, modified_at_us, size })
}

/// What concerns one file, or, as an error, what concerns the request.
pub(in crate::service) fn of_one<T>(outcome: Outcome<T>) -> Result<Outcome<T>, ServiceError> {
    match outcome {
        Err(error @ ServiceError::Store(StoreError::OverQuota(_))) => Ok(Err(error)),
        Err(error @ (ServiceError::Store(_) | ServiceError::Unauthenticated | ServiceError::ResultTooLarge { .. })) => {
            Err(error)
        }
        outcome => Ok(outcome),
    }
}
