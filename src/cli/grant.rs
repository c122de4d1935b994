//! `grant` and `revoke`: one tuple, as people say it.

use serde_json::{Value, json};

use super::door::{Door, Session};
use super::names::{Entity, Subject};
use super::{Failure, exit};

/// Gives a relation: nexus-lite grant user:alice direct_viewer /docs.
#[derive(Debug, clap::Args)]
pub struct Grant {
    #[command(flatten)]
    door: Door,
    #[command(flatten)]
    tuple: Tuple,
    /// When it ends, ISO-8601; without it, never.
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
}

/// Takes a relation back.
#[derive(Debug, clap::Args)]
pub struct Revoke {
    #[command(flatten)]
    door: Door,
    #[command(flatten)]
    tuple: Tuple,
}

/// Who, what, on what.
#[derive(Debug, clap::Args)]
struct Tuple {
    /// Who: user:alice, group:eng#member, or '*' for everybody.
    subject: Subject,
    /// The relation, e.g. `direct_viewer`, `member`.
    relation: String,
    /// On what: /docs/a.txt, group:eng.
    object: Entity,
    /// The tenant, if it is not that of the key.
    #[arg(long)]
    tenant: Option<String>,
}

impl Tuple {
    fn in_words(&self) -> String {
        let Subject { entity, relation } = &self.subject;
        let set = relation.as_ref().map_or_else(String::new, |relation| format!("#{relation}"));
        let subject = if entity.kind == "*" { "*".to_owned() } else { format!("{}:{}{set}", entity.kind, entity.id) };
        format!("{subject} {} {}:{}", self.relation, self.object.kind, self.object.id)
    }
}

impl Grant {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let tuple = &self.tuple;
        let mut params = json!({
            "subject": tuple.subject.to_wire(),
            "relation": tuple.relation,
            "object": tuple.object.to_wire(),
        });
        if let Some(tenant) = &tuple.tenant {
            params["tenant_id"] = tenant.as_str().into();
        }
        if let Some(expires) = &self.expires {
            params["expires_at"] = expires.as_str().into();
        }
        let id = self.door.ask("rebac_create", params)?;
        self.door.show(&json!({ "tuple_id": id }), |answer| {
            let until = self.expires.as_ref().map_or_else(String::new, |at| format!(" until {at}"));
            format!("granted {}{until} ({})\n", tuple.in_words(), answer["tuple_id"].as_str().unwrap_or("-"))
        })?;
        Ok(exit::OK)
    }
}

impl Revoke {
    /// Runs; the exit code is 1 if there is no such tuple.
    pub fn run(self) -> Result<u8, Failure> {
        let session = self.door.open()?;
        let revoked = revoke(&session, &self.tuple);
        session.close()?;
        let revoked = revoked?;
        self.door.show(&json!({ "revoked": revoked }), |_| match &revoked {
            Some(id) => format!("revoked {} ({id})\n", self.tuple.in_words()),
            None => format!("nothing to revoke: there is no live tuple {}\n", self.tuple.in_words()),
        })?;
        Ok(if revoked.is_some() { exit::OK } else { exit::WRONG })
    }
}

/// Deletes the tuple and returns its id, if there was one.
fn revoke(session: &Session, tuple: &Tuple) -> Result<Option<String>, Failure> {
    let filter = json!({
        "subject": tuple.subject.to_wire(),
        "relation": tuple.relation,
        "object": tuple.object.to_wire(),
    });
    let listed = session.call("rebac_list_tuples", filter)?;
    let is_meant = |row: &&Value| {
        // A filter without a relation lets usersets of the same entity through.
        row["subject_relation"].as_str() == tuple.subject.relation.as_deref()
            && tuple.tenant.as_deref().is_none_or(|tenant| row["tenant_id"] == tenant)
    };
    let found: Vec<&Value> = listed.as_array().into_iter().flatten().filter(is_meant).collect();
    let id = |row: &Value| row["tuple_id"].as_str().unwrap_or_default().to_owned();
    match found.as_slice() {
        [] => Ok(None),
        [one] => {
            let gone = session.call("rebac_delete", json!({ "tuple_id": id(one) }))?;
            Ok((gone == true).then(|| id(one)))
        }
        many => {
            let tenants: Vec<&str> = many.iter().filter_map(|row| row["tenant_id"].as_str()).collect();
            let text = format!("{} is said in several tenants: {}", tuple.in_words(), tenants.join(", "));
            Err(Failure::new(exit::USAGE, text).hint("say which one is meant (--tenant)"))
        }
    }
}
