//! A whole server in this process, the clients that the tests set on it, and what they need to judge the answers.
//!
//! Nothing sleeps: what happens elsewhere is waited for on a socket, and every wait has [`DEADLINE`].

pub mod bystander;
pub mod chat;
pub mod fixture;
pub mod fmp4;
pub mod hls;
pub mod http;
pub mod packet;
pub mod peer;
pub mod process;
pub mod relay;
pub mod rtmp;
pub mod server;
pub mod tools;
pub mod viewer;
pub mod webrtc;
#[cfg(feature = "worker")]
pub mod whep;

use std::task::Poll;
use std::time::Duration;

pub use bystander::Bystander;
pub use chat::ChatClient;
pub use fixture::Fixture;
pub use packet::{Content, Packet};
pub use peer::Peer;
pub use relay::Relay;
pub use rtmp::{Encoder, Player};
pub use server::{Channel, Server};
pub use viewer::Viewer;
pub use webrtc::{Recording, WhepPlayer, WhipPublisher};

/// What takes longer than this does not happen at all: generous, for a loaded machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The result of `work`, which must come within [`DEADLINE`].
pub async fn in_time<F: Future>(what: &str, work: F) -> F::Output {
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(result) => result,
        Err(_) => panic!("{what} did not happen within {DEADLINE:?}"),
    }
}

/// The results of futures that run side by side.
pub async fn join_all<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none()
                && let Poll::Ready(output) = future.as_mut().poll(context)
            {
                *result = Some(output);
            }
        }
        if results.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    results.into_iter().flatten().collect()
}
