//! `read_with_dynamic_viewer`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::rpc::codec::WireBytes;
use crate::rpc::methods::rebac::subject;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files::{self, columns};

/// Read a file as somebody is shown it: with the column rules that bind him applied, or whole where none do.
///
/// About oneself and one's agents, or for whoever manages the file; rules that bind the caller bind here, too. A table
/// that the rules do not fit is not shown.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadWithDynamicViewer {
    /// Absolute virtual path.
    file_path: String,
    /// Who: `[type, id]`.
    subject: Vec<String>,
}

/// A file as somebody is shown it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownFile {
    /// The bytes.
    content: WireBytes,
    /// Whether rules were applied.
    is_filtered: bool,
    /// The rules.
    config: Option<Value>,
    /// By column and operation.
    aggregations: Map<String, Value>,
    /// The columns that are shown as they are; of a file that is whole none are named.
    columns_shown: Vec<String>,
    /// The columns that hold one figure, e.g. `mean(age)`.
    aggregated_columns: Vec<String>,
}

impl Method for ReadWithDynamicViewer {
    const NAME: &'static str = "read_with_dynamic_viewer";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::FileNotFound,
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::Precondition,
        ErrorCode::Indeterminate,
        ErrorCode::Integrity,
        ErrorCode::ResultTooLarge,
    ];
    type Output = ShownFile;

    async fn call(self, cx: &RequestContext) -> Result<ShownFile, RpcError> {
        let path = files::path_below_root(&self.file_path)?;
        let shown = columns::read_as(&cx.call, path, subject(&self.subject)?).await?;
        let (aggregations, columns_shown, aggregated_columns) = match shown.filtered {
            Some(filtered) => (filtered.aggregations, filtered.shown, filtered.aggregated),
            None => Default::default(),
        };
        Ok(ShownFile {
            content: WireBytes(shown.body),
            is_filtered: shown.rules.is_some(),
            config: shown.rules,
            aggregations,
            columns_shown,
            aggregated_columns,
        })
    }
}
