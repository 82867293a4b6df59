//! What every TCP listener shares: sockets, limits on connections, TLS.

pub mod accept;
pub mod files;
pub mod limits;
pub mod socket;
pub mod tls;
