//! Which names a tenant, a user, an agent or a service may have.

/// Longest name, bytes.
pub const NAME_BYTES_MAX: usize = 255;

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing but white space.
    #[error("{0} cannot be empty")]
    Empty(&'static str),
    /// `*` means everybody in a permission.
    #[error("{0} cannot be '*': that name means everybody")]
    Everybody(&'static str),
    /// Over [`NAME_BYTES_MAX`].
    #[error("{0} is longer than {NAME_BYTES_MAX} bytes")]
    TooLong(&'static str),
    /// It has a folder, so it is a component of a path.
    #[error("{0} cannot contain '/', a control character or outer white space, nor be '.' or '..'")]
    NotAComponent(&'static str),
}

/// Checks a name of a tenant, user, agent or service. `what` names the parameter in the refusal.
pub fn check_name(what: &'static str, name: &str) -> Result<(), NameError> {
    if name.trim().is_empty() {
        return Err(NameError::Empty(what));
    }
    if name == "*" {
        return Err(NameError::Everybody(what));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong(what));
    }
    if name.contains('/') || name.chars().any(char::is_control) || name.trim() != name || name == "." || name == ".." {
        return Err(NameError::NotAComponent(what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_mean_more_than_a_name_are_refused() {
        for good in ["alice", "admin,Untrusted Agent", "google:1234|x", "ä@example.org"] {
            assert_eq!(check_name("user_id", good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", NameError::Empty("user_id")),
            (" ", NameError::Empty("user_id")),
            ("*", NameError::Everybody("user_id")),
            ("a/b", NameError::NotAComponent("user_id")),
            ("..", NameError::NotAComponent("user_id")),
            ("a\0b", NameError::NotAComponent("user_id")),
            (" a", NameError::NotAComponent("user_id")),
        ] {
            assert_eq!(check_name("user_id", bad), Err(why), "{bad:?}");
        }
        assert_eq!(check_name("user_id", &"x".repeat(256)), Err(NameError::TooLong("user_id")));
    }
}
