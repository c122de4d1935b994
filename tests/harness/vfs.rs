//! A SQLite file system that forwards everything to the built-in one and lets a test stand in between.
//!
//! Owns the only unsafe code of the project. What a test wants (a slower disk, a record of the writes, a failing
//! sync) it says through [`Disk`]; shared memory and locks are always forwarded untouched.
//! Invariant: with a [`Disk`] that does nothing, the files are byte for byte those of the built-in file system.

#![expect(unsafe_code, reason = "a file system of SQLite is a table of C functions; only this module has them")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::ffi;

/// What stands between SQLite and the disk. `Err` is the SQLite result code that the call returns instead.
pub(crate) trait Disk: Send + Sync + 'static {
    /// The file is about to be opened.
    fn open(&self, _file: &File) -> Result<(), c_int> {
        Ok(())
    }
    /// `bytes` are about to be read at `at`.
    fn read(&self, _file: &File, _at: i64, _bytes: usize) -> Result<(), c_int> {
        Ok(())
    }
    /// `data` is about to be written at `at`.
    fn write(&self, _file: &File, _at: i64, _data: &[u8]) -> Result<(), c_int> {
        Ok(())
    }
    /// The file is about to be cut to `size` bytes.
    fn truncate(&self, _file: &File, _size: i64) -> Result<(), c_int> {
        Ok(())
    }
    /// What was written is about to be made durable.
    fn sync(&self, _file: &File) -> Result<(), c_int> {
        Ok(())
    }
    /// The file is about to be removed.
    fn delete(&self, _path: &std::path::Path) -> Result<(), c_int> {
        Ok(())
    }
    /// By how much each sync takes longer than the machine's own.
    fn sync_delay(&self) -> Duration {
        Duration::ZERO
    }
}

/// A disk whose every sync takes longer: the machines people have at home and in the cloud.
#[derive(Debug)]
pub(crate) struct SlowSync(pub(crate) Duration);

impl Disk for SlowSync {
    fn sync_delay(&self) -> Duration {
        self.0
    }
}

/// An open file, as a [`Disk`] sees it.
#[derive(Debug)]
pub(crate) struct File {
    /// Its path; `None` for a temporary file.
    pub(crate) path: Option<PathBuf>,
    /// The `SQLITE_OPEN_…` flags, which tell database, WAL and journal apart.
    pub(crate) flags: c_int,
}

/// The registered table. SQLite hands its address to every call, and the cast back finds the rest.
#[repr(C)]
struct Table {
    base: ffi::sqlite3_vfs,
    real: *mut ffi::sqlite3_vfs,
    disk: Arc<dyn Disk>,
}

/// What SQLite allocates for an open file; the real file's part follows it.
#[repr(C)]
struct Handle {
    base: ffi::sqlite3_file,
    table: *const Table,
    file: *mut File,
}

/// Registers `disk` under `name`. A name is registered once in a process; it is never taken back, for connections may
/// outlive the test that made it.
pub(crate) fn register(name: &str, disk: Arc<dyn Disk>) {
    let name = CString::new(name).expect("a name without NUL");
    // SAFETY: sqlite3_vfs_find takes a NUL-terminated name or null, and what it returns lives as long as the process.
    let (found, real) = unsafe { (ffi::sqlite3_vfs_find(name.as_ptr()), ffi::sqlite3_vfs_find(std::ptr::null())) };
    assert!(found.is_null(), "{name:?} is registered already");
    assert!(!real.is_null(), "SQLite has a default file system");
    // SAFETY: `real` was checked. Functions that are not replaced (full path names, randomness, time) look at nothing
    // of the table but what is copied here.
    let mut base = unsafe { std::ptr::read(real) };
    base.zName = name.into_raw();
    base.pNext = std::ptr::null_mut();
    base.szOsFile += c_int::try_from(size_of::<Handle>()).expect("a small struct");
    base.xOpen = Some(open);
    base.xDelete = Some(delete);
    let table = Box::leak(Box::new(Table { base, real, disk }));
    // SAFETY: the table is complete and leaked, so it lives as long as SQLite may call it.
    let code = unsafe { ffi::sqlite3_vfs_register(&raw mut table.base, 0) };
    assert_eq!(code, ffi::SQLITE_OK, "SQLite took the file system");
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 3,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: Some(fetch),
    xUnfetch: Some(unfetch),
};

/// SAFETY: `file` was opened by [`open`], so a [`Handle`] with live pointers lies at it, the real file behind it.
unsafe fn parts<'a>(file: *mut ffi::sqlite3_file) -> (&'a dyn Disk, &'a File, *mut ffi::sqlite3_file) {
    unsafe {
        let handle = file.cast::<Handle>();
        let real = handle.add(1).cast::<ffi::sqlite3_file>();
        (&*(*(*handle).table).disk, &*(*handle).file, real)
    }
}

/// Calls the real file's method of this name.
macro_rules! forward {
    ($file:expr, $method:ident $(, $arg:expr)*) => {{
        // SAFETY: SQLite calls with a file that `open` opened and with arguments that fit the method, and every
        // method of the built-in file system that can be reached is there.
        unsafe {
            let (_, _, real) = parts($file);
            (*(*real).pMethods).$method.expect("the built-in file system has every method")(real $(, $arg)*)
        }
    }};
}

/// Asks the [`Disk`] first; its refusal is the answer.
macro_rules! ask {
    ($file:expr, |$disk:ident, $seen:ident| $question:expr) => {{
        // SAFETY: as in `forward!`.
        let ($disk, $seen, _) = unsafe { parts($file) };
        if let Err(code) = $question {
            return code;
        }
    }};
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    out: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite calls with the table that was registered and with szOsFile bytes at `out`.
    unsafe {
        let table = vfs.cast::<Table>();
        (*out).pMethods = std::ptr::null();
        let path = (!name.is_null()).then(|| path_of(name));
        let file = File { path, flags };
        if let Err(code) = (*table).disk.open(&file) {
            return code;
        }
        let handle = out.cast::<Handle>();
        let real = handle.add(1).cast::<ffi::sqlite3_file>();
        (*real).pMethods = std::ptr::null();
        let real_open = (*(*table).real).xOpen.expect("the built-in file system opens files");
        let code = real_open((*table).real, name, real, flags, out_flags);
        if !(*real).pMethods.is_null() {
            (*handle).table = table;
            (*handle).file = Box::into_raw(Box::new(file));
            (*out).pMethods = &raw const METHODS;
        }
        code
    }
}

/// SAFETY: `name` is NUL-terminated.
unsafe fn path_of(name: *const c_char) -> PathBuf {
    let name = unsafe { CStr::from_ptr(name) };
    PathBuf::from(name.to_string_lossy().into_owned())
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync_dir: c_int) -> c_int {
    // SAFETY: as in `open`.
    unsafe {
        let table = vfs.cast::<Table>();
        if let Err(code) = (*table).disk.delete(&path_of(name)) {
            return code;
        }
        (*(*table).real).xDelete.expect("the built-in file system deletes files")((*table).real, name, sync_dir)
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let code = forward!(file, xClose);
    // SAFETY: SQLite closes a file once; the box was made by `open`.
    unsafe {
        drop(Box::from_raw((*file.cast::<Handle>()).file));
        (*file).pMethods = std::ptr::null();
    }
    code
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, into: *mut c_void, bytes: c_int, at: i64) -> c_int {
    ask!(file, |disk, seen| disk.read(seen, at, usize::try_from(bytes).unwrap_or(0)));
    forward!(file, xRead, into, bytes, at)
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, bytes: c_int, at: i64) -> c_int {
    // SAFETY: SQLite hands over `bytes` bytes at `from`.
    let data = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), usize::try_from(bytes).unwrap_or(0)) };
    ask!(file, |disk, seen| disk.write(seen, at, data));
    forward!(file, xWrite, from, bytes, at)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    ask!(file, |disk, seen| disk.truncate(seen, size));
    forward!(file, xTruncate, size)
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    ask!(file, |disk, seen| disk.sync(seen));
    // SAFETY: as in `forward!`.
    let (disk, _, _) = unsafe { parts(file) };
    let micros = c_int::try_from(disk.sync_delay().as_micros()).unwrap_or(c_int::MAX);
    if micros > 0 {
        // SAFETY: the handle's table is live, and the built-in file system can wait.
        unsafe {
            let real = (*(*file.cast::<Handle>()).table).real;
            (*real).xSleep.expect("the built-in file system can wait")(real, micros);
        }
    }
    forward!(file, xSync, flags)
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    forward!(file, xFileSize, size)
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    forward!(file, xLock, level)
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    forward!(file, xUnlock, level)
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, reserved: *mut c_int) -> c_int {
    forward!(file, xCheckReservedLock, reserved)
}

unsafe extern "C" fn file_control(file: *mut ffi::sqlite3_file, what: c_int, argument: *mut c_void) -> c_int {
    forward!(file, xFileControl, what, argument)
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    forward!(file, xSectorSize)
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    forward!(file, xDeviceCharacteristics)
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    page: c_int,
    bytes: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    forward!(file, xShmMap, page, bytes, extend, out)
}

unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, at: c_int, count: c_int, flags: c_int) -> c_int {
    forward!(file, xShmLock, at, count, flags)
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    forward!(file, xShmBarrier);
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, remove: c_int) -> c_int {
    forward!(file, xShmUnmap, remove)
}

unsafe extern "C" fn fetch(file: *mut ffi::sqlite3_file, at: i64, bytes: c_int, out: *mut *mut c_void) -> c_int {
    forward!(file, xFetch, at, bytes, out)
}

unsafe extern "C" fn unfetch(file: *mut ffi::sqlite3_file, at: i64, page: *mut c_void) -> c_int {
    forward!(file, xUnfetch, at, page)
}
