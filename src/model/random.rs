//! Chance, injected: keys, ids and jitter come from here, so that a test can repeat them.

use std::sync::Arc;

/// A source of random bytes.
pub trait RandomSource: Send + Sync + 'static {
    /// Fills `out` with random bytes.
    fn fill(&self, out: &mut [u8]);

    /// A version 4 UUID from this source, in its text form.
    fn uuid(&self) -> String {
        let mut bytes = [0_u8; 16];
        self.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// `bytes` random bytes in lower-case hex.
    fn hex(&self, bytes: usize) -> String {
        use std::fmt::Write as _;
        let mut raw = vec![0_u8; bytes];
        self.fill(&mut raw);
        raw.iter().fold(String::with_capacity(bytes * 2), |mut text, b| {
            write!(text, "{b:02x}").expect("writing to a String cannot fail");
            text
        })
    }
}

/// A shared random source.
pub type SharedRandom = Arc<dyn RandomSource>;

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl RandomSource for OsRandom {
    fn fill(&self, out: &mut [u8]) {
        // Without randomness no key can be made safely: stopping is the only right answer.
        getrandom::fill(out).expect("the operating system gives random bytes");
    }
}

/// A repeatable source for tests: a BLAKE3 stream from a seed.
#[derive(Debug)]
pub struct SeededRandom(parking_lot::Mutex<blake3::OutputReader>);

impl SeededRandom {
    /// A stream that depends on `seed` only.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        Self(parking_lot::Mutex::new(hasher.finalize_xof()))
    }
}

impl RandomSource for SeededRandom {
    fn fill(&self, out: &mut [u8]) {
        self.0.lock().fill(out);
    }
}
