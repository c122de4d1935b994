//! `skills_info`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SkillRecord;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::skills;

/// The skill that a name means for the caller.
///
/// Of several skills with one name it is the caller's own before the tenant's before everybody's. Only skills whose
/// SKILL.md the caller may read count.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SkillsInfo {
    /// The name in the front matter.
    skill_name: String,
}

/// A skill with what it needs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SkillsInfoOutput {
    /// The skill.
    #[serde(flatten)]
    skill: SkillRecord,
    /// Only if it needs any: the names of all skills to load, each after what it needs itself, and last its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_dependencies: Option<Vec<String>>,
    /// Only if there are any: names that it needs and that the caller has no skill for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing_dependencies: Vec<String>,
    /// Only if there is any: what agentskills.io minds about its SKILL.md, which is taken all the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    diagnostics: Vec<String>,
}

impl Method for SkillsInfo {
    const NAME: &'static str = "skills_info";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::Validation, ErrorCode::Indeterminate];
    type Output = SkillsInfoOutput;

    async fn call(self, cx: &RequestContext) -> Result<SkillsInfoOutput, RpcError> {
        let info = skills::info(&cx.call, &self.skill_name).await?;
        Ok(SkillsInfoOutput {
            skill: info.skill.into(),
            resolved_dependencies: info.resolved,
            missing_dependencies: info.missing,
            diagnostics: info.diagnostics,
        })
    }
}
