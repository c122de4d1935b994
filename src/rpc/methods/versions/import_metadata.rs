//! `import_metadata`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::export_metadata::no_server_path;
use crate::model::ContentHash;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::versions::moving::{Became, Existing, Line, import};

/// Make files from lines of metadata, whose content is here already.
///
/// At most 256 lines, as `export_metadata` gives them; of each only `path` and `etag` count: the file gets the
/// content with this etag, if the caller may read a file that has it, and belongs to whoever imports it. Times and
/// versions are those of now. `input_path`, a file of the server, is refused. Needs `write` on each file that is there,
/// else on its directory.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ImportMetadata {
    /// The lines: JSON objects, one a line.
    #[serde(default)]
    data: Option<String>,
    /// Files that are there get a next version.
    #[serde(default)]
    overwrite: bool,
    /// Files that are there stay as they are; without it, and without `overwrite`, they are refused.
    #[serde(default = "yes")]
    skip_existing: bool,
    /// Say what would become of each line, and write nothing.
    #[serde(default)]
    dry_run: bool,
    /// Refused: the lines are sent in `data`.
    #[serde(default)]
    input_path: Option<String>,
}

fn yes() -> bool {
    true
}

/// A line, as far as it counts.
#[derive(Debug, Deserialize)]
struct LineIn {
    path: String,
    etag: String,
}

/// What became of the lines.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ImportOutput {
    /// New files.
    created: usize,
    /// Files with a next version.
    updated: usize,
    /// Files that stay as they were.
    skipped: usize,
    /// Always 0: no file gets another path than its line says.
    remapped: usize,
    /// Lines that were refused, and why.
    errors: Vec<LineError>,
}

/// A line that was refused.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LineError {
    /// Its path.
    path: String,
    /// Why.
    error: String,
}

fn output(paths: &[String], became: &[Became]) -> ImportOutput {
    let count = |wanted: &Became| became.iter().filter(|one| *one == wanted).count();
    let error = |(path, became): (&String, &Became)| match became {
        Became::Refused(error) => Some(LineError { path: path.clone(), error: error.clone() }),
        _ => None,
    };
    ImportOutput {
        created: count(&Became::Created),
        updated: count(&Became::Updated),
        skipped: count(&Became::Skipped),
        remapped: 0,
        errors: paths.iter().zip(became).filter_map(error).collect(),
    }
}

fn parse((text, number): (&str, usize)) -> Result<Line, RpcError> {
    let line: LineIn = serde_json::from_str(text)
        .map_err(|error| RpcError::invalid_params(format!("data, line {number}: {error}")))?;
    let hash = ContentHash::from_hex(&line.etag);
    let hash = hash.ok_or_else(|| RpcError::invalid_params(format!("data, line {number}: etag is no BLAKE3 hash")))?;
    Ok(Line { path: line.path, hash })
}

impl Method for ImportMetadata {
    const NAME: &'static str = "import_metadata";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::NotSupported, ErrorCode::QuotaExceeded, ErrorCode::StorageFull];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = ImportOutput;

    async fn call(self, cx: &RequestContext) -> Result<ImportOutput, RpcError> {
        if self.input_path.is_some() {
            return Err(no_server_path("input_path", "send the lines in `data`"));
        }
        let data = self.data.ok_or_else(|| RpcError::invalid_params("data is missing: lines of JSON"))?;
        let existing = match (self.overwrite, self.skip_existing) {
            (true, _) => Existing::Overwrite,
            (false, true) => Existing::Skip,
            (false, false) => Existing::Refuse,
        };
        let lines = data.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
        let lines = lines.map(parse).collect::<Result<Vec<_>, RpcError>>()?;
        let paths: Vec<_> = lines.iter().map(|line| line.path.clone()).collect();
        let shown = paths.clone();
        cx.reply_with(move |became: &Vec<Became>| output(&shown, became));
        Ok(output(&paths, &import(&cx.call, lines, existing, self.dry_run).await?))
    }
}
