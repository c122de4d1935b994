//! Random facts and questions: few names that collide often, and ids that look like parts of each other.
//!
//! Everything follows from one number. Knows the oracle's plain data only.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::oracle::{Facts, Identity, Terms, Who};

/// A number that leads to the next (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0 to `end - 1`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).expect("64 bits")).expect("below a usize")
    }

    pub(crate) fn between(&mut self, from: usize, to: usize) -> usize {
        from + self.below(to - from + 1)
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    pub(crate) fn one_of<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        (1..list.len()).for_each(|i| list.swap(i, self.below(i + 1)));
    }
}

/// The time of every case, and when its tuples may end.
pub(crate) const NOW: i64 = 1_000;
const TENANTS: &[&str] = &["t", "t:a", "ta"];
/// Types beside `file`, `user` and `group`.
const KINDS: &[&str] = &["doc", "do", "doc:a", "team", "skill"];
const IDS: &[&str] = &["a", "a:b", "a#member", "*", "é", "e\u{301}", "a|b", "a@b", "%", "_", "a/", "a\0", "\\0", "ab."];
const USERS: &[&str] = &["u", "u:1", "u1", "*", "é"];
const COMPONENTS: &[&str] = &["a", "b", "ab", "a.b", "a_b", "%", "é", "e\u{301}", "a:b", "*"];
const RELATIONS: &[&str] =
    &["direct_viewer", "direct_owner", "viewer", "editor", "member", "banned", "shared-viewer", "folder", "view"];
const CONDITIONS: &[&str] = &[
    r#"{"attributes":{"team":"red"}}"#,
    r#"{"attributes":{"team":"blue"}}"#,
    r#"{"attributes":{"team":"red"},"allowed_ips":["10.0.0.1"]}"#,
    r#"{"allowed_ips":["10.0.0.2","10.0.0.1"]}"#,
    r#"{"type":"dynamic_viewer","column_config":{}}"#,
    r#"{"unheard_of":1}"#,
    "{",
];

/// What a family of cases is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// Types and rules of all operators.
    Free,
    /// The default namespaces, random trees.
    Defaults,
    /// Files with names that read themselves above, or nearly.
    Inheriting,
    /// As `Free`, with many tuples.
    Crowded,
}

/// The names of one case.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    flavour: Flavour,
    tenants: Vec<&'static str>,
    kinds: Vec<&'static str>,
    relations: Vec<&'static str>,
    ids: Vec<&'static str>,
    paths: Vec<String>,
}

impl Names {
    pub(crate) fn new(flavour: Flavour, rng: &mut Rng) -> Self {
        let mut kinds = vec!["file", "group"];
        let others = match flavour {
            Flavour::Defaults => &["skill", "memory", "tenant"],
            _ => KINDS,
        };
        for _ in 0..rng.between(1, 3) {
            let kind = rng.pick(others);
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        let mut relations = match flavour {
            Flavour::Defaults => vec![
                "direct_owner",
                "direct_editor",
                "direct_viewer",
                "shared-viewer",
                "shared-editor",
                "shared-owner",
                "member",
                "member",
                "admin",
                "owner",
                "editor",
                "viewer",
                "tenant",
                "public",
                "parent",
            ],
            _ => RELATIONS.to_vec(),
        };
        relations.push("parent");
        let mut ids = IDS.to_vec();
        rng.shuffle(&mut ids);
        ids.truncate(rng.between(3, 5));
        let mut paths = vec!["/".to_owned(), "x".to_owned()];
        for _ in 0..rng.between(4, 9) {
            let above = rng.one_of(&paths).clone();
            let above = if above == "x" || above == "/" { "" } else { &above };
            paths.push(format!("{above}/{}", rng.pick(COMPONENTS)));
        }
        Self { flavour, tenants: TENANTS[..rng.between(2, 3)].to_vec(), kinds, relations, ids, paths }
    }

    /// Mostly the first tenant.
    pub(crate) fn tenant(&self, rng: &mut Rng) -> &'static str {
        if rng.chance(85) { self.tenants[0] } else { rng.pick(&self.tenants) }
    }

    pub(crate) fn relation(&self, rng: &mut Rng) -> &'static str {
        rng.pick(&self.relations)
    }

    /// A type whose namespace may be stored.
    pub(crate) fn kind(&self, rng: &mut Rng) -> &'static str {
        rng.pick(&self.kinds)
    }

    /// An object: of any type but people, most often a file.
    pub(crate) fn object(&self, rng: &mut Rng) -> Who {
        let tenant = self.tenant(rng);
        match rng.below(100) {
            0..45 => Who::new(tenant, "file", self.path(rng)),
            45..70 => Who::new(tenant, "group", self.id(rng)),
            _ => self.of_kind(tenant, self.kind(rng), rng),
        }
    }

    fn of_kind(&self, tenant: &str, kind: &str, rng: &mut Rng) -> Who {
        if kind == "file" { Who::new(tenant, kind, self.path(rng)) } else { Who::new(tenant, kind, self.id(rng)) }
    }

    pub(crate) fn path(&self, rng: &mut Rng) -> &str {
        &self.paths[rng.below(self.paths.len())]
    }

    fn id(&self, rng: &mut Rng) -> &'static str {
        rng.pick(&self.ids)
    }

    pub(crate) fn user(&self, rng: &mut Rng) -> Who {
        let tenant = self.tenant(rng);
        Who::new(tenant, "user", rng.pick(USERS))
    }

    fn public(&self, rng: &mut Rng) -> Who {
        Who::new(self.tenant(rng), "*", "*")
    }

    /// Whoever a question may be about: mostly somebody whom a tuple names.
    pub(crate) fn asker(&self, facts: &Facts, rng: &mut Rng) -> Who {
        match rng.below(20) {
            0 => self.public(rng),
            1 => Who::new(self.tenant(rng), "user", "stranger"),
            2 => self.object(rng),
            3..7 => self.user(rng),
            _ => {
                let people: Vec<_> = facts.tuples.keys().map(|(s, _, _)| s).filter(|s| s.kind == "user").collect();
                if people.is_empty() { self.user(rng) } else { people[rng.below(people.len())].plain() }
            }
        }
    }

    /// What a question may be about: mostly something that a tuple names, now and then what none does.
    pub(crate) fn asked(&self, facts: &Facts, rng: &mut Rng) -> (Who, String) {
        let tuple = facts.tuples.keys().nth(rng.below(facts.tuples.len().max(1)));
        let named = tuple.filter(|_| rng.chance(60)).map(|(_, _, o)| o.clone());
        let mut object = named.unwrap_or_else(|| self.object(rng));
        match rng.below(20) {
            0..3 if object.kind == "file" => object.id = format!("{}/new", object.id.trim_end_matches('/')),
            3 => object.tenant = "nowhere".to_owned(),
            _ => {}
        }
        let name = match rng.below(10) {
            0..4 => "read",
            4..6 => tuple.map_or("viewer", |(_, relation, _)| relation),
            _ => self.relation(rng),
        };
        (object, name.to_owned())
    }

    pub(crate) fn terms(&self, rng: &mut Rng) -> Terms {
        let expires = rng.chance(20).then(|| NOW - 2 + i64::try_from(rng.below(5)).expect("small"));
        let condition = rng.chance(10).then(|| rng.pick(CONDITIONS).to_owned());
        Terms { expires, condition }
    }

    /// Half of the tuples are of the kinds that meet each other: memberships and grants.
    pub(crate) fn identity(&self, rng: &mut Rng) -> Identity {
        let userset = |who: Who, set: &str| Who { set: Some(set.to_owned()), ..who };
        match rng.below(100) {
            0..25 => {
                let group = |rng: &mut Rng| Who::new(self.tenant(rng), "group", self.id(rng));
                let subject = match rng.below(10) {
                    0 => self.public(rng),
                    1..6 => self.user(rng),
                    _ => userset(group(rng), "member"),
                };
                (subject, "member".to_owned(), group(rng))
            }
            25..55 => {
                let subject = match rng.below(10) {
                    0 => self.public(rng),
                    1..3 => Who::new(self.tenant(rng), "group", self.id(rng)),
                    3..6 => userset(Who::new(self.tenant(rng), "group", self.id(rng)), "member"),
                    _ => self.user(rng),
                };
                let grants = ["direct_viewer", "direct_viewer", "direct_owner", "viewer", "shared-viewer"];
                let path = self.path(rng);
                (subject, rng.pick(&grants).to_owned(), Who::new(self.tenant(rng), "file", path))
            }
            _ => {
                let subject = match rng.below(10) {
                    0 => self.public(rng),
                    1..4 => self.user(rng),
                    4..7 => self.object(rng),
                    _ => userset(self.object(rng), self.relation(rng)),
                };
                (subject, self.relation(rng).to_owned(), self.object(rng))
            }
        }
    }

    /// A namespace for one of the types, as far as the flavour stores any.
    pub(crate) fn namespace(&self, rng: &mut Rng) -> Option<(&'static str, Value)> {
        let kind = self.kind(rng);
        let config = match self.flavour {
            Flavour::Defaults => return None,
            Flavour::Inheriting => return Some(("file", self.inheriting(rng))),
            // One that cannot be read.
            _ if rng.chance(1) => Value::Null,
            _ => self.config(rng),
        };
        Some((kind, config))
    }

    fn name(&self, rng: &mut Rng) -> Value {
        if rng.chance(10) { json!("read") } else { json!(self.relation(rng)) }
    }

    fn ttu(&self, rng: &mut Rng) -> Value {
        let tupleset = rng.pick(&["parent", "parent", "direct_viewer", "direct_owner", "folder", "member"]);
        json!({"tupleToUserset": {"tupleset": tupleset, "computedUserset": self.name(rng)}})
    }

    /// At most three operators deep; seven of ten are unions or lead through tuples.
    fn rule(&self, rng: &mut Rng, depth: usize) -> Value {
        let operands = |rng: &mut Rng, from: usize| {
            let count = rng.between(from, 3);
            (0..count).map(|_| self.operand(rng, depth + 1)).collect::<Vec<_>>()
        };
        match rng.below(100) {
            0..50 => json!({"union": operands(rng, 0)}),
            50..70 => self.ttu(rng),
            70..80 => json!({"intersection": operands(rng, 1)}),
            80..90 => json!({"exclusion": self.operand(rng, depth + 1)}),
            _ => json!({"computed_userset": {"relation": self.name(rng)}}),
        }
    }

    fn operand(&self, rng: &mut Rng, depth: usize) -> Value {
        if depth >= 3 || rng.chance(75) { self.name(rng) } else { self.rule(rng, depth) }
    }

    fn config(&self, rng: &mut Rng) -> Value {
        let section = |count: usize, rng: &mut Rng, names: &dyn Fn(&mut Rng) -> String| {
            let mut rules = Map::new();
            for _ in 0..count {
                let rule = if rng.chance(25) { json!({}) } else { self.rule(rng, 0) };
                rules.insert(names(rng), rule);
            }
            Value::Object(rules)
        };
        let (relations, permissions) = (rng.between(1, 6), rng.between(0, 2));
        let relations = section(relations, rng, &|rng| self.relation(rng).to_owned());
        let permissions = section(permissions, rng, &|rng| rng.pick(&["read", "viewer", "member"]).to_owned());
        json!({"relations": relations, "permissions": permissions})
    }

    /// A namespace like that of files: names that read themselves above, wrapped in more or fewer unions.
    fn inheriting(&self, rng: &mut Rng) -> Value {
        let above = |name: &str| json!({"tupleToUserset": {"tupleset": "parent", "computedUserset": name}});
        let leaf = |rng: &mut Rng| {
            let count = rng.between(1, 3);
            let leaves = ["direct_viewer", "direct_owner", "shared-viewer", "editor", "folder", "groups"];
            (0..count).map(|_| json!(rng.pick(&leaves))).collect::<Vec<_>>()
        };
        let (mut viewer, mut editor) = (leaf(rng), leaf(rng));
        viewer.push(if rng.chance(50) { json!({"union": [above("viewer")]}) } else { above("viewer") });
        editor.push(above(if rng.chance(25) { "viewer" } else { "editor" }));
        json!({
            "relations": {
                "viewer": {"union": viewer}, "editor": {"union": editor}, "folder": {},
                "groups": {"tupleToUserset": {"tupleset": "direct_viewer", "computedUserset": "member"}},
            },
            "permissions": {"read": ["viewer", "editor"], "banned": ["read", "direct_viewer"]},
        })
    }

    pub(crate) fn context(rng: &mut Rng) -> Map<String, Value> {
        let mut context = Map::new();
        if rng.chance(60) {
            context.insert("team".to_owned(), json!(rng.pick(&["red", "blue"])));
        }
        if rng.chance(40) {
            context.insert("ip".to_owned(), json!(rng.pick(&["10.0.0.1", "10.0.0.2"])));
        }
        context
    }

    /// Tuples under the namespaces given.
    pub(crate) fn facts(&self, namespaces: &BTreeMap<String, Value>, rng: &mut Rng) -> Facts {
        let count = match self.flavour {
            Flavour::Crowded => rng.between(25, 120),
            _ => rng.between(1, 24),
        };
        let tuples = (0..count).map(|_| (self.identity(rng), self.terms(rng))).collect();
        Facts { tuples, namespaces: namespaces.clone(), now: NOW, context: Self::context(rng) }
    }

    /// A file that a user owns by column.
    pub(crate) fn owned(&self, rng: &mut Rng) -> (Who, Who) {
        (Who::new(self.tenants[0], "file", self.path(rng)), self.user(rng))
    }
}
