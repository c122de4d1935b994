//! From the hash of a name to the numbers that may have it: open addressing over copy-on-write pages.
//!
//! Owns where a number is found, not whether it is the right one: whoever asks compares the name, so two names with one
//! hash are simply two slots. A slot is eight bytes, `hash 32 | number 32`, and a probe mostly stays within one page.
//! Invariant: a clone never changes, and no write costs more than a few pages, for growing moves some slots with each.

use super::pvec::PVec;

/// Slots of the first table, as a power of two.
const FIRST_BITS: u32 = 6;
/// Slots of the old table that every insertion looks at. Four would be enough to be done before the new one is full.
const MOVED_PER_INSERT: u32 = 8;

/// A slot never used; a probe ends there.
const FREE: u64 = 0;
/// A slot whose number was taken out; a probe goes on behind it. The hash of a number has its lowest bit set.
const GONE: u64 = 1;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Index {
    table: Table,
    /// The table from before it grew, and the first of its slots that was not moved yet.
    old: Option<(Table, u32)>,
}

#[derive(Debug, Clone)]
struct Table {
    /// Numbers are cheap to copy: larger pages make fewer nodes to go through.
    slots: PVec<u64, 256>,
    bits: u32,
    /// Slots that are not free.
    used: u32,
    /// Slots with a number.
    live: u32,
}

/// The hash as it stands in a slot.
fn in_slot(hash: u64) -> u64 {
    hash >> 32 << 32 | 1 << 32
}

impl Table {
    fn new(bits: u32) -> Self {
        Self { slots: PVec::new(), bits, used: 0, live: 0 }
    }

    fn at(&self, at: u32) -> u64 {
        self.slots.get(at).copied().unwrap_or(FREE)
    }

    /// Slots to look at for a hash, without end.
    #[inline]
    fn probe(&self, hash: u64) -> impl Iterator<Item = u32> + use<> {
        let (first, mask) = ((hash >> (64 - self.bits)) as u32, (1 << self.bits) - 1);
        (0..).map(move |step: u32| first.wrapping_add(step) & mask)
    }

    /// Where the first number with this hash lies that `is_it`, and the number.
    #[inline]
    fn find(&self, hash: u64, is_it: &mut impl FnMut(u32) -> bool) -> Option<(u32, u32)> {
        let wanted = in_slot(hash);
        for at in self.probe(hash) {
            let slot = self.at(at);
            if slot == FREE {
                return None;
            }
            if (slot ^ wanted) >> 32 == 0 && is_it(slot as u32) {
                return Some((at, slot as u32));
            }
        }
        None
    }

    fn insert(&mut self, hash: u64, number: u32) {
        let at = self.probe(hash).find(|at| self.at(*at) <= GONE);
        let slot = self.slots.get_mut(at.expect("a table is never full"));
        self.used += u32::from(*slot == FREE);
        self.live += 1;
        *slot = in_slot(hash) | u64::from(number);
    }

    fn remove(&mut self, hash: u64, number: u32) {
        if let Some((at, _)) = self.find(hash, &mut |found| found == number) {
            *self.slots.get_mut(at) = GONE;
            self.live -= 1;
        }
    }
}

impl Default for Index {
    fn default() -> Self {
        Self { table: Table::new(FIRST_BITS), old: None }
    }
}

impl Index {
    /// The number under this hash that `is_it`.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let found = self.table.find(hash, &mut is_it);
        let found = match &self.old {
            None => found,
            Some((old, _)) => found.or_else(|| old.find(hash, &mut is_it)),
        };
        found.map(|(_, number)| number)
    }

    /// Puts a number under a hash, beside others that have it. It must not be there yet.
    pub(super) fn insert(&mut self, hash: u64, number: u32) {
        // Five eighths full at most: short probes, and 13 to 26 bytes a name.
        let full = |slots: u32, bits: u32| u64::from(slots) * 8 >= 5 << bits;
        if full(self.table.used, self.table.bits) {
            self.move_slots(u32::MAX);
            // A table full of what is gone is cleaned and stays as large.
            let grows = full(self.table.live * 2, self.table.bits);
            let next = Table::new(self.table.bits + u32::from(grows));
            self.old = Some((std::mem::replace(&mut self.table, next), 0));
        }
        self.move_slots(MOVED_PER_INSERT);
        self.table.insert(hash, number);
    }

    /// Takes a number out.
    pub(super) fn remove(&mut self, hash: u64, number: u32) {
        self.table.remove(hash, number);
        if let Some((old, _)) = &mut self.old {
            old.remove(hash, number);
        }
    }

    /// Copies the numbers of the next slots of the old table. There they stay until all are moved, so that probes
    /// through them go on; a number is taken out of both.
    fn move_slots(&mut self, slots: u32) {
        let Some((old, from)) = &mut self.old else { return };
        let end = 1 << old.bits;
        let until = from.saturating_add(slots).min(end);
        for slot in (*from..until).map(|at| old.at(at)).filter(|slot| *slot > GONE) {
            self.table.insert(slot, slot as u32);
        }
        *from = until;
        if until == end {
            self.old = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Few hashes for many numbers, near each other and far apart.
    fn hash(number: u32) -> u64 {
        u64::from(number % 700).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    #[test]
    fn what_was_put_in_and_not_taken_out_is_found() {
        let (mut index, mut model, mut x) = (Index::default(), BTreeSet::new(), 1_u32);
        let mut kept = Vec::new();
        for step in 0..12_000 {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let number = (x >> 12) % 4_000;
            // Grow, shrink, grow.
            let in_ten = if (4_000..8_000).contains(&step) { 2 } else { 8 };
            if x >> 5 & 15 < in_ten {
                if model.insert(number) {
                    index.insert(hash(number), number);
                }
            } else if model.remove(&number) {
                index.remove(hash(number), number);
            }
            assert_eq!(index.find(hash(number), |n| n == number).is_some(), model.contains(&number));
            if step % 3_000 == 2_999 {
                kept.push((index.clone(), model.clone()));
            }
        }
        for (index, model) in kept {
            let found = |n: u32| index.find(hash(n), |found| found == n) == Some(n);
            assert!((0..4_000).all(|n| found(n) == model.contains(&n)), "a clone never changes");
        }
    }

    #[test]
    fn all_numbers_of_one_hash_are_offered() {
        let mut index = Index::default();
        (0..100).for_each(|n| index.insert(7 << 40, n));
        let mut offered = BTreeSet::new();
        assert_eq!(index.find(7 << 40, |n| !offered.insert(n)), None);
        // Those not moved yet may be offered again.
        assert_eq!(offered, (0..100).collect());
    }

    #[test]
    fn taking_out_and_putting_in_does_not_grow() {
        let mut index = Index::default();
        for n in 0..100_000 {
            index.insert(hash(n), n);
            index.remove(hash(n), n);
        }
        assert!(index.table.bits <= FIRST_BITS + 1, "{} bits for nothing", index.table.bits);
    }
}
