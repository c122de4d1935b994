//! One sync of one mount, from both lists to the last message.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;

use super::walk::{Seen, Walk};
use super::{FILE_BYTES_MAX, FILES_MAX, Progress, SyncReport};
use crate::model::{ContentHash, NodeKind, VirtualPath};
use crate::service::files::tree::FileBody;
use crate::service::located::Located;
use crate::service::mounts::decide::{Decision, decide};
use crate::service::mounts::host::{Host, HostError, HostFile, TEMPORARY};
use crate::service::mounts::scope::Scope;
use crate::service::mounts::sync_ops::{
    BYTES_PER_MESSAGE, FILES_PER_MESSAGE, Import, ImportFiles, Imported, KeepAgreed, Target,
};
use crate::service::{Call, ServiceError};
use crate::store::mount_files::{self, Agreed};
use crate::store::{Origin, ReadTx, StoreError, WriteOp, contents, nodes};

/// How often a message is sent to a writer that has too much to do, and how long is waited in between.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// A sync under way.
pub(super) struct Run<'r> {
    call: &'r Call,
    target: Target,
    scope: Scope,
    readonly: bool,
    dry: bool,
    progress: Arc<Progress>,
    report: &'r mut SyncReport,
    /// What the tree has, by the path below the mount point: etags.
    tree: HashMap<String, String>,
    agreed: Arc<HashMap<String, Agreed>>,
    /// Files of the host about which something is known, or nothing can be.
    seen: HashSet<String>,
    /// What of the host nothing is known about, nor about what may be below it.
    unknown: HashSet<String>,
    imports: Vec<Import>,
    bytes: usize,
    keep: Vec<(String, Option<Agreed>)>,
    /// For the host: what it loses or gets, with what it must have for it.
    back: Vec<(String, Option<String>)>,
    /// To be read once more, when what was in their way is gone.
    again: Vec<String>,
    is_second: bool,
}

impl<'r> Run<'r> {
    /// Reads what the tree has and what was agreed on.
    pub(super) async fn new(
        call: &'r Call,
        target: Target,
        scope: Scope,
        readonly: bool,
        dry: bool,
        progress: &Arc<Progress>,
        report: &'r mut SyncReport,
    ) -> Result<Self, ServiceError> {
        let (of, within) = (target.clone(), scope.clone());
        let (tree, agreed) = call
            .read_long(move |tx| {
                let tree = files_below(tx, &of.mount_point, &within)?;
                let agreed = mount_files::of_mount(tx, &of.mount_id)?;
                let agreed: HashMap<_, _> = agreed.into_iter().filter(|(below, _)| within.takes(below)).collect();
                Ok::<_, ServiceError>((tree, agreed))
            })
            .await?;
        progress.expected.fetch_add(tree.len().max(agreed.len()) as u64, Ordering::Relaxed);
        Ok(Self {
            call,
            target,
            scope,
            readonly,
            dry,
            progress: Arc::clone(progress),
            report,
            tree,
            agreed: Arc::new(agreed),
            seen: HashSet::new(),
            unknown: HashSet::new(),
            imports: Vec::new(),
            bytes: 0,
            keep: Vec::new(),
            back: Vec::new(),
            again: Vec::new(),
            is_second: false,
        })
    }

    pub(super) async fn go(mut self, host: Host) -> Result<(), ServiceError> {
        let host = Arc::new(host);
        // A file ahead: what was read is in memory twice at most.
        let (to, mut seen) = mpsc::channel(1);
        let walk = Walk {
            host: Arc::clone(&host),
            scope: self.scope.clone(),
            agreed: Arc::clone(&self.agreed),
            progress: Arc::clone(&self.progress),
            now_ns: i128::from(self.call.store.clock().now_us()) * 1_000,
            to,
        };
        // Ends by itself when nobody listens to it any more.
        drop(tokio::task::spawn_blocking(move || walk.run()));
        let mut whole = false;
        while let Some(seen) = seen.recv().await {
            match seen {
                Seen::End => whole = true,
                Seen::TooMany => {
                    let what = format!("there are more than {FILES_MAX} files; sync parts of it by `path`");
                    self.report.error(self.target.mount_point.as_str(), what);
                    self.unknown.insert(String::new());
                    whole = true;
                }
                seen => self.see(seen).await?,
            }
            self.alive()?;
        }
        self.alive()?;
        if !whole {
            let what = "the walk over the directory ended before its end; nothing was removed";
            return Err(ServiceError::Precondition(format!("{}: {what}", self.target.mount_point)));
        }
        self.what_is_gone().await?;
        self.flush().await?;
        self.second_time(&host).await?;
        self.write_back(&host).await?;
        self.agree().await
    }

    /// Whether it is to go on.
    fn alive(&self) -> Result<(), ServiceError> {
        match self.progress.is_cancelled() {
            true => Err(ServiceError::Precondition("the sync was cancelled; what it did until then stands".into())),
            false => Ok(()),
        }
    }

    /// Whether nothing is known about a file of the host, or about a directory above it.
    fn is_unknown(&self, below: &str) -> bool {
        let above = below.match_indices('/').map(|(at, _)| &below[..at]);
        !self.unknown.is_empty() && ["", below].into_iter().chain(above).any(|path| self.unknown.contains(path))
    }

    fn shown(&self, below: &str) -> String {
        format!("{}/{below}", self.target.mount_point)
    }

    async fn see(&mut self, seen: Seen) -> Result<(), ServiceError> {
        match seen {
            Seen::File(below, file) => {
                self.report.scanned += 1;
                self.progress.scanned.fetch_add(1, Ordering::Relaxed);
                self.seen.insert(below.clone());
                self.file(below, file).await?;
            }
            Seen::NoFile(below, error) => {
                self.report.scanned += 1;
                self.report.error(&self.shown(&below), error);
                // A link may have taken the place of a directory.
                self.unknown.insert(below);
            }
            Seen::Odd(below, why) => self.report.error(&self.shown(&below), why),
            Seen::NoDirectory(below, error) => {
                self.report.error(&self.shown(&below), error);
                self.unknown.insert(below);
            }
            Seen::TooMany | Seen::End => {}
        }
        Ok(())
    }

    /// Decides about a file that the host has; `None` = as it was at the last sync.
    async fn file(&mut self, below: String, file: Option<HostFile>) -> Result<(), ServiceError> {
        let agreed = self.agreed.get(&below).cloned();
        let before = agreed.as_ref().map(|agreed| agreed.etag.as_str());
        let host = file.as_ref().map(|file| file.etag.clone()).or_else(|| before.map(str::to_owned));
        let tree = self.tree.get(&below).cloned();
        match decide(host.as_deref(), tree.as_deref(), before, self.readonly) {
            Decision::Nothing => {
                self.report.skipped += 1;
                if let (Some(file), Some(agreed)) = (file, agreed)
                    && file.stamp != agreed.stamp
                {
                    self.keep(below, Some(Agreed { etag: file.etag, stamp: file.stamp })).await?;
                }
            }
            Decision::Agree => {
                self.report.skipped += 1;
                let agreed = file.map(|file| Agreed { etag: file.etag, stamp: file.stamp });
                self.keep(below, agreed).await?;
            }
            Decision::Import => match file {
                Some(file) => self.import(below, tree, file).await?,
                None => self.again.push(below),
            },
            Decision::WriteBack | Decision::RemoveThere => self.back.push((below, host)),
            Decision::Conflict(what) => self.report.conflict(&self.shown(&below), what),
            // Only of what the host has not.
            Decision::RemoveHere => {}
        }
        Ok(())
    }

    async fn import(&mut self, below: String, expected: Option<String>, file: HostFile) -> Result<(), ServiceError> {
        if self.dry {
            self.count(expected.is_some(), file.body.len() as u64);
            return Ok(());
        }
        // What the walk has let through has a path.
        let Ok(path) = self.scope.path_of(&below) else { return Ok(()) };
        let agreed = Agreed { etag: file.etag, stamp: file.stamp };
        let body = FileBody::store(&self.call.store, &path, file.body).await?;
        self.bytes += body.bytes();
        self.imports.push(Import { below, path, expected, file: Some((body, agreed)) });
        if self.imports.len() >= FILES_PER_MESSAGE || self.bytes >= BYTES_PER_MESSAGE {
            self.flush().await?;
        }
        Ok(())
    }

    fn count(&mut self, is_update: bool, bytes: u64) {
        let count = if is_update { &mut self.report.updated } else { &mut self.report.created };
        *count += 1;
        self.report.bytes += bytes;
    }

    /// Decides about files that the host has not.
    async fn what_is_gone(&mut self) -> Result<(), ServiceError> {
        let mut gone: Vec<String> = self.tree.keys().chain(self.agreed.keys()).cloned().collect();
        gone.retain(|below| !self.seen.contains(below) && !self.is_unknown(below));
        gone.sort_unstable();
        gone.dedup();
        for below in gone {
            let tree = self.tree.get(&below).cloned();
            let agreed = self.agreed.get(&below).map(|agreed| agreed.etag.as_str());
            match decide(None, tree.as_deref(), agreed, self.readonly) {
                Decision::RemoveHere if self.dry => self.report.deleted += 1,
                Decision::RemoveHere => {
                    let Ok(path) = self.scope.path_of(&below) else { continue };
                    self.imports.push(Import { below, path, expected: tree, file: None });
                    if self.imports.len() >= FILES_PER_MESSAGE {
                        self.flush().await?;
                    }
                }
                Decision::Agree => self.keep(below, None).await?,
                Decision::WriteBack => self.back.push((below, None)),
                Decision::Conflict(what) => self.report.conflict(&self.shown(&below), what),
                Decision::Nothing | Decision::Import | Decision::RemoveThere => {}
            }
            self.alive()?;
        }
        Ok(())
    }

    /// Sends what was gathered, and counts what became of it.
    async fn flush(&mut self) -> Result<(), ServiceError> {
        if self.imports.is_empty() {
            return Ok(());
        }
        let imports = std::mem::take(&mut self.imports);
        self.bytes = 0;
        let op = ImportFiles { caller: self.call.caller.clone(), target: self.target.clone(), imports };
        let outcomes = self.submit(&op).await?;
        for (import, outcome) in op.imports.into_iter().zip(outcomes) {
            match (outcome, &import.file) {
                (Imported::Done, None) => self.report.deleted += 1,
                (Imported::Done, Some((body, _))) => self.count(import.expected.is_some(), body.size()),
                (Imported::Changed, _) => {
                    let what = "conflict: it has changed in the tree during the sync";
                    self.report.conflict(import.path.as_str(), what);
                }
                (Imported::Clash(_), _) if !self.is_second => self.again.push(import.below),
                (Imported::Clash(what), _) => self.report.error(import.path.as_str(), what),
            }
        }
        Ok(())
    }

    /// What had something of another kind in its way, once more.
    async fn second_time(&mut self, host: &Arc<Host>) -> Result<(), ServiceError> {
        self.is_second = true;
        for below in std::mem::take(&mut self.again) {
            let (of, path) = (Arc::clone(host), below.clone());
            let now_ns = i128::from(self.call.store.clock().now_us()) * 1_000;
            let read = blocking(move || of.read(&path, None, FILE_BYTES_MAX, now_ns)).await;
            match read {
                Ok(Some(file)) => {
                    let tree = self.tree.get(&below).cloned();
                    self.import(below, tree, file).await?;
                }
                Ok(None) => {}
                Err(error) => self.report.error(&self.shown(&below), error),
            }
            self.alive()?;
        }
        self.flush().await
    }

    /// What has changed in the tree alone, for the host.
    async fn write_back(&mut self, host: &Arc<Host>) -> Result<(), ServiceError> {
        for (below, expected) in std::mem::take(&mut self.back) {
            let tree = self.tree.get(&below).cloned();
            let done = match &tree {
                _ if self.dry => Ok(()),
                Some(etag) => self.give(host, &below, etag, expected).await?,
                None => self.take(host, &below, expected).await,
            };
            match &done {
                Ok(()) if tree.is_some() => self.report.written_back += 1,
                Ok(()) => self.report.removed_back += 1,
                Err(HostError::Changed | HostError::Gone) => {
                    self.report.conflict(&self.shown(&below), "conflict: the host's file has changed during the sync");
                }
                Err(error) => self.report.error(&self.shown(&below), error),
            }
            if done.is_ok() && !self.dry {
                // Its times are of this moment, so it is read once more by the next sync.
                let agreed = tree.map(|etag| Agreed { etag, stamp: String::new() });
                self.keep(below, agreed).await?;
            }
            self.alive()?;
        }
        Ok(())
    }

    async fn give(
        &self,
        host: &Arc<Host>,
        below: &str,
        etag: &str,
        expected: Option<String>,
    ) -> Result<Result<(), HostError>, ServiceError> {
        let hash = ContentHash::from_hex(etag);
        let body = self.call.read_slow(move |tx| hash.map_or(Ok(None), |hash| contents::body(tx, hash))).await;
        let body = match body {
            Ok(Some(body)) => body,
            Ok(None) | Err(StoreError::Corrupt { .. }) => {
                let what = "what is stored is damaged".to_owned();
                return Ok(Err(HostError::System { step: "reading the tree's file", what }));
            }
            Err(error) => return Err(error.into()),
        };
        let (host, below, temporary) = (Arc::clone(host), below.to_owned(), self.temporary());
        Ok(blocking(move || host.write(&below, &body, expected.as_deref(), &temporary)).await)
    }

    async fn take(&self, host: &Arc<Host>, below: &str, expected: Option<String>) -> Result<(), HostError> {
        let (host, below, temporary) = (Arc::clone(host), below.to_owned(), self.temporary());
        let expected = expected.unwrap_or_default();
        blocking(move || host.remove(&below, &expected, &temporary)).await
    }

    fn temporary(&self) -> String {
        format!("{TEMPORARY}{}", self.call.store.random().uuid())
    }

    /// Remembers what both sides have.
    async fn keep(&mut self, below: String, agreed: Option<Agreed>) -> Result<(), ServiceError> {
        self.keep.push((below, agreed));
        if self.keep.len() >= FILES_PER_MESSAGE { self.agree().await } else { Ok(()) }
    }

    async fn agree(&mut self) -> Result<(), ServiceError> {
        let agreed = std::mem::take(&mut self.keep);
        if agreed.is_empty() || self.dry {
            return Ok(());
        }
        let op = KeepAgreed { caller: self.call.caller.clone(), target: self.target.clone(), agreed };
        self.submit(&op).await
    }

    /// Sends a message, again while the writer has too much to do. Never as the message of the request: a repeat of
    /// that is answered with the whole sync.
    async fn submit<O>(&self, op: &O) -> Result<O::Output, ServiceError>
    where
        O: WriteOp<Error = ServiceError> + Clone,
    {
        let origin = Origin {
            actor: self.call.caller.actor().to_owned(),
            tenant: self.call.caller.tenant.clone(),
            request_id: self.call.request_id.as_ref().to_owned(),
            deadline: None,
        };
        for _ in 0..TRIES {
            match self.call.store.submit(origin.clone(), op.clone()).await {
                Err(ServiceError::Store(StoreError::Busy { .. })) => tokio::time::sleep(PAUSE).await,
                other => return other.map(|(output, _)| output),
            }
        }
        self.call.store.submit(origin, op.clone()).await.map(|(output, _)| output)
    }
}

/// Runs what waits for the host where waiting is allowed.
async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, HostError> + Send + 'static,
) -> Result<R, HostError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|_| Err(HostError::System { step: "working on a file", what: "the work was cut off".into() }))
}

/// The files of the tree below a mount point that are in the scope: etags by the path below it.
fn files_below(tx: &ReadTx<'_>, point: &VirtualPath, scope: &Scope) -> Result<HashMap<String, String>, ServiceError> {
    let mut files = HashMap::new();
    let located = Located::find(tx, point)?;
    let Some(top) = located.node() else { return Ok(files) };
    let mut waiting = vec![(top.id, String::new())];
    while let Some((dir, prefix)) = waiting.pop() {
        let mut over = false;
        nodes::children(tx, dir, |node| {
            let below = if prefix.is_empty() { node.name } else { format!("{prefix}/{}", node.name) };
            match node.kind {
                NodeKind::Directory => waiting.push((node.id, below)),
                NodeKind::File if scope.takes(&below) => {
                    files.insert(below, node.content.unwrap_or_default());
                }
                NodeKind::File => {}
            }
            over = files.len() > FILES_MAX;
            Ok(if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if over {
            return Err(ServiceError::Precondition(format!(
                "'{point}' has more than {FILES_MAX} files; sync parts of it by `path`"
            )));
        }
    }
    Ok(files)
}
