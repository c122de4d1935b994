//! How a command fails: what happened, what to do, and a code that a script can act on (sysexits.h).

use std::fmt;

use crate::app::AppError;
use crate::http::ServeError;
use crate::service::ServiceError;
use crate::store::{Place, StoreError};

/// Exit codes.
pub mod exit {
    /// All is well.
    pub const OK: u8 = 0;
    /// It ran, and the result is bad: a wave failed, a check found something.
    pub const WRONG: u8 = 1;
    /// It ran, and the result is worse than that: `doctor` found a failure.
    pub const FAILED: u8 = 2;
    /// The command line cannot be understood.
    pub const USAGE: u8 = 64;
    /// The data cannot be used: foreign, newer, damaged.
    pub const DATA: u8 = 65;
    /// A file that is needed is not there.
    pub const NO_INPUT: u8 = 66;
    /// Something that is needed is not there: a server, a port, an engine.
    pub const UNAVAILABLE: u8 = 69;
    /// An error of this program.
    pub const SOFTWARE: u8 = 70;
    /// The operating system refused something that should work.
    pub const OS: u8 = 71;
    /// A file cannot be made.
    pub const CANNOT_CREATE: u8 = 73;
    /// Input or output failed.
    pub const IO: u8 = 74;
    /// Try again later: another process holds the directory.
    pub const LOCKED: u8 = 75;
    /// The right is missing.
    pub const NO_PERMISSION: u8 = 77;
    /// The configuration is wrong.
    pub const CONFIG: u8 = 78;
    /// Ended by Ctrl-C.
    pub const INTERRUPTED: u8 = 130;
}

/// The end of a command that could not do its work.
#[derive(Debug, Clone)]
pub struct Failure {
    /// One of [`exit`].
    pub code: u8,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without advice.
    #[must_use]
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// An operation on a file that the operating system refused.
    #[must_use]
    pub fn file(step: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let code = match error.kind() {
            std::io::ErrorKind::PermissionDenied => exit::NO_PERMISSION,
            std::io::ErrorKind::StorageFull => exit::IO,
            _ => exit::CANNOT_CREATE,
        };
        Self::new(code, format!("{step} {} failed: {error}", path.display()))
    }
}

/// `error: what happened`, and below it what to do.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.message)?;
        self.hint.iter().try_for_each(|hint| writeln!(f, " hint: {hint}"))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Locked { .. } | StoreError::Occupied { .. } => exit::LOCKED,
            StoreError::Unreachable { .. } | StoreError::NotHere { .. } => exit::UNAVAILABLE,
            StoreError::Unsuitable { place, .. } => match place {
                Place::Network => exit::CONFIG,
                Place::NoSpace => exit::IO,
                Place::NotDirectory => exit::CANNOT_CREATE,
                Place::NotWritable => exit::NO_PERMISSION,
            },
            StoreError::Unusable { .. } | StoreError::Corrupt { .. } => exit::DATA,
            StoreError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                exit::NO_PERMISSION
            }
            StoreError::Io { .. } => exit::CANNOT_CREATE,
            StoreError::Full | StoreError::ReadOnly { .. } | StoreError::Indeterminate { .. } => exit::IO,
            _ => exit::SOFTWARE,
        };
        Self::new(code, error.to_string())
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        let text = error.to_string();
        match error {
            AppError::Store(inner) => inner.into(),
            AppError::FirstKey(inner) => Self { message: text, ..inner.into() },
            AppError::KeyFile { source, path } => Self::file("writing", &path, &source),
            AppError::Serve(ServeError::Bind { source, .. })
                if source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                Self::new(exit::NO_PERMISSION, text).hint("ports below 1024 need a right; try --port 8080")
            }
            other => Self::new(other.exit_status(), text),
        }
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        let text = error.to_string();
        match error {
            ServiceError::Store(inner) => inner.into(),
            ServiceError::PermissionDenied { hint, .. } => Self::new(exit::NO_PERMISSION, text).hint(hint),
            ServiceError::NotFound(what) => Self::new(exit::DATA, what),
            _ => Self::new(exit::DATA, text),
        }
    }
}
