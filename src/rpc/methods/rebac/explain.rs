//! `rebac_explain`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::explain_view::{AroundView, Change, FactView, MissView, StatsView, UnknownView};
use super::{moment, object, subject};
use crate::model::Rev;
use crate::rpc::codec::WireTime;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::explain;
use crate::service::relations::questions::Question;

/// Explain why a subject has a permission on an object, or has not.
///
/// Of a yes it gives a proof: the tuples and rules it rests on, to be replayed. Of a no it names what nearly helps
/// (tuples that have ended, conditions that do not hold) and at most five changes, best first, each tried on a copy:
/// the change makes it a yes and no part of it does. Who may ask is as in `rebac_check`. Whoever manages the object
/// sees all names of its own tenant; who asks about itself sees itself, the path asked about and its own groups, and of
/// all else the type.
///
/// With `at_rev` or `at_time` it is the answer of an earlier revision, as in `rebac_check`: the changes are what would
/// have helped then, ids are shown of the tuples that are still there, and `around` is null.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RebacExplain {
    /// `[type, id]`; `["*", "*"]` asks whether it is public.
    subject: Vec<String>,
    /// A permission or a relation of the object's type, e.g. `read`.
    permission: String,
    /// `[type, id]`; the id of type `file` is an absolute virtual path.
    object: Vec<String>,
    /// The tenant of the subject, and of an object that is no file. Default: the caller's.
    #[serde(default)]
    tenant_id: Option<String>,
    /// Ask as of this revision instead of now. What an `X-Nexus-Revision` header named is one.
    #[serde(default)]
    at_rev: Option<Rev>,
    /// Ask as of this time instead of now: an ISO-8601 text or a date-time wrapper.
    #[serde(default)]
    at_time: Option<WireTime>,
}

/// About the explanation itself.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Metadata {
    /// When, ISO-8601.
    pub(super) timestamp: String,
    /// The request.
    pub(super) request_id: String,
    /// There is no limit of depth: always null.
    pub(super) max_depth: Option<u64>,
    /// Nothing is cached for a time: always null.
    pub(super) cache_ttl_seconds: Option<u64>,
}

/// An answer with its reasons.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Explanation {
    /// Whether it is a yes.
    pub(super) result: bool,
    /// Always false: no answer comes from a cache. What does is in `stats`.
    pub(super) cached: bool,
    /// The answer in one sentence.
    pub(super) reason: String,
    /// The way as a tree: rules in `sub_paths`, down to tuples; cut off at 32 levels (`proof` is whole).
    pub(super) paths: Vec<Value>,
    /// The granted way, or null.
    pub(super) successful_path: Option<Value>,
    /// About the explanation itself.
    pub(super) metadata: Metadata,
    /// `allow`, `deny` or `unknown`.
    pub(super) verdict: &'static str,
    /// Of an allow: the facts it rests on. The first is the answer; each names its reasons, which come later.
    pub(super) proof: Option<Vec<FactView>>,
    /// Stored tuples that would help if they counted, nearest first.
    pub(super) misses: Vec<MissView>,
    /// What would make it an allow, best first; of each all of it is needed.
    pub(super) changes: Vec<Change>,
    /// Of a deny or unknown: `found` or `none`.
    pub(super) repair: Option<&'static str>,
    /// Why there is none.
    pub(super) repair_reason: Option<String>,
    /// Whether the search was not cut short. With `repair: none`: certainly nothing helps.
    pub(super) complete: bool,
    /// Why the answer is not known.
    pub(super) unknown: Option<UnknownView>,
    /// Something to know about the name that was asked.
    pub(super) remark: Option<String>,
    /// What the file methods make of it; null where they do not apply or the caller may not know.
    pub(super) around: Option<AroundView>,
    /// Whether names were replaced by their type, for the caller may not see them.
    pub(super) hidden: bool,
    /// What it took.
    pub(super) stats: StatsView,
}

impl Method for RebacExplain {
    const NAME: &'static str = "rebac_explain";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::RevisionInFuture,
        ErrorCode::RevisionTooFar,
        ErrorCode::RevisionTooOld,
    ];
    type Output = Explanation;

    async fn call(self, cx: &RequestContext) -> Result<Explanation, RpcError> {
        let question = Question {
            subject: subject(&self.subject)?,
            permission: self.permission,
            object: object(&self.object)?,
            tenant: self.tenant_id,
        };
        let explained = explain::explain(&cx.call, question, moment(self.at_rev, self.at_time)?).await?;
        Ok(Explanation::of(explained, &cx.call.request_id))
    }
}
