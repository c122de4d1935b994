//! `skills_fork`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CREATING;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::skills::{making, moving};

/// Make a skill of another name out of one that the caller may read, with all its files.
///
/// The copy says in `forked_from` what it comes from. Where it may lie: as for `skills_create`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SkillsFork {
    /// The skill.
    source_name: String,
    /// The name of the copy.
    target_name: String,
    /// `agent`, `personal`, `user`, `tenant` or `system`.
    #[serde(default = "super::agent")]
    tier: String,
    /// Who wrote the copy; else who wrote the skill.
    #[serde(default)]
    author: Option<String>,
}

/// The copy.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SkillsForkOutput {
    /// The path of its SKILL.md.
    forked_path: String,
    /// The skill.
    source_name: String,
    /// Its name.
    target_name: String,
    /// Where it lies: `personal`, `user`, `tenant` or `system`.
    tier: String,
}

impl Method for SkillsFork {
    const NAME: &'static str = "skills_fork";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = CREATING;
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = SkillsForkOutput;

    async fn call(self, cx: &RequestContext) -> Result<SkillsForkOutput, RpcError> {
        let tier = making::tier_of(&self.tier)?.name();
        let (source, target) = (self.source_name.clone(), self.target_name.clone());
        let output = move |path: &str| SkillsForkOutput {
            forked_path: path.to_owned(),
            source_name: source.clone(),
            target_name: target.clone(),
            tier: tier.to_owned(),
        };
        let make = output.clone();
        cx.reply_if(move |paths: &Vec<String>| paths.first().map(|path| make(path)));
        let made = moving::fork(&cx.call, &self.source_name, &self.target_name, &self.tier, self.author).await?;
        Ok(output(&made.path))
    }
}
