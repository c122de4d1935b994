//! `namespace`: the rules per object type. Files are looked at without a server; what a server has is asked through
//! its methods.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::door::{Door, Session};
use super::{Failure, exit};
use crate::rebac::cases;
use crate::rebac::scratch::Scratch;

/// Validates, tests, lists and changes the rules per object type.
#[derive(Debug, clap::Args)]
pub struct Namespace {
    #[command(flatten)]
    door: Door,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Looks at rules in files (YAML or JSON), beside the built-in ones and each other; asks no server.
    Validate {
        /// Rules of one type (named by --type, or after the file), or of many: {type: rules}.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The type, where a file holds the rules of one and does not name it.
        #[arg(long = "type", value_name = "TYPE")]
        object_type: Option<String>,
    },
    /// Runs cases (YAML): rules, tuples, assert_true, assert_false; asks no server.
    Test {
        /// The cases.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Lists the rules in force, by type.
    List,
    /// Prints the rules of a type as JSON.
    Get {
        /// The type.
        object_type: String,
    },
    /// Puts the rules in a file in force, for every tenant and at once.
    Put {
        /// As `validate` reads it.
        file: PathBuf,
        /// The type, where the file holds the rules of one and does not name it.
        #[arg(long = "type", value_name = "TYPE")]
        object_type: Option<String>,
    },
    /// Deletes stored rules; built-in ones, where there are any, hold again.
    Delete {
        /// The type.
        object_type: String,
    },
}

impl Namespace {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        match &self.command {
            Command::Validate { files, object_type } => validate(&self.door, files, object_type.as_deref()),
            Command::Test { files } => test(&self.door, files),
            command => {
                let session = self.door.open()?;
                let answer = ask(&session, command);
                session.close()?;
                let answer = answer?;
                self.door.show(&answer, |answer| for_people(command, answer))?;
                // What was asked about is not there.
                let nothing = answer.is_null() || answer == false;
                Ok(if nothing { exit::WRONG } else { exit::OK })
            }
        }
    }
}

fn ask(session: &Session, command: &Command) -> Result<Value, Failure> {
    match command {
        Command::List => session.call("namespace_list", json!({})),
        Command::Get { object_type } => session.call("namespace_get", json!({ "object_type": object_type })),
        Command::Delete { object_type } => session.call("namespace_delete", json!({ "object_type": object_type })),
        Command::Put { file, object_type } => {
            let mut told = Map::new();
            for (object_type, config) in rules_of(file, object_type.as_deref())? {
                let params = json!({ "object_type": object_type, "config": config });
                let report = session.call("namespace_validate", params.clone())?;
                session.call("namespace_create", params)?;
                told.insert(object_type, report["warnings"].clone());
            }
            Ok(Value::Object(told))
        }
        Command::Validate { .. } | Command::Test { .. } => Ok(Value::Null),
    }
}

fn for_people(command: &Command, answer: &Value) -> String {
    match command {
        Command::List => {
            let rows = answer.as_array().into_iter().flatten().map(|row| {
                let names = |section: &str| {
                    let keys = row["config"][section].as_object().map(|map| map.keys().cloned().collect::<Vec<_>>());
                    keys.unwrap_or_default()
                };
                let origin = if row["builtin"] == true { "built in" } else { "stored" };
                let (relations, permissions) = (names("relations").len(), names("permissions").join(", "));
                let object_type = row["object_type"].as_str().unwrap_or("-");
                format!("{object_type:<16} {origin:<9} {relations:>3} relations; {permissions}\n")
            });
            rows.collect()
        }
        Command::Get { object_type } if answer.is_null() => {
            format!("'{object_type}' has no rules: a name means the tuples with that very relation\n")
        }
        Command::Get { .. } => format!("{}\n", pretty(&answer["config"])),
        Command::Delete { object_type } if answer == true => match crate::rebac::default_namespace(object_type) {
            Some(_) => format!("deleted the stored rules of '{object_type}'; the built-in ones hold again\n"),
            None => format!("deleted the rules of '{object_type}'\n"),
        },
        Command::Delete { object_type } => format!("no rules of '{object_type}' are stored\n"),
        _ => {
            let mut out = String::new();
            for (object_type, warnings) in answer.as_object().into_iter().flatten() {
                out.push_str(&format!("the rules of '{object_type}' are in force\n"));
                for warning in warnings.as_array().into_iter().flatten() {
                    let text = |key: &str| warning[key].as_str().unwrap_or_default();
                    out.push_str(&format!("  warning: {}: {}\n", text("place"), text("message")));
                }
            }
            out
        }
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("JSON values serialise")
}

fn validate(door: &Door, files: &[PathBuf], object_type: Option<&str>) -> Result<u8, Failure> {
    let mut rules: BTreeMap<String, Value> = BTreeMap::new();
    for file in files {
        for (kind, config) in rules_of(file, object_type)? {
            if rules.contains_key(&kind) {
                return Err(Failure::new(exit::DATA, format!("{}: '{kind}' has rules twice", file.display())));
            }
            rules.insert(kind, config);
        }
    }
    let reports = Scratch::new().namespaces(rules.iter().map(|(kind, config)| (kind.as_str(), config)));
    let errors = reports.iter().filter(|(_, report)| report.is_err()).count();
    let found: Vec<Value> = reports.iter().flat_map(|(kind, report)| findings(kind, report)).collect();
    let answer = json!({ "valid": errors == 0, "types": reports.len(), "findings": found });
    door.show(&answer, |answer| {
        let mut out = String::new();
        for found in answer["findings"].as_array().into_iter().flatten() {
            let text = |key: &str| found[key].as_str().unwrap_or_default();
            out.push_str(&format!("{}: {}: {}\n", text("type"), text("level"), text("message")));
            if let Some(hint) = found["hint"].as_str() {
                out.push_str(&format!("  hint: {hint}\n"));
            }
        }
        let warnings = found.len() - errors;
        out.push_str(&format!("{} types, {errors} errors, {warnings} warnings\n", reports.len()));
        out
    })?;
    Ok(if errors == 0 { exit::OK } else { exit::DATA })
}

fn findings(kind: &str, report: &Result<Vec<crate::rebac::Warning>, crate::rebac::NamespaceError>) -> Vec<Value> {
    match report {
        Ok(warnings) => warnings
            .iter()
            .map(|w| json!({ "type": kind, "level": "warning", "place": w.place, "message": w.to_string() }))
            .collect(),
        Err(error) => vec![json!({
            "type": kind, "level": "error", "place": error.place(), "message": error.to_string(), "hint": error.hint(),
        })],
    }
}

fn test(door: &Door, files: &[PathBuf]) -> Result<u8, Failure> {
    let (mut failed, mut warned) = (Vec::new(), Vec::new());
    let (mut run, mut asserted) = (0, 0);
    for file in files {
        let named = |e: cases::CaseError| Failure::new(exit::DATA, format!("{}: {e}", file.display()));
        let results = cases::run(&cases::read(&text_of(file)?).map_err(named)?).map_err(named)?;
        let at = |text: String| format!("{}: {text}", file.display());
        failed.extend(results.failed.iter().map(|failed| at(failed.to_string())));
        warned.extend(results.warnings.into_iter().map(at));
        (run, asserted) = (run + results.cases, asserted + results.assertions);
    }
    let wrong = failed.len();
    let answer = json!({ "cases": run, "assertions": asserted, "failed": failed, "warnings": warned });
    door.show(&answer, |_| {
        let mut out: String = warned.iter().map(|text| format!("warning: {text}\n")).collect();
        out.extend(failed.iter().map(|text| format!("FAILED {text}\n")));
        match wrong {
            0 => out.push_str(&format!("{asserted} assertions in {run} cases hold\n")),
            wrong => out.push_str(&format!("{wrong} of {asserted} assertions in {run} cases do not hold\n")),
        }
        out
    })?;
    Ok(if wrong == 0 { exit::OK } else { exit::WRONG })
}

fn text_of(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|e| {
        let code = if e.kind() == std::io::ErrorKind::NotFound { exit::NO_INPUT } else { exit::DATA };
        Failure::new(code, format!("reading {} failed: {e}", file.display()))
    })
}

/// The rules in a file, by type: those of one type, `{object_type, config}` or a list of these as the API has them,
/// `{namespaces: {type: rules}}`, or `{type: rules}`.
fn rules_of(file: &Path, object_type: Option<&str>) -> Result<Vec<(String, Value)>, Failure> {
    let wrong = |what: String| Failure::new(exit::DATA, format!("{}: {what}", file.display()));
    let value: Value = serde_saphyr::from_str(&text_of(file)?).map_err(|e| wrong(e.to_string()))?;
    let form = "a file holds {relations, permissions}, {type: rules}, or what namespace_list answers";
    let one = |value: &Value| {
        let kind = value["object_type"].as_str()?.to_owned();
        Some((kind, value.get("config")?.clone()))
    };
    match &value {
        Value::Array(list) => list
            .iter()
            .map(|value| one(value).ok_or_else(|| wrong(format!("{value} is no namespace; {form}"))))
            .collect(),
        Value::Object(map) if map.contains_key("object_type") => {
            one(&value).map(|one| vec![one]).ok_or_else(|| wrong(form.to_owned()))
        }
        Value::Object(map) if map.contains_key("relations") || map.contains_key("permissions") => {
            let stem = file.file_stem().and_then(|stem| stem.to_str());
            let kind = object_type.or(stem).ok_or_else(|| wrong("name the type (--type)".to_owned()))?;
            Ok(vec![(kind.to_owned(), value.clone())])
        }
        Value::Object(map) => {
            let rules = map.get("namespaces").and_then(Value::as_object).unwrap_or(map);
            if rules.is_empty() {
                return Err(wrong(form.to_owned()));
            }
            Ok(rules.iter().map(|(kind, config)| (kind.clone(), config.clone())).collect())
        }
        _ => Err(wrong(form.to_owned())),
    }
}
