//! Random calls of everybody on a small tree: whatever was answered, the store keeps its rules, and what a listing
//! shows is what can be read.

use nexus_lite::model::random::{RandomSource as _, SeededRandom};
use serde_json::{Value, json};

use super::super::*;
use super::shared_world;

const STEPS: usize = 400;
const PEOPLE: [Who; 6] = [Who::Admin, Who::Alice, Who::Bob, Who::Heir, Who::OtherUser, Who::Instance];

/// Numbers from a seed.
struct Dice(SeededRandom);

impl Dice {
    fn below(&self, most: usize) -> usize {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes) as usize % most
    }

    fn path(&self) -> String {
        let names = ["a", "b", "SKILL.md", "skill.md", "c d"];
        let mut path = ["/w/alice", "/w", "/tenant:acme", "/x"][self.below(4)].to_owned();
        for _ in 0..1 + self.below(3) {
            path.push('/');
            path.push_str(names[self.below(names.len())]);
        }
        path
    }

    fn step(&self) -> (&'static str, Value) {
        let path = self.path();
        match self.below(10) {
            0..5 => {
                let skill = format!("---\nname: s{}\ndescription: d\n---\n", self.below(3));
                let content = if self.below(2) == 0 { skill } else { "text".to_owned() };
                ("write", json!({"path": path, "content": content}))
            }
            5 => ("delete", json!({"path": path})),
            6 | 7 => ("rename", json!({"old_path": path, "new_path": self.path()})),
            8 => ("mkdir", json!({"path": path, "parents": self.below(2) == 0, "exist_ok": self.below(2) == 0})),
            _ => ("rmdir", json!({"path": path, "recursive": self.below(2) == 0})),
        }
    }
}

#[tokio::test]
async fn the_store_keeps_its_rules() {
    for seed in 0..2 {
        let world = shared_world().await;
        ok(&world, Who::OtherAdmin, "mkdir", json!({"path": "/tenant:acme"})).await;
        grant_across(&world, Some("acme"), ("user", "alice"), "shared-editor", "/w/alice").await;
        grant(&world, ("user", "alice"), "direct_editor", "/tenant:acme").await;
        let (dice, mut done) = (Dice(SeededRandom::new(seed)), 0);
        for step in 0..STEPS {
            let who = PEOPLE[dice.below(PEOPLE.len())];
            let (method, params) = dice.step();
            let shown = params.to_string();
            match world.rpc(who, method, params).await {
                Ok(_) => done += 1,
                Err(failure) => {
                    let known = [NOT_FOUND, EXISTS, DENIED, PRECONDITION].contains(&failure.code);
                    assert!(known, "seed {seed} step {step}: {who:?} {method} {shown}: {failure:?}");
                }
            }
            if dice.below(20) == 0 {
                grant(&world, ("user", ["bob", "mallory"][dice.below(2)]), "direct_viewer", &dice.path()).await;
            }
        }
        assert!(done > STEPS / 10, "seed {seed}: only {done} of {STEPS} did anything");
        let report = world.store.check().await.expect("a check");
        assert_eq!(report.violations, Vec::new(), "seed {seed}");
        for who in PEOPLE.into_iter().chain([Who::Stranger, Who::OtherAdmin]) {
            everything_listed_is_seen(&world, who, seed).await;
        }
    }
}

/// What the recursive listing shows can be read; what only the instance admin is shown cannot; walking down
/// directory by directory finds the same files.
async fn everything_listed_is_seen(world: &World, who: Who, seed: u64) {
    let shown = list(world, who, "/", true).await;
    for path in &list(world, Who::Instance, "/", true).await {
        let stat = world.rpc(who, "stat", json!({"path": path})).await;
        let is_file = matches!(&stat, Ok(stat) if stat["is_directory"] == false);
        let listed = shown.contains(path);
        assert!(listed || !is_file, "seed {seed}: {who:?} can read {path}, and the listing lacks it");
        assert!(!listed || stat.is_ok(), "seed {seed}: {who:?} is shown {path}, and cannot read it");
        let exists = ok(world, who, "exists", json!({"path": path})).await;
        assert_eq!(exists["exists"], stat.is_ok(), "seed {seed}: {who:?} {path}");
    }
    let (mut open, mut files) = (vec!["/".to_owned()], Vec::new());
    while let Some(directory) = open.pop() {
        let rows = ok(world, who, "list", json!({"path": directory, "recursive": false, "details": true})).await;
        for row in rows["files"].as_array().expect("rows") {
            let path = row["path"].as_str().expect("a path").to_owned();
            if row["is_directory"] == true { open.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    let mut listed = Vec::new();
    for path in shown {
        let stat = ok(world, who, "stat", json!({"path": path})).await;
        if stat["is_directory"] == false {
            listed.push(path);
        }
    }
    assert_eq!(files, listed, "seed {seed}: {who:?}");
}
