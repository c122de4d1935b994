//! What every handler of one server shares, and what each thread has of its own.

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::rates::Rates;
use crate::rpc::context::Services;
use crate::service::Base;

/// The bounds of one server. The defaults are those of production; tests shrink them.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest request body, bytes.
    pub body_bytes: usize,
    /// Bodies of all requests that are being read or worked on, bytes.
    pub bodies_bytes: usize,
    /// Bodies that are waited for at the same time: those that did not come along with their head.
    pub bodies_waited_for: usize,
    /// How long a body may take to arrive.
    pub body_deadline: Duration,
    /// Largest file that is sent to `/files`, bytes.
    pub file_bytes: u64,
    /// Files over 64 KiB that are sent to `/files` at the same time; others wait.
    pub uploads: usize,
    /// Wrong keys a minute that one address may send before it is told to wait; 0 = any number.
    pub wrong_keys_per_minute: u32,
    /// Requests a second that one key may make before it is told to wait; 0 = any number.
    pub requests_per_second: u32,
    /// How long the head of a request may take to arrive.
    pub head_deadline: Duration,
    /// How long a request may take, from its whole body to its answer.
    pub request_deadline: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// Connections at the same time; fewer where the process may not open as many files.
    pub connections: usize,
    /// Threads that serve connections.
    pub workers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 16 << 20,
            bodies_bytes: 256 << 20,
            bodies_waited_for: 256,
            body_deadline: Duration::from_secs(30),
            file_bytes: 4 << 30,
            uploads: 32,
            wrong_keys_per_minute: 60,
            requests_per_second: 0,
            head_deadline: Duration::from_secs(5),
            request_deadline: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            connections: 50_000,
            workers: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
        }
    }
}

/// What a server serves. Composed in `app`.
#[derive(Clone)]
pub struct AppState {
    /// The store, and what is remembered of it.
    pub base: Arc<Base>,
    /// The services.
    pub services: Arc<Services>,
    /// The bounds.
    pub limits: Limits,
    /// Whether everyone is served without a key.
    pub open_access: bool,
    /// Whether the key that everybody knows opens it: demos only, on loopback only.
    pub demo: bool,
    /// Host names beside the loopback ones, with or without port.
    pub allowed_hosts: Vec<String>,
    /// Web origins whose pages may call.
    pub cors_origins: Vec<String>,
    /// The engine, for `status`.
    pub engine: &'static str,
    /// What an acknowledged write survives, for `status`.
    pub durability: &'static str,
}

impl std::fmt::Debug for AppState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppState").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl AppState {
    /// The same, for a thread that makes calls.
    fn for_thread(&self) -> Self {
        let (base, services) = (Arc::new(Base::clone(&self.base)), Arc::new(Services::clone(&self.services)));
        Self { base, services, ..self.clone() }
    }
}

/// The state of a running server, as one of its threads has it.
pub(super) struct Shared {
    pub(super) app: AppState,
    common: Arc<Common>,
}

impl Deref for Shared {
    type Target = Common;
    fn deref(&self) -> &Common {
        &self.common
    }
}

/// What all threads of a server have in common.
pub(super) struct Common {
    /// Whether it serves programs in sandboxes, and nobody else: it takes passes alone.
    pub(super) inside: bool,
    /// Where it listens; set before the first request.
    pub(super) address: OnceLock<SocketAddr>,
    /// Whether it is about to stop.
    pub(super) closing: AtomicBool,
    /// The same, for who waits for it.
    pub(super) doors: tokio::sync::watch::Sender<bool>,
    /// Streams of events that are open.
    pub(super) streams: Arc<super::events::Open>,
    /// Bytes of all bodies in memory.
    pub(super) bodies: AtomicUsize,
    /// Bodies that are waited for.
    pub(super) bodies_waited_for: AtomicUsize,
    /// Places for files that are written.
    pub(super) uploads: tokio::sync::Semaphore,
    /// How often somebody may ask.
    pub(super) rates: Rates,
    /// What is remembered of the skills for everybody.
    pub(super) public_skills: crate::service::skills::public::PublicSkills,
    /// When it was started, µs since the Unix epoch.
    pub(super) started_us: i64,
}

impl Shared {
    /// The state of a server that has not begun. `uploads`: places for files that are written.
    pub(super) fn new(app: AppState, inside: bool, uploads: usize) -> Self {
        let clock = app.base.store.clock();
        let common = Common {
            inside,
            address: OnceLock::new(),
            closing: AtomicBool::new(false),
            doors: tokio::sync::watch::Sender::new(false),
            streams: Arc::default(),
            bodies: AtomicUsize::new(0),
            bodies_waited_for: AtomicUsize::new(0),
            uploads: tokio::sync::Semaphore::new(uploads),
            rates: Rates::new(&app.limits, clock),
            public_skills: Default::default(),
            started_us: clock.now_us(),
        };
        Self { app, common: Arc::new(common) }
    }

    /// The same, for a further thread.
    pub(super) fn for_thread(&self) -> Self {
        Self { app: self.app.for_thread(), common: Arc::clone(&self.common) }
    }

    /// Begins to stop: `/ready` and everything else answer 503 from now on, requests under way go on.
    pub(super) fn close_doors(&self) {
        self.closing.store(true, Ordering::Release);
        self.doors.send_replace(true);
    }

    pub(super) fn of(request: &actix_web::HttpRequest) -> &Self {
        let data = request.app_data::<actix_web::web::Data<Self>>();
        data.expect("the server adds its state to every app")
    }

    /// The address it listens on.
    pub(super) fn ip(&self) -> IpAddr {
        self.address.get().expect("set before the server runs").ip()
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}
