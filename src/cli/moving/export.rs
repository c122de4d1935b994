//! `export`: a store as one file.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::place::Place;
use super::progress::Shown;
use super::{Talk, stoppable, teller, worded};
use crate::cli::settings::Settings;
use crate::cli::{Failure, exit, print};
use crate::model::{OsRandom, RandomSource as _};
use crate::store::bundle::{Header, What};

/// Bytes that are written at a time.
const BUFFER: usize = 256 * 1024;

/// Writes a whole store to one file, at one revision, to be imported elsewhere. No server may run on it.
#[derive(Debug, clap::Args)]
pub struct Export {
    /// The new file; `-` = standard output.
    file: PathBuf,
    /// Put the server's secret in as well, with which the keys of this store are known. Who has the file then can make
    /// keys of his own that the server takes.
    #[arg(long)]
    with_secret: bool,
    #[command(flatten)]
    talk: Talk,
    #[command(flatten)]
    settings: Settings,
}

impl Export {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let Self { file, with_secret, talk, settings } = self;
        let config = settings.load()?;
        let place = Place::of(&config)?;
        let secret = if with_secret { place.secret(config.server_secret.as_ref())? } else { None };
        if with_secret && secret.is_none() {
            let text = format!("{} has no server.secret, and no server_secret is set", place.name());
            return Err(Failure::new(exit::NO_INPUT, text).hint("set server_secret, or leave --with-secret out"));
        }
        let name = file.display().to_string();
        let to_stdout = file.as_os_str() == "-";
        let what = What { name: if to_stdout { "standard output".into() } else { name.clone() }, secret };
        let sink = if to_stdout { Sink::Stdout } else { Sink::file(&file)? };
        let header = stoppable(move |runtime, stop| {
            let store = place.open()?;
            let out = sink.open()?;
            let tell = Box::new(teller(Shown::new("exporting", talk.quiet), stop));
            let exported = runtime.block_on(store.export(out, what, tell));
            let closed = runtime.block_on(store.close());
            let header = exported?;
            closed?;
            sink.finish()?;
            Ok(header)
        })?;
        report(&name, &header, talk, to_stdout)?;
        Ok(exit::OK)
    }
}

fn report(name: &str, header: &Header, talk: Talk, to_stdout: bool) -> Result<(), Failure> {
    let text = if talk.json {
        let report = json!({ "file": name, "bundle": header });
        format!("{report}\n")
    } else {
        let secret = if header.secret {
            "it holds the server's secret: whoever has the file can make keys; keep it as you keep the secret\n"
        } else {
            "the server's secret is not in it: keys are known where server_secret is the same\n"
        };
        let Header { rev, bodies, .. } = header;
        format!("{name}: revision {rev}; {}; {} large bodies\n{secret}", worded(&header.counts), bodies.count)
    };
    if !to_stdout {
        return print(&text);
    }
    // The bundle is on the other one. What cannot be told is no reason to fail.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
    Ok(())
}

/// Where the lines go. A file has its name only when it is complete and durable.
#[derive(Debug)]
enum Sink {
    Stdout,
    File { path: PathBuf, partial: PathBuf },
}

impl Sink {
    fn file(path: &Path) -> Result<Self, Failure> {
        if path.exists() {
            let text = format!("{} is there already, and is not overwritten", path.display());
            return Err(Failure::new(exit::CANNOT_CREATE, text).hint("give another name"));
        }
        let Some(name) = path.file_name() else {
            return Err(Failure::new(exit::CANNOT_CREATE, format!("{} cannot be a file", path.display())));
        };
        let partial = format!("{}.partial-{}", name.to_string_lossy(), OsRandom.hex(8));
        Ok(Self::File { path: path.to_owned(), partial: path.with_file_name(partial) })
    }

    fn open(&self) -> Result<Box<dyn Write + Send>, Failure> {
        Ok(match self {
            Self::Stdout => Box::new(BufWriter::with_capacity(BUFFER, std::io::stdout())),
            Self::File { partial, .. } => {
                // Every file and every key's hash of the store: for its owner only.
                let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(partial);
                let file = file.map_err(|e| Failure::file("making", partial, &e))?;
                Box::new(BufWriter::with_capacity(BUFFER, file))
            }
        })
    }

    fn finish(&self) -> Result<(), Failure> {
        let Self::File { path, partial } = self else { return Ok(()) };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let durable = || {
            File::open(partial)?.sync_all()?;
            std::fs::rename(partial, path)?;
            File::open(folder)?.sync_all()
        };
        durable().map_err(|e| Failure::file("writing", path, &e))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Self::File { partial, .. } = self {
            // It has its name, or it is not complete.
            let _ = std::fs::remove_file(partial);
        }
    }
}
