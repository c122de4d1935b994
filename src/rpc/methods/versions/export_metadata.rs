//! `export_metadata`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::time::iso_naive;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files;
use crate::service::versions::moving::export;
use crate::store::members::Details;

/// Lines of a page, if it is not said and at most.
const PAGE_LINES: u32 = 10_000;

/// The metadata of files as lines of JSON, for the client to keep.
///
/// One line a file that the caller may read, sorted by path, as `import_metadata` takes them. Nothing is written on the
/// server: what the lines are for is the client's matter, and `output_path` is refused.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ExportMetadata {
    /// Only files below this directory.
    #[serde(default = "root")]
    prefix: String,
    /// At most so many lines; 10,000 at most.
    #[serde(default)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
    /// Refused: the lines are in `data` of the reply.
    #[serde(default)]
    output_path: Option<String>,
}

fn root() -> String {
    "/".to_owned()
}

/// A page of lines.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExportOutput {
    /// The lines, each ended by a newline.
    data: String,
    /// How many.
    count: usize,
    /// Where the next page begins; null on the last one.
    next_cursor: Option<String>,
}

/// A line.
#[derive(Debug, Serialize)]
struct LineOut<'a> {
    path: &'a str,
    backend_name: &'static str,
    physical_path: Option<&'a str>,
    size: u64,
    etag: Option<&'a str>,
    mime_type: Option<&'a str>,
    created_at: String,
    modified_at: String,
    version: u64,
}

impl<'a> LineOut<'a> {
    fn new(path: &'a str, file: &'a Details) -> Self {
        Self {
            path,
            backend_name: "local",
            physical_path: file.content.as_deref(),
            size: file.size,
            etag: file.content.as_deref(),
            mime_type: file.mime.as_deref(),
            created_at: iso_naive(file.created_at_us),
            modified_at: iso_naive(file.modified_at_us),
            version: file.version,
        }
    }
}

/// The refusal of a path on the server's disk.
pub(super) fn no_server_path(parameter: &str, instead: &str) -> RpcError {
    let text = format!("`{parameter}` would be a file of the server, which no caller reads or writes");
    RpcError::new(ErrorCode::NotSupported, text).hint(format!("leave it out; {instead}"))
}

impl Method for ExportMetadata {
    const NAME: &'static str = "export_metadata";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::InvalidPath, ErrorCode::NotSupported, ErrorCode::ResultTooLarge, ErrorCode::Indeterminate];
    type Output = ExportOutput;

    async fn call(self, cx: &RequestContext) -> Result<ExportOutput, RpcError> {
        if self.output_path.is_some() {
            return Err(no_server_path("output_path", "the lines are in `data` of the reply"));
        }
        let limit = self.limit.unwrap_or(PAGE_LINES).clamp(1, PAGE_LINES) as usize;
        let (entries, next_cursor) = export(&cx.call, files::path(&self.prefix)?, limit, self.cursor).await?;
        let mut data = String::new();
        for (path, file) in &entries {
            let line = serde_json::to_string(&LineOut::new(path, file)).map_err(|_| RpcError::internal())?;
            data.push_str(&line);
            data.push('\n');
        }
        Ok(ExportOutput { data, count: entries.len(), next_cursor })
    }
}
