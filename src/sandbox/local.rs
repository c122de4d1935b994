//! The local provider: one private directory per sandbox.

use std::io::{Error, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use super::{Capabilities, Provider, SandboxError};

/// Who may enter a sandbox's directory: the server's user alone.
const DIRECTORY_MODE: u32 = 0o700;

/// Private directories under one root.
#[derive(Debug)]
pub struct LocalProvider {
    root: PathBuf,
}

impl LocalProvider {
    /// Directories under `root`, which is made with the first of them.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The directory of a sandbox. An id is one plain component, so that no id leads out of the root.
    fn directory(&self, id: &str) -> Result<PathBuf, Error> {
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(Error::new(ErrorKind::InvalidInput, "the id is not a plain name"));
        }
        Ok(self.root.join(id))
    }

    fn failed(&self, step: &'static str, id: &str) -> impl FnOnce(Error) -> SandboxError {
        let (provider, id) = (self.name(), id.to_owned());
        move |source| SandboxError { provider, step, id, source }
    }
}

fn private(recursive: bool) -> std::fs::DirBuilder {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(recursive).mode(DIRECTORY_MODE);
    builder
}

impl Provider for LocalProvider {
    fn name(&self) -> &'static str {
        "local"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { run: false, mount: false, pause: true }
    }

    fn create(&self, id: &str) -> Result<(), SandboxError> {
        let make = || {
            let directory = self.directory(id)?;
            private(true).create(&self.root)?;
            private(false).create(directory)
        };
        make().map_err(self.failed("create", id))
    }

    fn verify(&self, id: &str) -> Result<bool, SandboxError> {
        let look = || Ok(self.directory(id)?.is_dir());
        look().map_err(self.failed("look at", id))
    }

    fn destroy(&self, id: &str) -> Result<(), SandboxError> {
        let remove = || match std::fs::remove_dir_all(self.directory(id)?) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        };
        remove().map_err(self.failed("remove", id))
    }

    fn list(&self) -> Result<Vec<String>, SandboxError> {
        let look = || {
            let entries = match std::fs::read_dir(&self.root) {
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
                other => other?,
            };
            entries.map(|e| e.map(|e| e.file_name().to_string_lossy().into_owned())).collect()
        };
        look().map_err(self.failed("list", "*"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_sandbox_is_a_directory_that_nobody_else_may_enter() {
        let dir = tempfile::tempdir().expect("a directory");
        let local = LocalProvider::new(dir.path().join("sandboxes"));
        assert_eq!(local.list().expect("none"), Vec::<String>::new());
        local.create("one-1").expect("made");
        let made = dir.path().join("sandboxes/one-1");
        for path in [&made, &dir.path().join("sandboxes")] {
            assert_eq!(std::fs::metadata(path).expect("there").permissions().mode() & 0o777, 0o700);
        }
        std::fs::write(made.join("file"), "x").expect("written");
        assert_eq!((local.verify("one-1").expect("ok"), local.verify("two").expect("ok")), (true, false));
        assert_eq!(local.list().expect("one"), ["one-1"]);
        assert!(local.create("one-1").is_err(), "an id is made once");
        local.destroy("one-1").expect("removed");
        local.destroy("one-1").expect("nothing to do");
        assert!(!made.exists());
    }

    #[test]
    fn no_id_leads_out_of_the_root() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("other")).expect("made");
        let local = LocalProvider::new(dir.path().join("sandboxes"));
        for id in ["..", "../other", "a/b", "", ".", "/etc"] {
            assert!(local.create(id).is_err() && local.verify(id).is_err() && local.destroy(id).is_err(), "{id:?}");
        }
        assert!(dir.path().join("other").exists());
    }
}
