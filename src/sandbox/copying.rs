//! In which sandboxes files are being copied: by one at a time.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

/// The ids of sandboxes whose files are worked on.
pub(super) type Copied = Mutex<HashSet<String>>;

/// The right to work on the files of one sandbox.
#[derive(Debug)]
pub struct Copying {
    all: Arc<Copied>,
    id: String,
}

impl Copying {
    /// Takes it, unless somebody has it.
    pub(super) fn begin(all: &Arc<Copied>, id: &str) -> Option<Self> {
        let is_new = all.lock().insert(id.to_owned());
        is_new.then(|| Self { all: Arc::clone(all), id: id.to_owned() })
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        self.all.lock().remove(&self.id);
    }
}
