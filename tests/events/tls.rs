//! Webhooks over TLS: to whom they go, and whom they are kept from.

use std::sync::Arc;

use nexus_lite::outbound::{Guard, Outbound, OutboundError, Post, Target, Trust};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;

use super::receiver::Receiver;
use crate::harness::certificates::Certificates;
use crate::harness::client::{Client, request};
use crate::harness::process::{FAR_KEY, Process};

/// A receiver that shows one of the certificates.
fn receiver(certificates: &Certificates, name: &str) -> Receiver {
    let chain = CertificateDer::pem_file_iter(certificates.path(&format!("{name}.pem"))).expect("a file");
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates");
    let key = PrivateKeyDer::from_pem_file(certificates.path(&format!("{name}.key"))).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("usual ones");
    Receiver::on_tls(Arc::new(tls.with_no_client_auth().with_single_cert(chain, key).expect("fits")))
}

fn https(receiver: &Receiver, host: &str) -> String {
    format!("https://{host}:{}/hook", receiver.address().port())
}

async fn post(outbound: &Outbound, url: &str) -> Result<u16, OutboundError> {
    let target = Target::parse(url)?;
    outbound.post(Post { target, headers: Vec::new(), body: r#"{"a": "word"}"#.into() }).await
}

#[tokio::test]
async fn only_a_receiver_that_a_believed_authority_vouches_for_is_told() {
    let Some(certificates) = Certificates::make() else { return };
    let guard = || Guard::parse(&["127.0.0.1/32".to_owned()]).expect("a network");
    let trust = |file: &str| Trust::with_file(&certificates.path(file)).expect("certificates");
    let believing = Outbound::new(guard()).trusting(trust("ours.pem"));
    let server = receiver(&certificates, "server");
    for host in ["localhost", "127.0.0.1"] {
        assert_eq!(post(&believing, &https(&server, host)).await, Ok(200), "{host}");
    }
    let told = server.taken();
    assert_eq!((told.len(), told[0].body.as_slice()), (2, r#"{"a": "word"}"#.as_bytes()));

    for name in ["elsewhere", "foreign", "expired"] {
        let other = receiver(&certificates, name);
        let refused = post(&believing, &https(&other, "localhost")).await;
        assert!(matches!(refused, Err(OutboundError::Failed(_))), "{name}: {refused:?}");
        assert_eq!(other.count(), 0, "{name}: nothing of the request was sent");
    }
    // Who is believed is who was named; without the file nobody but those of the machine.
    for outbound in [Outbound::new(guard()), Outbound::new(guard()).trusting(trust("theirs.pem"))] {
        let refused = post(&outbound, &https(&server, "localhost")).await;
        assert!(matches!(refused, Err(OutboundError::Failed(_))), "{refused:?}");
    }
    let foreign = receiver(&certificates, "foreign");
    let other = Outbound::new(guard()).trusting(trust("theirs.pem"));
    assert_eq!(post(&other, &https(&foreign, "localhost")).await, Ok(200));
    // Who does not speak TLS is told nothing in clear.
    let plain = Receiver::start(200);
    assert!(post(&believing, &https(&plain, "localhost")).await.is_err());
    assert_eq!((server.count(), plain.taken().len()), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_believes_the_file_that_its_setting_names() {
    let Some(certificates) = Certificates::make() else { return };
    let receiver = receiver(&certificates, "server");
    let roots = certificates.path("ours.pem");
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let args = ["--webhook-allow", "127.0.0.1/32", "--webhook-roots", roots.to_str().expect("UTF-8")];
    let server = Process::start_keyed(dir.path(), &args);
    let mut client = Client::new(server.address(), Some(FAR_KEY));
    let bearer = format!("Bearer {FAR_KEY}");
    let headers = [("Authorization", bearer.as_str())];
    let body = json!({"url": https(&receiver, "localhost"), "patterns": ["/w/*"], "secret": "word"}).to_string();
    let made = client.exchange(&request("POST", "/api/subscriptions", &headers, body.as_bytes())).expect("an answer");
    assert_eq!(made.status, 201, "{}", String::from_utf8_lossy(&made.body));
    client.rpc("write", &json!({"path": "/w/a.txt", "content": "x"})).expect("written");
    receiver.until_taken(1).await;
    let told = &receiver.taken()[0];
    assert_eq!(super::short(&told.json()), "file_write /w/a.txt");
    assert!(told.header("x-nexus-signature").is_some_and(|sign| sign.starts_with("sha256=")), "{told:?}");
}

#[test]
fn a_file_that_names_nobody_is_refused_at_the_start() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let file = dir.path().join("roots.pem");
    let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (content, why) in [(None, "No such file"), (Some(""), "no certificate"), (Some(empty), "certificate 1")] {
        if let Some(content) = content {
            std::fs::write(&file, content).expect("a file");
        }
        let args = ["--webhook-roots", file.to_str().expect("UTF-8")];
        let ended = Process::try_start(&dir.path().join("data"), "", &args).expect_err("it must not start");
        assert!(!ended.status.success() && ended.log.contains("webhook_roots"), "{}", ended.log);
        assert!(ended.log.contains(why) && ended.log.contains("BEGIN CERTIFICATE"), "{}", ended.log);
    }
}
