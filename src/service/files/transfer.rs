//! Files in pieces: opened at one revision and read on, written while they arrive.
//!
//! Owns what a transfer of any size asks and when. A reader is checked once, when the file is opened: what is read on is
//! the version of that moment. A writer is checked before the first byte is taken and, as for every write, in the
//! transaction.

use std::ops::Range;

use bytes::Bytes;

use crate::model::{ContentHash, NodeRow, VirtualPath, mime};
use crate::service::files::bulk_read::READ_BYTES_MAX;
use crate::service::files::ops::{FileBody, PutFile, PutOptions, Written};
use crate::service::files::tree::growth;
use crate::service::files::{content_of, damaged, lost, readable};
use crate::service::located::{End, Located};
use crate::service::{Call, ServiceError};
use crate::store::{Download, StoredBody, Upload, contents};

/// A file that was opened.
#[derive(Debug)]
pub struct OpenFile {
    path: VirtualPath,
    /// BLAKE3 of the body, hex.
    pub etag: String,
    /// The version, from 1.
    pub version: u64,
    /// Unix time, µs.
    pub modified_at_us: i64,
    /// Bytes.
    pub size: u64,
    /// What it is.
    pub mime: String,
    hash: ContentHash,
    inline: Option<Bytes>,
}

/// Opens a file for a caller who may read it. The body is looked for only if `wanted` of its etag.
pub async fn open(
    call: &Call,
    path: VirtualPath,
    wanted: impl FnOnce(&NodeRow) -> bool + Send + 'static,
) -> Result<OpenFile, ServiceError> {
    let asked = call.clone();
    call.read(move |tx| {
        let node = readable(&asked.access(tx)?, End::find(tx, &path)?.target())?;
        let hash = content_of(&node, &path)?;
        let inline = if wanted(&node) {
            let content = contents::get(tx, hash).map_err(|e| damaged(&path, e))?.ok_or_else(|| lost(&path))?;
            content.body.map(Bytes::from)
        } else {
            None
        };
        // Older versions have none.
        let mime = node.mime.unwrap_or_else(|| {
            let head = inline.as_deref().unwrap_or_default();
            if head.is_empty() && node.size > 0 { mime::BINARY } else { mime::of(path.name(), head) }.to_owned()
        });
        let (version, modified_at_us, size) = (node.version, node.modified_at_us, node.size);
        let etag = node.content.unwrap_or_default();
        Ok::<_, ServiceError>(OpenFile { path, etag, version, modified_at_us, size, mime, hash, inline })
    })
    .await
}

/// The bytes of a file that are still to come.
#[derive(Debug)]
pub struct Pieces {
    path: VirtualPath,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Here(Option<Bytes>),
    Stored(Box<Download>),
}

impl OpenFile {
    /// The bytes of `range`, as far as there are any.
    pub async fn pieces(self, call: &Call, range: Range<u64>) -> Result<Pieces, ServiceError> {
        let Self { path, size, hash, inline, .. } = self;
        let source = match inline {
            Some(body) => {
                let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(body.len());
                Source::Here(Some(body.slice(at(range.start)..at(range.end))))
            }
            None => {
                let opened = Download::open(&call.store, hash, size, range).await;
                Source::Stored(Box::new(opened.map_err(|e| damaged(&path, e))?))
            }
        };
        Ok(Pieces { path, source })
    }
}

impl Pieces {
    /// The next bytes; `None` = that was all. An error after the first: what was sent is not the whole.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ServiceError> {
        match &mut self.source {
            Source::Here(body) => Ok(body.take().filter(|body| !body.is_empty())),
            Source::Stored(download) => download.next().await.map_err(|e| damaged(&self.path, e)),
        }
    }
}

/// A part of a file, whole in memory: of a large file only the part is read.
pub async fn read_part(call: &Call, file: OpenFile, range: Range<u64>) -> Result<Bytes, ServiceError> {
    let range = range.start.min(file.size)..range.end.min(file.size);
    if range.end - range.start > READ_BYTES_MAX as u64 {
        return Err(ServiceError::FileTooLarge { path: file.path.to_string(), limit_bytes: READ_BYTES_MAX });
    }
    let mut pieces = file.pieces(call, range).await?;
    let Some(first) = pieces.next().await? else { return Ok(Bytes::new()) };
    let mut more = None::<Vec<u8>>;
    while let Some(next) = pieces.next().await? {
        more.get_or_insert_with(|| first.to_vec()).extend_from_slice(&next);
    }
    Ok(more.map_or(first, Bytes::from))
}

/// Whether the caller may write the file as `options` says, for an answer before its body is taken. `size`: of the body,
/// as far as it is known; it must have room.
pub async fn check_write(
    call: &Call,
    path: &VirtualPath,
    options: &PutOptions,
    size: Option<u64>,
) -> Result<(), ServiceError> {
    let (asked, of, options) = (call.clone(), path.clone(), options.clone());
    call.read(move |tx| {
        let located = Located::find(tx, &of)?;
        asked.access(tx)?.require_write(&located)?;
        options.check(&of, located.node())?;
        Ok(growth(&located, &asked.caller, size.unwrap_or(0)).require(tx)?)
    })
    .await
}

/// A body that is about to arrive.
#[must_use]
pub fn upload(call: &Call) -> Upload {
    Upload::new(&call.store)
}

/// Writes a body that has arrived.
pub async fn write_stored(
    call: &Call,
    path: VirtualPath,
    body: StoredBody,
    options: PutOptions,
) -> Result<Written, ServiceError> {
    let body = FileBody::arrived(&path, body);
    call.submit(PutFile::stored(call, path, body, options)).await
}
