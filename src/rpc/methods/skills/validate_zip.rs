//! `skills_validate_zip`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::skills::moving;

/// Whether an archive can be imported, and what is in it. Nothing is written.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SkillsValidateZip {
    /// The archive, base64.
    zip_data: String,
}

/// What is said of an archive.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SkillsValidateZipOutput {
    /// Whether it can be imported.
    valid: bool,
    /// The names of its skills.
    skills_found: Vec<String>,
    /// Why it cannot, if it cannot.
    errors: Vec<String>,
    /// What is odd about it.
    warnings: Vec<String>,
    /// Only if there is any: what the standard minds, by skill.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    diagnostics: BTreeMap<String, Vec<String>>,
}

impl Method for SkillsValidateZip {
    const NAME: &'static str = "skills_validate_zip";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = SkillsValidateZipOutput;

    async fn call(self, cx: &RequestContext) -> Result<SkillsValidateZipOutput, RpcError> {
        let mut output = SkillsValidateZipOutput {
            valid: false,
            skills_found: Vec::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
            diagnostics: BTreeMap::new(),
        };
        match moving::look(&cx.call, self.zip_data).await? {
            Err(error) => output.errors.push(error.to_string()),
            Ok(found) => {
                output.valid = found.errors.is_empty();
                output.errors = found.errors;
                output.warnings = found.warnings;
                for package in found.packages {
                    if !package.diagnostics.is_empty() {
                        output.diagnostics.insert(package.row.name.clone(), package.diagnostics);
                    }
                    output.skills_found.push(package.row.name);
                }
            }
        }
        Ok(output)
    }
}
