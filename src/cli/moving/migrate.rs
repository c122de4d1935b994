//! `migrate`: from one place to another in one step, without a file in between.

use std::io::BufReader;
use std::os::unix::fs::OpenOptionsExt as _;

use serde_json::json;

use super::import::{secret_advice, tenants};
use super::place::Place;
use super::progress::Shown;
use super::{Talk, stoppable, teller};
use crate::auth::SECRET_FILE;
use crate::cli::{Failure, exit, print};
use crate::store::bundle::{self, How, Imported, MoveError, What};
use crate::store::{Options, Store};

/// Bytes that are read at a time.
const BUFFER: usize = 256 * 1024;
/// What people read where a line of the stream is named.
const STREAM: &str = "the exported store";

/// Moves a whole store to a new data directory or an empty PostgreSQL database, and compares the rows of every table.
/// The original stays as it is; use one of the two from then on.
#[derive(Debug, clap::Args)]
pub struct Migrate {
    /// The original: a data directory that no server uses, or a postgres:// address.
    #[arg(long, value_name = "DIR|URL")]
    from: String,
    /// The target: a new data directory, or the address of an empty database.
    #[arg(long, value_name = "DIR|URL")]
    to: String,
    /// Give a tenant another name wherever it stands; may be given several times, all are done at once.
    #[arg(long, value_name = "OLD=NEW")]
    map_tenant: Vec<String>,
    /// The original goes on as well: give the copy a life of its own.
    #[arg(long)]
    copy: bool,
    #[command(flatten)]
    talk: Talk,
}

impl Migrate {
    /// Runs; the exit code is 1 if the counts differ.
    pub fn run(self) -> Result<u8, Failure> {
        let Self { from, to, map_tenant, copy, talk } = self;
        let tenants = tenants(&map_tenant)?;
        let (from, to) = (Place::parse(&from)?, Place::parse(&to)?);
        let target = to.options()?;
        bundle::free(&target)?;
        let how = How { name: STREAM.into(), tenants, copy, check_only: false, secret_file: None };
        let source = from.clone();
        let imported = stoppable(move |runtime, stop| {
            let store = source.open()?;
            let tell = teller(Shown::new("moving", talk.quiet), stop);
            let moved = through_a_pipe(runtime, &store, target, how, tell);
            let closed = runtime.block_on(store.close());
            let moved = moved?;
            closed?;
            Ok(moved)
        })?;
        let secret = bring_secret(&from, &to)?;
        let equal = differences(&imported).is_empty();
        if talk.json {
            let report = json!({
                "from": from.name(), "to": to.name(), "bundle": imported.header, "counts": imported.counts,
                "left_out": imported.left_out, "equal": equal, "server_secret": secret,
            });
            print(&format!("{report}\n"))?;
        } else {
            print(&worded(&from, &to, &imported, secret))?;
        }
        Ok(if equal { exit::OK } else { exit::WRONG })
    }
}

/// Exports and imports at the same time.
fn through_a_pipe(
    runtime: &tokio::runtime::Handle,
    store: &Store,
    target: Options,
    how: How,
    mut tell: impl FnMut(bundle::Progress) -> std::ops::ControlFlow<()> + Send + 'static,
) -> Result<Imported, MoveError> {
    let io = |source| MoveError::Io { step: "making a pipe for", name: STREAM.into(), source };
    let (reader, writer) = std::io::pipe().map_err(io)?;
    let what = What { name: STREAM.into(), secret: None };
    let out = Box::new(std::io::BufWriter::with_capacity(BUFFER, writer));
    let store = store.clone();
    let exporting = runtime.spawn(async move {
        // The other end tells.
        store.export(out, what, Box::new(|_| std::ops::ControlFlow::Continue(()))).await
    });
    let mut input = BufReader::with_capacity(BUFFER, reader);
    let imported = bundle::import(target, &mut input, how, &mut tell);
    // Where the import has ended early, the export meets a closed pipe.
    drop(input);
    let exported = runtime.block_on(exporting);
    match (imported, exported) {
        (Ok(imported), Ok(Ok(_))) => Ok(imported),
        (Ok(_), Ok(Err(error))) => Err(error),
        // An original that cannot be read is why the stream was cut short.
        (Err(_), Ok(Err(error @ MoveError::Store(_)))) => Err(error),
        (Err(error), _) => Err(error),
        (Ok(_), Err(error)) => Err(io(std::io::Error::other(error))),
    }
}

/// Tables whose rows are not as many as there were: name, before, after.
fn differences(imported: &Imported) -> Vec<(&str, u64, u64)> {
    let rows = imported.header.counts.iter().map(|(table, before)| {
        let after = imported.counts.get(table).copied().unwrap_or(0);
        let left_out = imported.left_out.get(table).copied().unwrap_or(0);
        (table.as_str(), *before, after + left_out)
    });
    rows.filter(|(_, before, after)| before != after).collect()
}

/// Between two directories the secret goes along, for its owner only; whether it is there.
fn bring_secret(from: &Place, to: &Place) -> Result<bool, Failure> {
    let (Some(source), Some(target)) = (from.secret_file(), to.secret_file()) else { return Ok(false) };
    if !source.exists() || target.exists() {
        return Ok(target.exists());
    }
    let copy = || {
        let mut input = std::fs::File::open(&source)?;
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&target)?;
        std::io::copy(&mut input, &mut file)?;
        file.sync_all()
    };
    let text = |e: std::io::Error| {
        let failure = Failure::file("writing", &target, &e);
        failure.hint(format!("the store is moved and whole; copy {SECRET_FILE} yourself"))
    };
    copy().map(|()| true).map_err(text)
}

fn worded(from: &Place, to: &Place, imported: &Imported, secret: bool) -> String {
    let mut out = format!("{:<14}{:>12}{:>12}\n", "table", "before", "after");
    for (table, before) in &imported.header.counts {
        let after = imported.counts.get(table).copied().unwrap_or(0);
        let left_out = imported.left_out.get(table).copied().unwrap_or(0);
        let note = match (left_out, after + left_out == *before) {
            (0, true) => String::new(),
            (left_out, true) => format!("  {left_out} do not travel to other names or to a copy"),
            (_, false) => "  DIFFERENT".into(),
        };
        out.push_str(&format!("{table:<14}{before:>12}{after:>12}{note}\n"));
    }
    let bundle::Header { rev, bodies, .. } = &imported.header;
    out.push_str(&format!("{} large bodies, {} MiB\n", bodies.count, bodies.bytes >> 20));
    out.push_str(&format!(
        "{}: moved from {} at revision {rev}; use one of the two from now on\n",
        to.name(),
        from.name()
    ));
    if !secret {
        out.push_str(&secret_advice(to));
    }
    out
}
