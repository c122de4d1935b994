//! `sandbox`: programs run apart from everything, and the places they run in.

use std::io::Write as _;

use serde_json::{Value, json};

use super::door::{Door, Session};
use super::files::table::table;
use super::{Failure, exit, print};
use crate::model::{OsRandom, RandomSource as _};
use crate::sandbox::ID_PREFIX;

/// Random bytes of the name of a sandbox that is made for one run.
const NAME_BYTES: usize = 4;

/// Runs programs in sandboxes: no network, no file of the machine, one directory of their own.
#[derive(Debug, clap::Args)]
pub struct Sandbox {
    #[command(flatten)]
    door: Door,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Runs a command, e.g. `sandbox run -- python3 -c 'print(1)'`; ends with its exit code.
    Run(Run),
    /// The caller's sandboxes that are not stopped.
    List {
        /// Stopped ones as well.
        #[arg(long)]
        all: bool,
    },
    /// Copies a directory of the tree into a sandbox; programs find it at `$NEXUS_MOUNT`, under the same path.
    Connect {
        /// Its id, or its name; one that is not there is made.
        sandbox: String,
        /// The directory.
        directory: String,
    },
    /// Brings back what programs have changed in the copy of a sandbox.
    Sync {
        /// Its id, or the name of an active one.
        sandbox: String,
    },
    /// Brings back what programs have changed, and ends the copy.
    Disconnect {
        /// Its id, or the name of an active one.
        sandbox: String,
    },
    /// Stops a sandbox, and removes what is in it.
    Stop {
        /// Its id, or the name of an active one.
        sandbox: String,
    },
}

/// What to run.
#[derive(Debug, clap::Args)]
struct Run {
    /// In the sandbox of this name, which is made if there is none and stays; without it, in one for this run alone.
    #[arg(long)]
    name: Option<String>,
    /// The text is a program in this language (python, javascript, bash), and not a command.
    #[arg(long)]
    language: Option<String>,
    /// A directory of the tree that is copied in before (`$NEXUS_MOUNT`), and whose changes are brought back after it.
    #[arg(long, value_name = "DIRECTORY")]
    workspace: Option<String>,
    /// Seconds it may take.
    #[arg(long, default_value_t = 300.0)]
    timeout: f64,
    /// The command and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

impl Sandbox {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let session = self.door.open()?;
        let done = match &self.command {
            Command::Run(run) => run.run(&session, &self.door),
            Command::List { all } => list(&session, *all, &self.door),
            Command::Connect { sandbox, directory } => connect(&session, &found_or_made(&session, sandbox)?, directory)
                .and_then(|answer| {
                    self.door.show(&answer, |answer| line(&answer["mount_status"]["message"]))?;
                    Ok(exit::OK)
                }),
            Command::Sync { sandbox } => back(&session, "sandbox_sync", sandbox, &self.door),
            Command::Disconnect { sandbox } => back(&session, "sandbox_disconnect", sandbox, &self.door),
            Command::Stop { sandbox } => stop(&session, sandbox, &self.door),
        };
        session.close()?;
        done
    }
}

impl Run {
    fn run(&self, session: &Session, door: &Door) -> Result<u8, Failure> {
        let name = self.name.clone().unwrap_or_else(|| format!("run-{}", OsRandom.hex(NAME_BYTES)));
        let made = session.call("sandbox_get_or_create", json!({ "name": name }))?;
        let id = &made["sandbox_id"];
        let answer = self.inside(session, id);
        let left = answer.as_ref().is_ok_and(|answer| is_left(&answer["changes"]));
        if self.name.is_none() && !left {
            let stopped = session.call("sandbox_stop", json!({ "sandbox_id": id }));
            // What went wrong first is what is told.
            answer.as_ref().map_err(Clone::clone)?;
            stopped?;
        }
        let answer = answer?;
        if door.json {
            door.show(&answer, |_| String::new())?;
        } else {
            let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
            print(&text("stdout"))?;
            let mut errors = text("stderr");
            match answer["ended"].as_str() {
                Some("exited") | None => {}
                Some(why) => errors.push_str(&format!("ended: {why}\n")),
            }
            if self.workspace.is_some() {
                errors.push_str(&changes(&answer["changes"]));
            }
            if left && self.name.is_none() {
                errors.push_str(&format!("the sandbox {name} is kept, with what was not brought back\n"));
            }
            // Nobody reads it; the exit code still says how it ended.
            let _ = std::io::stderr().lock().write_all(errors.as_bytes());
        }
        match answer["exit_code"].as_i64().unwrap_or(i64::from(exit::WRONG)) {
            0 if left => Ok(exit::WRONG),
            status => Ok(u8::try_from(status).unwrap_or(exit::WRONG)),
        }
    }

    /// Runs the program in a sandbox, between the copy and its way back if there is one.
    fn inside(&self, session: &Session, id: &Value) -> Result<Value, Failure> {
        if let Some(directory) = &self.workspace {
            connect(session, id, directory)?;
        }
        let code = match &self.language {
            Some(_) => self.command.join(" "),
            None => self.command.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
        };
        let language = self.language.as_deref().unwrap_or("bash");
        let asked = json!({
            "sandbox_id": id, "language": language, "code": code, "timeout": self.timeout,
        });
        let mut answer = session.call("sandbox_run", asked)?;
        if self.workspace.is_some() {
            // Also of a program that was ended: what it did is in the copy.
            let mut synced = session.call("sandbox_sync", json!({ "sandbox_id": id }))?;
            answer["changes"] = synced["changes"].take();
        }
        Ok(answer)
    }
}

/// A word as the shell reads it back.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn list(session: &Session, all: bool, door: &Door) -> Result<u8, Failure> {
    let mut answer = session.call("sandbox_list", json!({}))?;
    if let Some(rows) = answer["sandboxes"].as_array_mut() {
        rows.retain(|row| all || row["status"] != "stopped");
    }
    door.show(&answer, for_people)?;
    Ok(exit::OK)
}

fn for_people(answer: &Value) -> String {
    let rows = answer["sandboxes"].as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return "no sandboxes\n".to_owned();
    }
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let runs = |row: &Value| match row["capabilities"]["run"].as_bool() {
        Some(true) => text(&row["capabilities"]["walls"]),
        _ => "runs nothing".to_owned(),
    };
    let line = |row: &Value| {
        vec![text(&row["sandbox_id"]), text(&row["name"]), text(&row["status"]), text(&row["expires_at"]), runs(row)]
    };
    let head = ["SANDBOX", "NAME", "STATUS", "EXPIRES", "WALLS"].map(str::to_owned).to_vec();
    table(&std::iter::once(head).chain(rows.iter().map(line)).collect::<Vec<_>>())
}

/// The id of an active sandbox of this name; else the text is the id.
fn found(session: &Session, wanted: &str) -> Result<Value, Failure> {
    let listed = session.call("sandbox_list", json!({ "status": "active" }))?;
    let rows = listed["sandboxes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let named = rows.iter().find(|row| row["name"] == wanted).map(|row| row["sandbox_id"].clone());
    Ok(named.unwrap_or_else(|| wanted.into()))
}

/// The id of the sandbox of this name, which is made if there is none; or the text, if it is an id.
fn found_or_made(session: &Session, wanted: &str) -> Result<Value, Failure> {
    if wanted.starts_with(ID_PREFIX) {
        return Ok(wanted.into());
    }
    let mut made = session.call("sandbox_get_or_create", json!({ "name": wanted }))?;
    Ok(made["sandbox_id"].take())
}

fn connect(session: &Session, id: &Value, directory: &str) -> Result<Value, Failure> {
    session.call("sandbox_connect", json!({ "sandbox_id": id, "workspace": directory }))
}

/// Brings back what was changed; ends with 1 if something was not.
fn back(session: &Session, method: &'static str, wanted: &str, door: &Door) -> Result<u8, Failure> {
    let answer = session.call(method, json!({ "sandbox_id": found(session, wanted)? }))?;
    door.show(&answer, |answer| changes(&answer["changes"]))?;
    Ok(if is_left(&answer["changes"]) { exit::WRONG } else { exit::OK })
}

/// Whether something was not brought back.
fn is_left(changes: &Value) -> bool {
    ["conflicts", "not_taken"].iter().any(|kind| changes[kind].as_array().is_some_and(|rows| !rows.is_empty()))
}

/// What was brought back, and what not, a line each.
fn changes(changes: &Value) -> String {
    let count = |what: &str| changes[what].as_u64().unwrap_or_default();
    let (new, changed, gone) = (count("files_created"), count("files_updated"), count("files_deleted"));
    let mut text = format!("brought back: {new} new, {changed} changed, {gone} removed\n");
    for (kind, what) in [("conflicts", "conflict"), ("not_taken", "not taken")] {
        for row in changes[kind].as_array().into_iter().flatten() {
            let part = |name: &str| row[name].as_str().unwrap_or("-");
            text.push_str(&format!("{what}: {}: {}\n", part("path"), part("reason")));
        }
    }
    if count("more") > 0 {
        text.push_str(&format!("and {} more that were not brought back\n", count("more")));
    }
    text
}

fn line(text: &Value) -> String {
    format!("{}\n", text.as_str().unwrap_or("-"))
}

fn stop(session: &Session, wanted: &str, door: &Door) -> Result<u8, Failure> {
    let id = found(session, wanted)?;
    let answer = session.call("sandbox_stop", json!({ "sandbox_id": id }))?;
    door.show(&answer, |answer| format!("{} is stopped\n", answer["sandbox_id"].as_str().unwrap_or(wanted)))?;
    Ok(exit::OK)
}
