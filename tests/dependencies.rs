//! What we depend on: how many crates, under which licences, and what must never come in.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Crates in the default features, ours included. A budget, so that each new one is a decision.
///
/// 250, and 3 for sealed backups: XChaCha20-Poly1305 (6: `chacha20poly1305`, `aead`, `cipher`, `inout`, `poly1305`,
/// `universal-hash`) and Argon2id (3: `argon2`, `blake2`, `base64ct`) bring nine; `age` would bring 88, and a
/// cipher put together by hand is not saved at the price of two. The search for lines (`grep-searcher`, `grep-regex`,
/// `grep-matcher`, `bstr`, `encoding_rs_io`, `memmap2`) brings six that nothing else has, `similar` is one for unified
/// differences, and the rest came with the allocator and the shown progress. `clap_complete` is one for what shells complete,
/// `tempfile` with `fastrand` two for files that have their name when they are whole. Webhooks go out over HTTPS: `rustls`
/// with its provider, roots and checks brings ten that `postgres` had anyway; limits of rates six (`governor`), archives
/// of skills two (`zip`). The walls of sandboxes are five: `landlock` with `enumflags2` and its
/// derive, `seccompiler`, and `close_fds` without a word of `unsafe` here.
const CRATES_MAX: usize = 291;

/// Licences that may appear in an SPDX expression of a dependency.
const LICENCES: &[&str] = &[
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "0BSD",
    "MPL-2.0",
    "MPL-2.0+",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "LLVM-exception",
];

/// Crates that are refused, each for the reason beside it.
const REFUSED: &[(&str, &str)] = &[
    ("actix-governor", "GPL-3.0"),
    ("serde_yml", "a deprecated shim"),
    ("serde_yaml", "deprecated"),
    ("utoipa", "schemars serves"),
    ("sqlx", "links another SQLite"),
];

fn metadata() -> Value {
    let target = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let target = String::from_utf8(target.stdout).expect("utf-8");
    let host = target.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

/// The packages reached over normal and build dependencies, by id.
fn reached(metadata: &Value) -> BTreeSet<String> {
    let nodes: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|node| (node["id"].as_str().expect("id"), node))
        .collect();
    let mut todo = vec![metadata["resolve"]["root"].as_str().expect("root").to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(id) = todo.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        for dep in nodes[id.as_str()]["deps"].as_array().expect("deps") {
            let used = dep["dep_kinds"].as_array().expect("kinds").iter().any(|kind| kind["kind"] != "dev");
            if used {
                todo.push(dep["pkg"].as_str().expect("pkg").to_owned());
            }
        }
    }
    seen
}

#[test]
fn the_crates_are_few_and_their_licences_ours() {
    let metadata = metadata();
    let reached = reached(&metadata);
    println!("crates in the default features: {}", reached.len());
    assert!(reached.len() <= CRATES_MAX, "{} crates, the budget is {CRATES_MAX}", reached.len());
    for package in metadata["packages"].as_array().expect("packages") {
        if !reached.contains(package["id"].as_str().expect("id")) {
            continue;
        }
        let name = package["name"].as_str().expect("name");
        if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            panic!("{name} is refused: {why}");
        }
        let licence = package["license"].as_str().unwrap_or("none");
        let known = licence
            .split([' ', '/', '(', ')'])
            .filter(|word| !word.is_empty() && !["OR", "AND", "WITH"].contains(word))
            .any(|word| LICENCES.contains(&word));
        assert!(known, "{name} has the licence {licence:?}, which is not on the list");
    }
}
