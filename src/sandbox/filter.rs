//! The list of system calls that a program in a sandbox may make; all others do not exist for it.
//!
//! A list of what is allowed, so that what a newer kernel brings is refused too. Invariants: nothing on it makes a socket
//! that leads anywhere but to the server's (where that is the only one to be seen), a namespace, a mount or a new session, looks into another process, or names another process
//! but to signal it (which Landlock keeps inside, or another user, or a namespace of processes).

use seccompiler::{BpfProgram, TargetArch};
use serde_json::{Value, json};

/// Always.
const CALLS: &str = "read write close fstat lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn \
    rt_sigpending rt_sigsuspend rt_sigtimedwait pread64 pwrite64 readv writev preadv pwritev preadv2 pwritev2 sched_yield \
    mremap msync mincore madvise dup dup3 nanosleep getitimer setitimer getpid sendfile shutdown getsockname getpeername \
    getsockopt setsockopt sendmsg recvmsg recvfrom sendmmsg recvmmsg execve exit exit_group wait4 waitid kill tkill \
    tgkill uname fcntl flock fsync fdatasync truncate ftruncate getcwd chdir fchdir fchmod fchown umask gettimeofday \
    getrlimit getrusage sysinfo times getuid getgid geteuid getegid getppid getpgid getsid getgroups getresuid \
    getresgid capget sigaltstack statfs fstatfs getpriority sched_getparam sched_getscheduler sched_get_priority_max \
    sched_get_priority_min sched_rr_get_interval sched_getaffinity sync_file_range gettid readahead getxattr lgetxattr \
    fgetxattr listxattr llistxattr flistxattr futex set_tid_address fadvise64 timer_create timer_settime timer_gettime \
    timer_getoverrun timer_delete clock_gettime clock_getres clock_nanosleep epoll_create1 epoll_ctl epoll_pwait \
    epoll_pwait2 openat openat2 mkdirat mknodat newfstatat unlinkat renameat renameat2 linkat symlinkat readlinkat \
    faccessat faccessat2 pselect6 ppoll set_robust_list splice tee timerfd_create timerfd_settime timerfd_gettime \
    eventfd2 signalfd4 fallocate pipe2 getrandom membarrier copy_file_range statx rseq close_range getcpu \
    restart_syscall getdents64";
/// The names that only older machines have for the same.
const OLDER_CALLS: &str = "open stat lstat poll access pipe select dup2 pause alarm fork vfork creat rename mkdir rmdir \
    link unlink symlink readlink getpgrp arch_prctl time getdents epoll_create epoll_wait eventfd signalfd mknod";
/// By path, and not by Landlock: where the user has files outside, none of these.
const OWNERS_CALLS: &str = "fchmodat fchownat utimensat setxattr lsetxattr fsetxattr removexattr lremovexattr";
/// The same on older machines.
const OLDER_OWNERS_CALLS: &str = "chmod chown lchown utime utimes futimesat";
/// To the server's socket; the address is behind a pointer, which no filter can follow.
const SERVERS_CALLS: &str = "connect";

/// Every flag of `clone` that makes a namespace.
const NAMESPACES: u64 = 0x7E02_0080;
/// `ENOSYS`.
const NO_SUCH_CALL: u32 = 38;
/// `AF_UNIX`.
const UNIX: u64 = 1;
/// The kinds of a socket without its flags.
const SOCKET_KIND: u64 = 0xF;
/// `SOCK_STREAM`, which cannot be sent elsewhere once it is a pair.
const STREAM: u64 = 1;
/// `PR_SET_NAME`, `PR_GET_NAME`, `PR_GET_DUMPABLE`, `PR_GET_NO_NEW_PRIVS`, `PR_SET_VMA`, `PR_CAPBSET_READ`.
const PROCESS_OPTIONS: &[u64] = &[15, 16, 3, 39, 0x5356_4d41, 23];
/// `TIOCSTI`, `TIOCLINUX`: what puts words into a terminal's mouth.
const TERMINAL_CONTROLS: &[u64] = &[0x5412, 0x541C];

/// A condition on an argument.
fn is(index: u8, op: impl Into<Value>, value: u64) -> Value {
    json!({"index": index, "type": "qword", "op": op.into(), "val": value})
}

fn low(index: u8, op: impl Into<Value>, value: u64) -> Value {
    json!({"index": index, "type": "dword", "op": op.into(), "val": value})
}

/// The filter. `owner`: the user has nothing outside that these calls could reach. `server`: among namespaces that show
/// no socket but the server's, streams may be opened to it.
pub(super) fn program(owner: bool, server: bool) -> Result<BpfProgram, String> {
    let failed = |what: String| format!("the filter of system calls could not be made: {what}");
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| failed(e.to_string()))?;
    let older = matches!(arch, TargetArch::x86_64);
    let mut rules: Vec<Value> = Vec::new();
    let lists = [
        (true, CALLS),
        (older, OLDER_CALLS),
        (owner, OWNERS_CALLS),
        (owner && older, OLDER_OWNERS_CALLS),
        (server, SERVERS_CALLS),
    ];
    for (_, list) in lists.iter().filter(|(wanted, _)| *wanted) {
        rules.extend(list.split_whitespace().map(|call| json!({"syscall": call})));
    }
    let mut when = |call: &str, conditions: Vec<Value>| rules.push(json!({"syscall": call, "args": conditions}));
    when("clone", vec![is(0, json!({"masked_eq": NAMESPACES}), 0)]);
    when("socketpair", vec![low(0, "eq", UNIX), low(1, json!({"masked_eq": SOCKET_KIND}), STREAM)]);
    if server {
        when("socket", vec![low(0, "eq", UNIX), low(1, json!({"masked_eq": SOCKET_KIND}), STREAM)]);
    }
    // To nobody in particular: the other end of a stream.
    when("sendto", vec![is(4, "eq", 0)]);
    // One's own, never another process's.
    when("prlimit64", vec![low(0, "eq", 0)]);
    when("sched_setaffinity", vec![low(0, "eq", 0)]);
    if !owner {
        // By an open file, not by a path.
        when("utimensat", vec![is(1, "eq", 0)]);
    }
    for option in PROCESS_OPTIONS {
        when("prctl", vec![low(0, "eq", *option)]);
    }
    when("ioctl", TERMINAL_CONTROLS.iter().map(|control| low(1, "ne", *control)).collect());
    let filter = json!({"program": {
        "mismatch_action": {"errno": NO_SUCH_CALL}, "match_action": "allow", "filter": rules,
    }});
    let text = filter.to_string();
    let mut made = seccompiler::compile_from_json(text.as_bytes(), arch).map_err(|e| failed(e.to_string()))?;
    made.remove("program").ok_or_else(|| failed("it is empty".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_filters_can_be_made_for_this_machine() {
        for (owner, server) in [(true, true), (true, false), (false, false)] {
            assert!(!program(owner, server).expect("a filter").is_empty());
        }
    }

    #[test]
    fn what_leads_out_is_not_on_the_list() {
        let listed: Vec<&str> = [CALLS, OLDER_CALLS, OWNERS_CALLS, OLDER_OWNERS_CALLS]
            .into_iter()
            .flat_map(str::split_whitespace)
            .collect();
        for call in [
            "socket",
            "connect",
            "bind",
            "ptrace",
            "process_vm_readv",
            "mount",
            "umount2",
            "pivot_root",
            "chroot",
            "unshare",
            "setns",
            "clone",
            "clone3",
            "bpf",
            "keyctl",
            "perf_event_open",
            "init_module",
            "finit_module",
            "io_uring_setup",
            "memfd_create",
            "shmget",
            "setsid",
            "setpgid",
            "prctl",
            "ioctl",
            "pidfd_getfd",
            "open_by_handle_at",
            "userfaultfd",
            "inotify_add_watch",
        ] {
            assert!(!listed.contains(&call), "{call}");
        }
    }
}
