//! The keyed hash of a typed name, built so that the key of every prefix of a path falls out of one pass.
//!
//! A multiply-and-fold stream with secret seeds. It is an index, not a proof: whoever finds an entity by it compares the
//! name.

use std::hash::BuildHasher as _;

/// The secrets of one process; another process has others, so nobody can prepare names that collide.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seed([u64; 3]);

impl Seed {
    /// Secrets from the standard library's per-process randomness. No answer depends on them.
    pub(super) fn random() -> Self {
        let state = std::hash::RandomState::new();
        Self(std::array::from_fn(|i| state.hash_one(i) | 1))
    }
}

/// Up to seven bytes as a number; with their count it is exact.
fn short(bytes: &[u8]) -> u64 {
    let four = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
    match (bytes.first_chunk(), bytes.last_chunk()) {
        // The middle bytes may be read twice.
        (Some(first), Some(last)) => four(first) | four(last) << (8 * (bytes.len() - 4)),
        _ => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// The hash of what was absorbed so far. Plain data: keep it at a directory, go on for each name in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct NameHash {
    state: u64,
    seed: Seed,
}

fn fold(x: u64, y: u64) -> u64 {
    let product = u128::from(x) * u128::from(y);
    (product as u64) ^ ((product >> 64) as u64)
}

impl NameHash {
    /// The start for names that belong to nothing.
    pub(super) fn empty(seed: Seed) -> Self {
        Self { state: seed.0[0], seed }
    }

    /// The start for names of one tenant and type.
    pub(super) fn new(seed: Seed, tenant: &str, kind: &str) -> Self {
        Self::empty(seed).segment(tenant.as_bytes()).segment(kind.as_bytes())
    }

    /// Absorbs one component. Its first word tells how many follow, so that no two ways to cut a name into components
    /// give the same words.
    pub(super) fn segment(mut self, bytes: &[u8]) -> Self {
        if bytes.len() < 8 {
            self.word(short(bytes) | (bytes.len() as u64) << 56);
            return self;
        }
        self.word(bytes.len() as u64 | 1 << 63);
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        self.word(short(rest));
        self
    }

    fn word(&mut self, word: u64) {
        self.state = fold(self.state ^ word, self.seed.0[1]);
    }

    /// Absorbs a whole name, cut at each `/`.
    pub(super) fn name(self, name: &str) -> Self {
        name.as_bytes().split(|b| *b == b'/').fold(self, NameHash::segment)
    }

    /// The key of what was absorbed.
    pub(super) fn key(self) -> u64 {
        fold(self.state ^ self.seed.0[0], self.seed.0[2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_has_the_key_of_its_name() {
        let start = NameHash::new(Seed::random(), "t", "file");
        let mut at = start.segment(b"");
        for (component, prefix) in [("a", "/a"), ("long-component", "/a/long-component"), ("c", "/a/long-component/c")]
        {
            at = at.segment(component.as_bytes());
            assert_eq!(at.key(), start.name(prefix).key(), "{prefix}");
        }
    }

    #[test]
    fn a_short_word_is_its_bytes() {
        let bytes = [1, 2, 3, 4, 5, 6, 7];
        for length in 0..=7 {
            let mut padded = [0_u8; 8];
            padded[..length].copy_from_slice(&bytes[..length]);
            assert_eq!(short(&bytes[..length]), u64::from_le_bytes(padded), "{length}");
        }
    }

    #[test]
    fn neighbours_differ() {
        let seed = Seed::random();
        let key = |tenant: &str, kind: &str, name: &str| NameHash::new(seed, tenant, kind).name(name).key();
        let keys = [
            key("t", "file", "/a/b"),
            key("t", "file", "/ab"),
            key("t", "file", "/a/b/"),
            key("t", "file", "/a//b"),
            key("t", "file/", "a/b"),
            key("tf", "ile", "/a/b"),
            key("t", "file", ""),
            key("t", "file", "/"),
            key("t", "file", "/a/b\0"),
            key("t", "file", "12345678"),
            key("t", "file", "12345678\0"),
        ];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }
}
