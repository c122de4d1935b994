//! `audit`: who changed what, and who was refused what.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::door::{Door, Session};
use super::running::runtime;
use super::{Failure, exit, print};

/// The method behind it.
const METHOD: &str = "admin_audit_query";
/// Entries of a page of an export.
const PAGE: usize = 1_000;
/// How often `--follow` asks what is new.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// Shows the audit: changes and denials, in order of time.
#[derive(Debug, clap::Args)]
pub struct Audit {
    #[command(flatten)]
    door: Door,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// The newest entries, the last one at the end.
    Tail {
        /// How many, up to 1,000.
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: usize,
        /// Goes on with what comes, until it is interrupted; asks a running server (--url) once a second.
        #[arg(long, short = 'f')]
        follow: bool,
        #[command(flatten)]
        filter: Filter,
    },
    /// A page of entries, the newest first.
    Query {
        #[command(flatten)]
        filter: Filter,
        /// The oldest first.
        #[arg(long)]
        oldest_first: bool,
        /// Longest page, up to 1,000.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// Where the last page ended.
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Everything as lines of JSON, the oldest first, page by page.
    Export {
        /// The file, which must not be there; `-` is standard output.
        file: PathBuf,
        #[command(flatten)]
        filter: Filter,
    },
}

/// Which entries.
#[derive(Debug, Clone, clap::Args)]
struct Filter {
    /// Only changes, or only denials.
    #[arg(long, value_parser = ["change", "denial"])]
    kind: Option<String>,
    /// By this actor, e.g. user:alice.
    #[arg(long)]
    actor: Option<String>,
    /// Of this operation (file_put), or method of a denial (write).
    #[arg(long)]
    op: Option<String>,
    /// About an object that begins so: a path, group:eng.
    #[arg(long, value_name = "PREFIX")]
    object: Option<String>,
    /// Of this tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// From this revision or time (ISO-8601) on.
    #[arg(long, value_name = "REV|TIME")]
    since: Option<String>,
    /// Up to this revision or time.
    #[arg(long, value_name = "REV|TIME")]
    until: Option<String>,
}

impl Filter {
    /// The parameters.
    fn params(&self, order: &str, limit: usize, cursor: Option<&str>) -> Value {
        let mut params = json!({"order": order, "limit": limit});
        let plain = [
            ("kind", &self.kind),
            ("actor", &self.actor),
            ("op", &self.op),
            ("object_prefix", &self.object),
            ("tenant_id", &self.tenant),
        ];
        for (name, value) in plain {
            if let Some(value) = value {
                params[name] = value.as_str().into();
            }
        }
        for (name, value) in [("since", &self.since), ("until", &self.until)] {
            match value.as_deref().map(|text| (text, text.parse::<u64>())) {
                Some((_, Ok(rev))) => params[format!("{name}_rev")] = rev.into(),
                Some((time, Err(_))) => params[name] = time.into(),
                None => {}
            }
        }
        if let Some(cursor) = cursor {
            params["cursor"] = cursor.into();
        }
        params
    }
}

impl Audit {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let Self { door, command } = &self;
        match command {
            Command::Query { filter, oldest_first, limit, cursor } => {
                let order = if *oldest_first { "oldest" } else { "newest" };
                let page = door.ask(METHOD, filter.params(order, *limit, cursor.as_deref()))?;
                door.show(&page, |page| {
                    let mut out: String = entries(page).iter().map(line).collect();
                    if page["complete"] != true {
                        let _ = writeln!(out, "more: --cursor {}", text(&page["cursor"]));
                    }
                    out
                })?;
            }
            Command::Tail { follow: true, .. } if !door.is_online()? => {
                let failure = Failure::new(exit::USAGE, "a stopped server does nothing that could be followed");
                return Err(failure.hint("ask a running one: --url http://127.0.0.1:8080 --key sk-…"));
            }
            Command::Tail { lines, follow, filter } => {
                let session = door.open()?;
                let ended = tail(&session, filter, *lines, *follow, door.json);
                session.close()?;
                ended?;
            }
            Command::Export { file, filter } => {
                let session = door.open()?;
                let ended = export(&session, filter, file);
                session.close()?;
                ended?;
            }
        }
        Ok(exit::OK)
    }
}

fn tail(session: &Session, filter: &Filter, lines: usize, follow: bool, as_json: bool) -> Result<(), Failure> {
    let show = |entry: &Value| if as_json { format!("{entry}\n") } else { line(entry) };
    let page = session.call(METHOD, filter.params("newest", lines, None))?;
    print(&entries(&page).iter().rev().map(show).collect::<String>())?;
    if !follow {
        return Ok(());
    }
    let (runtime, mut cursor) = (runtime()?, text(&page["end"]).to_owned());
    loop {
        let page = session.call(METHOD, filter.params("oldest", PAGE, Some(&cursor)))?;
        print(&entries(&page).iter().map(show).collect::<String>())?;
        text(&page["cursor"]).clone_into(&mut cursor);
        if page["complete"] == true {
            runtime.block_on(async { tokio::time::sleep(FOLLOW_EVERY).await });
        }
    }
}

/// Writes every entry as a line, page by page; what there is of it is in memory once.
fn export(session: &Session, filter: &Filter, file: &PathBuf) -> Result<(), Failure> {
    let failed = |e: std::io::Error| Failure::new(exit::IO, format!("{}: {e}", file.display()));
    let mut target: Box<dyn Write> = if file.as_os_str() == "-" {
        Box::new(std::io::stdout())
    } else {
        let made = File::create_new(file);
        Box::new(made.map_err(|e| Failure::new(exit::CANNOT_CREATE, format!("{}: {e}", file.display())))?)
    };
    let (mut cursor, mut count) = (None::<String>, 0);
    loop {
        let page = session.call(METHOD, filter.params("oldest", PAGE, cursor.as_deref()))?;
        let lines: String = entries(&page).iter().map(|entry| format!("{entry}\n")).collect();
        target.write_all(lines.as_bytes()).map_err(failed)?;
        count += entries(&page).len();
        // Progress is a courtesy; that it cannot be shown is no failure.
        let _ = writeln!(std::io::stderr().lock(), "{count} entries");
        if page["complete"] == true {
            break;
        }
        cursor = Some(text(&page["cursor"]).to_owned());
    }
    target.flush().map_err(failed)
}

/// An entry as one line for people.
fn line(entry: &Value) -> String {
    let head =
        format!("{}  rev {}  {}  {}", text(&entry["at"]), entry["rev"], text(&entry["actor"]), text(&entry["op"]));
    if entry["kind"] == "denial" {
        return plain(&format!("{head}  DENIED {} on {}", text(&entry["permission"]), text(&entry["object"]))) + "\n";
    }
    let rows: Vec<String> = entry["changes"].as_array().into_iter().flatten().map(row).collect();
    plain(&format!("{head}  {}", rows.join("; "))) + "\n"
}

fn row(row: &Value) -> String {
    let mut out = format!("{} {}", text(&row["kind"]), text(&row["action"]));
    if let Some(grant) = row["grant"].as_str() {
        let _ = write!(out, " {}", grant);
    }
    let _ = write!(out, " {}", row["object"].as_str().unwrap_or("(gone)"));
    if let Some(from) = row["from"].as_str() {
        let _ = write!(out, " from {}", from);
    }
    let fields = row["fields"].as_array().into_iter().flatten().map(|field| text(&field["field"]));
    let fields: Vec<&str> = fields.collect();
    if !fields.is_empty() {
        let _ = write!(out, " ({})", fields.join(", "));
    }
    out
}

/// As one line: no name in it moves the cursor of a terminal.
fn plain(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn entries(page: &Value) -> &[Value] {
    page["entries"].as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
