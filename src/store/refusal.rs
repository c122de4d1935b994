//! What stands in the way of a start, in words: damage, files that lie there and others that are missing, directories
//! that cannot be used.
//!
//! Owns the texts that tell an operator what to do, with the command to type. Must never change a file: what is refused
//! stays as it was found.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rusqlite::ErrorCode;

use super::backend::EngineError;
use super::backup::{self, BACKUPS_DIR};
use super::blobs::BLOBS_DIR;
use super::error::{Place, StoreError};
use super::open::WAL_FILE;
use super::space::{Probe, START_BYTES};

/// A log of this size or less holds no commit: its header alone.
const WAL_HEADER_BYTES: u64 = 32;
/// The file with the secret that keys are hashed with: who has one was a server before.
const SECRET_FILE: &str = "server.secret";

/// Refuses to begin anew where a database was: SQLite would throw its log away in silence.
pub(super) fn lost_database(database: &Path, empty: bool) -> Result<(), StoreError> {
    let dir = database.parent().unwrap_or(database);
    let what = if empty { "it is empty" } else { "it is missing" };
    let log = std::fs::metadata(database.with_file_name(WAL_FILE)).map_or(0, |log| log.len());
    let mut signs = Vec::new();
    if log > WAL_HEADER_BYTES {
        signs.push(WAL_FILE);
    }
    // A creation that was cut short leaves an empty file, and nothing beside it.
    if empty {
        let used = |name: &&&str| dir.join(name).exists();
        signs.extend([BLOBS_DIR, SECRET_FILE, BACKUPS_DIR].iter().filter(used));
    }
    if signs.is_empty() {
        return Ok(());
    }
    Err(StoreError::Unusable {
        path: database.display().to_string(),
        what: format!("{what}, and what belongs to it is there ({})", signs.join(", ")),
        remedy: format!("{}. To begin anew, give another --data-dir", restore_command(dir)),
    })
}

/// Says what to do about a database that cannot be opened, because it is damaged or holds what this program cannot
/// make sense of; an error of the machine stays what it is.
pub(super) fn damaged(database: &Path, error: StoreError) -> StoreError {
    let word = match &error {
        damage if damage.is_damage() => "is damaged",
        StoreError::Sql { source, .. } if !is_of_the_machine(source) => "cannot be opened",
        _ => return error,
    };
    StoreError::Unusable {
        path: database.display().to_string(),
        what: format!("it {word} ({error})"),
        remedy: restore_command(database.parent().unwrap_or(database)),
    }
}

/// Whether an error says something of memory, disks, locks and rights, and nothing of what is in the file.
fn is_of_the_machine(error: &EngineError) -> bool {
    use ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, FileLockingProtocolFailed, NoLargeFileSupport, OutOfMemory,
        PermissionDenied, ReadOnly, SystemIoFailure,
    };
    let machine = [CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, FileLockingProtocolFailed, NoLargeFileSupport];
    let rights = [OutOfMemory, PermissionDenied, ReadOnly, SystemIoFailure];
    error.lite_code().is_some_and(|code| machine.contains(&code) || rights.contains(&code))
}

/// Whether the header of a database says that it can be read and written: otherwise SQLite would call it read-only, as
/// it calls a file without the right to write.
pub(super) fn knows_format(header: &[u8]) -> bool {
    header.get(18..20).is_some_and(|versions| versions.iter().all(|version| matches!(version, 1 | 2)))
}

/// The way back from the newest backup, as a command to type.
fn restore_command(dir: &Path) -> String {
    let root = dir.join(BACKUPS_DIR);
    let newest = backup::list(&root).unwrap_or_default().pop();
    let (which, path) = match newest {
        Some(backup) => {
            (format!("Restore a backup; the newest here is of {}", backup.manifest.created_at), backup.path)
        }
        None => (format!("Restore a backup; there is none in {}", root.display()), "BACKUP".into()),
    };
    format!(
        "Nothing was changed. {which}: nexus-lite restore {} --data-dir {} (the directory as it is will be kept beside it)",
        path.display(),
        dir.display()
    )
}

/// Says what to do about a directory that cannot be used; any other error stays what it is.
pub(super) fn place(dir: &Path, probe: &dyn Probe, error: StoreError) -> StoreError {
    let refused =
        |place, what, remedy: String| StoreError::Unsuitable { place, path: dir.display().to_string(), what, remedy };
    let text = error.to_string();
    match reason(dir, probe, &error) {
        None => error,
        Some(Place::NoSpace) => {
            let free = probe.look(dir).map_or(0, |look| look.free);
            let what = format!("no space is left to start with ({free} bytes are free)");
            let remedy =
                "Free some on that disk, at least 1 MiB, then start again; nothing that was acknowledged is lost";
            refused(Place::NoSpace, what, remedy.into())
        }
        Some(Place::NotDirectory) => {
            refused(Place::NotDirectory, format!("it cannot be a directory ({text})"), "Give another --data-dir".into())
        }
        Some(place) => {
            let own = rustix::process::geteuid().as_raw();
            let owner = std::fs::metadata(dir).map_or(own, |dir| dir.uid());
            let remedy = if owner == own {
                "Make it writable (mount options, attributes, permissions), or give another --data-dir".into()
            } else {
                format!("It belongs to uid {owner} and this process has {own}: start it as the owner, or chown it")
            };
            refused(place, format!("it cannot be written to ({text})"), remedy)
        }
    }
}

/// Which of the reasons `error` is.
fn reason(dir: &Path, probe: &dyn Probe, error: &StoreError) -> Option<Place> {
    use std::io::ErrorKind;
    let no_space = || probe.look(dir).is_ok_and(|look| look.free < START_BYTES);
    match error {
        StoreError::Full => Some(Place::NoSpace),
        StoreError::Io { source, .. } => match source.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Some(Place::NotWritable),
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists | ErrorKind::IsADirectory => Some(Place::NotDirectory),
            _ => None,
        },
        StoreError::Sql { source, .. } => match source.lite_code()? {
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Some(Place::NotWritable),
            // The index of the log is made when the database is opened.
            ErrorCode::SystemIoFailure | ErrorCode::CannotOpen if no_space() => Some(Place::NoSpace),
            ErrorCode::CannotOpen => Some(Place::NotWritable),
            _ => None,
        },
        _ => None,
    }
}
