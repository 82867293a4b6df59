//! The server: the one place that knows every part. Starts them, reloads them, and ends them in order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::api::channels::{ChannelStoreError, Directory, SqliteChannels};
use crate::api::{self, Api, Ports};
use crate::auth::{AdminToken, Pages, StreamKeys, Studio, TokenError, Viewers};
use crate::av::audio::AudioConverter;
use crate::av::worker::{WorkerConverter, Workers};
use crate::booking::{BookingStoreError, Bookings, SqliteBookings};
use crate::chat::voucher::KeysError;
use crate::chat::{self, Air, Chat, SqliteChat};
use crate::clock;
use crate::config::Config;
use crate::context::{Context, Life};
use crate::http::{Countries, CountriesError};
use crate::hub::{self, Hub, OnAir};
use crate::ledger::store::{LedgerStore, LedgerStoreError};
use crate::ledger::{Ledger, SqliteLedger, wall_clock};
use crate::media::ChannelName;
use crate::metrics::Metrics;
use crate::net::socket;
use crate::net::tls::{CertificateError, Certificates};
use crate::overlay::Overlays;
use crate::protocol::{hls, http_flv, rtmp, webrtc};
use crate::sale::store::SqliteSale;
use crate::sale::{self, Sale};
use crate::store::{self, Store};
use crate::{http, log};

/// How long viewers get to read what they are still owed after the broadcasts have ended.
const LEAVE_TIME: Duration = Duration::from_secs(10);

/// A running server.
pub struct App {
    /// The channels there are.
    pub directory: Arc<Directory>,
    /// The ports that the listeners got.
    pub ports: Ports,
    /// Comments, hearts and order.
    pub chat: Option<Chat>,
    /// Advertisers, campaigns, creatives.
    pub bookings: Bookings,
    /// What is sold at cues, if anything is.
    pub sale: Option<Sale>,
    context: Context,
    certificates: Option<Certificates>,
    http: http::Server,
    rtmp: rtmp::Server,
    log: log::Control,
    store: Store,
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A listener cannot be bound; the text names key and address.
    #[error("{key}: {source}")]
    Listen {
        /// The key of the configuration.
        key: &'static str,
        /// What was wrong.
        source: io::Error,
    },
    /// The runtime cannot start.
    #[error("the runtime does not start: {0}")]
    Runtime(#[source] io::Error),
    /// The data directory or the database cannot be used.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// The channels cannot be read.
    #[error(transparent)]
    Channels(#[from] ChannelStoreError),
    /// The ledger cannot be read, or would not be durable.
    #[error("ledger: {0}")]
    Ledger(#[from] LedgerStoreError),
    /// What is booked cannot be read.
    #[error("bookings: {0}")]
    Bookings(#[from] BookingStoreError),
    /// The admin token cannot be read or made.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// There is no usable certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The keys by which other sites vouch for users cannot be read.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The sale cannot take up where it left off.
    #[error("sale: {0}")]
    Sale(#[from] sale::StartError),
    /// The database of countries cannot be read.
    #[error(transparent)]
    Countries(#[from] CountriesError),
    /// WebRTC cannot be served.
    #[error("webrtc.listen: {0}")]
    WebRtc(#[from] webrtc::StartError),
}

/// What rooms know of channels.
struct OnTheHub(Hub);

impl chat::Channels for OnTheHub {
    fn exists(&self, name: &ChannelName) -> bool {
        self.0.channel(name).is_some()
    }

    fn air(&self, name: &ChannelName) -> Option<Air> {
        let OnAir { broadcast, newest, epoch, .. } = self.0.channel(name)?.on_air()?;
        Some(Air { broadcast, time: newest, began_at: clock::unix_millis(epoch) })
    }
}

/// What channels are called, as the sale wants to know it.
fn titles(directory: Arc<Directory>) -> sale::Titles {
    Box::new(move |channel| {
        let text = directory.channel(channel).map(|channel| channel.title).unwrap_or_default();
        sale::Title { hashtags: chat::tags::hashtags(&text).into_iter().collect(), text }
    })
}

/// A listener that is bound but not served yet.
struct Bound {
    listener: Option<TcpListener>,
    port: Option<u16>,
}

impl Bound {
    fn new(key: &'static str, address: Option<SocketAddr>) -> Result<Self, StartError> {
        let Some(address) = address else { return Ok(Self { listener: None, port: None }) };
        let failed = |source| StartError::Listen { key, source };
        let listener = socket::listen(address).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        Ok(Self { listener: Some(listener), port: Some(port) })
    }
}

impl App {
    /// The channels as they are on the air.
    pub const fn hub(&self) -> &Hub {
        &self.context.hub
    }

    /// Binds, opens and starts everything.
    ///
    /// # Errors
    /// When a part cannot start; what had started is dropped again.
    pub async fn start(config: &Config, log: log::Control) -> Result<Self, StartError> {
        let http_bound = Bound::new("http.listen", config.http.listen)?;
        let https_bound = Bound::new("http.tls_listen", config.http.tls_listen)?;
        let rtmp_bound = Bound::new("rtmp.listen", config.rtmp.listen)?;
        let rtmps_bound = Bound::new("rtmp.tls_listen", config.rtmp.tls_listen)?;
        let admin_bound = Bound::new("admin.listen", config.admin.listen)?;
        let wants_tls = https_bound.port.is_some() || rtmps_bound.port.is_some();
        let certificates = wants_tls.then(|| Certificates::load(&config.tls)).transpose()?;

        let store = Store::open(&config.store, &config.data.dir).await?;
        let token = AdminToken::load_or_create(&config.data.dir)?;
        let metrics = Metrics::new();
        let hub_metrics = Arc::new(hub::Metrics::default());
        hub_metrics.register(&metrics);
        let hub = Hub::new(config.broadcast.clone(), hub_metrics);
        let workers = Workers::start(&config.worker, &metrics);
        // Before the other: of sound to Opus, it takes what the other cannot.
        hub.register(WorkerConverter::new(workers.clone()));
        hub.register(AudioConverter::new(&metrics));
        let keys = StreamKeys::default();
        let life = Life::default();
        let overlays = Overlays::new(&config.overlay, workers, life.clone(), &metrics);
        let studio = Studio::new(&token, keys.clone());
        let context = Context {
            hub: hub.clone(),
            keys: keys.clone(),
            studio: studio.clone(),
            pages: Pages::new(&token),
            countries: Arc::new(Countries::open(config.sale.countries.as_deref())?),
            life: life.clone(),
        };
        let webrtc = webrtc::Server::start(&config.webrtc, context.clone(), &metrics)?;
        let ports = Ports {
            http: http_bound.port,
            https: https_bound.port,
            rtmp: rtmp_bound.port,
            rtmps: rtmps_bound.port,
            webrtc: webrtc.as_ref().map(webrtc::Server::port),
            admin: admin_bound.port,
        };
        let channels = SqliteChannels::new(store.pool());
        let directory = Arc::new(Directory::load(channels, hub.clone(), keys).await?);

        let chat = config.chat.enabled.then(|| {
            let parts = chat::Parts {
                channels: Box::new(OnTheHub(hub.clone())),
                store: Arc::new(SqliteChat::new(store.pool())),
                viewers: Viewers::new(&token),
                studio: studio.clone(),
                public_base: config.http.public_base().map(str::to_owned),
                life: life.clone(),
            };
            Chat::start(&config.chat, parts, &metrics)
        });
        let chat = chat.transpose()?;

        let ledger_store: Arc<dyn LedgerStore> = Arc::new(SqliteLedger::open(store.pool()).await?);
        let (ledger, found) = Ledger::start(Arc::clone(&ledger_store), wall_clock()).await?;
        let bookings = SqliteBookings::new(store.pool());
        let intake = Arc::new(overlays.clone());
        let bookings = Bookings::load(&config.booking, bookings, intake, ledger.clone()).await?;
        let sale = match config.sale.enabled {
            false => None,
            true => {
                let parts = sale::Parts {
                    hub: hub.clone(),
                    ledger: ledger.clone(),
                    found,
                    ledger_store,
                    bookings: bookings.clone(),
                    overlays: overlays.clone(),
                    store: Arc::new(SqliteSale::new(store.pool())),
                    titles: titles(Arc::clone(&directory)),
                    signals: chat.as_ref().map(Chat::signals),
                    secret: token.derive("onair impressions"),
                    pages: context.pages.clone(),
                    countries: Arc::clone(&context.countries),
                    public_base: config.http.public_base().map(str::to_owned),
                    life: life.clone(),
                };
                Some(Sale::start(&config.sale, &config.cues, &config.traffic, parts, &metrics).await?)
            }
        };

        let api = Arc::new(Api {
            directory: Arc::clone(&directory),
            hub,
            token,
            studio,
            overlays,
            sale: sale.clone(),
            bookings: bookings.clone(),
            ledger,
            store: store.clone(),
            metrics: metrics.clone(),
            ports,
            public_base: config.http.public_base().map(str::to_owned),
            frames: api::frames(&config.http.embed_from),
            life: life.clone(),
        });
        let admin_routes = api::admin_router(&api);
        let mut routes = Router::new()
            .merge(http_flv::router(&config.flv, context.clone()))
            .merge(hls::router(&config.hls, context.clone(), &metrics))
            .merge(api::router(&api, chat.is_some().then(Chat::document)));
        if let Some(webrtc) = &webrtc {
            routes = routes.merge(webrtc.router());
        }
        if let Some(chat) = &chat {
            routes = routes.merge(chat.router());
        }
        if let Some(sale) = &sale {
            routes = routes.merge(sale.router());
        }
        if admin_bound.port.is_none() {
            routes = routes.merge(admin_routes.clone());
        }
        let app = Self {
            directory,
            ports,
            chat,
            bookings,
            sale,
            http: http::Server::new(&config.http, &metrics),
            rtmp: rtmp::Server::new(&config.rtmp, context.clone(), &metrics),
            context,
            certificates,
            log,
            store,
        };
        let https = app.acceptor(http::ALPN);
        app.serve_http(http_bound, None, &routes);
        app.serve_http(https_bound, https, &routes);
        app.serve_http(admin_bound, None, &admin_routes);
        app.serve_rtmp(rtmp_bound, None);
        app.serve_rtmp(rtmps_bound, app.acceptor(&[]));
        tracing::info!(?ports, "serving");
        Ok(app)
    }

    /// Takes over what can be changed without dropping anyone: the certificate, limits on connections, the log's
    /// filter. What cannot be used is logged, and the old setting stays.
    pub fn reload(&self, config: &Config) {
        if let Some(certificates) = &self.certificates
            && let Err(error) = certificates.reload(&config.tls)
        {
            tracing::error!(%error, "the certificate was not reloaded, the old one stays");
        }
        if let Some(chat) = &self.chat
            && let Err(error) = chat.reload(&config.chat)
        {
            tracing::error!(%error, "the keys of vouchers were not reloaded, the old ones hold");
        }
        self.http.reload(&config.http);
        self.rtmp.reload(&config.rtmp);
        self.log.reload(&config.log);
        tracing::info!("configuration reloaded");
    }

    /// Ends the server: no new sessions, publishers are told, viewers are let go with what they are still owed.
    pub async fn shutdown(self) {
        tracing::info!("draining");
        self.context.life.drain();
        self.context.hub.end_all();
        if timeout(LEAVE_TIME, self.context.life.ended()).await.is_err() {
            tracing::warn!("some sessions did not end in time and are cut off");
        }
        if let Some(chat) = &self.chat {
            chat.finish().await;
        }
        self.store.close().await;
        tracing::info!("ended");
    }

    fn serve_http(&self, bound: Bound, tls: Option<TlsAcceptor>, routes: &Router) {
        let Some(listener) = bound.listener else { return };
        let (server, routes, life) = (self.http.clone(), routes.clone(), self.context.life.clone());
        tokio::spawn(async move { server.serve(listener, tls, routes, life).await });
    }

    fn serve_rtmp(&self, bound: Bound, tls: Option<TlsAcceptor>) {
        let Some(listener) = bound.listener else { return };
        let server = self.rtmp.clone();
        tokio::spawn(async move { server.serve(listener, tls).await });
    }

    fn acceptor(&self, protocols: &[&[u8]]) -> Option<TlsAcceptor> {
        self.certificates.as_ref().map(|certificates| certificates.acceptor(protocols))
    }
}
