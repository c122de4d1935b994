//! `explain`: why somebody has a permission, or what to do about it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::door::Door;
use super::names::{Entity, Subject};
use super::{Failure, exit};

/// Columns a line is indented by at most: groups may nest without end.
const INDENT_MAX: usize = 20;

/// Explains a decision: nexus-lite explain user:bob read /docs/a.txt.
#[derive(Debug, clap::Args)]
pub struct Explain {
    #[command(flatten)]
    door: Door,
    /// Who: user:alice, agent:bot, or '*' for everybody.
    subject: Subject,
    /// The permission or relation, e.g. `read`.
    permission: String,
    /// On what: /docs/a.txt, group:eng.
    object: Entity,
    /// The tenant of the subject, if it is not that of the key.
    #[arg(long)]
    tenant: Option<String>,
}

impl Explain {
    /// Runs. An answer is a success, whatever it is.
    pub fn run(self) -> Result<u8, Failure> {
        if self.subject.relation.is_some() {
            return Err(Failure::new(exit::USAGE, "a decision is about somebody, not about the members of a set"));
        }
        let mut params = json!({
            "subject": self.subject.to_wire(),
            "permission": self.permission,
            "object": self.object.to_wire(),
        });
        if let Some(tenant) = &self.tenant {
            params["tenant_id"] = tenant.as_str().into();
        }
        let answer = self.door.ask("rebac_explain", params)?;
        self.door.show(&answer, |answer| page(answer, self.tenant.as_deref()))?;
        Ok(exit::OK)
    }
}

/// The whole explanation, for people.
fn page(answer: &Value, tenant: Option<&str>) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        let _ = writeln!(out, "{text}");
    };
    line(format!("{}  {}", text(&answer["verdict"]).to_uppercase(), text(&answer["reason"])));
    if let Some(facts) = answer["proof"].as_array() {
        tree(facts).into_iter().for_each(&mut line);
    }
    if let Some(unknown) = answer["unknown"].as_object() {
        line(format!("to decide it: {}", text(&unknown["to_decide"])));
    }
    section(&mut line, "nearly:", &answer["misses"], |miss| vec![self::miss(miss)]);
    let mut number = 0;
    section(&mut line, "any one of these would allow it:", &answer["changes"], |change| {
        number += 1;
        let mut lines = vec![format!("{number}. {}", text(&change["text"]))];
        lines.extend(list(&change["elements"]).iter().map(|element| format!("   {}", command(element, tenant))));
        lines
    });
    for (word, about) in [("no change helps", "repair_reason"), ("note", "remark")] {
        if let Some(reason) = answer[about].as_str() {
            line(format!("{word}: {reason}"));
        }
    }
    if answer["complete"] == false && answer["result"] == false {
        line("the search was cut short: there may be other ways".to_owned());
    }
    if let Some(around) = answer["around"].as_object() {
        let because = list(&around["because"]).iter().map(text).collect::<Vec<_>>().join("; ");
        if !because.is_empty() {
            let verb = if around["allowed"] == true { "allow" } else { "refuse" };
            line(format!("the file methods {verb} it: {because}"));
        }
    }
    if answer["hidden"] == true {
        line("names that you may not see are replaced by their type".to_owned());
    }
    out
}

fn section(line: &mut impl FnMut(String), title: &str, items: &Value, mut lines: impl FnMut(&Value) -> Vec<String>) {
    let items = list(items);
    if !items.is_empty() {
        line(title.to_owned());
        items.iter().flat_map(&mut lines).for_each(|text| line(format!("  {text}")));
    }
}

/// The facts as a tree. A fact that two others rest on is told once.
fn tree(facts: &[Value]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut told = vec![false; facts.len()];
    let mut open = vec![(0_usize, 1_usize)];
    while let Some((at, depth)) = open.pop() {
        let Some(fact) = facts.get(at) else { continue };
        let indent = " ".repeat((depth * 2).min(INDENT_MAX));
        let again = std::mem::replace(&mut told[at], true);
        let told = if again { " (see above)" } else { "" };
        lines.push(format!("{indent}{}{told}", self::fact(fact)));
        if !again {
            let reasons = list(&fact["because"]).iter().rev().filter_map(Value::as_u64);
            open.extend(reasons.filter_map(|at| usize::try_from(at).ok()).map(|at| (at, depth + 1)));
        }
    }
    lines
}

fn fact(fact: &Value) -> String {
    let head = match fact["name"].as_str() {
        Some(name) => format!("{name} on {}", named(&fact["object"][0], &fact["object"][1])),
        None => format!("a rule of {}", named(&fact["object"][0], &fact["object"][1])),
    };
    let branch = text(&fact["branch"]);
    let why = match text(&fact["rule"]) {
        "tuple" | "userset" => format!("by the tuple {}", tuple(&fact["tuple"])),
        "owner" => "as the owner of the file".to_owned(),
        "union" => format!("by {branch}"),
        "intersection" => {
            format!("by all of {}", list(&fact["operands"]).iter().map(text).collect::<Vec<_>>().join(", "))
        }
        "exclusion" => format!("for nobody put it into {branch}"),
        _ => {
            let name = text(&fact["computed_userset"]);
            match text(&fact["step"]) {
                "directory" => format!("by {name} on its directory"),
                "owner" => format!("by {name} on its owner"),
                _ => format!("by {name} behind the tuple {}", tuple(&fact["tuple"])),
            }
        }
    };
    format!("{head}: {why}")
}

fn miss(miss: &Value) -> String {
    let tuple = tuple(&miss["tuple"]);
    let keys = |of: &str| list(&miss[of]).iter().map(text).collect::<Vec<_>>().join(", ");
    let (missing, failed) = (keys("missing_context"), keys("failed_context"));
    match text(&miss["why"]) {
        "expired" => format!("{tuple} ended {}", text(&miss["expired_at"])),
        "condition" => {
            let mut parts = Vec::new();
            if !missing.is_empty() {
                parts.push(format!("lacks the context {missing}"));
            }
            if !failed.is_empty() {
                parts.push(format!("does not hold for {failed}"));
            }
            format!("{tuple}: its condition {}", parts.join(" and "))
        }
        _ => format!("{tuple}: its condition cannot be read"),
    }
}

/// The command that does it; who may not see a name is told whom to ask.
fn command(element: &Value, tenant: Option<&str>) -> String {
    let t = &element["tuple"];
    if t["subject_id"].is_null() || t["object_id"].is_null() {
        return "(ask whoever manages it)".to_owned();
    }
    let file = |kind: &Value, id: &Value| match (text(kind), text(id)) {
        ("file", path) if path.starts_with('/') => path.to_owned(),
        (kind, id) => format!("{kind}:{id}"),
    };
    let subject = match (text(&t["subject_type"]), t["subject_relation"].as_str()) {
        ("*", _) => "*".to_owned(),
        (kind, Some(relation)) => format!("{kind}:{}#{relation}", text(&t["subject_id"])),
        (kind, None) => format!("{kind}:{}", text(&t["subject_id"])),
    };
    let object = file(&t["object_type"], &t["object_id"]);
    let tenant = tenant.map_or_else(String::new, |tenant| format!(" --tenant {}", quoted(tenant)));
    let (verb, relation) = (text(&element["do"]), quoted(text(&t["relation"])));
    format!("nexus-lite {verb} {} {relation} {}{tenant}", quoted(&subject), quoted(&object))
}

/// For a shell: in quotes unless it is plain.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:@,#+%".contains(c);
    if !word.is_empty() && !word.starts_with('#') && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn tuple(tuple: &Value) -> String {
    let set = tuple["subject_relation"].as_str().map_or_else(String::new, |set| format!("#{set}"));
    let subject = match text(&tuple["subject_type"]) {
        "*" => "everybody".to_owned(),
        _ => named(&tuple["subject_type"], &tuple["subject_id"]),
    };
    let until = tuple["expires_at"].as_str().map_or_else(String::new, |at| format!(" (until {at})"));
    format!("{subject}{set} {} {}{until}", text(&tuple["relation"]), named(&tuple["object_type"], &tuple["object_id"]))
}

/// `type:id`, a path as it is, or the type alone where the name is hidden.
fn named(kind: &Value, id: &Value) -> String {
    match (text(kind), id.as_str()) {
        (kind, None) => format!("some {kind}"),
        ("file", Some(path)) if path.starts_with('/') => path.to_owned(),
        (kind, Some(id)) => format!("{kind}:{id}"),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_survives_the_shell() {
        let element = |subject: Value, object: Value| {
            json!({"do": "grant", "tuple": {
                "subject_type": subject[0], "subject_id": subject[1], "subject_relation": subject[2],
                "relation": "direct_viewer", "object_type": object[0], "object_id": object[1],
            }})
        };
        let shown = |subject, object, tenant| command(&element(subject, object), tenant);
        assert_eq!(
            shown(json!(["user", "bob", null]), json!(["file", "/a/b.txt"]), None),
            "nexus-lite grant user:bob direct_viewer /a/b.txt"
        );
        assert_eq!(
            shown(json!(["group", "eng", "member"]), json!(["file", "/a b/it's"]), Some("acme")),
            r"nexus-lite grant group:eng#member direct_viewer '/a b/it'\''s' --tenant acme"
        );
        assert_eq!(
            shown(json!(["*", "*", null]), json!(["doc", "$(x)"]), None),
            "nexus-lite grant '*' direct_viewer 'doc:$(x)'"
        );
        assert_eq!(
            shown(json!(["user", "bob", null]), json!(["group", null]), None),
            "(ask whoever manages it)",
            "a hidden name is never made up"
        );
    }

    #[test]
    fn a_deep_proof_needs_no_stack() {
        let facts: Vec<Value> = (0..50_000)
            .map(|i| json!({"object": ["group", i.to_string()], "name": "member", "rule": "union", "branch": "b", "because": [i + 1]}))
            .collect();
        let lines = tree(&facts);
        assert_eq!(lines.len(), 50_000);
        assert!(lines.iter().all(|line| line.len() < 80));
    }
}
