//! What a server says when it has started: where it is, how to get in, and the next command to try.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::Path;

use crate::app::{ADMIN_KEY_FILE, App};
use crate::config::Environment;

/// What everybody should know who puts SQLite under a server.
pub const ONE_NODE: &str =
    "sqlite: one node, one writer. For several servers use --database-url postgres://… (README: When to move)";

/// How the reader of the banner gets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry<'a> {
    /// The key that this start made.
    NewKey(&'a str),
    /// The key that everybody knows.
    DemoKey(&'a str),
    /// Keys were made before.
    Known,
    /// Nobody needs one.
    Open,
}

/// The first lines. `new` = the data directory was made by this start.
#[must_use]
pub fn text(app: &App, url: &str, entry: Entry<'_>, new: bool) -> String {
    let status = app.store.status();
    let place = app.store.place();
    let mut out = format!(
        "nexus-lite {}  data {place}{}  {} {}  durability {}\n",
        env!("CARGO_PKG_VERSION"),
        if new { " (new)" } else { "" },
        status.engine,
        status.engine_version,
        status.durability,
    );
    let mut line = |name: &str, value: &str, remark: &str| {
        let _ = writeln!(out, "  {name:<8} {value}{}{remark}", if remark.is_empty() { "" } else { "  " });
    };
    line("API", url, "(health: /health)");
    let file = app.store.data_dir().join(ADMIN_KEY_FILE);
    let shown = std::io::stdout().is_terminal();
    match entry {
        Entry::NewKey(key) if !app.store.has_disk() => line("Key", key, "(shown once)"),
        Entry::NewKey(key) if shown => line("Key", key, &format!("(shown once; also in {})", file.display())),
        Entry::NewKey(_) => line("Key", &file.display().to_string(), "(of the instance admin)"),
        Entry::DemoKey(key) => line("Key", key, "(the demo's: everybody knows it; this machine only)"),
        Entry::Known if file.exists() => line("Key", &file.display().to_string(), "(of the first start)"),
        Entry::Known => line("Key", "nexus-lite key list", "(keys are not stored, only their hashes)"),
        Entry::Open => line("Key", "none", "(open access: everyone is served, nobody is admin)"),
    }
    let header = match entry {
        Entry::DemoKey(key) => format!(" -H 'Authorization: Bearer {key}'"),
        Entry::Open => String::new(),
        Entry::NewKey(_) | Entry::Known if !app.store.has_disk() => " -H 'Authorization: Bearer YOUR_KEY'".into(),
        Entry::NewKey(_) | Entry::Known => format!(" -H \"Authorization: Bearer $(cat {})\"", quoted(&file)),
    };
    let _ = writeln!(out, "Try:  curl -s {url}/api/nfs/list{header} -d '{{\"params\": {{\"path\": \"/\"}}}}'");
    out
}

/// A path as a word of a shell command inside double quotes.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    if plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// Says once that SQLite means one node: on the terminal where one develops, as a warning in the log where it may
/// matter; not at all to those who know.
#[must_use]
pub fn one_node(app: &App) -> Option<String> {
    let config = app.config();
    if config.acknowledge_single_node || !app.store.has_disk() {
        return None;
    }
    if config.environment == Environment::Production || !config.host.is_loopback() {
        tracing::warn!("{ONE_NODE}");
        return None;
    }
    Some(format!("{ONE_NODE}\n"))
}
