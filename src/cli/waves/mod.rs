//! `waves`: the load that broke the incumbent, against any server that speaks the contract, every body checked.
//!
//! Owns the run: what is sent when, and what is asked besides. Invariant: a wave's requests are sent at the same
//! moment, and the next wave begins when the last answer of this one is in.

pub mod client;
pub mod control;
pub mod expect;
pub mod judge;
pub mod plan;
pub mod report;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use self::client::{Answer, Client, HealthWatch, Target, with_client};
use self::expect::Expectations;
use self::plan::{Operation, SANDBOX_NAMES};
use self::report::{Report, Sample};
use super::compare::{self, engine::Kind};
use super::demo::DEMO_KEY;
use super::{Failure, exit, print};
use crate::config::Secret;
use crate::model::time::monotonic;

/// How soon a load is given up.
const INTERRUPTED_WITHIN: Duration = Duration::from_millis(50);
/// The longest mixed load of a comparison, seconds: a day.
const SECONDS_MAX: f64 = 24.0 * 3600.0;

/// Runs the seven waves and judges every body.
#[derive(Debug, clap::Args)]
pub struct Waves {
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The API key; the demo's own if none is given.
    #[arg(long, env = "NEXUS_API_KEY", default_value = DEMO_KEY, hide_default_value = true, hide_env_values = true)]
    key: String,
    /// The right bodies, as `demo` writes them into its data directory; without it, one serial run before the load.
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// How often to run the seven waves.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: u32,
    /// How many times as wide as the published load.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    scale: u32,
    /// Print JSON.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print Markdown.
    #[arg(long)]
    markdown: bool,
    /// The failing control: the same load on a server of the incumbent's design, made for this run.
    #[arg(long, conflicts_with_all = ["url", "expect"])]
    control: bool,
    /// Run the waves and then a mixed load on servers of its own, one for each engine, and print them side by side.
    #[arg(long, value_name = "ENGINE,…", value_delimiter = ',', value_enum, conflicts_with_all = ["url", "expect", "control"])]
    compare: Vec<Kind>,
    /// For --compare: an empty PostgreSQL database; without it a private one is made of the machine's programs.
    #[arg(long, requires = "compare")]
    database_url: Option<String>,
    /// For --compare: where initdb and postgres are, if not in /usr/lib/postgresql/*/bin or on the PATH.
    #[arg(long, value_name = "DIR", requires = "compare", conflicts_with = "database_url")]
    postgres_bin: Option<PathBuf>,
    /// For --compare: how long the mixed load lasts, seconds.
    #[arg(long, default_value_t = 10.0, requires = "compare", value_parser = seconds)]
    seconds: f64,
}

fn seconds(text: &str) -> Result<f64, String> {
    let given = text.parse::<f64>().ok().filter(|seconds| *seconds > 0.0 && *seconds <= SECONDS_MAX);
    given.ok_or_else(|| format!("a number of seconds over 0, at most {SECONDS_MAX}"))
}

impl Waves {
    /// Runs; the exit code is 1 if any body was wrong.
    pub fn run(self) -> Result<u8, Failure> {
        if !self.compare.is_empty() {
            return self.run_comparison();
        }
        let (rounds, scale) = (self.rounds as usize, self.scale as usize);
        let report = if self.control {
            control::run(rounds, scale)?
        } else {
            let expect = match &self.expect {
                Some(file) => {
                    let read = Expectations::load(file).map_err(|e| Failure::new(exit::DATA, e.to_string()))?;
                    Some(Expectations { source: format!("{} ({})", file.display(), read.source), ..read })
                }
                None => None,
            };
            run(Load { target: Target { url: self.url, key: self.key }, expect, rounds, scale, serial: false })?
        };
        if self.json {
            print(&format!("{}\n", serde_json::to_string_pretty(&report).expect("texts and numbers serialise")))?;
        } else if self.markdown {
            print(&report.to_markdown())?;
        } else {
            print(&report.to_text())?;
        }
        Ok(if report.passed() { exit::OK } else { exit::WRONG })
    }

    fn run_comparison(self) -> Result<u8, Failure> {
        if self.database_url.is_some() && !self.compare.contains(&Kind::Postgres) {
            return Err(Failure::new(exit::USAGE, "--database-url is for --compare postgres"));
        }
        let plan = compare::Plan {
            engines: self.compare,
            database_url: self.database_url.map(Secret::new),
            postgres_bin: self.postgres_bin,
            rounds: self.rounds as usize,
            scale: self.scale as usize,
            seconds: self.seconds,
        };
        let comparison = plan.run()?;
        if self.json {
            print(&format!("{}\n", serde_json::to_string_pretty(&comparison).expect("texts and numbers serialise")))?;
        } else if self.markdown {
            print(&comparison.to_markdown())?;
        } else {
            print(&comparison.to_text())?;
        }
        Ok(if comparison.passed() { exit::OK } else { exit::WRONG })
    }
}

/// A load.
#[derive(Debug, Clone)]
pub struct Load {
    /// Where to.
    pub target: Target,
    /// What is right; `None` = what one serial run answers first.
    pub expect: Option<Expectations>,
    /// How often.
    pub rounds: usize,
    /// How many times as wide.
    pub scale: usize,
    /// One after the other instead of at once.
    pub serial: bool,
}

/// Runs a load and judges it. Fails only where there is nothing to judge: no server, no right to ask it.
pub fn run(load: Load) -> Result<Report, Failure> {
    let target = load.target.clone();
    with_client(target, move |client| drive(client, load)).map_err(no_thread)?
}

/// As [`run`], given up when `over` is set.
pub fn run_until(load: Load, over: &Arc<AtomicBool>) -> Result<Report, Failure> {
    let (target, over) = (load.target.clone(), Arc::clone(over));
    let work = |client| async move {
        tokio::select! {
            report = drive(client, load) => report,
            () = told(&over) => Err(Failure::new(exit::INTERRUPTED, "the load was interrupted")),
        }
    };
    with_client(target, work).map_err(no_thread)?
}

async fn told(over: &AtomicBool) {
    let mut look = tokio::time::interval(INTERRUPTED_WITHIN);
    while !over.load(Ordering::Acquire) {
        look.tick().await;
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn no_thread(error: std::io::Error) -> Failure {
    Failure::new(exit::OS, format!("the client's thread could not be started: {error}"))
}

async fn drive(client: Client, load: Load) -> Result<Report, Failure> {
    let (method, params) = plan::witness();
    let witness = client.call(method, &params).await;
    reachable(&load.target, &witness)?;
    let witnessed = judge::result_of(&witness).is_ok_and(|found| found.as_array().is_some_and(|t| !t.is_empty()));
    let expect = match load.expect {
        Some(expect) => expect,
        None => serial_run(&client).await,
    };

    let health = HealthWatch::start(load.target.clone()).map_err(no_thread)?;
    let began = monotonic();
    let plan = plan::operations();
    let waves = plan.iter().map(|o| o.wave).max().unwrap_or_default();
    let mut samples = Vec::with_capacity(plan.len() * load.scale * load.rounds);
    let mut sandboxes = Vec::new();
    for wave in (0..load.rounds).flat_map(|_| 1..=waves) {
        let wide = plan.iter().filter(|o| o.wave == wave).flat_map(|o| std::iter::repeat_n(o.clone(), load.scale));
        let wide: Vec<Operation> = wide.collect();
        let answers = if load.serial { client.call_in_turn(&wide).await } else { client.call_at_once(&wide).await };
        for (operation, answer) in wide.into_iter().zip(answers) {
            note_sandbox(&operation, &answer, &mut sandboxes);
            let verdict = match expect.result_of(&operation) {
                Some(right) => judge::judge(&answer, right).and_then(|()| lost_tuples(right, witnessed)),
                None => Err(judge::result_of(&answer).err().unwrap_or_else(|| "no body is known to be right".into())),
            };
            samples.push(Sample { operation, took: answer.took, verdict });
        }
    }
    let took = monotonic() - began;
    let seen = (health.stop(), took);

    let listed = client.call("sandbox_list", &json!({})).await;
    one_row_per_name(&sandboxes, &listed, &mut samples);
    Ok(Report::new(load.target.url, expect.source, load.rounds, load.scale, &samples, seen))
}

/// An empty list of tuples is right only while the tuples that must be there are.
fn lost_tuples(right: &Value, witnessed: bool) -> judge::Verdict {
    if right.as_array().is_some_and(Vec::is_empty) && !witnessed {
        return Err("empty, and the tuples of admin,UntrustedAgent are gone, too".into());
    }
    Ok(())
}

/// A server that is not there, or does not know the key, has not failed the waves: it was not asked.
fn reachable(target: &Target, witness: &Answer) -> Result<(), Failure> {
    match (witness.status, &witness.body) {
        (0, Err(reason)) => Err(Failure::new(exit::UNAVAILABLE, format!("{}: {reason}", target.url))
            .hint("start a server (`nexus-lite demo`), or name another with --url")),
        (401, _) => Err(Failure::new(exit::NO_PERMISSION, format!("{} does not know this key", target.url))
            .hint("pass --key; the default is the demo's key, which works in demo mode only")),
        _ => Ok(()),
    }
}

/// Asks each operation once, one after the other. What answers with an error here is wrong in the load, too.
async fn serial_run(client: &Client) -> Expectations {
    let mut answers: Vec<(Operation, Value)> = Vec::new();
    for operation in plan::operations() {
        if answers.iter().any(|(known, _)| known.asks_the_same(operation.method, &operation.params)) {
            continue;
        }
        let answer = client.call(operation.method, &operation.params).await;
        if let Ok(result) = judge::result_of(&answer) {
            answers.push((operation, result));
        }
    }
    expect::from_serial_run(answers)
}

/// Remembers which sandbox an answer named.
fn note_sandbox(operation: &Operation, answer: &Answer, sandboxes: &mut Vec<(String, String)>) {
    let Some(name) = operation.params.get("name").and_then(Value::as_str) else { return };
    let Ok(row) = judge::result_of(answer) else { return };
    if let Some(id) = row.get("sandbox_id").and_then(Value::as_str) {
        sandboxes.push((name.to_owned(), id.to_owned()));
    }
}

/// Get-or-create at the same moment must create once: one id per name in the answers, one active row in the list.
fn one_row_per_name(sandboxes: &[(String, String)], listed: &Answer, samples: &mut [Sample]) {
    let rows = judge::result_of(listed).ok().and_then(|r| r.get("sandboxes").and_then(Value::as_array).cloned());
    for name in SANDBOX_NAMES {
        let ids: BTreeSet<&str> = sandboxes.iter().filter(|(n, _)| n == name).map(|(_, id)| id.as_str()).collect();
        let active = rows
            .as_ref()
            .map(|rows| rows.iter().filter(|row| row["name"] == *name && row["status"] == "active").count());
        let reason = match (ids.len(), active) {
            (2.., _) => format!("{} sandboxes were made for one name", ids.len()),
            (_, Some(2..)) => format!("{} active sandboxes for one name", active.unwrap_or_default()),
            (1, Some(0)) => "the sandbox is not in sandbox_list".to_owned(),
            _ => continue,
        };
        for sample in samples.iter_mut().filter(|s| s.operation.params["name"] == *name && s.verdict.is_ok()) {
            sample.verdict = Err(reason.clone());
        }
    }
}
