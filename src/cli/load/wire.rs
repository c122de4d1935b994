//! JSON-RPC over HTTP/1.1, written out by hand, so that what is measured is the server: the bytes of a request, the
//! reading of an answer, and a client that needs no thread of its own.
//!
//! Must never know what is right.

use std::fmt::Write as _;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::net::TcpStream;

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// An answer over HTTP.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body, chunks put together.
    pub body: Vec<u8>,
}

/// The `error` object of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The JSON-RPC code; the HTTP status where there is no such object.
    pub code: i64,
    /// For people.
    pub message: String,
    /// `error.data`.
    pub data: Value,
}

impl Answer {
    /// The header `name` (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
    /// `X-Nexus-Revision`.
    #[must_use]
    pub fn revision(&self) -> Option<u64> {
        self.header("x-nexus-revision")?.parse().ok()
    }
    /// The body as JSON; `null` if it is not.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
    /// The `result` or the `error` of a JSON-RPC answer.
    pub fn rpc(&self) -> Result<Value, Refusal> {
        let mut envelope = self.json();
        if let Some(result) = envelope.get_mut("result") {
            return Ok(result.take());
        }
        let error = &envelope["error"];
        Err(Refusal {
            code: error["code"].as_i64().unwrap_or(i64::from(self.status)),
            message: error["message"].as_str().unwrap_or("no JSON-RPC answer").to_owned(),
            data: error["data"].clone(),
        })
    }
}

/// The JSON-RPC envelope of a call.
#[must_use]
pub fn envelope(id: u64, method: &str, params: &Value) -> Vec<u8> {
    let envelope = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    serde_json::to_vec(&envelope).expect("JSON values serialise")
}

/// The bytes of a request.
#[must_use]
pub fn request(verb: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = format!("{verb} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        let _ = write!(out, "{name}: {value}\r\n");
    }
    out.push_str("\r\n");
    let mut out = out.into_bytes();
    out.extend_from_slice(body);
    out
}

/// The bytes of a JSON-RPC call by the holder of `key`, through `agent`.
#[must_use]
pub fn call_bytes(id: u64, key: Option<&str>, agent: Option<&str>, method: &str, params: &Value) -> Vec<u8> {
    let bearer = key.map(|key| format!("Bearer {key}"));
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
    headers.extend(agent.map(|agent| ("X-Agent-ID", agent)));
    request("POST", &format!("/api/nfs/{method}"), &headers, &envelope(id, method, params))
}

/// Reads one answer from the front of `buffer`: the answer and its length, or `None` while it is not whole.
#[must_use]
pub fn parse(buffer: &[u8]) -> Option<(Answer, usize)> {
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

/// A client without a thread: for hundreds of them on one runtime.
#[derive(Debug)]
pub struct AsyncClient {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl AsyncClient {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(CHUNK) })
    }

    /// Sends raw bytes and reads one answer.
    pub async fn exchange(&mut self, bytes: &[u8]) -> std::io::Result<Answer> {
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
