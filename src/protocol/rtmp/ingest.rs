//! From a publisher's messages to a channel.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::{Connection, Ended};
use super::server::Shared;
use super::wire::{Event, MediaMessage, PublishRefusal, ServerSession, StreamRequest};
use crate::format::amf::Value;
use crate::format::cue_message::{self, CueError, Cues, Moment};
use crate::format::flv::{self, Demuxer, FlvError};
use crate::hub::{Dismissal, Protocol, PublishError, Publisher};
use crate::media::{ChannelName, Cue, Kind, MediaTime};

/// Why the server sends a publisher away.
#[derive(Debug, thiserror::Error)]
enum Expulsion {
    #[error(transparent)]
    Unsupported(FlvError),
    #[error("too many messages cannot be read, the last one because: {0}")]
    Malformed(FlvError),
    #[error(transparent)]
    Dismissed(#[from] Dismissal),
    #[error("the server is shutting down")]
    Draining,
}

/// Serves a publisher until he leaves or is sent away.
pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    mut connection: Connection<S, ServerSession>,
    request: &StreamRequest,
    peer: SocketAddr,
) -> Result<(), Ended> {
    let refusal = match enter(shared, request) {
        Ok((channel, publisher)) => {
            connection.session.accept_publish();
            connection.becomes_publisher();
            let encoder = request.flash_ver.as_deref();
            tracing::info!(%channel, %peer, encoder, "publisher came in over RTMP");
            let ended = publish(shared, connection, publisher, &channel).await;
            let reason = ended.as_ref().err().map(ToString::to_string);
            tracing::info!(%channel, %peer, reason, "publisher left");
            return ended;
        }
        Err(refusal) => refusal,
    };
    shared.metrics.refused(refusal.label);
    tracing::info!(%peer, reason = refusal.description, "publisher refused");
    connection.session.reject_publish(refusal.code, &refusal.description);
    connection.farewell().await;
    Ok(())
}

struct Refusal {
    code: PublishRefusal,
    label: &'static str,
    description: String,
}

fn enter(shared: &Shared, request: &StreamRequest) -> Result<(ChannelName, Publisher), Refusal> {
    let denied = |description: &str| Refusal {
        code: PublishRefusal::Denied,
        label: "key",
        description: description.to_owned(),
    };
    let key = request.address.key().ok_or_else(|| denied("no stream key was given"))?;
    let name = shared.context.keys.channel_for(key).ok_or_else(|| denied("this stream key is not known"))?;
    let channel = shared.context.hub.channel(&name).ok_or_else(|| denied("the channel was deleted"))?;
    let publisher = channel.publish(Protocol::Rtmp).map_err(|error| Refusal {
        code: PublishRefusal::BadName,
        label: match error {
            PublishError::TakeoverFight => "takeover",
            _ => "channel",
        },
        description: error.to_string(),
    })?;
    Ok((name, publisher))
}

async fn publish<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    mut connection: Connection<S, ServerSession>,
    publisher: Publisher,
    channel: &ChannelName,
) -> Result<(), Ended> {
    let mut stream = Stream::new(shared, publisher, channel);
    loop {
        let event = tokio::select! {
            event = connection.next_event(shared.config.idle_timeout) => event,
            reason = stream.publisher.dismissed() => {
                return expel(connection, stream, reason.into()).await;
            }
            () = shared.context.life.draining() => {
                return expel(connection, stream, Expulsion::Draining).await;
            }
        };
        let event = match event {
            Ok(event) => event,
            Err(ended @ Ended::Session(_)) => {
                connection.farewell().await;
                return Err(ended);
            }
            Err(ended) => return Err(ended),
        };
        let taken = match event {
            Event::Audio(message) => stream.media(Kind::Audio, message),
            Event::Video(message) => stream.media(Kind::Video, message),
            Event::Data { values, .. } => {
                stream.data(&values);
                Ok(())
            }
            Event::Unpublish => {
                connection.farewell().await;
                return Ok(());
            }
            _ => Ok(()),
        };
        if let Err(expulsion) = taken {
            return expel(connection, stream, expulsion).await;
        }
    }
}

async fn expel<S: AsyncRead + AsyncWrite + Unpin>(
    mut connection: Connection<S, ServerSession>,
    stream: Stream<'_>,
    reason: Expulsion,
) -> Result<(), Ended> {
    let description = reason.to_string();
    tracing::warn!(channel = %stream.channel, reason = description, "publisher sent away");
    // The channel is free before the last words are heard.
    drop(stream);
    match reason {
        Expulsion::Draining => connection.session.close(&description),
        _ => connection.session.end_publish(&description),
    }
    connection.farewell().await;
    Ok(())
}

/// What a publisher sends, on its way to the channel.
struct Stream<'a> {
    shared: &'a Shared,
    publisher: Publisher,
    channel: &'a ChannelName,
    demuxer: Demuxer,
    clock: Clock,
    cues: Cues,
    malformed_in_a_row: u32,
}

impl<'a> Stream<'a> {
    fn new(shared: &'a Shared, publisher: Publisher, channel: &'a ChannelName) -> Self {
        Self {
            shared,
            publisher,
            channel,
            demuxer: Demuxer::new(flv::Limits::default()),
            clock: Clock::default(),
            cues: Cues::new(shared.config.slot_types()),
            malformed_in_a_row: 0,
        }
    }

    fn media(&mut self, kind: Kind, message: MediaMessage) -> Result<(), Expulsion> {
        let time = self.clock.unwrap(message.timestamp);
        let demuxed = match kind {
            Kind::Video => self.demuxer.video(time, message.body),
            Kind::Audio => self.demuxer.audio(time, message.body),
        };
        match demuxed {
            Ok(events) => {
                for event in events {
                    match event {
                        flv::Event::Track(track) => {
                            tracing::info!(channel = %self.channel, codec = %track.codec, params = ?track.params, "track");
                            self.publisher.configure(track);
                        }
                        flv::Event::Frame(frame) => self.publisher.write(frame),
                    }
                }
                self.malformed_in_a_row = 0;
                Ok(())
            }
            Err(error @ FlvError::Unsupported { .. }) => Err(Expulsion::Unsupported(error)),
            Err(error) => {
                self.shared.metrics.malformed.inc();
                self.malformed_in_a_row += 1;
                tracing::debug!(channel = %self.channel, %error, "message dropped");
                match self.malformed_in_a_row > self.shared.config.max_malformed {
                    true => Err(Expulsion::Malformed(error)),
                    false => Ok(()),
                }
            }
        }
    }

    fn data(&mut self, values: &[Value]) {
        match self.cue(values) {
            Ok(cues) => {
                for cue in cues {
                    tracing::info!(
                        channel = %self.channel, cue = %cue.id, state = ?cue.state, start = ?cue.start, "cue"
                    );
                    self.publisher.cue(cue);
                }
            }
            Err(error) => {
                self.shared.metrics.malformed.inc();
                tracing::debug!(channel = %self.channel, %error, "cue message dropped");
            }
        }
    }

    fn cue(&mut self, values: &[Value]) -> Result<Vec<Cue>, CueError> {
        let Some(announcement) = cue_message::parse(values)? else { return Ok(Vec::new()) };
        // The newest frame stands on both clocks.
        let now = Moment { publisher: self.clock.newest(), media: self.publisher.newest() };
        self.cues.announce(announcement, now)
    }
}

/// Makes one long clock of RTMP's 32-bit milliseconds, which wrap after 49.7 days.
#[derive(Debug, Default)]
struct Clock {
    newest: Option<i64>,
}

impl Clock {
    fn unwrap(&mut self, timestamp: u32) -> MediaTime {
        let millis = match self.newest {
            None => i64::from(timestamp),
            // The shorter way round from the newest: audio and video interleave, so it may be a little back.
            Some(newest) => newest + i64::from(timestamp.wrapping_sub(newest as u32) as i32),
        };
        self.newest = Some(millis);
        MediaTime::from_millis(millis)
    }

    /// The time that was unwrapped last.
    fn newest(&self) -> MediaTime {
        MediaTime::from_millis(self.newest.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b7_timestamps_wrap_at_32_bits() {
        let mut clock = Clock::default();
        let unwrapped: Vec<i64> = [0xffff_fff0, 0xffff_ffff, 5, 0xffff_fffe, 40, 0x8000_0000, 0x7fff_ffff]
            .map(|timestamp| clock.unwrap(timestamp).as_millis())
            .to_vec();
        let wrap = 1_i64 << 32;
        let half = wrap + (1 << 31);
        assert_eq!(unwrapped, [wrap - 16, wrap - 1, wrap + 5, wrap - 2, wrap + 40, half, half - 1]);
    }
}
