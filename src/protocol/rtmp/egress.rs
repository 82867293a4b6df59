//! From a channel to a viewer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::{Connection, Ended};
use super::play::{PLAY_STREAM, RtmpMedia};
use super::server::Shared;
use super::wire::{Event, PlayEnd, PlayRefusal, ServerSession, StreamRequest};
use crate::hub::{Channel, Protocol, Rendition, SubscribeError, Viewer, WireReader};
use crate::media::{About, ChannelName, Codec, Cohort};

/// What a viewer's socket may hold that is not on its way yet: beyond it the viewer's place in memory counts, not the
/// kernel's queue, so that one who is slow skips to the newest keyframe instead of hearing old news.
pub(super) const UNSENT: u32 = 128 << 10;

/// Serves a viewer until he leaves or the broadcast ends.
pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    mut connection: Connection<S, ServerSession>,
    request: &StreamRequest,
    peer: SocketAddr,
) -> Result<(), Ended> {
    let name = request.address.stream.parse::<ChannelName>().ok();
    let channel = name.and_then(|name| shared.context.hub.channel(&name));
    let cohort = Arc::new(shared.context.cohort(&about(request), peer.ip().into()));
    let description = match &channel {
        None => "there is no such channel".to_owned(),
        Some(channel) => match reader(channel, &cohort, request).await {
            Ok(reader) => {
                let viewer = channel.viewer_of(reader.rendition(), Protocol::Rtmp, Arc::clone(&cohort));
                tracing::debug!(channel = %channel.name(), %peer, "viewer came in over RTMP");
                connection.session.accept_play();
                return play(connection, channel, &cohort, request, reader, viewer).await;
            }
            Err(error) => error.to_string(),
        },
    };
    shared.metrics.refused("play");
    connection.session.reject_play(PlayRefusal::StreamNotFound, &description);
    connection.farewell().await;
    Ok(())
}

/// What the address says of the viewer.
fn about(request: &StreamRequest) -> About {
    let said = |key: &str| request.address.parameter(key).map(str::to_owned);
    About { lang: said("lang"), device: said("device"), consent: said("consent"), tags: said("tags") }
}

/// The programme as this player takes it.
async fn reader(
    channel: &Channel,
    cohort: &Cohort,
    request: &StreamRequest,
) -> Result<WireReader, SubscribeError> {
    let variant = channel.variant_of(cohort);
    match request.capabilities.takes_audio("Opus") {
        true => channel.wire::<RtmpMedia>(Rendition::Program { variant }),
        false => channel.wire_without::<RtmpMedia>(variant, Codec::Opus, Codec::Aac).await,
    }
}

async fn play<S: AsyncRead + AsyncWrite + Unpin>(
    mut connection: Connection<S, ServerSession>,
    channel: &Channel,
    cohort: &Cohort,
    request: &StreamRequest,
    mut wire: WireReader,
    viewer: Viewer,
) -> Result<(), Ended> {
    if connection.session.play_stream() != Some(PLAY_STREAM) {
        connection.session.end_play(PlayEnd::Stopped, "play on the first stream that createStream gave");
        connection.farewell().await;
        return Ok(());
    }
    connection.becomes_viewer().await?;
    let mut paused = false;
    loop {
        tokio::select! {
            mut batch = wire.next_batch(), if !paused => {
                if batch.missed > 0 {
                    channel.lagged(Protocol::Rtmp);
                }
                connection.write_chunks(&mut batch.chunks).await?;
                if let Some(shown) = batch.shown {
                    viewer.saw(shown);
                }
                wire.follow::<RtmpMedia>(&viewer);
                if batch.ended {
                    // Whoever still hears the last words watches nothing any more.
                    drop(viewer);
                    connection.session.end_play(PlayEnd::Stopped, "the broadcast is over");
                    connection.farewell().await;
                    return Ok(());
                }
            }
            // A viewer may say nothing for as long as he likes.
            event = connection.next_event(Duration::MAX) => match event? {
                Event::StopPlay => {
                    connection.farewell().await;
                    return Ok(());
                }
                Event::Pause(pause) => {
                    paused = pause;
                    // Live goes on without the viewer: when he comes back, he begins at the newest keyframe.
                    if let Ok(newest) = reader(channel, cohort, request).await {
                        wire = newest;
                    }
                }
                _ => {}
            },
        }
    }
}
