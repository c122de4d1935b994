//! Who is calling: API keys, agents, open mode, passes of programs in sandboxes.
//!
//! Owns the index of identities (a projection), the keyed hash and the key format. Decides who somebody is, never
//! what they may do.

mod caller;
mod hasher;
mod index;
mod key;
mod names;
mod passes;
mod seal;

pub use caller::{Caller, Identity};
pub use hasher::{KeyHasher, NEXUS_SCHEME, SECRET_FILE, SERVER_SCHEME, SecretError};
pub use index::{AuthIndex, OpenIdentity};
pub use key::{ApiKey, DEMO_KEY, KEY_CHARS_MAX, KEY_CHARS_MIN};
pub use names::{NAME_BYTES_MAX, NameError, check_name};
pub use passes::{Pass, Passes};

/// Why nobody is calling.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No key, or not a Bearer header.
    #[error("no API key was sent")]
    Missing,
    /// Not known, revoked or expired: told alike.
    #[error("the API key is not known, revoked or expired")]
    Invalid,
    /// `X-Agent-ID` names no live agent of the key's user.
    #[error("X-Agent-ID names no agent of the calling user")]
    ForeignAgent,
}
