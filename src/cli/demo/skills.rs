//! The skill packages of the demo, as they lie in `skills/`, compiled in.
//!
//! A test compares the list with the directory, so that no file is forgotten.

/// One file of a package: its path below the skills' folder, and its text.
pub type SkillFile = (&'static str, &'static str);

/// One entry per file; the path is written once.
macro_rules! files {
    ($($path:literal),* $(,)?) => { &[$(($path, include_str!(concat!("skills/", $path)))),*] };
}

/// Every file of every package, sorted by path.
pub const FILES: &[SkillFile] = files![
    "docx/SKILL.md",
    "docx/references/ooxml.md",
    "docx/scripts/docx_make.py",
    "docx/scripts/docx_replace.py",
    "docx/scripts/docx_text.py",
    "internal-comms/SKILL.md",
    "internal-comms/references/announcement.md",
    "internal-comms/references/faq.md",
    "internal-comms/references/incident-report.md",
    "internal-comms/references/weekly-update.md",
    "internal-comms/scripts/check_message.py",
    "pdf/SKILL.md",
    "pdf/references/structure.md",
    "pdf/scripts/pdf_info.py",
    "pdf/scripts/pdf_make.py",
    "pdf/scripts/pdf_parse.py",
    "pdf/scripts/pdf_text.py",
    "pptx/SKILL.md",
    "pptx/references/slides.md",
    "pptx/scripts/pptx_make.py",
    "pptx/scripts/pptx_outline.py",
    "skill-creator/SKILL.md",
    "skill-creator/references/format.md",
    "skill-creator/references/review.md",
    "skill-creator/scripts/new_skill.py",
    "skill-creator/scripts/package_skill.py",
    "skill-creator/scripts/validate_skill.py",
    "xlsx/SKILL.md",
    "xlsx/references/formulas.md",
    "xlsx/scripts/xlsx_check.py",
    "xlsx/scripts/xlsx_dump.py",
    "xlsx/scripts/xlsx_make.py",
];

/// The names of the packages, in order.
#[must_use]
pub fn packages() -> Vec<&'static str> {
    let mut names: Vec<_> = FILES.iter().filter_map(|(path, _)| path.split_once('/').map(|(name, _)| name)).collect();
    names.dedup();
    names
}

/// `name` and `description` of a package, from the front matter of its SKILL.md.
///
/// A reading of our own, on purpose not the server's: what the demo expects must not come from what it tests. It is
/// enough for these packages, whose values are plain one-line texts.
#[must_use]
pub fn front_matter(package: &str) -> (&'static str, &'static str) {
    let wanted = format!("{package}/SKILL.md");
    let text = FILES.iter().find(|(path, _)| *path == wanted).map_or("", |(_, text)| text);
    let field = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        line.expect("a test has checked every package").trim()
    };
    (field("name"), field("description"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn walk(dir: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }

    #[test]
    fn no_file_is_forgotten() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli/demo/skills/");
        let mut there = Vec::new();
        walk(Path::new(root), &mut there);
        there.retain(|path| !path.contains("__pycache__"));
        there.sort();
        let listed: Vec<String> = FILES.iter().map(|(path, _)| format!("{root}{path}")).collect();
        assert_eq!(there, listed);
        assert!(packages().len() >= 6);
    }

    /// The rules of the skill specification.
    #[test]
    fn every_package_is_valid() {
        const FIELDS: &[&str] = &["name", "description", "license", "compatibility", "metadata", "allowed-tools"];
        for package in packages() {
            let (name, description) = front_matter(package);
            assert_eq!(name, package);
            let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            assert!(plain && !name.contains("--") && !name.starts_with('-') && !name.ends_with('-'), "{name}");
            assert!((1..=64).contains(&name.len()) && (1..=1024).contains(&description.chars().count()), "{name}");
            assert!(!description.contains(": ") && !description.starts_with(['"', '\'', '>', '|']), "{description}");
            let text = FILES.iter().find(|(path, _)| *path == format!("{package}/SKILL.md")).expect("it").1;
            let (head, body) = text.strip_prefix("---\n").and_then(|t| t.split_once("\n---\n")).expect("front matter");
            for line in head.lines().filter(|line| !line.starts_with(' ')) {
                let field = line.split(':').next().unwrap_or_default();
                assert!(FIELDS.contains(&field), "{package}: {field}");
            }
            assert!(body.lines().count() < 500);
            for folder in ["scripts/", "references/"] {
                let below = format!("{package}/{folder}");
                let here: Vec<_> = FILES.iter().filter(|(path, _)| path.starts_with(&below)).collect();
                assert!(!here.is_empty(), "{package} has no {folder}");
                for (path, text) in here {
                    assert!(!text.is_empty(), "{path} is empty");
                }
            }
            for named in
                body.split([' ', '`', '\n']).filter(|w| w.starts_with("scripts/") || w.starts_with("references/"))
            {
                let named = format!("{package}/{}", named.trim_end_matches(['.', ',', ';', ':', ')']));
                assert!(named.ends_with('/') || FILES.iter().any(|(path, _)| *path == named), "{named} is not there");
            }
        }
    }
}
