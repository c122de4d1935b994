//! `agent`: agents of the user whose key is used, made without rights and with a key that is shown once.

use serde_json::{Value, json};

use super::door::{Door, Session};
use super::{Failure, exit};

/// Makes, lists, shows and deletes agents.
#[derive(Debug, clap::Args)]
pub struct Agent {
    #[command(flatten)]
    door: Door,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Makes an agent with no rights but on its own directory, and prints its key; this is the only time.
    Create(Create),
    /// Lists agents: one's own, an admin all of the tenant.
    List,
    /// Shows one agent.
    Show {
        /// Its id, as `agent list` shows it.
        agent_id: String,
    },
    /// Deletes an agent with its keys, its grants and its directory.
    Delete {
        /// Its id, as `agent list` shows it.
        agent_id: String,
    },
}

/// What agent to make.
#[derive(Debug, clap::Args)]
struct Create {
    /// Its id, by convention user,name.
    agent_id: String,
    /// The display name; without it, the id.
    #[arg(long)]
    name: Option<String>,
    /// What it is for.
    #[arg(long)]
    description: Option<String>,
    /// It may do what its owner may.
    #[arg(long)]
    inherit: bool,
    /// Makes no key: the owner's is used, with the header X-Agent-ID.
    #[arg(long)]
    no_key: bool,
}

impl Agent {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let session = self.door.open()?;
        let answer = ask(&session, &self.command);
        session.close()?;
        let answer = answer?;
        self.door.show(&answer, |answer| for_people(&self.command, answer))?;
        let missing = answer.is_null() || answer == false;
        Ok(if missing { exit::WRONG } else { exit::OK })
    }
}

fn ask(session: &Session, command: &Command) -> Result<Value, Failure> {
    match command {
        Command::Create(wanted) => {
            // Registering again would change the agent that is there.
            if !session.call("get_agent", json!({ "agent_id": wanted.agent_id }))?.is_null() {
                let text = format!("there is an agent '{}'", wanted.agent_id);
                return Err(Failure::new(exit::USAGE, text).hint("choose another id, or delete that one first"));
            }
            session.call("register_agent", created(wanted))
        }
        Command::List => session.call("list_agents", json!({})),
        Command::Show { agent_id } => session.call("get_agent", json!({ "agent_id": agent_id })),
        Command::Delete { agent_id } => session.call("delete_agent", json!({ "agent_id": agent_id })),
    }
}

fn created(wanted: &Create) -> Value {
    let mut params = json!({
        "agent_id": wanted.agent_id,
        "name": wanted.name.as_ref().unwrap_or(&wanted.agent_id),
        "generate_api_key": !wanted.no_key,
        "inherit_permissions": wanted.inherit,
    });
    if let Some(description) = &wanted.description {
        params["description"] = description.as_str().into();
    }
    params
}

fn for_people(command: &Command, answer: &Value) -> String {
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or("-").to_owned();
    match command {
        Command::Create(wanted) => {
            let id = text(answer, "agent_id");
            let key = answer["api_key"].as_str().map_or_else(String::new, |key| format!("{key}\n"));
            let rights = if wanted.inherit { "the rights of its owner" } else { "no rights but on its own directory" };
            format!("{key}agent:{id} has {rights}. Give it some: nexus-lite grant agent:{id} direct_viewer /path\n")
        }
        Command::Delete { agent_id } if answer == true => format!("deleted agent:{agent_id}\n"),
        Command::Show { agent_id } | Command::Delete { agent_id } if answer.is_null() || answer == false => {
            format!("there is no agent '{agent_id}'\n")
        }
        Command::List | Command::Show { .. } | Command::Delete { .. } => {
            let rows = match answer {
                Value::Array(rows) => rows.as_slice(),
                one => std::slice::from_ref(one),
            };
            let mut out = String::new();
            for row in rows {
                let rights = if row["inherit_permissions"] == true { "inherits" } else { "own rights" };
                let key = if row["has_api_key"] == true { "key" } else { "no key" };
                let (id, user, name) = (text(row, "agent_id"), text(row, "user_id"), text(row, "name"));
                out.push_str(&format!("{id:<32} user:{user:<16} {rights:<10} {key:<6} {name}\n"));
            }
            if out.is_empty() { "no agents\n".into() } else { out }
        }
    }
}
