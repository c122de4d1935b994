//! `who-can` and `what-can`: who has a permission on an object, and on which objects somebody has it.

use serde_json::{Value, json};

use super::door::{Door, Session};
use super::names::{Entity, Subject};
use super::{Failure, exit};

/// Lists everybody who has a permission on an object, exceptions included.
#[derive(Debug, clap::Args)]
pub struct WhoCan {
    #[command(flatten)]
    door: Door,
    /// A permission or a relation, e.g. read.
    permission: String,
    /// type:id, or the path of a file.
    object: Entity,
    /// The type of the subjects.
    #[arg(long = "type", value_name = "TYPE", default_value = "user")]
    kind: String,
    /// The tenant of an object that is no file.
    #[arg(long)]
    tenant: Option<String>,
}

/// Lists the objects on which somebody has a permission.
#[derive(Debug, clap::Args)]
pub struct WhatCan {
    #[command(flatten)]
    door: Door,
    /// type:id, or * for everybody.
    subject: Subject,
    /// A permission or a relation, e.g. read.
    permission: String,
    /// The type of the objects.
    #[arg(value_name = "TYPE", default_value = "file")]
    kind: String,
    /// For files: only at or below this path.
    #[arg(long, value_name = "PATH")]
    below: Option<String>,
    /// The tenant.
    #[arg(long)]
    tenant: Option<String>,
}

impl WhoCan {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let mut params =
            json!({ "permission": self.permission, "object": self.object.to_wire(), "subject_type": self.kind });
        if let Some(tenant) = &self.tenant {
            params["tenant_id"] = tenant.as_str().into();
        }
        let answer = self.door.ask("rebac_list_subjects", params)?;
        self.door.show(&answer, people)?;
        Ok(ending(&answer))
    }
}

impl WhatCan {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let session = self.door.open()?;
        let answer = self.pages(&session);
        session.close()?;
        let answer = answer?;
        self.door.show(&answer, objects)?;
        Ok(ending(&answer))
    }

    /// All pages as one answer; `changed` if that is what any of them says.
    fn pages(&self, session: &Session) -> Result<Value, Failure> {
        let mut params = json!({
            "subject": self.subject.to_wire(), "permission": self.permission, "object_type": self.kind,
        });
        for (name, value) in [("path_prefix", &self.below), ("tenant_id", &self.tenant)] {
            if let Some(value) = value {
                params[name] = value.as_str().into();
            }
        }
        let mut all: Option<Value> = None;
        loop {
            let mut page = session.call("rebac_list_objects", params.clone())?;
            let cursor = page["next_cursor"].take();
            // A page that came no further than the one before will not come further.
            let stands = cursor.is_null() || cursor == params["cursor"];
            let whole = match all.take() {
                None => page,
                Some(mut whole) => {
                    for list in ["objects", "undecided"] {
                        let rows = page[list].as_array_mut().map(std::mem::take).unwrap_or_default();
                        whole[list].as_array_mut().into_iter().for_each(|kept| kept.extend(rows.iter().cloned()));
                    }
                    whole["changed"] = json!(whole["changed"] == true || page["changed"] == true);
                    for said in ["complete", "reason", "revision"] {
                        whole[said] = page[said].take();
                    }
                    whole
                }
            };
            if stands {
                return Ok(whole);
            }
            params["cursor"] = cursor;
            all = Some(whole);
        }
    }
}

/// An answer that is not whole must not look like one to a script.
fn ending(answer: &Value) -> u8 {
    if answer["complete"] == false { exit::DATA } else { exit::OK }
}

fn name(of: &Value) -> String {
    let part = |at: usize| of[at].as_str().unwrap_or("-");
    match (part(0), part(1)) {
        ("file", path) if path.starts_with('/') => path.to_owned(),
        (kind, id) => format!("{kind}:{id}"),
    }
}

fn rows<'v>(answer: &'v Value, list: &str) -> impl Iterator<Item = &'v Value> {
    answer[list].as_array().into_iter().flatten()
}

fn people(answer: &Value) -> String {
    let mut out = String::new();
    let who = |row: &Value| format!("{:<40} {}", name(&row["subject"]), row["tenant_id"].as_str().unwrap_or("-"));
    for row in rows(answer, "subjects") {
        out.push_str(&format!("{}\n", who(row).trim_end()));
    }
    for row in rows(answer, "everybody") {
        let tenant = row["tenant_id"].as_str().map_or("of every other tenant".to_owned(), |t| format!("of {t}"));
        let except: Vec<String> = rows(row, "except").map(|s| name(&s["subject"])).collect();
        let except = if except.is_empty() { String::new() } else { format!(" except {}", except.join(", ")) };
        out.push_str(&match row["answer"].as_str() {
            Some("yes") => format!("everybody {tenant}{except}\n"),
            Some("no") => format!("nobody else {tenant}\n"),
            _ => format!("perhaps everybody {tenant}{except}: {}\n", row["reason"].as_str().unwrap_or("not known")),
        });
    }
    for row in rows(answer, "undecided") {
        out.push_str(&format!("perhaps {}: {}\n", who(row), row["reason"].as_str().unwrap_or("not known")));
    }
    ended(out, answer, "nobody")
}

fn objects(answer: &Value) -> String {
    let mut out = String::new();
    for row in rows(answer, "objects") {
        out.push_str(&format!("{}\n", name(row)));
    }
    for row in rows(answer, "undecided") {
        let reason = row["reason"].as_str().unwrap_or("not known");
        out.push_str(&format!("perhaps {}: {reason}\n", name(&row["object"])));
    }
    if answer["changed"] == true {
        out.push_str("something changed while this was listed\n");
    }
    ended(out, answer, "nothing")
}

fn ended(mut out: String, answer: &Value, none: &str) -> String {
    if answer["complete"] == false {
        out.push_str(&format!("not complete: {}\n", answer["reason"].as_str().unwrap_or("not known")));
    } else if out.is_empty() {
        out = format!("{none}\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_not_whole_says_so() {
        let answer = json!({"objects": [["doc", "a"]], "undecided": [], "complete": false, "reason": "spent"});
        assert_eq!(objects(&answer), "doc:a\nnot complete: spent\n");
        assert_eq!((ending(&answer), ending(&json!({"complete": true}))), (exit::DATA, exit::OK));
        assert_eq!(objects(&json!({"objects": [], "complete": true})), "nothing\n");
    }

    #[test]
    fn everybody_has_exceptions() {
        let answer = json!({
            "subjects": [{"subject": ["user", "carol"], "tenant_id": "acme"}],
            "everybody": [
                {"tenant_id": "t", "answer": "yes", "except": [{"subject": ["user", "bob"], "tenant_id": "t"}]},
                {"tenant_id": null, "answer": "unknown", "reason": "no ip", "except": []},
            ],
            "undecided": [{"subject": ["user", "dan"], "tenant_id": "t", "reason": "no ip"}],
            "complete": true,
        });
        let text = people(&answer);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("user:carol ") && lines[0].ends_with(" acme"), "{text}");
        assert_eq!(lines[1], "everybody of t except user:bob");
        assert_eq!(lines[2], "perhaps everybody of every other tenant: no ip");
        assert!(lines[3].starts_with("perhaps user:dan"), "{text}");
    }
}
