//! Tests of the engine as a whole: truth tables, traps, and the comparison with the oracle.
//!
//! Every check of a [`World`](world::World) is made by cache, without, by the general evaluator and by a filter, and all
//! must agree, so that each test of a rule is a test of all ways to it.

mod caching;
mod cases;
mod explain;
mod explained;
mod general;
mod laws;
mod lint;
mod lists;
mod machine;
mod mutants;
#[path = "../../tests/property/oracle.rs"]
mod oracle;
mod orders;
mod property;
#[path = "../../tests/property/random.rs"]
mod random;
#[path = "../../tests/property/runner.rs"]
mod runner;
mod tables;
mod traps;
mod verifier;
mod world;

use crate::model::time::monotonic;
