//! Sandboxes, one method a file.

pub mod connect;
pub mod create;
pub mod disconnect;
pub mod get_or_create;
pub mod list;
pub mod pause;
pub mod resume;
pub mod run;
pub mod status;
pub mod stop;
pub mod sync;

pub use connect::SandboxConnect;
pub use create::SandboxCreate;
pub use disconnect::SandboxDisconnect;
pub use get_or_create::SandboxGetOrCreate;
pub use list::SandboxList;
pub use pause::SandboxPause;
pub use resume::SandboxResume;
pub use run::SandboxRun;
pub use status::SandboxStatus;
pub use stop::SandboxStop;
pub use sync::SandboxSync;

use std::any::Any;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use crate::rpc::RequestContext;
use crate::rpc::codec::WireTime;
use crate::rpc::context::Services;
use crate::sandbox::Capabilities;
use crate::service::sandboxes::SandboxInfo;

/// Minutes that a sandbox lives without being used, unless the caller says otherwise.
const TTL_MINUTES: i64 = 10;

/// A secret of a method that is not supported: accepted, and forgotten before anybody could log it.
#[derive(Debug)]
pub struct Unread;

impl<'de> Deserialize<'de> for Unread {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl JsonSchema for Unread {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Unread".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string"})
    }
}

/// A key that is handed on to a program, and shown to nobody else.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Key(String);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// A sandbox.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SandboxView {
    /// The id.
    sandbox_id: String,
    /// The name; unique among the active ones of a user.
    name: String,
    /// The owner.
    user_id: String,
    /// The agent that asked for it.
    agent_id: Option<String>,
    /// The tenant.
    tenant_id: String,
    /// The provider that made it, which may be another than was asked for.
    provider: String,
    /// The template asked for.
    template_id: Option<String>,
    /// `active`, `paused` or `stopped`.
    status: String,
    /// ISO-8601, UTC.
    created_at: String,
    /// ISO-8601, UTC.
    last_active_at: String,
    /// ISO-8601, UTC.
    paused_at: Option<String>,
    /// ISO-8601, UTC.
    stopped_at: Option<String>,
    /// Minutes it lives without being used.
    ttl_minutes: i64,
    /// ISO-8601, UTC; null while it is paused or stopped.
    expires_at: Option<String>,
    /// How long it has been there, or was.
    uptime_seconds: f64,
    /// What it can do.
    capabilities: Capabilities,
    /// Whether its provider was asked and has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<bool>,
    /// What its provider says: `active` or `unknown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_status: Option<&'static str>,
}

impl SandboxView {
    /// Says how the reply is made from what the message gives back. The writer makes it, so what the machine can do is
    /// found out before.
    async fn replies<T: Any>(cx: &RequestContext, info: impl Fn(&T) -> &SandboxInfo + Send + Sync + 'static) {
        cx.services.sandboxes.ready().await;
        let services = Arc::clone(&cx.services);
        cx.reply_with(move |output: &T| Self::of(&services, info(output).clone()));
    }

    async fn new(cx: &RequestContext, info: SandboxInfo) -> Self {
        cx.services.sandboxes.ready().await;
        Self::of(&cx.services, info)
    }

    fn of(services: &Services, info: SandboxInfo) -> Self {
        let iso = |us: i64| WireTime::naive(us).iso();
        let capabilities =
            services.sandboxes.provider(&info.row.provider).map(|p| p.capabilities()).unwrap_or_default();
        let uptime_seconds = info.uptime_seconds();
        let row = info.row;
        Self {
            sandbox_id: row.sandbox_id,
            name: row.name,
            user_id: row.user_id,
            agent_id: row.agent_id,
            tenant_id: row.tenant,
            provider: row.provider,
            template_id: row.template_id,
            status: row.status,
            created_at: iso(row.created_at_us),
            last_active_at: iso(row.last_active_at_us),
            paused_at: row.paused_at_us.map(iso),
            stopped_at: row.stopped_at_us.map(iso),
            ttl_minutes: row.ttl_minutes,
            expires_at: row.expires_at_us.map(iso),
            uptime_seconds,
            capabilities,
            verified: None,
            provider_status: None,
        }
    }

    fn verified(self, verified: bool) -> Self {
        Self { verified: Some(verified), provider_status: Some(if verified { "active" } else { "unknown" }), ..self }
    }
}
