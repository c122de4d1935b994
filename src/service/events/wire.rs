//! An event as JSON, in the fields that clients know.

use serde_json::{Value, json};

use crate::model::time::iso_naive;

use super::{Event, EventKind};

/// `2025-12-17T22:53:05.660123Z`.
fn iso_z(us: i64) -> String {
    format!("{}Z", iso_naive(us))
}

impl Event {
    /// `{"id", "event", "timestamp", "revision", "data"}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "event": self.kind.name(),
            "timestamp": iso_z(self.at_us),
            "revision": self.rev,
            "data": self.data(),
        })
    }

    /// What a client sends back as `Last-Event-ID`: the revision and the place in it.
    #[must_use]
    pub fn place_text(&self) -> String {
        format!("{}.{}", self.rev, self.part)
    }

    /// The fields of its kind. A path that the reader may not see is null.
    fn data(&self) -> Value {
        let row = self.to.as_ref().or(self.from.as_ref()).map(|spot| &spot.row);
        let size = row.map(|row| row.size);
        let etag = row.and_then(|row| row.content.clone());
        let path = |spot: &Option<super::Spot>| spot.as_ref().map(|spot| spot.path.as_str().to_owned());
        let is_directory = row.is_some_and(|row| row.kind == crate::model::NodeKind::Directory);
        let (tenant, agent, user, at) = (&self.tenant, &self.agent, &self.user, iso_z(self.at_us));
        match self.kind {
            EventKind::FileWrite | EventKind::MetadataChange => json!({
                "file_path": path(&self.to), "size": size, "etag": etag, "version": row.map(|row| row.version),
                "tenant_id": tenant, "agent_id": agent, "user_id": user, "created": self.created, "timestamp": at,
            }),
            EventKind::FileDelete => json!({
                "file_path": path(&self.from), "size": size, "etag": etag,
                "tenant_id": tenant, "agent_id": agent, "user_id": user, "timestamp": at,
            }),
            EventKind::FileRename => json!({
                "old_path": path(&self.from), "new_path": path(&self.to), "size": size, "etag": etag,
                "tenant_id": tenant, "agent_id": agent, "user_id": user, "is_directory": is_directory, "timestamp": at,
            }),
            EventKind::DirectoryCreate | EventKind::DirectoryDelete => json!({
                "file_path": path(if self.kind == EventKind::DirectoryCreate { &self.to } else { &self.from }),
                "tenant_id": tenant, "agent_id": agent, "user_id": user, "timestamp": at,
            }),
        }
    }
}

/// The data of the event that tests a subscription.
pub(in crate::service) fn test_data(tenant: &str, user: &str, at_us: i64) -> Value {
    json!({
        "file_path": "/test/webhook-test.txt", "size": 0, "etag": null, "version": 1, "tenant_id": tenant,
        "agent_id": null, "user_id": user, "created": true, "timestamp": iso_z(at_us), "_test": true,
    })
}

/// The body of a delivery.
pub(in crate::service) fn delivery(event: &Value, subscription: &str, metadata: Option<&str>) -> Vec<u8> {
    let metadata: Value = metadata.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let mut body = event.clone();
    body["subscription"] = json!({ "id": subscription, "metadata": metadata });
    serde_json::to_vec(&body).expect("JSON values serialise")
}
