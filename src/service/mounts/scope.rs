//! Which files of a mount a sync looks at: a part of it, and patterns.
//!
//! Owns the rules of `path`, `recursive`, `include_patterns` and `exclude_patterns`. What is outside of the scope is
//! touched on neither side. Knows no files.

use crate::model::VirtualPath;
use crate::service::ServiceError;
use crate::service::search::glob::Glob;

/// Patterns of one kind in one request.
const PATTERNS_MAX: usize = 64;

/// What to sync.
#[derive(Debug, Clone, Default)]
pub struct SyncRequest {
    /// The mount; `None` = every local one.
    pub mount_point: Option<String>,
    /// A directory or a file of it, whole or below the mount point; `None` = all.
    pub path: Option<String>,
    /// Whether directories are gone into.
    pub recursive: bool,
    /// Whether nothing is changed.
    pub dry_run: bool,
    /// Only files that match one of these.
    pub include: Vec<String>,
    /// No file that matches one of these, and nothing in a directory that does.
    pub exclude: Vec<String>,
}

/// The scope of one sync of one mount.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    point: VirtualPath,
    /// Below the mount point, without a slash at its beginning; empty = everything.
    start: String,
    recursive: bool,
    include: Vec<Glob>,
    exclude: Vec<Glob>,
}

impl Scope {
    pub(super) fn new(point: &VirtualPath, request: &SyncRequest) -> Result<Self, ServiceError> {
        let globs = |patterns: &[String]| {
            if patterns.len() > PATTERNS_MAX {
                return Err(ServiceError::InvalidParams(format!("at most {PATTERNS_MAX} patterns of a kind")));
            }
            patterns.iter().map(|pattern| Glob::file_filter(point, pattern)).collect::<Result<Vec<_>, _>>()
        };
        let start = match request.path.as_deref() {
            None | Some("" | "/") => String::new(),
            Some(text) => start_of(point, text)?,
        };
        let (include, exclude) = (globs(&request.include)?, globs(&request.exclude)?);
        Ok(Self { point: point.clone(), start, recursive: request.recursive, include, exclude })
    }

    /// Where the walk begins, below the mount point.
    pub(super) fn start(&self) -> &str {
        &self.start
    }

    /// The path in the tree of a file below the mount point, if the tree can have it.
    pub(super) fn path_of(&self, below: &str) -> Result<VirtualPath, String> {
        let whole = format!("{}/{below}", self.point);
        match VirtualPath::parse(&whole) {
            Ok(path) if path.as_str() == whole => Ok(path),
            Ok(_) => Err("the tree cannot have this name".into()),
            Err(reason) => Err(reason.to_string()),
        }
    }

    /// Whether a file below the mount point is looked at.
    pub(super) fn takes(&self, below: &str) -> bool {
        let Some(rest) = self.rest(below) else { return false };
        if !self.recursive && rest.contains('/') {
            return false;
        }
        let above = below.match_indices('/').map(|(at, _)| &below[..at]);
        if above.chain([below]).any(|path| self.any(&self.exclude, path)) {
            return false;
        }
        self.include.is_empty() || self.any(&self.include, below)
    }

    /// Whether a directory below the mount point is gone into.
    pub(super) fn enters(&self, below: &str) -> bool {
        let inside = below == self.start || self.recursive && self.rest(below).is_some();
        inside && !self.any(&self.exclude, below)
    }

    /// What is left of a path below the start; the file that is the start itself is taken, too.
    fn rest<'p>(&self, below: &'p str) -> Option<&'p str> {
        match below.strip_prefix(&self.start)? {
            rest if self.start.is_empty() => Some(rest),
            "" => Some(""),
            rest => rest.strip_prefix('/'),
        }
    }

    fn any(&self, globs: &[Glob], below: &str) -> bool {
        !globs.is_empty() && {
            let whole = format!("{}/{below}", self.point);
            globs.iter().any(|glob| glob.matches(&whole))
        }
    }
}

/// A part of a mount, below its mount point.
fn start_of(point: &VirtualPath, text: &str) -> Result<String, ServiceError> {
    let path = VirtualPath::parse(text).map_err(|reason| ServiceError::path(text, reason))?;
    if path == *point {
        return Ok(String::new());
    }
    if point.contains(&path) {
        return Ok(path.as_str()[point.as_str().len() + 1..].to_owned());
    }
    if text.trim().starts_with('/') {
        return Err(ServiceError::InvalidParams(format!("'{path}' does not lie in the mount at '{point}'")));
    }
    Ok(path.as_str()[1..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(request: SyncRequest) -> Scope {
        Scope::new(&VirtualPath::parse("/mnt/a").expect("a path"), &request).expect("a scope")
    }

    #[test]
    fn patterns_and_parts() {
        let all = SyncRequest { recursive: true, ..SyncRequest::default() };
        let of = |include: &[&str], exclude: &[&str], path: Option<&str>, recursive| {
            let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
            let (include, exclude) = (texts(include), texts(exclude));
            scope(SyncRequest { include, exclude, path: path.map(str::to_owned), recursive, ..all.clone() })
        };
        for (scope, path, taken) in [
            (of(&[], &[], None, true), "x/y.txt", true),
            (of(&[], &[], None, false), "x/y.txt", false),
            (of(&[], &[], None, false), "y.txt", true),
            (of(&["*.txt"], &[], None, true), "x/y.txt", true),
            (of(&["*.txt"], &[], None, true), "x/y.md", false),
            (of(&["x/*"], &[], None, true), "x/y.md", true),
            (of(&[], &["x"], None, true), "x/y.md", false),
            (of(&[], &["x"], None, true), "a/x/y.md", false),
            (of(&[], &["*.md"], None, true), "x/y.md", false),
            (of(&[], &[], Some("x"), true), "x/y.md", true),
            (of(&[], &[], Some("/mnt/a/x"), true), "x/y.md", true),
            (of(&[], &[], Some("x/y.md"), true), "x/y.md", true),
            (of(&[], &[], Some("x"), true), "xy/y.md", false),
            (of(&[], &[], Some("x"), false), "x/z/y.md", false),
        ] {
            assert_eq!(scope.takes(path), taken, "{scope:?} {path}");
        }
        let outside = SyncRequest { path: Some("/mnt/b".into()), ..all.clone() };
        assert!(Scope::new(&VirtualPath::parse("/mnt/a").expect("a path"), &outside).is_err());
        let upwards = SyncRequest { path: Some("../b".into()), ..all };
        assert!(Scope::new(&VirtualPath::parse("/mnt/a").expect("a path"), &upwards).is_err());
    }
}
