//! Editing a text file by exact passages.
//!
//! Owns what an edit is and its unified difference. A plan is made from one version of the file and written over that
//! version only; whoever was faster is never overwritten.

use std::time::Duration;

use bytes::Bytes;
use similar::TextDiff;

use crate::model::VirtualPath;
use crate::service::files::ops::{PutFile, PutOptions, Written};
use crate::service::files::{content_of, damaged, lost, readable};
use crate::service::located::Located;
use crate::service::{Call, ServiceError};
use crate::store::contents;

/// Largest text that is edited, before and after, bytes.
pub const TEXT_BYTES_MAX: usize = 4 << 20;
/// Edits of one request.
pub const EDITS_MAX: usize = 100;
/// Largest difference that is shown, bytes.
pub const DIFF_BYTES_MAX: usize = 256 << 10;
/// How long a good difference is looked for; then a longer one is shown.
const DIFF_TIME: Duration = Duration::from_secs(1);
/// Lines around a difference.
const DIFF_CONTEXT_LINES: usize = 3;

/// One passage in the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What is there, to the letter.
    pub old: String,
    /// What takes its place.
    pub new: String,
    /// Whether it may be there several times; then all are replaced.
    pub everywhere: bool,
}

/// An edited text that is not written yet.
#[derive(Debug, Clone)]
pub struct Plan {
    path: VirtualPath,
    text: Bytes,
    etag: String,
    /// The version that it was made from.
    pub version: u64,
    /// Passages that were replaced.
    pub replaced: usize,
    /// The unified difference, its beginning if it is long.
    pub diff: String,
    /// Whether there is more of it.
    pub diff_cut: bool,
}

/// Edits the text of a file as it is now, or as it must be (`if_match`), and writes nothing. On the slow lane.
pub async fn plan(
    call: &Call,
    path: VirtualPath,
    edits: Vec<Edit>,
    if_match: Option<String>,
) -> Result<Plan, ServiceError> {
    if edits.is_empty() || edits.len() > EDITS_MAX {
        return Err(ServiceError::InvalidParams(format!("1 to {EDITS_MAX} edits, not {}", edits.len())));
    }
    let asked = call.clone();
    call.read_slow(move |tx| {
        let (access, located) = (asked.access(tx)?, Located::find(tx, &path)?);
        access.require_write(&located)?;
        let node = readable(&access, located.target())?;
        PutOptions::over(if_match).check(&path, Some(&node))?;
        let hash = content_of(&node, &path)?;
        if node.size > TEXT_BYTES_MAX as u64 {
            return Err(too_large(&path));
        }
        let body = contents::body(tx, hash).map_err(|e| damaged(&path, e))?.ok_or_else(|| lost(&path))?;
        let Ok(before) = String::from_utf8(body) else {
            return Err(ServiceError::Validation(format!("{path} is no UTF-8 text; write it whole")));
        };
        let (after, replaced) = edited(&path, &before, &edits)?;
        let (diff, diff_cut) = difference(&path, [node.version, node.version + 1], &before, &after);
        let etag = node.content.unwrap_or_default();
        Ok(Plan { path, text: after.into(), etag, version: node.version, replaced, diff, diff_cut })
    })
    .await
}

/// Writes the edited text over the version that it was made from; a conflict if there is a later one.
pub async fn write(call: &Call, plan: Plan) -> Result<Written, ServiceError> {
    let op = PutFile::prepare(call, plan.path, plan.text, PutOptions::over(Some(plan.etag))).await?;
    call.submit(op).await
}

fn too_large(path: &VirtualPath) -> ServiceError {
    ServiceError::Precondition(format!("{path} is larger than the {TEXT_BYTES_MAX} bytes that can be edited"))
}

/// The text after all edits, one after the other, and how many passages were replaced.
fn edited(path: &VirtualPath, before: &str, edits: &[Edit]) -> Result<(String, usize), ServiceError> {
    let (mut text, mut replaced) = (before.to_owned(), 0);
    for (edit, number) in edits.iter().zip(1..) {
        if edit.old.is_empty() || edit.old == edit.new {
            let what = if edit.old.is_empty() { "old_str is empty" } else { "old_str and new_str are the same" };
            return Err(ServiceError::InvalidParams(format!("edit {number}: {what}")));
        }
        let found = text.matches(&edit.old).count();
        match found {
            0 => return Err(ServiceError::Precondition(format!("edit {number}: the passage is not in {path}"))),
            1 => {}
            _ if edit.everywhere => {}
            _ => {
                return Err(ServiceError::Precondition(format!(
                    "edit {number}: the passage is {found} times in {path}; make it longer, or set allow_multiple"
                )));
            }
        }
        let size = text.len() - found * edit.old.len() + found.saturating_mul(edit.new.len());
        if size > TEXT_BYTES_MAX {
            return Err(too_large(path));
        }
        text = text.replace(&edit.old, &edit.new);
        replaced += found;
    }
    Ok((text, replaced))
}

/// The unified difference between two versions, and whether it was cut.
pub(in crate::service) fn difference(
    path: &VirtualPath,
    versions: [u64; 2],
    before: &str,
    after: &str,
) -> (String, bool) {
    let diff = TextDiff::configure().timeout(DIFF_TIME).diff_lines(before, after);
    let names = versions.map(|version| format!("{path} (v{version})"));
    let mut text = diff.unified_diff().context_radius(DIFF_CONTEXT_LINES).header(&names[0], &names[1]).to_string();
    let cut = text.len() > DIFF_BYTES_MAX;
    if cut {
        text.truncate(text.floor_char_boundary(DIFF_BYTES_MAX));
    }
    (text, cut)
}
