//! Whom the client believes over TLS: what the machine trusts, and what a file names beside.
//!
//! Owns the reading of that file and the settings of TLS. There is no way to believe everybody.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// A file of certificates that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} cannot be used: {why}. It is a file of certificates of authorities, each between BEGIN CERTIFICATE and END \
     CERTIFICATE", path.display()
)]
pub struct TrustError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// Authorities that are believed beside those of the machine.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    more: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// Those of the machine, and those in a file (PEM).
    pub fn with_file(path: &Path) -> Result<Self, TrustError> {
        let bad = |why: String| TrustError { path: path.to_owned(), why };
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let more = read.map_err(|error| bad(error.to_string()))?;
        if more.is_empty() {
            return Err(bad("it holds no certificate".to_owned()));
        }
        let mut roots = RootCertStore::empty();
        for (at, one) in more.iter().enumerate() {
            roots.add(one.clone()).map_err(|error| bad(format!("certificate {}: {error}", at + 1)))?;
        }
        Ok(Self { more })
    }

    /// The settings of TLS. Reads what the machine trusts.
    pub(super) fn config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (_, unusable) = roots.add_parsable_certificates(found.certs);
        // They were looked at when the file was read.
        roots.add_parsable_certificates(self.more.iter().cloned());
        if roots.is_empty() {
            tracing::warn!(unusable, "this machine names no certificate authority: nothing can be sent over https");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows the usual versions of TLS");
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }
}
