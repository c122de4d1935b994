//! The walk over the host: on a thread of its own, and never further ahead of what is done with it than a file.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc::Sender;

use crate::model::path::PATH_BYTES_MAX;
use crate::service::mounts::host::{Entry, Host, HostError, HostFile, TEMPORARY};
use crate::service::mounts::scope::Scope;
use crate::service::mounts::sync::{FILE_BYTES_MAX, FILES_MAX, Progress};
use crate::store::mount_files::Agreed;

/// What the walk came to, by the path below the mount point.
#[derive(Debug)]
pub(super) enum Seen {
    /// A file, and what is in it; `None` = what was in it at the last sync.
    File(String, Option<HostFile>),
    /// A file that could not be read: nothing is known about it.
    NoFile(String, HostError),
    /// What cannot be a file of the tree.
    Odd(String, String),
    /// A directory that could not be listed: nothing is known about what is below it.
    NoDirectory(String, HostError),
    /// More files than a sync looks at: nothing is known about the rest.
    TooMany,
    /// It went through.
    End,
}

/// The walk of one sync.
pub(super) struct Walk {
    pub(super) host: Arc<Host>,
    pub(super) scope: Scope,
    pub(super) agreed: Arc<HashMap<String, Agreed>>,
    pub(super) progress: Arc<Progress>,
    /// The time on the wall, ns.
    pub(super) now_ns: i128,
    pub(super) to: Sender<Seen>,
}

/// Nobody waits for the rest.
struct Over;

impl Walk {
    /// Walks. Blocks.
    pub(super) fn run(&self) {
        if self.all().is_ok() {
            // Whoever does not wait for it any more needs no end.
            let _over = self.tell(Seen::End);
        }
    }

    fn tell(&self, seen: Seen) -> Result<(), Over> {
        if self.progress.is_cancelled() {
            return Err(Over);
        }
        self.to.blocking_send(seen).map_err(|_| Over)
    }

    fn all(&self) -> Result<(), Over> {
        let (mut waiting, mut files) = (vec![self.scope.start().to_owned()], 0);
        while let Some(dir) = waiting.pop() {
            let entries = match self.host.list(&dir) {
                Ok(entries) => entries,
                Err(HostError::NoDirectory) if dir == self.scope.start() && !dir.is_empty() => {
                    self.file(dir)?;
                    continue;
                }
                // A part that is asked for and is not there is one that was removed.
                Err(HostError::Gone) if dir == self.scope.start() && !dir.is_empty() => continue,
                Err(error) => {
                    self.tell(Seen::NoDirectory(dir, error))?;
                    continue;
                }
            };
            for entry in entries.into_iter().rev() {
                let below = if dir.is_empty() { entry.name().to_owned() } else { format!("{dir}/{}", entry.name()) };
                match entry {
                    Entry::Directory(_) if !self.scope.enters(&below) => {}
                    Entry::Directory(_) if below.len() > PATH_BYTES_MAX => {
                        self.tell(Seen::Odd(below, "the path is too long".into()))?;
                    }
                    Entry::Directory(_) => waiting.push(below),
                    Entry::File(_) if !self.scope.takes(&below) => {}
                    Entry::File(_) => {
                        files += 1;
                        if files > FILES_MAX {
                            return self.tell(Seen::TooMany);
                        }
                        self.file(below)?;
                    }
                    Entry::Refused(_, error) if self.scope.takes(&below) => self.tell(Seen::NoFile(below, error))?,
                    Entry::Refused(_, error) if self.scope.enters(&below) => {
                        self.tell(Seen::NoDirectory(below, error))?
                    }
                    Entry::Refused(..) => {}
                }
            }
        }
        Ok(())
    }

    fn file(&self, below: String) -> Result<(), Over> {
        if below.rsplit('/').next().is_some_and(|name| name.starts_with(TEMPORARY)) {
            let what = "left by a sync that was cut off; it may hold what a file of the host was before";
            return self.tell(Seen::Odd(below, what.into()));
        }
        if let Err(why) = self.scope.path_of(&below) {
            return self.tell(Seen::Odd(below, why));
        }
        let known = self.agreed.get(&below).map(|agreed| agreed.stamp.as_str());
        match self.host.read(&below, known, FILE_BYTES_MAX, self.now_ns) {
            Ok(file) => self.tell(Seen::File(below, file)),
            // Removed since it was listed: as if it had not been.
            Err(HostError::Gone) => Ok(()),
            Err(error) => self.tell(Seen::NoFile(below, error)),
        }
    }
}
