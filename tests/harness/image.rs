//! What a disk holds after the power has gone: built from the log of `disk.rs`.
//!
//! The model is that of POSIX and no kinder: what a sync has covered is there; of what was not synced any part may be
//! there, in any order, down to single sectors; a name is there once its directory was synced, a rename is one step.
//! Invariant: two images of one point differ only in what was not synced.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::Event;
use crate::property::random::Rng;

/// What a disk writes as a whole, bytes.
const SECTOR: usize = 512;

/// What the power leaves of the writes that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// None of them.
    Nothing,
    /// All: the process died, the machine did not.
    All,
    /// Each or not.
    Some,
    /// Each sector of each or not.
    Torn,
}

impl Left {
    pub(crate) const EACH: [Self; 4] = [Self::Nothing, Self::All, Self::Some, Self::Torn];
}

/// A change of a file's content that is not durable.
#[derive(Debug, Clone)]
enum Change {
    Write(usize, Arc<[u8]>),
    Truncate(usize),
}

#[derive(Debug, Default)]
struct Content {
    durable: Vec<u8>,
    /// With the line of the log.
    pending: Vec<(usize, Change)>,
    /// As the running program sees it.
    len: usize,
}

/// A change of names that is not durable. The two halves of a rename are of one step.
#[derive(Debug, Clone)]
struct NameChange {
    path: PathBuf,
    /// The file that has the name from now on; `None` = nothing has.
    file: Option<usize>,
    step: usize,
}

/// The disk at one point of the log.
pub(crate) struct Replay {
    root: PathBuf,
    files: Vec<Content>,
    /// The names as the running program sees them; a directory is [`DIRECTORY`].
    live: HashMap<PathBuf, usize>,
    durable: HashMap<PathBuf, usize>,
    pending: Vec<NameChange>,
    /// After so many lines of the log a write is durable without a sync, in an order of its own.
    written_back_after: Option<usize>,
    line: usize,
    /// The highest revision that was acknowledged.
    pub(crate) acknowledged: u64,
}

/// In place of the number of a file.
const DIRECTORY: usize = usize::MAX;

impl Replay {
    /// An empty disk; `root` is a directory that is durable.
    pub(crate) fn new(root: &Path, written_back_after: Option<usize>) -> Self {
        Self {
            root: root.to_owned(),
            files: Vec::new(),
            live: HashMap::new(),
            durable: HashMap::new(),
            pending: Vec::new(),
            written_back_after,
            line: 0,
            acknowledged: 0,
        }
    }

    /// Goes on by one line.
    pub(crate) fn step(&mut self, event: &Event) {
        self.line += 1;
        match event {
            Event::Acknowledged(rev) => self.acknowledged = self.acknowledged.max(*rev),
            Event::Create(path) => {
                self.files.push(Content::default());
                self.name(path, Some(self.files.len() - 1));
            }
            Event::MakeDir(path) => self.name(path, Some(DIRECTORY)),
            Event::Remove(path) => self.name(path, None),
            Event::Link(from, to) => self.name(to, self.live.get(from).copied()),
            Event::Rename(from, to) => {
                let file = self.live.get(from).copied();
                self.name(to, file);
                self.name(from, None);
            }
            Event::Write(path, at, data) => {
                let line = self.line;
                let file = self.file(path);
                let at = at.unwrap_or(file.len);
                file.len = file.len.max(at + data.len());
                file.pending.push((line, Change::Write(at, Arc::clone(data))));
            }
            Event::Truncate(path, size) => {
                let line = self.line;
                let file = self.file(path);
                file.len = *size;
                file.pending.push((line, Change::Truncate(*size)));
            }
            Event::Sync(path) => {
                let Content { durable, pending, .. } = self.file(path);
                pending.drain(..).for_each(|(_, change)| change.apply(durable));
            }
            Event::SyncDir(dir) => self.sync_dir(dir),
        }
        self.write_back();
    }

    fn file(&mut self, path: &Path) -> &mut Content {
        let file = *self.live.get(path).unwrap_or_else(|| panic!("{} is not there", path.display()));
        &mut self.files[file]
    }

    fn name(&mut self, path: &Path, file: Option<usize>) {
        match file {
            Some(file) => self.live.insert(path.to_owned(), file),
            None => self.live.remove(path),
        };
        self.pending.push(NameChange { path: path.to_owned(), file, step: self.line });
    }

    fn sync_dir(&mut self, dir: &Path) {
        let steps: Vec<_> = self.pending.iter().filter(|c| c.path.parent() == Some(dir)).map(|c| c.step).collect();
        let durable = &mut self.durable;
        self.pending.retain(|change| {
            let synced = steps.contains(&change.step);
            if synced {
                change.apply(durable);
            }
            !synced
        });
    }

    /// A cache of limited size: what is old has got to the disk whatever was said.
    fn write_back(&mut self) {
        let Some(after) = self.written_back_after else { return };
        let Some(old) = self.line.checked_sub(after) else { return };
        for Content { durable, pending, .. } in &mut self.files {
            let count = pending.partition_point(|(line, _)| *line < old);
            pending.drain(..count).for_each(|(_, change)| change.apply(durable));
        }
        let (durable, pending) = (&mut self.durable, &mut self.pending);
        let count = pending.partition_point(|change| change.step < old);
        pending.drain(..count).for_each(|change| change.apply(durable));
    }

    /// The disk if the power goes now.
    pub(crate) fn image(&self, left: Left, random: &mut Rng) -> Image<'_> {
        let mut names = Cow::Borrowed(&self.durable);
        let mut step = (usize::MAX, false);
        for change in &self.pending {
            if step.0 != change.step {
                let kept = match left {
                    Left::Nothing => false,
                    Left::All => true,
                    Left::Some | Left::Torn => random.chance(50),
                };
                step = (change.step, kept);
            }
            if step.1 {
                change.apply(names.to_mut());
            }
        }
        let mut changed = HashMap::new();
        if left != Left::Nothing {
            // Mostly all or mostly none of it, as caches are.
            let percent = *random.one_of(&[10, 50, 90]);
            for (number, file) in self.files.iter().enumerate().filter(|(_, file)| !file.pending.is_empty()) {
                let mut content = file.durable.clone();
                for (_, change) in &file.pending {
                    change.apply_part(&mut content, left, percent, random);
                }
                changed.insert(number, content);
            }
        }
        Image { replay: self, names, changed }
    }
}

impl NameChange {
    fn apply(&self, names: &mut HashMap<PathBuf, usize>) {
        match self.file {
            Some(file) => names.insert(self.path.clone(), file),
            None => names.remove(&self.path),
        };
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Truncate(size) => content.resize(*size, 0),
            Self::Write(at, data) => put(content, *at, data),
        }
    }

    fn apply_part(&self, content: &mut Vec<u8>, left: Left, percent: usize, random: &mut Rng) {
        match (left, self) {
            (Left::Torn, Self::Write(at, data)) => {
                let mut from = 0;
                while from < data.len() {
                    let to = data.len().min(from + SECTOR - (at + from) % SECTOR);
                    if random.chance(percent) {
                        put(content, at + from, &data[from..to]);
                    }
                    from = to;
                }
            }
            (Left::Some | Left::Torn, change) if random.chance(percent) => change.apply(content),
            (Left::All, change) => change.apply(content),
            _ => {}
        }
    }
}

fn put(content: &mut Vec<u8>, at: usize, data: &[u8]) {
    let end = at + data.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(data);
}

/// What a disk holds after the power has gone.
pub(crate) struct Image<'r> {
    replay: &'r Replay,
    names: Cow<'r, HashMap<PathBuf, usize>>,
    changed: HashMap<usize, Vec<u8>>,
}

impl Image<'_> {
    /// What lies at `path`, if its name and those of all directories above it are there.
    pub(crate) fn read(&self, path: &Path) -> Option<&[u8]> {
        self.find(path).map(|(_, content)| content)
    }

    /// As [`read`](Self::read), with the number of the file if its content is synced: the same then in all images.
    pub(crate) fn find(&self, path: &Path) -> Option<(Option<usize>, &[u8])> {
        let inside = |dir: &&Path| *dir != self.replay.root && dir.starts_with(&self.replay.root);
        let mut above = path.ancestors().skip(1).take_while(inside);
        if !above.all(|dir| self.names.get(dir) == Some(&DIRECTORY)) {
            return None;
        }
        let file = self.names.get(path).filter(|file| **file != DIRECTORY)?;
        let Content { durable, pending, .. } = &self.replay.files[*file];
        let settled = pending.is_empty().then_some(*file);
        Some((settled, self.changed.get(file).map_or(durable, |content| content)))
    }

    /// Every file that is there.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.names.keys().filter_map(|path| Some((path.as_path(), self.read(path)?)))
    }
}
