//! The keyed hash of an API key.
//!
//! HMAC-SHA256 with a secret of the server that lies outside the database: a stolen database alone cannot even
//! confirm a key. Keys that were taken over keep the incumbent's hash, whose HMAC key is public; they are as safe as
//! their 128 random bits.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::model::{RandomSource, hex};

/// `hash_scheme` of keys made here.
pub const SERVER_SCHEME: &str = "hmac-sha256-server";
/// `hash_scheme` of keys that were taken over.
pub const NEXUS_SCHEME: &str = "nexus";
/// The file of the secret in the data directory.
pub const SECRET_FILE: &str = "server.secret";
/// The incumbent's HMAC key, a constant in its public source.
const NEXUS_HMAC_KEY: &[u8] = b"nexus-api-key-v1";
/// Bytes of a secret made here: 256 bits.
const SECRET_BYTES: usize = 32;
/// Shortest secret that a setting may give, bytes.
const SETTING_BYTES_MIN: usize = 32;
/// Longest secret that is read from the file, bytes.
const FILE_BYTES_MAX: u64 = 4096;
/// Who may do what with the file: its owner alone.
const FILE_MODE: u32 = 0o600;

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The setting is too short to be a secret.
    #[error("the server secret is shorter than {SETTING_BYTES_MIN} bytes; give at least that many random characters")]
    TooShort,
    /// The store has no directory to keep one in, and none was given.
    #[error(
        "a store on a database server needs its secret as a setting: server_secret (NEXUS_LITE_SERVER_SECRET), at \
         least {SETTING_BYTES_MIN} random characters, the same at every start (openssl rand -hex 32)"
    )]
    Missing,
    /// The store was made with another one.
    #[error(
        "server_secret is not the one that this store's keys were made with; give that one, or no key will be known"
    )]
    Other,
    /// Others may read the file.
    #[error("{} can be read by others than its owner; run chmod 600 on it", .0.display())]
    Exposed(PathBuf),
    /// The file cannot be used.
    #[error("{step} {} failed: {source}", path.display())]
    Io {
        /// The step, as a verb.
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
}

/// Makes the keyed hash of an API key with the server's secret.
#[derive(Clone)]
pub struct KeyHasher {
    pub(super) server: Hmac<Sha256>,
    nexus: Hmac<Sha256>,
    is_new: bool,
}

impl KeyHasher {
    /// Hashes with this secret.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self { server: keyed(secret), nexus: keyed(NEXUS_HMAC_KEY), is_new: false }
    }

    /// Hashes with the secret of the setting, else with that of `<data_dir>/server.secret`, which is made at the
    /// first start: 256 random bits in hex, mode 0600, on disk before this returns.
    pub fn open(data_dir: &Path, setting: Option<&str>, random: &dyn RandomSource) -> Result<Self, SecretError> {
        if let Some(secret) = setting {
            let secret = secret.trim();
            return if secret.len() < SETTING_BYTES_MIN {
                Err(SecretError::TooShort)
            } else {
                Ok(Self::new(secret.as_bytes()))
            };
        }
        let path = data_dir.join(SECRET_FILE);
        match read(&path)? {
            Some(secret) if secret.trim().len() < SETTING_BYTES_MIN => Err(SecretError::TooShort),
            Some(secret) => Ok(Self::new(secret.trim().as_bytes())),
            None => {
                let secret = random.hex(SECRET_BYTES);
                create(&path, &secret).map_err(|source| SecretError::Io { step: "creating", path, source })?;
                Ok(Self { is_new: true, ..Self::new(secret.as_bytes()) })
            }
        }
    }

    /// Whether the secret was made just now: no key made before can be known any more.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The hash of a key by [`SERVER_SCHEME`], hex.
    #[must_use]
    pub fn hash(&self, key: &str) -> String {
        digest(&self.server, key)
    }

    /// The hash of a key by [`NEXUS_SCHEME`], hex.
    #[must_use]
    pub fn nexus_hash(&self, key: &str) -> String {
        digest(&self.nexus, key)
    }
}

impl fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHasher(redacted)")
    }
}

fn keyed(secret: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret).expect("HMAC takes a key of any length")
}

fn digest(keyed: &Hmac<Sha256>, key: &str) -> String {
    let mut mac = keyed.clone();
    mac.update(key.as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// The text of the file, if it is there.
fn read(path: &Path) -> Result<Option<String>, SecretError> {
    let failed = |step, source| SecretError::Io { step, path: path.to_owned(), source };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed("opening", e)),
    };
    let mode = file.metadata().map_err(|e| failed("reading", e))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(SecretError::Exposed(path.to_owned()));
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|e| failed("reading", e))?;
    Ok(Some(text))
}

/// Writes a new file under another name first, so that a crash leaves none or a whole one.
fn create(path: &Path, secret: &str) -> std::io::Result<()> {
    let draft = path.with_extension("secret.new");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(&draft)?;
    file.set_permissions(std::fs::Permissions::from_mode(FILE_MODE))?;
    writeln!(file, "{secret}")?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    match path.parent() {
        Some(dir) => std::fs::File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::random::SeededRandom;

    #[test]
    fn the_hash_of_the_incumbent_is_reproduced() {
        let hash = KeyHasher::new(b"x").nexus_hash("sk-default_admin_dddddddd_eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
        assert_eq!(hash, "dd0f3e9f17d65a9ad48023146685c3db7c605609ac6f8cfa6dbe8ee870a8e378");
    }

    #[test]
    fn another_secret_makes_another_hash() {
        let (one, other) = (KeyHasher::new(b"one"), KeyHasher::new(b"other"));
        assert_ne!(one.hash("sk-x"), other.hash("sk-x"));
        assert_eq!(one.nexus_hash("sk-x"), other.nexus_hash("sk-x"));
        assert_ne!(one.hash("sk-x"), one.nexus_hash("sk-x"));
    }

    #[test]
    fn the_secret_is_made_once_and_only_its_owner_may_read_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = KeyHasher::open(dir.path(), None, &SeededRandom::new(1)).expect("made");
        assert!(first.is_new());
        let path = dir.path().join(SECRET_FILE);
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = KeyHasher::open(dir.path(), None, &SeededRandom::new(2)).expect("read");
        assert!(!again.is_new());
        assert_eq!(first.hash("sk-x"), again.hash("sk-x"));
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 1);

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("chmod");
        let error = KeyHasher::open(dir.path(), None, &SeededRandom::new(2)).expect_err("readable by the group");
        assert!(matches!(error, SecretError::Exposed(_)), "{error}");
    }

    #[test]
    fn a_setting_goes_before_the_file_and_must_be_long() {
        let dir = tempfile::tempdir().expect("a directory");
        let secret = "0123456789abcdef0123456789abcdef";
        let set = KeyHasher::open(dir.path(), Some(secret), &SeededRandom::new(1)).expect("set");
        assert_eq!(set.hash("sk-x"), KeyHasher::new(secret.as_bytes()).hash("sk-x"));
        assert!(!dir.path().join(SECRET_FILE).exists());
        let error = KeyHasher::open(dir.path(), Some("short"), &SeededRandom::new(1)).expect_err("short");
        assert!(matches!(error, SecretError::TooShort), "{error}");
        assert!(!format!("{set:?}").contains("0123"));
    }
}
