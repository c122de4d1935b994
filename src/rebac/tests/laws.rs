//! Laws that relate the answers of two worlds: M1 to M14, each over random worlds. None needs the oracle.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::*;
use super::cases::as_answer;
use super::oracle::{Facts, Terms, Who};
use super::random::{Flavour, Names, Rng};
use super::runner::{Figures, run};
use super::world::World;

/// Random worlds per law, and questions per world.
const WORLDS: u64 = 200;
const QUESTIONS: usize = 8;
const TWO: &[Flavour] = &[Flavour::Free, Flavour::Inheriting];
const ALL: &[Flavour] = &[Flavour::Free, Flavour::Inheriting, Flavour::Defaults];

/// Who is asked about, the permission, the object.
type Question = (Who, String, Who);

/// One random world.
struct Random {
    names: Names,
    facts: Facts,
    rng: Rng,
    questions: Vec<Question>,
}

impl Random {
    fn new(flavours: &[Flavour], seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let names = Names::new(*rng.one_of(flavours), &mut rng);
        let mut namespaces = World::new().namespaces;
        for _ in 0..rng.between(1, 3) {
            namespaces.extend(names.namespace(&mut rng).map(|(kind, config)| (kind.to_owned(), config)));
        }
        let facts = names.facts(&namespaces, &mut rng);
        let mut question = || {
            let (object, name) = names.asked(&facts, &mut rng);
            (names.asker(&facts, &mut rng), name, object)
        };
        let questions = (0..QUESTIONS).map(|_| question()).collect();
        Self { names, facts, rng, questions }
    }

    /// A tuple that is not there yet.
    fn new_tuple(&mut self) -> ((Who, String, Who), Terms) {
        loop {
            let identity = self.names.identity(&mut self.rng);
            if !self.facts.tuples.contains_key(&identity) {
                return (identity, self.names.terms(&mut self.rng));
            }
        }
    }
}

fn ask(world: &World, (subject, permission, object): &Question) -> Option<bool> {
    let query = Query { subject: subject.object(), permission, object: object.object() };
    let budget = &mut Budget::edges(1_000_000);
    as_answer(&world.graph.check(&query, LeafFacts::default(), &world.env, Some(&world.caches), budget))
}

/// Yes is more than unknown, unknown more than no.
fn truth(answer: Option<bool>) -> u8 {
    answer.map_or(1, |yes| if yes { 2 } else { 0 })
}

fn answers(world: &World, questions: &[Question], figures: &mut Figures) -> Vec<Option<bool>> {
    let answers: Vec<_> = questions.iter().map(|question| ask(world, question)).collect();
    answers.iter().for_each(|answer| figures.count(*answer));
    answers
}

/// The answers of two worlds to the same questions, or to those translated.
fn same(
    before: &World,
    after: &World,
    questions: &[Question],
    translated: &[Question],
    figures: &mut Figures,
) -> Result<(), String> {
    let wanted = answers(before, questions, figures);
    for ((question, wanted), found) in translated.iter().zip(wanted).zip(answers(after, translated, figures)) {
        if wanted != found {
            let tuples = after.facts().tuples;
            return Err(format!(
                "{question:?} was {wanted:?}, is {found:?}, under {:?}\n{tuples:#?}",
                after.namespaces
            ));
        }
    }
    Ok(())
}

fn law(name: &str, flavours: &[Flavour], mut check: impl FnMut(&mut Random, &mut Figures) -> Result<(), String>) {
    run(name, WORLDS, |seed, figures| {
        figures.cases += 1;
        check(&mut Random::new(flavours, seed), figures)
    });
}

/// The same facts, with other namespaces.
fn with_rules(facts: &Facts, mut change: impl FnMut(&Value) -> Value) -> Facts {
    let mut section = |rules: &Value| {
        let rules = rules.as_object().into_iter().flatten();
        Value::Object(rules.map(|(name, rule)| (name.clone(), change(rule))).collect())
    };
    let mut config = |config: &Value| {
        if config.is_null() {
            return Value::Null;
        }
        json!({"relations": section(&config["relations"]), "permissions": section(&config["permissions"])})
    };
    let namespaces = facts.namespaces.iter().map(|(kind, old)| (kind.clone(), config(old))).collect();
    Facts { namespaces, ..facts.clone() }
}

/// The rule with each operand changed, then itself.
fn deep(rule: &Value, change: &mut dyn FnMut(Value) -> Value) -> Value {
    let mut inner = match rule {
        Value::Array(list) => Value::Array(list.iter().map(|operand| deep(operand, change)).collect()),
        Value::Object(keys) => {
            let operand = |(key, operand): (&String, &Value)| match key.as_str() {
                "union" | "intersection" => {
                    let list = operand.as_array().into_iter().flatten();
                    (key.clone(), Value::Array(list.map(|operand| deep(operand, change)).collect()))
                }
                "exclusion" => (key.clone(), deep(operand, change)),
                _ => (key.clone(), operand.clone()),
            };
            Value::Object(keys.iter().map(operand).collect::<Map<_, _>>())
        }
        other => other.clone(),
    };
    if !inner.is_array() {
        inner = change(inner);
    }
    inner
}

#[test]
fn m1_where_nothing_is_excluded_a_tuple_never_takes_away() {
    law("m1_where_nothing_is_excluded_a_tuple_never_takes_away", ALL, |random, figures| {
        if format!("{:?}", random.facts.namespaces).contains("exclusion") {
            return Ok(());
        }
        let mut world = World::of(&random.facts, None);
        for _ in 0..4 {
            let before = answers(&world, &random.questions, figures);
            let (identity, terms) = random.new_tuple();
            world.put(identity.clone(), terms);
            let with = answers(&world, &random.questions, figures);
            let gained = before.iter().zip(&with).all(|(before, with)| truth(*before) <= truth(*with));
            let taken = answers(world.take(&identity), &random.questions, figures);
            if !gained || taken != before {
                return Err(format!("{identity:?} changed {before:?} to {with:?}, and without it {taken:?}"));
            }
            world.put(identity, Terms::default());
        }
        Ok(())
    });
}

#[test]
fn m2_names_are_only_names() {
    let special = |name: &str| name == "parent" || name.starts_with("direct_") || name.starts_with("shared-");
    let relation = move |name: &str| if special(name) { name.to_owned() } else { format!("{name}:r") };
    let kind = |kind: &str| if ["*", "file"].contains(&kind) { kind.to_owned() } else { format!("of {kind}") };
    let id = |who: &Who| match who.kind.as_str() {
        "*" => who.id.clone(),
        "file" if who.id == "/" => who.id.clone(),
        "file" => who
            .id
            .split('/')
            .map(|c| if c.is_empty() { String::new() } else { format!("{c}#") })
            .collect::<Vec<_>>()
            .join("/"),
        _ => format!("{}/{}", who.id.len(), who.id),
    };
    let who = move |who: &Who| Who {
        tenant: format!("{}|", who.tenant),
        kind: kind(&who.kind),
        id: id(who),
        set: who.set.as_deref().map(relation),
    };
    fn named(value: &Value, relation: &dyn Fn(&str) -> String) -> Value {
        match value {
            Value::String(name) => json!(relation(name)),
            Value::Array(list) => list.iter().map(|value| named(value, relation)).collect(),
            Value::Object(keys) => keys.iter().map(|(key, value)| (key.clone(), named(value, relation))).collect(),
            other => other.clone(),
        }
    }
    law("m2_names_are_only_names", ALL, |random, figures| {
        let section = |rules: &Value| {
            let rules = rules.as_object().into_iter().flatten();
            Value::Object(rules.map(|(name, rule)| (relation(name), named(rule, &relation))).collect())
        };
        let config = |config: &Value| match config {
            Value::Null => Value::Null,
            config => {
                json!({"relations": section(&config["relations"]), "permissions": section(&config["permissions"])})
            }
        };
        let facts = &random.facts;
        let renamed = Facts {
            tuples: facts
                .tuples
                .iter()
                .map(|((s, r, o), terms)| ((who(s), relation(r), who(o)), terms.clone()))
                .collect(),
            namespaces: facts.namespaces.iter().map(|(k, c)| (kind(k), config(c))).collect(),
            ..facts.clone()
        };
        let translated: Vec<_> = random.questions.iter().map(|(s, p, o)| (who(s), relation(p), who(o))).collect();
        same(&World::of(facts, None), &World::of(&renamed, None), &random.questions, &translated, figures)
    });
}

#[test]
fn m3_no_tenant_hears_of_another() {
    law("m3_no_tenant_hears_of_another", ALL, |random, figures| {
        random.facts.tuples.retain(|(s, _, o), _| s.tenant == o.tenant);
        let here = random.questions[0].2.tenant.clone();
        random.questions.retain(|(_, _, object)| object.tenant == here);
        let mut noisy = random.facts.clone();
        for _ in 0..30 {
            let ((s, r, o), terms) = random.new_tuple();
            if s.tenant != here && o.tenant != here {
                noisy.tuples.insert((s, r, o), terms);
            }
            let elsewhere = |who: Who| Who { tenant: "elsewhere".to_owned(), ..who };
            let ((s, r, o), terms) = random.new_tuple();
            noisy.tuples.insert((elsewhere(s), r, elsewhere(o)), terms);
        }
        same(&World::of(&random.facts, None), &World::of(&noisy, None), &random.questions, &random.questions, figures)
    });
}

#[test]
fn m4_a_filter_and_what_is_visible_agree_with_the_check() {
    law("m4_a_filter_and_what_is_visible_agree_with_the_check", ALL, |random, figures| {
        let world = World::of(&random.facts, None);
        let (subject, permission, object) = random.questions[0].clone();
        let mut paths: Vec<_> = (0..12).map(|_| random.names.path(&mut random.rng).to_owned()).collect();
        paths.push("/a/new".to_owned());
        let query = |path: &str| Who::new(&object.tenant, "file", path);
        let mut filter = world.graph.filter(subject.object(), &permission, &object.tenant, &world.env, None);
        let budget = &mut Budget::edges(1_000_000);
        let readable: Vec<_> =
            paths.iter().map(|path| ask(&world, &(subject.clone(), permission.clone(), query(path)))).collect();
        for (path, alone) in paths.iter().zip(&readable) {
            // What has no slash is no file of the tree.
            if let Some((above, _)) = path.rsplit_once('/') {
                let directory = if above.is_empty() { "/" } else { above };
                if filter.allows_all_in(directory, budget) && *alone != as_answer(&Verdict::Allow) {
                    return Err(format!("{subject:?} {permission} {path}: all in {directory} is allowed, not it"));
                }
            }
            let found = as_answer(&filter.check(path, LeafFacts::default(), budget));
            figures.count(found);
            if found != *alone {
                return Err(format!("{subject:?} {permission} {path}: filter {found:?}, check {alone:?}"));
            }
        }
        let found = world.graph.visible_candidates(
            subject.object(),
            &permission,
            &object.tenant,
            "/",
            &world.env,
            None,
            budget,
        );
        let candidates = match found {
            Candidates::Search => return Ok(()),
            Candidates::No => Vec::new(),
            Candidates::Paths(paths) => paths.to_vec(),
        };
        if let Some(top) =
            candidates.iter().find(|top| ask(&world, &(subject.clone(), permission.clone(), query(top))) != Some(true))
        {
            return Err(format!("{subject:?} {permission}: {top} is a candidate and not readable"));
        }
        let whole = world.graph.classify("file", &permission) == Class::Homogeneous;
        for (path, alone) in paths.iter().zip(readable).filter(|(path, _)| path.starts_with('/')) {
            let below = |top: &str| {
                top == "/" || path == top || path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'))
            };
            let listed = candidates.iter().any(|top| below(top));
            // Of a name that does not inherit, what is below a candidate need not be readable.
            if (whole && listed != (alone == Some(true))) || (alone == Some(true) && !listed) {
                return Err(format!("{subject:?} {permission} {path} is {alone:?}, candidates {candidates:?}"));
            }
        }
        Ok(())
    });
}

#[test]
fn m5_what_is_unrelated_changes_nothing() {
    law("m5_what_is_unrelated_changes_nothing", ALL, |random, figures| {
        let mut more = random.facts.clone();
        let thing = |who: Who| Who { kind: if who.is_public() { who.kind } else { "thing".to_owned() }, ..who };
        for _ in 0..12 {
            let ((s, r, o), terms) = random.new_tuple();
            more.tuples.insert((thing(s), r, thing(o)), terms);
        }
        if let Some((_, config)) = random.names.namespace(&mut random.rng) {
            more.namespaces.insert("thing".to_owned(), config);
        }
        same(&World::of(&random.facts, None), &World::of(&more, None), &random.questions, &random.questions, figures)
    });
}

#[test]
fn m6_grant_and_revoke_is_nothing() {
    law("m6_grant_and_revoke_is_nothing", ALL, |random, figures| {
        let before = World::of(&random.facts, None);
        let mut world = before.clone();
        let mut granted = Vec::new();
        for _ in 0..5 {
            let (identity, terms) = random.new_tuple();
            world.put(identity.clone(), terms);
            granted.push(identity);
            answers(&world, &random.questions, figures);
        }
        for (identity, terms) in &random.facts.tuples {
            world.put(identity.clone(), random.names.terms(&mut random.rng));
            answers(&world, &random.questions[..1], figures);
            world.put(identity.clone(), terms.clone());
        }
        random.rng.shuffle(&mut granted);
        granted.iter().for_each(|identity| {
            world.take(identity);
        });
        same(&before, &world, &random.questions, &random.questions, figures)
    });
}

#[test]
fn m7_the_order_of_independent_writes_is_nothing() {
    law("m7_the_order_of_independent_writes_is_nothing", ALL, |random, figures| {
        let mut tuples: Vec<_> = random.facts.tuples.clone().into_iter().collect();
        random.rng.shuffle(&mut tuples);
        let mut world = World::of(
            &Facts { tuples: BTreeMap::new(), namespaces: World::new().namespaces, ..random.facts.clone() },
            None,
        );
        let (first, last) = tuples.split_at(tuples.len() / 2);
        first.iter().for_each(|(identity, terms)| {
            world.put(identity.clone(), terms.clone());
        });
        world.know(&Facts { tuples: BTreeMap::new(), ..random.facts.clone() }, None);
        last.iter().for_each(|(identity, terms)| {
            world.put(identity.clone(), terms.clone());
        });
        same(&World::of(&random.facts, None), &world, &random.questions, &random.questions, figures)
    });
}

#[test]
fn m8_a_group_may_be_two_in_each_other() {
    law("m8_a_group_may_be_two_in_each_other", &[Flavour::Defaults], |random, figures| {
        let is_member = |(_, relation, object): &&(Who, String, Who)| relation == "member" && object.kind == "group";
        let Some((_, _, group)) = random.facts.tuples.keys().find(is_member).cloned() else { return Ok(()) };
        let inner = Who { id: "inner".to_owned(), ..group.clone() };
        let mut split = random.facts.clone();
        for (identity, terms) in &random.facts.tuples {
            if identity.1 == "member" && identity.2 == group && random.rng.chance(60) {
                split.tuples.remove(identity);
                split.tuples.insert((identity.0.clone(), "member".to_owned(), inner.clone()), terms.clone());
            }
        }
        let members = Who { set: Some("member".to_owned()), ..inner };
        split.tuples.insert((members, "member".to_owned(), group), Terms::default());
        same(&World::of(&random.facts, None), &World::of(&split, None), &random.questions, &random.questions, figures)
    });
}

#[test]
fn m9_a_moved_directory_loses_what_was_above_and_gains_what_is() {
    law("m9_a_moved_directory_loses_what_was_above_and_gains_what_is", ALL, |random, figures| {
        let is_path = |who: &&Who| who.kind == "file" && who.id.len() > 1 && who.id.starts_with('/');
        let files = random.facts.tuples.keys().flat_map(|(s, _, o)| [s, o]).filter(is_path);
        let Some(top) = files.min_by_key(|_| random.rng.next()).map(Who::plain) else { return Ok(()) };
        let target = ["/moved", "/a/moved", "/moved/b"][random.rng.below(3)];
        if target.starts_with(&format!("{}/", top.id)) {
            return Ok(());
        }
        let moved = |who: &Who| {
            let below = who.id.strip_prefix(&top.id).filter(|rest| rest.is_empty() || rest.starts_with('/'));
            match below.filter(|_| who.kind == "file" && who.tenant == top.tenant) {
                Some(rest) => Who { id: format!("{target}{rest}"), ..who.clone() },
                None => who.clone(),
            }
        };
        let mut world = World::of(&random.facts, None);
        answers(&world, &random.questions, figures);
        let mut all: Vec<_> = random.facts.tuples.keys().flat_map(|(s, _, o)| [s.plain(), o.plain()]).collect();
        all.sort();
        all.dedup();
        for from in all {
            if moved(&from) != from {
                world.rename_to(&from, &moved(&from));
            }
        }
        let tuples =
            random.facts.tuples.iter().map(|((s, r, o), terms)| ((moved(s), r.clone(), moved(o)), terms.clone()));
        let fresh = World::of(&Facts { tuples: tuples.collect(), ..random.facts.clone() }, None);
        let mut questions = random.questions.clone();
        questions.extend(random.questions.iter().map(|(s, p, o)| (moved(s), p.clone(), moved(o))));
        same(&fresh, &world, &questions, &questions, figures)
    });
}

#[test]
fn m10_what_has_expired_is_what_was_deleted() {
    law("m10_what_has_expired_is_what_was_deleted", ALL, |random, figures| {
        let mut world = World::of(&random.facts, None);
        for now in random.facts.now - 3..random.facts.now + 4 {
            world.env.now_us = now;
            let mut swept = Facts { now, ..random.facts.clone() };
            swept.tuples.retain(|_, terms| terms.expires.is_none_or(|at| now < at));
            same(&World::of(&swept, None), &world, &random.questions[..3], &random.questions[..3], figures)?;
        }
        Ok(())
    });
}

#[test]
fn m11_a_union_has_no_order_and_two_exclusions_are_none() {
    law("m11_a_union_has_no_order_and_two_exclusions_are_none", TWO, |random, figures| {
        let mut rng = random.rng.clone();
        let mut shuffled = |rule: Value| {
            let Some(mut list) = rule.get("union").and_then(Value::as_array).cloned() else { return rule };
            list.extend(list.first().cloned());
            rng.shuffle(&mut list);
            json!({"union": list})
        };
        let before = World::of(&random.facts, None);
        let unions = World::of(&with_rules(&random.facts, |rule| deep(rule, &mut shuffled)), None);
        same(&before, &unions, &random.questions, &random.questions, figures)?;
        // Where a name leads back to itself, each exclusion of the two makes a ring through a NOT, which is unknown.
        let twice = |rule: &Value| json!({"exclusion": {"exclusion": if rule.is_array() { json!({"union": rule}) } else { rule.clone() }}});
        let twice = World::of(&with_rules(&random.facts, twice), None);
        let found = answers(&twice, &random.questions, figures);
        for ((question, wanted), found) in
            random.questions.iter().zip(answers(&before, &random.questions, figures)).zip(found)
        {
            if found.is_some() && found != wanted {
                return Err(format!("{question:?} was {wanted:?}, twice excluded {found:?}"));
            }
        }
        Ok(())
    });
}

#[test]
fn m12_a_smaller_budget_never_flips_an_answer() {
    law("m12_a_smaller_budget_never_flips_an_answer", ALL, |random, figures| {
        let world = World::of(&random.facts, None);
        for (subject, permission, object) in &random.questions {
            let query = Query { subject: subject.object(), permission, object: object.object() };
            let check =
                |edges| world.graph.check(&query, LeafFacts::default(), &world.env, None, &mut Budget::edges(edges));
            let full = check(1_000_000);
            figures.count(as_answer(&full));
            for edges in [0, 1, 2, 3, 5, 8, 13, 21, 34] {
                let short = check(edges);
                let mut filter = world.graph.filter(query.subject, permission, &object.tenant, &world.env, None);
                let filtered = filter.check(&object.id, LeafFacts::default(), &mut Budget::edges(edges));
                let other = object.kind == "file" && filtered != full && filtered != Verdict::Unknown(Why::Budget);
                if other || (short != full && short != Verdict::Unknown(Why::Budget)) {
                    return Err(format!("{query:?} is {full:?}, with {edges} edges {short:?}, a filter {filtered:?}"));
                }
            }
        }
        Ok(())
    });
}

#[test]
fn m13_the_public_is_everybody() {
    law("m13_the_public_is_everybody", ALL, |random, figures| {
        let tenant = random.names.tenant(&mut random.rng);
        for at in 0..3 {
            let ((_, relation, object), terms) = random.new_tuple();
            let home = Who { tenant: tenant.to_owned(), ..object };
            let subject = Who::new(tenant, "user", ["stranger", "u", "nobody"][at]);
            let to_all = (Who::new(tenant, "*", "*"), relation.clone(), home.clone());
            let to_one = (subject.clone(), relation, home);
            if random.facts.tuples.contains_key(&to_all) || random.facts.tuples.contains_key(&to_one) {
                continue;
            }
            let granted = |identity: &(Who, String, Who)| {
                let mut facts = random.facts.clone();
                facts.tuples.insert(identity.clone(), terms.clone());
                World::of(&facts, None)
            };
            let mut questions: Vec<Question> =
                random.questions.iter().map(|(_, p, o)| (subject.clone(), p.clone(), o.clone())).collect();
            questions.push(to_one.clone());
            questions.push((subject.clone(), "read".to_owned(), to_one.2.clone()));
            same(&granted(&to_one), &granted(&to_all), &questions, &questions, figures)?;
        }
        Ok(())
    });
}

#[test]
fn m14_a_union_of_one_is_that_one() {
    law("m14_a_union_of_one_is_that_one", ALL, |random, figures| {
        let wrapped = with_rules(&random.facts, |rule| {
            let rule = if rule.is_array() { json!({"union": rule}) } else { rule.clone() };
            deep(&rule, &mut |inner| json!({"union": [inner]}))
        });
        same(&World::of(&random.facts, None), &World::of(&wrapped, None), &random.questions, &random.questions, figures)
    });
}
