//! What the mixed load finds: folders, skills and grants for its callers, made over the API by an administrator.
//!
//! An admin and three users, two of them in a group; one of these shares a path with the other. The skills of the system
//! are half for the group, half for the admin alone, so that each caller's list is another.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::super::waves::client::{Client, Target, with_client};
use super::super::waves::judge::result_of;
use super::generator::{Plan, PlannedCaller, skill, wire_bytes};
use super::state::CallerFacts;

/// The caller that rules the tenant.
pub const ADMIN: &str = "admin";
/// The users beside it: who shares, with whom, and one to whom nobody gives anything.
pub const USERS: [&str; 3] = [OWNER, GUEST, "mallory"];
const OWNER: &str = "alice";
const GUEST: &str = "bob";
/// The group of the first two.
const GROUP: &str = "staff";

/// How much is made, and how much is then done.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Clients at once.
    pub clients: u32,
    /// How long they send.
    pub seconds: f64,
    /// Skills in each caller's folder.
    pub skills_per_caller: u64,
    /// Skills below `/skill`.
    pub system_skills: u64,
}

/// A caller in `tenant`.
#[must_use]
pub fn caller(tenant: &str, user: &str, key: &str) -> PlannedCaller {
    let facts = CallerFacts { tenant: tenant.to_owned(), user: user.to_owned(), is_admin: user == ADMIN };
    PlannedCaller { key: key.to_owned(), facts }
}

/// Makes keys for [`USERS`] with the admin's; the admin is among what comes back.
pub fn make_callers(address: SocketAddr, tenant: &str, admin_key: &str) -> Result<Vec<PlannedCaller>, String> {
    let (tenant, key) = (tenant.to_owned(), admin_key.to_owned());
    as_admin(address, admin_key, |admin| async move {
        let mut made = vec![caller(&tenant, ADMIN, &key)];
        for user in USERS {
            let params = json!({"user_id": user, "name": "load", "tenant_id": tenant});
            let new = call(&admin, "admin_create_key", params).await?;
            made.push(caller(&tenant, user, new["api_key"].as_str().ok_or("admin_create_key gave no key")?));
        }
        Ok(made)
    })
}

/// Makes the folders, skills and grants of `callers` ([`ADMIN`] and [`USERS`]); what to do with them.
pub fn provision(
    address: SocketAddr,
    admin_key: &str,
    callers: Vec<PlannedCaller>,
    size: Size,
) -> Result<Plan, String> {
    let callers: BTreeMap<_, _> = callers.into_iter().map(|caller| (caller.facts.user.clone(), caller)).collect();
    let owner = callers.get(OWNER).ok_or_else(|| format!("{OWNER} is not among the callers"))?;
    let plan = Plan {
        address,
        hello_only: false,
        clients: size.clients,
        seconds: size.seconds,
        shared: format!("{}/workspace/shared", owner.home()),
        share_with: GUEST.to_owned(),
        callers,
        admin_key: admin_key.to_owned(),
        skills_per_caller: size.skills_per_caller,
    };
    let making = plan.clone();
    as_admin(address, admin_key, move |admin| async move { make(&admin, &making, size.system_skills).await })?;
    Ok(plan)
}

async fn make(admin: &Client, plan: &Plan, system_skills: u64) -> Result<(), String> {
    for (name, caller) in &plan.callers {
        let home = caller.home();
        call(admin, "mkdir", json!({"path": home, "parents": true, "exist_ok": true})).await?;
        grant(admin, ["user", name], "direct_owner", ["file", &home]).await?;
        for n in 0..plan.skills_per_caller {
            let skill_name = format!("{name}-skill-{n}");
            write(admin, &format!("{home}/skill/{skill_name}/SKILL.md"), &skill(&skill_name, 0)).await?;
        }
    }
    for n in 0..system_skills {
        let skill_name = format!("system-skill-{n}");
        write(admin, &format!("/skill/{skill_name}/SKILL.md"), &skill(&skill_name, 0)).await?;
    }
    // Even numbers are for everybody in the group; whoever is not in it sees fewer.
    for n in (0..system_skills).step_by(2) {
        grant(admin, ["group", GROUP], "direct_viewer", ["file", &format!("/skill/system-skill-{n}")]).await?;
    }
    for user in [OWNER, GUEST] {
        grant(admin, ["user", user], "member", ["group", GROUP]).await?;
    }
    write(admin, &format!("{}/f0.txt", plan.shared), "to be seen, or not").await
}

async fn grant(admin: &Client, subject: [&str; 2], relation: &str, object: [&str; 2]) -> Result<(), String> {
    let params = json!({"subject": subject, "relation": relation, "object": object});
    call(admin, "rebac_create", params).await.map(drop)
}

async fn write(admin: &Client, path: &str, content: &str) -> Result<(), String> {
    call(admin, "write", json!({"path": path, "content": wire_bytes(content)})).await.map(drop)
}

async fn call(admin: &Client, method: &str, params: Value) -> Result<Value, String> {
    result_of(&admin.call(method, &params).await).map_err(|why| format!("{method}: {why}"))
}

fn as_admin<T, F, Fut>(address: SocketAddr, key: &str, work: F) -> Result<T, String>
where
    T: Send + 'static,
    F: FnOnce(Client) -> Fut + Send + 'static,
    Fut: Future<Output = Result<T, String>> + 'static,
{
    let target = Target { url: format!("http://{address}"), key: key.to_owned() };
    with_client(target, work).map_err(|e| e.to_string())?
}
