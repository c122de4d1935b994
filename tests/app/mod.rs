//! The application as a whole: settings in, a served directory out, and the same directory again.

use std::os::unix::fs::PermissionsExt as _;

use nexus_lite::app::{ADMIN_KEY_FILE, App, AppError};
use nexus_lite::config::{Config, Sources, load};
use nexus_lite::rpc::registry::METHODS;
use serde_json::json;

use crate::harness::client::{Client, request};

fn config(dir: &tempfile::TempDir, flags: &[(&str, &str)]) -> Config {
    let data_dir = dir.path().join("data").display().to_string();
    let mut all = vec![("data_dir".to_owned(), data_dir), ("port".to_owned(), "0".to_owned())];
    all.extend(flags.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
    load(&Sources { flags: all, ..Sources::default() }).expect("valid settings")
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on the disk of the project")
}

/// Calls as the holder of `key`, on a thread that may block.
async fn whoami(app: &App, key: &str) -> serde_json::Value {
    let running = app.serve().expect("it serves");
    let (address, key) = (running.addr(), key.to_owned());
    let ask = move || Client::new(address, Some(&key)).get("/api/auth/whoami").expect("an answer").json();
    let answer = tokio::task::spawn_blocking(ask).await.expect("no panic");
    running.stop().await;
    answer
}

#[tokio::test]
async fn the_first_start_makes_a_key_and_the_second_none() {
    let dir = directory();
    let app = App::open(config(&dir, &[])).await.expect("opens");
    let key = app.first_key.as_ref().expect("the first key").expose().to_owned();
    let file = dir.path().join("data").join(ADMIN_KEY_FILE);
    assert_eq!(std::fs::read_to_string(&file).expect("the file").trim(), key);
    assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(dir.path().join("data")).expect("there").permissions().mode() & 0o777, 0o700);
    let who = whoami(&app, &key).await;
    assert_eq!((&who["subject_id"], &who["is_admin"]), (&json!("admin"), &json!(true)));

    let taken = App::open(config(&dir, &[])).await.expect_err("in use");
    assert_eq!(taken.exit_status(), 75, "{taken}");
    assert!(taken.to_string().contains("in use"), "{taken}");

    let rev = app.close(None).await.expect("a clean end");
    let again = App::open(config(&dir, &[])).await.expect("opens again");
    assert!(again.first_key.is_none());
    assert_eq!(again.store.published().rev, rev);
    assert_eq!(whoami(&again, &key).await["authenticated"], json!(true));
    again.close(None).await.expect("a clean end");
}

#[tokio::test]
async fn a_given_key_is_the_first_and_is_written_nowhere() {
    let dir = directory();
    let key = "sk-default_admin_0123abcd_0123456789abcdef0123456789abcdef";
    let app = App::open(config(&dir, &[("api_key", key)])).await.expect("opens");
    assert!(!dir.path().join("data").join(ADMIN_KEY_FILE).exists());
    assert_eq!(whoami(&app, key).await["is_admin"], json!(true));
    app.close(None).await.expect("a clean end");
    for entry in std::fs::read_dir(dir.path().join("data")).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let bytes = std::fs::read(&path).expect("read");
            let holds = bytes.windows(key.len()).any(|window| window == key.as_bytes());
            assert!(!holds, "{} holds the key", path.display());
        }
    }
}

#[tokio::test]
async fn the_given_key_stays_the_only_one() {
    let dir = directory();
    let given = "sk-default_admin_0123abcd_0123456789abcdef0123456789abcdef";
    let other = "sk-default_admin_0123abcd_fedcba9876543210fedcba9876543210";
    let settings = [("api_key", given), ("wrong_keys_per_minute", "0")];
    let app = App::open(config(&dir, &settings)).await.expect("opens");
    let running = app.serve().expect("it serves");
    let address = running.addr();
    let asked = tokio::task::spawn_blocking(move || {
        for key in [None, Some(other)] {
            let mut client = Client::new(address, key);
            for entry in METHODS {
                let answer = client.call(entry.name, &json!({})).expect("an answer");
                assert_eq!(answer.status, 401, "{}", entry.name);
            }
        }
        // It is a key as any other: the instance admin's, and what it claims in headers is not looked at.
        let mut admin = Client::new(address, Some(given));
        assert_eq!(admin.rpc("admin_list_keys", &json!({})).expect("an admin")["total"], 1);
        let bearer = format!("Bearer {given}");
        let claims =
            [("Authorization", bearer.as_str()), ("X-Nexus-Subject", "user:alice"), ("X-Nexus-Tenant-ID", "acme")];
        let who = admin.exchange(&request("GET", "/api/auth/whoami", &claims, b"")).expect("an answer").json();
        assert_eq!((&who["subject_id"], &who["tenant_id"]), (&json!("admin"), &json!("default")));
    });
    asked.await.expect("no panic");
    running.stop().await;
    app.close(None).await.expect("a clean end");

    // A directory that has a key takes no other one.
    let again = App::open(config(&dir, &[("api_key", other)])).await.expect("opens again");
    assert!(again.first_key.is_none());
    assert_eq!(whoami(&again, other).await["authenticated"], json!(false));
    assert_eq!(whoami(&again, given).await["is_admin"], json!(true));
    again.close(None).await.expect("a clean end");
}

#[tokio::test]
async fn what_cannot_be_opened_or_served_says_so() {
    let dir = directory();
    let error = App::open(config(&dir, &[("api_key", "secret")])).await.expect_err("no key");
    assert!(matches!(error, AppError::BadKey) && error.exit_status() == 78, "{error}");
    assert!(!dir.path().join("data").exists(), "nothing was made");

    let app = App::open(config(&dir, &[("open_access", "true"), ("host", "0.0.0.0")])).await.expect("opens");
    let error = app.serve().expect_err("open to everybody");
    assert!(error.exit_status() == 78 && error.to_string().contains("open_access"), "{error}");
    app.close(None).await.expect("a clean end");
}
