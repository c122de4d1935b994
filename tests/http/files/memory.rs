//! A large file costs the server a bounded part of its memory, both ways.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::json;

use crate::harness::client::{Client, LIVENESS};
use crate::harness::engine;
use crate::harness::growth::Growth;
use crate::harness::process::{FAR_KEY, Process, soak};

/// Size of the file in CI; with `NEXUS_LITE_SOAK=4` 1 GiB.
const FILE_BYTES: u64 = 256 << 20;
/// The same where each MiB is committed in a database.
const FAR_FILE_BYTES: u64 = 96 << 20;
/// What the server may take more for it, KiB.
const GROWTH_MAX_KB: u64 = 64 << 10;
/// Bytes that are sent or read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// The bytes of the file, piece by piece; no two pieces are alike.
fn pieces(bytes: u64) -> impl Iterator<Item = Vec<u8>> {
    let count = bytes / CHUNK_BYTES as u64;
    (0..count).map(|at| {
        let mut piece = vec![0; CHUNK_BYTES];
        piece
            .chunks_mut(8)
            .enumerate()
            .for_each(|(n, word)| word.copy_from_slice(&(at << 32 | n as u64).to_le_bytes()));
        piece
    })
}

fn connect(address: SocketAddr, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(LIVENESS)).expect("a socket");
    stream.write_all(head.as_bytes()).expect("sent");
    stream
}

/// Reads the head of an answer and hashes what follows; the head, the bytes and their hash.
fn receive(mut stream: TcpStream) -> (String, u64, blake3::Hash) {
    let (mut head, mut buffer) = (Vec::new(), vec![0; CHUNK_BYTES]);
    let rest = loop {
        let read = stream.read(&mut buffer).expect("an answer");
        assert!(read > 0, "no whole head");
        head.extend_from_slice(&buffer[..read]);
        if let Some(at) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break head.split_off(at + 4);
        }
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(&rest);
    loop {
        match stream.read(&mut buffer).expect("the body") {
            0 => break,
            read => drop(hasher.update(&buffer[..read])),
        }
    }
    (String::from_utf8(head).expect("ASCII"), hasher.count(), hasher.finalize())
}

#[test]
fn a_large_file_takes_little_memory_both_ways() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on the disk of the project");
    let mut server = Process::start_keyed(&dir.path().join("data"), &["--log", "error"]);
    let bytes = if engine::is_postgres() { FAR_FILE_BYTES } else { FILE_BYTES } * soak();
    let (address, pid) = (server.address(), server.id());
    let mut client = Client::new(address, Some(FAR_KEY));
    client.rpc("list", &json!({"path": "/"})).expect("an answer");
    let common = format!("Host: 127.0.0.1\r\nAuthorization: Bearer {FAR_KEY}\r\nConnection: close\r\n");
    let growth = Growth::of(pid, GROWTH_MAX_KB);
    let grown = |what: &str| growth.look(&format!("{what} of {} MiB", bytes >> 20));

    let head = format!("PUT /files/large HTTP/1.1\r\n{common}Content-Length: {bytes}\r\n\r\n");
    let mut stream = connect(address, &head);
    let mut sent = blake3::Hasher::new();
    for piece in pieces(bytes) {
        sent.update(&piece);
        stream.write_all(&piece).expect("taken");
    }
    let (said, _, _) = receive(stream);
    assert!(said.starts_with("HTTP/1.1 201"), "{said}");
    grown("writing");

    let stream = connect(address, &format!("GET /files/large HTTP/1.1\r\n{common}\r\n"));
    let (said, got, hash) = receive(stream);
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    assert_eq!((got, hash), (bytes, sent.finalize()));
    grown("reading");

    let range = format!("Range: bytes={}-\r\n", bytes - 10);
    let (said, got, _) = receive(connect(address, &format!("GET /files/large HTTP/1.1\r\n{common}{range}\r\n")));
    assert!(said.starts_with("HTTP/1.1 206") && got == 10, "{said}");
    // What would need the whole of it in memory says so, and where to go. (The connection from before may have been
    // idle for too long.)
    let mut client = Client::new(address, Some(FAR_KEY));
    let refused = client.rpc("read", &json!({"path": "/large"}));
    let refused = refused.expect_err("too large");
    assert_eq!(refused.data["code"], json!("result_too_large"));
    assert!(refused.data["hint"].as_str().is_some_and(|hint| hint.contains("/files/")), "{refused:?}");
    client.rpc("read_range", &json!({"path": "/large", "start": bytes / 2, "end": bytes / 2 + 9})).expect("a part");
    client.rpc("copy", &json!({"src_path": "/large", "dst_path": "/copy"})).expect("copied");
    grown("parts and copies");
    server.kill();
}
