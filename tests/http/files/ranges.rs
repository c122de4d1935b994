//! Reading: the whole, a part, the head alone.

use serde_json::json;

use super::super::{Served, Who};
use super::{body, tag, to_the_end};
use crate::harness::client::request;
use crate::harness::engine::sqlite_only;

/// Bytes that lie in a row, in one piece of a blob, and in many.
const SIZES: [usize; 6] = [0, 1, 1000, 64 << 10, (64 << 10) + 1, (1 << 20) + 12_345];

#[tokio::test]
async fn what_was_put_comes_back_whole_and_in_parts() {
    let served = Served::new().await;
    for size in SIZES {
        let (path, body) = (format!("/r/{size}.bin"), body(size));
        let put = served.put(Who::Instance, &path, &[], &body).await;
        assert_eq!((put.status, put.header("etag")), (201, Some(tag(&body).as_str())));
        let said = put.json();
        assert_eq!((&said["size"], &said["version"]), (&json!(size), &json!(1)));

        let got = served.get(Who::Instance, &path, &[("Accept-Encoding", "gzip, br")]).await;
        assert_eq!((got.status, got.body == body), (200, true), "{size}");
        assert_eq!(got.header("etag"), Some(tag(&body).as_str()));
        assert_eq!(got.header("content-length"), Some(size.to_string().as_str()));
        assert_eq!(got.header("accept-ranges"), Some("bytes"));
        assert_eq!(got.header("content-encoding"), None, "what was stored is sent as it was");
        assert_eq!(got.header("cache-control"), Some("private, no-cache"));
        assert!(got.revision().is_some_and(|rev| rev > 0) && got.header("last-modified").is_some());

        let whole = u64::try_from(size).expect("small");
        for (first, last) in [(0, 0), (whole / 2, whole / 2 + 10), (whole.saturating_sub(1), whole + 5)] {
            let range = format!("bytes={first}-{last}");
            let part = served.get(Who::Instance, &path, &[("Range", &range)]).await;
            if first >= whole {
                assert_eq!((part.status, part.body.len()), (416, 0));
                assert_eq!(part.header("content-range"), Some(format!("bytes */{size}").as_str()));
                continue;
            }
            let end = (last + 1).min(whole);
            assert_eq!(part.status, 206, "{range} of {size}");
            assert_eq!(part.header("content-range"), Some(format!("bytes {first}-{}/{size}", end - 1).as_str()));
            assert_eq!(part.body, body[usize::try_from(first).expect("small")..usize::try_from(end).expect("small")]);
        }
        if size > 5 {
            let last = served.get(Who::Instance, &path, &[("Range", "bytes=-5")]).await;
            assert_eq!((last.status, &last.body[..]), (206, &body[size - 5..]));
        }
        let read = served.ok("read_range", json!({"path": path, "start": 1, "end": size + 9})).await;
        assert_eq!(read["data"].as_str().map_or(0, str::len), size.saturating_sub(1).div_ceil(3) * 4);
    }
    served.stop().await;
}

#[tokio::test]
async fn ranges_that_cannot_be_served_alone_are_not_looked_at() {
    let served = Served::new().await;
    let body = body(500);
    served.put(Who::Instance, "/r/a", &[], &body).await;
    for range in ["bytes=0-1,5-6", "bytes=9-5", "lines=0-1", "bytes=", "bytes=x-", "0-4"] {
        let got = served.get(Who::Instance, "/r/a", &[("Range", range)]).await;
        assert_eq!((got.status, got.body.len()), (200, 500), "{range}");
    }
    // Of the version that the client has, or everything.
    let (etag, other) = (tag(&body), tag(b"other"));
    let asked = |of: String| {
        let served = &served;
        async move { served.get(Who::Instance, "/r/a", &[("Range", "bytes=0-9"), ("If-Range", &of)]).await.status }
    };
    assert_eq!((asked(etag.clone()).await, asked(other).await), (206, 200));
    assert_eq!(asked(format!("W/{etag}")).await, 200, "a weak tag names no bytes");
    let modified = served.get(Who::Instance, "/r/a", &[]).await.header("last-modified").expect("a time").to_owned();
    assert_eq!(asked(modified).await, 206);
    assert_eq!(asked("Thu, 01 Jan 1970 00:00:00 GMT".into()).await, 200);
    served.stop().await;
}

#[tokio::test]
async fn the_head_is_that_of_the_whole() {
    let served = Served::new().await;
    let body = body(200_000);
    served.put(Who::Instance, "/r/a.csv", &[], &body).await;
    let (status, head) = served.head(Who::Instance, "/r/a.csv", &[("Range", "bytes=0-1")]).await;
    assert_eq!(status, 200);
    for line in ["content-length: 200000".to_owned(), "accept-ranges: bytes".into(), format!("etag: {}", tag(&body))] {
        assert!(head.contains(&line), "{line} in {head:?}");
    }
    assert_eq!(served.head(Who::Instance, "/r/b", &[]).await.0, 404);
    assert_eq!(served.head(Who::Instance, "/r/a.csv", &[("If-None-Match", &tag(&body))]).await.0, 304);
    served.stop().await;
}

#[tokio::test]
async fn a_damaged_body_is_never_sent_whole() {
    sqlite_only!("blob files");
    let served = Served::new().await;
    let (small, large) = (body(100_000), body(3 << 20));
    served.put(Who::Instance, "/d/small", &[], &small).await;
    served.put(Who::Instance, "/d/large", &[], &large).await;
    for body in [&small, &large] {
        let hash = nexus_lite::model::ContentHash::of(body);
        let path = nexus_lite::store::blobs::path(served.world.path(), hash);
        let mut damaged = body.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        std::fs::write(path, damaged).expect("damaged");
    }
    let answer = served.get(Who::Instance, "/d/small", &[]).await;
    assert_eq!(served.refused(&answer).await, (500, "integrity".into()));
    // Also the undamaged part of one: it is not known which part that is.
    let answer = served.get(Who::Instance, "/d/large", &[("Range", "bytes=0-9")]).await;
    assert_eq!(served.refused(&answer).await, (500, "integrity".into()));
    // Of what is under way already the end is missing.
    let bearer = format!("Bearer {}", served.world.key(Who::Instance).expect("a key"));
    let (bytes, address) = (request("GET", "/files/d/large", &[("Authorization", &bearer)], b""), served.address());
    let said = tokio::task::spawn_blocking(move || to_the_end(address, &bytes)).await.expect("no panic");
    assert!(said.starts_with(b"HTTP/1.1 200") && said.len() < large.len(), "{} bytes", said.len());
    served.stop().await;
}
