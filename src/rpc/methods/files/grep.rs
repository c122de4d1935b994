//! `grep`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::glob::root;
use crate::rpc::lines::{self, InLines, Lines};
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files;
use crate::service::search::text::{CONTEXT_LINES_MAX, Line};
use crate::service::search::{FileCounts, Found, GrepQuery, Match, Stopped, grep, grep_on};

/// Find lines by a regular expression.
///
/// The lines of all files at or below a path that the caller may read, by path and line; one row for each line, with
/// the first match in it. The syntax is that of the Rust crate `regex` (linear time; no look-around and no
/// back-references, which the original's Python has); a pattern never matches over the end of a line. Bodies are
/// searched as they are: what is no UTF-8 is shown as U+FFFD, where the original passes such files by. Passed by and
/// counted are files with a NUL byte (binary), over 16 MiB, and damaged ones; the latter two make the answer
/// incomplete. Of a line and of a match 2000 bytes are shown. A search ends at `max_results`, after 10 seconds or
/// 8 MiB of lines with what it has, and says so: `complete` is false, `reason` says why, and `next_cursor` goes on
/// from there.
///
/// Asked with `Accept: application/x-ndjson`, each row comes as a line as soon as it is found, and then a line with the
/// other fields of the result, or with `error`. What has no such last line is not whole.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Grep {
    /// The regular expression, at most 4096 bytes.
    pattern: String,
    /// Absolute virtual path of a directory or file.
    #[serde(default = "root")]
    path: String,
    /// Only files that this pattern finds, as for `glob`; one without a `/` is for the file's name, at any depth.
    #[serde(default)]
    file_pattern: Option<String>,
    /// Upper and lower case are one.
    #[serde(default)]
    ignore_case: bool,
    /// At most so many lines.
    #[serde(default = "a_hundred")]
    max_results: u32,
    /// Accepted for old clients; bodies are searched as they are.
    #[serde(default)]
    #[expect(dead_code, reason = "a parameter of the contract without a meaning here")]
    search_mode: Option<String>,
    /// Lines shown before each line, at most 20.
    #[serde(default)]
    before_context: u32,
    /// Lines shown after each line, at most 20.
    #[serde(default)]
    after_context: u32,
    /// `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
}

fn a_hundred() -> u32 {
    100
}

/// The lines that match.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GrepOutput {
    /// By path, then by line.
    results: Vec<GrepRow>,
    /// Whether it stopped before its end: there may be more.
    truncated: bool,
    /// Whether these are all, from the cursor on, and every file was looked at.
    complete: bool,
    /// Why they are not.
    reason: Option<Reason>,
    /// Where to go on; null where nothing is left, or nothing was reached.
    next_cursor: Option<String>,
    /// Files whose lines were looked at.
    files_searched: u64,
    /// Files that were passed by.
    files_skipped: SkippedFiles,
}

/// A line that matches.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GrepRow {
    /// Absolute virtual path.
    file: String,
    /// Its number, from 1.
    line: u64,
    /// Its text.
    content: String,
    /// The first match in it.
    #[serde(rename = "match")]
    matched: String,
    /// Only where it is so: the line is longer than what is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_truncated: Option<bool>,
    /// Only with `before_context`: the lines before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Vec<ContextLine>>,
    /// Only with `after_context`: the lines after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Vec<ContextLine>>,
}

/// A line near one that matches.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ContextLine {
    /// Its number, from 1.
    line: u64,
    /// Its text.
    content: String,
}

/// Readable files that were passed by.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SkippedFiles {
    /// With a NUL byte.
    binary: u64,
    /// Over 16 MiB.
    too_large: u64,
    /// Not what was stored.
    damaged: u64,
    /// Tables of which the caller is shown only some columns; left out where there are none.
    #[serde(skip_serializing_if = "is_none")]
    partial: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// Why an answer is not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// As many results as were asked for.
    Limit,
    /// As many bytes as an answer may have.
    ResultBytes,
    /// The time was up.
    Deadline,
    /// It went through, but for files over the limit.
    FilesTooLarge,
    /// It went through, but for damaged files.
    FilesDamaged,
    /// It went through, but for tables of which the caller is shown only some columns.
    FilesPartial,
}

impl From<Stopped> for Reason {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Limit => Self::Limit,
            Stopped::ResultBytes => Self::ResultBytes,
            // Nobody reads the answer to an abandoned search.
            Stopped::Deadline | Stopped::Abandoned => Self::Deadline,
        }
    }
}

impl From<Line> for ContextLine {
    fn from(line: Line) -> Self {
        Self { line: line.number, content: line.text }
    }
}

impl Method for Grep {
    const NAME: &'static str = "grep";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath, ErrorCode::Indeterminate];
    type Output = GrepOutput;

    async fn call(self, cx: &RequestContext) -> Result<GrepOutput, RpcError> {
        let (query, shape) = self.query()?;
        let mut found = grep(&cx.call, query).await?;
        let results = std::mem::take(&mut found.results).into_iter().map(|found| shape.row(found)).collect();
        let GrepEnd { truncated, complete, reason, next_cursor, files_searched, files_skipped } = GrepEnd::of(found);
        Ok(GrepOutput { results, truncated, complete, reason, next_cursor, files_searched, files_skipped })
    }
}

impl Grep {
    fn query(self) -> Result<(GrepQuery, Shape), RpcError> {
        if self.max_results == 0 {
            return Err(RpcError::invalid_params("max_results must be at least 1"));
        }
        let (before, after) = (self.before_context as usize, self.after_context as usize);
        if before.max(after) > CONTEXT_LINES_MAX {
            return Err(RpcError::invalid_params(format_args!("at most {CONTEXT_LINES_MAX} lines of context")));
        }
        let query = GrepQuery {
            path: files::path(&self.path)?,
            pattern: self.pattern,
            file_pattern: self.file_pattern.filter(|pattern| !pattern.is_empty()),
            ignore_case: self.ignore_case,
            before,
            after,
            limit: self.max_results as usize,
            cursor: self.cursor,
        };
        Ok((query, Shape { before, after }))
    }
}

/// Which lines around one are shown.
#[derive(Debug, Clone, Copy)]
struct Shape {
    before: usize,
    after: usize,
}

impl Shape {
    fn row(self, found: Match) -> GrepRow {
        let Match { path: file, hit } = found;
        let context = |asked: usize, lines: Vec<Line>| {
            (asked > 0).then(|| lines.into_iter().map(ContextLine::from).collect::<Vec<_>>())
        };
        GrepRow {
            file,
            line: hit.line.number,
            content: hit.line.text,
            matched: hit.matched,
            content_truncated: hit.line.cut.then_some(true),
            before: context(self.before, hit.before),
            after: context(self.after, hit.after),
        }
    }
}

/// The last line of an answer in lines: [`GrepOutput`] without its rows.
#[derive(Debug, Serialize)]
struct GrepEnd {
    truncated: bool,
    complete: bool,
    reason: Option<Reason>,
    next_cursor: Option<String>,
    files_searched: u64,
    files_skipped: SkippedFiles,
}

impl GrepEnd {
    fn of(found: Found<Match>) -> Self {
        let FileCounts { searched, binary, too_large, damaged, partial } = found.files;
        let passed_by = match (too_large, damaged, partial) {
            (0, 0, 0) => None,
            (0, 0, _) => Some(Reason::FilesPartial),
            (0, _, _) => Some(Reason::FilesDamaged),
            _ => Some(Reason::FilesTooLarge),
        };
        let reason = found.stopped.map(Reason::from).or(passed_by);
        Self {
            truncated: found.stopped.is_some(),
            complete: reason.is_none(),
            reason,
            next_cursor: found.next_cursor,
            files_searched: searched,
            files_skipped: SkippedFiles { binary, too_large, damaged, partial },
        }
    }
}

impl InLines for Grep {
    fn lines(self, cx: &RequestContext) -> Result<Lines, RpcError> {
        let (query, shape) = self.query()?;
        Ok(lines::of(
            grep_on(&cx.call, query),
            move |found| lines::line(&shape.row(found)),
            |found| lines::line(&GrepEnd::of(found)),
        ))
    }
}
