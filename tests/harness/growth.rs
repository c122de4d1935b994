//! What a process takes of memory, and how much more something makes it take.

/// A number of KiB in `/proc/<pid>/status`: `VmRSS:` is what it has, `VmHWM:` the most it had.
pub(crate) fn status_kb(pid: u32, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("our own child");
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}"));
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

/// How much more a process takes than at the beginning.
#[derive(Debug)]
pub(crate) struct Growth {
    pid: u32,
    before_kb: u64,
    most_kb: u64,
}

impl Growth {
    /// From now on, and no more than `most_kb`.
    pub(crate) fn of(pid: u32, most_kb: u64) -> Self {
        let this = Self { pid, before_kb: status_kb(pid, "VmRSS:"), most_kb };
        this.begin_anew();
        this
    }

    /// The most since the last look must be within the bound.
    pub(crate) fn look(&self, what: &str) {
        let grown = status_kb(self.pid, "VmHWM:").saturating_sub(self.before_kb);
        self.begin_anew();
        assert!(grown < self.most_kb, "{what}: {grown} KiB more");
    }

    fn begin_anew(&self) {
        // 5 = begin a new peak.
        std::fs::write(format!("/proc/{}/clear_refs", self.pid), "5").expect("our own child");
    }
}
