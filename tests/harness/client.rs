//! A small HTTP client that speaks the JSON-RPC contract over one kept connection: blocking for tests, and without a
//! thread per client for load generators. Written out by hand, so that what is measured is the server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

/// No test waits longer than this for one answer.
pub(crate) const LIVENESS: Duration = Duration::from_secs(30);

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// An answer over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// The `error` object of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Value,
}

impl Answer {
    /// The header `name` (lower case).
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
    /// `X-Nexus-Revision`.
    pub(crate) fn revision(&self) -> Option<u64> {
        self.header("x-nexus-revision")?.parse().ok()
    }
    /// The body as JSON; `null` if it is not.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
    /// The `result` or the `error` of a JSON-RPC answer.
    pub(crate) fn rpc(&self) -> Result<Value, Failure> {
        let mut envelope = self.json();
        if let Some(result) = envelope.get_mut("result") {
            return Ok(result.take());
        }
        let error = &envelope["error"];
        Err(Failure {
            code: error["code"].as_i64().unwrap_or(i64::from(self.status)),
            message: error["message"].as_str().unwrap_or("no JSON-RPC answer").to_owned(),
            data: error["data"].clone(),
        })
    }
}

/// The JSON-RPC envelope of a call.
pub(crate) fn envelope(id: u64, method: &str, params: &Value) -> Vec<u8> {
    let envelope = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    serde_json::to_vec(&envelope).expect("JSON values serialise")
}

/// The bytes of a request.
pub(crate) fn request(verb: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = format!("{verb} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str("\r\n");
    let mut out = out.into_bytes();
    out.extend_from_slice(body);
    out
}

/// The bytes of a JSON-RPC call by the holder of `key`, through `agent`.
pub(crate) fn call_bytes(id: u64, key: Option<&str>, agent: Option<&str>, method: &str, params: &Value) -> Vec<u8> {
    let bearer = key.map(|key| format!("Bearer {key}"));
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
    headers.extend(agent.map(|agent| ("X-Agent-ID", agent)));
    request("POST", &format!("/api/nfs/{method}"), &headers, &envelope(id, method, params))
}

/// Reads one answer from the front of `buffer`: the answer and its length, or `None` while it is not whole.
pub(crate) fn parse(buffer: &[u8]) -> Option<(Answer, usize)> {
    let head_end = find(buffer, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&buffer[..head_end]);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut answer = Answer { status, headers, body: Vec::new() };
    let from = head_end + 4;
    if answer.header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
        let (body, used) = dechunk(&buffer[from..])?;
        answer.body = body;
        return Some((answer, from + used));
    }
    let length = answer.header("content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
    let body = buffer.get(from..from + length)?;
    answer.body = body.to_vec();
    Some((answer, from + length))
}

/// The body of a chunked answer and the bytes it took.
fn dechunk(mut rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    let whole = rest.len();
    let mut body = Vec::new();
    loop {
        let line = find(rest, b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        let chunk = rest.get(line + 2..line + 2 + size)?;
        body.extend_from_slice(chunk);
        rest = rest.get(line + 2 + size + 2..)?;
        if size == 0 {
            return Some((body, whole - rest.len()));
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// A blocking client on one kept connection. Made again by itself when the server closed it between two calls.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    key: Option<String>,
    agent: Option<String>,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
    next_id: u64,
}

impl Client {
    /// A client that shows `key`, or none.
    pub(crate) fn new(address: SocketAddr, key: Option<&str>) -> Self {
        Self { address, key: key.map(str::to_owned), agent: None, stream: None, buffer: Vec::new(), next_id: 1 }
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
            stream.set_read_timeout(Some(LIVENESS))?;
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

/// A client without a thread: for hundreds of them on one runtime.
pub(crate) struct AsyncClient {
    stream: actix_web::rt::net::TcpStream,
    buffer: Vec<u8>,
}

impl AsyncClient {
    /// Connects.
    pub(crate) async fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = actix_web::rt::net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(CHUNK) })
    }

    /// Sends raw bytes and reads one answer.
    pub(crate) async fn exchange(&mut self, bytes: &[u8]) -> std::io::Result<Answer> {
        let mut sent = 0;
        while sent < bytes.len() {
            self.stream.writable().await?;
            match self.stream.try_write(&bytes[sent..]) {
                Ok(n) => sent += n,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        loop {
            if let Some((answer, used)) = parse(&self.buffer) {
                self.buffer.drain(..used);
                return Ok(answer);
            }
            self.stream.readable().await?;
            match self.stream.try_read_buf(&mut self.buffer) {
                Ok(0) => {
                    let closed = "the server closed the connection";
                    return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, closed));
                }
                Ok(_) => self.buffer.reserve(CHUNK),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
    }
}
