//! The program and its engine, the database, and what a scrub has found.

use super::{Level, Lines};
use crate::store::inspect::{self, Facts, Inspection, Keys, Lock, State};
use crate::store::scrub::Scrubbed;

const TOPIC: &str = "database";
/// A log larger than this is not being moved, bytes: four times the size at which it should be.
const WAL_BYTES_MAX: u64 = 64 << 20;

/// This program.
pub(super) fn program(lines: &mut Lines) {
    let schema = inspect::schema_version();
    lines.ok("program", format!("nexus-lite {}, schema version {schema}", env!("CARGO_PKG_VERSION")));
    match inspect::engine() {
        Ok((version, true, missing)) => {
            lines.ok("program", format!("SQLite {version}"));
            if !missing.is_empty() {
                let what = format!("SQLite was compiled without {}; it is slower", missing.join(", "));
                lines.warn("program", what, "build inside the checkout, whose .cargo/config.toml sets the options");
            }
        }
        Ok((version, false, _)) => lines.fail(
            "program",
            format!("SQLite {version} is older than 3.51.3, which can damage a database"),
            "build with the lock file of the project",
        ),
        Err(error) => lines.fail("program", format!("SQLite does not answer: {error}"), "build anew"),
    }
}

/// The database of the directory.
pub(super) fn look(found: &Inspection, lines: &mut Lines) {
    match &found.state {
        // Said of the directory.
        State::Missing | State::Unreadable(_) => {}
        State::Empty => {
            let remedy = "name the directory of a server with --data-dir, or make one: nexus-lite serve";
            lines.warn(TOPIC, "there is none in the directory", remedy);
        }
        State::CutShort => {
            lines.warn(TOPIC, "its making was cut short, and it holds nothing", "start the server: it begins anew")
        }
        State::Unusable { what, remedy } => lines.fail(TOPIC, what.clone(), remedy.clone()),
        State::Readable(facts) => readable(found, facts, lines),
    }
}

fn readable(found: &Inspection, facts: &Facts, lines: &mut Lines) {
    let runs = matches!(found.lock, Lock::Held { .. });
    lines.ok(TOPIC, format!("{} bytes, revision {}", found.database_bytes, facts.rev));
    let ours = inspect::schema_version();
    match facts.schema == ours {
        true => lines.ok(TOPIC, format!("schema version {ours}")),
        false => lines.note(
            TOPIC,
            format!("schema version {}, this program has {ours}", facts.schema),
            "the next start makes a copy and migrates; until then an older program can use it",
        ),
    }
    if !facts.schema_differs.is_empty() {
        let what = format!("its schema is not what our migrations make: {}", facts.schema_differs.join(", "));
        lines.fail(TOPIC, what, super::restore(&found.data_dir));
    }
    match &facts.quick_check {
        None => lines.note(TOPIC, "it is large and was not looked through", "nexus-lite doctor --scrub"),
        Some(said) if said.is_empty() => lines.ok(TOPIC, "its structure is sound (quick_check)"),
        Some(said) => lines.fail(TOPIC, format!("it is damaged: {}", said.join("; ")), super::restore(&found.data_dir)),
    }
    log(found, facts, runs, lines);
    let rows = facts.rows.iter().map(|(table, count)| format!("{table} {count}")).collect::<Vec<_>>().join(", ");
    lines.ok("rows", rows);
    keys(&facts.keys, lines);
}

fn log(found: &Inspection, facts: &Facts, runs: bool, lines: &mut Lines) {
    let bytes = found.wal_bytes;
    match (runs, bytes > WAL_BYTES_MAX) {
        (true, true) => lines.warn(
            "log",
            format!("the write-ahead log has {bytes} bytes: a reader holds an old state, or the disk is slow"),
            "look for long reads; the log is cut back when they end",
        ),
        (true, false) => lines.ok("log", format!("the write-ahead log has {bytes} bytes")),
        (false, _) if facts.clean_shutdown && bytes == 0 => lines.ok("log", "the last run ended as it should"),
        (false, _) if facts.relaxed => lines.warn(
            "log",
            "the last run was cut short with durability = relaxed: if the power went, its newest writes may be lost",
            "start the server: it recovers by itself; then compare with what was acknowledged",
        ),
        (false, _) => lines.note(
            "log",
            format!("the last run was cut short; {bytes} bytes of its log are recovered"),
            "nothing to do: the next start does it",
        ),
    }
}

fn keys(keys: &Keys, lines: &mut Lines) {
    let Keys { all, revoked, expired, instance_admins } = keys;
    let what =
        format!("{all}, of them {revoked} revoked, {expired} expired; {instance_admins} live of instance admins");
    match (*instance_admins, *expired) {
        (0, _) => lines.warn("keys", what, "make one with the server stopped: nexus-lite key create --instance-admin"),
        (_, 0) => lines.ok("keys", what),
        _ => lines.note("keys", what, "revoke what is not needed any more: nexus-lite key revoke KEY_ID"),
    }
}

/// What the scrub has found.
pub(super) fn scrubbed(found: &Scrubbed, lines: &mut Lines) {
    for violation in &found.report.violations {
        let remedy = "restore a backup; if there is none, send this line with the log to the maintainers";
        lines.fail("rules", format!("{}: {}", violation.rule, violation.what), remedy);
    }
    if found.report.violations.is_empty() {
        lines.ok("rules", format!("all {} hold", found.report.rules));
    }
    for damaged in &found.damaged {
        let holders = if damaged.holders.is_empty() { "no file".into() } else { damaged.holders.join(", ") };
        let what = format!("{holders}: {}", damaged.what);
        lines.fail("bodies", what, "write the file anew, or restore a backup that has it; reads of it are refused");
    }
    let told = found.damaged.len() as u64;
    if found.damaged_count > told {
        let what = format!("{} more are damaged", found.damaged_count - told);
        lines.fail("bodies", what, "restore a backup");
    }
    let (inline, blobs) = (found.inline, found.blobs);
    let level = if found.interrupted { Level::Warning } else { Level::Ok };
    let ended = if found.interrupted { "; ended before its end" } else { "" };
    let what = format!(
        "{} in the database ({} bytes) and {} blob files ({} bytes) were read at revision {}, {} damaged{ended}",
        inline.count, inline.bytes, blobs.count, blobs.bytes, found.rev, found.damaged_count
    );
    lines.add(level, "bodies", what).remedy = found.interrupted.then(|| "run it to its end".into());
    if found.orphans.count > 0 {
        let what = format!("{} blob files that no row names, {} bytes", found.orphans.count, found.orphans.bytes);
        lines.note("files", what, "nothing to do: left by writes that were never acknowledged, or just being written");
    }
    if found.partial.count > 0 {
        let what = format!(
            "{} files that are being written or were cut short, {} bytes",
            found.partial.count, found.partial.bytes
        );
        lines.note("files", what, "nothing to do: the next start clears them");
    }
}
