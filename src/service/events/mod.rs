//! Events of files: what the log says of revisions, in the words of those who wait for changes.
//!
//! Owns the translation of a row of the log into events, their ids and their paths. An event is a pure function of its row
//! (and of where directories lay at that revision), so it can be told again, by the same id, as often as needed.
//! [`sight`] decides who may be told, [`pattern`] which paths somebody wants, [`feed`] hands events out in order.

pub mod feed;
pub mod pattern;
pub mod sight;
pub(in crate::service) mod wire;

use std::collections::HashMap;

use crate::auth::AuthIndex;
use crate::model::{Change, Delta, NodeId, NodeKind, NodeRow, ROOT_NODE, Rev, VirtualPath};
use crate::store::changelog::ChangelogRow;
use crate::store::subscriptions::Position;
use crate::store::{ReadTx, Sql as _, StoreError, versions};

/// Directories above a node that are looked up.
const DEPTH_MAX: usize = 4_096;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A file was made, or its content changed.
    FileWrite,
    /// A file is gone.
    FileDelete,
    /// A file or a directory, with everything below it, lies elsewhere.
    FileRename,
    /// The owner, the tenant or the kind of a file changed, and nothing else.
    MetadataChange,
    /// A directory was made by somebody, not by the way.
    DirectoryCreate,
    /// A directory is gone, with everything that was below it.
    DirectoryDelete,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::FileWrite,
        Self::FileDelete,
        Self::FileRename,
        Self::MetadataChange,
        Self::DirectoryCreate,
        Self::DirectoryDelete,
    ];
    /// Those of a subscription that names none.
    pub const USUAL: [Self; 3] = [Self::FileWrite, Self::FileDelete, Self::FileRename];

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FileWrite => "file_write",
            Self::FileDelete => "file_delete",
            Self::FileRename => "file_rename",
            Self::MetadataChange => "metadata_change",
            Self::DirectoryCreate => "directory_create",
            Self::DirectoryDelete => "directory_delete",
        }
    }

    /// The event of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A node at one revision.
#[derive(Debug, Clone)]
pub struct Spot {
    /// Where it lay.
    pub path: VirtualPath,
    /// The directories it lay in, from the root down.
    pub above: Vec<NodeId>,
    /// What it was.
    pub row: NodeRow,
}

/// An event, as far as nobody's rights are concerned.
#[derive(Debug, Clone)]
pub struct Event {
    /// The revision.
    pub rev: Rev,
    /// Its place among the events of the revision, from 0.
    pub part: u64,
    /// What happened.
    pub kind: EventKind,
    /// The same whenever it is told: from the row of the log, so that another row of a like number has others.
    pub id: String,
    /// When, µs since the Unix epoch.
    pub at_us: i64,
    /// The tenant of the file.
    pub tenant: String,
    /// Where it lay before: of what is gone or was moved.
    pub from: Option<Spot>,
    /// Where it lies: of what is there.
    pub to: Option<Spot>,
    /// Whether it was not there before.
    pub created: bool,
    /// The user who did it.
    pub user: Option<String>,
    /// The agent that did it.
    pub agent: Option<String>,
}

impl Event {
    /// The place in the log behind it.
    #[must_use]
    pub fn after(&self) -> Position {
        Position { rev: self.rev - 1, part: self.part + 1 }
    }

    /// Where it happened: the new path of what was moved.
    #[must_use]
    pub fn path(&self) -> Option<&VirtualPath> {
        self.to.as_ref().or(self.from.as_ref()).map(|spot| &spot.path)
    }

    /// The paths that it names.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.to.iter().chain(&self.from).map(|spot| spot.path.as_str())
    }
}

/// An event of a row whose paths were not looked up yet.
#[derive(Debug, Clone, Copy)]
struct Raw<'a> {
    kind: EventKind,
    part: u64,
    delta: &'a Delta<NodeRow>,
}

/// The events of a row, in the order of its changes, each with its part.
fn raw(row: &ChangelogRow) -> impl Iterator<Item = Raw<'_>> {
    let kinds = row.changes.iter().flat_map(|change| {
        let delta = match change {
            Change::Node(delta) => Some(delta),
            _ => None,
        };
        delta.into_iter().flat_map(|delta| kinds(delta).into_iter().flatten().map(move |kind| (kind, delta)))
    });
    (0..).zip(kinds).map(|(part, (kind, delta))| Raw { kind, part, delta })
}

/// What became of a node: it may have been moved and written by one message.
fn kinds(delta: &Delta<NodeRow>) -> [Option<EventKind>; 2] {
    use EventKind::{DirectoryCreate, DirectoryDelete, FileDelete, FileRename, FileWrite, MetadataChange};
    let is_file = |row: &NodeRow| row.kind == NodeKind::File;
    match (&delta.before, &delta.after) {
        (None, Some(after)) if is_file(after) => [Some(FileWrite), None],
        (None, Some(after)) => [(!after.implicit).then_some(DirectoryCreate), None],
        (Some(before), None) if is_file(before) => [Some(FileDelete), None],
        (Some(before), None) => [(!before.implicit).then_some(DirectoryDelete), None],
        (Some(before), Some(after)) => {
            let moved = before.parent != after.parent || before.name != after.name;
            let written = is_file(after) && (before.content != after.content || before.version != after.version);
            let about = |row: &NodeRow| (row.owner, row.tenant.clone(), row.mime.clone());
            let changed = !moved && !written && is_file(after) && about(before) != about(after);
            let first = if moved { Some(FileRename) } else { changed.then_some(MetadataChange) };
            [first, written.then_some(FileWrite)]
        }
        (None, None) => [None, None],
    }
}

/// Ways of directories at a revision, from the root down, with their names; `None` = not known any more.
type Ways = HashMap<(NodeId, Rev), Option<(Vec<NodeId>, VirtualPath)>>;

/// Looks up where things lay at the revision of one row of the log.
struct Scene<'a, 't> {
    tx: &'a ReadTx<'t>,
    row: &'a ChangelogRow,
    ways: Ways,
}

impl<'a, 't> Scene<'a, 't> {
    fn new(tx: &'a ReadTx<'t>, row: &'a ChangelogRow) -> Self {
        Self { tx, row, ways: HashMap::new() }
    }

    /// The event with its paths; `None` if they are not known any more.
    fn event(&mut self, raw: Raw<'_>) -> Result<Option<Event>, StoreError> {
        let (now, then) = (self.row.rev, self.row.rev.saturating_sub(1));
        let Delta { before, after } = raw.delta;
        let gone = matches!(raw.kind, EventKind::FileDelete | EventKind::DirectoryDelete);
        let (mut from, mut to) = (None, None);
        if let (true, Some(before)) = (gone || raw.kind == EventKind::FileRename, before) {
            let Some(spot) = self.spot(before, then)? else { return Ok(None) };
            from = Some(spot);
        }
        if let (false, Some(after)) = (gone, after) {
            let Some(spot) = self.spot(after, now)? else { return Ok(None) };
            to = Some(spot);
        }
        let Some(tenant) = after.as_ref().or(before.as_ref()).map(|row| row.tenant.clone()) else { return Ok(None) };
        let (user, agent) = self.who();
        Ok(Some(Event {
            rev: self.row.rev,
            part: raw.part,
            kind: raw.kind,
            id: event_id(self.row, raw.part),
            at_us: self.row.at_us,
            tenant,
            from,
            to,
            created: before.is_none(),
            user,
            agent,
        }))
    }

    fn spot(&mut self, node: &NodeRow, rev: Rev) -> Result<Option<Spot>, StoreError> {
        let Some((above, directory)) = self.way(node.parent, rev)? else { return Ok(None) };
        let path = if node.id == ROOT_NODE { VirtualPath::root() } else { directory.child(&node.name) };
        Ok(Some(Spot { path, above, row: node.clone() }))
    }

    /// The directories down to one, itself included, as they lay at a revision.
    fn way(&mut self, directory: NodeId, rev: Rev) -> Result<Option<(Vec<NodeId>, VirtualPath)>, StoreError> {
        if let Some(known) = self.ways.get(&(directory, rev)) {
            return Ok(known.clone());
        }
        let way = self.look_up(directory, rev)?;
        self.ways.insert((directory, rev), way.clone());
        Ok(way)
    }

    fn look_up(&self, directory: NodeId, rev: Rev) -> Result<Option<(Vec<NodeId>, VirtualPath)>, StoreError> {
        let (mut ids, mut names, mut at) = (vec![directory], Vec::new(), directory);
        while at != ROOT_NODE {
            let Some((parent, name)) = versions::place_at(self.tx, at, rev)? else { return Ok(None) };
            names.push(name);
            ids.push(parent);
            at = parent;
            if ids.len() > DEPTH_MAX {
                return Ok(None);
            }
        }
        ids.reverse();
        let path = names.iter().rev().fold(VirtualPath::root(), |path, name| path.child(name));
        Ok(Some((ids, path)))
    }

    /// The user and the agent that did it, from `type:id`.
    fn who(&self) -> (Option<String>, Option<String>) {
        match self.row.actor.split_once(':') {
            Some(("agent", id)) => {
                let known = self.tx.view::<AuthIndex>().agent(&self.row.tenant, id).map(|agent| agent.user_id.clone());
                // By convention the id of an agent begins with its user.
                let user = known.or_else(|| id.split_once(',').map(|(user, _)| user.to_owned()));
                (user, Some(id.to_owned()))
            }
            Some((_, id)) => (Some(id.to_owned()), None),
            None => (None, None),
        }
    }
}

/// `evt_` and 16 hex digits: of the row and the place in it.
fn event_id(row: &ChangelogRow, part: u64) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"event").update(&row.rev.to_le_bytes()).update(&part.to_le_bytes());
    hasher.update(&row.at_us.to_le_bytes()).update(row.request_id.as_bytes());
    format!("evt_{}", &hasher.finalize().to_hex()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(parent: NodeId, name: &str, version: u64) -> NodeRow {
        NodeRow {
            id: 7,
            parent,
            name: name.into(),
            tenant: "t".into(),
            kind: NodeKind::File,
            owner: None,
            implicit: false,
            mixed: false,
            content: Some(format!("hash {version}")),
            size: 1,
            version,
            mime: None,
            created_at_us: 0,
            modified_at_us: 0,
            created_by: "user:u".into(),
        }
    }

    fn directory(implicit: bool) -> NodeRow {
        NodeRow { kind: NodeKind::Directory, implicit, content: None, version: 0, ..file(1, "d", 0) }
    }

    #[test]
    fn a_change_of_a_node_is_these_events() {
        use EventKind::{DirectoryCreate, DirectoryDelete, FileDelete, FileRename, FileWrite, MetadataChange};
        let owned = NodeRow { owner: Some(3), ..file(1, "a", 1) };
        let mixed = NodeRow { mixed: true, ..directory(false) };
        for (delta, wanted) in [
            (Delta::insert(file(1, "a", 1)), vec![FileWrite]),
            (Delta::update(file(1, "a", 1), file(1, "a", 2)), vec![FileWrite]),
            (Delta::update(file(1, "a", 1), file(2, "a", 1)), vec![FileRename]),
            (Delta::update(file(1, "a", 1), file(1, "b", 2)), vec![FileRename, FileWrite]),
            (Delta::update(file(1, "a", 1), owned), vec![MetadataChange]),
            (Delta::update(file(1, "a", 1), file(1, "a", 1)), vec![]),
            (Delta::delete(file(1, "a", 1)), vec![FileDelete]),
            (Delta::insert(directory(false)), vec![DirectoryCreate]),
            (Delta::insert(directory(true)), vec![]),
            (Delta::update(directory(false), mixed), vec![]),
            (Delta::delete(directory(false)), vec![DirectoryDelete]),
            (Delta::delete(directory(true)), vec![]),
        ] {
            let found: Vec<_> = kinds(&delta).into_iter().flatten().collect();
            assert_eq!(found, wanted, "{delta:?}");
        }
    }

    #[test]
    fn an_id_is_of_its_row_and_its_place() {
        let row = |rev: Rev, request: &str| ChangelogRow {
            rev,
            at_us: 5,
            actor: "user:u".into(),
            tenant: "t".into(),
            request_id: request.into(),
            op: "file_put".into(),
            changes: Vec::new(),
        };
        let id = event_id(&row(1, "r"), 0);
        assert_eq!(id, event_id(&row(1, "r"), 0));
        assert!(id.len() == 20 && id.starts_with("evt_"), "{id}");
        for other in [event_id(&row(1, "r"), 1), event_id(&row(2, "r"), 0), event_id(&row(1, "s"), 0)] {
            assert_ne!(id, other);
        }
    }
}
