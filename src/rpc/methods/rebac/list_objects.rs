//! `rebac_list_objects`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::subject;
use crate::model::VirtualPath;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::ServiceError;
use crate::service::relations::objects::{self, ObjectsRequest};

/// List the objects of a type on which a subject has a permission.
///
/// Exactly those for which `rebac_check` says yes: by relations alone, without the bypass of admins. One's own list and
/// those of one's agents are for everybody, those of other subjects for an admin of the tenant. Only objects of that
/// tenant are listed.
///
/// Of type `file` the nodes that exist are listed, in order of their path components (`/a`, `/a/b`, `/a.txt`). Each page
/// is exact at its own `revision`; `changed` says that rights or the tree below the path have changed since the first
/// page (a right that ended by itself is no change). What is there and readable during the whole walk comes exactly once. Of other types the objects are listed
/// that a live tuple names, in order of the bytes of their ids, all pages at the revision and the time of the first;
/// a minute after that the cursor has expired (`cursor_expired`).
///
/// A page that is short without being the last one has `complete: false` and a `reason`, and can be continued.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RebacListObjects {
    /// `[type, id]`.
    subject: Vec<String>,
    /// A permission or a relation of the type, e.g. `read`.
    permission: String,
    /// The type of the objects, e.g. `file`, `skill`.
    object_type: String,
    /// The tenant of the subject and of the objects. Default: the caller's.
    #[serde(default)]
    tenant_id: Option<String>,
    /// For files: only what lies at or below this path. Default: `/`.
    #[serde(default)]
    path_prefix: Option<String>,
    /// At most so many objects, undecided ones included: 1 to 10,000. Default: 1,000.
    #[serde(default)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
}

/// A page of objects.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ObjectsView {
    /// `[type, id]` each.
    objects: Vec<(String, String)>,
    /// Those of which it cannot be said.
    undecided: Vec<UndecidedObject>,
    /// Where the next page begins; null = there is none.
    next_cursor: Option<String>,
    /// Whether the page is as long as it should be.
    complete: bool,
    /// Why it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// For files: something below the path has changed since the first page.
    changed: bool,
    /// The revision the page is of.
    revision: u64,
}

/// An object of which it cannot be said whether the subject has the permission.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UndecidedObject {
    /// `[type, id]`.
    object: (String, String),
    /// Why.
    reason: String,
}

impl Method for RebacListObjects {
    const NAME: &'static str = "rebac_list_objects";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied, ErrorCode::CursorExpired];
    type Output = ObjectsView;

    async fn call(self, cx: &RequestContext) -> Result<ObjectsView, RpcError> {
        let below = self
            .path_prefix
            .as_deref()
            .map(|text| VirtualPath::parse(text).map_err(|reason| RpcError::from(ServiceError::path(text, reason))));
        let request = ObjectsRequest {
            subject: subject(&self.subject)?,
            permission: self.permission,
            kind: self.object_type,
            tenant: self.tenant_id,
            below: below.transpose()?,
            limit: self.limit,
            cursor: self.cursor,
        };
        let kind = request.kind.clone();
        let page = objects::list(&cx.call, &cx.services.pins, request).await?;
        let named = |id: String| (kind.clone(), id);
        let undecided = page.undecided.into_iter();
        Ok(ObjectsView {
            objects: page.objects.into_iter().map(named).collect(),
            undecided: undecided.map(|(id, reason)| UndecidedObject { object: named(id), reason }).collect(),
            next_cursor: page.next_cursor,
            complete: page.cut_short.is_none(),
            reason: page.cut_short,
            changed: page.changed,
            revision: page.rev,
        })
    }
}
