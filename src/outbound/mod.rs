//! Requests that this server makes of others, to addresses that its users name.
//!
//! Owns the guard against being sent to the inside of the network it runs in, and the one client. Knows no events, no
//! users, no secrets: it sends the bytes it is given. Invariants: a name is looked up once, and the address that was
//! looked at is the one that is connected to; no redirect is followed; nothing of an answer but its status is handed on.

mod guard;
mod target;
mod trust;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use rustls::ClientConfig;
use tokio::sync::{Semaphore, mpsc, oneshot};

pub use guard::{Guard, GuardError};
pub use target::{Target, TargetError, URL_BYTES_MAX};
pub use trust::{Trust, TrustError};

/// Requests that are under way at the same time; others wait.
const REQUESTS_MAX: usize = 16;
/// How long one may take, from the look-up of the name to the status.
pub const REQUEST_TIME: Duration = Duration::from_secs(10);
/// How much of the body of an answer is read, and thrown away, bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// How the client names itself.
const AGENT: &str = concat!("nexus-lite/", env!("CARGO_PKG_VERSION"));

/// Why a request was not made, or not answered. Says nothing of what an answer held.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The address cannot be used.
    #[error("{0}")]
    Target(#[from] TargetError),
    /// The name is not known, or the look-up failed.
    #[error("the name of the host could not be looked up")]
    Unknown,
    /// Every address of the host is one that is not sent to.
    #[error("the host's address is not one that this server sends to; see the setting webhook_allow")]
    Forbidden,
    /// Nobody answered in time.
    #[error("no answer within {} seconds", REQUEST_TIME.as_secs())]
    Timeout,
    /// There was no connection, no TLS with the right name, or no answer that is HTTP.
    #[error("no answer: {0}")]
    Failed(&'static str),
    /// The server is about to stop.
    #[error("the server is stopping")]
    Stopped,
}

impl OutboundError {
    /// Whether the same request would fare no better a moment later.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Target(_) | Self::Forbidden)
    }
}

/// What a look-up gives.
pub type Looked = Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>>;

/// How a name becomes addresses.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a host.
    fn resolve(&self, host: &str, port: u16) -> Looked;
}

/// The machine's own resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str, port: u16) -> Looked {
        let host = host.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// A request.
#[derive(Debug, Clone)]
pub struct Post {
    /// Where to.
    pub target: Target,
    /// Beside those of every request.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
}

struct Job {
    post: Post,
    reply: oneshot::Sender<Result<u16, OutboundError>>,
}

/// The client. Its thread begins with the first request.
pub struct Outbound {
    guard: Arc<Guard>,
    resolver: Arc<dyn Resolve>,
    trust: Arc<Trust>,
    jobs: Mutex<Jobs>,
    places: Semaphore,
}

/// Where requests are given to the thread.
enum Jobs {
    Unused,
    Running(mpsc::UnboundedSender<Job>),
    Stopped,
}

impl Outbound {
    /// A client that sends where `guard` lets it.
    #[must_use]
    pub fn new(guard: Guard) -> Self {
        Self::with(guard, SystemResolver)
    }

    /// As [`new`](Self::new), with another way to look names up.
    #[must_use]
    pub fn with(guard: Guard, resolver: impl Resolve) -> Self {
        Self {
            guard: Arc::new(guard),
            resolver: Arc::new(resolver),
            trust: Arc::default(),
            jobs: Mutex::new(Jobs::Unused),
            places: Semaphore::new(REQUESTS_MAX),
        }
    }

    /// The same client, which believes these certificates over TLS.
    #[must_use]
    pub fn trusting(self, trust: Trust) -> Self {
        Self { trust: Arc::new(trust), ..self }
    }

    /// Sends a request; the status of its answer.
    pub async fn post(&self, post: Post) -> Result<u16, OutboundError> {
        let _place = self.places.acquire().await.map_err(|_| OutboundError::Stopped)?;
        let (reply, told) = oneshot::channel();
        self.thread()?.send(Job { post, reply }).map_err(|_| OutboundError::Stopped)?;
        told.await.unwrap_or(Err(OutboundError::Stopped))
    }

    /// Sends nothing any more. What is under way is cut off.
    pub fn stop(&self) {
        *self.jobs.lock() = Jobs::Stopped;
        self.places.close();
    }

    fn thread(&self) -> Result<mpsc::UnboundedSender<Job>, OutboundError> {
        let mut jobs = self.jobs.lock();
        match &*jobs {
            Jobs::Running(sender) => return Ok(sender.clone()),
            Jobs::Stopped => return Err(OutboundError::Stopped),
            Jobs::Unused => {}
        }
        let (sender, jobs_of_thread) = mpsc::unbounded_channel();
        let (guard, resolver, trust) = (Arc::clone(&self.guard), Arc::clone(&self.resolver), Arc::clone(&self.trust));
        let run = move || work(jobs_of_thread, &guard, &resolver, &trust);
        let thread = std::thread::Builder::new().name("nexus-outbound".into()).spawn(run);
        thread.map_err(|_| OutboundError::Failed("the client's thread could not be started"))?;
        *jobs = Jobs::Running(sender.clone());
        Ok(sender)
    }
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound").field("guard", &self.guard).finish_non_exhaustive()
    }
}

/// The thread: the client's futures stay where they were made. Ends when nobody can send any more, and what is under way
/// ends with it.
fn work(mut jobs: mpsc::UnboundedReceiver<Job>, guard: &Arc<Guard>, resolver: &Arc<dyn Resolve>, trust: &Trust) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let mut tls = None;
        while let Some(Job { post, reply }) = jobs.recv().await {
            let tls = Arc::clone(tls.get_or_insert_with(|| trust.config()));
            let (guard, resolver) = (Arc::clone(guard), Arc::clone(resolver));
            tokio::task::spawn_local(async move {
                let sent = tokio::time::timeout(REQUEST_TIME, send(post, &guard, &*resolver, tls)).await;
                // Who has gone away needs no answer.
                let _ = reply.send(sent.unwrap_or(Err(OutboundError::Timeout)));
            });
        }
    });
    // A look-up that hangs must not hold up the end of the server.
    runtime.shutdown_background();
}

async fn send(post: Post, guard: &Guard, resolver: &dyn Resolve, tls: Arc<ClientConfig>) -> Result<u16, OutboundError> {
    let Post { target, headers, body } = post;
    let found = match target.ip() {
        Some(ip) => vec![SocketAddr::new(ip, target.port())],
        None => resolver.resolve(target.host(), target.port()).await.map_err(|_| OutboundError::Unknown)?,
    };
    if found.is_empty() {
        return Err(OutboundError::Unknown);
    }
    // The port is the URL's, whatever the resolver says.
    let mut found = found.into_iter().map(|address| SocketAddr::new(address.ip(), target.port()));
    let address = found.find(|address| guard.allows(*address)).ok_or(OutboundError::Forbidden)?;

    // A client for one request: no connection is kept that an earlier look-up led to. HTTP/1.1 is all that `tls` offers;
    // to limit the version here as well would put other settings of TLS in its place, which believe nobody.
    let connector = awc::Connector::new().rustls_0_23(tls).timeout(REQUEST_TIME).conn_keep_alive(Duration::ZERO);
    let client = awc::Client::builder()
        .connector(connector)
        .timeout(REQUEST_TIME)
        .disable_redirects()
        .no_default_headers()
        .finish();
    let mut request = client.post(target.as_str()).address(address).force_close().no_decompress();
    request = request.insert_header(("User-Agent", AGENT)).insert_header(("Content-Type", "application/json"));
    for (name, value) in headers {
        request = request.insert_header((name, value));
    }
    let mut response = request.send_body(body).await.map_err(|error| reason(&error))?;
    let status = response.status().as_u16();
    let mut read = 0;
    while let Some(Ok(part)) = response.next().await {
        read += part.len();
        if read >= ANSWER_BYTES_MAX {
            break;
        }
    }
    Ok(status)
}

/// In words that say nothing of what listens at an address.
fn reason(error: &awc::error::SendRequestError) -> OutboundError {
    use awc::error::{ConnectError, SendRequestError};
    match error {
        SendRequestError::Timeout | SendRequestError::Connect(ConnectError::Timeout) => OutboundError::Timeout,
        SendRequestError::Connect(_) => {
            OutboundError::Failed("no connection, or no TLS with a certificate of that name")
        }
        _ => OutboundError::Failed("the answer is not HTTP, or was cut off"),
    }
}
