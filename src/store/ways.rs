//! Ways through the tree: from a path to its node, and back.
//!
//! Owns how a path is looked up: in the memory of the writer, in one journey where the tables are behind a network, else
//! name by name from the deepest directory on the way that readers remember. Changes nothing; knows nothing of who may see
//! a node.

use std::sync::Arc;

use super::footprint::Scope;
use super::nodes::{NOWHERE, from_row, kind_of};
use super::places::{Known, Walked};
use super::statements::statements;
use super::{Sql, StoreError, Val};
use crate::model::{EntityId, NodeId, NodeKind, NodeRow, ROOT_NODE, VirtualPath};
use crate::params;

/// The name of the root.
const ROOT_NAME: &str = "";
/// Names of [`WAY_BY_NAMES`].
const WAY_NAMES: usize = 12;
/// Deepest tree that a walk upwards follows; more is a cycle, which would be corruption.
const DEPTH_MAX: usize = 4096;
/// Directories on the way to a path that are remembered beside it: those with at most so many components, so that one
/// deep path does not push out all others.
const REMEMBERED_DEPTH_MAX: usize = 16;

statements! {
    /// One by its directory and name.
    NODE_BY_NAME = "SELECT parent, name, id, tenant, type, owner, implicit, mixed, content, size, version, \
         mime, created_at_us, modified_at_us, created_by FROM nodes WHERE parent = ?1 AND name = ?2";
    /// The nodes on the way down from a directory by up to twelve names, the rest NULL: in one journey.
    WAY_BY_NAMES = "WITH RECURSIVE names (at, name) AS (VALUES (1, ?2), (2, ?3), (3, ?4), (4, ?5), (5, ?6), (6, ?7), \
         (7, ?8), (8, ?9), (9, ?10), (10, ?11), (11, ?12), (12, ?13)), \
         way (at, id) AS (SELECT 0, CAST(?1 AS BIGINT) UNION ALL SELECT names.at, nodes.id FROM way \
         JOIN names ON names.at = way.at + 1 JOIN nodes ON nodes.parent = way.id AND nodes.name = names.name) \
         SELECT nodes.parent, nodes.name, nodes.id, tenant, type, owner, implicit, mixed, content, size, version, \
         mime, created_at_us, modified_at_us, created_by FROM way JOIN nodes ON nodes.id = way.id \
         WHERE way.at > 0 ORDER BY way.at";
    /// What permissions depend on, of one by its directory and name.
    FACTS_BY_NAME = "SELECT id, tenant, type, owner FROM nodes WHERE parent = ?1 AND name = ?2";
    /// Where a node lies.
    PLACE_BY_ID = "SELECT parent, name FROM nodes WHERE id = ?1";
}

/// What permissions depend on, of the deepest node on the way to a path that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its id.
    pub id: NodeId,
    /// The tenant it belongs to.
    pub tenant: Arc<str>,
    /// Whether it is the node at the path.
    pub exact: bool,
    /// What it is.
    pub kind: NodeKind,
    /// The owner column.
    pub owner: Option<EntityId>,
}

/// The directory that holds all others.
pub fn root(tx: &impl Sql) -> Result<NodeRow, StoreError> {
    child(tx, NOWHERE, ROOT_NAME)?.ok_or_else(no_root)
}

fn no_root() -> StoreError {
    StoreError::Corrupt { what: "the root node is missing".into() }
}

/// The node `name` in the directory `parent`.
pub fn child(tx: &impl Sql, parent: NodeId, name: &str) -> Result<Option<NodeRow>, StoreError> {
    let stored = || tx.query_one_in(Scope::Members(parent), NODE_BY_NAME, params![parent, name], from_row);
    let Some(memory) = tx.remembered() else { return stored() };
    if let Some(known) = memory.get(parent, name) {
        debug_assert!(tx.is_far() || stored()? == known, "what is remembered of {name:?} in {parent} is not so");
        return Ok(known);
    }
    let found = stored()?;
    memory.put(parent, name, found.as_ref());
    Ok(found)
}

/// The nodes on the way to `path` that exist, from the root down. All components exist if there is one row more than
/// `path` has components.
pub fn chain(tx: &impl Sql, path: &VirtualPath) -> Result<Vec<NodeRow>, StoreError> {
    let names: Vec<&str> = std::iter::once(ROOT_NAME).chain(path.components()).collect();
    let mut chain: Vec<NodeRow> = Vec::with_capacity(names.len());
    while chain.len() < names.len() {
        let parent = chain.last().map_or(NOWHERE, |row| row.id);
        let rest = &names[chain.len()..];
        let asked = if is_journey(tx, parent, rest[0]) { rest.len().min(WAY_NAMES) } else { 1 };
        let found =
            if asked > 1 { way(tx, parent, &rest[..asked])? } else { Vec::from_iter(child(tx, parent, rest[0])?) };
        let ends = found.len() < asked;
        chain.extend(found);
        if ends {
            break;
        }
    }
    if chain.is_empty() { Err(no_root()) } else { Ok(chain) }
}

/// Whether the tables have to be asked over a network where `name` in the directory `parent` leads.
fn is_journey(tx: &impl Sql, parent: NodeId, name: &str) -> bool {
    tx.is_far() && tx.remembered().is_none_or(|memory| memory.get(parent, name).is_none())
}

/// The nodes on the way down from the directory `parent` by up to [`WAY_NAMES`] names, as far as they exist.
fn way(tx: &impl Sql, parent: NodeId, names: &[&str]) -> Result<Vec<NodeRow>, StoreError> {
    let mut params = vec![Val::from(parent)];
    params.extend((0..WAY_NAMES).map(|at| Val::Text(names.get(at).copied())));
    let rows = tx.query(WAY_BY_NAMES, &params, from_row)?;
    if let Some(memory) = tx.remembered() {
        rows.iter().for_each(|row| memory.put(row.parent, &row.name, Some(row)));
        if let Some(missing) = names.get(rows.len()) {
            memory.put(rows.last().map_or(parent, |row| row.id), missing, None);
        }
    }
    Ok(rows)
}

/// The node at `path`.
pub fn find(tx: &impl Sql, path: &VirtualPath) -> Result<Option<NodeRow>, StoreError> {
    Ok(end(tx, path)?.0)
}

/// The node at `path`, and the tenant of the deepest node on the way that exists. The directories on the way are not
/// read where they are remembered.
pub fn end(tx: &impl Sql, path: &VirtualPath) -> Result<(Option<NodeRow>, Arc<str>), StoreError> {
    let (Some(directory), Some(_), false) = (path.parent(), tx.known(), tx.is_far()) else {
        let (row, exact) = walk(tx, path, |_, _| ())?;
        let tenant = row.tenant.as_str().into();
        return Ok((exact.then_some(row), tenant));
    };
    let directory = place(tx, &directory)?;
    let found = if directory.exact { child(tx, directory.id, path.name())? } else { None };
    let tenant = found.as_ref().filter(|row| *row.tenant != *directory.tenant).map(|row| row.tenant.as_str().into());
    Ok((found, tenant.unwrap_or(directory.tenant)))
}

/// Of the deepest node on the way to `path` that exists, what permissions depend on; from what is remembered, if that
/// is exact, else down from the deepest directory on the way that is.
pub fn place(tx: &impl Sql, path: &VirtualPath) -> Result<Place, StoreError> {
    let known = tx.known();
    if let Some(place) = known.and_then(|known| known.get(path.as_str())) {
        return Ok(place);
    }
    if let Some(known) = known.filter(|_| !tx.is_far()) {
        return place_below(tx, known, path);
    }
    let mut walked = Walked::default();
    let (row, exact) = walk(tx, path, |parent, name| walked.name(parent, name))?;
    // Its own place tells of changes of the node where no name led to it: of the root.
    walked.name(row.parent, &row.name);
    let place = Place { id: row.id, tenant: row.tenant.into(), exact, kind: row.kind, owner: row.owner };
    if let Some(known) = known {
        known.put(path.as_str(), &walked, place.clone());
    }
    Ok(place)
}

/// As [`place`], of a path that is not remembered: down from the deepest directory on the way that is, since that is
/// exact in this transaction. Remembers those that it passes, too.
fn place_below(tx: &impl Sql, known: Known<'_>, path: &VirtualPath) -> Result<Place, StoreError> {
    let text = path.as_str();
    // Where the paths of the directories on the way end, from the root down.
    let ends: Vec<usize> = text.match_indices('/').map(|(at, _)| at.max(1)).collect();
    let remembered = |(depth, end): (usize, &usize)| Some((depth, known.with_names(&text[..*end])?));
    let (from, (mut place, mut walked)) = match ends.iter().enumerate().rev().find_map(remembered) {
        Some(found) => found,
        None => {
            let mut walked = Walked::default();
            // The root's own name tells of its changes: no other leads to it.
            let root = step(tx, &mut walked, NOWHERE, ROOT_NAME, None)?.ok_or_else(no_root)?;
            known.put(&text[..1], &walked, root.clone());
            (0, (root, walked))
        }
    };
    for (depth, name) in path.components().enumerate().skip(from) {
        // What lies below something that is missing leads to the same node.
        if place.exact {
            match step(tx, &mut walked, place.id, name, Some(&place.tenant))? {
                Some(found) => place = found,
                None => place.exact = false,
            }
        }
        let end = ends.get(depth + 1).copied().unwrap_or(text.len());
        if end == text.len() || (place.exact && depth < REMEMBERED_DEPTH_MAX) {
            known.put(&text[..end], &walked, place.clone());
        }
    }
    Ok(place)
}

/// What lies under a name in a directory of the tenant `above`: most nodes share its text.
fn step(
    tx: &impl Sql,
    walked: &mut Walked,
    parent: NodeId,
    name: &str,
    above: Option<&Arc<str>>,
) -> Result<Option<Place>, StoreError> {
    walked.name(parent, name);
    tx.query_one_in(Scope::Name(parent, name), FACTS_BY_NAME, params![parent, name], |row| {
        let (tenant, kind) = (row.text(1)?, kind_of(row.int(2)?));
        let tenant = above.filter(|above| ***above == *tenant).map_or_else(|| tenant.into(), Arc::clone);
        Ok(Place { id: row.id(0)?, tenant, exact: true, kind, owner: row.opt_entity(3)? })
    })
}

/// The deepest node on the way to `path` that exists, and whether it is the one at `path`. Names each directory and what
/// is looked up in it.
fn walk(
    tx: &impl Sql,
    path: &VirtualPath,
    mut looked_up: impl FnMut(NodeId, &str),
) -> Result<(NodeRow, bool), StoreError> {
    let mut chain = chain(tx, path)?;
    path.components().zip(&chain).for_each(|(name, directory)| looked_up(directory.id, name));
    let exact = chain.len() > path.components().count();
    chain.pop().map(|nearest| (nearest, exact)).ok_or_else(no_root)
}

/// The path of a node; `None` if there is none of this id, or if it lies in a detached directory.
pub fn path_of(tx: &impl Sql, id: NodeId) -> Result<Option<VirtualPath>, StoreError> {
    let (mut names, mut at) = (Vec::new(), id);
    while at != ROOT_NODE {
        let Some((parent, name)) = position(tx, at)? else { return Ok(None) };
        if parent == NOWHERE {
            return Ok(None);
        }
        names.push(name);
        if names.len() > DEPTH_MAX {
            return Err(StoreError::Corrupt { what: format!("node {id} lies deeper than {DEPTH_MAX} directories") });
        }
        at = parent;
    }
    Ok(Some(names.iter().rev().fold(VirtualPath::root(), |path, name| path.child(name))))
}

/// The directory a node lies in; 0 for the root and for detached directories.
pub fn parent_of(tx: &impl Sql, id: NodeId) -> Result<Option<NodeId>, StoreError> {
    Ok(position(tx, id)?.map(|(parent, _)| parent))
}

fn position(tx: &impl Sql, id: NodeId) -> Result<Option<(NodeId, String)>, StoreError> {
    tx.query_one(PLACE_BY_ID, params![id], |row| Ok((row.id(0)?, row.string(1)?)))
}
