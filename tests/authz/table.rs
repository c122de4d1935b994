//! The table: a row per method.
//!
//! A row names who gets a result and what the others get: `only(READERS, DENIED)`, or a set that has a name, with the
//! exceptions after it: `OWNERS.but(&[OtherUser], Blind)`.

use super::*;

/// A row whose parameters need nothing but the scene.
const fn row(method: &'static str, outcomes: Outcomes, params: Params) -> Row {
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

/// Those who may read what alice shares.
const READERS: &[Who] = &[Root, Admin, Owner, Editor, Viewer, Member, Heir];
/// Those who may change it.
const WRITERS: &[Who] = &[Root, Admin, Owner, Editor, Heir];
/// Those who may give rights to it.
const MANAGERS: &[Who] = &[Root, Admin, Owner, Heir];
/// Those who act for alice, with or without rights: what belongs to a person is theirs.
const ACTING: &[Who] = MANAGERS;
/// Those who rule the tenant.
const RULERS: &[Who] = &[Root, Admin];

/// Nobody's secret, or the caller's own.
const ANYBODY: Outcomes = all(Yes);
/// Seen by whoever may see; the others get an answer that is the same as for nothing.
const SEEN: Outcomes = only(READERS, Blind);
/// To the others it is the same as if nothing were there.
const READ: Outcomes = only(READERS, DENIED);
/// Likewise.
const WRITTEN: Outcomes = only(WRITERS, DENIED);
/// Likewise.
const OWNERS: Outcomes = only(MANAGERS, DENIED);
/// What a person has; the others get an answer that is the same as for nothing.
const MINE: Outcomes = only(ACTING, Blind);
/// For whoever rules every tenant.
const ROOTS: Outcomes = only(&[Root], DENIED);
/// For the admin of the tenant, and for that of another in his own.
const ADMINS: Outcomes = only(RULERS, DENIED).but(&[OtherAdmin], Yes);
/// For the admin of the tenant; for that of another it does not exist.
const ADMINS_HERE: Outcomes = only(RULERS, DENIED).but(&[OtherAdmin], NOTHING);
const NOTHING: Outcome = No(ErrorCode::FileNotFound);
/// What is found by its owner's name for it, which an admin has not.
const ACTING_ALONE: Outcomes = only(&[Owner, Heir], Blind);
/// To whoever may not see it, it does not exist.
const EXISTS: Outcomes = only(ACTING, NOTHING);
/// What came of it is brought back for whoever connected, and for nobody with other rights.
const CONNECTED: Outcomes = EXISTS.but(&[Root, Admin, Heir], DENIED);
/// Likewise, and to the others the provider says that it cannot.
const CANNOT: Outcomes = all(NOTHING).but(ACTING, No(ErrorCode::NotSupported));

fn agent(s: &Scene) -> String {
    format!("alice,{}", s.tag)
}

fn new_key(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    vec![(Admin, "admin_create_key", json!({"user_id": "alice", "name": s.tag}))]
}

fn new_agent(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    vec![(Owner, "register_agent", json!({"agent_id": agent(s), "name": s.tag}))]
}

fn etag_of(s: &Scene) -> String {
    nexus_lite::model::ContentHash::of(format!("body of {}", s.tag).as_bytes()).to_hex()
}

fn deleted_file(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    vec![(Owner, "delete", json!({"path": s.file}))]
}

fn new_workspace(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    vec![(Owner, "register_workspace", json!({"path": s.directory, "name": s.tag}))]
}

fn new_memory(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    vec![(Owner, "register_memory", json!({"path": s.directory, "name": s.tag}))]
}

/// Two snapshots of alice's workspace, and a file between them.
fn new_snapshots(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    let snapshot = || (Owner, "workspace_snapshot", json!({"workspace_path": s.directory, "description": s.tag}));
    let more = json!({"path": format!("{}/more", s.directory), "content": "more"});
    let mut calls = new_workspace(s);
    calls.extend([snapshot(), (Owner, "write", more), snapshot()]);
    calls
}

fn first_snapshot(s: &Scene) -> Value {
    json!({"workspace_path": s.directory, "snapshot_number": 1})
}

fn new_sandbox(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    vec![(Owner, "sandbox_create", json!({"name": s.tag}))]
}

/// Her directory, to be copied into her sandbox.
fn connection(s: &Scene) -> Value {
    json!({"sandbox_id": s.made[0]["sandbox_id"], "workspace": s.directory})
}

fn rules() -> Value {
    json!({"relations": {"owner": {}}, "permissions": {"read": ["owner"]}})
}

fn new_namespace(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    vec![(Root, "namespace_create", json!({"object_type": s.tag, "config": rules()}))]
}

/// A skill of the tenant that alice may see.
fn new_skill(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    let name = skill(s);
    let path = format!("/tenant:{HOME}/skill/{name}/SKILL.md");
    let body = format!("---\nname: {name}\ndescription: d\n---\n");
    let grant = json!({"subject": ["user", "alice"], "relation": "direct_viewer", "object": ["file", path]});
    vec![(Admin, "write", json!({"path": path, "content": body})), (Admin, "rebac_create", grant)]
}

/// Such a skill that alice wants to be shared, as it is.
fn new_approval(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    let mut calls = new_skill(s);
    calls.push((Owner, "skills_submit_approval", json!({"skill_name": skill(s), "submitted_by": "alice"})));
    calls
}

/// A decision in the name of the tenant's admin.
fn decision(s: &Scene) -> Value {
    json!({"approval_id": s.made[2]["approval_id"], "reviewed_by": "admin"})
}

/// An archive with one skill.
fn archive(s: &Scene) -> String {
    use base64::Engine as _;
    use nexus_lite::service::skills::archive::{Member, write};
    let body = format!("---\nname: {0}\ndescription: d\n---\n", s.tag);
    let member = Member { path: format!("{}/SKILL.md", s.tag), body: body.into() };
    base64::engine::general_purpose::STANDARD.encode(write(&[member]).expect("an archive"))
}

fn skill(s: &Scene) -> String {
    format!("skill-of-{}", s.tag)
}

fn mount_point(s: &Scene) -> Value {
    json!({"mount_point": format!("{}/mnt", s.directory)})
}

fn mount(s: &Scene) -> Value {
    let config = json!({"data_dir": s.host});
    json!({"mount_point": format!("{}/mnt", s.directory), "backend_type": "local", "backend_config": config})
}

fn new_mount(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    vec![(Root, "add_mount", mount(s))]
}

fn saved_mount(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    vec![(Root, "save_mount", mount(s))]
}

/// A mount in which nothing is left to be synced, and a job that finds that out.
fn synced_mount(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    let calls = [("add_mount", mount(s)), ("sync_mount", mount_point(s)), ("sync_mount_async", mount_point(s))];
    calls.into_iter().map(|(method, params)| (Root, method, params)).collect()
}

fn job(s: &Scene) -> Value {
    json!({"job_id": s.made[2]["job_id"]})
}

fn sandbox(s: &Scene) -> Value {
    json!({"sandbox_id": s.made[0]["sandbox_id"]})
}

/// Bob, or somebody who has no key, has a share of alice's file.
fn shared_with_bob(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    vec![(Owner, "share_with_user", json!({"resource": ["file", s.file], "user_id": "bob"}))]
}

fn shared(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    vec![(Owner, "share_with_user", json!({"resource": ["file", s.file], "user_id": "carol"}))]
}

/// Alice lets somebody discover her.
fn consent(s: &Scene) -> Value {
    json!({"from_subject": ["user", "alice"], "to_subject": ["user", s.tag]})
}

fn right(s: &Scene) -> Value {
    json!({"subject": ["user", "bob"], "permission": "read", "object": ["file", s.file]})
}

/// A memory of alice, for her and her agents, that is not active.
fn new_record(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    let memory = json!({"content": format!("body of {}", s.tag), "scope": "user", "state": "inactive",
        "namespace": format!("name-of-{}", s.tag), "path_key": "key"});
    vec![(Owner, "store_memory", memory)]
}

/// The same, active.
fn active_record(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    let mut calls = new_record(s);
    calls[0].2["state"] = json!("active");
    calls
}

fn record(s: &Scene) -> Value {
    json!({"memory_id": s.made[0]["memory_id"]})
}

fn records(s: &Scene) -> Value {
    json!({"memory_ids": [s.made[0]["memory_id"]]})
}

/// A trajectory of alice with a step and feedback.
fn new_trajectory(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    vec![(Owner, "ace_start_trajectory", json!({"task_description": format!("body of {}", s.tag)}))]
}

fn trajectory(s: &Scene) -> Value {
    json!({"trajectory_id": s.made[0]["trajectory_id"]})
}

fn feedback(s: &Scene) -> Value {
    let message = format!("name-of-{}", s.tag);
    json!({"trajectory_id": s.made[0]["trajectory_id"], "feedback_type": "human", "score": 0.5, "message": message})
}

fn mark(s: &Scene) -> Value {
    json!({"trajectory_id": s.made[0]["trajectory_id"], "reason": "again"})
}

fn new_playbook(s: &Scene) -> Vec<(Who, &'static str, Value)> {
    vec![(Owner, "ace_create_playbook", json!({"name": format!("name-of-{}", s.tag), "scope": "user"}))]
}

pub(super) static ROWS: &[Row] = &[
    row("ace_add_feedback", EXISTS, feedback).after(new_trajectory),
    row(
        "ace_complete_trajectory",
        EXISTS,
        |s| json!({"trajectory_id": s.made[0]["trajectory_id"], "status": "success"}),
    )
    .after(new_trajectory),
    // An agent that inherits nothing keeps nothing for its user.
    row("ace_create_playbook", ANYBODY.but(&[Agent], DENIED), |s| json!({"name": s.tag, "scope": "user"})),
    row("ace_get_effective_score", EXISTS, trajectory).after(new_trajectory).then("ace_add_feedback", feedback),
    row("ace_get_playbook", MINE, |s| json!({"playbook_id": s.made[0]["playbook_id"]})).after(new_playbook),
    row("ace_get_trajectory", EXISTS, trajectory).after(new_trajectory).then("ace_add_feedback", feedback),
    row("ace_get_trajectory_feedback", EXISTS, trajectory).after(new_trajectory).then("ace_add_feedback", feedback),
    row(
        "ace_log_trajectory_step",
        EXISTS,
        |s| json!({"trajectory_id": s.made[0]["trajectory_id"], "step_type": "action", "description": "d"}),
    )
    .after(new_trajectory),
    row("ace_mark_for_relearning", EXISTS, mark).after(new_trajectory),
    row("ace_query_playbooks", MINE, |_| json!({})).after(new_playbook),
    row("ace_query_trajectories", MINE, |_| json!({})).after(new_trajectory),
    row("ace_start_trajectory", ANYBODY, |s| json!({"task_description": s.tag})),
    row("add_mount", ROOTS, mount),
    row("admin_audit_query", ADMINS.but(&[OtherAdmin], Blind), |_| json!({})),
    row("admin_collect", ROOTS, |_| json!({})),
    row("admin_create_backup", ROOTS, |_| json!({})),
    row("admin_create_key", ADMINS, |s| json!({"user_id": s.tag, "name": s.tag})),
    row("admin_get_key", ADMINS_HERE, |s| json!({"key_id": s.made[0]["key_id"]})).after(new_key),
    row("admin_get_quota", only(RULERS, DENIED), |_| json!({"tenant_id": HOME})),
    row("admin_list_backups", ROOTS, |_| json!({})),
    row("admin_list_keys", ADMINS.but(&[OtherAdmin], Blind), |_| json!({})).after(new_key),
    row("admin_list_quotas", ADMINS, |_| json!({})),
    row("admin_revoke_key", ADMINS_HERE, |s| json!({"key_id": s.made[0]["key_id"]})).after(new_key),
    row("admin_set_quota", ROOTS, |s| json!({"tenant_id": s.tag, "files_max": 7})),
    row("admin_update_key", ADMINS_HERE, |s| json!({"key_id": s.made[0]["key_id"], "name": "renamed"})).after(new_key),
    row("append", WRITTEN, |s| json!({"path": s.file, "content": "more"})),
    row(
        "apply_dynamic_viewer_filter",
        ANYBODY,
        |_| json!({"data": "a,b\n1,2\n", "column_config": {"hidden_columns": ["b"]}}),
    ),
    row("approve_memory", MINE, record).after(new_record),
    row("approve_memory_batch", MINE, records).after(new_record),
    // Of each path a null, as for nothing.
    row("batch_get_content_ids", SEEN, |s| json!({"paths": [s.file]})),
    row("cancel_sync_job", ROOTS, job).after(synced_mount),
    row("copy", WRITTEN, |s| json!({"src_path": s.file, "dst_path": format!("{}/copy", s.directory)})),
    row("deactivate_memory", MINE, record).after(active_record),
    row("deactivate_memory_batch", MINE, records).after(active_record),
    row("delete", WRITTEN, |s| json!({"path": s.file})),
    // In another tenant there is no such agent, and what is not there is not deleted. An agent deletes none.
    row(
        "delete_agent",
        OWNERS.but(&[Heir], DENIED).but(&[OtherUser, OtherAdmin], Blind),
        |s| json!({"agent_id": agent(s)}),
    )
    .after(new_agent),
    // Of each path it is said that it is refused, in the words of the method for one.
    row("delete_bulk", only(WRITERS, Blind), |s| json!({"paths": [s.file]})),
    // In another tenant there is nobody of that name.
    row("deprovision_user", ADMINS.but(&[OtherAdmin], Blind), |s| json!({"user_id": s.tag}))
        .after(|s| vec![(Admin, "provision_user", json!({"user_id": s.tag}))]),
    row("diff_versions", READ, |s| json!({"path": s.file, "v1": 1, "v2": 1})),
    row("delete_memory", MINE, record).after(new_record),
    row("delete_memory_batch", MINE, records).after(new_record),
    row("delete_saved_mount", ROOTS, mount_point).after(saved_mount),
    row("edit", WRITTEN, |s| json!({"path": s.file, "edits": [{"old_str": "body", "new_str": "text"}]})),
    row("exists", SEEN, |s| json!({"path": s.file})),
    row("export_metadata", SEEN, |s| json!({"prefix": s.directory})),
    row("get_agent", MINE, |s| json!({"agent_id": agent(s)})).after(new_agent),
    row("get_available_namespaces", ANYBODY, |_| json!({})),
    // Bob asks about himself.
    row(
        "get_dynamic_viewer_config",
        OWNERS.but(&[Viewer], Yes),
        |s| json!({"subject": ["user", "bob"], "file_path": s.file}),
    ),
    row("get_etag", READ, |s| json!({"path": s.file})),
    row("get_memory_info", MINE, |s| json!({"path": s.directory})).after(new_memory),
    row("get_metadata", READ, |s| json!({"path": s.file})),
    row("get_mount", ANYBODY, |_| json!({"mount_point": "/"})),
    // Rules hold for every tenant, so everybody may know them.
    row("get_namespace", ANYBODY, |_| json!({"object_type": "file"})),
    row("get_playbook", ACTING_ALONE, |s| json!({"playbook_name": format!("name-of-{}", s.tag)})).after(new_playbook),
    row("get_rebac_option", ANYBODY, |_| json!({"key": "edges_per_request"})),
    row("get_version", READ, |s| json!({"path": s.file, "version": 1})),
    row("get_sync_job", ROOTS, job).after(synced_mount),
    row("get_workspace_info", MINE, |s| json!({"path": s.directory})).after(new_workspace),
    row("glob", SEEN, |s| json!({"pattern": "**", "path": s.directory})),
    // There is an alice in the other tenant, too.
    row("grant_consent", OWNERS.but(&[OtherUser, OtherAdmin], Yes), consent),
    row("grep", SEEN, |s| json!({"pattern": "body of", "path": s.directory})),
    row("has_mount", ANYBODY, |_| json!({"mount_point": "/"})),
    // Of each line it is said that it is refused.
    row(
        "import_metadata",
        only(WRITERS, Blind),
        |s| json!({"data": format!("{{\"path\":\"{}/copy\",\"etag\":\"{}\"}}", s.directory, etag_of(s))}),
    ),
    row("is_directory", SEEN, |s| json!({"path": s.directory})),
    row("list", SEEN, |s| json!({"path": s.directory})),
    row("list_agents", MINE, |_| json!({})).after(new_agent),
    row("list_connectors", ANYBODY, |_| json!({})),
    // Shown is what one owned, and everything to whoever manages the directory.
    row("list_deleted", only(WRITERS, DENIED), |s| json!({"path": s.directory})).after(deleted_file),
    // In the tenant of another admin there is no such bob.
    row(
        "list_incoming_shares",
        only(&[Root, Admin, Viewer], DENIED).but(&[OtherAdmin], Blind),
        |_| json!({"user_id": "bob"}),
    )
    .after(shared_with_bob),
    row("list_memories", MINE, |_| json!({})).after(active_record),
    row("list_mounts", ANYBODY, |_| json!({})),
    row("list_outgoing_shares", MINE, |s| json!({"resource": ["file", s.file]})).after(shared),
    row("list_registered_memories", MINE, |_| json!({})).after(new_memory),
    row("list_versions", READ, |s| json!({"path": s.file})),
    row("list_saved_mounts", ROOTS, |_| json!({})).after(saved_mount),
    row("list_sync_jobs", ROOTS, |_| json!({})).after(synced_mount),
    row("list_workspaces", MINE, |_| json!({})).after(new_workspace),
    row("load_mount", ROOTS, mount_point).after(saved_mount),
    row(
        "load_workspace_memory_config",
        OWNERS,
        |s| json!({"workspaces": [{"path": s.directory}], "memories": [{"path": s.directory}]}),
    ),
    row("make_private", OWNERS, |s| json!({"resource": ["file", s.file]}))
        .after(|s| vec![(Owner, "make_public", json!({"resource": ["file", s.file]}))]),
    row("make_public", OWNERS, |s| json!({"resource": ["file", s.file]})),
    row("mcp_list_mounts", ANYBODY, |_| json!({})),
    row("mkdir", WRITTEN, |s| json!({"path": format!("{}/new", s.directory)})),
    row("namespace_create", ROOTS, |s| json!({"object_type": s.tag, "config": rules()})),
    row("namespace_delete", ROOTS, |s| json!({"object_type": s.tag})).after(new_namespace),
    row("namespace_get", ANYBODY, |_| json!({"object_type": "file"})),
    row("namespace_list", ANYBODY, |_| json!({})),
    row("namespace_validate", ANYBODY, |s| json!({"object_type": s.tag, "config": rules()})),
    row("provision_user", ADMINS, |s| json!({"user_id": s.tag, "email": "somebody@example.org"})),
    row("oauth_list_credentials", ANYBODY, |_| json!({})),
    row("oauth_list_providers", ANYBODY, |_| json!({})),
    row("process_relearning", MINE, |_| json!({})).after(new_trajectory).then("ace_mark_for_relearning", mark),
    row("query_memories", MINE, |_| json!({})).after(active_record),
    row("query_playbooks", MINE, |_| json!({})).after(new_playbook),
    row("query_trajectories", MINE, |_| json!({})).after(new_trajectory),
    row("read", READ, |s| json!({"path": s.file})),
    row("read_bulk", SEEN, |s| json!({"paths": [s.file]})),
    row("read_range", READ, |s| json!({"path": s.file, "start": 0, "end": 4})),
    // Bob reads for himself.
    row(
        "read_with_dynamic_viewer",
        OWNERS.but(&[Viewer], Yes),
        |s| json!({"subject": ["user", "bob"], "file_path": s.file}),
    ),
    // Bob asks about himself.
    row("rebac_check", OWNERS.but(&[Viewer], Yes), right),
    row(
        "rebac_check_batch",
        MINE.but(&[Viewer], Yes),
        |s| json!({"checks": [[["user", "bob"], "read", ["file", s.file]]]}),
    ),
    row(
        "rebac_create",
        OWNERS,
        |s| json!({"subject": ["user", "carol"], "relation": "direct_viewer", "object": ["file", s.file]}),
    ),
    // The admin of another tenant hears what he hears of an id that nobody has.
    row("rebac_delete", OWNERS.but(&[OtherAdmin], Blind), |s| json!({"tuple_id": s.tuple})),
    row("rebac_expand_with_privacy", OWNERS, |s| json!({"permission": "read", "object": ["file", s.file]})),
    // Bob asks about himself.
    row("rebac_explain", OWNERS.but(&[Viewer], Yes), right),
    row("rebac_expand", OWNERS, |s| json!({"permission": "read", "object": ["file", s.file]})),
    row(
        "rebac_filter",
        MINE.but(&[Viewer], Yes),
        |s| json!({"subject": ["user", "bob"], "permission": "read", "objects": [["file", s.file]]}),
    ),
    // In the tenant of another admin there is no such bob.
    row(
        "rebac_list_objects",
        only(&[Root, Admin, Viewer], DENIED).but(&[OtherAdmin], Blind),
        |s| json!({"subject": ["user", "bob"], "permission": "read", "object_type": "file", "path_prefix": s.directory}),
    ),
    row("rebac_list_subjects", OWNERS, |s| json!({"permission": "read", "object": ["file", s.file]})),
    row("rebac_list_tuples", MINE.but(&[Viewer], Yes), |s| json!({"object": ["file", s.file]})),
    // An agent makes no agents.
    row("register_agent", ANYBODY.but(&[Agent, Heir], DENIED), |s| json!({"agent_id": s.tag, "name": s.tag})),
    row("register_memory", OWNERS, |s| json!({"path": s.directory})),
    row("register_namespace", ROOTS, |s| json!({"namespace": {"object_type": s.tag, "config": rules()}})),
    row("register_workspace", OWNERS, |s| json!({"path": s.directory})),
    row("remove_mount", ROOTS, mount_point).after(new_mount),
    row("rename", WRITTEN, |s| json!({"old_path": s.file, "new_path": format!("{}/moved", s.directory)})),
    row("rename_bulk", only(WRITERS, Blind), |s| json!({"renames": [[s.file, format!("{}/moved", s.directory)]]})),
    row("revoke_consent", OWNERS.but(&[OtherUser, OtherAdmin], Blind), consent)
        .after(|s| vec![(Owner, "grant_consent", consent(s))]),
    row("revoke_share", OWNERS, |s| json!({"resource": ["file", s.file], "user_id": "carol"})).after(shared),
    // As of a tuple.
    row("revoke_share_by_id", OWNERS.but(&[OtherAdmin], Blind), |s| json!({"share_id": s.made[0]})).after(shared),
    row("retrieve_memory", MINE, record).after(active_record),
    row("rmdir", WRITTEN, |s| json!({"path": s.directory, "recursive": true})),
    row("rollback", WRITTEN, |s| json!({"path": s.file, "version": 1})),
    row("sandbox_connect", EXISTS, connection).after(new_sandbox),
    row("sandbox_create", ANYBODY, |s| json!({"name": s.tag})),
    row("sandbox_disconnect", CONNECTED, sandbox).after(new_sandbox).then("sandbox_connect", connection),
    row("sandbox_get_or_create", ANYBODY, |s| json!({"name": s.tag})),
    row("sandbox_list", MINE, |_| json!({})).after(new_sandbox),
    row("sandbox_pause", EXISTS, sandbox).after(new_sandbox),
    row("sandbox_resume", EXISTS, sandbox).after(new_sandbox).then("sandbox_pause", sandbox),
    row("sandbox_run", CANNOT, |s| json!({"sandbox_id": s.made[0]["sandbox_id"], "language": "bash", "code": "true"}))
        .after(new_sandbox),
    row("sandbox_status", EXISTS, sandbox).after(new_sandbox),
    row("sandbox_stop", EXISTS, sandbox).after(new_sandbox),
    row("sandbox_sync", CONNECTED, sandbox).after(new_sandbox).then("sandbox_connect", connection),
    row("save_mount", ROOTS, mount),
    // Nothing is set; why is told to whoever could.
    row(
        "set_rebac_option",
        all(DENIED).but(&[Root], No(ErrorCode::NotSupported)),
        |_| json!({"key": "max_depth", "value": 5}),
    ),
    row("share_with_user", OWNERS, |s| json!({"resource": ["file", s.file], "user_id": "carol"})),
    row("shutdown_parser_threads", ANYBODY, |_| json!({})),
    // Not those who submitted it in the admin's name; the others do not know of it.
    row("skills_approve", only(RULERS, No(ErrorCode::Validation)).but(&[Owner, Heir], DENIED), decision)
        .after(new_approval),
    // Everybody's own folder, but for the agent that may not do what its owner may.
    row("skills_create", ANYBODY.but(&[Agent], DENIED), |s| json!({"name": s.tag, "description": "d"})),
    row(
        "skills_create_from_content",
        ANYBODY.but(&[Agent], DENIED),
        |s| json!({"name": s.tag, "description": "d", "content": "# c"}),
    ),
    row(
        "skills_create_from_file",
        ANYBODY.but(&[Agent], DENIED),
        |s| json!({"source": "a.md", "file_data": "IyBoaQo=", "name": s.tag}),
    ),
    row("skills_export", only(ACTING, No(ErrorCode::Validation)), |s| json!({"skill_name": skill(s)})).after(new_skill),
    row(
        "skills_fork",
        only(ACTING, No(ErrorCode::Validation)),
        |s| json!({"source_name": skill(s), "target_name": s.tag}),
    )
    .after(new_skill),
    row("skills_import", ANYBODY.but(&[Agent], DENIED), |s| json!({"zip_data": archive(s)})),
    row("skills_info", only(ACTING, No(ErrorCode::Validation)), |s| json!({"skill_name": skill(s)})).after(new_skill),
    row("skills_list", MINE, |_| json!({})).after(new_skill),
    row("skills_list_approvals", MINE, |_| json!({})).after(new_approval),
    row(
        "skills_publish",
        only(ACTING, No(ErrorCode::Validation)),
        |s| json!({"skill_name": skill(s), "source_tier": "tenant", "target_tier": "personal"}),
    )
    .after(new_skill),
    row("skills_reject", only(RULERS, No(ErrorCode::Validation)).but(&[Owner, Heir], DENIED), decision)
        .after(new_approval),
    row("skills_search", MINE, |s| json!({"query": skill(s)})).after(new_skill),
    row(
        "skills_submit_approval",
        only(ACTING, No(ErrorCode::Validation)),
        |s| json!({"skill_name": skill(s), "submitted_by": "alice"}),
    )
    .after(new_skill),
    row("skills_validate", only(ACTING, No(ErrorCode::Validation)), |s| json!({"skill_name": skill(s)}))
        .after(new_skill),
    row("skills_validate_zip", ANYBODY, |_| json!({"zip_data": "AAAA"})),
    row("stat", READ, |s| json!({"path": s.file})),
    row("store_memory", ANYBODY.but(&[Agent], DENIED), |s| json!({"content": s.tag, "scope": "user"})),
    row("sync_mount", ROOTS, mount_point).after(new_mount),
    row("sync_mount_async", ROOTS, mount_point).after(synced_mount),
    // Whoever may write there hears that there is nothing for him.
    row("undelete", OWNERS.but(&[Editor], NOTHING), |s| json!({"path": s.file})).after(deleted_file),
    // Who could not have registered it is refused; who could write there hears that there is none.
    row("unregister_memory", OWNERS.but(&[Editor], Blind), |s| json!({"path": s.directory})).after(new_memory),
    row("unregister_workspace", OWNERS.but(&[Editor], Blind), |s| json!({"path": s.directory})).after(new_workspace),
    // An agent changes none.
    row(
        "update_agent",
        only(&[Root, Admin, Owner], NOTHING).but(&[Agent, Heir], DENIED),
        |s| json!({"agent_id": agent(s), "description": "changed"}),
    )
    .after(new_agent),
    row("update_memory", EXISTS, |s| json!({"memory_id": s.made[0]["memory_id"], "content": "new", "importance": 1}))
        .after(active_record),
    row("workspace_delete_snapshot", WRITTEN, first_snapshot).after(new_snapshots),
    row("workspace_diff", READ, |s| json!({"workspace_path": s.directory, "snapshot_1": 1, "snapshot_2": 2}))
        .after(new_snapshots),
    row("workspace_log", READ, |s| json!({"workspace_path": s.directory})).after(new_snapshots),
    row("workspace_restore", WRITTEN, first_snapshot).after(new_snapshots),
    row("workspace_snapshot", WRITTEN, |s| json!({"workspace_path": s.directory})).after(new_workspace),
    row("write", WRITTEN, |s| json!({"path": s.file, "content": "new"})),
    row("write_batch", WRITTEN, |s| json!({"files": [[s.file, "new"]]})),
    row("write_stream", WRITTEN, |s| json!({"path": s.file, "chunks": ["n", "ew"]})),
];
