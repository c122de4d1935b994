//! What programs have made of a copied directory, brought back into the tree: new files, new versions, removals.
//!
//! With the rights of whoever connected and for nobody else; each file through the writer, over the version that was copied and
//! no other. What the server has changed meanwhile stays as the server has it and is told. What could not be looked at is no
//! reason to remove anything.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use crate::auth::Caller;
use crate::model::{ContentHash, VirtualPath};
use crate::sandbox::{Connection, Copied, Found, Sandboxes};
use crate::service::files::bulk_read::of_one;
use crate::service::files::ops::PutOptions;
use crate::service::files::{self, ops::Written};
use crate::service::sandboxes::connect::{Worked, acting};
use crate::service::sandboxes::run::used;
use crate::service::sandboxes::{SandboxInfo, refreshed, usable};
use crate::service::{Call, Lacking, ServiceError};
use crate::store::sandboxes::{ACTIVE, STOPPED};
use crate::store::{WriteOp, WriteTx};

/// Files that are on their way to the writer at a time.
const AT_ONCE: usize = 8;
/// Paths that a result tells, of each kind.
const TOLD_MAX: usize = 1_000;

/// A file that was not brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Its path in the tree.
    pub path: String,
    /// Why.
    pub why: String,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct BroughtBack {
    /// The provider.
    pub provider: String,
    /// The directory of the tree.
    pub workspace: String,
    /// Unix time, µs.
    pub at_us: i64,
    /// Files that are new in the tree.
    pub created: u64,
    /// Files that have a new version.
    pub updated: u64,
    /// Files that are gone from the tree.
    pub deleted: u64,
    /// Files that nobody has changed.
    pub unchanged: u64,
    /// Files that the server has changed too, and keeps as it has them.
    pub conflicts: Vec<Left>,
    /// What was not taken.
    pub left: Vec<Left>,
    /// Files of both kinds beside those that are told.
    pub more: u64,
    /// Whether the copy is gone.
    pub disconnected: bool,
    /// Where the copy lies in the sandbox, if not everything of it was brought back.
    pub kept: Option<String>,
}

/// What became of one file.
enum Outcome {
    Created(Copied),
    Updated(Copied),
    Deleted,
    Unchanged,
    Conflict(String),
    Left(String),
}

/// Brings back what has changed since the copy was made or brought back last; `end` removes the copy.
pub async fn bring_back(
    call: &Call,
    providers: &Sandboxes,
    sandbox_id: String,
    end: bool,
) -> Result<BroughtBack, ServiceError> {
    let worked = Worked::open(call, providers, &sandbox_id, require_there).await?;
    let connection = worked.work(|files| files.connection()).await?.filter(|connection| connection.whole);
    let Some(mut connection) = connection else {
        return Err(ServiceError::Precondition(format!(
            "Sandbox {sandbox_id} is not connected; sandbox_connect does that"
        )));
    };
    let actor = acting(call, connection.agent.as_deref()).await.map_err(|_| not_yours(&sandbox_id))?;
    let caller = &actor.caller;
    if (&connection.tenant, &connection.user, &connection.agent) != (&caller.tenant, &caller.user, &caller.agent) {
        return Err(not_yours(&sandbox_id));
    }
    let found = worked.work(|files| files.look()).await?;
    let mut back = BroughtBack {
        provider: worked.info.row.provider.clone(),
        workspace: connection.workspace.clone(),
        at_us: call.store.clock().now_us(),
        ..BroughtBack::default()
    };
    files_back(&actor, &worked, &found, &mut connection, &mut back).await?;
    if end {
        let keep = !back.conflicts.is_empty() || !back.left.is_empty();
        back.kept = worked.work(move |files| files.end(keep)).await?;
        back.disconnected = true;
    } else {
        worked.work(move |files| files.remember(&connection)).await?;
    }
    call.submit(BringBack { caller: call.caller.clone(), sandbox_id, back }).await
}

fn require_there(info: &SandboxInfo) -> Result<(), ServiceError> {
    match info.row.status.as_str() {
        STOPPED => Err(ServiceError::Precondition(format!("Sandbox {} is stopped", info.row.sandbox_id))),
        _ => Ok(()),
    }
}

/// An admin must not lend his rights to what a program has written, nor an agent those of its owner.
fn not_yours(sandbox_id: &str) -> ServiceError {
    ServiceError::PermissionDenied {
        message: format!("Permission denied: somebody else has connected sandbox {sandbox_id}"),
        hint: "its files come back with the rights of whoever connected, who must ask; sandbox_stop drops them".into(),
        lacking: Lacking::new("use", format_args!("sandbox:{sandbox_id}")),
    }
}

async fn files_back(
    actor: &Call,
    worked: &Worked,
    found: &Found,
    connection: &mut Connection,
    back: &mut BroughtBack,
) -> Result<(), ServiceError> {
    let workspace = files::path(&connection.workspace)?;
    let here = |(path, size): &(String, u64)| (path.clone(), *size, connection.files.get(path).cloned());
    let here: Vec<(String, u64, Option<Copied>)> = found.files.iter().map(here).collect();
    let mut coming = stream::iter(here)
        .map(|(path, size, before)| {
            let workspace = workspace.clone();
            async move {
                let outcome = file_back(actor, worked, &workspace, (&path, size), before).await;
                (path, outcome)
            }
        })
        .buffer_unordered(AT_ONCE);
    let mut outcomes = Vec::with_capacity(found.files.len());
    while let Some(outcome) = coming.next().await {
        outcomes.push(outcome);
    }
    drop(coming);
    let there = |path: &str| found.files.binary_search_by(|(known, _)| known.as_str().cmp(path)).is_ok();
    let gone: Vec<(String, Copied)> = connection
        .files
        .iter()
        .filter(|(path, _)| !there(path) && found.knows(path))
        .map(|(path, copied)| (path.clone(), copied.clone()))
        .collect();
    for (path, copied) in gone {
        let outcome = remove_back(actor, &path, copied).await;
        outcomes.push((path, outcome));
    }
    outcomes.sort_by(|(a, _), (b, _)| a.cmp(b));
    back.left.extend(found.left.iter().take(TOLD_MAX).map(|(path, why)| left(path, why.clone())));
    back.more = (found.unknown.len() - back.left.len()) as u64;
    for (path, outcome) in outcomes {
        match outcome? {
            Outcome::Created(copied) => {
                back.created += 1;
                connection.files.insert(path, copied);
            }
            Outcome::Updated(copied) => {
                back.updated += 1;
                connection.files.insert(path, copied);
            }
            Outcome::Deleted => {
                back.deleted += 1;
                connection.files.remove(&path);
            }
            Outcome::Unchanged => back.unchanged += 1,
            Outcome::Conflict(why) if back.conflicts.len() < TOLD_MAX => back.conflicts.push(left(&path, why)),
            Outcome::Left(why) if back.left.len() < TOLD_MAX => back.left.push(left(&path, why)),
            Outcome::Conflict(_) | Outcome::Left(_) => back.more += 1,
        }
    }
    Ok(())
}

fn left(path: &str, why: String) -> Left {
    Left { path: format!("/{path}"), why }
}

/// Brings one file back, if it is another one than was copied.
async fn file_back(
    actor: &Call,
    worked: &Worked,
    workspace: &VirtualPath,
    (path, size): (&str, u64),
    before: Option<Copied>,
) -> Result<Outcome, ServiceError> {
    let below = path.to_owned();
    let body = match worked.work(move |files| Ok(files.take(&below, size))).await? {
        Ok(body) => body,
        Err(why) => return Ok(Outcome::Left(why)),
    };
    let hash = ContentHash::of(&body).to_hex();
    if before.as_ref().is_some_and(|before| before.hash == hash) {
        return Ok(Outcome::Unchanged);
    }
    let target = match files::path_below_root(&format!("/{path}")) {
        Ok(target) if target.as_str().trim_start_matches('/') == path => target,
        Ok(_) => return Ok(Outcome::Left("its name cannot be one of the tree".to_owned())),
        Err(error) => return Ok(Outcome::Left(error.to_string())),
    };
    if !workspace.contains(&target) {
        return Ok(Outcome::Left(format!("it lies outside of {workspace}, which is connected")));
    }
    let options = match &before {
        Some(before) if before.hash != before.etag => {
            return Ok(Outcome::Left("you are shown a part of it, and the whole would be lost".to_owned()));
        }
        Some(before) => PutOptions::over(Some(before.etag.clone())),
        None => PutOptions { if_none_match: true, ..PutOptions::default() },
    };
    match of_one(files::write(actor, target.clone(), Bytes::from(body), options).await)? {
        Ok(Written { etag, .. }) => {
            let copied = Copied { etag, hash };
            Ok(if before.is_some() { Outcome::Updated(copied) } else { Outcome::Created(copied) })
        }
        Err(ServiceError::Conflict { current, .. }) if current == hash => Ok(Outcome::Updated(same(hash))),
        Err(ServiceError::Exists(_)) => match of_one(files::stat(actor, target).await)? {
            Ok(node) if node.content.as_deref() == Some(hash.as_str()) => Ok(Outcome::Updated(same(hash))),
            _ => Ok(Outcome::Conflict("the server has a file there that was not copied".to_owned())),
        },
        Err(ServiceError::Conflict { .. }) => {
            Ok(Outcome::Conflict("the server's file has changed since it was copied".to_owned()))
        }
        Err(error) => Ok(Outcome::Left(error.to_string())),
    }
}

/// What the server has already.
fn same(hash: String) -> Copied {
    Copied { etag: hash.clone(), hash }
}

/// Removes a file of the tree that programs have removed.
async fn remove_back(actor: &Call, path: &str, before: Copied) -> Result<Outcome, ServiceError> {
    let target = match files::path_below_root(&format!("/{path}")) {
        Ok(target) => target,
        Err(error) => return Ok(Outcome::Left(error.to_string())),
    };
    match of_one(files::delete_if(actor, target, PutOptions::over(Some(before.etag))).await)? {
        Ok(()) | Err(ServiceError::NotFound(_)) => Ok(Outcome::Deleted),
        Err(ServiceError::Conflict { .. }) => {
            Ok(Outcome::Conflict("removed in the sandbox, and changed by the server since it was copied".to_owned()))
        }
        Err(error) => Ok(Outcome::Left(error.to_string())),
    }
}

/// Records that files were brought back, and gives back what came of it.
#[derive(Debug)]
pub struct BringBack {
    /// Who asks.
    pub caller: Caller,
    /// The sandbox.
    pub sandbox_id: String,
    /// What came of it.
    pub back: BroughtBack,
}

impl WriteOp for BringBack {
    const NAME: &'static str = "sandbox_bring_back";
    const GROWS: bool = false;
    type Output = BroughtBack;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<BroughtBack, ServiceError> {
        let caller = refreshed(tx, &self.caller)?;
        let row = usable(tx, &caller, &self.sandbox_id)?;
        // Stopped or paused meanwhile: what came of it is told all the same.
        if row.status == ACTIVE {
            used(tx, row, std::time::Duration::ZERO)?;
        }
        Ok(self.back.clone())
    }

    fn bytes(&self) -> usize {
        let told = self.back.conflicts.iter().chain(&self.back.left);
        size_of::<Self>() + told.map(|left| left.path.len() + left.why.len()).sum::<usize>()
    }
}
