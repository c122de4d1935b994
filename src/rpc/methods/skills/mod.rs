//! Skills, one method a file.

pub mod info;
pub mod list;

pub use info::SkillsInfo;
pub use list::SkillsList;

use schemars::JsonSchema;
use serde::Serialize;

use crate::service::skills::Skill;

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
