//! Memory records, read: lists, search by words, and one by its name.
//!
//! `DESIGN.md` has the rules. Who sees what is decided in `records`; this module knows what a memory holds.

pub mod ops;
pub mod search;

use bytes::Bytes;

use crate::model::{ContentHash, MemoryRow};
use crate::service::access::Access;
use crate::service::records::{self, Feed, Listed, Right};
use crate::service::{Call, ServiceError};
use crate::store::records::{AGENT, GLOBAL, Owner, TENANT, USER};
use crate::store::{ReadTx, Sql, StoreError, contents, memories};

/// The state of a memory that counts.
pub const ACTIVE: &str = "active";
/// The state of one that does not, or not yet.
pub const INACTIVE: &str = "inactive";
/// Largest body, bytes.
pub const CONTENT_BYTES_MAX: usize = 1 << 20;
/// Longest type, namespace and key, bytes.
pub(in crate::service) const NAME_BYTES_MAX: usize = 255;
/// Most bytes of bodies in one answer.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// Which memories to list.
#[derive(Debug, Clone, Default)]
pub struct MemoryFilter {
    /// For whom they are.
    pub scope: Option<String>,
    /// What they are.
    pub memory_type: Option<String>,
    /// `active` or `inactive`; `None` = both.
    pub state: Option<String>,
    /// The namespace, to the letter.
    pub namespace: Option<String>,
    /// How the namespace begins.
    pub namespace_prefix: Option<String>,
}

impl MemoryFilter {
    fn lets_through(&self, row: &MemoryRow) -> bool {
        let same = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
        let namespace = row.namespace.as_deref().unwrap_or_default();
        same(&self.scope, &row.scope)
            && same(&self.memory_type, &row.memory_type)
            && same(&self.state, &row.state)
            && same(&self.namespace, namespace)
            && self.namespace_prefix.as_ref().is_none_or(|prefix| namespace.starts_with(prefix.as_str()))
    }
}

/// The filter for what a request calls the state: absent counts as `active` before it comes here; `all` is both.
pub fn state_filter(state: Option<String>) -> Result<Option<String>, ServiceError> {
    match state.as_deref() {
        None | Some("all") => Ok(None),
        Some(ACTIVE | INACTIVE) => Ok(state),
        Some(_) => Err(ServiceError::InvalidParams("state must be active, inactive or all".into())),
    }
}

/// A memory with its body.
#[derive(Debug, Clone)]
pub struct Memory {
    /// The row.
    pub row: MemoryRow,
    /// The body.
    pub body: Bytes,
    /// How well it answers a search, from 0 to 1.
    pub score: Option<f64>,
}

/// Memories without their bodies, newest first.
pub async fn list(
    call: &Call,
    filter: MemoryFilter,
    limit: usize,
    cursor: Option<String>,
) -> Result<Listed<MemoryRow>, ServiceError> {
    let asked = call.clone();
    call.read(move |tx| {
        let access = asked.access(tx)?;
        Feed::new(&access, cursor.as_deref())?.page(limit, |row| filter.lets_through(row))
    })
    .await
}

/// Memories with their bodies, newest first.
pub async fn query(
    call: &Call,
    filter: MemoryFilter,
    limit: usize,
    cursor: Option<String>,
) -> Result<Listed<Memory>, ServiceError> {
    let asked = call.clone();
    call.read_slow(move |tx| {
        let access = asked.access(tx)?;
        let listed = Feed::new(&access, cursor.as_deref())?.page(limit, |row| filter.lets_through(row))?;
        let mut answer = Listed { rows: Vec::new(), next: listed.next, cut_short: listed.cut_short };
        let mut bytes = 0;
        for row in listed.rows {
            bytes += row.size;
            if let (true, Some(last)) = (bytes > ANSWER_BYTES_MAX, answer.rows.last()) {
                let last: &Memory = last;
                answer.next = Some(format!("{}.{}", last.row.created_at_us, last.row.memory_id));
                answer.cut_short = Some(format!("one answer holds at most {ANSWER_BYTES_MAX} bytes of memories"));
                break;
            }
            answer.rows.push(with_body(tx, row)?);
        }
        Ok(answer)
    })
    .await
}

/// How a memory is asked for.
#[derive(Debug, Clone)]
pub enum Which {
    /// By its id.
    Id(String),
    /// By its name.
    Name {
        /// The first part.
        namespace: String,
        /// The last part.
        path_key: String,
    },
}

/// The memory of a name or an id; `None` alike for one that is not there and one that the caller may not see. A name is
/// looked for in the nearest scope first: the agent's or person's own, the user's, the tenant's, then everybody's.
pub async fn retrieve(call: &Call, which: Which) -> Result<Option<Memory>, ServiceError> {
    let asked = call.clone();
    call.read_slow(move |tx| {
        let access = asked.access(tx)?;
        let found = match &which {
            Which::Id(id) => records::visible(&access, id)?,
            Which::Name { namespace, path_key } => nearest(&access, namespace, path_key)?,
        };
        found.map(|row| with_body(tx, row)).transpose()
    })
    .await
}

fn nearest<T: Sql>(access: &Access<'_, T>, namespace: &str, path_key: &str) -> Result<Option<MemoryRow>, ServiceError> {
    if namespace.contains('\0') || path_key.contains('\0') {
        return Ok(None);
    }
    let caller = access.caller();
    let own = records::owner_in(caller, AGENT);
    let of_user = format!("user:{}", caller.user);
    let places =
        [(AGENT, &own), (AGENT, &of_user), (USER, &of_user), (TENANT, &String::new()), (GLOBAL, &String::new())]
            .map(|(scope, name)| (scope, name.clone()));
    for (scope, name) in places {
        let owner = Owner { tenant: &caller.tenant, scope, name: &name };
        if let Some(row) = memories::named(access.tx(), owner, namespace, path_key)?
            && records::may(access, &row, Right::Read)?
        {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// Takes the body along.
fn with_body(tx: &ReadTx<'_>, row: MemoryRow) -> Result<Memory, ServiceError> {
    let body = body_of(tx, &row)?;
    Ok(Memory { row, body, score: None })
}

fn body_of(tx: &ReadTx<'_>, row: &MemoryRow) -> Result<Bytes, ServiceError> {
    let lost = || StoreError::Corrupt { what: "the body that a memory names is missing".into() };
    let hash = ContentHash::from_hex(&row.content).ok_or_else(lost)?;
    let body = contents::body(tx, hash).and_then(|body| body.ok_or_else(lost));
    match body {
        Ok(body) => Ok(body.into()),
        Err(StoreError::Corrupt { what }) => {
            tracing::error!(memory_id = row.memory_id, what, "a memory is damaged; it was not handed out");
            Err(ServiceError::Integrity { path: format!("memory:{}", row.memory_id) })
        }
        Err(error) => Err(error.into()),
    }
}
