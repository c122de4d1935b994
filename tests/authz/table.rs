//! The table: a row per method. Columns: admin, owner, stranger, agent without rights, another tenant's user.

use super::*;

/// A row whose parameters need nothing but the scene.
const fn row(method: &'static str, outcomes: [Outcome; 5], params: Params) -> Row {
    Row { method, outcomes, before: |_| Vec::new(), then: None, params }
}

impl Row {
    /// With calls that come first.
    const fn after(self, before: Before) -> Self {
        Self { before, ..self }
    }
    /// With one call more, by alice, that needs what those before gave back.
    const fn then(self, method: &'static str, params: Params) -> Self {
        Self { then: Some((method, params)), ..self }
    }
}

/// Done by whoever has the right to; to the others it is the same as if nothing were there.
const OWNERS: [Outcome; 5] = [Yes, Yes, DENIED, DENIED, DENIED];
/// Seen by whoever may see; the others get an answer that is the same as for nothing.
const SEEN: [Outcome; 5] = [Yes, Yes, Blind, Blind, Blind];
/// For the admin of the tenant.
const ADMINS: [Outcome; 5] = [Yes, DENIED, DENIED, DENIED, DENIED];
/// Nobody's secret, or the caller's own.
const ANYBODY: [Outcome; 5] = [Yes; 5];
const NOTHING: Outcome = No(ErrorCode::FileNotFound);
/// To whoever may not see it, it does not exist.
const EXISTS: [Outcome; 5] = [Yes, Yes, NOTHING, NOTHING, NOTHING];
/// Likewise, and to the others the provider says that it cannot.
const CANNOT: [Outcome; 5] = {
    const SAYS_SO: Outcome = No(ErrorCode::NotSupported);
    [SAYS_SO, SAYS_SO, NOTHING, NOTHING, NOTHING]
};
/// A skill that others have.
const SKILL: [Outcome; 5] = {
    const NO_SKILL: Outcome = No(ErrorCode::Validation);
    [Yes, Yes, NO_SKILL, NO_SKILL, NO_SKILL]
};

fn agent(s: &Scene) -> String {
    format!("alice,{}", s.tag)
}

fn new_key(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    vec![(Who::Admin, "admin_create_key", json!({"user_id": "alice", "name": s.tag}))]
}

fn new_agent(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    vec![(Who::Alice, "register_agent", json!({"agent_id": agent(s), "name": s.tag}))]
}

fn new_workspace(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    vec![(Who::Alice, "register_workspace", json!({"path": s.directory, "name": s.tag}))]
}

fn new_sandbox(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    vec![(Who::Alice, "sandbox_create", json!({"name": s.tag}))]
}

/// A skill of the tenant that alice may see.
fn new_skill(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    let name = skill(s);
    let path = format!("/tenant:{HOME}/skill/{name}/SKILL.md");
    let body = format!("---\nname: {name}\ndescription: d\n---\n");
    let grant = json!({"subject": ["user", "alice"], "relation": "direct_viewer", "object": ["file", path]});
    vec![(Who::Admin, "write", json!({"path": path, "content": body})), (Who::Admin, "rebac_create", grant)]
}

fn skill(s: &Scene) -> String {
    format!("skill-of-{}", s.tag)
}

fn sandbox(s: &Scene) -> Value {
    json!({"sandbox_id": s.made[0]["sandbox_id"]})
}

fn right(s: &Scene) -> Value {
    json!({"subject": ["user", "bob"], "permission": "read", "object": ["file", s.file]})
}

pub(super) static ROWS: &[Row] = &[
    row("admin_create_key", ADMINS, |s| json!({"user_id": s.tag, "name": s.tag})),
    row("admin_get_key", ADMINS, |s| json!({"key_id": s.made[0]["key_id"]})).after(new_key),
    row("admin_list_keys", ADMINS, |_| json!({})).after(new_key),
    row("admin_revoke_key", ADMINS, |s| json!({"key_id": s.made[0]["key_id"]})).after(new_key),
    row("admin_update_key", ADMINS, |s| json!({"key_id": s.made[0]["key_id"], "name": "renamed"})).after(new_key),
    row("delete", OWNERS, |s| json!({"path": s.file})),
    // In another tenant there is no such agent, and what is not there is not deleted.
    row("delete_agent", [Yes, Yes, DENIED, DENIED, Blind], |s| json!({"agent_id": agent(s)})).after(new_agent),
    row("exists", SEEN, |s| json!({"path": s.file})),
    row("get_agent", SEEN, |s| json!({"agent_id": agent(s)})).after(new_agent),
    row("get_mount", ANYBODY, |_| json!({"mount_point": "/"})),
    row("get_workspace_info", SEEN, |s| json!({"path": s.directory})).after(new_workspace),
    row("has_mount", ANYBODY, |_| json!({"mount_point": "/"})),
    row("is_directory", SEEN, |s| json!({"path": s.directory})),
    row("list", SEEN, |s| json!({"path": s.directory})),
    row("list_agents", SEEN, |_| json!({})).after(new_agent),
    row("list_mounts", ANYBODY, |_| json!({})),
    row("list_workspaces", SEEN, |_| json!({})).after(new_workspace),
    row("mkdir", OWNERS, |s| json!({"path": format!("{}/new", s.directory)})),
    row("read", OWNERS, |s| json!({"path": s.file})),
    row("rebac_check", OWNERS, right),
    row("rebac_check_batch", SEEN, |s| json!({"checks": [[["user", "bob"], "read", ["file", s.file]]]})),
    row(
        "rebac_create",
        OWNERS,
        |s| json!({"subject": ["user", "carol"], "relation": "direct_viewer", "object": ["file", s.file]}),
    ),
    row("rebac_delete", OWNERS, |s| json!({"tuple_id": s.tuple})),
    row("rebac_list_tuples", SEEN, |s| json!({"object": ["file", s.file]})),
    // An agent makes no agents.
    row("register_agent", [Yes, Yes, Yes, DENIED, Yes], |s| json!({"agent_id": s.tag, "name": s.tag})),
    row("register_workspace", OWNERS, |s| json!({"path": s.directory})),
    row("rename", OWNERS, |s| json!({"old_path": s.file, "new_path": format!("{}/moved", s.directory)})),
    row("rmdir", OWNERS, |s| json!({"path": s.directory, "recursive": true})),
    row("sandbox_connect", CANNOT, sandbox).after(new_sandbox),
    row("sandbox_create", ANYBODY, |s| json!({"name": s.tag})),
    row("sandbox_disconnect", CANNOT, sandbox).after(new_sandbox),
    row("sandbox_get_or_create", ANYBODY, |s| json!({"name": s.tag})),
    row("sandbox_list", SEEN, |_| json!({})).after(new_sandbox),
    row("sandbox_pause", EXISTS, sandbox).after(new_sandbox),
    row("sandbox_resume", EXISTS, sandbox).after(new_sandbox).then("sandbox_pause", sandbox),
    row("sandbox_run", CANNOT, |s| json!({"sandbox_id": s.made[0]["sandbox_id"], "language": "bash", "code": "true"}))
        .after(new_sandbox),
    row("sandbox_status", EXISTS, sandbox).after(new_sandbox),
    row("sandbox_stop", EXISTS, sandbox).after(new_sandbox),
    row("skills_info", SKILL, |s| json!({"skill_name": skill(s)})).after(new_skill),
    row("skills_list", SEEN, |_| json!({})).after(new_skill),
    row("stat", OWNERS, |s| json!({"path": s.file})),
    row("unregister_workspace", OWNERS, |s| json!({"path": s.directory})).after(new_workspace),
    row("write", OWNERS, |s| json!({"path": s.file, "content": "new"})),
];
