//! The load that broke the incumbent: seven waves, thirty operations.
//!
//! Owns what is sent, never what is right.

use serde_json::{Value, json};

/// How many operations one round at scale 1 has.
pub const OPERATIONS: usize = 30;

/// The names of the sandboxes that wave 6 asks for: the two agents of the demo.
pub const SANDBOX_NAMES: &[&str] = &["admin,ImpersonatedUser", "admin,UntrustedAgent"];

/// One request of a wave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// 1 to 7.
    pub wave: usize,
    /// The RPC method.
    pub method: &'static str,
    /// Its parameters.
    pub params: Value,
}

impl Operation {
    fn new(wave: usize, method: &'static str, params: Value) -> Self {
        Self { wave, method, params }
    }

    /// A name for people that tells the operations of a wave apart: the method and its texts.
    #[must_use]
    pub fn name(&self) -> String {
        let texts = self.params.as_object().into_iter().flat_map(|params| params.values()).filter_map(Value::as_str);
        std::iter::once(self.method).chain(texts).collect::<Vec<_>>().join(" ")
    }

    /// Whether two operations ask the same, so that one body is right for both.
    #[must_use]
    pub fn asks_the_same(&self, method: &str, params: &Value) -> bool {
        self.method == method && self.params == *params
    }
}

/// The thirty operations, in order of their waves.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let list = |wave, path: &str| Operation::new(wave, "list", json!({ "path": path }));
    let skills = |wave, times| (0..times).map(move |_| Operation::new(wave, "skills_list", json!({})));
    let mut plan = vec![
        Operation::new(1, "list_mounts", json!({})),
        list(1, "/"),
        list(1, "/tenant:default/"),
        list(1, "/tenant:default/user:admin/"),
        Operation::new(2, "list_agents", json!({})),
        Operation::new(2, "rebac_list_tuples", json!({ "subject_type": "agent", "subject_id": "admin" })),
        Operation::new(2, "list_workspaces", json!({})),
    ];
    plan.extend(skills(3, 5));
    plan.extend(["skill", "agent", "workspace"].map(|dir| list(4, &format!("/tenant:default/user:admin/{dir}/"))));
    plan.extend(skills(5, 3));
    plan.extend(SANDBOX_NAMES.iter().map(|name| Operation::new(6, "sandbox_get_or_create", json!({ "name": name }))));
    plan.extend(skills(7, 10));
    plan
}

/// What an empty answer of wave 2 is checked against: this one must not be empty, or the server has lost its tuples.
#[must_use]
pub fn witness() -> (&'static str, Value) {
    ("rebac_list_tuples", json!({ "subject_type": "agent", "subject_id": "admin,UntrustedAgent" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_waves_of_thirty() {
        let plan = operations();
        assert_eq!(plan.len(), OPERATIONS);
        let sizes: Vec<usize> = (1..=7).map(|wave| plan.iter().filter(|o| o.wave == wave).count()).collect();
        assert_eq!(sizes, [4, 3, 5, 3, 3, 2, 10]);
        assert_eq!(plan.iter().filter(|o| o.method == "skills_list").count(), 18);
    }
}
