//! The end of sandboxes that have not been used for their time: by the clock of the log, a few at a time.
//!
//! Invariant: nothing is taken from under a running program; what runs is looked at again at the next tick.

use std::time::Duration;

use crate::sandbox::Sandboxes;
use crate::service::ServiceError;
use crate::service::sandboxes::ops::{blocking, stop};
use crate::store::sandboxes::ACTIVE;
use crate::store::{Origin, Sql as _, Store, StoreError, WriteOp, WriteTx, sandboxes};

/// How often is looked for some.
const TICK: Duration = Duration::from_secs(10);
/// Those that one message ends.
const BATCH: usize = 100;

/// Ends sandboxes whose time is over until the store closes.
pub async fn watch(store: Store, providers: Sandboxes) {
    loop {
        // Not at once: nothing of it shall stand between a start and the first requests.
        tokio::time::sleep(TICK).await;
        match expire(&store, &providers).await {
            Ok(_) => {}
            Err(ServiceError::Store(StoreError::Closed)) => return,
            Err(error) => tracing::warn!(%error, "sandboxes whose time is over were not ended"),
        }
    }
}

/// Ends those whose time is over now. Returns how many.
pub async fn expire(store: &Store, providers: &Sandboxes) -> Result<usize, ServiceError> {
    let running = providers.runs().ids();
    let due = store.read(move |tx| {
        let now_us = tx.now_us();
        let rows = sandboxes::live(tx)?.into_iter().filter(|row| row.status == ACTIVE);
        let due = rows.filter(|row| row.expires_at_us.is_some_and(|at| at <= now_us)).map(|row| row.sandbox_id);
        Ok::<_, ServiceError>(due.filter(|id| !running.contains(id)).collect::<Vec<_>>())
    });
    let due = due.await?;
    let mut ended = 0;
    for ids in due.chunks(BATCH) {
        let op = ExpireSandboxes { ids: ids.to_vec() };
        let (gone, _) = store.submit(Origin::system(ExpireSandboxes::NAME), op).await?;
        ended += gone.len();
        for (provider, id) in gone {
            providers.runs().end(Some(&id)).await;
            blocking(providers.provider(&provider), move |p| p.destroy(&id)).await?;
        }
    }
    Ok(ended)
}

/// Stops sandboxes whose time is over.
#[derive(Debug)]
pub struct ExpireSandboxes {
    /// Which; those that were used since stay.
    pub ids: Vec<String>,
}

impl WriteOp for ExpireSandboxes {
    const NAME: &'static str = "sandbox_expire";
    const GROWS: bool = false;
    /// Those that were stopped, as (provider, id).
    type Output = Vec<(String, String)>;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Self::Output, ServiceError> {
        let now_us = tx.now_us();
        let mut gone = Vec::new();
        for id in &self.ids {
            let Some(row) = sandboxes::find(tx, id)? else { continue };
            if row.status == ACTIVE && row.expires_at_us.is_some_and(|at| at <= now_us) {
                gone.push((row.provider.clone(), row.sandbox_id.clone()));
                stop(tx, row)?;
            }
        }
        Ok(gone)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.ids.iter().map(String::len).sum::<usize>()
    }
}
