//! A receiver of webhooks: takes requests, remembers them, and answers as a test wants.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::harness::client::LIVENESS;

/// A request that came.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Whether it was answered with 2xx.
    pub(super) taken: bool,
}

impl Delivery {
    /// A header, by its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The body.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }
}

#[derive(Debug, Default)]
struct Seen {
    deliveries: Vec<Delivery>,
    /// What is answered; 0 = the connection is closed without a word.
    status: u16,
    /// Behind the status.
    extra: String,
}

/// A running receiver; its thread ends with the process.
#[derive(Debug, Clone)]
pub(super) struct Receiver {
    address: SocketAddr,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

impl Receiver {
    /// Listens on a loopback address and answers with `status`.
    pub(super) fn start(status: u16) -> Self {
        Self::on("127.0.0.1:0", status)
    }

    /// Listens on an address.
    pub(super) fn on(address: &str, status: u16) -> Self {
        Self::speaking(address, status, Some)
    }

    /// Listens on a loopback address and speaks TLS.
    pub(super) fn on_tls(tls: Arc<ServerConfig>) -> Self {
        let open = move |stream| {
            let session = ServerConnection::new(Arc::clone(&tls)).ok()?;
            Some(StreamOwned::new(session, stream))
        };
        Self::speaking("127.0.0.1:0", 200, open)
    }

    /// Listens, and takes requests from what `open` makes of a connection.
    fn speaking<S: Read + Write>(
        address: &str,
        status: u16,
        open: impl Fn(TcpStream) -> Option<S> + Clone + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).expect(address);
        let address = listener.local_addr().expect("bound");
        let seen = Arc::new((Mutex::new(Seen { status, ..Seen::default() }), Condvar::new()));
        let receiver = Self { address, seen: Arc::clone(&seen) };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, open) = (Arc::clone(&seen), open.clone());
                std::thread::spawn(move || {
                    // Whoever breaks off is no test's fault.
                    let _ = stream.set_read_timeout(Some(LIVENESS));
                    let _ = open(stream).map(|stream| serve(stream, &seen));
                });
            }
        });
        receiver
    }

    /// The address.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A URL of it.
    pub(super) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Answers with another status from now on; 0 closes the connection without a word.
    pub(super) fn answer(&self, status: u16) {
        self.seen.0.lock().status = status;
    }

    /// Adds a header to every answer.
    pub(super) fn extra(&self, header: &str) {
        self.seen.0.lock().extra = format!("{header}\r\n");
    }

    /// How many requests came.
    pub(super) fn count(&self) -> usize {
        self.seen.0.lock().deliveries.len()
    }

    /// What was answered with 2xx, in order.
    pub(super) fn taken(&self) -> Vec<Delivery> {
        self.seen.0.lock().deliveries.iter().filter(|delivery| delivery.taken).cloned().collect()
    }

    /// Waits until `enough`, for so long at most; whether it was.
    pub(super) async fn within(&self, time: Duration, enough: impl Fn(&[Delivery]) -> bool + Send + 'static) -> bool {
        let seen = Arc::clone(&self.seen);
        let wait = move || {
            let (lock, changed) = &*seen;
            let mut seen = lock.lock();
            !changed.wait_while_for(&mut seen, |seen| !enough(&seen.deliveries), time).timed_out()
        };
        tokio::task::spawn_blocking(wait).await.expect("no panic")
    }

    /// Waits until so many events were taken, each counted once.
    pub(super) async fn until_taken(&self, events: usize) {
        let enough = move |deliveries: &[Delivery]| distinct(deliveries) >= events;
        let came = self.within(LIVENESS, enough).await;
        let seen = self.seen.0.lock();
        assert!(came, "{} of {events} events came", distinct(&seen.deliveries));
    }
}

fn distinct(deliveries: &[Delivery]) -> usize {
    let ids = deliveries.iter().filter(|d| d.taken).map(|d| d.json()["id"].to_string());
    ids.collect::<std::collections::HashSet<_>>().len()
}

fn serve(stream: impl Read + Write, seen: &(Mutex<Seen>, Condvar)) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? <= 2 {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length =
        headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, v)| v.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (lock, changed) = seen;
    let mut locked = lock.lock();
    let (status, extra) = (locked.status, locked.extra.clone());
    if status != 0 {
        let stream = reader.get_mut();
        write!(stream, "HTTP/1.1 {status} X\r\n{extra}Content-Length: 2\r\nConnection: close\r\n\r\nok")?;
        stream.flush()?;
    }
    let taken = (200..300).contains(&status);
    locked.deliveries.push(Delivery { headers, body, taken });
    changed.notify_all();
    Ok(())
}
