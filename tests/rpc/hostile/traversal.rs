//! Paths that lead elsewhere, if anybody decodes, folds or resolves them.

use std::collections::BTreeSet;

use nexus_lite::model::VirtualPath;
use nexus_lite::rpc::Access;
use nexus_lite::store::{Sql, StoreError};
use serde_json::Value;

use super::{FOREIGN, GOOD, HOME, leaks, parameters, places, request, world};
use crate::harness::world::{Who, World};
use crate::rpc::write;

/// What somebody somewhere takes for "the directory above".
const DOTS: &[&str] = &[
    "..",
    ".",
    "...",
    "....",
    ". .",
    ".. ",
    " ..",
    "..;",
    "..\u{0}",
    "..%00",
    "..\t",
    "..\n",
    "%2e%2e",
    "%2E.",
    ".%2e",
    "%252e%252e",
    "%c0%ae%c0%ae",
    "\\u002e\\u002e",
    "&#46;&#46;",
    "\u{2025}",
    "\u{2024}\u{2024}",
    "\u{ff0e}\u{ff0e}",
    "\u{fe52}\u{fe52}",
    "\u{3002}\u{3002}",
    ".\u{200b}.",
    "..\u{feff}",
    "\u{202e}..",
    ".\u{301}.\u{301}",
    "~",
    "{..,}",
];

/// What somebody somewhere takes for a slash.
const SLASHES: &[&str] = &[
    "/", "//", "/./", "\\", "\\\\", "/\\", "%2f", "%2F", "%5c", "%252f", "%c0%af", "\u{2215}", "\u{2044}", "\u{ff0f}",
];

/// Those that are none of a dot and a slash.
fn others() -> Vec<String> {
    let mut others: Vec<String> = [
        "",
        " ",
        "\t",
        "\0",
        "/\0",
        "\u{feff}/",
        "file:///etc/passwd",
        "file://localhost/tenant:acme/secret/file",
        "http://127.0.0.1/etc/passwd",
        "C:\\Windows\\win.ini",
        "\\\\host\\share\\file",
        "//host/share/file",
        "\\\\?\\C:\\file",
        "/proc/self/root/etc/passwd",
        "/etc/passwd",
        "/dev/null",
        "~root/.ssh/id_rsa",
        "$HOME/x",
        "${HOME}/x",
        "`id`",
        "$(id)",
        "|id",
        "-rf",
        "CON",
        "nul.txt",
        "a::$DATA",
    ]
    .map(str::to_owned)
    .into();
    let here = |name: &str| format!("{HOME}/{name}");
    others.extend(
        ["x.", "x..", "x ", " x", "x/ ", "x\u{a0}", "x\u{3000}", "x\u{7f}", "x\u{85}", "x\u{1b}[31m"].map(here),
    );
    others.extend(
        ["x\r\nSet-Cookie: a=b", "x\u{202e}txt.exe", "\u{d7ff}", "\u{10ffff}", "x;ls", "x%", "_", "*", "[", "{a"]
            .map(here),
    );
    others.extend([here(&"n".repeat(255)), here(&"n".repeat(256)), here(&"n".repeat(4096))]);
    others.extend([here(&"d/".repeat(5000)), here(&"../".repeat(1300)), format!("{HOME}{}", "/".repeat(3000)) + "x"]);
    others
}

/// Every spelling, each once.
fn spellings() -> Vec<String> {
    let mut all = Vec::new();
    for (i, dots) in DOTS.iter().enumerate() {
        for (j, s) in SLASHES.iter().enumerate() {
            // To another tenant's file; to the same by its own name; at the end; doubled and at the beginning.
            all.push(match (i + j) % 4 {
                0 => format!("{HOME}/in{s}{dots}{s}{dots}{s}{dots}{s}tenant:acme{s}secret{s}file"),
                1 => format!("{HOME}/{dots}{s}{dots}{s}tenant:acme{s}secret"),
                2 => format!("{HOME}/in{s}{dots}"),
                _ => format!("{dots}{s}{dots}{s}{dots}{s}{dots}{s}etc{s}passwd"),
            });
        }
    }
    all.extend(others());
    let unique: BTreeSet<String> = all.into_iter().collect();
    unique.into_iter().collect()
}

/// Answers with a result for each item hold their refusals inside.
const PER_ITEM: &[&str] = &["batch_get_content_ids", "delete_bulk", "rename_bulk", "read_bulk"];
/// Patterns and prefixes of texts: no path, but what it is laid over.
const PATTERNS: &[&str] = &["pattern", "file_pattern", "include_patterns", "exclude_patterns", "object_prefix"];
/// Of what no path is written so they say that it is not there.
const SAY_NO: &[(&str, &str)] = &[("exists", r#"{"exists":false}"#), ("is_directory", r#"{"is_directory":false}"#)];
/// Parameters with ids of objects.
const IDS: &[&str] = &["object", "objects", "resource", "checks"];
/// Parameters that are heeded by nobody or belong to the inside of a sandbox, and subjects: an id that names no file has
/// no rights.
const IGNORED: &[&str] = &["mount_path", "prefix", "subject"];

#[tokio::test]
async fn no_spelling_leads_elsewhere() {
    let world = world().await;
    let spellings = spellings();
    assert!(spellings.len() >= 400, "only {} spellings", spellings.len());
    let before = foreign(&world).await;
    let mut wrong = Vec::new();
    for (entry, place, put) in places() {
        let parameters = parameters(entry);
        let is_path = !PER_ITEM.contains(&entry.name) && !PATTERNS.contains(&place) && !IGNORED.contains(&place);
        // A pattern is laid over everything that alice sees: not each of them.
        let step = if PATTERNS.contains(&place) { 10 } else { 1 };
        for spelling in spellings.iter().step_by(step) {
            // An id of the type `file` that begins with no slash is no path, and no file has it.
            let is_path = is_path && (!IDS.contains(&place) || spelling.starts_with('/'));
            let parsed = VirtualPath::parse(spelling);
            let params = request(&parameters, place, put(spelling));
            let answer = world.rpc(Who::Alice, entry.name, params).await;
            let cell = || format!("{} {place} {spelling:?}", entry.name);
            let said = match &answer {
                Ok(result) => result.to_string(),
                Err(failure) => format!("{} {}", failure.message, failure.data),
            };
            if leaks(&said) {
                wrong.push(format!("{}: it tells what is elsewhere: {said}", cell()));
            }
            match &answer {
                Err(failure) if failure.code == -32603 || failure.code == -32018 => {
                    wrong.push(format!("{}: an internal error: {said}", cell()));
                }
                Ok(_) if is_path && parsed.is_err() && !SAY_NO.contains(&(entry.name, said.as_str())) => {
                    wrong.push(format!("{}: taken, though no path is written so: {said}", cell()));
                }
                _ => {}
            }
            if answer.is_ok() && entry.access != Access::Read {
                restore(&world).await;
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong, of them:\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
    assert_eq!(foreign(&world).await, before, "nothing of another tenant came, went or changed");
    let strange: Vec<String> = everything(&world).await.into_iter().filter(|path| is_strange(path)).collect();
    assert_eq!(
        strange,
        Vec::<String>::new(),
        "everything has the path that the validator makes of it, in alice's home"
    );
    let beside = std::fs::read_dir(world.path().parent().expect("a directory of the test")).expect("readable");
    let beside: Vec<_> = beside.map(|entry| entry.expect("readable").file_name()).collect();
    assert_eq!(beside, ["data"], "nothing was made beside the data directory");
}

/// Whoever crosses tenants is bound by the same rules of paths, and comes to no file of the machine.
#[tokio::test]
async fn the_instance_admin_stays_in_the_tree() {
    let world = world().await;
    let mut wrong = Vec::new();
    for (entry, place, put) in places() {
        let parameters = parameters(entry);
        let rare = entry.access != Access::Admin && place != "mount_point";
        for spelling in spellings().iter().step_by(if rare { 25 } else { 1 }) {
            let params = request(&parameters, place, put(spelling));
            let answer = world.rpc(Who::Instance, entry.name, params).await;
            match &answer {
                Err(failure) if failure.code == -32603 || failure.code == -32018 => {
                    wrong.push(format!("{} {place} {spelling:?}: {}", entry.name, failure.message));
                }
                Ok(result) if result.to_string().contains("root:x:0") => {
                    wrong.push(format!("{} {place} {spelling:?}: a file of the machine", entry.name));
                }
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    // An id of the type `file` that begins with no slash is no path and names no file.
    let unnormal = |path: &String| path.starts_with('/') && !VirtualPath::parse(path).is_ok_and(|p| p.as_str() == path);
    let strange: Vec<String> = everything(&world).await.into_iter().filter(unnormal).collect();
    assert_eq!(strange, Vec::<String>::new());
}

/// What methods with two paths take is there again.
async fn restore(world: &World) {
    let exists = world.rpc(Who::Alice, "exists", serde_json::json!({"path": GOOD})).await.expect("an answer");
    if exists["exists"] != true {
        write(world, Who::Alice, GOOD, "good").await;
    }
}

/// Whether a path is not as the validator makes it, or lies in the home of nobody who was there.
fn is_strange(path: &str) -> bool {
    let normal = VirtualPath::parse(path).is_ok_and(|normal| normal.as_str() == path);
    let home = VirtualPath::parse(HOME).expect("a path");
    let here = VirtualPath::parse(path).is_ok_and(|path| home.contains(&path) || path.contains(&home));
    let known = FOREIGN.starts_with(path);
    !normal || !(here || known)
}

/// The paths of all nodes, and of all files that permissions know of.
async fn everything(world: &World) -> Vec<String> {
    let listed =
        crate::rpc::ok(world, Who::Instance, "list", serde_json::json!({"path": "/", "recursive": true})).await;
    let mut paths = crate::rpc::paths(&listed);
    let read = world.store.read(|tx| {
        let granted =
            "SELECT e.name FROM entities e JOIN tuples t ON t.object = e.id WHERE e.type = 'file' ORDER BY e.name";
        let registered = "SELECT path FROM workspaces ORDER BY path";
        let mut found = tx.query(granted, &[], |row| row.string(0))?;
        found.extend(tx.query(registered, &[], |row| row.string(0))?);
        Ok::<_, StoreError>(found)
    });
    paths.extend(read.await.expect("a read"));
    paths
}

/// What the other tenant has.
async fn foreign(world: &World) -> Value {
    let params = serde_json::json!({"path": "/tenant:acme", "recursive": true, "details": true});
    crate::rpc::ok(world, Who::OtherAdmin, "list", params).await
}
