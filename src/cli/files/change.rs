//! `rm`, `mv`, `cp`, `mkdir`: what changes names. Each is one message on the server, or one for each item named.

use std::io::{IsTerminal as _, Write as _};

use serde_json::{Value, json};

use super::super::door::{Door, Session};
use super::super::{Failure, exit, print};
use super::{child, is_directory, listed, name, stat, text};

/// Removes files, and empty directories; with -r directories with everything below them.
#[derive(Debug, clap::Args)]
pub struct Remove {
    #[command(flatten)]
    door: Door,
    /// Absolute paths on the server.
    #[arg(required = true)]
    paths: Vec<String>,
    /// Directories with everything below them; `undo` brings them back for a while.
    #[arg(long, short)]
    recursive: bool,
    /// Do not ask before directories are removed; on a terminal only it is asked.
    #[arg(long, short)]
    yes: bool,
}

/// Paths of one message of `delete_bulk`.
const BULK: usize = 256;

impl Remove {
    /// Runs; the exit code is 1 if one could not be removed. The others are removed.
    pub fn run(self) -> Result<u8, Failure> {
        if self.recursive && !self.yes && std::io::stdin().is_terminal() && !self.is_meant()? {
            return Err(Failure::new(exit::WRONG, "nothing was removed"));
        }
        let session = self.door.open()?;
        let mut outcomes = serde_json::Map::new();
        let removed: Result<(), Failure> = self.paths.chunks(BULK).try_for_each(|paths| {
            let answer = session.call("delete_bulk", json!({"paths": paths, "recursive": self.recursive}))?;
            outcomes.extend(answer.as_object().cloned().unwrap_or_default());
            Ok(())
        });
        session.close()?;
        removed?;
        let failed = |outcome: &Value| outcome["success"] != true;
        let bad = outcomes.values().any(failed);
        let refused: String = outcomes
            .iter()
            .filter(|(_, outcome)| failed(outcome))
            .map(|(path, outcome)| format!("{path}: {}\n", text(&outcome["error"])))
            .collect();
        if self.recursive && !self.door.json {
            let removed = outcomes.iter().filter(|(_, outcome)| !failed(outcome));
            let advice: String = removed.map(|(path, _)| format!("undo: nexus-lite undo {path}\n")).collect();
            // Whoever does not listen has removed it all the same.
            let _ = std::io::stderr().lock().write_all(advice.as_bytes());
        }
        self.door.show(&Value::Object(outcomes), |_| String::new())?;
        match bad {
            true if self.door.json => Ok(exit::WRONG),
            true => Err(Failure::new(exit::WRONG, refused.trim_end().to_owned())),
            false => Ok(exit::OK),
        }
    }
}

impl Remove {
    /// Asks whoever sits at the terminal.
    fn is_meant(&self) -> Result<bool, Failure> {
        let failed = |e: std::io::Error| Failure::new(exit::IO, format!("terminal: {e}"));
        let asked = format!("remove {} with everything below? [y/N] ", self.paths.join(", "));
        let mut out = std::io::stderr().lock();
        out.write_all(asked.as_bytes()).and_then(|()| out.flush()).map_err(failed)?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map_err(failed)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

/// Moves or renames a file, or a directory with everything below it.
#[derive(Debug, clap::Args)]
pub struct Move {
    #[command(flatten)]
    door: Door,
    /// Where it is.
    from: String,
    /// Where it shall be; a directory that is there: into it.
    to: String,
}

impl Move {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let session = self.door.open()?;
        let moved = inside(&session, &self.from, &self.to).and_then(|to| {
            session.call("rename", json!({"old_path": self.from, "new_path": to}))?;
            Ok(json!({"from": self.from, "to": to}))
        });
        session.close()?;
        self.door.show(&moved?, |_| String::new())?;
        Ok(exit::OK)
    }
}

/// `to`, or `from`'s name in it where it is a directory.
fn inside(session: &Session, from: &str, to: &str) -> Result<String, Failure> {
    let into = stat(session, to)?.is_some_and(|stat| is_directory(&stat));
    Ok(if into { child(to, name(from)) } else { to.to_owned() })
}

/// Copies a file; with -r a directory, file by file.
#[derive(Debug, clap::Args)]
pub struct Copy {
    #[command(flatten)]
    door: Door,
    /// What to copy.
    from: String,
    /// Where to; a directory that is there: into it. Nothing is overwritten.
    to: String,
    /// A directory with everything below it.
    #[arg(long, short)]
    recursive: bool,
}

impl Copy {
    /// Runs. Of a directory, what was copied stays when a later file is refused; the error names it.
    pub fn run(self) -> Result<u8, Failure> {
        let session = self.door.open()?;
        let copied = self.copy(&session);
        session.close()?;
        let copied = copied?;
        self.door.show(&json!({ "copied": copied }), |_| String::new())?;
        Ok(exit::OK)
    }

    fn copy(&self, session: &Session) -> Result<usize, Failure> {
        let to = inside(session, &self.from, &self.to)?;
        let one = |from: &str, to: &str| session.call("copy", json!({"src_path": from, "dst_path": to}));
        if !stat(session, &self.from)?.is_some_and(|stat| is_directory(&stat)) {
            return one(&self.from, &to).map(|_| 1);
        }
        if !self.recursive {
            return Err(Failure::new(exit::USAGE, format!("{} is a directory", self.from)).hint("copy it with -r"));
        }
        let top = self.from.trim_end_matches('/');
        let rows = listed(session, &self.from, true)?;
        session.call("mkdir", json!({"path": to, "parents": true}))?;
        let mut copied = 0;
        for row in &rows {
            let path = text(&row["path"]);
            let goal = format!("{to}{}", path.strip_prefix(top).unwrap_or_default());
            match is_directory(row) {
                true => drop(session.call("mkdir", json!({"path": goal, "parents": true}))?),
                false => {
                    let told =
                        |failure: Failure| Failure { message: format!("{path}: {}", failure.message), ..failure };
                    one(path, &goal).map_err(told)?;
                    copied += 1;
                }
            }
        }
        Ok(copied)
    }
}

/// Makes directories.
#[derive(Debug, clap::Args)]
pub struct MakeDirectory {
    #[command(flatten)]
    door: Door,
    /// Absolute paths on the server.
    #[arg(required = true)]
    paths: Vec<String>,
    /// Missing directories above, too; one that is there is no error.
    #[arg(long, short)]
    parents: bool,
}

impl MakeDirectory {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let session = self.door.open()?;
        let made = self
            .paths
            .iter()
            .try_for_each(|path| session.call("mkdir", json!({"path": path, "parents": self.parents})).map(|_| ()));
        session.close()?;
        made?;
        if self.door.json {
            print(&format!("{}\n", json!({ "made": self.paths })))?;
        }
        Ok(exit::OK)
    }
}
