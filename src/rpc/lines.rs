//! Answers in lines: each result as soon as it is found, then one line about the whole.
//!
//! Owns the form of such answers: JSON objects, one a line; the last says how it ended. Must never know of HTTP. Invariant:
//! every answer that is not cut off ends with exactly one line that is no result.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::json;

use super::dispatch::count_refusal;
use super::registry::{self, Params, Spec};
use super::{ErrorCode, Method, RequestContext, RpcError, confined, decode};
use crate::model::time::{micros, monotonic};
use crate::service::search::{Event, Found, Running};
use crate::telemetry::metric;

/// What comes next: a line, or the last line.
enum Line {
    Result(Vec<u8>),
    Last(Vec<u8>),
}

/// Makes the next line.
trait Source: Send {
    fn next(&mut self) -> BoxFuture<'_, Result<Line, RpcError>>;
}

/// The lines of a method, before anybody counts them.
pub struct Lines(Box<dyn Source>);

/// A method that can answer in lines.
pub trait InLines: Method {
    /// Begins to.
    fn lines(self, cx: &RequestContext) -> Result<Lines, RpcError>;
}

/// A value as a line.
#[must_use]
pub fn line<T: Serialize>(value: &T) -> Vec<u8> {
    let mut out = serde_json::to_vec(value).unwrap_or_else(|error| {
        tracing::error!(%error, "a line could not be serialised");
        json!({ "error": RpcError::internal().to_wire("") }).to_string().into_bytes()
    });
    out.push(b'\n');
    out
}

/// The lines of a search: `row` makes one of a result, `end` of how it ended.
pub fn of<R: Send + 'static>(
    running: Running<R>,
    row: impl Fn(R) -> Vec<u8> + Send + Sync + 'static,
    end: impl Fn(Found<R>) -> Vec<u8> + Send + Sync + 'static,
) -> Lines {
    Lines(Box::new(Searched { running, row, end }))
}

struct Searched<R, A, B> {
    running: Running<R>,
    row: A,
    end: B,
}

impl<R, A, B> Source for Searched<R, A, B>
where
    R: Send + 'static,
    A: Fn(R) -> Vec<u8> + Send + Sync,
    B: Fn(Found<R>) -> Vec<u8> + Send + Sync,
{
    fn next(&mut self) -> BoxFuture<'_, Result<Line, RpcError>> {
        Box::pin(async {
            Ok(match self.running.next().await? {
                Event::Result(found) => Line::Result((self.row)(found)),
                Event::End(found) => Line::Last((self.end)(found)),
            })
        })
    }
}

/// An answer in lines under way.
pub struct Answer {
    lines: Option<Lines>,
    spec: &'static Spec,
    request_id: Arc<str>,
    actor: String,
    started: Instant,
}

/// Whether `method` can answer in lines.
#[must_use]
pub fn has(method: &str) -> bool {
    registry::find(method).is_some_and(|spec| spec.entry.lines.is_some())
}

/// Begins to answer a request to `method`, which [`has`] lines. Nothing is done before the first line is asked for.
pub fn begin(cx: &RequestContext, method: &str, params: Params<'_>) -> Result<Answer, RpcError> {
    let Some((spec, lines)) = registry::find(method).and_then(|spec| Some((spec, spec.entry.lines?))) else {
        return Err(RpcError::new(ErrorCode::NotSupported, format!("{method} does not answer in lines")));
    };
    let begun = confined::check(&cx.call.caller, spec)
        .and_then(|()| decode::arguments(spec, params))
        .and_then(|arguments| lines(cx, arguments));
    let lines = Some(begun.inspect_err(|error| count_refusal(spec.entry.name, error.code))?);
    let (request_id, actor) = (Arc::clone(&cx.call.request_id), cx.call.caller.actor().to_owned());
    Ok(Answer { lines, spec, request_id, actor, started: monotonic() })
}

impl Answer {
    /// The next line; `None` after the last. An error is the end, too.
    pub async fn next(&mut self) -> Option<Result<Vec<u8>, RpcError>> {
        let lines = self.lines.as_mut()?;
        let next = AssertUnwindSafe(lines.0.next()).catch_unwind().await.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            tracing::error!(panic = text.unwrap_or("no text"), "a method panicked");
            Err(RpcError::internal())
        });
        Some(match next {
            Ok(Line::Result(line)) => Ok(line),
            Ok(Line::Last(line)) => {
                self.end("ok");
                Ok(line)
            }
            Err(error) => {
                self.end(error.code.name());
                Err(error)
            }
        })
    }

    /// The line of an error that came behind others.
    #[must_use]
    pub fn error_line(&self, error: &RpcError) -> Vec<u8> {
        line(&json!({ "error": error.to_wire(&self.request_id) }))
    }

    fn end(&mut self, code: &'static str) {
        self.lines = None;
        let (name, duration) = (self.spec.entry.name, self.started.elapsed());
        metric::RPC_REQUESTS.count(&[("method", name), ("code", code)]);
        metric::RPC_DURATION.seconds(duration, &[("method", name)]);
        tracing::info!(
            rpc.method = name,
            request.id = &*self.request_id,
            subject.id = self.actor,
            code,
            duration_us = micros(duration),
            "request answered in lines"
        );
    }
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("method", &self.spec.entry.name).finish_non_exhaustive()
    }
}
