//! What is compared with the trivial handler: one kind of request, its rounds, its figures.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use serde_json::json;

use super::generator::{self, Plan, Ran};
use super::measure::median;
use super::world::{Who, World};
use super::{GENERATOR, Size, say};

/// Writers of small files, each with one write under way.
const WRITERS: u32 = 64;

/// What happens to the store before a round, and during it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Nothing: what is kept stays.
    Nothing,
    /// A write before it: no kept reply stands any more.
    Write,
    /// As many writes as the writer takes.
    Writers,
}

/// One of those that are compared.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    /// The share of the trivial handler's rate that is promised.
    target: Option<f64>,
    pub(crate) plan: Plan,
    pub(crate) beside: Beside,
    rates: Vec<f64>,
    /// µs a request.
    server_cpu: Vec<f64>,
    client_cpu: Vec<f64>,
    p99: Vec<f64>,
    /// Writes a second that were acknowledged meanwhile.
    writes: Vec<f64>,
}

impl Side {
    pub(crate) fn new(
        (name, target, beside): (&'static str, Option<f64>, Beside),
        size: &Size,
        address: SocketAddr,
        requests: Vec<Vec<u8>>,
        ends_with: &str,
    ) -> Self {
        let requests = requests.into_iter().map(|bytes| String::from_utf8(bytes).expect("text")).collect();
        let Size { connections, seconds, requests_max, .. } = *size;
        let plan = Plan { address, requests, ends_with: ends_with.to_owned(), connections, seconds, requests_max };
        let (rates, server_cpu, client_cpu, p99, writes) = Default::default();
        Self { name, target, plan, beside, rates, server_cpu, client_cpu, p99, writes }
    }

    pub(crate) fn round(&mut self, world: &World, scratch: &Path, keep: bool) {
        if self.beside != Beside::Nothing {
            std::thread::scope(|scope| scope.spawn(|| writes(world, 1, |done| done > 0)).join()).expect("written");
        }
        let before = generator::cpu_seconds();
        let over = AtomicBool::new(self.beside != Beside::Writers);
        let (ran, written) = std::thread::scope(|scope| {
            let writers = scope.spawn(|| writes(world, WRITERS, |_| over.load(Ordering::SeqCst)));
            let ran = generate(&self.plan, scratch);
            over.store(true, Ordering::SeqCst);
            (ran, writers.join().expect("the writers do not panic"))
        });
        let server_cpu = generator::cpu_seconds() - before;
        assert!(ran.wrong.is_none(), "{}: no allowing answer: {:?}", self.name, ran.wrong);
        assert!(ran.answers > 0, "{}: nothing was answered", self.name);
        if keep {
            let each = 1e6 / ran.answers as f64;
            self.rates.push(ran.answers as f64 / ran.seconds);
            self.server_cpu.push(server_cpu * each);
            self.client_cpu.push(ran.cpu_seconds * each);
            self.p99.push(ran.p99_seconds);
            self.writes.push(written as f64 / ran.seconds);
        }
    }

    pub(crate) fn print(&self) {
        let [rate, server, client] = [&self.rates, &self.server_cpu, &self.client_cpu].map(|values| median(values));
        say(&format!(
            "  {:<24} {rate:>7.0}/s   CPU a request: server {server:>5.1} µs, client {client:>5.1} µs",
            self.name
        ));
    }

    /// Prints it with its shares of what `hello` reaches.
    pub(crate) fn compare(&self, hello: &Self) {
        self.print();
        let per_round = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a / b).collect::<Vec<_>>();
        let shares = per_round(&self.rates, &hello.rates);
        let (share, of_cpu) = (median(&shares), median(&per_round(&hello.server_cpu, &self.server_cpu)));
        let [least, most] = [f64::min, f64::max].map(|pick| shares.iter().copied().reduce(pick).unwrap_or(f64::NAN));
        let verdict = match self.target {
            None => String::new(),
            Some(target) => format!("; target {target}: {}", if share >= target { "holds" } else { "falls short" }),
        };
        say(&format!(
            "    share of the rate {share:.2} (rounds {least:.2} to {most:.2}), by the CPU of the servers alone \
             {of_cpu:.2}{verdict}"
        ));
    }

    /// P11: prints what writers leave of `idle`, the same requests without them.
    pub(crate) fn beside_writers(&self, idle: &Self) {
        self.print();
        let [rate, p99] =
            [(&self.rates, &idle.rates), (&self.p99, &idle.p99)].map(|(ours, of)| median(ours) / median(of));
        let verdict = |holds| if holds { "holds" } else { "falls short" };
        say(&format!(
            "    beside {:.0} writes/s; of the rate without them {rate:.2}; target 0.65: {}; of the p99 {p99:.2} ({:.1} ms \
             and {:.1} ms); target 2: {}",
            median(&self.writes),
            verdict(rate >= 0.65),
            median(&self.p99) * 1e3,
            median(&idle.p99) * 1e3,
            verdict(p99 <= 2.0)
        ));
    }
}

/// Writes small files, so many at a time, until `over` says so of what a writer has done; how many were acknowledged.
fn writes(world: &World, writers: u32, over: impl Fn(u64) -> bool + Sync) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let writer = async |number: u32| {
        let mut done = 0_u64;
        while !over(done) {
            let params = json!({"path": format!("/beside/{number}.txt"), "content": done.to_string()});
            world.rpc(Who::Admin, "write", params).await.expect("written");
            done += 1;
        }
        done
    };
    runtime.block_on(async { join_all((0..writers).map(writer)).await.into_iter().sum() })
}

/// Runs the clients in a process of their own.
fn generate(plan: &Plan, scratch: &Path) -> Ran {
    let file = scratch.join("plan.json");
    std::fs::write(&file, serde_json::to_vec(plan).expect("the plan as JSON")).expect("a file for the plan");
    let own = std::env::current_exe().expect("this program");
    let output = Command::new(own).arg(GENERATOR).arg(&file).stderr(Stdio::inherit()).output().expect("the clients");
    assert!(output.status.success(), "the clients failed: {}", output.status);
    serde_json::from_slice(&output.stdout).expect("the clients' report")
}
