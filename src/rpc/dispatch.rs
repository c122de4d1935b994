//! One request to one method: found, checked, run, measured.
//!
//! Every door (HTTP, MCP, the command line) comes through [`dispatch`]. Invariant: it always returns, and a panic of
//! a method becomes a typed error of this request alone.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use tracing::Instrument as _;

use super::registry::{self, Params, Spec};
use super::{Access, ErrorCode, RequestContext, RpcError, decode};
use crate::model::time::monotonic;
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
    let started = monotonic();
    let spec = registry::find(method);
    let label = spec.map_or(UNKNOWN, |spec| spec.entry.name);
    let span = tracing::info_span!(
        "rpc",
        rpc.method = label,
        request.id = %cx.call.request_id,
        subject.id = %cx.call.caller.actor(),
    );
    let result = match spec {
        Some(spec) => run(cx, spec, params, out).instrument(span.clone()).await.map(|()| spec),
        None => Err(RpcError::unknown_method(method)),
    };
    let duration = started.elapsed();
    let code = result.as_ref().map_or_else(|error| error.code.name(), |_| "ok");
    count(label, code);
    metric::RPC_DURATION.seconds(duration, &[("method", label)]);
    let duration_ms = duration.as_secs_f64() * 1e3;
    span.in_scope(|| tracing::info!(code, duration_ms, revision = cx.call.revision(), "request answered"));
    result
}

/// Counts a request to `method` that was refused before it could be dispatched.
pub fn count_refusal(method: &str, code: ErrorCode) {
    count(registry::find(method).map_or(UNKNOWN, |spec| spec.entry.name), code.name());
}

fn count(label: &'static str, code: &'static str) {
    metric::RPC_REQUESTS.count(&[("method", label), ("code", code)]);
}

async fn run(cx: &RequestContext, spec: &Spec, params: Params<'_>, out: &mut Vec<u8>) -> Result<(), RpcError> {
    let arguments = decode::arguments(spec, params)?;
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
