use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nexus_lite::model::{OsRandom, RandomSource as _};
use rustix::fs::{XattrFlags, setxattr};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{HOLDS_ON, Scene, run, walls};
use crate::harness::process::program;
use crate::harness::require::absent;

/// Names the directory in which tests make cgroups; without it, the first mount of the file system is tried.
const VARIABLE: &str = "NEXUS_LITE_TEST_CGROUP";
/// Processes that a run may have, of which bubblewrap's own are none.
const PROCESSES: usize = 128;
/// Bytes of memory that a run may have.
const MEMORY: u64 = 1 << 30;

/// A cgroup that is one test's alone.
struct Ground(PathBuf);

impl Ground {
    /// `None`, and said so, where none can be made.
    fn new() -> Option<Self> {
        let Some(base) = std::env::var_os(VARIABLE).map(PathBuf::from).or_else(mounted) else {
            absent("cgroup", "no cgroup2 file system is mounted");
            return None;
        };
        let made = base.join(format!("nexus-lite-test-{}", OsRandom.hex(6)));
        match std::fs::create_dir(&made) {
            Ok(()) => Some(Self(made)),
            Err(e) => {
                absent(
                    "cgroup",
                    &format!("no cgroup can be made in {} ({e}); {VARIABLE} names another", base.display()),
                );
                None
            }
        }
    }

    /// Which controllers are there, as capabilities tell them.
    fn controllers(&self) -> Vec<String> {
        let there = read(&self.0, "cgroup.controllers");
        ["memory", "pids"]
            .into_iter()
            .filter(|name| there.split_whitespace().any(|one| one == *name))
            .map(Into::into)
            .collect()
    }

    /// Whether a controller is there; says so if it is not.
    fn has(&self, controller: &str) -> bool {
        let has = self.controllers().iter().any(|one| one == controller);
        if !has {
            absent("controllers", &format!("{} has no controller `{controller}`", self.0.display()));
        }
        has
    }

    /// A server whose runs have their cgroups in it.
    fn scene(&self, walls: &str) -> Scene {
        Scene::with(walls, &["--sandbox-cgroup", self.0.to_str().expect("UTF-8")])
    }

    /// The cgroups of runs that are there.
    fn runs(&self) -> Vec<PathBuf> {
        below(&self.0).into_iter().filter(|path| name(path).starts_with("run-")).collect()
    }

    /// The one.
    fn only(&self) -> PathBuf {
        let runs = self.runs();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.into_iter().next().expect("one")
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = std::fs::write(self.0.join("cgroup.kill"), "1");
        // The dead leave one after the other.
        while read(&self.0, "cgroup.events").contains("populated 1") {
            std::thread::yield_now();
        }
        for below in below(&self.0) {
            let _ = std::fs::remove_dir(below);
        }
        let removed = std::fs::remove_dir(&self.0);
        assert!(removed.is_ok() || std::thread::panicking(), "{}: {removed:?}", self.0.display());
    }
}

fn mounted() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("Linux");
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        kind.starts_with("cgroup2 ").then(|| mount.split(' ').nth(4).map(PathBuf::from))?
    })
}

fn read(directory: &Path, file: &str) -> String {
    std::fs::read_to_string(directory.join(file)).unwrap_or_default()
}

fn name(path: &Path) -> String {
    path.file_name().expect("named").to_string_lossy().into_owned()
}

fn below(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a directory").flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

/// The numbers of processes in a cgroup.
fn members(cgroup: &Path) -> Vec<u32> {
    read(cgroup, "cgroup.procs").lines().map(|pid| pid.parse().expect("a number")).collect()
}

fn put(pid: u32, cgroup: &Path) {
    std::fs::write(cgroup.join("cgroup.procs"), pid.to_string()).expect("it may go there");
}

/// The processes that `of` has started.
fn started_by(of: u32) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    let of_threads = || {
        let tasks = std::fs::read_dir(format!("/proc/{of}/task")).into_iter().flatten().flatten();
        tasks.map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default()).collect::<String>()
    };
    let all = if list.is_empty() { of_threads() } else { list };
    all.split_whitespace().map(|pid| pid.parse().expect("a number")).collect()
}

fn sleeper() -> Child {
    Command::new("sleep").arg("300").stdin(Stdio::null()).spawn().expect("it starts")
}

fn capabilities(scene: &Scene) -> Value {
    let made = scene.client().rpc("sandbox_get_or_create", &json!({"name": "asked"})).expect("made");
    made["capabilities"].clone()
}

#[test]
fn each_run_has_a_cgroup_that_ends_with_it() {
    let Some(ground) = Ground::new() else { return };
    for walls in walls() {
        let scene = ground.scene(walls);
        assert_eq!(capabilities(&scene)["cgroup"], json!(ground.controllers()), "{walls}");
        let (id, client) = (scene.sandbox("work"), scene.client());
        let pipe = scene.pipe(&id);
        std::thread::scope(|scope| {
            let running = scope.spawn(|| run(client, &id, "bash", HOLDS_ON, 100.0));
            pipe.wait();
            let cgroup = ground.only();
            let inside = members(&cgroup);
            let keepers = started_by(scene.server.id());
            assert!(inside.len() >= 3 && keepers.len() == 1, "{walls}: {inside:?} {keepers:?}");
            assert!(!inside.contains(&keepers[0]), "{walls}: a keeper does not die with its run");
            if ground.controllers().contains(&"memory".to_owned()) {
                let limits = ["memory.max", "memory.oom.group"].map(|file| read(&cgroup, file));
                assert_eq!(limits, [format!("{MEMORY}\n"), "1\n".to_owned()], "{walls}");
                assert!(matches!(&*read(&cgroup, "memory.swap.max"), "0\n" | ""), "{walls}");
            }
            // Whoever looks with the same settings does no harm to what runs.
            let said = doctor(&scene, &ground.0);
            assert!(said.contains("a cgroup for each run"), "{walls}: {said}");
            let now = members(&ground.only());
            assert!(inside.iter().all(|pid| now.contains(pid)), "{walls}: {inside:?} {now:?}");
            // What the group of processes does not hold, the cgroup does.
            let mut other = sleeper();
            put(other.id(), &cgroup);
            scene.client().rpc("sandbox_stop", &json!({"sandbox_id": id})).expect("stopped");
            assert_eq!(running.join().expect("answered")["ended"], "cancelled", "{walls}");
            assert_eq!(ground.runs(), Vec::<PathBuf>::new(), "{walls}");
            assert!(!other.wait().expect("our own child").success(), "{walls}");
        });
        assert!(!scene.server.log().contains("cgroup"), "{walls}: {}", scene.server.log());
    }
}

fn doctor(scene: &Scene, cgroup: &Path) -> String {
    let mut command = program("");
    command.arg("doctor").arg("--data-dir").arg(scene.dir.path().join("data"));
    command.arg("--sandbox-dir").arg(scene.dir.path().join("sandboxes")).arg("--sandbox-cgroup").arg(cgroup);
    let output = command.output().expect("it runs");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn what_a_killed_server_has_left_is_ended_and_removed_by_the_next() {
    let Some(ground) = Ground::new() else { return };
    let mut scene = ground.scene("landlock");
    let id = scene.sandbox("work");
    let pipe = scene.pipe(&id);
    let mut client = scene.client();
    let params = json!({"sandbox_id": id, "language": "bash", "code": HOLDS_ON});
    let asking = std::thread::spawn(move || client.call("sandbox_run", &params).is_ok());
    pipe.wait();
    // The keeper would end the run, if it were left.
    let keeper = i32::try_from(started_by(scene.server.id())[0]).ok().and_then(Pid::from_raw).expect("a pid");
    kill_process(keeper, Signal::STOP).expect("ours");
    scene.server.kill();
    kill_process(keeper, Signal::KILL).expect("ours");
    assert!(!asking.join().expect("no panic"), "nobody answered");
    let left = ground.only();
    assert!(!members(&left).is_empty(), "there would be nothing to show");
    scene.server.restart();
    assert_eq!(capabilities(&scene)["cgroup"], json!(ground.controllers()));
    pipe.wait_for_the_end();
    assert_eq!(ground.runs(), Vec::<PathBuf>::new());
}

/// Fills the buffers of sockets, which are memory of the kernel's and of no process.
const FILLS: &str = r#"
import os, socket, time
def fill():
    kept = []
    try:
        while True:
            pair = socket.socketpair(); kept.append(pair)
            for one in pair:
                one.setblocking(False)
                try:
                    while True: one.send(bytes(65536))
                except BlockingIOError: pass
    except OSError: pass
    time.sleep(1000)
for n in range(30):
    if os.fork() == 0: fill()
time.sleep(1000)
"#;

/// Takes memory in small steps, in two processes, so that no limit of one process holds them.
const TAKES: &str = r#"
import os
os.fork()
kept = []
while True: kept.append(b"x" * (1 << 20))
"#;

#[test]
fn memory_is_held_by_the_kernel_also_where_nobody_sees_it() {
    let Some(ground) = Ground::new() else { return };
    if !ground.has("memory") {
        return;
    }
    for walls in walls() {
        let scene = ground.scene(walls);
        for (what, code) in [("bomb", TAKES), ("buffers", FILLS)] {
            let done = scene.run(&scene.sandbox(what), "python", code, 100.0);
            assert_eq!((&done["ended"], &done["exit_code"]), (&json!("memory"), &json!(137)), "{walls} {what}: {done}");
            assert_eq!(ground.runs(), Vec::<PathBuf>::new(), "{walls}");
        }
    }
}

/// Says that it has begun, waits until it may go on, and starts processes until it is refused.
const FORKS: &str = r#"
import os, time
pipe = open("pipe", "w"); pipe.write("x"); pipe.flush()
while not os.path.exists("go"): time.sleep(0.01)
n = 0
try:
    while n < 1000:
        if os.fork() == 0: time.sleep(1000)
        n += 1
except OSError: pass
print(n)
"#;
/// Processes of somebody else that are put into a run: no limit per user counts them.
const OTHERS: usize = 20;

#[test]
fn processes_are_held_by_the_kernel() {
    let Some(ground) = Ground::new() else { return };
    if !ground.has("pids") {
        return;
    }
    for walls in walls() {
        let scene = ground.scene(walls);
        let (id, client) = (scene.sandbox("forks"), scene.client());
        let pipe = scene.pipe(&id);
        std::thread::scope(|scope| {
            let running = scope.spawn(|| run(client, &id, "python", FORKS, 100.0));
            pipe.wait();
            let cgroup = ground.only();
            let beside = members(&cgroup).len() - 1;
            assert_eq!(read(&cgroup, "pids.max"), format!("{}\n", PROCESSES + beside), "{walls}");
            let mut others: Vec<Child> = (0..OTHERS).map(|_| sleeper()).collect();
            for other in &others {
                put(other.id(), &cgroup);
            }
            std::fs::write(scene.files(&id).join("go"), "").expect("written");
            let done = running.join().expect("answered");
            assert_eq!(done["stdout"], format!("{}\n", PROCESSES - 1 - OTHERS), "{walls}: {done}");
            for other in &mut others {
                assert!(!other.wait().expect("our own child").success(), "{walls}: it ends with the run");
            }
        });
    }
}

#[test]
fn a_named_directory_that_does_not_serve_is_a_refusal() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let refuses = |directory: &Path, why: &str| {
        let scene = Scene::with("auto", &["--sandbox-cgroup", directory.to_str().expect("UTF-8")]);
        let capable = capabilities(&scene);
        let said = capable["run_refused"].as_str().expect("a reason");
        assert!(capable["run"] == false && said.contains("`sandbox_cgroup`") && said.contains(why), "{capable}");
        let refusal = scene.try_run(&scene.sandbox("work"), "bash", "true", 5.0).expect_err("refused");
        assert_eq!(refusal.code, -32013, "{refusal:?}");
        let told = doctor(&scene, directory);
        assert!(told.contains(why) && told.contains("let it name a directory of the cgroup2"), "{told}");
    };
    refuses(dir.path(), "it is no directory of a cgroup2 file system");
    refuses(Path::new("/none"), "it is no directory of a cgroup2 file system");
    let Some(ground) = Ground::new() else { return };
    let mut other = sleeper();
    put(other.id(), &ground.0);
    refuses(&ground.0, "there are processes in it");
    other.kill().expect("our own child");
    other.wait().expect("our own child");
}

/// Says with systemd's mark that a cgroup is delegated.
fn delegate(cgroup: &Path) -> bool {
    let marked = setxattr(cgroup, "user.delegate", b"1", XattrFlags::empty());
    if let Err(e) = &marked {
        absent("cgroup", &format!("{}: no attribute of users can be set: {e}", cgroup.display()));
    }
    marked.is_ok()
}

#[test]
fn a_cgroup_is_used_where_it_is_delegated_and_never_because_it_could_be() {
    let Some(ground) = Ground::new() else { return };
    let used = json!(ground.controllers());
    let ask = |within: &Path, beside: bool| {
        let scene = Scene::new("auto");
        let other = beside.then(sleeper);
        // It looks when it is first asked.
        put(scene.server.id(), within);
        if let Some(other) = &other {
            put(other.id(), within);
        }
        let capable = capabilities(&scene);
        assert_eq!(scene.run(&scene.sandbox("work"), "bash", "echo 1", 20.0)["stdout"], "1\n");
        assert_eq!(ground.runs(), Vec::<PathBuf>::new());
        let place = below(&ground.0).into_iter().find(|path| members(path).contains(&scene.server.id()));
        if let Some(mut other) = other {
            other.kill().expect("our own child");
            other.wait().expect("our own child");
        }
        (capable["cgroup"].clone(), place.map(|path| name(&path)), scene.server.log())
    };
    // Nobody has said that it is ours.
    let (cgroup, place, log) = ask(&ground.0, false);
    assert_eq!((cgroup, place, log.as_str()), (Value::Null, None, ""));
    if !delegate(&ground.0) {
        return;
    }
    // Somebody else is in it.
    let (cgroup, place, log) = ask(&ground.0, true);
    assert!(
        cgroup.is_null() && place.is_none() && log.contains("other processes are in it"),
        "{cgroup} {place:?} {log}"
    );
    // The server alone: it goes one deeper.
    let (cgroup, place, log) = ask(&ground.0, false);
    assert_eq!((cgroup, place.as_deref(), log.as_str()), (used.clone(), Some("server"), ""));
    // Put one deeper by whoever delegates; what a manager has made for itself is not ours.
    for (below, used) in [("main", used), ("other.service", Value::Null), (".control", Value::Null)] {
        let place = ground.0.join(below);
        std::fs::create_dir(&place).expect("made");
        let (cgroup, _, log) = ask(&place, false);
        assert_eq!((cgroup, log.as_str()), (used, ""), "{below}");
    }
}

#[test]
fn a_server_that_is_spared_when_memory_runs_out_does_not_hand_that_on() {
    if !walls().contains(&"bubblewrap") {
        return absent("bubblewrap", "behind Landlock alone no program can read its own score");
    }
    let scene = Scene::new("bubblewrap");
    if let Err(e) = std::fs::write(format!("/proc/{}/oom_score_adj", scene.server.id()), "-500") {
        return absent("root", &format!("no process can be spared here: {e}"));
    }
    let done = scene.run(&scene.sandbox("work"), "bash", "cat /proc/$$/oom_score_adj", 20.0);
    assert_eq!(done["stdout"], "0\n", "{done}");
}
