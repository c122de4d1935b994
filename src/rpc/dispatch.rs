//! One request to one method: found, checked, run, measured.
//!
//! Every door (HTTP, MCP, the command line) comes through [`dispatch`]. Invariant: it always returns, and a panic of
//! a method becomes a typed error of this request alone.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tracing::Instrument as _;

use super::decode::Arguments;
use super::registry::{self, Params, Spec};
use super::replies::Found;
use super::{Access, ErrorCode, RequestContext, RpcError, confined, decode, idempotency};
use crate::model::time::micros;
use crate::service::{Call, Lacking};
use crate::store::{DenialNote, Note};
use crate::telemetry::metric;

/// How long after its deadline a request is given up by its door. Until then the store answers by itself.
const GRACE: Duration = Duration::from_secs(5);
/// The label of a method that does not exist: label values come from the registry only.
const UNKNOWN: &str = "unknown";

/// Runs `method` and appends its result, as JSON, to `out`. After an error `out` holds rubbish.
pub async fn dispatch(
    cx: &RequestContext,
    method: &str,
    params: Params<'_>,
    out: &mut Vec<u8>,
) -> Result<&'static Spec, RpcError> {
    let spec = registry::find(method);
    let label = spec.map_or(UNKNOWN, |spec| spec.entry.name);
    let result = match spec {
        Some(spec) => run(cx, spec, params, out).await.map(|()| spec),
        None => Err(RpcError::unknown_method(method)),
    };
    if let (Some(lacking), Some(spec)) = (result.as_ref().err().and_then(|e| e.lacking.as_deref()), spec) {
        note_denial(&cx.call, spec.entry.name, lacking);
    }
    let duration = cx.call.store.clock().instant().saturating_duration_since(cx.began);
    let code = result.as_ref().map_or_else(|error| error.code.name(), |_| "ok");
    match spec {
        Some(spec) if result.is_ok() => {
            spec.answered.count(&metric::RPC_REQUESTS, &[("method", label), ("code", code)]);
        }
        _ => count(label, code),
    }
    match spec {
        Some(spec) => spec.took.seconds(&metric::RPC_DURATION, &[("method", label)], duration),
        None => metric::RPC_DURATION.seconds(duration, &[("method", label)]),
    }
    // Told of here and not by a span: most answers are kept ones, on whose way nothing else is said.
    tracing::info!(
        rpc.method = label,
        request.id = &*cx.call.request_id,
        subject.id = cx.call.caller.actor(),
        code,
        duration_us = micros(duration),
        revision = cx.call.revision(),
        "request answered"
    );
    result
}

/// Leaves a record of a refusal; nobody waits for it.
pub fn note_denial(call: &Call, method: &'static str, lacking: &Lacking) {
    let Call { caller, request_id, .. } = call;
    let (store, seen) = (&call.store, call.revision());
    store.note(Note::Denial(DenialNote {
        at_us: store.now_us(),
        tenant: caller.tenant.clone(),
        actor: caller.actor().to_owned(),
        method: method.to_owned(),
        permission: lacking.permission.clone(),
        object: lacking.object.clone(),
        // The writer refuses at the newest there is.
        rev: if seen > 0 { seen } else { store.published().rev },
        request_id: request_id.as_ref().to_owned(),
    }));
}

/// Counts a request to `method` that was refused before it could be dispatched.
pub fn count_refusal(method: &str, code: ErrorCode) {
    count(registry::find(method).map_or(UNKNOWN, |spec| spec.entry.name), code.name());
}

fn count(label: &'static str, code: &'static str) {
    metric::RPC_REQUESTS.count(&[("method", label), ("code", code)]);
}

async fn run(cx: &RequestContext, spec: &Spec, params: Params<'_>, out: &mut Vec<u8>) -> Result<(), RpcError> {
    confined::check(&cx.call.caller, spec)?;
    let replies = &cx.services.replies;
    let begin = out.len();
    let question = match replies.find(cx, spec, &params, out) {
        Found::Nothing(question) => question,
        Found::Kept => {
            if cfg!(debug_assertions) {
                compare(cx, spec, params, &out[begin..]).await;
            }
            return Ok(());
        }
    };
    let (id, actor) = (&*cx.call.request_id, cx.call.caller.actor());
    let span = tracing::info_span!("rpc", rpc.method = spec.entry.name, request.id = id, subject.id = actor);
    execute(cx, spec, params, out).instrument(span).await?;
    if let Some(question) = question {
        replies.keep(cx, question, &out[begin..]);
    }
    Ok(())
}

/// Panics if a kept result is not what is made now, at the same revision.
async fn compare(cx: &RequestContext, spec: &Spec, params: Params<'_>, kept: &[u8]) {
    let mut call = cx.call.anew(cx.call.caller.clone());
    call.deadline = None;
    let again = RequestContext::new(call, Arc::clone(&cx.services));
    let mut made = Vec::new();
    let result = execute(&again, spec, params, &mut made).await;
    if again.call.revision() != cx.call.revision() {
        return;
    }
    let (name, kept, made) = (spec.entry.name, String::from_utf8_lossy(kept), String::from_utf8_lossy(&made));
    match result {
        Ok(()) => {
            assert_eq!(kept, made, "what is kept of {name} is not what is made");
            assert_eq!(*cx.etag.lock(), *again.etag.lock(), "{name}");
        }
        Err(error) if matches!(error.code, ErrorCode::PermissionDenied | ErrorCode::FileNotFound) => {
            panic!("{name} is refused ({error}), and this is kept of it: {kept}")
        }
        Err(_) => {}
    }
}

async fn execute(cx: &RequestContext, spec: &Spec, params: Params<'_>, out: &mut Vec<u8>) -> Result<(), RpcError> {
    let arguments = decode::arguments(spec, params)?;
    let Some(keyed) = idempotency::keyed(cx, spec, &arguments)? else { return invoke(cx, spec, arguments, out).await };
    // Before the method looks at what is there, which the first run has changed.
    if let Some(found) = idempotency::find(cx, &keyed).await? {
        return idempotency::replay(cx, spec, &keyed, found, out);
    }
    cx.call.execute_once(Arc::clone(&keyed));
    let begin = out.len();
    let Err(error) = invoke(cx, spec, arguments, out).await else { return Ok(()) };
    out.truncate(begin);
    // Refused; or the same request ran at the same time and was first.
    match idempotency::find(cx, &keyed).await {
        Ok(Some(found)) => idempotency::replay(cx, spec, &keyed, found, out),
        Ok(None) | Err(_) => Err(error),
    }
}

async fn invoke(cx: &RequestContext, spec: &Spec, arguments: Arguments<'_>, out: &mut Vec<u8>) -> Result<(), RpcError> {
    let work = AssertUnwindSafe((spec.entry.invoke)(cx, arguments, out)).catch_unwind();
    let done = match cx.call.deadline {
        None => work.await,
        Some(deadline) => {
            let left = deadline.saturating_duration_since(cx.call.store.clock().instant());
            if left.is_zero() {
                return Err(too_late(Access::Read));
            }
            tokio::time::timeout(left + GRACE, work).await.map_err(|_| too_late(spec.entry.access))?
        }
    };
    done.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        tracing::error!(panic = text.unwrap_or("no text"), "a method panicked");
        Err(RpcError::internal())
    })
}

/// What is known when the time is up: a read did nothing, a write may still happen.
fn too_late(access: Access) -> RpcError {
    match access {
        Access::Read => RpcError::new(ErrorCode::DeadlineExceeded, "the deadline passed; nothing was done")
            .hint("ask for less at once, or try again"),
        Access::Write | Access::Admin => {
            RpcError::new(ErrorCode::OutcomeUnknown, "the deadline passed while the write was under way")
                .hint("read before repeating the write")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use schemars::JsonSchema;
    use serde::Deserialize;

    use super::*;
    use crate::auth::{AuthIndex, Caller, KeyHasher, Passes};
    use crate::config::SandboxWalls;
    use crate::model::ManualClock;
    use crate::model::time::Clock as _;
    use crate::outbound::{Guard, Outbound};
    use crate::rebac::Caches;
    use crate::rpc::context::Services;
    use crate::rpc::{CachePolicy, Entry, Method, entry};
    use crate::sandbox::{Cgroups, Sandboxes};
    use crate::service::Base;
    use crate::service::subscriptions::deliver::Hooks;
    use crate::store::{Options, Store};

    /// A method that does as it is told.
    #[derive(Debug, Deserialize, JsonSchema)]
    struct Probe {
        /// What to do.
        #[serde(default)]
        what: String,
    }

    impl Method for Probe {
        const NAME: &'static str = "probe";
        const ACCESS: Access = Access::Write;
        const ERRORS: &'static [ErrorCode] = &[];
        const CACHE: CachePolicy = CachePolicy::NoStore;
        type Output = String;
        async fn call(self, _cx: &RequestContext) -> Result<String, RpcError> {
            match self.what.as_str() {
                "panic" => panic!("the secret words of a panic"),
                _ => Ok(self.what),
            }
        }
    }

    static PROBE: Entry = entry::<Probe>();

    struct Setting {
        store: Store,
        clock: Arc<ManualClock>,
        _dir: tempfile::TempDir,
    }

    impl Setting {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            let clock = Arc::new(ManualClock::new(1_767_323_045_000_000));
            let mut options = Options::new(dir.path().join("data"));
            options.clock = Arc::<ManualClock>::clone(&clock);
            let store = Store::builder(options).project::<AuthIndex>().open().expect("opens");
            Self { store, clock, _dir: dir }
        }

        async fn run(&self, what: &str, deadline: Option<Duration>) -> Result<String, RpcError> {
            let deadline = deadline.map(|left| self.clock.instant() + left);
            let base = Arc::new(Base { store: self.store.clone(), caches: Arc::new(Caches::new()) });
            let call = Call::new(Caller::system("admin"), "r1".into(), deadline, base);
            let sandboxes =
                Arc::new(Sandboxes::new(self.store.data_dir().to_owned(), SandboxWalls::Off, Cgroups::Nowhere));
            let services = Services {
                sandboxes,
                passes: Passes::default(),
                hasher: Arc::new(KeyHasher::new(b"secret")),
                mounts: Arc::default(),
                hooks: Arc::new(Hooks::new(
                    Arc::new(Outbound::new(Guard::default())),
                    Arc::new(KeyHasher::new(b"secret")),
                    false,
                )),
                pins: Arc::default(),
                replies: Arc::default(),
            };
            let cx = RequestContext::new(call, Arc::new(services));
            let serde_json::Value::Object(params) = serde_json::json!({ "what": what }) else { unreachable!() };
            let mut out = Vec::new();
            run(&cx, &Spec::of(&PROBE), Params::Value(params), &mut out).await?;
            Ok(String::from_utf8(out).expect("JSON"))
        }
    }

    #[tokio::test]
    async fn a_panic_becomes_an_error_that_shows_nothing() {
        let setting = Setting::new();
        assert_eq!(setting.run("echo", None).await.expect("an answer"), r#""echo""#);
        let error = setting.run("panic", None).await.expect_err("it panicked");
        assert_eq!(error.code, ErrorCode::Internal);
        assert!(!error.to_wire("r1").to_string().contains("secret"), "{error}");
        setting.store.close().await.expect("a clean end");
    }

    #[tokio::test]
    async fn work_is_not_begun_after_the_deadline() {
        let setting = Setting::new();
        let error = setting.run("echo", Some(Duration::ZERO)).await.expect_err("too late");
        assert_eq!(error.code, ErrorCode::DeadlineExceeded);
        setting.run("echo", Some(Duration::from_secs(1))).await.expect("in time");
        setting.store.close().await.expect("a clean end");
    }

    #[test]
    fn what_is_known_when_the_time_is_up() {
        assert_eq!(too_late(Access::Read).code, ErrorCode::DeadlineExceeded);
        assert_eq!(too_late(Access::Write).code, ErrorCode::OutcomeUnknown);
    }
}
