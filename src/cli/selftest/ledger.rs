//! What one client of a self-test was told, kept outside the server: after a crash the server must agree.
//!
//! Owns the steps that a client takes and the state that each leads to. Invariant: at most one step is open, so the
//! server's state is the one that was acknowledged, or that one after the open step; nothing else.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde_json::{Value, json};

use super::super::waves::client::{Answer, Client};
use crate::model::random::SeededRandom;
use crate::model::{ContentHash, RandomSource as _};

/// Files of each client; the first ones are descriptions of skills.
const FILES: u64 = 12;
/// Of them skills.
const SKILLS: u64 = 2;
/// Largest small body, bytes.
const SMALL_BYTES: u64 = 4 * 1024;
/// Largest body, bytes: more than lies in the database, so that blob files are made, too.
const LARGE_BYTES: u64 = 160 * 1024;
/// One body in so many is a large one.
const LARGE_ONE_IN: u64 = 10;
/// Stands for the id of a right that was asked for and not answered.
const UNKNOWN_ID: &str = "";

/// The codes of refusals that did nothing (`rpc/error.rs`).
const NOTHING_DONE: &[i64] = &[BUSY, STORAGE_FULL, DEADLINE_EXCEEDED];
const BUSY: i64 = -32010;
const STORAGE_FULL: i64 = -32011;
const DEADLINE_EXCEEDED: i64 = -32017;
/// The codes after which only a restart tells what happened.
const NOBODY_KNOWS: &[i64] = &[-32018, -32022];
/// No such file.
const NOT_FOUND: i64 = -32000;

/// What a client owns on the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct State {
    /// The etag of each file.
    files: BTreeMap<u64, String>,
    /// The id of the right to each file.
    rights: BTreeMap<u64, String>,
}

/// One write.
#[derive(Debug, Clone)]
enum Step {
    Put { file: u64, etag: String },
    Delete { file: u64 },
    Rename { from: u64, to: u64 },
    Grant { file: u64 },
    Revoke { file: u64 },
}

/// What a client has done so far.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct Tally {
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// Answers to questions that were compared with the ledger.
    pub compared: u64,
    /// Refusals that did nothing: a full disk, a busy server.
    pub refused: u64,
    /// Writes that were not answered, and turned out to have been done.
    pub unanswered_done: u64,
    /// Writes that were not answered, and turned out not to have been done.
    pub unanswered_not_done: u64,
}

/// Whether a client goes on.
#[derive(Debug)]
pub enum Next {
    /// The next step may be taken.
    Go,
    /// The server is gone, or about to go.
    End,
    /// It said what it must not say.
    Wrong(String),
}

/// What one client knows of the server.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    client: u64,
    state: State,
    pending: Option<Step>,
    count: u64,
    /// Whether nothing at all can be written, so that what frees space may be refused, too.
    pub nothing_grows: bool,
    /// What it did.
    pub tally: Tally,
}

/// An answer, taken apart.
enum Reply {
    Result(Value),
    Refused { code: i64, message: String },
    Nothing,
}

impl Reply {
    fn of(answer: &Answer) -> Self {
        let Ok(body) = &answer.body else { return Self::Nothing };
        let mut reply: Value = serde_json::from_slice(body).unwrap_or_default();
        if let Some(result) = reply.get_mut("result") {
            return Self::Result(result.take());
        }
        // A server that shuts down says so without a number.
        let code = match (reply["error"]["code"].as_i64(), answer.status) {
            (Some(code), _) => code,
            (None, 503) => return Self::Nothing,
            (None, status) => i64::from(status),
        };
        Self::Refused { code, message: reply["error"]["message"].as_str().unwrap_or_default().to_owned() }
    }
}

/// A number below `below`.
pub fn pick(random: &SeededRandom, below: u64) -> u64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    u64::from_le_bytes(bytes) % below.max(1)
}

impl Ledger {
    /// Of a client that has done nothing.
    #[must_use]
    pub fn new(client: u64) -> Self {
        Self { client, ..Self::default() }
    }

    fn dir(&self) -> String {
        format!("/selftest/c{}", self.client)
    }

    fn path(&self, file: u64) -> String {
        let dir = self.dir();
        if file < SKILLS { format!("{dir}/s{file}/SKILL.md") } else { format!("{dir}/f{file}.txt") }
    }

    /// A subject of its own for each file, so that a right is one tuple.
    fn subject(&self, file: u64) -> [String; 2] {
        ["user".to_owned(), format!("u{}-{file}", self.client)]
    }

    fn body(&self, file: u64, random: &SeededRandom) -> String {
        let mut text = match file < SKILLS {
            true => format!("---\nname: skill-{}-{file}\ndescription: write {}\n---\n", self.client, self.count),
            false => format!("client {} write {}\n", self.client, self.count),
        };
        let large = file >= SKILLS && pick(random, LARGE_ONE_IN) == 0;
        let size = pick(random, if large { LARGE_BYTES } else { SMALL_BYTES });
        text.extend((0..size).map(|at| if at % 64 == 63 { '\n' } else { 'x' }));
        text
    }

    /// Takes one step: a write, or a question whose answer is known.
    pub async fn step(&mut self, client: &Client, random: &SeededRandom) -> Next {
        let file = pick(random, FILES);
        let exists = self.state.files.contains_key(&file);
        let right = self.state.rights.get(&file).cloned();
        let free = (SKILLS..FILES).find(|to| !self.state.files.contains_key(to) && !self.state.rights.contains_key(to));
        self.count += 1;
        let (step, method, params) = match (pick(random, 20), free) {
            (0 | 1, _) if exists => (Step::Delete { file }, "delete", json!({ "path": self.path(file) })),
            (2 | 3, Some(to)) if exists && right.is_none() && file >= SKILLS => {
                let params = json!({ "old_path": self.path(file), "new_path": self.path(to) });
                (Step::Rename { from: file, to }, "rename", params)
            }
            (4..=6, _) if exists && right.is_none() => {
                let object = json!(["file", self.path(file)]);
                let params = json!({ "subject": self.subject(file), "relation": "direct_viewer", "object": object });
                (Step::Grant { file }, "rebac_create", params)
            }
            (7 | 8, _) if right.is_some() => (Step::Revoke { file }, "rebac_delete", json!({ "tuple_id": right })),
            (9..=14, _) => return self.ask(client, file, pick(random, 3)).await,
            _ => {
                let body = self.body(file, random);
                let etag = ContentHash::of(body.as_bytes()).to_hex();
                (Step::Put { file, etag }, "write", json!({ "path": self.path(file), "content": body }))
            }
        };
        self.write(client, step, method, &params).await
    }

    async fn write(&mut self, client: &Client, step: Step, method: &str, params: &Value) -> Next {
        self.pending = Some(step.clone());
        match Reply::of(&client.call(method, params).await) {
            Reply::Nothing => Next::End,
            Reply::Result(result) => {
                self.pending = None;
                self.tally.acknowledged += 1;
                self.acknowledge(&step, &result)
            }
            // What frees space is taken on a full disk, too.
            Reply::Refused { code: STORAGE_FULL, message }
                if !self.nothing_grows && matches!(step, Step::Delete { .. } | Step::Revoke { .. }) =>
            {
                Next::Wrong(format!("{}: {method} on a full disk: {message}", self.dir()))
            }
            Reply::Refused { code, .. } if NOTHING_DONE.contains(&code) => {
                self.pending = None;
                self.tally.refused += 1;
                Next::Go
            }
            Reply::Refused { code, .. } if NOBODY_KNOWS.contains(&code) => Next::End,
            Reply::Refused { code, message } => {
                Next::Wrong(format!("{}: {method} {params}: {code} {message}", self.dir()).chars().take(400).collect())
            }
        }
    }

    fn acknowledge(&mut self, step: &Step, result: &Value) -> Next {
        self.state = self.state.after(step);
        match step {
            Step::Put { file, etag } if result["bytes_written"]["etag"] != json!(etag) => {
                Next::Wrong(format!("{}: acknowledged another body than was sent: {result}", self.path(*file)))
            }
            Step::Grant { file } => match result.as_str() {
                Some(id) => {
                    self.state.rights.insert(*file, id.to_owned());
                    Next::Go
                }
                None => Next::Wrong(format!("{}: a right without an id: {result}", self.path(*file))),
            },
            _ => Next::Go,
        }
    }

    /// Asks what only this client can have changed.
    async fn ask(&mut self, client: &Client, file: u64, kind: u64) -> Next {
        let found = match kind {
            0 => self.file(client, file).await.map(|found| {
                let known = self.state.files.get(&file).cloned();
                (found == known).then_some(()).ok_or_else(|| format!("{found:?}, not {known:?}"))
            }),
            1 => self.may_read(client, file).await.map(|may| {
                let known = self.state.rights.contains_key(&file);
                (may == known).then_some(()).ok_or_else(|| format!("may be read: {may}, right given: {known}"))
            }),
            _ => self.listed(client).await.map(|listed| {
                let mut known: Vec<String> = self.state.files.keys().map(|file| self.path(*file)).collect();
                known.sort_unstable();
                (listed == known).then_some(()).ok_or_else(|| format!("listed {listed:?}, not {known:?}"))
            }),
        };
        match found {
            Ok(Ok(())) => {
                self.tally.compared += 1;
                Next::Go
            }
            Ok(Err(wrong)) | Err(Trouble::Wrong(wrong)) => Next::Wrong(format!("{}: {wrong}", self.path(file))),
            Err(Trouble::Gone) => Next::End,
            Err(Trouble::Busy) => Next::Go,
        }
    }

    /// The etag of a file, computed from its bytes.
    async fn file(&self, client: &Client, file: u64) -> Result<Option<String>, Trouble> {
        let params = json!({ "path": self.path(file), "return_metadata": true });
        match Reply::of(&client.call("read", &params).await) {
            Reply::Refused { code: NOT_FOUND, .. } => Ok(None),
            reply => {
                let found = reply.answer("read")?;
                let data = found["content"]["data"].as_str().unwrap_or_default();
                let bytes = base64::engine::general_purpose::STANDARD.decode(data).unwrap_or_default();
                let etag = ContentHash::of(&bytes).to_hex();
                if found["etag"] != json!(etag) {
                    let (path, named) = (self.path(file), &found["etag"]);
                    return Err(Trouble::Wrong(format!("{path}: the body is {etag}, its row names {named}")));
                }
                Ok(Some(etag))
            }
        }
    }

    async fn may_read(&self, client: &Client, file: u64) -> Result<bool, Trouble> {
        let object = json!(["file", self.path(file)]);
        let params = json!({ "subject": self.subject(file), "permission": "read", "object": object });
        let found = Reply::of(&client.call("rebac_check", &params).await).answer("rebac_check")?;
        Ok(found == json!(true))
    }

    async fn listed(&self, client: &Client) -> Result<Vec<String>, Trouble> {
        let params = json!({ "path": self.dir(), "recursive": true });
        let found = Reply::of(&client.call("list", &params).await).answer("list")?;
        let rows = found["files"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut paths: Vec<String> = rows.iter().filter_map(|row| row.as_str().map(str::to_owned)).collect();
        paths.sort_unstable();
        Ok(paths)
    }

    async fn right(&self, client: &Client, file: u64) -> Result<Option<String>, Trouble> {
        let params = json!({ "subject": self.subject(file), "relation": "direct_viewer" });
        let found = Reply::of(&client.call("rebac_list_tuples", &params).await).answer("rebac_list_tuples")?;
        let rows = found.as_array().map(Vec::as_slice).unwrap_or_default();
        if rows.len() > 1 {
            return Err(Trouble::Wrong(format!("{}: {} rights in place of one", self.path(file), rows.len())));
        }
        Ok(rows.first().and_then(|row| row["tuple_id"].as_str().map(str::to_owned)))
    }

    /// Compares everything that the server has of this client with what was acknowledged, and learns how the open step
    /// ended. What is wrong, in words.
    pub async fn settle(&mut self, client: &Client) -> Result<(), String> {
        let seen = self.observe(client).await.map_err(|trouble| match trouble {
            Trouble::Wrong(text) => text,
            Trouble::Gone => format!("{}: the server does not answer", self.dir()),
            Trouble::Busy => format!("{}: the server is busy with nobody", self.dir()),
        })?;
        let pending = self.pending.take();
        let done = pending.as_ref().map(|step| self.state.after(step));
        if seen.agrees(&self.state) {
            self.tally.unanswered_not_done += u64::from(pending.is_some());
        } else if done.as_ref().is_some_and(|done| seen.agrees(done)) {
            self.tally.unanswered_done += 1;
        } else {
            return Err(self.difference(&seen, pending.as_ref()));
        }
        self.state = seen;
        Ok(())
    }

    async fn observe(&self, client: &Client) -> Result<State, Trouble> {
        let mut seen = State::default();
        for file in 0..FILES {
            if let Some(etag) = self.file(client, file).await? {
                seen.files.insert(file, etag);
            }
            if let Some(id) = self.right(client, file).await? {
                seen.rights.insert(file, id);
            }
            if self.may_read(client, file).await? != seen.rights.contains_key(&file) {
                return Err(Trouble::Wrong(format!("{}: its right decides nothing", self.path(file))));
            }
        }
        let mut paths: Vec<String> = seen.files.keys().map(|file| self.path(*file)).collect();
        paths.sort_unstable();
        let listed = self.listed(client).await?;
        if listed != paths {
            return Err(Trouble::Wrong(format!("{}: listed {listed:?}, read {paths:?}", self.dir())));
        }
        Ok(seen)
    }

    /// The first difference, in words.
    fn difference(&self, seen: &State, pending: Option<&Step>) -> String {
        let file = (0..FILES).find(|file| {
            seen.files.get(file) != self.state.files.get(file) || seen.rights.get(file) != self.state.rights.get(file)
        });
        let file = file.unwrap_or_default();
        let of = |state: &State| format!("body {:?}, right {:?}", state.files.get(&file), state.rights.get(&file));
        let (path, acked, found) = (self.path(file), of(&self.state), of(seen));
        format!("LOST {path}: acknowledged {acked}; found {found}; unanswered: {pending:?}")
    }
}

/// Why a question has no answer.
enum Trouble {
    Gone,
    Busy,
    Wrong(String),
}

impl Reply {
    fn answer(self, method: &str) -> Result<Value, Trouble> {
        match self {
            Self::Result(value) => Ok(value),
            Self::Nothing => Err(Trouble::Gone),
            Self::Refused { code, .. } if NOTHING_DONE.contains(&code) => Err(Trouble::Busy),
            Self::Refused { code, message } => Err(Trouble::Wrong(format!("{method}: {code} {message}"))),
        }
    }
}

impl State {
    /// What it is after `step`.
    fn after(&self, step: &Step) -> Self {
        let mut next = self.clone();
        match step {
            Step::Put { file, etag } => {
                next.files.insert(*file, etag.clone());
            }
            Step::Delete { file } => {
                // A right to a file dies with it.
                next.files.remove(file);
                next.rights.remove(file);
            }
            Step::Rename { from, to } => {
                if let Some(etag) = next.files.remove(from) {
                    next.files.insert(*to, etag);
                }
            }
            Step::Grant { file } => {
                next.rights.insert(*file, UNKNOWN_ID.to_owned());
            }
            Step::Revoke { file } => {
                next.rights.remove(file);
            }
        }
        next
    }

    /// Whether it is `known`, up to ids that were never told.
    fn agrees(&self, known: &Self) -> bool {
        let same = |file: &u64, id: &String| known.rights.get(file).is_some_and(|k| k == id || k == UNKNOWN_ID);
        self.files == known.files
            && self.rights.len() == known.rights.len()
            && self.rights.iter().all(|(file, id)| same(file, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(files: &[(u64, &str)], rights: &[(u64, &str)]) -> State {
        let owned = |pairs: &[(u64, &str)]| pairs.iter().map(|(file, text)| (*file, (*text).to_owned())).collect();
        State { files: owned(files), rights: owned(rights) }
    }

    #[test]
    fn each_step_leads_to_one_state() {
        let before = state(&[(3, "a"), (4, "b")], &[(3, "t1")]);
        for (step, after) in [
            (Step::Put { file: 3, etag: "c".into() }, state(&[(3, "c"), (4, "b")], &[(3, "t1")])),
            (Step::Delete { file: 3 }, state(&[(4, "b")], &[])),
            (Step::Rename { from: 4, to: 5 }, state(&[(3, "a"), (5, "b")], &[(3, "t1")])),
            (Step::Revoke { file: 3 }, state(&[(3, "a"), (4, "b")], &[])),
        ] {
            assert!(after.agrees(&before.after(&step)) && !before.agrees(&before.after(&step)), "{step:?}");
        }
        // An id that was never told may be any; a right that is not there is not.
        let granted = before.after(&Step::Grant { file: 4 });
        assert!(state(&[(3, "a"), (4, "b")], &[(3, "t1"), (4, "t9")]).agrees(&granted));
        assert!(!before.agrees(&granted) && !state(&[(3, "a"), (4, "b")], &[(3, "t2"), (4, "t9")]).agrees(&granted));
    }

    #[test]
    fn what_is_lost_is_named() {
        let ledger = Ledger { state: state(&[(3, "a")], &[]), ..Ledger::new(7) };
        let told = ledger.difference(&State::default(), None);
        assert!(told.contains("LOST /selftest/c7/f3.txt") && told.contains("acknowledged body Some(\"a\")"), "{told}");
    }
}
