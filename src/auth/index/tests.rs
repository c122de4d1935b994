//! Who is who, case by case.

use super::*;
use crate::auth::ApiKey;
use crate::model::random::SeededRandom;
use crate::model::{Delta, RandomSource as _};

const NOW: i64 = 1_000_000;

struct World {
    index: AuthIndex,
    hasher: KeyHasher,
    random: SeededRandom,
}

impl World {
    fn new() -> Self {
        Self { index: AuthIndex::default(), hasher: KeyHasher::new(b"a secret"), random: SeededRandom::new(7) }
    }

    fn key(&mut self, tenant: &str, kind: &str, subject: &str, change: impl FnOnce(&mut KeyRow)) -> (ApiKey, KeyRow) {
        let key = ApiKey::generate(&self.random, tenant, kind, subject);
        let mut row = KeyRow {
            key_id: self.random.uuid(),
            hash: self.hasher.hash(key.expose()),
            hash_scheme: SERVER_SCHEME.into(),
            user_id: subject.split(',').next().unwrap_or(subject).into(),
            subject_type: kind.into(),
            subject_id: subject.into(),
            tenant: tenant.into(),
            is_admin: false,
            is_instance_admin: false,
            inherit_permissions: false,
            name: "test".into(),
            created_at_us: 0,
            expires_at_us: None,
            revoked_at_us: None,
        };
        change(&mut row);
        self.index.apply(&Change::Key(Delta::insert(row.clone())), 1);
        (key, row)
    }

    fn agent(&mut self, tenant: &str, agent_id: &str, inherit: bool) -> AgentRow {
        let row = AgentRow {
            tenant: tenant.into(),
            agent_id: agent_id.into(),
            user_id: agent_id.split(',').next().unwrap_or(agent_id).into(),
            name: agent_id.into(),
            description: None,
            inherit_permissions: inherit,
            metadata: "{}".into(),
            created_at_us: 0,
        };
        self.index.apply(&Change::Agent(Delta::insert(row.clone())), 1);
        row
    }

    fn who(&self, key: &ApiKey, agent: Option<&str>) -> Result<Caller, AuthError> {
        self.index.identify(key.expose(), agent, NOW, &self.hasher)
    }
}

#[test]
fn a_user_is_known_by_its_key() {
    let mut world = World::new();
    let (key, row) = world.key("acme", "user", "alice", |_| {});
    let caller = world.who(&key, None).expect("known");
    assert_eq!((caller.tenant.as_str(), caller.user.as_str(), caller.actor()), ("acme", "alice", "user:alice"));
    assert_eq!((caller.key_id.as_deref(), caller.is_admin, caller.inherits), (Some(row.key_id.as_str()), false, true));
    assert_eq!(world.index.refresh(&caller, NOW), Ok(caller));
}

#[test]
fn unknown_revoked_and_expired_keys_are_told_alike() {
    let mut world = World::new();
    let (revoked, _) = world.key("acme", "user", "alice", |k| k.revoked_at_us = Some(1));
    let (expired, _) = world.key("acme", "user", "alice", |k| k.expires_at_us = Some(NOW));
    let (foreign, _) = world.key("acme", "user", "alice", |k| k.hash_scheme = NEXUS_SCHEME.into());
    let unknown = ApiKey::generate(&SeededRandom::new(99), "acme", "user", "alice");
    for key in [&revoked, &expired, &foreign, &unknown] {
        assert_eq!(world.who(key, None), Err(AuthError::Invalid));
    }
    assert_eq!(world.index.identify("", None, NOW, &world.hasher), Err(AuthError::Missing));
    assert_eq!(world.index.identify("sk-short", None, NOW, &world.hasher), Err(AuthError::Invalid));
}

/// The text of a function of `source`, to its closing brace.
fn function<'a>(source: &'a str, head: &str) -> &'a str {
    let from = source.find(head).unwrap_or_else(|| panic!("no {head}"));
    let length = source[from..].find("\n    }\n").expect("it ends");
    &source[from..from + length]
}

/// The source itself is looked at: what a clock says tells more of the machine than of the program.
#[test]
fn a_key_costs_the_same_hashes_and_comparisons_whatever_it_is() {
    let source = include_str!("../index.rs");
    let identify = function(source, "pub fn identify(");
    let first = identify.find("hasher.hash(bearer)").expect("hashed by the server's secret");
    let second = identify.find("self.by_nexus_hash(bearer, hasher)").expect("hashed as the incumbent does");
    let decided = identify.find("server.or(nexus)").expect("decided by both");
    assert!(first < second && second < decided, "{identify}");
    for early in ["?", "return", "if ", "match ", "or_else", "&&", "||"] {
        assert!(!identify[first..decided].contains(early), "`{early}` before both were tried: {identify}");
    }
    let taken_over = function(source, "fn by_nexus_hash(");
    assert_eq!(taken_over.matches("if ").count(), 1, "{taken_over}");
    assert!(taken_over.contains("if self.taken_over == 0 {"), "by the server alone: {taken_over}");
    let compare = function(source, "fn by_shown_hash(");
    assert!(compare.contains("words(stored).ct_eq(&words(shown))"), "{compare}");
    let at = compare.find("ct_eq").expect("just seen");
    for early in ["?", "return", "if ", "match ", "&&"] {
        assert!(!compare[..at].contains(early), "`{early}` before the comparison: {compare}");
    }
    // What stands in for a hash that is not there is as long as one, or the comparison would end at the lengths.
    let nobody = compare.split('"').nth(1).expect("a text");
    let hasher = KeyHasher::new(b"a secret");
    assert_eq!((nobody.len(), nobody.len()), (hasher.hash("a").len(), hasher.nexus_hash("b").len()));
    // And nobody compares them otherwise.
    for source in
        [source, include_str!("../hasher.rs"), include_str!("../key.rs"), include_str!("../../http/identity.rs")]
    {
        let code = source.split("#[cfg(test)]").next().expect("a first part");
        for line in code.lines() {
            let by_text = [".hash ==", "== key.hash", "hash.as_str() ==", "== shown", "!= shown", "hash.eq("];
            assert!(!by_text.iter().any(|way| line.contains(way)), "{line}");
        }
    }
}

#[test]
fn a_hash_shown_as_a_key_opens_nothing() {
    let mut world = World::new();
    let (_, row) = world.key("acme", "user", "alice", |_| {});
    assert_eq!(world.index.identify(&row.hash, None, NOW, &world.hasher), Err(AuthError::Invalid));
    assert_eq!(world.index.identify(&format!("sk-{}", row.hash), None, NOW, &world.hasher), Err(AuthError::Invalid));
}

#[test]
fn keys_taken_over_are_known_by_the_incumbents_hash() {
    let mut world = World::new();
    let text = "sk-default_admin_dddddddd_eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";
    let hash = world.hasher.nexus_hash(text);
    world.key("default", "user", "admin", |k| {
        k.hash = hash;
        k.hash_scheme = NEXUS_SCHEME.into();
        k.is_admin = true;
    });
    let caller = world.index.identify(text, None, NOW, &world.hasher).expect("known");
    assert!(caller.is_admin && !caller.is_instance_admin);
    let (taken_over, ours) = (world.index.keys().next().expect("it").clone(), world.index.clone());
    let revoked = KeyRow { revoked_at_us: Some(NOW), ..taken_over.clone() };
    world.index.apply(&Change::Key(Delta::update(taken_over, revoked.clone())), 2);
    assert_eq!(world.index.identify(text, None, NOW, &world.hasher), Err(AuthError::Invalid));
    assert_eq!(world.index.taken_over, 0, "none is looked for any more");
    world.index.apply(&Change::Key(Delta::delete(revoked)), 3);
    assert_eq!((world.index.taken_over, ours.taken_over), (0, 1));
}

/// A hash that differs in any letter is another.
#[test]
fn the_words_of_a_hash_are_all_of_it() {
    let hash = KeyHasher::new(b"a secret").hash("sk-a");
    for at in 0..hash.len() {
        let mut other = hash.clone();
        other.replace_range(at..=at, "x");
        assert_ne!(words(&hash), words(&other), "{at}");
    }
}

#[test]
fn a_revoked_key_is_gone_at_once_and_from_every_call_that_began_before() {
    let mut world = World::new();
    let (key, row) = world.key("acme", "user", "alice", |_| {});
    let caller = world.who(&key, None).expect("known");
    let before = world.index.clone();
    let after = KeyRow { revoked_at_us: Some(NOW), ..row.clone() };
    world.index.apply(&Change::Key(Delta::update(row, after)), 2);
    assert_eq!(world.who(&key, None), Err(AuthError::Invalid));
    assert_eq!(world.index.refresh(&caller, NOW), Err(AuthError::Invalid));
    assert!(before.refresh(&caller, NOW).is_ok(), "an older revision stays what it was");
    assert_eq!(world.index.tenants_of("alice"), Vec::<String>::new());
}

#[test]
fn an_admin_flag_that_was_taken_is_gone_on_refresh() {
    let mut world = World::new();
    let (key, row) = world.key("acme", "user", "alice", |k| k.is_admin = true);
    let caller = world.who(&key, None).expect("known");
    assert!(caller.administers("acme") && !caller.administers("other"));
    let after = KeyRow { is_admin: false, ..row.clone() };
    world.index.apply(&Change::Key(Delta::update(row, after)), 2);
    assert!(!world.index.refresh(&caller, NOW).expect("known").is_admin);
}

#[test]
fn an_agent_by_header_has_no_more_than_it_inherits() {
    let mut world = World::new();
    let (key, _) = world.key("default", "user", "admin", |k| (k.is_admin, k.is_instance_admin) = (true, true));
    world.agent("default", "admin,Untrusted", false);
    world.agent("default", "admin,Twin", true);
    let untrusted = world.who(&key, Some("admin,Untrusted")).expect("live");
    assert_eq!(untrusted.actor(), "agent:admin,Untrusted");
    assert_eq!((untrusted.inherits, untrusted.is_admin, untrusted.is_instance_admin), (false, false, false));
    assert_eq!((untrusted.user.as_str(), untrusted.writer().as_str()), ("admin", "user:admin,agent:admin,Untrusted"));
    let twin = world.who(&key, Some("admin,Twin")).expect("live");
    assert_eq!((twin.inherits, twin.is_admin, twin.is_instance_admin), (true, true, true));
}

#[test]
fn a_header_must_name_a_live_agent_of_the_same_user_and_tenant() {
    let mut world = World::new();
    let (key, _) = world.key("acme", "user", "alice", |_| {});
    let live = world.agent("acme", "alice,Helper", true);
    world.agent("acme", "bob,Helper", true);
    world.agent("other", "alice,Elsewhere", true);
    for foreign in ["bob,Helper", "alice,Elsewhere", "nobody", "alice"] {
        assert_eq!(world.who(&key, Some(foreign)), Err(AuthError::ForeignAgent), "{foreign}");
    }
    let caller = world.who(&key, Some("alice,Helper")).expect("live");
    world.index.apply(&Change::Agent(Delta::delete(live)), 2);
    assert_eq!(world.index.refresh(&caller, NOW), Err(AuthError::ForeignAgent));
}

#[test]
fn an_agents_own_key_speaks_for_its_live_agent_alone() {
    let mut world = World::new();
    let (key, _) = world.key("acme", "agent", "alice,Helper", |k| k.inherit_permissions = true);
    assert_eq!(world.who(&key, None), Err(AuthError::Invalid), "no such agent");
    let row = world.agent("acme", "alice,Helper", true);
    world.agent("acme", "alice,Other", true);
    let caller = world.who(&key, Some("alice,Helper")).expect("its own id passes");
    assert_eq!((caller.user.as_str(), caller.inherits, caller.is_admin), ("alice", true, false));
    assert_eq!(world.who(&key, Some("alice,Other")), Err(AuthError::ForeignAgent));
    let tamed = AgentRow { inherit_permissions: false, ..row.clone() };
    world.index.apply(&Change::Agent(Delta::update(row.clone(), tamed)), 2);
    assert!(!world.index.refresh(&caller, NOW).expect("live").inherits);
    let sold = AgentRow { user_id: "bob".into(), ..row.clone() };
    world.index.apply(&Change::Agent(Delta::update(row, sold)), 3);
    assert_eq!(world.index.refresh(&caller, NOW), Err(AuthError::Invalid), "another owner");
}

#[test]
fn open_mode_believes_but_never_makes_an_admin() {
    let mut world = World::new();
    world.agent("acme", "alice,Helper", false);
    let open = |subject, tenant, bearer, agent| {
        world.index.open_caller(OpenIdentity { subject, tenant, bearer, agent }).map(|c| {
            assert!(!c.is_admin && !c.is_instance_admin && c.key_id.is_none());
            (c.tenant.clone(), c.subject_type.clone(), c.subject_id.clone())
        })
    };
    let is = |t: &str, k: &str, s: &str| Ok((t.to_owned(), k.to_owned(), s.to_owned()));
    assert_eq!(open(None, None, None, None), is("default", "user", "anonymous"));
    assert_eq!(open(Some("user:alice"), Some("acme"), None, None), is("acme", "user", "alice"));
    assert_eq!(open(None, None, Some("sk-acme_alice_x_y"), None), is("acme", "user", "alice"));
    assert_eq!(open(Some("user:alice"), Some("acme"), None, Some("alice,Helper")), is("acme", "agent", "alice,Helper"));
    assert_eq!(open(Some("user:bob"), Some("acme"), None, Some("alice,Helper")), Err(AuthError::ForeignAgent));
    assert_eq!(open(Some("user:*"), None, None, None), Err(AuthError::Invalid));
    assert_eq!(open(Some("file:/x"), None, None, None), Err(AuthError::Invalid));
}

#[test]
fn users_are_known_per_tenant() {
    let mut world = World::new();
    world.key("b", "user", "alice", |_| {});
    world.key("a", "user", "alice", |_| {});
    world.key("a", "agent", "alice,Helper", |_| {});
    world.key("a", "user", "alicia", |_| {});
    let agent = world.agent("a", "alice,Helper", false);
    world.agent("b", "alice,Helper", false);
    assert_eq!(world.index.tenants_of("alice"), ["a", "b"]);
    assert_eq!(world.index.keys_of("alice", "a").count(), 2);
    assert_eq!(world.index.keys_of_agent(&agent, NOW).count(), 1);
    assert_eq!(world.index.agents("a").count(), 1);
}
