//! TLS to the database: what the URL says of it, and which certificates are believed.
//!
//! Owns the verification of the server. Invariant: what leaves this machine is encrypted, for a server that has proved
//! who it is, unless the URL says otherwise in so many words.
//!
//! | `sslmode` | encrypted | the server's certificate |
//! | --- | --- | --- |
//! | `disable` | no | |
//! | `prefer` | if the server offers it | anybody's |
//! | `verify-ca` | yes | signed by a root in `sslrootcert`, which must be given |
//! | `require`, `verify-full` | yes | signed by such a root, or one of the system's, for the host of the URL |
//! | none | as `disable` on this machine (loopback, sockets), as `require` elsewhere and with `sslrootcert` | |
//!
//! One word differs from libpq: there `require` believes any certificate unless a file of roots lies in the home
//! directory, so that whoever can answer in the server's place gets the password. Whoever wants that says `prefer`,
//! which does not promise more than it is. As there, sockets are never encrypted. A certificate that is itself among
//! those of `sslrootcert` is believed (self-signed ones).

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::UrlError;

/// What may be said.
const MODES: &str = "sslmode is disable, prefer, require, verify-ca or verify-full";

/// What the URL says of TLS.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    mode: Option<Mode>,
    /// A file of certificates that may sign the server's.
    roots: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Disable,
    Prefer,
    VerifyCa,
    VerifyFull,
}

impl Mode {
    fn named(name: &str) -> Result<Self, UrlError> {
        match name {
            "disable" => Ok(Self::Disable),
            "prefer" => Ok(Self::Prefer),
            "verify-ca" => Ok(Self::VerifyCa),
            "require" | "verify-full" => Ok(Self::VerifyFull),
            _ => Err(UrlError::new(format!("the database URL asks for a kind of TLS that there is not: {MODES}"))),
        }
    }
}

impl Wish {
    /// Takes what is said of TLS out of `url`; the rest is for the driver, which knows less of it.
    pub(super) fn take(url: &str) -> Result<(Self, String), UrlError> {
        // As the driver reads it: a password may hold a question mark.
        let start = url.find('@').unwrap_or(0);
        let Some(query) = url[start..].find('?').map(|at| start + at) else {
            return Ok((Self::default(), url.to_owned()));
        };
        let (mut wish, mut rest) = (Self::default(), Vec::new());
        for pair in url[query + 1..].split('&') {
            match pair.split_once('=') {
                Some(("sslmode", name)) => wish.mode = Some(Mode::named(name)?),
                Some(("sslrootcert", file)) => wish.roots = Some(decoded(file)?),
                _ => rest.push(pair),
            }
        }
        let separator = if rest.is_empty() { "" } else { "?" };
        Ok((wish, format!("{}{separator}{}", &url[..query], rest.join("&"))))
    }

    /// Tells `config` what to do, and gives what makes the connections; `None` = nothing is encrypted.
    pub(super) fn apply(self, config: &mut Config) -> Result<Option<MakeRustlsConnect>, UrlError> {
        let on_sockets = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        let mode = match self.mode {
            _ if on_sockets && config.get_hostaddrs().is_empty() => Mode::Disable,
            Some(mode) => mode,
            None if self.roots.is_none() && is_local(config) => Mode::Disable,
            None => Mode::VerifyFull,
        };
        config.ssl_mode(match mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        });
        if mode == Mode::Disable {
            return Ok(None);
        }
        if mode == Mode::VerifyCa && self.roots.is_none() {
            let what = "sslmode=verify-ca needs sslrootcert=FILE: the system's roots sign for everybody";
            return Err(UrlError::new(format!("{what}. Give the file, or say sslmode=verify-full")));
        }
        let verifier = Verifier::new(mode, self.roots.as_deref())?;
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.expect("the provider has the cipher suites of its own defaults");
        let tls = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
        Ok(Some(MakeRustlsConnect::new(tls)))
    }
}

/// What to do about a handshake that failed; `None` = nothing that we know.
pub(super) fn remedy(error: &tokio_postgres::Error) -> Option<&'static str> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(error) = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            return error.downcast_ref::<Error>().map(remedy_of);
        }
        if inner.to_string() == "server does not support TLS" {
            return Some(
                "Turn TLS on there (ssl = on), or say sslmode=disable in the URL: then everything, the password too, \
                 is sent in the clear",
            );
        }
        source = inner.source();
    }
    None
}

fn remedy_of(error: &Error) -> &'static str {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "Whoever signed the server's certificate is not known here: give the file of that authority's certificate \
             with sslrootcert=FILE in the URL (managed databases offer it for download)"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            "The server's certificate is for another name than the host of the URL: use that name, or \
             sslmode=verify-ca with the sslrootcert of an authority that signs for your servers only"
        }
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "The server's certificate has expired: renew it, and compare the clocks of both machines"
        }
        _ => "Look into the database server's log for the other side of it",
    }
}

/// Whether every address is on this machine.
fn is_local(config: &Config) -> bool {
    let here = |address: &IpAddr| address.is_loopback();
    if !config.get_hostaddrs().is_empty() {
        return config.get_hostaddrs().iter().all(here);
    }
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|address| here(&address)),
        Host::Unix(_) => true,
    })
}

/// `%2Fa` is `/a`.
fn decoded(text: &str) -> Result<String, UrlError> {
    let wrong = || UrlError::new("the database URL's sslrootcert is not UTF-8 in percent encoding".to_owned());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
        bytes.push(u8::try_from(high * 16 + low).expect("two digits"));
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Who is believed to be the server.
#[derive(Debug)]
struct Verifier {
    /// `None`: anybody.
    signed: Option<Arc<WebPkiServerVerifier>>,
    /// Certificates that need no signature of another.
    known: Vec<CertificateDer<'static>>,
    /// Its name has to be that of the host.
    named: bool,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(mode: Mode, file: Option<&str>) -> Result<Self, UrlError> {
        let provider = provider();
        if mode == Mode::Prefer {
            return Ok(Self { signed: None, known: Vec::new(), named: false, provider });
        }
        let (known, found) = match file {
            Some(file) => {
                let found = in_file(Path::new(file))?;
                (found.clone(), found)
            }
            None => (Vec::new(), of_the_system()?),
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found);
        let signed = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
        let signed = signed.map_err(|e| {
            UrlError::new(format!("the certificates in {} cannot be used: {e}", file.unwrap_or("the system")))
        })?;
        Ok(Self { signed: Some(signed), known, named: mode == Mode::VerifyFull, provider })
    }
}

/// The certificates in a file.
fn in_file(file: &Path) -> Result<Vec<CertificateDer<'static>>, UrlError> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let why = match read {
        Ok(found) if !found.is_empty() => return Ok(found),
        Ok(_) => "it holds no certificate".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(UrlError::new(format!(
        "sslrootcert of the database URL, {}, cannot be used: {why}. It is a file of certificates, each between \
         BEGIN CERTIFICATE and END CERTIFICATE",
        file.display()
    )))
}

/// The certificates that this machine believes.
fn of_the_system() -> Result<Vec<CertificateDer<'static>>, UrlError> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a root certificate of the system could not be read");
    }
    if found.certs.is_empty() {
        let what = "the system has no root certificates to know the database server by";
        let remedy = "Install them (ca-certificates), or give sslrootcert=FILE in the URL";
        return Err(UrlError::new(format!("{what}. {remedy}")));
    }
    Ok(found.certs)
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(signed) = &self.signed else { return Ok(ServerCertVerified::assertion()) };
        if self.known.iter().any(|known| known == server) {
            if self.named {
                rustls::client::verify_server_name(&ParsedCertificate::try_from(server)?, name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        match signed.verify_server_cert(server, between, name, ocsp, now) {
            // Looked at last, after the signatures.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.named => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        server: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, server, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        server: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, server, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    /// What becomes of a URL.
    fn mode(url: &str) -> Result<SslMode, String> {
        let (wish, rest) = Wish::take(url).map_err(|e| e.to_string())?;
        let mut config = Config::from_str(&rest).expect("a URL");
        let tls = wish.apply(&mut config).map_err(|e| e.to_string())?;
        assert_eq!(tls.is_none(), config.get_ssl_mode() == SslMode::Disable, "{url}");
        Ok(config.get_ssl_mode())
    }

    #[test]
    fn what_leaves_the_machine_is_encrypted_unless_the_url_says_otherwise() {
        // With a file, because a machine need not have roots; without one the mode is the same.
        for plain in [
            "postgres://u@localhost/d",
            "postgres://u@127.0.0.1:1/d",
            "postgres://u@[::1]/d",
            "postgres:///d?host=/run/postgresql",
            "postgres:///d?host=/run/postgresql&sslmode=require",
            "postgres://u@db/d?sslmode=disable",
            "postgres://u@db/d?hostaddr=127.0.0.1",
        ] {
            assert_eq!(mode(plain), Ok(SslMode::Disable), "{plain}");
        }
        assert_eq!(mode("postgres://u@db/d?sslmode=prefer"), Ok(SslMode::Prefer));
        for url in ["postgres://u@db/d?sslmode=verify-ca", "postgres://u@localhost/d?sslmode=verify-ca"] {
            assert!(mode(url).expect_err("refused").contains("sslrootcert=FILE"));
        }
        for url in [
            "postgres://u@db/d?sslrootcert=/nowhere",
            "postgres://u@localhost/d?sslrootcert=/nowhere",
            "postgres://u@db/d?sslmode=require&sslrootcert=/nowhere",
            "postgres://u@localhost,db/d?sslrootcert=%2Fnowhere",
        ] {
            let told = mode(url).expect_err("no such file");
            assert!(told.contains("/nowhere") && told.contains("BEGIN CERTIFICATE"), "{told}");
        }
        assert!(mode("postgres://u:hidden@db/d?sslmode=allow").is_err_and(|told| !told.contains("hidden")));
    }

    #[test]
    fn the_driver_gets_the_rest_of_the_url() {
        let rest = |url| Wish::take(url).expect("read").1;
        assert_eq!(rest("postgres://u@h/d?sslmode=prefer"), "postgres://u@h/d");
        assert_eq!(rest("postgres://u@h/d?a=b&sslmode=prefer&c=d"), "postgres://u@h/d?a=b&c=d");
        assert_eq!(rest("postgres://u:what?sslmode=x@h/d"), "postgres://u:what?sslmode=x@h/d");
    }
}
