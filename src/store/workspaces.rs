//! The registered directories: workspaces and memory directories.
//!
//! Owns the table `workspaces`, and the message by which the writer itself ends what has had its time. Knows nothing of the
//! directory itself nor of rights. Every change is recorded here.

use super::backend::Conn;
use super::{Row, Sql, StoreError, WriteOp, WriteTx, statements::statements};
use crate::model::{Change, Delta, WorkspaceRow};
use crate::params;

/// Scope of a workspace.
pub const WORKSPACE: &str = "workspace";
/// Scope of a registered memory directory.
pub const MEMORY: &str = "memory";

/// Registrations that one message ends.
const SWEPT_MAX: u64 = 256;

statements! {
    /// One.
    WORKSPACE_BY_KEY = "SELECT path, scope, tenant, name, description, created_by, created_at_us, metadata, \
         session_id, expires_at_us FROM workspaces WHERE key = ?1";
    /// Those of a tenant.
    WORKSPACES_OF_TENANT = "SELECT path, scope, tenant, name, description, created_by, created_at_us, \
         metadata, session_id, expires_at_us FROM workspaces WHERE tenant = ?1 AND scope = ?2 ORDER BY created_at_us, path";
    /// Those whose time has come.
    WORKSPACES_EXPIRED = "SELECT path, scope, tenant, name, description, created_by, created_at_us, metadata, \
         session_id, expires_at_us FROM workspaces WHERE expires_at_us <= ?1 ORDER BY expires_at_us, path LIMIT ?2";
    /// Whether there is one whose time has come.
    ANY_WORKSPACE_EXPIRED = "SELECT 1 FROM workspaces WHERE expires_at_us <= ?1 LIMIT 1";
    /// A new one.
    INSERT_WORKSPACE = "INSERT INTO workspaces (key, scope, path, tenant, name, description, created_by, \
         created_at_us, metadata, session_id, expires_at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    /// Its end.
    DELETE_WORKSPACE = "DELETE FROM workspaces WHERE key = ?1";
}

/// First 16 bytes of BLAKE3(scope NUL path).
fn key(scope: &str, path: &str) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(scope.as_bytes()).update(&[0]).update(path.as_bytes());
    let mut short = [0; 16];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    short
}

fn from_row(row: &Row<'_>) -> Result<WorkspaceRow, StoreError> {
    Ok(WorkspaceRow {
        path: row.string(0)?,
        scope: row.string(1)?,
        tenant: row.string(2)?,
        name: row.opt_string(3)?,
        description: row.string(4)?,
        created_by: row.string(5)?,
        created_at_us: row.int(6)?,
        metadata: row.string(7)?,
        session_id: row.opt_string(8)?,
        expires_at_us: row.opt_int(9)?,
    })
}

/// The directory registered in this scope at this path.
pub fn find(tx: &impl Sql, scope: &str, path: &str) -> Result<Option<WorkspaceRow>, StoreError> {
    tx.query_one(WORKSPACE_BY_KEY, params![&key(scope, path)[..]], from_row)
}

/// Those of a tenant, oldest first.
pub fn of_tenant(tx: &impl Sql, tenant: &str, scope: &str) -> Result<Vec<WorkspaceRow>, StoreError> {
    tx.query(WORKSPACES_OF_TENANT, params![tenant, scope], from_row)
}

/// Adds one; its scope and path are new.
pub fn insert(tx: &mut WriteTx<'_>, row: WorkspaceRow) -> Result<(), StoreError> {
    tx.exec(
        INSERT_WORKSPACE,
        params![
            &key(&row.scope, &row.path)[..],
            &row.scope,
            &row.path,
            &row.tenant,
            &row.name,
            &row.description,
            &row.created_by,
            row.created_at_us,
            &row.metadata,
            &row.session_id,
            row.expires_at_us,
        ],
    )?;
    tx.record(Change::Workspace(Delta::insert(row)));
    Ok(())
}

/// Removes one that was read in this transaction. The directory stays.
pub fn delete(tx: &mut WriteTx<'_>, row: &WorkspaceRow) -> Result<(), StoreError> {
    tx.exec(DELETE_WORKSPACE, params![&key(&row.scope, &row.path)[..]])?;
    tx.record(Change::Workspace(Delta::delete(row.clone())));
    Ok(())
}

/// Whether any registration has had its time.
pub(super) fn any_expired(conn: Conn<'_>, now_us: i64) -> Result<bool, StoreError> {
    let mut any = false;
    conn.each(ANY_WORKSPACE_EXPIRED, params![now_us], |_| {
        any = true;
        Ok(std::ops::ControlFlow::Break(()))
    })?;
    Ok(any)
}

/// Ends registrations that have had their time: the directories, their grants and their snapshots stay, as when somebody
/// unregisters them. The writer gives it to itself once a second when one is due, so at a start as well; who reads does
/// not see such a registration before that.
#[derive(Debug, Clone, Copy)]
pub struct SweepWorkspaces;

impl WriteOp for SweepWorkspaces {
    const NAME: &'static str = "workspaces_sweep";
    const GROWS: bool = false;
    /// How many it ended.
    type Output = u64;
    type Error = StoreError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<u64, StoreError> {
        let due = tx.query(WORKSPACES_EXPIRED, params![tx.now_us(), SWEPT_MAX], from_row)?;
        due.iter().try_for_each(|row| delete(tx, row))?;
        Ok(due.len() as u64)
    }

    fn bytes(&self) -> usize {
        0
    }
}
