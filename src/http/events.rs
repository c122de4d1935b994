//! `GET /api/events`: what happens to files, as it happens, for whoever may read them.
//!
//! As a stream of server-sent events, or with `wait` as one JSON answer that waits for the first event. The id of an event
//! is its place in the log (`revision.part`): who comes back with it in `Last-Event-ID` misses nothing. Nothing is kept
//! for anybody: who reads slowly is read for later. No thread waits. A stream ends with the key it was opened with.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::BodyStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::compress::IDENTITY;
use super::identity;
use super::reply::{NO_STORE, REVISION, detail, request_id, revision, unauthenticated};
use super::state::Shared;
use super::subscriptions::{Refused, pairs, refusal, refused};
use crate::model::time::monotonic;
use crate::rpc::{ErrorCode, RpcError};
use crate::service::events::feed::{Feed, Page, Wanted};
use crate::service::subscriptions::draft::Fault;
use crate::service::{Call, ServiceError};
use crate::store::StoreError;
use crate::store::subscriptions::Position;

/// Where a client was.
const LAST_EVENT_ID: &str = "Last-Event-ID";
/// How often a stream says that it is alive, and looks whether its key still is.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// After an error of the store that passes.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a client waits before it comes back, ms.
const RETRY_MS: u32 = 1_000;
/// Longest wait of an answer, seconds.
pub(super) const WAIT_SECONDS_MAX: u64 = 60;
/// Streams and waits of one caller at the same time.
const OPEN_OF_ONE_MAX: usize = 64;
/// Of all.
const OPEN_MAX: usize = 4_096;

/// Who has how many streams open.
#[derive(Debug, Default)]
pub(super) struct Open(Mutex<HashMap<String, usize>>);

/// One of them; counts until it is dropped.
struct Place {
    open: Arc<Open>,
    who: String,
}

impl Open {
    fn enter(self: &Arc<Self>, call: &Call) -> Result<Place, Refused> {
        let who = format!("{}\0{}", call.caller.tenant, call.caller.actor());
        let mut open = self.0.lock();
        let (mine, all) = (open.get(&who).copied().unwrap_or(0), open.values().sum::<usize>());
        if mine >= OPEN_OF_ONE_MAX || all >= OPEN_MAX {
            let error = RpcError::new(ErrorCode::Busy, "too many streams of events are open");
            return Err(Refused::from(error.hint("close one, and try again")));
        }
        *open.entry(who.clone()).or_default() += 1;
        drop(open);
        Ok(Place { open: Arc::clone(self), who })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.0.lock();
        if let Some(count) = open.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.who);
            }
        }
    }
}

/// Serves one request.
pub(super) async fn serve(request: HttpRequest) -> HttpResponse {
    let (shared, request_id) = (Shared::of(&request), request_id(&request));
    let caller = match identity::caller(shared, request.head()) {
        Ok(caller) => caller,
        Err(error) => return unauthenticated(&error, &request_id),
    };
    let app = &shared.app;
    let call = Call::new(caller, Arc::clone(&request_id), None, Arc::clone(&app.base));
    match answer(shared, &call, &request).await {
        Ok(response) => response,
        Err(Refused::Error(error)) if error.code == ErrorCode::RevisionInFuture => {
            let text = "the store has no such revision: it is another one, or an older copy of it";
            detail(StatusCode::GONE, text, Some("begin anew without an id"), &request_id)
        }
        Err(refused) => refusal(&call, refused, &request_id),
    }
}

/// What is asked for.
struct Asked {
    wanted: Wanted,
    from: Option<Position>,
    wait: Option<Duration>,
}

async fn answer(shared: &Shared, call: &Call, request: &HttpRequest) -> Result<HttpResponse, Refused> {
    let asked = read(request)?;
    let place = shared.streams.enter(call)?;
    let doors = shared.doors.subscribe();
    let feed = Feed::open(call, asked.wanted, asked.from).await.map_err(refused)?;
    match asked.wait {
        Some(wait) => {
            let body = wait_for(feed, doors, wait).await.map_err(refused)?;
            let _held = place;
            let mut response = HttpResponse::Ok();
            response.insert_header((CACHE_CONTROL, NO_STORE));
            Ok(response.insert_header((REVISION, revision(shared, 0))).json(body))
        }
        None => Ok(streamed(shared, Streaming { feed, doors, phase: Phase::Begin, _place: place })),
    }
}

/// Reads the query and the id.
fn read(request: &HttpRequest) -> Result<Asked, Refused> {
    let wrong = |place: &'static str, field: &str, message: String, input: &str| {
        let fault = Fault { field: Some(field.to_owned()), kind: "value_error", message, input: input.into() };
        Refused::Faults(vec![(place, fault)])
    };
    let (mut paths, mut types, mut since, mut wait) = (Vec::new(), Vec::new(), None, None);
    for (name, value) in pairs(request)? {
        match name.as_str() {
            "path" => paths.push(value),
            "types" => types.extend(value.split(',').filter(|name| !name.is_empty()).map(str::to_owned)),
            "since" => since = Some(value),
            "wait" => {
                let seconds = value.parse().ok().filter(|seconds| *seconds <= WAIT_SECONDS_MAX);
                let message = || format!("wait must be whole seconds from 0 to {WAIT_SECONDS_MAX}");
                wait = Some(Duration::from_secs(seconds.ok_or_else(|| wrong("query", "wait", message(), &value))?));
            }
            other => return Err(wrong("query", other, "there is no such parameter".to_owned(), &value)),
        }
    }
    let wanted = Wanted::parse(&types, &paths).map_err(|error| wrong("query", "types", error.to_string(), ""))?;
    let header = request.headers().get(LAST_EVENT_ID);
    let header = header.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    // Both have to be good, whichever counts.
    let mut from = None;
    for (place, name, id) in [("query", "since", since), ("header", LAST_EVENT_ID, header)] {
        if let Some(id) = id.filter(|id| !id.is_empty()) {
            let message = || "an id is a revision, or a revision and a part: 17.0".to_owned();
            from = Some(behind(&id).ok_or_else(|| wrong(place, name, message(), &id))?);
        }
    }
    Ok(Asked { wanted, from, wait })
}

/// The place behind an event, or behind a revision.
fn behind(id: &str) -> Option<Position> {
    const MAX: u64 = i64::MAX as u64;
    let number = |text: &str| text.parse::<u64>().ok().filter(|number| *number < MAX);
    match id.split_once('.') {
        None => Some(Position { rev: number(id)?, part: 0 }),
        Some((rev, part)) => Some(Position { rev: number(rev)?.checked_sub(1)?, part: number(part)? + 1 }),
    }
}

/// The id of a place: of the event before it.
fn id_of(place: Position) -> String {
    match place.part.checked_sub(1) {
        None => place.rev.to_string(),
        Some(part) => format!("{}.{part}", place.rev + 1),
    }
}

/// Whether an error will pass.
fn passes(error: &ServiceError) -> bool {
    matches!(error, ServiceError::Store(StoreError::Busy { .. } | StoreError::DeadlineExceeded { .. }))
}

/// The first events, or none after the wait.
async fn wait_for(mut feed: Feed, mut doors: watch::Receiver<bool>, wait: Duration) -> Result<Value, ServiceError> {
    let until = monotonic() + wait;
    loop {
        let page = feed.page().await?;
        let left = until.saturating_duration_since(monotonic());
        if !page.events.is_empty() || left.is_zero() && !page.more || *doors.borrow_and_update() {
            let events: Vec<Value> = page.events.iter().map(crate::service::events::Event::to_json).collect();
            return Ok(json!({ "events": events, "last_event_id": id_of(page.next), "more": page.more }));
        }
        if page.more {
            continue;
        }
        tokio::select! {
            later = feed.changed() => if !later { return Err(StoreError::Closed.into()) },
            _ = doors.changed() => {}
            () = tokio::time::sleep(left) => {}
        }
    }
}

/// How far a stream is.
enum Phase {
    /// Nothing was sent.
    Begin,
    /// Events follow.
    Open,
    /// The last word was said.
    Ended,
}

struct Streaming {
    feed: Feed,
    doors: watch::Receiver<bool>,
    phase: Phase,
    _place: Place,
}

fn streamed(shared: &Shared, streaming: Streaming) -> HttpResponse {
    let parts = stream::unfold(streaming, |mut streaming| async move {
        let part = streaming.next().await?;
        Some((Ok::<_, std::convert::Infallible>(part), streaming))
    });
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, HeaderValue::from_static("text/event-stream")));
    response.insert_header((CACHE_CONTROL, NO_STORE)).insert_header((REVISION, revision(shared, 0)));
    // A compressor would keep events back; so would a proxy that buffers.
    response.insert_header((CONTENT_ENCODING, IDENTITY)).insert_header(("X-Accel-Buffering", "no"));
    response.body(BodyStream::new(Box::pin(parts)))
}

impl Streaming {
    async fn next(&mut self) -> Option<Bytes> {
        match self.phase {
            Phase::Ended => return None,
            Phase::Begin => {
                self.phase = Phase::Open;
                // Who is cut off before the first event comes back to this place.
                return Some(Bytes::from(format!("retry: {RETRY_MS}\nid: {}\n\n", id_of(self.feed.place()))));
            }
            Phase::Open => {}
        }
        let beat = monotonic() + HEARTBEAT;
        loop {
            if *self.doors.borrow_and_update() {
                return Some(self.end("closing", "the server is stopping; come back with the last id"));
            }
            match self.feed.page().await {
                Ok(page) if !page.events.is_empty() => return Some(frames(&page)),
                Ok(page) if page.more => {
                    // A long way without an event for this client: others have their turn.
                    tokio::task::yield_now().await;
                    continue;
                }
                Ok(_) => {}
                Err(error) if passes(&error) => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Err(error) => {
                    let error = RpcError::from(error);
                    return Some(self.end(error.code.name(), &error.message));
                }
            }
            let left = beat.saturating_duration_since(monotonic());
            if left.is_zero() {
                // With the place, so that what was looked through in vain is not looked through again.
                return Some(Bytes::from(format!(": alive\nid: {}\n\n", id_of(self.feed.place()))));
            }
            tokio::select! {
                later = self.feed.changed() => if !later { return Some(self.end("closing", "the server has stopped")) },
                _ = self.doors.changed() => {}
                () = tokio::time::sleep(left) => {}
            }
        }
    }

    /// The last word.
    fn end(&mut self, code: &str, message: &str) -> Bytes {
        self.phase = Phase::Ended;
        Bytes::from(format!("event: end\ndata: {}\n\n", json!({ "code": code, "message": message })))
    }
}

fn frames(page: &Page) -> Bytes {
    let frame = |event: &crate::service::events::Event| {
        format!("id: {}\nevent: {}\ndata: {}\n\n", event.place_text(), event.kind.name(), event.to_json())
    };
    Bytes::from(page.events.iter().map(frame).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_place_in_the_log() {
        for (id, place) in [("0", (0, 0)), ("17", (17, 0)), ("17.0", (16, 1)), ("17.3", (16, 4)), ("1.0", (0, 1))] {
            let place = Position { rev: place.0, part: place.1 };
            assert_eq!(behind(id), Some(place), "{id}");
            assert_eq!(id_of(place), id);
        }
        for bad in ["x", "-1", "0.0", "1.", ".1", "1.2.3", "1,2", "99999999999999999999", "9223372036854775807"] {
            assert_eq!(behind(bad), None, "{bad}");
        }
    }
}
