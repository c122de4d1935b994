//! `write_stream`.

use serde_json::json;

use super::super::*;

#[tokio::test]
async fn pieces_are_one_file() {
    let world = World::new().await;
    let wrote = ok(&world, Who::Instance, "write_stream", json!({"path": "/s/a", "chunks": ["one, ", "two"]})).await;
    assert_eq!((&wrote["version"], &wrote["size"]), (&json!(1), &json!(8)));
    assert_eq!(wrote["etag"], json!(blake3::hash(b"one, two").to_hex().as_str()));
    assert!(wrote["modified_at"].as_str().is_some_and(|text| text.contains('T')), "{wrote}");
    let whole = json!({"path": "/s/a", "chunks": {"__type__": "bytes", "data": "AAEC"}});
    assert_eq!(ok(&world, Who::Instance, "write_stream", whole).await["version"], json!(2));
    assert_eq!(
        ok(&world, Who::Instance, "write_stream", json!({"path": "/s/b", "chunks": []})).await["size"],
        json!(0)
    );
    for bad in [json!(7), json!([7]), json!(["a", null]), json!({"__type__": "bytes", "data": "?"})] {
        let refused = world.rpc(Who::Instance, "write_stream", json!({"path": "/s/c", "chunks": bad})).await;
        assert_eq!(refused.expect_err("no bytes").code, -32602, "{bad}");
    }
    let refused = world.rpc(Who::Stranger, "write_stream", json!({"path": "/s/a", "chunks": "x"})).await;
    assert_eq!(refused.expect_err("no right").data["code"], json!("permission_denied"));
    world.close().await;
}
