//! Skills, one method a file.

mod decision;

pub mod approve;
pub mod create;
pub mod create_from_content;
pub mod create_from_file;
pub mod export;
pub mod fork;
pub mod import;
pub mod info;
pub mod list;
pub mod list_approvals;
pub mod publish;
pub mod reject;
pub mod search;
pub mod submit_approval;
pub mod validate;
pub mod validate_zip;

pub use approve::SkillsApprove;
pub use create::SkillsCreate;
pub use create_from_content::SkillsCreateFromContent;
pub use create_from_file::SkillsCreateFromFile;
pub use export::SkillsExport;
pub use fork::SkillsFork;
pub use import::SkillsImport;
pub use info::SkillsInfo;
pub use list::SkillsList;
pub use list_approvals::SkillsListApprovals;
pub use publish::SkillsPublish;
pub use reject::SkillsReject;
pub use search::SkillsSearch;
pub use submit_approval::SkillsSubmitApproval;
pub use validate::SkillsValidate;
pub use validate_zip::SkillsValidateZip;

use schemars::JsonSchema;
use serde::Serialize;

use crate::rpc::ErrorCode;

use crate::service::skills::Skill;

/// What the making of a skill may be refused with.
const CREATING: &[ErrorCode] = &[
    ErrorCode::Validation,
    ErrorCode::InvalidPath,
    ErrorCode::PermissionDenied,
    ErrorCode::Precondition,
    ErrorCode::Indeterminate,
    ErrorCode::StorageFull,
];

/// The tier of who names none.
fn agent() -> String {
    "agent".to_owned()
}

/// A skill, as its SKILL.md describes it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SkillRecord {
    /// Its name.
    name: String,
    /// What it is for.
    description: String,
    /// Its version, as written.
    version: Option<String>,
    /// Who wrote it.
    author: Option<String>,
    /// Where it comes from: `user`, `personal`, `tenant` or `system`.
    tier: String,
    /// The path of its SKILL.md.
    file_path: String,
    /// The names of the skills it needs.
    requires: Vec<String>,
    /// As written, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    /// As written, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    modified_at: Option<String>,
}

impl From<Skill> for SkillRecord {
    fn from(skill: Skill) -> Self {
        let row = skill.row;
        Self {
            name: row.name,
            description: row.description,
            version: row.version,
            author: row.author,
            tier: skill.tier.name().to_owned(),
            file_path: skill.path,
            requires: row.requires,
            created_at: row.created_at,
            modified_at: row.modified_at,
        }
    }
}
