//! Files in sandboxes: a directory of the tree is copied in, with the rights of whoever connects.
//!
//! Bodies are read in batches like everybody's (`read_many`), so what may not be read is not copied. Nothing is written before
//! it is known that everything fits. The copy is no mount: nothing of it changes the tree before it is brought back
//! (`bring_back`).

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use crate::auth::{AuthIndex, Caller, Identity};
use crate::model::{ContentHash, NodeKind, VirtualPath};
use crate::sandbox::{BYTES_MAX, Connection, Copied, Copying, DEPTH_MAX, FILES_MAX, Files, Provider, Sandboxes};
use crate::service::access::Permission;
use crate::service::files::bulk_read::{READ_FILES_MAX, read_many};
use crate::service::files::list::{ListQuery, list};
use crate::service::files::{self, FileRead, transfer};
use crate::service::located::Located;
use crate::service::sandboxes::ops::blocking;
use crate::service::sandboxes::run::{require_active, used};
use crate::service::sandboxes::{SandboxInfo, refreshed, usable};
use crate::service::{Call, ServiceError};
use crate::store::{ReadTx, Sql as _, WriteOp, WriteTx, nodes};

/// Bytes of the bodies that are in memory at a time, unless one alone is larger.
const BATCH_BYTES: u64 = 16 << 20;
/// Names that are told of what may not be read.
const WITHHELD_MAX: usize = 100;

/// What is to be copied where.
#[derive(Debug, Clone)]
pub struct ConnectRequest {
    /// The sandbox.
    pub sandbox_id: String,
    /// The directory of the tree; `/` unless the caller says otherwise.
    pub workspace: Option<String>,
    /// The agent of the caller with whose rights it is done.
    pub agent_id: Option<String>,
}

/// What was copied.
#[derive(Debug, Clone)]
pub struct Connected {
    /// The provider.
    pub provider: String,
    /// Where programs find the copy of `/`.
    pub mount_path: String,
    /// The directory of the tree.
    pub workspace: String,
    /// Unix time, µs.
    pub at_us: i64,
    /// Files that were copied.
    pub files: usize,
    /// Their bytes; 0 where it was connected already.
    pub bytes: u64,
    /// Files that the caller may not read and that were not copied, where it may read their directory.
    pub withheld: u64,
    /// The first of them.
    pub withheld_paths: Vec<String>,
    /// It was connected already, and nothing was copied.
    pub already: bool,
}

/// What is to be copied, as of one moment.
struct Plan {
    files: Vec<(String, u64)>,
    withheld: Vec<String>,
}

/// A sandbox whose copy is worked on by nobody else.
pub(super) struct Worked {
    pub(super) info: SandboxInfo,
    pub(super) files: Arc<Files>,
    alone: Arc<Copying>,
}

impl Worked {
    /// The sandbox, if the caller may use it and it is as `require` says.
    pub(super) async fn open(
        call: &Call,
        providers: &Sandboxes,
        sandbox_id: &str,
        require: fn(&SandboxInfo) -> Result<(), ServiceError>,
    ) -> Result<Self, ServiceError> {
        let info = super::get(call, sandbox_id.to_owned()).await?;
        require(&info)?;
        let busy =
            || ServiceError::Precondition(format!("Sandbox {sandbox_id}: its files are being copied already; wait"));
        let alone = Arc::new(providers.copying(sandbox_id).ok_or_else(busy)?);
        let provider: Option<Arc<dyn Provider>> = providers.provider(&info.row.provider);
        let id = sandbox_id.to_owned();
        let files = blocking(provider, move |provider| provider.files(&id)).await?;
        let unknown = || ServiceError::Precondition(format!("its provider '{}' is not configured", info.row.provider));
        Ok(Self { files: Arc::new(files.ok_or_else(unknown)?), alone, info })
    }

    /// Works on the copy where blocking is allowed. Whoever hangs up does not let somebody else in before it is done.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> Result<T, std::io::Error> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let (files, alone, id) = (Arc::clone(&self.files), Arc::clone(&self.alone), self.info.row.sandbox_id.clone());
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&files);
            drop(alone);
            done
        });
        let done = done.await.map_err(|e| ServiceError::Precondition(format!("the work on the copy was lost: {e}")))?;
        done.map_err(|e| ServiceError::Precondition(format!("Sandbox {id}: {e}")))
    }
}

/// The call with the rights of an agent of the caller. What is done with it is no reply to a repeated request.
pub(super) async fn acting(call: &Call, agent_id: Option<&str>) -> Result<Call, ServiceError> {
    let mut caller = call.caller.clone();
    if let Some(agent) = agent_id.filter(|agent| !agent.is_empty()) {
        let foreign = || ServiceError::InvalidParams("agent_id names no agent of the calling user".to_owned());
        if caller.agent.as_deref().is_some_and(|own| own != agent) {
            return Err(foreign());
        }
        let asked = Caller::from(Identity { agent: Some(agent.to_owned()), ..Identity::clone(&caller) });
        let known =
            call.read(move |tx| Ok::<_, ServiceError>(tx.view::<AuthIndex>().refresh(&asked, tx.wall_us()).ok()));
        caller = known.await?.ok_or_else(foreign)?;
    }
    Ok(call.anew(caller))
}

/// Copies a directory of the tree into a sandbox. Where the same one was connected before by the same caller, nothing is
/// copied, and what programs have made of it stays.
pub async fn connect(call: &Call, providers: &Sandboxes, request: ConnectRequest) -> Result<Connected, ServiceError> {
    let workspace = files::path(request.workspace.as_deref().filter(|path| !path.is_empty()).unwrap_or("/"))?;
    let worked = Worked::open(call, providers, &request.sandbox_id, require_active).await?;
    let actor = acting(call, request.agent_id.as_deref()).await?;
    let mut connected = Connected {
        provider: worked.info.row.provider.clone(),
        mount_path: worked.files.seen().to_owned(),
        workspace: workspace.as_str().to_owned(),
        at_us: call.store.clock().now_us(),
        files: 0,
        bytes: 0,
        withheld: 0,
        withheld_paths: Vec::new(),
        already: false,
    };
    let before = worked.work(|files| files.connection()).await?.filter(|connection| connection.whole);
    if let Some(before) = before {
        let caller = &actor.caller;
        let whose = (&before.tenant, &before.user, &before.agent) == (&caller.tenant, &caller.user, &caller.agent);
        if !whose || before.workspace != workspace.as_str() {
            return Err(ServiceError::Precondition(format!(
                "Sandbox {} is connected already, to {}; disconnect it first",
                request.sandbox_id, before.workspace
            )));
        }
        (connected.files, connected.at_us, connected.already) = (before.files.len(), before.at_us, true);
        connected.withheld = before.withheld;
    } else {
        let plan = plan(&actor, &workspace).await?;
        connected.withheld = plan.withheld.len() as u64;
        let copied = copy(&actor, &worked, &workspace, plan, &mut connected).await;
        if let Err(error) = copied {
            worked.work(|files| files.end(false)).await?;
            return Err(error);
        }
    }
    let op = ConnectSandbox { caller: call.caller.clone(), sandbox_id: request.sandbox_id, connected };
    call.submit(op).await
}

/// What would be copied; a refusal if it is too much.
async fn plan(actor: &Call, workspace: &VirtualPath) -> Result<Plan, ServiceError> {
    if !workspace.is_root() && files::visible_kind(actor, workspace.clone()).await? != Some(NodeKind::Directory) {
        // Says why as everywhere.
        let node = files::stat(actor, workspace.clone()).await?;
        if node.kind != NodeKind::Directory {
            return Err(ServiceError::Precondition(format!("[Errno 20] Not a directory: {workspace}")));
        }
    }
    let query =
        ListQuery { path: workspace.clone(), recursive: true, details: true, prefix: None, limit: None, cursor: None };
    let listed = list(actor, query).await?.entries;
    // Only files have details.
    let files: Vec<(String, u64)> =
        listed.into_iter().filter_map(|entry| Some((entry.path, entry.details?.size))).collect();
    let bytes: u64 = files.iter().map(|(_, size)| size).sum();
    if files.len() > FILES_MAX || bytes > BYTES_MAX {
        return Err(too_much(workspace, files.len(), bytes));
    }
    let deep = files.iter().find(|(path, _)| path.bytes().filter(|byte| *byte == b'/').count() > DEPTH_MAX);
    if let Some((path, _)) = deep {
        return Err(ServiceError::Precondition(format!("{path} lies deeper than {DEPTH_MAX} directories")));
    }
    let known: HashSet<String> = files.iter().map(|(path, _)| path.clone()).collect();
    let (asked, top) = (actor.clone(), workspace.clone());
    let withheld = actor.read_long(move |tx| withheld(tx, &asked, &top, &known)).await?;
    Ok(Plan { files, withheld })
}

fn too_much(workspace: &VirtualPath, files: usize, bytes: u64) -> ServiceError {
    ServiceError::Precondition(format!(
        "{workspace} has {files} files of {} MiB that you may read, and a sandbox takes {FILES_MAX} of {} MiB; name a smaller \
         directory with `workspace`. Nothing was copied",
        bytes.div_ceil(1 << 20),
        BYTES_MAX >> 20
    ))
}

/// The files that may not be read, in the directories that may: there their names are no secret.
fn withheld(
    tx: &ReadTx<'_>,
    actor: &Call,
    top: &VirtualPath,
    known: &HashSet<String>,
) -> Result<Vec<String>, ServiceError> {
    let access = actor.access(tx)?;
    let mut directories: HashSet<VirtualPath> = HashSet::from([top.clone()]);
    for path in known {
        let mut above = VirtualPath::parse(path).ok().and_then(|path| path.parent());
        while let Some(directory) = above.filter(|directory| top.contains(directory)) {
            above = directory.parent();
            if !directories.insert(directory) {
                break;
            }
        }
    }
    let mut missing = Vec::new();
    for directory in directories {
        let located = Located::find(tx, &directory)?;
        let Some(node) = located.node().filter(|node| node.kind == NodeKind::Directory) else { continue };
        if !access.peek(located.target(), Permission::Read)?.allowed() {
            continue;
        }
        nodes::children(tx, node.id, |row| {
            let path = directory.child(&row.name);
            // A file of another tenant is nobody's business here.
            if row.kind == NodeKind::File && row.tenant == located.tenant() && !known.contains(path.as_str()) {
                missing.push(path.as_str().to_owned());
            }
            Ok(ControlFlow::Continue(()))
        })?;
    }
    missing.sort();
    Ok(missing)
}

/// Copies what was planned.
async fn copy(
    actor: &Call,
    worked: &Worked,
    workspace: &VirtualPath,
    plan: Plan,
    connected: &mut Connected,
) -> Result<(), ServiceError> {
    let mut connection = Connection {
        whole: false,
        workspace: workspace.as_str().to_owned(),
        tenant: actor.caller.tenant.clone(),
        user: actor.caller.user.clone(),
        agent: actor.caller.agent.clone(),
        at_us: connected.at_us,
        files: BTreeMap::new(),
        withheld: 0,
    };
    let begun = connection.clone();
    worked.work(move |files| files.begin(&begun)).await?;
    connected.withheld_paths = plan.withheld;
    let mut rest = plan.files.as_slice();
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |(_, size): &&(String, u64)| {
            bytes += size;
            bytes <= BATCH_BYTES
        };
        let count = rest.iter().take(READ_FILES_MAX).take_while(fits).count().max(1);
        let (batch, further) = rest.split_at(count);
        rest = further;
        let paths: Vec<String> = batch.iter().map(|(path, _)| path.clone()).collect();
        let read = read(actor, &paths).await?;
        let mut bodies: Vec<(String, Bytes)> = Vec::with_capacity(read.len());
        for (path, file) in paths.into_iter().zip(read) {
            // Gone, or not to be read any more, since it was listed.
            let Some(file) = file else {
                connected.withheld_paths.push(path);
                continue;
            };
            connected.bytes += file.body.len() as u64;
            let below = path.trim_start_matches('/').to_owned();
            let hash = ContentHash::of(&file.body).to_hex();
            connection.files.insert(below.clone(), Copied { etag: file.etag, hash });
            bodies.push((below, file.body));
        }
        if connected.bytes > BYTES_MAX {
            return Err(too_much(workspace, plan.files.len(), connected.bytes));
        }
        worked.work(move |files| bodies.iter().try_for_each(|(path, body)| files.put(path, body))).await?;
    }
    connected.files = connection.files.len();
    connected.withheld = connected.withheld_paths.len() as u64;
    connected.withheld_paths.truncate(WITHHELD_MAX);
    (connection.whole, connection.withheld) = (true, connected.withheld);
    worked.work(move |files| files.remember(&connection)).await
}

/// Reads files; `None` for one that is not there, or not for this caller.
async fn read(actor: &Call, paths: &[String]) -> Result<Vec<Option<FileRead>>, ServiceError> {
    let settle = |outcome: Result<FileRead, ServiceError>| match outcome {
        Ok(file) => Ok(Some(file)),
        Err(ServiceError::NotFound(_) | ServiceError::PermissionDenied { .. }) => Ok(None),
        Err(error) => Err(error),
    };
    // One that is too large for a batch comes in pieces.
    if let [path] = paths {
        return Ok(vec![settle(whole(actor, files::path(path)?).await)?]);
    }
    read_many(actor, paths.to_vec()).await?.into_iter().map(settle).collect()
}

/// Reads one file of any size that is copied.
async fn whole(actor: &Call, path: VirtualPath) -> Result<FileRead, ServiceError> {
    let file = transfer::open(actor, path.clone(), |_| true).await?;
    let (etag, version, modified_at_us, size) = (file.etag.clone(), file.version, file.modified_at_us, file.size);
    if size > BYTES_MAX {
        return Err(too_much(&path, 1, size));
    }
    let mut pieces = file.pieces(actor, 0..size).await?;
    let mut body = Vec::new();
    while let Some(piece) = pieces.next().await? {
        body.extend_from_slice(&piece);
    }
    Ok(FileRead { body: body.into(), etag, version, modified_at_us, size })
}

/// Records that files were copied into a sandbox, and gives back what the request has copied.
#[derive(Debug)]
pub struct ConnectSandbox {
    /// Who asks.
    pub caller: Caller,
    /// The sandbox.
    pub sandbox_id: String,
    /// What was copied.
    pub connected: Connected,
}

impl WriteOp for ConnectSandbox {
    const NAME: &'static str = "sandbox_connect";
    type Output = Connected;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Connected, ServiceError> {
        let caller = refreshed(tx, &self.caller)?;
        let row = usable(tx, &caller, &self.sandbox_id)?;
        let info = SandboxInfo::new(row, tx.now_us());
        require_active(&info)?;
        used(tx, info.row, std::time::Duration::ZERO)?;
        Ok(self.connected.clone())
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.connected.withheld_paths.iter().map(String::len).sum::<usize>()
    }
}
