//! Sandboxes: whether this machine can confine programs, tried with a child behind the walls.

use std::path::Path;

use super::Lines;
use crate::app::sandbox_dir;
use crate::config::{Config, SandboxWalls};
use crate::sandbox::{Capabilities, Cgroups, Sandboxes};

const TOPIC: &str = "sandbox";
/// How the setting is called in what is refused for it.
const SETTING: &str = "`sandbox_cgroup`";

/// Tries it, in the directory of the sandboxes if it is there, else in `scratch`; leaves nothing behind.
pub(super) fn look(config: &Config, scratch: &Path, lines: &mut Lines) {
    if config.sandbox == SandboxWalls::Off {
        return lines.ok(TOPIC, "the setting `sandbox` is off: nothing is run");
    }
    let real = sandbox_dir(config);
    let root = if real.is_dir() { real } else { scratch.join("sandboxes") };
    // What is delegated to the server is not delegated to whoever asks here.
    let cgroups = config.sandbox_cgroup.clone().map_or(Cgroups::Nowhere, Cgroups::Named);
    let capable = Sandboxes::new(root, config.sandbox, cgroups).choose(None).capabilities();
    match capable.run_refused {
        None => {
            let languages: Vec<_> = capable.languages.iter().map(|language| language.name()).collect();
            let (walls, languages, cgroups) = (capable.walls.unwrap_or_default(), languages.join(", "), told(&capable));
            lines.ok(
                TOPIC,
                format!("programs are confined by {walls}, a filter of system calls, limits and a watch; {cgroups}: {languages}"),
            );
        }
        Some(why) if why.contains(SETTING) => lines.warn(
            TOPIC,
            format!("sandboxes run nothing: {why}"),
            "let it name a directory of the cgroup2 file system that this user may write to and that holds no process, or nothing",
        ),
        Some(why) => lines.note(
            TOPIC,
            format!("sandboxes run nothing: {why}"),
            "install bubblewrap (apt-get install bubblewrap), or use Linux 6.12 or newer with Landlock",
        ),
    }
}

/// What is to be said of cgroups.
fn told(capable: &Capabilities) -> String {
    let Some(controllers) = &capable.cgroup else {
        return "no cgroups by the settings (a server to which systemd has delegated its own uses that)".to_owned();
    };
    let names: Vec<_> = controllers.iter().map(|controller| controller.name()).collect();
    match names.join(" and ") {
        names if names.is_empty() => "a cgroup for each run, without limits: no controller is there".to_owned(),
        names => format!("a cgroup for each run, with limits of {names}"),
    }
}
