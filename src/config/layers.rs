//! The layers: flags over environment over file over defaults.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use figment::providers::{Format as _, Toml};

use super::fault;
use super::setting::{Config, SETTINGS};
use crate::model::nearest;

/// What every variable of this server begins with.
const PREFIX: &str = "NEXUS_LITE_";
/// The variable that arms fault points.
pub(super) const FAULT_VARIABLE: &str = "NEXUS_LITE_FAULT";
/// Variables with the prefix that are no settings: the file's path, what tests must not skip and how much they do, and
/// armed fault points.
const NO_SETTINGS: &[&str] = &[
    "NEXUS_LITE_CONFIG",
    CONTEXTS_VARIABLE,
    "NEXUS_LITE_REQUIRE",
    "NEXUS_LITE_SOAK",
    "NEXUS_LITE_TEST_ENGINE",
    FAULT_VARIABLE,
];

/// Names the file of the command line's contexts.
const CONTEXTS_VARIABLE: &str = "NEXUS_LITE_CONTEXTS";

/// The file in which the command line keeps servers by name; `None` where there is no home directory.
#[must_use]
pub fn contexts_file() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = || set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
    set(CONTEXTS_VARIABLE).or_else(|| config().map(|config| config.join("nexus-lite/contexts.json")))
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody gave it.
    Default,
    /// A line of the file.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Env(String),
    /// The command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// What is wrong with the settings. The text says where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A key that no setting has.
    #[error("unknown key `{key}`{}{} ({origin})", nearest.as_ref().map_or("", |_| ", did you mean "), nearest.as_ref().map_or_else(String::new, |n| format!("`{n}`?")))]
    UnknownKey {
        /// The key, as it was written.
        key: String,
        /// The nearest known one.
        nearest: Option<String>,
        /// Where it stands.
        origin: Origin,
    },
    /// A value that its setting cannot have.
    #[error("`{name}` must be {wanted}, not `{given}` ({origin})")]
    BadValue {
        /// The setting.
        name: &'static str,
        /// What it may be.
        wanted: &'static str,
        /// What was given; dots for a secret.
        given: String,
        /// Where it stands.
        origin: Origin,
    },
    /// The file cannot be read or is not TOML.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// A combination that must not be served.
    #[error("{0}")]
    Unsafe(String),
    /// Fault points that cannot be armed.
    #[error("NEXUS_LITE_FAULT: {0}")]
    Fault(String),
    /// A PostgreSQL URL, and no PostgreSQL in this program.
    #[error(
        "database_url asks for PostgreSQL, and this program was built without it: build with \
         `cargo build --release --features postgres`, or unset it to use the SQLite database of the data directory"
    )]
    NotBuilt,
}

impl ConfigError {
    /// The exit status by sysexits.h: 69 (unavailable) for what is not built, 78 (configuration) for the rest.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::NotBuilt => 69,
            _ => 78,
        }
    }
}

/// A value as text, and where it came from.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) text: String,
    pub(super) origin: Origin,
}

impl Given {
    pub(super) fn refused(&self, name: &'static str, wanted: &'static str) -> ConfigError {
        let secret = SETTINGS.iter().any(|s| s.name == name && s.secret);
        let given = if secret { "…".into() } else { self.text.clone() };
        ConfigError::BadValue { name, wanted, given, origin: self.origin.clone() }
    }
}

/// The value of every setting.
pub(super) struct Values(BTreeMap<&'static str, Given>);

impl Values {
    pub(super) fn defaults() -> Self {
        let default = |text: &str| Given { text: text.to_owned(), origin: Origin::Default };
        Self(SETTINGS.iter().map(|s| (s.name, default(s.default))).collect())
    }
    fn set(&mut self, name: &'static str, text: String, origin: Origin) {
        self.0.insert(name, Given { text, origin });
    }
    pub(super) fn take(&mut self, name: &str) -> Given {
        self.0.remove(name).expect("every setting has a default")
    }
}

/// What the layers are read from. Tests make their own; the program uses [`Sources::of_process`].
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Flags that were given: name of the setting and text.
    pub flags: Vec<(String, String)>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// The file: path and text.
    pub file: Option<(PathBuf, String)>,
}

impl Sources {
    /// Flags as given, the environment of the process, and the file of `--config` or `NEXUS_LITE_CONFIG` (which must
    /// exist), if any.
    pub fn of_process(flags: Vec<(String, String)>, config: Option<&Path>) -> Result<Self, ConfigError> {
        let text = |v: std::ffi::OsString| v.into_string().ok();
        let env: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
            .filter(|(name, value)| name.starts_with("NEXUS_") && !value.is_empty())
            .collect();
        let named = env.iter().find(|(name, _)| name == "NEXUS_LITE_CONFIG").map(|(_, path)| PathBuf::from(path));
        let path = config.map(Path::to_path_buf).or(named);
        let file = match path {
            None => None,
            Some(path) => {
                let read = std::fs::read_to_string(&path);
                let text = read.map_err(|e| ConfigError::File {
                    path: path.display().to_string(),
                    reason: format!("reading it failed: {e}"),
                })?;
                Some((path, text))
            }
        };
        Ok(Self { flags, env, file })
    }
}

/// Reads all settings: flags over `NEXUS_LITE_…` over the original's variables over the file over defaults.
pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let mut values = Values::defaults();
    if let Some((path, text)) = &sources.file {
        read_file(&mut values, path, text)?;
    }
    read_env(&mut values, &sources.env)?;
    for (flag, text) in &sources.flags {
        let key = flag.replace('-', "_");
        let origin = Origin::Flag(flag.replace('_', "-"));
        values.set(known(&key, &key, origin.clone(), str::to_owned)?, text.clone(), origin);
    }
    let armed = sources.env.iter().find(|(name, _)| name == FAULT_VARIABLE);
    let faults = armed.map_or(Ok(Vec::new()), |(_, text)| fault::parse(text))?;
    let mut config = Config::of(values)?;
    config.faults = faults;
    Ok(config)
}

/// The setting called `key`, or the error that names the nearest, written as `spell` does.
fn known(
    key: &str,
    written: &str,
    origin: Origin,
    spell: impl Fn(&str) -> String,
) -> Result<&'static str, ConfigError> {
    if let Some(setting) = SETTINGS.iter().find(|s| s.name == key) {
        return Ok(setting.name);
    }
    let nearest = nearest(key, SETTINGS.iter().map(|s| s.name)).map(spell);
    Err(ConfigError::UnknownKey { key: written.to_owned(), nearest, origin })
}

fn read_env(values: &mut Values, env: &[(String, String)]) -> Result<(), ConfigError> {
    for setting in SETTINGS.iter().filter(|s| !s.env.is_empty()) {
        if let Some((name, text)) = env.iter().find(|(name, _)| name == setting.env) {
            values.set(setting.name, text.clone(), Origin::Env(name.clone()));
        }
    }
    for (name, text) in env {
        let Some(key) = name.strip_prefix(PREFIX) else { continue };
        if NO_SETTINGS.contains(&name.as_str()) {
            continue;
        }
        let spell = |key: &str| format!("{PREFIX}{}", key.to_ascii_uppercase());
        let origin = Origin::Env(name.clone());
        values.set(known(&key.to_ascii_lowercase(), name, origin.clone(), spell)?, text.clone(), origin);
    }
    Ok(())
}

fn read_file(values: &mut Values, path: &Path, text: &str) -> Result<(), ConfigError> {
    let failed = |reason: String| ConfigError::File { path: path.display().to_string(), reason };
    let table: BTreeMap<String, figment::value::Value> = Toml::from_str(text).map_err(|e| {
        // The error's own text shows the line, which may hold a secret.
        let line = e.span().map_or(0, |span| text[..span.start.min(text.len())].lines().count().max(1));
        failed(format!("line {line}: {}", e.message()))
    })?;
    for (key, value) in table {
        let origin = Origin::File { path: path.to_path_buf(), line: line_of(text, &key) };
        let name = known(&key, &key, origin.clone(), str::to_owned)?;
        let text =
            text_of(&value).ok_or_else(|| failed(format!("`{key}` must be a single value or a list of texts")))?;
        values.set(name, text, origin);
    }
    Ok(())
}

/// The line, from 1, on which `key` is set.
fn line_of(text: &str, key: &str) -> usize {
    let sets = |line: &str| {
        let line = line.trim_start().trim_start_matches(['"', '\'', '[']);
        line.strip_prefix(key)
            .is_some_and(|rest| rest.trim_start_matches(['"', '\'']).trim_start().starts_with(['=', '.', ']']))
    };
    text.lines().position(sets).map_or(1, |at| at + 1)
}

/// A value of the file as the text that a flag would have.
fn text_of(value: &figment::value::Value) -> Option<String> {
    use figment::value::{Num, Value};
    match value {
        Value::String(_, text) => Some(text.clone()),
        Value::Bool(_, flag) => Some(flag.to_string()),
        Value::Num(_, number) => match number {
            Num::F32(_) | Num::F64(_) => number.to_f64().map(|n| n.to_string()),
            _ => number.to_i128().map(|n| n.to_string()).or_else(|| number.to_u128().map(|n| n.to_string())),
        },
        Value::Array(_, items) => {
            let texts: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            texts.map(|texts| texts.join(","))
        }
        Value::Char(..) | Value::Empty(..) | Value::Dict(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(given: &[(&str, &str)]) -> Vec<(String, String)> {
        given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn sources(flags: &[(&str, &str)], env: &[(&str, &str)], file: &str) -> Sources {
        Sources { flags: pairs(flags), env: pairs(env), file: Some(("nexus.toml".into(), file.into())) }
    }

    fn port(sources: &Sources) -> (u16, String) {
        let config = load(sources).expect("valid");
        let origin = config.shown().find(|(name, ..)| *name == "port").map(|(_, _, origin)| origin.to_string());
        (config.port, origin.expect("shown"))
    }

    #[test]
    fn defaults_are_valid_and_documented() {
        let config = load(&Sources::default()).expect("valid");
        assert_eq!((config.port, config.body_limit.0), (8080, 16 << 20));
        assert!(config.host.is_loopback());
        config.check_serving().expect("may be served");
        for setting in SETTINGS {
            assert!(setting.doc.trim().ends_with('.'), "{}", setting.name);
        }
        assert!(config.shown().all(|(_, _, origin)| *origin == Origin::Default));
    }

    #[test]
    fn the_order_of_layers() {
        let file = "# a comment\nhost = \"::1\"\nport = 1\ncors_origins = [\"http://a\", \"http://b\"]\n";
        assert_eq!(port(&sources(&[], &[], file)), (1, "nexus.toml line 3".into()));
        assert_eq!(port(&sources(&[], &[("NEXUS_PORT", "2")], file)), (2, "environment NEXUS_PORT".into()));
        let env = [("NEXUS_LITE_PORT", "3"), ("NEXUS_PORT", "2")];
        assert_eq!(port(&sources(&[], &env, file)), (3, "environment NEXUS_LITE_PORT".into()));
        assert_eq!(port(&sources(&[("port", "4")], &env, file)), (4, "--port".into()));
        let config = load(&sources(&[], &[], file)).expect("valid");
        assert_eq!(config.cors_origins.0, ["http://a", "http://b"]);
    }

    #[test]
    fn unknown_keys_are_told_with_the_nearest() {
        let text = |s: &Sources| load(s).expect_err("unknown").to_string();
        assert_eq!(
            text(&sources(&[], &[], "host = \"::1\"\n\nprot = 8081\n")),
            "unknown key `prot`, did you mean `port`? (nexus.toml line 3)"
        );
        assert_eq!(
            text(&sources(&[], &[("NEXUS_LITE_PROT", "1")], "")),
            "unknown key `NEXUS_LITE_PROT`, did you mean `NEXUS_LITE_PORT`? (environment NEXUS_LITE_PROT)"
        );
        assert_eq!(text(&sources(&[], &[], "[xyzzy]\na = 1\n")), "unknown key `xyzzy` (nexus.toml line 1)");
        assert!(load(&sources(&[], &[("NEXUS_URL", "http://x"), ("NEXUS_LITE_REQUIRE", "python")], "")).is_ok());
    }

    #[test]
    fn bad_values_are_told_with_their_place() {
        let text = |s: &Sources| load(s).expect_err("bad").to_string();
        assert_eq!(
            text(&sources(&[], &[], "port = \"http\"\n")),
            "`port` must be a port from 0 to 65535, not `http` (nexus.toml line 1)"
        );
        assert_eq!(
            text(&sources(&[("open-access", "maybe")], &[], "")),
            "`open_access` must be true or false, not `maybe` (--open-access)"
        );
        let broken = text(&sources(&[], &[], "host = \"::1\"\napi_key = \"sk-hidden\n"));
        assert!(broken.starts_with("nexus.toml: line 2") && !broken.contains("hidden"), "{broken}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = load(&sources(&[], &[("NEXUS_API_KEY", "sk-hidden")], "")).expect("valid");
        assert_eq!(config.api_key.as_ref().map(|k| k.expose()), Some("sk-hidden"));
        assert!(config.shown().any(|(name, text, _)| name == "api_key" && text == "…"));
    }

    #[test]
    fn what_must_not_be_served() {
        let refused = |flags: &[(&str, &str)]| {
            let error = load(&sources(flags, &[], "")).expect("valid").check_serving().expect_err("refused");
            (error.exit_status(), error.to_string())
        };
        #[cfg(not(feature = "postgres"))]
        {
            let (status, text) = refused(&[("database_url", "postgres://u:hidden@h/d")]);
            assert!(status == 69 && text.contains("built without it") && !text.contains("hidden"), "{text}");
        }
        assert_eq!(refused(&[("open_access", "true"), ("host", "0.0.0.0")]).0, 78);
        assert!(refused(&[("cors_origins", "*")]).1.contains("`*` is no origin"));
        load(&sources(&[("environment", "production")], &[], "")).expect("valid").check_serving().expect("warned of");
    }
}
