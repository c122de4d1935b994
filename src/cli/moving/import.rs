//! `import`: a bundle into an empty place.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use serde_json::json;

use super::place::Place;
use super::progress::Shown;
use super::{Talk, stoppable, teller, worded};
use crate::cli::scratch::Scratch;
use crate::cli::settings::Settings;
use crate::cli::{Failure, exit, print};
use crate::store::bundle::{self, How, Imported, Tenants};

/// Bytes that are read at a time.
const BUFFER: usize = 256 * 1024;

/// Reads a file that `export` made into a new data directory or an empty database: all of it, or nothing.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// The file; `-` = standard input.
    file: PathBuf,
    /// Check everything and write nothing: each line, each hash, each count, what rows say of each other.
    #[arg(long)]
    dry_run: bool,
    /// Give a tenant another name wherever it stands; may be given several times, all are done at once. Remembered
    /// replies (Idempotency-Key) do not travel then.
    #[arg(long, value_name = "OLD=NEW")]
    map_tenant: Vec<String>,
    /// The original goes on as well: give the copy a life of its own, so that its revisions are not taken for those of
    /// the original.
    #[arg(long)]
    copy: bool,
    /// Where a secret that is in the bundle goes. By default `server.secret` in the data directory.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    #[command(flatten)]
    talk: Talk,
    #[command(flatten)]
    settings: Settings,
}

/// The names of tenants that change.
pub(super) fn tenants(pairs: &[String]) -> Result<Tenants, Failure> {
    Tenants::parse(pairs.iter().map(String::as_str)).map_err(|e| Failure::new(exit::USAGE, e.to_string()))
}

impl Import {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let Self { file, dry_run, map_tenant, copy, secret_file, talk, settings } = self;
        let tenants = tenants(&map_tenant)?;
        let config = settings.load()?;
        let place = Place::of(&config)?;
        let options = place.options()?;
        bundle::free(&options)?;
        let from_stdin = file.as_os_str() == "-";
        let name = if from_stdin { "standard input".to_owned() } else { file.display().to_string() };
        let target_secret = secret_file.or_else(|| place.secret_file());
        let keeps_secret = target_secret.is_some();
        let how = How { name, tenants, copy, check_only: dry_run, secret_file: target_secret.filter(|_| !dry_run) };
        let imported = stoppable(move |_, stop| {
            let mut input: Box<dyn BufRead> = if from_stdin {
                Box::new(BufReader::with_capacity(BUFFER, std::io::stdin()))
            } else {
                let opened = File::open(&file).map_err(|e| missing(&file, &e))?;
                Box::new(BufReader::with_capacity(BUFFER, opened))
            };
            let verb = if dry_run { "checking" } else { "importing" };
            let mut tell = teller(Shown::new(verb, talk.quiet), stop);
            // A check fills a place that is thrown away.
            let scratch = if dry_run { Some(Scratch::new("nexus-lite-import")?) } else { None };
            let options = match &scratch {
                Some(scratch) => Place::Directory(scratch.path().join("data")).options()?,
                None => options,
            };
            Ok(bundle::import(options, &mut *input, how, &mut tell)?)
        })?;
        let text = if talk.json {
            format!("{}\n", report(&place, &imported, dry_run))
        } else {
            worded_report(&place, &imported, dry_run, keeps_secret)
        };
        print(&text)?;
        Ok(exit::OK)
    }
}

fn missing(file: &std::path::Path, error: &std::io::Error) -> Failure {
    let code = if error.kind() == std::io::ErrorKind::NotFound { exit::NO_INPUT } else { exit::IO };
    Failure::new(code, format!("opening {} failed: {error}", file.display()))
}

fn report(place: &Place, imported: &Imported, dry_run: bool) -> serde_json::Value {
    json!({
        "target": place.name(),
        "dry_run": dry_run,
        "bundle": imported.header,
        "counts": imported.counts,
        "left_out": imported.left_out,
        "server_secret": imported.secret,
    })
}

fn worded_report(place: &Place, imported: &Imported, dry_run: bool, keeps_secret: bool) -> String {
    let (counts, rev) = (worded(&imported.counts), imported.header.rev);
    if dry_run {
        return format!("the bundle is good: revision {rev}; {counts}; nothing was written\n");
    }
    let secret = match (imported.secret, imported.header.secret) {
        (true, _) => "the server's secret was in the bundle and is in place\n".to_owned(),
        (false, true) if !keeps_secret => "the server's secret was in the bundle and was not taken out\n".to_owned(),
        _ => secret_advice(place),
    };
    format!("{}: imported revision {rev}; {counts}\n{secret}", place.name())
}

/// What is to be done so that keys go on to be known.
pub(super) fn secret_advice(place: &Place) -> String {
    match place.secret_file() {
        Some(file) if file.exists() => format!("keys are known if {} is that of the original\n", file.display()),
        Some(file) => format!(
            "the server's secret did not travel: before the first start copy that of the original to {} (mode 0600), or \
             set server_secret; without it no key of before is known\n",
            file.display()
        ),
        None => "the server's secret did not travel: set server_secret to that of the original; without it no key of \
                 before is known\n"
            .into(),
    }
}
