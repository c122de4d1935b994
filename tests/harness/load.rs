//! The load generator of the mixed run: hundreds of clients on one thread of a process of its own, every answer
//! recorded for the offline checker.
//!
//! It knows the shape of requests and nothing of what is right; it never drops an answer, a late one least of all.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nexus_lite::model::ContentHash;
use nexus_lite::model::time::monotonic;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::checker::{CallerFacts, Record};
use super::client::{Answer, AsyncClient, call_bytes, request};

/// Bytes of a written body.
pub(crate) const BODY_BYTES: usize = 1024;
/// Files that a client overwrites in turn.
const FILES_PER_CLIENT: u64 = 8;
/// Every so many writes of a client make a new name.
const NEW_NAME_EVERY: u64 = 32;
/// Every so many writes of a client change a skill.
const SKILL_EVERY: u64 = 64;
/// How often somebody is asked for `/health` beside the load.
const PROBE_EVERY: Duration = Duration::from_millis(5);
/// How often the administrator gives a right or takes it back.
const GRANT_EVERY: Duration = Duration::from_millis(50);
/// A client gives up after so many connections that broke.
const BROKEN_MAX: u32 = 100;

/// What each ten calls of a client are: 6 skills_list, 2 writes, 1 list, 1 rebac_check.
const MIX: [Call; 10] = {
    use Call::{Check, List, Skills, Write};
    [Skills, Write, Skills, List, Skills, Skills, Write, Skills, Check, Skills]
};

#[derive(Debug, Clone, Copy)]
enum Call {
    Skills,
    Write,
    List,
    Check,
}

/// What the generator is told, as a JSON file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    /// `true`: every client asks for `/health` and nothing else.
    pub(crate) hello_only: bool,
    pub(crate) clients: u32,
    pub(crate) seconds: f64,
    /// The callers, spread over the clients in turn.
    pub(crate) callers: BTreeMap<String, PlannedCaller>,
    /// A path that the administrator shares with `share_with` and takes back, over and over.
    pub(crate) shared: String,
    pub(crate) share_with: String,
    /// Who does that.
    pub(crate) admin_key: String,
    /// Skills that exist in each caller's folder, named `<user>-skill-<n>`.
    pub(crate) skills_per_caller: u64,
    /// Where the answers go.
    pub(crate) out: PathBuf,
}

/// A caller and its key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlannedCaller {
    pub(crate) key: String,
    pub(crate) facts: CallerFacts,
}

impl PlannedCaller {
    /// The caller's own folder.
    pub(crate) fn home(&self) -> String {
        format!("/tenant:{}/user:{}", self.facts.tenant, self.facts.user)
    }
}

/// A line of the generator's file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Body {
        hash: String,
        text: String,
    },
    Answer(Record),
    /// Latencies of `/health`, µs.
    Health(Vec<u64>),
}

/// What the generator brought back.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) records: Vec<Record>,
    pub(crate) bodies: HashMap<String, Vec<u8>>,
    pub(crate) health_us: Vec<u64>,
}

impl Recorded {
    /// Reads the generator's file.
    pub(crate) fn read(path: &Path) -> Self {
        let mut recorded = Self::default();
        for line in std::fs::read_to_string(path).expect("the generator's file").lines() {
            match serde_json::from_str(line).expect("a line of the generator") {
                Line::Body { hash, text } => drop(recorded.bodies.insert(hash, text.into_bytes())),
                Line::Answer(record) => recorded.records.push(record),
                Line::Health(us) => recorded.health_us.extend(us),
            }
        }
        recorded
    }
}

/// The body of write number `n` of client `client`: text, distinct, [`BODY_BYTES`] long.
pub(crate) fn body(client: u32, n: u64) -> String {
    let mut text = format!("client {client} write {n}\n");
    let filler = "0123456789abcdef".chars().cycle().take(BODY_BYTES.saturating_sub(text.len()));
    text.extend(filler);
    text
}

/// A skill of [`BODY_BYTES`] whose description names `edition`.
pub(crate) fn skill(name: &str, edition: u64) -> String {
    let head = format!("---\nname: {name}\ndescription: Edition {edition} of {name}\nversion: 1.0.{edition}\n---\n");
    let filler = "Do the next thing.\n".chars().cycle().take(BODY_BYTES.saturating_sub(head.len()));
    head.chars().chain(filler).collect()
}

/// `content` as real clients send it.
pub(crate) fn wire_bytes(content: &str) -> Value {
    json!({"__type__": "bytes", "data": STANDARD.encode(content)})
}

#[derive(Default)]
struct Sink {
    lines: Vec<Line>,
    known: HashMap<ContentHash, String>,
    health_us: Vec<u64>,
}

impl Sink {
    fn answer(&mut self, mut record: Record, answer: Option<&Answer>) {
        if let Some(answer) = answer {
            let hash = ContentHash::of(&answer.body);
            let lines = &mut self.lines;
            let hex = self.known.entry(hash).or_insert_with(|| {
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                lines.push(Line::Body { hash: hash.to_hex(), text });
                hash.to_hex()
            });
            record.body.clone_from(hex);
        }
        self.lines.push(Line::Answer(record));
    }
}

/// Runs the plan in the file `plan` and writes the answers where it says.
pub(crate) fn run(plan: &Path) {
    let plan = std::fs::read(plan).expect("the plan");
    let plan: Plan = serde_json::from_slice(&plan).expect("the plan as JSON");
    let sink = Rc::new(RefCell::new(Sink::default()));
    actix_web::rt::System::new().block_on(generate(Rc::new(plan.clone()), Rc::clone(&sink)));
    let mut sink = sink.borrow_mut();
    let mut out = std::io::BufWriter::new(std::fs::File::create(&plan.out).expect("a file for the answers"));
    let health = Line::Health(std::mem::take(&mut sink.health_us));
    for line in sink.lines.iter().chain([&health]) {
        serde_json::to_writer(&mut out, line).expect("answers serialise");
        out.write_all(b"\n").expect("the disk takes the answers");
    }
    out.flush().expect("the disk takes the answers");
}

async fn generate(plan: Rc<Plan>, sink: Rc<RefCell<Sink>>) {
    let end = monotonic() + Duration::from_secs_f64(plan.seconds);
    let mut tasks = Vec::new();
    for client in 0..plan.clients {
        let (plan, sink) = (Rc::clone(&plan), Rc::clone(&sink));
        tasks.push(actix_web::rt::spawn(async move {
            if plan.hello_only { hello(&plan, &sink, end, None).await } else { mixed(client, &plan, &sink, end).await }
        }));
    }
    if !plan.hello_only {
        let (probing, probed) = (Rc::clone(&plan), Rc::clone(&sink));
        tasks.push(actix_web::rt::spawn(async move { hello(&probing, &probed, end, Some(PROBE_EVERY)).await }));
        tasks.push(actix_web::rt::spawn(async move { grants(&plan, end).await }));
    }
    for task in tasks {
        task.await.expect("no client panics");
    }
}

/// Asks for `/health`, at once again or every so often.
async fn hello(plan: &Plan, sink: &RefCell<Sink>, end: Instant, every: Option<Duration>) {
    let bytes = request("GET", "/health", &[], b"");
    let Ok(mut client) = AsyncClient::connect(plan.address).await else { return };
    let mut pace = every.map(actix_web::rt::time::interval);
    while monotonic() < end {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let sent = monotonic();
        if client.exchange(&bytes).await.is_err() {
            return;
        }
        sink.borrow_mut().health_us.push(micros(sent));
    }
}

/// Gives a right and takes it back, so that no answer about the shared path stays right for long.
async fn grants(plan: &Plan, end: Instant) {
    let Ok(mut client) = AsyncClient::connect(plan.address).await else { return };
    let key = Some(plan.admin_key.as_str());
    let mut pace = actix_web::rt::time::interval(GRANT_EVERY);
    while monotonic() < end {
        pace.tick().await;
        let grant =
            json!({"subject": ["user", plan.share_with], "relation": "direct_viewer", "object": ["file", plan.shared]});
        let Ok(made) = client.exchange(&call_bytes(1, key, None, "rebac_create", &grant)).await else { return };
        pace.tick().await;
        let revoke = json!({"tuple_id": made.rpc().unwrap_or_default()});
        if client.exchange(&call_bytes(1, key, None, "rebac_delete", &revoke)).await.is_err() {
            return;
        }
    }
}

async fn mixed(client: u32, plan: &Plan, sink: &RefCell<Sink>, end: Instant) {
    let who: Vec<_> = plan.callers.iter().collect();
    let (name, caller) = who[client as usize % who.len()];
    let mut connection = AsyncClient::connect(plan.address).await.ok();
    let (mut broken, mut writes) = (0, 0);
    for n in u64::from(client).. {
        if monotonic() >= end || broken > BROKEN_MAX {
            return;
        }
        let call = MIX[(n % 10) as usize];
        let (method, sent_params, params) = compose(call, client, n, &mut writes, plan, caller);
        // One id for all: equal answers have equal bytes and are kept once.
        let bytes = call_bytes(1, Some(&caller.key), None, method, &sent_params);
        let sent = monotonic();
        let answer = match &mut connection {
            Some(connection) => connection.exchange(&bytes).await.ok(),
            None => None,
        };
        let record = Record {
            client,
            who: name.clone(),
            method: method.to_owned(),
            params,
            status: answer.as_ref().map_or(0, |a| a.status),
            rev: answer.as_ref().and_then(Answer::revision),
            body: String::new(),
            took_us: micros(sent),
        };
        sink.borrow_mut().answer(record, answer.as_ref());
        if answer.is_none() {
            broken += 1;
            connection = AsyncClient::connect(plan.address).await.ok();
        }
    }
}

/// A call: the method, the parameters to send, and those to record (a write's body by its hash).
fn compose(
    call: Call,
    client: u32,
    n: u64,
    writes: &mut u64,
    plan: &Plan,
    caller: &PlannedCaller,
) -> (&'static str, Value, Value) {
    match call {
        Call::Skills => ("skills_list", json!({}), json!({})),
        Call::List => {
            let path = if (n / 10).is_multiple_of(4) {
                plan.shared.clone()
            } else {
                format!("{}/workspace/c{client}", caller.home())
            };
            let params = json!({"path": path, "recursive": false});
            ("list", params.clone(), params)
        }
        Call::Check => {
            let subject = if (n / 10).is_multiple_of(2) { &plan.share_with } else { &caller.facts.user };
            let params = json!({"subject": ["user", subject], "permission": "read", "object": ["file", format!("{}/f0.txt", plan.shared)]});
            // Only who manages the path may ask about others.
            let asked_of_self = *subject == caller.facts.user || caller.facts.is_admin;
            let own = json!({"subject": ["user", caller.facts.user], "permission": "read", "object": params["object"]});
            let params = if asked_of_self { params } else { own };
            ("rebac_check", params.clone(), params)
        }
        Call::Write => {
            *writes += 1;
            let n = *writes;
            let (path, content) = if n.is_multiple_of(SKILL_EVERY) {
                let name = format!(
                    "{}-skill-{}",
                    caller.facts.user,
                    (n / SKILL_EVERY + u64::from(client)) % plan.skills_per_caller
                );
                let edition = u64::from(client) * 1_000_000 + n;
                (format!("{}/skill/{name}/SKILL.md", caller.home()), skill(&name, edition))
            } else {
                let file = if n.is_multiple_of(NEW_NAME_EVERY) {
                    format!("new{n}")
                } else {
                    format!("f{}", n % FILES_PER_CLIENT)
                };
                (format!("{}/workspace/c{client}/{file}.txt", caller.home()), body(client, n))
            };
            let etag = ContentHash::of(content.as_bytes()).to_hex();
            ("write", json!({"path": path, "content": wire_bytes(&content)}), json!({"path": path, "etag": etag}))
        }
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(monotonic().duration_since(since).as_micros()).unwrap_or(u64::MAX)
}
