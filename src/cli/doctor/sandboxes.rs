//! Sandboxes: whether this machine can confine programs, tried with a child behind the walls.

use std::path::Path;

use super::Lines;
use crate::app::sandbox_dir;
use crate::config::{Config, SandboxWalls};
use crate::sandbox::Sandboxes;

const TOPIC: &str = "sandbox";

/// Tries it, in the directory of the sandboxes if it is there, else in `scratch`; leaves nothing behind.
pub(super) fn look(config: &Config, scratch: &Path, lines: &mut Lines) {
    if config.sandbox == SandboxWalls::Off {
        return lines.ok(TOPIC, "the setting `sandbox` is off: nothing is run");
    }
    let real = sandbox_dir(config);
    let root = if real.is_dir() { real } else { scratch.join("sandboxes") };
    let capable = Sandboxes::new(root, config.sandbox).choose(None).capabilities();
    match capable.run_refused {
        None => {
            let languages: Vec<_> = capable.languages.iter().map(|language| language.name()).collect();
            let (walls, languages) = (capable.walls.unwrap_or_default(), languages.join(", "));
            lines.ok(
                TOPIC,
                format!("programs are confined by {walls}, a filter of system calls, limits and a watch (no cgroup): {languages}"),
            );
        }
        Some(why) => lines.note(
            TOPIC,
            format!("sandboxes run nothing: {why}"),
            "install bubblewrap (apt-get install bubblewrap), or use Linux 6.12 or newer with Landlock",
        ),
    }
}
