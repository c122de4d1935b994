//! Playbooks, written. A new one has no strategies: they are curated by a language model, which is not part of this
//! server.

use crate::auth::Caller;
use crate::model::PlaybookRow;
use crate::service::access::Access;
use crate::service::records::{bounded, owner_in, parse_scope, require_scope};
use crate::service::{Call, ServiceError};
use crate::store::records::Owner;
use crate::store::{Sql, WriteOp, WriteTx, playbooks};

/// Longest name, bytes.
const NAME_BYTES_MAX: usize = 255;
/// Longest description, bytes.
const DESCRIPTION_BYTES_MAX: usize = 8 * 1024;
/// The content of a new one.
const EMPTY: &str = r#"{"strategies":[]}"#;

/// Makes a playbook.
pub async fn create(
    call: &Call,
    name: String,
    description: Option<String>,
    scope: &str,
) -> Result<PlaybookRow, ServiceError> {
    let scope = parse_scope(scope)?;
    if name.trim().is_empty() {
        return Err(ServiceError::InvalidParams("name must not be empty".into()));
    }
    bounded("name", Some(&name), NAME_BYTES_MAX)?;
    bounded("description", description.as_deref(), DESCRIPTION_BYTES_MAX)?;
    let playbook_id = call.store.random().uuid();
    call.submit(CreatePlaybook { caller: call.caller.clone(), playbook_id, name, description, scope }).await
}

/// Makes a playbook.
#[derive(Debug)]
pub struct CreatePlaybook {
    caller: Caller,
    playbook_id: String,
    name: String,
    description: Option<String>,
    scope: &'static str,
}

impl WriteOp for CreatePlaybook {
    const NAME: &'static str = "playbook_create";
    type Output = PlaybookRow;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<PlaybookRow, ServiceError> {
        let caller = {
            let access = Access::in_writer(&*tx, &self.caller)?;
            require_scope(&access, self.scope)?;
            access.caller().clone()
        };
        let owner = owner_in(&caller, self.scope);
        let name = Owner { tenant: &caller.tenant, scope: self.scope, name: &owner };
        if playbooks::named(tx, name, &self.name)?.is_some() {
            let text = format!("Playbook already exists in the scope '{}': {}", self.scope, self.name);
            return Err(ServiceError::Exists(text));
        }
        let now_us = tx.now_us();
        let row = PlaybookRow {
            playbook_id: self.playbook_id.clone(),
            tenant: caller.tenant.clone(),
            user_id: caller.user.clone(),
            agent_id: caller.agent.clone(),
            scope: self.scope.to_owned(),
            owner,
            name: self.name.clone(),
            description: self.description.clone(),
            version: 1,
            content: EMPTY.to_owned(),
            created_at_us: now_us,
            updated_at_us: now_us,
        };
        playbooks::insert(tx, row.clone())?;
        Ok(row)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.description.as_ref().map_or(0, String::len)
    }
}
