//! `skills_create`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CREATING;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::skills::making::{self, Wanted};

/// Make a skill from a template.
///
/// Templates: `basic`, `data-analysis`, `code-generation`, `document-processing`, `api-integration`. The tier `agent`,
/// the default, is the caller's own folder, as is `personal`: a new skill there needs no grant. Elsewhere it needs
/// `write` on the folder, and `system` the instance admin. The caller owns what it makes.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SkillsCreate {
    /// Letters, digits, `-` and `_`.
    name: String,
    /// What it is for.
    description: String,
    /// The template.
    #[serde(default = "basic")]
    template: String,
    /// `agent`, `personal`, `user`, `tenant` or `system`.
    #[serde(default = "super::agent")]
    tier: String,
    /// Who wrote it.
    #[serde(default)]
    author: Option<String>,
}

fn basic() -> String {
    "basic".to_owned()
}

/// The skill that was made.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SkillsCreateOutput {
    /// The path of its SKILL.md.
    skill_path: String,
    /// Its name.
    name: String,
    /// Where it lies: `personal`, `user`, `tenant` or `system`.
    tier: String,
    /// The template.
    template: String,
}

impl Method for SkillsCreate {
    const NAME: &'static str = "skills_create";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = CREATING;
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = SkillsCreateOutput;

    async fn call(self, cx: &RequestContext) -> Result<SkillsCreateOutput, RpcError> {
        let tier = making::tier_of(&self.tier)?.name();
        let (name, template) = (self.name.clone(), self.template.clone());
        let output = move |path: &str| SkillsCreateOutput {
            skill_path: path.to_owned(),
            name: name.clone(),
            tier: tier.to_owned(),
            template: template.clone(),
        };
        let make = output.clone();
        cx.reply_if(move |paths: &Vec<String>| paths.first().map(|path| make(path)));
        let wanted = Wanted {
            name: self.name,
            description: self.description,
            tier: self.tier,
            author: self.author,
            ..Wanted::default()
        };
        Ok(output(&making::create(&cx.call, wanted, &self.template).await?.path))
    }
}
