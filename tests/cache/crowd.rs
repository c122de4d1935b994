//! Five hundred lists of skills at once, by fifty users with different rights, while skills are written, moved and
//! deleted and rights come and go: each list is that of its revision, whole, by the checker that replays the log.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nexus_lite::cli::load::checker::{self, Record, Report};
use nexus_lite::cli::load::generator::skill;
use nexus_lite::cli::load::history::History;
use nexus_lite::cli::load::state::CallerFacts;
use nexus_lite::cli::load::wire::{Answer, AsyncClient, call_bytes};
use nexus_lite::model::ContentHash;
use nexus_lite::store::{Durability, Options};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::harness::process::soak;
use crate::harness::server::Server;
use crate::harness::world::{HOME, Setup, Who, World};

/// Users, each with rights of its own.
const USERS: usize = 50;
/// Connections at once, ten of each user.
const CLIENTS: usize = 500;
/// Lists that each connection asks for, all connections at once each time.
const WAVES: usize = 3;
/// Groups that users are in.
const GROUPS: usize = 5;
/// Skills of the system.
const SYSTEM: usize = 20;
/// Skills of the tenant.
const TENANT: usize = 12;
/// The answers must be of at least so many revisions, or nothing was tried.
const REVISIONS_MIN: usize = 10;

/// A user of the crowd.
struct Member {
    name: String,
    key: String,
}

fn home(user: &str) -> String {
    format!("/tenant:{HOME}/user:{user}")
}

/// Where skill `n` of those that are shared lies.
fn folder(n: usize) -> String {
    match n.checked_sub(SYSTEM) {
        None => format!("/skill/system-{n}"),
        Some(n) => format!("/tenant:{HOME}/skill/tenant-{n}"),
    }
}

/// What it is called: not always as its folder, and some as others.
fn name(n: usize) -> String {
    match n.checked_sub(SYSTEM) {
        Some(of_tenant) if !of_tenant.is_multiple_of(4) => format!("tenant-{of_tenant}"),
        Some(of_tenant) => format!("system-{of_tenant}"),
        None => format!("system-{n}"),
    }
}

async fn ok(world: &World, who: Who, method: &str, params: Value) -> Value {
    let said = params.to_string();
    world.rpc(who, method, params).await.unwrap_or_else(|e| panic!("{who:?} {method} {said}: {e:?}"))
}

async fn write(world: &World, n: usize, edition: u64) {
    let file = json!({"path": format!("{}/SKILL.md", folder(n)), "content": skill(&name(n), edition)});
    ok(world, Who::Admin, "write", file).await;
}

async fn relate(world: &World, subject: Value, relation: &str, object: [&str; 2]) -> Value {
    ok(world, Who::Admin, "rebac_create", json!({"subject": subject, "relation": relation, "object": object})).await
}

/// Fifty users with keys, in groups, and skills that each of them sees otherwise.
async fn furnish(world: &World) -> Vec<Member> {
    for n in 0..SYSTEM + TENANT {
        write(world, n, 0).await;
        let group = json!(["group", format!("g{}", n % GROUPS), "member"]);
        relate(world, group, "direct_viewer", ["file", &folder(n)]).await;
        let user = json!(["user", format!("u{}", n * 7 % USERS)]);
        relate(world, user, "direct_viewer", ["file", &format!("{}/SKILL.md", folder(n))]).await;
    }
    let mut members = Vec::new();
    for n in 0..USERS {
        let user = format!("u{n}");
        let key = json!({"user_id": user, "name": "crowd", "tenant_id": HOME});
        let key = ok(world, Who::Admin, "admin_create_key", key).await["api_key"].as_str().expect("a key").to_owned();
        let path = home(&user);
        ok(world, Who::Admin, "mkdir", json!({"path": path, "parents": true})).await;
        relate(world, json!(["user", user]), "direct_owner", ["file", &path]).await;
        // One of its own, which for some stands before one of the system.
        let own = if n.is_multiple_of(3) { format!("system-{}", n % SYSTEM) } else { format!("own-{n}") };
        let file = json!({"path": format!("{path}/skill/{own}/SKILL.md"), "content": skill(&own, 0)});
        world.rpc_with_key(&key, "write", file).await.0.expect("its own");
        relate(world, json!(["user", user]), "member", ["group", &format!("g{}", n % GROUPS)]).await;
        members.push(Member { name: user, key });
    }
    members
}

/// Skills are written anew, taken away and back, and moved.
async fn write_skills(world: &World, over: &AtomicBool) {
    for edition in 1.. {
        if over.load(Ordering::Acquire) {
            return;
        }
        let n = usize::try_from(edition).expect("small") * 5 % (SYSTEM + TENANT);
        write(world, n, edition).await;
        let n = (n + 3) % (SYSTEM + TENANT);
        let file = format!("{}/SKILL.md", folder(n));
        if edition.is_multiple_of(2) {
            ok(world, Who::Admin, "delete", json!({"path": file})).await;
            write(world, n, edition).await;
        } else {
            let moved = format!("{}-moved", folder(n));
            ok(world, Who::Admin, "rename", json!({"old_path": folder(n), "new_path": moved})).await;
            ok(world, Who::Admin, "rename", json!({"old_path": moved, "new_path": folder(n)})).await;
        }
    }
}

/// Users' own skills are written by themselves.
async fn write_own(world: &World, members: &[Member], over: &AtomicBool) {
    for (edition, member) in (1..).zip(members.iter().cycle()) {
        if over.load(Ordering::Acquire) {
            return;
        }
        let (name, path) = (format!("new-{edition}"), home(&member.name));
        let file = format!("{path}/skill/{name}/SKILL.md");
        let written = json!({"path": file, "content": skill(&name, edition)});
        world.rpc_with_key(&member.key, "write", written).await.0.expect("its own");
        if !edition.is_multiple_of(4) {
            let gone = json!({"path": format!("{path}/skill/{name}"), "recursive": true});
            world.rpc_with_key(&member.key, "rmdir", gone).await.0.expect("its own");
        }
    }
}

/// Rights and memberships are given and taken back.
async fn give_and_take(world: &World, over: &AtomicBool) {
    for n in 0.. {
        if over.load(Ordering::Acquire) {
            return;
        }
        let (user, skill) = (json!(["user", format!("u{}", n * 3 % USERS)]), folder(n % (SYSTEM + TENANT)));
        let right = relate(world, user, "direct_viewer", ["file", &skill]).await;
        let (user, group) = (json!(["user", format!("u{}", n * 11 % USERS)]), format!("g{}", (n * 11 + 1) % GROUPS));
        let member = relate(world, user, "member", ["group", &group]).await;
        for tuple in [right, member] {
            ok(world, Who::Admin, "rebac_delete", json!({"tuple_id": tuple})).await;
        }
    }
}

/// What one connection got, in order.
async fn ask(address: SocketAddr, key: String, waves: usize, together: Arc<Barrier>) -> Vec<Answer> {
    let bytes = call_bytes(1, Some(&key), None, "skills_list", &json!({}));
    let mut client = AsyncClient::connect(address).await.expect("it listens");
    let mut answers = Vec::with_capacity(waves);
    for _ in 0..waves {
        together.wait().await;
        answers.push(client.exchange(&bytes).await.expect("an answer"));
    }
    answers
}

/// The answers of a crowd, and what there is to check them with.
struct Run {
    records: Vec<Record>,
    bodies: HashMap<String, String>,
    callers: HashMap<String, CallerFacts>,
    history: History,
}

impl Run {
    fn add(&mut self, client: usize, who: &str, answer: &Answer) {
        let body = ContentHash::of(&answer.body).to_hex();
        let text = || String::from_utf8_lossy(&answer.body).into_owned();
        self.bodies.entry(body.clone()).or_insert_with(text);
        self.records.push(Record {
            client: u32::try_from(client).expect("few"),
            who: who.to_owned(),
            method: "skills_list".to_owned(),
            params: json!({}),
            status: answer.status,
            rev: answer.revision(),
            body,
            took_us: 0,
        });
    }

    fn verify(&self, records: &[Record]) -> Report {
        let skill = |hash: &str| self.history.skill(hash);
        checker::verify(records, &self.bodies, &self.history.entries, &self.callers, skill)
    }
}

async fn crowd() -> Run {
    let hasty = |options: &mut Options| options.durability = Durability::Relaxed;
    let world = World::with(Setup { tune: Box::new(hasty), ..Setup::default() }).await;
    let members = furnish(&world).await;
    let server = Server::start(&world);
    let waves = WAVES * usize::try_from(soak()).expect("small");
    let (over, together) = (AtomicBool::new(false), Arc::new(Barrier::new(CLIENTS)));
    let asking: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let key = members[n % USERS].key.clone();
            tokio::spawn(ask(server.address(), key, waves, Arc::clone(&together)))
        })
        .collect();
    let gather = async {
        let mut answers = Vec::with_capacity(CLIENTS);
        for asking in asking {
            answers.push(asking.await.expect("no panic"));
        }
        over.store(true, Ordering::Release);
        answers
    };
    let (answers, ..) = tokio::join!(
        gather,
        write_skills(&world, &over),
        write_own(&world, &members, &over),
        give_and_take(&world, &over)
    );
    server.stop().await;
    let history = History::of(&world.store).await.expect("the whole log");
    world.close().await;

    let facts = |member: &Member| CallerFacts { tenant: HOME.to_owned(), user: member.name.clone(), is_admin: false };
    let callers = members.iter().map(|member| (member.name.clone(), facts(member))).collect();
    let mut run = Run { records: Vec::new(), bodies: HashMap::new(), callers, history };
    for (client, answers) in answers.iter().enumerate() {
        for answer in answers {
            run.add(client, &members[client % USERS].name, answer);
        }
    }
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_lists_at_once_are_those_of_their_revisions() {
    let run = crowd().await;
    let report = run.verify(&run.records);
    assert_eq!(report.wrong_total(), 0, "{}", report.described.join("\n"));
    let busy: u64 = report.busy.values().sum();
    let asked = u64::try_from(run.records.len()).expect("few");
    assert_eq!((report.right_total() + busy, busy), (asked, 0), "every answer is checked, and nobody is sent away");
    let revisions: BTreeSet<_> = run.records.iter().filter_map(|record| record.rev).collect();
    assert!(revisions.len() >= REVISIONS_MIN, "all answers are of {} revisions", revisions.len());
    let different: BTreeSet<_> = run.records.iter().map(|record| (&record.who, &record.body)).collect();
    assert!(different.len() > USERS, "each user always saw the same: {}", different.len());

    spoilt_lists_are_seen(run);
}

/// The check sees an entry that is missing, and one that is there twice.
fn spoilt_lists_are_seen(mut run: Run) {
    let full = run.records.iter().find(|record| run.bodies[&record.body].contains("\"file_path\"")).expect("a skill");
    let full = full.clone();
    let whole: Value = serde_json::from_str(&run.bodies[&full.body]).expect("JSON");
    let changes: [fn(&mut Vec<Value>); 2] = [|skills| drop(skills.pop()), |skills| skills.push(skills[0].clone())];
    let mut spoilt = Vec::new();
    for change in changes {
        let mut body = whole.clone();
        let skills = body["result"]["skills"].as_array_mut().expect("skills");
        change(skills);
        body["result"]["count"] = json!(skills.len());
        let name = format!("spoilt {}", spoilt.len());
        run.bodies.insert(name.clone(), body.to_string());
        spoilt.push(Record { body: name, ..full.clone() });
    }
    assert_eq!(run.verify(&spoilt).wrong_total(), 2, "a spoilt list passes");
    assert_eq!(run.verify(&[full]).right_total(), 1);
}
