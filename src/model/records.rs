//! What people and their agents keep beside files: memory records, trajectories with their notes, playbooks.
//!
//! Rows as the changelog has them. A share or a score is a number of millionths, so that it is the same in every engine.

use serde::{Deserialize, Serialize};

/// Millionths of one: a score of 1.0.
pub const ONE: i64 = 1_000_000;

/// A row of `memories`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryRow {
    /// The UUID that clients know.
    pub memory_id: String,
    /// The tenant of who stored it.
    pub tenant: String,
    /// Who stored it.
    pub user_id: String,
    /// The agent that stored it for him; `None` = he himself.
    pub agent_id: Option<String>,
    /// `agent`, `user`, `tenant` or `global`.
    pub scope: String,
    /// Whose `namespace` and `path_key` it is found by: `agent:<id>`, `user:<id>`, or empty for all of the scope.
    pub owner: String,
    /// What it is, e.g. `fact`.
    pub memory_type: String,
    /// Millionths.
    pub importance: i64,
    /// `active` or `inactive`.
    pub state: String,
    /// The first part of its name, if it has one.
    pub namespace: Option<String>,
    /// The last part of its name.
    pub path_key: Option<String>,
    /// BLAKE3 of the body, hex.
    pub content: String,
    /// Bytes of the body.
    pub size: u64,
    /// Unix time, µs.
    pub created_at_us: i64,
    /// Unix time, µs.
    pub updated_at_us: i64,
}

/// A row of `trajectories`: one attempt at a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrajectoryRow {
    /// The UUID that clients know.
    pub trajectory_id: String,
    /// The tenant.
    pub tenant: String,
    /// Whose it is.
    pub user_id: String,
    /// The agent that made it for him; `None` = he himself.
    pub agent_id: Option<String>,
    /// What was to be done.
    pub task: String,
    /// Of what kind that is.
    pub task_type: Option<String>,
    /// `in_progress`, `success`, `failure` or `partial`.
    pub status: String,
    /// Millionths, as it was said at the end.
    pub success_score: Option<i64>,
    /// What went wrong.
    pub error_message: Option<String>,
    /// Unix time, µs.
    pub started_at_us: i64,
    /// Unix time, µs; `None` = it goes on.
    pub completed_at_us: Option<i64>,
    /// Why one should learn from it again; `None` = nobody asked.
    pub relearn_reason: Option<String>,
    /// How urgent that is; higher is more.
    pub relearn_priority: Option<i64>,
}

/// A row of `trajectory_notes`: a step of a trajectory, or what somebody said about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrajectoryNoteRow {
    /// Of which trajectory.
    pub trajectory_id: String,
    /// Its place among the notes of the trajectory, from 1.
    pub number: u64,
    /// The UUID that clients know.
    pub note_id: String,
    /// `step` or `feedback`.
    pub what: String,
    /// The kind of step or feedback.
    #[serde(rename = "type")]
    pub note_type: String,
    /// Millionths; of feedback.
    pub score: Option<i64>,
    /// Who or what says so; of feedback.
    pub source: Option<String>,
    /// In words.
    pub message: Option<String>,
    /// The result of a step, the metrics of feedback; JSON.
    pub data: Option<String>,
    /// Unix time, µs.
    pub at_us: i64,
}

/// A row of `playbooks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaybookRow {
    /// The UUID that clients know.
    pub playbook_id: String,
    /// The tenant of who made it.
    pub tenant: String,
    /// Who made it.
    pub user_id: String,
    /// The agent that made it for him; `None` = he himself.
    pub agent_id: Option<String>,
    /// `agent`, `user`, `tenant` or `global`.
    pub scope: String,
    /// Whose `name` it is found by, as of a memory.
    pub owner: String,
    /// Its name; an owner has one of a name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// From 1.
    pub version: u64,
    /// A JSON object with `strategies`.
    pub content: String,
    /// Unix time, µs.
    pub created_at_us: i64,
    /// Unix time, µs.
    pub updated_at_us: i64,
}
