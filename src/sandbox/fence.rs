//! Landlock: what of the file tree a program in a sandbox may open, and whom it may signal.
//!
//! Invariant: nothing is open to it but its own directory, the system's programs and libraries, and a few devices.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

/// Read and executed: programs and libraries.
pub(super) const PROGRAMS: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
/// Read: what programs look for, and nothing that is anybody's.
const TEXTS: &[&str] =
    &["/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/alternatives", "/etc/localtime", "/etc/ssl/openssl.cnf"];
/// How directories of settings begin that Python reads at its start.
const PYTHON: &str = "python3";
/// Read and written: devices that are nobody's.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
/// The newest rules that are known here; older kernels hold fewer.
const NEWEST: ABI = ABI::V7;

/// What must hold, or nothing is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: namespaces hold already.
    Nothing,
    /// The file tree: the user has nothing outside, but there is much that everybody may read.
    Files,
    /// That, and signals stay inside: outside there are processes of the same user.
    FilesAndSignals,
}

/// What programs look for, as far as it is there.
pub(super) fn texts() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = TEXTS.iter().map(PathBuf::from).collect();
    let entries = std::fs::read_dir("/etc").into_iter().flatten().flatten();
    all.extend(entries.map(|e| e.path()).filter(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PYTHON)) && path.is_dir()
    }));
    all.retain(|path| path.exists());
    all
}

/// Puts the fence around this process and all that come of it. Whether anything of it holds.
pub(super) fn put_up(directory: &Path, proc: bool, need: Need) -> Result<bool, String> {
    restrict(directory, proc, need).map_err(|e| {
        let (least, kernel) = match need {
            Need::FilesAndSignals => ("version 6, because the server does not run as root", "6.12"),
            Need::Files | Need::Nothing => ("version 3", "6.2"),
        };
        format!("Landlock is not there, or too old ({least} is needed, Linux {kernel} or newer has it): {e}")
    })
}

fn restrict(directory: &Path, proc: bool, need: Need) -> Result<bool, RulesetError> {
    let must = |holds: bool| if holds { CompatLevel::HardRequirement } else { CompatLevel::BestEffort };
    let rules = Ruleset::default()
        .set_compatibility(must(need != Need::Nothing))
        .handle_access(AccessFs::from_all(ABI::V3))?
        .set_compatibility(must(need == Need::FilesAndSignals))
        .scope(Scope::from_all(ABI::V6))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .create()?;
    let all: BitFlags<AccessFs> = AccessFs::from_all(NEWEST);
    let own = all & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    let read: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    let devices: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::WriteFile;
    let processes: &[&str] = if proc { &["/proc"] } else { &[] };
    let status = rules
        .add_rules(path_beneath_rules([directory], own))?
        .add_rules(path_beneath_rules(PROGRAMS, AccessFs::from_read(NEWEST)))?
        .add_rules(path_beneath_rules(texts(), read))?
        .add_rules(path_beneath_rules(processes, read | AccessFs::WriteFile))?
        .add_rules(path_beneath_rules(DEVICES, devices))?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}
