//! The Idempotency-Key of a request: what it stands for, and the answer to a repeat.
//!
//! [`dispatch`](super::dispatch()) asks here before a writing method runs, because what the method checks cheaply has
//! changed by its first run; and again when the method fails, because the first run may just have ended.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::decode::Arguments;
use super::registry::Spec;
use super::{Access, ErrorCode, RequestContext, RpcError};
use crate::service::keyed::Keyed;
use crate::store::StoreError;
use crate::store::idempotency::{self, REPLY_BYTES_MAX, Remembered};

/// Longest key, bytes.
pub const KEY_BYTES_MAX: usize = 255;

/// What the key of a request stands for; `None` if it has none, or changes nothing.
pub(super) fn keyed(
    cx: &RequestContext,
    spec: &Spec,
    arguments: &Arguments<'_>,
) -> Result<Option<Arc<Keyed>>, RpcError> {
    let Some(key) = cx.idempotency_key.as_deref().filter(|_| spec.entry.access != Access::Read) else {
        return Ok(None);
    };
    if key.is_empty() || key.len() > KEY_BYTES_MAX || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let text = format!("Idempotency-Key must have 1 to {KEY_BYTES_MAX} visible ASCII characters");
        return Err(RpcError::invalid_params(text).hint("send a random UUID; the same one with every retry"));
    }
    let caller = &cx.call.caller;
    let name = idempotency::name(&caller.tenant, caller.actor(), key);
    Ok(Some(Arc::new(Keyed::new(name, digest(spec.entry.name, arguments), spec.entry.name))))
}

/// BLAKE3 of a method and its parameters. Their order and the space between them do not count.
fn digest(method: &str, arguments: &Arguments<'_>) -> [u8; 32] {
    let mut pairs: Vec<(&str, String)> = match arguments {
        Arguments::Raw(pairs) => pairs.iter().map(|(name, value)| (&**name, compact(value))).collect(),
        Arguments::Value(map) => map.iter().map(|(name, value)| (name.as_str(), value.to_string())).collect(),
    };
    pairs.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    let mut part = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    part(method);
    for (name, value) in &pairs {
        part(name);
        part(value);
    }
    *hasher.finalize().as_bytes()
}

/// The JSON text without the space between its parts.
fn compact(value: &RawValue) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let keeps = |c: &char| {
        if in_string {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_string = false,
                _ => {}
            }
            return true;
        }
        in_string = *c == '"';
        !c.is_ascii_whitespace()
    };
    value.get().chars().filter(keeps).collect()
}

/// What is remembered under the key of a request: the request was executed, or another one with its key.
pub(super) async fn find(cx: &RequestContext, keyed: &Keyed) -> Result<Option<Remembered>, StoreError> {
    let name = keyed.name;
    cx.call.store.read(move |tx| idempotency::find(tx, &name)).await
}

/// Answers a repeat: appends the reply of the first time to `out`, or says why there is none.
pub(super) fn replay(
    cx: &RequestContext,
    spec: &Spec,
    keyed: &Keyed,
    found: Remembered,
    out: &mut Vec<u8>,
) -> Result<(), RpcError> {
    if found.request != keyed.request {
        let text = format!("this Idempotency-Key was used for another request ({})", found.method);
        return Err(RpcError::new(ErrorCode::IdempotencyKeyReused, text)
            .hint("nothing was done; a key is for one request and its retries: send a new one")
            .with("method", found.method));
    }
    cx.replayed(found.rev);
    match &found.reply {
        Some(reply) => out.extend_from_slice(reply.as_bytes()),
        None => return Err(unkept(spec, &found)),
    }
    Ok(())
}

/// The answer to a repeat whose reply is not kept.
fn unkept(spec: &Spec, found: &Remembered) -> RpcError {
    let (why, hint) = if spec.entry.secret {
        ("its reply held a secret that is shown once", "revoke what it made and ask for another, with a new key")
    } else {
        ("its reply was too long to be kept", "read what it made")
    };
    let limit = if spec.entry.secret { String::new() } else { format!(" (more than {REPLY_BYTES_MAX} bytes)") };
    let text = format!("this request was executed at revision {}; {why}{limit}", found.rev);
    RpcError::new(ErrorCode::AlreadyExecuted, text)
        .hint(hint)
        .with("revision", found.rev)
        .with("method", found.method.as_str())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde_json::json;

    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    #[test]
    fn space_and_order_do_not_count_and_everything_else_does() {
        let digest_of = |pairs: &[(&'static str, &str)]| {
            let values: Vec<_> = pairs.iter().map(|(name, text)| (*name, raw(text))).collect();
            let pairs = values.iter().map(|(name, value)| (Cow::Borrowed(*name), &**value)).collect();
            digest("write", &Arguments::Raw(pairs))
        };
        let one = digest_of(&[("path", r#""/a b""#), ("x", r#"{"k" : [1, "a \" b"]}"#)]);
        assert_eq!(one, digest_of(&[("x", r#"{"k":[1,"a \" b"]}"#), ("path", r#""/a b""#)]));
        let serde_json::Value::Object(map) = json!({"path": "/a b", "x": {"k": [1, "a \" b"]}}) else { unreachable!() };
        assert_eq!(one, digest("write", &Arguments::Value(map)));
        for other in [
            digest_of(&[("path", r#""/ab""#), ("x", r#"{"k":[1,"a \" b"]}"#)]),
            digest_of(&[("path", r#""/a b""#), ("x", r#"{"k":[1,"a \"b"]}"#)]),
            digest_of(&[("path", r#""/a b""#)]),
        ] {
            assert_ne!(one, other);
        }
        assert_ne!(digest("write", &Arguments::Raw(vec![])), digest("delete", &Arguments::Raw(vec![])));
    }
}
