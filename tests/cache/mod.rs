//! What is remembered, and at which revision: the permission cache that answers nothing, and the moment between
//! COMMIT and publish.

// Five hundred lists at once, each by another's rights.
mod crowd;
// The record of decisions: what it holds, and that no answer depends on it.
mod decisions;
// What a kept reply depends on.
mod footprints;
// Answers without a transaction.
mod glance;
// Data and permissions of one revision, at the worst moments.
pub(crate) mod new_enemy;
// Replies that are kept while nothing changes.
mod replies;
// Questions about earlier revisions.
mod past;
