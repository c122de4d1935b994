//! Archives of skills, as bytes: read with limits that are counted while inflating, and written.
//!
//! Owns what an archive may hold at all; what a skill is, is for `package`. Nothing is ever unpacked to a file system.
//! Invariant: no more than [`TOTAL_BYTES_MAX`] bytes are inflated, whatever the archive says of itself, and a file is
//! inflated only if the names of all are good.

use std::collections::HashMap;
use std::io::{Cursor, Read as _, Write as _};

use bytes::Bytes;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Entries of one archive, directories included.
pub const ENTRIES_MAX: usize = 2_000;
/// Inflated bytes of one archive.
pub const TOTAL_BYTES_MAX: u64 = 64 << 20;
/// Inflated bytes of one file.
pub const FILE_BYTES_MAX: u64 = 16 << 20;
/// How much more a file may inflate to than it takes.
pub const RATIO_MAX: u64 = 100;
/// Below this many inflated bytes a file may have any ratio: a few lines of blanks are no bomb.
pub const RATIO_FREE_BYTES: u64 = 64 * 1024;
/// Names in one path.
pub const DEPTH_MAX: usize = 8;
/// Bytes of one path.
const PATH_BYTES_MAX: usize = 512;
/// What is inflated at once, bytes.
const PIECE_BYTES: usize = 16 * 1024;
/// The end record of an archive without its comment, and how it begins.
const END_BYTES: usize = 22;
const END_MARK: &[u8] = b"PK\x05\x06";
/// The record that stands before it in archives of the 64-bit form.
const WIDE_BYTES: usize = 20;
const WIDE_MARK: &[u8] = b"PK\x06\x07";
/// A line of the directory without its names, and how it begins.
const ENTRY_BYTES: usize = 46;
const ENTRY_MARK: &[u8] = b"PK\x01\x02";
/// The longest comment after the end record, bytes.
const COMMENT_BYTES_MAX: usize = 65_535;
/// The bits of a Unix mode that say what a thing is, and those of a file and of a directory.
const MODE_KIND: u32 = 0o170_000;
const MODE_FILE: u32 = 0o100_000;
const MODE_DIRECTORY: u32 = 0o040_000;

/// Why an archive is refused; whole sentences for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// It is no archive.
    #[error("Invalid ZIP file: File is not a zip file")]
    NotAnArchive,
    /// It cannot be read.
    #[error("Invalid ZIP file: {0}")]
    Unreadable(String),
    /// Over [`ENTRIES_MAX`].
    #[error("Invalid ZIP file: more than {ENTRIES_MAX} entries")]
    Entries,
    /// Of the 64-bit form, which nothing within the limits needs.
    #[error("Invalid ZIP file: it is of the 64-bit form, for archives of another size")]
    Wide,
    /// One thing twice.
    #[error("Invalid ZIP file: two entries are called '{0}', or would be where case does not count")]
    Twice(String),
    /// A file where another has a directory.
    #[error("Invalid ZIP file: '{0}' is a file and a directory")]
    FileAndDirectory(String),
    /// Entries that share their bytes.
    #[error("Invalid ZIP file: entries overlap")]
    Overlap,
    /// A name that is no path below the archive.
    #[error("Invalid ZIP file: the name '{name}' {why}")]
    Name {
        /// The name, as far as it can be shown.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Needs a password.
    #[error("Invalid ZIP file: '{0}' is encrypted")]
    Encrypted(String),
    /// Not a file, not a directory.
    #[error("Invalid ZIP file: '{0}' is a link or a device")]
    NotAFile(String),
    /// Packed in a way that is not read.
    #[error("Invalid ZIP file: '{0}' is compressed by another method than deflate")]
    Method(String),
    /// Over [`FILE_BYTES_MAX`].
    #[error("Invalid ZIP file: '{0}' is larger than {FILE_BYTES_MAX} bytes")]
    FileTooLarge(String),
    /// Over [`TOTAL_BYTES_MAX`].
    #[error("Invalid ZIP file: it holds more than {TOTAL_BYTES_MAX} bytes")]
    TooLarge,
    /// Over [`RATIO_MAX`].
    #[error("Invalid ZIP file: '{0}' inflates to more than {RATIO_MAX} times its size")]
    Bomb(String),
    /// Another size than it says.
    #[error("Invalid ZIP file: '{0}' has another size than the archive says")]
    Lies(String),
}

/// A file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its path, names joined by `/`, relative.
    pub path: String,
    /// Its bytes.
    pub body: Bytes,
}

/// What has been inflated so far; for tests and for a log, also where an archive is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Meter {
    /// Bytes.
    pub inflated: u64,
}

/// The files of an archive, in its order. All or none.
pub fn read(archive: &[u8], meter: &mut Meter) -> Result<Vec<Member>, ArchiveError> {
    bounded(archive)?;
    let mut zip = ZipArchive::new(Cursor::new(archive)).map_err(|e| unreadable(&e))?;
    if zip.len() > ENTRIES_MAX {
        return Err(ArchiveError::Entries);
    }
    let paths = looked_at(&zip)?;
    if zip.has_overlapping_files().map_err(|e| unreadable(&e))? {
        return Err(ArchiveError::Overlap);
    }
    let mut members = Vec::with_capacity(paths.len());
    for (at, path) in paths {
        let body = inflated(&mut zip, at, &path, meter)?;
        members.push(Member { path, body });
    }
    Ok(members)
}

/// Looks at the end record before anything is read into memory: how many entries there are to be.
fn bounded(archive: &[u8]) -> Result<(), ArchiveError> {
    let from = archive.len().saturating_sub(END_BYTES + COMMENT_BYTES_MAX);
    let tail = &archive[from..];
    let at = tail.windows(END_MARK.len()).rposition(|bytes| bytes == END_MARK).ok_or(ArchiveError::NotAnArchive)?;
    let end = tail.get(at..at + END_BYTES).ok_or(ArchiveError::NotAnArchive)?;
    let before = (from + at).checked_sub(WIDE_BYTES).and_then(|wide| archive.get(wide..from + at));
    if before.is_some_and(|record| record.starts_with(WIDE_MARK)) {
        return Err(ArchiveError::Wide);
    }
    let half = |at: usize| usize::from(u16::from_le_bytes([end[at], end[at + 1]]));
    let whole = |at: usize| half(at) | half(at + 2) << 16;
    let (said, size, start) = (half(10), whole(12), whole(16));
    let directory = archive.get(start..from + at).filter(|directory| directory.len() == size);
    let directory = directory.ok_or_else(|| ArchiveError::Unreadable("its directory is not where it says".into()))?;
    match entries(directory)? == said && half(8) == said {
        true => Ok(()),
        false => Err(ArchiveError::Unreadable("it has another number of entries than it says".into())),
    }
}

/// How many entries a directory lists; no more than may be are counted.
fn entries(mut directory: &[u8]) -> Result<usize, ArchiveError> {
    let mut count = 0;
    while !directory.is_empty() {
        count += 1;
        if count > ENTRIES_MAX {
            return Err(ArchiveError::Entries);
        }
        let broken = || ArchiveError::Unreadable("its directory is broken".into());
        let head = directory.get(..ENTRY_BYTES).filter(|head| head.starts_with(ENTRY_MARK)).ok_or_else(broken)?;
        let length = |at: usize| usize::from(u16::from_le_bytes([head[at], head[at + 1]]));
        directory = directory.get(ENTRY_BYTES + length(28) + length(30) + length(32)..).ok_or_else(broken)?;
    }
    Ok(count)
}

/// The files by their place and path, if all entries are such as may be.
fn looked_at(zip: &ZipArchive<Cursor<&[u8]>>) -> Result<Vec<(usize, String)>, ArchiveError> {
    let mut seen: HashMap<String, bool> = HashMap::new();
    let mut files = Vec::new();
    for at in 0..zip.len() {
        let entry = zip.by_index_data(at).map_err(|e| unreadable(&e))?;
        let path = path_of(entry.name_raw())?;
        if entry.encrypted() {
            return Err(ArchiveError::Encrypted(path));
        }
        let is_directory = entry.name_raw().ends_with(b"/");
        let kind = entry.unix_mode().unwrap_or(0) & MODE_KIND;
        let fits = kind == 0 || kind == if is_directory { MODE_DIRECTORY } else { MODE_FILE };
        if entry.is_symlink() || !fits {
            return Err(ArchiveError::NotAFile(path));
        }
        if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(ArchiveError::Method(path));
        }
        if entry.size() > FILE_BYTES_MAX {
            return Err(ArchiveError::FileTooLarge(path));
        }
        if seen.insert(folded(&path), is_directory).is_some() {
            return Err(ArchiveError::Twice(path));
        }
        if !is_directory {
            files.push((at, path));
        }
    }
    if zip.has_duplicate_names() {
        return Err(ArchiveError::Twice(twin(zip)));
    }
    for (_, path) in &files {
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        if let Some(file) = above.into_iter().find(|above| seen.get(&folded(above)) == Some(&false)) {
            return Err(ArchiveError::FileAndDirectory(file.to_owned()));
        }
    }
    Ok(files)
}

/// As file systems that do not tell case apart see it.
fn folded(path: &str) -> String {
    path.chars().flat_map(char::to_lowercase).flat_map(char::to_uppercase).collect()
}

/// A name to say of an archive in which one is there twice: the list that was read holds each once.
fn twin(zip: &ZipArchive<Cursor<&[u8]>>) -> String {
    zip.file_names_raw().next().map_or_else(String::new, |name| String::from_utf8_lossy(name).into_owned())
}

/// The relative path that a name is.
fn path_of(name: &[u8]) -> Result<String, ArchiveError> {
    let shown = || String::from_utf8_lossy(name).chars().take(100).collect::<String>();
    let refused = |why| ArchiveError::Name { name: shown().escape_debug().to_string(), why };
    let Ok(text) = std::str::from_utf8(name) else { return Err(refused("is not UTF-8")) };
    let path = text.strip_suffix('/').unwrap_or(text);
    let is_drive = |text: &str| text.as_bytes().get(1) == Some(&b':') && text.as_bytes()[0].is_ascii_alphabetic();
    let why = match path {
        "" => "is empty",
        path if path.len() > PATH_BYTES_MAX => "is too long",
        path if path.chars().any(char::is_control) => "holds a control character",
        path if path.contains('\\') => "holds a backslash",
        path if path.starts_with('/') => "is absolute",
        path if is_drive(path) => "begins with a drive",
        path if path.split('/').any(|part| part == "..") => "leads out of the archive ('..')",
        path if path.split('/').any(|part| part.is_empty() || part == ".") => "has an empty part, or '.'",
        path if path.split('/').count() > DEPTH_MAX => "lies deeper than 8 directories",
        path => return Ok(path.to_owned()),
    };
    Err(refused(why))
}

/// The bytes of one file, counted while they come.
fn inflated(
    zip: &mut ZipArchive<Cursor<&[u8]>>,
    at: usize,
    path: &str,
    meter: &mut Meter,
) -> Result<Bytes, ArchiveError> {
    let mut file = zip.by_index(at).map_err(|e| unreadable(&e))?;
    let (says, packed) = (file.size(), file.compressed_size());
    let mut body = Vec::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = match file.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) => return Err(ArchiveError::Unreadable(format!("'{path}': {error}"))),
        };
        meter.inflated += count as u64;
        body.extend_from_slice(&piece[..count]);
        let size = body.len() as u64;
        if size > FILE_BYTES_MAX {
            return Err(ArchiveError::FileTooLarge(path.to_owned()));
        }
        if meter.inflated > TOTAL_BYTES_MAX {
            return Err(ArchiveError::TooLarge);
        }
        if size > RATIO_FREE_BYTES && size > packed.saturating_mul(RATIO_MAX) {
            return Err(ArchiveError::Bomb(path.to_owned()));
        }
        if size > says {
            return Err(ArchiveError::Lies(path.to_owned()));
        }
    }
    if body.len() as u64 != says {
        return Err(ArchiveError::Lies(path.to_owned()));
    }
    Ok(Bytes::from(body))
}

fn unreadable(error: &zip::result::ZipError) -> ArchiveError {
    ArchiveError::Unreadable(error.to_string())
}

/// An archive of these files, in their order. The same files are the same bytes: no time is in it.
pub fn write(members: &[Member]) -> Result<Vec<u8>, ArchiveError> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for member in members {
        let method = if packs_too_well(member)? { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        zip.start_file(member.path.as_str(), options(method)).map_err(|e| unreadable(&e))?;
        zip.write_all(&member.body).map_err(|e| ArchiveError::Unreadable(e.to_string()))?;
    }
    Ok(zip.finish().map_err(|e| unreadable(&e))?.into_inner())
}

fn options(method: CompressionMethod) -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(method).unix_permissions(0o644)
}

/// Whether a file would look like a bomb to whoever reads the archive, ourselves included.
fn packs_too_well(member: &Member) -> Result<bool, ArchiveError> {
    if member.body.len() as u64 <= RATIO_FREE_BYTES {
        return Ok(false);
    }
    let mut alone = ZipWriter::new(Cursor::new(Vec::new()));
    alone.start_file("f", options(CompressionMethod::Deflated)).map_err(|e| unreadable(&e))?;
    alone.write_all(&member.body).map_err(|e| ArchiveError::Unreadable(e.to_string()))?;
    let packed = alone.finish().map_err(|e| unreadable(&e))?.into_inner();
    // With half the ratio there is room for what an archive of one file has beside it.
    Ok(member.body.len() as u64 > packed.len() as u64 * RATIO_MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_never_a_bomb() {
        let even = member("a/even.txt", &"a".repeat(3 << 20));
        let archive = write(std::slice::from_ref(&even)).expect("written");
        assert_eq!(read(&archive, &mut Meter::default()).expect("read"), [even]);
    }

    fn member(path: &str, body: &str) -> Member {
        Member { path: path.to_owned(), body: Bytes::from(body.to_owned()) }
    }

    #[test]
    fn what_was_written_is_read() {
        let members = [member("a/SKILL.md", "x"), member("a/deep/er/b.txt", ""), member("manifest.json", "{}")];
        let archive = write(&members).expect("written");
        assert_eq!(archive, write(&members).expect("written"), "the same bytes");
        let mut meter = Meter::default();
        assert_eq!(read(&archive, &mut meter).expect("read"), members);
        assert_eq!(meter.inflated, 3);
        assert_eq!(read(b"AAAA", &mut meter), Err(ArchiveError::NotAnArchive));
        assert_eq!(read(b"", &mut meter), Err(ArchiveError::NotAnArchive));
    }

    #[test]
    fn names_are_paths_below_the_archive() {
        for good in ["a", "a/b", "a/b/", "ü/日本", "a..b", "...", "c:d/e".trim_start_matches("c:")] {
            assert!(path_of(good.as_bytes()).is_ok(), "{good}");
        }
        let deep = ["d"; DEPTH_MAX + 1].join("/");
        for bad in
            ["", "/", "/a", "../a", "a/../b", "a/..", "a//b", "./a", "a\\b", "C:a", "c:/a", "a\0b", "a\nb", &deep]
        {
            assert!(path_of(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(path_of(&[b'a', 0xff]).is_err());
    }
}
