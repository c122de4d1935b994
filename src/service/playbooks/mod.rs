//! Playbooks, read: strategies under a name. Who sees one is decided in `records`.

pub mod ops;

use crate::model::PlaybookRow;
use crate::service::records::{self, Feed, Listed, Right, owner_in};
use crate::service::{Call, ServiceError};
use crate::store::playbooks;
use crate::store::records::{AGENT, GLOBAL, Owner, TENANT, USER};

/// Playbooks that the caller may see, newest first.
pub async fn list(
    call: &Call,
    scope: Option<String>,
    agent_id: Option<String>,
    limit: usize,
) -> Result<Listed<PlaybookRow>, ServiceError> {
    let asked = call.clone();
    call.read(move |tx| {
        let access = asked.access(tx)?;
        let wanted = |row: &PlaybookRow| {
            scope.as_ref().is_none_or(|scope| *scope == row.scope) && (agent_id.is_none() || agent_id == row.agent_id)
        };
        Feed::new(&access, None)?.page(limit, wanted)
    })
    .await
}

/// The playbook of this id; `None` alike for one that is not there and one that the caller may not see.
pub async fn get(call: &Call, playbook_id: String) -> Result<Option<PlaybookRow>, ServiceError> {
    let asked = call.clone();
    call.read(move |tx| records::visible(&asked.access(tx)?, &playbook_id)).await
}

/// The playbook of this name in the nearest scope that has one.
pub async fn named(call: &Call, name: String) -> Result<Option<PlaybookRow>, ServiceError> {
    let asked = call.clone();
    call.read(move |tx| {
        let access = asked.access(tx)?;
        if name.contains('\0') {
            return Ok(None);
        }
        let caller = access.caller();
        let of_user = owner_in(caller, USER);
        let places = [
            (AGENT, owner_in(caller, AGENT)),
            (AGENT, of_user.clone()),
            (USER, of_user),
            (TENANT, String::new()),
            (GLOBAL, String::new()),
        ];
        for (scope, owner) in &places {
            let owner = Owner { tenant: &caller.tenant, scope, name: owner };
            if let Some(row) = playbooks::named(tx, owner, &name)?
                && records::may(&access, &row, Right::Read)?
            {
                return Ok(Some(row));
            }
        }
        Ok(None)
    })
    .await
}
