//! The shards, and the routes that lead to them.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use axum::Router;
use http::HeaderValue;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::dtls_keys::KeyTap;
use super::metrics::Metrics;
use super::peer::Addresses;
use super::registry::{Entry, Registry};
use super::setup::Identity;
use super::shard::{self, Command, Handle, Inlets, Settings};
use super::{Config, addresses, signalling, tcp, whep, whip};
use crate::context::Context;
use crate::http::for_media_clients;
use crate::metrics;
use crate::net::limits::Admission;
use crate::net::socket::listen;
use crate::net::udp;

/// TCP connections from one address: as many as there may be viewers behind one.
const MAX_TCP_PER_ADDRESS: usize = 256;
/// How often a port is chosen by the system before there is none for both UDP and TCP.
const FREE_PORT_ATTEMPTS: usize = 16;

/// WebRTC's part of the server. Clones are the same.
#[derive(Clone)]
pub struct Server(Arc<Shared>);

/// What the routes need.
pub(super) struct Shared {
    pub config: Config,
    pub context: Context,
    pub metrics: Metrics,
    pub registry: Registry,
    /// `Link` headers of the STUN and TURN servers that peers may use.
    pub links: Vec<HeaderValue>,
    shards: Vec<Handle>,
    next: AtomicUsize,
    bound: SocketAddr,
    /// The shards' threads end with the server, also with one that is dropped without draining.
    _running: DropGuard,
}

/// Why WebRTC cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The port cannot be bound, or a thread cannot be started.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// No certificate can be made for DTLS.
    #[error("no certificate for DTLS can be made")]
    Certificate,
}

impl Server {
    /// Binds the port and starts a shard a processor; `None` when WebRTC is switched off.
    ///
    /// # Errors
    /// When the port cannot be bound, with the address in the message, or a shard cannot be started.
    pub fn start(
        config: &Config,
        context: Context,
        registry: &metrics::Metrics,
    ) -> Result<Option<Self>, StartError> {
        let Some(address) = config.listen else { return Ok(None) };
        let count = match config.shards {
            0 => thread::available_parallelism().map_or(1, usize::from),
            shards => shards,
        };
        let (sockets, listener) = bind(address, count, config.tcp)?;
        let bound = sockets.first().ok_or_else(|| io::Error::other("no socket"))?.local_addr()?;
        let certificate = KeyTap::certificate().ok_or(StartError::Certificate)?;
        let metrics = Metrics::default();
        metrics.register(registry);
        let (shards, inlets): (Vec<Handle>, Vec<Inlets>) = sockets.iter().map(|_| shard::queues()).unzip();
        let sessions = Registry::default();
        let running = CancellationToken::new();
        for (index, (socket, inlets)) in sockets.into_iter().zip(inlets).enumerate() {
            let settings = Settings {
                index,
                config: config.clone(),
                identity: Identity { certificate: certificate.clone() },
                registry: sessions.clone(),
                shards: shards.clone(),
                metrics: metrics.clone(),
                life: context.life.clone(),
                running: running.clone(),
            };
            start_shard(settings, socket, inlets)?;
        }
        if let Some(listener) = listener {
            let admission = Admission::new(config.max_sessions, MAX_TCP_PER_ADDRESS);
            let life = context.life.clone();
            let listen =
                tcp::listen(listener, admission, shards.clone(), config.setup_timeout, metrics.clone(), life);
            tokio::spawn(listen);
        }
        let links = config.ice_servers.iter().filter_map(|text| signalling::ice_server_link(text)).collect();
        Ok(Some(Self(Arc::new(Shared {
            config: config.clone(),
            context,
            metrics,
            registry: sessions,
            links,
            shards,
            next: AtomicUsize::new(0),
            bound,
            _running: running.drop_guard(),
        }))))
    }

    /// The UDP port that was bound.
    pub fn port(&self) -> u16 {
        self.0.bound.port()
    }

    /// `/whip/…` and `/whep/…`.
    pub fn router(&self) -> Router {
        for_media_clients(whip::router(&self.0).merge(whep::router(&self.0)))
    }
}

impl Shared {
    /// The shard for a new session.
    pub fn next_shard(&self) -> &Handle {
        &self.shards[self.next.fetch_add(1, Ordering::Relaxed) % self.shards.len()]
    }

    /// Hands a session's shard a request; `false` when it is overwhelmed or gone.
    pub fn command(&self, entry: &Entry, command: Command) -> bool {
        self.shards.get(entry.shard).is_some_and(|handle| handle.commands.try_send(command).is_ok())
    }

    /// The addresses that a peer is told.
    pub fn addresses(&self, asker: SocketAddr) -> Addresses {
        let over_loopback = asker.ip().to_canonical().is_loopback();
        let all = addresses::candidates(&self.config.public_addresses, self.bound, over_loopback);
        Addresses { all, tcp: self.config.tcp }
    }
}

/// Opens the UDP port, and the TCP port of the same number.
fn bind(address: SocketAddr, shards: usize, tcp: bool) -> io::Result<(Vec<UdpSocket>, Option<TcpListener>)> {
    for attempt in 0.. {
        let sockets = udp::bind_group(address, shards)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
        let (Some(first), true) = (sockets.first(), tcp) else { return Ok((sockets, None)) };
        match listen(first.local_addr()?) {
            // The system has chosen a number that is free for UDP only.
            Err(_) if address.port() == 0 && attempt < FREE_PORT_ATTEMPTS => {}
            listener => return Ok((sockets, Some(listener?))),
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

/// Runs a shard on a thread of its own, which the end of the server waits for.
fn start_shard(settings: Settings, socket: UdpSocket, inlets: Inlets) -> io::Result<()> {
    let (ended, end) = oneshot::channel::<()>();
    let life = settings.life.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name(format!("webrtc-{}", settings.index)).spawn(move || {
        let tasks = tokio::task::LocalSet::new();
        if let Err(error) = tasks.block_on(&runtime, shard::run(settings, socket, inlets)) {
            tracing::error!(%error, "a WebRTC shard has failed");
        }
        drop(ended);
    })?;
    life.spawn(async move {
        // Nothing is sent: the channel closes when the thread ends.
        let _ = end.await;
    });
    Ok(())
}
