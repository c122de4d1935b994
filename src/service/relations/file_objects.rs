//! Listing the files and directories on which a subject has a permission, in tree order, page by page.
//!
//! Walks over the nodes, and enters only directories where the graph or the owner column says that the name may hold;
//! each node is decided by the engine, a directory once. Only nodes of the tenant that was asked for are answered.
//! Invariant: each page is exact at its own revision; one that ends early says so.

use std::collections::{HashSet, VecDeque};
use std::ops::ControlFlow;

use crate::model::{NodeId, NodeKind, NodeRow, ROOT_NODE, Rev, VirtualPath};
use crate::rebac::{Budget, FileRoots, Filter, Graph, ObjectRef, Verdict, Why, tree_order};
use crate::service::ServiceError;
use crate::service::access::{leaf_of, reason};
use crate::service::files::changes::changed_since;
use crate::service::files::reach::add_ancestors;
use crate::service::relations::objects::spent;
use crate::service::relations::questions::Asker;
use crate::store::{Sql, nodes};

/// Nodes that a page looks at on the caller's thread.
pub(in crate::service) const INLINE_ROWS_MAX: usize = 2_000;
/// Nodes that a page looks at on the slow lane; then it says that it is not complete.
pub(in crate::service) const SLOW_ROWS_MAX: usize = 200_000;
/// Nodes that are fetched at once.
const CHUNK: u64 = 256;
/// Directories with files of owners that are walked up from; above it the walk goes everywhere.
const OWNED_DIRECTORIES_MAX: usize = 20_000;

/// What to list.
pub(in crate::service) struct FilesQuery<'q> {
    pub(in crate::service) subject: ObjectRef<'q>,
    pub(in crate::service) permission: &'q str,
    /// The tenant of the nodes.
    pub(in crate::service) tenant: &'q str,
    /// At or below this path.
    pub(in crate::service) below: VirtualPath,
    /// After this one.
    pub(in crate::service) after: Option<VirtualPath>,
    /// The revision of the first page.
    pub(in crate::service) since: Rev,
    pub(in crate::service) limit: usize,
    /// Nodes to look at.
    pub(in crate::service) rows: usize,
}

/// A page of paths.
#[derive(Default)]
pub(in crate::service) struct FilesPage {
    pub(in crate::service) objects: Vec<String>,
    pub(in crate::service) undecided: Vec<(String, String)>,
    /// After which path the next page begins.
    pub(in crate::service) next: Option<String>,
    pub(in crate::service) cut_short: Option<String>,
    pub(in crate::service) changed: bool,
}

/// The page of the list after `query.after`.
pub(in crate::service) fn page<T: Sql>(
    tx: &T,
    asker: &Asker<'_, T>,
    query: &FilesQuery<'_>,
    budget: &mut Budget,
) -> Result<FilesPage, ServiceError> {
    if let Some(after) = &query.after
        && !query.below.contains(after)
    {
        return Err(ServiceError::InvalidParams("cursor belongs to another list; list again without it".into()));
    }
    let graph = tx.view::<Graph>();
    let changed = changed_since(tx, query.since, &query.below)?;
    let begun = query.after.as_ref().map(|after| after.as_str().to_owned());
    let roots = match graph.file_roots(query.subject, query.permission, query.tenant, &asker.env, budget) {
        Ok(roots) => roots,
        Err(why) => {
            return Ok(FilesPage { cut_short: Some(spent(&why)), next: begun, changed, ..FilesPage::default() });
        }
    };
    let towards = Towards::new(tx, roots, query.tenant)?;
    let filter = graph.filter(query.subject, query.permission, query.tenant, &asker.env, asker.caches());
    let page = FilesPage { changed, ..FilesPage::default() };
    let mut walk = Walk { tx, query, filter, towards, budget, open: Vec::new(), rows: query.rows, last: begun, page };
    let Some(top) = nodes::find(tx, &query.below)? else { return Ok(walk.page) };
    match &query.after {
        None => {
            if walk.node(&query.below, top)?.is_break() {
                return Ok(walk.page);
            }
        }
        Some(after) => walk.resume(top, after)?,
    }
    walk.run()?;
    Ok(walk.page)
}

/// Where the walk has to go.
struct Towards {
    /// `None` = everywhere.
    paths: Option<Vec<std::sync::Arc<str>>>,
    /// Directories at or above a file of an owner that counts.
    owned: HashSet<NodeId>,
}

impl Towards {
    fn new(tx: &impl Sql, roots: FileRoots, tenant: &str) -> Result<Self, ServiceError> {
        let FileRoots::Below { paths, owners } = roots else { return Ok(Self::everywhere()) };
        let (mut owned, mut looked) = (HashSet::from([ROOT_NODE]), 0);
        for owner in owners {
            let mut after = 0;
            while let Some(parent) = nodes::next_owned_parent(tx, owner, tenant, after)? {
                looked += 1;
                if looked > OWNED_DIRECTORIES_MAX {
                    return Ok(Self::everywhere());
                }
                add_ancestors(tx, parent, &mut owned)?;
                after = parent;
            }
        }
        Ok(Self { paths: Some(paths), owned })
    }

    fn everywhere() -> Self {
        Self { paths: None, owned: HashSet::new() }
    }

    /// Whether anything may be found in or below the directory `id` at `path`.
    fn leads_into(&self, path: &VirtualPath, id: NodeId) -> bool {
        let Some(paths) = &self.paths else { return true };
        if self.owned.contains(&id) {
            return true;
        }
        let text = path.as_str();
        let at = paths.partition_point(|p| tree_order(p, text).is_lt());
        let contains = |top: &str, path: &str| {
            top == "/" || path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        // No path is below another: the one before may be above this one, the next one may be below it.
        let above = at.checked_sub(1).and_then(|at| paths.get(at)).is_some_and(|top| contains(top, text));
        above || paths.get(at).is_some_and(|next| contains(text, next))
    }
}

/// A directory that is being walked over.
struct Frame {
    path: VirtualPath,
    id: NodeId,
    rows: VecDeque<NodeRow>,
    /// The last name fetched.
    after: String,
    ended: bool,
}

impl Frame {
    fn new(path: VirtualPath, id: NodeId, after: &str) -> Self {
        Self { path, id, rows: VecDeque::new(), after: after.to_owned(), ended: false }
    }

    fn next(&mut self, tx: &impl Sql) -> Result<Option<NodeRow>, ServiceError> {
        if self.rows.is_empty() && !self.ended {
            self.rows = nodes::children_after(tx, self.id, &self.after, CHUNK)?.into();
            self.ended = (self.rows.len() as u64) < CHUNK;
            if let Some(last) = self.rows.back() {
                self.after.clone_from(&last.name);
            }
        }
        Ok(self.rows.pop_front())
    }
}

struct Walk<'a, 't, T: Sql> {
    tx: &'t T,
    query: &'a FilesQuery<'a>,
    filter: Filter<'a>,
    towards: Towards,
    budget: &'a mut Budget,
    open: Vec<Frame>,
    rows: usize,
    /// The last path that was decided.
    last: Option<String>,
    page: FilesPage,
}

impl<T: Sql> Walk<'_, '_, T> {
    fn run(&mut self) -> Result<(), ServiceError> {
        while let Some(frame) = self.open.last_mut() {
            let Some(row) = frame.next(self.tx)? else {
                self.open.pop();
                continue;
            };
            let path = frame.path.child(&row.name);
            if self.node(&path, row)?.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Decides one node, takes it, and opens it if it is a directory that leads anywhere.
    fn node(&mut self, path: &VirtualPath, row: NodeRow) -> Result<ControlFlow<()>, ServiceError> {
        let Some(left) = self.rows.checked_sub(1) else {
            return Ok(self.cut(format!("{} nodes were looked at; continue", self.query.rows)));
        };
        self.rows = left;
        let own = row.tenant == self.query.tenant;
        if own {
            match self.filter.check(path.as_str(), leaf_of(Some(&row)), self.budget) {
                Verdict::Deny => {}
                Verdict::Unknown(Why::Budget) => return Ok(self.cut(spent(&Why::Budget))),
                _ if self.page.objects.len() + self.page.undecided.len() >= self.query.limit => {
                    self.page.next = self.last.take();
                    return Ok(ControlFlow::Break(()));
                }
                Verdict::Allow => self.page.objects.push(path.as_str().to_owned()),
                Verdict::Unknown(why) => self.page.undecided.push((path.as_str().to_owned(), reason(&why))),
            }
        }
        self.last = Some(path.as_str().to_owned());
        self.enter(path, &row);
        Ok(ControlFlow::Continue(()))
    }

    /// Below a directory of another tenant there is something of this one only where it is marked; at the root of the
    /// tree always.
    fn enter(&mut self, path: &VirtualPath, row: &NodeRow) {
        let may_hold = row.tenant == self.query.tenant || row.mixed || path.is_root();
        if row.kind == NodeKind::Directory && may_hold && self.towards.leads_into(path, row.id) {
            self.open.push(Frame::new(path.clone(), row.id, ""));
        }
    }

    /// Opens the directories on the way to `after`, each behind the name that leads there.
    fn resume(&mut self, top: NodeRow, after: &VirtualPath) -> Result<(), ServiceError> {
        let (mut path, mut row) = (self.query.below.clone(), top);
        for name in after.components().skip(path.components().count()) {
            if row.kind == NodeKind::File {
                return Ok(());
            }
            self.open.push(Frame::new(path.clone(), row.id, name));
            path = path.child(name);
            match nodes::child(self.tx, row.id, name)? {
                Some(child) => row = child,
                None => return Ok(()),
            }
        }
        self.enter(&path, &row);
        Ok(())
    }

    fn cut(&mut self, why: String) -> ControlFlow<()> {
        self.page.cut_short = Some(why);
        self.page.next = self.last.take();
        ControlFlow::Break(())
    }
}
