//! Relationship tuples, one method a file.

pub mod check;
pub mod check_batch;
pub mod create;
pub mod delete;
pub mod expand;
pub mod explain;
pub mod explain_view;
pub mod filter;
pub mod list_objects;
pub mod list_subjects;
pub mod list_tuples;

pub use check::RebacCheck;
pub use check_batch::RebacCheckBatch;
pub use create::RebacCreate;
pub use delete::RebacDelete;
pub use expand::RebacExpand;
pub use explain::RebacExplain;
pub use filter::RebacFilter;
pub use list_objects::RebacListObjects;
pub use list_subjects::RebacListSubjects;
pub use list_tuples::RebacListTuples;

use crate::model::Rev;
use crate::rpc::RpcError;
use crate::rpc::codec::WireTime;
use crate::service::names::EntityName;
use crate::service::relations::past::At;

/// `(type, id)` of an object.
pub(in crate::rpc::methods) fn object(parts: &[String]) -> Result<EntityName, RpcError> {
    match parts {
        [kind, id] => Ok(EntityName::object(kind, id)?),
        other => Err(misshapen("object", "(type, id)", other)),
    }
}

/// `(type, id)` of a subject that is asked about.
pub(in crate::rpc::methods) fn subject(parts: &[String]) -> Result<EntityName, RpcError> {
    match parts {
        [kind, id] => Ok(EntityName::subject(kind, id)?),
        other => Err(misshapen("subject", "(type, id)", other)),
    }
}

/// `(type, id)` or `(type, id, relation)` of a subject that is granted something.
pub(super) fn grantee(parts: &[String]) -> Result<(EntityName, Option<String>), RpcError> {
    match parts {
        [kind, id] => Ok((EntityName::subject(kind, id)?, None)),
        [kind, id, relation] => Ok((EntityName::subject(kind, id)?, Some(relation.clone()))),
        other => Err(misshapen("subject", "(type, id) or (type, id, relation)", other)),
    }
}

/// The moment that is asked about; `None` = now.
pub(super) fn moment(rev: Option<Rev>, time: Option<WireTime>) -> Result<Option<At>, RpcError> {
    match (rev, time) {
        (Some(_), Some(_)) => Err(RpcError::invalid_params("give 'at_rev' or 'at_time', not both")),
        (Some(rev), None) => Ok(Some(At::Rev(rev))),
        (None, Some(time)) => Ok(Some(At::Time(time.us))),
        (None, None) => Ok(None),
    }
}

/// The refusal of a list that is no name, in the words that clients know.
fn misshapen(what: &str, wanted: &str, parts: &[String]) -> RpcError {
    let quoted: Vec<String> = parts.iter().map(|part| format!("'{part}'")).collect();
    let comma = if quoted.len() == 1 { "," } else { "" };
    RpcError::invalid_params(format_args!("{what} must be {wanted} tuple, got ({}{comma})", quoted.join(", ")))
}
