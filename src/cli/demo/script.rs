//! What the demo consists of: the steps that make it, in order (contract §7.3).
//!
//! One list is both what is provisioned and what is expected, so that the two cannot drift apart. Knows nothing of how
//! a step is done.

use serde_json::{Value, json};

use super::skills;
use crate::model::RandomSource;

/// The home of the demo's user.
pub const HOME: &str = "/tenant:default/user:admin";
/// The demo's user.
pub const USER: &str = "admin";
/// The agent that inherits its owner's rights.
pub const IMPERSONATED: &str = "admin,ImpersonatedUser";
/// The agent that has only what it was granted.
pub const UNTRUSTED: &str = "admin,UntrustedAgent";
/// The folders of a home.
const FOLDERS: &[&str] = &["workspace", "memory", "skill", "agent", "connector", "resource"];
/// Random bytes in the names of things: 12 hex digits.
const ID_BYTES: usize = 6;

/// Who does a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The provisioning itself: `user:system`.
    System,
    /// The demo's user.
    Admin,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A directory; its parents exist or are implicit.
    Directory {
        /// Who.
        by: By,
        /// Its path.
        path: String,
    },
    /// A file; its parents are made when they are missing, and are then implicit.
    File {
        /// Who.
        by: By,
        /// Its path.
        path: String,
        /// Its text.
        body: String,
    },
    /// A registered workspace; its directory exists.
    Workspace {
        /// Its path.
        path: String,
        /// Its name.
        name: &'static str,
    },
    /// An agent of the demo's user; makes `<HOME>/agent/<name>/config.yaml`.
    Agent {
        /// `<user>,<name>`.
        id: &'static str,
        /// Its name.
        name: &'static str,
        /// What it is.
        description: &'static str,
        /// Whether it gets a key of its own.
        key: bool,
        /// Whether it may do what its owner may.
        inherits: bool,
        /// Free.
        metadata: Value,
    },
    /// A relationship in tenant default.
    Tuple {
        /// Type and id.
        subject: (&'static str, &'static str),
        /// The relation; `owner-of` and `viewer` are in no namespace, or a union, and grant nothing.
        relation: &'static str,
        /// The path.
        object: String,
    },
}

/// The random parts of the names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    template: String,
    skill: String,
    logo: String,
    workspace: String,
}

impl Ids {
    /// Draws them.
    pub fn draw(random: &dyn RandomSource) -> Self {
        let draw = || random.hex(ID_BYTES);
        Self { template: draw(), skill: draw(), logo: draw(), workspace: draw() }
    }
}

/// The steps, in order.
#[must_use]
pub fn steps(ids: &Ids) -> Vec<Step> {
    let mut steps = Vec::new();
    shared(ids, &mut steps);
    home(&mut steps);
    workspace(ids, &mut steps);
    for package in skills::packages() {
        steps.push(directory(By::Admin, format!("{HOME}/skill/{package}")));
    }
    for (path, text) in skills::FILES {
        steps.push(file(By::Admin, format!("{HOME}/skill/{path}"), text));
    }
    agents(&mut steps);
    steps
}

fn directory(by: By, path: impl Into<String>) -> Step {
    Step::Directory { by, path: path.into() }
}

fn file(by: By, path: impl Into<String>, body: &str) -> Step {
    Step::File { by, path: path.into(), body: body.into() }
}

fn tuple(subject: (&'static str, &'static str), relation: &'static str, object: impl Into<String>) -> Step {
    Step::Tuple { subject, relation, object: object.into() }
}

fn shared(ids: &Ids, steps: &mut Vec<Step>) {
    let template = format!("/resource/res_default_template_{}", ids.template);
    steps.push(file(By::System, &template, r#"{"type": "template", "version": "1.0"}"#));
    steps.push(tuple(("system", "admin"), "owner-of", template));
    let skill = format!("/skill/skill_summarize_{}", ids.skill);
    steps.push(file(By::System, format!("{skill}/skill.py"), "# Summarize skill"));
    steps.push(tuple(("system", "admin"), "owner-of", skill));
    steps.push(directory(By::System, "/tenant:default"));
    let logo = format!("/tenant:default/resource/res_company_logo_{}", ids.logo);
    steps.push(file(By::System, &logo, "# Company logo placeholder"));
    steps.push(tuple(("tenant", "default"), "owner-of", logo));
}

fn home(steps: &mut Vec<Step>) {
    let folders = FOLDERS.iter().map(|folder| format!("{HOME}/{folder}"));
    for path in std::iter::once(HOME.to_owned()).chain(folders) {
        steps.push(directory(By::System, &path));
        steps.push(file(By::System, format!("{path}/.placeholder"), ""));
        steps.push(tuple(("user", USER), "owner-of", path));
    }
}

fn workspace(ids: &Ids, steps: &mut Vec<Step>) {
    let path = format!("{HOME}/workspace/ws_my_workspace_{}", ids.workspace);
    steps.push(directory(By::Admin, &path));
    steps.push(Step::Workspace { path: path.clone(), name: "my workspace" });
    steps.push(file(By::Admin, format!("{path}/README.md"), include_str!("workspace-readme.md")));
    steps.push(tuple(("user", USER), "owner-of", path));
}

fn agents(steps: &mut Vec<Step>) {
    steps.push(Step::Agent {
        id: IMPERSONATED,
        name: "ImpersonatedUser",
        description: "Digital twin agent - no separate identity, inherits all user permissions",
        key: false,
        inherits: true,
        metadata: json!({ "platform": "langgraph", "endpoint_url": "http://localhost:2024", "agent_id": "agent" }),
    });
    steps.push(Step::Agent {
        id: UNTRUSTED,
        name: "UntrustedAgent",
        description: "Untrusted agent with API key - zero permissions by default, read-only access granted explicitly",
        key: true,
        inherits: false,
        metadata: json!({ "platform": "langgraph", "endpoint_url": "http://localhost:2024", "agent_id": "agent" }),
    });
    steps.push(tuple(("agent", UNTRUSTED), "viewer", format!("{HOME}/resource")));
    steps.push(tuple(("agent", UNTRUSTED), "direct_viewer", format!("{HOME}/skill/skill-creator")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::random::SeededRandom;

    #[test]
    fn parents_come_first() {
        let steps = steps(&Ids::draw(&SeededRandom::new(1)));
        let mut made: Vec<&str> = Vec::new();
        for step in &steps {
            if let Step::Directory { path, .. } = step {
                let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                assert!(parent.is_empty() || made.contains(&parent), "{path} before its parent");
                made.push(path);
            }
        }
        assert!(steps.len() > 60);
    }
}
