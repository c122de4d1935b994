//! `check`: whether the data directory of a stopped server is as it should be.

use std::path::PathBuf;

use super::running::runtime;
use super::{Failure, exit, offline, print};

/// Checks the database: SQLite's own checks and the numbered rules of schema.sql. Changes nothing.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// The data directory.
    #[arg(long, env = "NEXUS_LITE_DATA_DIR", default_value = "./nexus-data")]
    data_dir: PathBuf,
}

impl Check {
    /// Runs; the exit code is 1 if a rule is broken.
    pub fn run(self) -> Result<u8, Failure> {
        let (report, rev) = runtime()?.block_on(async {
            let app = offline::open(&self.data_dir).await?;
            let report = app.store.check().await;
            let rev = app.close(None).await?;
            Ok::<_, Failure>((report?, rev))
        })?;
        let mut out: String = report.violations.iter().map(|v| format!("{}: {}\n", v.rule, v.what)).collect();
        let dir = self.data_dir.display();
        match report.violations.len() {
            0 => out.push_str(&format!("{dir}: every rule holds at revision {rev}\n")),
            broken => out.push_str(&format!("{dir}: {broken} violation(s) at revision {rev}\n")),
        }
        print(&out)?;
        Ok(if report.violations.is_empty() { exit::OK } else { exit::WRONG })
    }
}
