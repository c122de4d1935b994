//! A real store in a directory of its own, with people in it, called through the same door as over the network.
//!
//! What it opens is what the server opens; what differs is injected: the clock, chance, the limits, the fault points.
//! Invariant: everybody in [`Who`] is known by a real key or a registered agent, so that who may do what is decided
//! by the code under test and never by the harness.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nexus_lite::app::{App, AppError};
use nexus_lite::auth::{ApiKey, AuthError, AuthIndex, SERVER_SCHEME};
use nexus_lite::model::random::{SeededRandom, SharedRandom};
use nexus_lite::model::time::SharedClock;
use nexus_lite::model::{AgentRow, KeyRow, ManualClock, OsRandom, Rev, SystemClock};
use nexus_lite::rebac::Caches;
use nexus_lite::rpc::context::Services;
use nexus_lite::rpc::registry::Params;
use nexus_lite::rpc::{RequestContext, RpcError, dispatch};
use nexus_lite::service::Call;
use nexus_lite::store::{
    FaultPoint, Faults, Options, Origin, Sql, Store, StoreError, WriteOp, WriteTx, agents, entities, keys,
};
use parking_lot::{Condvar, Mutex};
use serde_json::{Value, json};

use super::client::{Failure, LIVENESS};
use super::engine;

/// When the injected clock starts: 2026-01-02T03:04:05Z, µs.
pub(crate) const START_US: i64 = 1_767_323_045_000_000;
/// The directory that the instance admin may mount, beside the data directory.
pub(crate) const HOST_DIR: &str = "host";
/// The tenant of most.
pub(crate) const HOME: &str = "default";
/// The other tenant.
pub(crate) const ELSEWHERE: &str = "acme";

/// The people of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// `root`, the only one that crosses tenants.
    Instance,
    /// `admin`, who rules the tenant `default`.
    Admin,
    /// `alice`, a user of `default`.
    Alice,
    /// `bob`, another.
    Bob,
    /// `edith`, a third.
    Edith,
    /// `grace`, who is in groups.
    Grace,
    /// `alice,Helper`: an agent of alice with no right but its own.
    Agent,
    /// `alice,Heir`: an agent of alice that may do what she may.
    Heir,
    /// `mallory`, a user of `default` to whom nobody gives anything.
    Stranger,
    /// `admin` of the tenant `acme`.
    OtherAdmin,
    /// `alice` of the tenant `acme`: the same name, another person.
    OtherUser,
    /// Nobody: no key.
    Anonymous,
}

impl Who {
    /// Everybody with a key.
    pub(crate) const KNOWN: [Self; 11] = [
        Self::Instance,
        Self::Admin,
        Self::Alice,
        Self::Bob,
        Self::Edith,
        Self::Grace,
        Self::Agent,
        Self::Heir,
        Self::Stranger,
        Self::OtherAdmin,
        Self::OtherUser,
    ];

    /// Tenant and user.
    pub(crate) fn user(self) -> (&'static str, &'static str) {
        match self {
            Self::Instance => (HOME, "root"),
            Self::Admin => (HOME, "admin"),
            Self::Alice | Self::Agent | Self::Heir => (HOME, "alice"),
            Self::Bob => (HOME, "bob"),
            Self::Edith => (HOME, "edith"),
            Self::Grace => (HOME, "grace"),
            Self::Stranger => (HOME, "mallory"),
            Self::OtherAdmin => (ELSEWHERE, "admin"),
            Self::OtherUser => (ELSEWHERE, "alice"),
            Self::Anonymous => (HOME, "nobody"),
        }
    }

    /// The agent that acts.
    pub(crate) fn agent(self) -> Option<&'static str> {
        match self {
            Self::Agent => Some("alice,Helper"),
            Self::Heir => Some("alice,Heir"),
            _ => None,
        }
    }
}

/// How a world differs from production.
pub(crate) struct Setup {
    /// `false`: the machine's clock and generator.
    pub(crate) injected: bool,
    /// The seed of chance; a failing random test prints it.
    pub(crate) seed: u64,
    /// A last word on the options.
    pub(crate) tune: Box<dyn FnOnce(&mut Options)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { injected: true, seed: 1, tune: Box::new(|_| {}) }
    }
}

/// A store with people in it.
pub(crate) struct World {
    /// The open system, as the server has it.
    pub(crate) app: App,
    pub(crate) store: Store,
    pub(crate) caches: Arc<Caches>,
    pub(crate) services: Arc<Services>,
    /// The injected clock; `None` with the machine's.
    pub(crate) clock: Option<Arc<ManualClock>>,
    gates: Arc<Gates>,
    keys: HashMap<Who, String>,
    path: PathBuf,
    /// Removed last.
    dir: Option<tempfile::TempDir>,
}

impl World {
    /// A world with an injected clock and repeatable chance.
    pub(crate) async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    /// A world that differs as `setup` says.
    pub(crate) async fn with(setup: Setup) -> Self {
        Self::within(
            tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on the disk of the project"),
            setup,
        )
        .await
    }

    /// A world in `dir`, where another place than the project's disk is wanted.
    pub(crate) async fn within(dir: tempfile::TempDir, setup: Setup) -> Self {
        let path = dir.path().join("data");
        let mut world = Self::open(&path, setup).await;
        world.dir = Some(dir);
        world.people().await;
        world
    }

    /// Opens the directory of a world that was closed; its people are still in it, their keys in `keys`.
    pub(crate) async fn again(path: &Path, setup: Setup, keys: HashMap<Who, String>) -> Self {
        Self::try_again(path, setup, keys).await.expect("the system opens")
    }

    /// As [`again`](Self::again), where it may be refused.
    pub(crate) async fn try_again(path: &Path, setup: Setup, keys: HashMap<Who, String>) -> Result<Self, AppError> {
        Ok(Self { keys, ..Self::try_open(path, setup).await? })
    }

    async fn open(path: &Path, setup: Setup) -> Self {
        Self::try_open(path, setup).await.expect("the system opens")
    }

    async fn try_open(path: &Path, setup: Setup) -> Result<Self, AppError> {
        let gates = Arc::new(Gates::default());
        let manual = setup.injected.then(|| Arc::new(ManualClock::new(START_US)));
        let mut options = engine::options(path);
        options.faults = Faults::armed({
            let gates = Arc::clone(&gates);
            move |point| gates.arrive(point)
        });
        if let Some(manual) = &manual {
            options.clock = Arc::<ManualClock>::clone(manual) as SharedClock;
            options.random = Arc::new(SeededRandom::new(setup.seed)) as SharedRandom;
        } else {
            options.clock = Arc::new(SystemClock);
            options.random = Arc::new(OsRandom);
        }
        (setup.tune)(&mut options);
        let app = App::open_with(engine::config(path), options).await?;
        // Else it may be the start that comes to a fault point, or takes a place in a queue.
        app.settled().await;
        Ok(Self {
            store: app.store.clone(),
            caches: Arc::clone(&app.caches),
            services: Arc::clone(&app.services),
            app,
            clock: manual,
            gates,
            keys: HashMap::new(),
            path: path.to_owned(),
            dir: None,
        })
    }

    /// Gives everybody a key, and alice her agents.
    async fn people(&mut self) {
        let now_us = self.store.clock().now_us();
        let random = Arc::clone(self.store.random());
        let mut rows = Vec::new();
        for who in Who::KNOWN.into_iter().filter(|who| who.agent().is_none()) {
            let (tenant, user) = who.user();
            let key = ApiKey::generate(&*random, tenant, "user", user).expose().to_owned();
            rows.push(KeyRow {
                key_id: random.uuid(),
                hash: self.services.hasher.hash(&key),
                hash_scheme: SERVER_SCHEME.to_owned(),
                user_id: user.to_owned(),
                subject_type: "user".to_owned(),
                subject_id: user.to_owned(),
                tenant: tenant.to_owned(),
                is_admin: matches!(who, Who::Instance | Who::Admin | Who::OtherAdmin),
                is_instance_admin: who == Who::Instance,
                inherit_permissions: false,
                name: format!("key of {user}"),
                created_at_us: now_us,
                expires_at_us: None,
                revoked_at_us: None,
            });
            self.keys.insert(who, key);
        }
        let agent = |who: Who, inherit_permissions| AgentRow {
            tenant: HOME.to_owned(),
            agent_id: who.agent().expect("an agent").to_owned(),
            user_id: "alice".to_owned(),
            name: who.agent().expect("an agent").trim_start_matches("alice,").to_owned(),
            description: None,
            inherit_permissions,
            metadata: "{}".to_owned(),
            created_at_us: now_us,
        };
        let agents = vec![agent(Who::Agent, false), agent(Who::Heir, true)];
        for who in [Who::Agent, Who::Heir] {
            self.keys.insert(who, self.keys[&Who::Alice].clone());
        }
        self.store.submit(Origin::system("people"), People { keys: rows, agents }).await.expect("people");
    }

    /// The key of `who`; an agent shows its owner's and names itself.
    pub(crate) fn key(&self, who: Who) -> Option<&str> {
        self.keys.get(&who).map(String::as_str)
    }

    /// All keys, to open the directory again.
    pub(crate) fn keys(&self) -> HashMap<Who, String> {
        self.keys.clone()
    }

    /// The directory of the machine that may be mounted, made if it is missing.
    pub(crate) fn host(&self) -> PathBuf {
        let host = self.path.parent().expect("a directory of the test").join(HOST_DIR);
        std::fs::create_dir_all(&host).expect("a directory");
        host
    }

    /// The data directory; on PostgreSQL what stands for the database.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A call as `who`, identified as the door does it.
    pub(crate) fn try_call_as(&self, who: Who) -> Result<Call, AuthError> {
        let key = self.key(who).unwrap_or_default();
        let now_us = self.store.clock().now_us();
        let published = self.store.published();
        let index = published.view::<AuthIndex>();
        let caller = index.identify(key, who.agent(), now_us, &self.services.hasher)?;
        Ok(Call::new(caller, "request".into(), None, self.app.base()))
    }

    /// A call as `who`.
    pub(crate) fn call_as(&self, who: Who) -> Call {
        self.try_call_as(who).unwrap_or_else(|e| panic!("{who:?}: {e}"))
    }

    /// Calls a method as `who`, through the dispatcher.
    pub(crate) async fn rpc(&self, who: Who, method: &str, params: Value) -> Result<Value, Failure> {
        self.rpc_at(who, method, params).await.0
    }

    /// As [`rpc`](Self::rpc), with the revision that the reply's header would name.
    pub(crate) async fn rpc_at(&self, who: Who, method: &str, params: Value) -> (Result<Value, Failure>, Rev) {
        let (result, rev, _) = self.rpc_once(who, None, method, params).await;
        (result, rev)
    }

    /// As [`rpc_at`](Self::rpc_at), with an Idempotency-Key, and whether the reply is that of an earlier request.
    pub(crate) async fn rpc_once(
        &self,
        who: Who,
        key: Option<&str>,
        method: &str,
        params: Value,
    ) -> (Result<Value, Failure>, Rev, bool) {
        let call = match self.try_call_as(who) {
            Ok(call) => call,
            Err(e) => return refused_identity(&e),
        };
        self.run(call, key, method, params).await
    }

    /// Calls a method with the text of a key.
    pub(crate) async fn rpc_with_key(
        &self,
        key: &str,
        method: &str,
        params: Value,
    ) -> (Result<Value, Failure>, Rev, bool) {
        let now_us = self.store.clock().now_us();
        let published = self.store.published();
        match published.view::<AuthIndex>().identify(key, None, now_us, &self.services.hasher) {
            Ok(caller) => {
                let call = Call::new(caller, "request".into(), None, self.app.base());
                self.run(call, None, method, params).await
            }
            Err(e) => refused_identity(&e),
        }
    }

    async fn run(
        &self,
        call: Call,
        key: Option<&str>,
        method: &str,
        params: Value,
    ) -> (Result<Value, Failure>, Rev, bool) {
        let mut cx = RequestContext::new(call, Arc::clone(&self.services));
        cx.idempotency_key = key.map(str::to_owned);
        let params = match params {
            Value::Object(map) => Params::Value(map),
            Value::Null => Params::none(),
            other => panic!("{method}: parameters are an object, not {other}"),
        };
        let mut out = Vec::new();
        let result = dispatch::dispatch(&cx, method, params, &mut out).await;
        let rev = cx.call.revision();
        let result = result
            .map_err(|error| failure(&error))
            .map(|_| serde_json::from_slice(&out).unwrap_or_else(|e| panic!("{method} wrote no JSON: {e}")));
        (result, rev, cx.is_replayed())
    }

    /// The revision of the head.
    pub(crate) async fn head(&self) -> Rev {
        self.store.read(|tx| Ok::<_, StoreError>(tx.rev())).await.expect("a read")
    }

    /// Moves the injected clock and lets the writer look at it.
    pub(crate) async fn pass(&self, time: Duration) {
        self.clock.as_ref().expect("an injected clock").advance(time);
        self.store.tick().await.expect("a tick");
    }

    /// Holds the writer before the COMMIT of a batch of the world's own. What is submitted until
    /// [`Held::release`] lies in its mailbox and lands in **one** batch, in the order of submission.
    pub(crate) fn hold_writer(&self) -> Held {
        let held = self.pause_at(FaultPoint::BeforeCommit);
        let label = self.store.random().uuid();
        // Submitted now; answered after the release, which nobody needs to wait for.
        drop(self.store.submit(Origin::system("plug"), Plug { label }));
        held.reached();
        held
    }

    /// Stops who comes to `point` next: the writer, or the first reader.
    pub(crate) fn pause_at(&self, point: FaultPoint) -> Held {
        self.pause_at_later(point, 0)
    }

    /// Stops who comes to `point` after it has been passed `passes` times.
    pub(crate) fn pause_at_later(&self, point: FaultPoint, passes: u32) -> Held {
        self.gates.close(point, passes);
        Held { gates: Arc::clone(&self.gates), point }
    }

    /// Hands `op` to the writer as the caller of `call`, now.
    pub(crate) fn submit<O: WriteOp>(
        &self,
        call: &Call,
        op: O,
    ) -> impl Future<Output = Result<(O::Output, Rev), O::Error>> + Send + use<O> {
        let origin = Origin {
            actor: call.caller.actor().to_owned(),
            tenant: call.caller.tenant.clone(),
            request_id: call.request_id.as_ref().to_owned(),
            deadline: None,
        };
        self.store.submit(origin, op)
    }

    /// Removes the directory with this world.
    pub(crate) fn keep(&mut self, dir: Option<tempfile::TempDir>) {
        self.dir = dir;
    }

    /// Takes the directory away from this world: it is not removed with it.
    pub(crate) fn take_dir(&mut self) -> Option<tempfile::TempDir> {
        self.dir.take()
    }

    /// Closes the store and gives back its directory.
    pub(crate) async fn close(mut self) -> Option<tempfile::TempDir> {
        self.store.close().await.expect("a clean end");
        self.dir.take()
    }
}

/// Nobody is calling.
fn refused_identity(error: &AuthError) -> (Result<Value, Failure>, Rev, bool) {
    let data = json!({"code": "unauthenticated"});
    (Err(Failure { code: -32019, message: error.to_string(), data }), 0, false)
}

/// An error of the dispatcher as a client sees it.
fn failure(error: &RpcError) -> Failure {
    let mut data = error.data.as_deref().cloned().unwrap_or_default();
    data.insert("code".to_owned(), json!(error.code.name()));
    if let Some(hint) = &error.hint {
        data.insert("hint".to_owned(), json!(hint));
    }
    Failure { code: i64::from(error.code.number()), message: error.message.clone(), data: Value::Object(data) }
}

/// A thread that stands still, or will.
#[must_use = "it goes on when this is dropped"]
pub(crate) struct Held {
    gates: Arc<Gates>,
    point: FaultPoint,
}

impl Held {
    /// Waits until somebody stands there.
    pub(crate) fn reached(&self) {
        self.gates.wait_for_arrival(self.point);
    }
    /// Lets it go on.
    pub(crate) fn release(self) {
        drop(self);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gates.open(self.point);
    }
}

/// Fault points at which somebody waits.
#[derive(Default)]
struct Gates {
    closed: Mutex<HashMap<FaultPoint, Gate>>,
    changed: Condvar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// Closed for whoever comes after so many.
    After(u32),
    Reached,
}

impl Gates {
    fn close(&self, point: FaultPoint, passes: u32) {
        self.closed.lock().insert(point, Gate::After(passes));
    }
    fn open(&self, point: FaultPoint) {
        self.closed.lock().remove(&point);
        self.changed.notify_all();
    }
    /// On the thread that comes there.
    fn arrive(&self, point: FaultPoint) {
        let mut closed = self.closed.lock();
        match closed.get_mut(&point) {
            Some(Gate::After(passes)) if *passes > 0 => {
                *passes -= 1;
                return;
            }
            Some(gate @ Gate::After(_)) => *gate = Gate::Reached,
            // Somebody stands there already; nobody else is held up.
            Some(Gate::Reached) | None => return,
        }
        self.changed.notify_all();
        self.changed.wait_while_for(&mut closed, |closed| closed.contains_key(&point), LIVENESS);
    }
    fn wait_for_arrival(&self, point: FaultPoint) {
        let mut closed = self.closed.lock();
        let waiting = |closed: &mut HashMap<FaultPoint, Gate>| matches!(closed.get(&point), Some(Gate::After(_)));
        let timed_out = self.changed.wait_while_for(&mut closed, waiting, LIVENESS).timed_out();
        assert!(!timed_out, "nobody ever came to {point:?}");
    }
}

/// Keys and agents, written without asking anybody.
struct People {
    keys: Vec<KeyRow>,
    agents: Vec<AgentRow>,
}

impl WriteOp for People {
    const NAME: &'static str = "test_people";
    type Output = ();
    type Error = StoreError;
    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        self.keys.iter().try_for_each(|row| keys::insert(tx, row.clone()))?;
        self.agents.iter().try_for_each(|row| agents::put(tx, row.clone()).map(|_| ()))
    }
    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

/// A change that touches nothing anybody asks about: something to hold the writer at.
struct Plug {
    label: String,
}

impl WriteOp for Plug {
    const NAME: &'static str = "test_plug";
    type Output = ();
    type Error = StoreError;
    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        entities::intern(tx, HOME, "plug", &self.label).map(|_| ())
    }
    fn bytes(&self) -> usize {
        self.label.len()
    }
}
