//! Directories that a hostile program writes to, walked and removed from outside.
//!
//! Everything is opened with `openat2` below a directory that is open already, and no link is followed, so that nothing that
//! changes meanwhile leads out of it. Nothing here recurses: a program may lay a directory ten thousand deep.

use std::ffi::CString;
use std::fs::{File, Permissions};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Stat, openat2, renameat_with, statat,
    unlinkat,
};
use rustix::io::Errno;

/// How everything below a directory is opened.
pub(super) const BENEATH: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
/// What the owner may do with a directory that is removed.
const OWN: u32 = 0o700;
/// How directories are called that were taken out of others to be removed.
const TAKEN_OUT: &str = ".taken-out-";

/// Opens a directory that is the server's own; its last name is no link.
pub(super) fn open(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
}

/// Opens a directory below an open one; `""` is that one.
pub(super) fn open_below(top: impl AsFd, path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat2(top, if path.is_empty() { "." } else { path }, flags, Mode::empty(), BENEATH)
}

/// What lies in an open directory: names and kinds.
fn names(dir: BorrowedFd<'_>) -> Result<Vec<(CString, FileType)>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        names.push((entry.file_name().to_owned(), entry.file_type()));
    }
    Ok(names)
}

/// One thing that a walk has met.
pub(super) struct Met<'a> {
    /// Its path below the top; bytes that are no UTF-8 are escaped, and then it cannot be opened by it.
    pub path: &'a str,
    /// Whether the path is its name as it is.
    pub is_plain: bool,
    /// What is said of it.
    pub stat: &'a Stat,
}

/// What a walk does with a directory, and where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Into it, if it is a directory.
    In,
    /// Past it.
    Past,
    /// No further at all.
    End,
}

/// Walks over everything below `top` and shows it to `meet`, which says how to go on; what could not be looked at goes to
/// `lost`. What has gone since is passed over.
pub(super) fn walk(top: BorrowedFd<'_>, mut meet: impl FnMut(&Met<'_>) -> Next, mut lost: impl FnMut(&str, Errno)) {
    let mut open = vec![String::new()];
    while let Some(at) = open.pop() {
        let found = open_below(top, &at).and_then(|dir| Ok((names(dir.as_fd())?, dir)));
        let (names, dir) = match found {
            Ok(found) => found,
            Err(Errno::NOENT) => continue,
            Err(error) => {
                lost(&at, error);
                continue;
            }
        };
        for (name, _) in names {
            let shown = name.to_str().map_or_else(|_| name.to_bytes().escape_ascii().to_string(), str::to_owned);
            let path = if at.is_empty() { shown } else { format!("{at}/{shown}") };
            let stat = match statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(error) => {
                    lost(&path, error);
                    continue;
                }
            };
            let is_plain = name.to_str().is_ok();
            match meet(&Met { path: &path, is_plain, stat: &stat }) {
                Next::End => return,
                Next::In if is_plain && kind(&stat) == FileType::Directory => open.push(path),
                Next::In | Next::Past => {}
            }
        }
    }
}

/// What something is.
pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Removes what is called `name` in `parent`, and everything below it. Nothing to do if it is not there. Directories are taken
/// out of one another first, so that two are open at a time however deep they lie.
pub(super) fn remove(parent: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // It is a directory; systems say so in different words.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error),
    }
    let top = enter(parent, name)?;
    let mut taken = 0_u64;
    loop {
        let found = names(top.as_fd())?;
        if found.is_empty() {
            return match unlinkat(parent, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                Err(error) => Err(error),
            };
        }
        for (name, _) in found {
            match unlinkat(&top, &name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => continue,
                Err(Errno::ISDIR | Errno::PERM) => {}
                Err(error) => return Err(error),
            }
            empty(top.as_fd(), &name, &mut taken)?;
            match unlinkat(&top, &name, AtFlags::REMOVEDIR) {
                // What came into it meanwhile is met in the next round.
                Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Removes the files of a directory of `top`, and lays its directories beside it.
fn empty(top: BorrowedFd<'_>, name: &CString, taken: &mut u64) -> Result<(), Errno> {
    let dir = enter(top, name)?;
    for (name, _) in names(dir.as_fd())? {
        match unlinkat(&dir, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => continue,
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(error),
        }
        open_up(dir.as_fd(), &name)?;
        loop {
            *taken += 1;
            match renameat_with(&dir, &name, top, format!("{TAKEN_OUT}{taken}"), RenameFlags::NOREPLACE) {
                Ok(()) | Err(Errno::NOENT) => break,
                // The program has had the same thought.
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Opens a directory that is to be removed, whatever its owner may do with it.
fn enter(parent: BorrowedFd<'_>, name: impl rustix::path::Arg + Copy) -> Result<OwnedFd, Errno> {
    open_up(parent, name)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat2(parent, name, flags, Mode::empty(), BENEATH)
}

/// Lets its owner into a directory again. By the open directory and not by its name, which may be a link by now.
fn open_up(parent: BorrowedFd<'_>, name: impl rustix::path::Arg) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = openat2(parent, name, flags, Mode::empty(), BENEATH)?;
    let stat = rustix::fs::fstat(&dir)?;
    if stat.st_mode & OWN == OWN || rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let path = format!("/proc/self/fd/{}", dir.as_raw_fd());
    std::fs::set_permissions(path, Permissions::from_mode(OWN)).map_err(|_| Errno::ACCESS)
}

/// Opens a regular file below `top` to read it. Without waiting: of a pipe that has taken its place nobody is the other end.
pub(super) fn open_file(top: BorrowedFd<'_>, path: &str) -> Result<(File, Stat), Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat2(top, path, flags, Mode::empty(), BENEATH)?;
    let stat = rustix::fs::fstat(&file)?;
    Ok((File::from(file), stat))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deeper than a stack of calls, the open files of a process, or a path would bear.
    const LEVELS: usize = 10_000;

    fn deep(top: &Path) {
        let mut at = open(top).expect("a directory");
        for _ in 0..LEVELS {
            rustix::fs::mkdirat(&at, "d", Mode::from_raw_mode(0o700)).expect("made");
            at = open_below(&at, "d").expect("made");
        }
        rustix::fs::symlinkat("/", &at, "out").expect("a link");
    }

    #[test]
    fn ten_thousand_levels_are_removed_and_no_link_is_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let (gone, kept) = (dir.path().join("gone"), dir.path().join("kept"));
        for path in [&gone, &kept] {
            std::fs::create_dir(path).expect("made");
        }
        std::fs::write(kept.join("file"), "kept").expect("written");
        deep(&gone);
        std::fs::create_dir(gone.join("a")).expect("made");
        std::fs::write(gone.join("a/file"), "x").expect("written");
        for link in ["link", "a/link"] {
            std::os::unix::fs::symlink(&kept, gone.join(link)).expect("a link");
        }
        std::fs::set_permissions(gone.join("a"), Permissions::from_mode(0o000)).expect("ours");
        let parent = open(dir.path()).expect("a directory");
        remove(parent.as_fd(), "gone").expect("removed");
        assert!(!gone.exists());
        remove(parent.as_fd(), "gone").expect("nothing to do");
        assert_eq!(std::fs::read_to_string(kept.join("file")).expect("there"), "kept");
        std::os::unix::fs::symlink(&kept, &gone).expect("a link");
        remove(parent.as_fd(), "gone").expect("the link is removed");
        assert!(!gone.is_symlink() && kept.join("file").exists());
    }

    #[test]
    fn a_walk_follows_no_link_and_says_what_it_could_not_look_at() {
        let dir = tempfile::tempdir().expect("a directory");
        deep(dir.path());
        std::fs::create_dir(dir.path().join("a")).expect("made");
        std::fs::write(dir.path().join("a/file"), "x").expect("written");
        std::os::unix::fs::symlink("/", dir.path().join("a/link")).expect("a link");
        let (mut met, mut lost) = (Vec::new(), Vec::new());
        let top = open(dir.path()).expect("a directory");
        walk(
            top.as_fd(),
            |one| {
                if !one.path.starts_with("d/") {
                    met.push(one.path.to_owned());
                }
                Next::In
            },
            |path, why| lost.push((path.len(), why)),
        );
        met.sort();
        assert_eq!(met, ["a", "a/file", "a/link", "d"]);
        // Names that are longer than the kernel takes.
        assert!(matches!(lost.as_slice(), [(4096.., Errno::NAMETOOLONG)]), "{lost:?}");
    }
}
