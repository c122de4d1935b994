//! `ls`, `du`, `find`, `grep`: what is there.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::door::Door;
use super::super::{Failure, exit};
use super::table::{size, table};
use super::{is_directory, listed, name, stat, text};

/// Lists a directory, or shows a file.
#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    door: Door,
    /// Absolute path on the server.
    #[arg(default_value = "/")]
    path: String,
    /// Size, time and etag, too.
    #[arg(long, short)]
    long: bool,
    /// Everything below.
    #[arg(long, short = 'R')]
    recursive: bool,
}

impl List {
    /// Runs; the exit code is 1 if there is nothing at the path.
    pub fn run(self) -> Result<u8, Failure> {
        let session = self.door.open()?;
        let found = stat(&session, &self.path);
        let rows = match &found {
            Ok(Some(stat)) if !is_directory(stat) => {
                let mut row = stat.clone();
                row["path"] = self.path.as_str().into();
                Ok(vec![row])
            }
            _ => listed(&session, &self.path, self.recursive),
        };
        session.close()?;
        let (found, rows) = (found?, rows?);
        if found.is_none() && rows.is_empty() {
            return Err(missing(&self.path));
        }
        self.door.show(&json!({ "files": rows }), |_| self.for_people(&rows))?;
        Ok(exit::OK)
    }

    fn for_people(&self, rows: &[Value]) -> String {
        let lines = rows.iter().map(|row| {
            let (path, directory) = (text(&row["path"]), is_directory(row));
            let name = if self.recursive { path } else { name(path) };
            let name = format!("{name}{}", if directory { "/" } else { "" });
            if !self.long {
                return vec![name];
            }
            let bytes = if directory { "-".to_owned() } else { size(row["size"].as_u64().unwrap_or(0)) };
            let etag = row["etag"].as_str().map_or("-", |etag| etag.get(..12).unwrap_or(etag));
            vec![bytes, time(&row["modified_at"]), etag.to_owned(), name]
        });
        table(&lines.collect::<Vec<_>>())
    }
}

/// A time of the API, to the second.
pub(super) fn time(value: &Value) -> String {
    let text = value["data"].as_str().or_else(|| value.as_str()).unwrap_or("-");
    text.get(..19).unwrap_or(text).replace('T', " ")
}

fn missing(path: &str) -> Failure {
    Failure::new(exit::WRONG, format!("{path}: there is nothing that you may see"))
}

/// Adds up the sizes of files, by what lies directly in a directory.
#[derive(Debug, clap::Args)]
pub struct DiskUse {
    #[command(flatten)]
    door: Door,
    /// Absolute path on the server.
    #[arg(default_value = "/")]
    path: String,
}

impl DiskUse {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let session = self.door.open()?;
        let rows = listed(&session, &self.path, true);
        session.close()?;
        let top = self.path.trim_end_matches('/');
        let mut sums: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        let rows = rows?;
        for row in rows.iter().filter(|row| !is_directory(row)) {
            let below = text(&row["path"]).strip_prefix(top).unwrap_or_default().trim_start_matches('/');
            let sum = sums.entry(below.split('/').next().unwrap_or_default()).or_default();
            *sum = (sum.0 + row["size"].as_u64().unwrap_or(0), sum.1 + 1);
        }
        let (bytes, files) = sums.values().fold((0, 0), |all, sum| (all.0 + sum.0, all.1 + sum.1));
        let entries: Vec<Value> =
            sums.iter().map(|(name, (bytes, files))| json!({"name": name, "bytes": bytes, "files": files})).collect();
        self.door.show(&json!({"bytes": bytes, "files": files, "entries": entries}), |_| {
            let mut lines: Vec<Vec<String>> = sums
                .iter()
                .map(|(name, (bytes, files))| vec![size(*bytes), files.to_string(), (*name).to_owned()])
                .collect();
            lines.push(vec![size(bytes), files.to_string(), self.path.clone()]);
            table(&lines)
        })?;
        Ok(exit::OK)
    }
}

/// Finds paths by a pattern, e.g. `**/*.md`.
#[derive(Debug, clap::Args)]
pub struct Find {
    #[command(flatten)]
    door: Door,
    /// The pattern: `*` within a name, `**` over names, `?`, `[a-z]`.
    pattern: String,
    /// Where to look.
    #[arg(default_value = "/")]
    path: String,
}

impl Find {
    /// Runs; the exit code is 1 if nothing was found.
    pub fn run(self) -> Result<u8, Failure> {
        let answer = self.door.ask("glob", json!({"pattern": self.pattern, "path": self.path}))?;
        let found: Vec<&str> = answer["matches"].as_array().into_iter().flatten().map(text).collect();
        self.door.show(&answer, |answer| {
            let mut lines: String = found.iter().map(|path| format!("{path}\n")).collect();
            lines.push_str(&unfinished(answer));
            lines
        })?;
        Ok(if found.is_empty() { exit::WRONG } else { exit::OK })
    }
}

/// What is said of a search that has not seen everything.
fn unfinished(answer: &Value) -> String {
    match answer["complete"] == false {
        true => format!("… not complete: {}\n", text(&answer["reason"])),
        false => String::new(),
    }
}

/// Finds lines by a regular expression.
#[derive(Debug, clap::Args)]
pub struct Grep {
    #[command(flatten)]
    door: Door,
    /// The regular expression.
    pattern: String,
    /// Where to look: a directory or a file.
    #[arg(default_value = "/")]
    path: String,
    /// Upper and lower case are one.
    #[arg(long, short)]
    ignore_case: bool,
    /// Only files that this pattern finds.
    #[arg(long, value_name = "PATTERN")]
    include: Option<String>,
    /// Lines before and after each one.
    #[arg(long, short = 'C', value_name = "LINES", default_value_t = 0)]
    around: u32,
    /// At most so many lines.
    #[arg(long, short, default_value_t = 1_000)]
    max: u32,
}

impl Grep {
    /// Runs; the exit code is 1 if nothing was found.
    pub fn run(self) -> Result<u8, Failure> {
        let query = json!({
            "pattern": self.pattern, "path": self.path, "ignore_case": self.ignore_case, "file_pattern": self.include,
            "before_context": self.around, "after_context": self.around, "max_results": self.max,
        });
        let answer = self.door.ask("grep", query)?;
        let found: Vec<&Value> = answer["results"].as_array().into_iter().flatten().collect();
        self.door.show(&answer, |answer| {
            let mut lines: String = found.iter().map(|row| grep_lines(row)).collect();
            lines.push_str(&unfinished(answer));
            lines
        })?;
        Ok(if found.is_empty() { exit::WRONG } else { exit::OK })
    }
}

fn grep_lines(row: &Value) -> String {
    let file = text(&row["file"]);
    let around = |rows: &Value| -> String {
        let rows = rows.as_array().into_iter().flatten();
        rows.map(|row| format!("{file}-{}-{}\n", row["line"], text(&row["content"]))).collect()
    };
    let (before, after) = (around(&row["before"]), around(&row["after"]));
    format!("{before}{file}:{}:{}\n{after}", row["line"], text(&row["content"]))
}
