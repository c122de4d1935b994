//! `If-Match`, `If-None-Match` and the conditions by time: read once, asked of a version.

use std::time::{Duration, SystemTime};

use actix_web::http::header::{
    HeaderMap, HeaderName, HttpDate, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
};

use crate::model::time::MICROS_PER_SECOND;
use crate::rpc::{ErrorCode, RpcError};
use crate::service::files::ops::{Condition, PutOptions};

/// Entity tags of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tags {
    /// `*`.
    Any,
    /// Each with whether it is a weak one.
    Listed(Vec<(bool, String)>),
}

/// What a request wants to be true.
#[derive(Debug, Clone, Default)]
pub(super) struct Conditions {
    matches: Option<Tags>,
    matches_none: Option<Tags>,
    modified_since: Option<SystemTime>,
    unmodified_since: Option<SystemTime>,
    by_time: bool,
}

/// What follows for a request that reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is answered.
    Go,
    /// The client has it: 304.
    NotModified,
    /// 412.
    Failed,
}

impl Conditions {
    /// Reads the headers. Entity tags that are none are refused: a condition that was not understood must not pass.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, RpcError> {
        let by_time = [IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE].iter().any(|name| headers.contains_key(name));
        Ok(Self {
            matches: tags(headers, &IF_MATCH)?,
            matches_none: tags(headers, &IF_NONE_MATCH)?,
            modified_since: date(headers, &IF_MODIFIED_SINCE),
            unmodified_since: date(headers, &IF_UNMODIFIED_SINCE),
            by_time,
        })
    }

    /// Of a version that is there, in the order of RFC 9110.
    pub(super) fn look(&self, etag: &str, modified_at_us: i64) -> Verdict {
        let modified = seconds(modified_at_us);
        let matched = match (&self.matches, self.unmodified_since) {
            (Some(tags), _) => tags.names(etag, false),
            (None, Some(since)) => modified <= since,
            (None, None) => true,
        };
        if !matched {
            return Verdict::Failed;
        }
        let known = match (&self.matches_none, self.modified_since) {
            (Some(tags), _) => tags.names(etag, true),
            (None, Some(since)) => modified <= since,
            (None, None) => false,
        };
        if known { Verdict::NotModified } else { Verdict::Go }
    }

    /// As what the writer tests. Times are too coarse for that.
    pub(super) fn of_a_write(self) -> Result<PutOptions, RpcError> {
        if self.by_time {
            let error = RpcError::new(ErrorCode::InvalidRequest, "Invalid request: a write has no condition by time");
            return Err(error.hint("send the ETag of the file in If-Match"));
        }
        let mut conditions = Vec::new();
        match self.matches {
            None => {}
            Some(Tags::Any) => conditions.push(Condition::Exists),
            // A weak tag is never the one of a version.
            Some(Tags::Listed(tags)) => {
                let strong = tags.into_iter().filter(|(weak, _)| !weak);
                conditions.push(Condition::OneOf(strong.map(|(_, tag)| tag).collect()));
            }
        }
        match self.matches_none {
            None => {}
            Some(Tags::Any) => conditions.push(Condition::Absent),
            Some(Tags::Listed(tags)) => {
                conditions.push(Condition::NoneOf(tags.into_iter().map(|(_, tag)| tag).collect()));
            }
        }
        Ok(PutOptions { conditions, ..PutOptions::default() })
    }
}

/// Whether `If-Range`, if it is there, names this version: else the range is not of what the client has.
pub(super) fn range_is_of(headers: &HeaderMap, etag: &str, modified_at_us: i64) -> bool {
    let Some(text) = headers.get(IF_RANGE) else { return true };
    match text.to_str().map(str::trim) {
        Ok(text) if text.starts_with('"') => text.trim_matches('"') == etag,
        Ok(text) => text.parse::<HttpDate>().is_ok_and(|date| SystemTime::from(date) == seconds(modified_at_us)),
        Err(_) => false,
    }
}

/// As a header can say it.
pub(super) fn seconds(us: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(us / MICROS_PER_SECOND).unwrap_or(0))
}

impl Tags {
    fn names(&self, etag: &str, weakly: bool) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tags) => tags.iter().any(|(weak, tag)| tag == etag && (weakly || !weak)),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if text.trim() == "*" {
            return Some(Self::Any);
        }
        // Without quotes one is taken that stands alone, as clients of the contract send it.
        let bare = text.trim();
        if !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Some(Self::Listed(vec![(false, bare.to_owned())]));
        }
        let (mut tags, mut rest) = (Vec::new(), text.trim_start_matches([' ', '\t', ',']));
        while !rest.is_empty() {
            let strong = rest.strip_prefix("W/");
            let (tag, behind) = one_tag(strong.unwrap_or(rest))?;
            tags.push((strong.is_some(), tag.to_owned()));
            let next = behind.trim_start_matches([' ', '\t']);
            if !next.is_empty() && !next.starts_with(',') {
                return None;
            }
            rest = next.trim_start_matches([' ', '\t', ',']);
        }
        (!tags.is_empty()).then_some(Self::Listed(tags))
    }
}

/// The first tag of `text`, in its quotes, and what is behind it.
fn one_tag(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('"')?.split_once('"')
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, RpcError> {
    if !headers.contains_key(name) {
        return Ok(None);
    }
    let lines: Vec<_> = headers.get_all(name).map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
    match Tags::parse(&lines.join(",")) {
        Some(tags) => Ok(Some(tags)),
        None => {
            let error =
                RpcError::new(ErrorCode::InvalidRequest, format!("Invalid request: {name} holds no entity tag"));
            Err(error.hint("an entity tag stands in double quotes, as ETag shows it; or send *"))
        }
    }
}

/// A date that is none counts as not sent, as RFC 9110 wants it.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    headers.get(name)?.to_str().ok()?.parse::<HttpDate>().ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    const DAY_US: i64 = 86_400 * MICROS_PER_SECOND;

    fn look(headers: &[(HeaderName, &str)]) -> Verdict {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.clone(), HeaderValue::from_str(value).expect("a value"));
        }
        Conditions::read(&map).expect("understood").look("e", DAY_US + 1)
    }

    #[test]
    fn tags_are_compared_as_their_header_wants() {
        assert_eq!(look(&[]), Verdict::Go);
        for (value, verdict) in [
            ("\"e\"", Verdict::Go),
            ("*", Verdict::Go),
            ("\"x\", \"e\"", Verdict::Go),
            ("W/\"e\"", Verdict::Failed),
            ("\"x\"", Verdict::Failed),
        ] {
            assert_eq!(look(&[(IF_MATCH, value)]), verdict, "If-Match: {value}");
        }
        for (value, verdict) in [
            ("\"e\"", Verdict::NotModified),
            ("W/\"e\"", Verdict::NotModified),
            ("*", Verdict::NotModified),
            ("\"x\",\"y\"", Verdict::Go),
        ] {
            assert_eq!(look(&[(IF_NONE_MATCH, value)]), verdict, "If-None-Match: {value}");
        }
        assert_eq!(look(&[(IF_NONE_MATCH, "\"x\""), (IF_NONE_MATCH, "\"e\"")]), Verdict::NotModified);
        assert_eq!(look(&[(IF_MATCH, "\"x\""), (IF_NONE_MATCH, "\"e\"")]), Verdict::Failed);
    }

    #[test]
    fn times_count_where_no_tag_does() {
        let (then, before) = ("Fri, 02 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(look(&[(IF_MODIFIED_SINCE, then)]), Verdict::NotModified);
        assert_eq!(look(&[(IF_MODIFIED_SINCE, before)]), Verdict::Go);
        assert_eq!(look(&[(IF_MODIFIED_SINCE, "yesterday")]), Verdict::Go);
        assert_eq!(look(&[(IF_MODIFIED_SINCE, then), (IF_NONE_MATCH, "\"x\"")]), Verdict::Go);
        assert_eq!(look(&[(IF_UNMODIFIED_SINCE, then)]), Verdict::Go);
        assert_eq!(look(&[(IF_UNMODIFIED_SINCE, before)]), Verdict::Failed);
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        for bad in ["{}", "e-f", "\"e", "e\"", "\"a\" \"b\"", "", ",", "* , \"a\"", "a, b", "W/7", "\"a\", b"] {
            assert_eq!(Tags::parse(bad), None, "{bad}");
        }
        assert_eq!(Tags::parse(" 5f2c "), Some(Tags::Listed(vec![(false, "5f2c".into())])));
        assert_eq!(
            Tags::parse(", \"a\" ,, W/\"b,c\","),
            Some(Tags::Listed(vec![(false, "a".into()), (true, "b,c".into())]))
        );
    }
}
