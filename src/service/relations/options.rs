//! The options of the permission engine: fixed bounds, to be looked at. Nothing can be set, and why is said.

use crate::model::nearest;
use crate::rebac::limits;
use crate::service::access::Access;
use crate::service::relations::checks::BATCH_CHECKS_MAX;
use crate::service::relations::namespaces::require_instance_admin;
use crate::service::{Call, ServiceError};

/// An option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineOption {
    /// Its name.
    pub key: &'static str,
    /// Its value; `None` = there is nothing of the kind.
    pub value: Option<u64>,
    /// What the value counts.
    pub unit: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

const fn bound(key: &'static str, value: u64, unit: &'static str, meaning: &'static str) -> EngineOption {
    EngineOption { key, value: Some(value), unit, meaning }
}

/// All of them, by name.
const OPTIONS: &[EngineOption] = &[
    bound("batch_checks_max", BATCH_CHECKS_MAX as u64, "checks", "most checks of one rebac_check_batch"),
    EngineOption {
        key: "cache_ttl",
        value: None,
        unit: "seconds",
        meaning: "there is no time to live: what is cached is used only while it is what a fresh evaluation would give, \
                  so a revoked right is gone with the next check",
    },
    bound("closure_cache_bytes", limits::CLOSURE_CACHE_BYTES, "bytes", "memory for the sets that subjects are in"),
    bound(
        "edges_per_request",
        limits::EDGES_PER_REQUEST,
        "edges",
        "work of one request; beyond it the answer is 'indeterminate', which is never a yes",
    ),
    EngineOption {
        key: "max_depth",
        value: None,
        unit: "levels",
        meaning: "there is no limit of depth: groups may nest and form rings as they like; a request is bounded by its \
                  work (edges_per_request)",
    },
    bound("reach_cache_bytes", limits::REACH_CACHE_BYTES, "bytes", "memory for the paths that subjects can reach"),
    bound("relations_max", limits::RELATIONS_MAX as u64, "names", "relation names that can be told apart"),
    bound("rule_depth_max", limits::RULE_DEPTH_MAX as u64, "levels", "rules nested in each other in one namespace"),
    bound("rules_max", limits::RULES_MAX as u64, "rules", "rules and references of one namespace"),
];

fn find(key: &str) -> Result<EngineOption, ServiceError> {
    if let Some(option) = OPTIONS.iter().find(|option| option.key == key) {
        return Ok(*option);
    }
    let keys = || OPTIONS.iter().map(|option| option.key);
    let meant = nearest(key, keys()).map_or_else(String::new, |near| format!("did you mean '{near}'? "));
    let all = keys().collect::<Vec<_>>().join(", ");
    Err(ServiceError::InvalidParams(format!("there is no option '{key}'; {meant}Options: {all}")))
}

/// One option.
pub async fn get(call: &Call, key: &str) -> Result<EngineOption, ServiceError> {
    let caller = call.caller.clone();
    call.read(move |tx| Access::new(tx, &caller, None).map(|_| ())).await?;
    find(key)
}

/// Refuses to set one, and says why.
pub async fn set(call: &Call, key: &str) -> Result<(), ServiceError> {
    let caller = call.caller.clone();
    call.read(move |tx| require_instance_admin(tx, &caller)).await?;
    let option = find(key)?;
    let hint = match option.value {
        None => option.meaning.to_owned(),
        Some(value) => format!("it is fixed at {value} {}: {}", option.unit, option.meaning),
    };
    Err(ServiceError::NotSupported { message: format!("the option '{key}' cannot be set; nothing was changed"), hint })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_are_in_order_and_found() {
        assert!(OPTIONS.is_sorted_by(|a, b| a.key < b.key));
        assert_eq!(find("edges_per_request").expect("known").value, Some(limits::EDGES_PER_REQUEST));
        assert_eq!(find("max_depth").expect("known").value, None);
        let unknown = find("max_deph").expect_err("unknown").to_string();
        assert!(unknown.contains("did you mean 'max_depth'"), "{unknown}");
    }
}
