//! Skills that come, go, and get to others: imported, exported, forked, published.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::model::time::iso_utc;
use crate::service::skills::archive::{ArchiveError, Member, Meter};
use crate::service::skills::compose::{self, Fields};
use crate::service::skills::front_matter::SKILL_FILE;
use crate::service::skills::making::{Made, check_name, put, tier_of};
use crate::service::skills::ops::{Present, may_use};
use crate::service::skills::package::{self, Format, Found, Packed};
use crate::service::skills::{Skill, Tier, approvals, info, list, tree};
use crate::service::{Call, ServiceError};

/// What was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Names, in the order of the archive.
    pub names: Vec<String>,
    /// Directories, with a slash at the end.
    pub paths: Vec<String>,
    /// Where they lie.
    pub tier: Tier,
    /// What the standard minds about them, by name.
    pub diagnostics: Vec<(String, Vec<String>)>,
}

/// Looks into an archive that came as base64, on the slow lane: inflating takes time and memory, and the lane has a few
/// threads.
pub async fn look(call: &Call, zip_data: String) -> Result<Result<Found, ArchiveError>, ServiceError> {
    call.read_slow(move |_| {
        let Ok(bytes) = STANDARD.decode(zip_data.trim()) else {
            return Ok::<_, ServiceError>(Err(ArchiveError::Unreadable("zip_data is no base64".into())));
        };
        Ok(package::look(&bytes, &mut Meter::default()))
    })
    .await
}

/// What is said of an archive that was opened.
#[derive(Debug, Clone)]
pub struct Opened {
    names: Vec<String>,
    tier: Tier,
    diagnostics: Vec<(String, Vec<String>)>,
}

impl Opened {
    /// What was imported, by the paths of the SKILL.md files that were written.
    #[must_use]
    pub fn imported(&self, paths: &[String]) -> Imported {
        let directory = |path: &String| path.strip_suffix(SKILL_FILE).unwrap_or(path).to_owned();
        let paths = paths.iter().map(directory).collect();
        Imported { names: self.names.clone(), paths, tier: self.tier, diagnostics: self.diagnostics.clone() }
    }
}

/// An archive that is good, about to be imported.
#[derive(Debug)]
pub struct Import {
    /// What is said of it.
    pub said: Opened,
    skills: Vec<(String, Vec<Member>)>,
    present: Present,
}

impl Import {
    /// Writes its skills, all or none; the paths of their SKILL.md files.
    pub async fn put(self, call: &Call) -> Result<Vec<String>, ServiceError> {
        put(call, self.said.tier, self.skills, self.present, Vec::new(), None).await
    }
}

/// Opens an archive whose skills are to be put into the folder of a tier. `user`, the default of the contract, whose
/// folder is never looked into there, is the caller's own.
pub async fn open(call: &Call, zip_data: String, tier: &str, overwrite: bool) -> Result<Import, ServiceError> {
    let tier = match tier {
        "user" => Tier::Personal,
        other => tier_of(other).map_err(|error| ServiceError::InvalidParams(error.to_string()))?,
    };
    let asked = call.clone();
    call.read(move |tx| may_use(&asked.access(tx)?, tier)).await?;
    let found = look(call, zip_data).await?.map_err(|error| ServiceError::Validation(error.to_string()))?;
    if let Some(error) = found.errors.into_iter().next() {
        return Err(ServiceError::Validation(error));
    }
    let (mut skills, mut diagnostics) = (Vec::new(), Vec::new());
    for package in found.packages {
        if !package.diagnostics.is_empty() {
            diagnostics.push((package.row.name.clone(), package.diagnostics));
        }
        skills.push((package.row.name, package.files));
    }
    let names: Vec<String> = skills.iter().map(|(name, _)| name.clone()).collect();
    let present = if overwrite { Present::Overwritten } else { Present::Listed };
    Ok(Import { said: Opened { names, tier, diagnostics }, skills, present })
}

/// A skill as an archive.
#[derive(Debug, Clone)]
pub struct Exported {
    /// Its name.
    pub name: String,
    /// The bytes.
    pub archive: Vec<u8>,
}

/// Packs a skill, with what it needs if that is wanted. What the caller has no skill for is an error then.
pub async fn export(call: &Call, name: &str, format: Format, dependencies: bool) -> Result<Exported, ServiceError> {
    let info = info(call, name).await?;
    let mut wanted = vec![info.skill];
    if dependencies {
        if let Some(missing) = info.missing.first() {
            let text = format!("Skill '{name}' needs '{missing}', for which you have no skill");
            return Err(ServiceError::Validation(text));
        }
        let all = list(call, None).await?;
        for needed in info.resolved.into_iter().flatten().filter(|needed| needed != name) {
            wanted.extend(all.iter().find(|skill| skill.row.name == needed).cloned());
        }
    }
    let packed = tree::read(call, wanted).await?.into_iter().map(|whole| Packed {
        name: whole.skill.row.name,
        version: whole.skill.row.version,
        files: whole.files,
    });
    let packed = packed.collect();
    let archive = call.read_slow(move |_| Ok::<_, ServiceError>(package::pack(packed, format))).await?;
    let archive = archive.map_err(ServiceError::Validation)?;
    Ok(Exported { name: name.to_owned(), archive })
}

/// Makes a skill of another name out of one that the caller may read.
pub async fn fork(
    call: &Call,
    source: &str,
    target: &str,
    tier: &str,
    author: Option<String>,
) -> Result<Made, ServiceError> {
    let tier = tier_of(tier)?;
    check_name(target)?;
    let all = list(call, None).await?;
    let Some(skill) = all.into_iter().find(|skill| skill.row.name == source) else {
        return Err(ServiceError::Validation(format!("Source skill '{source}' not found")));
    };
    let whole = whole(call, skill).await?;
    let now = iso_utc(call.store.clock().now_us());
    let changes = Fields::default().with("name", target).with("forked_from", source).with("modified_at", now);
    let changes = changes.with_some("author", author.as_ref());
    let sources = whole.paths();
    let mut files = whole.files;
    for file in files.iter_mut().filter(|file| file.path.eq_ignore_ascii_case(SKILL_FILE)) {
        let text = std::str::from_utf8(&file.body).map_err(|e| ServiceError::Validation(e.to_string()))?;
        let text = compose::renamed(text, &changes).map_err(|e| ServiceError::Validation(e.to_string()))?;
        file.body = Bytes::from(text);
    }
    let mut paths = put(call, tier, vec![(target.to_owned(), files)], Present::Refused, sources, None).await?;
    Ok(Made { path: paths.pop().unwrap_or_default(), tier })
}

/// Puts a copy of a skill into the folder of another tier. Who may not write there needs an approval of the skill as it
/// is.
pub async fn publish(call: &Call, name: &str, source: &str, target: &str) -> Result<(Made, Tier), ServiceError> {
    let (source, target) = (tier_of(source)?, tier_of(target)?);
    if source == target {
        return Err(ServiceError::Validation(format!("Skill '{name}' is in the {} tier already", source.name())));
    }
    let skill = of_tier(call, name, source).await?;
    let whole = whole(call, skill).await?;
    let reviewed = approvals::usable(call, &whole, target).await?;
    let sources = whole.paths();
    let files: Vec<Member> = whole.files;
    let present = if reviewed.is_some() { Present::Overwritten } else { Present::Refused };
    let mut paths = put(call, target, vec![(name.to_owned(), files)], present, sources, reviewed).await?;
    Ok((Made { path: paths.pop().unwrap_or_default(), tier: target }, source))
}

/// The skill of this name in one tier.
async fn of_tier(call: &Call, name: &str, tier: Tier) -> Result<Skill, ServiceError> {
    let all = list(call, Some(tier.name())).await?;
    let found = all.into_iter().find(|skill| skill.row.name == name);
    found.ok_or_else(|| ServiceError::Validation(format!("Skill '{name}' not found in tier '{}'", tier.name())))
}

/// A skill with its files. One whose SKILL.md is called otherwise gets the name that all have.
pub(super) async fn whole(call: &Call, skill: Skill) -> Result<tree::Whole, ServiceError> {
    let name = skill.row.name.clone();
    let read = tree::read(call, vec![skill]).await?.pop();
    read.filter(|whole| !whole.files.is_empty())
        .ok_or_else(|| ServiceError::Validation(format!("Skill not found: {name}")))
}
