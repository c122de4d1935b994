//! Secrets of users that the server must be able to use again: sealed with its own secret, which lies outside the
//! database. A stolen database, backup or export does not give them away; without the server's secret they are lost.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::{AeadInOut as _, KeyInit as _, Tag, XChaCha20Poly1305, XNonce};
use hmac::Mac as _;

use super::KeyHasher;
use crate::model::RandomSource;

/// What the key is made for; a seal of another use must not open.
const PURPOSE: &[u8] = b"nexus-lite sealed secrets v1";
/// Bytes of a nonce.
const NONCE: usize = 24;
/// Bytes of what proves that nothing was changed.
const TAG: usize = 16;

impl KeyHasher {
    /// Seals `text`, so that it opens with the same `context` only.
    #[must_use]
    pub fn seal(&self, context: &str, text: &str, random: &dyn RandomSource) -> String {
        let mut nonce = [0; NONCE];
        random.fill(&mut nonce);
        let mut sealed = text.as_bytes().to_vec();
        let tag = self
            .cipher()
            .encrypt_inout_detached(&XNonce::from(nonce), context.as_bytes(), sealed.as_mut_slice().into())
            .expect("a secret is far below 256 GiB");
        STANDARD.encode([&nonce[..], &tag, &sealed].concat())
    }

    /// What [`seal`](Self::seal) was given; `None` if the server's secret is another one, or the text was changed.
    #[must_use]
    pub fn unseal(&self, context: &str, sealed: &str) -> Option<String> {
        let bytes = STANDARD.decode(sealed).ok()?;
        let (nonce, rest) = bytes.split_at_checked(NONCE)?;
        let (tag, sealed) = rest.split_at_checked(TAG)?;
        let (nonce, tag): ([u8; NONCE], [u8; TAG]) = (nonce.try_into().ok()?, tag.try_into().ok()?);
        let (mut text, tag) = (sealed.to_vec(), Tag::from(tag));
        let text_of = text.as_mut_slice().into();
        self.cipher().decrypt_inout_detached(&XNonce::from(nonce), context.as_bytes(), text_of, &tag).ok()?;
        String::from_utf8(text).ok()
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        let mut mac = self.server.clone();
        mac.update(PURPOSE);
        let key: [u8; 32] = mac.finalize().into_bytes().into();
        XChaCha20Poly1305::new(&key.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::random::SeededRandom;

    #[test]
    fn it_opens_with_the_same_secret_and_context_only() {
        let hasher = KeyHasher::new(b"one");
        let sealed = hasher.seal("a", "hook secret", &SeededRandom::new(1));
        assert!(!sealed.contains("hook"), "{sealed}");
        assert_eq!(hasher.unseal("a", &sealed).as_deref(), Some("hook secret"));
        assert_eq!(hasher.unseal("b", &sealed), None);
        assert_eq!(KeyHasher::new(b"other").unseal("a", &sealed), None);
        assert_eq!(hasher.unseal("a", &sealed[..8]), None);
        assert_eq!(hasher.unseal("a", "no base64!"), None);
    }
}
