//! `glob`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grep::Reason;
use crate::rpc::lines::{self, InLines, Lines};
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files;
use crate::service::search::{Found, GlobQuery, glob, glob_on};

/// Find paths by a pattern.
///
/// All files below a directory, and the directories that were made by `mkdir`, that the caller may read and whose
/// paths match; sorted by the text of their paths. A file, a directory that is not there and one that shows nothing
/// find nothing. The pattern is relative to `path`; with a leading `/` it is one for whole paths. `*` is any text
/// without a `/`, `?` one character but `/`, `[a-z]` one of a class, `[!a-z]` or `[^a-z]` one that is not, `{a,b}` one
/// of several, `**` as a whole component any number of components (at the end at least one), `\` takes the meaning
/// from the character after it. Names that begin with a dot are names like others; upper and lower case differ. As in
/// the original, a pattern asked at `/` that holds a `/` and no `**` matches at any depth, unless it begins with
/// `workspace/`, `shared/`, `external/` or `/`. Other than there, `*` never crosses a `/` (ask `**/*.py` for all
/// depths), and braces and `\` have a meaning. A search ends after 10 seconds or 8 MiB of paths with what it has, and
/// says so: `complete` is false, `reason` says why, and `next_cursor` goes on from there.
///
/// Asked with `Accept: application/x-ndjson`, each path comes as a line `{"path": …}` as soon as it is found, and then a
/// line with the other fields of the result, or with `error`. What has no such last line is not whole.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Glob {
    /// The pattern, at most 4096 bytes.
    pattern: String,
    /// Absolute virtual path of the directory.
    #[serde(default = "root")]
    path: String,
    /// At most so many paths.
    #[serde(default)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
}

pub(super) fn root() -> String {
    "/".to_owned()
}

/// The paths that match.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GlobOutput {
    /// Absolute virtual paths, sorted.
    matches: Vec<String>,
    /// Whether it stopped before its end: there may be more.
    truncated: bool,
    /// Whether these are all, from the cursor on.
    complete: bool,
    /// Why they are not.
    reason: Option<Reason>,
    /// Where to go on; null where nothing is left, or nothing was reached.
    next_cursor: Option<String>,
}

impl Method for Glob {
    const NAME: &'static str = "glob";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath, ErrorCode::Indeterminate];
    const CACHE: CachePolicy = CachePolicy::MaxAge(30);
    type Output = GlobOutput;

    async fn call(self, cx: &RequestContext) -> Result<GlobOutput, RpcError> {
        let mut found = glob(&cx.call, self.query()?).await?;
        let matches = std::mem::take(&mut found.results);
        let GlobEnd { truncated, complete, reason, next_cursor } = GlobEnd::of(found);
        Ok(GlobOutput { matches, truncated, complete, reason, next_cursor })
    }
}

impl Glob {
    fn query(self) -> Result<GlobQuery, RpcError> {
        if self.limit == Some(0) {
            return Err(RpcError::invalid_params("limit must be at least 1"));
        }
        Ok(GlobQuery {
            path: files::path(&self.path)?,
            pattern: self.pattern,
            limit: self.limit.map(|limit| limit as usize),
            cursor: self.cursor,
        })
    }
}

/// A line of an answer in lines.
#[derive(Debug, Serialize)]
struct GlobRow {
    path: String,
}

/// The last line of one: [`GlobOutput`] without its paths.
#[derive(Debug, Serialize)]
struct GlobEnd {
    truncated: bool,
    complete: bool,
    reason: Option<Reason>,
    next_cursor: Option<String>,
}

impl GlobEnd {
    fn of(found: Found<String>) -> Self {
        Self {
            truncated: found.stopped.is_some(),
            complete: found.stopped.is_none(),
            reason: found.stopped.map(Reason::from),
            next_cursor: found.next_cursor,
        }
    }
}

impl InLines for Glob {
    fn lines(self, cx: &RequestContext) -> Result<Lines, RpcError> {
        let row = |path| lines::line(&GlobRow { path });
        Ok(lines::of(glob_on(&cx.call, self.query()?), row, |found| lines::line(&GlobEnd::of(found))))
    }
}
