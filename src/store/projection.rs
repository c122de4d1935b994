//! State in memory that follows the changelog: the permission graph, the identities.
//!
//! The writer owns one working copy of each projection. An operation reads it through `tx.view::<P>()` and so sees
//! the earlier operations of its own batch; a rollback puts the copy back that was taken before; COMMIT publishes a
//! clone, and readers get the published state **of exactly the revision of their data**.
//!
//! The store knows nothing of what a projection means; `rebac` and `auth` implement the trait.

use std::any::{Any, TypeId};
use std::sync::Arc;

use crate::model::{Change, Rev};

use super::StoreError;
use super::memory::NodeMemory;
use super::quotas::{Counts, Quota};
use super::tx::Sql;

/// A copy-on-write state derived from the tables. A clone must cost pointers, not data: it is the savepoint, the
/// snapshot of a published revision and the way back.
pub trait Projection: Clone + Send + Sync + 'static {
    /// For logs and metrics.
    const NAME: &'static str;

    /// Builds the state from the tables, at start. `tx.view` must not be called.
    fn load(tx: &impl Sql) -> Result<Self, StoreError>;

    /// Applies one change of the operation that gets revision `rev`. Cannot fail: what could was checked before.
    fn apply(&mut self, change: &Change, rev: Rev);

    /// The state is about to be published as revision `rev`.
    fn publish(&mut self, rev: Rev);
}

/// The published state of one revision: one view per projection.
#[derive(Clone)]
pub struct Published {
    /// The revision.
    pub rev: Rev,
    views: Arc<[(TypeId, Arc<dyn Any + Send + Sync>)]>,
}

impl std::fmt::Debug for Published {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Published").field("rev", &self.rev).field("views", &self.views.len()).finish()
    }
}

impl Published {
    /// The view of projection `P`.
    ///
    /// # Panics
    /// When the store was opened without `P`: an error of the program, not of a user.
    #[must_use]
    pub fn view<P: Projection>(&self) -> &P {
        let wanted = TypeId::of::<P>();
        let slot = self.views.iter().find(|(id, _)| *id == wanted);
        slot.and_then(|(_, view)| view.downcast_ref()).unwrap_or_else(|| panic!("no projection {}", P::NAME))
    }
}

/// A projection without its type: what the writer holds.
pub(super) trait Slot: Send {
    fn load(&mut self, loader: &super::tx::Loader<'_>) -> Result<(), StoreError>;
    fn apply(&mut self, change: &Change, rev: Rev);
    fn mark(&self) -> Box<dyn Any + Send>;
    fn rollback(&mut self, mark: &(dyn Any + Send));
    fn publish(&mut self, rev: Rev) -> (TypeId, Arc<dyn Any + Send + Sync>);
    fn working(&self) -> (TypeId, &dyn Any);
}

/// The typed slot behind [`Slot`].
pub(super) struct TypedSlot<P>(Option<P>);

impl<P: Projection> TypedSlot<P> {
    pub(super) fn boxed() -> Box<dyn Slot> {
        Box::new(Self(None))
    }
    fn state(&self) -> &P {
        self.0.as_ref().expect("projections are loaded before the first op")
    }
    fn state_mut(&mut self) -> &mut P {
        self.0.as_mut().expect("projections are loaded before the first op")
    }
}

impl<P: Projection> Slot for TypedSlot<P> {
    fn load(&mut self, loader: &super::tx::Loader<'_>) -> Result<(), StoreError> {
        self.0 = Some(P::load(loader)?);
        Ok(())
    }
    fn apply(&mut self, change: &Change, rev: Rev) {
        self.state_mut().apply(change, rev);
    }
    fn mark(&self) -> Box<dyn Any + Send> {
        Box::new(self.state().clone())
    }
    fn rollback(&mut self, mark: &(dyn Any + Send)) {
        self.0 = Some(mark.downcast_ref::<P>().expect("the mark of this very slot").clone());
    }
    fn publish(&mut self, rev: Rev) -> (TypeId, Arc<dyn Any + Send + Sync>) {
        self.state_mut().publish(rev);
        (TypeId::of::<P>(), Arc::new(self.state().clone()))
    }
    fn working(&self) -> (TypeId, &dyn Any) {
        (TypeId::of::<P>(), self.state())
    }
}

/// The writer's working copies of all projections, the nodes that it has met, and what tenants have.
pub(super) struct Working {
    slots: Vec<Box<dyn Slot>>,
    nodes: NodeMemory,
    counts: Counts,
}

/// A point to come back to: one mark per projection, and one of the counts.
pub(super) struct Mark(Vec<Box<dyn Any + Send>>, usize);

impl Working {
    pub(super) fn new(slots: Vec<Box<dyn Slot>>) -> Self {
        Self { slots, nodes: NodeMemory::new(), counts: Counts::default() }
    }
    pub(super) fn load(&mut self, loader: &super::tx::Loader<'_>) -> Result<(), StoreError> {
        self.nodes.clear();
        self.counts.load(loader)?;
        self.slots.iter_mut().try_for_each(|slot| slot.load(loader))
    }
    pub(super) fn apply(&mut self, change: &Change, rev: Rev) {
        self.nodes.apply(change);
        self.counts.apply(change);
        for slot in &mut self.slots {
            slot.apply(change, rev);
        }
    }
    /// The nodes of the open transaction, as far as they are remembered.
    pub(super) fn nodes(&self) -> &NodeMemory {
        &self.nodes
    }
    /// What tenants have in the open transaction.
    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }
    /// What tenants without a quota of their own may have.
    pub(super) fn set_default_quota(&mut self, quota: Quota) {
        self.counts.set_default(quota);
    }
    /// A file that was out of the tree already is freed.
    pub(super) fn freed(&mut self, tenant: &str, size: u64) {
        self.counts.freed(tenant, size);
    }
    /// The open transaction is committed.
    pub(super) fn settle(&mut self) {
        self.counts.settle();
    }
    pub(super) fn mark(&self) -> Mark {
        Mark(self.slots.iter().map(|slot| slot.mark()).collect(), self.counts.mark())
    }
    pub(super) fn rollback(&mut self, mark: &Mark) {
        self.nodes.clear();
        self.counts.rollback(mark.1);
        for (slot, mark) in self.slots.iter_mut().zip(&mark.0) {
            slot.rollback(mark.as_ref());
        }
    }
    /// Builds everything that a publish needs; storing the pointer is the caller's, after COMMIT.
    pub(super) fn publish(&mut self, rev: Rev) -> Published {
        Published { rev, views: self.slots.iter_mut().map(|slot| slot.publish(rev)).collect() }
    }
    pub(super) fn view<P: Projection>(&self) -> &P {
        let wanted = TypeId::of::<P>();
        let mut working = self.slots.iter().map(|slot| slot.working());
        let view = working.find(|(id, _)| *id == wanted).and_then(|(_, view)| view.downcast_ref());
        view.unwrap_or_else(|| panic!("no projection {}", P::NAME))
    }
}
