//! `skills_export`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::skills::moving;
use crate::service::skills::package::Format;

/// A skill as an archive.
///
/// A ZIP with the skill's directory and `manifest.json`; files that the caller may not read are not in it. `claude` has
/// the front matter as agentskills.io wants it, what it has no field for below `metadata`, and 8 MiB at most. With
/// `include_dependencies` all skills that it needs are in it; one that the caller has no skill for is an error.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SkillsExport {
    /// The skill.
    skill_name: String,
    /// `generic` or `claude`.
    #[serde(default = "generic")]
    format: String,
    /// Also what it needs.
    #[serde(default)]
    include_dependencies: bool,
}

fn generic() -> String {
    "generic".to_owned()
}

/// The archive.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SkillsExportOutput {
    /// The skill.
    skill_name: String,
    /// The archive, base64.
    zip_data: String,
    /// Its size, bytes.
    size_bytes: usize,
    /// A name for it.
    filename: String,
}

impl Method for SkillsExport {
    const NAME: &'static str = "skills_export";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::Validation, ErrorCode::Indeterminate, ErrorCode::Precondition, ErrorCode::ResultTooLarge];
    type Output = SkillsExportOutput;

    async fn call(self, cx: &RequestContext) -> Result<SkillsExportOutput, RpcError> {
        let Some(format) = Format::find(&self.format) else {
            let text = format!("Invalid format '{}'. Must be one of: generic, claude", self.format);
            return Err(RpcError::invalid_params(text));
        };
        let exported = moving::export(&cx.call, &self.skill_name, format, self.include_dependencies).await?;
        Ok(SkillsExportOutput {
            filename: format!("{}.skill", exported.name),
            skill_name: exported.name,
            size_bytes: exported.archive.len(),
            zip_data: STANDARD.encode(exported.archive),
        })
    }
}
