//! The offline checker: replays the changelog of a finished run and verifies every recorded answer of its clients
//! against the state at the revision that the answer names.
//!
//! Invariant: an answer counts as right only if it was compared, whole, with what the state at its revision demands.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::state::{CallerFacts, Entry, State};
use crate::model::{Change, ContentHash, NodeKind, ROOT_NODE, Rev, VirtualPath};

/// How many wrong answers are described; all are counted.
const DESCRIBED: usize = 20;
/// The codes of a refused read.
const NOT_FOUND: i64 = -32000;
/// See [`NOT_FOUND`].
const PERMISSION_DENIED: i64 = -32004;

/// One recorded answer. Bodies are kept once each, by their hash.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// The client that asked; its answers are in the order of the file.
    pub client: u32,
    /// The name of the caller in the list of callers.
    pub who: String,
    /// The RPC method.
    pub method: String,
    /// The parameters; of a write `path` and the `etag` (BLAKE3) of the body instead of the body.
    pub params: Value,
    /// HTTP status; 0 = no answer.
    pub status: u16,
    /// `X-Nexus-Revision`.
    pub rev: Option<Rev>,
    /// BLAKE3 of the answer's body, hex.
    pub body: String,
    /// How long it took, µs.
    pub took_us: u64,
}

/// What the check found.
#[derive(Debug, Default)]
pub struct Report {
    /// Per method: answers that were right.
    pub right: BTreeMap<String, u64>,
    /// Per method: answers that were refused as busy (503); allowed, counted.
    pub busy: BTreeMap<String, u64>,
    /// Per method: answers that were wrong.
    pub wrong: BTreeMap<String, u64>,
    /// The first wrong ones in words.
    pub described: Vec<String>,
}

impl Report {
    /// All wrong answers.
    #[must_use]
    pub fn wrong_total(&self) -> u64 {
        self.wrong.values().sum()
    }

    /// All right answers.
    #[must_use]
    pub fn right_total(&self) -> u64 {
        self.right.values().sum()
    }
}

/// Replays `entries` and verifies `records`. `content` gives a stored body by its hash, in hex.
#[must_use]
pub fn verify(
    records: &[Record],
    bodies: &HashMap<String, String>,
    entries: &[Entry],
    callers: &HashMap<String, CallerFacts>,
    content: impl FnMut(&str) -> Option<Vec<u8>>,
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
    bodies: &'a HashMap<String, String>,
    content: C,
    /// Front matter by content hash.
    skills: HashMap<String, Option<Value>>,
    /// What was demanded of an earlier answer, until something it may depend on changes.
    memo: HashMap<(String, String, String), Value>,
}

impl<C: FnMut(&str) -> Option<Vec<u8>>> Check<'_, C> {
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
        let body: Value = serde_json::from_str(body).map_err(|e| format!("no JSON: {e}"))?;
        if record.method == "read" {
            return read(state, caller, record, &body);
        }
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
            let body = (self.content)(hash).unwrap_or_default();
            self.skills.insert(hash.to_owned(), front_matter(&String::from_utf8_lossy(&body)));
        }
        self.skills[hash].clone()
    }
}

pub(super) fn is_skill(name: &str) -> bool {
    name.eq_ignore_ascii_case("SKILL.md")
}

fn path_of(params: &Value) -> Result<VirtualPath, String> {
    let path = params["path"].as_str().unwrap_or("/");
    VirtualPath::parse(path).map_err(|e| e.to_string())
}

/// The front matter of the skills that load runs and the demo write: one `key: value` a line, version and author perhaps
/// set in below `metadata`.
fn front_matter(text: &str) -> Option<Value> {
    let (head, _) = text.strip_prefix("---\n")?.split_once("\n---\n")?;
    let field = |name: &str| {
        let value = head.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(": "))?;
        Some(value.trim_matches('"'))
    };
    Some(json!({
        "name": field("name")?,
        "description": field("description")?,
        "version": field("version"),
        "author": field("author"),
        "requires": [],
    }))
}

/// The body of the file at that revision, or a refusal where the caller could not read it then.
fn read(state: &State, caller: &CallerFacts, record: &Record, body: &Value) -> Result<(), String> {
    let path = path_of(&record.params)?;
    let node = state.node(&path).filter(|node| node.kind == NodeKind::File && state.reads(caller, &path));
    let Some(node) = node else {
        let refused = body["error"]["code"].as_i64();
        return match refused {
            Some(NOT_FOUND | PERMISSION_DENIED) => Ok(()),
            _ => Err(format!("got {body}, but the caller could not read it")),
        };
    };
    let sent = &body["result"];
    let bytes =
        sent["data"].as_str().filter(|_| sent["__type__"] == "bytes").and_then(|text| STANDARD.decode(text).ok());
    let hash = bytes.map(|bytes| ContentHash::of(&bytes).to_hex()).ok_or_else(|| format!("no bytes: {body}"))?;
    let held = node.content.as_deref().unwrap_or_default();
    if hash == held { Ok(()) } else { Err(format!("got a body with the hash {hash}, the file holds {held}")) }
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
