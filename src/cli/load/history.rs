//! What a checker needs of a finished run, read from the store that the run left: its whole log, and the skills.
//!
//! Goes through the store, so that it is the same on every engine.

use std::collections::{BTreeSet, HashMap};

use super::state::Entry;
use crate::model::{Change, ContentHash, Rev};
use crate::store::{Store, StoreError, changelog, contents};

/// Rows of the log that are read at once.
const PAGE_ROWS: u64 = 5_000;

/// A log and the bodies of all skills that it names.
#[derive(Debug, Default)]
pub struct History {
    /// Every revision, in order.
    pub entries: Vec<Entry>,
    skills: HashMap<String, Vec<u8>>,
}

impl History {
    /// Reads it.
    pub async fn of(store: &Store) -> Result<Self, StoreError> {
        let mut history = Self::default();
        loop {
            let since: Rev = history.entries.last().map_or(0, |entry| entry.rev);
            let rows = store.read_slow(move |tx| changelog::after(tx, since, PAGE_ROWS)).await?;
            if rows.is_empty() {
                break;
            }
            let entry = |row: changelog::ChangelogRow| Entry { rev: row.rev, op: row.op, changes: row.changes };
            history.entries.extend(rows.into_iter().map(entry));
        }
        let wanted = skills_of(&history.entries);
        let read = move |tx: &crate::store::ReadTx<'_>| {
            let mut found = HashMap::new();
            for hash in wanted {
                let body = match ContentHash::from_hex(&hash) {
                    Some(parsed) => contents::get(tx, parsed)?.and_then(|content| content.body),
                    None => None,
                };
                // A skill over the limit of a row is none that a load run writes.
                found.extend(body.map(|body| (hash, body)));
            }
            Ok::<_, StoreError>(found)
        };
        history.skills = store.read_slow(read).await?;
        Ok(history)
    }

    /// The body of a skill, by its hash in hex.
    #[must_use]
    pub fn skill(&self, hash: &str) -> Option<Vec<u8>> {
        self.skills.get(hash).cloned()
    }
}

/// The hashes of everything that was ever named as a skill is.
fn skills_of(entries: &[Entry]) -> BTreeSet<String> {
    let changes = entries.iter().flat_map(|entry| &entry.changes);
    let nodes = changes.filter_map(|change| match change {
        Change::Node(delta) => delta.after.as_ref(),
        _ => None,
    });
    let skills = nodes.filter(|node| super::checker::is_skill(&node.name));
    skills.filter_map(|node| node.content.clone()).collect()
}
