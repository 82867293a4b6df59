//! The keys of vouchers, from a file or from where an embedding site publishes them.
//!
//! A published set is fetched again from time to time, and at once when a token was made with a key that is not known yet: sites
//! change their keys. While it cannot be fetched, the keys that were fetched last hold.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use http::Uri;
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::Config;
use super::voucher::{KeysError, Voucher, VoucherError, Vouchers};
use crate::clock;
use crate::http::fetch::Client;
use crate::media::ChannelName;

/// How often a published set is fetched.
const REFRESH: Duration = Duration::from_secs(600);
/// The least time between two attempts, whatever tokens come.
const PAUSE: Duration = Duration::from_secs(60);
/// The longest set: far more than its keys need.
const MAX_LEN: usize = 256 << 10;
/// How long fetching may take. Somebody may wait for it at the door.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The keys that hold.
pub(super) struct KeySet {
    vouchers: RwLock<Arc<Vouchers>>,
    remote: Option<Remote>,
}

/// Where a site publishes its keys.
struct Remote {
    url: Uri,
    client: Client,
    issuer: String,
    audience: String,
    /// The least time between two attempts.
    pause: Duration,
    /// When it was last tried. Held while somebody tries: others wait for what comes of it.
    tried: Mutex<Option<Instant>>,
}

impl KeySet {
    /// Reads the file, if the configuration names one. What is published elsewhere is not fetched yet.
    ///
    /// # Errors
    /// When the file cannot be read or has keys that cannot be used.
    pub fn new(config: &Config) -> Result<Self, KeysError> {
        let remote = config.jwks_url().map(|url| Remote {
            url,
            client: Client::new(MAX_LEN, TIMEOUT),
            issuer: config.token_issuer.clone(),
            audience: config.token_audience.clone(),
            pause: PAUSE,
            tried: Mutex::default(),
        });
        Ok(Self { vouchers: RwLock::new(Arc::new(load(config)?)), remote })
    }

    /// Reads the file again; what is published elsewhere comes by itself.
    ///
    /// # Errors
    /// When it cannot be read; the old keys hold.
    pub fn reload(&self, config: &Config) -> Result<(), KeysError> {
        if self.remote.is_none() {
            self.set(load(config)?);
        }
        Ok(())
    }

    /// Whom a token vouches for, in a channel. May wait for newer keys.
    ///
    /// # Errors
    /// When it does not hold.
    pub async fn check(&self, token: &str, channel: &ChannelName) -> Result<Voucher, VoucherError> {
        match self.vouchers().check(token, channel) {
            Err(VoucherError::UnknownKey) if self.remote.is_some() => {
                self.fetch().await;
                self.vouchers().check(token, channel)
            }
            checked => checked,
        }
    }

    /// Fetches what is published, now and again, for as long as the task lives.
    pub async fn follow(&self) {
        while self.remote.is_some() {
            let wait = if self.fetch().await { REFRESH } else { PAUSE };
            sleep(wait).await;
        }
    }

    /// Fetches what is published, unless somebody has just tried; whether there are keys.
    async fn fetch(&self) -> bool {
        let Some(remote) = &self.remote else { return true };
        let mut tried = remote.tried.lock().await;
        let now = clock::monotonic();
        if tried.is_some_and(|tried| now.saturating_duration_since(tried) < remote.pause) {
            return !self.vouchers().is_empty();
        }
        *tried = Some(now);
        let fetched = match remote.client.fetch(&remote.url).await {
            Ok(text) => Vouchers::published(&text, &remote.issuer, &remote.audience),
            Err(error) => Err(error.to_string()),
        };
        match fetched {
            Ok(vouchers) => {
                tracing::debug!(url = %remote.url, "the keys of vouchers are fetched");
                self.set(vouchers);
                true
            }
            Err(reason) => {
                tracing::warn!(url = %remote.url, reason, "the keys of vouchers cannot be fetched; those of before hold");
                false
            }
        }
    }

    fn vouchers(&self) -> Arc<Vouchers> {
        Arc::clone(&self.vouchers.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, vouchers: Vouchers) {
        *self.vouchers.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(vouchers);
    }
}

fn load(config: &Config) -> Result<Vouchers, KeysError> {
    Vouchers::load(config.jwks.as_deref(), &config.token_issuer, &config.token_audience)
}

#[cfg(test)]
mod tests;
