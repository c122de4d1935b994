//! Mounts, written. Mounting makes the mount point, and whoever mounts it its owner; it brings no file along, a sync
//! does.

use serde_json::{Map, Value, json};

use crate::auth::Caller;
use crate::model::{MountRow, NodeKind, VirtualPath};
use crate::service::access::FILE;
use crate::service::files::ops::{MESSAGE_BYTES, make_directories_in};
use crate::service::files::tree::remove_at;
use crate::service::located::Located;
use crate::service::mounts::connectors::CONNECTORS;
use crate::service::mounts::host::{Host, HostError, allowed};
use crate::service::mounts::sync_ops::free_in_background;
use crate::service::mounts::{LOCAL, Mounts, instance_admin, point, require_instance_admin};
use crate::service::{Call, ServiceError};
use crate::store::mounts::Mounted;
use crate::store::{Sql, WriteOp, WriteTx, entities, mounts, nodes, tuples};

/// Mounts and saved mounts of all tenants.
pub const MOUNTS_MAX: usize = 1_000;
/// Longest description and owner, bytes.
const TEXT_BYTES_MAX: usize = 8 * 1024;

/// What to mount.
#[derive(Debug, Clone)]
pub struct MountRequest {
    /// Where.
    pub mount_point: String,
    /// Which type of backend.
    pub backend_type: String,
    /// Its settings.
    pub backend_config: Map<String, Value>,
    /// Kept for clients: mounts do not overlap.
    pub priority: i64,
    /// Whether nobody writes there but a sync.
    pub readonly: bool,
}

/// In whose name a mount is saved.
#[derive(Debug, Clone, Default)]
pub struct Saving {
    /// The user.
    pub owner: Option<String>,
    /// The tenant; it must be the one that the mount point belongs to.
    pub tenant: Option<String>,
    /// Free text.
    pub description: Option<String>,
}

/// Mounts a directory of this machine. The mount point.
pub async fn add(call: &Call, mounts: &Mounts, request: MountRequest) -> Result<String, ServiceError> {
    let op = PutMount::prepare(call, mounts, request, true, None).await?;
    Ok(call.submit(op).await?.mount_point)
}

/// Saves the settings of a mount, and mounts nothing. Its id.
pub async fn save(call: &Call, mounts: &Mounts, request: MountRequest, saving: Saving) -> Result<String, ServiceError> {
    let op = PutMount::prepare(call, mounts, request, false, Some(saving)).await?;
    Ok(call.submit(op).await?.mount_id)
}

/// Mounts what was saved. The mount point.
pub async fn load(call: &Call, mounts: &Mounts, mount_point: &str) -> Result<String, ServiceError> {
    require_instance_admin(call).await?;
    let path = point(mount_point)?;
    let of = path.clone();
    let row = call.read(move |tx| Ok::<_, ServiceError>(mounts::find(tx, of.as_str())?)).await?;
    let row = row.filter(|row| row.saved).ok_or_else(|| not_saved(&path))?;
    open(mounts, &row.backend_config).await?;
    let tuple_id = call.store.random().uuid();
    call.submit(LoadMount { caller: call.caller.clone(), path, tuple_id }).await
}

fn not_saved(path: &VirtualPath) -> ServiceError {
    ServiceError::InvalidParams(format!("Mount not found in database: {path}"))
}

/// The directory of a mount, opened, if it may be mounted now.
pub(super) async fn open(mounts: &Mounts, config: &str) -> Result<Host, ServiceError> {
    let config: Value = serde_json::from_str(config).unwrap_or_default();
    let dir = config["data_dir"].as_str().unwrap_or_default().to_owned();
    if mounts.allowed.is_empty() {
        return Err(ServiceError::NotSupported {
            message: "Mounting is off: the configuration allows no directory of this machine".into(),
            hint: "name the directories that may be mounted in the setting mount_dirs, and restart the server".into(),
        });
    }
    let Some((top, below)) = allowed(&mounts.allowed, &dir) else {
        let names: Vec<String> = mounts.allowed.iter().map(|dir| dir.display().to_string()).collect();
        return Err(ServiceError::Precondition(format!(
            "'{dir}' may not be mounted: it is no absolute path below a directory that mount_dirs allows ({})",
            names.join(", ")
        )));
    };
    let top = top.to_owned();
    let opened = tokio::task::spawn_blocking(move || Host::open(&top, &below)).await;
    opened.unwrap_or_else(|_| Err(HostError::Gone)).map_err(|error| {
        let why = match error {
            HostError::Gone => "there is no such directory on this machine".to_owned(),
            HostError::Link => "a symbolic link leads there, which is not followed".to_owned(),
            error => error.to_string(),
        };
        ServiceError::Precondition(format!("'{dir}' cannot be mounted: {why}"))
    })
}

/// Adds a mount, or the settings of one.
#[derive(Debug)]
pub struct PutMount {
    caller: Caller,
    row: MountRow,
    saving: Option<Saving>,
    /// The id of the tuple that makes the caller the owner of the mount point; drawn by the request.
    tuple_id: String,
}

impl PutMount {
    async fn prepare(
        call: &Call,
        mounts: &Mounts,
        request: MountRequest,
        active: bool,
        saving: Option<Saving>,
    ) -> Result<Self, ServiceError> {
        require_instance_admin(call).await?;
        let path = VirtualPath::parse_below_root(&request.mount_point);
        let path = path.map_err(|reason| ServiceError::path(&request.mount_point, reason))?;
        let data_dir = data_dir(&request)?;
        for text in saving.iter().flat_map(|s| [&s.owner, &s.description]).flatten() {
            if text.len() > TEXT_BYTES_MAX || text.contains('\0') {
                let what = format!("a text is longer than {TEXT_BYTES_MAX} bytes, or holds NUL");
                return Err(ServiceError::InvalidParams(what));
            }
        }
        let config = json!({"data_dir": data_dir}).to_string();
        open(mounts, &config).await?;
        let row = MountRow {
            mount_point: path.as_str().to_owned(),
            mount_id: call.store.random().uuid(),
            backend_type: LOCAL.into(),
            backend_config: config,
            priority: request.priority,
            readonly: request.readonly,
            tenant: String::new(),
            active,
            saved: saving.is_some(),
            owner: None,
            description: None,
            created_at_us: 0,
            updated_at_us: 0,
        };
        Ok(Self { caller: call.caller.clone(), row, saving, tuple_id: call.store.random().uuid() })
    }
}

/// The directory that a request for a local mount names; the refusal of every other type.
fn data_dir(request: &MountRequest) -> Result<String, ServiceError> {
    let name = &request.backend_type;
    if name != LOCAL {
        let known = CONNECTORS.iter().find(|connector| connector.name == name);
        let hint = known.and_then(|connector| connector.missing).unwrap_or("list_connectors names the types");
        let message = format!("Unsupported backend type: {name}");
        return Err(ServiceError::NotSupported { message, hint: hint.into() });
    }
    let odd = request.backend_config.keys().find(|key| *key != "data_dir");
    if let Some(odd) = odd {
        return Err(ServiceError::InvalidParams(format!("a local mount has no setting '{odd}': it has data_dir")));
    }
    match request.backend_config.get("data_dir") {
        Some(Value::String(dir)) => Ok(dir.clone()),
        _ => Err(ServiceError::InvalidParams("backend_config needs data_dir, a directory of this machine".into())),
    }
}

impl WriteOp for PutMount {
    const NAME: &'static str = "mount_put";
    type Output = MountRow;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<MountRow, ServiceError> {
        let caller = instance_admin(tx, &self.caller)?;
        let path = point(&self.row.mount_point)?;
        let (located, now) = (Located::find(tx, &path)?, tx.now_us());
        let known = mounts::find(tx, path.as_str())?;
        let tenant = match located.node() {
            Some(node) => node.tenant.clone(),
            None => located.tenant_of_new(&caller.tenant).to_owned(),
        };
        if let Some(other) = self.saving.as_ref().and_then(|s| s.tenant.as_ref()).filter(|other| **other != tenant) {
            let what = format!("'{path}' belongs to the tenant '{tenant}' and not to '{other}'");
            return Err(ServiceError::InvalidParams(what));
        }
        let mut row = MountRow { tenant, created_at_us: now, updated_at_us: now, ..self.row.clone() };
        if let Some(saving) = &self.saving {
            row.owner = Some(saving.owner.clone().unwrap_or_else(|| caller.user.clone()));
            row.description.clone_from(&saving.description);
        }
        let Some(before) = known else {
            if mounts::list(tx)?.len() >= MOUNTS_MAX {
                return Err(ServiceError::Precondition(format!(
                    "there are {MOUNTS_MAX} mounts, the most there may be"
                )));
            }
            if row.active {
                make_point(tx, &caller, &path, &located, &self.tuple_id)?;
            }
            mounts::insert(tx, row.clone())?;
            return Ok(row);
        };
        let alike = before.backend_config == row.backend_config && before.readonly == row.readonly;
        let taken = if row.active { before.active } else { before.saved };
        if taken && !row.active {
            return Err(ServiceError::InvalidParams(format!("Mount already exists at {path}")));
        }
        if taken || !alike {
            return Err(ServiceError::Exists(format!("Mount already exists at {path}")));
        }
        // The other half of the same mount: what was saved is mounted, or what is mounted is saved.
        if row.active {
            make_point(tx, &caller, &path, &located, &self.tuple_id)?;
        }
        let saved = if row.saved { &row } else { &before };
        let after = MountRow {
            active: true,
            saved: true,
            owner: saved.owner.clone(),
            description: saved.description.clone(),
            updated_at_us: now,
            ..before.clone()
        };
        mounts::update(tx, &before, after.clone())?;
        Ok(after)
    }

    fn bytes(&self) -> usize {
        self.row.mount_point.len() + self.row.backend_config.len() + MESSAGE_BYTES
    }
}

/// Makes the mount point, a directory that lies in no mount and has none below it.
fn make_point(
    tx: &mut WriteTx<'_>,
    caller: &Caller,
    path: &VirtualPath,
    located: &Located,
    tuple_id: &str,
) -> Result<(), ServiceError> {
    let mounted = tx.view::<Mounted>();
    if let Some(other) = mounted.at_or_above(path).or_else(|| mounted.at_or_below(path)) {
        return Err(ServiceError::Precondition(format!("'{path}' and the mount at '{other}' would overlap")));
    }
    located.through_directories()?;
    if located.node().is_some_and(|node| node.kind == NodeKind::File) {
        return Err(ServiceError::Precondition(format!("[Errno 20] Not a directory: {path}")));
    }
    make_directories_in(tx, caller, path, Some(tuple_id)).map(|_| ())
}

/// Mounts what was saved.
#[derive(Debug)]
pub struct LoadMount {
    caller: Caller,
    path: VirtualPath,
    tuple_id: String,
}

impl WriteOp for LoadMount {
    const NAME: &'static str = "mount_load";
    type Output = String;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<String, ServiceError> {
        let caller = instance_admin(tx, &self.caller)?;
        let found = mounts::find(tx, self.path.as_str())?.filter(|row| row.saved);
        let before = found.ok_or_else(|| not_saved(&self.path))?;
        if !before.active {
            let located = Located::find(tx, &self.path)?;
            make_point(tx, &caller, &self.path, &located, &self.tuple_id)?;
            let after = MountRow { active: true, updated_at_us: tx.now_us(), ..before.clone() };
            mounts::update(tx, &before, after)?;
        }
        Ok(before.mount_point)
    }

    fn bytes(&self) -> usize {
        self.path.as_str().len() + MESSAGE_BYTES
    }
}

/// What a removal did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Whether something was mounted there.
    pub removed: bool,
    /// Whether the mount point is gone too: it was empty.
    pub directory_deleted: bool,
    /// Grants on the mount point that went with it.
    pub permissions_cleaned: u64,
    /// Why nothing was removed.
    pub errors: Vec<String>,
}

/// Ends a mount. The files that were synced stay in the tree; a mount point without any goes.
pub async fn remove(call: &Call, mount_point: &str) -> Result<Removed, ServiceError> {
    require_instance_admin(call).await?;
    let op = RemoveMount { caller: call.caller.clone(), path: point(mount_point)? };
    let removed = call.submit(op).await?;
    free_in_background(call);
    Ok(removed)
}

/// Ends a mount.
#[derive(Debug)]
pub struct RemoveMount {
    caller: Caller,
    path: VirtualPath,
}

impl WriteOp for RemoveMount {
    const NAME: &'static str = "mount_remove";
    const GROWS: bool = false;
    type Output = Removed;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Removed, ServiceError> {
        instance_admin(tx, &self.caller)?;
        let path = &self.path;
        if path.is_root() {
            let errors = vec!["The root is the store itself and cannot be removed".to_owned()];
            return Ok(Removed { errors, ..Removed::default() });
        }
        let Some(before) = mounts::find(tx, path.as_str())?.filter(|row| row.active) else {
            return Ok(Removed { errors: vec![format!("Mount not found: {path}")], ..Removed::default() });
        };
        let located = Located::find(tx, path)?;
        let empty = match located.node() {
            Some(node) if !nodes::has_children(tx, node.id)? => Some(node.clone()),
            _ => None,
        };
        let mut removed = Removed { removed: true, ..Removed::default() };
        if let Some(node) = &empty {
            if let Some(entity) = entities::find(tx, &node.tenant, FILE, path.as_str())? {
                removed.permissions_cleaned = tuples::on_object(tx, entity.id)?.len() as u64;
            }
            removed.directory_deleted = true;
        }
        if before.saved {
            let after = MountRow { active: false, updated_at_us: tx.now_us(), ..before.clone() };
            mounts::update(tx, &before, after)?;
        } else {
            mounts::delete(tx, &before)?;
        }
        if let Some(node) = &empty {
            remove_at(tx, &located, node)?;
        }
        Ok(removed)
    }

    fn bytes(&self) -> usize {
        self.path.as_str().len() + MESSAGE_BYTES
    }
}

/// Forgets the settings of a mount, which stays mounted if it is. Whether there were any.
pub async fn forget(call: &Call, mount_point: &str) -> Result<bool, ServiceError> {
    require_instance_admin(call).await?;
    let op = ForgetMount { caller: call.caller.clone(), path: point(mount_point)? };
    let forgot = call.submit(op).await?;
    free_in_background(call);
    Ok(forgot)
}

/// Forgets the settings of a mount.
#[derive(Debug)]
pub struct ForgetMount {
    caller: Caller,
    path: VirtualPath,
}

impl WriteOp for ForgetMount {
    const NAME: &'static str = "mount_forget";
    const GROWS: bool = false;
    type Output = bool;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<bool, ServiceError> {
        instance_admin(tx, &self.caller)?;
        let Some(before) = mounts::find(tx, self.path.as_str())?.filter(|row| row.saved) else { return Ok(false) };
        if before.active {
            let now = tx.now_us();
            let after = MountRow { saved: false, owner: None, description: None, updated_at_us: now, ..before.clone() };
            mounts::update(tx, &before, after)?;
        } else {
            mounts::delete(tx, &before)?;
        }
        Ok(true)
    }

    fn bytes(&self) -> usize {
        self.path.as_str().len() + MESSAGE_BYTES
    }
}
