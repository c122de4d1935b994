//! `skills_publish`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CREATING;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::skills::{making, moving};

/// Put a copy of a skill into the folder of another tier.
///
/// Needs `read` on the skill and `write` on the folder; `system` needs the instance admin. Who may not write to the
/// tenant's folder may publish what was approved: exactly these files, once; what is made is then the reviewer's.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SkillsPublish {
    /// The skill.
    skill_name: String,
    /// Where it is: `agent`, `personal`, `user`, `tenant` or `system`.
    #[serde(default = "super::agent")]
    source_tier: String,
    /// Where to put it.
    #[serde(default = "tenant")]
    target_tier: String,
}

fn tenant() -> String {
    "tenant".to_owned()
}

/// The copy.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SkillsPublishOutput {
    /// The path of its SKILL.md.
    published_path: String,
    /// Its name.
    skill_name: String,
    /// Where it comes from: `personal`, `user`, `tenant` or `system`.
    source_tier: String,
    /// Where it lies now.
    target_tier: String,
}

impl Method for SkillsPublish {
    const NAME: &'static str = "skills_publish";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = CREATING;
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = SkillsPublishOutput;

    async fn call(self, cx: &RequestContext) -> Result<SkillsPublishOutput, RpcError> {
        let source_tier = making::tier_of(&self.source_tier)?.name();
        let target_tier = making::tier_of(&self.target_tier)?.name();
        let name = self.skill_name.clone();
        let output = move |path: &str| SkillsPublishOutput {
            published_path: path.to_owned(),
            skill_name: name.clone(),
            source_tier: source_tier.to_owned(),
            target_tier: target_tier.to_owned(),
        };
        let make = output.clone();
        cx.reply_if(move |paths: &Vec<String>| paths.first().map(|path| make(path)));
        let published = moving::publish(&cx.call, &self.skill_name, &self.source_tier, &self.target_tier).await?;
        Ok(output(&published.0.path))
    }
}
