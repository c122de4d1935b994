use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::{AMPLE, Scene, run, walls};
use crate::harness::client::Client;

/// `exists` is answered at least so often while one way out is tried.
const ANSWERS_MIN: usize = 3;

/// A way out: its name, the language, the program, its seconds, and what must be true of what came of it.
type Escape = (&'static str, &'static str, String, f64, fn(&Value) -> bool);

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().expect("text")
}

fn says(answer: &Value, what: &str) -> bool {
    text(answer, "stdout").trim() == what
}

/// What a program must not get at, in Python: each line of output is a way that was open.
const CALLS: &str = r#"
import ctypes, os, socket, errno
libc = ctypes.CDLL(None, use_errno=True)
def open_way(name, result):
    if result != -1: print(name, result)
open_way("ptrace attach", libc.ptrace(16, os.getppid(), 0, 0))
open_way("ptrace traceme", libc.ptrace(0, 0, 0, 0))
for flags in (0x10000000, 0x20000, 0x40000000, 0x20000000, 0x80): open_way("unshare", libc.unshare(flags))
open_way("mount", libc.mount(b"none", os.getcwd().encode(), b"tmpfs", 0, 0))
open_way("bind", libc.mount(b"/usr", os.getcwd().encode(), None, 4096, 0))
open_way("umount", libc.umount2(b"/usr", 2))
open_way("chroot", libc.chroot(b"."))
open_way("setns", libc.setns(0, 0))
open_way("setsid", libc.setsid())
open_way("setpgid", libc.setpgid(0, 0))
open_way("setuid", libc.setuid(0))
open_way("memfd", libc.memfd_create(b"x", 0))
open_way("personality", libc.personality(0x0040000))
for number in (101, 165, 175, 246, 248, 250, 298, 310, 311, 313, 321, 323, 425, 428, 434, 438, 442):
    open_way("call %d" % number, libc.syscall(number, 0, 0, 0, 0, 0))
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, 16, 17):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            s = socket.socket(family, kind)
            # Which leads to the server's socket, and to no other: there is none.
            if (family, kind) != (socket.AF_UNIX, socket.SOCK_STREAM) or "NEXUS_SOCKET" not in os.environ: print("socket", family, kind)
        except OSError: pass
try:
    socket.create_connection(("127.0.0.1", PORT), 2); print("connected")
except OSError: pass
for limit in range(0, 16):
    # Another process's, and what would be more than is allowed.
    if libc.prlimit(SERVER, limit, None, None) != -1: pass
print("tried")
"#;

/// Files and processes of the machine, in Python.
const FILES: &str = r#"
import os, glob
for path in ["/etc/shadow", "/etc/passwd", "/etc/hosts", "DATA/admin.key", "DATA/nexus.db", "/root/.bashrc", "../../data/admin.key",
             "/proc/1/environ", "/proc/SERVER/environ", "/proc/SERVER/mem", "/sys/kernel/notes", "/dev/mem", "/dev/sda"]:
    try:
        if open(path, "rb").read(16): print("read", path)
    except OSError: pass
for path in ["/", "/home", "/root", "/etc", "/var", "DATA", "/tmp", "/run", ".."]:
    try:
        names = os.listdir(path)
        foreign = [n for n in names if n not in ("sandbox", "mnt", "usr", "bin", "lib", "lib64", "lib32", "libx32", "sbin", "dev",
                   "proc", "etc", "run", "nexus.sock", ".nexus-lite", "ld.so.cache", "alternatives", "localtime", "ssl") and not n.startswith("python3")]
        if foreign: print("listed", path, foreign)
    except OSError: pass
for path in ["/usr/x", "/usr/bin/x", "/etc/x", "/tmp/x", "/dev/shm/x", "/x", "../x", "/dev/x", "DATA/x"]:
    try:
        open(path, "w"); print("wrote", path)
    except OSError: pass
for path in ["/usr/bin/env", "DATA", "DATA/admin.key", "/etc"]:
    try:
        os.chmod(path, 0o777); print("changed", path)
    except OSError: pass
for path in ["/usr/bin/env", "DATA/admin.key"]:
    try:
        os.link(path, "stolen"); print("linked", path); os.unlink("stolen")
    except OSError: pass
known = {"PATH", "LANG", "HOME", "PWD", "TMPDIR", "LC_CTYPE", "NEXUS_MOUNT", "NEXUS_SOCKET", "NEXUS_URL", "NEXUS_API_KEY"}
if set(os.environ) - known: print("environment", set(os.environ) - known)
if os.getuid() == 0 or os.geteuid() == 0: print("root")
for fd in range(3, 256):
    try:
        os.fstat(fd); print("inherited", fd)
    except OSError: pass
print("tried")
"#;

/// Whom a program may signal, in Python: the signal 0 asks the kernel and hurts nobody. In a namespace of processes the
/// first few numbers are those inside.
const KILLS: &str = r#"
import os
def reach(pid):
    try:
        os.kill(pid, 0); return True
    except OSError: return False
INSIDE = 10
inside = os.getpid() < INSIDE
reached = [pid for pid in [*range(1, 70000), SERVER] if pid not in (os.getpid(), os.getppid()) and reach(pid)]
foreign = [pid for pid in reached if not inside or pid >= INSIDE]
if foreign: print("reached", foreign)
if not inside and reach(os.getppid()): print("reached its keeper")
print("tried")
"#;

const DISK: &str = r#"
import os, sys, time
kept = []
for n in range(100):
    name = "big-%d" % n
    f = os.open(name, os.O_CREAT | os.O_RDWR); kept.append(f)
    if sys.argv[1:] or NAMELESS: os.unlink(name)
    os.posix_fallocate(f, 0, 100 << 20)
    time.sleep(0.05)
print("filled")
"#;

const SCRIPT: &str = r#"
const fs = require('fs');
const read = [];
for (const path of ['/etc/passwd', '/etc/shadow']) { try { read.push(fs.readFileSync(path)); } catch (e) {} }
console.log(read.length);
const socket = require('net').connect(80, '127.0.0.1');
socket.on('connect', () => console.log('connected'));
socket.on('error', () => { console.log('refused'); process.exit(0); });
"#;

fn escapes(scene: &Scene) -> Vec<Escape> {
    let fill = |program: &str| {
        program
            .replace("SERVER", &scene.server.id().to_string())
            .replace("PORT", &scene.server.address().port().to_string())
            .replace("DATA", scene.dir.path().join("data").to_str().expect("UTF-8"))
    };
    let tried: fn(&Value) -> bool = |a| says(a, "tried") && a["exit_code"] == 0;
    vec![
        ("calls", "python", fill(CALLS), AMPLE, tried),
        ("files", "python", fill(FILES), AMPLE, tried),
        ("kills", "python", fill(KILLS), AMPLE, tried),
        (
            "fork bomb",
            "python",
            "import os, time\nn = 0\ntry:\n  while True:\n    if os.fork() == 0: time.sleep(100); os._exit(0)\n    n += 1\n\
             except OSError: print('refused', n < 500)"
                .into(),
            AMPLE,
            |a| says(a, "refused True") && a["ended"] == "exited",
        ),
        (
            "fork bomb that goes on",
            "bash",
            "bomb() { bomb | bomb & }; bomb; sleep 1000".into(),
            1.5,
            |a| a["ended"] == "timeout" || a["exit_code"] != 0,
        ),
        ("10 GiB at once", "python", "b = bytearray(10 << 30); print(len(b))".into(), AMPLE, |a| {
            text(a, "stderr").contains("MemoryError") && a["exit_code"] == 1
        }),
        (
            "10 GiB together",
            "python",
            "import os, time\nfor n in range(40):\n  if os.fork() == 0:\n    b = bytearray(256 << 20); b[::4096] = b'x' * len(b[::4096]); \
             time.sleep(100)\ntime.sleep(100)"
                .into(),
            AMPLE,
            |a| a["ended"] == "memory",
        ),
        ("endless loop", "bash", "while :; do :; done".into(), 1.0, |a| a["ended"] == "timeout" && a["exit_code"] == 137),
        ("disk", "python", DISK.replace("NAMELESS", "False"), AMPLE, |a| a["ended"] == "disk"),
        ("disk without names", "python", DISK.replace("NAMELESS", "True"), AMPLE, |a| a["ended"] == "disk"),
        ("one large file", "bash", "head -c 1 /dev/zero > f; truncate -s 300M f && echo made".into(), 10.0, |a| {
            !text(a, "stdout").contains("made")
        }),
        (
            "many files",
            "python",
            "import os\nfor n in range(1000000):\n  os.close(os.open('n%d' % n, os.O_CREAT))\nprint('made')".into(),
            8.0,
            // Where the machine is busy its time is over first.
            |a| (a["ended"] == "disk" || a["ended"] == "timeout") && says(a, ""),
        ),
        (
            "ten thousand levels of directories",
            "python",
            "import os\nfor n in range(10000):\n  os.mkdir('d'); os.chdir('d')\nprint('made')".into(),
            AMPLE,
            // Made before anybody looked, or not; whoever cleans up must get through them.
            |a| a["ended"] == "disk" || says(a, "made"),
        ),
        ("64 MiB of output", "bash", "head -c 67108864 /dev/zero | tr '\\0' x; echo end >&2".into(), AMPLE, |a| {
            text(a, "stdout").len() == 1 << 20
                && a["stdout_truncated"] == true
                && a["ended"] == "exited"
                && text(a, "stderr") == "end\n"
        }),
        ("javascript", "javascript", SCRIPT.into(), AMPLE, |a| {
            says(a, "0\nrefused") || (a["exit_code"] != 0 && says(a, "0"))
        }),
    ]
}

#[test]
fn no_way_out_is_open() {
    for walls in walls() {
        attempt(&Scene::new(walls), walls);
    }
}

/// Does something, and counts how often `exists` is answered meanwhile.
fn while_asked<T>(scene: &Scene, work: impl FnOnce() -> T) -> (T, usize) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mut client = scene.client();
        let stop = &stop;
        let asking = scope.spawn(move || {
            let mut answers = 0;
            while !stop.load(Ordering::Relaxed) {
                client.rpc("exists", &json!({"path": "/nothing"})).expect("answered");
                answers += 1;
            }
            answers
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        stop.store(true, Ordering::Relaxed);
        let answers = asking.join().expect("answered all the time");
        (outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic)), answers)
    })
}

fn attempt(scene: &Scene, walls: &str) {
    let canary = scene.dir.path().join("canary");
    std::fs::create_dir(&canary).expect("a directory");
    std::fs::write(canary.join("file"), "of the machine").expect("written");
    let mut open = Vec::new();
    for (name, language, code, seconds, held) in escapes(scene) {
        let id = scene.sandbox(name);
        if !scene.speaks(language) {
            continue;
        }
        let (answer, asked) = while_asked(scene, || scene.run(&id, language, &code, seconds));
        if !held(&answer) || asked < ANSWERS_MIN {
            open.push(format!("{walls}, {name}: exists was answered {asked} times; {answer:.2000}"));
        }
        // Links that lead out, left for whoever cleans up.
        let links =
            format!("rm -rf .tmp; ln -s {0} .tmp; ln -s {0}/file out; mkdir -p a/b; ln -s {0} a/b/c", canary.display());
        scene.run(&id, "bash", &links, 5.0);
        scene.client().rpc("sandbox_stop", &json!({"sandbox_id": id})).expect("stopped");
        assert!(!scene.files(&id).exists(), "{walls}, {name}: what it wrote is gone");
        assert_eq!(std::fs::read_to_string(canary.join("file")).expect("there"), "of the machine", "{walls}, {name}");
    }
    assert!(open.is_empty(), "{}", open.join("\n"));
}

#[test]
fn without_walls_nothing_is_run() {
    for setting in ["none", "off"] {
        let scene = Scene::new(setting);
        let made = scene.client().rpc("sandbox_get_or_create", &json!({"name": "box"})).expect("made");
        assert_eq!(made["capabilities"]["run"], false, "{made}");
        let why = made["capabilities"]["run_refused"].as_str().expect("a reason");
        let id = made["sandbox_id"].as_str().expect("an id");
        let refusal = scene.try_run(id, "bash", "touch ran", 5.0).expect_err("refused");
        assert_eq!(refusal.code, -32013, "{refusal:?}");
        assert!(refusal.message.contains(why), "{refusal:?} {why}");
        if setting == "none" {
            assert!(why.contains("bubblewrap") && why.contains("Landlock"), "{why}");
        }
        assert!(!scene.files(id).join("ran").exists());
    }
}

/// Runs at the same time.
const AT_ONCE: usize = 20;

#[test]
fn twenty_run_at_once() {
    for walls in walls() {
        let scene = Scene::new(walls);
        let ids: Vec<String> = (0..AT_ONCE).map(|n| scene.sandbox(&format!("box {n}"))).collect();
        std::thread::scope(|scope| {
            let runs: Vec<_> = ids
                .iter()
                .enumerate()
                .map(|(n, id)| {
                    let client = scene.client();
                    scope.spawn(move || {
                        let code = format!("echo {n} > mine; sleep 0.2; cat mine; ls ../*/mine 2>/dev/null");
                        run(client, id, "bash", &code, AMPLE)
                    })
                })
                .collect();
            let mut client = Client::new(scene.server.address(), Some(&scene.key));
            client.rpc("exists", &json!({"path": "/nothing"})).expect("answered");
            for (n, run) in runs.into_iter().enumerate() {
                assert_eq!(
                    text(&run.join().expect("no panic"), "stdout").lines().next(),
                    Some(&*n.to_string()),
                    "{walls}"
                );
            }
        });
    }
}
