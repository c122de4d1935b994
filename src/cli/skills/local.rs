//! Skills on this machine: made, validated, packed. No server is asked.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::json;

use super::super::door::Door;
use super::super::{Failure, exit, print};
use crate::service::skills::archive::{self, DEPTH_MAX, ENTRIES_MAX, FILE_BYTES_MAX, Member};
use crate::service::skills::compose::Fields;
use crate::service::skills::front_matter::SKILL_FILE;
use crate::service::skills::strict::{self, FILE_NAMES, Finding};
use crate::service::skills::templates::{TEMPLATES, Template};

/// Makes the directory of a new skill.
pub(super) fn new(
    door: &Door,
    name: &str,
    description: Option<&str>,
    template: &str,
    within: &Path,
) -> Result<u8, Failure> {
    let Some(template) = Template::find(template) else {
        let known: Vec<_> = TEMPLATES.iter().map(|template| template.name).collect();
        let text = format!("there is no template '{template}'");
        return Err(Failure::new(exit::USAGE, text).hint(format!("one of: {}", known.join(", "))));
    };
    let description = match description {
        Some(text) => text.to_owned(),
        None => format!("What {name} does, and when it is of use. Say it here in a sentence or two."),
    };
    let fields = Fields::default().with("name", name).with("description", description.as_str());
    let text = fields.document(&template.body(name, &description));
    if let Some(wrong) = strict::validate(&text, Some(name)).first() {
        return Err(Failure::new(exit::USAGE, wrong.message.clone()));
    }
    let directory = within.join(name);
    let failed =
        |path: &Path, e: &std::io::Error| Failure::new(exit::CANNOT_CREATE, format!("{}: {e}", path.display()));
    std::fs::create_dir_all(&directory).map_err(|e| failed(&directory, &e))?;
    let file = directory.join(SKILL_FILE);
    let made = std::fs::File::create_new(&file).and_then(|mut file| file.write_all(text.as_bytes()));
    made.map_err(|e| failed(&file, &e))?;
    door.show(&json!({"path": file.display().to_string()}), |_| format!("made {}\n", file.display()))?;
    Ok(exit::OK)
}

/// Says what is wrong with a skill, in the words of the reference and with lines.
pub(super) fn validate(door: &Door, path: &Path) -> Result<u8, Failure> {
    let is_skill_file = |path: &Path| {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase());
        path.is_file() && name.as_deref() == Some("skill.md")
    };
    let directory = if is_skill_file(path) { path.parent().unwrap_or(Path::new(".")) } else { path };
    let found = findings(directory)?;
    let shown = directory.display();
    if door.json {
        let errors: Vec<_> = found.iter().map(|f| json!({"message": f.message, "line": f.line})).collect();
        let answer = json!({"path": shown.to_string(), "valid": found.is_empty(), "errors": errors});
        door.show(&answer, |_| String::new())?;
    } else if found.is_empty() {
        print(&format!("Valid skill: {shown}\n"))?;
    } else {
        let mut err = std::io::stderr().lock();
        // Who closes standard error does not want to hear it.
        let _ = writeln!(err, "Validation failed for {shown}:");
        for finding in &found {
            let _ = writeln!(err, "  - {finding}");
        }
    }
    Ok(if found.is_empty() { exit::OK } else { exit::WRONG })
}

fn findings(directory: &Path) -> Result<Vec<Finding>, Failure> {
    let plain = |message: String| Ok(vec![Finding { message, line: None }]);
    if !directory.as_os_str().is_empty() && !directory.exists() {
        return plain(format!("Path does not exist: {}", directory.display()));
    }
    if directory.is_file() {
        return plain(format!("Not a directory: {}", directory.display()));
    }
    let Some(file) = FILE_NAMES.iter().map(|name| directory.join(name)).find(|file| file.exists()) else {
        return plain("Missing required file: SKILL.md".to_owned());
    };
    let bytes = std::fs::read(&file).map_err(|e| Failure::new(exit::NO_INPUT, format!("{}: {e}", file.display())))?;
    let Ok(text) = String::from_utf8(bytes) else { return plain("SKILL.md is not UTF-8 text".to_owned()) };
    // `.` has a name as well, only not in the path.
    let whole = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let name = match directory.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => whole
            .canonicalize()
            .ok()
            .and_then(|p| Some(p.file_name()?.to_string_lossy().into_owned()))
            .unwrap_or_default(),
    };
    Ok(strict::validate(&text, Some(&name)))
}

/// The archive at a path, or one of the skill in the directory there.
pub(super) fn archive(path: &Path) -> Result<Vec<u8>, Failure> {
    if !path.is_dir() {
        return std::fs::read(path).map_err(|e| Failure::new(exit::NO_INPUT, format!("{}: {e}", path.display())));
    }
    let whole = path.canonicalize().map_err(|e| Failure::new(exit::NO_INPUT, format!("{}: {e}", path.display())))?;
    let name = whole.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut members = Vec::new();
    collect(&whole, &name, 1, &mut members)?;
    members.sort_by(|a, b| a.path.cmp(&b.path));
    archive::write(&members).map_err(|error| Failure::new(exit::DATA, error.to_string()))
}

fn collect(directory: &Path, prefix: &str, depth: usize, members: &mut Vec<Member>) -> Result<(), Failure> {
    let unreadable = |path: &Path, e: &std::io::Error| Failure::new(exit::NO_INPUT, format!("{}: {e}", path.display()));
    let entries = std::fs::read_dir(directory).map_err(|e| unreadable(directory, &e))?;
    for entry in entries {
        let entry = entry.map_err(|e| unreadable(directory, &e))?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(|e| unreadable(directory, &e))?);
        let Ok(name) = entry.file_name().into_string() else {
            return Err(Failure::new(exit::DATA, format!("{}: the name is not UTF-8", path.display())));
        };
        let inside = format!("{prefix}/{name}");
        if kind.is_dir() {
            if depth >= DEPTH_MAX {
                return Err(Failure::new(
                    exit::DATA,
                    format!("{}: deeper than {DEPTH_MAX} directories", path.display()),
                ));
            }
            collect(&path, &inside, depth + 1, members)?;
        } else if kind.is_file() {
            members.push(Member { path: inside, body: Bytes::from(small(&path)?) });
        } else {
            // What a link points to is not the skill's.
            return Err(Failure::new(
                exit::DATA,
                format!("{}: a link or a device, which no skill has", path.display()),
            ));
        }
        if members.len() > ENTRIES_MAX {
            return Err(Failure::new(exit::DATA, format!("{}: more than {ENTRIES_MAX} files", directory.display())));
        }
    }
    Ok(())
}

fn small(path: &PathBuf) -> Result<Vec<u8>, Failure> {
    let unreadable = |e: std::io::Error| Failure::new(exit::NO_INPUT, format!("{}: {e}", path.display()));
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > FILE_BYTES_MAX {
        let text = format!("{}: {size} bytes, more than {FILE_BYTES_MAX}", path.display());
        return Err(Failure::new(exit::DATA, text));
    }
    std::fs::read(path).map_err(unreadable)
}
