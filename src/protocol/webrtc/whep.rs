//! WHEP: watching by an HTTP POST (draft-ietf-wish-whep).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::events::Events;
use super::offer::{Offer, Role};
use super::relay::{Agreed, is_carried};
use super::server::Shared;
use super::shard::{Purpose, Watcher};
use super::signalling::{self, SDP};
use crate::http::{ApiError, ClientPlace, Connection, Streaming};
use crate::hub::{Channel, Rendition};
use crate::media::{About, Codec, Kind, Track};

/// `/whep/CHANNEL` and the sessions below it.
pub(super) fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/whep/{channel}", post(watch).get(nothing).head(discover).options(options))
        .route("/whep/{channel}/{session}", get(nothing).delete(end).patch(patch).options(options))
        .route("/whep/{channel}/{session}/events", get(events))
        .with_state(Arc::clone(shared))
}

async fn watch(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
    Extension(connection): Extension<Connection>,
    place: ClientPlace,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let channel = signalling::channel(&shared, &name)?;
    let offer = signalling::read_offer(&headers, &body, Role::Viewer)?;
    let page = asked.session.and_then(|word| shared.context.pages.verify(&word, channel.name()));
    let cohort = shared.context.cohort(&asked.about, place);
    let of = match (page, asked.feed) {
        (Some(_), None | Some(Feed::Source)) => Rendition::Source,
        (Some(_), Some(Feed::Program)) | (None, _) => {
            Rendition::Program { variant: channel.variant_of(&cohort) }
        }
    };
    let watched = choose(&channel, &offer, of).inspect_err(|_| shared.metrics.refused("stream"))?;
    let watcher = Watcher { cohort: Arc::new(cohort), page };
    let purpose = Purpose::Watch(watched.agreed, watched.rendition, watcher);
    let offer = Some(offer).filter(|_| watched.is_offered);
    signalling::open(&shared, connection.peer(), channel, offer, purpose).await
}

/// What a viewer says of himself, and his page of itself.
#[derive(Deserialize)]
struct Asked {
    #[serde(flatten)]
    about: About,
    /// Its word: it draws overlays itself, and gets the picture without them.
    session: Option<String>,
    /// The same page where it cannot draw them wants the programme: it is known all the same, so that an overlay that was displayed
    /// both ways counts once.
    feed: Option<Feed>,
}

/// What a page that has a word watches.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Feed {
    Source,
    Program,
}

/// What a viewer gets.
struct Watched {
    agreed: Agreed,
    rendition: Rendition,
    /// His offer has the codecs; else he gets a counter-offer.
    is_offered: bool,
}

/// The programme, or the source, with sound that WebRTC carries, and a picture that it carries where the encoder's is none. Sound that is
/// Opus already passes untouched, so that a viewer stays on his session when another encoder goes on with AAC.
fn rendition(of: Rendition, picture: Option<Codec>) -> Rendition {
    match picture {
        Some(codec) => of.with_picture(codec),
        None => of,
    }
    .with_sound(Codec::Opus)
}

/// What a viewer with this offer gets of the channel.
fn choose(channel: &Channel, offer: &Offer, of: Rendition) -> Result<Watched, ApiError> {
    let status = channel.status();
    if !status.live {
        return Err(signalling::offline("the channel is not live".to_owned()));
    }
    let first = |kind| {
        let of_kind = status.tracks.iter().filter(move |track| track.kind() == kind);
        of_kind.min_by_key(|track| (track.rank, track.id)).map(|track| &**track)
    };
    let (video, audio) = (first(Kind::Video), first(Kind::Audio));
    if video.is_none() && audio.is_none() {
        return Err(signalling::offline(
            "the broadcast has just begun; nothing is known of it yet".to_owned(),
        ));
    }
    let takes = |codec: Codec| {
        let section = offer.section(codec.kind());
        section.is_none_or(|section| section.codecs.iter().any(|name| *name == rtp_name(codec)))
    };
    let needs_conversion = |track: &&Track| !is_carried(track) || (!takes(track.codec) && takes(Codec::H264));
    let converted = video.filter(needs_conversion).map(|_| Codec::H264);
    let video = converted.or(video.map(|track| track.codec));
    let audio = audio.map(|_| Codec::Opus);
    let is_offered = [video, audio].into_iter().flatten().all(takes);
    Ok(Watched { agreed: Agreed { video, audio }, rendition: rendition(of, converted), is_offered })
}

/// The codec's name in `a=rtpmap`, in lower case.
fn rtp_name(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "h264",
        Codec::H265 => "h265",
        Codec::Av1 => "av1",
        Codec::Vp8 => "vp8",
        Codec::Vp9 => "vp9",
        Codec::Aac => "mpeg4-generic",
        Codec::Opus => "opus",
    }
}

async fn end(
    State(shared): State<Arc<Shared>>,
    Path((name, session)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let (id, entry) = signalling::session(&shared, Role::Viewer, &name, &session)?;
    signalling::delete(&shared, id, &entry)
}

async fn patch(
    State(shared): State<Arc<Shared>>,
    Path((name, session)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let session = signalling::session(&shared, Role::Viewer, &name, &session)?;
    signalling::patch(&shared, session, &headers, &body).await
}

/// Server-sent events about the session and its channel, until either is over.
async fn events(
    State(shared): State<Arc<Shared>>,
    Path((name, session)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let channel = signalling::channel(&shared, &name)?;
    let (id, _) = signalling::session(&shared, Role::Viewer, &name, &session)?;
    let events = Events::new(channel, shared.context.life.clone(), shared.registry.clone(), id);
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    Ok((headers, Extension(Streaming), Body::new(events)).into_response())
}

async fn nothing() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// HEAD tells that this is a WHEP endpoint.
async fn discover() -> Response {
    (StatusCode::OK, [(CONTENT_TYPE, SDP)]).into_response()
}

async fn options(State(shared): State<Arc<Shared>>) -> Response {
    signalling::options(&shared)
}
