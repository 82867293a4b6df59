//! The routes: `/hls/CHANNEL/index.m3u8` and everything below it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode, Uri};
use tokio::time::timeout;

use super::Config;
use super::body::Joined;
use super::live::Live;
use super::metrics::Metrics;
use super::reload::{BadReload, Reload, Wanted};
use super::resource::{MAIN, Resource, rendition_of};
use super::snapshot::{Answer, Snapshot};
use crate::context::Context;
use crate::http::{ApiError, ClientPlace, for_everyone};
use crate::hub::{Rendition, Start, SubscribeError};
use crate::media::{About, ChannelName};
use crate::metrics;

const PLAYLIST: HeaderValue = HeaderValue::from_static("application/vnd.apple.mpegurl");
const MEDIA: HeaderValue = HeaderValue::from_static("video/mp4");

/// The multivariant playlist names the session, which ends with the broadcast or when nobody watches.
const ALWAYS_ASK: HeaderValue = HeaderValue::from_static("no-cache");
/// Where it depends on who asks, two who ask at the same time may not be given one answer either.
const EACH_ASKS: HeaderValue = HeaderValue::from_static("private, no-cache");
/// A playlist at a moment that its address names: a player that asks for it later still gets what it wants.
const MOMENT: HeaderValue = HeaderValue::from_static("public, max-age=10");
/// The playlist of now: players that join in the same second may share it.
const NOW: HeaderValue = HeaderValue::from_static("public, max-age=1");
const NEVER: HeaderValue = HeaderValue::from_static("no-store");
/// Addresses are never used again for other bytes.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=86400, immutable");

/// A request waits this long at most. Three target durations are usual, but hls.js gives up after ten seconds.
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// The routes of HLS.
pub fn router(config: &Config, context: Context, registry: &metrics::Metrics) -> Router {
    let metrics = Metrics::default();
    metrics.register(registry);
    let hls = Hls {
        config: config.clone(),
        context,
        metrics,
        channels: RwLock::default(),
        sessions: AtomicU64::new(0),
    };
    let routes = Router::new()
        .route("/hls/{channel}/index.m3u8", get(multivariant))
        .route("/hls/{channel}/{session}/{rendition}/{file}", get(file))
        .with_state(Arc::new(hls));
    for_everyone(routes)
}

struct Hls {
    config: Config,
    context: Context,
    metrics: Metrics,
    /// The channels being packaged, by name, which every request looks up.
    channels: RwLock<HashMap<Box<str>, Packaged>>,
    sessions: AtomicU64,
}

/// What is packaged of a channel.
#[derive(Default)]
struct Packaged {
    program: Option<Arc<Live>>,
    /// For pages that draw overlays themselves.
    source: Option<Arc<Live>>,
}

impl Packaged {
    const fn place(&mut self, feed: Feed) -> &mut Option<Arc<Live>> {
        match feed {
            Feed::Program => &mut self.program,
            Feed::Source => &mut self.source,
        }
    }

    /// The session that goes on.
    fn running(&self, feed: Feed) -> Option<Arc<Live>> {
        let live = match feed {
            Feed::Program => &self.program,
            Feed::Source => &self.source,
        };
        live.as_ref().filter(|live| !live.has_ended()).cloned()
    }

    const fn is_empty(&self) -> bool {
        self.program.is_none() && self.source.is_none()
    }
}

/// What can be packaged of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feed {
    Program,
    Source,
}

impl Feed {
    const fn rendition(self) -> Rendition {
        match self {
            Self::Program => Rendition::PROGRAM,
            Self::Source => Rendition::Source,
        }
    }
}

async fn multivariant(
    State(hls): State<Arc<Hls>>,
    place: ClientPlace,
    uri: Uri,
) -> Result<Response, Refusal> {
    let name = segments(&uri).and_then(|[name, _]| name.parse().ok());
    let name: ChannelName = name.ok_or(Refusal::NoChannel)?;
    // The session is asked for here only: all that it leads to is the same for everybody, and stays in caches.
    let session =
        uri.query().and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("session=")));
    let page = session.and_then(|word| hls.context.pages.verify(word, &name));
    let feed = if page.is_some() { Feed::Source } else { Feed::Program };
    let (mut variant, mut lifetime) = (0, ALWAYS_ASK);
    if feed == Feed::Program {
        let channel = hls.context.hub.channel(&name).ok_or(Refusal::NoChannel)?;
        if channel.variants() > 1 {
            // Whoever's address says of him what nobody can read gets what everybody gets.
            let about = Query::try_from_uri(&uri).map_or_else(|_| About::default(), |Query(about)| about);
            let cohort = hls.context.cohort(&about, place);
            (variant, lifetime) = (channel.variant_of(&cohort), EACH_ASKS);
        }
    }
    let live = hls.live_or_start(&name, feed)?;
    live.touch();
    live.want(variant);
    let multivariant = hls.first_multivariant(&live, variant).await?;
    Ok(answer(PLAYLIST, lifetime, multivariant))
}

async fn file(State(hls): State<Arc<Hls>>, uri: Uri) -> Result<Response, Refusal> {
    let [name, session, folder, file] = segments(&uri).ok_or(Refusal::NoFile)?;
    let resource = Resource::parse(file).ok_or(Refusal::NoFile)?;
    let live = hls.live(name, session).ok_or(Refusal::NoFile)?;
    live.touch();
    let reload = match (resource, uri.query()) {
        (Resource::Playlist, Some(query)) => Reload::parse(query).map_err(|bad| hls.bad(bad))?,
        _ => Reload::default(),
    };
    if resource == Resource::Playlist && rendition_of(folder) == MAIN {
        live.count_reload(matches!(reload.wanted, Some(Wanted::Part(..))));
    }
    let snapshot = live.snapshot().ok_or(Refusal::NoFile)?;
    match snapshot.answer(folder, resource, &reload) {
        Answer::Wait => {
            let longest = snapshot.playlist(folder).map_or(LONGEST_WAIT, |playlist| {
                LONGEST_WAIT.min(Duration::from_secs(3 * u64::from(playlist.pace().target_duration)))
            });
            drop(snapshot);
            hls.wait(&live, folder, resource, &reload, longest).await
        }
        ready => hls.respond(ready, &reload),
    }
}

impl Hls {
    /// The session of this name that packages something of a channel.
    fn live(&self, name: &str, session: &str) -> Option<Arc<Live>> {
        let channels = self.channels.read().unwrap_or_else(PoisonError::into_inner);
        let Packaged { program, source } = channels.get(name)?;
        program.iter().chain(source).find(|live| live.session() == session).cloned()
    }

    /// The session that packages this channel, begun if there is none.
    fn live_or_start(self: &Arc<Self>, name: &ChannelName, feed: Feed) -> Result<Arc<Live>, Refusal> {
        let running = |channels: &HashMap<Box<str>, Packaged>| channels.get(name.as_str())?.running(feed);
        if let Some(live) = running(&self.channels.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(live);
        }
        let channel = self.context.hub.channel(name).ok_or(Refusal::NoChannel)?;
        let mut channels = self.channels.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(live) = running(&channels) {
            return Ok(live);
        }
        // All that is in memory: so the pace is known and there is a playlist as soon as somebody asks.
        let subscriber = channel.subscribe_from(Start::Oldest, &feed.rendition())?;
        // The broadcast tells sessions apart over restarts, the count within one.
        let number = self.sessions.fetch_add(1, Ordering::Relaxed);
        let live = Arc::new(Live::new(format!("{}-{number}", subscriber.broadcast_id())));
        *channels.entry(name.as_str().into()).or_default().place(feed) = Some(Arc::clone(&live));
        drop(channels);

        let (hls, running, name) = (Arc::clone(self), Arc::clone(&live), name.clone());
        self.context.life.spawn(async move {
            let life = hls.context.life.clone();
            let packaging = Arc::clone(&running);
            packaging.run(channel, subscriber, hls.config.clone(), hls.metrics.clone(), life).await;
            hls.forget(&name, feed, &running);
        });
        Ok(live)
    }

    /// Ends a session, unless another has taken its place.
    fn forget(&self, name: &ChannelName, feed: Feed, live: &Arc<Live>) {
        let mut channels = self.channels.write().unwrap_or_else(PoisonError::into_inner);
        let Some(packaged) = channels.get_mut(name.as_str()) else { return };
        packaged.place(feed).take_if(|known| Arc::ptr_eq(known, live));
        if packaged.is_empty() {
            channels.remove(name.as_str());
        }
    }

    /// The multivariant playlist of a variant of the programme, as soon as there is one.
    async fn first_multivariant(&self, live: &Arc<Live>, variant: u8) -> Result<Bytes, Refusal> {
        let of = |snapshot: &Option<Arc<Snapshot>>| snapshot.as_ref()?.multivariant(variant);
        if let Some(multivariant) = of(&live.snapshot()) {
            return Ok(multivariant);
        }
        let _waiting = self.begin_to_wait(live)?;
        let mut snapshots = live.snapshots();
        let first = timeout(LONGEST_WAIT, snapshots.wait_for(|snapshot| of(snapshot).is_some())).await;
        first.ok().and_then(Result::ok).and_then(|snapshot| of(&snapshot)).ok_or(Refusal::NotYet)
    }

    /// Answers from the first snapshot that can.
    async fn wait(
        &self,
        live: &Arc<Live>,
        folder: &str,
        resource: Resource,
        reload: &Reload,
        longest: Duration,
    ) -> Result<Response, Refusal> {
        let _waiting = self.begin_to_wait(live)?;
        let mut snapshots = live.snapshots();
        let answered = async {
            loop {
                let snapshot = snapshots.borrow_and_update().clone()?;
                match snapshot.answer(folder, resource, reload) {
                    Answer::Wait => snapshots.changed().await.ok()?,
                    ready => return Some(ready),
                }
            }
        };
        if let Ok(answer) = timeout(longest, answered).await {
            return self.respond(answer.unwrap_or(Answer::Missing), reload);
        }
        // The publisher is away, perhaps for a moment. RFC 8216bis would have a 503 here, which makes players give
        // up; an unchanged playlist makes them ask again.
        match live.snapshot().and_then(|snapshot| snapshot.text(folder, reload)) {
            Some(text) if resource == Resource::Playlist => Ok(answer(PLAYLIST, NEVER, text)),
            _ => Err(Refusal::NoFile),
        }
    }

    fn respond(&self, ready: Answer, reload: &Reload) -> Result<Response, Refusal> {
        match ready {
            Answer::Playlist(text) => {
                let lifetime = if reload.wanted.is_some() { MOMENT } else { NOW };
                Ok(answer(PLAYLIST, lifetime, text))
            }
            Answer::Media(bytes) => Ok(answer(MEDIA, FOREVER, bytes)),
            Answer::Segment(parts) => {
                Ok(answer(MEDIA, FOREVER, Body::new(parts.into_iter().collect::<Joined>())))
            }
            Answer::Bad(bad) => Err(self.bad(bad)),
            Answer::Missing | Answer::Wait => Err(Refusal::NoFile),
        }
    }

    /// Counts a request that waits, as long as the guard lives.
    fn begin_to_wait(&self, live: &Arc<Live>) -> Result<Waiting, Refusal> {
        let waiting = Waiting { live: Arc::clone(live), all: self.metrics.waiting.clone() };
        let here = live.waiting().fetch_add(1, Ordering::Relaxed);
        let everywhere = waiting.all.inc();
        if here >= self.config.max_waiting_per_channel
            || everywhere >= i64::try_from(self.config.max_waiting).unwrap_or(i64::MAX)
        {
            self.metrics.refused("waiting");
            return Err(Refusal::TooManyWait);
        }
        Ok(waiting)
    }

    fn bad(&self, bad: BadReload) -> Refusal {
        self.metrics.refused("directives");
        bad.into()
    }
}

/// Why a request gets no playlist and no media.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("there is no such channel")]
    NoChannel,
    #[error(transparent)]
    NotOnAir(#[from] SubscribeError),
    #[error("there is no such file, or not any more: load the channel's index.m3u8 again")]
    NoFile,
    #[error(transparent)]
    Directives(#[from] BadReload),
    #[error("the broadcast has only just begun: there is no playlist yet")]
    NotYet,
    #[error("too many requests wait for this channel's next part")]
    TooManyWait,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let message = self.to_string();
        let refusal = match self {
            Self::NoChannel | Self::NoFile => ApiError::not_found(message),
            Self::NotOnAir(_) => ApiError::new(StatusCode::NOT_FOUND, "offline", message),
            Self::Directives(_) => ApiError::bad_request(message),
            Self::NotYet | Self::TooManyWait => {
                ApiError::unavailable(message).with_header(RETRY_AFTER, HeaderValue::from_static("1"))
            }
        };
        refusal.into_response()
    }
}

/// A request that waits.
struct Waiting {
    live: Arc<Live>,
    all: prometheus_client::metrics::gauge::Gauge,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.live.waiting().fetch_sub(1, Ordering::Relaxed);
        self.all.dec();
    }
}

/// The path's segments after `/hls/`. Nothing of ours has a name that needs escapes: a name with one matches nothing.
fn segments<const N: usize>(uri: &Uri) -> Option<[&str; N]> {
    let mut path = uri.path().strip_prefix("/hls/")?.split('/');
    let mut segments = [""; N];
    for segment in &mut segments {
        *segment = path.next()?;
    }
    path.next().is_none().then_some(segments)
}

fn answer(kind: HeaderValue, lifetime: HeaderValue, body: impl Into<Body>) -> Response {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, lifetime)], body.into()).into_response()
}
