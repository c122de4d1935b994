//! The JSON-RPC envelope: what comes in is taken apart here, what goes out is put together here.
//!
//! Must never know a method or a transport. Invariant: once the `id` is known, every answer echoes it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{ErrorCode, RpcError};
use super::unique;

/// Nesting of a request, levels. `serde_json` stops at the same depth; refusing here makes the answer the same for
/// every method, whatever it does with the part that is too deep.
pub const DEPTH_MAX: usize = 127;

/// Values that the parameters may hold: more than any method takes. A value in memory is many times as large as the
/// two bytes that announce it, so that the limit of the body alone would not bound the memory of a request.
pub const VALUES_MAX: usize = 200_000;

/// The `id` of a request, echoed as it was written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Id<'a>(Option<&'a RawValue>);

impl Id<'_> {
    /// The JSON text: a string, an integer or `null`.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.map_or("null", RawValue::get)
    }
}

/// A request, taken apart. Borrows the body.
#[derive(Debug)]
pub struct Request<'a> {
    /// The id to echo.
    pub id: Id<'a>,
    /// The text of `params`, an object; `None` when absent or null.
    pub params: Option<&'a RawValue>,
}

/// A body that is no request, with the id to answer to.
#[derive(Debug)]
pub struct Refused<'a> {
    /// The id to echo, as far as it was read.
    pub id: Id<'a>,
    /// Why.
    pub error: RpcError,
}

impl Refused<'_> {
    fn unnamed(error: RpcError) -> Self {
        Self { id: Id::default(), error }
    }
}

#[derive(Deserialize)]
struct RawRequest<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

/// Takes the body of `POST …/{url_method}` apart. An empty body is `{}`; `jsonrpc` is not looked at, as clients know it.
pub fn parse<'a>(body: &'a [u8], url_method: &str) -> Result<Request<'a>, Refused<'a>> {
    if body.is_empty() {
        return Ok(Request { id: Id::default(), params: None });
    }
    if nests_deeper_than(body, DEPTH_MAX) {
        let what = format!("the body is nested deeper than {DEPTH_MAX} levels");
        return Err(Refused::unnamed(RpcError::parse(what)));
    }
    let fields = match well_formed(body) {
        Some(fields) => fields,
        None => fields_of(body)?,
    };
    let id = parse_id(fields.id).map_err(Refused::unnamed)?;
    if let Err(error) = same_method(fields.method, url_method) {
        return Err(Refused { id, error });
    }
    match fields.params {
        None => Ok(Request { id, params: None }),
        Some(params) => match params.get().as_bytes().first() {
            Some(b'{') if has_more_values_than(params.get().as_bytes(), VALUES_MAX) => {
                let what = format!("{url_method}: `params` hold more than {VALUES_MAX} values");
                Err(Refused { id, error: RpcError::invalid_params(what).hint("send less at once") })
            }
            Some(b'{') => match unique::twice(params.get()) {
                None => Ok(Request { id, params: Some(params) }),
                Some(what) => {
                    let error = RpcError::invalid_params(format_args!("{url_method}: {what}"));
                    Err(Refused { id, error: error.hint("say each thing once: readers would take different ones") })
                }
            },
            Some(b'n') => Ok(Request { id, params: None }),
            _ => {
                let what = format!("{url_method}: `params` must be an object with named parameters");
                Err(Refused { id, error: RpcError::invalid_params(what) })
            }
        },
    }
}

/// The fields of a body that is a request object, taken apart in one pass.
fn well_formed(body: &[u8]) -> Option<RawRequest<'_>> {
    let text = str::from_utf8(body).ok()?;
    // Without the look at the first letter a list would do, too.
    text.trim_ascii_start().starts_with('{').then(|| serde_json::from_str(text).ok()).flatten()
}

/// The same of any body, with the words about what is wrong with it.
fn fields_of(body: &[u8]) -> Result<RawRequest<'_>, Refused<'_>> {
    let raw: &RawValue = serde_json::from_slice(body).map_err(|e| Refused::unnamed(RpcError::parse(e)))?;
    match raw.get().as_bytes().first() {
        Some(b'{') => {}
        Some(b'[') => {
            let error = invalid("batch requests are not supported; send one request object per POST");
            return Err(Refused::unnamed(error));
        }
        _ => return Err(Refused::unnamed(invalid("the body is not a JSON-RPC request object"))),
    }
    serde_json::from_str(raw.get())
        .map_err(|e| Refused::unnamed(if e.is_data() { invalid(strip_position(&e)) } else { RpcError::parse(e) }))
}

fn invalid(what: impl std::fmt::Display) -> RpcError {
    RpcError::new(ErrorCode::InvalidRequest, format!("Invalid request: {what}"))
}

fn parse_id(raw: Option<&RawValue>) -> Result<Id<'_>, RpcError> {
    let Some(raw) = raw else { return Ok(Id::default()) };
    let text = raw.get();
    // Parsing proves that a string is valid text (no lone surrogate), so that the echo is valid JSON.
    let valid = match text.as_bytes().first() {
        Some(b'"') if !text.contains('\\') => true,
        Some(b'"') => serde_json::from_str::<String>(text).is_ok(),
        Some(b'n') => true,
        _ => text.bytes().all(|b| b.is_ascii_digit() || b == b'-'),
    };
    if valid { Ok(Id(Some(raw))) } else { Err(invalid("`id` must be a string, an integer or null")) }
}

fn same_method(raw: Option<&RawValue>, url_method: &str) -> Result<(), RpcError> {
    let Some(raw) = raw else { return Ok(()) };
    // No method has a name that JSON would write in another way.
    if unquoted(raw.get()) == Some(url_method) {
        return Ok(());
    }
    let named: Option<String> = serde_json::from_str(raw.get()).map_err(|_| invalid("`method` must be a string"))?;
    match named {
        Some(named) if named != url_method => {
            let text = format!("Method mismatch: URL={url_method}, body={named}");
            Err(RpcError::new(ErrorCode::InvalidRequest, text))
        }
        _ => Ok(()),
    }
}

/// What stands between the quotes of a JSON string.
fn unquoted(json: &str) -> Option<&str> {
    json.strip_prefix('"')?.strip_suffix('"')
}

/// The text of a JSON error without its "at line 1 column 9", which means nothing inside a part of a body.
pub(super) fn strip_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

/// Whether `json` opens more than `limit` brackets at once.
fn nests_deeper_than(json: &[u8], limit: usize) -> bool {
    // Counting is one pass at memory speed; only a body with many brackets pays for the exact walk.
    if json.iter().filter(|b| matches!(b, b'[' | b'{')).count() <= limit {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Whether `json`, which is valid, holds more than `limit` values (give or take the empty lists).
fn has_more_values_than(json: &[u8], limit: usize) -> bool {
    let begins_one = |b: &u8| matches!(b, b',' | b'[' | b'{');
    // As above: only what may be too much is looked at closely.
    if json.iter().filter(|b| begins_one(b)).count() <= limit {
        return false;
    }
    let (mut values, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if !in_string && begins_one(byte) => values += 1,
            _ => {}
        }
    }
    values > limit
}

/// Begins a success: everything before the result.
pub fn begin_result(out: &mut Vec<u8>, id: Id<'_>) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.as_json().as_bytes());
    out.extend_from_slice(br#","result":"#);
}

/// What follows the result of a success.
const RESULT_END: &[u8] = b"}";
/// Its length: whoever knows how long a result is leaves room for it.
pub const RESULT_END_BYTES: usize = RESULT_END.len();

/// Ends a success.
pub fn end_result(out: &mut Vec<u8>) {
    out.extend_from_slice(RESULT_END);
}

/// The whole body of a refusal.
#[must_use]
pub fn error_body(id: Id<'_>, error: &RpcError, request_id: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.as_json().as_bytes());
    out.extend_from_slice(br#","error":"#);
    out.extend_from_slice(error.to_wire(request_id).to_string().as_bytes());
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> (ErrorCode, String, String) {
        let refused = parse(body.as_bytes(), "list").expect_err(body);
        (refused.error.code, refused.error.message, refused.id.as_json().to_owned())
    }

    #[test]
    fn takes_what_clients_send() {
        assert!(parse(b"", "list").expect("empty").params.is_none());
        let request = parse(br#"{"jsonrpc":"2.0","id":"a\"b","method":"list","params":{"path":"/"}}"#, "list");
        let request = request.expect("whole");
        assert_eq!(request.id.as_json(), r#""a\"b""#);
        assert_eq!(request.params.map(RawValue::get), Some(r#"{"path":"/"}"#));
        for (body, id) in [
            (r#"{"id":18446744073709551617,"params":null}"#, "18446744073709551617"),
            (r#"{"id":-1,"method":null}"#, "-1"),
            (r#"{"id":null}"#, "null"),
            ("{}", "null"),
            (r#"{"jsonrpc":1,"other":[1]}"#, "null"),
        ] {
            let request = parse(body.as_bytes(), "list").expect(body);
            assert_eq!(request.id.as_json(), id);
            assert!(request.params.is_none());
        }
    }

    #[test]
    fn tells_what_is_wrong() {
        for (body, code) in [
            (r#"{"jsonrpc":"2.0","#, ErrorCode::Parse),
            ("{} x", ErrorCode::Parse),
            ("[]", ErrorCode::InvalidRequest),
            (r#"[{"id":1}]"#, ErrorCode::InvalidRequest),
            ("5", ErrorCode::InvalidRequest),
            ("\"x\"", ErrorCode::InvalidRequest),
            (r#"{"id":1.5}"#, ErrorCode::InvalidRequest),
            (r#"{"id":{}}"#, ErrorCode::InvalidRequest),
            (r#"{"id":true}"#, ErrorCode::InvalidRequest),
            (r#"{"id":"\ud800"}"#, ErrorCode::InvalidRequest),
            (r#"{"id":1,"id":2}"#, ErrorCode::InvalidRequest),
        ] {
            let (found, _, id) = refused(body);
            assert_eq!((found, id.as_str()), (code, "null"), "{body}");
        }
        assert!(refused("[]").1.contains("batch requests are not supported"));
        assert_eq!(
            refused(r#"{"id":7,"method":"read"}"#),
            (ErrorCode::InvalidRequest, "Method mismatch: URL=list, body=read".into(), "7".into())
        );
        let (code, _, id) = refused(r#"{"id":"k","params":["/"]}"#);
        assert_eq!((code, id.as_str()), (ErrorCode::InvalidParams, "\"k\""));
        assert_eq!(parse(b"{\"id\":\"\xff\"}", "list").expect_err("not UTF-8").error.code, ErrorCode::Parse);
    }

    #[test]
    fn the_number_of_values_is_bounded() {
        let wide = |n: usize| format!("{{\"id\":7,\"params\":{{\"a\":[{}1]}}}}", "1,".repeat(n));
        assert!(parse(wide(VALUES_MAX - 2).as_bytes(), "list").is_ok());
        let (code, message, id) = refused(&wide(VALUES_MAX));
        assert_eq!((code, id.as_str()), (ErrorCode::InvalidParams, "7"));
        assert!(message.contains("more than 200000 values"), "{message}");
        let objects = format!("{{\"params\":{{\"a\":[{}1]}}}}", "{},".repeat(VALUES_MAX / 2));
        assert_eq!(refused(&objects).0, ErrorCode::InvalidParams);
        let commas_in_text = format!("{{\"params\":{{\"a\":\"\\\"{}\"}}}}", ",[{".repeat(VALUES_MAX));
        assert!(parse(commas_in_text.as_bytes(), "list").is_ok());
    }

    #[test]
    fn depth_is_bounded() {
        let deep = |n: usize| format!("{{\"params\":{{\"a\":{}{}}}}}", "[".repeat(n), "]".repeat(n));
        assert!(parse(deep(DEPTH_MAX - 2).as_bytes(), "list").is_ok());
        assert_eq!(refused(&deep(DEPTH_MAX - 1)).0, ErrorCode::Parse);
        assert_eq!(refused(&deep(100_000)).0, ErrorCode::Parse);
        assert_eq!(refused(&"[".repeat(100_000)).0, ErrorCode::Parse);
        let brackets_in_text = format!("{{\"params\":{{\"a\":\"\\\"{}\"}}}}", "[{".repeat(1000));
        assert!(parse(brackets_in_text.as_bytes(), "list").is_ok());
    }
}
