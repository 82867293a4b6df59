//! All sessions, for those who are not on their shard: HTTP requests, and datagrams that arrived elsewhere.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::rand;

use super::offer::Role;
use crate::media::ChannelName;

/// Random bytes in a session's name: nobody guesses the URL that ends it.
const ID_BYTES: usize = 16;

/// The name of a session in its URL. Whoever knows it may end the session: it has no `Debug` and no `Display`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct SessionId(Arc<str>);

impl SessionId {
    /// A new random name; `None` when the system gives no random numbers.
    pub fn random() -> Option<Self> {
        let mut bytes = [0; ID_BYTES];
        rand::fill(&mut bytes).ok()?;
        let mut text = String::with_capacity(ID_BYTES * 2);
        for byte in bytes {
            fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}")).ok()?;
        }
        Some(Self(text.into()))
    }

    /// The name as it stands in a URL.
    pub fn from_path(text: &str) -> Self {
        Self(text.into())
    }

    /// The name for the session's URL.
    pub fn as_path(&self) -> &str {
        &self.0
    }
}

/// What is known of a session everywhere.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub shard: usize,
    pub role: Role,
    pub channel: ChannelName,
    /// The present name fragment, which is the session's entity tag as well.
    pub ufrag: Arc<str>,
    /// The peer's present name fragment.
    pub remote_ufrag: Arc<str>,
}

/// All sessions. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Registry(Arc<Inner>);

#[derive(Default)]
struct Inner {
    sessions: RwLock<HashMap<SessionId, Entry>>,
    /// Which shard a verified address belongs to.
    addresses: RwLock<HashMap<SocketAddr, usize>>,
}

impl Registry {
    /// Adds a session unless there are `most` already.
    pub fn insert(&self, id: SessionId, entry: Entry, most: usize) -> bool {
        let mut sessions = self.0.sessions.write().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= most {
            return false;
        }
        sessions.insert(id, entry);
        true
    }

    pub fn get(&self, id: &SessionId) -> Option<Entry> {
        self.0.sessions.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// The session has new ICE credentials.
    pub fn restarted(&self, id: &SessionId, ufrag: Arc<str>, remote_ufrag: Arc<str>) {
        let mut sessions = self.0.sessions.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = sessions.get_mut(id) {
            (entry.ufrag, entry.remote_ufrag) = (ufrag, remote_ufrag);
        }
    }

    pub fn remove(&self, id: &SessionId) {
        self.0.sessions.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// The shard of the session that was verified at this address.
    pub fn shard_of(&self, address: SocketAddr) -> Option<usize> {
        self.0.addresses.read().unwrap_or_else(PoisonError::into_inner).get(&address).copied()
    }

    pub fn insert_address(&self, address: SocketAddr, shard: usize) {
        self.0.addresses.write().unwrap_or_else(PoisonError::into_inner).insert(address, shard);
    }

    /// Forgets an address, unless a session of another shard has been verified at it since.
    pub fn remove_address(&self, address: SocketAddr, shard: usize) {
        let mut addresses = self.0.addresses.write().unwrap_or_else(PoisonError::into_inner);
        if addresses.get(&address) == Some(&shard) {
            addresses.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_forgotten_only_by_the_shard_that_has_it() {
        let (registry, address) = (Registry::default(), "192.0.2.1:5000".parse().unwrap());
        registry.insert_address(address, 0);
        registry.insert_address(address, 1);
        registry.remove_address(address, 0);
        assert_eq!(registry.shard_of(address), Some(1), "a NAT has given it to somebody else since");
        registry.remove_address(address, 1);
        assert_eq!(registry.shard_of(address), None);
    }
}
