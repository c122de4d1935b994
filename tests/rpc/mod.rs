//! Methods, as people of a world call them: a table of scenarios per method, with what must be in an answer and what
//! must not.

mod ace;
mod admin;
mod agents;
mod files;
mod hostile;
mod idempotency;
mod memories;
mod mounts;
mod namespaces;
mod quotas;
mod rebac;
mod sandboxes;
mod sharing;
pub(crate) mod skills;
mod versions;
mod workspaces;

use nexus_lite::model::{TupleRow, VirtualPath};
use nexus_lite::store::{Origin, Sql, StoreError, WriteOp, WriteTx, entities, nodes, tuples};
use serde_json::{Value, json};

use crate::harness::client::Failure;
use crate::harness::world::{Who, World};

pub(crate) const NOT_FOUND: i64 = -32000;
pub(crate) const EXISTS: i64 = -32001;
pub(crate) const INVALID_PATH: i64 = -32002;
pub(crate) const DENIED: i64 = -32004;
pub(crate) const VALIDATION: i64 = -32005;
pub(crate) const CONFLICT: i64 = -32006;
pub(crate) const NOT_SUPPORTED: i64 = -32013;
pub(crate) const PRECONDITION: i64 = -32021;
pub(crate) const CURSOR_EXPIRED: i64 = -32026;
pub(crate) const INVALID_PARAMS: i64 = -32602;

/// The result of a call that must succeed.
pub(crate) async fn ok(world: &World, who: Who, method: &str, params: Value) -> Value {
    let shown = params.to_string();
    world.rpc(who, method, params).await.unwrap_or_else(|e| panic!("{who:?} {method} {shown}: {e:?}"))
}

/// The failure of a call that must fail with `code`.
pub(crate) async fn refused(world: &World, who: Who, method: &str, params: Value, code: i64) -> Failure {
    let shown = params.to_string();
    match world.rpc(who, method, params).await {
        Ok(result) => panic!("{who:?} {method} {shown} must fail with {code}, and gave {result}"),
        Err(failure) => {
            assert_eq!(failure.code, code, "{who:?} {method} {shown}: {}", failure.message);
            failure
        }
    }
}

/// Writes a text file.
pub(crate) async fn write(world: &World, who: Who, path: &str, text: &str) -> Value {
    ok(world, who, "write", json!({"path": path, "content": text})).await
}

/// The text of a file.
pub(crate) async fn read(world: &World, who: Who, path: &str) -> String {
    text_of(&ok(world, who, "read", json!({"path": path})).await)
}

/// The text in a wrapper of bytes.
pub(crate) fn text_of(bytes: &Value) -> String {
    use base64::Engine as _;
    assert_eq!(bytes["__type__"], "bytes", "{bytes}");
    let data = bytes["data"].as_str().expect("base64");
    let raw = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
    String::from_utf8(raw).expect("text")
}

/// The paths of a listing.
pub(crate) async fn list(world: &World, who: Who, path: &str, recursive: bool) -> Vec<String> {
    let result = ok(world, who, "list", json!({"path": path, "recursive": recursive})).await;
    paths(&result)
}

/// The paths in the result of `list`.
pub(crate) fn paths(result: &Value) -> Vec<String> {
    let files = result["files"].as_array().expect("files");
    files.iter().map(|f| f.as_str().or(f["path"].as_str()).expect("a path").to_owned()).collect()
}

/// Grants `relation` on the file at `path` to a subject of the tenant of its node, past all rules.
pub(crate) async fn grant(world: &World, subject: (&str, &str), relation: &str, path: &str) {
    grant_across(world, None, subject, relation, path).await;
}

/// As [`grant`], to a subject of another tenant.
pub(crate) async fn grant_across(
    world: &World,
    tenant: Option<&str>,
    subject: (&str, &str),
    relation: &str,
    path: &str,
) {
    let op = Grant {
        object_tenant: None,
        tenant: tenant.map(str::to_owned),
        subject: (subject.0.to_owned(), subject.1.to_owned()),
        relation: relation.to_owned(),
        path: VirtualPath::parse(path).expect("a path"),
        tuple_id: world.store.random().uuid(),
    };
    world.store.submit(Origin::system("grant"), op).await.expect("a grant");
}

/// Takes everything back that was granted on the file at `path`.
pub(crate) async fn revoke(world: &World, path: &str) -> u64 {
    let op = Revoke { path: VirtualPath::parse(path).expect("a path") };
    world.store.submit(Origin::system("revoke"), op).await.expect("a revoke").1
}

struct Grant {
    /// Of the object; by default that of the node at the path.
    object_tenant: Option<String>,
    /// Of the subject; by default the object's.
    tenant: Option<String>,
    subject: (String, String),
    relation: String,
    path: VirtualPath,
    tuple_id: String,
}

impl WriteOp for Grant {
    const NAME: &'static str = "test_grant";
    type Output = ();
    type Error = StoreError;
    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        let (node, nearest) = nodes::end(tx, &self.path)?;
        let named = self.path.named_tenant().filter(|_| node.is_none());
        let tenant = self.object_tenant.as_deref().or(named).unwrap_or(&nearest).to_owned();
        let subject_tenant = self.tenant.as_deref().unwrap_or(&tenant);
        let subject = entities::intern(tx, subject_tenant, &self.subject.0, &self.subject.1)?;
        let object = entities::intern(tx, &tenant, "file", self.path.as_str())?;
        nodes::make_explicit(tx, &self.path)?;
        let tuple = TupleRow {
            tuple_id: self.tuple_id.clone(),
            object,
            relation: self.relation.clone(),
            subject,
            subject_relation: None,
            created_at_us: tx.now_us(),
            expires_at_us: None,
            condition: None,
            created_by: "system".to_owned(),
            rev: tx.rev(),
        };
        tuples::put(tx, tuple).map(|_| ())
    }
    fn bytes(&self) -> usize {
        64
    }
}

/// Takes back every tuple on a path.
pub(crate) struct Revoke {
    pub(crate) path: VirtualPath,
}

impl WriteOp for Revoke {
    const NAME: &'static str = "test_revoke";
    type Output = ();
    type Error = StoreError;
    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        for entity in entities::at_or_below(tx, &self.path)?.iter().filter(|e| e.name == self.path.as_str()) {
            for tuple in tuples::on_object(tx, entity.id)? {
                tuples::delete(tx, &tuple)?;
            }
        }
        Ok(())
    }
    fn bytes(&self) -> usize {
        64
    }
}

/// Writes a row and then fails.
pub(crate) struct Fails;

impl WriteOp for Fails {
    const NAME: &'static str = "test_fails";
    type Output = ();
    type Error = StoreError;
    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        entities::intern(tx, "default", "plug", "of a message that fails")?;
        Err(StoreError::Corrupt { what: "nothing: this message fails by design".into() })
    }
    fn bytes(&self) -> usize {
        64
    }
}
