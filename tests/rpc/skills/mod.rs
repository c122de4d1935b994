//! Skills.

// Submissions, decisions, and what an approval is good for.
mod approvals;
mod create;
// Archives that mean harm.
mod evil;
mod info;
// Import, export, and looking into archives.
mod import;
mod list;
// Fork, publish, search.
mod moving;
mod validate;

use super::write;
use crate::harness::world::{Who, World};

/// A SKILL.md.
pub(crate) fn skill(name: &str, more: &str) -> String {
    format!("---\nname: {name}\ndescription: What {name} is for\n{more}---\n\n# {name}\n")
}

/// Writes the skill `name` into `folder`.
pub(crate) async fn put(world: &World, who: Who, folder: &str, name: &str, more: &str) {
    write(world, who, &format!("{folder}/{name}/SKILL.md"), &skill(name, more)).await;
}

/// The folders of the tiers, for alice.
pub(crate) const PERSONAL: &str = "/tenant:default/user:alice/skill";
pub(crate) const TENANT: &str = "/tenant:default/skill";
pub(crate) const SYSTEM: &str = "/skill";
