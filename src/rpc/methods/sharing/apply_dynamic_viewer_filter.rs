//! `apply_dynamic_viewer_filter`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::ServiceError;
use crate::service::columns::Filtered;
use crate::service::files::columns;

/// Show what column rules make of a table that is sent along.
///
/// A column that is named and not there, a row of another length, a figure of what is no number: then nothing is shown,
/// and why is said.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ApplyDynamicViewerFilter {
    /// The table, up to 8 MiB.
    data: String,
    /// The rules, as in `rebac_create`.
    column_config: Value,
    /// The format: `csv`.
    #[serde(default = "csv")]
    file_format: String,
}

fn csv() -> String {
    "csv".into()
}

/// What is left of a table.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FilteredView {
    /// The table.
    filtered_data: String,
    /// By column and operation.
    aggregations: Map<String, Value>,
    /// The columns that are shown as they are.
    columns_shown: Vec<String>,
    /// The columns that hold one figure, e.g. `mean(age)`.
    aggregated_columns: Vec<String>,
}

impl From<Filtered> for FilteredView {
    fn from(filtered: Filtered) -> Self {
        Self {
            filtered_data: filtered.text,
            aggregations: filtered.aggregations,
            columns_shown: filtered.shown,
            aggregated_columns: filtered.aggregated,
        }
    }
}

impl Method for ApplyDynamicViewerFilter {
    const NAME: &'static str = "apply_dynamic_viewer_filter";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::NotSupported];
    type Output = FilteredView;

    async fn call(self, cx: &RequestContext) -> Result<FilteredView, RpcError> {
        if self.file_format != "csv" {
            let (message, hint) = (format!("file_format '{}' is not supported", self.file_format), "send csv".into());
            return Err(ServiceError::NotSupported { message, hint }.into());
        }
        Ok(columns::try_out(&cx.call, self.data, self.column_config).await?.into())
    }
}
