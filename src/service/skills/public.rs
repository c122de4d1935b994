//! Skills for everybody who comes by, without a key: which they are, and the bytes that are handed out of each.
//!
//! A skill is public if the public subject (`*:*`) of its tenant may read its SKILL.md, and it lies in a shared folder:
//! that of everybody or that of a tenant. Nothing else of the store is looked at, and of a skill only the files that the
//! public subject may read. Invariant: what is not public has no name, no count and no other answer than what is not there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::model::{ContentHash, NodeKind, NodeRow, ROOT_NODE, Rev, VirtualPath, hex};
use crate::rebac::{Budget, Env, Filter, Graph, LeafFacts, ObjectRef};
use crate::service::ServiceError;
use crate::service::access::{DYNAMIC_VIEWER, FILE, Permission};
use crate::service::files::{content_of, lost};
use crate::service::located::Located;
use crate::service::skills::archive::{self, Member};
use crate::service::skills::front_matter::SKILL_FILE;
use crate::service::skills::tree::below;
use crate::store::skills::{self, SkillFile};
use crate::store::{ReadTx, Sql, Store, contents, nodes};

/// How long an index serves for its revision: a grant may end without one.
const KEPT: Duration = Duration::from_secs(1);
/// Where the index and the files are.
pub const WELL_KNOWN: &str = "/.well-known/agent-skills";
/// The form of the index.
const SCHEMA: &str = "https://schemas.agentskills.io/discovery/0.2.0/schema.json";
/// Skills of one index.
const SKILLS_MAX: usize = 1_000;
/// Files and bytes of one skill; a larger one is not in the index.
const FILES_MAX: usize = 256;
const BYTES_MAX: u64 = 8 << 20;
/// Digests that are remembered.
const DIGESTS_MAX: usize = 4_096;
/// Tenants whose folders are looked into, and directories of a skill within one another.
const TENANTS_MAX: usize = 10_000;
const DEPTH_MAX: usize = 8;
/// What begins the name of a tenant's directory.
const TENANT: &str = "tenant:";
/// Longest name of a skill in an address, bytes.
const NAME_BYTES_MAX: usize = 64;

/// An entry of the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The name of the skill.
    pub name: String,
    /// `skill-md` for one file, else `archive`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What it is for.
    pub description: String,
    /// Where it is.
    pub url: String,
    /// `sha256:` and the hash of the bytes there, hex.
    pub digest: String,
}

/// The index of one revision.
#[derive(Debug, Clone, Serialize)]
pub struct Index {
    #[serde(rename = "$schema")]
    schema: &'static str,
    /// The skills, by name.
    pub skills: Vec<Entry>,
}

/// What is remembered of the newest index; one per server.
#[derive(Default)]
pub struct PublicSkills {
    newest: Mutex<Option<Kept>>,
    /// The hash of what is handed out, by the hash over the files it is made of.
    digests: Mutex<HashMap<String, String>>,
}

/// An index, the revision it is of, and when it was made.
struct Kept {
    rev: Rev,
    at: Instant,
    index: Arc<Index>,
}

impl std::fmt::Debug for PublicSkills {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicSkills").finish_non_exhaustive()
    }
}

/// Bytes that are handed out, and what they are.
#[derive(Debug, Clone)]
pub struct Handed {
    /// The bytes.
    pub body: Bytes,
    /// `text/markdown` or `application/zip`.
    pub mime: &'static str,
    /// SHA-256, hex.
    pub sha256: String,
    /// The revision it is of.
    pub rev: Rev,
}

/// A public skill: its files, by their path below its directory.
struct Public {
    skill: SkillFile,
    files: Vec<(String, VirtualPath, ContentHash)>,
}

impl Public {
    fn is_single(&self) -> bool {
        self.files.len() == 1
    }

    fn url(&self) -> String {
        let name = &self.skill.skill.name;
        match self.is_single() {
            true => format!("{WELL_KNOWN}/{name}/{SKILL_FILE}"),
            false => format!("{WELL_KNOWN}/{name}.zip"),
        }
    }

    /// Of names and contents: the same for the same bytes.
    fn key(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for (path, _, hash) in &self.files {
            hasher.update(&(path.len() as u64).to_le_bytes()).update(path.as_bytes());
            hasher.update(hash.to_hex().as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

impl PublicSkills {
    /// The index as of now, and its revision. The same revision is not looked at twice within a short time.
    pub async fn index(&self, store: &Store) -> Result<(Arc<Index>, Rev), ServiceError> {
        let (published, now) = (store.published().rev, store.clock().instant());
        if let Some(kept) = &*self.newest.lock()
            && kept.rev >= published
            && now.saturating_duration_since(kept.at) < KEPT
        {
            return Ok((Arc::clone(&kept.index), kept.rev));
        }
        let read = store.read_slow(|tx| public(tx, None).map(|found| (found, tx.rev()))).await;
        let (found, rev) = read?;
        let mut skills = Vec::with_capacity(found.len());
        for public in found {
            let sha256 = match self.known(&public) {
                Some(known) => known,
                None => self.handed(store, &public, rev).await?.sha256,
            };
            let row = &public.skill.skill;
            skills.push(Entry {
                name: row.name.clone(),
                kind: if public.is_single() { "skill-md" } else { "archive" },
                description: row.description.clone(),
                url: public.url(),
                digest: format!("sha256:{sha256}"),
            });
        }
        let index = Arc::new(Index { schema: SCHEMA, skills });
        let mut newest = self.newest.lock();
        if newest.as_ref().is_none_or(|kept| kept.rev <= rev) {
            *newest = Some(Kept { rev, at: now, index: Arc::clone(&index) });
        }
        Ok((index, rev))
    }

    /// What is at an address below the index, if anything public is. The rights are those of now, not of the index.
    pub async fn file(&self, store: &Store, below: &str) -> Result<Option<Handed>, ServiceError> {
        let (name, single) = match (below.strip_suffix(".zip"), below.strip_suffix("/SKILL.md")) {
            (Some(name), _) => (name, false),
            (None, Some(name)) => (name, true),
            (None, None) => return Ok(None),
        };
        if !is_name(name) {
            return Ok(None);
        }
        let wanted = name.to_owned();
        let (found, rev) = store.read_slow(move |tx| public(tx, Some(&wanted)).map(|found| (found, tx.rev()))).await?;
        match found.into_iter().find(|public| public.is_single() == single) {
            Some(public) => self.handed(store, &public, rev).await.map(Some),
            None => Ok(None),
        }
    }

    fn known(&self, public: &Public) -> Option<String> {
        self.digests.lock().get(&public.key()).cloned()
    }

    async fn handed(&self, store: &Store, public: &Public, rev: Rev) -> Result<Handed, ServiceError> {
        let mut members = Vec::with_capacity(public.files.len());
        for (path, whole, hash) in &public.files {
            let (hash, at) = (*hash, whole.clone());
            let found = store.read_slow(move |tx| contents::get(tx, hash).map_err(ServiceError::from)).await?;
            let content = found.ok_or_else(|| lost(&at))?;
            let body = match content.body {
                Some(body) => Bytes::from(body),
                None => store.get_blob(hash).await?,
            };
            members.push(Member { path: path.clone(), body });
        }
        let single = public.is_single();
        let body = match (single, members.pop()) {
            (true, Some(member)) => member.body,
            (_, last) => {
                members.extend(last);
                let packed = archive::write(&members).map_err(|e| ServiceError::Validation(e.to_string()))?;
                Bytes::from(packed)
            }
        };
        let sha256 = hex(&Sha256::digest(&body));
        let mut digests = self.digests.lock();
        if digests.len() >= DIGESTS_MAX {
            digests.clear();
        }
        digests.insert(public.key(), sha256.clone());
        let mime = if single { "text/markdown; charset=utf-8" } else { "application/zip" };
        Ok(Handed { body, mime, sha256, rev })
    }
}

/// Whether a name can stand in an address, as the standard wants it.
fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let edges = !name.starts_with('-') && !name.ends_with('-') && !name.contains("--");
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && edges && name.chars().all(good)
}

/// The public skills, by name; of several with one name that of everybody, then that of the first tenant.
fn public(tx: &ReadTx<'_>, only: Option<&str>) -> Result<Vec<Public>, ServiceError> {
    let mut found: Vec<Public> = Vec::new();
    for folder in folders(tx)? {
        for skill in skills::below(tx, &folder)? {
            let name = &skill.skill.name;
            let wanted = is_name(name) && only.is_none_or(|only| only == name) && found.len() < SKILLS_MAX;
            if !wanted || found.iter().any(|known| known.skill.skill.name == *name) {
                continue;
            }
            if let Some(public) = readable(tx, &folder, skill)? {
                found.push(public);
            }
        }
    }
    found.sort_by(|a, b| a.skill.skill.name.cmp(&b.skill.skill.name));
    Ok(found)
}

/// The shared folders: of everybody, then of the tenants by their names.
fn folders(tx: &ReadTx<'_>) -> Result<Vec<VirtualPath>, ServiceError> {
    let mut folders = vec![VirtualPath::root().child("skill")];
    let mut last = TENANT.to_owned();
    while folders.len() < TENANTS_MAX {
        let page = nodes::children_after(tx, ROOT_NODE, &last, 256)?;
        let Some(end) = page.last() else { break };
        last.clone_from(&end.name);
        let tenants = page.iter().take_while(|node| node.name.starts_with(TENANT));
        let before = folders.len();
        folders.extend(tenants.map(|node| VirtualPath::root().child(&node.name).child("skill")));
        if folders.len() - before < page.len() {
            break;
        }
    }
    Ok(folders)
}

/// The skill with its readable files, if everybody may read it.
fn readable(tx: &ReadTx<'_>, folder: &VirtualPath, skill: SkillFile) -> Result<Option<Public>, ServiceError> {
    let graph = tx.view::<Graph>();
    let env = Env { now_us: tx.now_us(), context: None };
    let tenant = skill.node.tenant.clone();
    let everybody = ObjectRef { tenant: &tenant, kind: "*", id: "*" };
    let filter = graph.filter(everybody, Permission::Read.as_str(), &tenant, &env, None);
    let mut looking = Looking { tx, filter, budget: Budget::request(), tenant: &tenant, files: Vec::new(), bytes: 0 };
    let file = crate::service::files::path(&skill.path)?;
    let directory = file.parent().unwrap_or_else(VirtualPath::root);
    // The folder of all skills is not this skill's.
    if directory == *folder || !looking.may_read(&skill.path, &skill.node) {
        return Ok(None);
    }
    let fits = match Located::find(tx, &directory)?.node() {
        Some(node) => looking.directory(&directory, "", node, 0)?,
        None => false,
    };
    let mut files = looking.files;
    files.sort_by(|a, b| a.0.cmp(&b.0));
    let whole = fits && files.iter().any(|(path, ..)| path == SKILL_FILE);
    Ok(whole.then_some(Public { skill, files }))
}

struct Looking<'a, 't> {
    tx: &'a ReadTx<'t>,
    filter: Filter<'a>,
    budget: Budget,
    tenant: &'a str,
    files: Vec<(String, VirtualPath, ContentHash)>,
    bytes: u64,
}

impl Looking<'_, '_> {
    /// Whatever is not a clear yes is a no.
    fn may_read(&mut self, path: &str, node: &NodeRow) -> bool {
        // Of a table that somebody is shown in part, nobody without a key is shown anything.
        let object = ObjectRef { tenant: self.tenant, kind: FILE, id: path };
        node.tenant == self.tenant
            && !self.tx.view::<Graph>().has_relation_on(object, DYNAMIC_VIEWER)
            && self.filter.check(path, LeafFacts::default(), &mut self.budget).allowed()
    }

    /// Whether all of it could be looked at.
    fn directory(&mut self, at: &VirtualPath, path: &str, node: &NodeRow, depth: usize) -> Result<bool, ServiceError> {
        let page = nodes::children_after(self.tx, node.id, "", FILES_MAX as u64 + 1)?;
        if depth > DEPTH_MAX || page.len() > FILES_MAX {
            return Ok(false);
        }
        for child in page {
            let (whole, path) = (below(at, &child.name), format!("{path}{}", child.name));
            if child.kind == NodeKind::Directory {
                if !self.directory(&whole, &format!("{path}/"), &child, depth + 1)? {
                    return Ok(false);
                }
            } else if self.may_read(whole.as_str(), &child) {
                self.bytes += child.size;
                if self.files.len() >= FILES_MAX || self.bytes > BYTES_MAX {
                    return Ok(false);
                }
                let hash = content_of(&child, &whole)?;
                self.files.push((path, whole, hash));
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_can_stand_in_an_address() {
        for good in ["a", "pdf-tools", "2x"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a--b", "A", "a/b", "..", "ü", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
