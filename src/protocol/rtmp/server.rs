//! Accepts connections and finds out what each wants.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::rand;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::connection::{Connection, Ended};
use super::metrics::Metrics;
use super::wire::capabilities::{CAPS_MOD_EX, CAPS_MULTITRACK, CAPS_TIMESTAMP_NANO_OFFSET};
use super::wire::handshake::RANDOM_LENGTH;
use super::wire::{Capabilities, Event, ServerSession};
use super::{Config, egress, ingest};
use crate::clock;
use crate::context::Context;
use crate::metrics;
use crate::net::accept::{Arrival, accept};
use crate::net::limits::{Admission, Permit, Refused};
use crate::net::socket::{Socket, bound_send};

/// Serves any number of listeners. Clones share limits and metrics.
#[derive(Clone)]
pub struct Server(Arc<Shared>);

pub(super) struct Shared {
    pub config: Config,
    pub context: Context,
    pub metrics: Metrics,
    admission: Admission,
}

impl Server {
    /// A server for these channels and keys.
    pub fn new(config: &Config, context: Context, registry: &metrics::Metrics) -> Self {
        let metrics = Metrics::default();
        metrics.register(registry);
        let admission = Admission::new(config.max_connections, config.max_connections_per_address);
        Self(Arc::new(Shared { config: config.clone(), context, metrics, admission }))
    }

    /// Takes over the limits on connections; those that are open stay.
    pub fn reload(&self, config: &Config) {
        self.0.admission.set_limits(config.max_connections, config.max_connections_per_address);
    }

    /// Serves a listener, with TLS if there is an acceptor, until the server drains.
    pub async fn serve(&self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        let Shared { admission, context, metrics, .. } = &*self.0;
        let arrive = |arrival| match arrival {
            Arrival::Admitted(stream, peer, permit) => {
                context.life.spawn(Arc::clone(&self.0).serve(stream, peer, tls.clone(), permit));
            }
            Arrival::TurnedAway(_, Refused::Total) => metrics.refused("connections"),
            Arrival::TurnedAway(..) => metrics.refused("connections_of_address"),
        };
        accept(listener, admission.clone(), context.life.clone(), arrive).await;
    }
}

impl Shared {
    async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        tls: Option<TlsAcceptor>,
        _permit: Permit,
    ) {
        self.metrics.connections.inc();
        let ended = self.drive(stream, peer, tls).await;
        self.metrics.connections.dec();
        if let Err(ended) = ended {
            if let Some(reason) = ended.reason() {
                self.metrics.failed(reason);
            }
            tracing::debug!(%peer, reason = %ended, "RTMP connection ended");
        }
    }

    async fn drive(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        tls: Option<TlsAcceptor>,
    ) -> Result<(), Ended> {
        let socket = Socket::new(stream, self.config.stall_timeout)?;
        bound_send(socket.stream(), self.config.send_buffer, egress::UNSENT)?;
        let Some(acceptor) = tls else { return self.session(socket, peer).await };
        let secured = timeout(self.config.setup_timeout, acceptor.accept(socket)).await;
        // Boxed, so that a plain connection's task does not carry room for TLS.
        Box::pin(self.session(secured.map_err(|_| Ended::Idle)??, peer)).await
    }

    async fn session<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        peer: SocketAddr,
    ) -> Result<(), Ended> {
        let mut connection = Connection::new(stream, self.new_session()?);
        loop {
            let event = tokio::select! {
                event = connection.next_event(self.config.idle_timeout) => event,
                () = self.context.life.draining() => {
                    connection.farewell().await;
                    return Ok(());
                }
            };
            match event {
                Ok(Event::Publish(request)) => {
                    // Boxed, so that a viewer's task does not carry room for a publisher's state.
                    return Box::pin(ingest::run(self, connection, &request, peer)).await;
                }
                Ok(Event::Play(request)) => return egress::run(self, connection, &request, peer).await,
                Ok(_) => {}
                Err(ended) => {
                    // What the session still has to say tells the peer why.
                    connection.farewell().await;
                    return Err(ended);
                }
            }
        }
    }

    fn new_session(&self) -> io::Result<ServerSession> {
        let mut random = [0; RANDOM_LENGTH];
        rand::fill(&mut random).map_err(|_| io::Error::other("the system gives no random numbers"))?;
        Ok(ServerSession::new(self.config.limits(), capabilities(), random, clock::monotonic()))
    }
}

/// What clients that speak Enhanced RTMP are told.
fn capabilities() -> Capabilities {
    Capabilities::forwarding(
        &["avc1", "hvc1", "av01", "vp08", "vp09"],
        &["mp4a", "Opus"],
        CAPS_MULTITRACK | CAPS_MOD_EX | CAPS_TIMESTAMP_NANO_OFFSET,
    )
}
