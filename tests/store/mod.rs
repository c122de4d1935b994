//! The store without the rules above it: test operations, a test projection, one temporary directory per test.

mod faults;
mod lanes;
mod open;
pub(crate) mod publish;
mod rules;
mod space;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;

use nexus_lite::model::{Change, Delta, EntityRow, Rev};
use nexus_lite::store::{Options, Origin, Projection, Sql, Store, StoreError, WriteOp, WriteTx};

/// A store in a directory of its own, removed with it.
pub(crate) struct Temp {
    pub(crate) store: Store,
    pub(crate) dir: tempfile::TempDir,
}

/// Options for a directory; no timer, so that only `store.tick()` ticks.
pub(crate) fn options(dir: &tempfile::TempDir) -> Options {
    let mut options = crate::harness::engine::options(&dir.path().join("data"));
    options.limits.tick = std::time::Duration::from_secs(3_600);
    options
}

pub(crate) fn open_with(change: impl FnOnce(&mut Options)) -> Temp {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut options = options(&dir);
    change(&mut options);
    let store = Store::builder(options).project::<Names>().open().expect("opens");
    Temp { store, dir }
}

pub(crate) fn open() -> Temp {
    open_with(|_| ())
}

/// The test projection: the names of entities, by id.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Names {
    pub(crate) by_id: Arc<BTreeMap<u32, String>>,
    pub(crate) rev: Rev,
}

const ALL_NAMES: &str = "SELECT id, name FROM entities ORDER BY id";

impl Projection for Names {
    const NAME: &'static str = "names";
    fn load(tx: &impl Sql) -> Result<Self, StoreError> {
        let rows = tx.query(ALL_NAMES, &[], |row| Ok((row.entity(0)?, row.string(1)?)))?;
        Ok(Self { by_id: Arc::new(rows.into_iter().collect()), rev: tx.rev() })
    }
    fn apply(&mut self, change: &Change, _: Rev) {
        if let Change::Entity(Delta { after: Some(row), .. }) = change {
            assert_ne!(row.name, "panic in projection");
            Arc::make_mut(&mut self.by_id).insert(row.id, row.name.clone());
        }
    }
    fn publish(&mut self, rev: Rev) {
        self.rev = rev;
    }
}

impl Names {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.by_id.values().any(|have| have == name)
    }
}

/// What a test operation does after it has added its entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Succeed,
    Fail,
    Panic,
    /// Succeeds only if the working view has this name.
    Need(&'static str),
    /// Reads only: fails if the working view or the table has this name.
    Miss(&'static str),
    /// Changes a row and does not record it.
    Unrecorded,
    /// Reads only.
    Nothing,
}

/// Adds an entity by that name; its output is the id.
#[derive(Debug, Clone)]
pub(crate) struct Add {
    pub(crate) name: String,
    pub(crate) then: Then,
}

pub(crate) fn add(name: &str) -> Add {
    Add { name: name.into(), then: Then::Succeed }
}

pub(crate) fn add_then(name: &str, then: Then) -> Add {
    Add { name: name.into(), then }
}

const INSERT: &str = "INSERT INTO entities (id, tenant, type, name, key) VALUES (?1, ?2, ?3, ?4, ?5)";

impl WriteOp for Add {
    const NAME: &'static str = "test_add";
    type Output = u32;
    type Error = StoreError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<u32, StoreError> {
        if let Then::Need(name) = self.then
            && !tx.view::<Names>().has(name)
        {
            return Err(StoreError::Corrupt { what: format!("no {name}") });
        }
        if let Then::Miss(name) = self.then {
            let stored = tx.query(ALL_NAMES, &[], |row| row.string(1))?;
            assert!(!tx.view::<Names>().has(name) && !stored.iter().any(|have| have == name), "{name} is still there");
            return Ok(0);
        }
        let id = tx.next_entity_id();
        if self.then == Then::Nothing {
            return Ok(id);
        }
        let row = EntityRow { id, tenant: "default".into(), kind: "user".into(), name: self.name.clone() };
        let key = nexus_lite::store::digest::key16(&[&row.tenant, &row.kind, &row.name]);
        tx.exec(INSERT, nexus_lite::params![row.id, &row.tenant, &row.kind, &row.name, &key[..]])?;
        if self.then == Then::Unrecorded {
            return Ok(id);
        }
        tx.record(Change::Entity(Delta::insert(row)));
        match self.then {
            Then::Fail => Err(StoreError::Corrupt { what: "asked to fail".into() }),
            Then::Panic => panic!("asked to panic"),
            _ => Ok(id),
        }
    }

    fn bytes(&self) -> usize {
        self.name.len()
    }
}

pub(crate) fn origin() -> Origin {
    Origin::system("test")
}

/// The names in the table and those in the view, of one read; they must agree.
pub(crate) async fn names(store: &Store) -> Result<(Rev, Vec<String>), StoreError> {
    store
        .read(|tx| {
            let rows = tx.query(ALL_NAMES, &[], |row| row.string(1))?;
            let view: Vec<String> = tx.view::<Names>().by_id.values().cloned().collect();
            assert_eq!(rows, view, "data and view of one revision");
            Ok((tx.rev(), rows))
        })
        .await
}

/// A hook that stops the writer at a fault point until it is let go, and tells when it got there.
pub(crate) struct Gate {
    point: nexus_lite::store::FaultPoint,
    inner: Arc<(parking_lot::Mutex<GateState>, parking_lot::Condvar)>,
}

#[derive(Default)]
struct GateState {
    shut: bool,
    arrived: bool,
}

impl Gate {
    pub(crate) fn new(point: nexus_lite::store::FaultPoint) -> Self {
        Self { point, inner: Arc::default() }
    }
    pub(crate) fn faults(&self) -> nexus_lite::store::Faults {
        let (point, inner) = (self.point, Arc::clone(&self.inner));
        nexus_lite::store::Faults::armed(move |at| {
            if at == point {
                let (state, changed) = &*inner;
                let mut state = state.lock();
                state.arrived = true;
                changed.notify_all();
                changed.wait_while(&mut state, |state| state.shut);
            }
        })
    }
    /// Whoever comes to the point from now on waits there.
    pub(crate) fn shut(&self) {
        *self.inner.0.lock() = GateState { shut: true, arrived: false };
    }
    /// Waits until somebody is at the point.
    pub(crate) fn wait_arrived(&self) {
        let (state, changed) = &*self.inner;
        let waited = changed.wait_while_for(&mut state.lock(), |s| !s.arrived, std::time::Duration::from_secs(30));
        assert!(!waited.timed_out(), "nobody came to {:?}", self.point);
    }
    pub(crate) fn open(&self) {
        let (state, changed) = &*self.inner;
        state.lock().shut = false;
        changed.notify_all();
    }
}
