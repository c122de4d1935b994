//! Files in a newcomer's first hour, as one goes through it: a small file, its history, a mistake, a large one.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Stdio;

use super::{Running, Said, address, arg, program};
use crate::harness::client::{Client, request};
use crate::harness::growth::status_kb;
use crate::harness::process::number;

/// Size of the large file in CI; with `NEXUS_LITE_SOAK` 200 MB.
const LARGE_BYTES: usize = 40_000_000;
const LARGE_BYTES_SOAK: usize = 200_000_000;
/// What the server may take more of memory in all this than it had when it had started, KiB: looked at with the larger
/// file only, for the smaller one would fit in (`http::files::memory` bounds a file alone, also in CI). The unoptimised
/// program took 66 to 80 MB more with either.
const GROWTH_MAX_KB: u64 = 120_000;

struct Nexus<'a> {
    url: &'a str,
    key: &'a str,
}

impl Nexus<'_> {
    fn says(&self, args: &[&str], input: &str) -> Said {
        let mut command = program(args.iter().chain(&["--url", self.url, "--key", self.key]));
        let mut child = command.stdin(Stdio::piped()).spawn().expect("the program runs");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("taken");
        Said::of(child.wait_with_output().expect("it ends"))
    }

    fn ok(&self, args: &[&str]) -> String {
        let said = self.says(args, "");
        assert_eq!(said.code, 0, "{args:?}: {}{}", said.out, said.err);
        said.out
    }
}

fn first_field(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.split_whitespace().next()).collect()
}

#[test]
fn of_files_in_the_first_hour() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let data = dir.path().join("data");
    let mut server = Running::serve(&data, &[]);
    let url = server.url();
    let key = fs::read_to_string(data.join("admin.key")).expect("the first key").trim().to_owned();
    let nexus = Nexus { url: &url, key: &key };
    let begun = status_kb(server.pid(), "VmHWM:");

    // 9: content, size, version, owner, time.
    assert_eq!(nexus.says(&["put", "-", "/workspace/a.txt"], "hi\n").code, 0);
    assert_eq!(nexus.ok(&["cat", "/workspace/a.txt"]), "hi\n");
    let long = nexus.ok(&["ls", "-l", "/workspace"]);
    assert!(long.starts_with("3  20") && long.ends_with("  a.txt\n"), "{long}");
    let log = nexus.ok(&["log", "/workspace/a.txt"]);
    assert!(log.starts_with("v1") && log.contains("user:admin"), "{log}");

    // 10: two versions, what differs, and a third that is the first.
    assert_eq!(nexus.says(&["put", "-", "/workspace/a.txt"], "ho\n").code, 0);
    assert_eq!(first_field(&nexus.ok(&["log", "/workspace/a.txt"])), ["v2", "v1"]);
    let diff = nexus.says(&["diff", "/workspace/a.txt"], "");
    assert!(diff.code == 1 && diff.out.contains("\n-hi\n+ho\n"), "{}{}", diff.out, diff.err);
    nexus.ok(&["rollback", "/workspace/a.txt", "1"]);
    assert_eq!(first_field(&nexus.ok(&["log", "/workspace/a.txt"])), ["v3", "v2", "v1"]);
    assert_eq!(nexus.ok(&["cat", "/workspace/a.txt"]), "hi\n");

    // 11: a directory that is removed says how it comes back, and comes back.
    for name in ["1", "deep/2"] {
        assert_eq!(nexus.says(&["put", "-", &format!("/workspace/x/{name}")], name).code, 0);
    }
    let gone = nexus.says(&["rm", "-r", "/workspace/x"], "");
    assert_eq!((gone.code, gone.err.as_str()), (0, "undo: nexus-lite undo /workspace/x\n"));
    assert_eq!(nexus.ok(&["ls", "/workspace"]), "a.txt\n");
    nexus.ok(&["undo", "/workspace/x"]);
    assert_eq!(nexus.ok(&["cat", "/workspace/x/deep/2"]), "deep/2");
    assert_ne!(nexus.says(&["undo", "/workspace/x"], "").code, 0, "nothing is missing of it");

    large(&nexus, dir.path());
    let peak = status_kb(server.pid(), "VmHWM:");
    let looked_at = number("NEXUS_LITE_SOAK").is_some();
    assert!(!looked_at || peak < begun + GROWTH_MAX_KB, "the server had {peak} KiB, {begun} when it had started");
    assert_eq!(server.stop().0, 0);
}

/// 12: up and down, with the same hash, and a part of it.
fn large(nexus: &Nexus<'_>, dir: &Path) {
    let bytes = if number("NEXUS_LITE_SOAK").is_some() { LARGE_BYTES_SOAK } else { LARGE_BYTES };
    let (up, down) = (dir.join("up.bin"), dir.join("down.bin"));
    let mut body = vec![0; bytes];
    blake3::Hasher::new().finalize_xof().fill(&mut body);
    fs::write(&up, &body).expect("written");
    nexus.ok(&["put", arg(&up), "/workspace/large.bin"]);
    nexus.ok(&["get", "/workspace/large.bin", arg(&down)]);
    let mut hasher = blake3::Hasher::new();
    let mut file = fs::File::open(&down).expect("fetched");
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece).expect("read") {
            0 => break,
            some => drop(hasher.update(&piece[..some])),
        }
    }
    assert_eq!(hasher.finalize(), blake3::hash(&body));
    let mut client = Client::new(address(nexus.url), None);
    let (bearer, range) = (format!("Bearer {}", nexus.key), format!("bytes={}-{}", bytes / 2, bytes / 2 + 99_999));
    let headers = [("Authorization", bearer.as_str()), ("Range", range.as_str())];
    let part = client.exchange(&request("GET", "/files/workspace/large.bin", &headers, b"")).expect("an answer");
    assert_eq!(part.status, 206);
    assert!(part.body == body[bytes / 2..bytes / 2 + 100_000], "the part that was asked for");
}
