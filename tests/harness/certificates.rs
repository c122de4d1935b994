//! Two authorities and what they have signed, made by `openssl`, anew each time so that nothing expires but what should.

use std::path::PathBuf;
use std::process::Command;

/// What `openssl ca` wants to be told in a file: it alone signs for a time that is over.
const AUTHORITY: &str = "\
[ca]
default_ca = here
[here]
dir = .
new_certs_dir = .
database = signed.txt
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copy
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
basicConstraints = critical,CA:FALSE
";
/// When the certificate `expired` was good.
const PAST: [&str; 4] = ["-startdate", "20200101000000Z", "-enddate", "20210101000000Z"];
/// For this machine.
const HERE: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1";

/// Certificates and their keys, `<name>.pem` and `<name>.key`: the authorities `ours` and `theirs`; signed by ours
/// `server` and `expired` for this machine and `elsewhere` for another; by theirs `foreign` for this machine.
#[derive(Debug)]
pub(crate) struct Certificates {
    dir: tempfile::TempDir,
}

impl Certificates {
    /// `None` where there is no `openssl` to make them with.
    pub(crate) fn make() -> Option<Self> {
        let this = Self { dir: tempfile::tempdir().expect("a directory") };
        for authority in ["ours", "theirs"] {
            this.request(authority, &["-x509", "-days", "2", "-out", &format!("{authority}.pem")])?;
        }
        this.signed("server", "ours", HERE)?;
        this.signed("elsewhere", "ours", "subjectAltName=DNS:db.example")?;
        this.signed("foreign", "theirs", HERE)?;
        std::fs::write(this.path("authority.cnf"), AUTHORITY).expect("a file");
        std::fs::write(this.path("signed.txt"), "").expect("a file");
        this.request("expired", &["-addext", HERE, "-out", "expired.csr"])?;
        let signs =
            ["ca", "-batch", "-notext", "-config", "authority.cnf", "-cert", "ours.pem", "-keyfile", "ours.key"];
        this.openssl(&[&signs[..], &PAST, &["-in", "expired.csr", "-out", "expired.pem"]].concat())?;
        Some(this)
    }

    fn signed(&self, name: &str, authority: &str, alternative: &str) -> Option<()> {
        let (file, by, key) = (format!("{name}.pem"), format!("{authority}.pem"), format!("{authority}.key"));
        let leaf = ["-addext", alternative, "-addext", "basicConstraints=critical,CA:FALSE"];
        self.request(
            name,
            &[&["-x509", "-days", "2"], &leaf[..], &["-CA", &by, "-CAkey", &key, "-out", &file]].concat(),
        )
    }

    /// A key and what is asked for with it.
    fn request(&self, name: &str, words: &[&str]) -> Option<()> {
        let (subject, key) = (format!("/CN={name}"), format!("{name}.key"));
        let kind = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        self.openssl(&[&kind[..], &["-subj", &subject, "-keyout", &key], words].concat())
    }

    fn openssl(&self, words: &[&str]) -> Option<()> {
        let ran = Command::new("openssl").args(words).current_dir(self.dir.path()).output().ok()?;
        assert!(ran.status.success(), "openssl {words:?}: {}", String::from_utf8_lossy(&ran.stderr));
        Some(())
    }

    /// What stands in one of the files.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "a PostgreSQL is given its files as texts"))]
    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("made above")
    }

    /// Where one of the files is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}
