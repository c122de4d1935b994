//! Names in the permission graph, as they come in: typed, and of type file normalised, before anything else sees
//! them. Decides nothing.

use crate::model::VirtualPath;
use crate::store::Sql;

use super::ServiceError;
use super::access::FILE;
use super::located::Located;

/// Longest type or relation, bytes.
const WORD_BYTES_MAX: usize = 255;
/// Longest id, bytes.
const ID_BYTES_MAX: usize = 4096;
/// The type and the id of everybody.
pub(super) const EVERYBODY: &str = "*";

/// A typed name: who or what.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityName {
    /// The type, e.g. `user`, `group`, `file`.
    pub kind: String,
    /// The id; of a file its normalised path, or an opaque name that does not begin with `/`.
    pub id: String,
}

impl EntityName {
    /// An object: anything but everybody.
    pub fn object(kind: &str, id: &str) -> Result<Self, ServiceError> {
        let name = Self::any("object", kind, id)?;
        if name.kind == EVERYBODY || name.id == EVERYBODY {
            return Err(ServiceError::InvalidParams("an object cannot be '*'".into()));
        }
        Ok(name)
    }

    /// A subject: anything, or everybody as `("*", "*")`.
    pub fn subject(kind: &str, id: &str) -> Result<Self, ServiceError> {
        let name = Self::any("subject", kind, id)?;
        if (name.kind == EVERYBODY) != (name.id == EVERYBODY) {
            let text = format!("subject ('{kind}', '{id}') means nobody; everybody is ('*', '*')");
            return Err(ServiceError::InvalidParams(text));
        }
        Ok(name)
    }

    fn any(what: &str, kind: &str, id: &str) -> Result<Self, ServiceError> {
        check_word(what, "type", kind)?;
        if kind == FILE && id.starts_with('/') {
            let path = VirtualPath::parse(id).map_err(|reason| ServiceError::path(id, reason))?;
            return Ok(Self { kind: kind.to_owned(), id: path.as_str().to_owned() });
        }
        if id.is_empty() || id.len() > ID_BYTES_MAX || id.contains('\0') {
            let text = format!("{what} id must have 1 to {ID_BYTES_MAX} bytes without NUL");
            return Err(ServiceError::InvalidParams(text));
        }
        Ok(Self { kind: kind.to_owned(), id: id.to_owned() })
    }

    /// The path, if it is one of the file tree.
    #[must_use]
    pub fn path(&self) -> Option<VirtualPath> {
        if self.kind != FILE || !self.id.starts_with('/') {
            return None;
        }
        VirtualPath::parse(&self.id).ok()
    }

    /// Whether it is everybody.
    #[must_use]
    pub fn is_everybody(&self) -> bool {
        self.kind == EVERYBODY
    }

    /// The tenant it belongs to: of a path the one that the file tree says, else `tenant`.
    pub(super) fn tenant(&self, tx: &impl Sql, tenant: &str) -> Result<String, ServiceError> {
        match self.path() {
            Some(path) => Ok(Located::find(tx, &path)?.tenant().to_owned()),
            None => Ok(tenant.to_owned()),
        }
    }
}

impl std::fmt::Display for EntityName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.kind, self.id)
    }
}

/// Checks a type, a relation or a permission.
pub(super) fn check_word(what: &str, part: &str, word: &str) -> Result<(), ServiceError> {
    if word.trim().is_empty() || word.len() > WORD_BYTES_MAX || word.chars().any(char::is_control) {
        let text = format!("{what} {part} must have 1 to {WORD_BYTES_MAX} bytes without control characters");
        return Err(ServiceError::InvalidParams(text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_files_are_normalised_in_both_roles() {
        for id in ["/a/b", "/a/b/", "/a//b"] {
            assert_eq!(EntityName::object("file", id).expect(id).id, "/a/b");
            assert_eq!(EntityName::subject("file", id).expect(id).id, "/a/b");
        }
        assert_eq!(EntityName::object("file", "/").expect("the root").id, "/");
        for id in ["/a/../b", "/a/./b", "/a\nb"] {
            assert!(matches!(EntityName::object("file", id), Err(ServiceError::InvalidPath { .. })), "{id}");
            assert!(EntityName::subject("file", id).is_err(), "{id}");
        }
        let opaque = EntityName::object("file", "a/../b").expect("an opaque object");
        assert_eq!((opaque.id.as_str(), opaque.path()), ("a/../b", None));
        assert_eq!(EntityName::object("doc", "/a/../b").expect("not a file").id, "/a/../b");
    }

    #[test]
    fn everybody_is_a_subject_and_never_half_of_one() {
        assert!(EntityName::subject("*", "*").expect("everybody").is_everybody());
        for (kind, id) in [("user", "*"), ("*", "x")] {
            assert!(EntityName::subject(kind, id).is_err() && EntityName::object(kind, id).is_err());
        }
        assert!(EntityName::object("*", "*").is_err());
        assert!(EntityName::subject("", "x").is_err() && EntityName::subject("user", "").is_err());
        assert!(EntityName::subject("user", "a\0b").is_err());
    }
}
