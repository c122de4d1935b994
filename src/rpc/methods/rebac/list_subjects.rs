//! `rebac_list_subjects`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::object;
use crate::rebac::{Everybody, SubjectName};
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::subjects::{self, SubjectsAnswer, SubjectsRequest, told};

/// List the subjects of a type who have a permission on an object.
///
/// Exactly those for whom `rebac_check` says yes: by relations alone, through groups of any depth, shares and
/// directories. For whoever manages the permissions of the object. Where everybody of a tenant has it (it is public, or
/// a rule with an exclusion lets everybody in), `everybody` says so and names the exceptions; `subjects` then names
/// those whom tuples name beside. Who came in by a share has the `tenant_id` of his own tenant.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RebacListSubjects {
    /// A permission or a relation of the object's type, e.g. `read`.
    permission: String,
    /// `[type, id]`; the id of type `file` is an absolute virtual path.
    object: Vec<String>,
    /// The type of the subjects. Default: `user`.
    #[serde(default)]
    subject_type: Option<String>,
    /// The tenant of an object that is no file. Default: the caller's.
    #[serde(default)]
    tenant_id: Option<String>,
}

/// Who has a permission on an object.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SubjectsView {
    /// Those whom tuples name and who have it, by tenant, type and id.
    pub(super) subjects: Vec<SubjectView>,
    /// What whoever is not named gets, by tenant; empty = nothing.
    pub(super) everybody: Vec<EverybodyView>,
    /// Those of whom it cannot be said.
    pub(super) undecided: Vec<UndecidedSubject>,
    /// Whether that is all.
    pub(super) complete: bool,
    /// Why it may not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// The revision it is of.
    pub(super) revision: u64,
}

/// A subject and its tenant.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SubjectView {
    /// `[type, id]`.
    subject: (String, String),
    /// The tenant it lives in.
    tenant_id: String,
}

/// A whole tenant.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EverybodyView {
    /// The tenant; null = all that no other entry names.
    tenant_id: Option<String>,
    /// `yes`, `no` or `unknown`.
    answer: &'static str,
    /// For `unknown`: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Its subjects that do not have it.
    except: Vec<SubjectView>,
}

/// A subject of whom it cannot be said.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UndecidedSubject {
    /// `[type, id]`.
    subject: (String, String),
    /// The tenant it lives in.
    tenant_id: String,
    /// Why.
    reason: String,
}

impl From<SubjectName> for SubjectView {
    fn from(name: SubjectName) -> Self {
        Self { subject: (name.kind, name.id), tenant_id: name.tenant }
    }
}

impl From<Everybody> for EverybodyView {
    fn from(everybody: Everybody) -> Self {
        let (answer, reason) = told(&everybody.verdict);
        let except = everybody.except.into_iter().map(SubjectView::from).collect();
        Self { tenant_id: everybody.tenant, answer, reason, except }
    }
}

impl From<SubjectsAnswer> for SubjectsView {
    fn from(answer: SubjectsAnswer) -> Self {
        let undecided = answer.undecided.into_iter().map(|(name, reason)| {
            let SubjectView { subject, tenant_id } = name.into();
            UndecidedSubject { subject, tenant_id, reason }
        });
        Self {
            subjects: answer.subjects.into_iter().map(SubjectView::from).collect(),
            everybody: answer.everybody.into_iter().map(EverybodyView::from).collect(),
            undecided: undecided.collect(),
            complete: answer.cut_short.is_none(),
            reason: answer.cut_short,
            revision: answer.rev,
        }
    }
}

impl Method for RebacListSubjects {
    const NAME: &'static str = "rebac_list_subjects";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied];
    type Output = SubjectsView;

    async fn call(self, cx: &RequestContext) -> Result<SubjectsView, RpcError> {
        let request = SubjectsRequest {
            permission: self.permission,
            object: object(&self.object)?,
            kind: Some(self.subject_type.unwrap_or_else(|| "user".into())),
            tenant: self.tenant_id,
        };
        Ok(subjects::list(&cx.call, request).await?.into())
    }
}
