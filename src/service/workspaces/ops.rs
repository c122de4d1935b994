//! Registered directories, written. Registering a workspace makes its directory; whoever registers a directory that is
//! there or is made becomes its owner.

use serde_json::{Map, Value};

use crate::auth::Caller;
use crate::model::{NodeKind, VirtualPath, WorkspaceRow};
use crate::service::access::{Access, FILE, Permission};
use crate::service::files::ops::{make_directories_in, own_in};
use crate::service::located::Located;
use crate::service::workspaces::{Scope, live, visible};
use crate::service::{Call, ServiceError};
use crate::store::{Sql, WriteOp, WriteTx, workspaces};

/// Longest name, user or session, bytes.
const NAME_BYTES_MAX: usize = 255;
/// Longest description, bytes.
const DESCRIPTION_BYTES_MAX: usize = 8 * 1024;
/// Longest free properties, bytes of JSON.
const METADATA_BYTES_MAX: usize = 16 * 1024;

/// What directory to register.
#[derive(Debug, Clone)]
pub struct WorkspaceRequest {
    /// The directory.
    pub path: String,
    /// Workspace or memory directory.
    pub scope: Scope,
    /// The display name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// In whose name; heeded for admins.
    pub created_by: Option<String>,
    /// Free properties.
    pub metadata: Option<Map<String, Value>>,
    /// The session it lives for.
    pub session_id: Option<String>,
    /// µs it lives.
    pub ttl_us: Option<i64>,
}

/// Registers a directory, and makes it if it is missing.
pub async fn register(call: &Call, request: WorkspaceRequest) -> Result<WorkspaceRow, ServiceError> {
    call.submit(prepare(call, request)?).await
}

/// The message for a request that is well-formed.
pub(super) fn prepare(call: &Call, request: WorkspaceRequest) -> Result<RegisterWorkspace, ServiceError> {
    let path = VirtualPath::parse_below_root(&request.path);
    let path = path.map_err(|reason| ServiceError::path(&request.path, reason))?;
    let bounded = |what: &str, text: Option<&String>, limit: usize| match text {
        Some(text) if text.len() > limit || text.contains('\0') => {
            Err(ServiceError::InvalidParams(format!("{what} is longer than {limit} bytes, or holds NUL")))
        }
        _ => Ok(()),
    };
    let metadata = Value::Object(request.metadata.unwrap_or_default()).to_string();
    bounded("name", request.name.as_ref(), NAME_BYTES_MAX)?;
    bounded("created_by", request.created_by.as_ref(), NAME_BYTES_MAX)?;
    bounded("session_id", request.session_id.as_ref(), NAME_BYTES_MAX)?;
    bounded("description", request.description.as_ref(), DESCRIPTION_BYTES_MAX)?;
    bounded("metadata", Some(&metadata), METADATA_BYTES_MAX)?;
    if request.ttl_us.is_some_and(|ttl| ttl <= 0) {
        return Err(ServiceError::InvalidParams("ttl must be more than 0 seconds".into()));
    }
    Ok(RegisterWorkspace {
        caller: call.caller.clone(),
        path,
        scope: request.scope,
        name: request.name,
        description: request.description.unwrap_or_default(),
        created_by: request.created_by,
        metadata,
        session_id: request.session_id,
        ttl_us: request.ttl_us,
        tuple_id: call.store.random().uuid(),
    })
}

/// Registers a directory.
#[derive(Debug)]
pub struct RegisterWorkspace {
    /// Who asks.
    pub caller: Caller,
    /// The directory.
    pub path: VirtualPath,
    /// Workspace or memory directory.
    pub scope: Scope,
    /// The display name.
    pub name: Option<String>,
    /// Free text.
    pub description: String,
    /// In whose name; heeded for admins.
    pub created_by: Option<String>,
    /// Free properties, JSON.
    pub metadata: String,
    /// The session it lives for.
    pub session_id: Option<String>,
    /// µs it lives.
    pub ttl_us: Option<i64>,
    /// The id of the tuple that makes the caller the owner; drawn by the request.
    pub tuple_id: String,
}

impl RegisterWorkspace {
    /// What it takes: to own the directory that is there (registering gives it away for good), or to write where it
    /// is to be made. Returns the tenant and whether the directory is there.
    pub(super) fn authorize(&self, access: &Access<'_, WriteTx<'_>>) -> Result<(String, bool), ServiceError> {
        let located = Located::find(access.tx(), &self.path)?;
        match located.node() {
            Some(node) => {
                if !access.manages(&node.tenant, FILE, self.path.as_str())? {
                    return Err(access.denial(Permission::Execute, &self.path, &self.path));
                }
                if node.kind == NodeKind::File {
                    return Err(ServiceError::Precondition(format!("[Errno 20] Not a directory: {}", self.path)));
                }
            }
            None => {
                if let Err(refused) = access.require_create(&located) {
                    // Who may not see that it is missing is told what he is told of one that is there.
                    let sees = access.file(located.parent_target(), Permission::Read)?.allowed();
                    let blind = || access.denial(Permission::Execute, &self.path, &self.path);
                    return Err(if sees { refused } else { blind() });
                }
                located.through_directories()?;
            }
        }
        let tenant = match located.node() {
            Some(node) => node.tenant.clone(),
            None => located.tenant_of_new(&access.caller().tenant).to_owned(),
        };
        Ok((tenant, located.exact))
    }
}

impl WriteOp for RegisterWorkspace {
    const NAME: &'static str = "workspace_register";
    type Output = WorkspaceRow;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<WorkspaceRow, ServiceError> {
        let now_us = tx.now_us();
        let (caller, tenant, existed) = {
            let access = Access::in_writer(&*tx, &self.caller)?;
            let (tenant, existed) = self.authorize(&access)?;
            (access.caller().clone(), tenant, existed)
        };
        let old = workspaces::find(tx, self.scope.as_str(), self.path.as_str())?;
        if old.as_ref().is_some_and(|row| live(row, now_us)) {
            let text = format!("{} already registered: {}", self.scope.label(), self.path);
            return Err(ServiceError::InvalidParams(text));
        }
        if let Some(old) = &old {
            workspaces::delete(tx, old)?;
        }
        if self.scope == Scope::Workspace {
            make_directories_in(tx, &caller, &self.path, Some(&self.tuple_id))?;
        }
        if existed {
            own_in(tx, &caller, &self.path, &tenant, &self.tuple_id)?;
        }
        let in_name_of = self.created_by.clone().filter(|_| caller.administers(&tenant));
        let row = WorkspaceRow {
            path: self.path.as_str().to_owned(),
            scope: self.scope.as_str().to_owned(),
            tenant,
            name: self.name.clone(),
            description: self.description.clone(),
            created_by: in_name_of.unwrap_or_else(|| caller.user.clone()),
            created_at_us: now_us,
            metadata: self.metadata.clone(),
            session_id: self.session_id.clone(),
            expires_at_us: self.ttl_us.map(|ttl| now_us.saturating_add(ttl)),
        };
        workspaces::insert(tx, row.clone())?;
        Ok(row)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.path.as_str().len() + self.description.len() + self.metadata.len()
    }
}

/// Unregisters a directory; it stays, and so do its grants. Returns whether it was registered; who may not know gets
/// a refusal either way.
pub async fn unregister(call: &Call, scope: Scope, path: &str) -> Result<bool, ServiceError> {
    let path = VirtualPath::parse(path).map_err(|reason| ServiceError::path(path, reason))?;
    call.submit(UnregisterWorkspace { caller: call.caller.clone(), scope, path }).await
}

/// Unregisters a directory.
#[derive(Debug)]
pub struct UnregisterWorkspace {
    /// Who asks.
    pub caller: Caller,
    /// Workspace or memory directory.
    pub scope: Scope,
    /// The directory.
    pub path: VirtualPath,
}

impl WriteOp for UnregisterWorkspace {
    const NAME: &'static str = "workspace_unregister";
    const GROWS: bool = false;
    type Output = bool;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<bool, ServiceError> {
        let found = {
            let access = Access::in_writer(&*tx, &self.caller)?;
            let found = workspaces::find(tx, self.scope.as_str(), self.path.as_str())?;
            match found.filter(|row| visible(access.caller(), row)) {
                Some(row) => row,
                None => {
                    // Not there, or not the caller's: told alike to who could not have registered it.
                    access.require_write(&Located::find(tx, &self.path)?)?;
                    return Ok(false);
                }
            }
        };
        workspaces::delete(tx, &found)?;
        Ok(true)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.path.as_str().len()
    }
}
