//! The front matter of a SKILL.md: what it says about itself, between two lines `---`.
//!
//! Read leniently: what only the standard minds is no error here (`strict` tells it). YAML that cannot be read is tried
//! once more with the values in quotes that have a colon in them, as people write them.
//!
//! Parses untrusted text, so with budgets: a document that is too large, too deep or that expands aliases is no skill.
//! Touches no store and decides nothing.

use serde::Deserialize;

use super::yaml::{self, Node};
use crate::model::VirtualPath;
use crate::store::skills::{self, SkillRow};

pub use crate::store::skills::SKILL_FILE;

/// Largest SKILL.md that is looked into, bytes.
pub const SKILL_BYTES_MAX: usize = 64 * 1024;
/// Limits of one front matter: nodes and events of the document, its depth, and aliases to anchors.
const NODES_MAX: usize = 4_096;
const EVENTS_MAX: usize = 16_384;
const DEPTH_MAX: usize = 16;
const ALIASES_MAX: usize = 16;

/// Why a text is no skill; whole sentences for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrontMatterError {
    /// Over [`SKILL_BYTES_MAX`].
    #[error("SKILL.md is larger than {SKILL_BYTES_MAX} bytes")]
    TooLarge,
    /// Not UTF-8.
    #[error("SKILL.md is not UTF-8 text")]
    NotText,
    /// Does not begin with a front matter.
    #[error("SKILL.md must begin with YAML front matter between two lines '---'")]
    Missing,
    /// YAML that cannot be read, or passes a limit.
    #[error("the front matter cannot be read: {0}")]
    Invalid(String),
    /// A required field is missing or empty.
    #[error("the front matter lacks the required field '{0}'")]
    Lacks(&'static str),
    /// A name with other characters than letters, digits, `-` and `_`.
    #[error("the skill name '{0}' may hold only letters, digits, '-' and '_'")]
    Name(String),
}

/// What is read of the document; other keys are left alone.
#[derive(Deserialize)]
struct Document {
    name: Option<String>,
    description: Option<String>,
    version: Option<String>,
    author: Option<String>,
    requires: Option<Requires>,
    created_at: Option<String>,
    modified_at: Option<String>,
}

/// `requires` is a list of names, or one name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Requires {
    One(String),
    Many(Vec<String>),
}

/// Whether the file at `path` is the description of a skill.
#[must_use]
pub fn is_skill_file(path: &VirtualPath) -> bool {
    skills::is_skill_file(path.name())
}

/// What the SKILL.md with this body says about itself.
pub fn parse(body: &[u8]) -> Result<SkillRow, FrontMatterError> {
    if body.len() > SKILL_BYTES_MAX {
        return Err(FrontMatterError::TooLarge);
    }
    let text = std::str::from_utf8(body).map_err(|_| FrontMatterError::NotText)?;
    let (yaml, _) = split(text).ok_or(FrontMatterError::Missing)?;
    match read(yaml) {
        Err(FrontMatterError::Invalid(why)) => match quoted(yaml) {
            Some(yaml) => read(&yaml).map_err(|_| FrontMatterError::Invalid(why)),
            None => Err(FrontMatterError::Invalid(why)),
        },
        read => read,
    }
}

/// Whether the SKILL.md with this body was read only after values were put in quotes.
#[must_use]
pub fn is_mended(body: &[u8]) -> bool {
    let front = std::str::from_utf8(body).ok().and_then(split);
    front.is_some_and(|(yaml, _)| matches!(read(yaml), Err(FrontMatterError::Invalid(_)))) && parse(body).is_ok()
}

/// The front matter with the values in quotes that have a colon in them; `None` if there are none.
fn quoted(yaml: &str) -> Option<String> {
    let mut changed = false;
    let mut line = |line: &str| {
        let (key, value) = line.split_once(": ")?;
        let (key, value) = (key.trim_end(), value.trim());
        let bare = !value.starts_with(['"', '\'', '[', '{', '|', '>', '&', '*', '!', '#']);
        let wants = bare && !line.starts_with([' ', '-', '#']) && (value.contains(": ") || value.ends_with(':'));
        changed |= wants;
        wants.then(|| format!("{key}: {}", serde_json::to_string(value).expect("a text is JSON")))
    };
    let lines: Vec<String> = yaml.lines().map(|one| line(one).unwrap_or_else(|| one.to_owned())).collect();
    changed.then(|| lines.join("\n"))
}

fn read(yaml: &str) -> Result<SkillRow, FrontMatterError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: EVENTS_MAX,
            max_nodes: NODES_MAX,
            max_depth: DEPTH_MAX,
            max_aliases: ALIASES_MAX,
            max_anchors: ALIASES_MAX,
            max_merge_keys: 0,
            max_documents: 1,
            max_total_scalar_bytes: SKILL_BYTES_MAX,
        },
    };
    let document: Document = serde_saphyr::from_str_with_options(yaml, options)
        .map_err(|e| FrontMatterError::Invalid(first_line(&e.to_string())))?;
    let name = required("name", document.name)?;
    if !name.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_') {
        return Err(FrontMatterError::Name(name));
    }
    let below = metadata(yaml);
    let more = |key: &str| below.iter().find(|(known, _)| known == key).map(|(_, text)| text.clone());
    let row = SkillRow {
        name,
        description: required("description", document.description)?,
        version: document.version.or_else(|| more("version")),
        author: document.author.or_else(|| more("author")),
        requires: match document.requires {
            None => more("requires").map_or_else(Vec::new, |t| t.split_whitespace().map(str::to_owned).collect()),
            Some(Requires::One(name)) => vec![name],
            Some(Requires::Many(names)) => names,
        },
        created_at: document.created_at.or_else(|| more("created_at")),
        modified_at: document.modified_at.or_else(|| more("modified_at")),
    };
    // Nothing that is stored as text may hold it.
    let optional = [&row.version, &row.author, &row.created_at, &row.modified_at].into_iter().flatten();
    let bad = row.requires.iter().chain(optional).chain([&row.description]).any(|text| text.contains('\0'));
    match bad {
        true => Err(FrontMatterError::Invalid("it holds NUL".into())),
        false => Ok(row),
    }
}

/// The texts below `metadata`, where the standard keeps what it has no field for.
fn metadata(yaml: &str) -> Vec<(String, String)> {
    let Ok(yaml::Document { node: Some(Node::Map(fields)), .. }) = yaml::parse(yaml) else { return Vec::new() };
    let inner = fields.into_iter().find(|field| field.key == "metadata").map(|field| field.value);
    let Some(Node::Map(inner)) = inner else { return Vec::new() };
    let text = |field: yaml::Field| if let Node::Text(text) = field.value { Some((field.key, text)) } else { None };
    inner.into_iter().filter_map(text).collect()
}

/// The front matter and the text after it.
#[must_use]
pub fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (first, rest) = text.split_once('\n')?;
    if first.trim_end() != "---" {
        return None;
    }
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == "---" {
            return Some((&rest[..at], &rest[at + line.len()..]));
        }
        at += line.len();
    }
    None
}

fn required(field: &'static str, value: Option<String>) -> Result<String, FrontMatterError> {
    value.filter(|v| !v.trim().is_empty()).ok_or(FrontMatterError::Lacks(field))
}

/// The parser's messages draw the place over several lines; the first says what is wrong.
fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skill(front: &str) -> Result<SkillRow, FrontMatterError> {
        parse(format!("---\n{front}\n---\n\n# Body\n").as_bytes())
    }

    #[test]
    fn reads_both_forms_of_requires() {
        let list = skill("name: a\ndescription: d\nrequires: [b, c]").expect("valid");
        assert_eq!(list.requires, ["b", "c"]);
        let block = skill("name: a\ndescription: d\nrequires:\n  - b\n  - c").expect("valid");
        assert_eq!(block.requires, ["b", "c"]);
        let one = skill("name: a\ndescription: d\nrequires: b").expect("valid");
        assert_eq!(one.requires, ["b"]);
        assert_eq!(skill("name: a\ndescription: d\nrequires:").expect("valid").requires, Vec::<String>::new());
    }

    #[test]
    fn reads_what_people_write() {
        let row = skill(
            "name: data-analysis_2\ndescription: >-\n  Reads tables\n  and charts.\nversion: 1.10\nauthor: Ann\n\
             created_at: 2026-01-02T03:04:05\nlicense: MIT\ntags: [x, {deep: 1}]",
        )
        .expect("valid");
        assert_eq!((row.name.as_str(), row.description.as_str()), ("data-analysis_2", "Reads tables and charts."));
        assert_eq!(row.version.as_deref(), Some("1.10"), "as written, not as a number");
        assert_eq!(row.created_at.as_deref(), Some("2026-01-02T03:04:05"));
        assert_eq!(row.modified_at, None);
        assert!(parse(b"---\r\nname: a\r\ndescription: d\r\n---\r\n").is_ok(), "other line ends");
        assert!(parse(b"---\nname: a\ndescription: d\n---").is_ok(), "no body");
    }

    #[test]
    fn refuses() {
        assert_eq!(parse(b"# no front matter\n"), Err(FrontMatterError::Missing));
        assert_eq!(parse(b"---\nname: a\ndescription: d\n"), Err(FrontMatterError::Missing));
        assert_eq!(parse(&[0xff, 0xfe]), Err(FrontMatterError::NotText));
        assert_eq!(parse(&vec![b'x'; SKILL_BYTES_MAX + 1]), Err(FrontMatterError::TooLarge));
        assert_eq!(skill("name: a"), Err(FrontMatterError::Lacks("description")));
        assert_eq!(skill("name: ''\ndescription: d"), Err(FrontMatterError::Lacks("name")));
        assert_eq!(skill("name: a b\ndescription: d"), Err(FrontMatterError::Name("a b".into())));
        assert!(matches!(skill("name: [a\ndescription: d"), Err(FrontMatterError::Invalid(_))));
    }

    #[test]
    fn a_colon_in_a_value_is_mended() {
        let text = b"---\nname: a\ndescription: Use when: always\nversion: 1\n---\n";
        assert_eq!(parse(text).expect("mended").description, "Use when: always");
        assert!(is_mended(text));
        assert!(!is_mended(b"---\nname: a\ndescription: 'Use when: always'\n---\n"));
    }

    #[test]
    fn a_bomb_is_refused_not_expanded() {
        let mut yaml = String::from("name: a\ndescription: d\na0: &a0 [x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let below = level - 1;
            let refs = vec![format!("*a{below}"); 8].join(",");
            yaml.push_str(&format!("a{level}: &a{level} [{refs}]\n"));
        }
        assert!(matches!(skill(&yaml), Err(FrontMatterError::Invalid(_))));
        let deep = format!("name: a\ndescription: d\nx: {}{}", "[".repeat(100), "]".repeat(100));
        assert!(matches!(skill(&deep), Err(FrontMatterError::Invalid(_))));
    }
}
