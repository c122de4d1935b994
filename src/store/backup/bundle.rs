//! A backup as one file, that moves to another machine: the parts of a backup directory in a row, plain or sealed.
//!
//! `NXLTBACK`, the length of the manifest (u64, little endian), the manifest, the parts in its order (database, blobs,
//! secret) without anything between them, and BLAKE3 of all of that. Sealed, this stream is encrypted (`seal`), and
//! only then it may hold the server's secret.
//!
//! Invariant: a bundle is there under its name only when it is complete and durable; what is unpacked has been
//! compared with the manifest, byte by byte, before anybody is told that it is there.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::seal::{self, Opener, PASSPHRASE_MIN, Sealer};
use super::{MANIFEST_BYTES_MAX, Manifest, Part, SECRET_PART, hash_file, part_path, read, unusable};
use crate::model::{OsRandom, RandomSource as _};
use crate::store::StoreError;
use crate::store::files::{Files, NewFile};

/// What a plain bundle begins with, and the stream inside a sealed one.
const MAGIC: &[u8; 8] = b"NXLTBACK";
/// Bytes that are copied at a time.
const BUFFER: usize = 64 * 1024;
/// Bytes of BLAKE3.
const HASH: usize = 32;

/// What goes into a bundle.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// A complete backup.
    pub backup: &'a Path,
    /// The file of the server's secret; only into a sealed bundle.
    pub secret: Option<&'a Path>,
    /// What it is sealed with; `None` = it is plain.
    pub passphrase: Option<&'a str>,
}

/// Packs a backup into the new file `target`. Returns its bytes.
pub fn pack(contents: Contents<'_>, target: &Path) -> Result<u64, StoreError> {
    let Contents { backup, secret, passphrase } = contents;
    let refused = |what: &str, remedy: &str| Err(unusable(target, what, remedy));
    if secret.is_some() && passphrase.is_none() {
        return refused("a plain bundle never holds the server's secret", "Give a passphrase, or leave the secret out");
    }
    if passphrase.is_some_and(|words| words.chars().count() < PASSPHRASE_MIN) {
        let what = format!("the passphrase has fewer than {PASSPHRASE_MIN} characters");
        return Err(unusable(target, what, "Give a longer one"));
    }
    if target.exists() {
        return refused("it is there already, and is not overwritten", "Give another name");
    }
    let mut manifest = read::manifest(backup)?;
    if let Some(secret) = secret {
        let (blake3, bytes) = hash_file(secret)?;
        manifest.secret = Some(Part { path: SECRET_PART.into(), bytes, blake3 });
    }
    let files = Files::default();
    let partial = partial_name(target)?;
    let written = write(&files, &manifest, contents, &partial).and_then(|bytes| {
        let folder = target.parent().unwrap_or(Path::new("."));
        files.rename(&partial, target).map_err(|e| StoreError::io("naming", target, e))?;
        files.sync_dir(folder).map_err(|e| StoreError::io("syncing", folder, e))?;
        Ok(bytes)
    });
    if written.is_err() {
        // The first error is the one to tell; the name says that it is not complete.
        let _ = files.remove(&partial);
    }
    written
}

/// `<target>.partial-0123456789abcdef`.
fn partial_name(target: &Path) -> Result<PathBuf, StoreError> {
    let Some(name) = target.file_name() else {
        return Err(unusable(target, "it cannot be the name of a file", "Name a file"));
    };
    Ok(target.with_file_name(format!("{}.partial-{}", name.to_string_lossy(), OsRandom.hex(8))))
}

/// A new file as a writer that counts.
struct Out {
    file: NewFile,
    bytes: u64,
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(files: &Files, manifest: &Manifest, contents: Contents<'_>, path: &Path) -> Result<u64, StoreError> {
    let failed = |e: io::Error| StoreError::io("writing", path, e);
    let file = files.create(path).map_err(|e| StoreError::io("making", path, e))?;
    let out = BufWriter::with_capacity(BUFFER, Out { file, bytes: 0 });
    let out = match contents.passphrase {
        None => {
            let mut out = out;
            stream(manifest, contents, path, &mut out)?;
            out
        }
        Some(words) => {
            let mut sealer = Sealer::new(out, words, &OsRandom).map_err(failed)?;
            stream(manifest, contents, path, &mut sealer)?;
            sealer.finish().map_err(failed)?
        }
    };
    let out = out.into_inner().map_err(|e| failed(e.into_error()))?;
    out.file.sync_all().map_err(|e| StoreError::io("syncing", path, e))?;
    Ok(out.bytes)
}

/// Writes the stream: what a sealed bundle encrypts and a plain one is.
fn stream(manifest: &Manifest, contents: Contents<'_>, path: &Path, out: &mut impl Write) -> Result<(), StoreError> {
    let failed = |e: io::Error| StoreError::io("writing", path, e);
    let mut hasher = blake3::Hasher::new();
    let text = serde_json::to_vec(manifest).expect("a manifest serialises");
    let head = [&MAGIC[..], &(text.len() as u64).to_le_bytes(), &text].concat();
    hasher.update(&head);
    out.write_all(&head).map_err(failed)?;
    for part in manifest.parts() {
        let source = match contents.secret.filter(|_| part.path == SECRET_PART) {
            Some(secret) => secret.to_owned(),
            None => part_path(contents.backup, part)?,
        };
        let mut file = File::open(&source).map_err(|e| StoreError::io("opening", &source, e))?;
        let copied = copy(&mut file, part, &mut hasher, |bytes| out.write_all(bytes));
        copied.map_err(|e| StoreError::io("copying", &source, e))?;
    }
    out.write_all(hasher.finalize().as_bytes()).map_err(failed)
}

/// Copies exactly the bytes of `part` from `input`, and compares them with what it says.
fn copy(
    input: &mut impl Read,
    part: &Part,
    whole: &mut blake3::Hasher,
    mut out: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let (mut hasher, mut buffer, mut left) = (blake3::Hasher::new(), vec![0; BUFFER], part.bytes);
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
        let got = input.read(&mut buffer[..want])?;
        if got == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is cut short"));
        }
        let bytes = &buffer[..got];
        hasher.update(bytes);
        whole.update(bytes);
        out(bytes)?;
        left -= got as u64;
    }
    if hasher.finalize().to_hex().as_str() == part.blake3 {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} is not what was backed up", part.path)))
}

/// Unpacks the bundle `source` into the empty directory `into`; every byte is compared, every file is durable.
pub(super) fn unpack(
    source: &Path,
    into: &Path,
    passphrase: Option<&str>,
    files: &Files,
) -> Result<Manifest, StoreError> {
    let opened = File::open(source).map_err(|e| StoreError::io("opening", source, e))?;
    let mut input = BufReader::with_capacity(BUFFER, opened);
    let start = io::BufRead::fill_buf(&mut input).map_err(|e| StoreError::io("reading", source, e))?;
    if !start.starts_with(seal::MAGIC) {
        return unpack_stream(source, &mut input, into, files);
    }
    let Some(words) = passphrase else {
        let remedy = "Give its passphrase: --passphrase-file FILE, or NEXUS_LITE_BACKUP_PASSPHRASE";
        return Err(unusable(source, "it is encrypted", remedy));
    };
    let mut input = Opener::new(input, words).map_err(|e| refused(source, e))?;
    unpack_stream(source, &mut input, into, files)
}

/// What is wrong with the file; input/output errors of the disk stay what they are.
fn refused(source: &Path, error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            unusable(source, error.to_string(), "Use another backup. Nothing was changed")
        }
        _ => StoreError::io("reading", source, error),
    }
}

fn unpack_stream(source: &Path, input: &mut impl Read, into: &Path, files: &Files) -> Result<Manifest, StoreError> {
    let fail = |e: io::Error| refused(source, e);
    let broken = |what: &str| unusable(source, what, "Use another backup. Nothing was changed");
    let mut hasher = blake3::Hasher::new();
    let mut head = [0; 16];
    input.read_exact(&mut head).map_err(fail)?;
    let (magic, length) = head.split_at(8);
    if magic != MAGIC {
        return Err(unusable(source, "it is no backup of nexus-lite", "Name a file that `backup now --file` made"));
    }
    hasher.update(&head);
    let length = u64::from_le_bytes(length.try_into().expect("eight bytes"));
    if length > MANIFEST_BYTES_MAX {
        return Err(broken("its manifest is longer than any can be"));
    }
    let mut text = Vec::new();
    input.by_ref().take(length).read_to_end(&mut text).map_err(fail)?;
    hasher.update(&text);
    let manifest = read::parse(source, &text)?;
    for part in manifest.parts() {
        let target = part_path(into, part)?;
        let folder = target.parent().unwrap_or(into);
        files.make_dirs(into, folder)?;
        let mut file = files.create(&target).map_err(|e| StoreError::io("making", &target, e))?;
        copy(input, part, &mut hasher, |bytes| file.write_all(bytes)).map_err(fail)?;
        file.sync_all().map_err(|e| StoreError::io("syncing", &target, e))?;
        files.sync_dir(folder).map_err(|e| StoreError::io("syncing", folder, e))?;
    }
    let mut said = Vec::with_capacity(HASH);
    input.by_ref().take(HASH as u64 + 1).read_to_end(&mut said).map_err(fail)?;
    if said != hasher.finalize().as_bytes() {
        return Err(broken("it is damaged, or cut short, or longer than it was"));
    }
    Ok(manifest)
}
