//! The state of a store at a revision, folded from its changelog, and what the rules say of it.
//!
//! It knows the rules a second time, in the plainest words (no caches, no closures), and only those of the default
//! namespaces that the load runs use. What it shares with the server is the shape of a row.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::model::{Change, EntityId, EntityRow, NodeId, NodeKind, NodeRow, ROOT_NODE, Rev, TupleRow, VirtualPath};

/// One revision of the changelog.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its number.
    pub rev: Rev,
    /// The writer message.
    pub op: String,
    /// What it changed, in order.
    pub changes: Vec<Change>,
}

/// Who a recorded caller is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CallerFacts {
    /// Its tenant.
    pub tenant: String,
    /// Its user.
    pub user: String,
    /// Whether it rules its tenant.
    pub is_admin: bool,
}

/// The state of one revision, folded from the changelog.
#[derive(Debug, Default)]
pub struct State {
    /// The revision.
    pub rev: Rev,
    nodes: HashMap<NodeId, NodeRow>,
    children: BTreeMap<(NodeId, String), NodeId>,
    entities: HashMap<EntityId, EntityRow>,
    tuples: HashMap<String, TupleRow>,
}

impl State {
    /// Adds the changes of the next revision.
    pub fn apply(&mut self, entry: &Entry) {
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
    pub(super) fn below(&self, directory: NodeId) -> impl Iterator<Item = &NodeRow> {
        let range = (directory, String::new())..(directory + 1, String::new());
        self.children.range(range).filter_map(|(_, id)| self.nodes.get(id))
    }

    /// The node at `path`.
    #[must_use]
    pub fn node(&self, path: &VirtualPath) -> Option<&NodeRow> {
        let mut at = ROOT_NODE;
        for name in path.components() {
            at = *self.children.get(&(at, name.to_owned()))?;
        }
        self.nodes.get(&at)
    }

    /// Every file at or below `path`, with its path, sorted.
    pub(super) fn files_below(&self, path: &VirtualPath) -> Vec<(VirtualPath, &NodeRow)> {
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
    #[must_use]
    pub fn may(&self, tenant: &str, user: &str, permission: &str, path: &VirtualPath) -> bool {
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
    pub(super) fn reads(&self, caller: &CallerFacts, path: &VirtualPath) -> bool {
        let tenant = self.node(path).map(|node| node.tenant.as_str());
        let same = tenant == Some(caller.tenant.as_str());
        same && (caller.is_admin || self.may(&caller.tenant, &caller.user, "read", path))
    }
}
