//! From headers to a caller, as of the newest published revision.

use std::time::Duration;

use actix_web::dev::RequestHead;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName};

use super::state::Shared;
use crate::auth::{AuthError, AuthIndex, Caller, DEMO_KEY, OpenIdentity};

/// Names the agent that acts with its user's key.
const AGENT: HeaderName = HeaderName::from_static("x-agent-id");
/// In open mode: who the caller says to be, `type:id`.
const SUBJECT: HeaderName = HeaderName::from_static("x-nexus-subject");
/// In open mode: the tenant that the caller says to be of.
const TENANT: HeaderName = HeaderName::from_static("x-nexus-tenant-id");

fn header(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// Why a request is nobody's.
#[derive(Debug)]
pub(super) enum Nobody {
    /// Of nobody that is known.
    Unknown(AuthError),
    /// Too often; to be sent again after this time.
    TooOften(Duration),
}

impl From<AuthError> for Nobody {
    fn from(error: AuthError) -> Self {
        Self::Unknown(error)
    }
}

/// Who sent `request`, acting for the agent it names.
pub(super) fn caller(shared: &Shared, request: &RequestHead) -> Result<Caller, Nobody> {
    identify(shared, request, header(request.headers(), AGENT))
}

/// Who the key of `request` speaks for, whatever agent it names.
pub(super) fn key_holder(shared: &Shared, request: &RequestHead) -> Result<Caller, Nobody> {
    identify(shared, request, None)
}

/// Wrong keys are counted, and the requests of those that are right.
fn identify(shared: &Shared, request: &RequestHead, agent: Option<&str>) -> Result<Caller, Nobody> {
    let found = find(shared, request, agent);
    match &found {
        Err(AuthError::Invalid) => {
            let ip = request.peer_addr.map(|peer| peer.ip());
            shared.rates.wrong_key(ip).map_err(Nobody::TooOften)?;
        }
        Ok(caller) => {
            if let Some(key_id) = &caller.key_id {
                shared.rates.request(key_id).map_err(Nobody::TooOften)?;
            }
        }
        Err(_) => {}
    }
    Ok(found?)
}

fn find(shared: &Shared, request: &RequestHead, agent: Option<&str>) -> Result<Caller, AuthError> {
    let store = &shared.app.base.store;
    let published = store.published();
    let index = published.view::<AuthIndex>();
    let headers = request.headers();
    if shared.inside {
        let shown = bearer(headers).ok_or(AuthError::Missing)?;
        return shared.app.services.passes.identify(shown, agent, index, store.clock().now_us());
    }
    if shared.app.open_access {
        let (subject, tenant) = (header(headers, SUBJECT), header(headers, TENANT));
        return index.open_caller(OpenIdentity { subject, tenant, bearer: bearer(headers), agent });
    }
    let now_us = store.clock().now_us();
    let shown = bearer(headers).ok_or(AuthError::Missing)?;
    if shown == DEMO_KEY && !(shared.app.demo && shared.ip().is_loopback()) {
        return Err(AuthError::Invalid);
    }
    let caller = index.identify(shown, agent, now_us, &shared.app.services.hasher)?;
    if let Some(key_id) = &caller.key_id {
        store.key_used(key_id, now_us, caller.use_noted_us());
    }
    Ok(caller)
}

/// Whether `request` may see what is hidden from strangers: on a loopback address everyone, else who has a key.
pub(super) fn sees_detail(shared: &Shared, request: &RequestHead) -> bool {
    shared.ip().is_loopback() || key_holder(shared, request).is_ok()
}
