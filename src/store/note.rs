//! The records that go through the second lane.

use crate::model::Rev;

/// A record that nobody waits for: it goes through the second lane and may be dropped.
#[derive(Debug, Clone)]
pub enum Note {
    /// A decision that was asked for and computed.
    Decision(DecisionNote),
    /// A key was used at this time (µs).
    KeyUsed {
        /// The key.
        key_id: String,
        /// Unix time, µs.
        at_us: i64,
    },
    /// A request was refused for lack of a permission.
    Denial(DenialNote),
}

/// A row of `denials`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DenialNote {
    /// When, Unix time, µs; see [`Store::now_us`](super::Store::now_us).
    pub at_us: i64,
    /// The caller's tenant.
    pub tenant: String,
    /// The caller, as `type:id`.
    pub actor: String,
    /// What was called.
    pub method: String,
    /// What was missing.
    pub permission: String,
    /// On what, as the caller named it: `type:id`, or a path.
    pub object: String,
    /// The revision it was decided at.
    pub rev: Rev,
    /// The request.
    pub request_id: String,
}

/// A row of `permission_cache`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionNote {
    /// The object's tenant.
    pub tenant: String,
    /// Who.
    pub subject_type: String,
    /// Who.
    pub subject_id: String,
    /// What.
    pub permission: String,
    /// On what.
    pub object_type: String,
    /// On what.
    pub object_id: String,
    /// Allow or deny.
    pub allowed: bool,
    /// The revision it was computed at.
    pub rev: Rev,
    /// Version of the engine's semantics.
    pub engine: u32,
}
