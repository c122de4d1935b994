//! The form of an API key: `sk-<tenant, 8>_<subject, 8>_<8 hex>_<64 hex>`, of which only the last part is secret.
//!
//! The parts before it tell a person which key it is; nothing reads them.

use std::fmt;

use crate::model::RandomSource;

/// The key that everybody knows. It opens a demo, and nothing else (see `http`).
pub const DEMO_KEY: &str = "sk-default_admin_dddddddd_eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";
/// Shortest text that is looked up, characters.
pub const KEY_CHARS_MIN: usize = 32;
/// Longest text that is looked up, characters.
pub const KEY_CHARS_MAX: usize = 512;
/// What every key starts with, for secret scanners.
const PREFIX: &str = "sk-";
/// Random bytes of the secret part.
const SECRET_BYTES: usize = 32;
/// Random bytes of the part that tells two keys of one subject apart.
const LABEL_BYTES: usize = 4;
/// Characters of the tenant, and of a user.
const SHORT_CHARS: usize = 8;
/// Characters of an agent.
const AGENT_CHARS: usize = 12;

/// The text of an API key. `Debug` does not show it; it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// A new key for a subject of type `kind`, with 256 random bits.
    #[must_use]
    pub fn generate(random: &dyn RandomSource, tenant: &str, kind: &str, subject: &str) -> Self {
        let chars = if kind == "agent" { AGENT_CHARS } else { SHORT_CHARS };
        let (tenant, subject) = (short(tenant, SHORT_CHARS), short(subject, chars));
        Self(format!("{PREFIX}{tenant}_{subject}_{}_{}", random.hex(LABEL_BYTES), random.hex(SECRET_BYTES)))
    }

    /// Takes a given text, if it has the form of a key.
    #[must_use]
    pub fn given(text: &str) -> Option<Self> {
        looks_like_a_key(text).then(|| Self(text.to_owned()))
    }

    /// The text, to be shown once to the person who asked for it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(redacted)")
    }
}

/// Whether a text is looked up at all.
pub(super) fn looks_like_a_key(text: &str) -> bool {
    text.starts_with(PREFIX)
        && (KEY_CHARS_MIN..=KEY_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The first characters of a name that a header can carry.
fn short(name: &str, chars: usize) -> String {
    name.chars().filter(|c| c.is_ascii_graphic()).take(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::random::SeededRandom;

    #[test]
    fn a_key_names_its_subject_and_holds_256_random_bits() {
        let random = SeededRandom::new(1);
        let key = ApiKey::generate(&random, "default-tenant", "user", "administrator");
        let parts: Vec<&str> = key.expose().split_once('-').expect("sk-").1.rsplitn(3, '_').collect();
        assert_eq!(parts[2], "default-_administ");
        assert_eq!((parts[1].len(), parts[0].len()), (8, 64));
        assert!(parts[0].bytes().all(|b| b.is_ascii_hexdigit()));
        let agent = ApiKey::generate(&random, "default", "agent", "admin,UntrustedAgent");
        assert!(agent.expose().starts_with("sk-default_admin,Untrus_"), "{}", agent.expose());
        assert_ne!(key.expose().rsplit('_').next(), agent.expose().rsplit('_').next());
        assert_eq!(ApiKey::given(agent.expose()), Some(agent));
    }

    #[test]
    fn debug_shows_nothing() {
        let key = ApiKey::generate(&SeededRandom::new(1), "default", "user", "admin");
        assert_eq!(format!("{key:?}"), "ApiKey(redacted)");
    }

    #[test]
    fn only_texts_of_the_form_are_looked_up() {
        assert!(looks_like_a_key("sk-default_admin_dddddddd_eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"));
        for text in ["", "sk-short", "pk-default_admin_dddddddd_eeeeeeeeeeeeeeee", "sk-default admin dddddddd eeeeeeee"]
        {
            assert!(!looks_like_a_key(text), "{text}");
        }
        assert!(!looks_like_a_key(&format!("sk-{}", "e".repeat(KEY_CHARS_MAX))));
    }
}
