//! What a bundle is written to: an empty place, filled in transactions of bounded size behind a word that keeps servers
//! out, or emptied again.
//!
//! The lock of the directory is held from the first look to the end, and the connection here is the only one. Invariant:
//! the word `importing` is durable before the first row, and goes in the transaction of the last one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{BUNDLE_BODY, Header, MoveError, checks, counts, fact};
use crate::config::Secret;
use crate::model::ContentHash;
use crate::store::backend::sqlite::{self, Look, RwConnection};
use crate::store::blobs::{self, BLOBS_DIR, PARTIAL_DIR};
use crate::store::checkpoint::Checkpoints;
use crate::store::fault::FaultPoint;
use crate::store::files::{Files, NewFile};
use crate::store::lock::{self, Holder, LOCK_FILE, LockFile};
use crate::store::open::{self, DATABASE_FILE, WAL_FILE};
use crate::store::shared::Shared;
use crate::store::tables::{Table, Value};
use crate::store::{Options, StoreError, meta, migrate};

/// Rows of one transaction.
const ROWS_MAX: u64 = 5_000;
/// Bytes of the lines of one transaction.
const BYTES_MAX: usize = 4 << 20;

/// What is where a store is to be made.
enum Found {
    /// Nothing.
    Nothing,
    /// Something that no server serves: an import or a first start that was cut short.
    Unfinished,
    /// A store, at this revision.
    Store(u64),
}

/// Whether a store can be imported into the place of `options`; looks only. A refusal says what to do.
pub fn free(options: &Options) -> Result<(), MoveError> {
    let dir = &options.data_dir;
    if dir.exists()
        && let Holder::Process { pid, since } = lock::holder(dir)?
    {
        return Err(StoreError::Locked { dir: dir.display().to_string(), pid, since }.into());
    }
    require_free(dir).map(|_| ())
}

fn require_free(dir: &Path) -> Result<Found, MoveError> {
    match found(dir)? {
        Found::Store(rev) => Err(MoveError::Refused {
            name: dir.display().to_string(),
            line: None,
            what: format!("there is a store already, at revision {rev}"),
            remedy: "A bundle is imported into a new directory: give another --data-dir, or move this one away. \
                     Nothing was changed"
                .into(),
        }),
        found => Ok(found),
    }
}

/// Looks at a directory that is not in use.
fn found(dir: &Path) -> Result<Found, StoreError> {
    let database = dir.join(DATABASE_FILE);
    open::look(&database)?;
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    if length(&database) == 0 {
        return Ok(if database.exists() { Found::Unfinished } else { Found::Nothing });
    }
    if dir.join(format!("{DATABASE_FILE}-journal")).exists() {
        // It never came to its first transaction.
        return Ok(Found::Unfinished);
    }
    let has_log = length(&dir.join(WAL_FILE)) > 0;
    let conn = match (has_log, dir.join(format!("{DATABASE_FILE}-shm")).exists()) {
        (false, _) => sqlite::open_look(&database, Look::Alone)?,
        (true, true) => sqlite::open_look(&database, Look::WithLog)?,
        (true, false) => sqlite::open_reader(&database, None)?,
    };
    if migrate::version(&conn)? == 0 || fact(&conn, meta::IMPORTING)?.is_some() {
        return Ok(Found::Unfinished);
    }
    match meta::head_rev(&conn) {
        Ok(rev) => Ok(Found::Store(rev)),
        Err(StoreError::Corrupt { .. }) => Ok(Found::Unfinished),
        Err(error) => Err(error),
    }
}

/// A place that is being filled. Dropped before [`finish`](Self::finish), it leaves nothing.
pub(super) struct Target {
    shared: Arc<Shared>,
    /// `None` when it is closed.
    conn: Option<RwConnection>,
    checkpoints: Checkpoints,
    _lock: LockFile,
    /// What was made for it and goes with it: the directory, or a file of the secret.
    made_dir: bool,
    made_secret: Option<PathBuf>,
    rows: u64,
    bytes: usize,
    finished: bool,
}

impl Target {
    /// Takes the place of `options`, makes an empty database there and says in it that it is being filled.
    pub(super) fn begin(options: Options, header: &Header) -> Result<Self, MoveError> {
        let dir = options.data_dir.clone();
        let made_dir = !dir.exists();
        options.files.make_path(&dir).map_err(|e| StoreError::io("making", &dir, e))?;
        let lock = LockFile::take(&dir)?;
        let there = require_free(&dir)?;
        if matches!(there, Found::Unfinished) {
            tracing::info!(dir = %dir.display(), "an import that was cut short is begun anew");
            clear(&options.files, &dir)?;
        }
        let network = options.allow_network_fs;
        let shared = Arc::new(open::share(options));
        let mut target = Self {
            checkpoints: Checkpoints::new(&shared),
            shared,
            conn: None,
            _lock: lock,
            made_dir,
            made_secret: None,
            rows: 0,
            bytes: 0,
            finished: false,
        };
        // From here on a failure clears what is there.
        target.shared.space.start(network)?;
        let mut conn = open::open_database(&target.shared)?;
        target.checkpoints.watch(&mut conn)?;
        target.conn = Some(conn);
        let of = format!("of revision {} of a bundle made at {}", header.rev, header.made_at);
        target.begin_transaction()?;
        meta::put_raw(target.conn(), meta::IMPORTING, &of)?;
        target.commit()?;
        target.shared.faults.hit(FaultPoint::ImportMarked);
        target.begin_transaction()?;
        Ok(target)
    }

    /// The connection; open until the end.
    pub(super) fn conn(&self) -> &RwConnection {
        self.conn.as_ref().expect("it is open until it is finished")
    }

    fn begin_transaction(&mut self) -> Result<(), StoreError> {
        sqlite::control(self.conn(), "beginning a part of an import", "BEGIN IMMEDIATE")
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        sqlite::control(self.conn(), "committing a part of an import", "COMMIT")?;
        (self.rows, self.bytes) = (0, 0);
        self.checkpoints.committed();
        let conn = self.conn.as_ref().expect("it is open until it is finished");
        self.checkpoints.after_batch(conn)
    }

    /// Writes a row whose line had `bytes` bytes.
    pub(super) fn put(&mut self, table: &Table, values: &[Value], bytes: usize) -> Result<(), StoreError> {
        let values: Vec<_> = values.iter().map(Value::as_val).collect();
        sqlite::exec(self.conn(), table.insert, &values)?;
        self.rows += 1;
        self.bytes += bytes;
        if self.rows < ROWS_MAX && self.bytes < BYTES_MAX {
            return Ok(());
        }
        self.commit()?;
        self.shared.faults.hit(FaultPoint::ImportCommitted);
        self.begin_transaction()
    }

    /// The size that a row says of a larger body; `None` = no row does.
    pub(super) fn body_size(&self, hash: ContentHash) -> Result<Option<u64>, StoreError> {
        let mut size = None;
        sqlite::each(self.conn(), BUNDLE_BODY, crate::params![&hash.as_bytes()[..]], |row| {
            size = Some(row.id(0)?);
            Ok(std::ops::ControlFlow::Break(()))
        })?;
        Ok(size)
    }

    /// Where a larger body is written to.
    pub(super) fn body(&self, hash: ContentHash) -> Result<Body<'_>, StoreError> {
        let (files, dir) = (&self.shared.files, &self.shared.data_dir);
        let partials = dir.join(BLOBS_DIR).join(PARTIAL_DIR);
        files.make_dirs(dir, &partials)?;
        let partial = partials.join(hash.to_hex());
        let file = files.create(&partial).map_err(|e| StoreError::io("creating", &partial, e))?;
        Ok(Body { files, dir, file, partial, path: blobs::path(dir, hash) })
    }

    /// Puts the secret of the bundle into a new file that only its owner reads.
    pub(super) fn secret(&mut self, path: &Path, secret: &Secret) -> Result<(), MoveError> {
        let text = secret.expose();
        match std::fs::read_to_string(path) {
            Ok(there) if there.trim() == text => return Ok(()),
            Ok(_) => {
                return Err(MoveError::Refused {
                    name: path.display().to_string(),
                    line: None,
                    what: "it holds another secret than the bundle".into(),
                    remedy: "Move it away, or name another file for the secret of the bundle".into(),
                });
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(StoreError::io("reading", path, e).into()),
        }
        let files = &self.shared.files;
        let mut file = files.create(path).map_err(|e| StoreError::io("creating", path, e))?;
        self.made_secret = Some(path.to_owned());
        let written = file.write_all(format!("{text}\n").as_bytes()).and_then(|()| file.sync_all());
        written.map_err(|e| StoreError::io("writing", path, e))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        files.sync_dir(folder).map_err(|e| StoreError::io("syncing", folder, e))?;
        Ok(())
    }

    /// Everything is there: looks whether it is sound, and lets servers in. What is wrong otherwise.
    pub(super) fn finish(&mut self) -> Result<Result<super::Counts, String>, StoreError> {
        self.commit()?;
        if let Some(broken) = checks::references(self.conn())? {
            return Ok(Err(broken));
        }
        let counted = counts(self.conn())?;
        self.shared.faults.hit(FaultPoint::ImportFilled);
        self.begin_transaction()?;
        meta::put_raw(self.conn(), meta::CLEAN_SHUTDOWN, "1")?;
        meta::delete_raw(self.conn(), meta::IMPORTING)?;
        self.commit()?;
        self.finished = true;
        self.shared.faults.hit(FaultPoint::ImportDone);
        let conn = self.conn.take().expect("it was open");
        self.checkpoints.close(&conn)?;
        open::move_log_on_close(&conn, true)?;
        drop(conn);
        let dir = &self.shared.data_dir;
        self.shared.files.sync_dir(dir).map_err(|e| StoreError::io("syncing", dir, e))?;
        Ok(Ok(counted))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        drop(self.conn.take());
        let (files, dir) = (&self.shared.files, &self.shared.data_dir);
        if let Some(secret) = &self.made_secret {
            // The first error is the one to tell.
            let _ = files.remove(secret);
        }
        if let Err(error) = clear(files, dir) {
            tracing::warn!(%error, "what an import has left was not cleared; the next one clears it");
        } else if self.made_dir {
            let _ = files.remove(&dir.join(LOCK_FILE));
            // Not if somebody has put something there meanwhile.
            let _ = std::fs::remove_dir(dir);
        }
    }
}

/// Removes what an import has made in `dir`.
fn clear(files: &Files, dir: &Path) -> Result<(), StoreError> {
    let blobs = dir.join(BLOBS_DIR);
    if blobs.exists() {
        files.remove_all(&blobs).map_err(|e| StoreError::io("clearing", &blobs, e))?;
    }
    // A log without its database would be taken for a loss; a journal without one is nothing.
    for suffix in ["-wal", "-shm", "", "-journal"] {
        let path = dir.join(format!("{DATABASE_FILE}{suffix}"));
        match files.remove(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(StoreError::io("clearing", &path, e)),
            _ => {}
        }
    }
    files.sync_dir(dir).map_err(|e| StoreError::io("syncing", dir, e))
}

/// A larger body that is being written.
pub(super) struct Body<'t> {
    files: &'t Files,
    dir: &'t Path,
    file: NewFile<'t>,
    partial: PathBuf,
    path: PathBuf,
}

impl Body<'_> {
    /// Its next bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(|e| StoreError::io("writing", &self.partial, e))
    }

    /// It is whole, and what its name says: it gets that name, durable.
    pub(super) fn finish(self) -> Result<(), StoreError> {
        let Self { files, dir, file, partial, path } = self;
        file.sync_all().map_err(|e| StoreError::io("syncing", &partial, e))?;
        let folder = path.parent().unwrap_or(dir);
        files.make_dirs(dir, folder)?;
        files.rename(&partial, &path).map_err(|e| StoreError::io("naming", &path, e))?;
        files.sync_dir(folder).map_err(|e| StoreError::io("syncing", folder, e))
    }
}
