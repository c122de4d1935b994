//! The HTTP API in sixty seconds: starts a server on a free port of this machine and talks to it as any client would.
//!
//! ```console
//! $ cargo run --example quickstart
//! ```
//!
//! The client below is thirty lines over a TCP socket, so that nothing is hidden; use any HTTP library.

#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use nexus_lite::app::App;
use nexus_lite::config::Config;
use serde_json::{Value, json};

/// Calls one method; the `result` of the answer, or its `error` in words.
fn call(server: SocketAddr, key: &str, method: &str, params: Value) -> Result<Value, Box<dyn Error>> {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let mut socket = TcpStream::connect(server)?;
    write!(
        socket,
        "POST /api/nfs/{method} HTTP/1.1\r\nHost: {server}\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut reply = BufReader::new(socket);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reply.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            None if line.trim_end().is_empty() => break,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reply.read_exact(&mut body)?;
    let mut answer: Value = serde_json::from_slice(&body)?;
    match answer.get_mut("result") {
        Some(result) => Ok(result.take()),
        None => Err(answer["error"]["message"].as_str().unwrap_or("no answer").into()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let mut config = Config::for_directory(dir.path().join("data"));
    config.port = 0;
    let app = App::open(config).await?;
    let server = app.serve()?;
    let address = server.addr();
    let admin = app.first_key.as_ref().expect("this is the first start").expose().to_owned();
    println!("serving at {}", server.url());

    let talk = move || -> Result<(), String> {
        let ask =
            |key: &str, method: &str, params: Value| call(address, key, method, params).map_err(|e| e.to_string());
        ask(&admin, "write", json!({ "path": "/workspace/hello.txt", "content": "hello" }))?;
        let listed = ask(&admin, "list", json!({ "path": "/workspace" }))?;
        println!("list        {listed}");

        // Somebody with a key of their own sees nothing until it is granted.
        let made = ask(&admin, "admin_create_key", json!({ "user_id": "alice", "name": "laptop" }))?;
        let alice = made["api_key"].as_str().unwrap_or_default().to_owned();
        let read = || ask(&alice, "read", json!({ "path": "/workspace/hello.txt" }));
        println!("read        {}", read().expect_err("nothing was granted yet"));
        let grant =
            json!({ "subject": ["user", "alice"], "relation": "direct_viewer", "object": ["file", "/workspace"] });
        ask(&admin, "rebac_create", grant)?;
        println!("after grant {}", read()?);
        Ok(())
    };
    let talked = tokio::task::spawn_blocking(talk).await?;
    let last = app.close(Some(server)).await?;
    println!("closed at revision {last}");
    Ok(talked?)
}
