//! The consistency check: the engine's own, where it has one, and the numbered rules of `schema.sql`, one query each.
//!
//! Reads only. Each query gives one row of text per violation and none when the rule holds. What SQL cannot say
//! (hashes, files) is checked in Rust under the number of its rule.

use std::ops::ControlFlow;
use std::path::Path;

use crate::model::ContentHash;

use super::backend::Conn;
use super::readers::Slot;
use super::shared::Shared;
use super::statements::statements;
use super::{StoreError, blobs, entities};

statements! {
    /// R1: one head row, and it agrees with the log.
    CHECK_R1 = "SELECT 'head.rev is ' || CAST(rev AS TEXT) || ', the log ends at ' || CAST(ends AS TEXT) FROM \
        (SELECT h.rev AS rev, COALESCE((SELECT MAX(c.rev) FROM changelog AS c), \
        (SELECT CAST(m.value AS BIGINT) FROM meta AS m WHERE m.key = 'floor_rev'), 0) AS ends FROM head AS h) AS log \
        WHERE rev <> ends \
        UNION ALL SELECT 'head has ' || CAST(n AS TEXT) || ' rows' FROM (SELECT COUNT(*) AS n FROM head) AS c \
        WHERE n <> 1";
    /// R2: the log has no gaps and its times do not go back.
    CHECK_R2 = "SELECT 'revision ' || CAST(rev AS TEXT) || ' follows ' || CAST(previous AS TEXT) FROM \
        (SELECT rev, at_us, COALESCE(LAG(rev) OVER (ORDER BY rev), \
        (SELECT CAST(m.value AS BIGINT) FROM meta AS m WHERE m.key = 'floor_rev'), 0) AS previous, \
        LAG(at_us) OVER (ORDER BY rev) AS previous_at FROM changelog) AS log \
        WHERE rev <> previous + 1 OR previous_at > at_us";
    /// R3: every node hangs in the tree.
    CHECK_R3 = "SELECT 'node ' || CAST(n.id AS TEXT) || ' does not lie in a directory' FROM nodes AS n \
        WHERE NOT (n.id = 1 AND n.parent = 0 AND n.name = '') AND NOT (n.detached = 1 AND n.parent = 0 AND n.type = 1) \
        AND NOT EXISTS (SELECT 1 FROM nodes AS p WHERE p.id = n.parent AND p.type = 1) \
        UNION ALL SELECT 'the root is missing' WHERE NOT EXISTS \
        (SELECT 1 FROM nodes AS r WHERE r.id = 1 AND r.parent = 0 AND r.name = '' AND r.type = 1)";
    /// R4: no id was used that has not been given.
    CHECK_R4 = "SELECT 'node ' || CAST(n.id AS TEXT) || ' is not below next_id' FROM nodes AS n, head AS h \
        WHERE n.id >= h.next_id \
        UNION ALL SELECT 'the versions of node ' || CAST(v.node AS TEXT) || ' are not below next_id' \
        FROM versions AS v, head AS h WHERE v.node >= h.next_id \
        UNION ALL SELECT 'entity ' || CAST(e.id AS TEXT) || ' is not below next_entity' FROM entities AS e, head AS h \
        WHERE e.id >= h.next_entity";
    /// R5: files have content, directories have none.
    CHECK_R5 = "SELECT 'node ' || CAST(id AS TEXT) || ' has what its type does not have' FROM nodes \
        WHERE NOT ((type = 0 AND version > 0 AND content IS NOT NULL AND size >= 0) \
        OR (type = 1 AND version = 0 AND content IS NULL AND size = 0))";
    /// R6: the present version of a node is the node.
    CHECK_R6 = "SELECT 'node ' || CAST(n.id AS TEXT) || ' has ' || CAST(COUNT(v.node) AS TEXT) || \
        ' present versions that agree' \
        FROM nodes AS n LEFT JOIN versions AS v ON v.node = n.id AND v.to_rev IS NULL AND v.parent = n.parent \
        AND v.name = n.name AND v.version = n.version \
        AND (v.content = n.content OR (v.content IS NULL AND n.content IS NULL)) \
        WHERE n.detached = 0 GROUP BY n.id HAVING COUNT(v.node) <> 1 \
        UNION ALL SELECT 'node ' || CAST(v.node AS TEXT) || ' is gone and has a present version' FROM versions AS v \
        WHERE v.to_rev IS NULL AND NOT EXISTS (SELECT 1 FROM nodes AS n WHERE n.id = v.node AND n.detached = 0)";
    /// R7: the versions of a node follow each other.
    CHECK_R7 = "SELECT 'the versions of node ' || CAST(node AS TEXT) || ' from ' || CAST(from_rev AS TEXT) || \
        ' overlap or are empty' \
        FROM (SELECT node, from_rev, to_rev, LEAD(from_rev) OVER (PARTITION BY node ORDER BY from_rev) AS following \
        FROM versions) AS v WHERE to_rev <= from_rev \
        OR (following IS NOT NULL AND (to_rev IS NULL OR to_rev > following))";
    /// R8: every body that is named is there.
    CHECK_R8 = "SELECT 'a body of node ' || CAST(named.node AS TEXT) || ' is missing or of another size' FROM \
        (SELECT id AS node, content, size FROM nodes WHERE content IS NOT NULL \
        UNION SELECT node, content, size FROM versions WHERE content IS NOT NULL) AS named \
        LEFT JOIN contents AS c ON c.hash = named.content WHERE c.hash IS NULL OR c.size <> named.size \
        UNION ALL SELECT 'the body of memory ' || m.memory_id || ' is missing or of another size' FROM memories AS m \
        LEFT JOIN contents AS c ON c.hash = m.content WHERE c.hash IS NULL OR c.size <> m.size \
        UNION ALL SELECT 'a body in the database has another length than ' || CAST(size AS TEXT) FROM contents \
        WHERE body IS NOT NULL AND LENGTH(body) <> size";
    /// R9: both ends of a tuple are entities.
    CHECK_R9 = "SELECT 'tuple ' || t.tuple_id || ' names an entity that is not there' FROM tuples AS t \
        WHERE NOT EXISTS (SELECT 1 FROM entities AS e WHERE e.id = t.object) \
        OR NOT EXISTS (SELECT 1 FROM entities AS e WHERE e.id = t.subject)";
    /// R10: tuples of files have the tenant of the node.
    CHECK_R10 = "WITH RECURSIVE tree (id, path) AS (SELECT root.id, root.name FROM nodes AS root WHERE root.id = 1 \
        UNION ALL SELECT n.id, tree.path || '/' || n.name FROM tree JOIN nodes AS n ON n.parent = tree.id) \
        SELECT 'tuple ' || t.tuple_id || ' has another tenant than the file' FROM tree \
        JOIN nodes AS n ON n.id = tree.id \
        JOIN versions AS v ON v.node = n.id AND v.to_rev IS NULL \
        JOIN entities AS e ON e.type = 'file' AND e.name = tree.path AND e.tenant <> n.tenant \
        JOIN tuples AS t ON (t.object = e.id OR t.subject = e.id) AND t.rev > v.from_rev";
    /// R11: rows of skills follow their files.
    CHECK_R11 = "WITH RECURSIVE tree (id, path) AS (SELECT root.id, root.name FROM nodes AS root WHERE root.id = 1 \
        UNION ALL SELECT n.id, tree.path || '/' || n.name FROM tree JOIN nodes AS n ON n.parent = tree.id) \
        SELECT 'the skill of node ' || CAST(s.node AS TEXT) || ' has no live SKILL.md at its path' FROM skills AS s \
        WHERE NOT EXISTS (SELECT 1 FROM tree JOIN nodes AS n ON n.id = tree.id \
        WHERE tree.id = s.node AND tree.path = s.path AND LOWER(n.name) = 'skill.md' AND n.type = 0)";
    /// R12: an implicit directory is there for something.
    CHECK_R12 = "WITH RECURSIVE tree (id, path) AS (SELECT root.id, root.name FROM nodes AS root WHERE root.id = 1 \
        UNION ALL SELECT n.id, tree.path || '/' || n.name FROM tree JOIN nodes AS n ON n.parent = tree.id) \
        SELECT 'directory ' || CAST(n.id AS TEXT) || ' is implicit, and empty or granted on' FROM tree \
        JOIN nodes AS n ON n.id = tree.id WHERE n.implicit = 1 AND (n.type <> 1 \
        OR NOT EXISTS (SELECT 1 FROM nodes AS below WHERE below.parent = n.id) \
        OR EXISTS (SELECT 1 FROM entities AS e JOIN tuples AS t ON t.object = e.id \
        WHERE e.type = 'file' AND e.tenant = n.tenant AND e.name = tree.path))";
    /// R13: one namespace of a type at a time.
    CHECK_R13 = "SELECT 'the namespaces of ' || type || ' from ' || CAST(from_rev AS TEXT) || ' overlap' FROM \
        (SELECT type, from_rev, to_rev, LEAD(from_rev) OVER (PARTITION BY type ORDER BY from_rev) AS following \
        FROM namespaces) AS n WHERE to_rev <= from_rev \
        OR (following IS NOT NULL AND (to_rev IS NULL OR to_rev > following))";
    /// R14: no decision is from the future.
    CHECK_R14 = "SELECT 'a decision on ' || p.object_type || ' ' || p.object_id || ' is from revision ' || \
        CAST(p.rev AS TEXT) \
        FROM permission_cache AS p, head AS h WHERE p.rev > h.rev";
    /// R15: one active sandbox of a name.
    CHECK_R15 = "SELECT 'sandbox ' || name || ' of ' || user_id || ' is active ' || CAST(COUNT(*) AS TEXT) || ' times' \
        FROM sandboxes WHERE status = 'active' GROUP BY tenant, user_id, name HAVING COUNT(*) > 1";
    /// R16: no remembered reply is from the future.
    CHECK_R16 = "SELECT 'a reply of ' || i.method || ' is from revision ' || CAST(i.rev AS TEXT) \
        FROM idempotency AS i, head AS h WHERE i.rev > h.rev";
    /// R17: snapshots are of what has been.
    CHECK_R17 = "SELECT 'snapshot ' || s.snapshot_id || ' is of a revision, a node or a number that cannot be' \
        FROM snapshots AS s, head AS h WHERE s.rev > h.rev OR s.node >= h.next_id OR s.number < 1";
    /// R18: notes follow their trajectory.
    CHECK_R18 = "SELECT 'the notes of trajectory ' || n.trajectory_id || ' have gaps, or are of none' FROM \
        (SELECT trajectory_id, COUNT(*) AS held, MAX(number) AS last, MIN(number) AS first FROM trajectory_notes \
        GROUP BY trajectory_id) AS n WHERE n.first <> 1 OR n.last <> n.held \
        OR NOT EXISTS (SELECT 1 FROM trajectories AS t WHERE t.trajectory_id = n.trajectory_id) \
        UNION ALL SELECT 'trajectory ' || trajectory_id || ' ended before it began, or has no end' FROM trajectories \
        WHERE completed_at_us < started_at_us OR (status <> 'in_progress' AND completed_at_us IS NULL) \
        OR (status = 'in_progress' AND completed_at_us IS NOT NULL)";
    /// R19: what a tenant has is what is counted.
    CHECK_R19 = "SELECT 'tenant ' || n.tenant || ' has ' || CAST(n.files AS TEXT) || ' files of ' || \
        CAST(n.bytes AS TEXT) || ' bytes, counted are ' || CAST(COALESCE(u.files, 0) AS TEXT) || ' of ' || \
        CAST(COALESCE(u.bytes, 0) AS TEXT) FROM (SELECT tenant, COUNT(*) AS files, CAST(SUM(size) AS BIGINT) AS bytes \
        FROM nodes WHERE type = 0 GROUP BY tenant) AS n LEFT JOIN tenant_use AS u ON u.tenant = n.tenant \
        WHERE n.files <> COALESCE(u.files, 0) OR n.bytes <> COALESCE(u.bytes, 0) \
        UNION ALL SELECT 'tenant ' || u.tenant || ' has no file, counted are ' || CAST(u.files AS TEXT) || ' of ' || \
        CAST(u.bytes AS TEXT) || ' bytes' FROM tenant_use AS u WHERE (u.files <> 0 OR u.bytes <> 0) \
        AND u.tenant NOT IN (SELECT n.tenant FROM nodes AS n WHERE n.type = 0)";
    /// R20: each subscription knows how far it has been told, and nobody was told of what has not been.
    CHECK_R20 = "SELECT 'subscription ' || s.subscription_id || ' has no record of deliveries' FROM subscriptions AS s \
        WHERE NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.subscription_id = s.subscription_id) \
        UNION ALL SELECT 'deliveries of ' || d.subscription_id || ' are of no subscription, or of what has not been' \
        FROM deliveries AS d, head AS h WHERE d.rev > h.rev \
        OR NOT EXISTS (SELECT 1 FROM subscriptions AS s WHERE s.subscription_id = d.subscription_id)";
    /// R21: a review is decided or it is not.
    CHECK_R21 = "SELECT 'approval ' || approval_id || ' is ' || status || ', and says otherwise of its review' \
        FROM skill_approvals WHERE status NOT IN ('pending', 'approved', 'rejected') \
        OR (status = 'pending' AND (reviewed_by IS NOT NULL OR reviewed_at_us IS NOT NULL)) \
        OR (status <> 'pending' AND (reviewed_by IS NULL OR reviewed_at_us IS NULL)) \
        OR (status <> 'approved' AND published_at_us IS NOT NULL)";
    /// Every entity, for the part of R9 that is a hash.
    CHECK_ENTITIES = "SELECT id, tenant, type, name, key FROM entities";
    /// Every body that is a file, for the part of R8 that is on disk.
    CHECK_BLOBS = "SELECT hash, size FROM contents WHERE body IS NULL";
    /// Whether one is named.
    CHECK_BLOB = "SELECT 1 FROM contents WHERE hash = ?1 AND body IS NULL";
}

/// The rules that are a query.
const RULES: &[(&str, &str)] = &[
    ("R1", CHECK_R1),
    ("R2", CHECK_R2),
    ("R3", CHECK_R3),
    ("R4", CHECK_R4),
    ("R5", CHECK_R5),
    ("R6", CHECK_R6),
    ("R7", CHECK_R7),
    ("R8", CHECK_R8),
    ("R9", CHECK_R9),
    ("R10", CHECK_R10),
    ("R11", CHECK_R11),
    ("R12", CHECK_R12),
    ("R13", CHECK_R13),
    ("R14", CHECK_R14),
    ("R15", CHECK_R15),
    ("R16", CHECK_R16),
    ("R17", CHECK_R17),
    ("R18", CHECK_R18),
    ("R19", CHECK_R19),
    ("R20", CHECK_R20),
    ("R21", CHECK_R21),
];

/// Violations that are told per rule; more would only hide the next rule's.
const TOLD_MAX: usize = 100;
/// Blob files that are looked for once more.
const ODD_MAX: usize = 10_000;

/// What a check has found.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Nothing in here = everything holds. At most 100 per rule.
    pub violations: Vec<Violation>,
    /// How many rules were checked.
    pub rules: usize,
}

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Violation {
    /// `R1` … `R20`, or the name of SQLite's check.
    pub rule: &'static str,
    /// What is wrong, and where.
    pub what: String,
}

/// Collects the violations of one rule.
struct Found<'a> {
    report: &'a mut Report,
    rule: &'static str,
    told: usize,
}

impl Report {
    /// Adds a finding of another check.
    pub(super) fn add(&mut self, rule: &'static str, what: String) {
        self.violations.push(Violation { rule, what });
    }

    fn rule(&mut self, rule: &'static str) -> Found<'_> {
        self.rules += 1;
        Found { report: self, rule, told: 0 }
    }
}

impl Found<'_> {
    fn tell(&mut self, what: String) -> ControlFlow<()> {
        self.report.violations.push(Violation { rule: self.rule, what });
        self.told += 1;
        if self.told < TOLD_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

/// Runs every check on one snapshot. Takes as long as the store is large.
pub(super) fn run(shared: &Shared, slot: &mut Slot) -> Result<Report, StoreError> {
    // Its rows are of one snapshot and its files of now: nothing is collected in between.
    let _all = shared.pins.hold();
    slot.read(shared, None, |tx| {
        let mut report = Report::default();
        all(tx.conn, &shared.data_dir, &mut report)?;
        Ok(report)
    })
}

/// Runs every check on `conn`: on one snapshot if a transaction is open, else each rule on one of its own.
pub(super) fn all(conn: Conn<'_>, data_dir: &Path, report: &mut Report) -> Result<(), StoreError> {
    if conn.is_lite() {
        engine(conn, report)?;
    }
    for (rule, sql) in RULES {
        let mut found = report.rule(rule);
        conn.each(sql, &[], |row| Ok(found.tell(row.string(0)?)))?;
    }
    entity_keys(conn, &mut report.rule("R9"))?;
    match conn {
        Conn::Lite(_) => blob_files(conn, data_dir, &mut report.rule("R8")),
        #[cfg(feature = "postgres")]
        Conn::Pg(_) => super::chunks::check(conn, |what| report.add("R8", what)),
    }
}

/// SQLite's own checks: the file's structure, its indexes and constraints, the foreign keys.
fn engine(conn: Conn<'_>, report: &mut Report) -> Result<(), StoreError> {
    let mut found = report.rule("integrity_check");
    conn.each("PRAGMA integrity_check", &[], |row| {
        let said = row.string(0)?;
        Ok(if said == "ok" { ControlFlow::Continue(()) } else { found.tell(said) })
    })?;
    let mut found = report.rule("foreign_key_check");
    conn.each("PRAGMA foreign_key_check", &[], |row| {
        Ok(found.tell(format!("a row of {} names a row of {} that is not there", row.text(0)?, row.text(2)?)))
    })
}

/// R9: the key of an entity is the hash of its name.
fn entity_keys(conn: Conn<'_>, found: &mut Found<'_>) -> Result<(), StoreError> {
    conn.each(CHECK_ENTITIES, &[], |row| {
        let right = entities::key(row.text(1)?, row.text(2)?, row.text(3)?) == row.blob(4)?;
        Ok(if right {
            ControlFlow::Continue(())
        } else {
            found.tell(format!("entity {} has the key of another name", row.int(0)?))
        })
    })
}

/// R8: a body that is not in the database is a file of its size. A server beside this may collect one meanwhile: what is
/// not there is looked for once more, its row first.
fn blob_files(conn: Conn<'_>, data_dir: &Path, found: &mut Found<'_>) -> Result<(), StoreError> {
    let is_whole = |hash, size| std::fs::metadata(blobs::path(data_dir, hash)).is_ok_and(|file| file.len() == size);
    let mut odd = Vec::new();
    conn.each(CHECK_BLOBS, &[], |row| {
        let hash: Option<[u8; 32]> = row.blob(0)?.try_into().ok();
        let Some(hash) = hash else { return Ok(found.tell("a content address is not 32 bytes".into())) };
        let (hash, size) = (ContentHash::from_bytes(hash), row.id(1)?);
        if !is_whole(hash, size) {
            odd.push((hash, size));
        }
        Ok(if odd.len() < ODD_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    for (hash, size) in odd {
        let named = conn.number(CHECK_BLOB, crate::params![&hash.as_bytes()[..]])?.is_some();
        if named
            && !is_whole(hash, size)
            && found.tell(format!("the blob {hash} is missing or of another size")).is_break()
        {
            break;
        }
    }
    Ok(())
}
