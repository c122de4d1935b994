//! `skills_create_from_content`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::CREATING;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::skills::making::{self, Wanted};

/// Make a skill whose body is a text.
///
/// As `skills_create`, with the text in the place of a template. What `metadata` holds becomes further fields of the
/// front matter, as text.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SkillsCreateFromContent {
    /// Letters, digits, `-` and `_`.
    name: String,
    /// What it is for.
    description: String,
    /// The body, Markdown.
    content: String,
    /// `agent`, `personal`, `user`, `tenant` or `system`.
    #[serde(default = "super::agent")]
    tier: String,
    /// Who wrote it.
    #[serde(default)]
    author: Option<String>,
    /// Where the text comes from. Kept, never fetched.
    #[serde(default)]
    source_url: Option<String>,
    /// Further fields.
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
}

/// The skill that was made.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SkillsCreateFromContentOutput {
    /// The path of its SKILL.md.
    skill_path: String,
    /// Its name.
    name: String,
    /// Where it lies: `personal`, `user`, `tenant` or `system`.
    tier: String,
    /// Where the text comes from.
    source_url: Option<String>,
}

impl Method for SkillsCreateFromContent {
    const NAME: &'static str = "skills_create_from_content";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = CREATING;
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = SkillsCreateFromContentOutput;

    async fn call(self, cx: &RequestContext) -> Result<SkillsCreateFromContentOutput, RpcError> {
        let tier = making::tier_of(&self.tier)?.name();
        let (name, source_url) = (self.name.clone(), self.source_url.clone());
        let output = move |path: &str| SkillsCreateFromContentOutput {
            skill_path: path.to_owned(),
            name: name.clone(),
            tier: tier.to_owned(),
            source_url: source_url.clone(),
        };
        let make = output.clone();
        cx.reply_if(move |paths: &Vec<String>| paths.first().map(|path| make(path)));
        let wanted = Wanted {
            name: self.name,
            description: self.description,
            tier: self.tier,
            author: self.author,
            source_url: self.source_url,
            metadata: self.metadata,
        };
        Ok(output(&making::create_with(&cx.call, wanted, &self.content).await?.path))
    }
}
