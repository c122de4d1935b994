//! People of a tenant, as its admin lets them in and sends them away.
//!
//! Who is let in gets directories of his own, a key if he has none that works, and agents if they are wanted. Who is sent
//! away loses every key and every agent in the first message; what follows tidies up.

use crate::auth::{AuthIndex, Caller, Identity, KeyHasher, check_name};
use crate::model::{AgentRow, KeyRow, TupleRow, VirtualPath};
use crate::service::access::{Access, USER};
use crate::service::agents::directory;
use crate::service::agents::ops::{CONFIG_FILE, config, grant_directory, remove_in};
use crate::service::files::free_in_background;
use crate::service::files::ops::{FileBody, make_directories_in, own_in, put_file_in, remove_tree_in};
use crate::service::keys::ops::{NewKey, blank, with_text};
use crate::service::keys::{not_instance_admin, require_admin};
use crate::service::located::Located;
use crate::service::{Call, ServiceError};
use crate::store::{Sql, WriteOp, WriteTx, agents, entities, keys, tuples, workspaces};

/// The directories of a person.
const FOLDERS: [&str; 6] = ["workspace", "memory", "skill", "agent", "connector", "resource"];
/// The agents that a person gets with his directories: name and what it is for.
const AGENTS: [(&str, &str); 2] = [
    ("ImpersonatedUser", "Acts for its user once it is allowed to inherit"),
    ("UntrustedAgent", "Has no rights but those it is granted"),
];
/// Grants of a person that one message takes back.
const GRANTS_AT_ONCE: usize = 500;
/// Most agents of a person who is sent away with one message.
const AGENTS_MAX: usize = 100;

/// Whom to let in.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The person.
    pub user: String,
    /// The tenant; the caller's if it is not given.
    pub tenant: Option<String>,
    /// Whether he gets a key, if he has none that works.
    pub with_key: bool,
    /// Whether he gets agents.
    pub with_agents: bool,
}

/// What somebody got who was let in.
#[derive(Debug, Clone, Default)]
pub struct Arrived {
    /// The tenant.
    pub tenant: String,
    /// Whether nobody of that name had a key before.
    pub is_new: bool,
    /// Whether the tenant had no key before.
    pub is_new_tenant: bool,
    /// The directories that were made.
    pub directories: Vec<VirtualPath>,
    /// The directories of his agents that were made.
    pub agents: Vec<VirtualPath>,
    /// His directory for workspaces.
    pub workspace: String,
    /// Whether a key was made.
    pub has_new_key: bool,
}

fn home(tenant: &str, user: &str) -> Result<VirtualPath, ServiceError> {
    let text = format!("/tenant:{tenant}/user:{user}");
    VirtualPath::parse(&text).map_err(|reason| ServiceError::path(&text, reason))
}

fn check_names(user: &str, tenant: &str) -> Result<(), ServiceError> {
    for (what, name) in [("user_id", user), ("tenant_id", tenant)] {
        check_name(what, name).map_err(|e| ServiceError::InvalidParams(e.to_string()))?;
    }
    // It is the name of a directory, and what stands before the comma of the names of agents.
    match user.contains([',', '/']) {
        true => Err(ServiceError::InvalidParams(format!("user_id '{user}' holds a comma or a slash"))),
        false => Ok(()),
    }
}

/// The caller as of this transaction, if he rules the tenant.
fn require_ruler(tx: &impl Sql, caller: &Caller, tenant: &str) -> Result<Caller, ServiceError> {
    let caller = require_admin(tx, caller)?;
    if caller.administers(tenant) { Ok(caller) } else { Err(not_instance_admin()) }
}

/// Lets a person in. Said again it makes what is missing. Returns the key, if one was made: the only time that its text is
/// at hand.
pub async fn admit(
    call: &Call,
    hasher: &KeyHasher,
    arrival: Arrival,
) -> Result<(Arrived, Option<NewKey>), ServiceError> {
    let tenant = arrival.tenant.clone().unwrap_or_else(|| call.caller.tenant.clone());
    check_names(&arrival.user, &tenant)?;
    home(&tenant, &arrival.user)?;
    let random = call.store.random();
    let key = arrival.with_key.then(|| {
        let (user, now_us) = (arrival.user.clone(), call.store.clock().now_us());
        let row = blank(random.uuid(), tenant.clone(), user.clone(), USER.to_owned(), user, now_us);
        with_text(hasher, KeyRow { name: format!("Key of {}", arrival.user), ..row }, None, &call.store)
    });
    let op = AdmitUser {
        caller: call.caller.clone(),
        user: arrival.user,
        tenant,
        key: key.as_ref().map(|new| new.row.clone()),
        with_agents: arrival.with_agents,
        tuple_ids: (0..TUPLES).map(|_| random.uuid()).collect(),
    };
    let arrived = call.submit(op).await?;
    let key = key.filter(|_| arrived.has_new_key);
    Ok((arrived, key))
}

/// Tuples that a person gets at most: one for his home and each of its folders, two for each agent.
const TUPLES: usize = 1 + FOLDERS.len() + 2 * AGENTS.len();

/// Lets a person in.
#[derive(Debug)]
pub struct AdmitUser {
    /// Who asks.
    pub caller: Caller,
    /// The person.
    pub user: String,
    /// The tenant.
    pub tenant: String,
    /// What is stored of his new key.
    pub key: Option<KeyRow>,
    /// Whether he gets agents.
    pub with_agents: bool,
    /// The ids of his grants; drawn by the request.
    pub tuple_ids: Vec<String>,
}

impl AdmitUser {
    /// The person as a caller, to whom belongs what is made here.
    fn person(&self) -> Caller {
        let person = Identity {
            key_id: None,
            tenant: self.tenant.clone(),
            subject_type: USER.to_owned(),
            subject_id: self.user.clone(),
            user: self.user.clone(),
            agent: None,
            inherits: true,
            is_admin: false,
            is_instance_admin: false,
            confined: false,
        };
        person.into()
    }

    fn has_key(&self, tx: &impl Sql) -> bool {
        let now_us = tx.wall_us();
        let works = |key: &KeyRow| key.subject_type == USER && key.expires_at_us.is_none_or(|at| now_us < at);
        tx.view::<AuthIndex>().keys_of(&self.user, &self.tenant).any(works)
    }

    /// An agent with no rights but on its directory. Returns that directory, if the agent is new.
    fn agent(
        &self,
        tx: &mut WriteTx<'_>,
        (name, purpose): (&str, &str),
        ids: &mut impl Iterator<Item = String>,
    ) -> Result<Option<VirtualPath>, ServiceError> {
        let person = self.person();
        let agent_id = format!("{},{name}", self.user);
        if agents::find(tx, &self.tenant, &agent_id)?.is_some() {
            return Ok(None);
        }
        let row = AgentRow {
            tenant: self.tenant.clone(),
            agent_id,
            user_id: self.user.clone(),
            name: name.to_owned(),
            description: Some(purpose.to_owned()),
            inherit_permissions: false,
            metadata: "{}".to_owned(),
            created_at_us: tx.now_us(),
        };
        let (directory, text) = (directory(&row)?, config(&row)?);
        let row = agents::put(tx, row)?;
        let (owner, own) = (ids.next().unwrap_or_default(), ids.next().unwrap_or_default());
        make_directories_in(tx, &person, &directory, Some(&owner))?;
        grant_directory(tx, &person, &row, &directory, &own)?;
        let path = directory.child(CONFIG_FILE);
        put_file_in(tx, &person, &path, &FileBody::inline(&path, text.into()))?;
        Ok(Some(directory))
    }
}

impl WriteOp for AdmitUser {
    const NAME: &'static str = "user_admit";
    type Output = Arrived;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Arrived, ServiceError> {
        require_ruler(tx, &self.caller, &self.tenant)?;
        check_names(&self.user, &self.tenant)?;
        let home = home(&self.tenant, &self.user)?;
        let workspace = home.child(FOLDERS[0]);
        let index = tx.view::<AuthIndex>();
        let mut arrived = Arrived {
            tenant: self.tenant.clone(),
            is_new: index.keys_of(&self.user, &self.tenant).next().is_none(),
            is_new_tenant: !index.keys().any(|key| key.tenant == self.tenant),
            workspace: workspace.as_str().to_owned(),
            ..Arrived::default()
        };
        let (person, mut ids) = (self.person(), self.tuple_ids.iter().cloned());
        for path in std::iter::once(home.clone()).chain(FOLDERS.map(|folder| home.child(folder))) {
            let tuple_id = ids.next().unwrap_or_default();
            if !Located::find(tx, &path)?.exact {
                make_directories_in(tx, &person, &path, Some(&tuple_id))?;
                arrived.directories.push(path);
            } else if path == home {
                // Somebody has written there before it was anybody's.
                own_in(tx, &person, &path, &self.tenant, &tuple_id)?;
            }
        }
        if self.with_agents {
            for agent in AGENTS {
                arrived.agents.extend(self.agent(tx, agent, &mut ids)?);
            }
        }
        if let Some(key) = self.key.as_ref().filter(|_| !self.has_key(&*tx)) {
            keys::insert(tx, key.clone())?;
            arrived.has_new_key = true;
        }
        Ok(arrived)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.user.len() + 64 * self.tuple_ids.len()
    }
}

/// Whom to send away.
#[derive(Debug, Clone)]
pub struct Departure {
    /// The person.
    pub user: String,
    /// The tenant; the caller's if it is not given.
    pub tenant: Option<String>,
    /// Whether his directory goes, too. It can be brought back as long as deleted files are kept.
    pub with_files: bool,
    /// Whether his grants go, too: whoever gets his name later begins without them.
    pub with_grants: bool,
    /// Even if he is an admin.
    pub force: bool,
}

/// What went with somebody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Departed {
    /// The tenant.
    pub tenant: String,
    /// His directory, if it went.
    pub directories: Vec<VirtualPath>,
    /// Registrations of workspaces and memories in it.
    pub workspaces: usize,
    /// Agents.
    pub agents: usize,
    /// Keys that worked, those of his agents too.
    pub keys: usize,
    /// Whether rows are left to be freed.
    rows_left: bool,
}

/// Sends a person away. Said again it does what is left to be done.
pub async fn dismiss(call: &Call, departure: Departure) -> Result<Departed, ServiceError> {
    let tenant = departure.tenant.clone().unwrap_or_else(|| call.caller.tenant.clone());
    check_names(&departure.user, &tenant)?;
    let (caller, user, with_grants) = (call.caller.clone(), departure.user.clone(), departure.with_grants);
    let op = DismissUser { caller: caller.clone(), tenant: tenant.clone(), departure };
    let departed = call.submit(op).await?;
    let mut left = usize::from(with_grants);
    while left > 0 {
        let op = ForgetGrants { caller: caller.clone(), user: user.clone(), tenant: tenant.clone() };
        left = call.submit_further(op).await?;
    }
    if departed.rows_left {
        free_in_background(call);
    }
    Ok(departed)
}

/// Sends a person away.
#[derive(Debug)]
pub struct DismissUser {
    /// Who asks.
    pub caller: Caller,
    /// The tenant.
    pub tenant: String,
    /// Who goes, and with what.
    pub departure: Departure,
}

impl WriteOp for DismissUser {
    const NAME: &'static str = "user_dismiss";
    const GROWS: bool = false;
    type Output = Departed;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Departed, ServiceError> {
        let caller = require_ruler(tx, &self.caller, &self.tenant)?;
        let user = &self.departure.user;
        let index = tx.view::<AuthIndex>();
        let live: Vec<KeyRow> = index.keys_of(user, &self.tenant).cloned().collect();
        let rows: Vec<AgentRow> = index.agents(&self.tenant).filter(|row| row.user_id == *user).cloned().collect();
        self.check(&caller, &live, rows.len())?;
        let home = home(&self.tenant, user)?;
        let goes = self.departure.with_files && {
            let access = Access::in_writer(&*tx, &caller)?;
            let located = Located::find(tx, &home)?;
            if located.node().is_some_and(|node| node.mixed) && !access.is_instance_admin() {
                return Err(ServiceError::Precondition(format!(
                    "{home} holds files of another tenant; move them first"
                )));
            }
            access.require_unmounted(&home)?;
            located.exact
        };

        let mut departed = Departed { tenant: self.tenant.clone(), agents: rows.len(), ..Departed::default() };
        let now_us = tx.now_us();
        departed.keys = live.len();
        for before in live {
            let after = KeyRow { revoked_at_us: Some(now_us), ..before.clone() };
            keys::update(tx, before, after)?;
        }
        for row in &rows {
            departed.rows_left |= remove_in(tx, &caller, row)?;
        }
        if goes {
            for scope in ["workspace", "memory"] {
                for row in workspaces::of_tenant(tx, &self.tenant, scope)? {
                    if VirtualPath::parse(&row.path).is_ok_and(|path| home.contains(&path)) {
                        workspaces::delete(tx, &row)?;
                        departed.workspaces += 1;
                    }
                }
            }
            departed.rows_left |= remove_tree_in(tx, &home)?;
            departed.directories.push(home);
        }
        Ok(departed)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.departure.user.len()
    }
}

impl DismissUser {
    fn check(&self, caller: &Caller, live: &[KeyRow], agents: usize) -> Result<(), ServiceError> {
        let refused = |text: String| Err(ServiceError::Precondition(text));
        let user = &self.departure.user;
        if *user == caller.user && self.tenant == caller.tenant {
            return refused("you cannot send yourself away; another admin can".into());
        }
        if live.iter().any(|key| key.is_instance_admin) {
            return refused(format!("'{user}' is an instance admin; revoke that key first (admin_revoke_key)"));
        }
        if live.iter().any(|key| key.is_admin) && !self.departure.force {
            return refused(format!("'{user}' is an admin of the tenant; say force to send him away"));
        }
        if agents > AGENTS_MAX {
            return refused(format!("'{user}' has more than {AGENTS_MAX} agents; delete some of them first"));
        }
        Ok(())
    }
}

/// Takes back what a person was granted, a part at a time.
#[derive(Debug)]
pub struct ForgetGrants {
    /// Who asks.
    pub caller: Caller,
    /// The person.
    pub user: String,
    /// The tenant.
    pub tenant: String,
}

impl WriteOp for ForgetGrants {
    const NAME: &'static str = "user_forget";
    const GROWS: bool = false;
    /// How many grants went.
    type Output = usize;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<usize, ServiceError> {
        require_ruler(tx, &self.caller, &self.tenant)?;
        let Some(entity) = entities::find(tx, &self.tenant, USER, &self.user)? else { return Ok(0) };
        let found: Vec<TupleRow> = tuples::on_or_of(tx, entity.id)?.into_iter().take(GRANTS_AT_ONCE).collect();
        for row in &found {
            tuples::delete(tx, row)?;
        }
        Ok(found.len())
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.user.len() + self.tenant.len()
    }
}
