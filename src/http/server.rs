//! Starts and stops a server, on threads of its own, so that any runtime (or none) can use it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::dev::ServerHandle;
use actix_web::http::header;
use actix_web::middleware::{Condition, from_fn};
use actix_web::{App, HttpServer, web};
use tokio::sync::oneshot;

use super::compress::WhereAccepted;
use super::descriptors::{self, CONNECTIONS_MIN};
use super::direct::Direct;
use super::state::{AppState, Shared};
use super::{gate, inside, reply, routes};
use crate::telemetry::metric;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// How often the recorder of metrics tidies up.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// How long a browser remembers what a preflight allowed, seconds.
const PREFLIGHT_SECONDS: usize = 600;
/// Ports after a taken one that are tried for the hint.
const PORTS_TRIED: u16 = 20;
/// One of so many descriptors is for a file that is written.
const UPLOADS_SHARE: usize = 8;
/// How many more descriptors would do where there are too few.
const DESCRIPTORS_WANTED: usize = 256;
/// How long a connection may linger after its last answer.
pub(super) const DISCONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// Why there is no server. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Somebody else listens there.
    #[error("{address} is in use{}", free.map_or_else(String::new, |port| format!("; try --port {port} (free)")))]
    InUse {
        /// The address.
        address: SocketAddr,
        /// A port near it that is free.
        free: Option<u16>,
    },
    /// The system does not let us listen there.
    #[error("listening on {address} failed: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The process may not open enough files to serve anybody.
    #[error("{limit} open files are too few to serve connections; raise the limit (ulimit -n) to {wanted} or more")]
    Descriptors {
        /// The limit.
        limit: usize,
        /// What would do.
        wanted: usize,
    },
    /// A thread could not be started, or died.
    #[error("starting the server failed: {0}")]
    Start(#[source] io::Error),
}

/// The HTTP server.
#[derive(Debug)]
pub struct Server;

/// A running server. Dropping it leaves the server running; call [`stop`](Self::stop).
pub struct Running {
    address: SocketAddr,
    handle: ServerHandle,
    shared: web::Data<Shared>,
    ended: oneshot::Receiver<()>,
    thread: std::thread::JoinHandle<()>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What the thread of the server tells when it has begun to listen.
type Started = Result<(ServerHandle, SocketAddr, web::Data<Shared>), ServeError>;

impl Server {
    /// Listens on `bind` and serves `state`. Returns when connections are accepted. `grace` bounds, in whole seconds,
    /// how long [`Running::stop`] waits for requests that are under way.
    pub fn start(state: AppState, bind: SocketAddr, grace: Duration) -> Result<Running, ServeError> {
        metric::recorder();
        let (tell, told) = mpsc::sync_channel::<Started>(1);
        let (end, ended) = oneshot::channel();
        let run = move || {
            actix_web::rt::System::new().block_on(serve(state, bind, grace, tell));
            // Nobody listens when `stop` was not called: then nobody needs to know.
            let _ = end.send(());
        };
        let thread = std::thread::Builder::new().name("nexus-http".into()).spawn(run).map_err(ServeError::Start)?;
        let died = |_| ServeError::Start(io::Error::other("its thread ended"));
        let (handle, address, shared) = told.recv().map_err(died)??;
        Ok(Running { address, handle, shared, ended, thread })
    }
}

impl Running {
    /// Where it listens, with the real port.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// `http://…` of [`addr`](Self::addr).
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Begins to stop: `/ready` and everything else answer 503 from now on, requests under way go on.
    pub fn close_doors(&self) {
        self.shared.close_doors();
    }

    /// Stops accepting, answers what is under way for at most the grace it was started with, and ends.
    pub async fn stop(self) {
        self.close_doors();
        self.handle.stop(true).await;
        // The thread has dropped its end only if it ended.
        let _ = self.ended.await;
        if self.thread.join().is_err() {
            tracing::error!("the thread of the server panicked");
        }
    }
}

async fn serve(state: AppState, bind: SocketAddr, grace: Duration, tell: mpsc::SyncSender<Started>) {
    let (server, started) = match listen(state, bind, grace) {
        Ok(listening) => listening,
        Err(error) => {
            // The other end waits for exactly one message.
            let _ = tell.send(Err(error));
            return;
        }
    };
    actix_web::rt::spawn(async {
        let mut every = tokio::time::interval(UPKEEP_EVERY);
        loop {
            every.tick().await;
            metric::recorder().run_upkeep();
        }
    });
    let shared = started.2.clone();
    let inside = actix_web::rt::spawn(inside::serve(shared.app.clone(), shared.doors.subscribe(), grace));
    let _ = tell.send(Ok(started));
    if let Err(error) = server.await {
        tracing::error!(%error, "the server ended with an error");
    }
    // Where it has ended by itself.
    shared.close_doors();
    if inside.await.is_err() {
        tracing::error!("the server of programs in sandboxes panicked");
    }
}

type Listening = (actix_web::dev::Server, (ServerHandle, SocketAddr, web::Data<Shared>));

fn listen(state: AppState, bind: SocketAddr, grace: Duration) -> Result<Listening, ServeError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => ServeError::InUse { address: bind, free: free_port(bind) },
        _ => ServeError::Bind { address: bind, source },
    };
    let limits = state.limits.clone();
    let room = room(limits.workers)?;
    // A file that is written is open beside its connection.
    let uploads = limits.uploads.min(room / UPLOADS_SHARE).max(1);
    let connections = (room - uploads).min(limits.connections);
    let shared = web::Data::new(Shared::new(state, false, uploads));
    let data = shared.clone();
    let app = move || {
        let origins = &data.app.cors_origins;
        let shared = web::Data::new(data.for_thread());
        let app = App::new()
            .app_data(shared.clone())
            .configure(routes::configure)
            .wrap(WhereAccepted)
            .wrap(Condition::new(!origins.is_empty(), cors(origins)))
            .wrap(from_fn(gate::gate));
        Direct::new(shared, app)
    };
    let server = HttpServer::new(app)
        .workers(limits.workers)
        .max_connections((connections / limits.workers.max(1)).max(1))
        .backlog(BACKLOG)
        .keep_alive(limits.keep_alive)
        .client_request_timeout(limits.head_deadline)
        .client_disconnect_timeout(DISCONNECT_DEADLINE)
        // Whoever hangs up is not waited for: the request's future is dropped, and with it a search under way.
        .h1_allow_half_closed(false)
        .shutdown_timeout(grace.as_secs())
        .disable_signals()
        .bind(bind)
        .map_err(failed)?;
    let address = server.addrs().first().copied().unwrap_or(bind);
    // Before the first request: connections are accepted only once the server runs.
    let address = *shared.address.get_or_init(|| address);
    let server = server.run();
    let handle = server.handle();
    Ok((server, (handle, address, shared)))
}

/// How many connections there are descriptors for.
fn room(workers: usize) -> Result<usize, ServeError> {
    let connections = descriptors::connections(workers);
    if connections < CONNECTIONS_MIN {
        let limit = descriptors::limit();
        return Err(ServeError::Descriptors { limit, wanted: limit + DESCRIPTORS_WANTED });
    }
    Ok(connections)
}

/// Pages of these origins may call, and read what they need.
fn cors(origins: &[String]) -> Cors {
    let none = Cors::default()
        .allowed_methods(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
        .allow_any_header()
        .expose_headers([header::ETAG, header::ACCEPT_RANGES, header::CONTENT_RANGE, header::CONTENT_DISPOSITION])
        .expose_headers([reply::REVISION, reply::REQUEST_ID, reply::VERSION])
        .supports_credentials()
        .max_age(PREFLIGHT_SECONDS);
    origins.iter().fold(none, |cors, origin| cors.allowed_origin(origin))
}

fn free_port(taken: SocketAddr) -> Option<u16> {
    let next = (1..=PORTS_TRIED).filter_map(|n| taken.port().checked_add(n));
    next.into_iter().find(|port| TcpListener::bind(SocketAddr::new(taken.ip(), *port)).is_ok())
}
