use nexus_lite::rebac::default_namespace;
use serde_json::{Value, json};

use super::{doc, put};
use crate::harness::world::{Who, World};
use crate::rpc::ok;

#[tokio::test]
async fn everybody_who_is_known_reads_the_rules() {
    let world = World::new().await;
    put(&world, "doc", doc()).await;
    for who in Who::KNOWN {
        let list = ok(&world, who, "namespace_list", json!({})).await;
        let rows = list.as_array().expect("a list");
        let types: Vec<&str> = rows.iter().filter_map(|row| row["object_type"].as_str()).collect();
        assert_eq!(types, ["doc", "file", "group", "memory", "playbook", "skill", "trajectory"], "{who:?}");
        let builtin: Vec<bool> = rows.iter().filter_map(|row| row["builtin"].as_bool()).collect();
        assert_eq!(builtin, [false, true, true, true, true, true, true]);
        assert_eq!(rows[0]["created_at"]["__type__"], "datetime");
        assert_eq!((&rows[0]["config"], &rows[1]["config"]), (&doc(), default_namespace("file").expect("built in")));
        assert_eq!((&rows[1]["namespace_id"], &rows[1]["updated_at"]), (&json!("builtin-file"), &Value::Null));
        for method in ["namespace_get", "get_namespace"] {
            let one = ok(&world, who, method, json!({"object_type": "doc"})).await;
            assert_eq!((&one["config"], &one["namespace_id"]), (&doc(), &rows[0]["namespace_id"]));
            assert_eq!(one["created_at"], rows[0]["created_at"]["data"]);
            assert_eq!(ok(&world, who, method, json!({"object_type": "user"})).await, Value::Null);
        }
    }
    assert!(world.rpc(Who::Anonymous, "namespace_list", json!({})).await.is_err());
}
