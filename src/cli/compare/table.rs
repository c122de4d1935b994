//! The tables of a comparison, side by side: one set of cells, drawn for a terminal or as Markdown.
//!
//! Must never count: every figure is the report's. What was published about the original stands in a table of its own,
//! and says that it was published.

use std::fmt::Write as _;

use super::super::waves::report::Line;
use super::mixed::per_second;
use super::report::{Comparison, EngineReport, percent};

/// What was published about the original server, and measured again: who says so, SQLite, PostgreSQL.
const PUBLISHED: [[&str; 3]; 2] = [
    ["published (issue 658 of Nexus; its waves sum to 30)", "34 % (12 of 35)", "100 % (35 of 35)"],
    [
        "Nexus 0.6.4 measured again, bodies checked, November 2026",
        "80.0 % (72 of 90); nothing at 20 clients",
        "all right; p50 3.5 s with 50 clients",
    ],
];

/// Rows of cells under a head; the first column is aligned left, the others right.
struct Grid {
    title: &'static str,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Comparison {
    /// For a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = self.heading();
        for grid in self.grids() {
            let _ = write!(out, "\n{}\n{}", grid.title, grid.to_text());
        }
        out + "\n" + &self.verdict()
    }

    /// For a README.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut out = self.heading();
        for grid in self.grids() {
            let _ = write!(out, "\n**{}**\n\n{}", grid.title, grid.to_markdown());
        }
        out + "\n" + &self.verdict()
    }

    fn heading(&self) -> String {
        let build = if self.optimised { "optimised build" } else { "UNOPTIMISED build: its times say nothing" };
        let clients = self.engines.first().map_or(0, |e| e.mixed.clients);
        let mut out = format!(
            "nexus-lite {} on {}, {build}, {}; load average {} before, {} after.\n\
             The seven waves {} time(s), {} x wide; then {clients} clients for {} s.\n",
            self.version,
            self.machine,
            self.at,
            self.load_average_before,
            self.load_average_after,
            self.rounds,
            self.scale,
            self.seconds,
        );
        for e in &self.engines {
            let _ = writeln!(out, "{}: {}; right bodies from {}.", e.version, e.place, e.waves.expectations);
        }
        out
    }

    fn grids(&self) -> [Grid; 5] {
        let lines = |title, of: fn(&EngineReport) -> &[Line]| self.lines(title, of);
        [
            self.facts(),
            lines("The seven waves: right/sent", |e| &e.waves.waves),
            lines("The seven waves by endpoint: right/sent", |e| &e.waves.endpoints),
            lines("The mixed load, each answer verified against its own revision: right/sent", |e| &e.mixed.endpoints),
            self.published(),
        ]
    }

    /// One row for each line of the first engine, and what the others have of the same.
    fn lines(&self, title: &'static str, of: fn(&EngineReport) -> &[Line]) -> Grid {
        let mut head = vec!["operation".to_owned()];
        for e in &self.engines {
            head.extend([e.engine, "p50 ms", "p99 ms"].map(str::to_owned));
        }
        head.push("verdict".to_owned());
        let row = |first: &Line| {
            let wave = first.wave.map_or_else(String::new, |wave| format!("{wave}: "));
            let mut row = vec![format!("{wave}{}", first.operation)];
            let mut all_right = true;
            for e in &self.engines {
                let same = of(e).iter().find(|l| l.wave == first.wave && l.operation == first.operation);
                all_right &= same.is_some_and(|l| l.right == l.operations);
                row.extend(same.map_or_else(|| vec!["—".to_owned(); 3], cells));
            }
            row.push(if all_right { "right" } else { "WRONG" }.to_owned());
            row
        };
        let rows = self.engines.first().map_or(&[][..], of).iter().map(row).collect();
        Grid { title, head, rows }
    }

    fn facts(&self) -> Grid {
        let mut head = vec![String::new()];
        head.extend(self.engines.iter().map(|e| e.engine.to_owned()));
        let row = |name: &str, of: &dyn Fn(&EngineReport) -> String| {
            std::iter::once(name.to_owned()).chain(self.engines.iter().map(of)).collect::<Vec<_>>()
        };
        let rows = vec![
            row("right answers, seven waves", &|e| share(e.waves.right, e.waves.operations)),
            row("right answers, mixed load", &|e| share(e.mixed.right, e.mixed.operations)),
            row("operations/s, seven waves", &|e| format!("{:.0}", per_second(e.waves.operations, e.waves.seconds))),
            row("operations/s, mixed load", &|e| format!("{:.0}", e.mixed.per_second)),
            row("worst /health, seven waves", &|e| format!("{:.2} ms", e.waves.health_worst_ms)),
            row("worst /health, mixed load", &|e| format!("{:.2} ms", e.mixed.health_worst_ms)),
            row("/health failed", &|e| (e.waves.health_failed + e.mixed.health_failed).to_string()),
            row("refused as busy", &|e| e.mixed.busy.to_string()),
            row("revisions", &|e| e.mixed.revisions.to_string()),
            row("errors in the server's log", &|e| e.log_errors.count.to_string()),
            row("memory of the server, peak", &|e| mib(e.memory)),
            row("memory of the database's own processes, peak", &|e| mib(e.database_memory)),
            row("clean stop", &|e| if e.stopped_cleanly { "yes" } else { "NO" }.to_owned()),
            row("verdict", &|e| if e.passed() { "right" } else { "WRONG" }.to_owned()),
        ];
        Grid { title: "Side by side", head, rows }
    }

    fn published(&self) -> Grid {
        let ours = |engine: &str| {
            let found = self.engines.iter().find(|e| e.engine == engine);
            found.map_or_else(|| "—".to_owned(), |e| share(e.right(), e.operations()))
        };
        let mut rows = vec![vec!["nexus-lite, this run".to_owned(), ours("SQLite"), ours("PostgreSQL")]];
        rows.extend(PUBLISHED.map(|row| row.map(str::to_owned).to_vec()));
        let head = ["right answers", "SQLite", "PostgreSQL"].map(str::to_owned).to_vec();
        Grid { title: "Beside what was published", head, rows }
    }

    fn verdict(&self) -> String {
        let mut out = String::new();
        for e in &self.engines {
            for finding in e.findings() {
                let _ = writeln!(out, "{}: {finding}", e.engine);
            }
        }
        let verdict = if self.passed() { "every body is right" } else { "FAILED" };
        let _ = writeln!(out, "right answers: {}: {verdict}", self.right_answers());
        out
    }
}

fn cells(line: &Line) -> Vec<String> {
    let [p50, p99] = [line.p50_ms, line.p99_ms].map(|ms| format!("{ms:.2}"));
    vec![format!("{}/{}", line.right, line.operations), p50, p99]
}

fn share(right: usize, of: usize) -> String {
    format!("{} ({right} of {of})", percent(right, of))
}

fn mib(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "—".to_owned(), |bytes| format!("{} MiB", bytes >> 20))
}

impl Grid {
    fn to_text(&self) -> String {
        let mut widths: Vec<usize> = self.head.iter().map(|cell| cell.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut out = String::new();
        for row in std::iter::once(&self.head).chain(&self.rows) {
            let mut line = String::new();
            for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let _ = if at == 0 { write!(line, "  {cell:<width$}") } else { write!(line, "  {cell:>width$}") };
            }
            let _ = writeln!(out, "{}", line.trim_end());
        }
        out
    }

    fn to_markdown(&self) -> String {
        let line = |row: &[String]| format!("| {} |\n", row.join(" | "));
        let rule = format!("|---|{}\n", "---:|".repeat(self.head.len().saturating_sub(1)));
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        line(&self.head) + &rule + &rows
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::waves::client::Health;
    use super::super::super::waves::plan::operations;
    use super::super::super::waves::report::{Report, Sample, timed};
    use super::super::mixed::Mixed;
    use super::super::report::LogErrors;
    use super::*;

    fn engine(engine: &'static str, slow: u64, misses: usize) -> EngineReport {
        let sample = |(at, operation)| Sample {
            operation,
            took: Duration::from_millis(slow * (at as u64 + 1)),
            verdict: if at < misses { Err("result.skills has 5 of 6 entries; missing: pdf".into()) } else { Ok(()) },
        };
        let samples: Vec<Sample> = operations().into_iter().enumerate().map(sample).collect();
        let health = Health { polls: 40, failed: 0, worst: Duration::from_micros(4_321) };
        let source = "the demo's manifest".to_owned();
        let seen = (health, Duration::from_millis(120));
        let times = |n: u64| (1..=n).map(|ms| Duration::from_millis(ms * slow)).collect::<Vec<_>>();
        EngineReport {
            engine,
            version: format!("{engine} 1.2"),
            place: "a place of its own",
            waves: Report::new("http://127.0.0.1:1".into(), source, 1, 1, &samples, seen),
            mixed: Mixed {
                clients: 50,
                seconds: 2.0,
                operations: 300,
                right: 300,
                busy: 0,
                per_second: 150.0,
                revisions: 222,
                endpoints: vec![
                    timed(None, "skills_list".into(), times(200), 200),
                    timed(None, "write".into(), times(100), 100),
                ],
                health_worst_ms: 9.87,
                health_polls: 300,
                health_failed: 0,
                reasons: Vec::new(),
            },
            log_errors: LogErrors::default(),
            memory: Some(65 << 20),
            database_memory: (engine == "PostgreSQL").then_some(123 << 20),
            stopped_cleanly: true,
        }
    }

    fn recorded(misses: usize) -> Comparison {
        Comparison {
            at: "2026-11-22T00:00:00+00:00".into(),
            version: "0.1.0",
            optimised: true,
            machine: "2 core(s) of a processor, 1024 MiB memory, linux".into(),
            load_average_before: "0.10 0.20 0.30".into(),
            load_average_after: "0.40 0.20 0.30".into(),
            rounds: 1,
            scale: 1,
            seconds: 2.0,
            engines: vec![engine("SQLite", 1, 0), engine("PostgreSQL", 2, misses)],
        }
    }

    #[test]
    fn a_recorded_run_side_by_side() {
        let run = recorded(0);
        assert!(run.passed());
        insta::assert_snapshot!("text", run.to_text());
        insta::assert_snapshot!("markdown", run.to_markdown());
    }

    #[test]
    fn one_miss_is_a_failure_of_the_whole() {
        let run = recorded(1);
        let text = run.to_text();
        assert!(!run.passed() && text.ends_with("right answers: SQLite 100 %, PostgreSQL 99.6 %: FAILED\n"), "{text}");
        assert!(text.contains("PostgreSQL: seven waves: 29 of 30 right") && text.contains("missing: pdf"), "{text}");
        let mut noisy = recorded(0);
        noisy.engines[0].log_errors.count = 1;
        assert!(!noisy.passed() && noisy.to_markdown().contains("SQLite: errors in the server's log: 1"));
        assert!(!Comparison { engines: Vec::new(), ..recorded(0) }.passed());
        let mut stuck = recorded(0);
        stuck.engines[1].stopped_cleanly = false;
        assert!(!stuck.passed());
        let mut idle = recorded(0);
        (idle.engines[1].mixed.operations, idle.engines[1].mixed.right) = (0, 0);
        assert!(!idle.passed());
    }
}
