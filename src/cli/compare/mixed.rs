//! The mixed load of a comparison: run against a server, verified offline when it has stopped.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use super::super::Failure;
use super::super::load::checker::{self, Report};
use super::super::load::generator::{self, Plan, Recorded};
use super::super::load::history::History;
use super::super::load::setup::{self, Size};
use super::super::load::state::CallerFacts;
use super::super::waves::client::Target;
use super::super::waves::report::{Line, millis, timed};
use super::interrupt::Interrupt;
use super::unavailable;
use crate::app::App;
use crate::config::Config;
use crate::model::DEFAULT_TENANT;
use crate::store::Status;

/// Clients at once.
const CLIENTS: u32 = 50;
/// Skills in each caller's folder.
const SKILLS_PER_CALLER: u64 = 8;
/// Skills of the system.
const SYSTEM_SKILLS: u64 = 12;

/// What a mixed load has shown.
#[derive(Debug, Clone, Serialize)]
pub struct Mixed {
    /// Clients at once.
    pub clients: u32,
    /// From the first request to the last answer, seconds.
    pub seconds: f64,
    /// Requests sent.
    pub operations: usize,
    /// Of them answered right, each at its own revision.
    pub right: usize,
    /// Of them refused as busy: nothing was done, and it was said so.
    pub busy: usize,
    /// Answers a second.
    pub per_second: f64,
    /// Revisions that the load made.
    pub revisions: usize,
    /// By endpoint.
    pub endpoints: Vec<Line>,
    /// The longest answer of `/health` meanwhile, ms.
    pub health_worst_ms: f64,
    /// How often `/health` was asked.
    pub health_polls: usize,
    /// How often it did not answer 200.
    pub health_failed: usize,
    /// What was wrong, the first ones.
    pub reasons: Vec<String>,
}

impl Mixed {
    /// Whether every answer was right.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.operations > 0 && self.right == self.operations
    }
}

/// What was sent and what came back.
#[derive(Debug)]
pub struct Ran {
    plan: Plan,
    recorded: Recorded,
}

/// Makes what the load needs and runs it for `seconds`.
pub fn run(target: &Target, seconds: f64, interrupt: &Interrupt) -> Result<Ran, Failure> {
    let address = target.url.trim_start_matches("http://").trim_end_matches('/');
    let address: SocketAddr = address.parse().map_err(|e| unavailable(format!("{}: {e}", target.url)))?;
    let callers = setup::make_callers(address, DEFAULT_TENANT, &target.key).map_err(unavailable)?;
    interrupt.check()?;
    let size = Size { clients: CLIENTS, seconds, skills_per_caller: SKILLS_PER_CALLER, system_skills: SYSTEM_SKILLS };
    let plan = setup::provision(address, &target.key, callers, size).map_err(unavailable)?;
    interrupt.check()?;
    let recorded = generator::run(plan.clone(), interrupt.flag()).map_err(unavailable)?;
    Ok(Ran { plan, recorded })
}

/// Opens the store of the stopped server and verifies every answer. Also says what the store is.
pub async fn verify(ran: &Ran, config: Config) -> Result<(Mixed, Status), Failure> {
    let app = App::open(config).await?;
    let (history, status) = (History::of(&app.store).await, app.store.status());
    app.close(None).await?;
    Ok((judge(ran, &history?), status))
}

fn judge(ran: &Ran, history: &History) -> Mixed {
    let Ran { plan, recorded } = ran;
    let callers: HashMap<String, CallerFacts> =
        plan.callers.iter().map(|(name, caller)| (name.clone(), caller.facts.clone())).collect();
    let skill = |hash: &str| history.skill(hash);
    let report = checker::verify(&recorded.records, &recorded.bodies, &history.entries, &callers, skill);
    let operations = recorded.records.len();
    let worst_us = recorded.health_us.iter().copied().max().unwrap_or_default();
    let count = |of: &BTreeMap<String, u64>| usize::try_from(of.values().sum::<u64>()).unwrap_or(usize::MAX);
    Mixed {
        clients: plan.clients,
        seconds: recorded.seconds,
        operations,
        right: count(&report.right),
        busy: count(&report.busy),
        per_second: per_second(operations, recorded.seconds),
        revisions: history.entries.len(),
        endpoints: endpoints(recorded, &report),
        health_worst_ms: millis(Duration::from_micros(worst_us)),
        health_polls: recorded.health_us.len() + usize::try_from(recorded.health_failed).unwrap_or(usize::MAX),
        health_failed: usize::try_from(recorded.health_failed).unwrap_or(usize::MAX),
        reasons: report.described,
    }
}

fn endpoints(recorded: &Recorded, report: &Report) -> Vec<Line> {
    let mut times: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for record in &recorded.records {
        times.entry(&record.method).or_default().push(Duration::from_micros(record.took_us));
    }
    let right = |method: &str| report.right.get(method).and_then(|n| usize::try_from(*n).ok()).unwrap_or(0);
    times.into_iter().map(|(method, took)| timed(None, method.to_owned(), took, right(method))).collect()
}

/// How many of something there were a second.
#[must_use]
pub fn per_second(operations: usize, seconds: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let operations = operations as f64;
    if seconds > 0.0 { operations / seconds } else { 0.0 }
}
