//! What a request does with one file or directory: reads from a snapshot, and the mutations as a request starts them.
//!
//! Every answer about a path passes `Access` first; refusals are the same for existing and missing paths. The rules
//! of the mutations themselves are in `ops`.

pub mod append_ops;
pub mod bulk_ops;
pub mod bulk_read;
pub(in crate::service) mod changes;
pub mod columns;
pub mod edit;
pub mod list;
pub mod ops;
pub mod reach;
pub mod transfer;
pub mod tree;

use bytes::Bytes;

use crate::model::{ContentHash, NodeKind, NodeRow, VirtualPath};
use crate::service::access::{Access, Permission, Target};
use crate::service::files::bulk_read::READ_BYTES_MAX;
use crate::service::files::ops::{
    DeleteFile, MakeDirectory, PutFile, PutOptions, RemoveDirectory, RenameNode, Written, free_detached,
};
use crate::service::located::{End, Located};
use crate::service::{Call, ServiceError};
use crate::store::{Sql, StoreError, contents};
use crate::telemetry::metric;

/// A path of a request, `/` allowed.
pub fn path(text: &str) -> Result<VirtualPath, ServiceError> {
    VirtualPath::parse(text).map_err(|reason| ServiceError::path(text, reason))
}

/// A path of a request that names a file or a directory below `/`.
pub fn path_below_root(text: &str) -> Result<VirtualPath, ServiceError> {
    VirtualPath::parse_below_root(text).map_err(|reason| ServiceError::path(text, reason))
}

/// A file that was read.
#[derive(Debug, Clone)]
pub struct FileRead {
    /// The body; empty if the caller has it already.
    pub body: Bytes,
    /// BLAKE3 of the body, hex.
    pub etag: String,
    /// The version, from 1.
    pub version: u64,
    /// Unix time, µs.
    pub modified_at_us: i64,
    /// Bytes.
    pub size: u64,
}

/// Reads a file. The body stays away where its etag is `known`. Who is shown only some columns of a table gets these.
pub async fn read(call: &Call, path: VirtualPath, known: Option<String>) -> Result<FileRead, ServiceError> {
    let (asked, of, has) = (call.clone(), path.clone(), known.clone());
    let whole = call
        .read(move |tx| {
            let (access, end) = (asked.access(tx)?, End::find(tx, &path)?);
            if access.column_rules(end.target())?.is_some() {
                return Ok(None);
            }
            let node = described(&access, end.target())?;
            let hash = content_of(&node, &path)?;
            if known.is_some() && known == node.content {
                return Ok(Some((node, Body::Here(Bytes::new()))));
            }
            if node.size > READ_BYTES_MAX as u64 {
                return Err(ServiceError::FileTooLarge { path: path.to_string(), limit_bytes: READ_BYTES_MAX });
            }
            let content = contents::get(tx, hash).map_err(|e| damaged(&path, e))?.ok_or_else(|| lost(&path))?;
            let body = content.body.map_or(Body::Blob(hash), |b| Body::Here(b.into()));
            Ok::<_, ServiceError>(Some((node, body)))
        })
        .await?;
    let Some((node, body)) = whole else { return columns::read(call, of, has).await };
    let body = match body {
        Body::Here(body) => body,
        Body::Blob(hash) => call.store.get_blob(hash).await.map_err(|e| damaged(&of, e))?,
    };
    let (version, modified_at_us, size) = (node.version, node.modified_at_us, node.size);
    Ok(FileRead { body, etag: node.content.unwrap_or_default(), version, modified_at_us, size })
}

/// Where the body of a file is.
enum Body {
    Here(Bytes),
    Blob(ContentHash),
}

/// The node at a path whose bytes the caller may have: it may read the file, and all of it.
pub(in crate::service) fn readable<T: Sql>(
    access: &Access<'_, T>,
    target: Target<'_>,
) -> Result<NodeRow, ServiceError> {
    let node = described(access, target)?;
    access.require_whole(target)?;
    Ok(node)
}

/// The node at a path that the caller may read, perhaps not all of it: enough for what is said about the file.
pub(in crate::service) fn described<T: Sql>(
    access: &Access<'_, T>,
    target: Target<'_>,
) -> Result<NodeRow, ServiceError> {
    access.require_file(target, Permission::Read)?;
    match target.node {
        Some(node) => Ok(node.clone()),
        None => Err(access.missing(&Located::find(access.tx(), target.path)?, Permission::Read)),
    }
}

pub(in crate::service) fn content_of(node: &NodeRow, path: &VirtualPath) -> Result<ContentHash, ServiceError> {
    if node.kind == NodeKind::Directory {
        return Err(ServiceError::Precondition(format!("[Errno 21] Is a directory: {path}. Use list")));
    }
    node.content.as_deref().and_then(ContentHash::from_hex).ok_or_else(|| lost(path))
}

pub(in crate::service) fn lost(path: &VirtualPath) -> ServiceError {
    damaged(path, StoreError::Corrupt { what: "the content that the node names is missing".into() })
}

/// The error of a file whose body is not what was stored: it concerns this file alone, and says which.
pub(in crate::service) fn damaged(path: &VirtualPath, error: StoreError) -> ServiceError {
    match error {
        StoreError::Corrupt { what } => {
            tracing::error!(%path, what, "a file is damaged; it was not handed out");
            metric::INTEGRITY_ERRORS.count(&[]);
            ServiceError::Integrity { path: path.to_string() }
        }
        error => error.into(),
    }
}

/// The node at `path`: of a file to a caller who may read it, of a directory also to one who sees something below.
pub async fn stat(call: &Call, path: VirtualPath) -> Result<NodeRow, ServiceError> {
    let asked = call.clone();
    call.read(move |tx| {
        let (access, end) = (asked.access(tx)?, End::find(tx, &path)?);
        match end.node() {
            Some(node) if access.visible(end.target())? => Ok(node.clone()),
            _ => described(&access, end.target()),
        }
    })
    .await
}

/// The kind of the node at `path`, if there is one that the caller may see.
///
/// `/` is a directory like any other: the incumbent says that it does not exist, though it lists it.
pub async fn visible_kind(call: &Call, path: VirtualPath) -> Result<Option<NodeKind>, ServiceError> {
    let asked = call.clone();
    call.read(move |tx| {
        let (access, end) = (asked.access(tx)?, End::find(tx, &path)?);
        let seen = access.visible(end.target())?;
        Ok(end.node().filter(|_| seen).map(|node| node.kind))
    })
    .await
}

/// Writes a file: a new one, or the next version.
pub async fn write(call: &Call, path: VirtualPath, body: Bytes, options: PutOptions) -> Result<Written, ServiceError> {
    let op = PutFile::prepare(call, path, body, options).await?;
    call.submit(op).await
}

/// Deletes a file, or a directory that is empty.
pub async fn delete(call: &Call, path: VirtualPath) -> Result<(), ServiceError> {
    delete_if(call, path, PutOptions::default()).await
}

/// As [`delete`], only if it is as `options` says.
pub async fn delete_if(call: &Call, path: VirtualPath, options: PutOptions) -> Result<(), ServiceError> {
    let (asked, of) = (call.clone(), path.clone());
    call.read(move |tx| DeleteFile::check(&asked.access(tx)?, &Located::find(tx, &of)?).map(|_| ())).await?;
    call.submit(DeleteFile { caller: call.caller.clone(), path, options }).await
}

/// Moves a file, or a directory with everything below it.
pub async fn rename(call: &Call, old: VirtualPath, new: VirtualPath) -> Result<(), ServiceError> {
    let (asked, caller) = (call.clone(), call.caller.clone());
    let op = RenameNode { caller, old, new };
    let op = call
        .read(move |tx| {
            let (source, goal) = (Located::find(tx, &op.old)?, Located::find(tx, &op.new)?);
            op.check(&asked.access(tx)?, &source, &goal)?;
            Ok::<_, ServiceError>(op)
        })
        .await?;
    call.submit(op).await
}

/// Makes a directory; whoever makes it owns it.
pub async fn make_directory(call: &Call, path: VirtualPath, parents: bool, exist_ok: bool) -> Result<(), ServiceError> {
    let (asked, caller, tuple_id) = (call.clone(), call.caller.clone(), call.store.random().uuid());
    let op = MakeDirectory { caller, path, parents, exist_ok, tuple_id };
    let op = call
        .read(move |tx| {
            op.check(&asked.access(tx)?, &Located::find(tx, &op.path)?)?;
            Ok::<_, ServiceError>(op)
        })
        .await?;
    call.submit(op).await
}

/// Removes a directory. What was below it is gone at once; its rows are freed by a task of their own.
pub async fn remove_directory(call: &Call, path: VirtualPath, recursive: bool) -> Result<(), ServiceError> {
    let (asked, caller) = (call.clone(), call.caller.clone());
    let op = RemoveDirectory { caller, path, recursive };
    let op = call
        .read(move |tx| {
            op.check(&asked.access(tx)?, &Located::find(tx, &op.path)?)?;
            Ok::<_, ServiceError>(op)
        })
        .await?;
    if call.submit(op).await? {
        free_in_background(call);
    }
    Ok(())
}

/// Starts to free the rows of removed directories. Without a runtime (a test that polls by hand) the next removal or
/// the next start does it.
pub fn free_in_background(call: &Call) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(free_detached(call.store.clone()));
    }
}
