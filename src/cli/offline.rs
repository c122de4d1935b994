//! A data directory without a server: opened, used and closed by one command, under the same lock.

use std::path::Path;

use super::{Failure, exit};
use crate::app::App;
use crate::auth::Caller;
use crate::config::{self, Config, Fault};
use crate::service::Call;
use crate::store::open::DATABASE_FILE;

/// Who a command is in the changelog.
const OPERATOR: &str = "admin";

/// Opens the directory; refuses one without a database instead of making it.
pub async fn open(data_dir: &Path) -> Result<App, Failure> {
    require_database(data_dir)?;
    let mut config = Config::for_directory(data_dir);
    config.faults = faults()?;
    Ok(App::open(config).await?)
}

/// Refuses a directory without a database.
pub fn require_database(data_dir: &Path) -> Result<(), Failure> {
    if data_dir.join(DATABASE_FILE).exists() {
        return Ok(());
    }
    let message = format!("there is no database in {} ({DATABASE_FILE})", data_dir.display());
    let hint = "name the directory of a server with --data-dir, or make one: nexus-lite serve";
    Err(Failure::new(exit::NO_INPUT, message).hint(hint))
}

/// What the environment arms, for commands that read no settings.
pub fn faults() -> Result<Vec<Fault>, Failure> {
    config::faults().map_err(|e| Failure::new(e.exit_status(), e.to_string()))
}

/// A call of the operator of the machine, who can do everything to the files anyway.
#[must_use]
pub fn call(app: &App, command: &str) -> Call {
    let caller = Caller::system(OPERATOR);
    Call::new(caller, format!("cli-{command}").into(), None, app.base())
}
