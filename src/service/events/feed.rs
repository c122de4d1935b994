//! Events in order, from a place in the log on: a page at a time, and a wake-up for more.
//!
//! Nothing is kept for anybody: who is slow reads the log later, so a reader costs memory for one page and misses nothing
//! as long as the log and the places of directories are kept. Each page is read as the caller is by then: with a key that
//! was revoked there is no further page.

use std::sync::Arc;

use tokio::sync::watch;

use crate::auth::Caller;
use crate::model::Rev;
use crate::rebac::Caches;
use crate::service::access::Access;
use crate::service::{Call, ServiceError};
use crate::store::changelog::ChangelogRow;
use crate::store::subscriptions::Position;
use crate::store::{ReadTx, Sql as _, Store, changelog, meta};

use super::pattern::{PATTERN_CHARS_MAX, PATTERNS_MAX, Pattern};
use super::sight::seen;
use super::{Event, EventKind, Scene, raw};

/// Events of a page.
pub const PAGE_EVENTS: usize = 256;
/// Rows of the log that are looked at for a page.
const PAGE_ROWS: u64 = 128;
/// Revisions that are read where the request is; who is further behind reads on the slow lane.
pub const INLINE_REVISIONS: Rev = 256;

/// Which events somebody wants.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// `None` = all kinds.
    kinds: Option<Vec<EventKind>>,
    /// None = every path.
    patterns: Vec<Pattern>,
}

impl Wanted {
    /// Reads names of events and globs. What names none wants all.
    pub fn parse(kinds: &[String], patterns: &[String]) -> Result<Self, ServiceError> {
        let known = || EventKind::ALL.map(EventKind::name).join(", ");
        let unknown =
            |name: &String| ServiceError::InvalidParams(format!("`{name}` is no type of event; there are {}", known()));
        let kinds: Vec<EventKind> =
            kinds.iter().map(|name| EventKind::named(name).ok_or_else(|| unknown(name))).collect::<Result<_, _>>()?;
        check_patterns(patterns)?;
        let patterns = patterns.iter().map(|text| Pattern::new(text)).collect();
        Ok(Self { kinds: (!kinds.is_empty()).then_some(kinds), patterns })
    }

    fn wants_kind(&self, kind: EventKind) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
    }

    /// By the paths that it names, after those that may not be seen were taken out.
    fn wants_path(&self, event: &Event) -> bool {
        self.patterns.is_empty() || event.paths().any(|path| self.patterns.iter().any(|p| p.matches(path)))
    }
}

/// Refuses globs that are too many or too long.
pub fn check_patterns(patterns: &[String]) -> Result<(), ServiceError> {
    if patterns.len() > PATTERNS_MAX {
        return Err(ServiceError::InvalidParams(format!("there are more than {PATTERNS_MAX} patterns")));
    }
    match patterns.iter().find(|text| text.chars().count() > PATTERN_CHARS_MAX || text.contains('\0')) {
        Some(_) => {
            let text = format!("a pattern is longer than {PATTERN_CHARS_MAX} characters, or holds NUL");
            Err(ServiceError::InvalidParams(text))
        }
        None => Ok(()),
    }
}

/// Some events.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// In the order of the log.
    pub events: Vec<Event>,
    /// Where the next page begins.
    pub next: Position,
    /// Events that somebody might have wanted and whose paths are not known any more.
    pub lost: u64,
    /// Whether there is more already.
    pub more: bool,
}

/// Who reads, and what.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// As of the beginning; looked up anew.
    pub caller: &'a Caller,
    /// The shared closures of the permission engine.
    pub caches: &'a Caches,
    /// Which events.
    pub wanted: &'a Wanted,
    /// Files of this tenant only; `None` = whatever the caller may read.
    pub tenant: Option<&'a str>,
}

/// The first place from which nothing is missing.
pub fn oldest(tx: &ReadTx<'_>) -> Result<Position, ServiceError> {
    let rev = meta::floor_rev(tx)?.max(meta::history_floor(tx)?);
    Ok(Position { rev, part: 0 })
}

impl Reader<'_> {
    /// The page behind `from`.
    pub fn page(&self, tx: &ReadTx<'_>, from: Position) -> Result<Page, ServiceError> {
        Access::new(tx, self.caller, None)?;
        let (first, head) = (oldest(tx)?.rev, tx.rev());
        if from.rev < first {
            return Err(ServiceError::RevisionTooOld { asked: format!("revision {}", from.rev), first });
        }
        if from.rev > head {
            return Err(ServiceError::RevisionInFuture { asked: format!("revision {}", from.rev), head });
        }
        let mut page = Page { next: from, ..Page::default() };
        for row in changelog::after(tx, from.rev, PAGE_ROWS)? {
            self.add(tx, &row, &mut page)?;
            if page.events.len() >= PAGE_EVENTS {
                break;
            }
            page.next = Position { rev: row.rev, part: 0 };
        }
        page.more = page.next.rev < head;
        Ok(page)
    }

    /// Adds the events of a row, from the place on at which the page is.
    fn add(&self, tx: &ReadTx<'_>, row: &ChangelogRow, page: &mut Page) -> Result<(), ServiceError> {
        let mut scene = Scene::new(tx, row);
        let done = page.next.part;
        for raw in raw(row).skip_while(|raw| raw.part < done) {
            if page.events.len() >= PAGE_EVENTS {
                return Ok(());
            }
            page.next = Position { rev: row.rev - 1, part: raw.part + 1 };
            let tenant = raw.delta.after.as_ref().or(raw.delta.before.as_ref()).map(|row| row.tenant.as_str());
            if !self.wanted.wants_kind(raw.kind) || self.tenant.is_some_and(|only| tenant != Some(only)) {
                continue;
            }
            let Some(event) = scene.event(raw)? else {
                page.lost += 1;
                continue;
            };
            // The cheap half of the question first.
            if !self.wanted.wants_path(&event) {
                continue;
            }
            let event = seen(tx, self.caller, self.caches, &event)?;
            page.events.extend(event.filter(|event| self.wanted.wants_path(event)));
        }
        Ok(())
    }

    /// The same event as the caller may see it now.
    pub fn again(&self, tx: &ReadTx<'_>, event: &Event) -> Result<Option<Event>, ServiceError> {
        let event = seen(tx, self.caller, self.caches, event)?;
        Ok(event.filter(|event| self.wanted.wants_path(event)))
    }
}

/// What one caller is told, as it happens.
#[derive(Debug)]
pub struct Feed {
    store: Store,
    caches: Arc<Caches>,
    caller: Caller,
    wanted: Arc<Wanted>,
    place: Position,
    revisions: watch::Receiver<Rev>,
}

impl Feed {
    /// Begins behind `from`; without it, behind everything that there is.
    pub async fn open(call: &Call, wanted: Wanted, from: Option<Position>) -> Result<Self, ServiceError> {
        let revisions = call.store.revisions();
        let caller = call.caller.clone();
        let place = call.read(move |tx| {
            Access::new(tx, &caller, None)?;
            let (first, head) = (oldest(tx)?.rev, tx.rev());
            match from {
                None => Ok(Position { rev: head, part: 0 }),
                Some(from) if from.rev < first => {
                    Err(ServiceError::RevisionTooOld { asked: format!("revision {}", from.rev), first })
                }
                Some(from) if from.rev > head || from.rev == head && from.part > 0 => {
                    let asked = format!("revision {}", from.rev + u64::from(from.part > 0));
                    Err(ServiceError::RevisionInFuture { asked, head })
                }
                Some(from) => Ok(from),
            }
        });
        let place = place.await?;
        let (store, caches, caller) = (call.store.clone(), Arc::clone(&call.caches), call.caller.clone());
        Ok(Self { store, caches, caller, wanted: Arc::new(wanted), place, revisions })
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> Position {
        self.place
    }

    /// What there is, which may be nothing.
    pub async fn page(&mut self) -> Result<Page, ServiceError> {
        let head = *self.revisions.borrow_and_update();
        let (caller, caches, wanted) = (self.caller.clone(), Arc::clone(&self.caches), Arc::clone(&self.wanted));
        let from = self.place;
        let read = move |tx: &ReadTx<'_>| {
            Reader { caller: &caller, caches: &caches, wanted: &wanted, tenant: None }.page(tx, from)
        };
        let behind = head.saturating_sub(from.rev) > INLINE_REVISIONS;
        let page = if behind { self.store.read_slow(read).await? } else { self.store.read(read).await? };
        self.place = page.next;
        Ok(page)
    }

    /// Waits until there is a later revision than the last page was of. False: there will be none.
    pub async fn changed(&mut self) -> bool {
        self.revisions.changed().await.is_ok()
    }
}
