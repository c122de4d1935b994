//! A tenant with something of every kind in it, and what all that is called.
//!
//! Every name, body and description holds a word that is found nowhere else. All words have the same length, so that two
//! answers that differ in nothing but the words are as long as each other.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::client::{Answer, Client, LIVENESS, parse, request};

/// What things are called, by kind.
pub(super) type Names = BTreeMap<&'static str, String>;

/// Somebody of this name is in every tenant, and what is his is called the same in all of them.
const TWIN: &str = "twin";

/// The kinds whose names the server draws.
pub(super) const DRAWN: [&str; 15] = [
    "tuple",
    "share",
    "consent",
    "key_id",
    "agent_key_id",
    "memory",
    "trajectory",
    "playbook",
    "sandbox",
    "approval",
    "job",
    "subscription",
    "snapshot_id",
    "mount_id",
    "deleted_id",
];

/// Somebody who calls.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) role: &'static str,
    pub(super) key: String,
}

/// A tenant, furnished.
pub(super) struct Nest {
    /// The user to whom most belongs.
    pub(super) user: Caller,
    /// His agent, which may do what he may.
    pub(super) agent: Caller,
    pub(super) admin: Caller,
    /// Who is called as others are elsewhere.
    pub(super) twin: Caller,
    pub(super) names: Names,
    /// Keys, ids and bodies: what must be in no answer to others.
    pub(super) secrets: Vec<String>,
}

impl Nest {
    pub(super) fn callers(&self) -> [&Caller; 4] {
        [&self.user, &self.agent, &self.admin, &self.twin]
    }
}

/// The names that the caller of a method chooses: those of tenant `tenant`, in the home of `owner`, of things named after
/// `word`.
pub(super) fn chosen(tenant: &str, owner: &str, word: &str) -> Names {
    let home = format!("/tenant:{tenant}/user:{owner}-ann");
    let directory = format!("{home}/{word}-dir");
    let body = format!("{word}-body");
    let pairs = [
        ("hash", nexus_lite::model::ContentHash::of(body.as_bytes()).to_hex()),
        ("body", body),
        ("tenant", tenant.to_owned()),
        ("user", format!("{word}-ann")),
        ("other", format!("{word}-ben")),
        ("agent", format!("{word}-ann,{word}-agent")),
        ("group", format!("{word}-group")),
        ("skill", format!("{word}-skill")),
        ("own_skill", format!("{word}-own")),
        ("playbook_name", format!("{word}-playbook")),
        ("namespace", format!("{word}-ns")),
        ("path_key", format!("{word}-key")),
        ("sandbox_name", format!("{word}-box")),
        ("file", format!("{directory}/{word}-file.txt")),
        ("table", format!("{directory}/{word}-table.csv")),
        ("gone", format!("{directory}/{word}-gone.txt")),
        ("new", format!("{directory}/{word}-new.txt")),
        ("skill_file", format!("/tenant:{tenant}/skill/{word}-skill/SKILL.md")),
        ("registered", format!("{home}/{word}-mem")),
        ("mount", format!("{home}/{word}-mnt")),
        ("saved_mount", format!("{home}/{word}-saved")),
        ("home", home),
        ("directory", directory),
    ];
    pairs.into_iter().collect()
}

/// Names that nobody has: as [`chosen`], and of what the server draws others than it will ever draw.
pub(super) fn nobodys(tenant: &str, owner: &str, word: &str) -> Names {
    let mut names = chosen(tenant, owner, word);
    names.extend(DRAWN.into_iter().zip(1..).map(|(kind, n)| (kind, format!("00000000-0000-4000-8000-{n:012}"))));
    // Numbers of their own kinds.
    names.insert("sandbox", format!("sb-{:016}", 9));
    names.insert("deleted_id", "7000000".to_owned());
    names
}

/// A connection to the server under test.
pub(super) struct Door {
    client: Client,
    address: SocketAddr,
}

impl Door {
    pub(super) fn to(address: SocketAddr) -> Self {
        Self { client: Client::new(address, None), address }
    }

    /// One request with a key; the id of the request is the same for all.
    pub(super) fn send(&mut self, key: &str, verb: &str, target: &str, more: &[(&str, &str)], body: &[u8]) -> Answer {
        let bearer = format!("Bearer {key}");
        let mut headers = vec![("Authorization", bearer.as_str()), ("X-Request-ID", "same")];
        headers.extend(more);
        if verb == "HEAD" {
            headers.push(("Connection", "close"));
            return head(self.address, &request(verb, target, &headers, body));
        }
        let bytes = request(verb, target, &headers, body);
        self.client.exchange(&bytes).unwrap_or_else(|e| panic!("{verb} {target} got no answer: {e}"))
    }

    /// Calls a method.
    pub(super) fn call(&mut self, key: &str, method: &str, params: &Value) -> Answer {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.send(key, "POST", &format!("/api/nfs/{method}"), &[], body.to_string().as_bytes())
    }

    fn ok(&mut self, key: &str, method: &str, params: Value) -> Value {
        let answer = self.call(key, method, &params);
        answer.rpc().unwrap_or_else(|e| panic!("{method} {params}: {e:?}"))
    }
}

/// The answer to a HEAD, which names the length of a body that does not come.
fn head(address: SocketAddr, bytes: &[u8]) -> Answer {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(LIVENESS)).expect("a timeout");
    stream.write_all(bytes).expect("sent");
    let mut said = Vec::new();
    stream.read_to_end(&mut said).expect("an answer");
    let text = String::from_utf8(said).expect("UTF-8");
    let lines = text.lines().filter(|line| !line.to_ascii_lowercase().starts_with("content-length"));
    let (answer, _) = parse(format!("{}\r\n\r\n", lines.collect::<Vec<_>>().join("\r\n")).as_bytes()).expect("a head");
    answer
}

/// Furnishes the tenant `tenant` with things named after `word`. `host` is a directory of the machine that may be mounted.
pub(super) fn furnish(door: &mut Door, root: &str, tenant: &str, word: &str, host: &Path) -> Nest {
    let mut nest = Furnishing { door, made: Vec::new(), names: chosen(tenant, word, word) };
    let (user, other, agent) = (nest.name("user"), nest.name("other"), nest.name("agent"));
    let (file, directory, home) = (nest.name("file"), nest.name("directory"), nest.name("home"));
    // A limit that is no other tenant's.
    let limit: u64 = 71_000_000 + word.bytes().map(u64::from).sum::<u64>();
    let key = |name: &str, is_admin: bool| json!({"user_id": name, "name": format!("{word}-label"), "tenant_id": tenant, "is_admin": is_admin});
    let admin = nest.ok(root, "admin_create_key", key(&format!("{word}-admin"), true));
    let admin = text(&admin, "api_key");
    let made = nest.ok(&admin, "admin_create_key", key(&user, false));
    nest.drawn("key_id", &made["key_id"]);
    let ann = text(&made, "api_key");
    let ben = text(&nest.ok(&admin, "admin_create_key", key(&other, false)), "api_key");
    nest.ok(&admin, "mkdir", json!({"path": home, "parents": true}));
    nest.ok(
        &admin,
        "rebac_create",
        json!({"subject": ["user", user], "relation": "direct_owner", "object": ["file", home]}),
    );
    nest.ok(root, "admin_set_quota", json!({"tenant_id": tenant, "files_max": limit, "bytes_max": limit * 1000}));

    nest.ok(&ann, "write", json!({"path": file, "content": format!("{word}-older")}));
    nest.ok(&ann, "write", json!({"path": file, "content": nest.names["body"]}));
    let table = nest.name("table");
    nest.ok(&ann, "write", json!({"path": table, "content": format!("a,{word}-col\n1,2\n")}));
    let rule = json!({"hidden_columns": [format!("{word}-col")]});
    nest.ok(&ann, "rebac_create", json!({"subject": ["user", other], "relation": "dynamic_viewer", "object": ["file", table], "column_config": rule}));
    let gone = nest.name("gone");
    nest.ok(&ann, "write", json!({"path": gone, "content": format!("{word}-was")}));
    nest.ok(&ann, "delete", json!({"path": gone}));
    let deleted = nest.ok(&ann, "list_deleted", json!({"path": directory}));
    let id = deleted["deleted"][0]["deleted_id"].clone();
    nest.drawn("deleted_id", &id);

    let request = json!({"agent_id": agent, "name": format!("{word}-agent"), "description": format!("{word}-what"), "generate_api_key": true, "inherit_permissions": true});
    let helper = text(&nest.ok(&ann, "register_agent", request), "api_key");
    let group = nest.name("group");
    nest.ok(
        &admin,
        "rebac_create",
        json!({"subject": ["user", other], "relation": "member", "object": ["group", group]}),
    );
    nest.ok(
        &ann,
        "rebac_create",
        json!({"subject": ["group", group, "member"], "relation": "direct_viewer", "object": ["file", file]}),
    );
    let tuple = nest.ok(
        &ann,
        "rebac_create",
        json!({"subject": ["user", other], "relation": "direct_editor", "object": ["file", file]}),
    );
    nest.drawn("tuple", &tuple);
    let share = nest.ok(
        &ann,
        "share_with_user",
        json!({"resource": ["file", directory], "user_id": other, "user_tenant_id": tenant}),
    );
    nest.drawn("share", &share);
    let consent =
        nest.ok(&ann, "grant_consent", json!({"from_subject": ["user", user], "to_subject": ["user", other]}));
    nest.drawn("consent", &consent);

    nest.ok(&ann, "register_workspace", json!({"path": directory, "name": format!("{word}-ws"), "description": format!("{word}-what"), "metadata": {"m": format!("{word}-meta")}}));
    let taken = nest.ok(
        &ann,
        "workspace_snapshot",
        json!({"workspace_path": directory, "description": format!("{word}-snap"), "tags": [format!("{word}-tag")]}),
    );
    nest.drawn("snapshot_id", &taken["snapshot_id"]);
    nest.ok(&ann, "write", json!({"path": format!("{directory}/{word}-late.txt"), "content": format!("{word}-late")}));
    nest.ok(&ann, "workspace_snapshot", json!({"workspace_path": directory}));
    let registered = nest.name("registered");
    nest.ok(&ann, "mkdir", json!({"path": registered}));
    nest.ok(&ann, "register_memory", json!({"path": registered, "name": format!("{word}-mem")}));

    let (namespace, path_key) = (nest.name("namespace"), nest.name("path_key"));
    let memory = nest.ok(
        &ann,
        "store_memory",
        json!({"content": format!("{word}-thought"), "scope": "user", "namespace": namespace, "path_key": path_key}),
    );
    nest.drawn("memory", &memory["memory_id"]);
    nest.ok(&ann, "store_memory", json!({"content": format!("{word}-common"), "scope": "tenant", "namespace": namespace, "path_key": format!("{word}-shared")}));
    let trajectory = nest.ok(&ann, "ace_start_trajectory", json!({"task_description": format!("{word}-task")}));
    nest.drawn("trajectory", &trajectory["trajectory_id"]);
    let trajectory = nest.name("trajectory");
    nest.ok(
        &ann,
        "ace_log_trajectory_step",
        json!({"trajectory_id": trajectory, "step_type": "action", "description": format!("{word}-step")}),
    );
    nest.ok(
        &ann,
        "ace_add_feedback",
        json!({"trajectory_id": trajectory, "feedback_type": "human", "score": 0.5, "message": format!("{word}-said")}),
    );
    nest.ok(&ann, "ace_mark_for_relearning", json!({"trajectory_id": trajectory, "reason": format!("{word}-why")}));
    let playbook_name = nest.name("playbook_name");
    let playbook = nest.ok(
        &ann,
        "ace_create_playbook",
        json!({"name": playbook_name, "scope": "user", "description": format!("{word}-what")}),
    );
    nest.drawn("playbook", &playbook["playbook_id"]);
    nest.ok(&ann, "ace_create_playbook", json!({"name": format!("{word}-common"), "scope": "tenant"}));
    // Of the agent's own.
    nest.ok(&helper, "ace_start_trajectory", json!({"task_description": format!("{word}-errand")}));
    nest.ok(&helper, "ace_create_playbook", json!({"name": format!("{word}-errand"), "scope": "agent"}));

    let (skill, skill_file) = (nest.name("skill"), nest.name("skill_file"));
    let front = format!("---\nname: {skill}\ndescription: {word}-does\n---\n# {word}\n");
    nest.ok(&admin, "write", json!({"path": skill_file, "content": front}));
    nest.ok(
        &admin,
        "rebac_create",
        json!({"subject": ["user", user], "relation": "direct_viewer", "object": ["file", skill_file]}),
    );
    let own = nest.name("own_skill");
    nest.ok(&ann, "skills_create", json!({"name": own, "description": format!("{word}-does")}));
    let approval = nest.ok(
        &ann,
        "skills_submit_approval",
        json!({"skill_name": skill, "submitted_by": user, "comments": format!("{word}-please")}),
    );
    nest.drawn("approval", &approval["approval_id"]);
    let sandbox_name = nest.name("sandbox_name");
    let sandbox = nest.ok(&ann, "sandbox_create", json!({"name": sandbox_name}));
    nest.drawn("sandbox", &sandbox["sandbox_id"]);

    let host = host.join(word);
    std::fs::create_dir_all(&host).expect("a directory");
    std::fs::write(host.join(format!("{word}-host.txt")), format!("{word}-hosted")).expect("a file");
    let (mount, saved) = (nest.name("mount"), nest.name("saved_mount"));
    let mounting = |at: &str| json!({"mount_point": at, "backend_type": "local", "backend_config": {"data_dir": host}});
    nest.ok(root, "add_mount", mounting(&mount));
    nest.ok(root, "sync_mount", json!({"mount_point": mount}));
    let job = nest.ok(root, "sync_mount_async", json!({"mount_point": mount}));
    nest.drawn("job", &job["job_id"]);
    let id = nest.ok(root, "save_mount", mounting(&saved));
    nest.drawn("mount_id", &id);

    let hook = json!({"url": format!("http://127.0.0.1:9/{word}-hook"), "patterns": [format!("/tenant:{tenant}/{word}-never/**")], "name": format!("{word}-hook"), "secret": format!("{word}-sign")});
    let made = nest.door.send(&ann, "POST", "/api/subscriptions", &[], hook.to_string().as_bytes()).json();
    nest.drawn("subscription", &made["id"]);
    // Something that was refused, in the audit.
    let refused = nest.door.call(&ben, "delete", &json!({"path": skill_file}));
    assert!(refused.rpc().is_err(), "a file of others was deleted");
    // Ids that nobody asked for, too.
    let agent_keys = nest.ok(&admin, "admin_list_keys", json!({"user_id": user}));
    let agents = agent_keys["keys"].as_array().into_iter().flatten().find(|key| key["subject_type"] == "agent");
    let id = agents.expect("the agent's key")["key_id"].clone();
    nest.drawn("agent_key_id", &id);

    let twin = if word == tenant { nest.twin(&admin, tenant) } else { ben.clone() };

    let Furnishing { made, names, .. } = nest;
    let mut secrets: Vec<String> = made.iter().flat_map(|answer| uuids(answer)).collect();
    secrets.extend(names.values().filter(|name| name.len() > word.len()).cloned());
    let kinds = [
        "label", "older", "was", "what", "ws", "meta", "snap", "tag", "late", "thought", "common", "shared", "task",
        "step",
    ];
    let more =
        ["said", "why", "does", "please", "hosted", "host", "hook", "sign", "admin", "never", "col", "mem", "errand"];
    secrets.extend(kinds.iter().chain(&more).map(|kind| format!("{word}-{kind}")));
    secrets.extend([&admin, &ann, &ben, &helper, &twin].map(String::clone));
    secrets.extend([limit, limit * 1000].map(|limit| limit.to_string()));
    secrets.sort();
    secrets.dedup();
    let caller = |role, key| Caller { role, key };
    let (user, agent, twin) = (caller("user", ann), caller("agent", helper), caller("twin", twin));
    Nest { user, agent, admin: caller("admin", admin), twin, names, secrets }
}

struct Furnishing<'a> {
    door: &'a mut Door,
    /// Every answer.
    made: Vec<String>,
    names: Names,
}

impl Furnishing<'_> {
    fn ok(&mut self, key: &str, method: &str, params: Value) -> Value {
        let result = self.door.ok(key, method, params);
        self.made.push(result.to_string());
        result
    }

    fn name(&self, kind: &str) -> String {
        self.names[kind].clone()
    }

    /// Somebody who has something of every kind under names that others have in their tenants; only what is in them
    /// tells them apart. His key.
    fn twin(&mut self, admin: &str, word: &str) -> String {
        let key = json!({"user_id": TWIN, "name": format!("{word}-label"), "tenant_id": word});
        let key = text(&self.ok(admin, "admin_create_key", key), "api_key");
        let home = format!("/tenant:{word}/user:{TWIN}");
        self.ok(admin, "mkdir", json!({"path": home, "parents": true}));
        let owns = json!({"subject": ["user", TWIN], "relation": "direct_owner", "object": ["file", home]});
        self.ok(admin, "rebac_create", owns);
        let member = json!({"subject": ["user", TWIN], "relation": "member", "object": ["group", TWIN]});
        self.ok(admin, "rebac_create", member);
        let what = format!("{word}-what");
        let calls = [
            ("write", json!({"path": format!("{home}/{TWIN}.txt"), "content": format!("{word}-late")})),
            ("register_agent", json!({"agent_id": format!("{TWIN},{TWIN}"), "name": TWIN, "description": what})),
            ("grant_consent", json!({"from_subject": ["user", TWIN], "to_subject": ["group", TWIN]})),
            ("register_workspace", json!({"path": home, "name": TWIN, "description": what})),
            ("workspace_snapshot", json!({"workspace_path": home, "description": format!("{word}-snap")})),
            (
                "store_memory",
                json!({"content": format!("{word}-thought"), "scope": "user", "namespace": TWIN, "path_key": TWIN}),
            ),
            ("ace_start_trajectory", json!({"task_description": format!("{word}-task")})),
            ("ace_create_playbook", json!({"name": TWIN, "scope": "user", "description": what})),
            ("skills_create", json!({"name": TWIN, "description": format!("{word}-does")})),
            ("sandbox_create", json!({"name": TWIN})),
        ];
        for (method, params) in calls {
            self.ok(&key, method, params);
        }
        key
    }

    fn drawn(&mut self, kind: &'static str, id: &Value) {
        let id = id.as_str().unwrap_or_else(|| panic!("no id of a {kind}: {id}")).to_owned();
        self.names.insert(kind, id);
    }
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field}: {value}")).to_owned()
}

/// Whether `run` is written as a UUID is.
pub(super) fn is_uuid(run: &str) -> bool {
    let dashes = [8, 13, 18, 23];
    run.len() == 36 && run.bytes().enumerate().all(|(at, byte)| dashes.contains(&at) == (byte == b'-'))
}

/// The runs of hexadecimal digits and dashes in a text.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_hexdigit() || c == '-')).filter(|run| !run.is_empty())
}

fn uuids(text: &str) -> Vec<String> {
    runs(text).filter(|run| is_uuid(run)).map(str::to_owned).collect()
}
