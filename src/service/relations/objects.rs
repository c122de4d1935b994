//! Listing the objects on which a subject has a permission: who may ask, and the pages.
//!
//! Pages of files are of the revision of each page and say whether something moved (`file_objects`); pages of
//! everything else are of the revision of the first one, as long as that is kept ([`pins`](super::pins)). Invariant: a
//! page that is short without being the last one says so, with the reason.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::model::{Rev, VirtualPath};
use crate::rebac::{Budget, Graph, ObjectPage, ObjectRef, ObjectsQuery, Why};
use crate::service::access::{FILE, reason};
use crate::service::names::{EntityName, check_word};
use crate::service::relations::file_objects;
use crate::service::relations::pins::{Pin, PinnedQuestion, Pins};
use crate::service::relations::questions::Asker;
use crate::service::{Call, Lacking, ServiceError};
use crate::store::{ReadTx, Sql, Store, meta};

/// Rows of a page that names no limit.
pub const OBJECTS_DEFAULT: usize = 1_000;
/// Most rows of a page.
pub const OBJECTS_MAX: usize = 10_000;
/// Work of a list on the caller's thread, edges of the graph; more starts again on the slow lane.
pub(in crate::service) const INLINE_EDGES_MAX: u64 = 10_000;
/// Work of one page on the slow lane, edges of the graph.
pub(in crate::service) const SLOW_EDGES_MAX: u64 = 20_000_000;

/// "On which objects of a type has `subject` `permission`?"
#[derive(Debug, Clone)]
pub struct ObjectsRequest {
    /// Who.
    pub subject: EntityName,
    /// A permission or a relation.
    pub permission: String,
    /// The type of the objects.
    pub kind: String,
    /// The tenant of subject and objects; the caller's if it is not given.
    pub tenant: Option<String>,
    /// For files: only what lies at or below this path.
    pub below: Option<VirtualPath>,
    /// At most so many.
    pub limit: Option<usize>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// A page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectsAnswer {
    /// The ids, in order: of files by path component, of others by their bytes.
    pub objects: Vec<String>,
    /// Those of which it cannot be said, and why.
    pub undecided: Vec<(String, String)>,
    /// Where the next page begins; `None` = there is none.
    pub next_cursor: Option<String>,
    /// `None` = the page is as long as it should be; else why it is not.
    pub cut_short: Option<String>,
    /// For files: rights or the tree below the path have changed since the first page.
    pub changed: bool,
    /// The revision the page is of.
    pub rev: Rev,
}

/// One page of the list.
pub async fn list(call: &Call, pins: &Arc<Pins>, request: ObjectsRequest) -> Result<ObjectsAnswer, ServiceError> {
    check_word("permission", "name", &request.permission)?;
    check_word("object", "type", &request.kind)?;
    let limit = request.limit.unwrap_or(OBJECTS_DEFAULT);
    if !(1..=OBJECTS_MAX).contains(&limit) {
        let text = format!("limit must be 1 to {OBJECTS_MAX}, got {limit}");
        return Err(ServiceError::InvalidParams(text));
    }
    if request.kind != FILE && request.below.is_some() {
        return Err(ServiceError::InvalidParams("path_prefix goes with object_type 'file' only".into()));
    }
    let work = |edges: u64, rows: usize, is_last: bool| {
        let (caller, caches, store) = (call.caller.clone(), Arc::clone(&call.caches), call.store.clone());
        let (pins, request) = (Arc::clone(pins), request.clone());
        move |tx: &ReadTx<'_>| {
            let asker = Asker::new(tx, &caller, &caches)?;
            let lister = Lister { tx, asker: &asker, request: &request, limit, is_last, budget: Budget::edges(edges) };
            match request.kind == FILE {
                true => lister.files(rows),
                false => lister.others(&pins, &store),
            }
        }
    };
    let inline = call.read(work(INLINE_EDGES_MAX, file_objects::INLINE_ROWS_MAX, false)).await?;
    match inline.cut_short {
        None => Ok(inline),
        Some(_) => call.read_slow(work(SLOW_EDGES_MAX, file_objects::SLOW_ROWS_MAX, true)).await,
    }
}

struct Lister<'a, 't, T: Sql> {
    tx: &'t T,
    asker: &'a Asker<'t, T>,
    request: &'a ObjectsRequest,
    limit: usize,
    /// Whether an answer that is cut short is given nevertheless.
    is_last: bool,
    budget: Budget,
}

impl<T: Sql> Lister<'_, '_, T> {
    /// The tenant, if the caller may have the list: of itself and its agents, or as an admin of the tenant.
    fn tenant(&self) -> Result<String, ServiceError> {
        let access = &self.asker.access;
        let tenant = self.request.tenant.clone().unwrap_or_else(|| access.caller().tenant.clone());
        if self.asker.is_own(&tenant, &self.request.subject) || access.rules(&tenant) {
            return Ok(tenant);
        }
        Err(ServiceError::PermissionDenied {
            message: format!(
                "Access denied: User '{}' may not list what {} has access to",
                access.caller().user,
                self.request.subject
            ),
            hint: "list your own objects or those of your agents; those of others are for an admin of the tenant"
                .into(),
            lacking: Lacking::new("admin", &self.request.subject),
        })
    }

    fn files(mut self, rows: usize) -> Result<ObjectsAnswer, ServiceError> {
        let tenant = self.tenant()?;
        let incarnation = meta::get(self.tx, meta::INCARNATION)?.unwrap_or_default();
        let cursor = self.request.cursor.as_deref().map(|text| Cursor::read(text, 'f', &incarnation)).transpose()?;
        let after = cursor.as_ref().map(|c| VirtualPath::parse(&c.last).map_err(|_| unknown_cursor())).transpose()?;
        let subject = &self.request.subject;
        let query = file_objects::FilesQuery {
            subject: ObjectRef { tenant: &tenant, kind: &subject.kind, id: &subject.id },
            permission: &self.request.permission,
            tenant: &tenant,
            below: self.request.below.clone().unwrap_or_else(VirtualPath::root),
            after,
            since: cursor.as_ref().map_or(self.tx.rev(), |c| c.number),
            limit: self.limit,
            rows,
        };
        let page = file_objects::page(self.tx, self.asker, &query, &mut self.budget)?;
        let next = |path: String| Cursor { number: query.since, last: path }.write('f', &incarnation);
        Ok(ObjectsAnswer {
            objects: page.objects,
            undecided: page.undecided,
            next_cursor: page.next.map(next),
            cut_short: page.cut_short,
            changed: page.changed,
            rev: self.tx.rev(),
        })
    }

    fn others(mut self, pins: &Pins, store: &Store) -> Result<ObjectsAnswer, ServiceError> {
        let question = PinnedQuestion {
            subject: self.request.subject.clone(),
            permission: self.request.permission.clone(),
            kind: self.request.kind.clone(),
            tenant: self.tenant()?,
        };
        let Some(text) = self.request.cursor.as_deref() else { return self.first(question, pins, store) };
        let cursor = Cursor::read(text, 'o', store.incarnation())?;
        let pin = pins.get(cursor.number, store.clock().instant()).ok_or(ServiceError::CursorExpired)?;
        if pin.question != question {
            return Err(ServiceError::InvalidParams("cursor belongs to another list; list again without it".into()));
        }
        Ok(self.page(&pin, cursor.number, Some(cursor.last.as_str()), store))
    }

    fn first(mut self, question: PinnedQuestion, pins: &Pins, store: &Store) -> Result<ObjectsAnswer, ServiceError> {
        let graph = self.tx.view::<Graph>();
        let candidates = match graph.object_candidates(&query(&question), &self.asker.env, &mut self.budget) {
            Ok(candidates) => candidates,
            Err(why) => {
                return Ok(ObjectsAnswer {
                    cut_short: Some(spent(&why)),
                    rev: self.tx.rev(),
                    ..ObjectsAnswer::default()
                });
            }
        };
        let (rev, env) = (self.tx.rev(), self.asker.env.clone());
        let pin = Arc::new(Pin::new(question, (rev, graph.clone()), candidates, env, store.clock().instant()));
        let id = u64::from_le_bytes(random(store));
        let answer = self.page(&pin, id, None, store);
        if answer.next_cursor.is_some() && (self.is_last || answer.cut_short.is_none()) {
            pins.keep(id, pin);
        }
        Ok(answer)
    }

    fn page(&mut self, pin: &Pin, id: u64, after: Option<&str>, store: &Store) -> ObjectsAnswer {
        let caches = self.asker.caches();
        let query = query(&pin.question);
        let (limit, budget) = (self.limit, &mut self.budget);
        let page: ObjectPage = pin.graph.objects_page(&query, &pin.candidates, after, limit, &pin.env, caches, budget);
        // A page that ended before its first decision is begun again where it began.
        let begun = || after.map(Arc::from).filter(|_| !page.complete);
        let next = page.next.clone().or_else(begun);
        ObjectsAnswer {
            objects: page.allowed.iter().map(|id| id.to_string()).collect(),
            undecided: page.undecided.iter().map(|(id, why)| (id.to_string(), reason(why))).collect(),
            next_cursor: next.map(|last| Cursor { number: id, last: last.to_string() }.write('o', store.incarnation())),
            cut_short: (!page.complete).then(|| spent(&Why::Budget)),
            changed: false,
            rev: pin.rev,
        }
    }
}

fn query(question: &PinnedQuestion) -> ObjectsQuery<'_> {
    let subject = ObjectRef { tenant: &question.tenant, kind: &question.subject.kind, id: &question.subject.id };
    ObjectsQuery { subject, permission: &question.permission, kind: &question.kind, tenant: &question.tenant }
}

pub(in crate::service) fn spent(why: &Why) -> String {
    format!("{}; continue, or ask for less", reason(why))
}

fn random(store: &Store) -> [u8; 8] {
    let mut bytes = [0; 8];
    store.random().fill(&mut bytes);
    bytes
}

/// Where a page ended: a revision or the number of a kept list, and the last id.
struct Cursor {
    number: u64,
    last: String,
}

impl Cursor {
    fn write(&self, kind: char, incarnation: &str) -> String {
        URL_SAFE_NO_PAD.encode(format!("{kind}{incarnation}\n{}\n{}", self.number, self.last))
    }

    fn read(text: &str, kind: char, incarnation: &str) -> Result<Self, ServiceError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| unknown_cursor())?;
        let text = String::from_utf8(bytes).map_err(|_| unknown_cursor())?;
        let mut parts = text.strip_prefix(kind).ok_or_else(unknown_cursor)?.splitn(3, '\n');
        let (of, number, last) = (parts.next(), parts.next(), parts.next());
        match (of, number.and_then(|n| n.parse().ok()), last) {
            // Of another life of the store: what it names is gone with it.
            (Some(of), _, _) if of != incarnation => Err(ServiceError::CursorExpired),
            (_, Some(number), Some(last)) => Ok(Self { number, last: last.to_owned() }),
            _ => Err(unknown_cursor()),
        }
    }
}

fn unknown_cursor() -> ServiceError {
    ServiceError::InvalidParams("cursor is not one that this server gave; list again without it".into())
}
