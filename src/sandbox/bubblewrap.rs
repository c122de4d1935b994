//! The command line of bubblewrap: a machine with nothing in it but programs and one directory.

use std::ffi::OsString;
use std::path::Path;

use super::fence;
use super::files::FOLDER;
use super::orders::{CHILD_ARGUMENT, Orders};

/// Where the directory lies inside.
pub(super) const INSIDE: &str = "/sandbox";
/// Where programs of the original's clients look for the tree.
pub(super) const MOUNT: &str = "/mnt/nexus";
/// Where programs find the server's socket.
pub(super) const SOCKET: &str = "/run/nexus.sock";
/// Where this program lies inside.
const CHILD: &str = "/.nexus-lite";

/// Directories that hold a few files of the machine, and may be passed through.
const TEXT_DIRECTORIES: &[&str] = &["/etc", "/etc/ssl"];

/// Its arguments. As root it makes no namespace of users, and leaves the child what it needs to become another user, which it
/// does before anything else.
pub(super) fn arguments(orders: &Orders, program: &Path) -> Vec<OsString> {
    let becomes = orders.user.is_some();
    let mut all: Vec<OsString> = Vec::new();
    let mut add = |words: &[&dyn AsRef<std::ffi::OsStr>]| all.extend(words.iter().map(|w| w.as_ref().to_owned()));
    for space in ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"] {
        add(&[&space]);
    }
    if !becomes {
        add(&[&"--unshare-user", &"--disable-userns"]);
    }
    add(&[&"--die-with-parent", &"--hostname", &"sandbox", &"--cap-drop", &"ALL"]);
    if becomes {
        for capability in ["CAP_SETUID", "CAP_SETGID"] {
            add(&[&"--cap-add", &capability]);
        }
    }
    for path in fence::PROGRAMS {
        match Path::new(path).read_link() {
            Ok(target) => add(&[&"--symlink", &target, path]),
            Err(_) => add(&[&"--ro-bind-try", path, path]),
        }
    }
    // Made for what is bound into them alone, they would be root's.
    for directory in TEXT_DIRECTORIES {
        add(&[&"--dir", directory]);
    }
    for path in fence::texts() {
        add(&[&"--ro-bind-try", &path, &path]);
    }
    add(&[&"--dir", &"/mnt", &"--symlink", &format!("{INSIDE}/{FOLDER}"), &MOUNT]);
    add(&[&"--proc", &"/proc", &"--dev", &"/dev"]);
    if let Some(socket) = &orders.socket {
        add(&[&"--dir", &"/run", &"--ro-bind", socket, &SOCKET]);
    }
    add(&[&"--bind", &orders.directory, &INSIDE, &"--ro-bind", &program, &CHILD]);
    // They are in memory, which nobody counts, and where there is no Landlock nothing else keeps their owner from writing.
    add(&[&"--remount-ro", &"/dev", &"--remount-ro", &"/"]);
    add(&[&"--", &CHILD, &CHILD_ARGUMENT]);
    all
}
