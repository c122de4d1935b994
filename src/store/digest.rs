//! The short keys of rows whose natural key is too long for an index.

/// The first 16 bytes of BLAKE3 over `parts`, separated by NUL (which no part contains).
#[must_use]
pub fn key16(parts: &[&str]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            hasher.update(&[0]);
        }
        hasher.update(part.as_bytes());
    }
    let mut key = [0; 16];
    key.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    key
}
