//! What a directory of a machine may hold: links, pipes, names that are none, files that change under the reader.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::super::*;
use super::{MNT, has, mounted, put, synced};
use crate::harness::world::World;

/// Syncs while somebody changes the directory under them.
const RACES: usize = 15;

fn errors(result: &Value) -> Vec<&str> {
    result["errors"].as_array().expect("a list").iter().map(|error| error.as_str().expect("a text")).collect()
}

#[tokio::test]
async fn links_and_special_files_are_told_and_not_opened() {
    let world = World::new().await;
    let host = mounted(&world, false).await;
    let outside = world.path().with_file_name("outside");
    std::fs::create_dir(&outside).expect("a directory");
    std::fs::write(outside.join("secret.txt"), "secret").expect("a file");
    put(&host, "plain.txt", "plain");
    put(&host, "d/plain.txt", "plain");
    symlink("/etc/passwd", host.join("passwd")).expect("a link");
    symlink(&outside, host.join("out")).expect("a link");
    symlink("../../outside/secret.txt", host.join("d/up")).expect("a link");
    symlink("plain.txt", host.join("inside")).expect("a link");
    symlink("/proc/self/root/etc/passwd", host.join("magic")).expect("a link");
    symlink("nowhere", host.join("dangling")).expect("a link");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        host.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o666),
        0,
    )
    .expect("a pipe");
    let _socket = std::os::unix::net::UnixListener::bind(host.join("socket")).expect("a socket");
    let result = synced(&world).await;
    has(&result, json!({"files_created": 2, "conflicts": 0}));
    let mut errors = errors(&result);
    errors.sort_unstable();
    let link = "a symbolic link, which is not followed";
    let wanted = [
        format!("{MNT}/d/up: {link}"),
        format!("{MNT}/dangling: {link}"),
        format!("{MNT}/inside: {link}"),
        format!("{MNT}/magic: {link}"),
        format!("{MNT}/out: {link}"),
        format!("{MNT}/passwd: {link}"),
        format!("{MNT}/pipe: not a regular file"),
        format!("{MNT}/socket: not a regular file"),
    ];
    assert_eq!(errors, wanted);
    assert_eq!(
        list(&world, Who::Instance, MNT, true).await,
        [format!("{MNT}/d/plain.txt"), format!("{MNT}/plain.txt")]
    );
    // A file whose place a link takes is not removed from the tree: nothing is known about it.
    std::fs::remove_file(host.join("plain.txt")).expect("removed");
    symlink("/etc/passwd", host.join("plain.txt")).expect("a link");
    std::fs::remove_dir_all(host.join("d")).expect("removed");
    symlink(&outside, host.join("d")).expect("a link");
    has(&synced(&world).await, json!({"files_updated": 0, "files_deleted": 0}));
    for name in ["plain.txt", "d/plain.txt"] {
        assert_eq!(read(&world, Who::Instance, &format!("{MNT}/{name}")).await, "plain");
    }
    // Nor does the way back lead through one.
    write(&world, Who::Instance, "/mnt/host/plain.txt", "of the tree").await;
    write(&world, Who::Instance, "/mnt/host/d/new.txt", "of the tree").await;
    let result = synced(&world).await;
    has(&result, json!({"files_written_back": 0}));
    let names: Vec<_> = std::fs::read_dir(&outside).expect("there").map(|e| e.expect("there").file_name()).collect();
    assert_eq!(names, ["secret.txt"]);
}

#[tokio::test]
async fn names_that_the_tree_cannot_have_are_told() {
    let world = World::new().await;
    let host = mounted(&world, false).await;
    put(&host, "cafe\u{301}", "two letters");
    put(&host, "caf\u{e9}", "one letter");
    put(&host, "a_b%c*", "signs");
    put(&host, "..hidden", "dots");
    std::fs::write(host.join(std::ffi::OsStr::from_bytes(b"no\xff\xfeutf8")), "x").expect("a file");
    for odd in ["a\nb", "\u{7f}", " before", "after ", "\u{85}"] {
        put(&host, odd, "odd");
    }
    put(&host, " d/inside", "odd");
    let result = synced(&world).await;
    has(&result, json!({"files_created": 4, "conflicts": 0}));
    let errors = errors(&result);
    assert_eq!(errors.len(), 7, "{errors:?}");
    assert!(errors.contains(&r"/mnt/host/no\xff\xfeutf8: reading a name: the name is no UTF-8"), "{errors:?}");
    for (what, count) in [("whitespace", 2), ("invalid character", 2), ("cannot have this name", 2)] {
        assert_eq!(errors.iter().filter(|e| e.contains(what)).count(), count, "{errors:?}");
    }
    assert_eq!(read(&world, Who::Instance, "/mnt/host/cafe\u{301}").await, "two letters");
    assert_eq!(read(&world, Who::Instance, "/mnt/host/caf\u{e9}").await, "one letter");
    has(&synced(&world).await, json!({"cache_skipped": 4, "files_created": 0, "files_deleted": 0}));
}

#[tokio::test]
async fn what_is_too_large_is_told() {
    let world = World::new().await;
    let host = mounted(&world, false).await;
    put(&host, "small", "small");
    let large = std::fs::File::create(host.join("large")).expect("a file");
    large.set_len(nexus_lite::service::mounts::sync::FILE_BYTES_MAX + 1).expect("a hole");
    let result = synced(&world).await;
    has(&result, json!({"files_scanned": 2, "files_created": 1}));
    assert_eq!(errors(&result), ["/mnt/host/large: larger than 67108864 bytes"]);
}

#[tokio::test]
async fn hard_links_are_files_of_their_own() {
    let world = World::new().await;
    let host = mounted(&world, false).await;
    put(&host, "one", "both");
    std::fs::hard_link(host.join("one"), host.join("two")).expect("a link");
    has(&synced(&world).await, json!({"files_created": 2, "errors": []}));
    write(&world, Who::Instance, "/mnt/host/one", "only one").await;
    has(&synced(&world).await, json!({"files_written_back": 1, "errors": []}));
    assert_eq!(std::fs::read(host.join("one")).expect("there"), b"only one");
    assert_eq!(std::fs::read(host.join("two")).expect("there"), b"both", "the other name is another file now");
}

#[tokio::test]
async fn a_file_and_a_directory_change_places() {
    let world = World::new().await;
    let host = mounted(&world, false).await;
    put(&host, "a", "a file");
    put(&host, "b/c/d", "in a directory");
    has(&synced(&world).await, json!({"files_created": 2, "errors": []}));
    std::fs::remove_file(host.join("a")).expect("removed");
    std::fs::remove_dir_all(host.join("b")).expect("removed");
    put(&host, "a/below", "now a directory");
    put(&host, "b", "now a file");
    has(&synced(&world).await, json!({"files_created": 2, "files_deleted": 2, "errors": []}));
    assert_eq!(list(&world, Who::Instance, MNT, true).await, ["/mnt/host/a/below", "/mnt/host/b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_becomes_a_link_during_a_sync_leads_nowhere() {
    let world = World::new().await;
    let host = mounted(&world, false).await;
    let outside = world.path().with_file_name("outside");
    std::fs::create_dir(&outside).expect("a directory");
    std::fs::write(outside.join("file.txt"), "secret").expect("a file");
    for at in 0..20 {
        put(&host, &format!("real/{at}.txt"), "plain");
    }
    put(&host, "real/file.txt", "plain");
    symlink(&outside, host.join("link")).expect("a link");
    let over = Arc::new(AtomicBool::new(false));
    let swapping = std::thread::spawn({
        let (host, over) = (host.clone(), Arc::clone(&over));
        move || {
            let swap = |a: &str, b: &str| {
                use rustix::fs::{CWD, RenameFlags, renameat_with};
                renameat_with(CWD, host.join(a), CWD, host.join(b), RenameFlags::EXCHANGE).expect("exchanged");
            };
            while !over.load(Ordering::Relaxed) {
                swap("real", "link");
            }
        }
    });
    for at in 0..RACES {
        synced(&world).await;
        let tree = list(&world, Who::Instance, MNT, true).await;
        for path in tree {
            assert_eq!(read(&world, Who::Instance, &path).await, "plain", "{path}, round {at}");
        }
    }
    over.store(true, Ordering::Relaxed);
    swapping.join().expect("the other thread");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_changes_while_it_is_read_is_what_was_read() {
    let world = World::new().await;
    let host = mounted(&world, false).await;
    put(&host, "file", vec![b'a'; 300_000]);
    let over = Arc::new(AtomicBool::new(false));
    let changing = std::thread::spawn({
        let (path, over) = (host.join("file"), Arc::clone(&over));
        move || {
            let mut round = 0;
            while !over.load(Ordering::Relaxed) {
                round += 1;
                std::fs::write(&path, vec![b'a' + (round % 20) as u8; 200_000 + round * 37 % 100_000])
                    .expect("written");
            }
        }
    });
    for _ in 0..RACES {
        let result = synced(&world).await;
        has(&result, json!({"conflicts": 0, "errors": []}));
        let got = ok(&world, Who::Instance, "read", json!({"path": "/mnt/host/file", "return_metadata": true})).await;
        let body = text_of(&got["content"]);
        assert_eq!(got["etag"], json!(blake3::hash(body.as_bytes()).to_hex().to_string()));
    }
    over.store(true, Ordering::Relaxed);
    changing.join().expect("the other thread");
    synced(&world).await;
    let last = std::fs::read(host.join("file")).expect("there");
    assert_eq!(
        read(&world, Who::Instance, "/mnt/host/file").await.as_bytes(),
        last,
        "the last one comes with the next sync"
    );
}
