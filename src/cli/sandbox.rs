//! `sandbox`: programs run apart from everything, and the places they run in.

use std::io::Write as _;

use serde_json::{Value, json};

use super::door::{Door, Session};
use super::files::table::table;
use super::{Failure, exit, print};
use crate::model::{OsRandom, RandomSource as _};

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
        let code = match &self.language {
            Some(_) => self.command.join(" "),
            None => self.command.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
        };
        let language = self.language.as_deref().unwrap_or("bash");
        let asked = json!({
            "sandbox_id": made["sandbox_id"], "language": language, "code": code, "timeout": self.timeout,
        });
        let answer = session.call("sandbox_run", asked);
        if self.name.is_none() {
            let stopped = session.call("sandbox_stop", json!({ "sandbox_id": made["sandbox_id"] }));
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
            // Nobody reads it; the exit code still says how it ended.
            let _ = std::io::stderr().lock().write_all(errors.as_bytes());
        }
        let status = answer["exit_code"].as_i64().unwrap_or(i64::from(exit::WRONG));
        Ok(u8::try_from(status).unwrap_or(exit::WRONG))
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

fn stop(session: &Session, wanted: &str, door: &Door) -> Result<u8, Failure> {
    let listed = session.call("sandbox_list", json!({ "status": "active" }))?;
    let rows = listed["sandboxes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let named = rows.iter().find(|row| row["name"] == wanted).map(|row| row["sandbox_id"].clone());
    let id = named.unwrap_or_else(|| wanted.into());
    let answer = session.call("sandbox_stop", json!({ "sandbox_id": id }))?;
    door.show(&answer, |answer| format!("{} is stopped\n", answer["sandbox_id"].as_str().unwrap_or(wanted)))?;
    Ok(exit::OK)
}
