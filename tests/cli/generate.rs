//! `generate`: what it prints is what the server serves.

use serde_json::Value;

use super::{Running, address, run};
use crate::harness::client::Client;

#[test]
fn documents_are_those_of_the_server() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Running::serve(&dir.path().join("data"), &[]);
    let url = server.url();
    for name in ["openapi", "openrpc"] {
        let said = run(["generate", name]);
        assert_eq!(said.code, 0, "{}", said.err);
        let printed: Value = serde_json::from_str(&said.out).expect("JSON");
        let served = Client::new(address(&url), None).get(&format!("/{name}.json")).expect("answered");
        assert_eq!(printed, serde_json::from_slice::<Value>(&served.body).expect("JSON"), "{name}");
    }
    assert_eq!(server.stop().0, 0);
}

#[test]
fn the_reference_names_every_method() {
    let said = run(["generate", "methods"]);
    assert_eq!(said.code, 0, "{}", said.err);
    for method in nexus_lite::rpc::registry::METHODS {
        assert!(said.out.contains(&format!("\n## `{}`\n", method.name)), "{}", method.name);
    }
    assert_eq!(run(["generate", "nothing"]).code, 64);
}
