//! From a channel to a viewer.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::{Connection, Ended};
use super::play::{PLAY_STREAM, RtmpMedia};
use super::server::Shared;
use super::wire::{Event, PlayEnd, PlayRefusal, ServerSession, StreamRequest};
use crate::hub::{Channel, Protocol, Rendition, SubscribeError, Viewer, WireReader};
use crate::media::{ChannelName, Codec};

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
    let description = match &channel {
        None => "there is no such channel".to_owned(),
        Some(channel) => match reader(channel, request).await {
            Ok(reader) => {
                let viewer = channel.viewer(Protocol::Rtmp);
                tracing::debug!(channel = %channel.name(), %peer, "viewer came in over RTMP");
                connection.session.accept_play();
                return play(connection, channel, request, reader, viewer).await;
            }
            Err(error) => error.to_string(),
        },
    };
    shared.metrics.refused("play");
    connection.session.reject_play(PlayRefusal::StreamNotFound, &description);
    connection.farewell().await;
    Ok(())
}

/// The programme as this player takes it.
async fn reader(channel: &Channel, request: &StreamRequest) -> Result<WireReader, SubscribeError> {
    match request.capabilities.takes_audio("Opus") {
        true => channel.wire::<RtmpMedia>(Rendition::PROGRAM),
        false => channel.wire_without::<RtmpMedia>(0, Codec::Opus, Codec::Aac).await,
    }
}

async fn play<S: AsyncRead + AsyncWrite + Unpin>(
    mut connection: Connection<S, ServerSession>,
    channel: &Channel,
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
                    if let Ok(newest) = reader(channel, request).await {
                        wire = newest;
                    }
                }
                _ => {}
            },
        }
    }
}
