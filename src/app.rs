//! The composition root: settings in, a running system out, and the order in which it ends.
//!
//! Owns which projections a store has, what a first start makes, and the shutdown: doors, then deliveries, then store.
//! Must never hold a rule. Invariant: when [`App::close`] has returned, everything that was accepted is on disk.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::auth::{ApiKey, AuthIndex, KeyHasher, Passes, SecretError};
use crate::config::{self, Config, ConfigError};
use crate::http::{AppState, Limits, Running, ServeError, Server};
use crate::model::Rev;
use crate::outbound::{Guard, Outbound, Trust, TrustError};
use crate::rebac::{Caches, ENGINE_VERSION, Env, Graph, ObjectRef};
use crate::rpc::context::Services;
use crate::sandbox::{Cgroups, Sandboxes};
use crate::service::files::ops::free_detached;
use crate::service::mounts::sync_ops::free as free_mount_files;
use crate::service::mounts::{Mounts, jobs};
use crate::service::subscriptions::deliver::Hooks;
use crate::service::{Base, ServiceError, keys, sandboxes};
use crate::store::{
    Durability, FaultPoint, Faults, Options, Place, Quota, ReadTx, Sql as _, Store, StoreError, decisions, meta,
};
use crate::telemetry::metric;

/// The file that the first key is written to, in the data directory.
pub const ADMIN_KEY_FILE: &str = "admin.key";
/// What is hashed with the server's secret, to know it again.
const SECRET_CHECK_TEXT: &str = "the secret of this store";
/// Rows of the permission cache that are looked at for who asked lately.
const WARM_ROWS: u64 = 10_000;
/// How long deliveries may take to keep how far they are.
const DELIVERIES_END: Duration = Duration::from_secs(5);
/// Connections for inline reads beside one per worker.
const SPARE_READERS: usize = 2;

/// Why the system did not come up. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A setting.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The secret that keys are hashed with.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The first key.
    #[error("making the first key failed: {0}")]
    FirstKey(#[source] ServiceError),
    /// A key from the settings that cannot be one.
    #[error("api_key is no key: it must begin with sk- and have 32 to 512 characters")]
    BadKey,
    /// The URL of the database.
    #[error("database_url: {0}")]
    BadUrl(String),
    /// A network that webhooks may be sent to.
    #[error("webhook_allow: {0}")]
    BadNetwork(String),
    /// A file of certificates.
    #[error("webhook_roots: {0}")]
    BadRoots(#[source] TrustError),
    /// The file of the first key.
    #[error("writing {} failed: {source}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The server.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

impl AppError {
    /// The exit status by sysexits.h.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        const USAGE_DATA: u8 = 65;
        const UNAVAILABLE: u8 = 69;
        const IO: u8 = 74;
        const TRY_LATER: u8 = 75;
        const CONFIG: u8 = 78;
        match self {
            Self::Config(error) => error.exit_status(),
            Self::Store(StoreError::Locked { .. } | StoreError::Occupied { .. }) => TRY_LATER,
            Self::Store(StoreError::Unreachable { .. }) => UNAVAILABLE,
            Self::Store(StoreError::Unsuitable { place: Place::Network, .. }) => CONFIG,
            Self::Store(StoreError::Unusable { .. } | StoreError::Corrupt { .. }) => USAGE_DATA,
            Self::Store(_) | Self::FirstKey(_) | Self::KeyFile { .. } => IO,
            Self::Secret(_) | Self::BadKey | Self::BadUrl(_) | Self::BadNetwork(_) | Self::BadRoots(_) => CONFIG,
            Self::Serve(_) => UNAVAILABLE,
        }
    }
}

/// An open system. The command line, tests and programs that embed it use the same one.
pub struct App {
    /// The store.
    pub store: Store,
    /// The shared closures of the permission engine.
    pub caches: Arc<Caches>,
    /// The services.
    pub services: Arc<Services>,
    /// The key that this start made, if it was the first; shown once.
    pub first_key: Option<ApiKey>,
    config: Config,
    runtime: tokio::runtime::Handle,
    deliveries: parking_lot::Mutex<Option<tokio::task::JoinHandle<()>>>,
    /// What a start leaves to be done beside the requests.
    beginnings: parking_lot::Mutex<Vec<tokio::task::JoinHandle<()>>>,
    expiry: Aborted,
}

/// A task that ends with what it belongs to.
struct Aborted(tokio::task::JoinHandle<()>);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("data_dir", &self.config.data_dir).finish_non_exhaustive()
    }
}

impl App {
    /// Opens the store of `config`, and makes what a first start needs: the secret, the first key and its file.
    pub async fn open(config: Config) -> Result<Self, AppError> {
        let mut options = engine_options(&config)?;
        options.durability = match config.durability {
            config::Durability::Full => Durability::Full,
            config::Durability::Relaxed => Durability::Relaxed,
        };
        options.allow_network_fs = config.allow_network_fs;
        options.limits.wal_bytes = config.wal_limit.0 as u64;
        options.limits.checkpoint_bytes = options.limits.checkpoint_bytes.min(options.limits.wal_bytes / 4);
        options.limits.quota =
            Quota { bytes_max: config.quota_bytes.map(|bytes| bytes.0 as u64), files_max: config.quota_files };
        options.limits.keep_versions = config.keep_versions;
        options.limits.keep_days = config.keep_days;
        options.limits.ballast_bytes = config.ballast_bytes();
        options.limits.free_floor_bytes = config.free_floor.0 as u64;
        options.reader_slots = Limits::default().workers + SPARE_READERS;
        options.faults = Faults::planned(&config.faults)?;
        Self::open_with(config, options).await
    }

    /// As [`open`](Self::open), with other options for the store: an injected clock, other limits.
    pub async fn open_with(config: Config, options: Options) -> Result<Self, AppError> {
        // Handles of metrics are taken when the store opens.
        metric::recorder();
        let guard = Guard::parse(&config.webhook_allow.0).map_err(|error| AppError::BadNetwork(error.to_string()))?;
        let trust = config.webhook_roots.as_deref().map(Trust::with_file).transpose().map_err(AppError::BadRoots)?;
        let given = match &config.api_key {
            Some(key) => Some(ApiKey::given(key.expose()).ok_or(AppError::BadKey)?),
            None => None,
        };
        let random = Arc::clone(&options.random);
        let store = Store::builder(options).project::<Graph>().project::<AuthIndex>().open()?;
        let secret = config.server_secret.as_ref().map(|secret| secret.expose());
        let hasher = match (secret, store.has_disk()) {
            (None, false) => return Err(AppError::Secret(SecretError::Missing)),
            (secret, _) => KeyHasher::open(store.data_dir(), secret, &*random)?,
        };
        if !store.has_disk() {
            check_secret(&store, &hasher).await?;
        }
        let published = store.published();
        let has_keys = !published.view::<AuthIndex>().is_empty();
        if hasher.is_new() && has_keys {
            tracing::warn!("the server secret was lost: keys made with it are not known any more");
        }
        if has_keys && given.as_ref().is_some_and(|key| !is_known(published.view(), key, &hasher, &store)) {
            tracing::warn!("api_key is used at the first start only, and this data directory has other keys");
        }
        let first_key = keys::ops::first_key(&store, &hasher, given.clone());
        if let Some(new) = &first_key {
            if given.is_none() && store.has_disk() {
                write_key(store.data_dir(), new.key.expose())?;
            }
            store.reach(FaultPoint::StartKeyWritten);
            keys::ops::bootstrap(&store, new).await.map_err(AppError::FirstKey)?;
            store.reach(FaultPoint::StartKeyStored);
        }
        let sandboxes = Sandboxes::new(sandbox_dir(&config), config.sandbox, cgroups(&config));
        if let Err(error) = sandboxes::ops::sweep(&store, &sandboxes).await {
            tracing::warn!(%error, "directories of sandboxes without a record were not removed");
        }
        if let Err(error) = jobs::end_left_over(&store).await {
            tracing::warn!(%error, "records of syncs that the last server has left open were not ended");
        }
        let mounts = Arc::new(Mounts::new(&config.mount_dirs.0));
        let hasher = Arc::new(hasher);
        let outbound = Arc::new(Outbound::new(guard).trusting(trust.unwrap_or_default()));
        let hooks = Arc::new(Hooks::new(outbound, Arc::clone(&hasher), config.open_access));
        let services = Services {
            sandboxes: Arc::new(sandboxes),
            passes: Passes::default(),
            hasher,
            mounts,
            hooks,
            pins: Arc::default(),
            replies: Arc::default(),
        };
        let expiry = tokio::spawn(sandboxes::expiry::watch(store.clone(), (*services.sandboxes).clone()));
        let caches = Arc::new(Caches::new());
        let beginnings = vec![
            tokio::spawn(warm(store.clone(), Arc::clone(&caches))),
            // What a removal before the last end left to be freed.
            tokio::spawn(free_detached(store.clone())),
            tokio::spawn(free_mount_files(store.clone())),
        ];
        Ok(Self {
            store,
            caches,
            services: Arc::new(services),
            first_key: first_key.map(|new| new.key),
            config,
            runtime: tokio::runtime::Handle::current(),
            deliveries: parking_lot::Mutex::default(),
            beginnings: parking_lot::Mutex::new(beginnings),
            expiry: Aborted(expiry),
        })
    }

    /// The settings it was opened with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What calls stand on: one for each thread that makes many.
    #[must_use]
    pub fn base(&self) -> Arc<Base> {
        Arc::new(Base { store: self.store.clone(), caches: Arc::clone(&self.caches) })
    }

    /// What a server serves, by the settings.
    #[must_use]
    pub fn state(&self) -> AppState {
        let status = self.store.status();
        AppState {
            base: self.base(),
            services: Arc::clone(&self.services),
            limits: Limits {
                body_bytes: self.config.body_limit.0,
                file_bytes: self.config.upload_limit.0 as u64,
                wrong_keys_per_minute: self.config.wrong_keys_per_minute,
                requests_per_second: self.config.requests_per_second,
                ..Limits::default()
            },
            open_access: self.config.open_access,
            demo: false,
            allowed_hosts: self.config.allowed_hosts.0.clone(),
            cors_origins: self.config.cors_origins.0.clone(),
            engine: status.engine,
            durability: status.durability,
        }
    }

    /// How long a stopping server waits for requests that are under way.
    #[must_use]
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.config.shutdown_grace.0.into())
    }

    /// Starts the HTTP server at the address of the settings, and tells subscriptions of events.
    pub fn serve(&self) -> Result<Running, AppError> {
        self.config.check_serving()?;
        let bind = SocketAddr::new(self.config.host, self.config.port);
        let running = Server::start(self.state(), bind, self.grace())?;
        self.deliver();
        Ok(running)
    }

    /// Tells subscriptions of events from now on, where they were left; once.
    pub fn deliver(&self) {
        let mut deliveries = self.deliveries.lock();
        if deliveries.is_none() {
            let run = Arc::clone(&self.services.hooks).run(self.store.clone(), Arc::clone(&self.caches));
            *deliveries = Some(self.runtime.spawn(run));
        }
    }

    /// Waits until what a start leaves to be done is done: from then on nothing reads or writes but who asks.
    pub async fn settled(&self) {
        let beginnings = std::mem::take(&mut *self.beginnings.lock());
        for task in beginnings {
            // One that panicked has said so.
            let _ = task.await;
        }
    }

    /// Ends everything in order: the server answers what is under way, deliveries end and keep how far they are, then the
    /// store drains and closes. Returns the last revision.
    pub async fn close(self, running: Option<Running>) -> Result<Rev, StoreError> {
        if let Some(running) = running {
            running.stop().await;
        }
        self.expiry.0.abort();
        self.services.sandboxes.runs().close().await;
        self.services.hooks.stop();
        let deliveries = self.deliveries.lock().take();
        if let Some(deliveries) = deliveries {
            // What does not end by itself is cut off: it will be told again.
            let _ = tokio::time::timeout(DELIVERIES_END, deliveries).await;
        }
        self.store.reach(FaultPoint::ShutdownDrained);
        self.store.close().await?;
        Ok(self.store.published().rev)
    }
}

/// Where the data is: in the data directory, or on the database server that the settings name.
pub fn engine_options(config: &Config) -> Result<Options, AppError> {
    let Some(url) = &config.database_url else { return Ok(Options::new(&config.data_dir)) };
    #[cfg(feature = "postgres")]
    {
        let url = crate::store::PostgresUrl::parse(url.expose()).map_err(|e| AppError::BadUrl(e.to_string()))?;
        Ok(Options::postgres(url))
    }
    #[cfg(not(feature = "postgres"))]
    {
        let _ = url;
        Err(ConfigError::NotBuilt.into())
    }
}

/// Where sandboxes have their directories, by the settings.
#[must_use]
pub fn sandbox_dir(config: &Config) -> PathBuf {
    config.sandbox_dir.clone().unwrap_or_else(|| config.data_dir.join("sandboxes"))
}

/// Where runs in sandboxes have their cgroups, by the settings.
fn cgroups(config: &Config) -> Cgroups {
    config.sandbox_cgroup.clone().map_or(Cgroups::Delegated, Cgroups::Named)
}

/// Compares the secret of the settings with what the store was made with: with another one no key would be known, and
/// the first request after a move would find that out.
async fn check_secret(store: &Store, hasher: &KeyHasher) -> Result<(), AppError> {
    let stored = store.read(|tx| meta::get(tx, meta::SECRET_CHECK)).await?;
    let given = hasher.hash(SECRET_CHECK_TEXT);
    match stored {
        Some(stored) if stored == given => Ok(()),
        Some(_) => Err(AppError::Secret(SecretError::Other)),
        None => Ok(keys::ops::keep_secret_check(store, given).await.map_err(AppError::FirstKey)?),
    }
}

/// Fills the closures of those who asked lately, on the slow lane, while the server already serves.
async fn warm(store: Store, caches: Arc<Caches>) {
    let fill = move |tx: &ReadTx<'_>| -> Result<usize, StoreError> {
        let subjects = decisions::warm_subjects(tx, ENGINE_VERSION, WARM_ROWS)?;
        let env = Env { now_us: tx.now_us(), context: None };
        for (tenant, kind, id) in &subjects {
            tx.view::<Graph>().warm(&caches, ObjectRef { tenant, kind, id }, &env);
        }
        Ok(subjects.len())
    };
    match store.read_slow(fill).await {
        Ok(subjects) => metric::CACHE_ROWS_WARMED.set(subjects as u64),
        // The first requests of these subjects take microseconds longer; nothing else depends on it.
        Err(error) => tracing::warn!(%error, "the permission cache was not warmed"),
    }
}

fn is_known(index: &AuthIndex, key: &ApiKey, hasher: &KeyHasher, store: &Store) -> bool {
    index.identify(key.expose(), None, store.clock().now_us(), hasher).is_ok()
}

/// Writes the first key where its owner finds it, readable by nobody else. Durable when it returns.
fn write_key(dir: &Path, key: &str) -> Result<(), AppError> {
    let path = &dir.join(ADMIN_KEY_FILE);
    let failed = |source| AppError::KeyFile { path: path.clone(), source };
    // The store has no key, so an old file is of another life of this directory, or of a start that was cut short.
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    let open = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = open.map_err(failed)?;
    let written = writeln!(file, "{key}").and_then(|()| file.sync_all());
    written.and_then(|()| std::fs::File::open(dir)?.sync_all()).map_err(failed)
}
