//! Programs in sandboxes: who may run one, when it may begin, and what is recorded of it.
//!
//! Two messages frame a run: the first is the record of who ran something, before it runs, and keeps the sandbox from
//! ending under it; the second counts its time to live from the end. The program itself is a process of its own, waited for
//! by a thread that may block.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::{Caller, Pass, Passes};
use crate::model::SandboxRow;
use crate::model::time::MICROS_PER_SECOND;
use crate::sandbox::{Cut, Ending, Job, Language, Report, RunError, Sandboxes};
use crate::service::sandboxes::ops::{blocking, until};
use crate::service::sandboxes::{SandboxInfo, refreshed, usable};
use crate::service::{Call, ServiceError};
use crate::store::sandboxes::{ACTIVE, PAUSED};
use crate::store::{Sql as _, StoreError, WriteOp, WriteTx, sandboxes};
use crate::telemetry::metric;

/// Longest program, bytes.
pub const CODE_BYTES_MAX: usize = 1 << 20;
/// Seconds that a program may take, at most.
pub const SECONDS_MAX: f64 = 3_600.0;
/// Seconds that it may take unless the caller says otherwise.
pub const SECONDS: f64 = 300.0;
/// The address of the server for programs, which reach it over a socket.
const INSIDE_URL: &str = "http://localhost";
/// Longest value in its environment, bytes.
const VALUE_BYTES_MAX: usize = 4_096;

/// A program to run.
#[derive(Clone)]
pub struct RunRequest {
    /// Where.
    pub sandbox_id: String,
    /// What it is written in, by any of its names.
    pub language: String,
    /// The program.
    pub code: String,
    /// Seconds it may take.
    pub seconds: f64,
    /// What it finds in its environment; may hold a key.
    pub environment: Vec<(String, String)>,
}

impl std::fmt::Debug for RunRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunRequest").field("sandbox_id", &self.sandbox_id).finish_non_exhaustive()
    }
}

/// Runs a program in a sandbox that the caller may use, to its end. Dropping this ends the program.
pub async fn run(
    call: &Call,
    providers: &Sandboxes,
    passes: &Passes,
    request: RunRequest,
) -> Result<Report, ServiceError> {
    let language = check(&request)?;
    let time = Duration::from_secs_f64(request.seconds);
    let info = super::get(call, request.sandbox_id.clone()).await?;
    require_active(&info)?;
    let unknown = || ServiceError::Precondition(format!("its provider '{}' is not configured", info.row.provider));
    let provider = providers.provider(&info.row.provider).ok_or_else(unknown)?;
    // Before anything is recorded. The first one to ask waits for the test of the walls.
    let capable = blocking(Some(Arc::clone(&provider)), |provider| Ok(provider.capabilities())).await?;
    let capable = capable.unwrap_or_default();
    if let Some(why) = capable.run_refused {
        return Err(not_here(language, &why));
    }
    let Some(running) = providers.runs().begin(&request.sandbox_id).await else {
        return Err(StoreError::Busy { queue: "the queue of sandboxes" }.into());
    };
    let (caller, sandbox_id) = (call.caller.clone(), request.sandbox_id);
    call.submit_further(BeginRun { caller: caller.clone(), sandbox_id: sandbox_id.clone(), time }).await?;
    // Ends with the program, or with who waits for it.
    let pass = capable.server.then(|| passes.issue(&**call.store.random(), &call.caller));
    let environment = with_pass(request.environment, pass.as_ref());
    let job = Job { language, code: request.code, environment, time, server: pass.is_some() };
    let held = Cut(Arc::clone(running.line()));
    let id = sandbox_id.clone();
    // Goes on to the end of the program also where nobody waits: so the list of what runs is true.
    let done = tokio::task::spawn_blocking(move || provider.run(&id, job, running.line())).await;
    drop((held, pass));
    let report = done.map_err(|e| ServiceError::Precondition(format!("the program was lost: {e}")))?;
    let report = report.map_err(|error| match error {
        RunError::Refused(why) => not_here(language, &why),
        RunError::Failed(error) => ServiceError::Precondition(error.to_string()),
    })?;
    metric::SANDBOX_RUNS.count(&[("ended", word(report.ended))]);
    metric::SANDBOX_RUN_SECONDS.seconds(Duration::from_millis(report.millis), &[("language", language.name())]);
    call.submit(EndRun { caller, sandbox_id, report }).await
}

/// What a client finds its server by, unless whoever runs the program has named another.
fn with_pass(mut environment: Vec<(String, String)>, pass: Option<&Pass>) -> Vec<(String, String)> {
    let Some(pass) = pass else { return environment };
    for (name, value) in [("NEXUS_URL", INSIDE_URL), ("NEXUS_API_KEY", pass.expose())] {
        if environment.iter().all(|(named, _)| named != name) {
            environment.push((name.to_owned(), value.to_owned()));
        }
    }
    environment
}

fn not_here(language: Language, why: &str) -> ServiceError {
    ServiceError::NotSupported {
        message: format!("sandbox_run is not supported on this machine, in {}: {why}", language.name()),
        hint: "look at `capabilities` of the sandbox; `nexus-lite doctor` says what is missing".into(),
    }
}

fn word(ended: Ending) -> &'static str {
    match ended {
        Ending::Exited => "exited",
        Ending::Timeout => "timeout",
        Ending::Memory => "memory",
        Ending::Disk => "disk",
        Ending::Cancelled => "cancelled",
    }
}

fn check(request: &RunRequest) -> Result<Language, ServiceError> {
    let refused = |text: String| Err(ServiceError::InvalidParams(text));
    let Some(language) = Language::named(&request.language) else {
        let names: Vec<_> = Language::ALL.iter().map(|language| language.name()).collect();
        return refused(format!("language is one of {}", names.join(", ")));
    };
    if request.code.len() > CODE_BYTES_MAX {
        return refused(format!("code has more than {CODE_BYTES_MAX} bytes"));
    }
    if !(request.seconds > 0.0 && request.seconds <= SECONDS_MAX) {
        return refused(format!("timeout is a number of seconds above 0, up to {SECONDS_MAX}"));
    }
    let fits = |value: &String| value.len() <= VALUE_BYTES_MAX && !value.contains('\0');
    if !request.environment.iter().all(|(_, value)| fits(value)) {
        return refused(format!("nexus_url and nexus_api_key have up to {VALUE_BYTES_MAX} bytes and no NUL"));
    }
    Ok(language)
}

pub(super) fn require_active(info: &SandboxInfo) -> Result<(), ServiceError> {
    let id = &info.row.sandbox_id;
    match info.row.status.as_str() {
        ACTIVE => Ok(()),
        PAUSED => Err(ServiceError::Precondition(format!("Sandbox {id} is paused; resume it first"))),
        _ => Err(ServiceError::Precondition(format!("Sandbox {id} is stopped; make another one"))),
    }
}

/// Keeps a sandbox until `at_least` from now, or for its time to live.
pub(super) fn used(tx: &mut WriteTx<'_>, before: SandboxRow, at_least: Duration) -> Result<(), ServiceError> {
    let now_us = tx.now_us();
    let seconds = i64::try_from(at_least.as_secs() + 1).unwrap_or(i64::MAX / MICROS_PER_SECOND);
    let expires = until(now_us, before.ttl_minutes).max(now_us + seconds * MICROS_PER_SECOND);
    // Later than before also where the clock stands still, so that each use leaves a record.
    let at = now_us.max(before.last_active_at_us + 1);
    let after = SandboxRow { last_active_at_us: at, expires_at_us: Some(expires), ..before.clone() };
    sandboxes::update(tx, before, after)?;
    Ok(())
}

/// Records that somebody runs something.
#[derive(Debug)]
pub struct BeginRun {
    /// Who.
    pub caller: Caller,
    /// Where.
    pub sandbox_id: String,
    /// How long it may take.
    pub time: Duration,
}

impl WriteOp for BeginRun {
    const NAME: &'static str = "sandbox_begin_run";
    type Output = ();
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), ServiceError> {
        let caller = refreshed(tx, &self.caller)?;
        let row = usable(tx, &caller, &self.sandbox_id)?;
        let info = SandboxInfo::new(row, tx.now_us());
        require_active(&info)?;
        used(tx, info.row, self.time)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

/// Records that it has ended, and gives back what came of it.
#[derive(Debug)]
pub struct EndRun {
    /// Who ran it.
    pub caller: Caller,
    /// Where.
    pub sandbox_id: String,
    /// What came of it.
    pub report: Report,
}

impl WriteOp for EndRun {
    const NAME: &'static str = "sandbox_end_run";
    const GROWS: bool = false;
    type Output = Report;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Report, ServiceError> {
        let caller = refreshed(tx, &self.caller)?;
        let row = usable(tx, &caller, &self.sandbox_id)?;
        // Stopped or paused meanwhile: what came of it is told all the same.
        if row.status == ACTIVE {
            used(tx, row, Duration::ZERO)?;
        }
        Ok(self.report.clone())
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.report.stdout.len() + self.report.stderr.len()
    }
}
