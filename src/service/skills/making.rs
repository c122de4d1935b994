//! Skills made from nothing, from a text, from a file: what a request does before its message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::model::time::iso_utc;
use crate::service::files::ops::FileBody;
use crate::service::located::Located;
use crate::service::skills::Tier;
use crate::service::skills::archive::Member;
use crate::service::skills::compose::Fields;
use crate::service::skills::front_matter::{self, SKILL_BYTES_MAX, SKILL_FILE};
use crate::service::skills::ops::{Draft, FILES_MAX, Present, PutSkills, Reviewed, is_own_and_new, may_use};
use crate::service::skills::templates::{TEMPLATES, Template};
use crate::service::skills::tree::below;
use crate::service::{Call, ServiceError, files};

/// The version of a new skill.
const FIRST_VERSION: &str = "1.0.0";
/// Longest name, characters.
const NAME_CHARS_MAX: usize = 64;
/// Kinds of files that are text.
const TEXTS: [&str; 4] = ["md", "markdown", "txt", "text"];
/// Longest description that is taken from a text, characters.
const TAKEN_CHARS_MAX: usize = 200;

/// A skill that is wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Into which tier: a name of the wire.
    pub tier: String,
    /// Who wrote it.
    pub author: Option<String>,
    /// Where its text comes from.
    pub source_url: Option<String>,
    /// Further fields of the front matter.
    pub metadata: Option<Map<String, Value>>,
}

/// A skill that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The path of its SKILL.md.
    pub path: String,
    /// Where it lies.
    pub tier: Tier,
}

/// Makes a skill from a template.
pub async fn create(call: &Call, wanted: Wanted, template: &str) -> Result<Made, ServiceError> {
    let Some(template) = Template::find(template) else {
        let known: Vec<_> = TEMPLATES.iter().map(|template| template.name).collect();
        let text = format!("Template '{template}' not found. Available templates: {}", known.join(", "));
        return Err(ServiceError::Validation(text));
    };
    let body = template.body(&wanted.name, &wanted.description);
    create_with(call, wanted, &body).await
}

/// Makes a skill whose body is this text.
pub async fn create_with(call: &Call, wanted: Wanted, body: &str) -> Result<Made, ServiceError> {
    let tier = tier_of(&wanted.tier)?;
    let text = document(call, &wanted, body)?;
    let member = Member { path: SKILL_FILE.to_owned(), body: Bytes::from(text) };
    let skills = vec![(wanted.name, vec![member])];
    let mut paths = put(call, tier, skills, Present::Refused, Vec::new(), None).await?;
    Ok(Made { path: paths.pop().unwrap_or_default(), tier })
}

/// The tier that a name of the wire means for who writes. `agent`, the default of the contract, which nobody can write
/// to there, is the caller's own folder.
pub fn tier_of(name: &str) -> Result<Tier, ServiceError> {
    let found = if name == "agent" { Some(Tier::Personal) } else { Tier::find(name) };
    found.ok_or_else(|| {
        let text = "Must be one of: ['agent', 'personal', 'user', 'tenant', 'system']";
        ServiceError::Validation(format!("Invalid tier '{name}'. {text}"))
    })
}

/// Refuses names that no skill can have.
pub fn check_name(name: &str) -> Result<(), ServiceError> {
    let good = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    match !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX && name.chars().all(good) {
        true => Ok(()),
        false => Err(ServiceError::Validation(format!(
            "Invalid skill name '{name}': 1 to {NAME_CHARS_MAX} letters, digits, '-' and '_'"
        ))),
    }
}

fn document(call: &Call, wanted: &Wanted, body: &str) -> Result<String, ServiceError> {
    check_name(&wanted.name)?;
    let now = iso_utc(call.store.clock().now_us());
    let mut fields = Fields::default()
        .with("name", wanted.name.as_str())
        .with("description", wanted.description.trim())
        .with("version", FIRST_VERSION)
        .with_some("author", wanted.author.as_ref())
        .with_some("source_url", wanted.source_url.as_ref())
        .with("created_at", now.as_str())
        .with("modified_at", now);
    for (key, value) in wanted.metadata.iter().flatten().filter(|(key, _)| !key.is_empty()) {
        if fields.has(key) {
            continue;
        }
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        fields = fields.with(key, text);
    }
    let text = fields.document(body);
    // What is written must be a skill: too long a body or an empty description are told now.
    let row = front_matter::parse(text.as_bytes()).map_err(|error| ServiceError::Validation(error.to_string()))?;
    if row.name != wanted.name {
        return Err(ServiceError::Validation(format!("the name '{}' cannot be written down", wanted.name)));
    }
    Ok(text)
}

/// A file that a skill is to be made from.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// Its name, or its path in the store where no data comes along.
    pub source: String,
    /// Its bytes, base64.
    pub data: Option<String>,
    /// Whether somebody else's model should write the skill.
    pub use_ai: bool,
    /// Whether text is to be read from pictures.
    pub use_ocr: bool,
}

/// Makes a skill from a file of text or Markdown. What the caller does not say is taken from the text.
pub async fn create_from_file(
    call: &Call,
    source: Source,
    name: Option<String>,
    description: Option<String>,
    tier: String,
    author: Option<String>,
) -> Result<(Made, String), ServiceError> {
    readable(&source)?;
    let bytes = match &source.data {
        Some(data) => {
            let decoded = STANDARD.decode(data.trim());
            decoded.map(Bytes::from).map_err(|e| ServiceError::InvalidParams(format!("file_data is no base64: {e}")))?
        }
        None if source.source.starts_with('/') => {
            files::read(call, files::path_below_root(&source.source)?, None).await?.body
        }
        None => {
            let text = "file_data is missing: send the file's bytes, or the path of a file here";
            return Err(ServiceError::InvalidParams(text.into()));
        }
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| not_text(&source.source))?.trim_start_matches('\u{feff}');
    let known = front_matter::parse(&bytes[..bytes.len().min(SKILL_BYTES_MAX)]).ok();
    let body = front_matter::split(text).map_or(text, |(_, body)| body);
    let said = known.as_ref();
    let name = name.or_else(|| said.map(|row| row.name.clone())).unwrap_or_else(|| name_of(&source.source));
    let description =
        description.or_else(|| said.map(|row| row.description.clone())).unwrap_or_else(|| first_words(body, &name));
    let author = author.or_else(|| said.and_then(|row| row.author.clone()));
    let wanted = Wanted { name: name.clone(), description, tier, author, ..Wanted::default() };
    Ok((create_with(call, wanted, body).await?, name))
}

/// Refuses what cannot be turned into text here, and says so.
fn readable(source: &Source) -> Result<(), ServiceError> {
    let refused = |message: String, hint: &str| Err(ServiceError::NotSupported { message, hint: hint.to_owned() });
    let hint = "send a file of text or Markdown (.md, .txt)";
    if source.use_ai {
        return refused("use_ai needs a language model, and this server calls none".into(), hint);
    }
    if source.use_ocr {
        return refused("use_ocr needs a reader of pictures, which is not built in".into(), hint);
    }
    if source.source.contains("://") {
        let hint = "fetch it, and send its text as file_data";
        return refused("this server fetches nothing from other places".into(), hint);
    }
    match extension(&source.source) {
        Some(kind) if !TEXTS.contains(&kind.to_ascii_lowercase().as_str()) => refused(
            format!("a skill cannot be made from a '.{kind}' file: only text and Markdown are read"),
            "turn it into text or Markdown first",
        ),
        _ => Ok(()),
    }
}

fn not_text(source: &str) -> ServiceError {
    let message = format!("'{source}' is no UTF-8 text: only text and Markdown are read");
    ServiceError::NotSupported { message, hint: "turn it into text or Markdown first".into() }
}

fn extension(source: &str) -> Option<&str> {
    let name = source.rsplit('/').next().unwrap_or(source);
    name.rsplit_once('.').map(|(_, kind)| kind)
}

/// A name from that of a file: `My Notes.md` is `my-notes`.
fn name_of(source: &str) -> String {
    let file = source.rsplit('/').next().unwrap_or(source);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_lowercase();
    let parts: Vec<&str> = stem.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).collect();
    parts.join("-").chars().take(NAME_CHARS_MAX).collect()
}

/// The first line that says something.
fn first_words(body: &str, name: &str) -> String {
    let line = body.lines().map(|line| line.trim_start_matches(['#', '>', '-', '*', ' ']).trim());
    let first = line.filter(|line| !line.is_empty()).map(|line| line.chars().take(TAKEN_CHARS_MAX).collect()).next();
    first.unwrap_or_else(|| format!("The skill {name}"))
}

/// Writes skills, each a name and its files, into the folder of a tier. The paths of their SKILL.md files.
pub(super) async fn put(
    call: &Call,
    tier: Tier,
    skills: Vec<(String, Vec<Member>)>,
    present: Present,
    sources: Vec<crate::model::VirtualPath>,
    reviewed: Option<Reviewed>,
) -> Result<Vec<String>, ServiceError> {
    let count: usize = skills.iter().map(|(_, files)| files.len()).sum();
    if count > FILES_MAX {
        let text =
            format!("at most {FILES_MAX} files are written at once, not {count}: write them one skill at a time");
        return Err(ServiceError::Validation(text));
    }
    let folder = tier.folder(&call.caller)?;
    let named = skills.into_iter().map(|(name, files)| {
        check_name(&name)?;
        // A path may be too long where it is to lie.
        let directory = files::path_below_root(&format!("{folder}/{name}"))?;
        let path = |file: Member| Ok((files::path_below_root(below(&directory, &file.path).as_str())?, file.body));
        let files = files.into_iter().map(path).collect::<Result<Vec<_>, ServiceError>>()?;
        Ok((name, directory, files))
    });
    let named = named.collect::<Result<Vec<_>, ServiceError>>()?;
    if reviewed.is_none() {
        look_first(call, tier, named.iter().map(|(_, directory, _)| directory.clone()).collect()).await?;
    }
    let mut drafts = Vec::with_capacity(named.len());
    for (name, directory, bodies) in named {
        let mut files = Vec::with_capacity(bodies.len());
        for (path, body) in bodies {
            let body = FileBody::store(&call.store, &path, body).await?;
            files.push((path, body));
        }
        drafts.push(Draft { name, directory, files, tuple_id: call.store.random().uuid() });
    }
    call.submit(PutSkills { caller: call.caller.clone(), tier, drafts, sources, present, reviewed }).await
}

/// The cheap check before bodies are stored: whoever may not write there is told now.
async fn look_first(call: &Call, tier: Tier, directories: Vec<crate::model::VirtualPath>) -> Result<(), ServiceError> {
    let asked = call.clone();
    call.read(move |tx| {
        let access = asked.access(tx)?;
        may_use(&access, tier)?;
        for directory in directories {
            if !is_own_and_new(&access, tier, &directory)? {
                // In the words of the message, which asks about this file first.
                access.require_write(&Located::find(tx, &directory.child(SKILL_FILE))?)?;
            }
        }
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_descriptions_come_from_files() {
        assert_eq!(name_of("My Notes (2).md"), "my-notes-2");
        assert_eq!(name_of("/a/b/Über.txt"), "über");
        assert_eq!(first_words("\n\n# Title\nx", "n"), "Title");
        assert_eq!(first_words("", "n"), "The skill n");
    }

    #[test]
    fn what_is_no_text_is_refused_with_what_is_missing() {
        let refused = |source: Source| readable(&source).expect_err("refused").to_string();
        let of = |name: &str| Source { source: name.into(), ..Source::default() };
        assert!(refused(of("a.pdf")).contains("'.pdf'"));
        assert!(refused(of("https://x/a.md")).contains("fetches nothing"));
        assert!(refused(Source { use_ocr: true, ..of("a.md") }).contains("use_ocr"));
        assert!(refused(Source { use_ai: true, ..of("a.md") }).contains("use_ai"));
        assert!(readable(&of("a.MD")).is_ok() && readable(&of("notes")).is_ok());
    }
}
