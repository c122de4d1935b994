//! `rebac_expand`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::list_subjects::SubjectsView;
use super::object;
use crate::rebac::{Expanded, Grantee, Operation};
use crate::rpc::codec::WireTime;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::subjects::{self, SubjectsRequest};

/// Expand a permission on an object: who has it, and by which rules and tuples.
///
/// For whoever manages the permissions of the object. Without `tree` a list of `[type, id]`: every subject of the
/// object's tenant that tuples name and for whom `rebac_check` says yes (users, agents and groups alike), and
/// `["*", "*"]` if everybody of the tenant has it. Subjects of other tenants and exceptions have no place in that form;
/// `rebac_list_subjects` and `tree` have them.
///
/// With `tree` an object: everything that `rebac_list_subjects` tells of subjects of all types, and the rules of the
/// permission down to the tuples. Usersets are leaves; directories above stand side by side, nearest first; tuples that
/// end or have a condition are marked. What is left out of a large tree is marked as `truncated`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RebacExpand {
    /// A permission or a relation of the object's type, e.g. `read`.
    permission: String,
    /// `[type, id]`; the id of type `file` is an absolute virtual path.
    object: Vec<String>,
    /// The tenant of an object that is no file. Default: the caller's.
    #[serde(default)]
    tenant_id: Option<String>,
    /// Whether to tell the rules as well.
    #[serde(default)]
    tree: bool,
}

/// Who has a permission, in the form that was asked for.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ExpandView {
    /// `[type, id]` each.
    Flat(Vec<(String, String)>),
    /// With the tree.
    Tree(Box<TreeView>),
}

/// Who has a permission, and by which rules and tuples.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TreeView {
    /// Who has it.
    #[serde(flatten)]
    subjects: SubjectsView,
    /// The rules.
    tree: Option<NodeView>,
}

/// A name on an object and what it is made of.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NodeView {
    /// `[type, id]`.
    object: (String, String),
    /// The relation, or where the rule stands in the namespace, e.g. `permissions.read`.
    name: String,
    /// `direct`, `union`, `intersection`, `exclusion`, `inherited` (from the directories above), `through` (members of
    /// what a tupleset leads to), `above` (goes on in the next directory of the enclosing list), `repeated` (shown in
    /// another place), `truncated` or `unreadable`.
    operation: &'static str,
    /// What it is made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    children: Vec<NodeView>,
    /// For `through`: the relation that leads there.
    #[serde(skip_serializing_if = "Option::is_none")]
    tupleset: Option<String>,
    /// For `direct` and `through`: the tuples.
    #[serde(skip_serializing_if = "Option::is_none")]
    subjects: Option<Vec<GranteeView>>,
    /// Whether there are more tuples, or more of the tree.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

/// The subject of a tuple.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GranteeView {
    /// `[type, id]`, or `[type, id, relation]` for everybody who has that relation on it.
    subject: Vec<String>,
    /// The tenant it lives in.
    tenant_id: String,
    /// When the tuple ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<WireTime>,
    /// Whether the tuple counts only under a condition.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    conditional: bool,
    /// Whether it is the creator of the file, who needs no tuple.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    owner: bool,
}

impl From<Grantee> for GranteeView {
    fn from(grantee: Grantee) -> Self {
        let mut subject = vec![grantee.subject.kind, grantee.subject.id];
        subject.extend(grantee.relation);
        Self {
            subject,
            tenant_id: grantee.subject.tenant,
            expires_at: grantee.expires_at_us.map(WireTime::aware),
            conditional: grantee.conditional,
            owner: grantee.is_owner,
        }
    }
}

impl From<Expanded> for NodeView {
    fn from(node: Expanded) -> Self {
        let views = |nodes: Vec<Expanded>| nodes.into_iter().map(Self::from).collect::<Vec<_>>();
        let grantees = |list: Vec<Grantee>| Some(list.into_iter().map(GranteeView::from).collect::<Vec<_>>());
        let none = (Vec::new(), None, None, false);
        let (operation, (children, tupleset, subjects, truncated)) = match node.operation {
            Operation::Direct { subjects, truncated } => ("direct", (Vec::new(), None, grantees(subjects), truncated)),
            Operation::Through { tupleset, sets, truncated } => {
                ("through", (Vec::new(), Some(tupleset), grantees(sets), truncated))
            }
            Operation::Union(parts) => ("union", (views(parts), None, None, false)),
            Operation::Intersection(parts) => ("intersection", (views(parts), None, None, false)),
            Operation::Exclusion(part) => ("exclusion", (vec![Self::from(*part)], None, None, false)),
            Operation::Inherited(levels) => ("inherited", (views(levels), None, None, false)),
            Operation::Above => ("above", none),
            Operation::Repeated => ("repeated", none),
            Operation::Truncated => ("truncated", (Vec::new(), None, None, true)),
            Operation::Unreadable => ("unreadable", none),
        };
        let object = (node.object.kind, node.object.id);
        Self { object, name: node.name, operation, children, tupleset, subjects, truncated }
    }
}

impl Method for RebacExpand {
    const NAME: &'static str = "rebac_expand";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied, ErrorCode::Indeterminate];
    type Output = ExpandView;

    async fn call(self, cx: &RequestContext) -> Result<ExpandView, RpcError> {
        let request = SubjectsRequest {
            permission: self.permission,
            object: object(&self.object)?,
            kind: None,
            tenant: self.tenant_id,
        };
        if !self.tree {
            return Ok(ExpandView::Flat(subjects::flat(&cx.call, request).await?));
        }
        let mut answer = subjects::tree(&cx.call, request).await?;
        let tree = answer.tree.take().map(NodeView::from);
        Ok(ExpandView::Tree(Box::new(TreeView { subjects: answer.into(), tree })))
    }
}
