//! `context`: servers by name, so that commands need neither address nor key.
//!
//! Owns one file of the user's, mode 0600, because it holds keys. A key is written there and never printed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::waves::client::Target;
use super::{Failure, exit, print};
use crate::config::contexts_file;

/// Only the user reads it.
const MODE: u32 = 0o600;

/// Keeps servers by name; commands ask the one in use.
#[derive(Debug, clap::Args)]
pub struct Contexts {
    #[command(subcommand)]
    command: Command,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Keeps a server under a name, and uses it if it is the first.
    Add {
        /// The name.
        name: String,
        /// Its address, e.g. <http://127.0.0.1:8080>.
        #[arg(long)]
        url: String,
        /// The key to ask with; without it, one line of standard input.
        #[arg(long, env = "NEXUS_API_KEY", hide_env_values = true)]
        key: Option<String>,
    },
    /// Uses the server of this name from now on.
    Use {
        /// The name.
        name: String,
    },
    /// Shows all; `*` marks the one in use.
    List,
    /// Forgets a server and its key.
    Remove {
        /// The name.
        name: String,
    },
}

/// What is kept of a server.
#[derive(Serialize, Deserialize, Clone)]
struct Server {
    url: String,
    key: String,
}

/// The file.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    /// The name of the one in use.
    current: Option<String>,
    servers: BTreeMap<String, Server>,
}

impl Contexts {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let path = contexts_file().ok_or_else(|| {
            Failure::new(exit::CONFIG, "there is no home directory to keep contexts in")
                .hint("name a file: NEXUS_LITE_CONTEXTS=/path/contexts.json")
        })?;
        let mut kept = load(&path)?;
        match self.command {
            Command::Add { name, url, key } => {
                let key = key.map_or_else(asked_key, Ok)?;
                check(&name, &url, &key)?;
                kept.servers.insert(name.clone(), Server { url, key });
                kept.current.get_or_insert(name);
                store(&path, &kept)?;
            }
            Command::Use { name } => {
                known(&kept, &name)?;
                kept.current = Some(name);
                store(&path, &kept)?;
            }
            Command::Remove { name } => {
                known(&kept, &name)?;
                kept.servers.remove(&name);
                kept.current = kept.current.filter(|current| *current != name);
                store(&path, &kept)?;
            }
            Command::List => {}
        }
        print(&shown(&kept, self.json)).map(|()| exit::OK)
    }
}

/// The server of a context: the one of this name, else the one in use, if any.
pub(super) fn target(name: Option<&str>) -> Result<Option<Target>, Failure> {
    let Some(path) = contexts_file() else { return Ok(None) };
    let kept = load(&path)?;
    let Some(name) = name.or(kept.current.as_deref()) else { return Ok(None) };
    let Server { url, key } = known(&kept, name)?.clone();
    Ok(Some(Target { url, key }))
}

fn known<'k>(kept: &'k Kept, name: &str) -> Result<&'k Server, Failure> {
    kept.servers.get(name).ok_or_else(|| {
        let names: Vec<&str> = kept.servers.keys().map(String::as_str).collect();
        let there =
            if names.is_empty() { "there are none yet".to_owned() } else { format!("there are {}", names.join(", ")) };
        Failure::new(exit::USAGE, format!("no context is called '{name}'; {there}"))
            .hint("nexus-lite context add NAME --url URL")
    })
}

fn check(name: &str, url: &str, key: &str) -> Result<(), Failure> {
    if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Failure::new(exit::USAGE, format!("'{name}' is no name for a context: it is one word")));
    }
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(Failure::new(exit::USAGE, format!("'{url}' is no address; it begins with http:// or https://")));
    }
    match key.is_empty() || key.chars().any(char::is_whitespace) {
        true => Err(Failure::new(exit::USAGE, "the key is empty or has blanks in it")),
        false => Ok(()),
    }
}

fn asked_key() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|e| Failure::new(exit::IO, format!("reading the key: {e}")))?;
    Ok(line.trim().to_owned())
}

fn shown(kept: &Kept, as_json: bool) -> String {
    let in_use = |name: &str| kept.current.as_deref() == Some(name);
    if as_json {
        let rows = kept.servers.iter();
        let rows: Vec<_> =
            rows.map(|(name, server)| json!({"name": name, "url": server.url, "in_use": in_use(name)})).collect();
        return format!("{}\n", json!({ "contexts": rows }));
    }
    let width = kept.servers.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    kept.servers.iter().fold(String::new(), |mut text, (name, server)| {
        let mark = if in_use(name) { '*' } else { ' ' };
        // A String takes whatever is written.
        let _ = writeln!(text, "{mark} {name:<width$}  {}", server.url);
        text
    })
}

fn load(path: &Path) -> Result<Kept, Failure> {
    match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map_err(|e| {
            Failure::new(exit::CONFIG, format!("{} cannot be read: {e}", path.display())).hint("mend or remove it")
        }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Kept::default()),
        Err(e) => Err(Failure::new(exit::CONFIG, format!("{}: {e}", path.display()))),
    }
}

/// Whole or not at all.
fn store(path: &PathBuf, kept: &Kept) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |e: std::io::Error| Failure::new(exit::CANNOT_CREATE, format!("{}: {e}", path.display()));
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).map_err(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(failed)?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(MODE)).map_err(failed)?;
    serde_json::to_writer_pretty(&mut file, kept).map_err(|e| failed(e.into()))?;
    file.write_all(b"\n").map_err(failed)?;
    file.persist(path).map(|_| ()).map_err(|e| failed(e.error))
}
