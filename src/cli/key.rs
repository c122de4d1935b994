//! `key`: API keys. On the data directory of a stopped server, or over HTTP on a running one.

use serde_json::{Value, json};

use super::door::{Door, Session};
use super::{Failure, exit};

/// Keys that are asked for at once of a running server.
const PAGE: usize = 1_000;

/// Makes, lists and revokes API keys.
#[derive(Debug, clap::Args)]
pub struct Key {
    #[command(flatten)]
    door: Door,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Makes a key and prints it; it is stored as a hash, so this is the only time.
    Create(Create),
    /// Lists keys, newest first.
    List {
        /// The revoked and expired ones, too.
        #[arg(long)]
        all: bool,
    },
    /// Revokes a key; it is refused from this moment on.
    Revoke {
        /// The id, as `key list` shows it.
        key_id: String,
    },
}

/// What key to make.
#[derive(Debug, clap::Args)]
struct Create {
    /// The user it speaks for, or the owner of --agent.
    #[arg(long, default_value = "admin")]
    user: String,
    /// A label.
    #[arg(long, default_value = "made by nexus-lite key create")]
    name: String,
    /// The tenant.
    #[arg(long, default_value = crate::model::DEFAULT_TENANT)]
    tenant: String,
    /// For a registered agent of the user.
    #[arg(long, value_name = "AGENT_ID")]
    agent: Option<String>,
    /// It rules its tenant.
    #[arg(long, conflicts_with = "agent")]
    admin: bool,
    /// It rules every tenant.
    #[arg(long, conflicts_with = "agent")]
    instance_admin: bool,
    /// Days until it ends; without it, never.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i64).range(1..=36_500))]
    expires: Option<i64>,
}

impl Key {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let session = self.door.open()?;
        let answer = ask(&session, &self.command);
        session.close()?;
        self.door.show(&answer?, |answer| for_people(&self.command, answer))?;
        Ok(exit::OK)
    }
}

fn ask(session: &Session, command: &Command) -> Result<Value, Failure> {
    match command {
        Command::Create(wanted) => session.call("admin_create_key", created(wanted)),
        Command::List { all } => {
            let mut keys: Vec<Value> = Vec::new();
            loop {
                let page =
                    json!({ "include_revoked": all, "include_expired": all, "limit": PAGE, "offset": keys.len() });
                let mut page = session.call("admin_list_keys", page)?;
                let rows = page["keys"].as_array_mut().map(std::mem::take).unwrap_or_default();
                let is_last = rows.len() < PAGE;
                keys.extend(rows);
                if is_last {
                    return Ok(json!({ "total": keys.len(), "keys": keys }));
                }
            }
        }
        Command::Revoke { key_id } => session.call("admin_revoke_key", json!({ "key_id": key_id })),
    }
}

fn for_people(command: &Command, answer: &Value) -> String {
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or("-").to_owned();
    match command {
        Command::Create(_) => format!("{}\n", text(answer, "api_key")),
        Command::Revoke { key_id } => format!("revoked {key_id}\n"),
        Command::List { .. } => {
            let mut out = String::new();
            for row in answer["keys"].as_array().into_iter().flatten() {
                let subject = format!("{}:{}", text(row, "subject_type"), text(row, "subject_id"));
                let admin = if row["is_admin"] == true { "admin" } else { "-" };
                let state = match (&row["revoked"], row["expires_at"].as_str()) {
                    (Value::Bool(true), _) => "revoked".to_owned(),
                    (_, Some(at)) => format!("expires {at}"),
                    _ => "valid".to_owned(),
                };
                let (id, tenant, name) = (text(row, "key_id"), text(row, "tenant_id"), text(row, "name"));
                out.push_str(&format!("{id}  {tenant:<10} {subject:<28} {admin:<6} {state:<10} {name}\n"));
            }
            if out.is_empty() { "no keys\n".into() } else { out }
        }
    }
}

/// Parameters that were not asked for are not sent, so that servers which lack them can be asked, too.
fn created(wanted: &Create) -> Value {
    let mut params = json!({
        "user_id": wanted.user,
        "name": wanted.name,
        "tenant_id": wanted.tenant,
        "is_admin": wanted.admin || wanted.instance_admin,
    });
    if let Some(agent) = &wanted.agent {
        params["subject_type"] = "agent".into();
        params["subject_id"] = agent.as_str().into();
    }
    if wanted.instance_admin {
        params["is_instance_admin"] = true.into();
    }
    if let Some(days) = wanted.expires {
        params["expires_days"] = days.into();
    }
    params
}
