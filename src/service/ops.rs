//! Every writer message there is. A mutation that is not named here does not exist; a test holds that.

use crate::store::WriteOp;

/// Makes the list of names from the list of types.
macro_rules! ops {
    ($($op:ty,)*) => { &[$(<$op as WriteOp>::NAME),*] };
}

/// The names of all writer messages, as the changelog and the metrics show them.
pub const OPS: &[&str] = ops![
    super::agents::ops::DeleteAgent,
    super::agents::ops::RegisterAgent,
    super::facts_ops::KeepFact,
    super::files::append_ops::AppendFile,
    super::files::append_ops::CopyFile,
    super::files::bulk_ops::PutFiles,
    super::files::bulk_ops::RemoveMany,
    super::files::bulk_ops::RenameMany,
    super::files::ops::DeleteFile,
    super::files::ops::FreeDetached,
    super::files::ops::MakeDirectory,
    super::files::ops::PutFile,
    super::files::ops::RemoveDirectory,
    super::files::ops::RenameNode,
    super::keys::ops::CreateFirstKey,
    super::keys::ops::CreateKey,
    super::keys::ops::PutSecretCheck,
    super::keys::ops::RevokeKey,
    super::keys::ops::UpdateKey,
    super::mounts::jobs::EndJobs,
    super::mounts::jobs::PutJob,
    super::mounts::ops::ForgetMount,
    super::mounts::ops::LoadMount,
    super::mounts::ops::PutMount,
    super::mounts::ops::RemoveMount,
    super::mounts::sync_ops::EndSync,
    super::mounts::sync_ops::FreeMountFiles,
    super::mounts::sync_ops::ImportFiles,
    super::mounts::sync_ops::KeepAgreed,
    super::relations::namespaces_ops::DeleteNamespace,
    super::relations::namespaces_ops::PutNamespace,
    super::sandboxes::ops::ChangeSandbox,
    super::sandboxes::ops::GetOrCreateSandbox,
    super::relations::tuples_ops::CreateTuple,
    super::relations::tuples_ops::DeleteTuple,
    super::versions::moving::ImportMetadata,
    super::versions::ops::RollbackFile,
    super::versions::undelete_ops::RestoreNodes,
    super::versions::undelete_ops::Undelete,
    super::workspaces::ops::RegisterWorkspace,
    super::workspaces::ops::UnregisterWorkspace,
    super::workspaces::restore_ops::RestoreWorkspace,
    crate::store::chunks::DropChunks,
    crate::store::chunks::NameChunks,
    super::workspaces::snapshot_ops::DeleteSnapshot,
    super::workspaces::snapshot_ops::TakeSnapshot,
    crate::store::chunks::PutChunks,
    crate::store::workspaces::SweepWorkspaces,
];
