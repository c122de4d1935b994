//! `delete_memory`, `approve_memory`, `deactivate_memory`, and each for many.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::memories::ops::{self, Changed, Verb};

/// Makes the method for one memory and the method for many: their names, docs, and the names in their replies.
macro_rules! verb {
    ($verb:expr, $done:ident, $done_ids:ident, $one:ident $one_name:literal $one_doc:literal,
        $many:ident $many_name:literal $many_doc:literal, $one_view:ident, $many_view:ident) => {
        #[doc = $one_doc]
        ///
        /// `false` where there is no such memory for the caller; one that he sees and may not change is refused.
        #[derive(Debug, Deserialize, JsonSchema)]
        pub struct $one {
            /// Which.
            memory_id: String,
        }

        /// Whether it is done.
        #[derive(Debug, Serialize, JsonSchema)]
        pub struct $one_view {
            /// Whether it is done.
            $done: bool,
        }

        impl Method for $one {
            const NAME: &'static str = $one_name;
            const ACCESS: Access = Access::Write;
            const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied];
            const CACHE: CachePolicy = CachePolicy::NoStore;
            type Output = $one_view;

            async fn call(self, cx: &RequestContext) -> Result<$one_view, RpcError> {
                cx.reply_with(|changed: &Changed| $one_view { $done: !changed.done.is_empty() });
                Ok($one_view { $done: ops::change(&cx.call, $verb, self.memory_id).await? })
            }
        }

        #[doc = $many_doc]
        ///
        /// In one change, at most 500; of each it is said whether it was done.
        #[derive(Debug, Deserialize, JsonSchema)]
        pub struct $many {
            /// Which; one that is named twice counts once.
            memory_ids: Vec<String>,
        }

        /// What became of each.
        #[derive(Debug, Serialize, JsonSchema)]
        pub struct $many_view {
            /// For how many it is done.
            $done: usize,
            /// How many are not there for the caller, or not his to change.
            failed: usize,
            /// Those for which it is done.
            $done_ids: Vec<String>,
            /// The others.
            failed_ids: Vec<String>,
        }

        impl From<Changed> for $many_view {
            fn from(changed: Changed) -> Self {
                let ($done, failed) = (changed.done.len(), changed.failed.len());
                Self { $done, failed, $done_ids: changed.done, failed_ids: changed.failed }
            }
        }

        impl Method for $many {
            const NAME: &'static str = $many_name;
            const ACCESS: Access = Access::Write;
            const ERRORS: &'static [ErrorCode] = &[];
            const CACHE: CachePolicy = CachePolicy::NoStore;
            type Output = $many_view;

            async fn call(self, cx: &RequestContext) -> Result<$many_view, RpcError> {
                cx.reply_with(|changed: &Changed| $many_view::from(changed.clone()));
                Ok(ops::change_many(&cx.call, $verb, self.memory_ids).await?.into())
            }
        }
    };
}

verb!(
    Verb::Delete, deleted, deleted_ids,
    DeleteMemory "delete_memory" "Delete a memory.",
    DeleteMemoryBatch "delete_memory_batch" "Delete memories.",
    MemoryDeletedView, MemoriesDeletedView
);
verb!(
    Verb::Approve, approved, approved_ids,
    ApproveMemory "approve_memory" "Make a memory active.",
    ApproveMemoryBatch "approve_memory_batch" "Make memories active.",
    MemoryApprovedView, MemoriesApprovedView
);
verb!(
    Verb::Deactivate, deactivated, deactivated_ids,
    DeactivateMemory "deactivate_memory" "Make a memory inactive: it is kept, and lists leave it out.",
    DeactivateMemoryBatch "deactivate_memory_batch" "Make memories inactive: they are kept, and lists leave them out.",
    MemoryDeactivatedView, MemoriesDeactivatedView
);
