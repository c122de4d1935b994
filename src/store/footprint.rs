//! What an answer depends on, as far as a read has told it: by this a kept answer outlives the changes of other things.
//!
//! Owns the parts that a read can name and the question whether they are as they were. A statement that names no part
//! depends on everything, and so does an answer that names very many. What is no node (grants, rules, keys) every answer
//! depends on. Knows nothing of answers.

use super::stamps::{Slot, Stamps, slot_of_directory, slot_of_name};
use crate::model::{NodeId, Rev};

/// Parts of one answer; more are taken for everything.
const PARTS_MAX: usize = 64;

/// What the rows of a statement depend on, of all that is in the tables.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// Perhaps on anything.
    Everything,
    /// On where a name in a directory leads: id, kind, tenant and owner of the node, not its content.
    Name(NodeId, &'a str),
    /// On what lies in a directory: which nodes, and all that their rows say.
    Members(NodeId),
    /// On the skills and their files.
    Skills,
    /// On nothing that can change: a body, by its hash.
    Content,
}

/// A part that an answer depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Name(Slot),
    Members(Slot),
    Skills,
}

/// All that an answer depends on.
#[derive(Debug, Clone, Default)]
pub struct Footprint {
    parts: Vec<Part>,
    everything: bool,
}

impl Footprint {
    /// The footprint of an answer of which nothing is known.
    #[must_use]
    pub fn everything() -> Self {
        Self { parts: Vec::new(), everything: true }
    }

    pub(super) fn add(&mut self, scope: Scope<'_>) {
        match scope {
            Scope::Everything => *self = Self::everything(),
            Scope::Name(parent, name) => self.part(Part::Name(slot_of_name(parent, name))),
            Scope::Members(directory) => self.part(Part::Members(slot_of_directory(directory))),
            Scope::Skills => self.part(Part::Skills),
            Scope::Content => {}
        }
    }

    pub(super) fn add_names(&mut self, names: &[Slot]) {
        names.iter().for_each(|slot| self.part(Part::Name(*slot)));
    }

    /// Adds what another part of the same answer depends on.
    pub fn join(&mut self, other: Self) {
        if other.everything {
            *self = other;
        } else if self.parts.is_empty() && !self.everything {
            self.parts = other.parts;
        } else {
            other.parts.into_iter().for_each(|part| self.part(part));
        }
    }

    fn part(&mut self, part: Part) {
        if self.everything || self.parts.contains(&part) {
            return;
        }
        if self.parts.len() >= PARTS_MAX {
            *self = Self::everything();
        } else {
            self.parts.push(part);
        }
    }

    /// Whether everything changes it.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.everything
    }

    /// Bytes that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(self.parts.as_slice())
    }

    /// Whether an answer that was exact at `since` is so at the later revision that `stamps` are of.
    pub(super) fn stands(&self, stamps: &Stamps, since: Rev) -> bool {
        let is_older = |part: &Part| match part {
            Part::Name(slot) => stamps.of_name(*slot) <= since,
            Part::Members(slot) => stamps.of_members(*slot) <= since,
            Part::Skills => stamps.of_skills() <= since,
        };
        !self.everything && stamps.of_others() <= since && self.parts.iter().all(is_older)
    }
}
