//! Mounts.

mod jobs;
mod local;
mod odd;
mod readonly;
mod sync;
mod writable;

use nexus_lite::model::MountRow;
use nexus_lite::store::{Origin, Sql, StoreError, WriteOp, WriteTx, mounts};
use serde_json::json;

use super::{INVALID_PATH, ok, refused};
use crate::harness::world::{Who, World};

/// A mount of a tenant, with a secret in its settings.
struct Mounted(&'static str, &'static str);

impl WriteOp for Mounted {
    const NAME: &'static str = "test_mount";
    type Output = ();
    type Error = StoreError;
    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        let row = MountRow {
            mount_point: self.1.to_owned(),
            backend_type: "GCSBackend".into(),
            backend_config: r#"{"secret": "hunter2"}"#.into(),
            priority: 5,
            readonly: true,
            tenant: self.0.to_owned(),
            mount_id: "of a test".into(),
            active: true,
            saved: false,
            owner: None,
            description: None,
            created_at_us: tx.now_us(),
            updated_at_us: tx.now_us(),
        };
        mounts::insert(tx, row)
    }
    fn bytes(&self) -> usize {
        64
    }
}

#[tokio::test]
async fn the_root_is_there_and_mounts_of_others_are_not() {
    let world = World::new().await;
    let root = json!({"mount_point": "/", "priority": 0, "readonly": false, "backend_type": "LocalBackend"});
    for who in Who::KNOWN {
        assert_eq!(ok(&world, who, "list_mounts", json!({})).await, json!([root]), "{who:?}");
    }
    world.store.submit(Origin::system("test"), Mounted("acme", "/mnt/acme")).await.expect("mounted");
    let other = json!({"mount_point": "/mnt/acme", "priority": 5, "readonly": true, "backend_type": "GCSBackend"});
    for (who, sees) in [(Who::OtherUser, true), (Who::Instance, true), (Who::Admin, false), (Who::Alice, false)] {
        let wanted = if sees { json!([other, root]) } else { json!([root]) };
        assert_eq!(ok(&world, who, "list_mounts", json!({})).await, wanted, "{who:?}");
        let at = json!({"mount_point": "/mnt/acme/"});
        assert_eq!(ok(&world, who, "has_mount", at.clone()).await, json!(sees), "{who:?}");
        let wanted = if sees { other.clone() } else { json!(null) };
        assert_eq!(ok(&world, who, "get_mount", at).await, wanted, "{who:?}");
    }
    refused(&world, Who::Alice, "get_mount", json!({"mount_point": "/a/../b"}), INVALID_PATH).await;
}

/// Where the tests mount.
const MNT: &str = "/mnt/host";

/// Mounts the test's directory of the machine at [`MNT`].
async fn mounted(world: &World, readonly: bool) -> std::path::PathBuf {
    let host = world.host();
    let config = json!({"data_dir": host});
    let params = json!({"mount_point": MNT, "backend_type": "local", "backend_config": config, "readonly": readonly});
    assert_eq!(ok(world, Who::Instance, "add_mount", params).await, json!(MNT));
    host
}

/// Writes a file of the machine, with its directories.
fn put(host: &std::path::Path, name: &str, body: impl AsRef<[u8]>) {
    let path = host.join(name);
    std::fs::create_dir_all(path.parent().expect("a directory")).expect("directories");
    std::fs::write(path, body).expect("a file");
}

/// Syncs everything that is mounted at [`MNT`].
async fn synced(world: &World) -> serde_json::Value {
    ok(world, Who::Instance, "sync_mount", json!({"mount_point": MNT})).await
}

/// Asserts some fields of a result.
fn has(result: &serde_json::Value, wanted: serde_json::Value) {
    for (key, value) in wanted.as_object().expect("an object") {
        assert_eq!(&result[key], value, "{key} of {result}");
    }
}
