//! PostgreSQL: the server that tests start, and what must be the same on both engines before anything runs on it.

// The tool: a cluster that ends with its process, and comes back after a kill.
mod cluster;
// The server is killed, the database is, and the connection between them is cut.
mod kill;
// Who may serve from a database: one server, with the secret of before, if the database is its own.
mod serve;
// Every migration makes the same schema on both.
mod migrations;
// Every statement means the same to both.
mod statements;
// Who is believed to be the server.
mod tls;

use tokio_postgres::{Client, NoTls};

use crate::harness::postgres::{Database, fresh_database};

/// A connection to a database of its own; `None` where no PostgreSQL is installed.
async fn connected() -> Option<(Client, Database)> {
    let database = fresh_database()?;
    Some((connect(&database).await, database))
}

/// A connection to `database`.
async fn connect(database: &Database) -> Client {
    let (client, connection) = tokio_postgres::connect(database.url(), NoTls).await.expect("it serves");
    tokio::spawn(connection);
    client
}

/// An empty SQLite database in memory, to compare with.
fn lite() -> rusqlite::Connection {
    rusqlite::Connection::open_in_memory().expect("opens")
}
