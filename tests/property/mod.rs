//! Random histories of the whole server against the oracle. `README.md` tells how to run them and what they found;
//! the suites of the engine alone are in `src/rebac/tests/` and include the plain parts from here.

// What the rules say, from plain data.
mod oracle;
// Random facts and questions.
#[expect(dead_code, reason = "shared with the tests of the engine; each uses a part")]
pub(crate) mod random;
// Seeds, minutes, figures.
mod runner;
// Through the real server: restarts, failing messages, batches, earlier revisions.
mod store;

pub(crate) use runner::seed_of;

use nexus_lite::model::time::monotonic;
