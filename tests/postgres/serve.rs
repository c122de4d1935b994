//! Who may serve from a database.

use std::process::Output;

use serde_json::json;

use super::connected;
use crate::harness::client::Client;
use crate::harness::postgres::fresh_database;
use crate::harness::process::{FAR_KEY, FAR_SECRET, Process, program};

/// A server that is expected to refuse.
fn refused(url: &str, secret: Option<&str>) -> Output {
    let mut command = program("");
    command.args(["serve", "--port", "0", "--database-url", url]);
    command.envs(secret.map(|secret| ("NEXUS_LITE_SERVER_SECRET", secret)));
    command.output().expect("the program runs")
}

fn assert_refused(output: &Output, code: i32, word: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(code) && said.contains(word), "{:?} {said}", output.status);
}

#[test]
fn a_second_server_is_refused_and_told_who_has_it() {
    let Some(database) = fresh_database() else { return };
    let mut server = Process::start_far(database.url(), &[]);
    let first = format!("nexus-lite pid {}", server.id());
    assert_refused(&refused(database.url(), Some(FAR_SECRET)), 75, &first);
    let mut client = Client::new(server.address(), Some(FAR_KEY));
    client.rpc("write", &json!({"path": "/still.txt", "content": "here"})).expect("the first serves on");
    // Its place is free when it is gone, however it went.
    server.kill();
    server.restart();
    let mut client = Client::new(server.address(), Some(FAR_KEY));
    assert_eq!(client.rpc("exists", &json!({"path": "/still.txt"})).expect("an answer")["exists"], json!(true));
}

#[test]
fn the_secret_is_the_one_of_before() {
    let Some(database) = fresh_database() else { return };
    assert_refused(&refused(database.url(), None), 78, "NEXUS_LITE_SERVER_SECRET");
    Process::start_far(database.url(), &[]).kill();
    let other = FAR_SECRET.replace('a', "e");
    let output = refused(database.url(), Some(&other));
    assert_refused(&output, 78, "server_secret is not the one");
    assert!(!String::from_utf8_lossy(&output.stderr).contains(&other), "secrets are not shown");
}

#[tokio::test]
async fn a_database_of_another_program_is_left_alone() {
    let Some((client, database)) = connected().await else { return };
    client.batch_execute("CREATE TABLE theirs (a BIGINT)").await.expect("a table");
    assert_refused(&refused(database.url(), Some(FAR_SECRET)), 65, "another program");
    let tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = current_schema()";
    let count: i64 = client.query_one(tables, &[]).await.expect("a count").get(0);
    assert_eq!(count, 1, "nothing was made beside it");
}
