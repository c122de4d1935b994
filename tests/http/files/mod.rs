//! Files as their bytes: `GET`, `HEAD`, `PUT` and `DELETE` of `/files/{path}`.
//!
//! What belongs here: what these say and do over a socket, with sound and with hostile requests. What does not: who may
//! do what, beyond that the door asks the same rules as the methods do.

mod conditions;
mod hostile;
mod kinds;
mod memory;
mod ranges;
mod rights;
mod writes;

use serde_json::{Value, json};

use super::{Served, Who, text};
use crate::harness::client::{Answer, request};

/// A body of `bytes` that shows where each piece belongs.
fn body(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at / 7 + at / 4099) as u8).collect()
}

/// BLAKE3, hex, in the quotes of an ETag.
fn tag(body: &[u8]) -> String {
    format!("\"{}\"", blake3::hash(body).to_hex())
}

impl Served {
    /// `GET`s a file as `who`.
    async fn get(&self, who: Who, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(who, "GET", &format!("/files{path}"), headers, b"").await
    }

    /// `PUT`s a file as `who`.
    async fn put(&self, who: Who, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.send(who, "PUT", &format!("/files{path}"), headers, body).await
    }

    /// The head of an answer to `HEAD`, which has a length and no body.
    async fn head(&self, who: Who, path: &str, headers: &[(&str, &str)]) -> (u16, Vec<String>) {
        let bearer = format!("Bearer {}", self.world.key(who).unwrap_or_default());
        let all = [headers, &[("Authorization", bearer.as_str()), ("Connection", "close")][..]].concat();
        let (bytes, address) = (request("HEAD", &format!("/files{path}"), &all, b""), self.address());
        let said = tokio::task::spawn_blocking(move || to_the_end(address, &bytes)).await.expect("no panic");
        let said = String::from_utf8(said).expect("a head alone");
        let (head, rest) = said.split_once("\r\n\r\n").expect("a whole head");
        assert_eq!(rest, "", "a body in the answer to HEAD");
        let mut lines = head.split("\r\n").map(str::to_ascii_lowercase);
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
        (status, lines.collect())
    }

    /// The code of a refusal as JSON, with its status.
    async fn refused(&self, answer: &Answer) -> (u16, String) {
        let error = &answer.json()["error"];
        assert!(error["message"].is_string() && error["data"]["request_id"].is_string(), "{}", text(answer));
        (answer.status, error["data"]["code"].as_str().unwrap_or_default().to_owned())
    }

    /// A method that has to succeed, as the instance admin.
    async fn ok(&self, method: &str, params: Value) -> Value {
        self.world.rpc(Who::Instance, method, params).await.expect(method)
    }

    /// Files in the folder of blobs that have no name yet.
    fn partials(&self) -> usize {
        std::fs::read_dir(self.world.path().join("blobs/partial")).map_or(0, Iterator::count)
    }

    /// Makes alice the owner of `/a`.
    async fn alice_owns(&self) {
        self.ok("mkdir", json!({"path": "/a", "exist_ok": true})).await;
        let grant = json!({"subject": ["user", "alice"], "relation": "direct_owner", "object": ["file", "/a"]});
        self.ok("rebac_create", grant).await;
    }
}

/// Sends `bytes` and reads until the server closes the connection.
fn to_the_end(address: std::net::SocketAddr, bytes: &[u8]) -> Vec<u8> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(crate::harness::client::LIVENESS)).expect("a socket");
    stream.write_all(bytes).expect("sent");
    let mut said = Vec::new();
    // What was said before the end counts, however it ended.
    let _ = stream.read_to_end(&mut said);
    said
}
