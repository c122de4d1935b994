//! What kind of content a file has, by its name and by its first bytes.
//!
//! A word for people and programs that ask; nothing is decided by it but how a browser is told to show a file. Names are
//! not trusted against the bytes: what begins as a picture is one, and no text has a NUL byte.

/// Of what nobody knows.
pub const BINARY: &str = "application/octet-stream";
/// Of what can be read by people.
pub const TEXT: &str = "text/plain";
/// Bytes that are looked at.
const LOOKED_AT_BYTES: usize = 512;

/// By the end of a name, lower case.
const BY_NAME: &[(&str, &str)] = &[
    ("7z", "application/x-7z-compressed"),
    ("aac", "audio/aac"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("bz2", "application/x-bzip2"),
    ("c", TEXT),
    ("cfg", TEXT),
    ("conf", TEXT),
    ("cpp", TEXT),
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("epub", "application/epub+zip"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("go", TEXT),
    ("gz", "application/gzip"),
    ("h", TEXT),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ico", "image/x-icon"),
    ("ini", TEXT),
    ("ipynb", "application/x-ipynb+json"),
    ("jar", "application/java-archive"),
    ("java", TEXT),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript"),
    ("json", "application/json"),
    ("jsonl", "application/jsonl"),
    ("log", TEXT),
    ("m4a", "audio/mp4"),
    ("markdown", "text/markdown"),
    ("md", "text/markdown"),
    ("mjs", "text/javascript"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ogg", "audio/ogg"),
    ("parquet", "application/vnd.apache.parquet"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("py", "text/x-python"),
    ("rs", TEXT),
    ("rst", TEXT),
    ("sh", "application/x-sh"),
    ("sql", "application/sql"),
    ("sqlite", "application/vnd.sqlite3"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("toml", "application/toml"),
    ("ts", TEXT),
    ("tsv", "text/tab-separated-values"),
    ("tsx", TEXT),
    ("txt", TEXT),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xhtml", "application/xhtml+xml"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", "application/xml"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

/// By the first bytes.
const BY_BYTES: &[(&[u8], &str)] = &[
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"SQLite format 3\0", "application/vnd.sqlite3"),
    (b"\0asm", "application/wasm"),
    (ZIP_BYTES, ZIP),
    (b"\x7fELF", "application/x-executable"),
];
/// What a container of many formats begins with; its name tells which.
const ZIP_BYTES: &[u8] = b"PK\x03\x04";
const ZIP: &str = "application/zip";

/// The kind of a file of this name that begins with `head`.
#[must_use]
pub fn of(name: &str, head: &[u8]) -> &'static str {
    let head = &head[..head.len().min(LOOKED_AT_BYTES)];
    let named = by_name(name);
    let found = BY_BYTES.iter().find(|(begin, _)| head.starts_with(begin)).map(|(_, kind)| *kind);
    match (named, found) {
        // A document whose container is a ZIP archive.
        (Some(named), Some(ZIP)) if !is_text(named) && !named.starts_with("image/") => named,
        (_, Some(found)) => found,
        (Some(named), None) if is_text(named) && head.contains(&0) => BINARY,
        (Some(named), None) => named,
        (None, None) if reads_as_text(head) => TEXT,
        (None, None) => BINARY,
    }
}

fn by_name(name: &str) -> Option<&'static str> {
    let (stem, end) = name.rsplit_once('.')?;
    let end = end.to_ascii_lowercase();
    let at = BY_NAME.binary_search_by(|(known, _)| (*known).cmp(end.as_str())).ok()?;
    // `.md` is a hidden file without an end.
    (!stem.is_empty()).then(|| BY_NAME[at].1)
}

/// Whether files of this kind are text, whatever charset they are in.
#[must_use]
pub fn is_text(kind: &str) -> bool {
    const TEXTS: &[&str] = &["json", "jsonl", "xml", "yaml", "toml", "sql", "x-sh"];
    let of_application = kind.strip_prefix("application/");
    kind.starts_with("text/")
        || kind.ends_with("+xml")
        || kind.ends_with("+json")
        || of_application.is_some_and(|rest| TEXTS.contains(&rest))
}

/// Whether `head` is UTF-8, but for a character that was cut off, without control characters that no text has.
fn reads_as_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\u{c}' | '\u{1b}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(BY_NAME.is_sorted_by(|a, b| a.0 < b.0));
        assert!(BY_NAME.iter().all(|(end, kind)| end.to_lowercase() == *end && kind.contains('/')));
    }

    #[test]
    fn by_name_and_by_bytes() {
        for (name, head, kind) in [
            ("a.txt", &b"hello"[..], TEXT),
            ("README.MD", b"# x", "text/markdown"),
            ("a.html", b"<p>", "text/html"),
            ("a.svg", b"<svg", "image/svg+xml"),
            ("noname", b"hello \xc3\xa4", TEXT),
            ("cut", b"hello \xc3", TEXT),
            ("latin", b"hello \xe4 x", BINARY),
            ("none", b"", TEXT),
            ("nul", b"a\0b", BINARY),
            ("a.txt", b"a\0b", BINARY),
            ("a.txt", b"\x89PNG\r\n\x1a\nrest", "image/png"),
            ("a.docx", b"PK\x03\x04", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
            ("a.txt", b"PK\x03\x04", ZIP),
            ("a.bin", b"PK\x03\x04", ZIP),
            ("a.unknown", b"\x01\x02", BINARY),
            (".md", b"x", TEXT),
            ("a.parquet", b"PAR1\0", "application/vnd.apache.parquet"),
            ("x.html", b"GIF89a<script>", "image/gif"),
        ] {
            assert_eq!(of(name, head), kind, "{name} {head:?}");
        }
    }
}
