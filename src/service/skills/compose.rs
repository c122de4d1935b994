//! A SKILL.md as text: made of fields and a body, or made anew from another one.
//!
//! What is written here is read back by `front_matter`, and by the reference where it is made for it.

use super::front_matter::{self, FrontMatterError};
use super::strict;
use super::yaml::{self, Node};

/// The field that holds what the standard has no field for.
const METADATA: &str = "metadata";

/// Fields in the order in which they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Adds a field.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0.push((key.to_owned(), value.into()));
        self
    }

    /// Adds a field if it has a value.
    #[must_use]
    pub fn with_some(self, key: &str, value: Option<&String>) -> Self {
        match value {
            Some(value) => self.with(key, value.as_str()),
            None => self,
        }
    }

    /// Whether there is such a field.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(known, _)| known == key)
    }

    /// The SKILL.md with these fields and this body.
    #[must_use]
    pub fn document(&self, body: &str) -> String {
        let mut text = String::from("---\n");
        for (key, value) in &self.0 {
            line(&mut text, "", key, value);
        }
        text.push_str("---\n\n");
        text.push_str(body.trim_start_matches('\n'));
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text
    }
}

fn line(text: &mut String, indent: &str, key: &str, value: &str) {
    text.push_str(indent);
    text.push_str(&scalar(key));
    text.push_str(": ");
    text.push_str(&scalar(value));
    text.push('\n');
}

/// A text as YAML: as it is where that is safe, else in double quotes, which read as those of JSON.
#[must_use]
pub fn scalar(value: &str) -> String {
    let first = value.chars().next().is_some_and(|c| c.is_alphabetic());
    let plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | ',' | '/' | '(' | ')' | '+' | ';');
    let word = matches!(
        value.to_ascii_lowercase().as_str(),
        "null" | "true" | "false" | "yes" | "no" | "y" | "n" | "on" | "off"
    );
    // A fence anywhere ends the front matter for the reference.
    if first && !word && !value.ends_with(' ') && !value.contains("---") && value.chars().all(plain) {
        return value.to_owned();
    }
    let json = serde_json::to_string(value).expect("a text is JSON");
    json.replace("---", "-\\x2d-").replace('\u{7f}', "\\x7f").replace('\u{feff}', "\\ufeff")
}

/// The same skill under another name: the line of the name is changed, and `changes` are added or replaced.
pub fn renamed(text: &str, changes: &Fields) -> Result<String, FrontMatterError> {
    let (front, body) = front_matter::split(text).ok_or(FrontMatterError::Missing)?;
    let document = yaml::parse(front).map_err(|problem| FrontMatterError::Invalid(problem.text))?;
    let Some(Node::Map(fields)) = document.node else { return Err(FrontMatterError::Missing) };
    let mut kept = String::from("---\n");
    for field in &fields {
        if !changes.has(&field.key) {
            node(&mut kept, "", &field.key, &field.value);
        }
    }
    for (key, value) in &changes.0 {
        line(&mut kept, "", key, value);
    }
    Ok(format!("{kept}---\n{body}"))
}

/// The same skill as the standard wants it: what it has no field for goes below `metadata`, as text.
pub fn standard(text: &str) -> Result<String, FrontMatterError> {
    let (front, body) = front_matter::split(text).ok_or(FrontMatterError::Missing)?;
    let document = yaml::parse(front).map_err(|problem| FrontMatterError::Invalid(problem.text))?;
    let Some(Node::Map(fields)) = document.node else { return Err(FrontMatterError::Missing) };
    let (mut top, mut below) = (String::from("---\n"), String::new());
    for field in &fields {
        match (&field.value, strict::FIELDS.contains(&field.key.as_str())) {
            (Node::Map(inner), true) if field.key == METADATA => {
                for one in inner {
                    line(&mut below, "  ", &one.key, &flat(&one.value));
                }
            }
            (value, true) if field.key != METADATA => line(&mut top, "", &field.key, &flat(value)),
            (value, _) => line(&mut below, "  ", &field.key, &flat(value)),
        }
    }
    if !below.is_empty() {
        top.push_str("metadata:\n");
        top.push_str(&below);
    }
    Ok(format!("{top}---\n{body}"))
}

/// Anything as one text: lists by spaces.
fn flat(value: &Node) -> String {
    match value {
        Node::Text(text) => text.clone(),
        Node::List(list) => list.iter().map(flat).collect::<Vec<_>>().join(" "),
        Node::Map(fields) => {
            fields.iter().map(|f| format!("{}={}", f.key, flat(&f.value))).collect::<Vec<_>>().join(" ")
        }
    }
}

fn node(text: &mut String, indent: &str, key: &str, value: &Node) {
    match value {
        Node::Text(value) => line(text, indent, key, value),
        Node::List(list) => {
            text.push_str(&format!("{indent}{}:\n", scalar(key)));
            for item in list {
                text.push_str(&format!("{indent}  - {}\n", scalar(&flat(item))));
            }
        }
        Node::Map(fields) => {
            text.push_str(&format!("{indent}{}:\n", scalar(key)));
            let deeper = format!("{indent}  ");
            for field in fields {
                node(text, &deeper, &field.key, &field.value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let texts = [
            "plain",
            "a: b",
            "-x",
            "é \"q\" \\ \n\t",
            "null",
            "1.10",
            " s ",
            "#c",
            "a #c",
            "---",
            "x --- y",
            "'",
            "@",
            "[a]",
        ];
        for text in texts {
            let made = Fields::default().with("name", "n").with("description", text).document("# B\n");
            let read = front_matter::parse(made.as_bytes());
            assert_eq!(read.map(|row| row.description).as_deref(), Ok(text), "{made}");
            assert!(strict::validate(&made, Some("n")).is_empty() || text == "\u{7f}", "{made}");
        }
    }

    #[test]
    fn another_name_keeps_the_rest() {
        let text = "---\nname: a\ndescription: d\nrequires: [x, y]\nmetadata:\n  k: v\n---\n# Body ---\n";
        let made = renamed(text, &Fields::default().with("name", "b")).expect("read");
        let row = front_matter::parse(made.as_bytes()).expect("read");
        assert_eq!((row.name.as_str(), row.requires.len()), ("b", 2));
        assert!(made.ends_with("---\n# Body ---\n"), "{made}");
    }

    #[test]
    fn the_standard_form_is_valid() {
        let text = "---\nname: a\ndescription: 'd: e'\nversion: 1.10\nauthor: Ann\nrequires: [x, y]\n---\n# Body\n";
        let made = standard(text).expect("read");
        assert_eq!(strict::validate(&made, Some("a")), [], "{made}");
        let row = front_matter::parse(made.as_bytes()).expect("read");
        assert_eq!((row.version.as_deref(), row.author.as_deref()), (Some("1.10"), Some("Ann")));
        assert_eq!(row.requires, ["x", "y"]);
    }
}
