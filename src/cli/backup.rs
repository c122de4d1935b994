//! `backup` and `restore`: a copy of everything while the server runs, proof that it is good, and the way back.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::door::Door;
use super::running::runtime;
use super::settings::Settings;
use super::{Failure, exit, offline, print};
use crate::auth::SECRET_FILE;
use crate::store::backup::{self, Contents, Verified};
use crate::store::files::Files;
use crate::store::{Faults, Options, Store};

/// Makes, lists and verifies backups.
#[derive(Debug, clap::Args)]
pub struct Backup {
    #[command(flatten)]
    door: Door,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Makes a backup below `backups` in the data directory; the server goes on.
    Now {
        /// Make one file instead, that moves to another machine; on the machine of the server. With a passphrase it is
        /// encrypted and holds the server's secret as well.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Remove the oldest complete backups but so many; the newest one always stays.
        #[arg(long, value_name = "N", conflicts_with = "file", value_parser = clap::value_parser!(u32).range(1..))]
        keep: Option<u32>,
        #[command(flatten)]
        passphrase: Passphrase,
    },
    /// Lists the complete backups there, oldest first.
    List,
    /// Reads every byte of a backup and checks a copy of its database by all rules.
    Verify {
        /// The directory of the backup, or its file.
        path: PathBuf,
        #[command(flatten)]
        passphrase: Passphrase,
    },
}

/// What a backup in one file is sealed with.
#[derive(Debug, Clone, clap::Args)]
struct Passphrase {
    /// A file whose first line is the passphrase; else that of NEXUS_LITE_BACKUP_PASSPHRASE.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Passphrase {
    /// The words, if there are any.
    fn words(&self) -> Result<Option<String>, Failure> {
        let Some(file) = &self.passphrase_file else {
            let config = Settings::default().load()?;
            return Ok(config.backup_passphrase.map(|words| words.expose().to_owned()));
        };
        let text = std::fs::read_to_string(file).map_err(|e| Failure::file("reading", file, &e))?;
        match text.lines().next().map(str::trim).filter(|line| !line.is_empty()) {
            Some(line) => Ok(Some(line.to_owned())),
            None => Err(Failure::new(exit::DATA, format!("{} has no passphrase in its first line", file.display()))),
        }
    }
}

/// Puts a backup in the place of a data directory; the old directory is kept beside it.
#[derive(Debug, clap::Args)]
pub struct Restore {
    /// The directory of the backup, or its file.
    path: PathBuf,
    #[command(flatten)]
    passphrase: Passphrase,
    /// The data directory of a server that is not running, or a new one.
    #[arg(long, env = "NEXUS_LITE_DATA_DIR", default_value = "./nexus-data")]
    data_dir: PathBuf,
    /// The file `server.secret` of the server that the backup is of. Without it that of an encrypted backup is used, or
    /// that of the data directory is kept; without those, keys made before are not known any more.
    #[arg(long, value_name = "FILE")]
    server_secret: Option<PathBuf>,
}

impl Backup {
    /// Runs; the exit code is 1 if a backup is not good.
    pub fn run(self) -> Result<u8, Failure> {
        match &self.command {
            Command::Now { file: Some(file), passphrase, .. } => self.to_file(file, passphrase)?,
            Command::Now { file: None, keep, .. } => {
                let made = self.door.ask("admin_create_backup", json!({ "keep": keep }))?;
                self.door.show(&made, |made| {
                    let removed = made["removed"].as_u64().filter(|removed| *removed > 0);
                    let removed = removed.map_or_else(String::new, |removed| format!("{removed} older removed\n"));
                    format!("{}\n{removed}", line(made))
                })?;
            }
            Command::List => {
                let list = self.door.ask("admin_list_backups", json!({}))?;
                self.door.show(&list, |list| {
                    let lines: Vec<_> = list["backups"].as_array().into_iter().flatten().map(line).collect();
                    if lines.is_empty() { "no backups\n".into() } else { lines.join("\n") + "\n" }
                })?;
            }
            Command::Verify { path, passphrase } => {
                let words = if path.is_file() { passphrase.words()? } else { None };
                let verified = runtime()?.block_on(backup::verify_sealed(path, words.as_deref()))?;
                self.door.show(&report(path, &verified), |_| worded(path, &verified))?;
                return Ok(if verified.is_good() { exit::OK } else { exit::WRONG });
            }
        }
        Ok(exit::OK)
    }
}

impl Backup {
    /// Makes a backup, packs it into `file` and removes the directory again.
    fn to_file(&self, file: &Path, passphrase: &Passphrase) -> Result<(), Failure> {
        let words = passphrase.words()?;
        if file.exists() {
            let text = format!("{} is there already, and is not overwritten", file.display());
            return Err(Failure::new(exit::CANNOT_CREATE, text).hint("give another name"));
        }
        let mut made = self.door.ask("admin_create_backup", json!({}))?;
        let directory = PathBuf::from(made["path"].as_str().unwrap_or_default());
        if !directory.join(backup::MANIFEST_FILE).exists() {
            let text = format!("the server made {}, which is not on this machine", directory.display());
            return Err(Failure::new(exit::NO_INPUT, text).hint("run this on the machine of the server, as its user"));
        }
        // <data>/backups/<name>: the secret lies two directories above.
        let secret = directory.ancestors().nth(2).map(|data| data.join(SECRET_FILE)).filter(|path| path.exists());
        let secret = secret.filter(|_| words.is_some());
        let contents = Contents { backup: &directory, secret: secret.as_deref(), passphrase: words.as_deref() };
        let kept = || format!("the backup is whole in {}; pack it again, or remove it", directory.display());
        let bytes = backup::pack(contents, file).map_err(|e| Failure::from(e).hint(kept()))?;
        std::fs::remove_dir_all(&directory).map_err(|e| Failure::file("removing", &directory, &e).hint(kept()))?;
        let sealed = words.is_some();
        made["path"] = file.display().to_string().into();
        made["bytes"] = bytes.into();
        made["encrypted"] = sealed.into();
        made["server_secret"] = secret.is_some().into();
        self.door.show(&made, |made| {
            let what = match (sealed, secret.is_some()) {
                (true, true) => "encrypted; it holds the server's secret, so that its keys work after a restore",
                (true, false) => "encrypted; the server's secret was not in the data directory and is not in it",
                (false, _) => "not encrypted; keep server.secret elsewhere, keys of today are not known without it",
            };
            format!("{}\n{what}\n", line(made))
        })
    }
}

/// `PATH  revision 42  12 files and directories, 3 tuples, 1 blob, 123456 bytes`.
fn line(backup: &Value) -> String {
    let text = |key: &str| backup[key].as_str().unwrap_or("-").to_owned();
    format!(
        "{}  revision {}  {} files and directories, {} tuples, {} blobs, {} bytes",
        text("path"),
        backup["rev"],
        backup["nodes"],
        backup["tuples"],
        backup["blobs"],
        backup["bytes"]
    )
}

fn report(path: &Path, verified: &Verified) -> Value {
    let violations: Vec<_> = verified.violations.iter().map(|v| json!({ "rule": v.rule, "what": v.what })).collect();
    json!({
        "path": path.display().to_string(),
        "good": verified.is_good(),
        "rev": verified.manifest.rev,
        "bytes": verified.manifest.bytes(),
        "damaged": verified.damaged,
        "violations": violations,
    })
}

fn worded(path: &Path, verified: &Verified) -> String {
    let manifest = &verified.manifest;
    let violations = verified.violations.iter().map(|v| format!("{}: {}\n", v.rule, v.what));
    let mut out: String = verified.damaged.iter().map(|d| format!("{d}\n")).chain(violations).collect();
    let verdict = if verified.is_good() { "good" } else { "not good" };
    let (blobs, bytes) = (manifest.blobs.len(), manifest.bytes());
    out.push_str(&format!("{}: {verdict}, revision {}, {blobs} blobs, {bytes} bytes\n", path.display(), manifest.rev));
    out
}

impl Restore {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let faults = Faults::planned(&offline::faults()?).map_err(|e| Failure::new(e.exit_status(), e.to_string()))?;
        let words = if self.path.is_file() { self.passphrase.words()? } else { None };
        let staged = backup::stage_sealed(&self.path, &self.data_dir, words.as_deref(), Files::default(), faults)?;
        let packed = staged.manifest.secret.is_some() && self.server_secret.is_none();
        let secret = packed || self.bring_secret(&staged.path)?;
        let manifest = staged.manifest.clone();
        let staging = staged.path.clone();
        let violations = runtime()?.block_on(async {
            let store = Store::builder(Options::new(&staging)).open()?;
            let report = store.check().await;
            store.close().await?;
            report
        })?;
        if let Some(first) = violations.violations.first() {
            let text = format!("{}: {}: {}", self.path.display(), first.rule, first.what);
            return Err(Failure::new(exit::DATA, text).hint("use another backup; nothing was changed"));
        }
        let kept = staged.swap()?;
        let mut out = format!("{}: restored revision {}\n", self.data_dir.display(), manifest.rev);
        if let Some(kept) = kept {
            out.push_str(&format!("the directory that was there is kept: {}\n", kept.display()));
        }
        if !secret {
            out.push_str(
                "no server.secret: keys of before are not known. Make one: nexus-lite key create --instance-admin\n",
            );
        }
        print(&out)?;
        Ok(exit::OK)
    }

    /// Puts the secret that keys are hashed with beside the database. Returns whether there was one.
    fn bring_secret(&self, staging: &Path) -> Result<bool, Failure> {
        let kept = self.data_dir.join(SECRET_FILE);
        let source = match &self.server_secret {
            Some(file) => file.clone(),
            None if kept.exists() => kept,
            None => return Ok(false),
        };
        let target = staging.join(SECRET_FILE);
        let copied = std::fs::copy(&source, &target).and_then(|_| std::fs::File::open(&target)?.sync_all());
        copied.map_err(|e| Failure::file("reading", &source, &e))?;
        Ok(true)
    }
}
