//! Effective rights: the bypass of admins, the caller's own relations, and what an agent inherits, in one function
//! for reads, listings and the second check inside the write transaction.
//!
//! Decides, and words the refusals. Changes nothing; the engine it asks knows neither admins nor agents.

mod closed;
mod obligations;
mod reader;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::{AuthIndex, Caller};
use crate::model::time::monotonic;
use crate::model::{EntityId, NodeFacts, NodeKind, NodeRow, VirtualPath};
use crate::rebac::limits::EDGES_PER_SECOND_CHECK;
use crate::rebac::{
    Budget, Caches, Candidates, ENGINE_VERSION, Env, Graph, LeafFacts, ObjectRef, ObjectsQuery, Query, Verdict, Why,
};
use crate::store::mounts::Mounted;
use crate::store::{DecisionNote, Note, Sql, Store, WriteTx};

use super::located::{self, Located};
use super::records;
use super::{Lacking, ServiceError};

pub(super) use closed::is_read_only;
pub use obligations::{DYNAMIC_VIEWER, condition};
pub use reader::Reader;

/// The type of files in the permission graph.
pub const FILE: &str = "file";
/// The type of users in the permission graph.
pub const USER: &str = "user";
/// Longest time that the second check of one operation may take of the writer.
const SECOND_CHECK_TIME: Duration = Duration::from_millis(2);

/// The permissions of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// See and read.
    Read,
    /// Change, delete, create in.
    Write,
    /// Own: manage the permissions of.
    Execute,
}

impl Permission {
    /// The name in namespaces.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Execute => "execute",
        }
    }

    /// The relation that gives it to one subject.
    fn relation(self) -> &'static str {
        match self {
            Self::Read => "direct_viewer",
            Self::Write => "direct_editor",
            Self::Execute => "direct_owner",
        }
    }
}

/// What the caller may do, at the revision of one transaction.
pub struct Access<'t, T: Sql> {
    tx: &'t T,
    caller: Caller,
    caches: Option<&'t Caches>,
    env: Env,
    budget: RefCell<Budget>,
    notes: Option<&'t Store>,
    /// Inside the write transaction: what the budget did not suffice for is told apart from a no.
    second: bool,
    /// A test has taken the second check out: everything is allowed.
    unchecked: bool,
}

/// The file that is asked about, as far as the service has looked it up.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The path.
    pub path: &'a VirtualPath,
    /// Its node, or `None` if it does not exist.
    pub node: Option<&'a NodeRow>,
    /// The tenant that decides: of the node, else the one the path names, else of its nearest existing ancestor.
    pub tenant: &'a str,
}

impl<'t, 'w> Access<'t, WriteTx<'w>> {
    /// The second check: inside the write transaction, on the graph with the earlier operations of the batch, from the
    /// identity on. Costs the writer 2 ms at most; what that does not suffice for is refused as
    /// undecided.
    pub fn in_writer(tx: &'t WriteTx<'w>, caller: &Caller) -> Result<Self, ServiceError> {
        if tx.is_unchecked() {
            return Ok(Self { unchecked: true, ..Self::of(tx, caller.clone(), None) });
        }
        let began = monotonic();
        let budget = Budget::edges(EDGES_PER_SECOND_CHECK).until(move || began.elapsed() > SECOND_CHECK_TIME);
        Ok(Self { second: true, ..Self::new(tx, caller, None)?.spending(budget) })
    }
}

impl<'t, T: Sql> Access<'t, T> {
    /// Re-reads the caller's identity in `tx`. In a write transaction it is [`in_writer`](Self::in_writer).
    pub fn new(tx: &'t T, caller: &Caller, caches: Option<&'t Caches>) -> Result<Self, ServiceError> {
        let caller = tx.view::<AuthIndex>().refresh(caller, tx.wall_us()).map_err(|_| ServiceError::Unauthenticated)?;
        Ok(Self::of(tx, caller, caches))
    }

    fn of(tx: &'t T, caller: Caller, caches: Option<&'t Caches>) -> Self {
        let env = Env { now_us: tx.now_us(), context: None };
        let budget = RefCell::new(Budget::request());
        Self { tx, caller, caches, env, budget, notes: None, second: false, unchecked: false }
    }

    /// Leaves a record of each decision that is computed for one path. For requests; never in a write transaction.
    #[must_use]
    pub fn noting(mut self, store: &'t Store) -> Self {
        self.notes = Some(store);
        self
    }

    /// Spends from `budget` instead of that of an ordinary request.
    #[must_use]
    pub fn spending(self, budget: Budget) -> Self {
        self.budget.replace(budget);
        self
    }

    /// Whether the budget was spent: from now on nothing can be decided.
    pub(super) fn is_spent(&self) -> bool {
        self.budget.borrow().is_spent()
    }

    /// The caller as of this transaction.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The transaction.
    pub fn tx(&self) -> &'t T {
        self.tx
    }

    /// The user or agent as subject of the graph.
    pub fn subject(&self) -> ObjectRef<'_> {
        ObjectRef { tenant: &self.caller.tenant, kind: &self.caller.subject_type, id: &self.caller.subject_id }
    }

    /// The owner whose rights the caller inherits, if it is an agent that does.
    pub fn inherited(&self) -> Option<ObjectRef<'_>> {
        let caller = &self.caller;
        let inherits = caller.agent.is_some() && caller.inherits;
        let owner = ObjectRef { tenant: &caller.tenant, kind: USER, id: &caller.user };
        (inherits && self.subject() != owner).then_some(owner)
    }

    /// The subjects whose relations count: the caller's own, then the inherited ones.
    pub fn subjects(&self) -> impl Iterator<Item = ObjectRef<'_>> {
        std::iter::once(self.subject()).chain(self.inherited())
    }

    /// Whether the caller rules `tenant`: its admin, or the instance admin.
    pub fn rules(&self, tenant: &str) -> bool {
        self.unchecked || self.caller.is_admin && (self.caller.is_instance_admin || self.caller.tenant == tenant)
    }

    /// Whether the caller crosses tenants.
    pub fn is_instance_admin(&self) -> bool {
        self.caller.is_admin && self.caller.is_instance_admin
    }

    /// Bypass of an admin (read and write, nodes of its own tenant; instance admin: every tenant), else the caller's
    /// relations, else those an agent inherits from its owner.
    pub fn file(&self, target: Target<'_>, permission: Permission) -> Result<Verdict, ServiceError> {
        self.decide(target, permission, self.notes)
    }

    /// [`file`](Self::file) about a path that nobody asked about; leaves no record.
    pub(super) fn peek(&self, target: Target<'_>, permission: Permission) -> Result<Verdict, ServiceError> {
        self.decide(target, permission, None)
    }

    fn decide(
        &self,
        target: Target<'_>,
        permission: Permission,
        notes: Option<&Store>,
    ) -> Result<Verdict, ServiceError> {
        if self.unchecked {
            return Ok(Verdict::Allow);
        }
        if permission == Permission::Write && self.is_closed(target.path) {
            return Ok(Verdict::Deny);
        }
        if permission != Permission::Execute && self.rules(target.tenant) {
            return Ok(Verdict::Allow);
        }
        let object = ObjectRef { tenant: target.tenant, kind: FILE, id: target.path.as_str() };
        let leaf = leaf_of(target.node);
        let mut verdict = Verdict::Deny;
        for subject in self.subjects() {
            match self.relation(subject, permission.as_str(), object, leaf, notes) {
                Verdict::Allow => return Ok(Verdict::Allow),
                Verdict::Deny => {}
                unknown @ Verdict::Unknown(_) => verdict = unknown,
            }
        }
        Ok(verdict)
    }

    /// [`file`](Self::file), or the refusal that is the same for existing and missing paths.
    pub fn require_file(&self, target: Target<'_>, permission: Permission) -> Result<(), ServiceError> {
        self.require_for(target, permission, target.path, target.path)
    }

    /// `permission` on `target`, refused in the words of `asked`, the path that the caller named; `lacking` is the
    /// path where the permission would help.
    pub fn require_for(
        &self,
        target: Target<'_>,
        permission: Permission,
        asked: &VirtualPath,
        lacking: &VirtualPath,
    ) -> Result<(), ServiceError> {
        match self.file(target, permission)? {
            Verdict::Allow => Ok(()),
            Verdict::Deny => Err(self.denial(permission, asked, lacking)),
            Verdict::Unknown(why) => Err(indeterminate(permission.as_str(), asked, &why)),
        }
    }

    /// WRITE on the node, or, for a path without one, on the directory it would lie in. Refused in the same words.
    pub fn require_write(&self, located: &Located) -> Result<(), ServiceError> {
        let target = if located.exact { located.target() } else { located.creation_target() };
        self.require_for(target, Permission::Write, &located.path, &located.parent_path)
    }

    /// WRITE on the directory in which `located` is to be made.
    pub fn require_create(&self, located: &Located) -> Result<(), ServiceError> {
        self.require_for(located.creation_target(), Permission::Write, &located.path, &located.parent_path)
    }

    /// The answer about a path that is not there, for a caller who has the right asked for: "not found" where it may
    /// read the directory, else the refusal that an existing path would get.
    pub fn missing(&self, located: &Located, permission: Permission) -> ServiceError {
        match self.file(located.parent_target(), Permission::Read) {
            Ok(verdict) if verdict.allowed() => ServiceError::NotFound(located.path.as_str().to_owned()),
            Ok(_) => self.denial(permission, &located.path, &located.path),
            Err(error) => error,
        }
    }

    /// The refusal: which permission on which path is missing, and how one comes by it.
    pub fn denial(&self, permission: Permission, asked: &VirtualPath, lacking: &VirtualPath) -> ServiceError {
        if let (Permission::Write, Some(namespace)) = (permission, self.read_only_namespace(asked)) {
            return ServiceError::PermissionDenied {
                message: format!("Access denied: Namespace '{namespace}' is read-only"),
                hint: "only the instance admin writes here".into(),
                lacking: Lacking::new("instance_admin", format_args!("{FILE}:{asked}")),
            };
        }
        if let (Permission::Write, Some(point)) = (permission, self.tx.view::<Mounted>().readonly_at(asked)) {
            return ServiceError::PermissionDenied {
                message: format!("Access denied: the mount at '{point}' is read-only"),
                hint: "its files come from the host: change them there and sync the mount".into(),
                lacking: Lacking::new("write", format_args!("{FILE}:{asked}")),
            };
        }
        let (name, relation) = (permission.as_str(), permission.relation());
        let wanted = match asked == lacking {
            true => format!("'{name}' on '{asked}'"),
            false => format!("'{name}' on '{asked}', or on '{lacking}' to create it,"),
        };
        ServiceError::PermissionDenied {
            message: format!(
                "Access denied: User '{}' does not have {} permission for '{asked}'",
                self.caller.user,
                name.to_uppercase()
            ),
            hint: format!(
                "the permission {wanted} is missing; its owner can grant it (rebac_create, {relation}): \
                 nexus-lite grant {} {relation} {}",
                quoted(&format!("{}:{}", self.caller.subject_type, self.caller.subject_id)),
                quoted(lacking.as_str())
            ),
            lacking: Lacking::new(name, format_args!("{FILE}:{asked}")),
        }
    }

    /// Whether the caller manages `object` of type `kind`: for files `execute` or admin of its tenant, for a type
    /// with a namespace `manage`/owner by its rules or admin, else the tenant's admin alone (D.2.1).
    pub fn manages(&self, tenant: &str, kind: &str, id: &str) -> Result<bool, ServiceError> {
        if kind == FILE && id.starts_with('/') {
            let path = VirtualPath::parse(id).map_err(|reason| ServiceError::path(id, reason))?;
            // The tenant may be known without a look into the tables; the nodes on the way never are.
            if self.unchecked || self.caller.is_admin && self.rules(&located::end_of(self.tx, &path)?.1) {
                return Ok(true);
            }
            let located = Located::find(self.tx, &path)?;
            return self.known(&self.file(located.target(), Permission::Execute)?, id);
        }
        if self.rules(tenant) || records::owns(self.tx, &self.caller, tenant, kind, id)? {
            return Ok(true);
        }
        let graph = self.tx.view::<Graph>();
        if !graph.has_namespace(kind) {
            return Ok(false);
        }
        let name = match kind {
            FILE => Permission::Execute.as_str(),
            _ if graph.defines(kind, "manage") => "manage",
            _ => "owner",
        };
        let object = ObjectRef { tenant, kind, id };
        for subject in self.subjects() {
            let verdict = self.relation(subject, name, object, LeafFacts::default(), self.notes);
            if self.known(&verdict, id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the caller's relations, or those an agent inherits, give `permission` on an object that is no file. Knows
    /// no bypass; what cannot be decided is a no.
    pub fn holds(&self, permission: &str, object: ObjectRef<'_>) -> Result<bool, ServiceError> {
        for subject in self.subjects() {
            let verdict = self.relation(subject, permission, object, LeafFacts::default(), self.notes);
            if self.known(&verdict, object.id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The objects of a type, at most `limit` for each subject, on which the caller's relations, or those an agent
    /// inherits, give `permission`; and whether those are all.
    pub(super) fn objects(&self, permission: &str, kind: &str, limit: usize) -> (Vec<Arc<str>>, bool) {
        let graph = self.tx.view::<Graph>();
        let (mut found, mut complete) = (Vec::new(), true);
        for subject in self.subjects() {
            let budget = &mut *self.budget.borrow_mut();
            let query = ObjectsQuery { subject, permission, kind, tenant: &self.caller.tenant };
            let Ok(candidates) = graph.object_candidates(&query, &self.env, budget) else {
                complete = false;
                continue;
            };
            let page = graph.objects_page(&query, &candidates, None, limit, &self.env, self.caches, budget);
            complete &= page.complete && page.next.is_none();
            found.extend(page.allowed);
        }
        found.sort_unstable();
        found.dedup();
        (found, complete)
    }

    /// Yes or no, where only those are known; in the writer a spent budget is an error of its own.
    fn known(&self, verdict: &Verdict, what: &str) -> Result<bool, ServiceError> {
        match verdict {
            Verdict::Unknown(why @ Why::Budget) if self.second => {
                let permission = "manage".to_owned();
                Err(ServiceError::Indeterminate { permission, path: what.to_owned(), reason: reason(why) })
            }
            verdict => Ok(verdict.allowed()),
        }
    }

    /// One decision of the engine for one subject, without any bypass.
    fn relation(
        &self,
        subject: ObjectRef<'_>,
        permission: &str,
        object: ObjectRef<'_>,
        leaf: LeafFacts,
        notes: Option<&Store>,
    ) -> Verdict {
        let query = Query { subject, permission, object };
        let budget = &mut *self.budget.borrow_mut();
        let verdict = self.tx.view::<Graph>().check(&query, leaf, &self.env, self.caches, budget);
        if let (Some(store), false) = (notes, matches!(verdict, Verdict::Unknown(_))) {
            store.note(Note::Decision(DecisionNote {
                tenant: object.tenant.to_owned(),
                subject_type: subject.kind.to_owned(),
                subject_id: subject.id.to_owned(),
                permission: permission.to_owned(),
                object_type: object.kind.to_owned(),
                object_id: object.id.to_owned(),
                allowed: verdict.allowed(),
                rev: self.tx.rev(),
                engine: ENGINE_VERSION,
            }));
        }
        verdict
    }

    /// What the graph knows at or below `path` without looking at nodes: the topmost granted paths of `tenant`, in
    /// order of their text; `None` if its rules need a search.
    pub(super) fn granted_below(&self, tenant: &str, path: &VirtualPath) -> Option<Vec<Arc<str>>> {
        let graph = self.tx.view::<Graph>();
        let mut granted: Vec<Arc<str>> = Vec::new();
        for subject in self.subjects() {
            let budget = &mut *self.budget.borrow_mut();
            let read = Permission::Read.as_str();
            let path = path.as_str();
            match graph.visible_candidates(subject, read, tenant, path, &self.env, self.caches, budget) {
                Candidates::No => {}
                Candidates::Paths(paths) => granted.extend(paths.iter().cloned()),
                Candidates::Search => return None,
            }
        }
        granted.sort_unstable();
        granted.dedup();
        Some(granted)
    }

    /// Whether owning a file at `path`, which the subject cannot read otherwise, is enough to read it.
    pub(super) fn owner_may_read(&self, subject: ObjectRef<'_>, owner: EntityId, path: &VirtualPath) -> bool {
        let object = ObjectRef { tenant: subject.tenant, kind: FILE, id: path.as_str() };
        let query = Query { subject, permission: Permission::Read.as_str(), object };
        let leaf = LeafFacts { owner: Some(owner) };
        let budget = &mut *self.budget.borrow_mut();
        self.tx.view::<Graph>().check(&query, leaf, &self.env, self.caches, budget).allowed()
    }
}

/// A word of a command line, to be pasted into a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/:,._-+@%=".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// What the node row adds to a decision: the owner of a file, never of a directory.
pub(super) fn leaf_of<'n>(node: Option<impl Into<NodeFacts<'n>>>) -> LeafFacts {
    let owner = node.map(Into::into).filter(|n| n.kind == NodeKind::File).and_then(|n| n.owner);
    LeafFacts { owner }
}

/// The refusal of a decision that is not known.
pub(super) fn indeterminate(permission: &str, path: &VirtualPath, why: &Why) -> ServiceError {
    let (permission, path) = (permission.to_owned(), path.as_str().to_owned());
    ServiceError::Indeterminate { permission, path, reason: reason(why) }
}

/// Why a decision is not known, in words.
pub(super) fn reason(why: &Why) -> String {
    match why {
        Why::MissingContext(keys) => format!("a condition needs the context {}", keys.join(", ")),
        Why::CorruptCondition => "a stored condition cannot be read".into(),
        Why::CorruptNamespace => "a stored namespace cannot be read".into(),
        Why::NegativeCycle => "grants close a ring through an exclusion".into(),
        Why::Budget => "the work budget of one request was spent".into(),
        Why::TooManyRelations => "more relation names are stored than can be told apart".into(),
    }
}

impl<T: Sql> std::fmt::Debug for Access<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("caller", &self.caller).finish_non_exhaustive()
    }
}
