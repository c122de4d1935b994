//! A real PostgreSQL for tests: a private cluster in a directory of its own, reached over a socket in it.
//!
//! One cluster serves the whole test process; the first test that asks starts it, each gets a database of its own. Its
//! order of texts is not ours (en-US, as a managed database has it), so that a column which forgets to compare bytes is
//! noticed. Invariant: no cluster outlives the process that asked for it, however that ends. Nothing is left to
//! destructors, which a kill does not run: a keeper, a shell in a process group of its own, holds the other end of a
//! pipe; when that closes it ends the server and removes the directory. Should the keeper die first, the kernel ends
//! the server.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, OnceLock};

use nexus_lite::model::{OsRandom, RandomSource as _};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::client::LIVENESS;

/// What the variable `NEXUS_LITE_REQUIRE` holds where a missing server is a failure.
const REQUIRED: &str = "postgres";
/// The superuser of a cluster.
pub(crate) const USER: &str = "nexus";
/// Where Debian and others put the programs, besides PATH: one directory for each version.
const VERSIONS_DIR: &str = "/usr/lib/postgresql";
/// The accounts that may run the server where we are root, which it refuses; the first that there is.
const ACCOUNTS: [&str; 2] = ["postgres", "nobody"];
/// Connections to one cluster: tests that run at the same time, each with a writer and pools of readers.
const CONNECTIONS: u32 = 400;
/// Databases that are made before anybody asks.
const SPARES: usize = 2;
/// How often a start is tried anew: a port may be taken in between, a killed server's memory not yet given back.
const STARTS: u32 = 40;
/// For data that nobody needs after the test.
const CARELESS: [&str; 5] =
    ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off", "max_wal_size=4GB"];
/// How the server says that it serves.
const READY: &str = "database system is ready to accept connections";
/// How it says that it does not: who comes too early or with a wrong password is refused with FATAL as well.
const GIVES_UP: [&str; 5] =
    ["FATAL:  could not", "FATAL:  lock file", "FATAL:  pre-existing", "configuration", "No such file"];
/// `$1` the directory, then the server's command. A line asks for another start, the end of the pipe for the end.
const KEEPER: &str = r#"
trap '' INT HUP TERM
dir=$1; shift
while
    "$@" & server=$!
    read -r again; asked=$?
    kill -QUIT "$server" 2>/dev/null
    wait "$server"
    [ "$asked" -eq 0 ]
do :; done
rm -rf -- "$dir"
"#;

/// How a cluster differs from the one that all tests share.
#[derive(Debug, Default)]
pub(crate) struct Setup {
    /// Everything is synced: for tests that kill the server.
    pub(crate) durable: bool,
    /// It listens on a port of the loopback interface as well.
    pub(crate) tcp: bool,
    /// More settings, `name=value`; `{dir}` is the directory.
    pub(crate) settings: Vec<String>,
    /// Who is let in how, in the place of everybody over the socket: the text of pg_hba.conf.
    pub(crate) access: Option<String>,
    /// Files of the directory that only the server can read: name and text.
    pub(crate) files: Vec<(&'static str, String)>,
}

/// A running server with databases of our own.
#[derive(Debug)]
pub(crate) struct Cluster {
    dir: PathBuf,
    port: Option<u16>,
    keeper: Mutex<Keeper>,
    admin: Sender<Job>,
}

/// A database for one test; it is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Database {
    name: String,
    url: String,
    admin: Sender<Job>,
}

impl Database {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where it is: `postgresql://…`, over the socket.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Database {
    /// Runs a statement past the store, as an administrator could; how many rows it changed, or the number that it
    /// gave.
    pub(crate) fn run(&self, sql: &str) -> u64 {
        let (url, sql) = (self.url.clone(), sql.to_owned());
        // On a thread of its own: whoever asks may be in a runtime.
        let ran = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("it serves");
                tokio::spawn(connection);
                let said = client.simple_query(&sql).await.expect("runs");
                said.iter().find_map(|message| match message {
                    SimpleQueryMessage::Row(row) => row.get(0).and_then(|number| number.parse().ok()),
                    SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
                    _ => None,
                })
            })
        });
        ran.join().expect("no panic").expect("a number")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Where the thread is gone, the cluster goes too.
        let _ = self.admin.send(Job::Remove(self.name.clone()));
    }
}

/// A new empty database in the cluster of this process; `None`, with a printed reason, where no PostgreSQL is
/// installed.
pub(crate) fn fresh_database() -> Option<Database> {
    shared().map(Cluster::database)
}

/// The cluster of this process.
pub(crate) fn shared() -> Option<&'static Cluster> {
    static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
    SHARED.get_or_init(|| Cluster::start(Setup::default())).as_ref()
}

/// Where `initdb` and `postgres` are, the newest version first; PATH goes before.
#[expect(clippy::print_stdout, reason = "whoever sees a test pass should know that it did not run")]
fn programs() -> Option<PathBuf> {
    let holds = |dir: &PathBuf| dir.join("initdb").is_file() && dir.join("postgres").is_file();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut versions: Vec<PathBuf> =
        std::fs::read_dir(VERSIONS_DIR).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    let number = |dir: &PathBuf| dir.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    versions.sort_by_key(|dir| std::cmp::Reverse(number(dir)));
    let found = std::env::split_paths(&path).chain(versions.iter().map(|dir| dir.join("bin"))).find(holds);
    if found.is_none() {
        let required = std::env::var_os("NEXUS_LITE_REQUIRE").unwrap_or_default().to_string_lossy().into_owned();
        assert!(!required.contains(REQUIRED), "NEXUS_LITE_REQUIRE asks for postgres, and there is none");
        println!("skipped: no PostgreSQL in PATH or {VERSIONS_DIR}; install the package postgresql");
    }
    found
}

/// User and group that the server runs as; `None`: as we do.
fn account() -> Option<(u32, u32)> {
    if !geteuid().is_root() {
        return None;
    }
    let accounts = std::fs::read_to_string("/etc/passwd").expect("a list of accounts");
    let ids = |name: &str| {
        let mut fields = accounts.lines().map(|line| line.split(':')).find(|l| l.clone().next() == Some(name))?;
        Some((fields.nth(2)?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(ACCOUNTS.into_iter().find_map(ids).expect("root needs an account for the server, which refuses to be root"))
}

/// The words that run what follows them as `account`, and end it with its parent.
fn as_account(account: Option<(u32, u32)>) -> Vec<OsString> {
    if !cfg!(target_os = "linux") {
        return Vec::new();
    }
    let mut words: Vec<OsString> = ["setpriv", "--pdeathsig", "QUIT"].map(Into::into).into();
    if let Some((user, group)) = account {
        words.extend([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".into()].map(Into::into));
    }
    words.push("--".into());
    words
}

impl Cluster {
    /// A cluster of its own, for a test that kills it or needs other settings; `None` where none is installed.
    pub(crate) fn start(setup: Setup) -> Option<Self> {
        let programs = programs()?;
        let account = account();
        let dir = tempfile::Builder::new().prefix("nexus-pg-").tempdir().expect("a directory").keep();
        if let Some((user, group)) = account {
            chown(&dir, Some(user), Some(group)).expect("the server's directory");
        }
        initialise(&programs, account, &dir);
        let place = |path: &Path, text: &str| {
            std::fs::write(path, text).expect("a file of the server");
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
            if let Some((user, group)) = account {
                chown(path, Some(user), Some(group)).expect("its owner");
            }
        };
        setup.files.iter().for_each(|(name, text)| place(&dir.join(name), text));
        if let Some(access) = &setup.access {
            place(&dir.join("data/pg_hba.conf"), access);
        }
        let mut problem = String::new();
        for _ in 0..STARTS {
            let port = setup.tcp.then(free_port);
            let command = command(&programs, account, &dir, port, &setup);
            let keeper = Keeper::start(&dir, &command);
            match keeper.wait_until_ready() {
                Ok(()) => {
                    let admin = administrator(&dir);
                    return Some(Self { dir, port, keeper: Mutex::new(keeper), admin });
                }
                Err(told) => problem = told,
            }
            keeper.abandon();
        }
        panic!("PostgreSQL in {} does not start:\n{problem}", dir.display());
    }

    /// A new empty database.
    pub(crate) fn database(&self) -> Database {
        let (tell, told) = mpsc::channel();
        self.admin.send(Job::Make(tell)).expect("the thread lives as long as the process");
        let name = told.recv_timeout(LIVENESS).expect("a database").expect("made");
        let url = socket_url(&self.dir, &name);
        Database { name, url, admin: self.admin.clone() }
    }

    /// The port on the loopback interface.
    pub(crate) fn port(&self) -> u16 {
        self.port.expect("a cluster that listens")
    }

    /// Its directory: the socket, and the files of the setup.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs statements as the superuser, in the database `postgres`.
    pub(crate) fn run(&self, sql: &str) {
        let (tell, told) = mpsc::channel();
        self.admin.send(Job::Run(sql.to_owned(), tell)).expect("the thread lives as long as the process");
        told.recv_timeout(LIVENESS).expect("an answer").expect("runs");
    }

    /// Ends the server and everybody it serves as a power cut would end processes; it stays away until
    /// [`restart`](Self::restart).
    pub(crate) fn kill(&self) {
        let text = std::fs::read_to_string(self.dir.join("data/postmaster.pid")).expect("it runs");
        let server = text.lines().next().and_then(process).expect("a number");
        // Stopped first, so that nobody comes to be while the others are listed.
        kill_process(server, Signal::STOP).expect("our own server");
        let pid = server.as_raw_nonzero();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("Linux");
        for child in children.split_whitespace().filter_map(process) {
            // One may just have ended by itself.
            let _ = kill_process(child, Signal::KILL);
        }
        kill_process(server, Signal::KILL).expect("our own server");
    }

    /// Starts the server again on the same data, after ending it without a last word if it runs.
    pub(crate) fn restart(&self) {
        let mut keeper = self.keeper.lock().expect("no panic");
        let mut problem = String::new();
        for _ in 0..STARTS {
            keeper.start_again();
            match keeper.wait_until_ready() {
                Ok(()) => return,
                Err(told) => problem = told,
            }
        }
        panic!("PostgreSQL in {} does not come back:\n{problem}", self.dir.display());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.keeper.lock().expect("no panic").end();
    }
}

/// Makes the files of a cluster.
fn initialise(programs: &Path, account: Option<(u32, u32)>, dir: &Path) {
    let mut words = as_account(account);
    words.push(programs.join("initdb").into());
    words.extend(["--no-sync", "--no-instructions", "--auth=trust", "--encoding=UTF8"].map(Into::into));
    words.extend(["--locale=C", "--locale-provider=icu", "--icu-locale=en-US", "--username", USER].map(Into::into));
    words.extend(["-D".into(), dir.join("data").into_os_string()]);
    // From a directory that the other account can enter.
    let made = Command::new(&words[0]).args(&words[1..]).current_dir("/").output();
    let made = made.unwrap_or_else(|e| panic!("{}: {e}", words[0].display()));
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
}

/// The command of the server.
fn command(
    programs: &Path,
    account: Option<(u32, u32)>,
    dir: &Path,
    port: Option<u16>,
    setup: &Setup,
) -> Vec<OsString> {
    let mut words = as_account(account);
    words.push(programs.join("postgres").into());
    words.extend(["-D".into(), dir.join("data").into_os_string(), "-k".into(), dir.into()]);
    let mut settings = vec![format!("max_connections={CONNECTIONS}"), "lc_messages=C".into()];
    settings.push(if port.is_some() { "listen_addresses=127.0.0.1".into() } else { "listen_addresses=".into() });
    settings.push(format!("port={}", port.unwrap_or(5432)));
    if !setup.durable {
        settings.extend(CARELESS.map(str::to_owned));
    }
    settings.extend(setup.settings.iter().map(|setting| setting.replace("{dir}", &dir.to_string_lossy())));
    words.extend(settings.into_iter().flat_map(|setting| ["-c".into(), setting.into()]));
    words
}

/// The process of a number.
fn process(number: &str) -> Option<Pid> {
    number.trim().parse().ok().and_then(Pid::from_raw)
}

/// A port that nobody listens on at the moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// The address of a database over the socket in `dir`.
fn socket_url(dir: &Path, database: &str) -> String {
    // Whatever the name of the socket says, no more of it than this: the directory is ours and has no odd letters.
    let port = std::fs::read_dir(dir)
        .expect("our directory")
        .flatten()
        .find_map(|entry| entry.file_name().to_str()?.strip_prefix(".s.PGSQL.")?.parse::<u16>().ok());
    format!("postgresql://{USER}@/{database}?host={}&port={}", dir.display(), port.unwrap_or(5432))
}

/// The shell that ends the server with us.
#[derive(Debug)]
struct Keeper {
    child: Child,
    pipe: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Keeper {
    fn start(dir: &Path, server: &[OsString]) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", KEEPER, "nexus-lite-keeper"])
            .arg(dir)
            .args(server)
            .current_dir("/")
            // Not among those that a Ctrl-C ends.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shell");
        let stderr = child.stderr.take().expect("piped");
        let (tell, lines) = mpsc::channel();
        // Reads to the end, so that the server never waits for a full pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Nobody may be listening any more.
                let _ = tell.send(line);
            }
        });
        let pipe = child.stdin.take();
        Self { child, pipe, lines }
    }

    /// Waits until the server serves; what it said, if it gave up.
    fn wait_until_ready(&self) -> Result<(), String> {
        let mut said = String::new();
        loop {
            let Ok(line) = self.lines.recv_timeout(LIVENESS) else { return Err(said) };
            if line.contains(READY) {
                return Ok(());
            }
            said.push_str(&line);
            said.push('\n');
            if GIVES_UP.iter().any(|end| line.contains(end)) {
                return Err(said);
            }
        }
    }

    /// Ends the server without a last word and starts it on what it has left.
    fn start_again(&mut self) {
        // What was said before is not about the next start.
        while self.lines.try_recv().is_ok() {}
        writeln!(self.pipe.as_mut().expect("open"), "again").expect("it reads");
    }

    /// Ends the keeper, not the directory.
    fn abandon(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Ends the server and removes the directory.
    fn end(&mut self) {
        drop(self.pipe.take());
        let _ = self.child.wait();
    }
}

/// What the thread does that has a connection of the superuser.
#[derive(Debug)]
enum Job {
    Make(Sender<Result<String, String>>),
    Remove(String),
    Run(String, Sender<Result<(), String>>),
}

/// Starts the thread that makes and removes databases. It ends with the last who could ask.
fn administrator(dir: &Path) -> Sender<Job> {
    let url = socket_url(dir, "postgres");
    let (ask, asked) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut administrator = Administrator { url, runtime, client: None, spares: Vec::new(), wanted: false };
        while let Some(job) = administrator.next(&asked) {
            administrator.handle(job);
        }
    });
    ask
}

/// The connection of the superuser, on a thread of its own, so that it may be asked from within any runtime.
struct Administrator {
    url: String,
    runtime: tokio::runtime::Runtime,
    client: Option<tokio_postgres::Client>,
    spares: Vec<String>,
    /// Somebody has asked for a database: there will be others.
    wanted: bool,
}

impl Administrator {
    /// The next thing to do; while there is none, databases are made for those who come.
    fn next(&mut self, asked: &Receiver<Job>) -> Option<Job> {
        loop {
            match asked.try_recv() {
                Ok(job) => return Some(job),
                Err(mpsc::TryRecvError::Disconnected) => return None,
                Err(mpsc::TryRecvError::Empty) => {}
            }
            if !self.wanted || self.spares.len() >= SPARES {
                return asked.recv().ok();
            }
            match self.make() {
                Ok(name) => self.spares.push(name),
                // The server is away; whoever asks next is told.
                Err(_) => return asked.recv().ok(),
            }
        }
    }

    fn handle(&mut self, job: Job) {
        // Whoever asked may have given up.
        match job {
            Job::Make(tell) => {
                self.wanted = true;
                let name = self.spares.pop().map_or_else(|| self.make(), Ok);
                let _ = tell.send(name);
            }
            Job::Remove(name) => {
                // Connections may be about to end, or the server may be away: what is left goes with the cluster.
                let _ = self.run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
            }
            Job::Run(sql, tell) => {
                let _ = tell.send(self.run(&sql));
            }
        }
    }

    fn make(&mut self) -> Result<String, String> {
        let name = format!("test_{}", OsRandom.uuid().replace('-', ""));
        self.run(&format!("CREATE DATABASE {name}")).map(|()| name)
    }

    fn run(&mut self, sql: &str) -> Result<(), String> {
        let told = |e: tokio_postgres::Error| {
            e.as_db_error().map_or_else(|| e.to_string(), |e| format!("{}: {}", e.code().code(), e.message()))
        };
        if let Some(client) = self.client.take() {
            let ran = self.runtime.block_on(client.batch_execute(sql));
            if ran.is_ok() || !client.is_closed() {
                self.client = Some(client);
                return ran.map_err(told);
            }
            // The server was away in between: the connection did not notice before it was used.
        }
        let (client, connection) = self.runtime.block_on(tokio_postgres::connect(&self.url, NoTls)).map_err(told)?;
        self.runtime.spawn(connection);
        let ran = self.runtime.block_on(client.batch_execute(sql));
        self.client = Some(client);
        ran.map_err(told)
    }
}
