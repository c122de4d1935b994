//! What the file tree should be: plain maps and the rules in the fewest words, without transactions, ids or caches.
//!
//! Written from the contract and the rules of permissions, not from the server. Invariant: a command that is denied or
//! refused changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::world::Who;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// The right is missing, or nobody may hear that it would not help.
    Denied,
    /// A typed error of another kind.
    Refused,
}

/// A right on a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    Read,
    Write,
}

/// One version of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) body: String,
    pub(super) by: String,
    pub(super) source: &'static str,
}

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// `implicit`: it goes with its last child.
    Directory { implicit: bool },
    /// The creator's user, and everything it ever held.
    File { owner: &'static str, versions: Vec<Version> },
}

/// A tree below a directory that is always there, and what is granted in it.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub(super) root: String,
    pub(super) nodes: BTreeMap<String, Node>,
    /// Path, relation, user.
    pub(super) grants: BTreeSet<(String, &'static str, &'static str)>,
}

/// The directory of a path below the root.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Whether `path` lies below `directory`.
fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

/// Who the rows say has written.
fn writer(who: Who) -> String {
    let user = who.user().1;
    who.agent().map_or_else(|| format!("user:{user}"), |agent| format!("user:{user},agent:{agent}"))
}

impl Tree {
    pub(super) fn new(root: String) -> Self {
        let nodes = BTreeMap::from([(root.clone(), Node::Directory { implicit: false })]);
        // Whoever makes a directory owns it.
        let grants = BTreeSet::from([(root.clone(), "direct_owner", "admin")]);
        Self { root, nodes, grants }
    }

    pub(super) fn can(&self, who: Who, right: Right, path: &str) -> bool {
        let user = who.user().1;
        let granted = |at: &str| {
            self.grants.iter().any(|(on, relation, to)| {
                on == at && *to == user && (right == Right::Read || *relation != "direct_viewer")
            })
        };
        let owns = matches!(self.nodes.get(path), Some(Node::File { owner, .. }) if *owner == user);
        let mut at = path;
        while !at.is_empty() {
            if granted(at) {
                return true;
            }
            at = parent(at);
        }
        who == Who::Admin || owns
    }

    /// Whether anything at or below `path` may be read.
    pub(super) fn sees(&self, who: Who, path: &str) -> bool {
        let mut there = self.nodes.keys().filter(|at| *at == path || is_below(at, path));
        there.any(|at| self.can(who, Right::Read, at))
    }

    /// Everything below `directory` that `who` may read, or what lies in it and leads `who` to something.
    pub(super) fn list(&self, who: Who, directory: &str, recursive: bool) -> Vec<String> {
        let shown = |(path, node): &(&String, &Node)| match node {
            Node::File { .. } => self.can(who, Right::Read, path),
            Node::Directory { implicit } if recursive => !implicit && self.can(who, Right::Read, path),
            Node::Directory { .. } => self.sees(who, path),
        };
        let inside = |path: &str| if recursive { is_below(path, directory) } else { parent(path) == directory };
        let rows = self.nodes.iter().filter(|(path, _)| inside(path));
        rows.filter(shown).map(|(path, _)| path.clone()).collect()
    }

    fn is_file(&self, path: &str) -> bool {
        matches!(self.nodes.get(path), Some(Node::File { .. }))
    }

    fn is_directory(&self, path: &str) -> bool {
        matches!(self.nodes.get(path), Some(Node::Directory { .. }))
    }

    fn is_empty(&self, directory: &str) -> bool {
        !self.nodes.keys().any(|path| is_below(path, directory))
    }

    fn leads_through_a_file(&self, path: &str) -> bool {
        let mut at = parent(path);
        while at.len() >= self.root.len() {
            if self.is_file(at) {
                return true;
            }
            at = parent(at);
        }
        false
    }

    /// What is said of a path with nothing at it, to one who has the right asked for.
    fn missing(&self, who: Who, path: &str) -> Outcome {
        if self.can(who, Right::Read, parent(path)) { Outcome::Refused } else { Outcome::Denied }
    }

    fn make_above(&mut self, path: &str, implicit: bool) {
        let mut at = parent(path).to_owned();
        while at.len() > self.root.len() {
            self.nodes.entry(at.clone()).or_insert(Node::Directory { implicit });
            at = parent(&at).to_owned();
        }
    }

    /// Ends the implicit directories at `path` and above that lost their last child.
    fn vanish(&mut self, path: &str) {
        let mut at = path.to_owned();
        while let Some(Node::Directory { implicit: true }) = self.nodes.get(&at) {
            if !self.is_empty(&at) || self.grants.iter().any(|(on, ..)| *on == at) {
                return;
            }
            self.nodes.remove(&at);
            at = parent(&at).to_owned();
        }
    }

    fn remove(&mut self, path: &str) {
        self.nodes.retain(|at, _| at != path && !is_below(at, path));
        self.grants.retain(|(on, ..)| on != path && !is_below(on, path));
        self.vanish(parent(path));
    }

    pub(super) fn read(&self, who: Who, path: &str) -> Result<&[Version], Outcome> {
        if !self.can(who, Right::Read, path) {
            return Err(Outcome::Denied);
        }
        match self.nodes.get(path) {
            Some(Node::File { versions, .. }) => Ok(versions),
            Some(Node::Directory { .. }) => Err(Outcome::Refused),
            None => Err(self.missing(who, path)),
        }
    }

    fn put(&mut self, who: Who, path: &str, body: String, source: &'static str) {
        self.make_above(path, true);
        let version = Version { body, by: writer(who), source };
        match self.nodes.get_mut(path) {
            Some(Node::File { versions, .. }) => versions.push(version),
            _ => {
                let file = Node::File { owner: who.user().1, versions: vec![version] };
                self.nodes.insert(path.to_owned(), file);
            }
        }
    }

    /// `append`: adds to what is there.
    pub(super) fn write(&mut self, who: Who, path: &str, body: &str, append: bool) -> Outcome {
        let target = if self.nodes.contains_key(path) { path } else { parent(path) };
        if !self.can(who, Right::Write, target) {
            return Outcome::Denied;
        }
        if self.leads_through_a_file(path) || self.is_directory(path) {
            return Outcome::Refused;
        }
        let mut whole = String::new();
        if append && let Some(Node::File { versions, .. }) = self.nodes.get(path) {
            whole.push_str(&versions.last().expect("a file has a version").body);
        }
        whole.push_str(body);
        self.put(who, path, whole, "original");
        Outcome::Done
    }

    pub(super) fn rollback(&mut self, who: Who, path: &str, version: usize) -> Outcome {
        if !self.can(who, Right::Write, path) {
            return Outcome::Denied;
        }
        match self.nodes.get(path) {
            None => self.missing(who, path),
            Some(Node::Directory { .. }) => Outcome::Refused,
            Some(Node::File { versions, .. }) => match version.checked_sub(1).and_then(|at| versions.get(at)) {
                None => Outcome::Refused,
                Some(earlier) => {
                    let body = earlier.body.clone();
                    self.put(who, path, body, "rollback");
                    Outcome::Done
                }
            },
        }
    }

    pub(super) fn delete(&mut self, who: Who, path: &str) -> Outcome {
        if !self.can(who, Right::Write, path) {
            return Outcome::Denied;
        }
        if !self.nodes.contains_key(path) {
            return self.missing(who, path);
        }
        if self.is_directory(path) && !self.is_empty(path) {
            return Outcome::Refused;
        }
        self.remove(path);
        Outcome::Done
    }

    pub(super) fn rmdir(&mut self, who: Who, path: &str, recursive: bool) -> Outcome {
        if !self.can(who, Right::Write, path) {
            return Outcome::Denied;
        }
        if !self.nodes.contains_key(path) {
            return self.missing(who, path);
        }
        if self.is_file(path) || (!recursive && !self.is_empty(path)) {
            return Outcome::Refused;
        }
        self.remove(path);
        Outcome::Done
    }

    pub(super) fn mkdir(&mut self, who: Who, path: &str, parents: bool) -> Outcome {
        let may_make = self.can(who, Right::Write, parent(path));
        if self.is_directory(path) && parents {
            if !may_make && !self.can(who, Right::Write, path) {
                return Outcome::Denied;
            }
            self.nodes.insert(path.to_owned(), Node::Directory { implicit: false });
            return Outcome::Done;
        }
        if !may_make {
            return Outcome::Denied;
        }
        if self.nodes.contains_key(path) || self.leads_through_a_file(path) {
            return Outcome::Refused;
        }
        if !self.nodes.contains_key(parent(path)) && !parents {
            return Outcome::Refused;
        }
        self.make_above(path, false);
        self.nodes.insert(path.to_owned(), Node::Directory { implicit: false });
        self.grants.insert((path.to_owned(), "direct_owner", who.user().1));
        Outcome::Done
    }

    pub(super) fn rename(&mut self, who: Who, old: &str, new: &str) -> Outcome {
        if !self.can(who, Right::Write, old) || !self.can(who, Right::Write, parent(new)) {
            return Outcome::Denied;
        }
        if !self.nodes.contains_key(old) {
            return self.missing(who, old);
        }
        if is_below(new, old) || self.nodes.contains_key(new) || self.leads_through_a_file(new) {
            return Outcome::Refused;
        }
        let moves = |at: &str| at == old || is_below(at, old);
        let moved = |at: &str| format!("{new}{}", &at[old.len()..]);
        self.make_above(new, true);
        let nodes = std::mem::take(&mut self.nodes).into_iter();
        self.nodes = nodes.map(|(at, node)| (if moves(&at) { moved(&at) } else { at }, node)).collect();
        let grants = std::mem::take(&mut self.grants).into_iter();
        self.grants = grants.map(|(at, r, u)| (if moves(&at) { moved(&at) } else { at }, r, u)).collect();
        self.vanish(parent(old));
        Outcome::Done
    }

    /// By the admin, on something that is there.
    pub(super) fn grant(&mut self, path: &str, relation: &'static str, user: &'static str) {
        if let Some(Node::Directory { implicit }) = self.nodes.get_mut(path) {
            *implicit = false;
        }
        self.grants.insert((path.to_owned(), relation, user));
    }

    pub(super) fn revoke(&mut self, grant: &(String, &'static str, &'static str)) {
        self.grants.remove(grant);
    }
}
