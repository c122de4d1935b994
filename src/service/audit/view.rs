//! What the audit shows of a changed row: which row, what became of it, and the fields that differ.
//!
//! Owns what is never shown: hashes of keys, rules, conditions, free texts and properties. Names of a row are those of
//! its revision; the subject and the object of a tuple have those of today, unless the same revision names them.

use serde::Serialize;
use serde_json::Value;

use crate::model::{Change, Delta, EntityId, EntityRow, NodeId, NodeRow, ROOT_NODE, Rev, TupleRow};
use crate::store::changelog::ChangelogRow;
use crate::store::{ReadTx, StoreError, entities, versions};

/// Changes that are shown of one revision.
pub const CHANGES_SHOWN_MAX: usize = 100;
/// Directories above a node that are looked up.
const DEPTH_MAX: usize = 4_096;
/// Fields whose values are not shown: secrets, bodies of rules, free texts.
const HIDDEN: &[&str] =
    &["hash", "hash_scheme", "config", "metadata", "description", "backend_config", "condition", "secret", "url"];
/// Fields that are numbers of the store.
const INTERNAL: &[&str] = &["id", "parent", "owner", "object", "subject", "rev"];

/// A field that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldView {
    /// Its name.
    pub field: String,
    /// The value before; `None` if it is not shown.
    pub before: Option<Value>,
    /// The value after; `None` if it is not shown.
    pub after: Option<Value>,
}

/// A changed row.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeView {
    /// `node`, `tuple`, `namespace`, `key`, `agent`, `workspace`, `mount`, `sandbox`, `snapshot` or `subscription`.
    pub kind: &'static str,
    /// `created`, `changed`, `moved` or `deleted`.
    pub action: &'static str,
    /// The tenant it belongs to; `None` if it holds for all, or is not known any more.
    pub tenant: Option<String>,
    /// Which: a path, `type:id`; of a tuple its object. `None` if it cannot be told any more.
    pub object: Option<String>,
    /// Where a node that was moved lay.
    pub from: Option<String>,
    /// Of a tuple: `subject relation`.
    pub grant: Option<String>,
    /// What differs.
    pub fields: Vec<FieldView>,
}

/// The changes of a row of the log, at most [`CHANGES_SHOWN_MAX`]; with `tenant` only those of rows that belong to it.
/// The numbers that the graph gives to names are no change that anybody made.
pub(in crate::service) fn views(
    tx: &ReadTx<'_>,
    row: &ChangelogRow,
    tenant: Option<&str>,
) -> Result<Vec<ChangeView>, StoreError> {
    let mut views = Vec::new();
    for change in &row.changes {
        let Some(view) = (Scene { tx, row }).view(change)? else { continue };
        if tenant.is_none_or(|own| view.tenant.as_deref() == Some(own)) {
            views.push(view);
        }
        if views.len() == CHANGES_SHOWN_MAX {
            break;
        }
    }
    Ok(views)
}

/// A row of the log, and where names are looked up.
struct Scene<'a, 't> {
    tx: &'a ReadTx<'t>,
    row: &'a ChangelogRow,
}

impl Scene<'_, '_> {
    fn view(&self, change: &Change) -> Result<Option<ChangeView>, StoreError> {
        Ok(Some(match change {
            Change::Entity(_) => return Ok(None),
            Change::Node(delta) => self.node(delta)?,
            Change::Tuple(delta) => self.tuple(delta)?,
            Change::Namespace(d) => view("namespace", d, |r| (None, format!("namespace:{}", r.object_type))),
            Change::Key(d) => view("key", d, |r| (Some(r.tenant.clone()), format!("key:{}", r.key_id))),
            Change::Agent(d) => view("agent", d, |r| (Some(r.tenant.clone()), format!("agent:{}", r.agent_id))),
            Change::Workspace(d) => view("workspace", d, |r| (Some(r.tenant.clone()), r.path.clone())),
            Change::Mount(d) => view("mount", d, |r| (Some(r.tenant.clone()), r.mount_point.clone())),
            Change::Sandbox(d) => view("sandbox", d, |r| (Some(r.tenant.clone()), format!("sandbox:{}", r.sandbox_id))),
            Change::Snapshot(d) => {
                view("snapshot", d, |r| (Some(r.tenant.clone()), format!("snapshot:{}#{}", r.path, r.number)))
            }
            Change::Memory(d) => view("memory", d, |r| (Some(r.tenant.clone()), format!("memory:{}", r.memory_id))),
            Change::Trajectory(d) => {
                view("trajectory", d, |r| (Some(r.tenant.clone()), format!("trajectory:{}", r.trajectory_id)))
            }
            // Of the tenant of who writes it: nobody else may.
            Change::TrajectoryNote(d) => view("trajectory_note", d, |r| {
                (Some(self.row.tenant.clone()), format!("trajectory:{}#{}", r.trajectory_id, r.number))
            }),
            Change::Playbook(d) => {
                view("playbook", d, |r| (Some(r.tenant.clone()), format!("playbook:{}", r.playbook_id)))
            }
            Change::Approval(d) => {
                view("approval", d, |r| (Some(r.tenant.clone()), format!("approval:{}", r.approval_id)))
            }
            Change::Quota(d) => view("quota", d, |r| (Some(r.tenant.clone()), format!("tenant:{}", r.tenant))),
            Change::Subscription(d) => {
                view("subscription", d, |r| (Some(r.tenant.clone()), format!("subscription:{}", r.subscription_id)))
            }
        }))
    }

    fn node(&self, delta: &Delta<NodeRow>) -> Result<ChangeView, StoreError> {
        let (now, then) = (self.row.rev, self.row.rev.saturating_sub(1));
        let before = delta.before.as_ref().map(|row| self.path(row, then)).transpose()?.flatten();
        let after = delta.after.as_ref().map(|row| self.path(row, now)).transpose()?.flatten();
        let mut view = view("node", delta, |row| (Some(row.tenant.clone()), String::new()));
        let moved =
            matches!((&delta.before, &delta.after), (Some(b), Some(a)) if b.parent != a.parent || b.name != a.name);
        if moved {
            view.action = "moved";
            view.from.clone_from(&before);
        }
        view.object = if delta.after.is_some() { after } else { before };
        Ok(view)
    }

    /// The path of a node at a revision, as far as the directories above are still known.
    fn path(&self, node: &NodeRow, rev: Rev) -> Result<Option<String>, StoreError> {
        let (mut names, mut at): (Vec<String>, NodeId) = (vec![node.name.clone()], node.parent);
        if node.id == ROOT_NODE {
            return Ok(Some("/".into()));
        }
        while at != ROOT_NODE {
            let Some((parent, name)) = versions::place_at(self.tx, at, rev)? else { return Ok(None) };
            names.push(name);
            if names.len() > DEPTH_MAX {
                return Ok(None);
            }
            at = parent;
        }
        Ok(Some(names.iter().rev().fold(String::new(), |path, name| path + "/" + name)))
    }

    fn tuple(&self, delta: &Delta<TupleRow>) -> Result<ChangeView, StoreError> {
        let Some(row) = delta.after.as_ref().or(delta.before.as_ref()) else {
            return Ok(view("tuple", delta, |_| (None, String::new())));
        };
        let (object, subject) = (self.entity(row.object)?, self.entity(row.subject)?);
        let set = row.subject_relation.as_ref().map_or_else(String::new, |relation| format!("#{relation}"));
        let mut view = view("tuple", delta, |_| (None, String::new()));
        view.tenant = object.as_ref().map(|entity| entity.tenant.clone());
        view.object = object.map(|entity| format!("{}:{}", entity.kind, entity.name));
        let subject = subject.map_or_else(|| "somebody".to_owned(), |e| format!("{}:{}", e.kind, e.name));
        view.grant = Some(format!("{subject}{set} {}", row.relation));
        Ok(view)
    }

    /// What an id names: as this revision has it, else as it is today.
    fn entity(&self, id: EntityId) -> Result<Option<EntityRow>, StoreError> {
        let named = self.row.changes.iter().find_map(|change| match change {
            Change::Entity(Delta { before, after }) => after.as_ref().or(before.as_ref()).filter(|row| row.id == id),
            _ => None,
        });
        match named {
            Some(row) => Ok(Some(row.clone())),
            None => entities::get(self.tx, id),
        }
    }
}

/// The view of a row that names itself.
fn view<T: Serialize>(
    kind: &'static str,
    delta: &Delta<T>,
    name: impl Fn(&T) -> (Option<String>, String),
) -> ChangeView {
    let action = match (&delta.before, &delta.after) {
        (None, _) => "created",
        (Some(_), Some(_)) => "changed",
        (Some(_), None) => "deleted",
    };
    let named = delta.after.as_ref().or(delta.before.as_ref()).map(name);
    let (tenant, object) = named.unwrap_or_default();
    ChangeView { kind, action, tenant, object: Some(object), from: None, grant: None, fields: fields(delta) }
}

/// The fields that differ between the row before and the row after; none of a row that came or went.
fn fields<T: Serialize>(delta: &Delta<T>) -> Vec<FieldView> {
    let object = |row: &Option<T>| row.as_ref().and_then(|row| serde_json::to_value(row).ok());
    let (Some(Value::Object(before)), Some(Value::Object(after))) = (object(&delta.before), object(&delta.after))
    else {
        return Vec::new();
    };
    let differs = |name: &String| after.get(name) != before.get(name) && !INTERNAL.contains(&name.as_str());
    let shown = |name: &str, row: &serde_json::Map<String, Value>| {
        (!HIDDEN.contains(&name)).then(|| row.get(name).cloned().unwrap_or(Value::Null))
    };
    let names = after.keys().filter(|name| differs(name));
    names
        .map(|name| FieldView { field: name.clone(), before: shown(name, &before), after: shown(name, &after) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{KeyRow, NamespaceRow};

    #[test]
    fn secrets_and_rules_are_named_and_not_shown() {
        let key = |hash: &str, name: &str| KeyRow {
            key_id: "k".into(),
            hash: hash.into(),
            hash_scheme: "s".into(),
            user_id: "u".into(),
            subject_type: "user".into(),
            subject_id: "u".into(),
            tenant: "t".into(),
            is_admin: false,
            is_instance_admin: false,
            inherit_permissions: false,
            name: name.into(),
            created_at_us: 0,
            expires_at_us: None,
            revoked_at_us: None,
        };
        let found = fields(&Delta::update(key("secret-1", "old"), key("secret-2", "new")));
        assert!(!format!("{found:?}").contains("secret"), "{found:?}");
        let names: Vec<&str> = found.iter().map(|field| field.field.as_str()).collect();
        assert_eq!(names, ["hash", "name"]);
        assert_eq!((&found[1].before, &found[1].after), (&Some("old".into()), &Some("new".into())));

        let rules = |config: &str| NamespaceRow {
            namespace_id: "n".into(),
            object_type: "doc".into(),
            config: config.into(),
            created_at_us: 0,
            updated_at_us: 0,
        };
        let found = fields(&Delta::update(rules("body one"), rules("body two")));
        assert!(found.len() == 1 && found[0].before.is_none() && found[0].after.is_none(), "{found:?}");
        assert!(fields(&Delta::insert(rules("body"))).is_empty());
    }
}
