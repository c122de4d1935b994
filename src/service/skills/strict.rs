//! The rules of agentskills.io for a skill, with the verdicts and the words of the reference validator, `skills-ref`.
//!
//! Reads no file. What is said of YAML that cannot be read begins as there and goes on in the words of our parser;
//! everything else is the same text, in the same order. The order is part of the contract: tests compare it.

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;

use super::yaml::{self, Field, Node};

/// The names under which a skill's description is looked for, in this order.
pub const FILE_NAMES: [&str; 2] = ["SKILL.md", "skill.md"];
/// Longest name, characters.
const NAME_CHARS_MAX: usize = 64;
/// Longest description, characters.
const DESCRIPTION_CHARS_MAX: usize = 1_024;
/// Longest note on compatibility, characters.
const COMPATIBILITY_CHARS_MAX: usize = 500;
/// The fields of a front matter, in the order of their names.
pub const FIELDS: [&str; 6] = ["allowed-tools", "compatibility", "description", "license", "metadata", "name"];
/// The line around a front matter.
const FENCE: &str = "---";
/// How a verdict on YAML that cannot be read begins.
pub const BAD_YAML: &str = "Invalid YAML in frontmatter: ";

/// A rule that is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// In the words of the reference.
    pub message: String,
    /// The line of the file, from 1, if it is about one.
    pub line: Option<usize>,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{} (line {line})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// What is wrong with the description of a skill in a directory of this name; nothing, if it is a skill.
#[must_use]
pub fn validate(text: &str, directory: Option<&str>) -> Vec<Finding> {
    match front_matter(text) {
        Ok(fields) => fields_are_good(&fields, directory),
        Err(finding) => vec![finding],
    }
}

/// The fields of the front matter.
fn front_matter(text: &str) -> Result<Vec<Field>, Finding> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let plain = |message: &str, line| Finding { message: message.to_owned(), line: Some(line) };
    let Some(after) = text.strip_prefix(FENCE) else {
        return Err(plain("SKILL.md must start with YAML frontmatter (---)", 1));
    };
    // Wherever it stands, as there: also within a line.
    let Some((yaml, _)) = after.split_once(FENCE) else {
        return Err(plain("SKILL.md frontmatter not properly closed with ---", 1));
    };
    let invalid =
        |problem: yaml::Problem| Finding { message: format!("{BAD_YAML}{}", problem.text), line: Some(problem.line) };
    let document = yaml::parse(yaml).map_err(invalid)?;
    if let Some(problem) = document.disallowed {
        return Err(invalid(problem));
    }
    match document.node {
        Some(Node::Map(fields)) => Ok(fields),
        _ => Err(plain("SKILL.md frontmatter must be a YAML mapping", 1)),
    }
}

fn fields_are_good(fields: &[Field], directory: Option<&str>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut extra: Vec<&Field> = fields.iter().filter(|field| !FIELDS.contains(&field.key.as_str())).collect();
    if !extra.is_empty() {
        let line = extra.iter().map(|field| field.line).min();
        extra.sort_by(|a, b| a.key.cmp(&b.key));
        let names: Vec<_> = extra.iter().map(|field| field.key.as_str()).collect();
        let allowed: Vec<_> = FIELDS.iter().map(|name| format!("'{name}'")).collect();
        let (names, allowed) = (names.join(", "), allowed.join(", "));
        let message = format!("Unexpected fields in frontmatter: {names}. Only [{allowed}] are allowed.");
        found.push(Finding { message, line });
    }
    let find = |key: &str| fields.iter().find(|field| field.key == key);
    let mut check = |key: &str, required: bool, rule: &dyn Fn(&Node) -> Vec<String>| match find(key) {
        Some(field) => {
            let line = Some(field.line);
            found.extend(rule(&field.value).into_iter().map(|message| Finding { message, line }));
        }
        None if required => {
            let message = format!("Missing required field in frontmatter: {key}");
            found.push(Finding { message, line: Some(1) });
        }
        None => {}
    };
    check("name", true, &|value| name_is_good(value, directory));
    check("description", true, &description_is_good);
    check("compatibility", false, &compatibility_is_good);
    found
}

fn name_is_good(value: &Node, directory: Option<&str>) -> Vec<String> {
    let name = match value {
        Node::Text(text) if !stripped(text).is_empty() => composed(stripped(text)),
        _ => return vec!["Field 'name' must be a non-empty string".into()],
    };
    let mut found = Vec::new();
    let chars = name.chars().count();
    if chars > NAME_CHARS_MAX {
        found.push(format!("Skill name '{name}' exceeds {NAME_CHARS_MAX} character limit ({chars} chars)"));
    }
    if name != name.to_lowercase() {
        found.push(format!("Skill name '{name}' must be lowercase"));
    }
    if name.starts_with('-') || name.ends_with('-') {
        found.push("Skill name cannot start or end with a hyphen".into());
    }
    if name.contains("--") {
        found.push("Skill name cannot contain consecutive hyphens".into());
    }
    if !name.chars().all(|c| c == '-' || is_alphanumeric(c)) {
        found.push(format!(
            "Skill name '{name}' contains invalid characters. Only letters, digits, and hyphens are allowed."
        ));
    }
    if let Some(directory) = directory.filter(|directory| composed(directory) != name) {
        found.push(format!("Directory name '{directory}' must match skill name '{name}'"));
    }
    found
}

fn description_is_good(value: &Node) -> Vec<String> {
    match value {
        Node::Text(text) if !stripped(text).is_empty() => {
            too_long("Description", text, DESCRIPTION_CHARS_MAX).into_iter().collect()
        }
        _ => vec!["Field 'description' must be a non-empty string".into()],
    }
}

fn compatibility_is_good(value: &Node) -> Vec<String> {
    match value {
        Node::Text(text) => too_long("Compatibility", text, COMPATIBILITY_CHARS_MAX).into_iter().collect(),
        _ => vec!["Field 'compatibility' must be a string".into()],
    }
}

fn too_long(what: &str, text: &str, limit: usize) -> Option<String> {
    let chars = text.chars().count();
    (chars > limit).then(|| format!("{what} exceeds {limit} character limit ({chars} chars)"))
}

/// Compatibility forms made one (NFKC).
fn composed(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfkc().normalize(text).into_owned()
}

/// Without what Python takes for blanks at both ends.
fn stripped(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}'))
}

/// A letter or a number by its category: marks, which Rust counts among letters, are none.
fn is_alphanumeric(c: char) -> bool {
    use GeneralCategory as G;
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    matches!(
        category,
        G::UppercaseLetter
            | G::LowercaseLetter
            | G::TitlecaseLetter
            | G::ModifierLetter
            | G::OtherLetter
            | G::DecimalNumber
            | G::LetterNumber
            | G::OtherNumber
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(front: &str, directory: &str) -> Vec<String> {
        let text = format!("---\n{front}\n---\nBody\n");
        validate(&text, Some(directory)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_skill_is_valid() {
        assert_eq!(said("name: a-1\ndescription: d", "a-1"), Vec::<String>::new());
        assert_eq!(
            said("name: 技能\ndescription: >-\n  d\n  e\nmetadata:\n  version: 1.10", "技能"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn findings_have_their_lines() {
        assert_eq!(
            said("description: d\nversion: 1\nname: My--Skill-", "a"),
            [
                "Unexpected fields in frontmatter: version. Only ['allowed-tools', 'compatibility', 'description', \
                 'license', 'metadata', 'name'] are allowed. (line 3)",
                "Skill name 'My--Skill-' must be lowercase (line 4)",
                "Skill name cannot start or end with a hyphen (line 4)",
                "Skill name cannot contain consecutive hyphens (line 4)",
                "Directory name 'a' must match skill name 'My--Skill-' (line 4)",
            ]
        );
        assert_eq!(said("name: a", "a"), ["Missing required field in frontmatter: description (line 1)"]);
        let flow = said("name: a\ndescription: [d]", "a");
        assert!(flow[0].starts_with(BAD_YAML) && flow[0].ends_with("(line 3)"), "{flow:?}");
    }
}
