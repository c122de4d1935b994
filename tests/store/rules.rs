//! The numbered rules of `schema.sql`: each is broken by hand once, and the check says which.

use nexus_lite::store::{StoreError, WriteOp, WriteTx, check::Report};

use super::{add, open, origin};
use crate::harness::engine::sqlite_only;

/// Runs statements past everything that keeps the rules.
struct Break(&'static [&'static str]);

impl WriteOp for Break {
    const NAME: &'static str = "test_break";
    const UNRECORDED: bool = true;
    type Output = ();
    type Error = StoreError;
    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        self.0.iter().try_for_each(|sql| tx.exec(sql, &[]))
    }
    fn bytes(&self) -> usize {
        0
    }
}

async fn check_after(broken: &'static [&'static str]) -> Report {
    let t = open();
    for name in ["a", "b"] {
        t.store.submit(origin(), add(name)).await.expect("written");
    }
    let sound = t.store.check().await.expect("checked");
    assert_eq!(sound.violations, []);
    t.store.submit(origin(), Break(broken)).await.unwrap_or_else(|error| panic!("{broken:?}: {error}"));
    t.store.check().await.expect("checked")
}

const FILE: &str = "INSERT INTO nodes (parent, name, id, tenant, type, implicit, mixed, detached, content, size, version, \
    created_at_us, modified_at_us, created_by) \
    VALUES (1, 'f', 2, 'default', 0, 0, 0, 0, x'00', 1, 1, 0, 0, 'user:u')";
const FILE_VERSION: &str = "INSERT INTO versions (node, from_rev, to_rev, parent, name, version, content, size, \
    created_at_us, created_by, source) VALUES (2, 1, NULL, 1, 'f', 1, x'00', 1, 0, 'user:u', 'original')";
const FILE_CONTENT: &str = "INSERT INTO contents (hash, size, body, created_at_us) VALUES (x'00', 1, x'41', 0)";
const NEXT: &str = "UPDATE head SET next_id = 10, next_entity = 10";
const FILE_ENTITY: &str = "INSERT INTO entities (id, tenant, type, name, key) VALUES (5, 'other', 'file', '/f', x'01')";
const TUPLE: &str = "INSERT INTO tuples (object, relation, subject, subject_relation, tuple_id, created_at_us, created_by, rev) \
    VALUES (5, 'viewer', 1, '', 't', 0, 'user:u', 2)";
const TRAJECTORY: &str = "INSERT INTO trajectories (trajectory_id, tenant, user_id, task, status, started_at_us) \
    VALUES ('t', 't', 'u', 'task', 'in_progress', 0)";
const NOTE: &str = "INSERT INTO trajectory_notes (trajectory_id, number, note_id, what, type, at_us) \
    VALUES ('t', 1, 'n', 'step', 'action', 0)";

#[tokio::test]
async fn every_rule_that_is_broken_is_named() {
    sqlite_only!("the rules are broken in its words");
    let cases: &[(&str, &[&str])] = &[
        ("R1", &["DELETE FROM changelog WHERE rev = 2"]),
        ("R2", &["DELETE FROM changelog WHERE rev = 1"]),
        ("R2", &["UPDATE changelog SET at_us = 1 WHERE rev = 2"]),
        ("R3", &["UPDATE nodes SET parent = 77 WHERE id = 1"]),
        ("R3", &["DELETE FROM nodes"]),
        ("R4", &["UPDATE head SET next_id = 1"]),
        ("R4", &["UPDATE head SET next_entity = 2"]),
        ("R5", &["UPDATE nodes SET version = 3"]),
        ("R6", &["DELETE FROM versions"]),
        ("R6", &["UPDATE versions SET name = 'elsewhere'"]),
        ("R6", &["DELETE FROM nodes"]),
        ("R7", &[NEXT, FILE, FILE_VERSION, FILE_CONTENT, "UPDATE versions SET to_rev = 1 WHERE node = 2"]),
        (
            "R7",
            &[
                "INSERT INTO versions (node, from_rev, to_rev, parent, name, version, size, created_at_us, created_by, source) \
            VALUES (1, 1, NULL, 0, '', 0, 0, 0, 'u', 'move')",
            ],
        ),
        ("R8", &[NEXT, FILE, FILE_VERSION]),
        ("R8", &[NEXT, FILE, FILE_VERSION, FILE_CONTENT, "UPDATE contents SET size = 2"]),
        ("R8", &["INSERT INTO contents (hash, size, body, created_at_us) VALUES (x'00', 1, NULL, 0)"]),
        (
            "R8",
            &["INSERT INTO contents (hash, size, body, created_at_us) \
            VALUES (x'0000000000000000000000000000000000000000000000000000000000000000', 1, NULL, 0)"],
        ),
        ("R9", &[TUPLE]),
        ("R9", &["UPDATE entities SET name = 'c' WHERE id = 1"]),
        ("R10", &[NEXT, FILE, FILE_VERSION, FILE_CONTENT, FILE_ENTITY, TUPLE]),
        (
            "R11",
            &["INSERT INTO skills (node, path, name, description, requires) VALUES (9, '/SKILL.md', 'n', 'd', '[]')"],
        ),
        ("R12", &["UPDATE nodes SET implicit = 1"]),
        (
            "R13",
            &[
                "INSERT INTO namespaces (type, from_rev, to_rev, namespace_id, config, hash, created_at_us, updated_at_us) \
            VALUES ('t', 1, NULL, 'a', '{}', x'00', 0, 0), ('t', 2, NULL, 'b', '{}', x'00', 0, 0)",
            ],
        ),
        (
            "R14",
            &[
                "INSERT INTO permission_cache (tenant, subject_type, subject_id, permission, object_type, object_id, key, \
            decision, rev, engine, incarnation, at_us) VALUES ('t', 'u', 's', 'read', 'file', '/f', x'00', 1, 99, 1, 'i', 0)",
            ],
        ),
        (
            "R15",
            &[
                "DROP INDEX sandboxes_active",
                "INSERT INTO sandboxes (sandbox_id, name, tenant, user_id, provider, status, created_at_us, last_active_at_us, ttl_minutes) \
            VALUES ('a', 'n', 't', 'u', 'local', 'active', 0, 0, 1), ('b', 'n', 't', 'u', 'local', 'active', 0, 0, 1)",
            ],
        ),
        ("R16", &["INSERT INTO idempotency (key, request, method, rev, at_us) VALUES (x'00', x'00', 'write', 99, 0)"]),
        (
            "R17",
            &[
                "INSERT INTO snapshots (key, number, snapshot_id, path, tenant, node, rev, tags, created_by, created_at_us) \
            VALUES (x'00', 1, 's', '/w', 't', 1, 99, '[]', 'u', 0)",
            ],
        ),
        (
            "R8",
            &[
                "INSERT INTO memories (memory_id, tenant, user_id, scope, owner, memory_type, importance, state, content, size, \
            created_at_us, updated_at_us) VALUES ('m', 't', 'u', 'user', 'user:u', 'fact', 0, 'active', x'07', 1, 0, 0)",
            ],
        ),
        ("R18", &[NOTE]),
        ("R18", &[TRAJECTORY, NOTE, "UPDATE trajectory_notes SET number = 2"]),
        ("R18", &[TRAJECTORY, "UPDATE trajectories SET status = 'success'"]),
        ("R19", &["INSERT INTO tenant_use (tenant, files, bytes) VALUES ('t', 1, 0)"]),
        ("R19", &[NEXT, FILE, FILE_VERSION, FILE_CONTENT]),
        ("R20", &["INSERT INTO deliveries (subscription_id, rev, part, failures, missed) VALUES ('s', 0, 0, 0, 0)"]),
        (
            "R20",
            &["INSERT INTO subscriptions (subscription_id, tenant, url, event_types, enabled, created_at_us, \
            updated_at_us, created_by, subject_type, subject_id) VALUES ('s', 't', 'u', '[]', 1, 0, 0, 'u', 'user', 'u')"],
        ),
        (
            "R21",
            &["INSERT INTO skill_approvals (approval_id, tenant, skill_name, path, digest, submitted_by, \
            submitted_at_us, reviewers, status) VALUES ('a', 't', 's', '/s', '', 'u', 0, '[]', 'approved')"],
        ),
    ];
    for (rule, broken) in cases {
        let report = check_after(broken).await;
        assert!(report.violations.iter().any(|v| v.rule == *rule), "{rule} after {broken:?}: {report:?}");
    }
    let named: std::collections::BTreeSet<_> = cases.iter().map(|(rule, _)| *rule).collect();
    assert_eq!(named.len(), 21, "every rule is broken once");
}
