//! The files of a skill, read at one revision: what is exported, forked, published and reviewed.
//!
//! Bounded in files and bytes. What the caller may not read is left out, as if it were not there.

use bytes::Bytes;

use crate::model::{ContentHash, NodeKind, NodeRow, VirtualPath};
use crate::service::access::{Access, Target};
use crate::service::files::{content_of, damaged, lost};
use crate::service::located::Located;
use crate::service::skills::archive::Member;
use crate::service::skills::ops::FILES_MAX;
use crate::service::skills::{Skill, Tier};
use crate::service::{Call, ServiceError};
use crate::store::{ReadTx, contents, nodes};

/// Bytes of the files of one skill.
pub const BYTES_MAX: u64 = 32 << 20;
/// Directories within one another that are looked into.
const DEPTH_MAX: usize = 32;
/// Rows of one directory that are read at a time.
const PAGE_ROWS: u64 = 256;

/// A skill and its files; paths begin below its directory and are in order.
#[derive(Debug, Clone)]
pub struct Whole {
    /// The skill.
    pub skill: Skill,
    /// Its directory.
    pub directory: VirtualPath,
    /// Its files.
    pub files: Vec<Member>,
}

impl Whole {
    /// BLAKE3 over names and contents of the files, hex: the same for the same files wherever they lie.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for file in &self.files {
            hasher.update(&(file.path.len() as u64).to_le_bytes()).update(file.path.as_bytes());
            hasher.update(blake3::hash(&file.body).as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// The paths of the files as they lie.
    #[must_use]
    pub fn paths(&self) -> Vec<VirtualPath> {
        self.files.iter().map(|file| below(&self.directory, &file.path)).collect()
    }
}

/// A path below a directory.
pub(super) fn below(directory: &VirtualPath, path: &str) -> VirtualPath {
    path.split('/').fold(directory.clone(), |path, name| path.child(name))
}

/// A file that was found: its path below the directory, and its body if it lies in the database.
struct Found {
    path: String,
    whole: VirtualPath,
    hash: ContentHash,
    body: Option<Bytes>,
}

/// Reads skills whole, each the caller may read.
pub async fn read(call: &Call, skills: Vec<Skill>) -> Result<Vec<Whole>, ServiceError> {
    let asked = call.clone();
    let found = call
        .read_slow(move |tx| {
            let access = asked.access(tx)?;
            skills.into_iter().map(|skill| files_of(tx, &access, skill)).collect::<Result<Vec<_>, ServiceError>>()
        })
        .await?;
    let mut wholes = Vec::with_capacity(found.len());
    for (skill, directory, found) in found {
        let mut files = Vec::with_capacity(found.len());
        for file in found {
            let body = match file.body {
                Some(body) => body,
                None => call.store.get_blob(file.hash).await.map_err(|e| damaged(&file.whole, e))?,
            };
            files.push(Member { path: file.path, body });
        }
        wholes.push(Whole { skill, directory, files });
    }
    Ok(wholes)
}

type FilesOf = (Skill, VirtualPath, Vec<Found>);

fn files_of(tx: &ReadTx<'_>, access: &Access<'_, ReadTx<'_>>, skill: Skill) -> Result<FilesOf, ServiceError> {
    let file = crate::service::files::path(&skill.path)?;
    let directory = file.parent().unwrap_or_else(VirtualPath::root);
    let is_folder = Tier::ALL.iter().any(|tier| tier.folder(access.caller()).is_ok_and(|folder| folder == directory));
    let mut read = Walk { tx, access, files: Vec::new(), bytes: 0 };
    if is_folder {
        // The folder of all skills is not this skill's.
        if let Some(node) = Located::find(tx, &file)?.node() {
            read.file(&file, file.name().to_owned(), node)?;
        }
    } else if let Some(node) = Located::find(tx, &directory)?.node() {
        read.directory(&directory, "", node)?;
    }
    let mut files = read.files;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((skill, directory, files))
}

struct Walk<'a, 't> {
    tx: &'a ReadTx<'t>,
    access: &'a Access<'a, ReadTx<'t>>,
    files: Vec<Found>,
    bytes: u64,
}

impl Walk<'_, '_> {
    fn directory(&mut self, at: &VirtualPath, below: &str, node: &NodeRow) -> Result<(), ServiceError> {
        if below.matches('/').count() > DEPTH_MAX {
            let text = format!("a skill of more than {DEPTH_MAX} directories within one another: {at}");
            return Err(ServiceError::Precondition(text));
        }
        let mut last = String::new();
        loop {
            let page = nodes::children_after(self.tx, node.id, &last, PAGE_ROWS)?;
            let ended = (page.len() as u64) < PAGE_ROWS;
            for child in page {
                last.clone_from(&child.name);
                let (whole, path) = (at.child(&child.name), format!("{below}{}", child.name));
                match child.kind {
                    NodeKind::Directory => self.directory(&whole, &format!("{path}/"), &child)?,
                    NodeKind::File => self.file(&whole, path, &child)?,
                }
            }
            if ended {
                return Ok(());
            }
        }
    }

    fn file(&mut self, whole: &VirtualPath, path: String, node: &NodeRow) -> Result<(), ServiceError> {
        if !self.access.reader(&node.tenant).may_read(whole.as_str(), node)? {
            return Ok(());
        }
        self.access.require_whole(Target { path: whole, node: Some(node), tenant: &node.tenant })?;
        self.bytes += node.size;
        if self.files.len() >= FILES_MAX || self.bytes > BYTES_MAX {
            let text = format!("a skill of more than {FILES_MAX} files or {BYTES_MAX} bytes: {whole} is one too many");
            return Err(ServiceError::Precondition(text));
        }
        let hash = content_of(node, whole)?;
        let content = contents::get(self.tx, hash).map_err(|e| damaged(whole, e))?.ok_or_else(|| lost(whole))?;
        self.files.push(Found { path, whole: whole.clone(), hash, body: content.body.map(Bytes::from) });
        Ok(())
    }
}
