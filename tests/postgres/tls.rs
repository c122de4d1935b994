//! TLS to the database: who is believed, what is refused, and that a refusal says what to do and no password.

use std::path::Path;

use nexus_lite::store::{Options, PostgresUrl, Store, StoreError};

use crate::harness::certificates::Certificates;
use crate::harness::postgres::{Cluster, Setup, USER};

/// In every URL, and in no message.
const PASSWORD: &str = "hidden-from-messages";

/// A cluster with a password that shows the certificate `name`, or none.
fn cluster(certificates: &Certificates, name: Option<&str>) -> Option<Cluster> {
    let mut setup = Setup {
        tcp: true,
        access: Some("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n".to_owned()),
        ..Setup::default()
    };
    if let Some(name) = name {
        setup.files = vec![
            ("tls.pem", certificates.text(&format!("{name}.pem"))),
            ("tls.key", certificates.text(&format!("{name}.key"))),
        ];
        setup.settings =
            ["ssl=on", "ssl_cert_file={dir}/tls.pem", "ssl_key_file={dir}/tls.key"].map(str::to_owned).into();
    }
    let cluster = Cluster::start(setup)?;
    cluster.run(&format!("ALTER ROLE {USER} PASSWORD '{PASSWORD}'"));
    Some(cluster)
}

/// Opens a store; whether its sessions are encrypted, or why it does not open.
async fn open(cluster: &Cluster, host: &str, query: &str) -> Result<bool, String> {
    let database = cluster.database();
    let url = format!("postgres://{USER}:{PASSWORD}@{host}:{}/{}{query}", cluster.port(), database.name());
    let told = |text: String| {
        assert!(!text.contains(PASSWORD), "{text}");
        text
    };
    let url = PostgresUrl::parse(&url).map_err(|e| told(e.to_string()))?;
    let store = Store::builder(Options::postgres(url)).open().map_err(|e: StoreError| told(e.to_string()))?;
    let (client, connection) =
        tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await.expect("over the socket");
    tokio::spawn(connection);
    let sql = "SELECT COUNT(*), COUNT(*) FILTER (WHERE s.ssl) FROM pg_stat_activity AS a \
        JOIN pg_stat_ssl AS s ON s.pid = a.pid WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()";
    let row = client.query_one(sql, &[]).await.expect("runs");
    let (all, encrypted): (i64, i64) = (row.get(0), row.get(1));
    assert!(all > 0 && (encrypted == all || encrypted == 0), "{encrypted} of {all}");
    store.close().await.expect("closes");
    Ok(encrypted > 0)
}

fn roots(mode: &str, file: &Path) -> String {
    format!("?sslmode={mode}&sslrootcert={}", file.display())
}

#[tokio::test]
async fn a_server_is_believed_that_a_known_authority_has_signed_for() {
    let Some(certificates) = Certificates::make() else { return };
    let Some(cluster) = cluster(&certificates, Some("server")) else { return };
    let (ours, theirs) = (certificates.path("ours.pem"), certificates.path("theirs.pem"));
    for host in ["localhost", "127.0.0.1"] {
        for mode in ["require", "verify-full", "verify-ca"] {
            assert_eq!(open(&cluster, host, &roots(mode, &ours)).await, Ok(true), "{host} {mode}");
            let refused = open(&cluster, host, &roots(mode, &theirs)).await.expect_err("a stranger has signed");
            assert!(refused.contains("sslrootcert=FILE"), "{refused}");
        }
    }
    let only_roots = format!("?sslrootcert={}", ours.display());
    assert_eq!(open(&cluster, "localhost", &only_roots).await, Ok(true), "who gives roots wants them looked at");
    let itself = certificates.path("server.pem");
    assert_eq!(open(&cluster, "localhost", &roots("require", &itself)).await, Ok(true), "the very certificate");
    // Nobody's word for it.
    assert_eq!(open(&cluster, "localhost", "?sslmode=prefer").await, Ok(true));
    // On this machine nothing is encrypted that nobody asked for.
    assert_eq!(open(&cluster, "localhost", "").await, Ok(false));
    assert_eq!(open(&cluster, "127.0.0.1", "?sslmode=disable").await, Ok(false));
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_unless_only_its_signature_counts() {
    let Some(certificates) = Certificates::make() else { return };
    let Some(cluster) = cluster(&certificates, Some("elsewhere")) else { return };
    let (ours, itself) = (certificates.path("ours.pem"), certificates.path("elsewhere.pem"));
    for file in [&ours, &itself] {
        for mode in ["require", "verify-full"] {
            let refused = open(&cluster, "localhost", &roots(mode, file)).await.expect_err("another name");
            assert!(refused.contains("another name"), "{refused}");
        }
        assert_eq!(open(&cluster, "localhost", &roots("verify-ca", file)).await, Ok(true));
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_it_is_required() {
    let Some(certificates) = Certificates::make() else { return };
    let Some(cluster) = cluster(&certificates, None) else { return };
    let ours = certificates.path("ours.pem");
    for mode in ["require", "verify-full", "verify-ca"] {
        let refused = open(&cluster, "localhost", &roots(mode, &ours)).await.expect_err("it has none");
        assert!(refused.contains("does not support TLS") && refused.contains("sslmode=disable"), "{refused}");
    }
    assert_eq!(open(&cluster, "localhost", "?sslmode=prefer").await, Ok(false));
    let refused = open(&cluster, "localhost", "?sslmode=perhaps").await.expect_err("no such word");
    assert!(refused.contains("verify-full"), "{refused}");
}
