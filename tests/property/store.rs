//! Random histories of the real server. After every step: single checks, batches and earlier revisions give what the
//! oracle finds in the tables (P1, P3, P7), the changelog folds to the tables (P8) and has no gap (P11), and a restart,
//! with whatever became of the recorded decisions, changes no answer (P10).

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use futures_util::future::join_all;
use nexus_lite::model::{Change, EntityId, EntityRow, NamespaceRow, NodeKind, Rev, TupleRow, VirtualPath};
use nexus_lite::rebac::default_namespaces;
use nexus_lite::store::{Sql, StoreError, changelog, entities, namespaces, nodes, tuples};
use serde_json::{Value, json};

use super::oracle::{Facts, Oracle, Terms, Who};
use super::random::Rng;
use super::runner::{Figures, run};
use crate::harness::engine;
use crate::harness::world::{HOME, Setup, Who as Person, World};

const USERS: &[&str] = &["alice", "bob", "u:1", "é", "e\u{301}", "%"];
const GROUPS: &[&str] = &["g", "g:1", "g#member", "g*"];
const PATHS: &[&str] = &["/a", "/a/b", "/a/b/c", "/ab", "/a_b", "/a b/é", "/a/b/c/d", "/b"];
const RELATIONS: &[&str] = &["direct_viewer", "direct_editor", "direct_owner", "shared-viewer", "viewer", "parent"];
const STEPS: usize = 60;
/// Steps in CI, of all histories together.
const STEPS_ALL: u64 = 600;
const QUESTIONS: usize = 5;

/// What the tables hold.
#[derive(Debug, Clone, Default, PartialEq)]
struct Tables {
    entities: BTreeMap<EntityId, EntityRow>,
    tuples: BTreeMap<String, TupleRow>,
    namespaces: BTreeMap<String, NamespaceRow>,
}

impl Tables {
    fn fold(&mut self, change: Change) {
        fn put<K: Ord, R>(rows: &mut BTreeMap<K, R>, key: impl Fn(&R) -> K, before: Option<R>, after: Option<R>) {
            before.iter().for_each(|row| drop(rows.remove(&key(row))));
            rows.extend(after.map(|row| (key(&row), row)));
        }
        match change {
            Change::Entity(d) => put(&mut self.entities, |row| row.id, d.before, d.after),
            Change::Tuple(d) => put(&mut self.tuples, |row| row.tuple_id.clone(), d.before, d.after),
            Change::Namespace(d) => put(&mut self.namespaces, |row| row.object_type.clone(), d.before, d.after),
            _ => {}
        }
    }

    fn facts(&self, now: i64) -> Facts {
        let who = |id: EntityId| {
            let row = &self.entities[&id];
            Who::new(&row.tenant, &row.kind, &row.name)
        };
        let identity = |row: &TupleRow| {
            let subject = Who { set: row.subject_relation.clone(), ..who(row.subject) };
            (subject, row.relation.clone(), who(row.object))
        };
        let terms = |row: &TupleRow| Terms { expires: row.expires_at_us, condition: row.condition.clone() };
        let mut namespaces: BTreeMap<_, _> = default_namespaces().map(|(k, c)| (k.to_owned(), c.clone())).collect();
        let stored = self.namespaces.values();
        namespaces
            .extend(stored.map(|row| (row.object_type.clone(), serde_json::from_str(&row.config).expect("JSON"))));
        let tuples = self.tuples.values().map(|row| (identity(row), terms(row))).collect();
        Facts { tuples, namespaces, now, ..Facts::default() }
    }
}

/// One revision, as the oracle needs it.
#[derive(Clone)]
struct Moment {
    rev: Rev,
    facts: Facts,
    /// The owners of files by column.
    owners: BTreeMap<String, Who>,
}

struct Play {
    world: World,
    rng: Rng,
    folded: Tables,
    past: Vec<Moment>,
    figures: Figures,
}

async fn tables(world: &World) -> (Tables, BTreeMap<String, Who>, Rev, i64) {
    let read = world.store.read(|tx| {
        let mut found = Tables::default();
        entities::each(tx, |row| drop(found.entities.insert(row.id, row.into())))?;
        tuples::scan(tx, |row| {
            found.tuples.insert(row.tuple_id.clone(), row);
            ControlFlow::Continue(())
        })?;
        namespaces::each(tx, |row| drop(found.namespaces.insert(row.object_type.clone(), row)))?;
        let mut owners = BTreeMap::new();
        for path in PATHS {
            let node = nodes::find(tx, &VirtualPath::parse(path).expect("a path"))?;
            let owner = node.filter(|node| node.kind == NodeKind::File).and_then(|node| node.owner);
            owners.extend(owner.map(|id| {
                let row = &found.entities[&id];
                ((*path).to_owned(), Who::new(&row.tenant, &row.kind, &row.name))
            }));
        }
        let at = changelog::time_of(tx, tx.rev())?.unwrap_or_default();
        Ok::<_, StoreError>((found, owners, tx.rev(), at))
    });
    read.await.expect("the tables")
}

impl Play {
    async fn new(seed: u64) -> Self {
        let world = World::with(Setup { seed, ..Setup::default() }).await;
        let play = Self {
            world,
            rng: Rng::new(seed),
            folded: Tables::default(),
            past: Vec::new(),
            figures: Figures::default(),
        };
        for path in ["/a", "/b"] {
            play.call("mkdir", json!({"path": path})).await;
        }
        play
    }

    /// As the instance admin: nothing is refused for want of rights.
    async fn call(&self, method: &str, params: Value) -> bool {
        self.world.rpc(Person::Instance, method, params).await.is_ok()
    }

    fn path(&mut self) -> &'static str {
        self.rng.pick(PATHS)
    }

    /// A message, as method and parameters.
    fn message(&mut self) -> (&'static str, Value) {
        let rng = &mut self.rng;
        match rng.below(20) {
            0..8 => {
                let group = rng.pick(GROUPS);
                let member = rng.chance(40);
                let subject = match rng.below(8) {
                    0 => json!(["*", "*"]),
                    1 => json!(["group", rng.pick(GROUPS)]),
                    2..4 => json!(["group", rng.pick(GROUPS), "member"]),
                    _ => json!(["user", rng.pick(USERS)]),
                };
                let (relation, object) = match member {
                    true => (rng.pick(&["member", "admin", "banned"]), json!(["group", group])),
                    false => (rng.pick(RELATIONS), json!(["file", rng.pick(PATHS)])),
                };
                let mut tuple = json!({"subject": subject, "relation": relation, "object": object});
                if rng.chance(30) {
                    tuple["expires_at"] = json!(format!("2026-01-02T03:0{}:{:02}Z", rng.between(4, 6), rng.below(60)));
                }
                ("rebac_create", tuple)
            }
            8..11 => {
                let id = self.folded.tuples.keys().nth(rng.below(self.folded.tuples.len().max(1)));
                ("rebac_delete", json!({"tuple_id": id.cloned().unwrap_or_default()}))
            }
            11 => {
                // The same identity with other terms.
                let row = self.folded.tuples.values().nth(rng.below(self.folded.tuples.len().max(1)));
                let Some(row) = row else { return ("mkdir", json!({"path": "/b"})) };
                let name = |id: EntityId| &self.folded.entities[&id];
                let (s, o) = (name(row.subject), name(row.object));
                let subject = [Some(&s.kind), Some(&s.name), row.subject_relation.as_ref()];
                let subject: Vec<_> = subject.into_iter().flatten().collect();
                let until = format!("2026-01-02T03:0{}:30Z", rng.between(4, 6));
                let tuple = json!({"subject": subject, "relation": row.relation, "object": [o.kind, o.name], "expires_at": until});
                ("rebac_create", tuple)
            }
            12..14 => ("write", json!({"path": self.path(), "content": "x"})),
            14 => ("mkdir", json!({"path": self.path(), "parents": true})),
            15 => ("delete", json!({"path": self.path()})),
            16 => ("rmdir", json!({"path": self.path(), "recursive": true})),
            17 => ("rename", json!({"old_path": self.path(), "new_path": self.path()})),
            18 => ("namespace_delete", json!({"object_type": "group"})),
            _ => {
                let member = [
                    json!({"union": [{}, "admin"]}),
                    json!({"intersection": [{}, {"exclusion": "banned"}]}),
                    json!({}),
                ];
                let member = rng.one_of(&member).clone();
                let relations = json!({"member": member, "admin": {}, "banned": {}});
                let config = json!({"relations": relations, "permissions": {"read": ["member"], "manage": ["admin"]}});
                ("namespace_create", json!({"object_type": "group", "config": config}))
            }
        }
    }

    async fn step(&mut self) -> Result<(), String> {
        self.figures.cases += 1;
        let before = self.world.head().await;
        match self.rng.below(20) {
            0 => self.world.pass(Duration::from_secs(20)).await,
            1 => self.restart().await?,
            2..5 => {
                // Several in one batch, the refused ones between those that are not.
                let messages: Vec<_> = (0..4).map(|_| self.message()).collect();
                let held = self.world.hold_writer();
                let calls = messages.into_iter().map(|(method, params)| self.call(method, params));
                let release = async {
                    for _ in 0..100 {
                        tokio::task::yield_now().await;
                    }
                    held.release();
                };
                futures_util::future::join(join_all(calls), release).await;
            }
            _ => {
                let (method, params) = self.message();
                let done = self.call(method, params.clone()).await;
                let after = self.world.head().await;
                if after > before + 1 || (!done && after != before) {
                    return Err(format!("{method} {params} (done: {done}) went from {before} to {after}"));
                }
            }
        }
        self.look().await
    }

    /// A clean end, lies in the recorded decisions, a new start.
    async fn restart(&mut self) -> Result<(), String> {
        let asked: Vec<_> = (0..QUESTIONS).map(|_| self.question()).collect();
        let wanted = self.answers(&asked, None).await;
        let keys = self.world.keys();
        let path = self.world.path().to_owned();
        let placeholder = World::new().await;
        let kept = std::mem::replace(&mut self.world, placeholder).close().await;
        let lies = ["UPDATE permission_cache SET decision = 1 - decision", "DELETE FROM permission_cache"];
        engine::run(&path, self.rng.pick(&lies));
        let later = self.past.last().map_or(0, |moment| moment.facts.now);
        let mut world = World::again(&path, Setup { seed: self.rng.next(), ..Setup::default() }, keys).await;
        world.keep(kept);
        let elapsed = later - world.store.clock().now_us();
        world.pass(Duration::from_micros(u64::try_from(elapsed.max(0)).expect("not negative"))).await;
        self.world = world;
        let found = self.answers(&asked, None).await;
        if found == wanted { Ok(()) } else { Err(format!("{asked:?}: {wanted:?} before the restart, {found:?} after")) }
    }

    fn question(&mut self) -> Value {
        let rng = &mut self.rng;
        let subject = match rng.below(10) {
            0 => json!(["*", "*"]),
            1 => json!(["user", "stranger"]),
            2 => json!(["group", rng.pick(GROUPS)]),
            _ => json!(["user", rng.pick(USERS)]),
        };
        if rng.chance(70) {
            let name = rng.pick(&["read", "read", "write", "execute", "direct_viewer", "viewer"]);
            json!([subject, name, ["file", rng.pick(PATHS)]])
        } else {
            json!([subject, rng.pick(&["member", "read", "admin"]), ["group", rng.pick(GROUPS)]])
        }
    }

    async fn answers(&self, questions: &[Value], at: Option<Rev>) -> Value {
        let mut params = json!({"checks": questions, "tenant_id": HOME});
        if let Some(rev) = at {
            params["at_rev"] = json!(rev);
        }
        self.world.rpc(Person::Instance, "rebac_check_batch", params).await.expect("an admin may ask")
    }

    /// Everything that must hold now.
    async fn look(&mut self) -> Result<(), String> {
        let (tables, owners, head, at_us) = tables(&self.world).await;
        let from = self.past.last().map_or(0, |moment| moment.rev);
        let rows = self.world.store.read(move |tx| changelog::after(tx, from, 1_000)).await.expect("the log");
        let revs: Vec<_> = rows.iter().map(|row| row.rev).collect();
        if !revs.iter().copied().eq(from + 1..=head) || rows.iter().any(|row| row.changes.is_empty()) {
            return Err(format!("from {from} to {head} the log has {revs:?}"));
        }
        rows.into_iter().flat_map(|row| row.changes).for_each(|change| self.folded.fold(change));
        if self.folded != tables {
            return Err(format!("the log folds to {:?}, the tables hold {tables:?}", self.folded));
        }
        let now = self.world.store.clock().now_us();
        let moment = Moment { rev: head, facts: tables.facts(now), owners };
        self.compare(&moment, None).await?;
        // What the past is asked about later: expiry counts at the time of that revision.
        self.past.push(Moment { facts: tables.facts(at_us), ..moment });
        let old = self.rng.below(self.past.len());
        let old = self.past[old].clone();
        self.compare(&old, Some(old.rev)).await
    }

    async fn compare(&mut self, moment: &Moment, at: Option<Rev>) -> Result<(), String> {
        let mut questions: Vec<_> = (0..QUESTIONS).map(|_| self.question()).collect();
        questions.push(questions[0].clone());
        let found = self.answers(&questions, at).await;
        for (question, found) in questions.iter().zip(found.as_array().expect("a list")) {
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            let who = |end: &Value| Who::new(HOME, &text(&end[0]), &text(&end[1]));
            let (subject, name, object) = (who(&question[0]), text(&question[1]), who(&question[2]));
            let owner = moment.owners.get(&object.id).filter(|_| object.kind == "file");
            let owner = owner.map(|owner| (object.clone(), owner.clone()));
            let wanted = Oracle::new(&moment.facts, &subject, owner).answers(&[(object, name)])[0];
            if *found != json!(wanted == Some(true)) {
                let tuples = &moment.facts.tuples;
                return Err(format!(
                    "{question} at {at:?} of {}: {found}, the oracle {wanted:?}, {tuples:#?}",
                    moment.rev
                ));
            }
            self.figures.count(wanted);
        }
        let single = json!({"subject": questions[0][0], "permission": questions[0][1], "object": questions[0][2]});
        if at.is_none() {
            let alone = self.world.rpc(Person::Instance, "rebac_check", single).await.expect("an admin may ask");
            if alone != found[0] {
                return Err(format!("{}: alone {alone}, in a batch {}", questions[0], found[0]));
            }
        }
        Ok(())
    }
}

async fn history(seed: u64, figures: &mut Figures) -> Result<(), String> {
    let mut play = Play::new(seed).await;
    let mut result = Ok(());
    for step in 0..STEPS {
        result = play.step().await.map_err(|e| format!("step {step}: {e}"));
        if result.is_err() {
            break;
        }
    }
    let of = play.figures;
    figures.cases += of.cases;
    figures.comparisons += of.comparisons;
    figures.allows += of.allows;
    figures.denies += of.denies;
    figures.unknowns += of.unknowns;
    result
}

#[test]
fn histories_of_the_server() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    run("histories_of_the_server", STEPS_ALL, |seed, figures| runtime.block_on(history(seed, figures)));
}
