//! The permission engine at a million tuples: checks, closures, publishes, memory, listings, start.
//!
//! `cargo bench --bench check`; a word after `--` runs only the sections whose name contains it
//! (`cargo bench --bench check -- publish`). Prints the claims P9 (in process), P9b, P12, P13 and the engine's part of
//! P18 with target and verdict, in CPU time of the thread beside wall time. Figures are printed and never asserted;
//! answers are. `cargo test --bench check` runs a tiny organisation once.

#[path = "check/claims.rs"]
mod claims;
#[path = "check/decide.rs"]
mod decide;
#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/measure.rs"]
mod measure;
#[path = "check/memory.rs"]
mod memory;
#[path = "check/org.rs"]
mod org;
#[path = "check/publish.rs"]
mod publish;
#[path = "check/reasons.rs"]
mod reasons;
#[path = "check/sql.rs"]
mod sql;
#[path = "check/start.rs"]
mod start;

use claims::Report;
use nexus_lite::rebac::Graph;
use org::Org;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// How much is measured.
pub(crate) struct Effort {
    /// Checks per figure.
    pub(crate) checks: u32,
    /// Writes per figure.
    pub(crate) writes: u32,
    /// Questions put to SQLite.
    pub(crate) queries: u32,
    /// Groups in the ring.
    pub(crate) ring: u32,
}

const FULL: Effort = Effort { checks: 512_000, writes: 5_000, queries: 500, ring: 1_000_000 };
const TINY: Effort = Effort { checks: 512, writes: 64, queries: 10, ring: 1_000 };

/// What every section gets.
pub(crate) struct Bench<'a> {
    pub(crate) report: &'a Report,
    pub(crate) org: &'a Org,
    pub(crate) graph: &'a Graph,
    pub(crate) effort: &'a Effort,
}

/// A name to ask for it by, and what it does.
type Section = (&'static str, fn(&Bench<'_>));

/// The sections, in order. A new one is a function and a line here.
const SECTIONS: &[Section] = &[
    ("check", decide::checks),
    ("walk: P9", decide::walks),
    ("cold closure", decide::cold_closures),
    ("sql: P12 against tailored tables", sql::against_sql),
    ("publish", publish::publishes),
    ("filter", decide::siblings),
    ("ring", decide::ring),
    ("explain", reasons::explanations),
    ("lists", reasons::lists),
    ("start: P18, P12", start::start),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let full = args.iter().any(|arg| arg == "--bench");
    let wanted: Vec<&String> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let (size, effort) = if full { (org::FULL, &FULL) } else { (org::TINY, &TINY) };
    let report = Report { full };
    let org = Org::new(size);
    let graph = built(&report, &org);
    let bench = Bench { report: &report, org: &org, graph: &graph, effort };
    for (name, section) in SECTIONS {
        if wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str())) {
            report.section(name);
            section(&bench);
        }
    }
}

/// The graph, and P13: what it takes.
fn built(report: &Report, org: &Org) -> Graph {
    report.section("memory: P13");
    let (tuples, entities) = (org.tuples.len(), org.entities.len());
    let names: usize = org.entities.iter().map(|row| row.name.len()).sum();
    report.say(&format!("  {tuples} tuples, {entities} entities, names of {} bytes on average", names / entities));
    let before = memory::live();
    let mut named = nexus_lite::rebac::GraphBuilder::new();
    org.entities.iter().for_each(|row| named.entity(row));
    let empty_cells = named.finish(1);
    let of_entities = memory::live() - before;
    drop(empty_cells);
    let (mut took, mut graph) = (claims::Took::default(), None);
    took.add(1, || graph = Some(org.graph()));
    let graph = graph.expect("it was built");
    let all = memory::live() - before;
    let (per_entity, per_tuple) =
        (of_entities as f64 / entities as f64, all.saturating_sub(of_entities) as f64 / tuples as f64);
    report.figure("names, index, stamps, per entity", &format!("{per_entity:.1} B"), "<= 120 B", per_entity <= 120.0);
    report.figure("edges and cells, per tuple", &format!("{per_tuple:.1} B"), "<= 40 B", per_tuple <= 40.0);
    let mib = all as f64 / f64::from(1 << 20);
    report.say(&format!(
        "  all in: {:.1} MiB, {:.1} B per tuple (bytes asked of the allocator); built from rows in {:.0} ms CPU",
        mib,
        all as f64 / tuples as f64,
        took.cpu_us() / 1e3
    ));
    graph
}
