//! The clients of the HTTP bench, on one thread of a process of their own: requests made beforehand, answers read
//! with as little work as shows that they are whole and right.

use std::cell::RefCell;
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::rt::net::TcpStream;
use nexus_lite::model::time::monotonic;
use serde::{Deserialize, Serialize};

use crate::client::parse;
use crate::measure::percentile;

/// How a right answer begins.
const OK: &[u8] = b"HTTP/1.1 200 ";
/// Room for an answer, bytes.
const ANSWER_BYTES: usize = 4096;

/// What the clients are told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    /// Whole requests, asked in turn.
    pub(crate) requests: Vec<String>,
    /// How the body of each right answer ends.
    pub(crate) ends_with: String,
    pub(crate) connections: u32,
    pub(crate) seconds: f64,
    /// Of each connection.
    pub(crate) requests_max: u64,
}

/// What the clients report.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ran {
    pub(crate) answers: u64,
    /// The first answer that was not right.
    pub(crate) wrong: Option<String>,
    pub(crate) seconds: f64,
    /// CPU time of this process.
    pub(crate) cpu_seconds: f64,
    /// The time below which 99 of 100 answers came, seconds.
    pub(crate) p99_seconds: f64,
    #[serde(skip)]
    took: Vec<Duration>,
}

/// CPU time of this process so far, seconds.
pub(crate) fn cpu_seconds() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// Carries out the plan in `file` and prints the report as JSON.
pub(crate) fn run(file: &Path) {
    let plan: Plan = serde_json::from_slice(&std::fs::read(file).expect("the plan")).expect("a plan");
    let plan = Rc::new(plan);
    let ran = actix_web::rt::System::new().block_on(all(plan));
    let text = serde_json::to_vec(&ran).expect("the report as JSON");
    std::io::stdout().lock().write_all(&text).expect("somebody reads it");
}

async fn all(plan: Rc<Plan>) -> Ran {
    let mut streams = Vec::new();
    for _ in 0..plan.connections {
        let stream = TcpStream::connect(plan.address).await.expect("a connection");
        stream.set_nodelay(true).expect("a connection");
        streams.push(stream);
    }
    let ran = Rc::new(RefCell::new(Ran::default()));
    let (started, cpu) = (monotonic(), cpu_seconds());
    let until = started + Duration::from_secs_f64(plan.seconds);
    let clients = streams.into_iter().enumerate().map(|(at, stream)| {
        let (plan, ran) = (Rc::clone(&plan), Rc::clone(&ran));
        actix_web::rt::spawn(async move { one(&plan, at, stream, until, &ran).await })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.expect("a client does not panic");
    }
    let mut ran = ran.take();
    (ran.seconds, ran.cpu_seconds) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    ran.took.sort_unstable();
    ran.p99_seconds = percentile(&ran.took, 0.99).as_secs_f64();
    ran
}

/// Asks on one connection until the time is up, beginning at its own part of the requests.
async fn one(plan: &Plan, at: usize, mut stream: TcpStream, until: Instant, ran: &RefCell<Ran>) {
    let mut answer = Vec::with_capacity(ANSWER_BYTES);
    let first = at * (plan.requests.len() / plan.connections as usize).max(1) % plan.requests.len();
    let requests = plan.requests.iter().cycle().skip(first);
    for (request, _) in requests.zip(0..plan.requests_max) {
        let began = monotonic();
        let right = exchange(&mut stream, request.as_bytes(), plan.ends_with.as_bytes(), &mut answer).await;
        let mut ran = ran.borrow_mut();
        ran.answers += 1;
        ran.took.push(began.elapsed());
        if !right {
            ran.wrong.get_or_insert_with(|| String::from_utf8_lossy(&answer).into_owned());
        }
        if !right || ran.wrong.is_some() || monotonic() >= until {
            return;
        }
    }
}

/// Sends a request and reads its answer. Returns whether it is right.
async fn exchange(stream: &mut TcpStream, request: &[u8], ends_with: &[u8], answer: &mut Vec<u8>) -> bool {
    // A request is smaller than the buffer of a socket on which nothing else is under way.
    if stream.try_write(request).ok() != Some(request.len()) {
        return false;
    }
    answer.clear();
    loop {
        match stream.try_read_buf(answer) {
            Ok(0) => return false,
            Ok(_) if answer.ends_with(ends_with) => return answer.starts_with(OK),
            Ok(_) if parse(answer).is_some() => return false,
            Ok(_) => answer.reserve(ANSWER_BYTES),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if stream.readable().await.is_err() {
                    return false;
                }
            }
            Err(_) => return false,
        }
    }
}
