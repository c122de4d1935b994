//! `backup` and `restore`: a copy of everything while the server runs, proof that it is good, and the way back.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::door::Door;
use super::running::runtime;
use super::{Failure, exit, offline, print};
use crate::auth::SECRET_FILE;
use crate::store::backup::{self, Verified};
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
    Now,
    /// Lists the complete backups there, oldest first.
    List,
    /// Reads every byte of a backup and checks a copy of its database by all rules.
    Verify {
        /// The directory of the backup.
        path: PathBuf,
    },
}

/// Puts a backup in the place of a data directory; the old directory is kept beside it.
#[derive(Debug, clap::Args)]
pub struct Restore {
    /// The directory of the backup.
    path: PathBuf,
    /// The data directory of a server that is not running, or a new one.
    #[arg(long, env = "NEXUS_LITE_DATA_DIR", default_value = "./nexus-data")]
    data_dir: PathBuf,
    /// The file `server.secret` of the server that the backup is of. Without it that of the data directory is kept;
    /// without that, too, keys made before are not known any more.
    #[arg(long, value_name = "FILE")]
    server_secret: Option<PathBuf>,
}

impl Backup {
    /// Runs; the exit code is 1 if a backup is not good.
    pub fn run(self) -> Result<u8, Failure> {
        match &self.command {
            Command::Now => {
                let made = self.door.ask("admin_create_backup", json!({}))?;
                self.door.show(&made, |made| format!("{}\n", line(made)))?;
            }
            Command::List => {
                let list = self.door.ask("admin_list_backups", json!({}))?;
                self.door.show(&list, |list| {
                    let lines: Vec<_> = list["backups"].as_array().into_iter().flatten().map(line).collect();
                    if lines.is_empty() { "no backups\n".into() } else { lines.join("\n") + "\n" }
                })?;
            }
            Command::Verify { path } => {
                let verified = runtime()?.block_on(backup::verify(path))?;
                self.door.show(&report(path, &verified), |_| worded(path, &verified))?;
                return Ok(if verified.is_good() { exit::OK } else { exit::WRONG });
            }
        }
        Ok(exit::OK)
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
        let staged = backup::stage_with(&self.path, &self.data_dir, Files::default(), faults)?;
        let secret = self.bring_secret(&staged.path)?;
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
