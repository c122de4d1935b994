//! `skills_import`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CREATING;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::skills::moving::{self, Imported};

/// Put the skills of an archive into the folder of a tier, all or none.
///
/// A ZIP with a directory for each skill and its SKILL.md in it; the directory has the skill's name. Limits: 2,000
/// entries, 64 MiB inflated, 16 MiB a file, 8 directories deep, 512 files written at once; links, absolute names and
/// names that differ in case only are refused. What the standard minds is taken and told in `diagnostics`. The tier
/// `user`, the default, and `agent` are the caller's own folder; rights as for `skills_create`. Overwriting makes next
/// versions and removes nothing.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SkillsImport {
    /// The archive, base64.
    zip_data: String,
    /// `user`, `personal`, `agent`, `tenant` or `system`.
    #[serde(default = "user")]
    tier: String,
    /// Whether skills that are there get next versions.
    #[serde(default)]
    allow_overwrite: bool,
}

fn user() -> String {
    "user".to_owned()
}

/// What was imported.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SkillsImportOutput {
    /// The names.
    imported_skills: Vec<String>,
    /// The directories, with a slash at the end.
    skill_paths: Vec<String>,
    /// Where they lie: `personal`, `tenant` or `system`.
    tier: String,
    /// Only if there is any: what the standard minds, by skill.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    diagnostics: BTreeMap<String, Vec<String>>,
}

impl From<Imported> for SkillsImportOutput {
    fn from(imported: Imported) -> Self {
        Self {
            imported_skills: imported.names,
            skill_paths: imported.paths,
            tier: imported.tier.name().to_owned(),
            diagnostics: imported.diagnostics.into_iter().collect(),
        }
    }
}

impl Method for SkillsImport {
    const NAME: &'static str = "skills_import";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = CREATING;
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = SkillsImportOutput;

    async fn call(self, cx: &RequestContext) -> Result<SkillsImportOutput, RpcError> {
        let opened = moving::open(&cx.call, self.zip_data, &self.tier, self.allow_overwrite).await?;
        let said = opened.said.clone();
        let output = move |paths: &Vec<String>| SkillsImportOutput::from(said.imported(paths));
        cx.reply_with(output.clone());
        Ok(output(&opened.put(&cx.call).await?))
    }
}
