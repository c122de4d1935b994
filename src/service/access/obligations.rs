//! Column rules as a part of the decision: who is let in to a table by `dynamic_viewer` sees some of it.
//!
//! The grant binds: whoever has it, itself, through a group or as everybody, is shown what the rules show and never more,
//! whatever other way to the file there is. Several grants bind together. Admins, who read everything of their tenant,
//! are not bound. What cannot be decided or read is refused.

use serde_json::Value;

use super::{Access, FILE, Target, reason};
use crate::model::{EntityRow, TupleRow, VirtualPath};
use crate::rebac::{Graph, LeafFacts, ObjectRef, Verdict};
use crate::service::columns::ColumnRules;
use crate::service::names::EVERYBODY;
use crate::service::{Lacking, ServiceError};
use crate::store::{Sql, entities, tuples};

/// The relation of column rules on a table file.
pub const DYNAMIC_VIEWER: &str = "dynamic_viewer";
/// The relation by which groups have members.
const MEMBER: &str = "member";

impl<T: Sql> Access<'_, T> {
    /// The column rules that bind the caller on a file; `None` = it may be shown whole to whoever may read it.
    pub fn column_rules(&self, target: Target<'_>) -> Result<Option<ColumnRules>, ServiceError> {
        if self.unchecked || self.rules(target.tenant) {
            return Ok(None);
        }
        match self.inherited() {
            None => self.column_rules_of(&[self.subject()], target.tenant, target.path),
            Some(owner) => self.column_rules_of(&[self.subject(), owner], target.tenant, target.path),
        }
    }

    /// The column rules that bind any of these subjects on the file of `tenant` at `path`.
    pub fn column_rules_of(
        &self,
        subjects: &[ObjectRef<'_>],
        tenant: &str,
        path: &VirtualPath,
    ) -> Result<Option<ColumnRules>, ServiceError> {
        let object = ObjectRef { tenant, kind: FILE, id: path.as_str() };
        let graph = self.tx.view::<Graph>();
        // Hardly any file has such a grant: this costs every read next to nothing.
        if !graph.has_relation_on(object, DYNAMIC_VIEWER) {
            return Ok(None);
        }
        let Some(object) = graph.entity(object) else { return Ok(None) };
        let live = |row: &TupleRow| row.expires_at_us.is_none_or(|at| self.env.now_us < at);
        let mut binding: Option<ColumnRules> = None;
        for row in tuples::on_object(self.tx, object)? {
            if row.relation != DYNAMIC_VIEWER || !live(&row) {
                continue;
            }
            let Some(named) = entities::get(self.tx, row.subject)? else {
                return Err(undecided(path, "nobody is named"));
            };
            for subject in subjects {
                match self.is_in(*subject, &named, row.subject_relation.as_deref()) {
                    Verdict::Deny => continue,
                    Verdict::Allow => {}
                    Verdict::Unknown(why) => return Err(undecided(path, &reason(&why))),
                }
                let rules = stored(&row).ok_or_else(|| undecided(path, "the stored column rules cannot be read"))?;
                binding = Some(binding.map_or_else(|| rules.clone(), |known| known.and(&rules)));
                break;
            }
        }
        Ok(binding)
    }

    /// Whether a subject is the one that a tuple names, or one of those that it names together.
    fn is_in(&self, subject: ObjectRef<'_>, named: &EntityRow, relation: Option<&str>) -> Verdict {
        let entity = ObjectRef { tenant: &named.tenant, kind: &named.kind, id: &named.name };
        let everybody = named.kind == EVERYBODY && named.tenant == subject.tenant;
        if relation.is_none() && (entity == subject || everybody) {
            return Verdict::Allow;
        }
        self.relation(subject, relation.unwrap_or(MEMBER), entity, LeafFacts::default(), None)
    }

    /// Refuses to hand out a file as it is to a caller who may see some columns of it.
    pub fn require_whole(&self, target: Target<'_>) -> Result<(), ServiceError> {
        match self.column_rules(target)? {
            None => Ok(()),
            Some(_) => Err(ServiceError::PermissionDenied {
                message: format!(
                    "Access denied: User '{}' is shown only some columns of '{}', and not the file as it is",
                    self.caller.user, target.path
                ),
                hint: "read it with `read` or `read_with_dynamic_viewer`, which leave the other columns out".into(),
                lacking: Lacking::new("read", format_args!("{FILE}:{}", target.path)),
            }),
        }
    }

    /// Refuses to move, delete or restore what is at or below `path` to a caller who may see only some columns of a table
    /// there: it would come back, or where it goes he would rule, without what binds him.
    pub fn require_whole_below(&self, path: &VirtualPath) -> Result<(), ServiceError> {
        if self.unchecked || !self.tx.view::<Graph>().knows_relation(DYNAMIC_VIEWER) {
            return Ok(());
        }
        for entity in entities::at_or_below(self.tx, path)? {
            let below = VirtualPath::parse(&entity.name).map_err(|reason| ServiceError::path(&entity.name, reason))?;
            self.require_whole(Target { path: &below, node: None, tenant: &entity.tenant })?;
        }
        Ok(())
    }
}

/// The rules in a tuple's condition.
fn stored(row: &TupleRow) -> Option<ColumnRules> {
    let condition: Value = serde_json::from_str(row.condition.as_deref()?).ok()?;
    let known = condition.get("type").and_then(Value::as_str) == Some(DYNAMIC_VIEWER);
    ColumnRules::parse(condition.get("column_config").filter(|_| known)?).ok()
}

/// As a tuple's condition.
#[must_use]
pub fn condition(columns: &Value) -> String {
    serde_json::json!({ "type": DYNAMIC_VIEWER, "column_config": columns }).to_string()
}

fn undecided(path: &VirtualPath, reason: &str) -> ServiceError {
    let (permission, path) = ("read".to_owned(), path.as_str().to_owned());
    ServiceError::Indeterminate { permission, path, reason: reason.to_owned() }
}
