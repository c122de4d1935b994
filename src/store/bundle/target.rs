//! What a bundle is written to: an empty place, filled in transactions of bounded size behind a word that keeps servers
//! out, or emptied again.
//!
//! The lock of the directory or the database is held from the first look to the end, and the connection here is the only
//! one. Invariant: the word `importing` is durable before the first row, and goes in the transaction of the last one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::place::{self, Found};
use super::{BUNDLE_BODY, Counts, Header, MoveError, checks, counts};
use crate::config::Secret;
use crate::model::ContentHash;
use crate::store::backend::{Conn, Link};
use crate::store::blobs::{self, BLOBS_DIR, PARTIAL_DIR};
use crate::store::checkpoint::Checkpoints;
use crate::store::fault::FaultPoint;
use crate::store::files::{Files, NewFile};
use crate::store::lock::{LOCK_FILE, LockFile};
use crate::store::open;
use crate::store::options::Engine;
use crate::store::shared::Shared;
use crate::store::tables::{Table, Value};
use crate::store::{Options, StoreError, meta, quotas};

/// Rows of one transaction.
const ROWS_MAX: u64 = 5_000;
/// Bytes of the lines of one transaction.
const BYTES_MAX: usize = 4 << 20;

/// A place that is being filled. Dropped before [`finish`](Self::finish), it leaves nothing.
pub(super) struct Target {
    shared: Arc<Shared>,
    /// `None` when it is closed.
    link: Option<Link>,
    checkpoints: Checkpoints,
    _lock: Option<LockFile>,
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
        let mut target = match &options.engine {
            Engine::Sqlite => Self::near(options)?,
            #[cfg(feature = "postgres")]
            Engine::Postgres(url) => {
                let url = url.clone();
                Self::far(options, url)?
            }
        };
        let of = format!("of revision {} of a bundle made at {}", header.rev, header.made_at);
        target.begin_transaction()?;
        meta::put_raw(target.conn(), meta::IMPORTING, &of)?;
        target.commit()?;
        target.shared.faults.hit(FaultPoint::ImportMarked);
        target.begin_transaction()?;
        Ok(target)
    }

    fn new(shared: Arc<Shared>, lock: Option<LockFile>, made_dir: bool) -> Self {
        Self {
            checkpoints: Checkpoints::new(&shared),
            shared,
            link: None,
            _lock: lock,
            made_dir,
            made_secret: None,
            rows: 0,
            bytes: 0,
            finished: false,
        }
    }

    /// In a data directory.
    fn near(options: Options) -> Result<Self, MoveError> {
        let dir = options.data_dir.clone();
        let made_dir = !dir.exists();
        options.files.make_path(&dir).map_err(|e| StoreError::io("making", &dir, e))?;
        let lock = LockFile::take(&dir)?;
        let name = dir.display().to_string();
        if matches!(place::require_free(&name, place::in_directory(&dir)?)?, Found::Unfinished) {
            tracing::info!(dir = name, "an import that was cut short is begun anew");
            place::clear_directory(&options.files, &dir)?;
        }
        let network = options.allow_network_fs;
        let mut target = Self::new(Arc::new(open::share(options, None)), Some(lock), made_dir);
        // From here on a failure clears what is there.
        target.shared.space.start(network)?;
        let mut conn = open::open_database(&target.shared)?;
        target.checkpoints.watch(&mut conn)?;
        target.link = Some(Link::Lite(conn));
        Ok(target)
    }

    /// In a database of a server.
    #[cfg(feature = "postgres")]
    fn far(options: Options, url: crate::store::PostgresUrl) -> Result<Self, MoveError> {
        use crate::store::backend::postgres::{Writer, migrate};
        let connector = place::far::connector(&options, url)?;
        let name = connector.place();
        let shared = Arc::new(open::share(options, Some(connector.clone())));
        let writer = Writer::open(connector)?;
        let found = place::require_free(&name, place::far::found(writer.session(), &name)?)?;
        let (faults, now_us) = (&shared.faults, shared.clock.now_us());
        migrate::run(writer.session(), faults, &name, crate::store::migrate::MIGRATIONS, now_us)?;
        if matches!(found, Found::Unfinished) {
            tracing::info!(place = name, "an import that was cut short is begun anew");
            place::far::clear(writer.session())?;
        }
        let mut target = Self::new(shared, None, false);
        target.link = Some(Link::Pg(writer));
        Ok(target)
    }

    fn link(&self) -> &Link {
        self.link.as_ref().expect("it is open until it is finished")
    }

    /// The connection.
    fn conn(&self) -> Conn<'_> {
        self.link().conn()
    }

    fn begin_transaction(&mut self) -> Result<(), StoreError> {
        match self.link() {
            Link::Lite(conn) => Conn::from(conn).control("beginning a part of an import", "BEGIN IMMEDIATE"),
            #[cfg(feature = "postgres")]
            Link::Pg(writer) => {
                writer.session().begin("BEGIN", true);
                Ok(())
            }
        }
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        (self.rows, self.bytes) = (0, 0);
        match self.link.as_ref().expect("it is open until it is finished") {
            Link::Lite(conn) => {
                Conn::from(conn).control("committing a part of an import", "COMMIT")?;
                self.checkpoints.committed();
                self.checkpoints.after_batch(conn)
            }
            #[cfg(feature = "postgres")]
            Link::Pg(writer) => {
                use crate::store::backend::postgres::Committed;
                match writer.commit() {
                    Committed::Yes => Ok(()),
                    Committed::RolledBack(error) | Committed::Unknown(error) => Err(error),
                }
            }
        }
    }

    /// What has really gone wrong. In a pipelined transaction a statement may fail because an earlier one has, of which
    /// nobody has heard yet.
    pub(super) fn cause(&self, error: StoreError) -> StoreError {
        #[cfg(feature = "postgres")]
        if let (Some(Link::Pg(writer)), StoreError::Sql { source, .. }) = (&self.link, &error) {
            use crate::store::backend::EngineError;
            use crate::store::backend::postgres::Committed;
            let aborted = tokio_postgres::error::SqlState::IN_FAILED_SQL_TRANSACTION;
            if matches!(&**source, EngineError::Pg(error) if error.code() == Some(&aborted))
                && let Committed::RolledBack(first) = writer.commit()
            {
                return first;
            }
        }
        error
    }

    /// Counts what a transaction holds; one that holds enough is committed.
    fn weigh(&mut self, rows: u64, bytes: usize) -> Result<(), StoreError> {
        self.rows += rows;
        self.bytes += bytes;
        if self.rows < ROWS_MAX && self.bytes < BYTES_MAX {
            return Ok(());
        }
        self.commit()?;
        self.shared.faults.hit(FaultPoint::ImportCommitted);
        self.begin_transaction()
    }

    /// Writes a row whose line had `bytes` bytes.
    pub(super) fn put(&mut self, table: &Table, values: &[Value], bytes: usize) -> Result<(), StoreError> {
        let values: Vec<_> = values.iter().map(Value::as_val).collect();
        self.conn().exec(table.insert, &values)?;
        self.weigh(1, bytes)
    }

    /// The size that a row says of a larger body; `None` = no row does.
    pub(super) fn body_size(&self, hash: ContentHash) -> Result<Option<u64>, StoreError> {
        let size = self.conn().number(BUNDLE_BODY, crate::params![&hash.as_bytes()[..]])?;
        Ok(size.and_then(|size| u64::try_from(size).ok()))
    }

    /// The way to the files beside the database.
    pub(super) fn files(&self) -> Files {
        self.shared.files.clone()
    }

    /// Where a larger body is written to.
    pub(super) fn body<'f>(&self, files: &'f Files, hash: ContentHash) -> Result<Body<'f>, StoreError> {
        match self.link() {
            Link::Lite(_) => BlobFile::new(files, &self.shared.data_dir, hash).map(Body::File),
            #[cfg(feature = "postgres")]
            Link::Pg(_) => Ok(Body::Chunks(hash, 0)),
        }
    }

    /// The next bytes of a larger body: whole parts, but for the last.
    pub(super) fn body_write(&mut self, body: &mut Body<'_>, bytes: &[u8]) -> Result<(), StoreError> {
        match body {
            Body::File(file) => file.write(bytes),
            #[cfg(feature = "postgres")]
            Body::Chunks(hash, next) => {
                use crate::store::chunks::{CHUNK_PUT, PART_BYTES};
                for part in bytes.chunks(PART_BYTES) {
                    self.conn().exec(CHUNK_PUT, crate::params![&hash.as_bytes()[..], *next, part])?;
                    *next += 1;
                }
                self.weigh(0, bytes.len())
            }
        }
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
    pub(super) fn finish(&mut self) -> Result<Result<Counts, String>, StoreError> {
        self.commit()?;
        #[cfg(feature = "postgres")]
        if let Link::Pg(writer) = self.link() {
            // Without them neither the checks here nor the first start would know how long the tables are.
            writer.session().script("gathering statistics", "ANALYZE".into())?;
        }
        if let Some(broken) = checks::references(self.conn())? {
            return Ok(Err(broken));
        }
        let counted = counts(self.conn())?;
        self.shared.faults.hit(FaultPoint::ImportFilled);
        self.begin_transaction()?;
        quotas::count(self.conn())?;
        meta::put_raw(self.conn(), meta::CLEAN_SHUTDOWN, "1")?;
        meta::delete_raw(self.conn(), meta::IMPORTING)?;
        self.commit()?;
        self.finished = true;
        self.shared.faults.hit(FaultPoint::ImportDone);
        if let Some(Link::Lite(conn)) = self.link.take() {
            self.checkpoints.close(&conn)?;
            open::move_log_on_close(&conn, true)?;
            drop(conn);
            let dir = &self.shared.data_dir;
            self.shared.files.sync_dir(dir).map_err(|e| StoreError::io("syncing", dir, e))?;
        }
        Ok(Ok(counted))
    }

    /// Removes what is there.
    fn clear(&mut self) -> Result<(), StoreError> {
        match self.link.take() {
            #[cfg(feature = "postgres")]
            Some(Link::Pg(writer)) => {
                writer.session().abandon();
                // What was sent before is of no interest any more.
                let _ = writer.session().settle("ending an import");
                place::far::clear(writer.session())
            }
            #[cfg(feature = "postgres")]
            None if self.shared.connector.is_some() => Ok(()),
            link => {
                drop(link);
                place::clear_directory(&self.shared.files, &self.shared.data_dir)
            }
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        if let Some(secret) = &self.made_secret {
            // The first error is the one to tell.
            let _ = self.shared.files.remove(secret);
        }
        if let Err(error) = self.clear() {
            tracing::warn!(%error, "what an import has left was not cleared; the next one clears it");
        } else if self.made_dir {
            let dir = &self.shared.data_dir;
            let _ = self.shared.files.remove(&dir.join(LOCK_FILE));
            // Not if somebody has put something there meanwhile.
            let _ = std::fs::remove_dir(dir);
        }
    }
}

/// A larger body that is being written.
pub(super) enum Body<'f> {
    File(BlobFile<'f>),
    /// In rows: of which body, and the number of the next.
    #[cfg(feature = "postgres")]
    Chunks(ContentHash, u64),
}

impl Body<'_> {
    /// It is whole, and what its name says.
    pub(super) fn finish(self) -> Result<(), StoreError> {
        match self {
            Self::File(file) => file.finish(),
            #[cfg(feature = "postgres")]
            Self::Chunks(..) => Ok(()),
        }
    }
}

/// A blob file that has no name yet.
pub(super) struct BlobFile<'f> {
    files: &'f Files,
    dir: PathBuf,
    file: NewFile,
    partial: PathBuf,
    path: PathBuf,
}

impl<'f> BlobFile<'f> {
    fn new(files: &'f Files, dir: &Path, hash: ContentHash) -> Result<Self, StoreError> {
        let partials = dir.join(BLOBS_DIR).join(PARTIAL_DIR);
        files.make_dirs(dir, &partials)?;
        let partial = partials.join(hash.to_hex());
        let file = files.create(&partial).map_err(|e| StoreError::io("creating", &partial, e))?;
        Ok(Self { files, dir: dir.to_owned(), file, partial, path: blobs::path(dir, hash) })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(|e| StoreError::io("writing", &self.partial, e))
    }

    /// Gives it its name, durable.
    fn finish(self) -> Result<(), StoreError> {
        let Self { files, dir, file, partial, path } = self;
        file.sync_all().map_err(|e| StoreError::io("syncing", &partial, e))?;
        let folder = path.parent().unwrap_or(&dir);
        files.make_dirs(&dir, folder)?;
        files.rename(&partial, &path).map_err(|e| StoreError::io("naming", &path, e))?;
        files.sync_dir(folder).map_err(|e| StoreError::io("syncing", folder, e))
    }
}
