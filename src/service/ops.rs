//! Every writer message there is. A mutation that is not named here does not exist; a test holds that.

use crate::store::WriteOp;

/// Makes the list of names from the list of types.
macro_rules! ops {
    ($($op:ty,)*) => { &[$(<$op as WriteOp>::NAME),*] };
}

/// The names of all writer messages, as the changelog and the metrics show them.
pub const OPS: &[&str] = ops![
    super::agents_ops::DeleteAgent,
    super::agents_ops::RegisterAgent,
    super::facts_ops::KeepFact,
    super::append_ops::AppendFile,
    super::append_ops::CopyFile,
    super::bulk_ops::PutFiles,
    super::bulk_ops::RemoveMany,
    super::bulk_ops::RenameMany,
    super::files_ops::DeleteFile,
    super::files_ops::FreeDetached,
    super::files_ops::MakeDirectory,
    super::files_ops::PutFile,
    super::files_ops::RemoveDirectory,
    super::files_ops::RenameNode,
    super::keys_ops::CreateFirstKey,
    super::keys_ops::CreateKey,
    super::keys_ops::PutSecretCheck,
    super::keys_ops::RevokeKey,
    super::keys_ops::UpdateKey,
    super::namespaces_ops::DeleteNamespace,
    super::namespaces_ops::PutNamespace,
    super::sandboxes_ops::ChangeSandbox,
    super::sandboxes_ops::GetOrCreateSandbox,
    super::tuples_ops::CreateTuple,
    super::tuples_ops::DeleteTuple,
    super::workspaces_ops::RegisterWorkspace,
    super::workspaces_ops::UnregisterWorkspace,
    crate::store::chunks::PutChunks,
];
