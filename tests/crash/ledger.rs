//! What clients of a server that is killed know of it: a ledger for each, of what was acknowledged and what is open.
//!
//! Owns the load (files, moves, rights, directories, skills) and the comparison of a server with the ledgers. Must never
//! ask the server what it was told: a ledger knows only answers.

use std::collections::BTreeMap;

use nexus_lite::model::random::SeededRandom;
use nexus_lite::model::{ContentHash, RandomSource as _};
use serde_json::{Value, json};

use crate::harness::client::{Client, Failure};

/// Slots of each client: a file that may be moved, the right to it, a directory, a skill.
const SLOTS: u64 = 5;
/// Largest body, bytes: more than lies in the database, so that blob files are killed too.
const BODY_MAX: u64 = 80 * 1024;

/// The server died while it was asked.
#[derive(Debug)]
pub(crate) struct Died;

/// The code of a write whose outcome the server does not know.
const UNKNOWN: i64 = -32018;

/// What became of a write.
#[derive(Debug)]
pub(crate) enum Told {
    /// It is acknowledged.
    Done,
    /// It was refused: nothing was done.
    Refused(Failure),
    /// No answer, or that there is none: it is there as a whole or not at all.
    Nothing,
}

/// What one client knows of the server: the value of each slot as acknowledged last.
#[derive(Default)]
pub(crate) struct Ledger {
    known: Known,
    /// What was sent and not answered when the server died.
    pending: Option<Step>,
    /// Writes so far, for distinct bodies.
    count: u64,
}

/// What is in each slot. Nothing = not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Known {
    /// The etag of the file, and whether it lies at its second path.
    files: BTreeMap<u64, (String, bool)>,
    /// The id of the right to the file.
    rights: BTreeMap<u64, String>,
    /// The directory.
    directories: BTreeMap<u64, ()>,
    /// The description of the skill.
    skills: BTreeMap<u64, String>,
}

/// One write of a client.
#[derive(Debug, Clone)]
enum Step {
    Put { slot: u64, etag: String },
    Delete { slot: u64 },
    Move { slot: u64 },
    Grant { slot: u64 },
    Revoke { slot: u64 },
    Make { slot: u64 },
    Remove { slot: u64 },
    Teach { slot: u64, description: String },
    Forget { slot: u64 },
}

fn path(client: u64, slot: u64, moved: bool) -> String {
    format!("/kill/c{client}/{}f{slot}.bin", if moved { "moved/far/" } else { "" })
}

fn directory_path(client: u64, slot: u64) -> String {
    format!("/kill/c{client}/d{slot}")
}

fn skill(client: u64, slot: u64) -> String {
    format!("k{client}-{slot}")
}

fn skill_path(client: u64, slot: u64) -> String {
    format!("/skill/{}/SKILL.md", skill(client, slot))
}

/// A subject of its own for each file, so that a right is one tuple.
fn subject(client: u64, slot: u64) -> [String; 2] {
    ["user".to_owned(), format!("u{client}-{slot}")]
}

fn body(client: u64, count: u64, random: &SeededRandom) -> String {
    let mut text = format!("client {client} write {count}\n");
    // One in sixteen is a blob file.
    let size = if pick(random, 16) == 0 { BODY_MAX - pick(random, 1024) } else { pick(random, 4096) };
    text.extend(std::iter::repeat_n('x', usize::try_from(size).expect("small")));
    text
}

pub(crate) fn pick(random: &SeededRandom, below: u64) -> u64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    u64::from_le_bytes(bytes) % below
}

/// Compares a server with all ledgers.
pub(crate) fn settle(ledgers: &mut [Ledger], connection: &mut Client) -> Result<(), Died> {
    (0..).zip(ledgers).try_for_each(|(client, ledger)| ledger.settle(client, connection))
}

impl Ledger {
    /// Sends one write.
    pub(crate) fn step(&mut self, client: u64, connection: &mut Client, random: &SeededRandom) -> Told {
        let (step, method, params) = self.draw(client, random);
        self.pending = Some(step.clone());
        let Ok(answer) = connection.call(method, &params) else { return Told::Nothing };
        let result = match answer.rpc() {
            Ok(result) => result,
            Err(Failure { code: UNKNOWN, .. }) => return Told::Nothing,
            Err(failure) => {
                // Whoever is refused may count on it that nothing was done.
                self.pending = None;
                return Told::Refused(failure);
            }
        };
        self.pending = None;
        if let Step::Put { etag, .. } = &step {
            assert_eq!(result["bytes_written"]["etag"], json!(etag));
        }
        let id = result.as_str().map(str::to_owned);
        self.known.apply(step, id);
        Told::Done
    }

    fn draw(&mut self, client: u64, random: &SeededRandom) -> (Step, &'static str, Value) {
        let slot = pick(random, SLOTS);
        let file = self.known.files.get(&slot);
        let right = self.known.rights.get(&slot);
        self.count += 1;
        match (pick(random, 20), file) {
            (0 | 1, Some((_, moved))) => (Step::Delete { slot }, "delete", json!({"path": path(client, slot, *moved)})),
            (2 | 3, Some((_, moved))) => {
                let (old, new) = (path(client, slot, *moved), path(client, slot, !moved));
                (Step::Move { slot }, "rename", json!({"old_path": old, "new_path": new}))
            }
            (4 | 5, Some((_, moved))) if right.is_none() => {
                let object = json!(["file", path(client, slot, *moved)]);
                let params = json!({"subject": subject(client, slot), "relation": "direct_viewer", "object": object});
                (Step::Grant { slot }, "rebac_create", params)
            }
            (6 | 7, _) if right.is_some() => (Step::Revoke { slot }, "rebac_delete", json!({"tuple_id": right})),
            (8 | 9, _) => {
                let path = directory_path(client, slot);
                match self.known.directories.contains_key(&slot) {
                    true => (Step::Remove { slot }, "rmdir", json!({"path": path})),
                    // The directory above may have gone with its last file.
                    false => (Step::Make { slot }, "mkdir", json!({"path": path, "parents": true})),
                }
            }
            (10, _) if self.known.skills.contains_key(&slot) => {
                (Step::Forget { slot }, "delete", json!({"path": skill_path(client, slot)}))
            }
            (11..=13, _) => {
                let description = format!("write {} of client {client}", self.count);
                let front = format!("---\nname: {}\ndescription: {description}\n---\n\nDo it.\n", skill(client, slot));
                let params = json!({"path": skill_path(client, slot), "content": front});
                (Step::Teach { slot, description }, "write", params)
            }
            (_, file) => {
                let body = body(client, self.count, random);
                let etag = ContentHash::of(body.as_bytes()).to_hex();
                let path = path(client, slot, file.is_some_and(|(_, moved)| *moved));
                (Step::Put { slot, etag }, "write", json!({"path": path, "content": body}))
            }
        }
    }

    /// Compares what the restarted server has with what was acknowledged, and learns how the open write ended.
    fn settle(&mut self, client: u64, connection: &mut Client) -> Result<(), Died> {
        let found = Known::ask(client, connection)?;
        let allowed = match &self.pending {
            None => vec![self.known.clone()],
            Some(step) => {
                let mut done = self.known.clone();
                // The id of a right that nobody was told is known only now.
                let id = found.rights.get(&step.slot()).cloned();
                done.apply(step.clone(), id);
                vec![self.known.clone(), done]
            }
        };
        assert!(
            allowed.contains(&found),
            "client {client}: found {found:?}, acknowledged {:?}, open {:?}",
            self.known,
            self.pending
        );
        (self.known, self.pending) = (found, None);
        Ok(())
    }
}

impl Known {
    /// Takes down what was done; `id` is that of a right that was made.
    fn apply(&mut self, step: Step, id: Option<String>) {
        match step {
            Step::Put { slot, etag } => {
                let moved = self.files.get(&slot).is_some_and(|(_, moved)| *moved);
                self.files.insert(slot, (etag, moved));
            }
            Step::Delete { slot } => {
                // A right on a file dies with it.
                self.files.remove(&slot);
                self.rights.remove(&slot);
            }
            Step::Move { slot } => {
                if let Some((_, moved)) = self.files.get_mut(&slot) {
                    *moved = !*moved;
                }
            }
            Step::Grant { slot } => self.rights.extend(id.map(|id| (slot, id))),
            Step::Revoke { slot } => drop(self.rights.remove(&slot)),
            Step::Make { slot } => drop(self.directories.insert(slot, ())),
            Step::Remove { slot } => drop(self.directories.remove(&slot)),
            Step::Teach { slot, description } => drop(self.skills.insert(slot, description)),
            Step::Forget { slot } => drop(self.skills.remove(&slot)),
        }
    }

    /// What the server has.
    fn ask(client: u64, connection: &mut Client) -> Result<Self, Died> {
        let mut found = Self::default();
        for slot in 0..SLOTS {
            for moved in [false, true] {
                if let Some(etag) = read(connection, &path(client, slot, moved))? {
                    let other = found.files.insert(slot, (etag, moved));
                    assert_eq!(other, None, "client {client}: file {slot} is at both its paths");
                }
            }
            found.rights.extend(right(connection, client, slot)?.map(|id| (slot, id)));
            let there = ask(connection, "is_directory", &json!({"path": directory_path(client, slot)}))?;
            let there = there.unwrap_or_else(|e| panic!("client {client}: directory {slot}: {e:?}"));
            found.directories.extend((there["is_directory"] == json!(true)).then_some((slot, ())));
        }
        let list = ask(connection, "skills_list", &json!({"tier": "system"}))?.expect("a list");
        for row in list["skills"].as_array().expect("a list") {
            let slot = (0..SLOTS).find(|slot| row["name"] == json!(skill(client, *slot)));
            let description = row["description"].as_str().expect("a description").to_owned();
            if let Some(slot) = slot {
                let file = ask(connection, "read", &json!({"path": skill_path(client, slot)}))?.expect("its file");
                assert!(text(&file).contains(&description), "the row of a skill is of another write than its file");
                found.skills.insert(slot, description);
            }
        }
        Ok(found)
    }
}

impl Step {
    fn slot(&self) -> u64 {
        match self {
            Self::Put { slot, .. } | Self::Delete { slot } | Self::Move { slot } | Self::Grant { slot } => *slot,
            Self::Revoke { slot } | Self::Make { slot } | Self::Remove { slot } => *slot,
            Self::Teach { slot, .. } | Self::Forget { slot } => *slot,
        }
    }
}

fn ask(connection: &mut Client, method: &str, params: &Value) -> Result<Result<Value, Failure>, Died> {
    connection.call(method, params).map(|answer| answer.rpc()).map_err(|_| Died)
}

pub(crate) fn text(file: &Value) -> String {
    use base64::Engine as _;
    let data = file["data"].as_str().expect("bytes");
    let body = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
    String::from_utf8(body).expect("text")
}

/// The etag of the file, computed from the bytes that are read; `None` if there is no file.
fn read(connection: &mut Client, path: &str) -> Result<Option<String>, Died> {
    match ask(connection, "read", &json!({"path": path, "return_metadata": true}))? {
        Ok(found) => {
            let etag = ContentHash::of(text(&found["content"]).as_bytes()).to_hex();
            assert_eq!(found["etag"], json!(etag), "{path}: the body is not the one its row names");
            Ok(Some(etag))
        }
        Err(Failure { code: -32000, .. }) => Ok(None),
        Err(e) => panic!("{path}: {e:?}"),
    }
}

/// The id of the right to the file, if there is one.
fn right(connection: &mut Client, client: u64, slot: u64) -> Result<Option<String>, Died> {
    let params = json!({"subject": subject(client, slot), "relation": "direct_viewer"});
    let found = ask(connection, "rebac_list_tuples", &params)?.expect("a list");
    let rows = found.as_array().expect("a list");
    assert!(rows.len() <= 1, "client {client} slot {slot}: {rows:?}");
    Ok(rows.first().map(|row| row["tuple_id"].as_str().expect("an id").to_owned()))
}
