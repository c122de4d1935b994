//! Deciding one permission for one subject on many files: a directory is decided once.

use crate::model::EntityId;

use super::condition::Tri;
use super::graph::Graph;
use super::hash::NameHash;
use super::limits::Budget;
use super::schema::Name;
use super::walk::{Found, Prober, spend};
use super::{Caches, Env, LeafFacts, ObjectRef, Query, Verdict, Why};

/// Decides one permission for one subject on many files of one tenant. Give it paths in tree order: what it remembers
/// is the way to the last one.
pub struct Filter<'g> {
    graph: &'g Graph,
    subject: ObjectRef<'g>,
    permission: &'g str,
    tenant: &'g str,
    env: &'g Env,
    caches: Option<&'g Caches>,
    state: State<'g>,
}

/// Whether directories can be decided once.
enum State<'g> {
    /// Not looked at yet.
    Unasked,
    /// Name by name, by the one decision function.
    EachAlone,
    /// Down the remembered way.
    Remembering(Box<Way<'g>>),
}

/// The last directory and what each directory on the way to it grants.
struct Way<'g> {
    prober: Prober<'g>,
    name: Name,
    /// The hash of tenant, type and the empty component before the first `/`.
    start: NameHash,
    /// The path of the last directory; empty for `/`.
    path: String,
    levels: Vec<Level>,
}

/// A directory on the way.
struct Level {
    /// Bytes of the path up to its end; 0 for `/`.
    end: usize,
    /// The hash of the path up to its end.
    hash: NameHash,
    /// The entity that may have this name, and then the one that has it.
    object: Option<EntityId>,
    /// What it and those above grant.
    found: Found,
}

impl Graph {
    /// Prepares to decide `permission` for one subject on many files of one tenant (listings): a directory is decided
    /// once where the namespace is homogeneous.
    #[must_use]
    pub fn filter<'g>(
        &'g self,
        subject: ObjectRef<'g>,
        permission: &'g str,
        tenant: &'g str,
        env: &'g Env,
        caches: Option<&'g Caches>,
    ) -> Filter<'g> {
        Filter { graph: self, subject, permission, tenant, env, caches, state: State::Unasked }
    }
}

impl std::fmt::Debug for Filter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filter")
            .field("permission", &self.permission)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

impl<'g> Filter<'g> {
    /// The decision on the file or directory at `path` (normalised), remembering that of its directory.
    pub fn check(&mut self, path: &str, leaf: LeafFacts, budget: &mut Budget) -> Verdict {
        if let Err(why) = self.begin(budget) {
            return Verdict::Unknown(why);
        }
        let object = ObjectRef { tenant: self.tenant, kind: "file", id: path };
        match &mut self.state {
            State::Remembering(way) if path.starts_with('/') => match way.decide(path, leaf, self.env, budget) {
                Err(why) => Verdict::Unknown(why),
                Ok(found) if found.answer != Tri::Yes && !way.prober.exact => {
                    self.graph.evaluate(way.prober.subject, way.name, object, leaf.owner, self.env, budget)
                }
                Ok(found) => found.verdict(),
            },
            _ => {
                let query = Query { subject: self.subject, permission: self.permission, object };
                self.graph.check(&query, leaf, self.env, self.caches, budget)
            }
        }
    }

    /// Whether what `directory` (normalised) and those above it grant allows all that lies directly in it, so that nothing
    /// in it has to be asked about. `false` says nothing.
    pub fn allows_all_in(&mut self, directory: &str, budget: &mut Budget) -> bool {
        match (self.begin(budget), &mut self.state) {
            (Ok(()), State::Remembering(way)) => way.allows_all_in(directory, self.env, budget).unwrap_or(false),
            _ => false,
        }
    }

    /// Prepares at the first question.
    fn begin(&mut self, budget: &mut Budget) -> Result<(), Why> {
        if let State::Unasked = self.state {
            self.state = self.prepare(budget)?;
        }
        Ok(())
    }

    fn prepare(&self, budget: &mut Budget) -> Result<State<'g>, Why> {
        let name = self.graph.question("file", self.permission).filter(|_| !self.graph.overflowed);
        let Some(name) = name.filter(|name| self.graph.schema.plan(*name).inherits()) else {
            return Ok(State::EachAlone);
        };
        let object = ObjectRef { tenant: self.tenant, kind: "file", id: "/" };
        let subject = self.graph.subject(self.subject);
        let prober = self.graph.prober(subject, name, object, self.env, self.caches, budget)?;
        let start = NameHash::new(self.graph.seed, self.tenant, "file").segment(b"");
        let way = |prober| Way { prober, name, start, path: String::new(), levels: Vec::new() };
        Ok(prober.map_or(State::EachAlone, |prober| State::Remembering(Box::new(way(prober)))))
    }
}

impl Way<'_> {
    /// Whether what is found at `directory` is a yes already, as it then is for all that lies in it.
    fn allows_all_in(&mut self, directory: &str, env: &Env, budget: &mut Budget) -> Result<bool, Why> {
        self.go_to(if directory == "/" { "" } else { directory }, env, budget)?;
        Ok(self.levels.last().is_some_and(|level| level.found.answer == Tri::Yes))
    }

    fn decide(&mut self, path: &str, leaf: LeafFacts, env: &Env, budget: &mut Budget) -> Result<Found, Why> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.go_to(directory, env, budget)?;
        let Some(above) = self.levels.last() else { return Ok(Found::default()) };
        let mut found = above.found.clone();
        if found.answer == Tri::Yes {
            return Ok(found);
        }
        if let Some(owner) = leaf.owner {
            self.prober.owner(owner, &mut found);
        }
        // `/` is its own only level.
        if !name.is_empty() && found.answer != Tri::Yes {
            let key = above.hash.segment(name.as_bytes()).key();
            spend(budget)?;
            if let Some(object) = self.prober.graph.file_by_key(key, self.prober.tenant, path) {
                self.prober.cell(object, env, &mut found, budget)?;
            }
        }
        Ok(found)
    }

    /// Makes `directory` (`""` for `/`) the last level.
    fn go_to(&mut self, directory: &str, env: &Env, budget: &mut Budget) -> Result<(), Why> {
        // The next of the same directory, as nearly all are in a listing.
        if directory == self.path && !self.levels.is_empty() {
            return Ok(());
        }
        let on_the_way = |level: &Level| {
            let end = level.end;
            let same = directory.as_bytes().get(..end) == Some(&self.path.as_bytes()[..end]);
            same && (mutant!(PrefixByText) || end == directory.len() || directory.as_bytes().get(end) == Some(&b'/'))
        };
        let kept = self.levels.iter().take_while(|level| on_the_way(level)).count();
        self.forget(kept);
        let graph = self.prober.graph;
        // Where all is granted already nothing is looked for.
        let open = self.levels.last().is_none_or(|above| above.found.answer != Tri::Yes);
        let level = |end, hash: NameHash| {
            let object = if open { graph.candidate(key(end, hash)) } else { None };
            Level { end, hash, object, found: Found::default() }
        };
        if self.levels.is_empty() {
            self.levels.push(level(0, self.start));
        }
        // Looking for one prefix does not depend on another: done together, the waits for memory overlap.
        let (mut end, mut hash) = (self.path.len(), self.levels.last().map_or(self.start, |above| above.hash));
        for component in directory[end..].split('/').skip(1) {
            end += 1 + component.len();
            hash = hash.segment(component.as_bytes());
            self.levels.push(level(end, hash));
        }
        self.path.push_str(&directory[self.path.len()..]);
        // What could not be decided is not remembered.
        self.decide_from(kept, env, budget).inspect_err(|_| self.forget(kept))
    }

    /// Remembers only the first `levels`.
    fn forget(&mut self, levels: usize) {
        self.levels.truncate(levels);
        self.path.truncate(self.levels.last().map_or(0, |level| level.end));
    }

    /// Decides the levels from the one at `first` on.
    fn decide_from(&mut self, first: usize, env: &Env, budget: &mut Budget) -> Result<(), Why> {
        let Prober { graph, tenant, .. } = self.prober;
        for level in &mut self.levels[first..] {
            let path = if level.end == 0 { "/" } else { &self.path[..level.end] };
            let found = level.object.and_then(|id| graph.file_from(id, key(level.end, level.hash), tenant, path));
            level.object = found;
        }
        let mut above = first.checked_sub(1).map_or_else(Found::default, |at| self.levels[at].found.clone());
        for level in &mut self.levels[first..] {
            if above.answer != Tri::Yes {
                spend(budget)?;
                if let Some(object) = level.object {
                    self.prober.cell(object, env, &mut above, budget)?;
                }
            }
            level.found = above.clone();
        }
        Ok(())
    }
}

/// The key of the directory that ends at `end`; `/` is two empty components, below it the first is enough.
fn key(end: usize, hash: NameHash) -> u64 {
    if end == 0 { hash.segment(b"").key() } else { hash.key() }
}
