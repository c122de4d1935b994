//! The server as a library, inside a plain tokio program: open, write, list, read, check, close. No HTTP, no port.
//!
//! ```console
//! $ cargo run --example embedded                 # in a temporary directory
//! $ cargo run --example embedded -- ./my-data    # or in one that stays
//! ```
//!
//! Any runtime will do: the store brings its own thread for the writer, and reads run where they are called.

#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::error::Error;
use std::path::PathBuf;

use nexus_lite::app::App;
use nexus_lite::auth::Caller;
use nexus_lite::config::Config;
use nexus_lite::service::files::list::{ListQuery, list};
use nexus_lite::service::files::ops::PutOptions;
use nexus_lite::service::{Call, files};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let given = std::env::args_os().nth(1).map(PathBuf::from);
    let temporary = tempfile::tempdir()?;
    let data_dir = given.unwrap_or_else(|| temporary.path().join("data"));

    // The same composition as the server's: store, permission graph, identities. The first start makes an admin key.
    let app = App::open(Config::for_directory(&data_dir)).await?;

    // Who asks. An embedding program vouches for its callers; over HTTP the API key does.
    let caller = Caller::system("admin");
    let call = Call::new(caller, "example".into(), None, app.base());

    // Three writes at once: each is a message to the writer, and they may well share one commit.
    let write = |name: &str, text: &'static str| {
        let path = files::path_below_root(&format!("/workspace/{name}"));
        let call = call.clone();
        async move { files::write(&call, path?, text.into(), PutOptions::default()).await }
    };
    let (a, b, c) = tokio::try_join!(write("a.txt", "hello"), write("b.txt", "from"), write("c.txt", "a library"))?;
    println!(
        "wrote versions {}, {}, {}; the newest revision seen is {}",
        a.version,
        b.version,
        c.version,
        call.revision()
    );

    let path = files::path("/workspace")?;
    let query = ListQuery { path, recursive: true, details: true, prefix: None, limit: None, cursor: None };
    let listing = list(&call, query).await?;
    for entry in &listing.entries {
        println!("{:>8} bytes  {}", entry.details.as_ref().map_or(0, |file| file.size), entry.path);
    }

    let read = files::read(&call, files::path_below_root("/workspace/a.txt")?, None).await?;
    println!("a.txt says {:?} (etag {})", String::from_utf8_lossy(&read.body), &read.etag[..16]);

    let report = app.store.check().await?;
    let last = app.close(None).await?;
    println!("{} violation(s), closed at revision {last}", report.violations.len());
    if report.violations.is_empty() { Ok(()) } else { Err("the check found something".into()) }
}
