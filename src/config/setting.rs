//! THE LIST of settings.

use std::net::IpAddr;
use std::path::PathBuf;

use super::fault::Fault;
use super::layers::{ConfigError, Origin, Values};
use super::value::{ByteSize, Durability, Environment, FromText, List, LogStyle, SandboxWalls, Seconds, Secret};

/// One setting, as documents and `config show` present it.
#[derive(Debug)]
pub struct Setting {
    /// The key in the file; the flag is the same with dashes, the variable `NEXUS_LITE_` and upper case.
    pub name: &'static str,
    /// The text of the default; empty = not set.
    pub default: &'static str,
    /// A variable of the original server that is read too, after `NEXUS_LITE_…`; empty = none.
    pub env: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// Whether its value is never shown.
    pub secret: bool,
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ty = $default:literal $(, env $env:literal)?;)*) => {
        /// Every setting, in the order in which documents list them.
        pub static SETTINGS: &[Setting] = &[$(Setting {
            name: stringify!($name),
            default: $default,
            env: concat!($($env)?),
            doc: concat!($($doc),+),
            secret: <$kind as FromText>::SECRET,
        }),*];

        /// All settings, with their values.
        #[derive(Debug, Clone)]
        pub struct Config {
            $($(#[doc = $doc])+ pub $name: $kind,)*
            /// Armed fault points: no setting, for tests of the whole program only.
            pub faults: Vec<Fault>,
            shown: Vec<(&'static str, String, Origin)>,
        }

        impl Config {
            /// Reads every value from its text.
            pub(super) fn of(mut values: Values) -> Result<Self, ConfigError> {
                let mut shown = Vec::with_capacity(SETTINGS.len());
                let config = Self {
                    $($name: {
                        let given = values.take(stringify!($name));
                        let value = <$kind>::from_text(&given.text)
                            .map_err(|wanted| given.refused(stringify!($name), wanted))?;
                        shown.push((stringify!($name), given.text, given.origin));
                        value
                    },)*
                    faults: Vec::new(),
                    shown: Vec::new(),
                };
                Ok(Self { shown, ..config })
            }
        }
    };
}

settings! {
    /// Directory that holds everything: database, blobs, keys.
    data_dir: PathBuf = "./nexus-data", env "NEXUS_DATA_DIR";
    /// Address to listen on.
    host: IpAddr = "127.0.0.1", env "NEXUS_HOST";
    /// Port to listen on; 0 takes a free one.
    port: u16 = "8080", env "NEXUS_PORT";
    /// What an acknowledged write survives: `full` a power cut, `relaxed` a crash of the process.
    durability: Durability = "full";
    /// Log filter: `error`, `warn`, `info`, `debug`, or a list such as `warn,nexus_lite::store=debug`.
    log: String = "info", env "NEXUS_LOG_LEVEL";
    /// How log lines look: `auto` (pretty on a terminal, JSON elsewhere), `pretty` or `json`.
    log_format: LogStyle = "auto";
    /// Web origins whose pages may call, e.g. `http://localhost:5173`; none by default.
    cors_origins: List = "";
    /// Host names that requests may come to, beside loopback ones, e.g. `nexus.example.org`.
    allowed_hosts: List = "";
    /// `development` or `production`.
    environment: Environment = "development";
    /// One machine and its disk hold everything, and that is accepted: no warning at start.
    acknowledge_single_node: bool = "false";
    /// Secret with which API keys are hashed; without it one is made and kept in the data directory.
    server_secret: Option<Secret> = "";
    /// Key of the first admin; without it one is made at the first start.
    api_key: Option<Secret> = "", env "NEXUS_API_KEY";
    /// Passphrase that backups are sealed with when they are made as one file, and opened with.
    backup_passphrase: Option<Secret> = "";
    /// Serve without keys, everyone as the same subject without admin rights; loopback only.
    open_access: bool = "false";
    /// Wrong keys a minute that one address may send before it is told to wait; 0 = any number.
    wrong_keys_per_minute: u32 = "60";
    /// Requests a second that one key may make before it is told to wait; 0 = any number.
    requests_per_second: u32 = "0";
    /// Largest request body, bytes, e.g. `16MiB`.
    body_limit: ByteSize = "16MiB";
    /// Largest file that is sent to `/files`, bytes.
    upload_limit: ByteSize = "4GiB";
    /// Size that the write-ahead log should not pass, bytes; reads of old revisions that hold it are cut then.
    wal_limit: ByteSize = "64MiB";
    /// Space held back on the disk so that a full one can be mended by deleting, bytes; `0` = none. By default as
    /// much as `wal_limit`, 8MiB in development.
    ballast: Option<ByteSize> = "";
    /// With less free space on the disk than this, only what frees space is taken, bytes; at least twice `wal_limit`.
    free_floor: ByteSize = "64MiB";
    /// Bytes that the files of a tenant may have together, unless it has a quota of its own; without it, no limit.
    quota_bytes: Option<ByteSize> = "";
    /// Files that a tenant may have, unless it has a quota of its own; without it, no limit.
    quota_files: Option<u64> = "";
    /// Versions of each file that are kept, the newest.
    keep_versions: u64 = "100";
    /// Days for which everything is kept that was overwritten, moved or deleted; 0 keeps it for ever.
    keep_days: u64 = "30";
    /// Accept a data directory on a network file system (NFS, SMB, 9p, FUSE), whose locks and syncs may be weaker.
    allow_network_fs: bool = "false";
    /// Directories of this machine that the instance admin may mount, with everything below them, e.g. `/srv/docs`.
    mount_dirs: List = "";
    /// What confines the programs of sandboxes: `auto` (whichever holds on this machine), `bubblewrap`, `landlock`, or `off`.
    sandbox: SandboxWalls = "auto";
    /// Directory of the sandboxes of this server alone; without it, `sandboxes` in the data directory. A server that runs
    /// as root without bubblewrap needs one that everybody may pass through.
    sandbox_dir: Option<PathBuf> = "";
    /// Directory of the cgroup2 file system that is this server's alone: each run gets a cgroup in it, or nothing is run. Without
    /// it, the one that systemd has delegated to the server (`Delegate=`), if it has.
    sandbox_cgroup: Option<PathBuf> = "";
    /// Networks that webhooks may be sent to though they are not public, with a port or for all ports, e.g.
    /// `127.0.0.1/32` or `10.0.0.0/8:8443`; `public:8443` is a port of public addresses beside 80 and 443.
    webhook_allow: List = "";
    /// A file of certificates (PEM) of authorities that are believed over TLS beside those of this machine, e.g. of a
    /// company's proxy; for webhooks.
    webhook_roots: Option<PathBuf> = "";
    /// How long a stopping server waits for requests that are under way, seconds.
    shutdown_grace: Seconds = "10";
    /// PostgreSQL to use in place of the data directory's SQLite.
    database_url: Option<Secret> = "", env "NEXUS_DATABASE_URL";
}

impl Config {
    /// The defaults with a data directory: for tests and for embedding.
    #[must_use]
    pub fn for_directory(data_dir: impl Into<PathBuf>) -> Self {
        let defaults = Self::of(Values::defaults()).expect("the defaults are valid, a test says so");
        Self { data_dir: data_dir.into(), ..defaults }
    }

    /// Every setting: name, value as text (a secret as dots), and where it came from.
    pub fn shown(&self) -> impl Iterator<Item = (&'static str, &str, &Origin)> {
        let secret = |name| SETTINGS.iter().any(|s| s.name == name && s.secret);
        self.shown.iter().map(move |(name, text, origin)| {
            let text = if secret(*name) && !text.is_empty() { "…" } else { text.as_str() };
            (*name, text, origin)
        })
    }

    /// Space to hold back on the disk, bytes.
    #[must_use]
    pub fn ballast_bytes(&self) -> u64 {
        const DEVELOPMENT: usize = 8 << 20;
        let given = self.ballast.map(|size| size.0);
        let usual = match self.environment {
            Environment::Development => DEVELOPMENT.min(self.wal_limit.0),
            Environment::Production => self.wal_limit.0,
        };
        given.unwrap_or(usual) as u64
    }

    /// Refuses what must not be served: an engine that is not built, an open server beyond loopback.
    pub fn check_serving(&self) -> Result<(), ConfigError> {
        if self.database_url.is_some() && !cfg!(feature = "postgres") {
            return Err(ConfigError::NotBuilt);
        }
        if self.open_access && !self.host.is_loopback() {
            return Err(ConfigError::Unsafe(format!(
                "open_access serves everyone who can reach {}: listen on 127.0.0.1, or turn it off and use keys",
                self.host
            )));
        }
        if let Some(bad) = self.cors_origins.0.iter().find(|o| !is_origin(o)) {
            return Err(ConfigError::Unsafe(format!(
                "cors_origins: `{bad}` is no origin; name each one, e.g. http://localhost:5173 (`*` is not accepted)"
            )));
        }
        Ok(())
    }
}

/// Whether `text` is a scheme and a host, as browsers send them.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or_default();
    !host.is_empty() && !host.contains(['/', '*', ' ', '?', '#', '@'])
}
