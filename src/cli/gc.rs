//! `gc`: house-keeping now, which else comes by itself.

use serde_json::{Value, json};

use super::door::Door;
use super::files::table::size;
use super::{Failure, exit};

/// Throws away now what is not kept: versions and deleted files past keep_versions and keep_days, and bodies that nothing
/// has named for a day. A server does it by itself once an hour.
#[derive(Debug, clap::Args)]
pub struct Gc {
    #[command(flatten)]
    door: Door,
}

impl Gc {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let answer = self.door.ask("admin_collect", json!({}))?;
        self.door.show(&answer, for_people)?;
        Ok(exit::OK)
    }
}

fn for_people(answer: &Value) -> String {
    let number = |key: &str| answer[key].as_u64().unwrap_or(0);
    let bytes = size(number("bytes"));
    format!(
        "removed: {} states of the past, {} bodies ({bytes}), {} files without a row\n",
        number("states"),
        number("bodies"),
        number("files")
    )
}
