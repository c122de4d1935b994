//! Sandboxes: private directories, and later the processes in them.

/// The providers of sandboxes and the directory they live in.
#[derive(Debug)]
pub struct Sandboxes {/* sandbox helper */}
