//! The data directory as the operating system sees it: modes, owner, lock, backups, leftovers.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::Lines;
use crate::app::ADMIN_KEY_FILE;
use crate::auth::SECRET_FILE;
use crate::config::Config;
use crate::model::time::parse_iso;
use crate::model::{Clock as _, SystemClock};
use crate::store::backup::{self, BACKUPS_DIR};
use crate::store::inspect::{Inspection, Lock, State};
use crate::store::space;

const TOPIC: &str = "directory";
/// Bits of a mode that let others in.
const OTHERS: u32 = 0o077;
/// A newest backup older than this is a warning, days.
const BACKUP_DAYS: i64 = 7;
/// Less free space than this is a warning, bytes: twice what the log may take.
const FREE_MIN: u64 = 128 << 20;
/// µs of an hour.
const HOUR_US: i64 = 3_600_000_000;

/// Looks at it.
pub(super) fn look(config: &Config, found: &Inspection, lines: &mut Lines) {
    let dir = &config.data_dir;
    match &found.state {
        State::Missing => {
            let remedy = "name the directory of a server with --data-dir, or make one: nexus-lite serve";
            return lines.warn(TOPIC, format!("{} is not there", dir.display()), remedy);
        }
        State::Unreadable(why) => {
            let remedy = "run this as the user of the server, or give the directory back to it with chown";
            return lines.fail(TOPIC, format!("{} cannot be read: {why}", dir.display()), remedy);
        }
        _ => {}
    }
    match std::fs::metadata(dir) {
        Ok(about) => modes(dir, &about, lines),
        Err(e) => lines.fail(TOPIC, format!("{} cannot be looked at: {e}", dir.display()), "see the cause"),
    }
    disk(dir, lines);
    secret(config, found, lines);
    lock(&found.lock, lines);
    backups(dir, found, lines);
    leftovers(dir, lines);
}

fn modes(dir: &Path, about: &Metadata, lines: &mut Lines) {
    let (mode, shown) = (about.permissions().mode() & 0o7777, dir.display());
    match mode & OTHERS {
        0 => lines.ok(TOPIC, format!("{shown}, mode {mode:04o}")),
        _ => {
            lines.warn(TOPIC, format!("{shown} has mode {mode:04o}: others can look in"), format!("chmod 700 {shown}"))
        }
    }
    let (owner, we) = (about.uid(), rustix::process::geteuid().as_raw());
    if owner != we {
        lines.warn(
            TOPIC,
            format!("{shown} belongs to user {owner}, and this is user {we}: what this user makes there, the other cannot write"),
            "run the server and its commands as one user",
        );
    }
}

/// The file system below it: space, and whether it is one that a database can live on.
fn disk(dir: &Path, lines: &mut Lines) {
    let look = match space::look(dir) {
        Ok(look) => look,
        Err(error) => return lines.warn("disk", error.to_string(), "see the cause"),
    };
    let (free, kind) = (look.free, look.kind_name());
    let what = format!("{} MiB free of {} MiB, {kind}", free >> 20, look.total >> 20);
    match free < FREE_MIN {
        true => lines.warn("disk", what, "free some space: below a limit only deletes are taken"),
        false => lines.ok("disk", what),
    }
    if look.is_network() {
        let what = format!("{kind} is a network file system, whose locks and syncs a database cannot rely on");
        lines.warn("disk", what, "use a --data-dir on a local disk");
    }
}

/// The files that nobody else may read.
fn secret(config: &Config, found: &Inspection, lines: &mut Lines) {
    let dir = &config.data_dir;
    let keys = match &found.state {
        State::Readable(facts) => facts.keys.all,
        _ => 0,
    };
    for name in [SECRET_FILE, ADMIN_KEY_FILE] {
        let path = dir.join(name);
        let shown = path.display();
        match std::fs::metadata(&path) {
            Ok(about) if about.permissions().mode() & OTHERS != 0 => {
                let mode = about.permissions().mode() & 0o7777;
                lines.fail("secrets", format!("{shown} has mode {mode:04o}: others can read it"), {
                    format!("chmod 600 {shown}, and if others are on this machine, make new keys")
                });
            }
            Ok(_) if name == ADMIN_KEY_FILE => lines.note(
                "secrets",
                format!("{shown} holds the key of the first admin, in the clear"),
                "keep it elsewhere and remove the file; the server does not need it",
            ),
            Ok(_) => lines.ok("secrets", format!("{shown}, mode 0600")),
            Err(_) if name == SECRET_FILE && keys > 0 && config.server_secret.is_none() => lines.warn(
                "secrets",
                format!("{shown} is missing, and {keys} keys were made with it: none is known at the next start"),
                "put the file back, or make new keys: nexus-lite key create --instance-admin",
            ),
            Err(_) => {}
        }
    }
}

fn lock(lock: &Lock, lines: &mut Lines) {
    match lock {
        Lock::Never => lines.ok("lock", "no server has used this directory"),
        Lock::Free => lines.ok("lock", "no server runs here"),
        Lock::Held { pid, since } => {
            let since = since.as_ref().map_or_else(String::new, |since| format!(" since {since}"));
            lines.ok("lock", format!("a server runs here: pid {pid}{since}"));
        }
        Lock::Unknown(why) => lines.fail("lock", format!("it cannot be asked for: {why}"), "see the cause"),
    }
}

fn backups(dir: &Path, found: &Inspection, lines: &mut Lines) {
    if !matches!(found.state, State::Readable(_)) {
        return;
    }
    let root = dir.join(BACKUPS_DIR);
    let remedy = "make one: nexus-lite backup now, and keep one on another disk: nexus-lite backup now --file FILE";
    let list = match backup::list(&root) {
        Ok(list) => list,
        Err(error) => return lines.warn("backups", format!("they cannot be listed: {error}"), "see the cause"),
    };
    let Some(newest) = list.last() else {
        return lines.note("backups", format!("none in {}", root.display()), remedy);
    };
    let hours = parse_iso(&newest.manifest.created_at).map_or(0, |at| (SystemClock.now_us() - at) / HOUR_US);
    let what = format!(
        "{}, the newest of revision {} is {hours} hours old; all on the disk of the data",
        list.len(),
        newest.manifest.rev
    );
    match hours < BACKUP_DAYS * 24 {
        true => lines.ok("backups", what),
        false => lines.warn("backups", what, remedy),
    }
}

/// What earlier commands have left.
fn leftovers(dir: &Path, lines: &mut Lines) {
    let partial = backup::partial_leftovers(&dir.join(BACKUPS_DIR));
    if !partial.is_empty() {
        let what = format!("{} that were cut short in {}", partial.len(), dir.join(BACKUPS_DIR).display());
        lines.note("backups", what, "if no backup is being made now, remove those whose name begins with .partial-");
    }
    let named = |folder: &Path, part: &str| -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|e| e.file_name().to_string_lossy().into_owned()).filter(|name| name.contains(part)).collect()
    };
    for name in named(dir, ".before-migration-") {
        lines.note("leftovers", format!("{name}: the database before a migration"), "remove it when all is well");
    }
    let (parent, own) = (dir.parent().unwrap_or(dir), dir.file_name().unwrap_or_default().to_string_lossy());
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    for name in named(parent, &format!("{own}.before-restore-")) {
        lines.note("leftovers", format!("{name}: the directory before a restore"), "remove it when all is well");
    }
    for name in named(parent, &format!("{own}.restoring")) {
        lines.note("leftovers", format!("{name}: a restore that was cut short"), "restore again, or remove it");
    }
}
