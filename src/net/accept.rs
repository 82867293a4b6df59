//! The accept loop of every TCP listener.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::limits::{Admission, Permit, Refused};
use crate::context::Life;

/// Wait after a failed accept: the usual cause is a lack of file descriptors, which only time gives back.
const PAUSE: Duration = Duration::from_millis(50);

/// What came to a listener.
#[derive(Debug)]
pub enum Arrival {
    /// A connection, with its permit to be here.
    Admitted(TcpStream, SocketAddr, Permit),
    /// A connection beyond the limits, to be told so and closed.
    TurnedAway(TcpStream, Refused),
}

/// Hands each connection to `arrive` until the server drains.
pub async fn accept(
    listener: TcpListener,
    admission: Admission,
    life: Life,
    mut arrive: impl FnMut(Arrival),
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = life.draining() => return,
        };
        match accepted {
            Ok((stream, peer)) => arrive(match admission.admit(peer.ip()) {
                Ok(permit) => Arrival::Admitted(stream, peer, permit),
                Err(refused) => Arrival::TurnedAway(stream, refused),
            }),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
