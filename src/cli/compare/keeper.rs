//! What is left behind when this process is killed: nothing.
//!
//! Destructors do not run then. So a shell holds the other end of a pipe; when that closes, for whatever reason, it ends
//! the process that it was told of and removes the directory.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::super::Failure;
use super::super::selftest::threads::no_thread;

/// `$1` the process, `$2` the signal that ends it, `$3` the directory. It waits ten seconds for the end at most.
const SCRIPT: &str = r#"
trap '' INT HUP TERM
read -r nothing
kill -"$2" "$1" 2>/dev/null
for look in 1 2 3 4 5 6 7 8 9 10; do
    kill -0 "$1" 2>/dev/null || break
    sleep 1
done
rm -rf -- "$3"
"#;

/// Such a shell; dismissed when this is dropped, which must be after the end of the process.
#[derive(Debug)]
pub struct Keeper {
    /// With the pipe.
    shell: Child,
}

impl Keeper {
    /// From now on process `pid` (a child of ours) and `dir` do not survive this process.
    pub fn start(pid: u32, signal: &str, dir: &Path) -> Result<Self, Failure> {
        use std::os::unix::process::CommandExt as _;
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "nexus-lite-keeper", &pid.to_string(), signal]).arg(dir);
        // In a group of its own, so that Ctrl-C does not reach it.
        shell.process_group(0).current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { shell: shell.spawn().map_err(no_thread)? })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Killed, it does nothing.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
