//! What is known of a file or directory beside its body, and the content ids of many files at once.

use crate::model::{NodeKind, NodeRow, VirtualPath};
use crate::rebac::Graph;
use crate::service::files::bulk_read::{READ_FILES_MAX, of_one};
use crate::service::files::{described, path_below_root};
use crate::service::located::End;
use crate::service::{Call, ServiceError};
use crate::store::{ReadTx, Sql};

/// Paths that are looked up on the caller's thread; more go to the slow lane.
const INLINE_PATHS_MAX: usize = 64;

/// A node and whose it is.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// The node.
    pub node: NodeRow,
    /// The user who owns it, else who made it; `None` for what the system made.
    pub owner: Option<String>,
}

/// The node at `path`; `None` where nothing is and the caller may know it. Of a directory also to one who sees
/// something below it.
pub async fn get(call: &Call, path: VirtualPath) -> Result<Option<Metadata>, ServiceError> {
    let asked = call.clone();
    call.read(move |tx| {
        let (access, end) = (asked.access(tx)?, End::find(tx, &path)?);
        let node = match end.node() {
            Some(node) if node.kind == NodeKind::Directory && access.visible(end.target())? => Ok(node.clone()),
            _ => described(&access, end.target()),
        };
        match node {
            Ok(node) => Ok(Some(Metadata { owner: owner_of(tx, &node), node })),
            Err(ServiceError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    })
    .await
}

fn owner_of(tx: &ReadTx<'_>, node: &NodeRow) -> Option<String> {
    let owner = node.owner.and_then(|owner| tx.view::<Graph>().name(owner)).map(|name| name.id.to_owned());
    owner.or_else(|| user_of(&node.created_by).map(str::to_owned))
}

/// The user in `user:<u>` and `user:<u>,agent:<a>`.
pub(in crate::service) fn user_of(writer: &str) -> Option<&str> {
    let user = writer.strip_prefix("user:")?;
    Some(user.split_once(",agent:").map_or(user, |(user, _)| user)).filter(|user| !user.is_empty())
}

/// The content hash of each file, in the order of `paths`; `None` for what the caller may not read, what is not there
/// and what is no file: these are not told apart.
pub async fn content_ids(call: &Call, paths: Vec<String>) -> Result<Vec<Option<String>>, ServiceError> {
    if paths.len() > READ_FILES_MAX {
        return Err(ServiceError::InvalidParams(format!("at most {READ_FILES_MAX} paths, not {}", paths.len())));
    }
    let (asked, few) = (call.clone(), paths.len() <= INLINE_PATHS_MAX);
    let read = move |tx: &ReadTx<'_>| {
        let access = asked.access(tx)?;
        let id = |text: &String| {
            let of = |path: VirtualPath| described(&access, End::find(tx, &path)?.target());
            let node = of_one(path_below_root(text).and_then(of))?;
            Ok(node.ok().and_then(|node| node.content))
        };
        paths.iter().map(id).collect::<Result<Vec<_>, ServiceError>>()
    };
    if few { call.read(read).await } else { call.read_slow(read).await }
}

#[cfg(test)]
mod tests {
    use super::user_of;

    #[test]
    fn the_user_behind_a_writer() {
        assert_eq!(user_of("user:alice"), Some("alice"));
        assert_eq!(user_of("user:alice,agent:alice,Helper"), Some("alice"));
        assert_eq!((user_of("system"), user_of("user:")), (None, None));
    }
}
