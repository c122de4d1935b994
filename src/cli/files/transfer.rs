//! `cat`, `get`, `put`: bodies between the server and here, in parts, of one version each.
//!
//! What arrives is compared with the etag (BLAKE3) before a local file gets its name; a file that is sent is whole on
//! the server or not at all.

use std::fs::File;
use std::io::{IsTerminal as _, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::super::door::{Door, Session};
use super::super::{Failure, exit};
use super::{child, is_directory, listed, name, stat, text};

/// Bytes of one part.
const PART_BYTES: u64 = 4 << 20;
/// Larger files show how far they are, bytes.
const SHOWN_BYTES: u64 = 8 << 20;
/// Bodies up to this go as JSON; larger ones to a running server as a stream, bytes.
const JSON_BYTES_MAX: u64 = 4 << 20;

/// Writes files to standard output.
#[derive(Debug, clap::Args)]
pub struct Cat {
    #[command(flatten)]
    door: Door,
    /// Absolute paths on the server.
    #[arg(required = true)]
    paths: Vec<String>,
}

impl Cat {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let session = self.door.open()?;
        let mut out = std::io::stdout().lock();
        let read = self.paths.iter().try_for_each(|path| fetch(&session, path, &mut out, "output").map(|_| ()));
        session.close()?;
        read.map(|()| exit::OK)
    }
}

/// Copies a file from the server; with -r a directory.
#[derive(Debug, clap::Args)]
pub struct Get {
    #[command(flatten)]
    door: Door,
    /// Absolute path on the server.
    from: String,
    /// A local file or directory; without it, the same name here.
    to: Option<PathBuf>,
    /// A directory with everything below it.
    #[arg(long, short)]
    recursive: bool,
    /// Replace local files that are there.
    #[arg(long, short)]
    force: bool,
}

impl Get {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let session = self.door.open()?;
        let got = self.get(&session);
        session.close()?;
        let (files, bytes) = got?;
        self.door.show(&json!({"files": files, "bytes": bytes}), |_| String::new())?;
        Ok(exit::OK)
    }

    fn get(&self, session: &Session) -> Result<(usize, u64), Failure> {
        let to = self.to.clone().unwrap_or_else(|| PathBuf::from("."));
        let to = if to.is_dir() { to.join(name(&self.from)) } else { to };
        let directory = stat(session, &self.from)?.is_some_and(|stat| is_directory(&stat));
        if !directory {
            return Ok((1, self.one(session, &self.from, &to)?));
        }
        if !self.recursive {
            return Err(Failure::new(exit::USAGE, format!("{} is a directory", self.from)).hint("fetch it with -r"));
        }
        let (mut files, mut bytes) = (0, 0);
        let made = |dir: &Path| std::fs::create_dir_all(dir).map_err(|e| local(dir, &e));
        made(&to)?;
        for row in &listed(session, &self.from, true)? {
            let path = text(&row["path"]);
            let below = path.strip_prefix(self.from.trim_end_matches('/')).unwrap_or_default();
            // Paths of the server have no `..` and no empty names.
            let goal = to.join(below.trim_start_matches('/'));
            if is_directory(row) {
                made(&goal)?;
                continue;
            }
            made(goal.parent().unwrap_or(&to))?;
            (files, bytes) = (files + 1, bytes + self.one(session, path, &goal)?);
        }
        Ok((files, bytes))
    }

    /// One file, which has its name when it is whole.
    fn one(&self, session: &Session, from: &str, to: &Path) -> Result<u64, Failure> {
        if to.exists() && !self.force {
            let text = format!("{} is there already; nothing was fetched", to.display());
            return Err(Failure::new(exit::CANNOT_CREATE, text).hint("replace it with --force"));
        }
        let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut part = tempfile::NamedTempFile::new_in(dir).map_err(|e| local(dir, &e))?;
        let bytes = fetch(session, from, &mut part, &to.display().to_string())?;
        part.persist(to).map_err(|e| local(to, &e.error))?;
        Ok(bytes)
    }
}

fn local(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(exit::IO, format!("{}: {error}", path.display()))
}

/// The body of a file, in parts of one version; how many bytes.
fn fetch(session: &Session, path: &str, out: &mut impl Write, goal: &str) -> Result<u64, Failure> {
    let there = session.call("stat", json!({ "path": path }))?;
    if is_directory(&there) {
        return Err(Failure::new(exit::DATA, format!("{path} is a directory")));
    }
    let (size, etag) = (there["size"].as_u64().unwrap_or(0), text(&there["etag"]).to_owned());
    let (bar, mut hasher, mut at) = (bar(name(path), size), blake3::Hasher::new(), 0);
    while at < size {
        let end = size.min(at + PART_BYTES);
        let part = session.call("read_range", json!({"path": path, "start": at, "end": end, "if_match": etag}))?;
        let bytes = STANDARD.decode(text(&part["data"])).unwrap_or_default();
        if bytes.len() as u64 != end - at {
            return Err(Failure::new(exit::DATA, format!("{path}: a part of {} bytes came short", end - at)));
        }
        hasher.update(&bytes);
        out.write_all(&bytes).map_err(|e| Failure::new(exit::IO, format!("{goal}: {e}")))?;
        at = end;
        bar.set_position(at);
    }
    bar.finish_and_clear();
    match hasher.finalize().to_hex().as_str() == etag {
        true => out.flush().map(|()| size).map_err(|e| Failure::new(exit::IO, format!("{goal}: {e}"))),
        false => Err(Failure::new(exit::DATA, format!("{path}: what arrived is not what was stored; try again"))),
    }
}

/// How far a large file is, on standard error; nothing where nobody looks.
fn bar(name: &str, size: u64) -> ProgressBar {
    if size < SHOWN_BYTES || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{prefix} [{bar:32}] {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
    bar.set_prefix(name.to_owned());
    bar
}

/// Copies local files to the server; `-` is standard input.
#[derive(Debug, clap::Args)]
pub struct Put {
    #[command(flatten)]
    door: Door,
    /// A local file, a directory with -r, or `-`.
    from: PathBuf,
    /// Absolute path on the server; a directory that is there, or one that ends in `/`: into it.
    to: String,
    /// A directory with everything below it.
    #[arg(long, short)]
    recursive: bool,
    /// Refuse to write over a file.
    #[arg(long)]
    new: bool,
}

impl Put {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let session = self.door.open()?;
        let sent = self.put(&session);
        session.close()?;
        let (files, bytes) = sent?;
        self.door.show(&json!({"files": files, "bytes": bytes}), |_| String::new())?;
        Ok(exit::OK)
    }

    fn put(&self, session: &Session) -> Result<(usize, u64), Failure> {
        if self.from == Path::new("-") {
            let mut body = Vec::new();
            std::io::stdin().lock().read_to_end(&mut body).map_err(|e| local(Path::new("standard input"), &e))?;
            self.write(session, &self.to, &body)?;
            return Ok((1, body.len() as u64));
        }
        let into = self.to.ends_with('/') || stat(session, &self.to)?.is_some_and(|stat| is_directory(&stat));
        let own = self.from.file_name().and_then(|name| name.to_str());
        let to = match own {
            Some(own) if into => child(&self.to, own),
            None if into && !self.from.is_dir() => return Err(unnamed(&self.from)),
            _ => self.to.clone(),
        };
        if !self.from.is_dir() {
            return Ok((1, self.one(session, &self.from, &to)?));
        }
        if !self.recursive {
            return Err(
                Failure::new(exit::USAGE, format!("{} is a directory", self.from.display())).hint("send it with -r")
            );
        }
        session.call("mkdir", json!({"path": to, "parents": true}))?;
        self.tree(session, &self.from, &to)
    }

    /// Everything in a local directory. Links are followed to files and never into directories.
    fn tree(&self, session: &Session, from: &Path, to: &str) -> Result<(usize, u64), Failure> {
        let (mut files, mut bytes) = (0, 0);
        let entries = std::fs::read_dir(from).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut entries = entries.map_err(|e| local(from, &e))?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let (path, own) = (entry.path(), entry.file_name());
            let goal = child(to, own.to_str().ok_or_else(|| unnamed(&path))?);
            let kind = entry.file_type().map_err(|e| local(&path, &e))?;
            if kind.is_dir() {
                session.call("mkdir", json!({"path": goal, "parents": true}))?;
                let (more, length) = self.tree(session, &path, &goal)?;
                (files, bytes) = (files + more, bytes + length);
            } else if path.is_file() {
                (files, bytes) = (files + 1, bytes + self.one(session, &path, &goal)?);
            }
        }
        Ok((files, bytes))
    }

    fn one(&self, session: &Session, from: &Path, to: &str) -> Result<u64, Failure> {
        let failed = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => {
                Failure::new(exit::NO_INPUT, format!("{}: no such file here", from.display()))
            }
            _ => local(from, &e),
        };
        let mut file = File::open(from).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        if session.is_online() && size > JSON_BYTES_MAX {
            let sent = Arc::new(AtomicU64::new(0));
            let bar = bar(name(to), size);
            let (watched, shown) = (Arc::clone(&sent), bar.clone());
            let stored = session.upload(to, file, self.new, move |bytes| {
                shown.set_position(watched.fetch_add(bytes, Ordering::Relaxed) + bytes);
            });
            bar.finish_and_clear();
            return stored.map(|()| size);
        }
        let mut body = Vec::new();
        file.read_to_end(&mut body).map_err(failed)?;
        self.write(session, to, &body)?;
        Ok(body.len() as u64)
    }

    fn write(&self, session: &Session, to: &str, body: &[u8]) -> Result<Value, Failure> {
        let content = json!({"__type__": "bytes", "data": STANDARD.encode(body)});
        session.call("write", json!({"path": to, "content": content, "if_none_match": self.new}))
    }
}

fn unnamed(path: &Path) -> Failure {
    Failure::new(exit::DATA, format!("{}: its name is no UTF-8, which paths of the server are", path.display()))
}
