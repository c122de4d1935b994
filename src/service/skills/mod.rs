//! Skills: which there are, for whom, and which one a name means.
//!
//! Owns the tiers and their priority. The front matter was kept by the writer when the file was written, so a listing
//! is one query per tier and the READ filter, at one revision; a skill's file decides who may see it.

pub mod approvals;
pub mod approvals_ops;
pub mod archive;
pub mod compose;
pub mod front_matter;
pub mod making;
pub mod moving;
pub mod ops;
pub mod package;
pub mod public;
pub mod strict;
pub mod templates;
pub mod tree;
mod yaml;

use std::collections::HashSet;
use std::sync::Arc;

use crate::auth::Caller;
use crate::model::{ContentHash, VirtualPath};
use crate::service::access::Access;
use crate::service::{Call, ServiceError, files};
use crate::store::skills::{self, SkillRow};
use crate::store::{Sql, contents};

/// Hits of one search.
const HITS_MAX: usize = 1_000;
/// Longest query of a search, bytes.
const QUERY_BYTES_MAX: usize = 1_024;
/// What the whole query and each of its words count for in a description and in a name.
const IN_DESCRIPTION: u32 = 10;
const IN_NAME: u32 = 5;
const WORD_IN_DESCRIPTION: u32 = 2;
const WORD_IN_NAME: u32 = 1;

/// Where a skill comes from. In order of priority: of two skills with one name the earlier tier's is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// `/skills/user/`, kept for old data.
    User,
    /// The caller's own; an agent's is its owner's.
    Personal,
    /// The tenant's.
    Tenant,
    /// Everybody's.
    System,
}

impl Tier {
    /// All, in order of priority.
    pub const ALL: [Self; 4] = [Self::User, Self::Personal, Self::Tenant, Self::System];

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Personal => "personal",
            Self::Tenant => "tenant",
            Self::System => "system",
        }
    }

    /// The tier of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.name() == name)
    }

    /// Its folder for this caller.
    pub fn folder(self, caller: &Caller) -> Result<VirtualPath, ServiceError> {
        let (tenant, user) = (&caller.tenant, &caller.user);
        let text = match self {
            Self::User => "/skills/user".to_owned(),
            Self::Personal => format!("/tenant:{tenant}/user:{user}/skill"),
            Self::Tenant => format!("/tenant:{tenant}/skill"),
            Self::System => "/skill".to_owned(),
        };
        crate::service::files::path(&text)
    }
}

/// A skill that the caller may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skill {
    /// Where it comes from.
    pub tier: Tier,
    /// The path of its SKILL.md.
    pub path: String,
    /// What it says about itself.
    pub row: SkillRow,
    /// BLAKE3 of its SKILL.md, hex.
    pub content: String,
}

/// A skill with what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkillInfo {
    /// The skill.
    pub skill: Skill,
    /// The names of what it needs, each after what it needs itself, and last its own; `None` if it needs nothing.
    pub resolved: Option<Vec<String>>,
    /// Names that it needs, directly or not, and that the caller has no skill for.
    pub missing: Vec<String>,
    /// What the standard minds about its SKILL.md.
    pub diagnostics: Vec<String>,
}

/// The skills of one tier, or of all, in order of tiers and paths. An unknown tier has none.
pub async fn list(call: &Call, tier: Option<&str>) -> Result<Vec<Skill>, ServiceError> {
    let tiers = match tier.map(Tier::find) {
        None => Tier::ALL.to_vec(),
        Some(Some(tier)) => vec![tier],
        Some(None) => return Ok(Vec::new()),
    };
    let (caller, caches) = (call.caller.clone(), Arc::clone(&call.caches));
    call.read(move |tx| readable(&Access::new(tx, &caller, Some(&caches))?, &tiers)).await
}

/// The skill that a name means for this caller.
pub async fn info(call: &Call, name: &str) -> Result<SkillInfo, ServiceError> {
    let all = list(call, None).await?;
    let Some(skill) = by_name(&all, name).cloned() else {
        return Err(ServiceError::Validation(format!("Skill not found: {name}")));
    };
    let (mut order, mut missing) = (Vec::new(), Vec::new());
    resolve(&all, &skill, &mut HashSet::new(), &mut order, &mut missing);
    let resolved = (!skill.row.requires.is_empty()).then_some(order);
    let directory = files::path(&skill.path)?.parent().unwrap_or_else(VirtualPath::root);
    let diagnostics = match text(call, &skill).await? {
        Some(body) => package::diagnostics(&body, directory.name()),
        None => Vec::new(),
    };
    Ok(SkillInfo { skill, resolved, missing, diagnostics })
}

/// The SKILL.md of a skill that was listed: the version of then, named by its hash.
async fn text(call: &Call, skill: &Skill) -> Result<Option<Vec<u8>>, ServiceError> {
    let Some(hash) = ContentHash::from_hex(&skill.content) else { return Ok(None) };
    let found = call.read(move |tx| contents::get(tx, hash).map_err(ServiceError::from)).await?;
    Ok(found.and_then(|content| content.body))
}

/// What the standard minds about the SKILL.md of a readable skill, as the reference says it.
pub async fn validate(call: &Call, name: &str) -> Result<Vec<strict::Finding>, ServiceError> {
    let all = list(call, None).await?;
    let Some(skill) = by_name(&all, name) else {
        return Err(ServiceError::Validation(format!("Skill not found: {name}")));
    };
    let directory = files::path(&skill.path)?.parent().unwrap_or_else(VirtualPath::root);
    let body = text(call, skill).await?.unwrap_or_default();
    Ok(strict::validate(&String::from_utf8_lossy(&body), Some(directory.name())))
}

/// A skill that a search has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The skill.
    pub skill: Skill,
    /// How well it fits; never 0.
    pub score: u32,
}

/// The readable skills that fit a query, the best first; of equal ones in the order of a list.
pub async fn search(call: &Call, query: &str, tier: Option<&str>, limit: usize) -> Result<Vec<Hit>, ServiceError> {
    if query.len() > QUERY_BYTES_MAX {
        return Err(ServiceError::InvalidParams(format!("query is longer than {QUERY_BYTES_MAX} bytes")));
    }
    if limit > HITS_MAX {
        return Err(ServiceError::InvalidParams(format!("limit must be from 0 to {HITS_MAX}")));
    }
    let query = query.trim().to_lowercase();
    let all = list(call, tier).await?.into_iter();
    let mut hits: Vec<Hit> =
        all.map(|skill| Hit { score: score(&query, &skill.row), skill }).filter(|hit| hit.score > 0).collect();
    // Stable: the order of the list decides between equals.
    hits.sort_by_key(|hit| std::cmp::Reverse(hit.score));
    hits.truncate(limit);
    Ok(hits)
}

/// How well a skill fits a query in small letters.
fn score(query: &str, row: &SkillRow) -> u32 {
    if query.is_empty() {
        return 0;
    }
    let (name, description) = (row.name.to_lowercase(), row.description.to_lowercase());
    let counts = |text: &str, word: &str, points: u32| if text.contains(word) { points } else { 0 };
    let words = query.split_whitespace();
    let words = words.map(|w| counts(&description, w, WORD_IN_DESCRIPTION) + counts(&name, w, WORD_IN_NAME));
    counts(&description, query, IN_DESCRIPTION) + counts(&name, query, IN_NAME) + words.sum::<u32>()
}

/// The readable skills of some tiers; of a name the first.
fn readable<T: Sql>(access: &Access<'_, T>, tiers: &[Tier]) -> Result<Vec<Skill>, ServiceError> {
    let tenant = access.caller().tenant.clone();
    let mut reader = access.reader(&tenant);
    let (mut found, mut names) = (Vec::new(), HashSet::new());
    for tier in tiers {
        for file in skills::below(access.tx(), &tier.folder(access.caller())?)? {
            if reader.may_read(&file.path, &file.node)? && names.insert(file.skill.name.clone()) {
                let content = file.node.content.unwrap_or_default();
                found.push(Skill { tier: *tier, path: file.path, row: file.skill, content });
            }
        }
    }
    Ok(found)
}

fn by_name<'s>(all: &'s [Skill], name: &str) -> Option<&'s Skill> {
    all.iter().find(|skill| skill.row.name == name)
}

/// Depth first, each name once, so a cycle ends; deep chains are bounded by the number of skills.
fn resolve(
    all: &[Skill],
    skill: &Skill,
    seen: &mut HashSet<String>,
    order: &mut Vec<String>,
    missing: &mut Vec<String>,
) {
    let mut open = vec![(skill, 0)];
    seen.insert(skill.row.name.clone());
    while let Some((skill, next)) = open.pop() {
        let Some(name) = skill.row.requires.get(next) else {
            order.push(skill.row.name.clone());
            continue;
        };
        open.push((skill, next + 1));
        if seen.insert(name.clone()) {
            match by_name(all, name) {
                Some(needed) => open.push((needed, 0)),
                None => missing.push(name.clone()),
            }
        }
    }
}
