//! The nodes that the writer has met, remembered by directory and name.
//!
//! Owns a bounded memory of rows and of names that lead nowhere, as the writer's open transaction sees them: what a
//! message records is in it at once, and what is rolled back empties it. It is exact because nobody else writes; a
//! path costs the writer no statement, which behind a network is what a write costs. Never read by readers: they see
//! other revisions. A debug build asks the tables each time and compares.

use std::cell::RefCell;

use quick_cache::Equivalent;
use quick_cache::unsync::Cache;

use crate::model::{Change, NodeId, NodeKind, NodeRow};

/// Names that are remembered. A row with its texts takes about 300 bytes: 5 MB.
const NAMES_MAX: usize = 16 << 10;

/// Where a node lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place(NodeId, String);

/// A [`Place`] whose name is somebody else's.
#[derive(Hash)]
struct Asked<'a>(NodeId, &'a str);

impl Equivalent<Place> for Asked<'_> {
    fn equivalent(&self, place: &Place) -> bool {
        self.0 == place.0 && self.1 == place.1
    }
}

/// What the writer remembers of the tree.
pub struct NodeMemory(RefCell<Cache<Place, Option<NodeRow>>>);

impl NodeMemory {
    pub(super) fn new() -> Self {
        Self(RefCell::new(Cache::new(NAMES_MAX)))
    }

    /// What `name` in the directory `parent` leads to; `None` if that is not remembered.
    pub(super) fn get(&self, parent: NodeId, name: &str) -> Option<Option<NodeRow>> {
        self.0.borrow().get(&Asked(parent, name)).cloned()
    }

    /// Remembers what the tables of the open transaction say.
    pub(super) fn put(&self, parent: NodeId, name: &str, row: Option<&NodeRow>) {
        self.0.borrow_mut().insert(Place(parent, name.to_owned()), row.cloned());
    }

    /// Follows a change of the open transaction.
    pub(super) fn apply(&mut self, change: &Change) {
        let Change::Node(delta) = change else { return };
        match (&delta.before, &delta.after) {
            // What lay below is out of the tree, and is freed without a word.
            (Some(before), None) if before.kind == NodeKind::Directory => self.clear(),
            (before, after) => {
                let memory = self.0.get_mut();
                if let Some(row) = before {
                    memory.insert(Place(row.parent, row.name.clone()), None);
                }
                if let Some(row) = after {
                    memory.insert(Place(row.parent, row.name.clone()), Some(row.clone()));
                }
            }
        }
    }

    /// Forgets everything: what was recorded has not come to be.
    pub(super) fn clear(&mut self) {
        self.0.get_mut().clear();
    }
}

impl std::fmt::Debug for NodeMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeMemory").field("names", &self.0.borrow().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Delta;

    fn row(parent: NodeId, name: &str, id: NodeId, kind: NodeKind) -> NodeRow {
        NodeRow {
            parent,
            name: name.into(),
            id,
            tenant: "default".into(),
            kind,
            owner: None,
            implicit: false,
            mixed: false,
            content: None,
            size: 0,
            version: 0,
            mime: None,
            created_at_us: 0,
            modified_at_us: 0,
            created_by: "user:alice".into(),
        }
    }

    #[test]
    fn changes_are_followed_and_names_that_lead_nowhere_are_known() {
        let mut memory = NodeMemory::new();
        assert_eq!(memory.get(1, "a"), None, "nothing is known");
        memory.put(1, "a", None);
        assert_eq!(memory.get(1, "a"), Some(None));
        let a = row(1, "a", 2, NodeKind::File);
        memory.apply(&Change::Node(Delta::insert(a.clone())));
        assert_eq!(memory.get(1, "a"), Some(Some(a.clone())));
        let b = NodeRow { name: "b".into(), ..a.clone() };
        memory.apply(&Change::Node(Delta::update(a, b.clone())));
        assert_eq!((memory.get(1, "a"), memory.get(1, "b")), (Some(None), Some(Some(b.clone()))), "it has moved");
        memory.apply(&Change::Node(Delta::delete(b)));
        assert_eq!(memory.get(1, "b"), Some(None));
    }

    #[test]
    fn nothing_is_remembered_below_a_directory_that_went() {
        let mut memory = NodeMemory::new();
        let directory = row(1, "d", 2, NodeKind::Directory);
        memory.put(1, "d", Some(&directory));
        memory.put(2, "f", Some(&row(2, "f", 3, NodeKind::File)));
        memory.apply(&Change::Node(Delta::delete(directory)));
        assert_eq!((memory.get(1, "d"), memory.get(2, "f")), (None, None));
    }
}
