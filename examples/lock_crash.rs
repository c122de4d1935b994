//! "database is locked" in eighty lines, and the same load through the writer.
//!
//! ```console
//! $ cargo run --release --example lock_crash
//! ```
//!
//! The load: every client reads whether it may see a file, and what it decided is written down. First by the design of
//! the incumbent: each client has a connection, a **deferred** transaction reads, then writes. A second client that
//! commits in between makes the first one's snapshot old; such a transaction can never write, so SQLite refuses at
//! once, whatever the busy timeout. Then by ours: reads stay reads, and every write is a message to the one writer.
//! Ours also waits until its write is durable, which the incumbent's cache row need not be.
//!
//! Ends with 1 if ours has a single error, or the other design has none.

#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use nexus_lite::app::App;
use nexus_lite::auth::Caller;
use nexus_lite::config::Config;
use nexus_lite::service::files::ops::PutOptions;
use nexus_lite::service::{Call, files};
use rusqlite::{Connection, TransactionBehavior, params};

const CLIENTS: usize = 10;
const REQUESTS: usize = 100;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The incumbent's design. Returns how many requests failed, and the first reason.
#[expect(clippy::disallowed_methods, reason = "the design that is shown to fail opens its own connections")]
fn deferred(dir: &std::path::Path) -> Result<(usize, Option<String>), Box<dyn Error>> {
    let path = dir.join("deferred.db");
    let open = move || -> rusqlite::Result<Connection> {
        let conn = Connection::open(&path)?;
        conn.busy_timeout(BUSY_TIMEOUT)?;
        conn.pragma_update(None, "journal_mode", "WAL")?;
        Ok(conn)
    };
    open()?
        .execute_batch("CREATE TABLE cache (file TEXT PRIMARY KEY, allowed INTEGER NOT NULL, seen INTEGER NOT NULL)")?;
    let check = |conn: &mut Connection, file: &str| -> rusqlite::Result<()> {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Deferred)?;
        let seen: i64 = tx.query_row("SELECT COALESCE(MAX(seen), 0) FROM cache", [], |row| row.get(0))?;
        let cached = "INSERT INTO cache VALUES (?1, 1, ?2) ON CONFLICT (file) DO UPDATE SET seen = excluded.seen";
        tx.execute(cached, params![file, seen + 1])?;
        tx.commit()
    };
    let client = |number: usize| -> rusqlite::Result<Vec<String>> {
        let mut conn = open()?;
        let errors = (0..REQUESTS).filter_map(|at| check(&mut conn, &format!("/f{number}/{at}")).err());
        Ok(errors.map(|e| e.to_string()).collect())
    };
    let errors = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || client(number))).collect();
        threads.into_iter().map(|t| t.join().expect("no client panics")).collect::<rusqlite::Result<Vec<_>>>()
    })?;
    let errors: Vec<String> = errors.into_iter().flatten().collect();
    Ok((errors.len(), errors.into_iter().next()))
}

/// Ours. Returns how many requests failed, and the first reason.
async fn through_the_writer(dir: &std::path::Path) -> Result<(usize, Option<String>), Box<dyn Error>> {
    let app = App::open(Config::for_directory(dir.join("nexus-lite"))).await?;
    let call = Call::new(Caller::system("admin"), "example".into(), None, app.base());
    let client = |number: usize| {
        let call = call.clone();
        tokio::spawn(async move {
            let mut errors = Vec::new();
            for at in 0..REQUESTS {
                let path = files::path_below_root(&format!("/f{number}/{at}")).expect("a valid path");
                let wrote = files::write(&call, path.clone(), "allowed".into(), PutOptions::default()).await;
                let read = files::read(&call, path, None).await;
                errors.extend(wrote.err().into_iter().chain(read.err()).map(|e| e.to_string()).take(1));
            }
            errors
        })
    };
    let mut errors = Vec::new();
    for running in (0..CLIENTS).map(client).collect::<Vec<_>>() {
        errors.extend(running.await?);
    }
    app.close(None).await?;
    Ok((errors.len(), errors.into_iter().next()))
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let requests = CLIENTS * REQUESTS;
    let (theirs, why) = deferred(dir.path())?;
    println!("reads that write (deferred): {theirs} of {requests} requests failed: {}", why.as_deref().unwrap_or("-"));
    let (ours, why) = through_the_writer(dir.path()).await?;
    println!("messages to one writer:      {ours} of {requests} requests failed: {}", why.as_deref().unwrap_or("-"));
    Ok(ExitCode::from(u8::from(ours > 0 || theirs == 0)))
}
