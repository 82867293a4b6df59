//! The route, and the body that follows a stream.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body::Frame;

use super::Config;
use super::tags::FlvTags;
use crate::context::Context;
use crate::format::flv::file;
use crate::http::{ApiError, ClientPlace, Connection, Streaming, for_everyone};
use crate::hub::{Channel, Protocol, SubscribeError, Viewer, WireReader};
use crate::media::{About, ChannelName, Codec, Kind};

/// See RTMP's: beyond it the viewer's place in memory counts, not the kernel's queue.
const UNSENT: u32 = 128 << 10;

/// Seconds after which a conversion may have ended.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("10");

/// `/live/CHANNEL.flv`.
pub fn router(config: &Config, context: Context) -> Router {
    let route = Router::new().route("/live/{file}", get(watch)).with_state((config.clone(), context));
    for_everyone(route)
}

async fn watch(
    State((config, context)): State<(Config, Context)>,
    Path(file): Path<String>,
    Query(about): Query<About>,
    place: ClientPlace,
    Extension(connection): Extension<Connection>,
) -> Result<Response, ApiError> {
    let name = file.strip_suffix(".flv").and_then(|name| name.parse::<ChannelName>().ok());
    let channel = name
        .and_then(|name| context.hub.channel(&name))
        .ok_or_else(|| ApiError::not_found("there is no such channel"))?;
    let cohort = context.cohort(&about, place);
    let variant = channel.variant_of(&cohort);
    // Players take AAC; only the newest take Opus in FLV, and none says so.
    let reader = channel.wire_without::<FlvTags>(variant, Codec::Opus, Codec::Aac).await.map_err(
        |error| match error {
            SubscribeError::Busy(_) => {
                ApiError::unavailable(error.to_string()).with_header(header::RETRY_AFTER, RETRY_AFTER)
            }
            _ => ApiError::new(StatusCode::NOT_FOUND, "offline", error.to_string()),
        },
    )?;
    connection.bound_send(config.send_buffer, UNSENT);
    let kinds = channel.status().tracks.iter().map(|track| track.kind()).collect::<Vec<_>>();
    // A stream that has just begun may not have told its tracks yet: then both are announced.
    let has = |kind| kinds.is_empty() || kinds.contains(&kind);
    let start = Bytes::copy_from_slice(&file::header(has(Kind::Video), has(Kind::Audio)));
    let viewer = channel.viewer_of(reader.rendition(), Protocol::HttpFlv, Arc::new(cohort));
    let body = Stream { reader, channel, pending: VecDeque::from([start]), viewer: Some(viewer) };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("video/x-flv")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, Extension(Streaming), Body::new(body)).into_response())
}

/// A body that follows a stream until it ends.
struct Stream {
    reader: WireReader,
    channel: Arc<Channel>,
    pending: VecDeque<Bytes>,
    /// `None` when the broadcast is over.
    viewer: Option<Viewer>,
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            if let Some(chunk) = self.pending.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            if self.viewer.is_none() {
                return Poll::Ready(None);
            }
            let mut batch = ready!(self.reader.poll_next_batch(context));
            if batch.missed > 0 {
                self.channel.lagged(Protocol::HttpFlv);
            }
            let Self { reader, viewer, .. } = &mut *self;
            if let Some(viewer) = viewer {
                // The last of them is written after the others.
                if let (Some(shown), Some(last)) = (batch.shown, batch.chunks.last_mut()) {
                    *last = viewer.saw_when_written(std::mem::take(last), shown);
                }
                reader.follow::<FlvTags>(viewer);
            }
            if batch.ended {
                self.viewer = None;
            }
            self.pending.extend(batch.chunks);
        }
    }
}
