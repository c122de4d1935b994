//! `memory`: what agents and people remember, kept, found and forgotten through the methods of the API.
//!
//! Owns arguments and what is printed; whose a memory is and who sees it are rules of the service.

use std::io::Read as _;

use serde_json::{Value, json};

use super::door::{Door, Session};
use super::{Failure, exit};

/// What stands for the standard input.
const STDIN: &str = "-";
/// Memories of a page.
const PAGE: u64 = 1_000;
/// How much of a memory a line of a table shows, characters.
const EXCERPT_CHARS: usize = 72;

/// Stores, lists, finds, shows, changes and forgets memories.
#[derive(Debug, clap::Args)]
pub struct Memory {
    #[command(flatten)]
    door: Door,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Keeps a memory and prints its id. One of the same name is replaced.
    Store(Store),
    /// Lists memories, newest first.
    List(Filter),
    /// Finds memories by words, the best first; the exit code is 1 if there are none.
    Search {
        /// The words.
        #[arg(required = true)]
        query: Vec<String>,
        #[command(flatten)]
        filter: Filter,
    },
    /// Prints what is remembered; the exit code is 1 if there is no such memory.
    Get {
        /// Its id, or its name: namespace/key.
        memory: String,
    },
    /// Changes what is remembered, or how much it matters.
    Update {
        /// Its id.
        memory_id: String,
        /// What to remember from now on; - reads it from the standard input.
        content: Option<String>,
        /// From 0 to 1.
        #[arg(long, value_parser = share)]
        importance: Option<f64>,
    },
    /// Makes memories active, so that lists show them.
    Approve {
        /// Their ids.
        #[arg(required = true)]
        memory_ids: Vec<String>,
    },
    /// Makes memories inactive: they are kept, and lists leave them out.
    Deactivate {
        /// Their ids.
        #[arg(required = true)]
        memory_ids: Vec<String>,
    },
    /// Deletes memories.
    Forget {
        /// Their ids.
        #[arg(required = true)]
        memory_ids: Vec<String>,
    },
}

/// What to keep.
#[derive(Debug, clap::Args)]
struct Store {
    /// What to remember; - reads it from the standard input.
    content: String,
    /// Its name: namespace/key, e.g. projects/lite/owner.
    #[arg(long, value_parser = name)]
    name: Option<(String, String)>,
    /// For whom: agent, user, tenant or global.
    #[arg(long, value_parser = ["agent", "user", "tenant", "global"], default_value = "agent")]
    scope: String,
    /// What it is, e.g. fact, preference, experience.
    #[arg(long = "type", value_name = "TYPE", default_value = "fact")]
    memory_type: String,
    /// How much it matters, from 0 to 1.
    #[arg(long, value_parser = share, default_value = "0.5")]
    importance: f64,
    /// Lists leave it out until somebody approves it.
    #[arg(long)]
    inactive: bool,
}

/// Which memories.
#[derive(Debug, clap::Args)]
struct Filter {
    /// For whom they are: agent, user, tenant or global.
    #[arg(long, value_parser = ["agent", "user", "tenant", "global"])]
    scope: Option<String>,
    /// What they are.
    #[arg(long = "type", value_name = "TYPE")]
    memory_type: Option<String>,
    /// How their namespace begins.
    #[arg(long, value_name = "NAMESPACE")]
    under: Option<String>,
    /// active, inactive or all.
    #[arg(long, value_parser = ["active", "inactive", "all"], default_value = "active")]
    state: String,
    /// How many at most.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
}

impl Filter {
    fn params(&self, limit: u64) -> Value {
        json!({
            "scope": self.scope,
            "memory_type": self.memory_type,
            "namespace_prefix": self.under,
            "state": self.state,
            "limit": limit.min(PAGE),
        })
    }
}

/// A number from 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| format!("'{text}' is no number from 0 to 1"))
}

/// Namespace and key.
fn name(text: &str) -> Result<(String, String), String> {
    match text.trim_start_matches('/').rsplit_once('/') {
        Some((namespace, key)) if !namespace.is_empty() && !key.is_empty() => Ok((namespace.into(), key.into())),
        _ => Err(format!("'{text}' is no name; write namespace/key, e.g. projects/lite/owner")),
    }
}

impl Memory {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        // Before a directory is locked, or a server waits.
        let content = match &self.command {
            Command::Store(Store { content, .. }) => Some(read(content)?),
            Command::Update { content: Some(content), .. } => Some(read(content)?),
            _ => None,
        };
        let session = self.door.open()?;
        let answer = ask(&session, &self.command, content);
        session.close()?;
        let answer = answer?;
        self.door.show(&answer, |answer| for_people(&self.command, answer))?;
        let nothing = match &self.command {
            Command::Search { .. } => rows(&answer["memories"]).is_empty(),
            Command::Get { .. } => answer["memory"].is_null(),
            Command::Approve { .. } | Command::Deactivate { .. } | Command::Forget { .. } => answer["failed"] != 0,
            _ => false,
        };
        Ok(if nothing { exit::WRONG } else { exit::OK })
    }
}

/// A text, or what the standard input holds: as text, or in the wrapper of bytes.
fn read(text: &str) -> Result<Value, Failure> {
    if text != STDIN {
        return Ok(text.into());
    }
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|e| Failure::new(exit::IO, format!("standard input: {e}")))?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(other) => {
            use base64::Engine as _;
            let data = base64::engine::general_purpose::STANDARD.encode(other.as_bytes());
            json!({ "__type__": "bytes", "data": data })
        }
    })
}

fn ask(session: &Session, command: &Command, content: Option<Value>) -> Result<Value, Failure> {
    match command {
        Command::Store(wanted) => {
            let (namespace, path_key) = wanted.name.clone().unzip();
            let params = json!({
                "content": content,
                "memory_type": wanted.memory_type,
                "scope": wanted.scope,
                "importance": wanted.importance,
                "namespace": namespace,
                "path_key": path_key,
                "state": if wanted.inactive { "inactive" } else { "active" },
            });
            session.call("store_memory", params)
        }
        Command::List(filter) => pages(session, filter),
        Command::Search { query, filter } => {
            let mut params = filter.params(filter.limit);
            params["query"] = query.join(" ").into();
            session.call("query_memories", params)
        }
        Command::Get { memory } => {
            let which = if memory.contains('/') { "path" } else { "memory_id" };
            session.call("retrieve_memory", json!({ which: memory }))
        }
        Command::Update { memory_id, importance, .. } => {
            let mut params = json!({ "memory_id": memory_id });
            if let Some(content) = content {
                params["content"] = content;
            }
            if let Some(importance) = importance {
                params["importance"] = (*importance).into();
            }
            if params.get("content").is_none() && importance.is_none() {
                let failure = Failure::new(exit::USAGE, "nothing to change");
                return Err(failure.hint("give what to remember, or --importance"));
            }
            session.call("update_memory", params)
        }
        Command::Approve { memory_ids } => session.call("approve_memory_batch", json!({ "memory_ids": memory_ids })),
        Command::Deactivate { memory_ids } => {
            session.call("deactivate_memory_batch", json!({ "memory_ids": memory_ids }))
        }
        Command::Forget { memory_ids } => session.call("delete_memory_batch", json!({ "memory_ids": memory_ids })),
    }
}

/// As many as are wanted, page by page; `complete` says whether that is all.
fn pages(session: &Session, filter: &Filter) -> Result<Value, Failure> {
    let (mut all, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let mut params = filter.params(filter.limit - all.len() as u64);
        if !cursor.is_null() {
            params["cursor"] = cursor;
        }
        let mut page = session.call("list_memories", params)?;
        all.extend(rows(&page["memories"]).iter().cloned());
        cursor = page["next_cursor"].take();
        if cursor.is_null() || all.len() as u64 >= filter.limit {
            let complete = cursor.is_null() && page["complete"] == true;
            return Ok(json!({ "memories": all, "complete": complete, "cut_short": page["cut_short"] }));
        }
    }
}

fn rows(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or("-")
}

fn for_people(command: &Command, answer: &Value) -> String {
    let counted = |what: &str, done: &str| {
        let failed: String = rows(&answer["failed_ids"])
            .iter()
            .map(|id| {
                format!("{}: there is no such memory, or it is not yours to change\n", id.as_str().unwrap_or("-"))
            })
            .collect();
        format!("{what} {} memories\n{failed}", answer[done])
    };
    match command {
        Command::Store(_) => format!("{}\n", text(answer, "memory_id")),
        Command::Get { memory } => match &answer["memory"] {
            Value::Null => format!("there is no memory '{memory}' that you may see\n"),
            found => shown(found),
        },
        Command::Update { .. } => format!("changed {}\n", text(&answer["memory"], "memory_id")),
        Command::Approve { .. } => counted("approved", "approved"),
        Command::Deactivate { .. } => counted("deactivated", "deactivated"),
        Command::Forget { .. } => counted("forgot", "deleted"),
        Command::List(_) => table(answer, "no memories that you may see; `nexus-lite memory store` keeps one\n"),
        Command::Search { .. } => table(answer, "no memory holds these words\n"),
    }
}

/// What is remembered, in one line or more.
fn content(memory: &Value) -> String {
    match &memory["content"] {
        Value::String(text) => text.clone(),
        Value::Object(wrapped) if wrapped.contains_key("__type__") => "(no text)".to_owned(),
        other => other.to_string(),
    }
}

fn shown(memory: &Value) -> String {
    let mut said = content(memory);
    if !said.ends_with('\n') {
        said.push('\n');
    }
    said
}

/// The name, if it has one.
fn named(memory: &Value) -> String {
    match (memory["namespace"].as_str(), memory["path_key"].as_str()) {
        (Some(namespace), Some(key)) => format!("{namespace}/{key}"),
        _ => String::new(),
    }
}

fn table(answer: &Value, none: &str) -> String {
    let memories = rows(&answer["memories"]);
    let mut said = String::new();
    for memory in memories {
        let mut about = vec![named(memory)];
        if !memory["content"].is_null() {
            let content = content(memory);
            let line = content.lines().next().unwrap_or_default();
            about.push(line.chars().take(EXCERPT_CHARS).collect());
        }
        about.retain(|part| !part.is_empty());
        let (id, scope, kind) = (text(memory, "memory_id"), text(memory, "scope"), text(memory, "memory_type"));
        let line = format!("{id}  {scope:6}  {kind:12}  {:>4}  {}", memory["importance"], about.join("  "));
        said.push_str(line.trim_end());
        said.push('\n');
    }
    if memories.is_empty() {
        said.push_str(none);
    }
    if answer["complete"] == false {
        let why = answer["cut_short"].as_str().unwrap_or("--limit shows more");
        said.push_str(&format!("… there may be more: {why}\n"));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_namespace_and_a_key() {
        assert_eq!(name("a/b/c"), Ok(("a/b".into(), "c".into())));
        assert_eq!(name("/a/b"), Ok(("a".into(), "b".into())));
        for wrong in ["", "a", "a/", "/a", "/"] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn importance_is_a_share() {
        assert_eq!(share("0.25"), Ok(0.25));
        for wrong in ["", "-0.1", "1.1", "NaN", "inf", "x"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }
}
