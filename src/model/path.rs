//! The one validator and normaliser of virtual paths.
//!
//! Every path that enters by any door (file methods, ids of type `file` in permissions, workspaces, mounts) passes
//! here once; after that it is a [`VirtualPath`], and the permission check sees the same string as the storage.

use std::fmt;

/// Longest path, bytes.
pub const PATH_BYTES_MAX: usize = 4096;
/// Longest component, bytes.
pub const COMPONENT_BYTES_MAX: usize = 255;

/// Why a path was refused. The text names the rule; the caller adds the path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing but white space.
    #[error("Path cannot be empty or whitespace-only")]
    Empty,
    /// NUL or another control character.
    #[error("Path contains invalid character: {0:?}")]
    InvalidCharacter(char),
    /// A `..` component.
    #[error("Path contains '..' segments")]
    ParentSegment,
    /// A `.` component.
    #[error("Path contains '.' segments")]
    CurrentSegment,
    /// A component with white space at either end.
    #[error("Path component has leading or trailing whitespace: {0:?}")]
    OuterWhitespace(String),
    /// Over [`PATH_BYTES_MAX`].
    #[error("Path is longer than {PATH_BYTES_MAX} bytes")]
    TooLong,
    /// A component over [`COMPONENT_BYTES_MAX`].
    #[error("Path component is longer than {COMPONENT_BYTES_MAX} bytes")]
    ComponentTooLong,
    /// `/` where a file or directory below it is meant.
    #[error("Root path '/' not allowed for file operations. Use list('/') for directory listings.")]
    Root,
}

/// A normalised absolute path: starts with `/`, single slashes, no trailing slash, no `.` or `..` component.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VirtualPath(Box<str>);

impl VirtualPath {
    /// Validates and normalises. `/` is accepted.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(PathError::Empty);
        }
        if trimmed.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        if let Some(bad) = trimmed.chars().find(|c| c.is_control()) {
            return Err(PathError::InvalidCharacter(bad));
        }
        let mut normal = String::with_capacity(trimmed.len() + 1);
        for component in trimmed.split('/').filter(|c| !c.is_empty()) {
            match component {
                ".." => return Err(PathError::ParentSegment),
                "." => return Err(PathError::CurrentSegment),
                c if c.len() > COMPONENT_BYTES_MAX => return Err(PathError::ComponentTooLong),
                c if c.trim() != c => return Err(PathError::OuterWhitespace(c.to_owned())),
                c => {
                    normal.push('/');
                    normal.push_str(c);
                }
            }
        }
        if normal.is_empty() {
            normal.push('/');
        }
        Ok(Self(normal.into_boxed_str()))
    }

    /// As [`parse`](Self::parse), and refuses `/`.
    pub fn parse_below_root(text: &str) -> Result<Self, PathError> {
        let path = Self::parse(text)?;
        if path.is_root() { Err(PathError::Root) } else { Ok(path) }
    }

    /// `/`.
    #[must_use]
    pub fn root() -> Self {
        Self("/".into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `/`.
    #[must_use]
    pub fn is_root(&self) -> bool {
        &*self.0 == "/"
    }

    /// The components, from the root down; none for `/`.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|c| !c.is_empty())
    }

    /// The last component; empty for `/`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The directory it lies in; `None` for `/`.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        match self.0.rfind('/') {
            Some(0) | None => Some(Self::root()),
            Some(at) => Some(Self(self.0[..at].into())),
        }
    }

    /// The path of `name` in this directory. `name` is one valid component.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        if self.is_root() { Self(format!("/{name}").into()) } else { Self(format!("{}/{name}", self.0).into()) }
    }

    /// Whether `other` is this path or lies below it, by component.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        if self.is_root() || self == other {
            return true;
        }
        other.0.strip_prefix(&*self.0).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The tenant that the first component `tenant:<id>` names, if it does.
    #[must_use]
    pub fn named_tenant(&self) -> Option<&str> {
        self.components().next()?.strip_prefix("tenant:").filter(|t| !t.is_empty())
    }
}

impl fmt::Debug for VirtualPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for VirtualPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalises() {
        for (given, wanted) in
            [("/", "/"), ("//", "/"), ("a/b", "/a/b"), ("/a//b/", "/a/b"), (" /a ", "/a"), ("/a..b", "/a..b")]
        {
            assert_eq!(VirtualPath::parse(given).expect(given).as_str(), wanted);
        }
    }

    #[test]
    fn refuses() {
        let long = format!("/{}", "x".repeat(256));
        for (given, wanted) in [
            ("", PathError::Empty),
            (" \t ", PathError::Empty),
            ("/a/../b", PathError::ParentSegment),
            ("..", PathError::ParentSegment),
            ("/a/./b", PathError::CurrentSegment),
            ("/a\0b", PathError::InvalidCharacter('\0')),
            ("/a\nb", PathError::InvalidCharacter('\n')),
            ("/a /b", PathError::OuterWhitespace("a ".into())),
            (long.as_str(), PathError::ComponentTooLong),
        ] {
            assert_eq!(VirtualPath::parse(given), Err(wanted), "{given:?}");
        }
        assert_eq!(VirtualPath::parse(&"/x".repeat(2049)), Err(PathError::TooLong));
        assert_eq!(VirtualPath::parse_below_root("//"), Err(PathError::Root));
    }

    #[test]
    fn compares_by_component() {
        let work = VirtualPath::parse("/work").expect("valid");
        assert!(work.contains(&VirtualPath::parse("/work/a").expect("valid")));
        assert!(work.contains(&work));
        assert!(!work.contains(&VirtualPath::parse("/workspace").expect("valid")));
        assert_eq!(VirtualPath::parse("/tenant:acme/x").expect("valid").named_tenant(), Some("acme"));
        assert_eq!(VirtualPath::parse("/tenants/x").expect("valid").named_tenant(), None);
    }
}
