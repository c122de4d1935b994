//! When the parts of the store changed last: by what is remembered is known to be exact.
//!
//! Owns, of each revision, the newest revision at which a name began to lead elsewhere, at which anything lying in a
//! directory changed, at which a skill may have changed, and at which anything but a node did. Names and directories are
//! counted in groups: two in one group cost a look into the tables, never a wrong answer. Knows nothing of what is
//! remembered. Invariant: a part whose stamp is not newer than a revision is as it was at that revision.

use std::hash::{Hash, Hasher as _};
use std::sync::Arc;

use rustc_hash::FxHasher;

use super::projection::Projection;
use super::skills::is_skill_file;
use super::{Sql, StoreError};
use crate::model::{Change, Delta, NodeId, NodeKind, NodeRow, Rev};

/// Stamps that are copied together when one of them changes.
const PAGE: usize = 64;
/// Pages: a change copies one of them and the list of all.
const PAGES: usize = 64;

/// Which stamp belongs to a name in a directory, or to a directory.
pub(super) type Slot = u16;

/// The group of a name in a directory.
pub(super) fn slot_of_name(parent: NodeId, name: &str) -> Slot {
    slot((parent, name))
}

/// The group of a directory.
pub(super) fn slot_of_directory(directory: NodeId) -> Slot {
    slot(directory)
}

fn slot(key: impl Hash) -> Slot {
    let mut hasher = FxHasher::default();
    key.hash(&mut hasher);
    // The upper bits are the mixed ones.
    let slot = (hasher.finish() >> 32) % (PAGE * PAGES) as u64;
    u16::try_from(slot).expect("there are fewer stamps than that")
}

/// A stamp for each group. A clone costs a pointer.
#[derive(Debug, Clone)]
struct Groups(Arc<[Arc<[Rev; PAGE]>; PAGES]>);

impl Groups {
    fn all_at(rev: Rev) -> Self {
        let page = Arc::new([rev; PAGE]);
        Self(Arc::new(std::array::from_fn(|_| Arc::clone(&page))))
    }

    fn at(&self, slot: Slot) -> Rev {
        let slot = usize::from(slot);
        self.0[slot / PAGE][slot % PAGE]
    }

    fn stamp(&mut self, slot: Slot, rev: Rev) {
        let slot = usize::from(slot);
        Arc::make_mut(&mut Arc::make_mut(&mut self.0)[slot / PAGE])[slot % PAGE] = rev;
    }
}

/// The stamps of one revision.
#[derive(Debug, Clone)]
pub(super) struct Stamps {
    /// When one of these names began to lead elsewhere, or to somebody else's node.
    names: Groups,
    /// When something lying in one of these directories came, went or changed.
    members: Groups,
    /// When there may have come to be other skills, or one that says something else.
    skills: Rev,
    /// When anything changed that is no node: grants, rules, keys, agents, mounts.
    others: Rev,
}

impl Stamps {
    pub(super) fn of_name(&self, slot: Slot) -> Rev {
        self.names.at(slot)
    }
    pub(super) fn of_members(&self, slot: Slot) -> Rev {
        self.members.at(slot)
    }
    pub(super) fn of_skills(&self) -> Rev {
        self.skills
    }
    pub(super) fn of_others(&self) -> Rev {
        self.others
    }

    fn node(&mut self, delta: &Delta<NodeRow>, rev: Rev) {
        let moves = match (&delta.before, &delta.after) {
            (Some(before), Some(after)) => !leads_alike(before, after),
            _ => true,
        };
        for row in [&delta.before, &delta.after].into_iter().flatten() {
            self.members.stamp(slot_of_directory(row.parent), rev);
            if moves {
                self.names.stamp(slot_of_name(row.parent, &row.name), rev);
            }
            if is_skill_file(&row.name) {
                self.skills = rev;
            }
        }
        // With a directory go the skills below it; a new one holds none yet.
        if moves && delta.before.as_ref().is_some_and(|before| before.kind == NodeKind::Directory) {
            self.skills = rev;
        }
    }
}

impl Projection for Stamps {
    const NAME: &'static str = "stamps";

    /// What was remembered of an earlier revision than that of the tables is not known to be exact.
    fn load(tx: &impl Sql) -> Result<Self, StoreError> {
        let (rev, all) = (tx.rev(), Groups::all_at(tx.rev()));
        Ok(Self { names: all.clone(), members: all, skills: rev, others: rev })
    }

    fn apply(&mut self, change: &Change, rev: Rev) {
        match change {
            Change::Node(delta) => self.node(delta, rev),
            _ => self.others = rev,
        }
    }

    fn publish(&mut self, _: Rev) {}
}

/// Whether a change of a row is none for those who only ask where a path leads.
fn leads_alike(before: &NodeRow, after: &NodeRow) -> bool {
    let facts = |row: &NodeRow| (row.parent, row.id, row.kind, row.owner);
    facts(before) == facts(after) && before.name == after.name && before.tenant == after.tenant
}
