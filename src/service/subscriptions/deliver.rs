//! Deliveries: each subscription is told the log, event by event, from where it was left.
//!
//! One task per enabled subscription, so that one receiver waits for nobody and gets its events in order, one at a time. An
//! event is told until it is taken: what has been told is kept afterwards, once a second at most, so that a server that
//! was killed tells the last ones again, by the same ids. Each delivery is tried three times, or once where another
//! attempt would change nothing (the address may not be sent to, the receiver sends on); then the subscription waits,
//! longer each time, and is disabled after ten in a row. Nothing is left out: when it is enabled again it goes on from
//! there. Time is the store's clock; a test that moves it says so by [`Hooks::touch`].

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::auth::KeyHasher;
use crate::model::SubscriptionRow;
use crate::outbound::Outbound;
use crate::rebac::Caches;
use crate::service::ServiceError;
use crate::service::events::Event;
use crate::service::events::feed::{INLINE_REVISIONS, Page, Reader, Wanted, oldest};
use crate::store::subscriptions::{self, DeliveryRow, FAILED, Position, SUCCESS};
use crate::store::{Origin, ReadTx, Store, StoreError, WriteOp as _};
use crate::telemetry::metric;

use super::ops::{FAILURES_MAX, KeepDelivery};
use super::send::{Ended, PAUSES};
use super::speaker;

/// After a failed delivery; twice as long after each further one.
const BACK_OFF: Duration = Duration::from_secs(10);
/// How long what was told may be remembered only here.
const KEEP_EVERY: Duration = Duration::from_secs(1);
/// Events after which it is kept at the latest.
const KEEP_EVENTS: u64 = 256;
/// Revisions without an event for a subscription after which its place is kept.
const KEEP_REVISIONS: u64 = 4_096;
/// After an error of the store.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How often the list is read again without anybody asking for it.
const LIST_EVERY: Duration = Duration::from_secs(60);

/// What is said of a subscription whose key is no longer valid.
const NO_KEY: &str = "the key it was made with is not valid any more; its maker can enable it again with another key";

/// What deliveries need beside the store.
pub struct Hooks {
    pub(super) outbound: Arc<Outbound>,
    pub(super) hasher: Arc<KeyHasher>,
    /// Whether the server asks for no keys.
    open: bool,
    /// Grows when the list has changed, or the clock was moved.
    pub(super) touched: watch::Sender<u64>,
    pub(super) stopping: watch::Sender<bool>,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooks").field("outbound", &self.outbound).finish_non_exhaustive()
    }
}

impl Hooks {
    /// Nothing is delivered before [`run`](Self::run).
    #[must_use]
    pub fn new(outbound: Arc<Outbound>, hasher: Arc<KeyHasher>, open: bool) -> Self {
        let (touched, stopping) = (watch::Sender::new(0), watch::Sender::new(false));
        Self { outbound, hasher, open, touched, stopping }
    }

    /// Subscriptions were changed, or the injected clock was moved.
    pub fn touch(&self) {
        self.touched.send_modify(|count| *count += 1);
    }

    /// Ends all deliveries; what is under way is cut off and told again after the next start.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
        self.outbound.stop();
    }

    /// Delivers until it is stopped.
    pub async fn run(self: Arc<Self>, store: Store, caches: Arc<Caches>) {
        let (mut touched, mut stopping) = (self.touched.subscribe(), self.stopping.subscribe());
        let mut tasks: HashMap<String, Task> = HashMap::new();
        while !*stopping.borrow_and_update() {
            touched.borrow_and_update();
            let wait = match store.read(|tx| subscriptions::enabled(tx)).await {
                Ok(rows) => {
                    self.settle(&store, &caches, rows, &mut tasks);
                    LIST_EVERY
                }
                Err(StoreError::Closed) => break,
                Err(error) => {
                    tracing::warn!(%error, "the subscriptions could not be read");
                    STORE_PAUSE
                }
            };
            tokio::select! {
                _ = touched.changed() => {}
                _ = stopping.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        for task in tasks.into_values() {
            task.cancel.send_replace(true);
            // A task that panicked has said so.
            let _ = task.handle.await;
        }
    }

    /// Ends the tasks of what was changed or is not told any more, and begins those of what is new.
    fn settle(
        self: &Arc<Self>,
        store: &Store,
        caches: &Arc<Caches>,
        rows: Vec<SubscriptionRow>,
        tasks: &mut HashMap<String, Task>,
    ) {
        let mut before = std::mem::take(tasks);
        for row in rows {
            let id = row.subscription_id.clone();
            let old = before.remove(&id);
            let task = match old {
                Some(task) if task.updated_at_us == row.updated_at_us && !task.handle.is_finished() => task,
                old => self.begin(store, caches, row, old),
            };
            tasks.insert(id, task);
        }
        before.into_values().for_each(|task| {
            task.cancel.send_replace(true);
        });
    }

    fn begin(self: &Arc<Self>, store: &Store, caches: &Arc<Caches>, row: SubscriptionRow, old: Option<Task>) -> Task {
        let cancel = watch::Sender::new(false);
        let updated_at_us = row.updated_at_us;
        let (hooks, store, caches, canceled) =
            (Arc::clone(self), store.clone(), Arc::clone(caches), cancel.subscribe());
        let handle = tokio::spawn(async move {
            if let Some(old) = old {
                old.cancel.send_replace(true);
                // One task at a time tells a subscription.
                let _ = old.handle.await;
            }
            let touched = hooks.touched.subscribe();
            let told = Telling::new(hooks, store, caches, row, canceled, touched);
            if let Some(mut telling) = told.await {
                telling.go_on().await;
            }
        });
        Task { updated_at_us, cancel, handle }
    }
}

/// A running task.
struct Task {
    /// The state of the subscription that it tells.
    updated_at_us: i64,
    cancel: watch::Sender<bool>,
    handle: JoinHandle<()>,
}

/// What ends a wait.
pub(super) struct Waits {
    pub(super) canceled: watch::Receiver<bool>,
    pub(super) touched: watch::Receiver<u64>,
}

impl Waits {
    /// Waits by the store's clock; false: it is over.
    pub(super) async fn pause(&mut self, store: &Store, pause: Duration) -> bool {
        let due = store.clock().instant() + pause;
        loop {
            if *self.canceled.borrow_and_update() {
                return false;
            }
            let left = due.saturating_duration_since(store.clock().instant());
            if left.is_zero() {
                return true;
            }
            tokio::select! {
                // Who has gone away will not cancel it: it is over.
                gone = self.canceled.changed() => if gone.is_err() { return false },
                gone = self.touched.changed() => if gone.is_err() { return false },
                () = tokio::time::sleep(left) => {}
            }
        }
    }
}

/// The task of one subscription.
struct Telling {
    hooks: Arc<Hooks>,
    store: Store,
    caches: Arc<Caches>,
    row: Arc<SubscriptionRow>,
    wanted: Arc<Wanted>,
    state: DeliveryRow,
    /// What of it is in the store.
    kept: Position,
    /// Events told since.
    unkept: u64,
    waits: Waits,
}

/// Whether a task goes on.
type Goes = ControlFlow<()>;
const ON: Goes = ControlFlow::Continue(());
const OVER: Goes = ControlFlow::Break(());

impl Telling {
    async fn new(
        hooks: Arc<Hooks>,
        store: Store,
        caches: Arc<Caches>,
        row: SubscriptionRow,
        canceled: watch::Receiver<bool>,
        touched: watch::Receiver<u64>,
    ) -> Option<Self> {
        let list = |text: &str| serde_json::from_str::<Vec<String>>(text).unwrap_or_default();
        let patterns = row.patterns.as_deref().map(list).unwrap_or_default();
        let wanted = Wanted::parse(&list(&row.event_types), &patterns);
        let id = row.subscription_id.clone();
        let mut waits = Waits { canceled, touched };
        let state = loop {
            let id = id.clone();
            match store.read(move |tx| subscriptions::delivery(tx, &id)).await {
                Ok(state) => break state?,
                Err(error) => tracing::warn!(%error, "how far a subscription was told could not be read"),
            }
            if !waits.pause(&store, STORE_PAUSE).await {
                return None;
            }
        };
        let kept = state.told;
        let (row, wanted) = (Arc::new(row), Arc::new(wanted.unwrap_or_default()));
        Some(Self { hooks, store, caches, row, wanted, state, kept, unkept: 0, waits })
    }

    /// Tells until it is over; keeps how far at the end.
    async fn go_on(&mut self) {
        let mut revisions = self.store.revisions();
        loop {
            revisions.borrow_and_update();
            let goes = match self.page().await {
                Ok(page) => self.tell(page).await,
                Err(error) => self.trouble(error).await,
            };
            match goes {
                ControlFlow::Break(()) => break,
                ControlFlow::Continue(true) => continue,
                ControlFlow::Continue(false) => {}
            }
            if !self.wait(&mut revisions).await {
                break;
            }
        }
        if self.unkept > 0 {
            // It is over either way.
            let _ = self.keep(None).await;
        }
    }

    /// Waits for a later revision; what was told is kept meanwhile.
    async fn wait(&mut self, revisions: &mut watch::Receiver<u64>) -> bool {
        loop {
            if *self.waits.canceled.borrow_and_update() {
                return false;
            }
            let unkept = self.unkept > 0;
            tokio::select! {
                changed = revisions.changed() => return changed.is_ok(),
                gone = self.waits.canceled.changed() => if gone.is_err() { return false },
                () = tokio::time::sleep(KEEP_EVERY), if unkept => if self.keep(None).await.is_break() { return false },
            }
        }
    }

    async fn page(&self) -> Result<Page, ServiceError> {
        if self.row.key_id.is_none() && !self.hooks.open {
            return Err(ServiceError::Unauthenticated);
        }
        let (row, wanted, caches) = (Arc::clone(&self.row), Arc::clone(&self.wanted), Arc::clone(&self.caches));
        let from = self.state.told;
        let read = move |tx: &ReadTx<'_>| {
            let caller = speaker(&row);
            Reader { caller: &caller, caches: &caches, wanted: &wanted, tenant: Some(&row.tenant) }.page(tx, from)
        };
        let behind = self.store.published().rev.saturating_sub(from.rev) > INLINE_REVISIONS;
        if behind { self.store.read_slow(read).await } else { self.store.read(read).await }
    }

    /// Tells the events of a page; whether there is more.
    async fn tell(&mut self, page: Page) -> ControlFlow<(), bool> {
        self.state.missed += page.lost;
        for event in page.events {
            if self.event(&event).await.is_break() {
                return ControlFlow::Break(());
            }
            self.state.told = event.after();
        }
        self.state.told = page.next;
        let far = self.state.told.rev.saturating_sub(self.kept.rev) >= KEEP_REVISIONS;
        if (self.unkept >= KEEP_EVENTS || far || page.lost > 0) && self.keep(None).await.is_break() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(page.more)
    }

    /// Tells one event until it is taken, or may not be told any more; that is asked before each attempt.
    async fn event(&mut self, event: &Event) -> Goes {
        let mut pauses = PAUSES.into_iter();
        loop {
            if *self.waits.canceled.borrow_and_update() {
                return OVER;
            }
            let event = match self.again(event).await {
                Ok(Some(event)) => event,
                Ok(None) => return ON,
                Err(error) => match self.trouble(error).await {
                    ControlFlow::Continue(_) => continue,
                    ControlFlow::Break(()) => return OVER,
                },
            };
            let (body, kind) = (event.to_json(), event.kind.name());
            let (why, again) = match self.hooks.attempt(&self.store, &self.row, &event.id, kind, &body).await {
                Ok(()) => return self.taken(&event).await,
                Err(Ended::Stopped) => return OVER,
                Err(Ended::Failed(why)) => (why, pauses.next()),
                Err(Ended::Final(why)) => (why, None),
            };
            let pause = match again {
                Some(pause) => pause,
                None => {
                    pauses = PAUSES.into_iter();
                    self.failed(why).await?;
                    let doublings = u32::try_from(self.state.failures.min(FAILURES_MAX) - 1).unwrap_or(0);
                    BACK_OFF * (1 << doublings)
                }
            };
            if !self.waits.pause(&self.store, pause).await {
                return OVER;
            }
        }
    }

    /// The receiver has taken an event.
    async fn taken(&mut self, event: &Event) -> Goes {
        let recovered = self.state.failures > 0;
        self.state.failures = 0;
        self.state.last_at_us = Some(self.store.clock().now_us());
        self.state.last_status = Some(SUCCESS.to_owned());
        self.state.last_error = None;
        self.state.told = event.after();
        self.unkept += 1;
        if recovered || self.unkept >= KEEP_EVENTS { self.keep(None).await } else { ON }
    }

    /// A delivery has failed, with all its attempts.
    async fn failed(&mut self, why: String) -> Goes {
        self.state.failures += 1;
        self.state.last_at_us = Some(self.store.clock().now_us());
        self.state.last_status = Some(FAILED.to_owned());
        self.state.last_error = Some(why);
        self.keep(None).await
    }

    /// The event as it may be told now.
    async fn again(&self, event: &Event) -> Result<Option<Event>, ServiceError> {
        let (row, wanted, caches) = (Arc::clone(&self.row), Arc::clone(&self.wanted), Arc::clone(&self.caches));
        let event = event.clone();
        let read = move |tx: &ReadTx<'_>| {
            let caller = speaker(&row);
            let reader = Reader { caller: &caller, caches: &caches, wanted: &wanted, tenant: Some(&row.tenant) };
            reader.again(tx, &event)
        };
        self.store.read(read).await
    }

    /// What an error of a read means: nothing for ever, but for a key that is not valid any more.
    async fn trouble(&mut self, error: ServiceError) -> ControlFlow<(), bool> {
        use ControlFlow::{Break, Continue};
        match error {
            ServiceError::Unauthenticated => {
                let _ = self.keep(Some(NO_KEY.to_owned())).await;
                Break(())
            }
            ServiceError::RevisionTooOld { .. } | ServiceError::RevisionInFuture { .. } => {
                let told = self.state.told;
                let place = self.store.read(move |tx: &ReadTx<'_>| {
                    let head = Position { rev: crate::store::Sql::rev(tx), part: 0 };
                    Ok::<_, ServiceError>(oldest(tx)?.max(told.min(head)))
                });
                let Ok(place) = place.await else { return self.pause().await };
                self.state.missed += place.rev.saturating_sub(told.rev);
                self.state.told = place;
                self.unkept += 1;
                Continue(true)
            }
            ServiceError::Store(StoreError::Closed) => Break(()),
            error => {
                tracing::warn!(subscription = %self.row.subscription_id, %error, "events could not be read");
                self.pause().await
            }
        }
    }

    async fn pause(&mut self) -> ControlFlow<(), bool> {
        let goes = self.waits.pause(&self.store, STORE_PAUSE).await;
        if goes { ControlFlow::Continue(true) } else { ControlFlow::Break(()) }
    }

    /// Keeps how far it was told; `halt`: why it is not told any more.
    async fn keep(&mut self, halt: Option<String>) -> Goes {
        if let Some(why) = &halt {
            self.state.last_error = Some(why.clone());
        }
        let op = KeepDelivery {
            id: self.row.subscription_id.clone(),
            updated_at_us: self.row.updated_at_us,
            delivery: self.state.clone(),
            halt: halt.is_some(),
        };
        match self.store.submit(Origin::system(KeepDelivery::NAME), op).await {
            Ok((true, _)) => {
                (self.kept, self.unkept) = (self.state.told, 0);
                ON
            }
            Ok((false, _)) => {
                self.unkept = 0;
                if self.state.failures >= FAILURES_MAX || halt.is_some() {
                    tracing::warn!(
                        subscription = %self.row.subscription_id,
                        failures = self.state.failures,
                        "a subscription was disabled"
                    );
                    metric::WEBHOOKS_DISABLED.count(&[]);
                }
                self.hooks.touch();
                OVER
            }
            // It stays here and is kept with the next one.
            Err(StoreError::Closed) => OVER,
            Err(error) => {
                tracing::warn!(%error, "how far a subscription was told could not be kept");
                ON
            }
        }
    }
}
