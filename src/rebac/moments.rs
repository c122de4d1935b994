//! When a decision may change although nothing is written: ends of grants, and windows of time in conditions.
//!
//! Owns the count of each; changed wherever the metadata of a tuple is, and nowhere else.

use super::graph::Meta;

/// The moments of all tuples of a graph.
#[derive(Debug, Clone, Default)]
pub(super) struct Moments {
    /// How many tuples end at a time, µs.
    ends: imbl::OrdMap<i64, u32>,
    /// How many have a window of the day.
    windows: u32,
}

impl Moments {
    pub(super) fn add(&mut self, meta: &Meta) {
        if let Some(at) = meta.expires_at_us {
            *self.ends.entry(at).or_insert(0) += 1;
        }
        self.windows += u32::from(meta.condition.has_window());
    }

    pub(super) fn remove(&mut self, meta: &Meta) {
        if let Some(at) = meta.expires_at_us {
            match self.ends.get(&at).copied() {
                Some(many) if many > 1 => self.ends.insert(at, many - 1),
                _ => self.ends.remove(&at),
            };
        }
        self.windows -= u32::from(meta.condition.has_window());
    }

    /// Until when, exclusive, what is decided at `now_us` stands if nothing is written; `now_us` if that is not known.
    pub(super) fn stands_until(&self, now_us: i64) -> i64 {
        if self.windows > 0 {
            return now_us;
        }
        let after = now_us.saturating_add(1);
        self.ends.range(after..).next().map_or(i64::MAX, |(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rebac::condition::Condition;

    fn ends(at: i64) -> Meta {
        Meta { expires_at_us: Some(at), condition: Condition::Always }
    }

    #[test]
    fn the_next_end_counts_and_each_tuple_by_itself() {
        let mut moments = Moments::default();
        assert_eq!(moments.stands_until(5), i64::MAX);
        for at in [10, 10, 20] {
            moments.add(&ends(at));
        }
        assert_eq!((moments.stands_until(9), moments.stands_until(10), moments.stands_until(20)), (10, 20, i64::MAX));
        moments.remove(&ends(10));
        assert_eq!(moments.stands_until(9), 10, "one is left");
        moments.remove(&ends(10));
        assert_eq!(moments.stands_until(9), 20);
        let window = Condition::parse(Some(r#"{"time_window": {"start": "09:00", "end": "17:00"}}"#));
        let daily = Meta { expires_at_us: None, condition: window };
        moments.add(&daily);
        assert_eq!(moments.stands_until(9), 9);
        moments.remove(&daily);
        assert_eq!(moments.stands_until(9), 20);
    }
}
