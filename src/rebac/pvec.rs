//! A paged vector that is copied on write: a clone is one pointer, a write copies one page and its way up.
//!
//! Owns no meaning. Invariant: what a clone sees never changes.

use std::sync::Arc;

/// Children of an inner node. Each copy of a node touches the reference counts of its children: small is cheap.
const INNER: usize = 32;

type Page<T, const P: usize> = Arc<[T; P]>;
type Inner<T, const P: usize> = Arc<[Page<T, P>; INNER]>;
type Outer<T, const P: usize> = Arc<[Inner<T, P>; INNER]>;

/// Values by dense index; an index never written holds the default.
#[derive(Debug, Clone)]
pub(super) struct PVec<T, const P: usize> {
    root: Arc<Vec<Outer<T, P>>>,
}

impl<T: Clone + Default, const P: usize> Default for PVec<T, P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Clone + Default, const P: usize> PVec<T, P> {
    pub(super) fn new() -> Self {
        Self { root: Arc::new(Vec::new()) }
    }

    /// The value at `index`, if its page exists.
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        let index = index as usize;
        let (page, at) = (index / P, index % P);
        let outer = self.root.get(page / (INNER * INNER))?;
        Some(&outer[page / INNER % INNER][page % INNER][at])
    }

    /// One more than the highest index that may have been written.
    pub(super) fn bound(&self) -> u32 {
        u32::try_from(self.root.len() * INNER * INNER * P).unwrap_or(u32::MAX)
    }

    /// The value at `index`, to be changed.
    pub(super) fn get_mut(&mut self, index: u32) -> &mut T {
        let index = index as usize;
        let (page, at) = (index / P, index % P);
        let slot = page / (INNER * INNER);
        let root = Arc::make_mut(&mut self.root);
        if slot >= root.len() {
            // One empty page is shared by all of a new node until they are written.
            let empty: Page<T, P> = Arc::new(std::array::from_fn(|_| T::default()));
            let inner: Inner<T, P> = Arc::new(std::array::from_fn(|_| Arc::clone(&empty)));
            let outer: Outer<T, P> = Arc::new(std::array::from_fn(|_| Arc::clone(&inner)));
            root.resize(slot + 1, outer);
        }
        let outer = Arc::make_mut(&mut root[slot]);
        let inner = Arc::make_mut(&mut outer[page / INNER % INNER]);
        &mut Arc::make_mut(&mut inner[page % INNER])[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_never_changes() {
        let mut grown: PVec<u32, 4> = PVec::new();
        assert_eq!(grown.get(7), None);
        for i in 0..10_000 {
            *grown.get_mut(i) = i;
        }
        let before = grown.clone();
        for i in (0..10_000).step_by(3) {
            *grown.get_mut(i) = 0;
        }
        assert!((0..10_000).all(|i| before.get(i) == Some(&i)));
        assert!((0..10_000).all(|i| grown.get(i) == Some(&if i % 3 == 0 { 0 } else { i })));
    }

    #[test]
    fn an_index_never_written_holds_the_default() {
        let mut sparse: PVec<u32, 4> = PVec::new();
        *sparse.get_mut(70_000) = 1;
        assert_eq!((sparse.get(69_999), sparse.get(0), sparse.get(70_000)), (Some(&0), Some(&0), Some(&1)));
    }
}
