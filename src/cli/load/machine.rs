//! What a measurement prints beside its result, so that a reader can judge it: the machine, how busy it was, memory.
//!
//! Reads `/proc` and nothing else; what the system does not say is `None`, or an empty text.

use std::collections::HashMap;
use std::fs::read_to_string;

/// The load average of the last 1, 5 and 15 minutes.
#[must_use]
pub fn load_average() -> String {
    let text = read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// Processor, cores that this process may use, memory.
#[must_use]
pub fn facts() -> String {
    let cpuinfo = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let meminfo = read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = kib(&meminfo, "MemTotal:").map_or_else(String::new, |bytes| format!(", {} MiB memory", bytes >> 20));
    format!("{cores} core(s) of {model}{memory}, {}", std::env::consts::OS)
}

/// The largest resident set that a process has had, bytes.
#[must_use]
pub fn peak_memory(pid: u32) -> Option<u64> {
    kib(&read_to_string(format!("/proc/{pid}/status")).ok()?, "VmHWM:")
}

/// The memory of a process and all its descendants, bytes; what several of them share is counted once.
#[must_use]
pub fn family_memory(pid: u32) -> Option<u64> {
    let parents = parents();
    let is_of_family = |mut at: u32| loop {
        if at == pid {
            return true;
        }
        match parents.get(&at) {
            Some(parent) if *parent != at => at = *parent,
            _ => return false,
        }
    };
    let members = parents.keys().copied().filter(|at| is_of_family(*at));
    // One that has ended meanwhile has none.
    let shares = members.filter_map(|at| kib(&read_to_string(format!("/proc/{at}/smaps_rollup")).ok()?, "Pss:"));
    let sum: u64 = shares.sum();
    (sum > 0).then_some(sum)
}

/// The parent of every process.
fn parents() -> HashMap<u32, u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parent = |pid: u32| {
        let stat = read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The command's name may hold spaces and brackets; behind its last bracket are state and parent.
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    pids.filter_map(|pid| Some((pid, parent(pid)?))).collect()
}

/// The value of a line `name  123 kB`, in bytes.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_of_its_family() {
        let own = std::process::id();
        let (peak, family) = (peak_memory(own).expect("known"), family_memory(own).expect("known"));
        assert!(peak > 1 << 20 && family > 1 << 20, "{peak} {family}");
        assert_eq!((peak_memory(u32::MAX), family_memory(u32::MAX)), (None, None));
        assert_eq!(load_average().split(' ').count(), 3);
        assert!(facts().contains("core(s) of "));
    }
}
