//! SRTP: sealing packets for viewers, and opening what they report (RFC 3711, RFC 7714).
//!
//! A key must never seal two different packets under one number: with AES-GCM that gives the authentication key away. So
//! each SSRC has one sender, which counts its packets in 48 bits and never goes back; what was lost is sent again as a
//! packet of another stream (RFC 4588), with a number of its own.

mod cipher;
mod keys;
mod opener;
mod sealer;
#[cfg(test)]
mod tests;

pub use keys::{KeyError, KeyingMaterial, MasterKey, Profile};
pub use opener::{OpenError, Opener};
pub use sealer::{Exhausted, Sealer};
