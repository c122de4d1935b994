//! Settings: where each came from, and which of them open a door.

use super::Lines;
use crate::config::{Config, Durability, Origin};

const TOPIC: &str = "settings";

/// Says which settings are not the defaults, and warns of the dangerous ones.
pub(super) fn settings(config: &Config, lines: &mut Lines) {
    let given: Vec<_> = config
        .shown()
        .filter(|(_, _, origin)| **origin != Origin::Default)
        .map(|(name, text, origin)| format!("{name} = {text} ({origin})"))
        .collect();
    match given.is_empty() {
        true => lines.ok(TOPIC, "all are the defaults"),
        false => given.into_iter().for_each(|line| lines.ok(TOPIC, line)),
    }
    if let Some(why) = super::refused(config) {
        lines.fail(TOPIC, format!("serve refuses them: {why}"), "change the setting that is named");
    }
    match config.host.is_loopback() {
        true => lines.ok("door", format!("{}:{} is reached from this machine only", config.host, config.port)),
        false => lines.warn(
            "door",
            format!(
                "{}:{} is reached from other machines, and what is said is not encrypted",
                config.host, config.port
            ),
            "listen on 127.0.0.1 and put a proxy with TLS in front of it",
        ),
    }
    if config.open_access {
        lines.warn(
            "door",
            "open_access: everyone who reaches the port is served without a key",
            "unset open_access and hand out keys: nexus-lite key create --user NAME",
        );
    }
    for origin in config.cors_origins.0.iter().filter(|origin| is_foreign_and_plain(origin)) {
        lines.warn(
            "door",
            format!("cors_origins: pages of {origin} may call, and anybody on the way can change such a page"),
            "name the https:// origin",
        );
    }
    if config.durability == Durability::Relaxed {
        lines.warn(
            TOPIC,
            "durability = relaxed: a power cut may take writes that were acknowledged",
            "unset it, unless that is accepted",
        );
    }
    if config.server_secret.is_some() {
        lines.note(
            TOPIC,
            "server_secret is set: keys are hashed with it and not with the file in the data directory",
            "keep it with the backups; without it no key of today is known after a restore",
        );
    }
}

/// Whether it is a page of another machine that comes without TLS.
fn is_foreign_and_plain(origin: &str) -> bool {
    let host = origin.strip_prefix("http://").map(|host| host.split(':').next().unwrap_or_default());
    host.is_some_and(|host| !matches!(host, "localhost" | "127.0.0.1" | "[") && !host.ends_with(".localhost"))
}
