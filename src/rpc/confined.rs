//! What programs in sandboxes may call: the data that their caller's work is about, and nothing that outlives them as
//! power.
//!
//! Owns the list. Invariant: what is not on it is refused, a new method too; nothing on it gives out keys or rights, runs
//! or reaches programs, or is an admin's.

use super::registry::Spec;
use super::{ErrorCode, RpcError};
use crate::auth::Caller;
use crate::service::Lacking;

/// The methods, in alphabetical order.
const METHODS: &[&str] = &[
    "ace_add_feedback",
    "ace_complete_trajectory",
    "ace_get_effective_score",
    "ace_get_playbook",
    "ace_get_trajectory",
    "ace_get_trajectory_feedback",
    "ace_log_trajectory_step",
    "ace_query_playbooks",
    "ace_query_trajectories",
    "ace_start_trajectory",
    "append",
    "batch_get_content_ids",
    "complete_trajectory",
    "copy",
    "delete",
    "delete_bulk",
    "diff_versions",
    "edit",
    "exists",
    "export_metadata",
    "get_available_namespaces",
    "get_etag",
    "get_memory_info",
    "get_metadata",
    "get_playbook",
    "get_version",
    "get_workspace_info",
    "glob",
    "grep",
    "is_directory",
    "list",
    "list_deleted",
    "list_memories",
    "list_registered_memories",
    "list_versions",
    "list_workspaces",
    "log_trajectory_step",
    "mkdir",
    "query_memories",
    "query_playbooks",
    "query_trajectories",
    "read",
    "read_bulk",
    "read_range",
    "rebac_check",
    "rebac_check_batch",
    "rename",
    "rename_bulk",
    "retrieve_memory",
    "rmdir",
    "rollback",
    "skills_export",
    "skills_info",
    "skills_list",
    "skills_search",
    "skills_validate",
    "start_trajectory",
    "stat",
    "store_memory",
    "undelete",
    "update_memory",
    "workspace_diff",
    "workspace_log",
    "workspace_restore",
    "workspace_snapshot",
    "write",
    "write_batch",
    "write_stream",
];

/// Refuses a program what is not for programs.
pub(super) fn check(caller: &Caller, spec: &Spec) -> Result<(), RpcError> {
    let name = spec.entry.name;
    if !caller.confined || METHODS.binary_search(&name).is_ok() {
        return Ok(());
    }
    let text = format!("Access denied: programs in sandboxes cannot call '{name}'");
    Err(RpcError::new(ErrorCode::PermissionDenied, text)
        .hint("call it from outside of the sandbox, with a key; inside there are files, versions, snapshots, memories, skills")
        .lacking(Lacking::new("call", format_args!("method:{name}"))))
}

#[cfg(test)]
mod tests {
    use super::super::Access;
    use super::super::registry;
    use super::*;

    #[test]
    fn the_list_is_alphabetical_and_of_methods_that_are_there() {
        for pair in METHODS.windows(2) {
            assert!(pair[0] < pair[1], "{} must stand after {}", pair[0], pair[1]);
        }
        for name in METHODS {
            assert!(registry::find(name).is_some(), "{name}");
        }
    }

    #[test]
    fn nothing_on_it_gives_power_away() {
        let powers = ["key", "agent", "sandbox", "share", "rebac_c", "mount", "provision", "register_", "oauth", "mcp"];
        for name in METHODS.iter().filter(|name| !name.starts_with("rebac_check")) {
            let entry = registry::find(name).expect("there").entry;
            assert!(entry.access != Access::Admin && !entry.secret, "{name}");
            assert!(
                !powers.iter().any(|power| name.starts_with(power) || name.contains(&format!("_{power}"))),
                "{name}"
            );
        }
    }

    #[test]
    fn another_name_is_worth_what_the_first_is() {
        for entry in registry::METHODS {
            let Some(of) = entry.alias_of else { continue };
            assert_eq!(METHODS.contains(&entry.name), METHODS.contains(&of), "{}", entry.name);
        }
    }

    #[test]
    fn a_program_is_refused_what_its_caller_may() {
        let admin = Caller::system("admin");
        let program = admin.clone().confined();
        for entry in registry::METHODS {
            let spec = registry::find(entry.name).expect("there");
            assert!(check(&admin, spec).is_ok(), "{}", entry.name);
            let refused = check(&program, spec).err().map(|error| error.code);
            let wanted = (!METHODS.contains(&entry.name)).then_some(ErrorCode::PermissionDenied);
            assert_eq!(refused, wanted, "{}", entry.name);
        }
    }
}
