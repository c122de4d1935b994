//! `watch`: what happens to files of a running server, as it happens; and `hook`: whom the server tells of it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use clap::Subcommand;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::door::{Door, Session};
use super::waves::client::{Answer, Client, Target, with_client};
use super::{Failure, exit, print};

/// What an id says as it is in a URL.
const ID: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-');
/// Before it comes back to a server that went away.
const PAUSE: Duration = Duration::from_secs(1);

/// Prints what happens to files that you may read, until Ctrl-C. A server that goes away is waited for, and nothing is
/// missed meanwhile.
#[derive(Debug, clap::Args)]
pub struct Watch {
    #[command(flatten)]
    door: Door,
    /// A directory or a file, with everything below it, or a glob: /docs, '/docs/**/*.md'.
    glob: Vec<String>,
    /// Only these: file_write, file_delete, file_rename, metadata_change, directory_create, directory_delete.
    #[arg(long, value_delimiter = ',')]
    types: Vec<String>,
    /// Begin after this event or revision, e.g. 17.0; without it with what happens from now on.
    #[arg(long, value_name = "ID")]
    since: Option<String>,
    /// End after so many events.
    #[arg(long, value_name = "COUNT")]
    count: Option<u64>,
}

/// What is left of a stream.
struct Left {
    /// The last id.
    id: Option<String>,
    kind: String,
    events: Option<u64>,
    json: bool,
    /// Why there is no use in coming back.
    over: Option<Result<u8, Failure>>,
}

impl Watch {
    /// Watches.
    pub fn run(self) -> Result<u8, Failure> {
        let target = online(&self.door, "watch")?;
        let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut query: Vec<String> = Vec::new();
        for glob in &self.glob {
            let plain = glob.trim_end_matches('/');
            let patterns = match glob.contains(['*', '?']) {
                true => vec![glob.clone()],
                false if plain.is_empty() => vec!["**".to_owned()],
                false => vec![plain.to_owned(), format!("{plain}/**")],
            };
            query.extend(patterns.iter().map(|pattern| format!("path={}", escaped(pattern))));
        }
        if !self.types.is_empty() {
            query.push(format!("types={}", escaped(&self.types.join(","))));
        }
        let path = format!("/api/events?{}", query.join("&"));
        let left = Left { id: self.since, kind: String::new(), events: self.count, json: self.door.json, over: None };
        let named = target.url.clone();
        let watching = move |client: Client| async move { watch(&client, &path, &named, left).await };
        with_client(target, watching).map_err(no_thread)?
    }
}

async fn watch(client: &Client, path: &str, named: &str, left: Left) -> Result<u8, Failure> {
    let left = Rc::new(RefCell::new(left));
    let mut met = false;
    loop {
        let id = left.borrow().id.clone();
        let hears = Rc::clone(&left);
        let answer = client.follow(path, id.as_deref(), move |line| hears.borrow_mut().line(line)).await;
        if let Some(over) = left.borrow_mut().over.take() {
            return over;
        }
        match answer.status {
            200 => met = true,
            0 if met => {}
            503 => {}
            _ => return Err(failed(named, &answer)),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Left {
    /// Takes a line of a stream in; whether the next one is wanted.
    fn line(&mut self, line: &str) -> bool {
        if let Some(id) = line.strip_prefix("id: ") {
            self.id = Some(id.to_owned());
        } else if let Some(kind) = line.strip_prefix("event: ") {
            kind.clone_into(&mut self.kind);
        } else if let Some(data) = line.strip_prefix("data: ") {
            let event: Value = serde_json::from_str(data).unwrap_or_default();
            if self.kind == "end" {
                if event["code"] != "closing" {
                    let text = event["message"].as_str().unwrap_or("the stream has ended");
                    self.over = Some(Err(Failure::new(exit::NO_PERMISSION, text)));
                }
                return false;
            }
            let text = if self.json { format!("{event}\n") } else { words(&event) };
            if let Err(failure) = print(&text) {
                self.over = Some(Err(failure));
                return false;
            }
            if let Some(events) = &mut self.events {
                *events = events.saturating_sub(1);
                if *events == 0 {
                    self.over = Some(Ok(exit::OK));
                    return false;
                }
            }
        }
        true
    }
}

/// An event for people.
fn words(event: &Value) -> String {
    let data = &event["data"];
    let text = |name: &str| data[name].as_str().unwrap_or("?").to_owned();
    let what = match event["event"].as_str() {
        Some("file_rename") => format!("{} -> {}", text("old_path"), text("new_path")),
        Some("file_write") => format!("{}  v{}  {} B", text("file_path"), data["version"], data["size"]),
        _ => text("file_path"),
    };
    let time = event["timestamp"].as_str().and_then(|time| time.get(11..19)).unwrap_or("?");
    let who = data["agent_id"].as_str().or(data["user_id"].as_str()).unwrap_or("the server");
    format!("{time}  {:<11}  {what}  by {who}\n", event["event"].as_str().unwrap_or("?").trim_start_matches("file_"))
}

/// The running server that a command needs.
fn online(door: &Door, command: &str) -> Result<Target, Failure> {
    let session = if door.is_online()? { Some(door.open()?) } else { None };
    match session {
        Some(Session::Online(target)) => Ok(target),
        _ => Err(Failure::new(exit::USAGE, format!("{command} needs a running server"))
            .hint("name it: --url http://127.0.0.1:8080 --key sk-…, or a context")),
    }
}

fn no_thread(error: std::io::Error) -> Failure {
    Failure::new(exit::OS, format!("the client's thread could not be started: {error}"))
}

/// The failure that an answer is.
fn failed(named: &str, answer: &Answer) -> Failure {
    let body =
        answer.body.as_ref().ok().and_then(|body| serde_json::from_slice::<Value>(body).ok()).unwrap_or_default();
    let detail = &body["detail"];
    let said = detail.as_str().or_else(|| detail[0]["msg"].as_str());
    match (said, answer.status) {
        (None, 0) => {
            let why = answer.body.as_ref().err().map_or("no reply", String::as_str);
            Failure::new(exit::UNAVAILABLE, format!("{named}: {why}")).hint("is the server running there?")
        }
        (Some(said), 401 | 403) => Failure::new(exit::NO_PERMISSION, said),
        (Some(said), _) => Failure::new(exit::DATA, said),
        (None, status) => Failure::new(exit::UNAVAILABLE, format!("{named}: HTTP {status}")),
    }
}

/// Whom a running server tells of events: requests to a URL of yours.
#[derive(Debug, clap::Args)]
pub struct Hooks {
    #[command(subcommand)]
    command: Hook,
}

#[derive(Debug, Subcommand)]
enum Hook {
    /// Tells a URL of what happens to files that you may read.
    Add {
        #[command(flatten)]
        door: Door,
        /// Where to: http:// or https://.
        #[arg(value_name = "URL")]
        to: String,
        /// Only paths that match this glob; may be repeated.
        #[arg(long, value_name = "GLOB")]
        pattern: Vec<String>,
        /// Only these events.
        #[arg(long, value_delimiter = ',')]
        types: Vec<String>,
        /// What requests are signed with.
        #[arg(long, env = "NEXUS_LITE_HOOK_SECRET", hide_env_values = true)]
        secret: Option<String>,
        /// A name of your own.
        #[arg(long)]
        name: Option<String>,
    },
    /// Lists them.
    List {
        #[command(flatten)]
        door: Door,
    },
    /// Removes one.
    Remove {
        #[command(flatten)]
        door: Door,
        /// Its id.
        id: String,
    },
    /// Sends one event that tests it.
    Test {
        #[command(flatten)]
        door: Door,
        /// Its id.
        id: String,
    },
    /// Switches one on again, after its receiver was away for too long.
    Enable {
        #[command(flatten)]
        door: Door,
        /// Its id.
        id: String,
    },
}

impl Hooks {
    /// Does it.
    pub fn run(self) -> Result<u8, Failure> {
        let one = |id: &str| format!("/api/subscriptions/{}", utf8_percent_encode(id, ID));
        match self.command {
            Hook::Add { door, to, pattern, types, secret, name } => {
                let mut body = json!({ "url": to });
                for (field, list) in [("patterns", pattern), ("event_types", types)] {
                    if !list.is_empty() {
                        body[field] = json!(list);
                    }
                }
                for (field, text) in [("secret", secret), ("name", name)] {
                    if let Some(text) = text {
                        body[field] = text.into();
                    }
                }
                let made = ask(&door, "POST", "/api/subscriptions".to_owned(), Some(body))?;
                door.show(&made, |made| format!("{}\n", made["id"].as_str().unwrap_or("?")))?;
            }
            Hook::List { door } => {
                let list = ask(&door, "GET", "/api/subscriptions?limit=1000".to_owned(), None)?;
                door.show(&list, |list| list["subscriptions"].as_array().into_iter().flatten().map(hook).collect())?;
            }
            Hook::Remove { door, id } => {
                let gone = ask(&door, "DELETE", one(&id), None)?;
                door.show(&gone, |_| format!("{id} is removed\n"))?;
            }
            Hook::Enable { door, id } => {
                let on = ask(&door, "PATCH", one(&id), Some(json!({ "enabled": true })))?;
                door.show(&on, hook)?;
            }
            Hook::Test { door, id } => {
                let said = ask(&door, "POST", format!("{}/test", one(&id)), None)?;
                let taken = said["success"] == true;
                let error = said["error"].as_str().unwrap_or("the receiver did not take it").to_owned();
                door.show(&said, |_| if taken { "the receiver has taken it\n".into() } else { format!("{error}\n") })?;
                return Ok(if taken { exit::OK } else { exit::WRONG });
            }
        }
        Ok(exit::OK)
    }
}

/// A subscription in a line.
fn hook(row: &Value) -> String {
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let state = match (row["enabled"] == true, row["last_delivery_status"].as_str()) {
        (false, _) => "disabled",
        (true, Some("failed")) => "failing",
        (true, Some(_)) => "told",
        (true, None) => "waiting",
    };
    let error = row["last_error"].as_str().map_or_else(String::new, |why| format!("  ({why})"));
    format!("{}  {state:<8}  {}  {}{error}\n", text("id"), text("url"), text("created_by"))
}

fn ask(door: &Door, verb: &'static str, path: String, body: Option<Value>) -> Result<Value, Failure> {
    let target = online(door, "hook")?;
    let named = target.url.clone();
    let asking = move |client: Client| async move { client.rest(verb, &path, body.as_ref()).await };
    let answer = with_client(target, asking).map_err(no_thread)?;
    match (&answer.body, answer.status) {
        (Ok(body), 200..300) => serde_json::from_slice(body)
            .map_err(|e| Failure::new(exit::SOFTWARE, format!("the answer of {named} is no JSON: {e}"))),
        _ => Err(failed(&named, &answer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_words() {
        let event = json!({
            "event": "file_write", "timestamp": "2026-01-02T03:04:05.000000Z",
            "data": {"file_path": "/a", "version": 2, "size": 3, "user_id": "u", "agent_id": null},
        });
        assert_eq!(words(&event), "03:04:05  write        /a  v2  3 B  by u\n");
        let event = json!({
            "event": "file_rename", "timestamp": "2026-01-02T03:04:05.000000Z",
            "data": {"old_path": null, "new_path": "/b", "user_id": "u", "agent_id": "u,x"},
        });
        assert_eq!(words(&event), "03:04:05  rename       ? -> /b  by u,x\n");
    }
}
