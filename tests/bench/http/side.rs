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
use super::{GENERATOR, LISTED_DIRECTORY, Size, say};

/// Writers of small files in this process, each with one write under way.
const WRITERS: u32 = 64;

/// What happens to the store before a round, and during it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Nothing: what is kept stays.
    Nothing,
    /// A write before it to the directory that is listed: no kept list stands any more.
    Write,
    /// The same, and then as many writes elsewhere as the writer takes.
    WriteAndWriters,
    /// As many writes elsewhere as the writer takes.
    Writers,
    /// The same over HTTP, from clients that take their share of the processors and of the servers' threads, too.
    Clients,
}

impl Beside {
    fn writes_before(self) -> bool {
        matches!(self, Self::Write | Self::WriteAndWriters)
    }

    fn writes_during(self) -> bool {
        matches!(self, Self::WriteAndWriters | Self::Writers)
    }

    /// Whether it is compared with the same side alone.
    pub(crate) fn is_beside_writers(self) -> bool {
        self.writes_during() || self == Self::Clients
    }
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

    pub(crate) async fn round(&mut self, world: &World, writers: &Plan, scratch: &Path, keep: bool) {
        if self.beside.writes_before() {
            let content = self.rates.len().to_string();
            let one = json!({"path": format!("{LISTED_DIRECTORY}/forecast-1.csv"), "content": content});
            world.rpc(Who::Admin, "write", one).await.expect("written");
        }
        let before = generator::cpu_seconds();
        let over = AtomicBool::new(!self.beside.writes_during());
        let (ran, written) = std::thread::scope(|scope| {
            let inside = scope.spawn(|| write_all(world, || over.load(Ordering::SeqCst)));
            let outside = || (self.beside == Beside::Clients).then(|| generate(writers, "writers", scratch));
            let outside = scope.spawn(outside);
            let ran = generate(&self.plan, "plan", scratch);
            over.store(true, Ordering::SeqCst);
            let written = inside.join().expect("the writers do not panic");
            let outside = outside.join().expect("the clients do not panic").unwrap_or_default();
            assert!(outside.wrong.is_none(), "{}: no right answer to a write: {:?}", self.name, outside.wrong);
            (ran, written + outside.answers)
        });
        let server_cpu = generator::cpu_seconds() - before;
        assert!(ran.wrong.is_none(), "{}: no right answer: {:?}", self.name, ran.wrong);
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
        let verdict = |target: f64, holds: bool| match self.beside {
            Beside::Clients => String::new(),
            _ if holds => format!("; target {target}: holds"),
            _ => format!("; target {target}: falls short"),
        };
        say(&format!(
            "    beside {:.0} writes/s; of the rate without them {rate:.2}{}; of the p99 {p99:.2} ({:.1} ms and {:.1} ms){}",
            median(&self.writes),
            verdict(0.65, rate >= 0.65),
            median(&self.p99) * 1e3,
            median(&idle.p99) * 1e3,
            verdict(2.0, p99 <= 2.0)
        ));
    }
}

/// Writes small files, [`WRITERS`] at a time, until it is over; how many were acknowledged.
fn write_all(world: &World, over: impl Fn() -> bool + Sync) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let writer = async |number: u32| {
        let mut done = 0_u64;
        while !over() {
            // As a client of its own would, which reads each answer from a socket: the one thread of all these must not
            // hold a processor for the requests of all.
            std::thread::yield_now();
            let params = json!({"path": format!("/beside/{number}.txt"), "content": done.to_string()});
            world.rpc(Who::Admin, "write", params).await.expect("written");
            done += 1;
        }
        done
    };
    runtime.block_on(async { join_all((0..WRITERS).map(writer)).await.into_iter().sum() })
}

/// Runs the clients of a plan in a process of their own.
fn generate(plan: &Plan, name: &str, scratch: &Path) -> Ran {
    let file = scratch.join(name);
    std::fs::write(&file, serde_json::to_vec(plan).expect("the plan as JSON")).expect("a file for the plan");
    let own = std::env::current_exe().expect("this program");
    let output = Command::new(own).arg(GENERATOR).arg(&file).stderr(Stdio::inherit()).output().expect("the clients");
    assert!(output.status.success(), "the clients failed: {}", output.status);
    serde_json::from_slice(&output.stdout).expect("the clients' report")
}
