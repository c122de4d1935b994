//! The checker of register histories: whether what clients saw of one key can be explained by operations that take
//! effect one after the other, each between its call and its answer.
//!
//! Wing and Gong's search, with the memory of Lowe: a set of operations that are done and the value they lead to is
//! looked at once. An operation without an answer took effect before the end of its process, or never. Its own tests
//! are below: a checker that accepts everything proves nothing.

use std::collections::{BTreeSet, HashSet};

/// What the register holds: a value that was written once only, or nothing.
pub(crate) type Held = Option<u64>;

/// What a client asked, and what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    Read(Held),
    Wrote(u64),
    Deleted,
    /// There was nothing to delete.
    NothingThere,
    /// The first was there and is replaced by the second.
    Swapped(u64, u64),
    /// The first was not there.
    NotSwapped(u64),
}

/// One operation: the moments of its call and its answer, on a clock that all clients share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) called: u64,
    pub(crate) answered: u64,
    pub(crate) seen: Seen,
    /// It had no answer: it may have been carried out or not, until `answered`, which is the end of its process.
    pub(crate) open: bool,
}

impl Seen {
    /// What the register holds afterwards; `None` if this cannot have been seen.
    fn after(self, held: Held) -> Option<Held> {
        match self {
            Self::Read(value) => (held == value).then_some(held),
            Self::Wrote(value) => Some(Some(value)),
            Self::Deleted => held.is_some().then_some(None),
            Self::NothingThere => held.is_none().then_some(None),
            Self::Swapped(old, new) => (held == Some(old)).then_some(Some(new)),
            Self::NotSwapped(old) => (held != Some(old)).then_some(held),
        }
    }
}

/// What the register may hold after `operations`, if it held one of `before`; empty: nothing explains what was seen.
pub(crate) fn explain(operations: &[Operation], before: &BTreeSet<Held>) -> BTreeSet<Held> {
    let words = operations.len().div_ceil(64);
    let mut stack: Vec<(Vec<u64>, Held)> = before.iter().map(|held| (vec![0; words], *held)).collect();
    let mut known: HashSet<(Vec<u64>, Held)> = stack.iter().cloned().collect();
    let mut after = BTreeSet::new();
    while let Some((done, held)) = stack.pop() {
        let is_done = |at: usize| done[at / 64] & (1 << (at % 64)) != 0;
        let left: Vec<usize> = (0..operations.len()).filter(|at| !is_done(*at)).collect();
        let Some(first_answer) = left.iter().map(|at| operations[*at].answered).min() else {
            after.insert(held);
            continue;
        };
        // Whatever was called after another one had been answered comes after it.
        for at in left.into_iter().filter(|at| operations[*at].called < first_answer) {
            let operation = operations[at];
            let without = operation.open.then_some(held);
            for held in operation.seen.after(held).into_iter().chain(without) {
                let mut done = done.clone();
                done[at / 64] |= 1 << (at % 64);
                if known.insert((done.clone(), held)) {
                    stack.push((done, held));
                }
            }
        }
    }
    after
}

#[cfg(test)]
mod tests {
    use super::Seen::{Deleted, NotSwapped, NothingThere, Read, Swapped, Wrote};
    use super::*;

    fn answered(called: u64, answered: u64, seen: Seen) -> Operation {
        Operation { called, answered, seen, open: false }
    }

    fn open(called: u64, ended: u64, seen: Seen) -> Operation {
        Operation { called, answered: ended, seen, open: true }
    }

    fn from_nothing(operations: &[Operation]) -> Vec<Held> {
        explain(operations, &BTreeSet::from([None])).into_iter().collect()
    }

    #[test]
    fn one_after_the_other_is_explained() {
        let history = [
            answered(1, 2, NothingThere),
            answered(3, 4, Wrote(1)),
            answered(5, 6, Read(Some(1))),
            answered(7, 8, Swapped(1, 2)),
            answered(9, 10, NotSwapped(1)),
            answered(11, 12, Deleted),
            answered(13, 14, Read(None)),
        ];
        assert_eq!(from_nothing(&history), [None]);
    }

    #[test]
    fn what_overlaps_may_be_in_any_order() {
        let history = [answered(1, 10, Wrote(1)), answered(2, 9, Wrote(2)), answered(3, 4, Read(None))];
        assert_eq!(from_nothing(&history), [Some(1), Some(2)]);
        let history = [answered(1, 10, Wrote(1)), answered(2, 3, Read(Some(1))), answered(4, 5, Read(Some(1)))];
        assert_eq!(from_nothing(&history), [Some(1)]);
    }

    #[test]
    fn a_stale_read_is_rejected() {
        let history = [answered(1, 2, Wrote(1)), answered(3, 4, Wrote(2)), answered(5, 6, Read(Some(1)))];
        assert_eq!(from_nothing(&history), []);
        // Nor may a value go back while it is being written.
        let history = [answered(1, 10, Wrote(1)), answered(2, 3, Read(Some(1))), answered(4, 5, Read(None))];
        assert_eq!(from_nothing(&history), []);
    }

    #[test]
    fn a_lost_update_is_rejected() {
        let history = [answered(1, 2, Wrote(1)), answered(3, 4, Read(None))];
        assert_eq!(from_nothing(&history), []);
        // Two cannot both have replaced the same value.
        let history = [answered(1, 2, Wrote(1)), answered(3, 8, Swapped(1, 2)), answered(4, 7, Swapped(1, 3))];
        assert_eq!(from_nothing(&history), []);
    }

    #[test]
    fn a_double_execution_is_rejected() {
        // The first write is seen again after another one had taken its place, and nobody wrote it again.
        let history = [
            open(1, 100, Wrote(1)),
            answered(2, 3, Read(Some(1))),
            answered(4, 5, Wrote(2)),
            answered(6, 7, Read(Some(2))),
            answered(8, 9, Read(Some(1))),
        ];
        assert_eq!(from_nothing(&history), []);
        let history = [answered(1, 2, Wrote(1)), answered(3, 4, Deleted), answered(5, 6, Deleted)];
        assert_eq!(from_nothing(&history), []);
    }

    #[test]
    fn what_had_no_answer_may_have_happened_or_not() {
        let written = [answered(1, 2, Wrote(1)), open(3, 9, Wrote(2))];
        assert_eq!(from_nothing(&written), [Some(1), Some(2)]);
        // It may be swapped in only where its value is there; else it has done nothing.
        assert_eq!(from_nothing(&[answered(1, 2, Wrote(1)), open(3, 9, Swapped(7, 8))]), [Some(1)]);
        // But not before it was asked for, and not after its process had ended.
        assert_eq!(from_nothing(&[answered(1, 2, Read(Some(2))), open(3, 9, Wrote(2))]), []);
        let later = explain(&[answered(11, 12, Read(Some(2)))], &BTreeSet::from([Some(1)]));
        assert!(later.is_empty());
    }

    #[test]
    fn long_histories_are_decided() {
        // Eight writers side by side, twenty rounds: without memory more orders than there are atoms.
        let mut history = Vec::new();
        for round in 0..20 {
            let from = round * 100;
            history.extend((0..8).map(|client| answered(from + client, from + 50, Wrote(from + client))));
            history.push(answered(from + 60, from + 61, Read(Some(from + 3))));
        }
        assert_eq!(from_nothing(&history), [Some(1903)]);
        history.push(answered(3000, 3001, Read(Some(1904))));
        assert_eq!(from_nothing(&history), []);
    }
}
