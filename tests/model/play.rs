//! One sequence: random commands, given to the server and to the model, and what both say afterwards.

use nexus_lite::model::ContentHash;
use serde_json::{Value, json};

use super::tree::{Node, Outcome, Tree};
use crate::harness::client::Failure;
use crate::harness::world::{Who, World};
use crate::property::random::Rng;
use crate::rpc::{paths, text_of};

/// Who acts. The heir is an agent of alice that may do what she may.
const PEOPLE: [Who; 5] = [Who::Admin, Who::Alice, Who::Bob, Who::Heir, Who::Stranger];
/// Users that get something granted.
const USERS: [&str; 2] = ["alice", "bob"];
const RELATIONS: [&str; 3] = ["direct_owner", "direct_editor", "direct_viewer"];
/// Names that are easily taken for one another.
const NAMES: [&str; 7] = ["a", "A", "ab", "a_b", "a%b", "é", "e\u{301}"];
/// Deepest path below the root of a sequence.
const DEPTH_MAX: usize = 3;
/// Code of a missing right.
const DENIED: i64 = -32004;
/// Code of an error of the program.
const INTERNAL: i64 = -32603;

/// A command, in the words of the model.
#[derive(Debug, Clone)]
enum Command {
    Write { path: String, body: String, append: bool },
    Rollback { path: String, version: usize },
    Delete { path: String },
    Rmdir { path: String, recursive: bool },
    Mkdir { path: String, parents: bool },
    Rename { old: String, new: String },
    Grant { path: String, relation: &'static str, user: &'static str },
    Revoke { at: usize },
}

/// A sequence under way.
pub(super) struct Play {
    pub(super) seed: u64,
    rng: Rng,
    tree: Tree,
    bodies: u64,
    log: Vec<String>,
    /// Commands that were done, denied, refused.
    pub(super) ended: [u64; 3],
    pub(super) comparisons: u64,
}

impl Play {
    /// A new directory, in which alice or bob may already do something.
    pub(super) async fn begin(world: &World, seed: u64) -> Self {
        let tree = Tree::new(format!("/m/{seed:016x}"));
        let made = json!({"path": tree.root, "parents": true});
        world.rpc(Who::Admin, "mkdir", made).await.expect("a directory of its own");
        let (rng, log) = (Rng::new(seed), Vec::new());
        let mut play = Self { seed, rng, tree, bodies: 0, log, ended: [0; 3], comparisons: 0 };
        let relation = *play.rng.one_of(&RELATIONS);
        let (path, user) = (play.tree.root.clone(), *play.rng.one_of(&USERS));
        play.step(world, Who::Admin, Command::Grant { path, relation, user }).await;
        play
    }

    /// Some random commands, each compared from the eyes of somebody.
    pub(super) async fn go_on(&mut self, world: &World, commands: usize) {
        for _ in 0..commands {
            // The last one may do nothing: often enough to be refused, too rarely to waste commands.
            let some = if self.rng.chance(90) { PEOPLE.len() - 1 } else { PEOPLE.len() };
            let (who, command) = (*self.rng.one_of(&PEOPLE[..some]), self.command());
            self.step(world, who, command).await;
            let who = *self.rng.one_of(&PEOPLE);
            let (path, recursive) = (self.path(), self.rng.chance(50));
            self.compare_list(world, who, &self.tree.root.clone(), recursive).await;
            self.compare_path(world, who, &path).await;
        }
    }

    /// Everything that there is, each path from the eyes of the admin and of somebody.
    pub(super) async fn end(&mut self, world: &World) {
        for who in PEOPLE {
            self.compare_list(world, who, &self.tree.root.clone(), true).await;
        }
        for path in self.tree.nodes.keys().cloned().collect::<Vec<_>>() {
            let somebody = *self.rng.one_of(&PEOPLE);
            for who in [Who::Admin, somebody] {
                self.compare_path(world, who, &path).await;
            }
        }
    }

    /// Files, and the bytes of their newest versions.
    pub(super) fn uses(&self) -> (u64, u64) {
        let newest = self.tree.nodes.values().filter_map(|node| match node {
            Node::File { versions, .. } => Some(versions.last().map_or(0, |version| version.body.len() as u64)),
            Node::Directory { .. } => None,
        });
        newest.fold((0, 0), |(files, bytes), size| (files + 1, bytes + size))
    }

    /// Mostly something that is there, else something that may be.
    fn path(&mut self) -> String {
        let there: Vec<String> = self.tree.nodes.keys().skip(1).cloned().collect();
        if !there.is_empty() && self.rng.below(3) > 0 {
            return self.rng.one_of(&there).clone();
        }
        let depth = 1 + self.rng.below(DEPTH_MAX);
        (0..depth).fold(self.tree.root.clone(), |path, _| format!("{path}/{}", self.rng.one_of(&NAMES)))
    }

    fn command(&mut self) -> Command {
        let path = self.path();
        match self.rng.below(20) {
            0..=6 => {
                self.bodies += 1;
                let body = format!("{} of {:x}\n", self.bodies, self.seed);
                Command::Write { path, body, append: self.rng.below(4) == 0 }
            }
            7 | 8 => Command::Rollback { path, version: self.rng.below(4) },
            9 | 10 => Command::Delete { path },
            11 => Command::Rmdir { path, recursive: self.rng.below(2) == 0 },
            12 | 13 => Command::Mkdir { path, parents: self.rng.below(2) == 0 },
            14..=16 => Command::Rename { old: path, new: self.path() },
            17 | 18 => {
                let there: Vec<String> = self.tree.nodes.keys().cloned().collect();
                let (path, relation) = (self.rng.one_of(&there).clone(), *self.rng.one_of(&RELATIONS));
                Command::Grant { path, relation, user: self.rng.pick(&USERS) }
            }
            _ => Command::Revoke { at: self.rng.below(8) },
        }
    }

    async fn step(&mut self, world: &World, who: Who, command: Command) {
        self.log.push(format!("{who:?}: {command:?}"));
        let (expected, answer) = match command {
            Command::Write { path, body, append } => {
                let method = if append { "append" } else { "write" };
                let answer = world.rpc(who, method, json!({"path": path, "content": body})).await;
                (self.tree.write(who, &path, &body, append), answer)
            }
            Command::Rollback { path, version } => {
                let answer = world.rpc(who, "rollback", json!({"path": path, "version": version})).await;
                (self.tree.rollback(who, &path, version), answer)
            }
            Command::Delete { path } => {
                (self.tree.delete(who, &path), world.rpc(who, "delete", json!({"path": path})).await)
            }
            Command::Rmdir { path, recursive } => {
                let answer = world.rpc(who, "rmdir", json!({"path": path, "recursive": recursive})).await;
                (self.tree.rmdir(who, &path, recursive), answer)
            }
            Command::Mkdir { path, parents } => {
                let answer = world.rpc(who, "mkdir", json!({"path": path, "parents": parents})).await;
                (self.tree.mkdir(who, &path, parents), answer)
            }
            Command::Rename { old, new } => {
                let answer = world.rpc(who, "rename", json!({"old_path": old, "new_path": new})).await;
                (self.tree.rename(who, &old, &new), answer)
            }
            Command::Grant { path, relation, user } => {
                let tuple = json!({"subject": ["user", user], "relation": relation, "object": ["file", path]});
                self.tree.grant(&path, relation, user);
                (Outcome::Done, world.rpc(Who::Admin, "rebac_create", tuple).await)
            }
            Command::Revoke { at } => return self.revoke(world, at).await,
        };
        self.ended[expected as usize] += 1;
        let outcome = outcome(&answer);
        assert_eq!(outcome, Ok(expected), "{}\nthe server said {answer:?}", self.story());
    }

    /// Takes one of the grants back, if there are so many.
    async fn revoke(&mut self, world: &World, at: usize) {
        let Some(grant) = self.tree.grants.iter().nth(at).cloned() else { return };
        let (path, relation, user) = &grant;
        let filter = json!({"subject": ["user", user], "relation": relation, "object": ["file", path]});
        let tuples = world.rpc(Who::Admin, "rebac_list_tuples", filter).await.expect("tuples");
        // Whoever made a file owns it without a grant, and is listed as well.
        let granted = |id: &&Value| !id.as_str().expect("a text").starts_with("owner-");
        let ids = tuples.as_array().expect("a list").iter().map(|tuple| &tuple["tuple_id"]);
        let ids: Vec<&Value> = ids.filter(granted).collect();
        assert_eq!(ids.len(), 1, "{}\n{grant:?} is there once: {tuples}", self.story());
        world.rpc(Who::Admin, "rebac_delete", json!({"tuple_id": ids[0]})).await.expect("deleted");
        self.tree.revoke(&grant);
        self.ended[Outcome::Done as usize] += 1;
    }

    async fn compare_list(&mut self, world: &World, who: Who, directory: &str, recursive: bool) {
        let query = json!({"path": directory, "recursive": recursive});
        let listed = paths(&world.rpc(who, "list", query).await.expect("a listing"));
        let expected = self.tree.list(who, directory, recursive);
        assert_eq!(listed, expected, "{}\nlist of {directory} by {who:?}, recursive: {recursive}", self.story());
        self.comparisons += 1;
    }

    /// What `who` hears of `path`.
    async fn compare_path(&mut self, world: &World, who: Who, path: &str) {
        let said = world.rpc(who, "exists", json!({"path": path})).await.expect("an answer");
        let expected = self.tree.nodes.contains_key(path) && self.tree.sees(who, path);
        assert_eq!(said["exists"], expected, "{}\n{who:?} asks whether {path} exists", self.story());
        let read = world.rpc(who, "read", json!({"path": path})).await;
        match self.tree.read(who, path) {
            Err(expected) => assert_eq!(outcome(&read), Ok(expected), "{}\n{who:?} reads {path}", self.story()),
            Ok(versions) => {
                let body = read.as_ref().map(text_of);
                let expected = versions.last().map(|version| version.body.as_str());
                assert_eq!(body.as_deref().ok(), expected, "{}\n{who:?} reads {path}: {read:?}", self.story());
                let listed = world.rpc(who, "list_versions", json!({"path": path})).await.expect("versions");
                let expected: Vec<Value> = versions
                    .iter()
                    .enumerate()
                    .rev()
                    .map(|(at, version)| {
                        json!([at + 1, ContentHash::of(version.body.as_bytes()).to_hex(), version.by, version.source])
                    })
                    .collect();
                let listed = listed
                    .as_array()
                    .expect("a list")
                    .iter()
                    .map(|row| json!([row["version"], row["content_hash"], row["created_by"], row["source_type"]]));
                assert_eq!(listed.collect::<Vec<_>>(), expected, "{}\nversions of {path}", self.story());
            }
        }
        if expected {
            self.compare_list(world, who, path, false).await;
        }
        self.comparisons += 2;
    }

    /// What has happened, for whoever looks for the reason.
    fn story(&self) -> String {
        format!("NEXUS_LITE_PROPERTY_SEED={} plays it again:\n  {}", self.seed, self.log.join("\n  "))
    }
}

/// What an answer comes to; an error of the program is none.
fn outcome(answer: &Result<Value, Failure>) -> Result<Outcome, String> {
    match answer {
        Ok(_) => Ok(Outcome::Done),
        Err(failure) if failure.code == DENIED => Ok(Outcome::Denied),
        Err(failure) if failure.code != INTERNAL => Ok(Outcome::Refused),
        Err(failure) => Err(format!("{failure:?}")),
    }
}
