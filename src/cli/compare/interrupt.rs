//! Ctrl-C: the first one ends the run in order, the second one at once. What is left then is for the keepers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::selftest::threads::listen_for_signals;
use super::super::{Failure, exit};

/// What is known of an interruption; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens for SIGINT and SIGTERM from now on.
    pub fn listen() -> Result<Self, Failure> {
        let interrupt = Self::default();
        listen_for_signals(&interrupt.0)?;
        Ok(interrupt)
    }

    /// The flag that is set by the first signal.
    #[must_use]
    pub fn flag(&self) -> &Arc<AtomicBool> {
        &self.0
    }

    /// An error once a signal has come.
    pub fn check(&self) -> Result<(), Failure> {
        let told = self.0.load(Ordering::Acquire);
        if told { Err(Failure::new(exit::INTERRUPTED, "interrupted; nothing was left behind")) } else { Ok(()) }
    }
}
