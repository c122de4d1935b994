//! `namespace_validate`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rebac::{NamespaceError, Warning};
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::namespaces::{self, Report};

/// Look at rules as `namespace_create` would, and write nothing.
///
/// Answers what would be refused and what is hardly meant, each with its place. Whether tuples are in the way is told
/// to the instance admin alone.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NamespaceValidate {
    /// The object type.
    object_type: String,
    /// The rules, as `namespace_create` has them.
    config: Value,
}

/// Something about rules.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Finding {
    /// What, as a name that stays the same over versions.
    kind: Value,
    /// Where, e.g. `relations.viewer.union[1]`; empty = the whole.
    place: String,
    /// What it means.
    message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReportView {
    /// Whether `namespace_create` would take them now.
    valid: bool,
    /// Why not.
    errors: Vec<Finding>,
    /// What is hardly meant.
    warnings: Vec<Finding>,
}

fn refused(error: &NamespaceError) -> Finding {
    let kind = match error {
        NamespaceError::UnknownOperator { .. } => "unknown_operator",
        NamespaceError::NegativeCycle { .. } => "negative_cycle",
        NamespaceError::TooLarge { .. } => "too_large",
        NamespaceError::TooManyRelations => "too_many_relations",
        _ => "malformed",
    };
    Finding {
        kind: kind.into(),
        place: error.place().unwrap_or_default().to_owned(),
        message: error.to_string(),
        hint: Some(error.hint()),
    }
}

impl From<Warning> for Finding {
    fn from(warning: Warning) -> Self {
        let kind = serde_json::to_value(warning.kind).unwrap_or_default();
        Self { kind, place: warning.place, message: warning.text, hint: None }
    }
}

impl From<Report> for ReportView {
    fn from(report: Report) -> Self {
        let mut errors: Vec<Finding> = report.error.iter().map(refused).collect();
        errors.extend(report.in_use.map(|message| Finding {
            kind: "in_use".into(),
            place: String::new(),
            message,
            hint: None,
        }));
        Self { valid: errors.is_empty(), errors, warnings: report.warnings.into_iter().map(Finding::from).collect() }
    }
}

impl Method for NamespaceValidate {
    const NAME: &'static str = "namespace_validate";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidParams];
    type Output = ReportView;

    async fn call(self, cx: &RequestContext) -> Result<ReportView, RpcError> {
        Ok(namespaces::validate(&cx.call, self.object_type, self.config).await?.into())
    }
}
