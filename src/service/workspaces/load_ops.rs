//! Many directories registered at once, as a configuration names them: all of them, or none.

use crate::service::access::Access;
use crate::service::workspaces::ops::{RegisterWorkspace, WorkspaceRequest, prepare};
use crate::service::workspaces::{Scope, live};
use crate::service::{Call, ServiceError};
use crate::store::{Sql, WriteOp, WriteTx, workspaces};

/// Most directories of one message.
pub const DIRECTORIES_MAX: usize = 100;

/// How many directories of one kind were registered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loaded {
    /// That were not before.
    pub registered: u64,
    /// That were already, and stay as they were.
    pub skipped: u64,
}

/// Registers those of `requests` that are not registered; how many workspaces, and directories of memories.
pub async fn load(call: &Call, requests: Vec<WorkspaceRequest>) -> Result<(Loaded, Loaded), ServiceError> {
    if requests.len() > DIRECTORIES_MAX {
        let text = format!("{} directories at once; at most {DIRECTORIES_MAX}: load them in parts", requests.len());
        return Err(ServiceError::InvalidParams(text));
    }
    let directories = requests.into_iter().map(|request| prepare(call, request)).collect::<Result<_, _>>()?;
    call.submit(LoadWorkspaces { directories }).await
}

/// Registers directories.
#[derive(Debug)]
pub struct LoadWorkspaces {
    /// Each with whoever asks.
    pub directories: Vec<RegisterWorkspace>,
}

impl WriteOp for LoadWorkspaces {
    const NAME: &'static str = "workspaces_load";
    type Output = (Loaded, Loaded);
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(Loaded, Loaded), ServiceError> {
        for directory in &self.directories {
            directory.authorize(&Access::in_writer(&*tx, &directory.caller)?)?;
        }
        let (mut spaces, mut memories) = (Loaded::default(), Loaded::default());
        for directory in &self.directories {
            let old = workspaces::find(tx, directory.scope.as_str(), directory.path.as_str())?;
            let loaded = match directory.scope {
                Scope::Workspace => &mut spaces,
                Scope::Memory => &mut memories,
            };
            if old.is_some_and(|row| live(&row, tx.now_us())) {
                loaded.skipped += 1;
            } else {
                // A refusal here (one directory made another's way) takes all of them back.
                directory.apply(tx)?;
                loaded.registered += 1;
            }
        }
        Ok((spaces, memories))
    }

    fn bytes(&self) -> usize {
        self.directories.iter().map(WriteOp::bytes).sum()
    }
}
