//! Sandboxes, written: one active per (tenant, user, name), made and removed with what the provider has for it.
//!
//! The provider works before the message (make) and after it (remove), never inside: what a crash leaves over is a
//! directory without a record, which the next start removes.

use std::sync::Arc;

use crate::auth::{Caller, check_name};
use crate::model::SandboxRow;
use crate::model::time::MICROS_PER_SECOND;
use crate::sandbox::{Provider, Sandboxes};
use crate::service::sandboxes::{SandboxInfo, may_use, refreshed, usable};
use crate::service::{Call, Lacking, ServiceError};
use crate::store::sandboxes::{ACTIVE, PAUSED, STOPPED};
use crate::store::{Sql, Store, StoreError, WriteOp, WriteTx, sandboxes};

/// Minutes that a sandbox may live without being used.
const TTL_MINUTES_MAX: i64 = 30 * 24 * 60;
/// Random bytes of an id.
const ID_BYTES: usize = 8;
/// Longest name of a template, bytes.
const TEMPLATE_BYTES_MAX: usize = 255;

/// What sandbox is wanted.
#[derive(Debug, Clone)]
pub struct SandboxRequest {
    /// The name.
    pub name: String,
    /// Minutes it lives without being used.
    pub ttl_minutes: i64,
    /// The provider asked for.
    pub provider: Option<String>,
    /// The template asked for.
    pub template_id: Option<String>,
    /// Whether an active one of this name is looked at before it is given out.
    pub verify: bool,
    /// Whether an active one of this name is given out at all; else it is a refusal.
    pub reuse: bool,
}

/// A sandbox that was given out.
#[derive(Debug, Clone)]
pub struct GivenSandbox {
    /// The sandbox.
    pub info: SandboxInfo,
    /// Whether it was there before and its provider has seen it.
    pub verified: bool,
}

/// Gives the caller the active sandbox of this name, or makes it.
pub async fn get_or_create(
    call: &Call,
    providers: &Sandboxes,
    request: SandboxRequest,
) -> Result<GivenSandbox, ServiceError> {
    check(&request)?;
    let (caller, name) = (call.caller.clone(), request.name.clone());
    let found = call
        .read(move |tx| {
            let caller = refreshed(tx, &caller)?;
            let row = sandboxes::active(tx, &caller.tenant, &caller.user, &name)?;
            let live = row.filter(|row| row.expires_at_us.is_none_or(|at| tx.now_us() < at));
            if live.as_ref().is_some_and(|row| !may_use(&caller, row)) {
                return Err(foreign(&name));
            }
            Ok::<_, ServiceError>(live.map(|row| SandboxInfo::new(row, tx.now_us())))
        })
        .await?;
    let mut stale = None;
    if let Some(info) = found.filter(|_| request.reuse) {
        if !request.verify {
            return Ok(GivenSandbox { info, verified: false });
        }
        if verify(providers, &info.row).await? {
            return Ok(GivenSandbox { info, verified: true });
        }
        stale = Some(info.row.sandbox_id);
    }
    create(call, providers, request, stale).await
}

/// Whether the provider of a record has its sandbox.
pub async fn verify(providers: &Sandboxes, row: &SandboxRow) -> Result<bool, ServiceError> {
    let id = row.sandbox_id.clone();
    Ok(blocking(providers.provider(&row.provider), move |p| p.verify(&id)).await?.unwrap_or(false))
}

/// Lets the provider make a sandbox, then the writer decide whether it is the one.
async fn create(
    call: &Call,
    providers: &Sandboxes,
    request: SandboxRequest,
    stale: Option<String>,
) -> Result<GivenSandbox, ServiceError> {
    let provider = providers.choose(request.provider.as_deref());
    let id = format!("sb-{}", call.store.random().hex(ID_BYTES));
    let made = id.clone();
    blocking(Some(Arc::clone(&provider)), move |p| p.create(&made)).await?;
    let op = GetOrCreateSandbox {
        caller: call.caller.clone(),
        sandbox_id: id.clone(),
        name: request.name,
        provider: provider.name().to_owned(),
        template_id: request.template_id,
        ttl_minutes: request.ttl_minutes,
        reuse: request.reuse,
        stale,
    };
    let given = match call.submit(op).await {
        Ok(given) => given,
        Err(error) => {
            // An unknown outcome may be a record that stands: its directory must stay too.
            if matches!(&error, ServiceError::Store(StoreError::Repeated)) || !matches!(&error, ServiceError::Store(_))
            {
                blocking(Some(provider), move |p| p.destroy(&id)).await?;
            }
            return Err(error);
        }
    };
    let mut unused = given.replaced.clone();
    if given.info.row.sandbox_id != id {
        unused.push((provider.name().to_owned(), id));
    }
    for (name, id) in unused {
        blocking(providers.provider(&name), move |p| p.destroy(&id)).await?;
    }
    Ok(GivenSandbox { info: given.info, verified: false })
}

/// Runs a provider's work where blocking is allowed. `None` if the provider is not configured any more.
pub(super) async fn blocking<T: Send + 'static>(
    provider: Option<Arc<dyn Provider>>,
    work: impl FnOnce(&dyn Provider) -> Result<T, crate::sandbox::SandboxError> + Send + 'static,
) -> Result<Option<T>, ServiceError> {
    let Some(provider) = provider else { return Ok(None) };
    let done = tokio::task::spawn_blocking(move || work(&*provider)).await;
    let done = done.map_err(|e| ServiceError::Precondition(format!("the work of the provider was lost: {e}")))?;
    done.map(Some).map_err(|e| ServiceError::Precondition(e.to_string()))
}

fn check(request: &SandboxRequest) -> Result<(), ServiceError> {
    check_name("name", &request.name).map_err(|e| ServiceError::InvalidParams(e.to_string()))?;
    if !(1..=TTL_MINUTES_MAX).contains(&request.ttl_minutes) {
        let text = format!("ttl_minutes must be between 1 and {TTL_MINUTES_MAX}, got {}", request.ttl_minutes);
        return Err(ServiceError::InvalidParams(text));
    }
    if request.template_id.as_ref().is_some_and(|t| t.len() > TEMPLATE_BYTES_MAX || t.chars().any(char::is_control)) {
        return Err(ServiceError::InvalidParams(format!(
            "template_id is not a name of up to {TEMPLATE_BYTES_MAX} bytes"
        )));
    }
    Ok(())
}

fn foreign(name: &str) -> ServiceError {
    ServiceError::PermissionDenied {
        message: format!("Permission denied: sandbox '{name}' is not this agent's"),
        hint: "use another name, or let an agent with inherit_permissions ask".into(),
        lacking: Lacking::new("use", format_args!("sandbox:{name}")),
    }
}

pub(super) fn until(now_us: i64, ttl_minutes: i64) -> i64 {
    now_us + ttl_minutes * 60 * MICROS_PER_SECOND
}

/// What [`GetOrCreateSandbox`] gave out.
#[derive(Debug)]
pub struct Given {
    /// The sandbox that stands.
    pub info: SandboxInfo,
    /// Those that were stopped for it, as (provider, id): their directories can go.
    pub replaced: Vec<(String, String)>,
}

/// Gives out the active sandbox of a name, or records the one that the request has made.
#[derive(Debug)]
pub struct GetOrCreateSandbox {
    /// Who asks.
    pub caller: Caller,
    /// The one that the request has made.
    pub sandbox_id: String,
    /// The name.
    pub name: String,
    /// The provider that made it.
    pub provider: String,
    /// The template asked for.
    pub template_id: Option<String>,
    /// Minutes it lives without being used.
    pub ttl_minutes: i64,
    /// Whether an active one is given out; else it is a refusal.
    pub reuse: bool,
    /// An active one that its provider has lost.
    pub stale: Option<String>,
}

impl WriteOp for GetOrCreateSandbox {
    const NAME: &'static str = "sandbox_get_or_create";
    type Output = Given;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Given, ServiceError> {
        let caller = refreshed(tx, &self.caller)?;
        let now_us = tx.now_us();
        let mut replaced = Vec::new();
        if let Some(row) = sandboxes::active(tx, &caller.tenant, &caller.user, &self.name)? {
            let gone = row.expires_at_us.is_some_and(|at| at <= now_us) || self.stale.as_ref() == Some(&row.sandbox_id);
            if !gone && !may_use(&caller, &row) {
                return Err(foreign(&self.name));
            }
            if !gone && self.reuse {
                return Ok(Given { info: SandboxInfo::new(row, now_us), replaced });
            }
            if !gone {
                let (name, user) = (&self.name, &caller.user);
                let text = format!(
                    "Active sandbox with name '{name}' already exists for user {user}. Use sandbox_get_or_create() \
                     to reuse it"
                );
                return Err(ServiceError::InvalidParams(text));
            }
            replaced.push((row.provider.clone(), row.sandbox_id.clone()));
            stop(tx, row)?;
        }
        let row = SandboxRow {
            sandbox_id: self.sandbox_id.clone(),
            name: self.name.clone(),
            tenant: caller.tenant.clone(),
            user_id: caller.user.clone(),
            agent_id: caller.agent.clone(),
            provider: self.provider.clone(),
            template_id: self.template_id.clone(),
            status: ACTIVE.to_owned(),
            created_at_us: now_us,
            last_active_at_us: now_us,
            paused_at_us: None,
            stopped_at_us: None,
            ttl_minutes: self.ttl_minutes,
            expires_at_us: Some(until(now_us, self.ttl_minutes)),
        };
        sandboxes::insert(tx, row.clone())?;
        Ok(Given { info: SandboxInfo::new(row, now_us), replaced })
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.name.len()
    }
}

pub(super) fn stop(tx: &mut WriteTx<'_>, before: SandboxRow) -> Result<SandboxRow, ServiceError> {
    let after = SandboxRow {
        status: STOPPED.to_owned(),
        stopped_at_us: Some(tx.now_us()),
        paused_at_us: None,
        expires_at_us: None,
        ..before.clone()
    };
    sandboxes::update(tx, before, after.clone())?;
    Ok(after)
}

/// What becomes of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxChange {
    /// Kept, does not expire.
    Pause,
    /// Active again.
    Resume,
    /// Gone; the record stays.
    Stop,
}

/// Pauses, resumes or stops a sandbox that the caller may use. Stopping a stopped one changes nothing.
pub async fn change(
    call: &Call,
    providers: &Sandboxes,
    sandbox_id: String,
    change: SandboxChange,
) -> Result<SandboxInfo, ServiceError> {
    let op = ChangeSandbox { caller: call.caller.clone(), sandbox_id, change };
    let info = call.submit(op).await?;
    if info.row.status == STOPPED {
        providers.runs().end(Some(&info.row.sandbox_id)).await;
        let id = info.row.sandbox_id.clone();
        blocking(providers.provider(&info.row.provider), move |p| p.destroy(&id)).await?;
    }
    Ok(info)
}

/// Changes the status of a sandbox.
#[derive(Debug)]
pub struct ChangeSandbox {
    /// Who asks.
    pub caller: Caller,
    /// The sandbox.
    pub sandbox_id: String,
    /// What becomes of it.
    pub change: SandboxChange,
}

impl WriteOp for ChangeSandbox {
    const NAME: &'static str = "sandbox_change";
    const GROWS: bool = false;
    type Output = SandboxInfo;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<SandboxInfo, ServiceError> {
        let caller = refreshed(tx, &self.caller)?;
        let before = usable(tx, &caller, &self.sandbox_id)?;
        let now_us = tx.now_us();
        if before.status == STOPPED {
            return match self.change {
                SandboxChange::Stop => Ok(SandboxInfo::new(before, now_us)),
                _ => Err(ServiceError::Precondition(format!("Sandbox {} is stopped", self.sandbox_id))),
            };
        }
        let after = match self.change {
            SandboxChange::Stop => return Ok(SandboxInfo::new(stop(tx, before)?, now_us)),
            SandboxChange::Pause => SandboxRow {
                status: PAUSED.to_owned(),
                paused_at_us: before.paused_at_us.or(Some(now_us)),
                expires_at_us: None,
                ..before.clone()
            },
            SandboxChange::Resume => {
                let other = sandboxes::active(tx, &before.tenant, &before.user_id, &before.name)?;
                if other.is_some_and(|other| other.sandbox_id != before.sandbox_id) {
                    let text = format!("another sandbox with name '{}' is active; stop it first", before.name);
                    return Err(ServiceError::Precondition(text));
                }
                SandboxRow {
                    status: ACTIVE.to_owned(),
                    paused_at_us: None,
                    last_active_at_us: now_us,
                    expires_at_us: Some(until(now_us, before.ttl_minutes)),
                    ..before.clone()
                }
            }
        };
        if after != before {
            sandboxes::update(tx, before, after.clone())?;
        }
        Ok(SandboxInfo::new(after, now_us))
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

/// At the start: removes what the providers have for no sandbox that is still there. Returns how many.
pub async fn sweep(store: &Store, providers: &Sandboxes) -> Result<usize, ServiceError> {
    let live = store.read(|tx| {
        let there = |row: &SandboxRow| row.expires_at_us.is_none_or(|at| tx.now_us() < at);
        Ok::<_, ServiceError>(sandboxes::live(tx)?.into_iter().filter(there).collect::<Vec<_>>())
    });
    let live = live.await?;
    let mut removed = 0;
    for name in providers.names() {
        let kept: Vec<String> = live.iter().filter(|r| r.provider == name).map(|r| r.sandbox_id.clone()).collect();
        let gone = blocking(providers.provider(name), move |provider| {
            let gone: Vec<String> = provider.list()?.into_iter().filter(|id| !kept.contains(id)).collect();
            gone.iter().try_for_each(|id| provider.destroy(id)).map(|()| gone.len())
        });
        removed += gone.await?.unwrap_or(0);
    }
    Ok(removed)
}
