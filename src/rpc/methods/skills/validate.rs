//! `skills_validate`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::skills::{self, strict};

/// Whether a skill is one by the rules of agentskills.io, in the words of the reference validator.
///
/// Of a skill that the caller may read, by its name, or of the text of a SKILL.md. These rules are stricter than what
/// is taken here.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SkillsValidate {
    /// A skill.
    #[serde(default)]
    skill_name: Option<String>,
    /// Or the text of a SKILL.md.
    #[serde(default)]
    content: Option<String>,
    /// For a text: the name of the directory it is to lie in; without one that rule is left out.
    #[serde(default)]
    directory: Option<String>,
}

/// A rule that is broken.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SkillFinding {
    /// In the words of the reference.
    message: String,
    /// The line of the file, from 1.
    line: Option<usize>,
}

/// What is said of a skill.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SkillsValidateOutput {
    /// Whether it breaks no rule.
    valid: bool,
    /// The rules that it breaks.
    errors: Vec<SkillFinding>,
}

impl Method for SkillsValidate {
    const NAME: &'static str = "skills_validate";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::Validation, ErrorCode::Indeterminate];
    type Output = SkillsValidateOutput;

    async fn call(self, cx: &RequestContext) -> Result<SkillsValidateOutput, RpcError> {
        let found = match (self.skill_name, self.content) {
            (Some(name), None) => skills::validate(&cx.call, &name).await?,
            (None, Some(text)) => strict::validate(&text, self.directory.as_deref()),
            _ => return Err(RpcError::invalid_params("either skill_name or content")),
        };
        let finding = |f: strict::Finding| SkillFinding { message: f.message, line: f.line };
        let errors: Vec<_> = found.into_iter().map(finding).collect();
        Ok(SkillsValidateOutput { valid: errors.is_empty(), errors })
    }
}
