//! `skills_list`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SkillRecord;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::skills;

/// The skills that the caller may read.
///
/// Sorted by tier (user, personal, tenant, system) and path; of several with one name the first. Complete and exact
/// as of the reply's revision: a SKILL.md is in it when its write was acknowledged.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SkillsList {
    /// Only this tier: `user`, `personal`, `tenant` or `system`. Another name has no skills.
    #[serde(default)]
    tier: Option<String>,
    /// Descriptions; otherwise names only.
    #[serde(default = "yes")]
    include_metadata: bool,
}

fn yes() -> bool {
    true
}

/// Skills.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SkillsListOutput {
    /// The skills.
    skills: SkillRows,
    /// How many.
    count: usize,
}

/// Descriptions, or names.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum SkillRows {
    /// With `include_metadata`.
    Skills(Vec<SkillRecord>),
    /// Without it.
    Names(Vec<String>),
}

impl Method for SkillsList {
    const NAME: &'static str = "skills_list";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::Indeterminate];
    const KEPT: bool = true;
    type Output = SkillsListOutput;

    async fn call(self, cx: &RequestContext) -> Result<SkillsListOutput, RpcError> {
        let skills = skills::list(&cx.call, self.tier.as_deref()).await?;
        let count = skills.len();
        let skills = if self.include_metadata {
            SkillRows::Skills(skills.into_iter().map(SkillRecord::from).collect())
        } else {
            SkillRows::Names(skills.into_iter().map(|skill| skill.row.name).collect())
        };
        Ok(SkillsListOutput { skills, count })
    }
}
