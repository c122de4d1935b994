//! One delivery: what is sent, how it is signed, and what its end means for another attempt.
//!
//! Knows nothing of the log and of who is told; `deliver` decides that. Invariant: an attempt that another one would not
//! change is told as such, so that nobody waits for it.

use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::model::time::{MICROS_PER_SECOND, iso_naive};
use crate::model::{SubscriptionRow, hex};
use crate::outbound::{OutboundError, Post, Target};
use crate::service::events::wire;
use crate::store::Store;
use crate::telemetry::metric;

use super::Subscription;
use super::deliver::{Hooks, Waits};

/// Pauses between the attempts of one delivery.
pub(super) const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// Why an attempt is over.
pub(super) enum Ended {
    /// The receiver did not take it.
    Failed(String),
    /// It was not taken, and another attempt would not change that.
    Final(String),
    /// The subscription was changed, or the server stops.
    Stopped,
}

impl Hooks {
    /// Sends one event that tests a subscription, with all attempts; the id of the event, and why it was not taken.
    pub async fn test(&self, store: &Store, subscription: &Subscription) -> (String, Option<String>) {
        let row = &subscription.row;
        let id = format!("evt_test_{}", store.random().hex(4));
        let now_us = store.now_us();
        let event = json!({
            "id": id,
            "event": "file_write",
            "timestamp": format!("{}Z", iso_naive(now_us)),
            "data": wire::test_data(&row.tenant, &row.created_by, now_us),
        });
        let mut waits = Waits { canceled: self.stopping.subscribe(), touched: self.touched.subscribe() };
        let mut pauses = PAUSES.into_iter();
        loop {
            let why = match self.attempt(store, row, &id, "file_write", &event).await {
                Ok(()) => return (id, None),
                Err(Ended::Stopped) => OutboundError::Stopped.to_string(),
                Err(Ended::Final(why)) => why,
                Err(Ended::Failed(why)) => match pauses.next() {
                    Some(pause) if waits.pause(store, pause).await => continue,
                    _ => why,
                },
            };
            return (id, Some(why));
        }
    }

    /// One attempt.
    pub(super) async fn attempt(
        &self,
        store: &Store,
        row: &SubscriptionRow,
        event_id: &str,
        kind: &str,
        event: &Value,
    ) -> Result<(), Ended> {
        let body = Bytes::from(wire::delivery(event, &row.subscription_id, row.metadata.as_deref()));
        let ended = match self.send(store, row, event_id, kind, body).await {
            Ok(200..300) => {
                metric::WEBHOOK_DELIVERIES.count(&[("result", "taken")]);
                return Ok(());
            }
            Ok(status @ 300..400) => {
                Ended::Final(format!("the receiver answered {status}, and it is not followed to where that leads"))
            }
            Ok(status) => Ended::Failed(format!("the receiver answered {status}")),
            Err(OutboundError::Stopped) => return Err(Ended::Stopped),
            Err(error) if error.is_final() => Ended::Final(error.to_string()),
            Err(error) => Ended::Failed(error.to_string()),
        };
        metric::WEBHOOK_DELIVERIES.count(&[("result", "refused")]);
        Err(ended)
    }

    async fn send(
        &self,
        store: &Store,
        row: &SubscriptionRow,
        event_id: &str,
        kind: &str,
        body: Bytes,
    ) -> Result<u16, OutboundError> {
        let target = Target::parse(&row.url)?;
        let seconds = store.clock().now_us().div_euclid(MICROS_PER_SECOND);
        let delivery = blake3::hash(format!("{}\0{event_id}", row.subscription_id).as_bytes()).to_hex();
        let mut headers = vec![
            ("X-Nexus-Event", kind.to_owned()),
            ("X-Nexus-Delivery-Id", format!("del_{}", &delivery[..16])),
            ("X-Nexus-Timestamp", seconds.to_string()),
        ];
        if let Some(sealed) = &row.secret {
            let secret = self.hasher.unseal(&row.subscription_id, sealed);
            let secret = secret.ok_or(OutboundError::Failed("its secret cannot be opened; set it again"))?;
            let dated = [format!("{seconds}.").as_bytes(), &body].concat();
            headers.push(("X-Nexus-Signature", format!("sha256={}", signature(&secret, &body))));
            headers.push(("X-Nexus-Signature-Dated", format!("t={seconds},sha256={}", signature(&secret, &dated))));
        }
        self.outbound.post(Post { target, headers, body }).await
    }
}

/// HMAC-SHA256, hex.
fn signature(secret: &str, bytes: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(bytes);
    hex(&mac.finalize().into_bytes())
}
