//! Makes the demo's data: every step is a message to the writer.
//!
//! The clock stands still meanwhile, so that the manifest can say to the µs when things were made.

use std::sync::Arc;

use bytes::Bytes;

use super::script::{self, By, Ids, Step};
use super::{DEMO_KEY, manifest};
use crate::app::{App, engine_options};
use crate::auth::Caller;
use crate::cli::waves::expect::Expectations;
use crate::cli::{Failure, exit};
use crate::config::{Config, Secret};
use crate::model::random::SeededRandom;
use crate::model::{Clock as _, ManualClock, SystemClock};
use crate::service::agents;
use crate::service::agents::ops::AgentRequest;
use crate::service::files::ops::PutOptions;
use crate::service::names::EntityName;
use crate::service::relations::tuples_ops::{self, TupleRequest};
use crate::service::workspaces;
use crate::service::workspaces::Scope;
use crate::service::workspaces::ops::WorkspaceRequest;
use crate::service::{Call, ServiceError, facts_ops, files};
use crate::store::{Found, Options, Store, meta};

/// A demo that is there.
#[derive(Debug)]
pub struct Provisioned {
    /// What it must answer.
    pub expect: Expectations,
    /// The key of the untrusted agent, if it was made just now: nobody can read it later.
    pub agent_key: Option<String>,
}

/// The expectations of a demo that nobody has made: what the failing control holds.
#[must_use]
pub fn expectations_of_a_dry_run() -> Expectations {
    manifest::expectations(&script::steps(&Ids::draw(&SeededRandom::new(0))), 0)
}

/// Makes a demo in the empty store of `config`, with `key` for its admin, and closes it. Refuses a database that has a
/// store already, before anything of it is changed.
pub async fn provision(mut config: Config, key: &str) -> Result<Provisioned, Failure> {
    let at_us = SystemClock.now_us();
    let options = Options { clock: Arc::new(ManualClock::new(at_us)), ..engine_options(&config)? };
    if Store::builder(options.clone()).look(meta::DEMO)? != Found::Nothing {
        return Err(not_empty(&config));
    }
    config.api_key = Some(Secret::new(key));
    let app = App::open_with(config, options).await?;
    let steps = script::steps(&Ids::draw(&**app.store.random()));
    let mut agent_key = None;
    for step in &steps {
        match do_step(&app, step).await {
            Ok(made) => agent_key = made.or(agent_key),
            Err(error) => {
                app.close(None).await?;
                return Err(error.into());
            }
        }
    }
    let revision = app.store.published().rev;
    let expect = Expectations { revision, ..manifest::expectations(&steps, at_us) };
    // Last: what has a manifest is complete. In a data directory it is a file.
    if key == DEMO_KEY && !app.store.has_disk() {
        facts_ops::keep(&app.store, meta::DEMO, expect.to_json()).await?;
    }
    app.close(None).await?;
    Ok(Provisioned { expect, agent_key })
}

/// What must not become a demo.
pub(super) fn not_empty(config: &Config) -> Failure {
    let (place, hint) = match config.database_url {
        None => (config.data_dir.display().to_string(), "name an empty directory with --data-dir, or none"),
        Some(_) => {
            let hint = "name an empty database with --database-url (CREATE DATABASE nexus_demo), or a schema of its own \
                by ?options=-csearch_path%3Ddemo";
            ("the database".to_owned(), hint)
        }
    };
    let message = format!("{place} is not empty and holds no complete demo; nothing was changed");
    Failure::new(exit::DATA, message).hint(hint)
}

fn call(app: &App, by: By) -> Call {
    let user = match by {
        By::System => "system",
        By::Admin => script::USER,
    };
    Call::new(Caller::system(user), "demo".into(), None, app.base())
}

/// Does one step; returns the key it made, if any.
async fn do_step(app: &App, step: &Step) -> Result<Option<String>, ServiceError> {
    match step {
        Step::Directory { by, path } => {
            files::make_directory(&call(app, *by), files::path_below_root(path)?, false, true).await?;
        }
        Step::File { by, path, body } => {
            let body = Bytes::copy_from_slice(body.as_bytes());
            files::write(&call(app, *by), files::path_below_root(path)?, body, PutOptions::default()).await?;
        }
        Step::Tuple { subject, relation, object } => {
            let request = TupleRequest {
                subject: EntityName::subject(subject.0, subject.1)?,
                subject_relation: None,
                relation: (*relation).into(),
                object: EntityName::object("file", object)?,
                tenant: None,
                expires_at_us: None,
                columns: None,
            };
            tuples_ops::create(&call(app, By::Admin), request).await?;
        }
        Step::Workspace { path, name } => {
            let request = WorkspaceRequest {
                path: path.clone(),
                scope: Scope::Workspace,
                name: Some((*name).into()),
                description: None,
                created_by: None,
                metadata: None,
                session_id: None,
                ttl_us: None,
            };
            workspaces::ops::register(&call(app, By::Admin), request).await?;
        }
        Step::Agent { id, name, description, key, inherits, metadata } => {
            let request = AgentRequest {
                agent_id: (*id).into(),
                name: (*name).into(),
                description: Some((*description).into()),
                inherit_permissions: Some(*inherits),
                metadata: metadata.as_object().cloned(),
                generate_api_key: *key,
            };
            let made = agents::ops::register(&call(app, By::Admin), &app.services.hasher, request).await?;
            return Ok(made.key.map(|new| new.key.expose().to_owned()));
        }
    }
    Ok(None)
}
