//! The generator of the mixed load: clients on one thread of their own, every answer recorded for the offline checker.
//!
//! It knows the shape of requests and nothing of what is right; it never drops an answer, a late one least of all.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::checker::Record;
use super::state::CallerFacts;
use super::wire::{Answer, AsyncClient, call_bytes, request};
use crate::model::ContentHash;
use crate::model::time::monotonic;

/// Bytes of a written body.
pub const BODY_BYTES: usize = 1024;
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
/// A request without an answer after this long has none.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// What each ten calls of a client are: 5 skills_list, 2 writes, 1 list, 1 rebac_check, 1 read.
const MIX: [Call; 10] = {
    use Call::{Check, List, Read, Skills, Write};
    [Skills, Write, Skills, List, Skills, Read, Write, Skills, Check, Skills]
};

#[derive(Debug, Clone, Copy)]
enum Call {
    Skills,
    Write,
    List,
    Check,
    Read,
}

/// What the generator is told.
#[derive(Clone, Serialize, Deserialize)]
pub struct Plan {
    /// The server.
    pub address: SocketAddr,
    /// `true`: every client asks for `/health` and nothing else.
    pub hello_only: bool,
    /// Clients at once, spread over the callers in turn.
    pub clients: u32,
    /// How long requests are sent.
    pub seconds: f64,
    /// The callers by name.
    pub callers: BTreeMap<String, PlannedCaller>,
    /// A path that the administrator shares with `share_with` and takes back, over and over.
    pub shared: String,
    /// A caller's name.
    pub share_with: String,
    /// The administrator's key.
    pub admin_key: String,
    /// Skills that exist in each caller's folder, named `<user>-skill-<n>`.
    pub skills_per_caller: u64,
}

/// Without the keys.
impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan").field("address", &self.address).field("clients", &self.clients).finish_non_exhaustive()
    }
}

/// A caller and its key.
#[derive(Clone, Serialize, Deserialize)]
pub struct PlannedCaller {
    /// Its key.
    pub key: String,
    /// Who that is.
    pub facts: CallerFacts,
}

/// Without the key.
impl std::fmt::Debug for PlannedCaller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlannedCaller").field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl PlannedCaller {
    /// The caller's own folder.
    #[must_use]
    pub fn home(&self) -> String {
        format!("/tenant:{}/user:{}", self.facts.tenant, self.facts.user)
    }
}

/// What the generator brought back.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Recorded {
    /// Every answer, those of one client in order.
    pub records: Vec<Record>,
    /// The bodies of the answers, by their hash.
    pub bodies: HashMap<String, String>,
    /// How long `/health` took each time it answered 200, µs.
    pub health_us: Vec<u64>,
    /// How often it did not.
    pub health_failed: u64,
    /// From the first request to the last answer, seconds.
    pub seconds: f64,
}

impl Recorded {
    /// Reads what [`save`](Self::save) wrote.
    pub fn load(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    }

    /// Writes it as a file.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, serde_json::to_vec(self)?)
    }

    fn answer(&mut self, mut record: Record, answer: Option<&Answer>) {
        if let Some(answer) = answer {
            record.body = ContentHash::of(&answer.body).to_hex();
            let text = || String::from_utf8_lossy(&answer.body).into_owned();
            self.bodies.entry(record.body.clone()).or_insert_with(text);
        }
        self.records.push(record);
    }
}

/// The body of write number `n` of client `client`: text, distinct, [`BODY_BYTES`] long.
#[must_use]
pub fn body(client: u32, n: u64) -> String {
    let mut text = format!("client {client} write {n}\n");
    let filler = "0123456789abcdef".chars().cycle().take(BODY_BYTES.saturating_sub(text.len()));
    text.extend(filler);
    text
}

/// A skill of [`BODY_BYTES`] whose description names `edition`.
#[must_use]
pub fn skill(name: &str, edition: u64) -> String {
    let head = format!("---\nname: {name}\ndescription: Edition {edition} of {name}\nversion: 1.0.{edition}\n---\n");
    let filler = "Do the next thing.\n".chars().cycle().take(BODY_BYTES.saturating_sub(head.len()));
    head.chars().chain(filler).collect()
}

/// `content` as real clients send it.
#[must_use]
pub fn wire_bytes(content: &str) -> Value {
    json!({"__type__": "bytes", "data": STANDARD.encode(content)})
}

/// What the tasks of a run share.
struct Run {
    plan: Plan,
    end: Instant,
    over: Arc<AtomicBool>,
    recorded: RefCell<Recorded>,
}

impl Run {
    fn is_over(&self) -> bool {
        monotonic() >= self.end || self.over.load(Ordering::Acquire)
    }

    async fn connect(&self) -> Option<AsyncClient> {
        let connecting = tokio::time::timeout(ANSWER_MAX, AsyncClient::connect(self.plan.address));
        connecting.await.ok().and_then(Result::ok)
    }
}

/// One request; `None` if there was no answer, and then the connection is of no use any more.
async fn exchange(connection: &mut Option<AsyncClient>, bytes: &[u8]) -> Option<Answer> {
    let sent = tokio::time::timeout(ANSWER_MAX, connection.as_mut()?.exchange(bytes)).await;
    let answer = sent.ok().and_then(Result::ok);
    if answer.is_none() {
        *connection = None;
    }
    answer
}

/// Runs the plan on a thread of its own and waits for the last answer. `over` ends it early.
pub fn run(plan: Plan, over: &Arc<AtomicBool>) -> io::Result<Recorded> {
    let over = Arc::clone(over);
    let work = move || -> io::Result<Recorded> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let began = monotonic();
        let end = began + Duration::from_secs_f64(plan.seconds);
        let run = Rc::new(Run { plan, end, over, recorded: RefCell::default() });
        tokio::task::LocalSet::new().block_on(&runtime, generate(Rc::clone(&run)));
        let mut recorded = run.recorded.take();
        recorded.seconds = (monotonic() - began).as_secs_f64();
        Ok(recorded)
    };
    let thread = std::thread::Builder::new().name("load".into()).spawn(work)?;
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

async fn generate(run: Rc<Run>) {
    let mut tasks = Vec::new();
    for client in 0..run.plan.clients {
        let run = Rc::clone(&run);
        tasks.push(tokio::task::spawn_local(async move {
            if run.plan.hello_only { hello(&run, None).await } else { mixed(client, &run).await }
        }));
    }
    if !run.plan.hello_only {
        let (probing, granting) = (Rc::clone(&run), Rc::clone(&run));
        tasks.push(tokio::task::spawn_local(async move { hello(&probing, Some(PROBE_EVERY)).await }));
        tasks.push(tokio::task::spawn_local(async move { grants(&granting).await }));
    }
    for task in tasks {
        task.await.expect("no client panics");
    }
}

/// Asks for `/health`, at once again or every so often.
async fn hello(run: &Run, every: Option<Duration>) {
    let bytes = request("GET", "/health", &[], b"");
    let mut connection = run.connect().await;
    let mut pace = every.map(tokio::time::interval);
    while !run.is_over() {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let sent = monotonic();
        let answer = exchange(&mut connection, &bytes).await;
        match answer.map(|answer| answer.status) {
            Some(200) => run.recorded.borrow_mut().health_us.push(micros(sent)),
            _ => run.recorded.borrow_mut().health_failed += 1,
        }
        if connection.is_none() {
            if run.recorded.borrow().health_failed > u64::from(BROKEN_MAX) {
                return;
            }
            connection = run.connect().await;
        }
    }
}

/// Gives a right and takes it back, so that no answer about the shared path stays right for long.
async fn grants(run: &Run) {
    let plan = &run.plan;
    let mut connection = run.connect().await;
    let key = Some(plan.admin_key.as_str());
    let mut pace = tokio::time::interval(GRANT_EVERY);
    while !run.is_over() {
        pace.tick().await;
        let object = json!(["file", plan.shared]);
        let grant = json!({"subject": ["user", plan.share_with], "relation": "direct_viewer", "object": object});
        let Some(made) = exchange(&mut connection, &call_bytes(1, key, None, "rebac_create", &grant)).await else {
            return;
        };
        pace.tick().await;
        let revoke = json!({"tuple_id": made.rpc().unwrap_or_default()});
        if exchange(&mut connection, &call_bytes(1, key, None, "rebac_delete", &revoke)).await.is_none() {
            return;
        }
    }
}

async fn mixed(client: u32, run: &Run) {
    let plan = &run.plan;
    let who: Vec<_> = plan.callers.iter().collect();
    let (name, caller) = who[client as usize % who.len()];
    let mut connection = run.connect().await;
    let (mut broken, mut writes) = (0, 0);
    for n in u64::from(client).. {
        if run.is_over() || broken > BROKEN_MAX {
            return;
        }
        let call = MIX[(n % 10) as usize];
        let (method, sent_params, params) = compose(call, client, n, &mut writes, plan, caller);
        // One id for all: equal answers have equal bytes and are kept once.
        let bytes = call_bytes(1, Some(&caller.key), None, method, &sent_params);
        let sent = monotonic();
        let answer = exchange(&mut connection, &bytes).await;
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
        run.recorded.borrow_mut().answer(record, answer.as_ref());
        if connection.is_none() {
            broken += 1;
            connection = run.connect().await;
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
        Call::Read => {
            let path = if (n / 10).is_multiple_of(2) {
                format!("{}/f0.txt", plan.shared)
            } else {
                // Written by all clients of this caller.
                let name = format!("{}-skill-{}", caller.facts.user, n / 20 % plan.skills_per_caller);
                format!("{}/skill/{name}/SKILL.md", caller.home())
            };
            let params = json!({"path": path});
            ("read", params.clone(), params)
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
