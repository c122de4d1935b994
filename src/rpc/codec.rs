//! The value encoding of the wire (contract §1.4): bytes, date-times and durations as wrapper objects.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bytes: `{"__type__":"bytes","data":"<base64>"}`; incoming also a plain string, taken as UTF-8 text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireBytes(pub Bytes);

/// A date-time, µs: `{"__type__":"datetime","data":"<ISO-8601>"}`; incoming also a plain ISO string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireTime {
    /// Unix time, µs.
    pub us: i64,
    /// Whether the text names its offset (`+00:00`): values made in this request do, stored ones do not.
    pub aware: bool,
}

/// A duration: `{"__type__":"timedelta","seconds":<number>}`; incoming also a plain number of seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WireDuration {
    /// Seconds.
    pub seconds: f64,
}
// rpc helper: Serialize, Deserialize, JsonSchema for the three.
