//! Other names for tenants while a store is moved: wherever a row names one.
//!
//! Owns the list of what each text of each table may say of a tenant. Free texts (descriptions, metadata, conditions,
//! bodies) stay as they are. Invariants: a text column without an entry fails a test; two tenants never become one.

use crate::model::{Change, Delta, ROOT_NODE, VirtualPath};
use crate::store::tables::{Table, Value};
use crate::store::{changelog, digest, entities, meta};

/// What a directory of a tenant is called in `/`, before the tenant's name.
const DIRECTORY: &str = "tenant:";
/// The type of entities whose name is a tenant's.
const TENANT: &str = "tenant";

/// What a text says of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// It is the name of one.
    Tenant,
    /// It is a path, and `/tenant:<name>` may begin it.
    Path,
    /// It is the name of a node, and of one in `/` it may be `tenant:<name>`.
    Node,
    /// It is an id of the type that the named column holds.
    IdOf(&'static str),
    /// It is `type:id`.
    Typed,
    /// They are the rows of a change; both columns are one thing.
    Changes,
}

/// The text columns of each table that say something; the others of `SILENT` say nothing.
const SAYING: &[(&str, &str, Says)] = &[
    ("entities", "tenant", Says::Tenant),
    ("entities", "name", Says::IdOf("type")),
    ("nodes", "tenant", Says::Tenant),
    ("nodes", "name", Says::Node),
    ("versions", "name", Says::Node),
    ("skills", "path", Says::Path),
    ("tuples", "created_by", Says::Typed),
    ("api_keys", "subject_id", Says::IdOf("subject_type")),
    ("api_keys", "tenant", Says::Tenant),
    ("agents", "tenant", Says::Tenant),
    ("workspaces", "path", Says::Path),
    ("workspaces", "tenant", Says::Tenant),
    ("mounts", "mount_point", Says::Path),
    ("mounts", "tenant", Says::Tenant),
    ("sandboxes", "tenant", Says::Tenant),
    ("snapshots", "path", Says::Path),
    ("snapshots", "tenant", Says::Tenant),
    ("memories", "tenant", Says::Tenant),
    ("trajectories", "tenant", Says::Tenant),
    ("playbooks", "tenant", Says::Tenant),
    ("quotas", "tenant", Says::Tenant),
    ("subscriptions", "tenant", Says::Tenant),
    ("subscriptions", "subject_id", Says::IdOf("subject_type")),
    ("skill_approvals", "path", Says::Path),
    ("skill_approvals", "tenant", Says::Tenant),
    ("changelog", "actor", Says::Typed),
    ("changelog", "tenant", Says::Tenant),
    ("changelog", "before", Says::Changes),
    ("changelog", "after", Says::Changes),
    ("denials", "tenant", Says::Tenant),
    ("denials", "actor", Says::Typed),
    ("denials", "object", Says::Typed),
];

/// The text columns that say nothing of a tenant: types, relations, users (who are known within one), agents, free texts,
/// JSON of clients, times, ids by chance. Rows of `idempotency` do not travel to other names.
#[cfg(test)]
const SILENT: &[(&str, &[&str])] = &[
    ("meta", &["key", "value"]),
    ("entities", &["type"]),
    ("namespaces", &["type", "namespace_id", "config"]),
    ("nodes", &["mime", "created_by"]),
    ("versions", &["mime", "created_by", "source", "reason"]),
    ("skills", &["name", "description", "version", "author", "requires", "created_at", "modified_at"]),
    ("tuples", &["relation", "subject_relation", "tuple_id", "condition"]),
    ("api_keys", &["key_id", "hash", "hash_scheme", "user_id", "subject_type", "name"]),
    ("agents", &["agent_id", "user_id", "name", "description", "metadata"]),
    ("workspaces", &["scope", "name", "description", "created_by", "metadata", "session_id"]),
    ("mounts", &["mount_id", "backend_type", "backend_config", "owner", "description"]),
    ("sandboxes", &["sandbox_id", "name", "user_id", "agent_id", "provider", "template_id", "status"]),
    ("snapshots", &["snapshot_id", "description", "tags", "created_by", "manifest_hash"]),
    (
        "memories",
        &["memory_id", "user_id", "agent_id", "scope", "owner", "memory_type", "state", "namespace", "path_key"],
    ),
    (
        "trajectories",
        &["trajectory_id", "user_id", "agent_id", "task", "task_type", "status", "error_message", "relearn_reason"],
    ),
    ("trajectory_notes", &["trajectory_id", "note_id", "what", "type", "source", "message", "data"]),
    ("playbooks", &["playbook_id", "user_id", "agent_id", "scope", "owner", "name", "description", "content"]),
    (
        "subscriptions",
        &[
            "subscription_id",
            "url",
            "event_types",
            "patterns",
            "secret",
            "name",
            "description",
            "metadata",
            "created_by",
            "subject_type",
            "key_id",
        ],
    ),
    ("deliveries", &["subscription_id", "last_status", "last_error"]),
    (
        "skill_approvals",
        &["approval_id", "skill_name", "digest", "submitted_by", "reviewers", "comments", "status", "reviewed_by"],
    ),
    ("changelog", &["request_id", "op"]),
    ("idempotency", &["method", "reply"]),
    ("denials", &["method", "permission", "request_id"]),
];

/// Why a list of names cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TenantsError {
    /// It is not `a=b`.
    #[error("`{0}` is not of the form OLD=NEW, two names of tenants")]
    Form(String),
    /// It cannot be a name.
    #[error("`{0}` cannot be the name of a tenant: one to 200 characters without '/' and without control characters")]
    Name(String),
    /// It is named twice on the same side.
    #[error("`{0}` is named twice: two tenants cannot become one, nor one two")]
    Twice(String),
}

/// The names that change.
#[derive(Debug, Clone, Default)]
pub struct Tenants(Vec<Pair>);

#[derive(Debug, Clone)]
struct Pair {
    old: String,
    new: String,
    met: bool,
}

impl Tenants {
    /// Reads `old=new`, any number of them; they are done at once, so that two may exchange their names.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = &'a str>) -> Result<Self, TenantsError> {
        let mut known: Vec<Pair> = Vec::new();
        for text in pairs {
            let (old, new) = text.split_once('=').ok_or_else(|| TenantsError::Form(text.to_owned()))?;
            for name in [old, new] {
                let path = VirtualPath::parse(&format!("/{DIRECTORY}{name}"));
                let plain = path.is_ok_and(|path| path.named_tenant() == Some(name) && path.components().count() == 1);
                if !plain || name.chars().count() > 200 || name.chars().any(char::is_control) || name.trim() != name {
                    return Err(TenantsError::Name(name.to_owned()));
                }
            }
            if old == new {
                return Err(TenantsError::Form(text.to_owned()));
            }
            let twice = known.iter().find_map(|pair| {
                let same = [(&pair.old, old), (&pair.new, new)].into_iter().find(|(one, other)| *one == other);
                same.map(|(name, _)| name.clone())
            });
            if let Some(name) = twice {
                return Err(TenantsError::Twice(name));
            }
            known.push(Pair { old: old.to_owned(), new: new.to_owned(), met: false });
        }
        Ok(Self(known))
    }

    /// Whether nothing changes its name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first name that no row had.
    pub(super) fn unmet(&self) -> Option<&str> {
        self.0.iter().find(|pair| !pair.met).map(|pair| pair.old.as_str())
    }

    /// Renames in a row; whether the row travels. A name that is taken is an error.
    pub(super) fn apply(&mut self, table: &Table, values: &mut [Value]) -> Result<bool, String> {
        if self.is_empty() {
            return Ok(true);
        }
        // The keys of clients are known as hashes with the tenant in them, which cannot be made again; and a new tenant
        // of the old name must not be answered from them.
        if table.name == "idempotency" || is_fact(table, values, meta::IDEMPOTENCY_BYTES) {
            return Ok(false);
        }
        for (_, column, says) in SAYING.iter().filter(|(name, ..)| *name == table.name) {
            self.say(table, values, table.column(column), *says)?;
        }
        let text = |name: &str| match &values[table.column(name)] {
            Value::Text(Some(text)) => text.as_str(),
            _ => "",
        };
        let key = match table.name {
            "entities" => Some(entities::key(text("tenant"), text("type"), text("name"))),
            "workspaces" => Some(digest::key16(&[text("scope"), text("path")])),
            "snapshots" => Some(digest::key16(&[text("path")])),
            _ => None,
        };
        if let Some(key) = key {
            values[table.column("key")] = Value::Bytes(Some(key.to_vec()));
        }
        Ok(true)
    }

    fn say(&mut self, table: &Table, values: &mut [Value], at: usize, says: Says) -> Result<(), String> {
        if says == Says::Changes {
            // Once, with the first of the two.
            return if table.columns[at].name == "before" { self.changes(table, values) } else { Ok(()) };
        }
        let kind = match says {
            Says::IdOf(column) => match &values[table.column(column)] {
                Value::Text(Some(kind)) => kind.clone(),
                _ => String::new(),
            },
            _ => String::new(),
        };
        let root = i64::try_from(ROOT_NODE).unwrap_or_default();
        let in_root = says == Says::Node && values[table.column("parent")] == Value::Int(Some(root));
        let Value::Text(Some(text)) = &mut values[at] else { return Ok(()) };
        match says {
            Says::Changes => Ok(()),
            Says::Tenant => self.tenant(text),
            Says::Path => self.path(text),
            Says::Node if in_root => self.directory(text),
            Says::Node => Ok(()),
            Says::IdOf(_) => self.id(&kind, text),
            Says::Typed => self.typed(text),
        }
    }

    fn tenant(&mut self, text: &mut String) -> Result<(), String> {
        if let Some(pair) = self.0.iter_mut().find(|pair| pair.old == *text) {
            pair.met = true;
            text.clone_from(&pair.new);
            return Ok(());
        }
        if self.0.iter().any(|pair| pair.new == *text) {
            return Err(format!("the tenant `{text}` is there already: two tenants cannot become one"));
        }
        Ok(())
    }

    /// The name of a node in `/`.
    fn directory(&mut self, text: &mut String) -> Result<(), String> {
        let Some(tenant) = text.strip_prefix(DIRECTORY) else { return Ok(()) };
        let mut tenant = tenant.to_owned();
        self.tenant(&mut tenant)?;
        *text = format!("{DIRECTORY}{tenant}");
        Ok(())
    }

    fn path(&mut self, text: &mut String) -> Result<(), String> {
        let Some(below) = text.strip_prefix('/') else { return Ok(()) };
        let (first, rest) = below.split_at(below.find('/').unwrap_or(below.len()));
        let (mut first, rest) = (first.to_owned(), rest.to_owned());
        self.directory(&mut first)?;
        *text = format!("/{first}{rest}");
        Ok(())
    }

    /// An id of a type: the name of a tenant, or a path.
    fn id(&mut self, kind: &str, text: &mut String) -> Result<(), String> {
        if kind == TENANT { self.tenant(text) } else { self.path(text) }
    }

    fn typed(&mut self, text: &mut String) -> Result<(), String> {
        let Some((kind, id)) = text.split_once(':') else { return Ok(()) };
        let mut id = id.to_owned();
        self.id(kind, &mut id)?;
        *text = format!("{kind}:{id}");
        Ok(())
    }

    /// The rows before and after, of a row of the log.
    fn changes(&mut self, table: &Table, values: &mut [Value]) -> Result<(), String> {
        let (rev, before, after) = (table.column("rev"), table.column("before"), table.column("after"));
        let (Value::Int(Some(rev)), Value::Text(Some(b)), Value::Text(Some(a))) =
            (&values[rev], &values[before], &values[after])
        else {
            return Ok(());
        };
        let rev = u64::try_from(*rev).unwrap_or(0);
        let mut changes = changelog::decode(rev, b, a).map_err(|error| error.to_string())?;
        changes.iter_mut().try_for_each(|change| self.change(change))?;
        let (b, a) = changelog::encode(&changes);
        (values[before], values[after]) = (Value::Text(Some(b)), Value::Text(Some(a)));
        Ok(())
    }

    fn change(&mut self, change: &mut Change) -> Result<(), String> {
        fn each<T>(delta: &mut Delta<T>, f: impl FnMut(&mut T) -> Result<(), String>) -> Result<(), String> {
            delta.before.iter_mut().chain(delta.after.iter_mut()).try_for_each(f)
        }
        match change {
            Change::Entity(delta) => each(delta, |row| {
                self.tenant(&mut row.tenant)?;
                self.id(&row.kind, &mut row.name)
            }),
            Change::Tuple(delta) => each(delta, |row| self.typed(&mut row.created_by)),
            Change::Node(delta) => each(delta, |row| {
                self.tenant(&mut row.tenant)?;
                if row.parent == ROOT_NODE { self.directory(&mut row.name) } else { Ok(()) }
            }),
            Change::Namespace(_) => Ok(()),
            Change::Key(delta) => each(delta, |row| {
                self.tenant(&mut row.tenant)?;
                self.id(&row.subject_type, &mut row.subject_id)
            }),
            Change::Agent(delta) => each(delta, |row| self.tenant(&mut row.tenant)),
            Change::Workspace(delta) => each(delta, |row| {
                self.tenant(&mut row.tenant)?;
                self.path(&mut row.path)
            }),
            Change::Mount(delta) => each(delta, |row| {
                self.tenant(&mut row.tenant)?;
                self.path(&mut row.mount_point)
            }),
            Change::Sandbox(delta) => each(delta, |row| self.tenant(&mut row.tenant)),
            Change::Snapshot(delta) => each(delta, |row| {
                self.tenant(&mut row.tenant)?;
                self.path(&mut row.path)
            }),
            Change::Memory(delta) => each(delta, |row| self.tenant(&mut row.tenant)),
            Change::Trajectory(delta) => each(delta, |row| self.tenant(&mut row.tenant)),
            Change::TrajectoryNote(_) => Ok(()),
            Change::Playbook(delta) => each(delta, |row| self.tenant(&mut row.tenant)),
            Change::Quota(delta) => each(delta, |row| self.tenant(&mut row.tenant)),
            Change::Subscription(delta) => each(delta, |row| {
                self.tenant(&mut row.tenant)?;
                self.id(&row.subject_type, &mut row.subject_id)
            }),
            Change::Approval(delta) => each(delta, |row| {
                self.tenant(&mut row.tenant)?;
                self.path(&mut row.path)
            }),
        }
    }
}

/// Whether a row is this fact of `meta`.
pub(super) fn is_fact(table: &Table, values: &[Value], key: &str) -> bool {
    table.name == "meta" && matches!(&values[0], Value::Text(Some(text)) if text == key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tables::{Kind, TABLES};

    #[test]
    fn every_text_of_every_table_has_been_thought_of() {
        for table in TABLES {
            for column in table.columns.iter().filter(|column| column.kind == Kind::Text) {
                let says = SAYING.iter().filter(|(t, c, _)| (*t, *c) == (table.name, column.name)).count();
                let silent = SILENT.iter().filter(|(t, c)| *t == table.name && c.contains(&column.name)).count();
                assert_eq!(says + silent, 1, "{}.{}: what does it say of a tenant?", table.name, column.name);
            }
        }
        let known = |name: &str, column: &str| {
            Table::named(name).is_some_and(|table| table.columns.iter().any(|known| known.name == column))
        };
        assert!(SAYING.iter().all(|(table, column, _)| known(table, column)));
        assert!(SILENT.iter().all(|(table, columns)| columns.iter().all(|column| known(table, column))));
    }

    #[test]
    fn names_change_where_they_stand_and_nowhere_else() {
        let mut tenants = Tenants::parse(["a=b", "c=a"]).expect("two pairs");
        let mut check = |kind: &str, text: &str, wanted: &str| {
            let mut given = text.to_owned();
            tenants.id(kind, &mut given).expect(text);
            assert_eq!(given, wanted, "{kind} {text}");
        };
        check("file", "/tenant:a", "/tenant:b");
        check("file", "/tenant:a/x/tenant:a", "/tenant:b/x/tenant:a");
        check("file", "/tenant:ab/x", "/tenant:ab/x");
        check("file", "/x/tenant:a", "/x/tenant:a");
        check("tenant", "a", "b");
        check("user", "a", "a");
        check("tenant", "c", "a");
        let mut typed = String::from("file:/tenant:c/y");
        tenants.typed(&mut typed).expect("typed");
        assert_eq!(typed, "file:/tenant:a/y");
        assert!(tenants.tenant(&mut String::from("b")).is_err(), "it is taken");
        assert!(tenants.path(&mut String::from("/tenant:b/x")).is_err(), "it is taken");
        assert_eq!(tenants.unmet(), None);
        assert_eq!(Tenants::parse(["x=y"]).expect("a pair").unmet(), Some("x"));
    }

    #[test]
    fn lists_that_cannot_be_meant_are_refused() {
        for list in [&["a"][..], &["a="], &["=a"], &["a=b/c"], &["a=b", "a=c"], &["a=c", "b=c"], &["a=a"], &["a= b"]] {
            assert!(Tenants::parse(list.iter().copied()).is_err(), "{list:?}");
        }
        assert!(Tenants::parse(["a=b", "b=a"]).is_ok(), "they exchange their names");
    }
}
