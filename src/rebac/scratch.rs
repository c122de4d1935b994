//! A graph from plain text, without a store: names are interned here, tuples and rules take effect at once.
//!
//! For tests of rules, benchmarks and the command line. What a server would refuse is refused here in the same way:
//! malformed names, tuples across tenants, members of users, rules that contradict themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::model::{Change, Delta, EntityId, EntityRow, NamespaceRow, Rev, TupleRow, VirtualPath};
use crate::store::Projection as _;

use super::limits::NAME_BYTES_MAX;
use super::namespace::NamespaceError;
use super::{
    Budget, Caches, Env, Graph, LeafFacts, ObjectRef, Query, Verdict, Warning, default_namespace, is_readable_condition,
};

/// The tenant of a name that names none.
pub const TENANT: &str = "default";
/// Longest id, bytes, as the server has it.
const ID_BYTES_MAX: usize = 4096;

/// Text that is not what it should be: the text, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}': {reason}")]
pub struct ScratchError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

fn wrong(text: &str, reason: impl Into<String>) -> ScratchError {
    ScratchError { text: text.to_owned(), reason: reason.into() }
}

/// `[tenant|]type:id[#relation]`, `/path` for a file, `*` for everybody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    tenant: Option<String>,
    kind: String,
    id: String,
    set: Option<String>,
}

impl std::str::FromStr for Name {
    type Err = ScratchError;

    fn from_str(text: &str) -> Result<Self, ScratchError> {
        let named = text.split_once('|').filter(|(tenant, _)| !tenant.contains([':', '/', '*']));
        let (tenant, rest) = named.map_or((None, text), |(tenant, rest)| (Some(tenant.to_owned()), rest));
        let (whole, set) = match rest.rsplit_once('#').filter(|_| !rest.starts_with('/')) {
            Some((whole, set)) => (whole, Some(set.to_owned())),
            None => (rest, None),
        };
        let (kind, id) = match whole {
            "*" => ("*", "*"),
            path if path.starts_with('/') => ("file", path),
            other => other.split_once(':').ok_or_else(|| wrong(text, "an entity is type:id, e.g. user:alice"))?,
        };
        if [Some(kind), set.as_deref(), tenant.as_deref()].into_iter().flatten().any(|word| !is_word(word)) {
            return Err(wrong(text, format!("a type or relation has 1 to {NAME_BYTES_MAX} bytes without controls")));
        }
        if id.is_empty() || id.len() > ID_BYTES_MAX || id.contains('\0') {
            return Err(wrong(text, format!("an id has 1 to {ID_BYTES_MAX} bytes without NUL")));
        }
        if (kind == "*") != (id == "*") {
            return Err(wrong(text, "this means nobody; everybody is '*'"));
        }
        let id = if kind == "file" && id.starts_with('/') {
            VirtualPath::parse(id).map_err(|e| wrong(text, e.to_string()))?.as_str().to_owned()
        } else {
            id.to_owned()
        };
        Ok(Self { tenant, kind: kind.to_owned(), id, set })
    }
}

fn is_word(word: &str) -> bool {
    !word.trim().is_empty() && word.len() <= NAME_BYTES_MAX && !word.chars().any(char::is_control)
}

impl Name {
    fn object(&self) -> ObjectRef<'_> {
        ObjectRef { tenant: self.tenant(), kind: &self.kind, id: &self.id }
    }

    fn tenant(&self) -> &str {
        self.tenant.as_deref().unwrap_or(TENANT)
    }

    fn is_everybody(&self) -> bool {
        self.kind == "*"
    }
}

/// Three words: `subject relation object` or `subject permission object`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    subject: Name,
    word: String,
    object: Name,
}

impl Line {
    fn parse(text: &str) -> Result<Self, ScratchError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [subject, word, object] = words.as_slice() else {
            return Err(wrong(text, "three words are wanted: subject relation object"));
        };
        if !is_word(word) {
            return Err(wrong(text, format!("a relation has 1 to {NAME_BYTES_MAX} bytes without controls")));
        }
        let name = |part: &str| part.parse::<Name>().map_err(|e| wrong(text, e.to_string()));
        let (subject, object) = (name(subject)?, name(object)?);
        if object.is_everybody() || object.set.is_some() {
            return Err(wrong(text, "an object is neither everybody nor a userset"));
        }
        Ok(Self { subject, word: (*word).to_owned(), object })
    }

    /// What a server refuses to write.
    fn as_tuple(text: &str) -> Result<Self, ScratchError> {
        let line = Self::parse(text)?;
        let Self { subject, word, object } = &line;
        if subject.is_everybody() && subject.set.is_some() {
            return Err(wrong(text, "everybody has no members"));
        }
        if word == "member" && matches!(object.kind.as_str(), "user" | "agent") {
            return Err(wrong(text, format!("a {} has no members; make a group and grant to it", object.kind)));
        }
        let shared = word.starts_with("shared-") && !subject.is_everybody();
        if subject.tenant() != object.tenant() && !shared {
            return Err(wrong(text, "only shared-* relations cross tenants"));
        }
        Ok(line)
    }
}

/// What a tuple says beside who, what and on whom.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extra {
    /// When it ends, Unix time, µs.
    pub expires_at_us: Option<i64>,
    /// Its condition.
    pub condition: Option<Value>,
}

/// A graph under construction.
#[derive(Debug, Clone)]
pub struct Scratch {
    graph: Graph,
    ids: BTreeMap<(String, String, String), EntityId>,
    owners: BTreeMap<Name, EntityId>,
    caches: Arc<Caches>,
    rev: Rev,
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Scratch {
    /// The built-in rules and nobody.
    #[must_use]
    pub fn new() -> Self {
        Self {
            graph: Graph::new(),
            ids: BTreeMap::new(),
            owners: BTreeMap::new(),
            caches: Arc::new(Caches::new()),
            rev: 0,
        }
    }

    /// The graph as it is now.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    fn commit(&mut self, changes: &[Change]) {
        self.rev += 1;
        for change in changes {
            self.graph.apply(change, self.rev);
        }
        self.graph.publish(self.rev);
    }

    fn intern(&mut self, name: &Name, changes: &mut Vec<Change>) -> EntityId {
        let key = (name.tenant().to_owned(), name.kind.clone(), name.id.clone());
        if let Some(id) = self.ids.get(&key) {
            return *id;
        }
        let id = EntityId::try_from(self.ids.len() + 1).expect("fewer names than there is memory for");
        let (tenant, kind, text) = key.clone();
        changes.push(Change::Entity(Delta::insert(EntityRow { id, tenant, kind, name: text })));
        self.ids.insert(key, id);
        id
    }

    /// Puts rules in force. Returns what in them is hardly meant.
    pub fn namespace(&mut self, kind: &str, config: &Value) -> Result<Vec<Warning>, NamespaceError> {
        let warnings = self.graph.validate_namespace(kind, config)?;
        self.put_namespace(kind, Some(config));
        Ok(warnings)
    }

    /// Puts several types in force that may refer to each other, and looks at each beside all others. By type.
    pub fn namespaces<'n>(
        &mut self,
        rules: impl IntoIterator<Item = (&'n str, &'n Value)>,
    ) -> Vec<(String, Result<Vec<Warning>, NamespaceError>)> {
        let rules: BTreeMap<&str, &Value> = rules.into_iter().collect();
        let (mut readable, broken): (Vec<_>, Vec<_>) =
            rules.into_iter().partition(|(_, config)| super::namespace::validate(config).is_ok());
        for (kind, config) in &readable {
            self.put_namespace(kind, Some(config));
        }
        let look = |graph: &Graph, kind: &str, config| (kind.to_owned(), graph.validate_namespace(kind, config));
        let mut reports: Vec<_> = broken.iter().map(|(kind, config)| look(&self.graph, kind, config)).collect();
        // A ring is the fault of the type with the exclusion, and of no other.
        let blamed = |(kind, report): &(String, Result<_, NamespaceError>)| {
            let place = report.as_ref().err().and_then(NamespaceError::place);
            place.is_some_and(|place| place.strip_prefix(kind.as_str()).is_some_and(|rest| rest.starts_with(' ')))
        };
        while let Some(at) = readable.iter().position(|(kind, config)| blamed(&look(&self.graph, kind, config))) {
            let (kind, config) = readable.remove(at);
            reports.push(look(&self.graph, kind, config));
            self.put_namespace(kind, None);
        }
        reports.extend(readable.iter().map(|(kind, config)| look(&self.graph, kind, config)));
        reports.sort_by(|a, b| a.0.cmp(&b.0));
        reports
    }

    fn put_namespace(&mut self, kind: &str, config: Option<&Value>) {
        let row = |config: &Value| NamespaceRow {
            namespace_id: kind.to_owned(),
            object_type: kind.to_owned(),
            config: config.to_string(),
            created_at_us: 0,
            updated_at_us: 0,
        };
        let delta = match config {
            Some(config) => Delta::insert(row(config)),
            None => Delta::delete(row(default_namespace(kind).unwrap_or(&Value::Null))),
        };
        self.commit(&[Change::Namespace(delta)]);
    }

    /// Writes the tuple `subject relation object`, or replaces what the one that says the same has beside.
    pub fn grant(&mut self, line: &str, extra: Extra) -> Result<(), ScratchError> {
        let condition = extra.condition.map(|condition| condition.to_string());
        if condition.as_deref().is_some_and(|condition| !is_readable_condition(condition)) {
            return Err(wrong(line, "its condition cannot be read"));
        }
        self.grant_unread(line, extra.expires_at_us, condition)
    }

    /// As [`grant`](Self::grant), with a condition that nobody has looked at: what a damaged row holds.
    pub fn grant_unread(
        &mut self,
        line: &str,
        expires_at_us: Option<i64>,
        condition: Option<String>,
    ) -> Result<(), ScratchError> {
        let tuple = Line::as_tuple(line)?;
        let fits = [Some(&tuple.word), tuple.subject.set.as_ref()].into_iter().flatten();
        if fits.into_iter().any(|name| !self.graph.can_intern_relation(name)) {
            return Err(wrong(line, "there is no room for another relation name"));
        }
        let mut changes = Vec::new();
        let row = TupleRow {
            tuple_id: line.to_owned(),
            object: self.intern(&tuple.object, &mut changes),
            relation: tuple.word,
            subject: self.intern(&tuple.subject, &mut changes),
            subject_relation: tuple.subject.set.clone(),
            created_at_us: 0,
            expires_at_us,
            condition,
            created_by: "scratch".into(),
            rev: self.rev + 1,
        };
        changes.push(Change::Tuple(Delta::insert(row)));
        self.commit(&changes);
        Ok(())
    }

    /// Makes `subject` the owner of the file, as whoever creates one is: no tuple says so.
    pub fn own(&mut self, file: &str, subject: &str) -> Result<(), ScratchError> {
        let (file, subject): (Name, Name) = (file.parse()?, subject.parse()?);
        let mut changes = Vec::new();
        let owner = self.intern(&subject, &mut changes);
        self.owners.insert(file, owner);
        self.commit(&changes);
        Ok(())
    }

    /// Decides `subject permission object`: without caches, with cold and with warm ones, which never differ.
    pub fn ask(&self, line: &str, env: &Env) -> Result<Verdict, ScratchError> {
        let asked = Line::parse(line)?;
        if asked.subject.set.is_some() {
            return Err(wrong(line, "a question is about one subject, not about a userset"));
        }
        let query = Query { subject: asked.subject.object(), permission: &asked.word, object: asked.object.object() };
        let leaf = LeafFacts { owner: self.owners.get(&asked.object).copied() };
        let decide = |caches| self.graph.check(&query, leaf, env, caches, &mut Budget::request());
        let plain = decide(None);
        for _ in 0..2 {
            let cached = decide(Some(&*self.caches));
            if cached != plain {
                return Err(wrong(
                    line,
                    format!("with caches the engine says {cached:?}, without {plain:?}: a defect"),
                ));
            }
        }
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn env(now_us: i64) -> Env {
        Env { now_us, context: None }
    }

    #[test]
    fn tuples_take_effect_and_end() {
        let mut scratch = Scratch::new();
        scratch.grant("group:eng direct_viewer /proj", Extra::default()).expect("a tuple");
        let ends = Extra { expires_at_us: Some(10), condition: None };
        scratch.grant("user:bob member group:eng", ends).expect("a tuple");
        let read = |now| scratch.ask("user:bob read file:/proj/a.txt", &env(now));
        assert_eq!((read(9), read(10)), (Ok(Verdict::Allow), Ok(Verdict::Deny)));
        assert_eq!(scratch.ask("acme|user:bob read /proj/a.txt", &env(0)), Ok(Verdict::Deny));
    }

    #[test]
    fn the_owner_of_a_file_has_no_tuple() {
        let mut scratch = Scratch::new();
        scratch.own("/a/f", "user:alice").expect("names");
        assert_eq!(scratch.ask("user:alice execute /a/f", &env(0)), Ok(Verdict::Allow));
        assert_eq!(scratch.ask("user:alice read /a", &env(0)), Ok(Verdict::Deny));
    }

    #[test]
    fn what_a_server_refuses_is_refused() {
        let mut scratch = Scratch::new();
        for line in [
            "user:a viewer",
            "user:a viewer memory:m more",
            "alice viewer memory:m",
            "user:a viewer *",
            "user:a viewer group:g#member",
            "*#member viewer memory:m",
            "user:* viewer memory:m",
            "group:*#member viewer memory:m",
            "user:a member user:b",
            "user:a member agent:b",
            "user:a direct_viewer /a/../b",
            "acme|user:a viewer memory:m",
            "acme|* shared-viewer /a",
            "user:a# viewer memory:m",
        ] {
            assert!(scratch.grant(line, Extra::default()).is_err(), "{line}");
        }
        let condition = Extra { expires_at_us: None, condition: Some(json!({"moon": "full"})) };
        assert!(scratch.grant("user:a viewer memory:m", condition).is_err());
        scratch.grant("acme|user:a shared-viewer /a", Extra::default()).expect("a share");
        assert_eq!(scratch.ask("acme|user:a read /a", &env(0)), Ok(Verdict::Allow));
        assert!(scratch.ask("group:g#member read /a", &env(0)).is_err());
    }

    #[test]
    fn rules_that_refer_to_each_other_are_looked_at_together() {
        let folder = json!({"relations": {"reader": {}}, "permissions": {"read": ["reader"]}});
        let through = json!({"tupleToUserset": {"tupleset": "parent", "computedUserset": "reader"}});
        let doc = json!({"relations": {"parent": {}, "up": through}, "permissions": {"read": ["up"]}});
        let broken = json!({"relations": {"x": {"nand": []}}, "permissions": {}});
        let ring = json!({"relations": {"x": {"exclusion": "x"}}, "permissions": {}});
        let mut scratch = Scratch::new();
        let reports = scratch.namespaces([("doc", &doc), ("folder", &folder), ("ring", &ring), ("x", &broken)]);
        assert!(matches!(&reports[2], (kind, Err(NamespaceError::NegativeCycle { .. })) if kind == "ring"));
        assert_eq!(reports[0], ("doc".to_owned(), Ok(Vec::new())));
        assert_eq!(reports[1], ("folder".to_owned(), Ok(Vec::new())));
        assert!(matches!(&reports[3], (kind, Err(NamespaceError::UnknownOperator { .. })) if kind == "x"));
        scratch.grant("doc:1 parent folder:f", Extra::default()).expect("a tuple");
        scratch.grant("user:a reader folder:f", Extra::default()).expect("a tuple");
        assert_eq!(scratch.ask("user:a read doc:1", &env(0)), Ok(Verdict::Allow));
    }
}
