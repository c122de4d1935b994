//! Chance, injected: keys, ids and jitter come from here, so that a test can repeat them.

use std::cell::RefCell;
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
        let mut raw = vec![0_u8; bytes];
        self.fill(&mut raw);
        super::hex(&raw)
    }
}

/// A shared random source.
pub type SharedRandom = Arc<dyn RandomSource>;

/// Bytes of a UUID.
const UUID_BYTES: usize = 16;
/// UUIDs that a thread draws at once.
const UUIDS_DRAWN: usize = 32;

/// Random bytes for the next ids of a thread.
struct Ids {
    bytes: [u8; UUID_BYTES * UUIDS_DRAWN],
    used: usize,
}

thread_local! {
    static IDS: RefCell<Ids> =
        const { RefCell::new(Ids { bytes: [0; UUID_BYTES * UUIDS_DRAWN], used: UUID_BYTES * UUIDS_DRAWN }) };
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl RandomSource for OsRandom {
    /// Drawn many at once: an id for each request would be a system call for each. Keys are never made of these bytes.
    fn uuid(&self) -> String {
        IDS.with_borrow_mut(|ids| {
            if ids.used + UUID_BYTES > ids.bytes.len() {
                self.fill(&mut ids.bytes);
                ids.used = 0;
            }
            let mut bytes = [0_u8; UUID_BYTES];
            bytes.copy_from_slice(&ids.bytes[ids.used..ids.used + UUID_BYTES]);
            ids.used += UUID_BYTES;
            uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
        })
    }

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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_of_one_draw_and_of_the_next_are_distinct() {
        let draw = || (0..3 * UUIDS_DRAWN).map(|_| OsRandom.uuid()).collect::<Vec<_>>();
        let (here, there) = (draw(), std::thread::spawn(draw).join().expect("no panic"));
        let all: HashSet<&String> = here.iter().chain(&there).collect();
        assert_eq!(all.len(), 6 * UUIDS_DRAWN);
        assert!(all.iter().all(|id| id.len() == 36 && id.as_bytes()[14] == b'4'), "{all:?}");
    }
}
