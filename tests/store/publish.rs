//! One revision for data and projections.
