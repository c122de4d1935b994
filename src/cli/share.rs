//! `share`, `unshare` and `shares`: who else may see, change or own something.

use serde_json::{Value, json};

use super::door::{Door, Session};
use super::names::{Entity, Subject};
use super::{Failure, exit};
use crate::model::time::{Clock as _, SystemClock, iso_utc};

/// Shares that are asked for at once.
const PAGE: usize = 1_000;
/// The relation by which groups have members.
const MEMBER: &str = "member";

/// Lets somebody in: nexus-lite share /docs bob --as editor; nexus-lite share /docs group:eng --for 1h.
#[derive(Debug, clap::Args)]
pub struct Share {
    #[command(flatten)]
    door: Door,
    /// What: a path, or type:id.
    object: Entity,
    /// With whom: a user's name, group:eng for its members, agent:bot.
    who: String,
    /// What it gives.
    #[arg(long = "as", value_name = "LEVEL", value_parser = ["viewer", "editor", "owner"], default_value = "viewer")]
    level: String,
    /// How long, e.g. 30m, 1h, 7d; without it, for good.
    #[arg(long = "for", value_name = "TIME", value_parser = microseconds)]
    length_us: Option<i64>,
    /// The tenant of a user, if it is another one than that of what is shared.
    #[arg(long)]
    user_tenant: Option<String>,
}

/// Takes a share back.
#[derive(Debug, clap::Args)]
pub struct Unshare {
    #[command(flatten)]
    door: Door,
    /// What: a path, or type:id.
    object: Entity,
    /// From whom: a user's name, group:eng, agent:bot.
    who: String,
}

/// Lists what is shared with others, or with --incoming what others share with a user.
#[derive(Debug, clap::Args)]
pub struct Shares {
    #[command(flatten)]
    door: Door,
    /// Only of this thing.
    object: Option<Entity>,
    /// What is shared with this user.
    #[arg(long, value_name = "USER", conflicts_with = "object")]
    incoming: Option<String>,
}

/// A span of time as people write it: a number and s, m, h or d.
fn microseconds(text: &str) -> Result<i64, String> {
    let wrong = || format!("'{text}' is no time; write e.g. 90s, 30m, 1h, 7d");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: i64 = number.parse().ok().filter(|number| (1..=1_000_000).contains(number)).ok_or_else(wrong)?;
    Ok(number * seconds * 1_000_000)
}

/// Whom a word names.
enum Named {
    /// A user, who is let in by a share.
    User(String),
    /// Others, who are let in by a tuple: as a subject of it.
    Subject(Value),
}

impl Named {
    fn parse(text: &str) -> Result<Self, Failure> {
        let user = text.strip_prefix("user:").or((!text.contains(':') && text != "*").then_some(text));
        if let Some(user) = user {
            return Ok(Self::User(user.to_owned()));
        }
        let subject: Subject = text.parse().map_err(|e: String| Failure::new(exit::USAGE, e))?;
        let members = subject.relation.is_none() && subject.entity.kind == "group";
        let relation = if members { Some(MEMBER.to_owned()) } else { subject.relation.clone() };
        Ok(Self::Subject(Subject { relation, ..subject }.to_wire()))
    }
}

impl Share {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let ends = self.length_us.map(|length_us| iso_utc(SystemClock.now_us() + length_us));
        let (method, mut params) = match Named::parse(&self.who)? {
            Named::User(user) => {
                let params = json!({ "resource": self.object.to_wire(), "user_id": user, "relation": self.level });
                ("share_with_user", params)
            }
            Named::Subject(subject) => {
                let relation =
                    if self.object.kind == "file" { format!("direct_{}", self.level) } else { self.level.clone() };
                ("rebac_create", json!({ "subject": subject, "relation": relation, "object": self.object.to_wire() }))
            }
        };
        if let Some(ends) = &ends {
            params["expires_at"] = ends.as_str().into();
        }
        if let Some(tenant) = &self.user_tenant {
            params["user_tenant_id"] = tenant.as_str().into();
        }
        let id = self.door.ask(method, params)?;
        self.door.show(&json!({ "share_id": id, "expires_at": ends }), |_| {
            let until = ends.as_ref().map_or_else(String::new, |at| format!(" until {at}"));
            let Entity { kind, id } = &self.object;
            format!("shared {kind}:{id} with {} as {}{until}\n", self.who, self.level)
        })?;
        Ok(exit::OK)
    }
}

impl Unshare {
    /// Runs; the exit code is 1 if it is not shared.
    pub fn run(self) -> Result<u8, Failure> {
        let named = Named::parse(&self.who)?;
        let session = self.door.open()?;
        let ended = match named {
            Named::User(user) => {
                session.call("revoke_share", json!({ "resource": self.object.to_wire(), "user_id": user }))
            }
            Named::Subject(subject) => end(&session, &self.object, &subject),
        };
        session.close()?;
        let ended = ended? == true;
        self.door.show(&json!({ "revoked": ended }), |_| {
            let Entity { kind, id } = &self.object;
            let done = if ended { "no longer shared" } else { "not shared" };
            format!("{kind}:{id} is {done} with {}\n", self.who)
        })?;
        Ok(if ended { exit::OK } else { exit::WRONG })
    }
}

/// Deletes what `share` gives a subject that is no user.
fn end(session: &Session, object: &Entity, subject: &Value) -> Result<Value, Failure> {
    let levels = ["viewer", "editor", "owner"];
    let prefix = if object.kind == "file" { "direct_" } else { "" };
    let relations = levels.map(|level| format!("{prefix}{level}"));
    let filter = json!({ "subject": subject, "object": object.to_wire(), "relation_in": relations });
    let mut ended = false;
    for row in session.call("rebac_list_tuples", filter)?.as_array().into_iter().flatten() {
        // A filter without a relation lets usersets of the same entity through.
        if row["subject_relation"].as_str() == subject[2].as_str() {
            ended |= session.call("rebac_delete", json!({ "tuple_id": row["tuple_id"] }))? == true;
        }
    }
    Ok(ended.into())
}

impl Shares {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let session = self.door.open()?;
        let found = self.pages(&session);
        session.close()?;
        self.door.show(&Value::Array(found?), |found| {
            let text = |row: &Value, key: &str| row[key].as_str().unwrap_or("-").to_owned();
            let mut out = String::new();
            for row in found.as_array().into_iter().flatten() {
                let what = format!("{}:{}", text(row, "resource_type"), text(row, "resource_id"));
                let whose = match row["recipient_id"].as_str() {
                    Some(user) => format!("user:{user}"),
                    None => format!("from tenant {}", text(row, "owner_tenant_id")),
                };
                let ends = row["expires_at"]["data"].as_str().map_or_else(String::new, |at| format!("  until {at}"));
                out.push_str(&format!("{:<7} {what}  {whose}{ends}\n", text(row, "permission_level")));
            }
            if out.is_empty() { "no shares\n".into() } else { out }
        })?;
        Ok(exit::OK)
    }

    fn pages(&self, session: &Session) -> Result<Vec<Value>, Failure> {
        let mut all = Vec::new();
        loop {
            let mut params = json!({ "limit": PAGE, "offset": all.len() });
            let method = match &self.incoming {
                Some(user) => {
                    params["user_id"] = user.as_str().into();
                    "list_incoming_shares"
                }
                None => {
                    if let Some(object) = &self.object {
                        params["resource"] = object.to_wire();
                    }
                    "list_outgoing_shares"
                }
            };
            let page = session.call(method, params)?.as_array().cloned().unwrap_or_default();
            let is_last = page.len() < PAGE;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_of_time_is_a_number_and_a_unit() {
        assert_eq!(microseconds("1h"), Ok(3_600_000_000));
        assert_eq!(microseconds("90s"), Ok(90_000_000));
        for wrong in ["", "h", "1", "0d", "-1h", "1 h", "1w", "1é", "99999999d"] {
            assert!(microseconds(wrong).is_err(), "{wrong}");
        }
    }
}
