//! Namespaces, read: the rules per object type, stored or built in, and what is wrong or odd about some that are not.
//!
//! They hold for every tenant, so everybody who is known reads them. Counts of tuples are for the instance admin alone:
//! they would tell of other tenants.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use crate::auth::Caller;
use crate::model::NamespaceRow;
use crate::rebac::{Graph, InUse, Losing, NamespaceError, Warning, WarningKind, default_namespace, default_namespaces};
use crate::service::access::{Access, FILE};
use crate::service::names::{EVERYBODY, check_word};
use crate::service::{Call, Lacking, ServiceError};
use crate::store::{Sql, StoreError, namespaces, nodes};

/// The relation that the owner column of a file stands for.
const DIRECT_OWNER: &str = "direct_owner";
/// Names in use that a refusal lists.
const IN_USE_SHOWN: usize = 5;

/// The rules of one type.
#[derive(Debug, Clone, PartialEq)]
pub struct NamespaceInfo {
    /// The id that clients know; `builtin-<type>` for built-in rules.
    pub namespace_id: String,
    /// The type.
    pub object_type: String,
    /// The rules, as they were put.
    pub config: Value,
    /// When they were first put, Unix time, µs; `None` = built in.
    pub created_at_us: Option<i64>,
    /// When they were last put, Unix time, µs; `None` = built in.
    pub updated_at_us: Option<i64>,
}

impl NamespaceInfo {
    /// Whether nobody has stored them.
    #[must_use]
    pub fn builtin(&self) -> bool {
        self.created_at_us.is_none()
    }

    fn stored(row: NamespaceRow) -> Result<Self, ServiceError> {
        let config = serde_json::from_str(&row.config).map_err(|e| {
            ServiceError::from(StoreError::Corrupt { what: format!("the namespace of '{}': {e}", row.object_type) })
        })?;
        Ok(Self {
            namespace_id: row.namespace_id,
            object_type: row.object_type,
            config,
            created_at_us: Some(row.created_at_us),
            updated_at_us: Some(row.updated_at_us),
        })
    }

    fn default(object_type: &str, config: &Value) -> Self {
        Self {
            namespace_id: format!("builtin-{object_type}"),
            object_type: object_type.to_owned(),
            config: config.clone(),
            created_at_us: None,
            updated_at_us: None,
        }
    }
}

/// All rules in force, by type: the stored ones, and the built-in ones where none are stored.
pub async fn list(call: &Call) -> Result<Vec<NamespaceInfo>, ServiceError> {
    let caller = call.caller.clone();
    call.read(move |tx| {
        Access::new(tx, &caller, None)?;
        let builtin =
            default_namespaces().map(|(kind, config)| (kind.to_owned(), NamespaceInfo::default(kind, config)));
        let mut found: BTreeMap<String, NamespaceInfo> = builtin.collect();
        let mut rows = Vec::new();
        namespaces::each(tx, |row| rows.push(row))?;
        for row in rows {
            found.insert(row.object_type.clone(), NamespaceInfo::stored(row)?);
        }
        Ok(found.into_values().collect())
    })
    .await
}

/// The rules of a type in force, if it has any.
pub async fn get(call: &Call, object_type: String) -> Result<Option<NamespaceInfo>, ServiceError> {
    let caller = call.caller.clone();
    call.read(move |tx| {
        Access::new(tx, &caller, None)?;
        match namespaces::current(tx, &object_type)? {
            Some(row) => NamespaceInfo::stored(row).map(Some),
            None => Ok(default_namespace(&object_type).map(|config| NamespaceInfo::default(&object_type, config))),
        }
    })
    .await
}

/// What would happen if rules were put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Why they are refused: their form, or a ring through an exclusion.
    pub error: Option<NamespaceError>,
    /// What is hardly meant.
    pub warnings: Vec<Warning>,
    /// Why they are refused: tuples that would lose their meaning. For the instance admin alone.
    pub in_use: Option<String>,
}

/// Looks at rules as a put would, and writes nothing.
pub async fn validate(call: &Call, object_type: String, config: Value) -> Result<Report, ServiceError> {
    check_type(&object_type)?;
    let caller = call.caller.clone();
    call.read_slow(move |tx| {
        let access = Access::new(tx, &caller, None)?;
        let graph = tx.view::<Graph>();
        let mut warnings = match graph.validate_namespace(&object_type, &config) {
            Ok(warnings) => warnings,
            Err(error) => return Ok(Report { error: Some(error), warnings: Vec::new(), in_use: None }),
        };
        if !access.is_instance_admin() || access.caller().agent.is_some() {
            return Ok(Report { error: None, warnings, in_use: None });
        }
        with_tuples(graph, &object_type, &config, tx.now_us(), &mut warnings)?;
        let losing = losing(graph, &object_type, Some(&config))?;
        let in_use = match refuse_orphans(tx, &object_type, &losing, true) {
            Err(ServiceError::Precondition(text)) => Some(text),
            other => other.map(|()| None)?,
        };
        Ok(Report { error: None, warnings, in_use })
    })
    .await
}

/// What stored tuples add to the warnings, and take from them. Visits the whole graph: for readers.
pub(in crate::service) fn with_tuples(
    graph: &Graph,
    object_type: &str,
    config: &Value,
    now_us: i64,
    warnings: &mut Vec<Warning>,
) -> Result<(), ServiceError> {
    if warnings.iter().any(|w| w.kind == WarningKind::UnusedRelation) {
        let granted = graph.uses(object_type, now_us).relations;
        let granted: HashSet<&str> = granted.iter().map(|used| used.name.as_str()).collect();
        warnings.retain(|w| w.kind != WarningKind::UnusedRelation || !granted.contains(w.name.as_str()));
    }
    let opening = graph.opening(object_type, config, now_us).map_err(|error| invalid(object_type, error))?;
    warnings.extend(opening.into_iter().map(|used| Warning {
        place: format!("relations.{}", used.name),
        kind: WarningKind::OpensSubjects,
        text: format!(
            "'{}' becomes a way from '{object_type}' to what a tuple names: tuples that are stored already begin to open \
             their subject, and whoever wrote them needed no right to it: {}",
            used.name,
            in_words(&used)
        ),
        name: used.name,
    }));
    Ok(())
}

/// Checks the type that rules are for.
pub(in crate::service) fn check_type(object_type: &str) -> Result<(), ServiceError> {
    check_word("object_type", "name", object_type)?;
    if object_type == EVERYBODY {
        return Err(ServiceError::InvalidParams("'*' is everybody and no type of objects".into()));
    }
    Ok(())
}

/// The caller, if it may change namespaces: the instance admin by its own key.
pub(in crate::service) fn require_instance_admin(tx: &impl Sql, caller: &Caller) -> Result<(), ServiceError> {
    let access = Access::new(tx, caller, None)?;
    if access.is_instance_admin() && access.caller().agent.is_none() {
        return Ok(());
    }
    Err(ServiceError::PermissionDenied {
        message:
            "Permission denied: namespaces and options hold for every tenant; only the instance admin changes them"
                .into(),
        hint: "use the key of the instance admin, which was made at the first start".into(),
        lacking: Lacking::new("instance_admin", "namespaces"),
    })
}

/// What the rules of `object_type` lose with `config`; `None` = they are deleted.
pub(in crate::service) fn losing(
    graph: &Graph,
    object_type: &str,
    config: Option<&Value>,
) -> Result<Losing, ServiceError> {
    graph.losing(object_type, config).map_err(|error| invalid(object_type, error))
}

/// The refusal of rules.
pub(in crate::service) fn invalid(object_type: &str, error: NamespaceError) -> ServiceError {
    ServiceError::Namespace { object_type: object_type.to_owned(), error }
}

/// Refuses a loss that live tuples, or the owners of files, would feel. Visits the whole graph: for readers.
pub(in crate::service) fn refuse_orphans(
    tx: &impl Sql,
    object_type: &str,
    losing: &Losing,
    replaced: bool,
) -> Result<(), ServiceError> {
    if losing.is_empty() {
        return Ok(());
    }
    refuse_owners(tx, object_type, losing)?;
    let in_use = tx.view::<Graph>().orphans(losing, tx.now_us());
    let as_relation = |used: &InUse| format!("relation '{}': {}", used.name, in_words(used));
    let as_set = |used: &InUse| format!("userset '{object_type}:…#{}': {}", used.name, in_words(used));
    let found = in_use.relations.iter().map(as_relation).chain(in_use.sets.iter().map(as_set));
    let found: Vec<String> = found.collect();
    if found.is_empty() {
        return Ok(());
    }
    let more = match found.len().saturating_sub(IN_USE_SHOWN) {
        0 => String::new(),
        more => format!("; and {more} names more"),
    };
    let (what, keep) = match replaced {
        true => ("the new rules", "keep these names in the rules"),
        false => ("deleting the namespace", "put a namespace that keeps these names"),
    };
    let shown: Vec<String> = found.into_iter().take(IN_USE_SHOWN).collect();
    Err(ServiceError::Precondition(format!(
        "{what} of '{object_type}' would take the meaning of live tuples: {}{more}. Either {keep}, or write these grants \
         anew with other names and delete the old tuples first (rebac_list_tuples, rebac_delete)",
        shown.join("; ")
    )))
}

/// Refuses rules for files by which their owners would lose them: the owner of a file is a column and no tuple.
pub(in crate::service) fn refuse_owners(tx: &impl Sql, object_type: &str, losing: &Losing) -> Result<(), ServiceError> {
    if object_type == FILE && losing.relation(DIRECT_OWNER) && nodes::any_owned(tx)? {
        let text = "the new rules of 'file' would take the files from their owners: whoever made a file is its \
                    direct_owner. Keep the relation 'direct_owner' as {}, and a rule that reads it";
        return Err(ServiceError::Precondition(text.into()));
    }
    Ok(())
}

fn in_words(used: &InUse) -> String {
    match used.tuples {
        1 => used.example.clone(),
        many => format!("{many} tuples, e.g. {}", used.example),
    }
}
