//! Encryption of a bundle with a passphrase, as a stream in constant memory.
//!
//! XChaCha20-Poly1305 over chunks of 64 KiB, each with its number and whether it is the last one in its nonce (the
//! STREAM construction), so that chunks cannot be altered, exchanged, left out, repeated or cut off. The key is
//! Argon2id of the passphrase. The header is authenticated with every chunk.
//!
//! Invariant: no byte is handed out that was not authenticated before.
//!
//! Header, 59 bytes: `NXLTSEAL`, version, memory in KiB, passes, lanes (u32 each, little endian), 16 bytes of salt, 19
//! bytes of nonce. A chunk: up to 65,536 bytes, encrypted, and a tag of 16 bytes.

use std::io::{self, Read, Write};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use chacha20poly1305::{AeadInOut as _, KeyInit as _, Tag, XChaCha20Poly1305, XNonce};

use crate::model::RandomSource;

/// What a sealed bundle begins with.
pub(super) const MAGIC: &[u8; 8] = b"NXLTSEAL";
/// Shortest passphrase that a bundle is sealed with, characters.
pub const PASSPHRASE_MIN: usize = 12;

const VERSION: u32 = 1;
/// Argon2id: KiB, passes and lanes. The second choice of RFC 9106, for machines that have little memory, in one lane.
const COST: Cost = Cost { memory_kib: 64 * 1024, passes: 3, lanes: 1 };
/// The largest cost that a header may ask for: somebody else may have written it.
const COST_MAX: Cost = Cost { memory_kib: 1024 * 1024, passes: 16, lanes: 16 };
const SALT: usize = 16;
const PREFIX: usize = 19;
const NONCE: usize = 24;
const HEADER: usize = 8 + 4 * 4 + SALT + PREFIX;
/// Bytes of a chunk, before encryption.
pub(super) const CHUNK: usize = 64 * 1024;
const TAG: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// The cipher of one bundle, and the number of the next chunk.
struct Cipher {
    cipher: XChaCha20Poly1305,
    header: [u8; HEADER],
    next: u32,
}

impl Cipher {
    fn new(passphrase: &str, header: [u8; HEADER]) -> io::Result<Self> {
        let cost = cost(&header)?;
        let failed = |e: argon2::Error| io::Error::other(format!("making the key failed: {e}"));
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None).map_err(failed)?;
        let mut key = [0; 32];
        let mut memory = vec![Block::default(); params.block_count()];
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let (words, salt) = (passphrase.as_bytes(), &header[24..24 + SALT]);
        argon.hash_password_into_with_memory(words, salt, &mut key, &mut memory).map_err(failed)?;
        let cipher = XChaCha20Poly1305::new(&key.into());
        Ok(Self { cipher, header, next: 0 })
    }

    fn nonce(&mut self, last: bool) -> io::Result<XNonce> {
        let mut nonce = [0; NONCE];
        nonce[..PREFIX].copy_from_slice(&self.header[HEADER - PREFIX..]);
        nonce[PREFIX..PREFIX + 4].copy_from_slice(&self.next.to_be_bytes());
        nonce[NONCE - 1] = u8::from(last);
        self.next = self.next.checked_add(1).ok_or_else(|| io::Error::other("the bundle is larger than 256 TiB"))?;
        Ok(nonce.into())
    }
}

/// The cost that a header asks for, if that is sensible.
fn cost(header: &[u8; HEADER]) -> io::Result<Cost> {
    let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let cost = Cost { memory_kib: number(12), passes: number(16), lanes: number(20) };
    if &header[..8] != MAGIC || number(8) != VERSION {
        return Err(damaged("it is not encrypted in a way that this program knows"));
    }
    let sensible = cost.memory_kib <= COST_MAX.memory_kib && cost.passes <= COST_MAX.passes;
    if sensible && (1..=COST_MAX.lanes).contains(&cost.lanes) && cost.passes > 0 && cost.memory_kib >= 8 * cost.lanes {
        return Ok(cost);
    }
    Err(damaged("its header is damaged: it asks for a key that costs too much to make"))
}

fn damaged(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// Encrypts what is written to it. [`finish`](Self::finish) must be called: without the last chunk nothing opens.
pub(super) struct Sealer<W> {
    cipher: Cipher,
    chunk: Vec<u8>,
    out: W,
}

impl<W: Write> Sealer<W> {
    /// Draws salt and nonce, and writes the header.
    pub(super) fn new(mut out: W, passphrase: &str, random: &dyn RandomSource) -> io::Result<Self> {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(MAGIC);
        let numbers = [VERSION, COST.memory_kib, COST.passes, COST.lanes];
        for (at, number) in numbers.into_iter().enumerate() {
            header[8 + 4 * at..12 + 4 * at].copy_from_slice(&number.to_le_bytes());
        }
        random.fill(&mut header[24..]);
        out.write_all(&header)?;
        Ok(Self { cipher: Cipher::new(passphrase, header)?, chunk: Vec::with_capacity(CHUNK + TAG), out })
    }

    fn flush_chunk(&mut self, last: bool) -> io::Result<()> {
        let nonce = self.cipher.nonce(last)?;
        let sealed =
            self.cipher.cipher.encrypt_inout_detached(&nonce, &self.cipher.header, self.chunk.as_mut_slice().into());
        let tag = sealed.map_err(|_| io::Error::other("the chunk could not be encrypted"))?;
        self.chunk.extend_from_slice(&tag);
        self.out.write_all(&self.chunk)?;
        self.chunk.clear();
        Ok(())
    }

    /// Writes the last chunk and gives back what was written to.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.flush_chunk(true)?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk goes when more comes: only then is it known not to be the last one.
        if self.chunk.len() == CHUNK && !bytes.is_empty() {
            self.flush_chunk(false)?;
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decrypts what is read through it; an error as soon as anything is not what was sealed.
pub(super) struct Opener<R> {
    cipher: Cipher,
    input: R,
    /// What was read of the input and not decrypted yet: the next chunk.
    ahead: Vec<u8>,
    chunk: Vec<u8>,
    read: usize,
    ended: bool,
}

impl<R: Read> Opener<R> {
    /// Reads the header and makes the key.
    pub(super) fn new(mut input: R, passphrase: &str) -> io::Result<Self> {
        let mut header = [0; HEADER];
        input.read_exact(&mut header).map_err(|_| damaged("it is cut short in its header"))?;
        let cipher = Cipher::new(passphrase, header)?;
        let ahead = read_chunk(&mut input)?;
        Ok(Self { cipher, input, ahead, chunk: Vec::new(), read: 0, ended: false })
    }

    /// Decrypts the next chunk.
    fn advance(&mut self) -> io::Result<()> {
        let following = if self.ahead.len() == CHUNK + TAG { read_chunk(&mut self.input)? } else { Vec::new() };
        let last = following.is_empty();
        let number = self.cipher.next;
        let mut chunk = std::mem::replace(&mut self.ahead, following);
        let failed = || match number {
            0 => damaged("the passphrase is wrong, or the file is damaged at its beginning"),
            _ => {
                let at = HEADER as u64 + u64::from(number) * (CHUNK + TAG) as u64;
                damaged(format!("it is damaged, altered or cut short near byte {at}"))
            }
        };
        let body = chunk.len().checked_sub(TAG).ok_or_else(failed)?;
        let (body, tag) = chunk.split_at_mut(body);
        let tag = Tag::try_from(&*tag).map_err(|_| failed())?;
        let nonce = self.cipher.nonce(last)?;
        let opened = self.cipher.cipher.decrypt_inout_detached(&nonce, &self.cipher.header, body.into(), &tag);
        opened.map_err(|_| failed())?;
        chunk.truncate(chunk.len() - TAG);
        (self.chunk, self.read, self.ended) = (chunk, 0, last);
        Ok(())
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.read == self.chunk.len() {
            if self.ended || out.is_empty() {
                return Ok(0);
            }
            self.advance()?;
        }
        let rest = &self.chunk[self.read..];
        let taken = rest.len().min(out.len());
        out[..taken].copy_from_slice(&rest[..taken]);
        self.read += taken;
        Ok(taken)
    }
}

/// Up to a whole chunk; shorter only at the end of the input.
fn read_chunk(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut chunk = Vec::with_capacity(CHUNK + TAG);
    input.take((CHUNK + TAG) as u64).read_to_end(&mut chunk)?;
    Ok(chunk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::random::SeededRandom;

    const WORDS: &str = "correct horse battery staple";
    const SEALED: usize = CHUNK + TAG;

    fn body(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| (at % 253) as u8).collect()
    }

    fn sealed(bytes: usize) -> Vec<u8> {
        let mut sealer = Sealer::new(Vec::new(), WORDS, &SeededRandom::new(1)).expect("a header");
        sealer.write_all(&body(bytes)).expect("written");
        sealer.finish().expect("finished")
    }

    fn opened(bytes: &[u8], words: &str) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Opener::new(bytes, words)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn what_was_sealed_opens_at_every_border() {
        for bytes in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let sealed = sealed(bytes);
            assert_eq!(sealed.len(), HEADER + bytes + TAG * bytes.div_ceil(CHUNK).max(1), "{bytes}");
            assert_eq!(opened(&sealed, WORDS).expect("opens"), body(bytes));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let good = sealed(3 * CHUNK + 100);
        let chunk = |number: usize| HEADER + number * SEALED..HEADER + (number + 1) * SEALED;
        let refused = |what: &str, bytes: &[u8]| {
            let error = opened(bytes, WORDS).expect_err(what);
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{what}: {error}");
        };
        assert!(opened(&good, "another passphrase").expect_err("wrong").to_string().contains("passphrase is wrong"));
        // One bit, in every part of the header and of each chunk; those of the cost make another key, or none.
        for at in [0, 9, 13, 16, 20, 24, 40, 58, 59, 70_000, good.len() - 1, HEADER + CHUNK, HEADER + SEALED] {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            refused(&format!("bit at {at}"), &bytes);
        }
        for end in [0, 8, HEADER, HEADER + 5, HEADER + SEALED, HEADER + 3 * SEALED, good.len() - 1] {
            refused(&format!("cut at {end}"), &good[..end]);
        }
        let mut swapped = good.clone();
        swapped[chunk(0)].copy_from_slice(&good[chunk(1)]);
        swapped[chunk(1)].copy_from_slice(&good[chunk(0)]);
        refused("exchanged", &swapped);
        refused("left out", &[&good[..chunk(0).end], &good[chunk(2).start..]].concat());
        refused("repeated", &[&good[..chunk(0).end], &good[chunk(0).start..]].concat());
        refused("longer", &[&good[..], b"x"].concat());
        let other = {
            let mut sealer = Sealer::new(Vec::new(), WORDS, &SeededRandom::new(2)).expect("a header");
            sealer.write_all(&body(3 * CHUNK + 100)).expect("written");
            sealer.finish().expect("finished")
        };
        refused("a chunk of another bundle", &[&good[..chunk(1).start], &other[chunk(1).start..]].concat());
    }

    #[test]
    fn a_header_cannot_ask_for_everything() {
        let mut bytes = sealed(10);
        bytes[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(opened(&bytes, WORDS).expect_err("4 TiB").to_string().contains("costs too much"));
    }
}
