//! A look at the newest published state alone, without the tables.
//!
//! Owns the one way to answer without a read transaction. The state is of one revision, data and permissions alike, and
//! what is remembered of the tables is taken only where it is exact at that revision. A write is acknowledged after its
//! publish, so a look that begins later sees it. Whatever needs a statement is not answered here.

use std::cell::Cell;
use std::ops::ControlFlow;

use super::footprint::{Footprint, Scope};
use super::places::Known;
use super::projection::{Projection, Published};
use super::quotas::Quota;
use super::row::{Row, Val};
use super::shared::Shared;
use super::stamps::Stamps;
use super::{Sql, StoreError};
use crate::model::Rev;

/// The newest published state in the shape of a transaction.
pub struct Glance<'a> {
    published: &'a Published,
    now_us: i64,
    shared: &'a Shared,
    /// Whether a statement was asked for: then there is no answer, whatever was made of the refusal.
    asked: Cell<bool>,
}

impl<'a> Glance<'a> {
    /// Whether an answer with this footprint that was exact at `since` is exact now.
    #[must_use]
    pub fn stands(&self, footprint: &Footprint, since: Rev) -> bool {
        since == self.published.rev
            || since < self.published.rev && footprint.stands(self.published.view::<Stamps>(), since)
    }

    /// The answer of `f`, or `None` if it asked for a statement.
    pub(super) fn take<R>(shared: &'a Shared, published: &'a Published, f: impl FnOnce(&Self) -> R) -> Option<R> {
        let glance = Self { published, now_us: shared.now_us(), shared, asked: Cell::new(false) };
        let answer = f(&glance);
        (!glance.asked.get()).then_some(answer)
    }
}

impl Sql for Glance<'_> {
    fn each_in(
        &self,
        _: Scope<'_>,
        _: &'static str,
        _: &[Val<'_>],
        _: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        self.asked.set(true);
        Err(StoreError::Busy { queue: "the tables, which a look at the published state does not open" })
    }
    fn rev(&self) -> Rev {
        self.published.rev
    }
    fn now_us(&self) -> i64 {
        self.now_us
    }
    fn wall_us(&self) -> i64 {
        self.shared.clock.now_us()
    }
    fn view<P: Projection>(&self) -> &P {
        self.published.view()
    }
    fn is_far(&self) -> bool {
        false
    }
    fn default_quota(&self) -> Quota {
        self.shared.limits.quota
    }
    fn known(&self) -> Option<Known<'_>> {
        let places = &self.shared.places;
        Some(Known { places, stamps: self.published.view(), rev: self.published.rev, footprint: None })
    }
}

impl std::fmt::Debug for Glance<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Glance").field("rev", &self.published.rev).finish_non_exhaustive()
    }
}
