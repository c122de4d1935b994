//! `key`: API keys. On the data directory of a stopped server, or over HTTP on a running one.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::running::runtime;
use super::waves::client::{Target, with_client};
use super::waves::judge::result_of;
use super::{Failure, exit, offline, print};
use crate::model::time::iso_utc;
use crate::service::keys::{KeyFilter, KeyInfo};
use crate::service::keys_ops::{self, KeyRequest};
use crate::service::{Call, ServiceError, keys};

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

/// Where the keys are.
#[derive(Debug, clap::Args)]
struct Door {
    /// The data directory of a server that is not running.
    #[arg(long, global = true, env = "NEXUS_LITE_DATA_DIR", default_value = "./nexus-data")]
    data_dir: PathBuf,
    /// A running server; then the data directory is not touched.
    #[arg(long, global = true)]
    url: Option<String>,
    /// For --url: the key of an admin.
    #[arg(long, global = true, env = "NEXUS_API_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
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
        let answer = match &self.door.url {
            Some(url) => online(url.clone(), self.door.key.clone(), &self.command)?,
            None => runtime()?.block_on(stopped(&self.door.data_dir, &self.command))?,
        };
        if self.door.json {
            print(&format!("{}\n", serde_json::to_string_pretty(&answer).expect("JSON values serialise")))?;
        } else {
            print(&for_people(&self.command, &answer))?;
        }
        Ok(exit::OK)
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

/// Through the store of a stopped server.
async fn stopped(data_dir: &std::path::Path, command: &Command) -> Result<Value, Failure> {
    let app = offline::open(data_dir).await.map_err(|failure| match failure.code {
        exit::LOCKED => failure.hint("a server is running there; ask it: --url http://127.0.0.1:8080 --key sk-…"),
        _ => failure,
    })?;
    let call = offline::call(&app, "key");
    let answer = do_stopped(&app, &call, command).await;
    app.close(None).await?;
    answer.map_err(Failure::from)
}

async fn do_stopped(app: &crate::app::App, call: &Call, command: &Command) -> Result<Value, ServiceError> {
    match command {
        Command::Create(wanted) => {
            let request = KeyRequest {
                user_id: wanted.user.clone(),
                name: wanted.name.clone(),
                subject_type: if wanted.agent.is_some() { "agent" } else { "user" }.into(),
                subject_id: wanted.agent.clone(),
                tenant: Some(wanted.tenant.clone()),
                is_admin: wanted.admin,
                is_instance_admin: wanted.instance_admin,
                expires_days: wanted.expires,
            };
            let made = keys_ops::create(call, &app.services.hasher, request).await?;
            let mut row = shown(&KeyInfo { row: made.row, last_used_at_us: None });
            row["api_key"] = made.key.expose().into();
            Ok(row)
        }
        Command::List { all } => {
            let filter =
                KeyFilter { include_revoked: *all, include_expired: *all, limit: usize::MAX, ..KeyFilter::default() };
            let page = keys::list(call, filter).await?;
            Ok(json!({ "keys": page.keys.iter().map(shown).collect::<Vec<_>>(), "total": page.total }))
        }
        Command::Revoke { key_id } => {
            keys_ops::revoke(call, key_id.clone()).await?;
            Ok(json!({ "success": true, "key_id": key_id }))
        }
    }
}

/// A key as the HTTP API shows it.
fn shown(key: &KeyInfo) -> Value {
    let row = &key.row;
    json!({
        "key_id": row.key_id,
        "user_id": row.user_id,
        "subject_type": row.subject_type,
        "subject_id": row.subject_id,
        "name": row.name,
        "tenant_id": row.tenant,
        "is_admin": row.is_admin,
        "created_at": iso_utc(row.created_at_us),
        "expires_at": row.expires_at_us.map(iso_utc),
        "revoked": row.revoked_at_us.is_some(),
        "revoked_at": row.revoked_at_us.map(iso_utc),
        "last_used_at": key.last_used_at_us.map(iso_utc),
    })
}

/// Through a running server.
fn online(url: String, key: Option<String>, command: &Command) -> Result<Value, Failure> {
    let Some(key) = key else {
        return Err(Failure::new(exit::USAGE, "--url needs --key (or NEXUS_API_KEY): the key of an admin"));
    };
    let (method, params) = match command {
        Command::Create(wanted) => ("admin_create_key", created(wanted)),
        Command::List { all } => {
            ("admin_list_keys", json!({ "include_revoked": all, "include_expired": all, "limit": PAGE }))
        }
        Command::Revoke { key_id } => ("admin_revoke_key", json!({ "key_id": key_id })),
    };
    let named = url.clone();
    let asked = with_client(Target { url, key }, move |client| async move { client.call(method, &params).await });
    let answer = asked.map_err(|e| Failure::new(exit::OS, format!("the client's thread could not be started: {e}")))?;
    result_of(&answer).map_err(|reason| {
        let code = if answer.status == 0 { exit::UNAVAILABLE } else { exit::NO_PERMISSION };
        Failure::new(code, format!("{named}: {reason}"))
    })
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
