//! Skills as packages: the directories of an archive, each with its SKILL.md, and the archive made of some.
//!
//! Owns what makes files a skill, and what is said of them. Reads and writes no store.

use bytes::Bytes;
use serde_json::json;

use super::archive::{self, ArchiveError, Member, Meter};
use super::front_matter;
use super::{compose, strict};
use crate::store::skills::{SkillRow, is_skill_file};

/// What an exported archive says of itself, beside its skills.
pub const MANIFEST: &str = "manifest.json";
/// Bytes of the files of one skill in the claude format.
pub const CLAUDE_BYTES_MAX: usize = 8 << 20;
/// What programs leave in archives.
const LITTER: [&str; 3] = ["__MACOSX", ".DS_Store", "Thumbs.db"];

/// A skill as it lies in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// What its SKILL.md says of itself.
    pub row: SkillRow,
    /// Its files; paths begin below its directory.
    pub files: Vec<Member>,
    /// What is not as the standard wants it, and what was done about it.
    pub diagnostics: Vec<String>,
}

/// What was found in an archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The skills.
    pub packages: Vec<Package>,
    /// Why it cannot be imported, if it cannot.
    pub errors: Vec<String>,
    /// What is odd about it.
    pub warnings: Vec<String>,
}

/// Looks into an archive.
pub fn look(bytes: &[u8], meter: &mut Meter) -> Result<Found, ArchiveError> {
    let members = archive::read(bytes, meter)?;
    let mut found = Found::default();
    let mut directories: Vec<(String, Vec<Member>)> = Vec::new();
    for member in members {
        if member.path.split('/').any(|part| LITTER.contains(&part)) {
            continue;
        }
        match member.path.split_once('/') {
            Some((directory, below)) => {
                let (directory, path) = (directory.to_owned(), below.to_owned());
                let member = Member { path, body: member.body };
                match directories.iter_mut().find(|(known, _)| *known == directory) {
                    Some((_, files)) => files.push(member),
                    None => directories.push((directory, vec![member])),
                }
            }
            None if is_skill_file(&member.path) => found.errors.push(misplaced(&member.path)),
            None if member.path == MANIFEST => {}
            None => found.warnings.push(format!("'{}' belongs to no skill and is left out", member.path)),
        }
    }
    for (directory, files) in directories {
        match package(&directory, files) {
            Ok(Some(package)) => found.packages.push(package),
            Ok(None) => found.warnings.push(format!("the directory '{directory}' has no SKILL.md and is left out")),
            Err(error) => found.errors.push(error),
        }
    }
    if found.packages.is_empty() && found.errors.is_empty() {
        found.errors.push("Invalid skill package: No SKILL.md file found in package".into());
    }
    let unversioned = found.packages.iter().filter(|package| package.row.version.is_none());
    found.warnings.extend(unversioned.map(|package| format!("Missing version in '{}'", package.row.name)));
    Ok(found)
}

fn misplaced(path: &str) -> String {
    format!("Invalid skill package: SKILL.md must be at root of skill directory, found at: {path}")
}

fn package(directory: &str, files: Vec<Member>) -> Result<Option<Package>, String> {
    let name = |member: &Member| member.path.rsplit('/').next().is_some_and(is_skill_file);
    let Some(skill) = files.iter().find(|member| is_skill_file(&member.path)) else {
        return match files.iter().find(|member| name(member)) {
            Some(deep) => Err(misplaced(&format!("{directory}/{}", deep.path))),
            None => Ok(None),
        };
    };
    let row =
        front_matter::parse(&skill.body).map_err(|error| format!("Invalid skill package: {directory}: {error}"))?;
    if row.name != directory {
        let said = &row.name;
        return Err(format!(
            "Invalid skill package: Skill name mismatch: directory is '{directory}' but SKILL.md name is '{said}'"
        ));
    }
    let diagnostics = diagnostics(&skill.body, directory);
    Ok(Some(Package { row, files, diagnostics }))
}

/// What the standard minds about a SKILL.md that is taken all the same.
#[must_use]
pub fn diagnostics(body: &[u8], directory: &str) -> Vec<String> {
    let mut said = Vec::new();
    if front_matter::is_mended(body) {
        said.push("values with a colon in them were read as if they stood in quotes".to_owned());
    }
    let text = String::from_utf8_lossy(body);
    said.extend(strict::validate(&text, Some(directory)).iter().map(ToString::to_string));
    said
}

/// In which form skills are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As they are.
    Generic,
    /// As the standard wants them, and not larger than is taken there.
    Claude,
}

impl Format {
    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Claude => "claude",
        }
    }

    /// The format of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        [Self::Generic, Self::Claude].into_iter().find(|format| format.name() == name)
    }
}

/// A skill to be packed: its name, its version and its files, paths below its directory.
#[derive(Debug, Clone)]
pub struct Packed {
    /// Its name.
    pub name: String,
    /// Its version, if it says one.
    pub version: Option<String>,
    /// Its files.
    pub files: Vec<Member>,
}

/// The archive of some skills, the first of which it is about; why not, if not.
pub fn pack(skills: Vec<Packed>, format: Format) -> Result<Vec<u8>, String> {
    let Some(first) = skills.first() else { return Err("nothing to export".into()) };
    let (name, version) = (first.name.clone(), first.version.clone());
    let mut members = Vec::new();
    for skill in skills {
        let mut size = 0;
        for file in skill.files {
            let body = match format {
                Format::Claude if is_skill_file(&file.path) => as_standard(&skill.name, &file.body)?,
                _ => file.body,
            };
            size += body.len();
            members.push(Member { path: format!("{}/{}", skill.name, file.path), body });
        }
        if format == Format::Claude && size > CLAUDE_BYTES_MAX {
            let text = "bytes, more than the 8 MiB of the claude format; export it as generic";
            return Err(format!("Skill '{}' has {size} {text}", skill.name));
        }
    }
    let total: usize = members.iter().map(|member| member.body.len()).sum();
    let files: Vec<_> = members.iter().map(|member| member.path.as_str()).collect();
    let manifest = json!({
        "name": name,
        "version": version.as_deref().unwrap_or("unknown"),
        "format": format.name(),
        "files": files,
        "total_size_bytes": total,
    });
    let manifest = serde_json::to_vec_pretty(&manifest).expect("JSON values serialise");
    members.push(Member { path: MANIFEST.into(), body: Bytes::from(manifest) });
    archive::write(&members).map_err(|error| error.to_string())
}

fn as_standard(name: &str, body: &[u8]) -> Result<Bytes, String> {
    let text = std::str::from_utf8(body).map_err(|_| format!("the SKILL.md of '{name}' is not UTF-8 text"))?;
    let made = compose::standard(text).map_err(|error| format!("the SKILL.md of '{name}': {error}"))?;
    Ok(Bytes::from(made))
}
