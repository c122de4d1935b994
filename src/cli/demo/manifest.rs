//! What the seven waves must answer on the demo, computed from the steps that make it, never from a server's answer.

use serde_json::{Value, json};

use super::script::{IMPERSONATED, Step, UNTRUSTED, USER};
use super::skills;
use crate::cli::waves::expect::{Expectations, sandbox};
use crate::cli::waves::plan::{self, Operation};
use crate::model::DEFAULT_TENANT;

/// The file in the data directory.
pub const FILE: &str = "demo-manifest.json";

/// The right bodies for a demo made of `steps` at `at_us` (µs since the epoch; provisioning stops the clock).
#[must_use]
pub fn expectations(steps: &[Step], at_us: i64) -> Expectations {
    let mut made = Expectations::new("the demo's manifest: what was provisioned");
    made.paths = paths(steps);
    for operation in plan::operations() {
        if made.result_of(&operation).is_none() {
            let result = result(&operation, steps, &made.paths, at_us);
            made.add(operation.method, operation.params, result);
        }
    }
    made
}

/// Every file and every directory that was made on purpose, sorted. What a write makes by itself is not listed.
fn paths(steps: &[Step]) -> Vec<String> {
    let mut paths = Vec::new();
    for step in steps {
        match step {
            Step::Directory { path, .. } | Step::File { path, .. } => paths.push(path.clone()),
            Step::Agent { name, .. } => {
                let dir = format!("{}/agent/{name}", super::script::HOME);
                paths.push(format!("{dir}/config.yaml"));
                paths.push(dir);
            }
            // A directory that a write made by itself stays, and is listed, once something is granted on it.
            Step::Tuple { object, .. } => paths.push(object.clone()),
            Step::Workspace { .. } => {}
        }
    }
    paths.sort();
    paths.dedup();
    paths
}

fn result(operation: &Operation, steps: &[Step], paths: &[String], at_us: i64) -> Value {
    let text = |key: &str| operation.params[key].as_str().unwrap_or_default();
    match operation.method {
        "list_mounts" => {
            json!([{ "mount_point": "/", "priority": 0, "readonly": false, "backend_type": "LocalBackend" }])
        }
        "list" => {
            let below = format!("{}/", text("path").trim_end_matches('/'));
            let listed: Vec<&String> = paths.iter().filter(|path| path.starts_with(&below)).collect();
            json!({ "files": listed })
        }
        "list_agents" => steps.iter().filter_map(|step| agent(step, at_us)).collect(),
        "list_workspaces" => steps.iter().filter_map(|step| workspace(step, at_us)).collect(),
        "skills_list" => {
            let skills: Vec<Value> = skills::packages().into_iter().map(skill).collect();
            let count = skills.len();
            json!({ "skills": skills, "count": count })
        }
        // Wave 2 asks for a subject that no step names; that the named ones are there is asked besides.
        "rebac_list_tuples" => json!([]),
        "sandbox_get_or_create" => sandbox(text("name"), USER, DEFAULT_TENANT),
        unknown => unreachable!("the plan has no {unknown}"),
    }
}

fn agent(step: &Step, at_us: i64) -> Option<Value> {
    let Step::Agent { id, name, description, key, inherits, .. } = step else { return None };
    Some(json!({
        "agent_id": id,
        "user_id": USER,
        "name": name,
        "created_at": { "$time_us": at_us },
        "description": description,
        "has_api_key": key,
        "inherit_permissions": inherits,
    }))
}

fn workspace(step: &Step, at_us: i64) -> Option<Value> {
    let Step::Workspace { path, name } = step else { return None };
    Some(json!({
        "path": path,
        "name": name,
        "description": "",
        "created_at": { "$time_us": at_us },
        "created_by": USER,
        "metadata": {},
    }))
}

/// What every package of the demo says of itself below `metadata`.
const VERSION: &str = "1.0.0";
const AUTHOR: &str = "nexus-lite";

fn skill(package: &str) -> Value {
    let (name, description) = skills::front_matter(package);
    json!({
        "name": name,
        "description": description,
        "version": VERSION,
        "author": AUTHOR,
        "tier": "personal",
        "file_path": format!("{}/skill/{package}/SKILL.md", super::script::HOME),
        "requires": [],
    })
}

/// The agents whose tuples the demo must have; the waves ask for those of the second.
pub const AGENTS: [&str; 2] = [IMPERSONATED, UNTRUSTED];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::demo::script::{Ids, steps};
    use crate::cli::waves::client::Answer;
    use crate::cli::waves::judge::judge;
    use crate::model::random::SeededRandom;

    fn demo() -> Expectations {
        expectations(&steps(&Ids::draw(&SeededRandom::new(1))), 1_700_000_000_000_000)
    }

    fn reply(result: &Value) -> Answer {
        Answer { status: 200, body: Ok(json!({ "id": 1, "result": result }).to_string().into()), took: Duration::ZERO }
    }

    #[test]
    fn every_operation_has_a_body() {
        let made = demo();
        for operation in plan::operations() {
            assert!(made.result_of(&operation).is_some(), "{}", operation.name());
        }
        assert!(made.paths.len() > 60 && made.paths.is_sorted());
    }

    /// The bug that started it: a list with one entry less, under HTTP 200.
    #[test]
    fn skills_list_without_one_skill_is_wrong() {
        let made = demo();
        let operation = plan::operations().into_iter().find(|o| o.method == "skills_list").expect("in the plan");
        let right = made.result_of(&operation).expect("known").clone();
        assert_eq!(judge(&reply(&right), &right), Ok(()));
        for at in 0..skills::packages().len() {
            let mut doctored = right.clone();
            let list = doctored["skills"].as_array_mut().expect("a list");
            let gone = list.remove(at);
            doctored["count"] = list.len().into();
            let reason = judge(&reply(&doctored), &right).expect_err("one entry less");
            let name = gone["name"].as_str().expect("a name");
            assert!(reason.contains("5 of 6") && reason.contains(name), "{reason}");
        }
    }
}
