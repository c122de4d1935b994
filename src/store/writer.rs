//! The writer: an actix actor in a thread and a System of its own.
//!
//! It gathers messages while the last commit runs and writes them as one transaction (`batch.rs`). It never lingers:
//! the first message of a batch asks for a flush, which actix runs when the mailbox is empty. The only file that
//! names the actor crate, and where it could be replaced.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};
use tokio::sync::oneshot;

use super::StoreError;
use super::backend::{Link, sqlite};
use super::batch::Core;
use super::fault::FaultPoint;
use super::house::Left;
use super::lock::LockFile;
use super::meta;
use super::queue::Queued;

/// The disk is looked at once a second, and after so many bytes of messages.
const LOOK_BYTES: u64 = 1 << 20;
/// Fewer free pages than this stay in the database for what comes next.
const SHRINK_PAGES_MIN: u64 = 1_024;
/// So do those that are less than this share of it.
const SHRINK_SHARE: u64 = 4;
/// The thread's name.
const THREAD: &str = "nexus-writer";

/// The actor.
struct Writer {
    core: Option<Core>,
    pending: Vec<Queued>,
    pending_bytes: usize,
    /// Whether a `Flush` is on its way.
    notified: bool,
    tick: Duration,
    /// Dropped with the actor, however it ends: the thread waits for it.
    _gone: oneshot::Sender<()>,
}

/// The address of the writer; clones share it.
#[derive(Clone)]
pub(super) struct Handle(Addr<Writer>);

impl Handle {
    /// Puts a message into the mailbox. Messages are written in the order of these calls.
    pub(super) fn send(&self, queued: Queued) {
        self.0.do_send(Submit(queued));
    }

    /// Does now what the timer does.
    pub(super) async fn tick(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.0.do_send(Tick(Some(reply)));
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Does now a step of a pass of house-keeping; with `begin`, the first.
    pub(super) async fn keep_house(&self, begin: bool) -> Result<Left, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.0.do_send(KeepHouse(begin, reply));
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Checkpoints and closes the connection, after everything that was sent before.
    pub(super) fn close(&self) -> oneshot::Receiver<Result<(), StoreError>> {
        let (reply, answer) = oneshot::channel();
        self.0.do_send(Close(reply));
        answer
    }
}

/// Starts the writer's thread. It holds the directory's lock, if there is one, until the
/// connection is closed.
pub(super) fn start(core: Core, lock: Option<Arc<LockFile>>) -> Result<(Handle, JoinHandle<()>), StoreError> {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let database = core.shared.database.clone();
    let tick = core.shared.limits.tick;
    let run = move || {
        let _held = lock;
        actix::System::new().block_on(async move {
            let (_gone, gone) = oneshot::channel();
            let writer =
                Writer { core: Some(core), pending: Vec::new(), pending_bytes: 0, notified: false, tick, _gone };
            // Whoever started us waits for this line; if it is gone, so is the work.
            let _ = tell.send(writer.start());
            // Ends when the actor is dropped: stopped, or killed by a panic outside an operation.
            let _ = gone.await;
        });
    };
    let thread = std::thread::Builder::new().name(THREAD.into()).spawn(run);
    let thread = thread.map_err(|e| StoreError::io("starting the writer's thread for", &database, e))?;
    let addr = told.recv().map_err(|_| StoreError::WriterGone)?;
    Ok((Handle(addr), thread))
}

impl Actor for Writer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(self.tick, |_, ctx| ctx.notify(Tick(None)));
    }
}

impl Writer {
    fn flush(&mut self) {
        self.pending_bytes = 0;
        let batch = std::mem::take(&mut self.pending);
        let Some(core) = self.core.as_mut() else {
            batch.into_iter().for_each(|queued| queued.fail(StoreError::Closed));
            return;
        };
        let bytes = batch.iter().map(|queued| queued.bytes as u64).sum();
        core.run(batch);
        core.after_batch(bytes);
    }
}

/// One mutation.
struct Submit(Queued);

impl Message for Submit {
    type Result = ();
}

impl Handler<Submit> for Writer {
    type Result = ();

    fn handle(&mut self, Submit(queued): Submit, ctx: &mut Self::Context) {
        self.pending_bytes += queued.bytes;
        self.pending.push(queued);
        let full = self.core.as_ref().is_some_and(|core| {
            let limits = &core.shared.limits;
            self.pending.len() >= limits.batch_messages || self.pending_bytes >= limits.batch_bytes
        });
        if full {
            self.flush();
        } else if !self.notified {
            self.notified = true;
            ctx.notify(Flush);
        }
    }
}

/// The mailbox is empty: write what was gathered.
struct Flush;

impl Message for Flush {
    type Result = ();
}

impl Handler<Flush> for Writer {
    type Result = ();

    fn handle(&mut self, _: Flush, _: &mut Self::Context) {
        self.notified = false;
        self.flush();
    }
}

/// Once a second, or when a test asks.
struct Tick(Option<oneshot::Sender<Result<(), StoreError>>>);

impl Message for Tick {
    type Result = ();
}

impl Handler<Tick> for Writer {
    type Result = ();

    fn handle(&mut self, Tick(reply): Tick, _: &mut Self::Context) {
        let done = self.core.as_mut().map_or(Err(StoreError::Closed), Core::tick);
        match (reply, done) {
            // A test that no longer waits does not want to know.
            (Some(reply), done) => drop(reply.send(done)),
            (None, Err(error)) => tracing::warn!(%error, "the writer's tick failed"),
            (None, Ok(())) => {}
        }
    }
}

/// A step of house-keeping that was asked for.
struct KeepHouse(bool, oneshot::Sender<Result<Left, StoreError>>);

impl Message for KeepHouse {
    type Result = ();
}

impl Handler<KeepHouse> for Writer {
    type Result = ();

    fn handle(&mut self, KeepHouse(begin, reply): KeepHouse, _: &mut Self::Context) {
        let done = self.core.as_mut().map_or(Err(StoreError::Closed), |core| core.keep_house_now(begin));
        // Whoever no longer waits has asked for a part of it.
        let _ = reply.send(done);
    }
}

/// The last message.
struct Close(oneshot::Sender<Result<(), StoreError>>);

impl Message for Close {
    type Result = ();
}

impl Handler<Close> for Writer {
    type Result = ();

    fn handle(&mut self, Close(reply): Close, ctx: &mut Self::Context) {
        self.flush();
        let done = self.core.take().map_or(Ok(()), Core::close);
        ctx.stop();
        // The last handle may be gone: the store is closed all the same.
        let _ = reply.send(done);
    }
}

impl Core {
    /// After the answers: the log may be long, the disk fuller, and the gauges are old.
    fn after_batch(&mut self, bytes: u64) {
        self.shared.gauges.oldest_us.store(0, std::sync::atomic::Ordering::Relaxed);
        if self.shared.read_only.get().is_some() {
            return;
        }
        let done = match &self.link {
            Link::Lite(conn) => self.checkpoints.after_batch(conn),
            #[cfg(feature = "postgres")]
            Link::Pg(_) => Ok(()),
        };
        self.between(done);
        self.unseen_bytes += bytes;
        if self.unseen_bytes >= LOOK_BYTES {
            self.unseen_bytes = 0;
            self.shared.space.look_again(&self.shared.metrics);
        }
    }

    /// What is due once a second.
    fn tick(&mut self) -> Result<(), StoreError> {
        let most = self.shared.limits.notes_per_tick;
        let drained = self.drain_notes(most);
        let thrown = self.ready().is_ok().then(|| {
            let swept = self.throw_away().and_then(|()| self.sweep());
            swept.and_then(|()| self.keep_house())
        });
        self.unseen_bytes = 0;
        self.shared.space.tick(&self.shared.metrics);
        if self.shared.read_only.get().is_none() {
            let done = self.care();
            self.between(done);
        }
        self.shared.places.fit(self.counters.next_id);
        self.shared.report_gauges();
        drained.and(thrown.unwrap_or(Ok(())))
    }

    /// The idle checkpoint, and the free pages: PostgreSQL looks after both itself.
    fn care(&mut self) -> Result<(), StoreError> {
        match &self.link {
            Link::Lite(conn) => {
                let idle = self.checkpoints.tick(conn)?;
                if idle { self.shrink() } else { Ok(()) }
            }
            #[cfg(feature = "postgres")]
            Link::Pg(_) => Ok(()),
        }
    }

    /// Gives free pages of the database back to the disk, a step at a time, when nobody writes: many of them, or any
    /// while the disk is full.
    fn shrink(&mut self) -> Result<(), StoreError> {
        let Some(conn) = self.link.lite() else { return Ok(()) };
        let free = sqlite::free_pages(conn)?;
        let low = self.shared.space.is_low();
        if free.unused == 0 || (!low && (free.unused < SHRINK_PAGES_MIN || free.unused < free.all / SHRINK_SHARE)) {
            return Ok(());
        }
        sqlite::shrink(conn)?;
        self.checkpoints.committed();
        // On a full disk the log that this has made goes at once, and with it the end of the file.
        if low { self.checkpoints.give_back(conn) } else { Ok(()) }
    }

    /// Leaves the store as a clean shutdown does: nothing in the log, the time and the word "clean" written down.
    fn close(mut self) -> Result<(), StoreError> {
        if self.shared.read_only.get().is_some() {
            // What is on disk is for the next start to find out; closing must not write.
            let no_checkpoint = rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            let Some(conn) = self.link.lite() else { return Ok(()) };
            let kept = conn.set_db_config(no_checkpoint, true).map(|_| ());
            return kept.map_err(|e| StoreError::sql("closing without a checkpoint", e));
        }
        if let Err(error) = self.ready() {
            // Everything acknowledged is with the database server.
            tracing::warn!(%error, "closed without the last words");
            return Ok(());
        }
        while self.shared.lane.waiting() > 0 && !self.shared.space.is_low() && self.drain_notes(usize::MAX).is_ok() {}
        let mut done = self.last_words();
        if matches!(done, Err(StoreError::Full)) && self.shared.space.met_full(&self.shared.metrics) {
            done = self.reopen().and_then(|()| self.last_words());
        }
        match done {
            // Everything acknowledged is in the log: the next start does what follows a crash.
            Err(StoreError::Full) => {
                tracing::warn!("the disk is full: the log could not be put away");
                Ok(())
            }
            done => done,
        }
    }

    /// The time and the word "clean", then the log is moved and cut off.
    fn last_words(&mut self) -> Result<(), StoreError> {
        if !self.link.conn().is_autocommit() {
            self.link.conn().control("rolling back", "ROLLBACK")?;
        }
        self.begin()?;
        let (floor, conn) = (self.shared.now_us().to_string(), self.link.conn());
        meta::put_raw(conn, meta::TIME_FLOOR, &floor)?;
        meta::put_raw(conn, meta::CLEAN_SHUTDOWN, "1")?;
        conn.control("committing the last write", "COMMIT")?;
        self.shared.faults.hit(FaultPoint::ShutdownMarked);
        if let Some(conn) = self.link.lite() {
            self.checkpoints.close(conn)?;
        }
        self.shared.faults.hit(FaultPoint::ShutdownCheckpointed);
        Ok(())
    }
}
