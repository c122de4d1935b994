//! Mixed commands through the door of the server, and what each must have left behind, revision by revision.
//!
//! Owns the second knowledge of what a command does: one fact or a few, each with its value. Must never ask the store
//! under test what the state is. Invariant: a fact is written down with the revision that the reply named.

use std::collections::{BTreeMap, BTreeSet};

use nexus_lite::model::{ContentHash, Rev};
use serde_json::{Value, json};

use crate::harness::client::Failure;
use crate::harness::world::{Who, World};
use crate::property::random::Rng;

/// Files of each client.
const FILES: usize = 12;
/// One body in so many is a blob file.
const BLOB_ONE_IN: usize = 8;
/// Bodies in the database and as files, bytes at most.
const SMALL: usize = 4 << 10;
const BLOB: (usize, usize) = (65 << 10, 150 << 10);

/// The kind of command that certainly writes a blob file.
pub(crate) const BLOB_WRITE: usize = 20;

/// What is known about one thing: its value, or that it is not there.
pub(crate) type Facts = BTreeMap<String, Option<String>>;

/// What the commands have done, by revision.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    history: BTreeMap<String, BTreeMap<Rev, Option<String>>>,
    /// Commands that were answered with a result.
    pub(crate) done: usize,
    /// Commands that were refused: nothing of these may be there.
    pub(crate) refused: usize,
    /// The first of these, in words.
    pub(crate) refusals: Vec<String>,
}

impl Ledger {
    pub(crate) fn note(&mut self, rev: Rev, effects: Vec<(String, Option<String>)>) {
        self.done += 1;
        for (fact, value) in effects {
            self.history.entry(fact).or_default().insert(rev, value);
        }
    }

    /// `command` was refused.
    pub(crate) fn refuse(&mut self, command: &Command, failure: &Failure) {
        self.refused += 1;
        if self.refusals.len() < 5 {
            let params: String = command.params.to_string().chars().take(60).collect();
            self.refusals.push(format!("{} {params}: {failure:?}", command.method));
        }
    }

    /// The revisions that were acknowledged.
    pub(crate) fn revisions(&self) -> BTreeSet<Rev> {
        self.history.values().flat_map(BTreeMap::keys).copied().collect()
    }

    /// What must be true at `rev`.
    pub(crate) fn at(&self, rev: Rev) -> Facts {
        let value = |revs: &BTreeMap<Rev, Option<String>>| revs.range(..=rev).next_back().and_then(|(_, v)| v.clone());
        self.history.iter().map(|(fact, revs)| (fact.clone(), value(revs))).collect()
    }
}

/// One client: it works in a folder of its own, so that what it is told is what is there.
pub(crate) struct Worker {
    name: usize,
    random: Rng,
    count: usize,
    files: BTreeMap<usize, String>,
    dirs: BTreeSet<usize>,
    tuples: Vec<String>,
    keys: Vec<String>,
    agents: BTreeSet<usize>,
    workspaces: BTreeSet<usize>,
}

/// A command and what it does if it is done: facts without a value that only the reply can give.
pub(crate) struct Command {
    pub(crate) method: &'static str,
    pub(crate) params: Value,
    effect: Effect,
}

/// What a command does.
#[derive(Debug, Clone)]
enum Effect {
    File(usize, Option<String>),
    Renamed(usize, usize),
    Dir(usize, bool),
    Skill(usize, String, String),
    TupleMade,
    TupleGone(String),
    KeyMade,
    KeyGone(String),
    Agent(usize, bool),
    Workspace(usize, bool),
}

impl Worker {
    pub(crate) fn new(name: usize, seed: u64) -> Self {
        Self {
            name,
            random: Rng::new(seed ^ (name as u64) << 32),
            count: 0,
            files: BTreeMap::new(),
            dirs: BTreeSet::new(),
            tuples: Vec::new(),
            keys: Vec::new(),
            agents: BTreeSet::new(),
            workspaces: BTreeSet::new(),
        }
    }

    fn path(&self, below: &str) -> String {
        format!("/work/c{}/{below}", self.name)
    }

    fn file(&self, file: usize) -> String {
        self.path(&format!("f{file}.txt"))
    }

    fn body(&mut self, blob: bool) -> String {
        let blob = blob || self.random.below(BLOB_ONE_IN) == 0;
        let size = if blob { self.random.between(BLOB.0, BLOB.1) } else { self.random.below(SMALL) };
        let mut body = format!("client {} command {}\n", self.name, self.count);
        body.extend(
            std::iter::repeat_with(|| char::from(b'a' + u8::try_from(self.random.below(26)).expect("small")))
                .take(size.min(64)),
        );
        body.extend(std::iter::repeat_n('x', size.saturating_sub(64)));
        body
    }

    /// The next command, by chance.
    pub(crate) fn next(&mut self) -> Command {
        self.count += 1;
        let kind = self.random.below(20);
        self.command(kind)
    }

    /// A command of the kind `kind`, from 0 to [`BLOB_WRITE`]; where that makes no sense, a file is written.
    pub(crate) fn command(&mut self, kind: usize) -> Command {
        let number = self.random.below(FILES);
        let there = self.files.keys().copied().nth(self.random.below(self.files.len()));
        let say = |method, params, effect| Command { method, params, effect };
        match (kind, there) {
            (0, Some(file)) => say("delete", json!({"path": self.file(file)}), Effect::File(file, None)),
            (1, Some(from)) if !self.files.contains_key(&number) => {
                let params = json!({"old_path": self.file(from), "new_path": self.file(number)});
                say("rename", params, Effect::Renamed(from, number))
            }
            (2 | 3, _) => {
                let (path, made) = (self.path(&format!("d{number}")), !self.dirs.contains(&number));
                let method = if made { "mkdir" } else { "rmdir" };
                let params = if made { json!({"path": path, "parents": true}) } else { json!({"path": path}) };
                say(method, params, Effect::Dir(number, made))
            }
            (4 | 5, _) => {
                let (subject, object) = (format!("u{}-{}", self.name, self.count), format!("g{}", self.name));
                let params = json!({"subject": ["user", subject], "relation": "member", "object": ["group", object]});
                say("rebac_create", params, Effect::TupleMade)
            }
            (6, _) if !self.tuples.is_empty() => {
                let id = self.tuples[self.random.below(self.tuples.len())].clone();
                say("rebac_delete", json!({"tuple_id": id}), Effect::TupleGone(id))
            }
            (7, _) => {
                let name = format!("s{number}");
                let text = format!("---\nname: {name}\ndescription: command {}\n---\n\n# {name}\n", self.count);
                let path = self.path(&format!("skills/{name}/SKILL.md"));
                let about = format!("{name} command {}", self.count);
                let hash = ContentHash::of(text.as_bytes()).to_hex();
                say("write", json!({"path": path, "content": text}), Effect::Skill(number, about, hash))
            }
            (8, _) => {
                let name = format!("k{}-{}", self.name, self.count);
                say("admin_create_key", json!({"user_id": "carol", "name": name}), Effect::KeyMade)
            }
            (9, _) if !self.keys.is_empty() => {
                let id = self.keys[self.random.below(self.keys.len())].clone();
                say("admin_revoke_key", json!({"key_id": id}), Effect::KeyGone(id))
            }
            (10, _) => {
                let (id, made) = (format!("root,A{}x{number}", self.name), !self.agents.contains(&number));
                let method = if made { "register_agent" } else { "delete_agent" };
                let params = if made {
                    json!({"agent_id": id, "name": format!("A{}x{number}", self.name)})
                } else {
                    json!({"agent_id": id})
                };
                say(method, params, Effect::Agent(number, made))
            }
            (11, _) => {
                let (path, made) = (self.path(&format!("w{number}")), !self.workspaces.contains(&number));
                let method = if made { "register_workspace" } else { "unregister_workspace" };
                say(method, json!({"path": path}), Effect::Workspace(number, made))
            }
            (kind, _) => {
                let body = self.body(kind == BLOB_WRITE);
                let hash = ContentHash::of(body.as_bytes()).to_hex();
                say("write", json!({"path": self.file(number), "content": body}), Effect::File(number, Some(hash)))
            }
        }
    }

    /// What `command` has done, by its reply; and remembers it.
    pub(crate) fn done(&mut self, command: &Command, reply: &Value) -> Vec<(String, Option<String>)> {
        let file = |this: &Self, file: usize| format!("node {}", this.file(file));
        let gone_or = |there: bool, value: &str| there.then(|| value.to_owned());
        match command.effect.clone() {
            Effect::File(number, hash) => {
                match &hash {
                    Some(hash) => self.files.insert(number, hash.clone()),
                    None => self.files.remove(&number),
                };
                vec![(file(self, number), hash)]
            }
            Effect::Renamed(from, to) => {
                let hash = self.files.remove(&from).expect("it was there");
                self.files.insert(to, hash.clone());
                vec![(file(self, from), None), (file(self, to), Some(hash))]
            }
            Effect::Dir(number, made) => {
                toggle(&mut self.dirs, number, made);
                vec![(format!("node {}", self.path(&format!("d{number}"))), gone_or(made, "directory"))]
            }
            Effect::Skill(number, about, hash) => {
                let path = self.path(&format!("skills/s{number}/SKILL.md"));
                vec![(format!("node {path}"), Some(hash)), (format!("skill {path}"), Some(about))]
            }
            Effect::TupleMade => {
                let id = reply.as_str().expect("an id").to_owned();
                self.tuples.push(id.clone());
                vec![(format!("tuple {id}"), Some("there".into()))]
            }
            Effect::TupleGone(id) => {
                self.tuples.retain(|other| *other != id);
                vec![(format!("tuple {id}"), None)]
            }
            Effect::KeyMade => {
                let id = reply["key_id"].as_str().expect("an id").to_owned();
                self.keys.push(id.clone());
                vec![(format!("key {id}"), Some("valid".into()))]
            }
            Effect::KeyGone(id) => {
                self.keys.retain(|other| *other != id);
                vec![(format!("key {id}"), Some("revoked".into()))]
            }
            Effect::Agent(number, made) => {
                toggle(&mut self.agents, number, made);
                vec![(format!("agent root,A{}x{number}", self.name), gone_or(made, "there"))]
            }
            Effect::Workspace(number, made) => {
                toggle(&mut self.workspaces, number, made);
                vec![(format!("workspace {}", self.path(&format!("w{number}"))), gone_or(made, "there"))]
            }
        }
    }

    /// The facts that `command` would change; of what it would make under a name of the server's choice, none.
    pub(crate) fn touches(&self, command: &Command) -> Vec<String> {
        let path = |below: String| format!("node {}", self.path(&below));
        match &command.effect {
            Effect::File(number, _) => vec![path(format!("f{number}.txt"))],
            Effect::Renamed(from, to) => vec![path(format!("f{from}.txt")), path(format!("f{to}.txt"))],
            Effect::Dir(number, _) => vec![path(format!("d{number}"))],
            Effect::Skill(number, ..) => {
                let skill = self.path(&format!("skills/s{number}/SKILL.md"));
                vec![format!("node {skill}"), format!("skill {skill}")]
            }
            Effect::TupleGone(id) => vec![format!("tuple {id}")],
            Effect::KeyGone(id) => vec![format!("key {id}")],
            Effect::Agent(number, _) => vec![format!("agent root,A{}x{number}", self.name)],
            Effect::Workspace(number, _) => vec![format!("workspace {}", self.path(&format!("w{number}")))],
            Effect::TupleMade | Effect::KeyMade => Vec::new(),
        }
    }

    /// Asks `world` for `command` as the one who may do everything.
    pub(crate) async fn ask(&self, world: &World, command: &Command) -> (Result<Value, Failure>, Rev) {
        world.rpc_at(Who::Instance, command.method, command.params.clone()).await
    }
}

fn toggle(set: &mut BTreeSet<usize>, number: usize, there: bool) {
    if there {
        set.insert(number);
    } else {
        set.remove(&number);
    }
}
