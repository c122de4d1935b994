//! Warnings against meaning: what a warning says of a name is what the engine then does, for random rules.

use serde_json::{Map, Value, json};

use super::super::scratch::{Extra, Scratch};
use super::super::*;

/// Deep enough that no name needs the root to be decided.
const FILE: &str = "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p";
const RELATIONS: [&str; 5] = ["r0", "r1", "r2", "r3", "r4"];
const PERMISSIONS: [&str; 3] = ["p0", "p1", "p2"];

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn name(&mut self) -> &'static str {
        let names: Vec<&str> = RELATIONS.into_iter().chain(PERMISSIONS).chain(["undefined"]).collect();
        names[usize::try_from(self.below(9)).expect("small")]
    }

    fn rule(&mut self, depth: u64, monotone: bool) -> Value {
        let many = |random: &mut Self, least| {
            let count = least + random.below(3 - least);
            (0..count).map(|_| random.operand(depth + 1, monotone)).collect::<Vec<_>>()
        };
        match self.below(if monotone { 6 } else { 10 }) {
            0 => json!({"this": {}}),
            1 | 2 => json!({"union": many(self, 0)}),
            3 => json!({"intersection": many(self, 1)}),
            4 | 5 => json!({"computed_userset": {"relation": self.name()}}),
            6 => {
                let tupleset = if self.below(2) == 0 { "parent" } else { "r0" };
                json!({"tupleToUserset": {"tupleset": tupleset, "computedUserset": self.name()}})
            }
            _ => json!({"exclusion": self.operand(depth + 1, monotone)}),
        }
    }

    fn operand(&mut self, depth: u64, monotone: bool) -> Value {
        if depth >= 3 || self.below(2) == 0 { json!(self.name()) } else { self.rule(depth, monotone) }
    }

    fn config(&mut self, monotone: bool) -> Value {
        let mut section = |names: &[&str], direct: usize| {
            let rule = |(at, name): (usize, &&str)| {
                let rule = if at < direct { json!({}) } else { self.rule(0, monotone) };
                ((*name).to_owned(), rule)
            };
            names.iter().enumerate().map(rule).collect::<Map<_, _>>()
        };
        json!({"relations": section(&RELATIONS, 2), "permissions": section(&PERMISSIONS, 0)})
    }
}

fn has(warnings: &[Warning], kind: WarningKind, place: &str) -> bool {
    warnings.iter().any(|warning| warning.kind == kind && warning.place == place)
}

#[test]
fn open_to_everybody_is_said_of_exactly_what_is() {
    let mut random = Random(1);
    let (mut valid, mut open) = (0, 0);
    for round in 0..600 {
        let (kind, object) = if round % 2 == 0 { ("doc", "doc:1") } else { ("file", FILE) };
        let config = random.config(false);
        let mut scratch = Scratch::new();
        let warnings = match scratch.namespace(kind, &config) {
            Ok(warnings) => warnings,
            Err(error) => {
                assert!(error.place().is_some_and(|place| !place.is_empty()), "{error}");
                continue;
            }
        };
        valid += 1;
        for name in PERMISSIONS {
            let verdict = scratch.ask(&format!("user:stranger {name} {object}"), &Env::default()).expect("a question");
            let told = has(&warnings, WarningKind::DefaultAllow, &format!("permissions.{name}"));
            assert_eq!(verdict.allowed(), told, "{kind} {name}: {config} {warnings:?}");
            open += usize::from(told);
        }
    }
    assert!(valid > 80 && open > 40, "{valid} rules, {open} open names");
}

#[test]
fn what_nobody_can_have_is_had_by_nobody_and_the_rest_by_whoever_is_given_everything() {
    let mut random = Random(2);
    let (mut never, mut held) = (0, 0);
    for _ in 0..300 {
        let config = random.config(true);
        let mut scratch = Scratch::new();
        let warnings = scratch.namespace("doc", &config).expect("rules without exclusion are valid");
        for relation in RELATIONS.into_iter().chain(PERMISSIONS).chain(["undefined"]) {
            scratch.grant(&format!("user:u {relation} doc:1"), Extra::default()).expect("a tuple");
        }
        for (section, names) in [("relations", &RELATIONS[..]), ("permissions", &PERMISSIONS)] {
            for name in names {
                let verdict = scratch.ask(&format!("user:u {name} doc:1"), &Env::default()).expect("a question");
                let told = has(&warnings, WarningKind::NobodyCanHave, &format!("{section}.{name}"));
                assert_eq!(verdict.allowed(), !told, "{name}: {config} {warnings:?}");
                *if told { &mut never } else { &mut held } += 1;
            }
        }
    }
    assert!(never > 30 && held > 400, "{never} never, {held} held");
}

/// Whatever is sent is either refused with a place or taken; nothing ends the program.
#[test]
fn any_text_is_answered() {
    let mut random = Random(3);
    let words = ["union", "exclusion", "tupleToUserset", "tupleset", "computedUserset", "relations", "this", "", "r0"];
    fn any(random: &mut Random, words: &[&str], depth: u64) -> Value {
        let word = |random: &mut Random| words[usize::try_from(random.below(words.len() as u64)).expect("small")];
        match random.below(if depth > 5 { 4 } else { 8 }) {
            0 => Value::Null,
            1 => json!(random.below(3)),
            2 => json!(random.below(2) == 0),
            3 => json!(word(random)),
            4 => (0..random.below(3)).map(|_| any(random, words, depth + 1)).collect(),
            _ => {
                let entry = |random: &mut Random| (word(random).to_owned(), any(random, words, depth + 1));
                Value::Object((0..random.below(3)).map(|_| entry(random)).collect())
            }
        }
    }
    let graph = Graph::new();
    for _ in 0..1_500 {
        let (relation, permission) = (any(&mut random, &words, 0), any(&mut random, &words, 0));
        let config = json!({"relations": {"r0": relation.clone()}, "permissions": {"r1": permission.clone()}});
        for config in [config, relation, permission] {
            if let Err(error) = graph.validate_namespace("doc", &config) {
                assert!(error.place().is_some() && !error.hint().is_empty(), "{config}: {error}");
            }
        }
    }
}
