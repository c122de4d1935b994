//! A small blocking HTTP client that speaks the JSON-RPC contract over one kept connection. What goes over the wire is
//! made and read by the program's own load generator.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) use nexus_lite::cli::load::wire::{Answer, Refusal as Failure, call_bytes, parse, request};
use serde_json::Value;

/// No test waits longer than this for one answer, beside the time it gives to a program in a sandbox.
pub(crate) const LIVENESS: Duration = Duration::from_secs(30);

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// A blocking client on one kept connection. Made again by itself when the server closed it between two calls.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    key: Option<String>,
    agent: Option<String>,
    patience: Duration,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
    next_id: u64,
}

impl Client {
    /// A client that shows `key`, or none.
    pub(crate) fn new(address: SocketAddr, key: Option<&str>) -> Self {
        let key = key.map(str::to_owned);
        Self { address, key, agent: None, patience: LIVENESS, stream: None, buffer: Vec::new(), next_id: 1 }
    }

    /// Waits so much longer for an answer, on a new connection: the time of the work that it asks for.
    pub(crate) fn granting(mut self, time: Duration) -> Self {
        self.patience = LIVENESS + time;
        self.stream = None;
        self
    }

    /// Names the agent that acts.
    pub(crate) fn acting_as(mut self, agent: Option<&str>) -> Self {
        self.agent = agent.map(str::to_owned);
        self
    }

    /// Calls a method and returns the whole answer.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> std::io::Result<Answer> {
        let id = self.next_id;
        self.next_id += 1;
        let bytes = call_bytes(id, self.key.as_deref(), self.agent.as_deref(), method, params);
        self.exchange(&bytes)
    }

    /// Calls a method and returns its result.
    ///
    /// # Panics
    /// When there is no answer at all.
    pub(crate) fn rpc(&mut self, method: &str, params: &Value) -> Result<Value, Failure> {
        self.call(method, params).unwrap_or_else(|e| panic!("{method} got no answer: {e}")).rpc()
    }

    /// Sends a GET.
    pub(crate) fn get(&mut self, path: &str) -> std::io::Result<Answer> {
        let bearer = self.key.as_ref().map(|key| format!("Bearer {key}"));
        let headers: Vec<(&str, &str)> = bearer.iter().map(|b| ("Authorization", b.as_str())).collect();
        let bytes = request("GET", path, &headers, b"");
        self.exchange(&bytes)
    }

    /// Sends raw bytes and reads one answer. An error says nothing about whether the request was carried out.
    pub(crate) fn exchange(&mut self, bytes: &[u8]) -> std::io::Result<Answer> {
        let result = self.attempt(bytes);
        if result.is_err() {
            self.stream = None;
            self.buffer.clear();
        }
        result
    }

    fn attempt(&mut self, bytes: &[u8]) -> std::io::Result<Answer> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(self.patience))?;
            stream.set_write_timeout(Some(LIVENESS))?;
            self.stream = Some(stream);
        }
        let stream = self.stream.as_mut().expect("just connected");
        stream.write_all(bytes)?;
        let mut chunk = vec![0; CHUNK];
        loop {
            if let Some((answer, used)) = parse(&self.buffer) {
                self.buffer.drain(..used);
                if answer.header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close")) {
                    self.stream = None;
                }
                return Ok(answer);
            }
            let read = stream.read(&mut chunk)?;
            if read == 0 {
                return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the server closed the connection"));
            }
            self.buffer.extend_from_slice(&chunk[..read]);
        }
    }
}
