//! Who may do what: the admin token, and the stream keys by which publishers are let in.
//!
//! Secrets have no `Debug` and no `Display`: they cannot slip into a log line or an error.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac, rand};

use crate::media::ChannelName;

mod page;
mod studio;
mod viewer;

pub use page::Pages;
pub use studio::{Studio, bearer};
pub use viewer::{ViewerId, Viewers};

/// Random bytes in a secret: 160 bits, which are exactly 32 characters of base 32.
const SECRET_BYTES: usize = 20;
/// Digits and letters without those that are easily taken for another (i, l, o, u).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// The shortest admin token an operator may choose.
const MIN_TOKEN_LEN: usize = 22;
/// The longest secret that is looked at.
const MAX_SECRET_LEN: usize = 256;
/// The admin token's file in the data directory.
const TOKEN_FILE: &str = "admin-token";

/// The operator's secret: whoever shows it may do everything.
pub struct AdminToken(Digest);

/// Why the admin token is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The file cannot be read or made.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        source: io::Error,
    },
    /// The file does not hold a token.
    #[error("{}: an admin token has {MIN_TOKEN_LEN} to {MAX_SECRET_LEN} visible ASCII characters; remove the file to get a new one", .path.display())]
    Weak {
        /// The file.
        path: PathBuf,
    },
    /// The system gives no random numbers.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

/// The system's source of random numbers failed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct NoRandomness;

impl AdminToken {
    /// Reads the token from the data directory, and makes it at the first start, readable by its owner only.
    ///
    /// # Errors
    /// When the file is not there and cannot be made, or holds no token.
    pub fn load_or_create(data_dir: &Path) -> Result<Self, TokenError> {
        let path = data_dir.join(TOKEN_FILE);
        let file_error = |source| TokenError::File { path: path.clone(), source };
        match fs::read_to_string(&path) {
            Ok(text) => {
                keep_private(&path).map_err(file_error)?;
                let token = text.trim();
                let visible = token.bytes().all(|byte| byte.is_ascii_graphic());
                if !visible || !(MIN_TOKEN_LEN..=MAX_SECRET_LEN).contains(&token.len()) {
                    return Err(TokenError::Weak { path });
                }
                Ok(Self(Digest::of(token)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let token = random_text()?;
                create_private(&path, &token).map_err(file_error)?;
                tracing::info!(file = %path.display(), "made an admin token");
                Ok(Self(Digest::of(&token)))
            }
            Err(error) => Err(file_error(error)),
        }
    }

    /// A token that nobody knows, for tests.
    #[cfg(test)]
    pub fn for_tests() -> Self {
        Self(Digest::of("a token for tests"))
    }

    /// A secret for one purpose, which tells nothing of the token. A restart changes nothing; a new token gives new secrets.
    pub fn derive(&self, purpose: &str) -> Vec<u8> {
        let root = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes());
        hmac::sign(&root, purpose.as_bytes()).as_ref().to_vec()
    }

    /// Whether this is the token. The time it takes tells nothing about how much of it is right.
    pub fn is(&self, shown: &str) -> bool {
        shown.len() <= MAX_SECRET_LEN && verify_slices_are_equal(&self.0.0, &Digest::of(shown).0).is_ok()
    }
}

/// A channel's stream key or an advertiser's key, in the clear: exists between its making and the answer that shows it.
pub struct AccessKey(String);

impl AccessKey {
    /// A new random key of 32 characters.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn generate() -> Result<Self, NoRandomness> {
        random_text().map(Self)
    }

    /// The key in the clear, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

/// The SHA-256 of a secret: what is stored and looked up instead of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; digest::SHA256_OUTPUT_LEN]);

impl Digest {
    /// Of a secret.
    pub fn of(secret: &str) -> Self {
        let mut bytes = [0; digest::SHA256_OUTPUT_LEN];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref());
        Self(bytes)
    }

    /// Of what somebody shows; `None` when it is longer than any secret.
    pub fn of_shown(text: &str) -> Option<Self> {
        (1..=MAX_SECRET_LEN).contains(&text.len()).then(|| Self::of(text))
    }

    /// From stored bytes; `None` when they are no SHA-256.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes to store.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// All stream keys in force, in memory: an ingest never waits for the store. Clones are the same directory.
#[derive(Clone, Default)]
pub struct StreamKeys(Arc<RwLock<HashMap<Digest, ChannelName>>>);

impl StreamKeys {
    /// The channel that this key publishes to.
    pub fn channel_for(&self, key: &str) -> Option<ChannelName> {
        let digest = Digest::of_shown(key)?;
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned()
    }

    /// What is kept of the channel's key.
    pub fn digest_of(&self, channel: &ChannelName) -> Option<Digest> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().find(|(_, owner)| *owner == channel).map(|(digest, _)| *digest)
    }

    /// Makes this the channel's one key; an older one is void at once.
    pub fn set(&self, channel: &ChannelName, key: Digest) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|_, owner| owner != channel);
        keys.insert(key, channel.clone());
    }

    /// Makes the channel's key void.
    pub fn remove(&self, channel: &ChannelName) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).retain(|_, owner| owner != channel);
    }
}

fn random_text() -> Result<String, NoRandomness> {
    let mut bytes = [0; SECRET_BYTES];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(base32(&bytes))
}

/// Five bits a character, in the alphabet above.
fn base32(bytes: &[u8; SECRET_BYTES]) -> String {
    let mut text = String::with_capacity(SECRET_BYTES * 8 / 5);
    for group in bytes.chunks_exact(5) {
        let bits = group.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for shift in (0..40).step_by(5).rev() {
            text.push(char::from(ALPHABET[(bits >> shift & 31) as usize]));
        }
    }
    text
}

fn create_private(path: &Path, token: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{token}")?;
    file.sync_all()
}

/// A token that others on the machine can read is closed to them, as far as we own the file.
fn keep_private(path: &Path) -> io::Result<()> {
    let mut permissions = fs::metadata(path)?.permissions();
    if permissions.mode() & 0o077 == 0 {
        return Ok(());
    }
    permissions.set_mode(0o600);
    match fs::set_permissions(path, permissions) {
        Ok(()) => {
            tracing::warn!(file = %path.display(), "the admin token was readable by others; it no longer is")
        }
        Err(error) => {
            tracing::warn!(file = %path.display(), %error, "the admin token is readable by others");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
