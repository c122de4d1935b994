//! `demo`: data to try things on, and the seven waves against itself.
//!
//! Owns the directory of a demo: made once, used again by the next `demo`. Invariant: what is served with the key that
//! everybody knows is reached from this machine only.

pub mod manifest;
pub mod provision;
pub mod script;
pub mod skills;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

pub use crate::auth::DEMO_KEY;

use super::banner::{self, Entry};
use super::running::{Signals, runtime, until_stopped};
use super::scratch::Scratch;
use super::settings::start_log;
use super::waves::client::Target;
use super::waves::expect::Expectations;
use super::waves::report::Report;
use super::waves::{self, Load};
use super::{Failure, exit, offline, print};
use crate::app::{App, AppError, engine_options};
use crate::auth::AuthIndex;
use crate::config::{Config, Secret};
use crate::http::{AppState, Running, Server, descriptors};
use crate::model::Rev;
use crate::store::{Found, Store, StoreError, changelog, meta};

/// Rows of the log that are looked at to see whether a demo was changed; more of them are a change by themselves.
const CHANGES_SEEN: u64 = 10_000;
/// Hashes the keys of a demo on a database server, where no directory keeps a secret. Like the demo's key everybody
/// knows it: `serve` on such a database needs it, and refuses the key.
const DEMO_SECRET: &str = "the secret of a nexus-lite demo, known to everybody";
/// What the log of a demo shows unless it is asked for more.
const LOG: &str = "warn";

/// Provisions demo data, serves it, runs the seven waves against itself, and stays up.
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// Where the data is made, or found again; a temporary directory if none is given.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// An empty PostgreSQL database to make the data in, or that of an earlier demo.
    #[arg(long, value_name = "URL", conflicts_with = "data_dir")]
    database_url: Option<String>,
    /// The address to listen on; loopback only.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// The port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// End after the seven waves: 0 if every body was right, else 1.
    #[arg(long)]
    once: bool,
}

impl Demo {
    /// Runs until the server has ended.
    pub fn run(self) -> Result<u8, Failure> {
        if !self.host.is_loopback() {
            let message = format!("demo listens on loopback addresses only, not on {}", self.host);
            return Err(Failure::new(exit::USAGE, message)
                .hint("everybody knows the demo's key; for other machines use `nexus-lite serve`"));
        }
        // Kept until the end: dropping it removes the directory.
        let scratch = if self.data_dir.is_none() { Some(Scratch::new("nexus-lite-demo")?) } else { None };
        let dir = self.data_dir.clone().unwrap_or_else(|| scratch.as_ref().expect("made above").path().to_owned());
        let mut config = Config::for_directory(&dir);
        if let Some(url) = &self.database_url {
            config.database_url = Some(Secret::new(url));
            config.server_secret = Some(Secret::new(DEMO_SECRET));
            config.check_serving().map_err(|e| Failure::new(e.exit_status(), e.to_string()))?;
        }
        (config.host, config.port, config.log) = (self.host, self.port, LOG.into());
        config.faults = offline::faults()?;
        start_log(&config)?;
        descriptors::raise();
        let runtime = runtime()?;
        let (new, provisioned) = runtime.block_on(make_or_find(&config))?;
        runtime.block_on(self.serve(config, new, provisioned))
    }

    async fn serve(&self, config: Config, new: bool, provisioned: provision::Provisioned) -> Result<u8, Failure> {
        let signals = Signals::listen()?;
        let bind = SocketAddr::new(config.host, config.port);
        let app = App::open(config).await?;
        let state = AppState { demo: true, ..app.state() };
        let running = match Server::start(state, bind, app.grace()) {
            Ok(running) => running,
            Err(error) => {
                app.close(None).await?;
                return Err(AppError::from(error).into());
            }
        };
        print(&banner::text(&app, &running.url(), Entry::DemoKey(DEMO_KEY), new))?;
        let unchanged = is_unchanged(&app, provisioned.expect.revision).await?;
        let outcome = run_waves(&running, unchanged.then_some(provisioned.expect)).await;
        let report = match outcome {
            Ok(report) => report,
            Err(failure) => {
                app.close(Some(running)).await?;
                return Err(failure);
            }
        };
        print(&format!("\n{}", report.to_text()))?;
        if self.once {
            app.close(Some(running)).await?;
            return Ok(if report.passed() { exit::OK } else { exit::WRONG });
        }
        let manifest = if app.store.has_disk() {
            app.store.data_dir().join(manifest::FILE).display().to_string()
        } else {
            "the database".to_owned()
        };
        let agent = provisioned.agent_key.map_or_else(String::new, |key| {
            format!("The key of the agent {} (shown once): {key}\n", script::UNTRUSTED)
        });
        print(&format!("\n{agent}The right bodies are in {manifest}. Up until Ctrl-C.\n"))?;
        until_stopped(app, running, signals).await
    }
}

/// Runs the waves on a thread of their own, as a client from outside would.
async fn run_waves(running: &Running, expect: Option<Expectations>) -> Result<Report, Failure> {
    let target = Target { url: running.url(), key: DEMO_KEY.into() };
    let load = Load { target, expect, rounds: 1, scale: 1, serial: false };
    let ran = tokio::task::spawn_blocking(move || waves::run(load)).await;
    ran.unwrap_or_else(|e| Err(Failure::new(exit::SOFTWARE, format!("the waves broke off: {e}"))))
}

/// The demo of a directory or a database: made now if that is empty, else the one that is there.
async fn make_or_find(config: &Config) -> Result<(bool, provision::Provisioned), Failure> {
    if config.database_url.is_some() {
        return make_or_find_far(config).await;
    }
    let dir = &config.data_dir;
    let manifest = dir.join(manifest::FILE);
    if manifest.exists() {
        let expect = Expectations::load(&manifest).map_err(|e| Failure::new(exit::DATA, e.to_string()))?;
        return Ok((false, provision::Provisioned { expect, agent_key: None }));
    }
    if !is_empty(dir)? {
        return Err(provision::not_empty(config));
    }
    let made = provision::provision(config.clone(), DEMO_KEY).await?;
    // Last: what has a manifest is complete.
    made.expect.save(&manifest).map_err(|e| Failure::file("writing", &manifest, &e))?;
    Ok((true, made))
}

/// As [`make_or_find`], on a database server: the manifest is a fact of the store there.
async fn make_or_find_far(config: &Config) -> Result<(bool, provision::Provisioned), Failure> {
    match Store::builder(engine_options(config)?).look(meta::DEMO)? {
        Found::Nothing => Ok((true, provision::provision(config.clone(), DEMO_KEY).await?)),
        Found::Store { fact: Some(text) } => {
            let read = Expectations::from_json("the demo of the database", &text);
            let expect = read.map_err(|e| Failure::new(exit::DATA, e.to_string()))?;
            Ok((false, provision::Provisioned { expect, agent_key: None }))
        }
        Found::Store { fact: None } => Err(provision::not_empty(config)),
    }
}

fn is_empty(dir: &Path) -> Result<bool, Failure> {
    match std::fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(e) => Err(Failure::file("reading", dir, &e)),
    }
}

/// Whether nothing but sandboxes has come or gone since the demo was made, so that its manifest still holds.
async fn is_unchanged(app: &App, since: Rev) -> Result<bool, Failure> {
    let read = app.store.read(move |tx| changelog::after(tx, since, CHANGES_SEEN)).await;
    let rows = read.map_err(|e: StoreError| Failure::from(e))?;
    Ok(rows.len() < CHANGES_SEEN as usize && rows.iter().all(|row| row.op.starts_with("sandbox_")))
}

/// Whether the key that everybody knows is a key of this directory.
#[must_use]
pub fn knows_demo_key(app: &App) -> bool {
    let now_us = app.store.clock().now_us();
    let published = app.store.published();
    published.view::<AuthIndex>().identify(DEMO_KEY, None, now_us, &app.services.hasher).is_ok()
}
