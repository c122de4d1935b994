//! Metadata as data to and from the client: lines of JSON, one a file.
//!
//! Nothing here touches a file of the server. A line that comes in names a body by its hash and makes a file of it only
//! where the caller may read a file that has this body today: whoever knows a hash does not know what it is of.

use crate::auth::Caller;
use crate::model::{ContentHash, VirtualPath};
use crate::service::access::{Access, Permission};
use crate::service::files::bulk_ops::BULK_FILES_MAX;
use crate::service::files::bulk_read::of_one;
use crate::service::files::damaged;
use crate::service::files::list::ListQuery;
use crate::service::files::ops::MESSAGE_BYTES;
use crate::service::files::tree::{FileBody, growth, put_at};
use crate::service::files::{list, path_below_root};
use crate::service::located::Located;
use crate::service::{Call, ServiceError};
use crate::store::members::Details;
use crate::store::{Sql, WriteOp, WriteTx, contents, nodes, versions};

/// Files with one body that are looked at for one that the caller may read.
const LOOKED_MAX: u64 = 16;

/// The files at or below `top` that the caller may see, a page of them by path, and where the next one begins.
pub async fn export(
    call: &Call,
    top: VirtualPath,
    limit: usize,
    cursor: Option<String>,
) -> Result<(Vec<(String, Details)>, Option<String>), ServiceError> {
    let query = ListQuery { path: top, recursive: true, details: true, prefix: None, limit: Some(limit), cursor };
    let listing = list::list(call, query).await?;
    // Only files have details.
    let files = listing.entries.into_iter().filter_map(|entry| Some((entry.path, entry.details?))).collect();
    Ok((files, listing.next_cursor))
}

/// A line that came in.
#[derive(Debug, Clone)]
pub struct Line {
    /// Where the file is to be, as it was sent.
    pub path: String,
    /// The hash of its body.
    pub hash: ContentHash,
}

/// What is done about files that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// They stay.
    Skip,
    /// They get a next version.
    Overwrite,
    /// They are an error.
    Refuse,
}

/// What became of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Became {
    /// A new file.
    Created,
    /// The next version of one.
    Updated,
    /// It was there, or had the body already.
    Skipped,
    /// Nothing, because of this.
    Refused(String),
}

/// Makes files of lines; what became of each, in their order. `dry`: what would become of them, each for itself.
pub async fn import(call: &Call, lines: Vec<Line>, existing: Existing, dry: bool) -> Result<Vec<Became>, ServiceError> {
    if lines.len() > BULK_FILES_MAX {
        let count = lines.len();
        return Err(ServiceError::InvalidParams(format!("at most {BULK_FILES_MAX} lines at once, not {count}")));
    }
    let op = ImportMetadata { caller: call.caller.clone(), lines, existing };
    if !dry {
        return call.submit(op).await;
    }
    let asked = call.clone();
    call.read_slow(move |tx| {
        let access = asked.access(tx)?;
        let plan = |line: &Line| {
            let planned = path_below_root(&line.path).and_then(|path| {
                let located = Located::find(tx, &path)?;
                op.plan(&access, &located, line)
            });
            Ok(match of_one(planned)? {
                Ok(Plan::Put { new, .. }) => {
                    if new {
                        Became::Created
                    } else {
                        Became::Updated
                    }
                }
                Ok(Plan::Leave) => Became::Skipped,
                Err(error) => Became::Refused(error.to_string()),
            })
        };
        op.lines.iter().map(plan).collect()
    })
    .await
}

/// Makes files of lines, as far as they may be made.
#[derive(Debug)]
pub struct ImportMetadata {
    caller: Caller,
    lines: Vec<Line>,
    existing: Existing,
}

/// What is to be done about a line.
enum Plan {
    Put { size: u64, inline: Option<Vec<u8>>, new: bool },
    Leave,
}

impl WriteOp for ImportMetadata {
    const NAME: &'static str = "metadata_import";
    type Output = Vec<Became>;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Vec<Became>, ServiceError> {
        let mut became = Vec::with_capacity(self.lines.len());
        for line in &self.lines {
            became.push(match of_one(self.one(tx, line))? {
                Ok(done) => done,
                Err(error) => Became::Refused(error.to_string()),
            });
        }
        Ok(became)
    }

    fn bytes(&self) -> usize {
        self.lines.iter().map(|line| line.path.len() + MESSAGE_BYTES).sum()
    }
}

impl ImportMetadata {
    /// All checks come before the first change.
    fn one(&self, tx: &mut WriteTx<'_>, line: &Line) -> Result<Became, ServiceError> {
        let path = path_below_root(&line.path)?;
        let located = Located::find(tx, &path)?;
        let access = Access::in_writer(&*tx, &self.caller)?;
        let Plan::Put { size, inline, new } = self.plan(&access, &located, line)? else { return Ok(Became::Skipped) };
        let caller = access.caller().clone();
        located.through_directories()?;
        let body = FileBody::stored(&path, line.hash, size, inline.as_deref());
        put_at(tx, &caller, &located, &body, versions::ORIGINAL, None)?;
        Ok(if new { Became::Created } else { Became::Updated })
    }

    fn plan<T: Sql>(&self, access: &Access<'_, T>, located: &Located, line: &Line) -> Result<Plan, ServiceError> {
        let path = &located.path;
        access.require_write(located)?;
        if let Some(node) = located.node() {
            let same = node.content.as_deref() == Some(line.hash.to_hex().as_str());
            match self.existing {
                _ if same => return Ok(Plan::Leave),
                Existing::Skip => return Ok(Plan::Leave),
                Existing::Overwrite => {}
                Existing::Refuse => return Err(ServiceError::Exists(format!("File already exists: {path}"))),
            }
        }
        if !readable_somewhere(access, line.hash)? {
            let text = format!("{path}: no file that you may read has this content; write it instead");
            return Err(ServiceError::Precondition(text));
        }
        let content = contents::get(access.tx(), line.hash).map_err(|e| damaged(path, e))?;
        let content = content.ok_or_else(|| ServiceError::Precondition(format!("{path}: the content is gone")))?;
        growth(located, access.caller(), content.size).require(access.tx())?;
        Ok(Plan::Put { size: content.size, inline: content.body, new: !located.exact })
    }
}

/// Whether the caller may read a file that has this body.
fn readable_somewhere<T: Sql>(access: &Access<'_, T>, hash: ContentHash) -> Result<bool, ServiceError> {
    for node in versions::files_with(access.tx(), hash, LOOKED_MAX)? {
        let Some(path) = nodes::path_of(access.tx(), node)? else { continue };
        let located = Located::find(access.tx(), &path)?;
        let read = located.exact && access.file(located.target(), Permission::Read)?.allowed();
        if read && access.column_rules(located.target())?.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}
