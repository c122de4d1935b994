//! The HTTP door, by real sockets on a real server: bad input, foreign pages, slow senders, headers.
//!
//! What belongs here: everything a request can do wrong before a method sees it, and what every reply carries. What
//! does not: what a method answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use nexus_lite::http::{AppState, Running, Server};
use serde_json::Value;

use crate::harness::client::{Answer, Client, Failure, request};

use crate::harness::world::{Setup, Who, World};

mod auth;
mod bad_input;
mod bodies;
mod direct;
mod files;
mod gate;
mod hangup;
mod lifecycle;
mod lines;
mod overload;
mod pages;
mod replies;
mod skills;
mod slow;
mod smuggling;

/// A world that is served.
struct Served {
    world: World,
    running: Running,
}

impl Served {
    /// With the limits of production.
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With a state that differs as `tune` says.
    async fn with(tune: impl FnOnce(&mut AppState)) -> Self {
        Self::of(World::with(Setup { injected: false, ..Setup::default() }).await, tune)
    }

    /// Serves `world`.
    fn of(world: World, tune: impl FnOnce(&mut AppState)) -> Self {
        let mut state = world.app.state();
        tune(&mut state);
        let running = Server::start(state, local(0), Duration::from_secs(5)).expect("it starts");
        Self { world, running }
    }

    fn address(&self) -> SocketAddr {
        self.running.addr()
    }

    /// A client with the key of `who`.
    fn client(&self, who: Who) -> Client {
        Client::new(self.address(), self.world.key(who))
    }

    /// Sends a request with the key of `who` in its headers and reads the answer.
    async fn send(&self, who: Who, verb: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let bearer = self.world.key(who).map(|key| format!("Bearer {key}"));
        let mut all: Vec<(&str, &str)> = headers.to_vec();
        if let Some(bearer) = &bearer {
            all.push(("Authorization", bearer));
        }
        self.raw(request(verb, path, &all, body)).await
    }

    /// POSTs `body` to `method` as the instance admin.
    async fn post(&self, method: &str, body: &[u8]) -> Answer {
        self.send(Who::Instance, "POST", &format!("/api/nfs/{method}"), &[], body).await
    }

    /// Sends raw bytes on a connection of its own and reads one answer.
    async fn raw(&self, bytes: Vec<u8>) -> Answer {
        let address = self.address();
        let exchange = move || Client::new(address, None).exchange(&bytes);
        tokio::task::spawn_blocking(exchange).await.expect("no panic").expect("an answer")
    }

    async fn stop(self) {
        self.running.stop().await;
        self.world.close().await;
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// The error object of an answer that must be one.
fn failure(answer: &Answer) -> Failure {
    answer.rpc().expect_err("an error")
}

/// `bytes` without its Host header, and with `host` in its place (or with none).
fn with_host(bytes: &[u8], host: Option<&str>) -> Vec<u8> {
    let text = String::from_utf8(bytes.to_vec()).expect("ASCII");
    let line = host.map_or_else(String::new, |host| format!("Host: {host}\r\n"));
    text.replace("Host: 127.0.0.1\r\n", &line).into_bytes()
}

/// The value of each series of `/metrics`.
fn metrics(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
            (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
        })
        .collect()
}

/// The text of an answer.
fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// A JSON object of `/api/…` pages.
fn object(answer: &Answer) -> Value {
    let value = answer.json();
    assert!(value.is_object(), "{}: {}", answer.status, text(answer));
    value
}
