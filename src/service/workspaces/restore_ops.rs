//! A workspace brought back to a snapshot, in one revision or not at all.
//!
//! A reader makes the plan (`restore`), the message applies it: its time follows the rows that change and not the size of
//! the workspace. In between others may have written below the directory. Readers follow the log from the plan's revision
//! to the newest; the writer looks at the few revisions that are left and refuses where one touched the tree: then the
//! plan is made again. A small workspace that is written to without a pause is planned inside the message at last.
//!
//! What is removed is removed as by a delete, grants included; what comes is new and belongs to who restores (D.2.9). A
//! file that is there keeps its node, its history and its grants, and gets a further version with the source `restore`.

use crate::auth::Caller;
use crate::model::{NodeId, NodeKind, NodeRow, Rev, SnapshotRow, VirtualPath};
use crate::rebac::Budget;
use crate::service::access::{Access, Permission};
use crate::service::files::free_in_background;
use crate::service::files::tree::{make_directories_in, user_entity};
use crate::service::located::Located;
use crate::service::skills::front_matter;
use crate::service::workspaces::long;
use crate::service::workspaces::restore::{Body, Parent, Plan, Since, touched};
use crate::service::workspaces::snapshots::{Changes, Workspace, path_of, shown, tree_of};
use crate::service::{Call, ServiceError};
use crate::store::skills::SkillRow;
use crate::store::{Sql, StoreError, WriteOp, WriteTx, entities, nodes, skills, snapshots, tuples};

/// How often a plan is made before the restore is given up.
const PLANS_MAX: usize = 5;
/// Revisions of the log that the writer looks at.
const WRITER_REVISIONS_MAX: u64 = 64;
/// Revisions of the log that one read looks at.
const READER_REVISIONS_MAX: u64 = 512;
/// Messages that are sent for one plan, if only the log has grown.
const SENT_MAX: usize = 8;
/// Paths of both trees up to which a plan is made inside the message.
const INLINE_PATHS_MAX: u64 = 1_000;
/// Work of naming changes for somebody who is no admin, edges of the graph.
const EDGES_MAX: u64 = 200_000_000;

/// What a restore did, or would do.
#[derive(Debug, Clone)]
pub struct Restored {
    /// Files that came or got a further version.
    pub restored: u64,
    /// Files that went.
    pub deleted: u64,
    /// The snapshot.
    pub snapshot: SnapshotRow,
    /// Whether rows are left to be freed.
    to_free: bool,
}

/// What a restore would do.
#[derive(Debug, Clone)]
pub struct DryRun {
    /// In numbers.
    pub restored: Restored,
    /// By name: what becomes of the files of now.
    pub changes: Changes,
}

/// A plan and what it is about.
struct Planned {
    plan: Plan,
    snapshot: SnapshotRow,
    /// The directory that lies at the path; 0 = none.
    node: NodeId,
    rev: Rev,
    /// Paths of both trees.
    paths: u64,
}

/// What would become of the workspace at a path; names at most `limit` files.
pub async fn dry_run(call: &Call, path: Option<&str>, number: u64, limit: usize) -> Result<DryRun, ServiceError> {
    let path = path_of(path)?;
    let asked = call.clone();
    long::run(call, move |tx, stop| {
        let access = Access::new(tx, &asked.caller, Some(&asked.caches))?.spending(Budget::edges(EDGES_MAX));
        let workspace = Workspace::find(&access, &path, Permission::Write)?;
        let snapshot = workspace.snapshot(tx, access.caller(), number)?;
        check(&access, &workspace)?;
        let trees = (tree_of(&snapshot), workspace.now());
        let plan = Plan::make(tx, &path, trees, |_| Ok(stop.look()?))?;
        let changes = Changes::between(tx, (trees.1, trees.0), limit, stop, shown(&access, &workspace))?;
        Ok(DryRun { restored: Restored::by(&plan, snapshot), changes })
    })
    .await
}

/// Brings the workspace at a path back to a snapshot.
pub async fn restore(call: &Call, path: Option<&str>, number: u64) -> Result<Restored, ServiceError> {
    let path = path_of(path)?;
    let tuple_id = call.store.random().uuid();
    let mut paths = u64::MAX;
    for round in 0..PLANS_MAX {
        let inline = round > 0 && paths <= INLINE_PATHS_MAX;
        let planned = if inline { None } else { Some(plan(call, &path, number).await?) };
        paths = planned.as_ref().map_or(paths, |planned| planned.paths);
        if let Some(done) = send(call, &path, number, &tuple_id, planned).await? {
            if done.to_free {
                free_in_background(call);
            }
            return Ok(done);
        }
    }
    Err(ServiceError::Precondition(format!(
        "{path} is being written to: it changed {PLANS_MAX} times while its restore was planned; nothing was restored. \
         Try again when fewer write there"
    )))
}

/// Sends the message, and again where only the log has grown meanwhile. `None` = a new plan is needed.
async fn send(
    call: &Call,
    path: &VirtualPath,
    number: u64,
    tuple_id: &str,
    planned: Option<Planned>,
) -> Result<Option<Restored>, ServiceError> {
    let planned = planned.map(std::sync::Arc::new);
    let mut since = planned.as_ref().map_or(0, |planned| planned.rev);
    for _ in 0..SENT_MAX {
        if let Some(planned) = planned.as_ref().filter(|planned| planned.node != 0) {
            match follow(call, planned.node, since).await? {
                Some(rev) => since = rev,
                None => return Ok(None),
            }
        }
        let op = RestoreWorkspace {
            caller: call.caller.clone(),
            path: path.clone(),
            number,
            tuple_id: tuple_id.to_owned(),
            planned: planned.clone(),
            since,
        };
        match call.submit(op).await {
            Ok(done) => return Ok(Some(done)),
            Err(Refusal::Behind) => {}
            Err(Refusal::Touched) => return Ok(None),
            Err(Refusal::Service(error)) => return Err(error),
        }
    }
    Ok(None)
}

/// Follows the log to its end. Returns the newest revision, or `None` if the tree was touched.
async fn follow(call: &Call, top: NodeId, mut since: Rev) -> Result<Option<Rev>, ServiceError> {
    loop {
        match call.read_slow(move |tx| touched(tx, top, since, READER_REVISIONS_MAX)).await? {
            Since::Untouched(rev) => return Ok(Some(rev)),
            Since::More(rev) => since = rev,
            Since::Touched => return Ok(None),
        }
    }
}

/// Makes the plan, on the slow lane.
async fn plan(call: &Call, path: &VirtualPath, number: u64) -> Result<Planned, ServiceError> {
    let (asked, path) = (call.clone(), path.clone());
    long::run(call, move |tx, stop| {
        let access = Access::new(tx, &asked.caller, Some(&asked.caches))?;
        let mut paths = 0;
        let (plan, snapshot, node) = planned(tx, &access, &path, number, |met| {
            paths = met;
            Ok(stop.look()?)
        })?;
        Ok(Planned { plan, snapshot, node, rev: tx.rev(), paths })
    })
    .await
}

/// Checks the rights, finds the snapshot and makes the plan in one transaction.
fn planned<T: Sql>(
    tx: &T,
    access: &Access<'_, T>,
    path: &VirtualPath,
    number: u64,
    look: impl FnMut(u64) -> Result<(), ServiceError>,
) -> Result<(Plan, SnapshotRow, NodeId), ServiceError> {
    let workspace = Workspace::find(access, path, Permission::Write)?;
    let snapshot = workspace.snapshot(tx, access.caller(), number)?;
    check(access, &workspace)?;
    let plan = Plan::make(tx, path, (tree_of(&snapshot), workspace.now()), look)?;
    Ok((plan, snapshot, workspace.of().node))
}

/// As for the removal of a whole directory: who may write to it may, unless something of another tenant lies below.
fn check<T: Sql>(access: &Access<'_, T>, workspace: &Workspace) -> Result<(), ServiceError> {
    let located = &workspace.located;
    located.through_directories()?;
    access.require_unmounted_below(&located.path)?;
    access.require_whole_below(&located.path)?;
    match located.node() {
        Some(node) if node.kind == NodeKind::File => {
            Err(ServiceError::Precondition(format!("[Errno 20] Not a directory: {}", located.path)))
        }
        Some(node) if node.mixed && !access.is_instance_admin() => {
            Err(access.denial(Permission::Write, &located.path, &located.path))
        }
        _ => Ok(()),
    }
}

impl Restored {
    fn by(plan: &Plan, snapshot: SnapshotRow) -> Self {
        let to_free = plan.removals.iter().any(|one| one.row.kind == NodeKind::Directory);
        Self { restored: plan.restored(), deleted: plan.deleted, snapshot, to_free }
    }
}

/// Brings a workspace back to a snapshot.
pub struct RestoreWorkspace {
    caller: Caller,
    path: VirtualPath,
    number: u64,
    /// Of the tuple that makes the caller the owner of the directory, if that is made.
    tuple_id: String,
    /// `None` = to be made inside the message, for a small tree.
    planned: Option<std::sync::Arc<Planned>>,
    /// Up to which revision the plan is known to hold.
    since: Rev,
}

/// Why a restore was not done.
#[derive(Debug)]
pub enum Refusal {
    /// More revisions than the writer looks at have come since.
    Behind,
    /// The tree was changed since it was planned.
    Touched,
    /// For the caller.
    Service(ServiceError),
}

impl From<ServiceError> for Refusal {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Service(error.into())
    }
}

impl WriteOp for RestoreWorkspace {
    const NAME: &'static str = "workspace_restore";
    type Output = Restored;
    type Error = Refusal;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Restored, Refusal> {
        let access = Access::in_writer(&*tx, &self.caller)?;
        let caller = access.caller().clone();
        let Some(known) = &self.planned else {
            let (plan, snapshot, node) = planned(&*tx, &access, &self.path, self.number, |met| match met {
                0..=INLINE_PATHS_MAX => Ok(()),
                _ => Err(ServiceError::Precondition(format!("{} has grown while it was restored", self.path))),
            })?;
            return Ok(self.apply_plan(tx, &caller, &plan, snapshot, node)?);
        };
        let workspace = Workspace::find(&access, &self.path, Permission::Write)?;
        check(&access, &workspace)?;
        let snapshot = workspace.snapshot(&*tx, &caller, self.number)?;
        if workspace.of().node != known.node || snapshot != known.snapshot {
            return Err(Refusal::Touched);
        }
        if known.node != 0 {
            match touched(&*tx, known.node, self.since, WRITER_REVISIONS_MAX)? {
                Since::Untouched(_) => {}
                Since::More(_) => return Err(Refusal::Behind),
                Since::Touched => return Err(Refusal::Touched),
            }
        }
        Ok(self.apply_plan(tx, &caller, &known.plan, snapshot, known.node)?)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.path.as_str().len() + self.planned.as_ref().map_or(0, |planned| planned.plan.bytes())
    }
}

impl RestoreWorkspace {
    /// Every row that changes, and nothing that is looked up for it: the plan knows the rows of before.
    fn apply_plan(
        &self,
        tx: &mut WriteTx<'_>,
        caller: &Caller,
        plan: &Plan,
        snapshot: SnapshotRow,
        node: NodeId,
    ) -> Result<Restored, ServiceError> {
        // A deleted snapshot protects nothing any more: what it named may be gone by now.
        if snapshots::find(tx, &snapshot.snapshot_id)?.is_none_or(|row| row.rev.is_none()) {
            return Err(ServiceError::NoSnapshot(self.number));
        }
        let tenant = match node {
            0 => Located::find(tx, &self.path)?.tenant_of_new(&caller.tenant).to_owned(),
            id => nodes::get(tx, id)?.map_or_else(String::new, |row| row.tenant),
        };
        plan.growth(&tenant).require(tx)?;
        let top = match node {
            0 => make_directories_in(tx, caller, &self.path, Some(&self.tuple_id))?,
            id => nodes::get(tx, id)?.ok_or_else(|| ServiceError::NotFound(self.path.as_str().to_owned()))?,
        };
        self.remove(tx, plan)?;
        for row in &plan.emptied {
            nodes::update(tx, row, NodeRow { implicit: false, ..row.clone() }, "restore", None)?;
        }
        let made = Maker { caller, tenant: &top.tenant, now_us: tx.now_us(), made: vec![top.id] };
        made.make(tx, plan, self.number)?;
        Ok(Restored::by(plan, snapshot))
    }

    /// What goes, with its grants and its skills. No directory above vanishes with it: those that stay are in the
    /// snapshot.
    fn remove(&self, tx: &mut WriteTx<'_>, plan: &Plan) -> Result<(), ServiceError> {
        if plan.removals.is_empty() {
            return Ok(());
        }
        // Asked once: most workspaces have no grants within.
        let mut granted: Vec<String> =
            entities::at_or_below(tx, &self.path)?.into_iter().map(|entity| entity.name).collect();
        granted.sort_unstable();
        for removal in &plan.removals {
            let path = removal.path.as_str();
            let from = granted.partition_point(|name| name.as_str() < path);
            let below = |name: &String| name.strip_prefix(path).is_some_and(|r| r.is_empty() || r.starts_with('/'));
            if granted[from..].iter().take_while(|name| name.starts_with(path)).any(below) {
                tuples::remove_subtree(tx, &removal.path)?;
            }
            if removal.row.kind == NodeKind::Directory {
                skills::remove_below(tx, &removal.path)?;
                nodes::detach(tx, &removal.row)?;
            } else {
                if front_matter::is_skill_file(&removal.path) {
                    skills::remove(tx, removal.row.id)?;
                }
                nodes::remove(tx, &removal.row)?;
            }
        }
        Ok(())
    }
}

/// Makes what comes.
struct Maker<'a> {
    caller: &'a Caller,
    tenant: &'a str,
    now_us: i64,
    /// The directories that were made, by number.
    made: Vec<NodeId>,
}

impl Maker<'_> {
    fn make(mut self, tx: &mut WriteTx<'_>, plan: &Plan, number: u64) -> Result<(), ServiceError> {
        let reason = format!("Restore of snapshot {number}");
        for directory in &plan.directories {
            let row = self.node(tx, directory.parent, &directory.name, NodeKind::Directory);
            self.made.push(nodes::insert_as(tx, row, "restore", Some(&reason))?.id);
        }
        let owner = if plan.files.is_empty() { None } else { Some(user_entity(tx, self.caller)?) };
        for file in &plan.files {
            let row = self.node(tx, file.parent, file.path.name(), NodeKind::File);
            let row = NodeRow { owner, version: 1, created_at_us: self.now_us, ..row };
            let row = nodes::insert_as(tx, filled(row, &file.body), "restore", Some(&reason))?;
            keep_skill(tx, &row, &file.path, file.body.skill.as_ref())?;
        }
        for rewrite in &plan.rewrites {
            let before = &rewrite.row;
            let after = NodeRow {
                version: before.version + 1,
                modified_at_us: self.now_us,
                created_by: self.caller.writer(),
                ..before.clone()
            };
            let row = nodes::update(tx, before, filled(after, &rewrite.body), "restore", Some(&reason))?;
            keep_skill(tx, &row, &rewrite.path, rewrite.body.skill.as_ref())?;
        }
        Ok(())
    }

    fn node(&self, tx: &mut WriteTx<'_>, parent: Parent, name: &str, kind: NodeKind) -> NodeRow {
        let parent = match parent {
            Parent::Node(id) => id,
            Parent::Made(number) => self.made[number],
        };
        NodeRow {
            id: tx.next_id(),
            parent,
            name: name.to_owned(),
            tenant: self.tenant.to_owned(),
            kind,
            owner: None,
            implicit: false,
            mixed: false,
            content: None,
            size: 0,
            version: 0,
            mime: None,
            created_at_us: self.now_us,
            modified_at_us: self.now_us,
            created_by: self.caller.writer(),
        }
    }
}

fn filled(row: NodeRow, body: &Body) -> NodeRow {
    NodeRow { content: Some(body.content.clone()), size: body.size, mime: body.mime.clone(), ..row }
}

fn keep_skill(
    tx: &mut WriteTx<'_>,
    row: &NodeRow,
    path: &VirtualPath,
    skill: Option<&SkillRow>,
) -> Result<(), StoreError> {
    match skill {
        Some(skill) => skills::put(tx, row.id, path, skill),
        None if front_matter::is_skill_file(path) => skills::remove(tx, row.id),
        None => Ok(()),
    }
}

impl std::fmt::Debug for RestoreWorkspace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestoreWorkspace")
            .field("path", &self.path)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
