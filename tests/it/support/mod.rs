//! A whole server in this process, the clients that the tests set on it, and what they need to judge the answers.
//!
//! Nothing sleeps: what happens elsewhere is waited for on a socket, and every wait has [`DEADLINE`].

pub mod bystander;
pub mod fixture;
pub mod fmp4;
pub mod http;
pub mod packet;
pub mod peer;
pub mod process;
pub mod rtmp;
pub mod server;
pub mod tools;
pub mod viewer;
#[cfg(feature = "worker")]
pub mod whep;

use std::time::Duration;

pub use bystander::Bystander;
pub use fixture::Fixture;
pub use packet::{Content, Packet};
pub use peer::Peer;
pub use rtmp::{Encoder, Player};
pub use server::{Channel, Server};
pub use viewer::Viewer;

/// What takes longer than this does not happen at all: generous, for a loaded machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The result of `work`, which must come within [`DEADLINE`].
pub async fn in_time<F: Future>(what: &str, work: F) -> F::Output {
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(result) => result,
        Err(_) => panic!("{what} did not happen within {DEADLINE:?}"),
    }
}
