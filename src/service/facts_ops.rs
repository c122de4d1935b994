//! Facts about a store that are no data: kept in `meta`, moving no revision.

use crate::store::{Origin, Store, StoreError, WriteOp, WriteTx, meta};

use super::ServiceError;

/// Keeps a fact under one of the keys of [`meta`].
pub async fn keep(store: &Store, key: &'static str, value: String) -> Result<(), ServiceError> {
    store.submit(Origin::system("fact"), KeepFact { key, value }).await.map(|((), _)| ())
}

/// Sets a fact, whether it was there or not.
#[derive(Debug)]
pub struct KeepFact {
    /// One of the keys of [`meta`].
    pub key: &'static str,
    /// What it says.
    pub value: String,
}

impl WriteOp for KeepFact {
    const NAME: &'static str = "fact_keep";
    const UNRECORDED: bool = true;
    type Output = ();
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), ServiceError> {
        meta::put(tx, self.key, &self.value).map_err(|e: StoreError| e.into())
    }

    fn bytes(&self) -> usize {
        self.key.len() + self.value.len()
    }
}
