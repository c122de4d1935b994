//! `serve`: the server.

use super::banner::{self, Entry};
use super::running::{Signals, runtime, until_stopped};
use super::settings::{Settings, start_log};
use super::{Failure, demo, exit, print};
use crate::app::App;
use crate::http::descriptors;
use crate::store::FaultPoint;
use crate::store::open::DATABASE_FILE;

/// Serves until SIGINT or SIGTERM, which answers what is under way (for at most `--shutdown-grace` seconds), closes the
/// store and ends with 0; a second one ends at once with 130. Nothing acknowledged is lost either way.
#[derive(Debug, clap::Args)]
pub struct Serve {
    #[command(flatten)]
    settings: Settings,
}

impl Serve {
    /// Runs until the server has ended.
    pub fn run(self) -> Result<u8, Failure> {
        let config = self.settings.load()?;
        start_log(&config)?;
        descriptors::raise();
        // What must not be served is refused before a directory is made for it.
        config.check_serving().map_err(|e| Failure::new(e.exit_status(), e.to_string()))?;
        if config.api_key.as_ref().is_some_and(|key| key.expose() == demo::DEMO_KEY) {
            let message = "api_key is the demo's key, which everybody knows; it opens demos only";
            return Err(Failure::new(exit::CONFIG, message).hint("unset NEXUS_API_KEY; the first start makes a key"));
        }
        let new = config.database_url.is_none() && !config.data_dir.join(DATABASE_FILE).exists();
        runtime()?.block_on(async move {
            let signals = Signals::listen()?;
            let app = App::open(config).await?;
            app.store.reach(FaultPoint::StartServing);
            let running = match app.serve() {
                Ok(running) => running,
                Err(error) => {
                    app.close(None).await?;
                    return Err(error.into());
                }
            };
            let first = app.first_key.as_ref().map(|key| key.expose().to_owned());
            let entry = match &first {
                _ if app.config().open_access => Entry::Open,
                Some(key) if app.config().api_key.is_none() => Entry::NewKey(key),
                _ => Entry::Known,
            };
            print(&banner::text(&app, &running.url(), entry, new))?;
            if demo::knows_demo_key(&app) {
                tracing::warn!(
                    "this directory was made by `nexus-lite demo`; its well-known key is refused here. \
                     Make a key of your own with the server stopped: nexus-lite key create --admin"
                );
            }
            if let Some(line) = banner::one_node(&app) {
                print(&line)?;
            }
            until_stopped(app, running, signals).await
        })
    }
}
