//! The HTTP client of the load: one thread with its own runtime, connections kept alive, a whole wave sent at once.
//!
//! Knows JSON-RPC over HTTP and nothing of what is right.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read as _};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::plan::Operation;
use crate::model::time::monotonic;

/// A request that is not answered after this long counts as lost. The incumbent freezes for up to 90 s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
/// The largest body that is read, bytes.
const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Likewise of a file that is sent: it may be large, and the line slow.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes of a file that are read at once.
const PART_BYTES: usize = 256 * 1024;
/// What a path says as it is in a URL.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Pause between two looks at `/health`.
const HEALTH_PAUSE: Duration = Duration::from_millis(5);

/// Where to send, and as whom.
#[derive(Clone)]
pub struct Target {
    /// The server's address, e.g. `http://127.0.0.1:8080`.
    pub url: String,
    /// The API key.
    pub key: String,
}

/// Without the key.
impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status; 0 if there was no reply.
    pub status: u16,
    /// The body, or why there is none.
    pub body: Result<Bytes, String>,
    /// From sending to the last byte.
    pub took: Duration,
}

/// What `/health` did meanwhile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Health {
    /// How often it was asked.
    pub polls: usize,
    /// How often it did not answer 200.
    pub failed: usize,
    /// The longest time an answer took.
    pub worst: Duration,
}

/// A client; lives on one thread.
#[derive(Clone)]
pub struct Client {
    http: awc::Client,
    target: Rc<Target>,
    id: Rc<Cell<u64>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("url", &self.target.url).finish_non_exhaustive()
    }
}

impl Client {
    fn new(target: Target) -> Self {
        // As many connections as a wave is wide: a limit would queue requests here and hide what the server does.
        let connector = awc::Connector::new().limit(0).timeout(REQUEST_TIMEOUT);
        let http = awc::Client::builder().connector(connector).timeout(REQUEST_TIMEOUT).disable_redirects().finish();
        Self { http, target: Rc::new(target), id: Rc::new(Cell::new(0)) }
    }

    /// Calls one method.
    pub async fn call(&self, method: &str, params: &Value) -> Answer {
        self.id.set(self.id.get() + 1);
        let url = format!("{}/api/nfs/{method}", self.target.url.trim_end_matches('/'));
        let body = json!({ "jsonrpc": "2.0", "id": self.id.get(), "method": method, "params": params });
        let request = self.http.post(url).insert_header(("Authorization", format!("Bearer {}", self.target.key)));
        answer(request.send_json(&body)).await
    }

    /// Puts a local file at a path, as a stream; `new`: only if there is none. `sent` hears of the bytes of each part.
    pub async fn put_file(&self, path: &str, file: File, new: bool, sent: impl Fn(u64) + 'static) -> Answer {
        let encoded = utf8_percent_encode(path.trim_start_matches('/'), PATH).to_string();
        let url = format!("{}/files/{encoded}", self.target.url.trim_end_matches('/'));
        let request = self.http.put(url).timeout(UPLOAD_TIMEOUT);
        let mut request = request.insert_header(("Authorization", format!("Bearer {}", self.target.key)));
        if new {
            request = request.insert_header(("If-None-Match", "*"));
        }
        // Read here, between two parts: the thread is this client's own.
        let parts = futures_util::stream::try_unfold((file, sent), |(mut file, sent)| async move {
            let mut part = vec![0; PART_BYTES];
            let count = file.read(&mut part)?;
            part.truncate(count);
            sent(count as u64);
            Ok::<_, io::Error>((count > 0).then(|| (Bytes::from(part), (file, sent))))
        });
        answer(request.send_stream(Box::pin(parts))).await
    }

    /// Sends a request that is no method.
    pub async fn rest(&self, verb: &str, path: &str, body: Option<&Value>) -> Answer {
        let url = format!("{}{path}", self.target.url.trim_end_matches('/'));
        let verb = awc::http::Method::from_bytes(verb.as_bytes()).unwrap_or(awc::http::Method::GET);
        let request = self.http.request(verb, url);
        let request = request.insert_header(("Authorization", format!("Bearer {}", self.target.key)));
        match body {
            Some(body) => answer(request.send_json(body)).await,
            None => answer(request.send()).await,
        }
    }

    /// Follows a stream of lines from behind the event `last`, until it ends or `line` says that it is enough. A body that
    /// is no stream is in the answer.
    pub async fn follow(&self, path: &str, last: Option<&str>, mut line: impl FnMut(&str) -> bool) -> Answer {
        let url = format!("{}{path}", self.target.url.trim_end_matches('/'));
        let request = self.http.get(url).timeout(UPLOAD_TIMEOUT);
        let mut request = request.insert_header(("Authorization", format!("Bearer {}", self.target.key)));
        if let Some(last) = last {
            request = request.insert_header(("Last-Event-ID", last));
        }
        let sent = monotonic();
        let mut reply = match request.send().await {
            Ok(reply) if reply.status().as_u16() == 200 => reply,
            Ok(mut reply) => {
                let status = reply.status().as_u16();
                let body = reply.body().limit(BODY_BYTES_MAX).await.map_err(|e| format!("the body broke off: {e}"));
                return Answer { status, body, took: monotonic() - sent };
            }
            Err(error) => {
                return Answer { status: 0, body: Err(format!("no reply: {error}")), took: monotonic() - sent };
            }
        };
        let mut rest: Vec<u8> = Vec::new();
        'stream: while let Some(Ok(part)) = futures_util::StreamExt::next(&mut reply).await {
            rest.extend_from_slice(&part);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let whole: Vec<u8> = rest.drain(..=end).collect();
                if !line(String::from_utf8_lossy(&whole).trim_end()) {
                    break 'stream;
                }
            }
        }
        Answer { status: 200, body: Ok(Bytes::new()), took: monotonic() - sent }
    }

    /// Sends every operation at the same moment and waits for all of them; the answers are in the order given.
    pub async fn call_at_once(&self, operations: &[Operation]) -> Vec<Answer> {
        join_all(operations.iter().map(|operation| self.call(operation.method, &operation.params))).await
    }

    /// Sends every operation after the answer of the one before.
    pub async fn call_in_turn(&self, operations: &[Operation]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(operations.len());
        for operation in operations {
            answers.push(self.call(operation.method, &operation.params).await);
        }
        answers
    }

    /// Asks `/health` again and again until `over`.
    pub async fn watch_health(&self, over: &AtomicBool) -> Health {
        let url = format!("{}/health", self.target.url.trim_end_matches('/'));
        let mut seen = Health::default();
        while !over.load(Ordering::Acquire) {
            let looked = answer(self.http.get(&url).send()).await;
            seen.polls += 1;
            seen.failed += usize::from(looked.status != 200);
            seen.worst = seen.worst.max(looked.took);
            tokio::time::sleep(HEALTH_PAUSE).await;
        }
        seen
    }
}

async fn answer(request: awc::SendClientRequest) -> Answer {
    let sent = monotonic();
    let (status, body) = match request.await {
        Ok(mut reply) => {
            let body = reply.body().limit(BODY_BYTES_MAX).await.map_err(|e| format!("the body broke off: {e}"));
            (reply.status().as_u16(), body)
        }
        Err(error) => (0, Err(format!("no reply: {error}"))),
    };
    Answer { status, body, took: monotonic() - sent }
}

/// A look at `/health` that goes on until it is told to stop, on a thread of its own, so that its times are not those
/// of the load's client.
#[derive(Debug)]
pub struct HealthWatch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Health>>,
}

impl HealthWatch {
    /// Begins.
    pub fn start(target: Target) -> io::Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let watch = move || with_client(target, |client| async move { client.watch_health(&told).await });
        let thread = std::thread::Builder::new().name("health".into()).spawn(watch)?;
        Ok(Self { over, thread })
    }

    /// Ends; what it has seen.
    #[must_use]
    pub fn stop(self) -> Health {
        self.over.store(true, Ordering::Release);
        self.thread.join().ok().and_then(Result::ok).unwrap_or_default()
    }
}

/// Runs `work` with a client on a thread and a runtime of its own, and waits for it. Works from anywhere.
pub fn with_client<T, F, Fut>(target: Target, work: F) -> io::Result<T>
where
    T: Send + 'static,
    F: FnOnce(Client) -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    let run = move || -> io::Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let local = tokio::task::LocalSet::new();
        Ok(local.block_on(&runtime, async move { work(Client::new(target)).await }))
    };
    let thread = std::thread::Builder::new().name("waves".into()).spawn(run)?;
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
