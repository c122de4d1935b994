//! `log`, `diff`, `rollback`, `undo`, `snapshot`: what was.

use serde_json::{Value, json};

use super::super::door::{Door, Session};
use super::super::{Failure, exit};
use super::look::time;
use super::table::{size, table};
use super::{is_directory, stat, text};

/// Shows the versions of a file, or the snapshots of a workspace, newest first.
#[derive(Debug, clap::Args)]
pub struct Log {
    #[command(flatten)]
    door: Door,
    /// A file or a workspace.
    path: String,
    /// At most so many.
    #[arg(long, short, default_value_t = 100)]
    limit: u32,
}

impl Log {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let session = self.door.open()?;
        let answer = is_workspace(&session, &self.path).and_then(|workspace| {
            let asked = match workspace {
                true => session.call("workspace_log", json!({"workspace_path": self.path, "limit": self.limit})),
                false => session.call("list_versions", json!({"path": self.path, "limit": self.limit})),
            };
            Ok((workspace, asked?))
        });
        session.close()?;
        let (workspace, answer) = answer?;
        let rows: Vec<Vec<String>> = answer
            .as_array()
            .into_iter()
            .flatten()
            .map(|row| if workspace { snapshot_cells(row) } else { version_cells(row) })
            .collect();
        self.door.show(&answer, |_| match rows.is_empty() {
            true => format!("{}: no versions that you may see\n", self.path),
            false => table(&rows),
        })?;
        Ok(exit::OK)
    }
}

fn is_workspace(session: &Session, path: &str) -> Result<bool, Failure> {
    Ok(!session.call("get_workspace_info", json!({ "path": path }))?.is_null())
}

fn version_cells(row: &Value) -> Vec<String> {
    let hash = text(&row["content_hash"]);
    vec![
        format!("v{}", row["version"]),
        time(&row["created_at"]),
        size(row["size"].as_u64().unwrap_or(0)),
        hash.get(..12).unwrap_or(hash).to_owned(),
        text(&row["created_by"]).to_owned(),
        row["change_reason"].as_str().unwrap_or_default().to_owned(),
    ]
}

fn snapshot_cells(row: &Value) -> Vec<String> {
    let files = row["file_count"].as_u64().map_or("-".to_owned(), |files| format!("{files} files"));
    let bytes = row["total_size_bytes"].as_u64().map_or("-".to_owned(), size);
    vec![
        format!("#{}", row["snapshot_number"]),
        time(&row["created_at"]),
        files,
        bytes,
        text(&row["created_by"]).to_owned(),
        row["description"].as_str().unwrap_or_default().to_owned(),
    ]
}

/// Shows what differs between two versions of a file; without numbers, the last two.
#[derive(Debug, clap::Args)]
pub struct Diff {
    #[command(flatten)]
    door: Door,
    /// The file.
    path: String,
    /// The earlier version.
    #[arg(value_parser = version)]
    from: Option<u64>,
    /// The later one; without it, the newest.
    #[arg(value_parser = version)]
    to: Option<u64>,
}

/// `3` or `v3`, `#3`.
fn version(text: &str) -> Result<u64, String> {
    let number = text.trim_start_matches(['v', '#']);
    number.parse().map_err(|_| format!("'{text}' is no number of a version, e.g. 3 or v3"))
}

impl Diff {
    /// Runs; the exit code is 1 if they differ, as that of `diff`.
    pub fn run(self) -> Result<u8, Failure> {
        let session = self.door.open()?;
        let answer = self.ask(&session);
        session.close()?;
        let answer = answer?;
        let said = text(&answer).to_owned();
        let same = said.starts_with("(no content changes)");
        self.door.show(&json!({"path": self.path, "diff": said, "same": same}), |_| {
            if same || said.ends_with('\n') { said.clone() } else { format!("{said}\n") }
        })?;
        Ok(if same { exit::OK } else { exit::WRONG })
    }

    fn ask(&self, session: &Session) -> Result<Value, Failure> {
        let newest = match self.to {
            Some(to) => to,
            None => newest(session, &self.path)?,
        };
        let from = match self.from {
            Some(from) => from,
            None => before(&self.path, newest)?,
        };
        session.call("diff_versions", json!({"path": self.path, "v1": from, "v2": newest, "mode": "content"}))
    }
}

/// The number of the newest version.
fn newest(session: &Session, path: &str) -> Result<u64, Failure> {
    let listed = session.call("list_versions", json!({"path": path, "limit": 1}))?;
    listed[0]["version"].as_u64().ok_or_else(|| {
        Failure::new(exit::DATA, format!("{path} has no versions")).hint("`nexus-lite ls` shows what is there")
    })
}

/// The number of the version before the newest.
fn before(path: &str, newest: u64) -> Result<u64, Failure> {
    match newest.checked_sub(1) {
        Some(before @ 1..) => Ok(before),
        _ => Err(Failure::new(exit::DATA, format!("{path} has one version only"))),
    }
}

/// Makes an earlier version of a file the newest.
#[derive(Debug, clap::Args)]
pub struct Rollback {
    #[command(flatten)]
    door: Door,
    /// The file.
    path: String,
    /// The version, as `log` shows it.
    #[arg(value_parser = version)]
    version: u64,
}

impl Rollback {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        self.door.ask("rollback", json!({"path": self.path, "version": self.version}))?;
        self.door.show(&json!({"path": self.path, "rolled_back_to": self.version}), |_| {
            format!("{} is as it was in version {}\n", self.path, self.version)
        })?;
        Ok(exit::OK)
    }
}

/// Takes the last change of a path back: a removal, else the newest version of a file.
#[derive(Debug, clap::Args)]
pub struct Undo {
    #[command(flatten)]
    door: Door,
    /// The file or directory.
    path: String,
}

impl Undo {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let session = self.door.open()?;
        let done = self.undo(&session);
        session.close()?;
        self.door.show(&done?, |done| format!("{}\n", text(&done["done"])))?;
        Ok(exit::OK)
    }

    fn undo(&self, session: &Session) -> Result<Value, Failure> {
        let path = &self.path;
        // A directory that is there may have come back in part: then it is gone on with.
        if stat(session, path)?.is_none_or(|there| is_directory(&there)) {
            session.call("undelete", json!({ "path": path }))?;
            return Ok(json!({"path": path, "done": format!("{path} is back")}));
        }
        let newest = newest(session, path)?;
        let before = before(path, newest).map_err(|failure| failure.hint("`rm` removes it"))?;
        session.call("rollback", json!({"path": path, "version": before}))?;
        Ok(json!({"path": path, "version": before, "done": format!("{path} is as it was in version {before}")}))
    }
}

/// Snapshots of a workspace: taken, compared, restored.
#[derive(Debug, clap::Args)]
pub struct Snapshot {
    #[command(flatten)]
    door: Door,
    #[command(subcommand)]
    command: SnapshotCommand,
}

#[derive(Debug, clap::Subcommand)]
enum SnapshotCommand {
    /// Takes one.
    Take {
        /// The workspace.
        path: String,
        /// What it is.
        #[arg(long, short = 'm')]
        message: Option<String>,
        /// A word to find it by; may be given again.
        #[arg(long)]
        tag: Vec<String>,
    },
    /// Shows all, newest first.
    List {
        /// The workspace.
        path: String,
    },
    /// Shows what differs between two.
    Diff {
        /// The workspace.
        path: String,
        /// One.
        #[arg(value_parser = version)]
        from: u64,
        /// Another.
        #[arg(value_parser = version)]
        to: u64,
    },
    /// Makes the workspace what it was.
    Restore {
        /// The workspace.
        path: String,
        /// The snapshot.
        #[arg(value_parser = version)]
        number: u64,
        /// Say what would change, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

impl Snapshot {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let (method, params) = match &self.command {
            SnapshotCommand::Take { path, message, tag } => {
                ("workspace_snapshot", json!({"workspace_path": path, "description": message, "tags": tag}))
            }
            SnapshotCommand::List { path } => ("workspace_log", json!({ "workspace_path": path })),
            SnapshotCommand::Diff { path, from, to } => {
                ("workspace_diff", json!({"workspace_path": path, "snapshot_1": from, "snapshot_2": to}))
            }
            SnapshotCommand::Restore { path, number, dry_run } => {
                ("workspace_restore", json!({"workspace_path": path, "snapshot_number": number, "dry_run": dry_run}))
            }
        };
        let answer = self.door.ask(method, params)?;
        self.door.show(&answer, |answer| self.for_people(answer))?;
        Ok(exit::OK)
    }

    fn for_people(&self, answer: &Value) -> String {
        match &self.command {
            SnapshotCommand::Take { .. } => table(&[snapshot_cells(answer)]),
            SnapshotCommand::List { .. } => {
                table(&answer.as_array().into_iter().flatten().map(snapshot_cells).collect::<Vec<_>>())
            }
            SnapshotCommand::Diff { .. } => {
                let part = |name: &str, mark: &str| {
                    let rows = answer[name].as_array().into_iter().flatten();
                    rows.map(|row| format!("{mark} {}\n", text(&row["path"]))).collect::<String>()
                };
                let changes = part("added", "+") + &part("removed", "-") + &part("modified", "~");
                format!("{changes}{} unchanged\n", answer["unchanged"])
            }
            SnapshotCommand::Restore { dry_run, .. } => {
                let would = if *dry_run { "would be " } else { "" };
                format!(
                    "{} files {would}restored, {} {would}removed\n",
                    answer["files_restored"], answer["files_deleted"]
                )
            }
        }
    }
}
