//! Makes the demo's data: every step is a message to the writer.

use super::manifest;
use super::script::{self, Ids};
use crate::cli::waves::expect::Expectations;
use crate::model::random::SeededRandom;

/// The expectations of a demo that nobody has made: what the failing control holds.
#[must_use]
pub fn expectations_of_a_dry_run() -> Expectations {
    manifest::expectations(&script::steps(&Ids::draw(&SeededRandom::new(0))), 0)
}
