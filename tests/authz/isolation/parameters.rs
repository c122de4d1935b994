//! What a parameter of a method names, by the parameter's name: from this the calls of the matrix are made.
//!
//! A parameter that is not in the list fails the matrix, so that nobody adds a way to name things which it does not try.

use nexus_lite::rpc::registry::Spec;
use serde_json::{Map, Value, json};

use super::nest::Names;

/// What a parameter is for.
pub(super) enum Meaning {
    /// Names things: each of these in turn, the first one being that of the method's main call.
    Names(Vec<Value>),
    /// Names nothing; sent where it must be.
    Plain(Value),
    /// Names nothing, and is left out.
    Unsent,
}
use Meaning::{Names as Things, Plain, Unsent};

fn subjects(n: &Names) -> Vec<Value> {
    vec![
        json!(["user", n["user"]]),
        json!(["user", n["other"]]),
        json!(["agent", n["agent"]]),
        json!(["group", n["group"], "member"]),
    ]
}

fn objects(n: &Names) -> Vec<Value> {
    let named = [
        ("file", "file"),
        ("file", "directory"),
        ("file", "gone"),
        ("file", "skill_file"),
        ("group", "group"),
        ("agent", "agent"),
        ("user", "user"),
        ("memory", "memory"),
        ("playbook", "playbook"),
        ("trajectory", "trajectory"),
        ("workspace", "directory"),
        ("skill", "skill"),
        ("tenant", "tenant"),
    ];
    named.into_iter().map(|(kind, name)| json!([kind, n[name]])).collect()
}

fn each(n: &Names, kinds: &[&str]) -> Meaning {
    Things(kinds.iter().map(|kind| json!(n[kind])).collect())
}

/// What a line of metadata says of a file whose bytes are those of the tenant's file.
fn metadata(n: &Names, path: &str) -> Value {
    json!(format!("{{\"path\":\"{}\",\"etag\":\"{}\"}}", n[path], n["hash"]))
}

/// The same for a path of a method: where a file is meant, and where a directory.
fn paths(method: &str, n: &Names) -> Meaning {
    match method {
        "list"
        | "glob"
        | "grep"
        | "is_directory"
        | "list_deleted"
        | "rmdir"
        | "register_workspace"
        | "unregister_workspace"
        | "get_workspace_info" => each(n, &["directory", "home", "file", "mount"]),
        "register_memory" | "unregister_memory" | "get_memory_info" => each(n, &["registered", "directory"]),
        "mkdir" => each(n, &["new", "directory", "home"]),
        "undelete" => each(n, &["gone", "directory"]),
        // The name of a memory in one.
        "retrieve_memory" => Things(vec![json!(format!("{}/{}", n["namespace"], n["path_key"]))]),
        "sync_mount" | "sync_mount_async" => Unsent,
        _ => each(n, &["file", "new", "directory", "table", "skill_file", "gone"]),
    }
}

/// What `name` means in `method`, with the things of `n`; `None` = nobody has said.
pub(super) fn meaning(method: &str, name: &str, n: &Names) -> Option<Meaning> {
    Some(match (method, name) {
        ("load_workspace_memory_config", "workspaces" | "memories") => {
            Things(["directory", "home", "new"].map(|kind| json!([{"path": n[kind]}])).into())
        }
        ("register_namespace", "namespace") => Plain(json!({"object_type": n["group"], "config": {}})),
        ("get_rebac_option" | "set_rebac_option", "key") => Plain(json!("max_depth")),
        ("skills_create_from_file", "source") => Plain(json!("a.md")),
        ("ace_add_feedback", "source") => Unsent,
        ("skills_publish", "source_tier") => Plain(json!("tenant")),
        ("skills_publish", "target_tier") => Plain(json!("personal")),
        ("delete_saved_mount" | "load_mount" | "save_mount", "mount_point") => each(n, &["saved_mount"]),
        ("sandbox_create" | "sandbox_get_or_create", "name") => each(n, &["sandbox_name"]),
        ("ace_create_playbook", "name") => each(n, &["playbook_name"]),
        ("skills_create" | "skills_create_from_content" | "skills_create_from_file", "name") => {
            each(n, &["skill", "own_skill"])
        }
        ("import_metadata", "data") => Things(vec![metadata(n, "new"), metadata(n, "file")]),
        ("apply_dynamic_viewer_filter", "data") => Plain(json!("a,b\n1,2\n")),
        ("rebac_list_objects", "object_type") => Plain(json!("file")),
        ("rebac_list_tuples", "subject_type") => Unsent,
        ("rebac_list_tuples", "object_type" | "object_id") => Unsent,
        ("rebac_list_tuples", "subject_id") => Unsent,
        (
            "get_namespace" | "namespace_get" | "namespace_create" | "namespace_delete" | "namespace_validate",
            "object_type",
        ) => Plain(json!("group")),
        ("admin_create_key", "subject_type") => Unsent,
        ("admin_create_key", "subject_id") => each(n, &["user"]),
        (
            "admin_create_key" | "admin_update_key" | "register_agent" | "register_memory" | "register_workspace"
            | "update_agent",
            "name",
        ) => Plain(json!("label")),
        ("skills_validate", "content" | "directory") => Unsent,
        ("ace_complete_trajectory" | "complete_trajectory", "status") => Plain(json!("success")),
        ("get_dynamic_viewer_config" | "read_with_dynamic_viewer", "file_path") => {
            each(n, &["table", "file", "directory"])
        }
        ("get_dynamic_viewer_config" | "read_with_dynamic_viewer", "subject") => {
            Things(vec![json!(["user", n["other"]]), json!(["user", n["user"]])])
        }
        (_, "path") => paths(method, n),
        (_, name) => return by_name(name, n),
    })
}

fn by_name(name: &str, n: &Names) -> Option<Meaning> {
    Some(match name {
        "tenant_id" | "user_tenant_id" => each(n, &["tenant"]),
        "user_id" | "owner_user_id" | "submitted_by" | "created_by" => each(n, &["user"]),
        "actor" => Things(vec![json!(format!("user:{}", n["user"]))]),
        "agent_id" => each(n, &["agent"]),
        "approval_id" => each(n, &["approval"]),
        "deleted_id" => each(n, &["deleted_id"]),
        "file_path" | "src_path" | "old_path" => each(n, &["file", "directory", "table"]),
        "dst_path" | "new_path" => each(n, &["new", "file"]),
        "from_subject" | "to_subject" | "subject" | "requester" => Things(subjects(n)),
        "object" | "resource" => Things(objects(n)),
        "objects" => Things(vec![json!(objects(n))]),
        "checks" => {
            let right =
                |subject: &Value| objects(n).into_iter().map(|object| json!([subject, "read", object])).collect();
            Things(subjects(n).iter().map(right).collect())
        }
        "reviewers" => Things(vec![json!([n["user"]])]),
        "job_id" => each(n, &["job"]),
        "key_id" => each(n, &["key_id", "agent_key_id"]),
        "memory_id" => each(n, &["memory"]),
        "memory_ids" => Things(vec![json!([n["memory"]])]),
        "mount_point" => each(n, &["mount", "home"]),
        "mount_path" => each(n, &["mount"]),
        "namespace" | "namespace_prefix" => each(n, &["namespace"]),
        "path_key" => each(n, &["path_key"]),
        "object_prefix" => Things(vec![json!(format!("file:{}", n["home"])), json!(format!("file:{}", n["file"]))]),
        "path_prefix" | "prefix" => each(n, &["home", "directory"]),
        "paths" => Things(vec![json!([n["file"], n["directory"], n["gone"]])]),
        "files" => Things(vec![json!([[n["file"], "new"]]), json!([[n["new"], "new"]])]),
        "renames" => Things(vec![json!([[n["file"], n["new"]]])]),
        "playbook_id" => each(n, &["playbook"]),
        "playbook_name" => each(n, &["playbook_name"]),
        "sandbox_id" => each(n, &["sandbox"]),
        "workspace" => each(n, &["directory", "registered"]),
        "share_id" => each(n, &["share", "tuple"]),
        "tuple_id" => each(n, &["tuple", "share", "consent"]),
        "skill_name" | "source_name" | "target_name" => each(n, &["skill", "own_skill"]),
        "trajectory_id" => each(n, &["trajectory"]),
        "workspace_path" => each(n, &["directory", "registered"]),
        // Compared with what is there: an answer that tells equal from different would tell what it is.
        "if_match" => each(n, &["hash"]),
        "snapshot_number" | "snapshot_1" | "version" | "v1" => Plain(json!(1)),
        "snapshot_2" | "v2" => Plain(json!(2)),
        // Words that are looked for.
        "pattern" => Things(vec![json!("**"), json!(n["body"]), json!(format!("**/{}*", &n["body"][..7]))]),
        "query" => each(n, &["body", "skill"]),
        "relation" => Plain(json!("direct_viewer")),
        "permission" => Plain(json!("read")),
        "content" => Plain(json!("content")),
        "chunks" => Plain(json!(["con", "tent"])),
        "description" => Plain(json!("described")),
        "config" => Plain(json!({"relations": {"owner": {}}, "permissions": {"read": ["owner"]}})),
        "column_config" => Plain(json!({"hidden_columns": ["b"]})),
        "backend_type" => Plain(json!("local")),
        "backend_config" => Plain(json!({"data_dir": "/nowhere"})),
        "edits" => Plain(json!([{"old_str": "body", "new_str": "text"}])),
        "start" => Plain(json!(0)),
        "end" => Plain(json!(4)),
        // What the decider calls himself.
        "reviewed_by" => Plain(json!("reviewer")),
        "file_data" => Plain(json!("IyBoaQo=")),
        "feedback_type" => Plain(json!("human")),
        "step_type" => Plain(json!("action")),
        "task_description" | "reason" => Plain(json!("why")),
        "language" => Plain(json!("bash")),
        "code" => Plain(json!("true")),
        "value" => Plain(json!(5)),
        "zip_data" => Plain(json!("AAAA")),
        _ if NO_NAMES.contains(&name) => Unsent,
        _ => return None,
    })
}

/// What says how, and not what.
const NO_NAMES: &[&str] = &[
    "_author",
    "after_context",
    "allow_overwrite",
    "at_rev",
    "at_time",
    "author",
    "before",
    "before_context",
    "bytes_max",
    "category",
    "comments",
    "context",
    "create_agents",
    "create_api_key",
    "cursor",
    "delete_files",
    "delete_user_record",
    "details",
    "display_name",
    "dry_run",
    "email",
    "embedding_provider",
    "error_message",
    "exclude_patterns",
    "exist_ok",
    "expires_at",
    "expires_days",
    "expires_in",
    "extract_images",
    "extract_tables",
    "file_format",
    "file_pattern",
    "files_max",
    "force",
    "format",
    "generate_api_key",
    "generate_embeddings",
    "if_none_match",
    "ignore_case",
    "import_skills",
    "importance",
    "include_dependencies",
    "include_expired",
    "include_metadata",
    "include_patterns",
    "include_revoked",
    "include_unmounted",
    "inherit_permissions",
    "input_path",
    "is_admin",
    "is_instance_admin",
    "keep",
    "kind",
    "limit",
    "max_results",
    "memory_type",
    "message",
    "metadata",
    "metrics",
    "mode",
    "name",
    "nexus_api_key",
    "nexus_url",
    "offset",
    "op",
    "order",
    "output_path",
    "overwrite",
    "parents",
    "parsed",
    "preview",
    "priority",
    "provider",
    "readonly",
    "recursive",
    "relation_in",
    "respect_consent",
    "result",
    "return_metadata",
    "return_url",
    "reviewer_type",
    "sandbox_api_key",
    "scope",
    "score",
    "search_mode",
    "session_id",
    "show_parsed",
    "since",
    "since_rev",
    "skip_errors",
    "skip_existing",
    "source_url",
    "state",
    "status",
    "strategy",
    "subject_type",
    "success_score",
    "sync_content",
    "tags",
    "task_type",
    "template",
    "template_id",
    "tier",
    "timeout",
    "tree",
    "ttl",
    "ttl_minutes",
    "until",
    "until_rev",
    "use_ai",
    "use_default",
    "use_ocr",
    "verify_status",
];

/// The calls of one method: the parameters with the things of the last argument that is called so, and with those of
/// `own` beside them where there are several.
pub(super) struct Calls {
    pub(super) main: Value,
    pub(super) others: Vec<Value>,
    /// Whether anything is named at all.
    pub(super) names_things: bool,
}

/// Makes the calls of a method that reach for the things of `theirs`; an error names a parameter without a meaning.
pub(super) fn calls(spec: &Spec, own: &Names, theirs: &Names) -> Result<Calls, String> {
    let method = spec.entry.name;
    let (mut main, mut own_call) = (Map::new(), Map::new());
    let mut named: Vec<(String, Vec<Value>)> = Vec::new();
    for parameter in &spec.parameters {
        let name = parameter.name.as_str();
        let means = |n: &Names| {
            meaning(method, name, n).ok_or_else(|| format!("{method}: nobody has said what `{name}` names"))
        };
        match (means(theirs)?, means(own)?) {
            (Things(values), Things(mine)) => {
                if parameter.required || main_too(method, name) {
                    main.insert(name.to_owned(), values[0].clone());
                    own_call.insert(name.to_owned(), mine[0].clone());
                }
                named.push((name.to_owned(), values));
            }
            (Plain(value), _) if parameter.required || main_too(method, name) => {
                main.insert(name.to_owned(), value.clone());
                own_call.insert(name.to_owned(), value);
            }
            _ => {}
        }
    }
    let mut others = Vec::new();
    for (name, values) in &named {
        for (at, value) in values.iter().enumerate() {
            let with = |mut call: Map<String, Value>| {
                call.insert(name.clone(), value.clone());
                Value::Object(call)
            };
            if at > 0 || !main.contains_key(name) {
                others.push(with(main.clone()));
            }
            if named.len() > 1 {
                others.push(with(own_call.clone()));
            }
        }
    }
    let main = Value::Object(main);
    others.retain(|call| *call != main);
    others.dedup();
    Ok(Calls { main, others, names_things: !named.is_empty() })
}

/// Parameters without which a call names nothing, or nothing of its tenant.
fn main_too(method: &str, name: &str) -> bool {
    matches!(
        (method, name),
        ("list" | "glob" | "grep" | "list_deleted", "path")
            | ("list" | "export_metadata", "prefix")
            | ("import_metadata", "data")
            | ("retrieve_memory", "memory_id")
            | ("get_playbook", "playbook_name")
            | ("skills_validate", "skill_name")
            | ("rebac_list_tuples", "object")
            | ("sync_mount", "mount_point")
            | ("update_memory", "content")
            | ("skills_create_from_file", "name" | "file_data")
            | (_, "workspace_path")
    )
}
