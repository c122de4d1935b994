//! Passes: keys that programs in sandboxes speak with, in memory alone.
//!
//! Owns which are live. A pass speaks for whoever runs the program, never as an admin, and only as long as the program
//! runs and the key of that caller holds. Must never know what a program is. Invariant: a pass ends when its [`Pass`]
//! is dropped, and with the server.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use subtle::ConstantTimeEq as _;

use super::key::looks_like_a_key;
use super::{ApiKey, AuthError, AuthIndex, Caller};
use crate::model::{ContentHash, RandomSource};

/// For whom a pass speaks, by its hash.
type Live = RwLock<HashMap<ContentHash, Caller>>;

/// The live passes of one server.
#[derive(Default, Clone)]
pub struct Passes(Arc<Live>);

/// A live pass.
pub struct Pass {
    key: ApiKey,
    hash: ContentHash,
    live: Arc<Live>,
}

impl Passes {
    /// A new pass that speaks for `caller`.
    #[must_use]
    pub fn issue(&self, random: &dyn RandomSource, caller: &Caller) -> Pass {
        let key = ApiKey::generate(random, &caller.tenant, &caller.subject_type, &caller.subject_id);
        let hash = ContentHash::of(key.expose().as_bytes());
        self.0.write().insert(hash, caller.confined());
        Pass { key, hash, live: Arc::clone(&self.0) }
    }

    /// Who shows this pass, as of `index`. `agent` is the header `X-Agent-ID`: a pass speaks for one subject alone.
    pub fn identify(
        &self,
        shown: &str,
        agent: Option<&str>,
        index: &AuthIndex,
        now_us: i64,
    ) -> Result<Caller, AuthError> {
        if shown.is_empty() {
            return Err(AuthError::Missing);
        }
        if !looks_like_a_key(shown) {
            return Err(AuthError::Invalid);
        }
        let caller = self.of_hash(&ContentHash::of(shown.as_bytes())).ok_or(AuthError::Invalid)?;
        if agent.is_some_and(|named| !named.is_empty() && caller.agent.as_deref() != Some(named)) {
            return Err(AuthError::ForeignAgent);
        }
        index.refresh(&caller, now_us)
    }

    fn of_hash(&self, hash: &ContentHash) -> Option<Caller> {
        let live = self.0.read();
        let (stored, caller) = live.get_key_value(hash)?;
        let equal: bool = stored.as_bytes().ct_eq(hash.as_bytes()).into();
        equal.then(|| caller.clone())
    }
}

impl Pass {
    /// The text, for the one program that it is made for.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.key.expose()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.live.write().remove(&self.hash);
    }
}

impl std::fmt::Debug for Passes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passes").field("live", &self.0.read().len()).finish()
    }
}

impl std::fmt::Debug for Pass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pass(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::random::SeededRandom;

    fn made() -> (Passes, Pass) {
        let passes = Passes::default();
        let pass = passes.issue(&SeededRandom::new(1), &Caller::system("alice"));
        (passes, pass)
    }

    #[test]
    fn a_pass_speaks_for_its_caller_and_never_as_an_admin() {
        let (passes, pass) = made();
        let caller = passes.identify(pass.expose(), None, &AuthIndex::default(), 0).expect("live");
        assert_eq!((caller.user.as_str(), caller.is_admin, caller.is_instance_admin), ("alice", false, false));
        let again = AuthIndex::default().refresh(&caller, 0).expect("as before");
        assert_eq!((again.confined, again.is_admin), (true, false), "a second look gives nothing back");
    }

    #[test]
    fn a_pass_ends_with_what_it_was_made_for() {
        let (passes, pass) = made();
        let text = pass.expose().to_owned();
        drop(pass);
        assert_eq!(passes.identify(&text, None, &AuthIndex::default(), 0), Err(AuthError::Invalid));
        assert_eq!(format!("{passes:?}"), "Passes { live: 0 }");
    }

    #[test]
    fn what_is_no_pass_is_nobodys() {
        let (passes, pass) = made();
        let other = ApiKey::generate(&SeededRandom::new(2), "default", "user", "alice");
        for text in [other.expose(), super::super::DEMO_KEY, "x"] {
            assert_eq!(passes.identify(text, None, &AuthIndex::default(), 0), Err(AuthError::Invalid), "{text}");
        }
        assert_eq!(passes.identify("", None, &AuthIndex::default(), 0), Err(AuthError::Missing));
        let agent = passes.identify(pass.expose(), Some("robot"), &AuthIndex::default(), 0);
        assert_eq!(agent, Err(AuthError::ForeignAgent));
        assert_eq!(format!("{pass:?}"), "Pass(redacted)");
    }
}
