//! `rebac_list_tuples`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::codec::WireTime;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::tuples::{self, NamedTuple, TupleFilter};

/// List relationship tuples.
///
/// Admins see those of their tenant, everybody else those on objects whose permissions they manage and those of
/// themselves and their agents. Tuples that have ended are left out. The creator of a file is its `direct_owner`
/// without a tuple of its own; it is listed as one, with an id of the form `owner-<number>`, where the filter names
/// the file or the user.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RebacListTuples {
    /// Of this subject: `[type, id]` or `[type, id, relation]`.
    #[serde(default)]
    subject: Option<Vec<String>>,
    /// With this relation.
    #[serde(default)]
    relation: Option<String>,
    /// On this object: `[type, id]`.
    #[serde(default)]
    object: Option<Vec<String>>,
    /// With one of these relations.
    #[serde(default)]
    relation_in: Option<Vec<String>>,
    /// Of subjects of this type.
    #[serde(default)]
    subject_type: Option<String>,
    /// Of subjects with this id.
    #[serde(default)]
    subject_id: Option<String>,
    /// On objects of this type.
    #[serde(default)]
    object_type: Option<String>,
    /// On objects with this id.
    #[serde(default)]
    object_id: Option<String>,
}

/// A relationship tuple.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TupleView {
    /// Its id.
    tuple_id: String,
    /// Who: the type.
    subject_type: String,
    /// Who: the id.
    subject_id: String,
    /// For everybody who has this relation on the subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_relation: Option<String>,
    /// The relation.
    relation: String,
    /// On what: the type.
    object_type: String,
    /// On what: the id.
    object_id: String,
    /// When it was written.
    created_at: WireTime,
    /// When it ends; null = never.
    expires_at: Option<WireTime>,
    /// The tenant of the object.
    tenant_id: String,
}

impl From<NamedTuple> for TupleView {
    fn from(tuple: NamedTuple) -> Self {
        Self {
            tuple_id: tuple.tuple_id,
            subject_type: tuple.subject.kind,
            subject_id: tuple.subject.id,
            subject_relation: tuple.subject_relation,
            relation: tuple.relation,
            object_type: tuple.object.kind,
            object_id: tuple.object.id,
            created_at: WireTime::aware(tuple.created_at_us),
            expires_at: tuple.expires_at_us.map(WireTime::aware),
            tenant_id: tuple.tenant,
        }
    }
}

/// One filter from two ways to say it, which must not differ.
fn agreed(name: &str, one: Option<&String>, other: Option<String>) -> Result<Option<String>, RpcError> {
    match (one, other) {
        (Some(one), Some(other)) if *one != other => {
            Err(RpcError::invalid_params(format_args!("{name} is given twice: '{one}' and '{other}'")))
        }
        (Some(one), _) => Ok(Some(one.clone())),
        (None, other) => Ok(other),
    }
}

impl RebacListTuples {
    fn filter(self) -> Result<TupleFilter, RpcError> {
        if let Some(parts) = self.subject.as_ref().filter(|parts| !matches!(parts.len(), 2 | 3)) {
            super::grantee(parts)?;
        }
        if let Some(parts) = self.object.as_ref().filter(|parts| parts.len() != 2) {
            super::object(parts)?;
        }
        let (subject, object) = (self.subject.unwrap_or_default(), self.object.unwrap_or_default());
        let relations = match (self.relation, self.relation_in) {
            (Some(one), Some(many)) => Some(many.into_iter().filter(|r| *r == one).collect()),
            (Some(one), None) => Some(vec![one]),
            (None, many) => many,
        };
        Ok(TupleFilter {
            subject_type: agreed("subject_type", subject.first(), self.subject_type)?,
            subject_id: agreed("subject_id", subject.get(1), self.subject_id)?,
            subject_relation: subject.get(2).cloned(),
            relations,
            object_type: agreed("object_type", object.first(), self.object_type)?,
            object_id: agreed("object_id", object.get(1), self.object_id)?,
        })
    }
}

impl Method for RebacListTuples {
    const NAME: &'static str = "rebac_list_tuples";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath, ErrorCode::Precondition];
    type Output = Vec<TupleView>;

    async fn call(self, cx: &RequestContext) -> Result<Vec<TupleView>, RpcError> {
        let found = tuples::list(&cx.call, self.filter()?).await?;
        Ok(found.into_iter().map(TupleView::from).collect())
    }
}
