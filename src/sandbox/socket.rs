//! The socket over which programs in sandboxes reach the server.
//!
//! Owns where it lies and who serves it; must never know what is said over it. Invariant: it is made when a program first
//! needs it, and only where a server attends and the walls show a program this one socket and no other.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;

/// Where it lies, in a directory that only the server comes to.
const NAME: &str = "nexus.sock";
/// Any user may connect who sees it: behind the walls programs are users of their own.
const MODE: u32 = 0o666;

/// To whom a listener goes that has been made.
pub type Attendant = UnboundedSender<UnixListener>;

/// The socket of a provider.
#[derive(Debug, Default)]
pub(super) struct Socket(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    attendant: Option<Attendant>,
    path: Option<PathBuf>,
}

impl Socket {
    /// From now on the socket is served by `attendant`.
    pub(super) fn attend(&self, attendant: Attendant) {
        *self.0.lock() = State { attendant: Some(attendant), path: None };
    }

    /// Whether somebody would serve it.
    pub(super) fn is_attended(&self) -> bool {
        self.0.lock().attendant.as_ref().is_some_and(|to| !to.is_closed())
    }

    /// Where it is, made in `directory` if it is not there yet; `None` where nobody would serve it.
    pub(super) fn path(&self, directory: &Path) -> io::Result<Option<PathBuf>> {
        let mut state = self.0.lock();
        let Some(attendant) = state.attendant.as_ref().filter(|to| !to.is_closed()) else { return Ok(None) };
        if state.path.is_none() {
            let (listener, path) = listen(directory)?;
            // The server has ended meanwhile; so does the program.
            let _ = attendant.send(listener);
            state.path = Some(path);
        }
        Ok(state.path.clone())
    }
}

/// Listens on a socket in `directory`, where nobody else listens; and where that is.
pub(super) fn listen(directory: &Path) -> io::Result<(UnixListener, PathBuf)> {
    // By the open directory: the address of a socket has 108 bytes, and a path may have more.
    let open = File::open(directory)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd())).join(NAME);
    match std::fs::remove_file(&short) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(&short)?;
    std::fs::set_permissions(&short, Permissions::from_mode(MODE))?;
    Ok((listener, directory.join(NAME)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn it_is_made_when_it_is_needed_once_and_only_where_somebody_attends() {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = Socket::default();
        assert_eq!(socket.path(dir.path()).expect("nobody"), None);
        let (to, mut made) = tokio::sync::mpsc::unbounded_channel();
        socket.attend(to);
        assert!(socket.is_attended() && made.try_recv().is_err(), "nobody needed it");
        let path = socket.path(dir.path()).expect("made").expect("attended");
        assert_eq!(socket.path(dir.path()).expect("there"), Some(path.clone()));
        let listener = made.try_recv().expect("handed over");
        assert!(made.try_recv().is_err(), "once");
        drop(UnixStream::connect(path).expect("it listens"));
        drop((listener, made));
        assert!(!socket.is_attended());
        assert_eq!(socket.path(dir.path()).expect("nobody"), None, "the server has ended");
    }

    #[test]
    fn a_long_path_and_an_old_socket_are_no_hindrance() {
        let dir = tempfile::tempdir().expect("a directory");
        let deep = dir.path().join("d".repeat(100)).join("e".repeat(100));
        std::fs::create_dir_all(&deep).expect("made");
        let first = listen(&deep).expect("a socket");
        drop(first);
        let (_listener, path) = listen(&deep).expect("in the place of the old one");
        assert_eq!(std::fs::metadata(path).expect("there").permissions().mode() & 0o777, MODE);
    }
}
