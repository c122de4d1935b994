//! The organisation that the engine is measured on: folders five deep, users in nested groups, and their grants.
//!
//! The shape of the prototype's figures: 203 k granted folders, 40 k users with ten groups each, 10 k groups nested so
//! that a user is in some 46, and grants up to a million tuples. Everything follows from one seed.

use std::collections::{BTreeSet, HashMap, HashSet};

use nexus_lite::model::{EntityId, EntityRow, TupleRow};
use nexus_lite::rebac::{Graph, GraphBuilder, ObjectRef};

/// The tenant of everybody.
pub(crate) const TENANT: &str = "acme";
/// Groups that a user is put into.
const GROUPS_PER_USER: u32 = 10;
/// Folders in a folder, but for the topmost, of which there are two more.
const FAN_OUT: u32 = 11;
/// At most this many grants on a folder, so that a path of five has no more than twenty.
const GRANTS_PER_FOLDER: u32 = 4;

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) folders: usize,
    pub(crate) users: u32,
    pub(crate) groups: u32,
    /// Groups at the top, in no other.
    pub(crate) top_groups: u32,
    pub(crate) tuples: usize,
}

pub(crate) const FULL: Size =
    Size { folders: 203_000, users: 40_000, groups: 10_000, top_groups: 200, tuples: 1_000_000 };
pub(crate) const TINY: Size = Size { folders: 300, users: 50, groups: 40, top_groups: 5, tuples: 1_500 };

/// A small generator with a seed, so that every run has the same organisation.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u32) -> u32 {
        u32::try_from(self.next() % u64::from(end.max(1))).expect("it is below a u32")
    }

    pub(crate) fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }
}

/// The rows, and who is where among them.
pub(crate) struct Org {
    pub(crate) entities: Vec<EntityRow>,
    pub(crate) tuples: Vec<TupleRow>,
    /// Ids are dense: users first, then groups, then folders.
    first_user: EntityId,
    first_group: EntityId,
    first_folder: EntityId,
    size: Size,
}

impl Org {
    pub(crate) fn new(size: Size) -> Self {
        let mut org =
            Self { entities: Vec::new(), tuples: Vec::new(), first_user: 1, first_group: 0, first_folder: 0, size };
        let mut dice = Dice::new(0x5eed);
        for n in 0..size.users {
            org.name("user", format!("user-{n}"));
        }
        org.first_group = org.next_id();
        for n in 0..size.groups {
            org.name("group", format!("group-{n}"));
        }
        org.first_folder = org.next_id();
        folders(size.folders).into_iter().for_each(|path| org.name("file", path));
        org.memberships(&mut dice);
        org.grants(&mut dice);
        org
    }

    fn next_id(&self) -> EntityId {
        EntityId::try_from(self.entities.len() + 1).expect("ids fit")
    }

    fn name(&mut self, kind: &str, name: String) {
        let id = self.next_id();
        self.entities.push(EntityRow { id, tenant: TENANT.into(), kind: kind.into(), name });
    }

    fn memberships(&mut self, dice: &mut Dice) {
        for user in 0..self.size.users {
            let mut of_one = BTreeSet::new();
            while of_one.len() < GROUPS_PER_USER.min(self.size.groups) as usize {
                of_one.insert(dice.below(self.size.groups));
            }
            for group in of_one {
                self.tuples.push(tuple(self.first_group + group, "member", self.first_user + user, None));
            }
        }
        for group in self.size.top_groups..self.size.groups {
            // One group above, often a second: a lattice, not a tree.
            let above = |dice: &mut Dice| group / 6 + dice.below(group / 6);
            let first = above(dice);
            let second = if dice.one_in(3) { above(dice) } else { first };
            for parent in if first == second { vec![first] } else { vec![first, second] } {
                self.tuples.push(tuple(self.first_group + parent, "member", self.first_group + group, Some("member")));
            }
        }
    }

    fn grants(&mut self, dice: &mut Dice) {
        let left = self.size.tuples.saturating_sub(self.tuples.len());
        let folders = u32::try_from(self.size.folders).expect("folders fit");
        for at in 0..left {
            // In turn, so that no folder has more than its share.
            let folder = u32::try_from(at).expect("tuples fit") % folders;
            if at / self.size.folders >= GRANTS_PER_FOLDER as usize {
                break;
            }
            let relation = ["direct_viewer", "direct_viewer", "direct_editor", "direct_owner"][dice.below(4) as usize];
            let (subject, set) = match dice.below(10) {
                0..4 => (self.first_user + dice.below(self.size.users), None),
                4..7 => (self.first_group + dice.below(self.size.groups), None),
                _ => (self.first_group + dice.below(self.size.groups), Some("member")),
            };
            self.tuples.push(tuple(self.first_folder + folder, relation, subject, set));
        }
        // Two throws may have named one tuple; a store has it once.
        self.tuples.sort_by(|a, b| identity(a).cmp(&identity(b)));
        self.tuples.dedup_by(|a, b| identity(a) == identity(b));
    }

    /// The graph of the rows.
    pub(crate) fn graph(&self) -> Graph {
        let mut builder = GraphBuilder::new();
        self.entities.iter().for_each(|row| builder.entity(row));
        self.tuples.iter().for_each(|row| builder.tuple(row));
        builder.finish(1)
    }

    pub(crate) fn user(&self, n: u32) -> EntityId {
        self.first_user + n % self.size.users
    }

    pub(crate) fn group(&self, n: u32) -> EntityId {
        self.first_group + n % self.size.groups
    }

    pub(crate) fn folder(&self, n: u32) -> EntityId {
        self.first_folder + n % u32::try_from(self.size.folders).expect("folders fit")
    }

    pub(crate) fn size(&self) -> Size {
        self.size
    }

    pub(crate) fn name_of(&self, id: EntityId) -> &str {
        &self.entities[id as usize - 1].name
    }

    /// How many groups the first `count` users are in: directly, and through any depth. On average.
    pub(crate) fn groups_of_users(&self, count: u32) -> (f64, f64) {
        let mut above: HashMap<EntityId, Vec<EntityId>> = HashMap::new();
        for row in self.tuples.iter().filter(|row| row.relation == "member") {
            above.entry(row.subject).or_default().push(row.object);
        }
        let count = count.min(self.size.users);
        let (mut direct, mut all) = (0, 0);
        for user in 0..count {
            let mut open = above.get(&self.user(user)).cloned().unwrap_or_default();
            let mut seen = HashSet::new();
            direct += open.len();
            while let Some(group) = open.pop() {
                if seen.insert(group) {
                    open.extend(above.get(&group).into_iter().flatten());
                }
            }
            all += seen.len();
        }
        (direct as f64 / f64::from(count), all as f64 / f64::from(count))
    }

    /// A file in one of the deepest folders: five folders above it, none of its tuples its own.
    pub(crate) fn deep_file(&self, dice: &mut Dice) -> String {
        // The last folder is of the deepest level that was begun.
        let deepest = self.entities.last().map_or(0, |row| row.name.matches('/').count());
        loop {
            let folder = self.name_of(self.folder(dice.below(u32::MAX)));
            if folder.matches('/').count() == deepest {
                return format!("{folder}/notes.md");
            }
        }
    }
}

/// A user of the organisation, asked by name.
pub(crate) fn user(name: &str) -> ObjectRef<'_> {
    ObjectRef { tenant: TENANT, kind: "user", id: name }
}

/// A file of the organisation, asked by path.
pub(crate) fn file(path: &str) -> ObjectRef<'_> {
    ObjectRef { tenant: TENANT, kind: "file", id: path }
}

fn identity(row: &TupleRow) -> (EntityId, &str, EntityId, Option<&str>) {
    (row.object, &row.relation, row.subject, row.subject_relation.as_deref())
}

/// A tuple without expiry or condition.
pub(crate) fn tuple(object: EntityId, relation: &str, subject: EntityId, set: Option<&str>) -> TupleRow {
    TupleRow {
        tuple_id: String::new(),
        object,
        relation: relation.into(),
        subject,
        subject_relation: set.map(Into::into),
        created_at_us: 0,
        expires_at_us: None,
        condition: None,
        created_by: String::new(),
        rev: 1,
    }
}

/// `count` paths, each folder before what is in it, the lower levels as full as the upper ones.
fn folders(count: usize) -> Vec<String> {
    let mut all: Vec<String> = (0..FAN_OUT + 2).map(|n| format!("/area{n}")).collect();
    let mut level = 0..all.len();
    for kind in ["team", "proj", "part", "item"] {
        let start = all.len();
        for above in level {
            for n in 0..FAN_OUT {
                let path = format!("{}/{kind}{n}", all[above]);
                all.push(path);
            }
        }
        level = start..all.len();
    }
    all.truncate(count);
    all
}
