//! Where cgroups lie, as the texts of `/proc` tell, and which one somebody has left to us.
//!
//! Invariant: that we could write to a cgroup is no reason to use it. Somebody must have said that it is ours: the setting, or
//! the service manager, which marks what it delegates.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{getxattr, statfs};

/// What the file system of cgroups v2 calls itself.
const CGROUP2_MAGIC: u32 = 0x6367_7270;
/// With which attributes systemd marks what it delegates: for root alone, and for everybody.
const MARKS: &[&str] = &["trusted.delegate", "user.delegate"];
/// What a mark holds.
const MARKED: &[u8] = b"1";
/// How units of systemd end: their cgroups have the same names.
const UNITS: &[&str] = &[".service", ".scope", ".slice", ".socket", ".mount", ".swap"];

/// The cgroup of this process.
pub(super) fn own() -> Result<PathBuf, String> {
    let read = |path| std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"));
    let path = path_in(&read("/proc/self/cgroup")?).ok_or("this process has no cgroup of version 2")?.to_owned();
    mounted_in(&read("/proc/self/mountinfo")?, &path).ok_or_else(|| format!("the cgroup {path} is not mounted"))
}

/// The directory that the service manager has delegated to this process: its own cgroup, or the one above it where the manager
/// itself has put the process one deeper (`DelegateSubgroup=`).
pub(super) fn found() -> Option<PathBuf> {
    let own = own().ok()?;
    if is_delegated(&own) {
        return Some(own);
    }
    let name = own.file_name()?.to_string_lossy().into_owned();
    let above = own.parent()?;
    (!is_of_the_manager(&name) && is_delegated(above)).then(|| above.to_owned())
}

/// Whether a directory is a cgroup of version 2.
pub(super) fn is_cgroup(directory: &Path) -> bool {
    // The width and the sign of the field differ between machines; magic numbers have 32 bits.
    #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "the lower 32 bits are the number")]
    statfs(directory).is_ok_and(|stat| stat.f_type as u32 == CGROUP2_MAGIC)
}

/// Whether two paths are the same directory, by whatever mounts.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    let of = |path: &Path| path.metadata().map(|meta| (meta.dev(), meta.ino()));
    matches!((of(one), of(other)), (Ok(one), Ok(other)) if one == other)
}

fn is_delegated(directory: &Path) -> bool {
    let is_marked = |mark: &&str| {
        let mut text = [0_u8; MARKED.len()];
        getxattr(directory, *mark, &mut text).is_ok_and(|_| text == *MARKED)
    };
    is_cgroup(directory) && MARKS.iter().any(is_marked)
}

/// Whether a cgroup below one that is delegated is the service manager's: a unit of a manager of its own, or `.control`.
fn is_of_the_manager(name: &str) -> bool {
    name.starts_with('.') || UNITS.iter().any(|unit| name.ends_with(unit))
}

/// The path of the cgroup of version 2, by the text of `/proc/self/cgroup`.
fn path_in(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::")).filter(|path| path.starts_with('/'))
}

/// Where the cgroup `path` lies, by the text of `/proc/self/mountinfo`.
fn mounted_in(text: &str, path: &str) -> Option<PathBuf> {
    text.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3).map(plain);
        let (root, point) = (fields.next()?, fields.next()?);
        let below = Path::new(path).strip_prefix(root).ok()?;
        // What lies outside of the namespace of cgroups is written with `..`.
        let is_below = below.components().all(|part| matches!(part, Component::Normal(_)));
        (kind.split(' ').next() == Some("cgroup2") && is_below)
            .then(|| if below.as_os_str().is_empty() { point.into() } else { Path::new(&point).join(below) })
    })
}

/// A field of `mountinfo`, in which what would end it is written as three octal digits.
fn plain(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(field.to_owned(), |text, (written, meant)| text.replace(written, meant))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
25 30 0:23 / /sys rw,nosuid shared:7 - sysfs sysfs rw
26 25 0:24 / /sys/fs/cgroup rw,nosuid shared:9 - tmpfs tmpfs rw,mode=755
27 26 0:25 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
28 26 0:26 /system.slice /mnt/some\\040slice rw shared:10 master:2 - cgroup2 none rw
29 26 0:26 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw,nsdelegate
";

    #[test]
    fn the_own_cgroup_is_found_wherever_it_is_mounted() {
        assert_eq!(path_in("9:memory:/a\n1:name=systemd:/b\n0::/c/d e\n"), Some("/c/d e"));
        assert_eq!(path_in("9:memory:/a\n"), None);
        assert_eq!(path_in(""), None);
        let at = |path| mounted_in(MOUNTS, path);
        assert_eq!(at("/"), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(at("/user.slice/x"), Some("/sys/fs/cgroup/unified/user.slice/x".into()));
        assert_eq!(at("/system.slice/x.service"), Some("/mnt/some slice/x.service".into()));
        assert_eq!(at("/system.slice"), Some("/mnt/some slice".into()));
        assert_eq!(at("/system.slices"), Some("/sys/fs/cgroup/unified/system.slices".into()));
        assert_eq!(at("/../outside"), None);
        assert_eq!(mounted_in("", "/"), None);
        assert_eq!(mounted_in("27 26 0:25 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n", "/"), None);
    }

    #[test]
    fn what_a_manager_has_made_for_itself_is_not_ours() {
        for name in ["init.scope", "app.slice", "x.service", ".control"] {
            assert!(is_of_the_manager(name), "{name}");
        }
        assert!(!is_of_the_manager("server") && !is_of_the_manager("services"));
    }

    #[test]
    fn a_directory_of_another_file_system_is_no_cgroup_and_not_delegated_whatever_it_says() {
        let dir = tempfile::tempdir().expect("a directory");
        // Not every file system takes it.
        let _ = rustix::fs::setxattr(dir.path(), "user.delegate", MARKED, rustix::fs::XattrFlags::empty());
        assert!(!is_cgroup(dir.path()) && !is_delegated(dir.path()) && !is_cgroup(Path::new("/none")));
        assert!(is_same(dir.path(), &dir.path().join(".")) && !is_same(dir.path(), Path::new("/none")));
    }
}
