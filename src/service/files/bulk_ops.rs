//! Several files in one writer message: one revision, one row of the log.
//!
//! [`PutFiles`] writes all or none. [`RemoveMany`] and [`RenameMany`] do what they may and say of each item what became
//! of it; what an item is refused for is told in the words of the method for one.

use crate::auth::Caller;
use crate::model::{NodeKind, VirtualPath};
use crate::service::access::{Access, Permission};
use crate::service::files::bulk_read::of_one;
use crate::service::files::free_in_background;
use crate::service::files::ops::{DeleteFile, MESSAGE_BYTES, RemoveDirectory, RenameNode};
use crate::service::files::tree::{FileBody, Written, growth, put_at, remove_at, remove_tree_at};
use crate::service::located::Located;
use crate::service::{Call, ServiceError};
use crate::store::quotas::Growth;
use crate::store::{WriteOp, WriteTx, nodes};

/// Files that one message may write, remove or move.
pub const BULK_FILES_MAX: usize = 256;

fn few(count: usize) -> Result<(), ServiceError> {
    match count > BULK_FILES_MAX {
        true => Err(ServiceError::InvalidParams(format!("at most {BULK_FILES_MAX} files at once, not {count}"))),
        false => Ok(()),
    }
}

/// Writes files, all or none.
#[derive(Debug)]
pub struct PutFiles {
    caller: Caller,
    files: Vec<(VirtualPath, FileBody)>,
}

/// Writes files, all or none; what was written, in their order.
pub async fn write_all(call: &Call, files: Vec<(VirtualPath, bytes::Bytes)>) -> Result<Vec<Written>, ServiceError> {
    few(files.len())?;
    let mut seen = std::collections::HashSet::new();
    if let Some((path, _)) = files.iter().find(|(path, _)| !seen.insert(path.as_str())) {
        return Err(ServiceError::InvalidParams(format!("'{path}' is named twice")));
    }
    let (asked, planned) =
        (call.clone(), files.iter().map(|(path, body)| (path.clone(), body.len())).collect::<Vec<_>>());
    call.read(move |tx| {
        let (access, mut all) = (asked.access(tx)?, Growth::default());
        for (path, size) in &planned {
            let located = Located::find(tx, path)?;
            access.require_write(&located)?;
            all.join(&growth(&located, &asked.caller, *size as u64));
        }
        Ok::<_, ServiceError>(all.require(tx)?)
    })
    .await?;
    let mut ready = Vec::with_capacity(files.len());
    for (path, body) in files {
        let body = FileBody::store(&call.store, &path, body).await?;
        ready.push((path, body));
    }
    call.submit(PutFiles { caller: call.caller.clone(), files: ready }).await
}

impl WriteOp for PutFiles {
    const NAME: &'static str = "files_put";
    type Output = Vec<Written>;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Vec<Written>, ServiceError> {
        let (mut caller, mut all) = (None, Growth::default());
        for (path, body) in &self.files {
            // Each file has the time of a check of its own.
            let access = Access::in_writer(&*tx, &self.caller)?;
            let located = Located::find(tx, path)?;
            access.require_write(&located)?;
            all.join(&growth(&located, access.caller(), body.size()));
            caller = Some(access.caller().clone());
        }
        let Some(caller) = caller else { return Ok(Vec::new()) };
        all.require(tx)?;
        // Looked up again: an earlier one may have made the directory of a later one.
        let put = |(path, body): &(VirtualPath, FileBody)| {
            let located = Located::find(tx, path)?;
            put_at(tx, &caller, &located, body, "original", None)
        };
        self.files.iter().map(put).collect()
    }

    fn bytes(&self) -> usize {
        self.files.iter().map(|(path, body)| path.as_str().len() + body.bytes() + MESSAGE_BYTES).sum()
    }
}

/// What became of each item: nothing to say, or why it was refused.
pub type Outcomes = Vec<Result<(), String>>;

/// What a message did to several files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Of each item, in their order.
    pub outcomes: Outcomes,
    /// Whether rows are left to be freed.
    pub to_free: bool,
}

/// Deletes files and directories.
#[derive(Debug)]
pub struct RemoveMany {
    caller: Caller,
    /// What no path is stands here as why it is none.
    paths: Vec<Result<VirtualPath, String>>,
    recursive: bool,
}

/// Deletes files, and directories that are empty or, with `recursive`, with everything below them.
pub async fn remove_many(call: &Call, paths: &[String], recursive: bool) -> Result<Done, ServiceError> {
    few(paths.len())?;
    let paths: Vec<_> = paths.iter().map(|text| parsed(text)).collect();
    let op = RemoveMany { caller: call.caller.clone(), paths, recursive };
    let done = match refused_all(call, op.paths.clone()).await? {
        Some(outcomes) => Done { outcomes, to_free: false },
        None => call.submit(op).await?,
    };
    if done.to_free {
        free_in_background(call);
    }
    Ok(done)
}

fn parsed(text: &str) -> Result<VirtualPath, String> {
    crate::service::files::path_below_root(text).map_err(|error| error.to_string())
}

/// The outcomes, if the caller may change none of the paths: then the writer is not asked.
async fn refused_all(call: &Call, paths: Vec<Result<VirtualPath, String>>) -> Result<Option<Outcomes>, ServiceError> {
    let asked = call.clone();
    call.read(move |tx| {
        let access = asked.access(tx)?;
        let mut outcomes = Vec::with_capacity(paths.len());
        for path in paths {
            let refusal = match path {
                Err(text) => text,
                Ok(path) => match of_one(access.require_file(Located::find(tx, &path)?.target(), Permission::Write))? {
                    Ok(()) => return Ok(None),
                    Err(error) => error.to_string(),
                },
            };
            outcomes.push(Err(refusal));
        }
        Ok(Some(outcomes))
    })
    .await
}

impl WriteOp for RemoveMany {
    const NAME: &'static str = "nodes_remove";
    const GROWS: bool = false;
    type Output = Done;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Done, ServiceError> {
        let mut done = Done { outcomes: Vec::with_capacity(self.paths.len()), to_free: false };
        for path in &self.paths {
            let outcome = match path {
                Ok(path) => match of_one(self.one(tx, path))? {
                    Ok(to_free) => {
                        done.to_free |= to_free;
                        Ok(())
                    }
                    Err(ServiceError::NotFound(_)) => Err("File not found".to_owned()),
                    Err(error) => Err(error.to_string()),
                },
                Err(refusal) => Err(refusal.clone()),
            };
            done.outcomes.push(outcome);
        }
        Ok(done)
    }

    fn bytes(&self) -> usize {
        self.paths.iter().map(|path| path.as_ref().map_or(0, |path| path.as_str().len()) + MESSAGE_BYTES).sum()
    }
}

impl RemoveMany {
    /// Whether rows are left to be freed. All checks come before the first change.
    fn one(&self, tx: &mut WriteTx<'_>, path: &VirtualPath) -> Result<bool, ServiceError> {
        let located = Located::find(tx, path)?;
        let access = Access::in_writer(&*tx, &self.caller)?;
        let is_directory = located.node().is_some_and(|node| node.kind == NodeKind::Directory);
        if !is_directory {
            let node = DeleteFile::check(&access, &located)?.clone();
            return remove_at(tx, &located, &node).map(|()| false);
        }
        let rule = RemoveDirectory { caller: self.caller.clone(), path: path.clone(), recursive: self.recursive };
        let node = rule.check(&access, &located)?.clone();
        let full = nodes::has_children(tx, node.id)?;
        if full {
            remove_tree_at(tx, &located, &node)?
        } else {
            remove_at(tx, &located, &node)?
        }
        Ok(full)
    }
}

/// Moves files and directories, one after the other.
#[derive(Debug)]
pub struct RenameMany {
    /// What no path is stands here as why it is none.
    renames: Vec<Result<RenameNode, String>>,
}

/// Moves files and directories, one after the other: a later one sees what an earlier one did.
pub async fn rename_many(call: &Call, renames: &[(String, String)]) -> Result<Outcomes, ServiceError> {
    few(renames.len())?;
    let op = |(old, new): &(String, String)| {
        let (old, new) = (parsed(old)?, parsed(new)?);
        Ok(RenameNode { caller: call.caller.clone(), old, new })
    };
    let op = RenameMany { renames: renames.iter().map(op).collect() };
    let sources = op.renames.iter().map(|one| one.as_ref().map(|one| one.old.clone()).map_err(String::clone));
    match refused_all(call, sources.collect()).await? {
        Some(outcomes) => Ok(outcomes),
        None => call.submit(op).await,
    }
}

impl WriteOp for RenameMany {
    const NAME: &'static str = "nodes_rename";
    type Output = Outcomes;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Outcomes, ServiceError> {
        let mut outcomes = Vec::with_capacity(self.renames.len());
        for rename in &self.renames {
            outcomes.push(match rename {
                Ok(rename) => of_one(rename.apply(tx))?.map_err(|error| error.to_string()),
                Err(refusal) => Err(refusal.clone()),
            });
        }
        Ok(outcomes)
    }

    fn bytes(&self) -> usize {
        self.renames.iter().map(|one| one.as_ref().map_or(0, WriteOp::bytes) + MESSAGE_BYTES).sum()
    }
}
