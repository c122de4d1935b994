//! `quota`: what tenants have and may have.

use serde_json::{Value, json};

use super::door::{Door, Session};
use super::files::table::{size, table};
use super::{Failure, exit};
use crate::config::ByteSize;

/// Tenants that are asked for at once.
const PAGE: usize = 1_000;

/// Shows and sets what tenants may have: bytes and files.
#[derive(Debug, clap::Args)]
pub struct Quota {
    #[command(flatten)]
    door: Door,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// What one tenant has and may have.
    Get {
        /// The tenant; without it, that of the key.
        tenant: Option<String>,
    },
    /// Limits a tenant; what is not said stays.
    Set(Set),
    /// All tenants that have files or a quota of their own, by name.
    List,
}

/// Which limits.
#[derive(Debug, clap::Args)]
struct Set {
    /// The tenant.
    tenant: String,
    /// Most bytes of all its files, e.g. 10GiB, or `none`.
    #[arg(long, value_name = "BYTES", required_unless_present_any = ["files", "default"])]
    bytes: Option<String>,
    /// Most files, or `none`.
    #[arg(long, value_name = "FILES")]
    files: Option<String>,
    /// What the settings say (quota_bytes, quota_files) holds for it again.
    #[arg(long, conflicts_with_all = ["bytes", "files"])]
    default: bool,
}

impl Set {
    fn params(&self) -> Result<Value, Failure> {
        let mut params = json!({ "tenant_id": self.tenant });
        if self.default {
            params["use_default"] = true.into();
        }
        if let Some(text) = &self.bytes {
            params["bytes_max"] = limit(text, "--bytes", "a number of bytes, e.g. 10GiB", bytes_of)?;
        }
        if let Some(text) = &self.files {
            params["files_max"] = limit(text, "--files", "a whole number", |text| text.parse().ok())?;
        }
        Ok(params)
    }
}

fn bytes_of(text: &str) -> Option<u64> {
    text.parse().ok().or_else(|| ByteSize::parse(text).map(|size| size.0 as u64))
}

fn limit(text: &str, flag: &str, wanted: &str, read: impl Fn(&str) -> Option<u64>) -> Result<Value, Failure> {
    if text == "none" {
        return Ok(Value::Null);
    }
    let refused = || Failure::new(exit::USAGE, format!("{flag} {text}: {wanted}, or `none`, is wanted"));
    read(text).map(Value::from).ok_or_else(refused)
}

impl Quota {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let params = match &self.command {
            Command::Set(set) => Some(set.params()?),
            Command::Get { .. } | Command::List => None,
        };
        let session = self.door.open()?;
        let answer = ask(&session, &self.command, params);
        session.close()?;
        self.door.show(&answer?, for_people)?;
        Ok(exit::OK)
    }
}

fn ask(session: &Session, command: &Command, params: Option<Value>) -> Result<Value, Failure> {
    match command {
        Command::Get { tenant } => {
            let params = tenant.as_ref().map_or_else(|| json!({}), |tenant| json!({ "tenant_id": tenant }));
            session.call("admin_get_quota", params)
        }
        Command::Set(_) => session.call("admin_set_quota", params.unwrap_or_default()),
        Command::List => {
            let mut tenants: Vec<Value> = Vec::new();
            let mut params = json!({ "limit": PAGE });
            loop {
                let mut page = session.call("admin_list_quotas", params.clone())?;
                tenants.extend(page["tenants"].as_array_mut().map(std::mem::take).unwrap_or_default());
                if page["next_cursor"].is_null() {
                    return Ok(json!({ "tenants": tenants }));
                }
                params["cursor"] = page["next_cursor"].take();
            }
        }
    }
}

fn for_people(answer: &Value) -> String {
    let one = std::slice::from_ref(answer);
    let rows = answer["tenants"].as_array().map_or(one, Vec::as_slice);
    let number = |row: &Value, key: &str| row[key].as_u64();
    let most = |limit: Option<String>| limit.unwrap_or_else(|| "no limit".into());
    let mut cells = vec![["TENANT", "BYTES", "OF", "FILES", "OF", ""].map(str::to_owned).to_vec()];
    cells.extend(rows.iter().map(|row| {
        vec![
            row["tenant_id"].as_str().unwrap_or("-").to_owned(),
            size(number(row, "bytes_used").unwrap_or(0)),
            most(number(row, "bytes_max").map(size)),
            number(row, "files_used").unwrap_or(0).to_string(),
            most(number(row, "files_max").map(|files| files.to_string())),
            if row["is_default"] == true { "by the settings" } else { "its own" }.to_owned(),
        ]
    }));
    table(&cells)
}
