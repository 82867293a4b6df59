//! Sockets: listeners and connections over TCP, limits on them, TLS; UDP for media.

pub mod accept;
pub mod files;
pub mod limits;
pub mod socket;
pub mod tls;
pub mod udp;
pub mod vectored;
