//! The commands, one file each, and how they end: one line of error, one line of advice, an exit code by sysexits.
//!
//! The only layer that writes to standard output. Must never hold a rule of the product.

pub mod agent;
pub mod audit;
pub mod backup;
pub mod banner;
pub mod can;
pub mod check;
pub mod compare;
pub mod contexts;
pub mod demo;
pub mod doctor;
pub mod door;
pub mod explain;
pub mod failure;
pub mod files;
pub mod gc;
pub mod generate;
pub mod grant;
pub mod key;
pub mod load;
pub mod memory;
pub mod moving;
pub mod names;
pub mod namespace;
pub mod offline;
pub mod quota;
pub mod running;
pub mod sandbox;
pub mod scratch;
pub mod selftest;
pub mod serve;
pub mod settings;
pub mod share;
pub mod skills;
pub mod watch;
pub mod waves;

use std::ffi::OsString;
use std::io::Write as _;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

pub use failure::{Failure, exit};

use crate::sandbox::{CHILD_ARGUMENT, child, use_program};
use crate::store::Faults;
use crate::telemetry::log;

/// The Nexus agent-filesystem server over one SQLite file: one binary, one data directory, no services.
#[derive(Debug, clap::Parser)]
#[command(name = "nexus-lite", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  nexus-lite demo                              demo data, the seven waves against itself, then stay up
  nexus-lite serve --data-dir ./nexus-data     a server of your own
  nexus-lite key create --user alice --name laptop
  nexus-lite ls /docs --url http://127.0.0.1:8080 --key sk-…   or keep both: nexus-lite context add home --url …
  nexus-lite put -r ./notes /docs/; nexus-lite log /docs/notes/a.md; nexus-lite undo /docs/notes/a.md
  nexus-lite grant group:eng direct_viewer /docs --data-dir ./nexus-data
  nexus-lite who-can read /docs/a.txt          everybody, by whatever way; what-can user:alice read
  nexus-lite namespace validate doc.yaml       rules of your own, looked at without a server";

#[derive(Debug, clap::Subcommand)]
enum Command {
    Agent(agent::Agent),
    Audit(audit::Audit),
    Cat(files::Cat),
    Completions(Completions),
    Context(contexts::Contexts),
    Cp(files::Copy),
    Diff(files::Diff),
    Du(files::DiskUse),
    Find(files::Find),
    Generate(generate::Generate),
    Gc(gc::Gc),
    Get(files::Get),
    Grep(files::Grep),
    Log(files::Log),
    Ls(files::List),
    Memory(memory::Memory),
    Mkdir(files::MakeDirectory),
    Mv(files::Move),
    Put(files::Put),
    Quota(quota::Quota),
    Rm(files::Remove),
    Rollback(files::Rollback),
    Sandbox(sandbox::Sandbox),
    Skill(skills::Skill),
    Snapshot(files::Snapshot),
    Undo(files::Undo),
    Serve(serve::Serve),
    Demo(demo::Demo),
    Waves(waves::Waves),
    Key(key::Key),
    Check(check::Check),
    Doctor(doctor::Doctor),
    Backup(backup::Backup),
    Grant(grant::Grant),
    Hook(watch::Hooks),
    Revoke(grant::Revoke),
    Explain(explain::Explain),
    Export(moving::Export),
    Import(moving::Import),
    Migrate(moving::Migrate),
    Namespace(namespace::Namespace),
    Restore(backup::Restore),
    Share(share::Share),
    Unshare(share::Unshare),
    Shares(share::Shares),
    WhoCan(can::WhoCan),
    WhatCan(can::WhatCan),
    Selftest(selftest::Selftest),
    Watch(watch::Watch),
}

/// Prints what a shell needs to complete commands: `nexus-lite completions bash > …/completions/nexus-lite`.
#[derive(Debug, clap::Args)]
struct Completions {
    /// The shell.
    shell: clap_complete::Shell,
}

impl Completions {
    fn run(self) -> Result<u8, Failure> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "nexus-lite", &mut text);
        print(&String::from_utf8_lossy(&text)).map(|()| exit::OK)
    }
}

/// Runs the command line and returns the exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    // No command for people: how the server starts itself again behind the walls of a sandbox.
    if args.get(1).is_some_and(|arg| arg == CHILD_ARGUMENT) {
        return child();
    }
    // The kernel's name of it holds also when the file was replaced by a newer one.
    use_program("/proc/self/exe");
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing is left to do where even this cannot be printed.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => exit::OK,
                _ => exit::USAGE,
            };
        }
    };
    let ended = armed().and_then(|()| run(cli.command));
    log::flush();
    ended.unwrap_or_else(|failure| {
        let _ = write!(std::io::stderr().lock(), "{failure}");
        failure.code
    })
}

/// Refuses fault points that cannot be armed, in every command: none may be ignored.
fn armed() -> Result<(), Failure> {
    match Faults::planned(&offline::faults()?) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::new(error.exit_status(), error.to_string())),
    }
}

fn run(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Agent(agent) => agent.run(),
        Command::Audit(audit) => audit.run(),
        Command::Cat(cat) => cat.run(),
        Command::Completions(completions) => completions.run(),
        Command::Context(contexts) => contexts.run(),
        Command::Cp(copy) => copy.run(),
        Command::Diff(diff) => diff.run(),
        Command::Du(sum) => sum.run(),
        Command::Find(find) => find.run(),
        Command::Generate(generate) => generate.run().map(|()| exit::OK),
        Command::Gc(gc) => gc.run(),
        Command::Get(get) => get.run(),
        Command::Grep(grep) => grep.run(),
        Command::Log(log) => log.run(),
        Command::Ls(list) => list.run(),
        Command::Memory(memory) => memory.run(),
        Command::Mkdir(make) => make.run(),
        Command::Mv(moved) => moved.run(),
        Command::Put(put) => put.run(),
        Command::Quota(quota) => quota.run(),
        Command::Rm(remove) => remove.run(),
        Command::Rollback(rollback) => rollback.run(),
        Command::Sandbox(sandbox) => sandbox.run(),
        Command::Skill(skill) => skill.run(),
        Command::Snapshot(snapshot) => snapshot.run(),
        Command::Undo(undo) => undo.run(),
        Command::Serve(serve) => serve.run(),
        Command::Demo(demo) => demo.run(),
        Command::Waves(waves) => waves.run(),
        Command::Key(key) => key.run(),
        Command::Check(check) => check.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Grant(grant) => grant.run(),
        Command::Hook(hooks) => hooks.run(),
        Command::Revoke(revoke) => revoke.run(),
        Command::Explain(explain) => explain.run(),
        Command::Export(export) => export.run(),
        Command::Import(import) => import.run(),
        Command::Migrate(migrate) => migrate.run(),
        Command::Namespace(namespace) => namespace.run(),
        Command::Backup(backup) => backup.run(),
        Command::Restore(restore) => restore.run(),
        Command::Share(share) => share.run(),
        Command::Unshare(unshare) => unshare.run(),
        Command::Shares(shares) => shares.run(),
        Command::WhoCan(who) => who.run(),
        Command::WhatCan(what) => what.run(),
        Command::Selftest(selftest) => selftest.run(),
        Command::Watch(watch) => watch.run(),
    }
}

/// Writes to standard output. A reader that has gone away ends the command quietly, as everywhere.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|e| Failure::new(exit::IO, format!("output: {e}")))
}
