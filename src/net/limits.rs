//! How many connections are let in, in all and from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts connections and refuses those beyond its limits. Clones count together.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Mutex<Counts>>);

#[derive(Debug)]
struct Counts {
    max_total: usize,
    max_per_address: usize,
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection that was let in; dropping it makes room.
#[derive(Debug)]
pub struct Permit {
    admission: Admission,
    counted: Option<IpAddr>,
}

/// Why a connection was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The server has as many as it may.
    #[error("too many connections")]
    Total,
    /// This address has as many as it may.
    #[error("too many connections from this address")]
    Address,
}

impl Admission {
    /// Limits in all and for one address; 0 means none.
    pub fn new(max_total: usize, max_per_address: usize) -> Self {
        let counts = Counts { max_total, max_per_address, total: 0, by_address: HashMap::new() };
        Self(Arc::new(Mutex::new(counts)))
    }

    /// Changes the limits; connections that are already in stay.
    pub fn set_limits(&self, max_total: usize, max_per_address: usize) {
        let mut counts = self.lock();
        counts.max_total = max_total;
        counts.max_per_address = max_per_address;
    }

    /// Lets a connection in, or says why not.
    ///
    /// Loopback is not limited by address: a proxy on the machine speaks for many. An IPv6 customer commonly holds
    /// a /64, so that is what counts as one address.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn admit(&self, peer: IpAddr) -> Result<Permit, Refused> {
        let mut counts = self.lock();
        if counts.max_total != 0 && counts.total >= counts.max_total {
            return Err(Refused::Total);
        }
        let counted = accountable(peer);
        if let Some(address) = counted {
            let limit = counts.max_per_address;
            let held = counts.by_address.entry(address).or_insert(0);
            if limit != 0 && *held >= limit {
                return Err(Refused::Address);
            }
            *held += 1;
        }
        counts.total += 1;
        Ok(Permit { admission: self.clone(), counted })
    }

    /// How many are in.
    pub fn total(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        // The counts are whole after every statement, so a panic elsewhere spoils nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.admission.lock();
        counts.total = counts.total.saturating_sub(1);
        let Some(address) = self.counted else { return };
        if let Some(held) = counts.by_address.get_mut(&address) {
            *held -= 1;
            if *held == 0 {
                counts.by_address.remove(&address);
            }
        }
    }
}

fn accountable(peer: IpAddr) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    if peer.is_loopback() {
        return None;
    }
    Some(match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn connections_beyond_a_limit_are_refused_until_one_leaves() {
        let admission = Admission::new(3, 2);
        let first = admission.admit(ip("192.0.2.1")).unwrap();
        let _second = admission.admit(ip("::ffff:192.0.2.1")).unwrap();
        assert_eq!(admission.admit(ip("192.0.2.1")).unwrap_err(), Refused::Address);
        let _other = admission.admit(ip("192.0.2.2")).unwrap();
        assert_eq!(admission.admit(ip("192.0.2.3")).unwrap_err(), Refused::Total);
        drop(first);
        let _again = admission.admit(ip("192.0.2.1")).unwrap();
        assert_eq!(admission.total(), 3);
    }

    #[test]
    fn one_ipv6_network_is_one_address() {
        let admission = Admission::new(0, 1);
        let _one = admission.admit(ip("2001:db8::1")).unwrap();
        assert_eq!(admission.admit(ip("2001:db8::2:1")).unwrap_err(), Refused::Address);
        let _neighbour = admission.admit(ip("2001:db8:0:1::1")).unwrap();
    }

    #[test]
    fn a_proxy_on_this_machine_is_not_limited_by_address() {
        let admission = Admission::new(0, 1);
        let held: Vec<_> = (0..100).map(|_| admission.admit(ip("127.0.0.1")).unwrap()).collect();
        assert_eq!(admission.total(), held.len());
    }

    #[test]
    fn what_left_leaves_nothing_behind() {
        let admission = Admission::new(0, 2);
        for last in 0..=255 {
            drop(admission.admit(ip(&format!("192.0.2.{last}"))).unwrap());
        }
        assert_eq!(admission.lock().by_address.len(), 0);
        assert_eq!(admission.total(), 0);
    }
}
