//! The offline checker: replays the changelog of a finished run and verifies every recorded answer of its clients
//! against the state at the revision that the answer names.
//!
//! It knows the rules a second time, in the plainest words (no caches, no closures, no index of skills), and only
//! those of the default namespaces that the load runs use: what it shares with the server is the shape of a row.
//! Invariant: an answer counts as right only if it was compared, whole, with what the state at its revision demands.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use nexus_lite::model::{
    Change, EntityId, EntityRow, NodeId, NodeKind, NodeRow, ROOT_NODE, Rev, TupleRow, VirtualPath,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How many wrong answers are described; all are counted.
const DESCRIBED: usize = 20;

/// One revision of the changelog.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) rev: Rev,
    /// The writer message.
    pub(crate) op: String,
    pub(crate) changes: Vec<Change>,
}

/// One recorded answer. Bodies are kept once each, by their hash.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The client that asked; its answers are in the order of the file.
    pub(crate) client: u32,
    /// The name of the caller in the list of callers.
    pub(crate) who: String,
    pub(crate) method: String,
    /// The parameters; of a write `path` and the `etag` (BLAKE3) of the body instead of the body.
    pub(crate) params: Value,
    /// HTTP status; 0 = no answer.
    pub(crate) status: u16,
    /// `X-Nexus-Revision`.
    pub(crate) rev: Option<Rev>,
    /// BLAKE3 of the answer's body, hex.
    pub(crate) body: String,
    /// How long it took, µs.
    pub(crate) took_us: u64,
}

/// Who a recorded caller is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CallerFacts {
    pub(crate) tenant: String,
    pub(crate) user: String,
    pub(crate) is_admin: bool,
}

/// What the check found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Per method: answers that were right.
    pub(crate) right: BTreeMap<String, u64>,
    /// Per method: answers that were refused as busy (503); allowed, counted.
    pub(crate) busy: BTreeMap<String, u64>,
    /// Per method: answers that were wrong.
    pub(crate) wrong: BTreeMap<String, u64>,
    /// The first wrong ones in words.
    pub(crate) described: Vec<String>,
}

impl Report {
    /// All wrong answers.
    pub(crate) fn wrong_total(&self) -> u64 {
        self.wrong.values().sum()
    }
    /// All right answers.
    pub(crate) fn right_total(&self) -> u64 {
        self.right.values().sum()
    }
}

/// The state of one revision, folded from the changelog.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) rev: Rev,
    nodes: HashMap<NodeId, NodeRow>,
    children: BTreeMap<(NodeId, String), NodeId>,
    entities: HashMap<EntityId, EntityRow>,
    tuples: HashMap<String, TupleRow>,
}

impl State {
    /// Adds the changes of the next revision.
    pub(crate) fn apply(&mut self, entry: &Entry) {
        for change in &entry.changes {
            match change {
                Change::Node(delta) => {
                    if let Some(before) = &delta.before {
                        self.remove_node(before, delta.after.is_none());
                    }
                    if let Some(after) = &delta.after {
                        self.children.insert((after.parent, after.name.clone()), after.id);
                        self.nodes.insert(after.id, after.clone());
                    }
                }
                Change::Entity(delta) => {
                    if let Some(before) = &delta.before {
                        self.entities.remove(&before.id);
                    }
                    if let Some(after) = &delta.after {
                        self.entities.insert(after.id, after.clone());
                    }
                }
                Change::Tuple(delta) => {
                    if let Some(before) = &delta.before {
                        self.tuples.remove(&before.tuple_id);
                    }
                    if let Some(after) = &delta.after {
                        self.tuples.insert(after.tuple_id.clone(), after.clone());
                    }
                }
                _ => {}
            }
        }
        self.rev = entry.rev;
    }

    /// Takes a node away; one that is gone takes everything below it along.
    fn remove_node(&mut self, node: &NodeRow, gone: bool) {
        self.nodes.remove(&node.id);
        self.children.remove(&(node.parent, node.name.clone()));
        if gone && node.kind == NodeKind::Directory {
            for child in self.below(node.id).cloned().collect::<Vec<_>>() {
                self.remove_node(&child, true);
            }
        }
    }

    /// The nodes in a directory, by name.
    fn below(&self, directory: NodeId) -> impl Iterator<Item = &NodeRow> {
        let range = (directory, String::new())..(directory + 1, String::new());
        self.children.range(range).filter_map(|(_, id)| self.nodes.get(id))
    }

    /// The node at `path`.
    pub(crate) fn node(&self, path: &VirtualPath) -> Option<&NodeRow> {
        let mut at = ROOT_NODE;
        for name in path.components() {
            at = *self.children.get(&(at, name.to_owned()))?;
        }
        self.nodes.get(&at)
    }

    /// Every file at or below `path`, with its path, sorted.
    fn files_below(&self, path: &VirtualPath) -> Vec<(VirtualPath, &NodeRow)> {
        let mut found = Vec::new();
        if path.is_root() {
            self.collect_files(path, ROOT_NODE, &mut found);
        } else if let Some(node) = self.node(path) {
            self.collect_files(path, node.id, &mut found);
        }
        found
    }

    fn collect_files<'s>(&'s self, path: &VirtualPath, id: NodeId, found: &mut Vec<(VirtualPath, &'s NodeRow)>) {
        for child in self.below(id) {
            let at = path.child(&child.name);
            match child.kind {
                NodeKind::File => found.push((at, child)),
                NodeKind::Directory => self.collect_files(&at, child.id, found),
            }
        }
    }

    /// `subject permission file:path` for a user of `tenant`, by the default namespace, on a file of that tenant.
    pub(crate) fn may(&self, tenant: &str, user: &str, permission: &str, path: &VirtualPath) -> bool {
        let granting: &[&str] = match permission {
            "read" => {
                &["direct_owner", "direct_editor", "direct_viewer", "shared-owner", "shared-editor", "shared-viewer"]
            }
            "write" => &["direct_owner", "direct_editor", "shared-owner", "shared-editor"],
            "execute" => &["direct_owner", "shared-owner"],
            _ => return false,
        };
        let owned = self.node(path).filter(|node| node.kind == NodeKind::File).and_then(|node| node.owner);
        if owned.is_some_and(|id| self.is(id, tenant, "user", user)) {
            return true;
        }
        let subjects = self.subjects(tenant, user);
        self.tuples.values().any(|tuple| {
            granting.contains(&tuple.relation.as_str())
                && self.grants_to(tuple, &subjects)
                && self.entities.get(&tuple.object).is_some_and(|object| {
                    let above = object.kind == "file" && object.tenant == tenant;
                    above && VirtualPath::parse(&object.name).is_ok_and(|granted| granted.contains(path))
                })
        })
    }

    fn is(&self, id: EntityId, tenant: &str, kind: &str, name: &str) -> bool {
        self.entities.get(&id).is_some_and(|e| e.tenant == tenant && e.kind == kind && e.name == name)
    }

    /// The user and the groups it is a member of, directly or through groups.
    fn subjects(&self, tenant: &str, user: &str) -> BTreeSet<EntityId> {
        let own = self.entities.values().filter(|e| e.tenant == tenant && e.kind == "user" && e.name == user);
        let mut subjects: BTreeSet<EntityId> = own.map(|e| e.id).collect();
        loop {
            let member = |tuple: &&TupleRow| tuple.relation == "member" && self.grants_to(tuple, &subjects);
            let groups: Vec<EntityId> = self.tuples.values().filter(member).map(|tuple| tuple.object).collect();
            let before = subjects.len();
            subjects.extend(groups);
            if subjects.len() == before {
                return subjects;
            }
        }
    }

    fn grants_to(&self, tuple: &TupleRow, subjects: &BTreeSet<EntityId>) -> bool {
        let members = tuple.subject_relation.as_deref().is_none_or(|relation| relation == "member");
        let usable = tuple.expires_at_us.is_none() && tuple.condition.is_none();
        members && usable && subjects.contains(&tuple.subject)
    }

    /// Whether the caller may read the file at `path`: as the admin of its tenant, or by a relation.
    fn reads(&self, caller: &CallerFacts, path: &VirtualPath) -> bool {
        let tenant = self.node(path).map(|node| node.tenant.as_str());
        let same = tenant == Some(caller.tenant.as_str());
        same && (caller.is_admin || self.may(&caller.tenant, &caller.user, "read", path))
    }
}

/// A finished run, read from its data directory after the server is gone.
pub(crate) struct Finished {
    connection: rusqlite::Connection,
}

impl Finished {
    /// Opens the database at `path`, read-only.
    #[expect(clippy::disallowed_methods, reason = "the server is gone; the checker reads the file it left")]
    pub(crate) fn open(path: &Path) -> Self {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = rusqlite::Connection::open_with_flags(path, flags).expect("the run's database");
        Self { connection }
    }

    /// The revision of the data, which may be ahead of what a running store has published.
    pub(crate) fn head(&self) -> Rev {
        let head = self.connection.query_row("SELECT rev FROM head", [], |row| row.get::<_, i64>(0));
        head.expect("a head").cast_unsigned()
    }

    /// The whole changelog.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let sql = "SELECT rev, op, before, after FROM changelog ORDER BY rev";
        let mut statement = self.connection.prepare(sql).expect("the changelog");
        let rows = statement.query_map([], |row| {
            let texts = (row.get::<_, String>(2)?, row.get::<_, String>(3)?);
            Ok(Entry {
                rev: row.get::<_, i64>(0)?.cast_unsigned(),
                op: row.get(1)?,
                changes: changes(&texts.0, &texts.1),
            })
        });
        rows.expect("the changelog").collect::<Result<_, _>>().expect("every row of the changelog")
    }

    /// An inline body by its hash (hex).
    pub(crate) fn content(&self, hash: &str) -> Vec<u8> {
        let hash = blake3::Hash::from_hex(hash).expect("a hash in hex");
        let mut statement =
            self.connection.prepare_cached("SELECT body FROM contents WHERE hash = ?1").expect("contents");
        statement.query_row([hash.as_bytes().as_slice()], |row| row.get(0)).expect("a body of that hash")
    }
}

/// The changes of a changelog row, from its two arrays.
fn changes(before: &str, after: &str) -> Vec<Change> {
    let parse = |text: &str| -> Vec<Value> { serde_json::from_str(text).expect("an array of rows") };
    let pairs = parse(before).into_iter().zip(parse(after));
    let change = |(before, after): (Value, Value)| {
        let kind = [&after, &before].into_iter().find_map(|row| row.get("kind").cloned());
        let change = json!({"kind": kind, "before": before, "after": after});
        serde_json::from_value(change).expect("rows of a known kind")
    };
    pairs.map(change).collect()
}

/// Replays `entries` and verifies `records`. `content` gives a body by its hash.
pub(crate) fn verify(
    records: &[Record],
    bodies: &HashMap<String, Vec<u8>>,
    entries: &[Entry],
    callers: &HashMap<String, CallerFacts>,
    content: impl FnMut(&str) -> Vec<u8>,
) -> Report {
    let mut report = Report::default();
    let mut check = Check { entries, callers, bodies, content, skills: HashMap::new(), memo: HashMap::new() };
    let mut newest: HashMap<u32, Rev> = HashMap::new();
    let mut order: Vec<&Record> = Vec::with_capacity(records.len());
    for record in records {
        let said = match record.rev {
            _ if record.status == 503 => {
                *report.busy.entry(record.method.clone()).or_default() += 1;
                continue;
            }
            Some(rev) if record.status == 200 => {
                let before = newest.insert(record.client, rev).unwrap_or(0);
                (rev < before).then(|| format!("revision {rev} after the same client had seen {before}"))
            }
            Some(_) | None if record.status != 200 => Some(format!("HTTP status {}", record.status)),
            _ => Some("no X-Nexus-Revision".to_owned()),
        };
        match said {
            Some(what) => report.note(record, &what),
            None => order.push(record),
        }
    }
    order.sort_by_key(|record| record.rev);
    let mut state = State::default();
    let mut at = 0;
    for record in order {
        let rev = record.rev.unwrap_or(0);
        while at < entries.len() && entries[at].rev <= rev {
            state.apply(&entries[at]);
            check.changed(&entries[at]);
            at += 1;
        }
        match check.answer(&state, record, rev) {
            Ok(()) => *report.right.entry(record.method.clone()).or_default() += 1,
            Err(what) => report.note(record, &what),
        }
    }
    report
}

impl Report {
    fn note(&mut self, record: &Record, what: &str) {
        *self.wrong.entry(record.method.clone()).or_default() += 1;
        if self.described.len() < DESCRIBED {
            let Record { client, who, method, params, rev, .. } = record;
            self.described.push(format!("client {client} ({who}) {method} {params} at {rev:?}: {what}"));
        }
    }
}

struct Check<'a, C> {
    entries: &'a [Entry],
    callers: &'a HashMap<String, CallerFacts>,
    bodies: &'a HashMap<String, Vec<u8>>,
    content: C,
    /// Front matter by content hash.
    skills: HashMap<String, Option<Value>>,
    /// What was demanded of an earlier answer, until something it may depend on changes.
    memo: HashMap<(String, String, String), Value>,
}

impl<C: FnMut(&str) -> Vec<u8>> Check<'_, C> {
    /// Forgets what the changes of `entry` may have made untrue. An overwrite of a file that is no skill changes no
    /// name and no right.
    fn changed(&mut self, entry: &Entry) {
        let harmless = entry.changes.iter().all(|change| match change {
            Change::Node(delta) => match (&delta.before, &delta.after) {
                (Some(b), Some(a)) => b.id == a.id && b.parent == a.parent && b.name == a.name && !is_skill(&a.name),
                _ => false,
            },
            _ => false,
        });
        if !harmless {
            self.memo.clear();
        }
    }

    fn answer(&mut self, state: &State, record: &Record, rev: Rev) -> Result<(), String> {
        if state.rev != rev {
            return Err(format!("the changelog ends at {}", state.rev));
        }
        let caller = self.callers.get(&record.who).ok_or("the caller is not in the list")?;
        let body = self.bodies.get(&record.body).ok_or("its body was not recorded")?;
        let body: Value = serde_json::from_slice(body).map_err(|e| format!("no JSON: {e}"))?;
        let result = body.get("result").ok_or_else(|| format!("no result: {body}"))?;
        if record.method == "write" {
            return self.write(state, record, rev, result);
        }
        let key = (record.who.clone(), record.method.clone(), record.params.to_string());
        let wanted = match self.memo.get(&key) {
            Some(wanted) => wanted.clone(),
            None => {
                let wanted = match record.method.as_str() {
                    "skills_list" => self.skills_list(state, caller),
                    "list" => list(state, caller, &record.params)?,
                    "rebac_check" => rebac_check(state, caller, &record.params)?,
                    other => return Err(format!("the checker does not know {other}")),
                };
                self.memo.insert(key, wanted.clone());
                wanted
            }
        };
        if *result == wanted { Ok(()) } else { Err(format!("got {result}, right is {wanted}")) }
    }

    /// Acknowledged: in the changelog, at that revision, with that etag.
    fn write(&self, state: &State, record: &Record, rev: Rev, result: &Value) -> Result<(), String> {
        let path = path_of(&record.params)?;
        let etag = record.params["etag"].as_str().unwrap_or_default();
        let node = state.node(&path).ok_or("acknowledged, but no such file at its revision")?;
        if node.content.as_deref() != Some(etag) {
            return Err(format!("acknowledged {etag}, but the file holds {:?}", node.content));
        }
        let at = self.entries.binary_search_by_key(&rev, |entry| entry.rev);
        let entry = &self.entries[at.map_err(|_| "its revision is not in the changelog")?];
        let wrote = entry.changes.iter().any(|change| match change {
            Change::Node(delta) => delta.after.as_ref().is_some_and(|after| after == node),
            _ => false,
        });
        if !wrote {
            return Err(format!("revision {rev} is another operation ({})", entry.op));
        }
        let said = &result["bytes_written"];
        let wanted = json!([node.content, node.version, node.size]);
        if json!([said["etag"], said["version"], said["size"]]) == wanted {
            Ok(())
        } else {
            Err(format!("answered {said}, stored is {wanted}"))
        }
    }

    /// Every skill that the caller may read, in the order and with the precedence of the tiers.
    fn skills_list(&mut self, state: &State, caller: &CallerFacts) -> Value {
        let CallerFacts { tenant, user, .. } = caller;
        let tiers = [
            ("user", "/skills/user".to_owned(), 3),
            ("personal", format!("/tenant:{tenant}/user:{user}/skill"), 3),
            ("tenant", format!("/tenant:{tenant}/skill"), 2),
            ("system", "/skill".to_owned(), 1),
        ];
        let mut found: Vec<(i32, Value)> = Vec::new();
        for (tier, folder, priority) in tiers {
            let folder = VirtualPath::parse(&folder).expect("a valid folder");
            let mut files = state.files_below(&folder);
            files.retain(|(path, node)| is_skill(&node.name) && state.reads(caller, path));
            files.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
            for (path, node) in files {
                let Some(mut skill) = self.front_matter(node.content.as_deref().unwrap_or_default()) else { continue };
                skill["tier"] = json!(tier);
                skill["file_path"] = json!(path.as_str());
                match found.iter_mut().find(|(_, earlier)| earlier["name"] == skill["name"]) {
                    Some((before, earlier)) if priority > *before => (*before, *earlier) = (priority, skill),
                    Some(_) => {}
                    None => found.push((priority, skill)),
                }
            }
        }
        let skills: Vec<Value> = found.into_iter().map(|(_, skill)| skill).collect();
        json!({"count": skills.len(), "skills": skills})
    }

    fn front_matter(&mut self, hash: &str) -> Option<Value> {
        if !self.skills.contains_key(hash) {
            let body = (self.content)(hash);
            self.skills.insert(hash.to_owned(), front_matter(&String::from_utf8_lossy(&body)));
        }
        self.skills[hash].clone()
    }
}

fn is_skill(name: &str) -> bool {
    name.eq_ignore_ascii_case("SKILL.md")
}

fn path_of(params: &Value) -> Result<VirtualPath, String> {
    let path = params["path"].as_str().unwrap_or("/");
    VirtualPath::parse(path).map_err(|e| e.to_string())
}

/// The front matter of the skills that load runs write: one `key: value` a line.
fn front_matter(text: &str) -> Option<Value> {
    let (head, _) = text.strip_prefix("---\n")?.split_once("\n---\n")?;
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    Some(json!({
        "name": field("name")?,
        "description": field("description")?,
        "version": field("version"),
        "author": field("author"),
        "requires": [],
    }))
}

/// The directory's children that the caller may see: files and directories it may read, and directories through any
/// file below them.
fn list(state: &State, caller: &CallerFacts, params: &Value) -> Result<Value, String> {
    let path = path_of(params)?;
    if params["recursive"] != json!(false) || params["details"] == json!(true) {
        return Err("the checker knows lists that are neither recursive nor detailed".to_owned());
    }
    let mut names = BTreeSet::new();
    let directory = if path.is_root() { Some(ROOT_NODE) } else { state.node(&path).map(|node| node.id) };
    for child in directory.into_iter().flat_map(|id| state.below(id)) {
        let at = path.child(&child.name);
        if state.reads(caller, &at) {
            names.insert(at.as_str().to_owned());
        }
    }
    for (file, _) in state.files_below(&path) {
        if state.reads(caller, &file) {
            let rest = file.as_str().strip_prefix(path.as_str()).unwrap_or_default();
            let name = rest.trim_start_matches('/').split('/').next().unwrap_or_default();
            names.insert(path.child(name).as_str().to_owned());
        }
    }
    Ok(json!({"files": names}))
}

fn rebac_check(state: &State, caller: &CallerFacts, params: &Value) -> Result<Value, String> {
    let user = params["subject"][1].as_str().ok_or("no subject")?;
    let permission = params["permission"].as_str().ok_or("no permission")?;
    let path = params["object"][1].as_str().ok_or("no object")?;
    let path = VirtualPath::parse(path).map_err(|e| e.to_string())?;
    Ok(json!(state.may(&caller.tenant, user, permission, &path)))
}
