//! Appending to a file, and copying one: writes that begin with what is there.
//!
//! Invariant: two appends at the same time both are in the file, whole, and neither is in it twice. What fits into the
//! database is joined by the writer itself; a larger body is joined and stored by the request, and written only over
//! the version that it was joined to.

use bytes::{Bytes, BytesMut};

use crate::auth::Caller;
use crate::model::{ContentHash, NodeRow, VirtualPath};
use crate::service::access::Access;
use crate::service::files::ops::{MESSAGE_BYTES, PutOptions};
use crate::service::files::tree::{FileBody, Written, put_at};
use crate::service::files::{content_of, damaged, lost, readable};
use crate::service::located::Located;
use crate::service::{Call, ServiceError};
use crate::store::{INLINE_BYTES_MAX, Sql, StoreError, WriteOp, WriteTx, contents};

/// Largest file that something is appended to, bytes.
pub const APPEND_FILE_BYTES_MAX: usize = 256 << 20;
/// How often a large body is joined anew because somebody else was faster.
const TRIES: u32 = 16;

/// Appends to a file, or makes it.
#[derive(Debug)]
pub struct AppendFile {
    caller: Caller,
    path: VirtualPath,
    more: Bytes,
    options: PutOptions,
    /// A large body, and the etag of what it was joined to (`None` = no file).
    joined: Option<(Option<String>, FileBody)>,
}

/// Appends `more` to the file at `path`, or makes it.
pub async fn append(call: &Call, path: VirtualPath, more: Bytes, options: PutOptions) -> Result<Written, ServiceError> {
    for _ in 0..TRIES {
        let joined = join(call, &path, &more, &options).await?;
        let (caller, path, more, options) = (call.caller.clone(), path.clone(), more.clone(), options.clone());
        if let Some(written) = call.submit(AppendFile { caller, path, more, options, joined }).await? {
            return Ok(written);
        }
    }
    Err(StoreError::Busy { queue: "the line of those who append to this file" }.into())
}

/// Checks cheaply, and makes the joined body if it is a large one.
async fn join(
    call: &Call,
    path: &VirtualPath,
    more: &Bytes,
    options: &PutOptions,
) -> Result<Option<(Option<String>, FileBody)>, ServiceError> {
    let (asked, of, options) = (call.clone(), path.clone(), options.clone());
    let node = call
        .read(move |tx| {
            let located = Located::find(tx, &of)?;
            asked.access(tx)?.require_write(&located)?;
            options.check(&of, located.node())?;
            let Some(node) = located.node().cloned() else { return Ok(None) };
            let hash = content_of(&node, &of)?;
            Ok::<_, ServiceError>(Some((node, hash)))
        })
        .await?;
    let Some((node, hash)) = node else {
        let large = more.len() > INLINE_BYTES_MAX;
        let body = if large { Some(FileBody::store(&call.store, path, more.clone()).await?) } else { None };
        return Ok(body.map(|body| (None, body)));
    };
    let size = joined_size(path, &node, more)?;
    if size <= INLINE_BYTES_MAX {
        return Ok(None);
    }
    let of = path.clone();
    let before =
        call.read_slow(move |tx| contents::body(tx, hash).map_err(|e| damaged(&of, e))?.ok_or_else(|| lost(&of)));
    let mut body = BytesMut::with_capacity(size);
    body.extend_from_slice(&before.await?);
    body.extend_from_slice(more);
    Ok(Some((node.content, FileBody::store(&call.store, path, body.freeze()).await?)))
}

fn joined_size(path: &VirtualPath, node: &NodeRow, more: &Bytes) -> Result<usize, ServiceError> {
    let size = usize::try_from(node.size).unwrap_or(usize::MAX).saturating_add(more.len());
    if size > APPEND_FILE_BYTES_MAX {
        let text = format!("{path} would be larger than {APPEND_FILE_BYTES_MAX} bytes; begin another file");
        return Err(ServiceError::Precondition(text));
    }
    Ok(size)
}

impl WriteOp for AppendFile {
    const NAME: &'static str = "file_append";
    /// `None` = the file is not what the large body was joined to; nothing was done.
    type Output = Option<Written>;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Option<Written>, ServiceError> {
        let located = Located::find(tx, &self.path)?;
        let access = Access::in_writer(&*tx, &self.caller)?;
        access.require_write(&located)?;
        let caller = access.caller().clone();
        self.options.check(&self.path, located.node())?;
        let current = located.node().and_then(|node| node.content.as_ref());
        let body = match &self.joined {
            Some((base, body)) if base.as_ref() == current => Some(body.clone()),
            _ => self.join_here(tx, located.node())?,
        };
        body.map(|body| put_at(tx, &caller, &located, &body, "original", None)).transpose()
    }

    fn bytes(&self) -> usize {
        let joined = self.joined.as_ref().map_or(0, |(_, body)| body.bytes());
        self.more.len().min(INLINE_BYTES_MAX) + joined + self.path.as_str().len() + MESSAGE_BYTES
    }
}

impl AppendFile {
    /// The joined body, if it is small.
    fn join_here(&self, tx: &WriteTx<'_>, node: Option<&NodeRow>) -> Result<Option<FileBody>, ServiceError> {
        let mut body = BytesMut::new();
        if let Some(node) = node {
            let hash = content_of(node, &self.path)?;
            if joined_size(&self.path, node, &self.more)? > INLINE_BYTES_MAX {
                return Ok(None);
            }
            let content = contents::get(tx, hash).map_err(|e| damaged(&self.path, e))?;
            body.extend_from_slice(&content.and_then(|content| content.body).ok_or_else(|| lost(&self.path))?);
        } else if self.more.len() > INLINE_BYTES_MAX {
            return Ok(None);
        }
        body.extend_from_slice(&self.more);
        Ok(Some(FileBody::inline(&self.path, body.freeze())))
    }
}

/// Copies a file; its body is not moved.
#[derive(Debug)]
pub struct CopyFile {
    caller: Caller,
    source: VirtualPath,
    goal: VirtualPath,
}

/// Copies a file to a path where nothing is.
pub async fn copy(call: &Call, source: VirtualPath, goal: VirtualPath) -> Result<Written, ServiceError> {
    let (asked, op) = (call.clone(), CopyFile { caller: call.caller.clone(), source, goal });
    let op = call
        .read(move |tx| {
            op.check(&asked.access(tx)?, &Located::find(tx, &op.source)?, &Located::find(tx, &op.goal)?)?;
            Ok::<_, ServiceError>(op)
        })
        .await?;
    call.submit(op).await
}

impl WriteOp for CopyFile {
    const NAME: &'static str = "file_copy";
    type Output = Written;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Written, ServiceError> {
        let (source, goal) = (Located::find(tx, &self.source)?, Located::find(tx, &self.goal)?);
        let access = Access::in_writer(&*tx, &self.caller)?;
        let (size, hash) = self.check(&access, &source, &goal)?;
        let caller = access.caller().clone();
        let content = contents::get(tx, hash).map_err(|e| damaged(&self.source, e))?;
        let content = content.ok_or_else(|| lost(&self.source))?;
        let body = FileBody::stored(&self.goal, hash, size, content.body.as_deref());
        put_at(tx, &caller, &goal, &body, "original", None)
    }

    fn bytes(&self) -> usize {
        self.source.as_str().len() + self.goal.as_str().len() + MESSAGE_BYTES
    }
}

impl CopyFile {
    /// The rights on both ends and the rules, for the request and for the writer; what is copied.
    fn check<T: Sql>(
        &self,
        access: &Access<'_, T>,
        source: &Located,
        goal: &Located,
    ) -> Result<(u64, ContentHash), ServiceError> {
        let node = readable(access, source.target())?;
        access.require_create(goal)?;
        let hash = content_of(&node, &self.source)?;
        if goal.exact {
            return Err(ServiceError::Exists(format!("Destination path already exists: {}", self.goal)));
        }
        goal.through_directories()?;
        Ok((node.size, hash))
    }
}
