//! The settings as flags: one for each, made from the list in `config`, so that none can be forgotten.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Arg, ArgMatches, Command, FromArgMatches};

use super::{Failure, exit};
use crate::config::{self, Config, SETTINGS, Setting, Sources};

/// Secrets that are no flags: everybody on the machine can read a command line.
const NO_FLAGS: &[&str] = &["server_secret", "api_key", "backup_passphrase"];

/// The flags that were given.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    flags: Vec<(String, String)>,
    config: Option<PathBuf>,
}

impl Settings {
    /// Reads all layers: flags, environment, file, defaults.
    pub fn load(&self) -> Result<Config, Failure> {
        let sources = Sources::of_process(self.flags.clone(), self.config.as_deref());
        sources.and_then(|sources| config::load(&sources)).map_err(|e| Failure::new(e.exit_status(), e.to_string()))
    }
}

fn is_switch(setting: &Setting) -> bool {
    matches!(setting.default, "true" | "false")
}

fn flags() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(|setting| !NO_FLAGS.contains(&setting.name))
}

fn flag(setting: &'static Setting) -> Arg {
    // The names live as long as the process; there are a dozen of them, made once.
    let long: &'static str = setting.name.replace('_', "-").leak();
    let default = if setting.default.is_empty() || is_switch(setting) {
        String::new()
    } else {
        format!(" [default: {}]", setting.default)
    };
    let arg = Arg::new(setting.name).long(long).help(format!("{}{default}", setting.doc.trim()));
    if is_switch(setting) {
        let switch = arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("BOOL");
        switch.value_parser(BoolishValueParser::new())
    } else {
        let value: &'static str = setting.name.to_ascii_uppercase().leak();
        arg.value_name(value)
    }
}

impl clap::Args for Settings {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("config").long("config").value_name("FILE").value_parser(clap::value_parser!(PathBuf));
        let command = command.arg(file.help("Settings as TOML; flags and NEXUS_LITE_… variables win over it."));
        flags().fold(command, |command, setting| command.arg(flag(setting)))
    }
    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |setting: &Setting| {
            let text = if is_switch(setting) {
                matches.get_one::<bool>(setting.name).map(ToString::to_string)
            } else {
                matches.get_one::<String>(setting.name).cloned()
            };
            text.map(|text| (setting.name.to_owned(), text))
        };
        Ok(Self { flags: flags().filter_map(given).collect(), config: matches.get_one::<PathBuf>("config").cloned() })
    }
    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Starts the log of the process.
pub fn start_log(config: &Config) -> Result<(), Failure> {
    use crate::telemetry::log;
    log::init(&config.log, config.log_format).map_err(|e| Failure::new(exit::CONFIG, e.to_string()))
}
