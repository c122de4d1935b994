//! Where ordinary reads run: the caller's thread, or one of a pool.

#[cfg(feature = "postgres")]
use super::pool::Pool;
use super::readers::Readers;

/// Where ordinary reads run.
pub(super) enum Reading {
    /// On the caller's thread: a hop would cost as much as the read.
    Inline(Readers),
    /// On threads of their own, which wait for a network in the caller's place.
    #[cfg(feature = "postgres")]
    Pooled(Pool),
}

impl Reading {
    /// Refuses new reads and waits for those that run.
    pub(super) fn close(&self) {
        match self {
            Self::Inline(readers) => readers.close(),
            #[cfg(feature = "postgres")]
            Self::Pooled(pool) => {
                pool.close();
                pool.join();
            }
        }
    }

    /// Refuses new reads.
    pub(super) fn stop(&self) {
        match self {
            Self::Inline(readers) => readers.close(),
            #[cfg(feature = "postgres")]
            Self::Pooled(pool) => pool.close(),
        }
    }
}
