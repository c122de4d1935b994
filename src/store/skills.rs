//! The front matter of every SKILL.md of the tree.
//!
//! Owns the table `skills`: derived from files, written by the transaction that writes, moves or deletes them, so
//! that a listing of skills is one query. Does not parse anything and knows no tiers: those follow from the path.

use std::ops::ControlFlow;

use super::footprint::Scope;
use super::statements::statements;
use super::{Row, Sql, StoreError, WriteTx, nodes};
use crate::model::{NodeId, NodeRow, VirtualPath};
use crate::params;

/// The name of the file that a skill stands in; in any case of letters.
pub const SKILL_FILE: &str = "SKILL.md";
/// Characters of a path that the index holds.
const PATH_INDEX_CHARS: usize = 600;

statements! {
    /// The skills whose path lies in a range of the index, with the nodes of their files.
    SKILLS_BETWEEN = "SELECT s.node, s.path, s.name, s.description, s.version, s.author, s.requires, \
         s.created_at, s.modified_at, n.parent, n.name, n.id, n.tenant, n.type, n.owner, n.implicit, n.mixed, n.content, \
         n.size, n.version, n.mime, n.created_at_us, n.modified_at_us, n.created_by \
         FROM skills AS s JOIN nodes AS n ON n.id = s.node \
         WHERE substr(s.path, 1, 600) >= ?1 AND substr(s.path, 1, 600) <= ?2 ORDER BY s.path";
    /// The ids and paths of the skills in a range of the index.
    SKILL_PATHS_BETWEEN = "SELECT node, path FROM skills \
         WHERE substr(path, 1, 600) >= ?1 AND substr(path, 1, 600) <= ?2";
    /// One, new or changed.
    PUT_SKILL = "INSERT INTO skills (node, path, name, description, version, author, requires, created_at, \
         modified_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
         ON CONFLICT (node) DO UPDATE SET path = excluded.path, name = excluded.name, \
         description = excluded.description, version = excluded.version, author = excluded.author, \
         requires = excluded.requires, created_at = excluded.created_at, modified_at = excluded.modified_at";
    /// Another path for the same file.
    MOVE_SKILL = "UPDATE skills SET path = ?2 WHERE node = ?1";
    /// Its end.
    DELETE_SKILL = "DELETE FROM skills WHERE node = ?1";
}

/// What a SKILL.md says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SkillRow {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its version, as written.
    pub version: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// The names of the skills it needs.
    pub requires: Vec<String>,
    /// ISO text, as written.
    pub created_at: Option<String>,
    /// ISO text, as written.
    pub modified_at: Option<String>,
}

/// A skill and the file it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkillFile {
    /// The path of the SKILL.md.
    pub path: String,
    /// What it says.
    pub skill: SkillRow,
    /// Its node: tenant and owner decide who may see it.
    pub node: NodeRow,
}

/// Whether a file of this name is one that a skill stands in.
#[must_use]
pub fn is_skill_file(name: &str) -> bool {
    name.eq_ignore_ascii_case(SKILL_FILE)
}

/// The skills below a directory, by path.
pub fn below(tx: &impl Sql, directory: &VirtualPath) -> Result<Vec<SkillFile>, StoreError> {
    let (from, to) = range(directory);
    let mut found = Vec::new();
    tx.each_in(Scope::Skills, SKILLS_BETWEEN, params![&from, &to], |row| {
        if is_below(directory, row.text(1)?) {
            found.push(SkillFile { path: row.string(1)?, skill: from_row(row)?, node: nodes::node_at(row, 9)? });
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Keeps what the SKILL.md at `path` says.
pub fn put(tx: &mut WriteTx<'_>, node: NodeId, path: &VirtualPath, skill: &SkillRow) -> Result<(), StoreError> {
    let requires = serde_json::to_string(&skill.requires).expect("a list of texts is JSON");
    tx.exec(
        PUT_SKILL,
        params![
            node,
            path.as_str(),
            &skill.name,
            &skill.description,
            &skill.version,
            &skill.author,
            &requires,
            &skill.created_at,
            &skill.modified_at,
        ],
    )
}

/// Forgets the SKILL.md of this node, if there is one.
pub fn remove(tx: &mut WriteTx<'_>, node: NodeId) -> Result<(), StoreError> {
    tx.exec(DELETE_SKILL, params![node])
}

/// Gives the SKILL.md of this node another path.
pub fn relocate(tx: &mut WriteTx<'_>, node: NodeId, path: &VirtualPath) -> Result<(), StoreError> {
    tx.exec(MOVE_SKILL, params![node, path.as_str()])
}

/// Forgets every SKILL.md below a directory.
pub fn remove_below(tx: &mut WriteTx<'_>, directory: &VirtualPath) -> Result<(), StoreError> {
    for (node, _) in paths_below(tx, directory)? {
        remove(tx, node)?;
    }
    Ok(())
}

/// Follows the move of a directory: every SKILL.md below it gets its new path.
pub fn relocate_below(tx: &mut WriteTx<'_>, old: &VirtualPath, new: &VirtualPath) -> Result<(), StoreError> {
    for (node, path) in paths_below(tx, old)? {
        let path = format!("{new}{}", &path[old.as_str().len()..]);
        tx.exec(MOVE_SKILL, params![node, &path])?;
    }
    Ok(())
}

fn paths_below(tx: &impl Sql, directory: &VirtualPath) -> Result<Vec<(NodeId, String)>, StoreError> {
    let (from, to) = range(directory);
    let mut found = tx.query(SKILL_PATHS_BETWEEN, params![&from, &to], |row| Ok((row.id(0)?, row.string(1)?)))?;
    found.retain(|(_, path)| is_below(directory, path));
    Ok(found)
}

/// The range of the index that holds every path below `directory`; it may hold some others, which the caller drops.
fn range(directory: &VirtualPath) -> (String, String) {
    let base = if directory.is_root() { "" } else { directory.as_str() };
    let cut = |text: String| text.chars().take(PATH_INDEX_CHARS).collect::<String>();
    // '0' is the character after '/'.
    (cut(format!("{base}/")), cut(format!("{base}0")))
}

fn is_below(directory: &VirtualPath, path: &str) -> bool {
    directory.is_root() || path.strip_prefix(directory.as_str()).is_some_and(|rest| rest.starts_with('/'))
}

fn from_row(row: &Row<'_>) -> Result<SkillRow, StoreError> {
    let requires = serde_json::from_str(row.text(6)?)
        .map_err(|_| StoreError::Corrupt { what: format!("skills.requires of node {}", row.int(0).unwrap_or(0)) })?;
    Ok(SkillRow {
        name: row.string(2)?,
        description: row.string(3)?,
        version: row.opt_string(4)?,
        author: row.opt_string(5)?,
        requires,
        created_at: row.opt_string(7)?,
        modified_at: row.opt_string(8)?,
    })
}
