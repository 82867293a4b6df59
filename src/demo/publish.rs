//! Publishes the clip over RTMP, as an encoder would.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use aws_lc_rs::rand;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

use super::CLIP;
use super::clip::Clip;
use crate::clock;
use crate::format::flv::file::{Tag, TagKind};
use crate::protocol::rtmp::wire::handshake::RANDOM_LENGTH;
use crate::protocol::rtmp::wire::{ClientEvent, ClientSession, ClientSettings, Purpose, SessionError};
use crate::protocol::rtmp::{Connection, Ended};

/// Before it tries again.
const PAUSE: Duration = Duration::from_secs(2);

/// The server acknowledges every few megabytes, and that is all an encoder hears.
const SILENCE: Duration = Duration::from_secs(3600);

/// Publishes the clip to the RTMP server at `server` until the task is dropped; comes back when it is thrown out.
pub async fn publish(server: SocketAddr, stream_key: String) {
    let clip = match Clip::read(CLIP) {
        Ok(clip) => clip,
        Err(error) => {
            tracing::error!(%error, "the demonstration clip cannot be read");
            return;
        }
    };
    loop {
        if let Err(reason) = broadcast(server, &stream_key, &clip).await {
            tracing::warn!(%reason, "the demonstration broadcast was interrupted");
        }
        sleep(PAUSE).await;
    }
}

async fn broadcast(server: SocketAddr, stream_key: &str, clip: &Clip) -> Result<(), Ended> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let mut random = [0; RANDOM_LENGTH];
    rand::fill(&mut random).map_err(|_| io::Error::other("the system gives no random numbers"))?;
    let settings = ClientSettings::new(&server.to_string(), "live", Purpose::Publish(stream_key.to_owned()));
    let mut encoder = Connection::new(stream, ClientSession::new(settings, &random, clock::monotonic()));

    while !matches!(encoder.next_event(SILENCE).await?, ClientEvent::Publishing) {}
    let start = Instant::from_std(clock::monotonic());
    let start_ms = unix_millis();
    for tag in &clip.configuration {
        send(&mut encoder.session, tag, 0)?;
    }
    for due in clip.from(start_ms) {
        let elapsed_ms = due.at_ms - start_ms;
        let deadline = start + Duration::from_millis(elapsed_ms);
        // Meanwhile the encoder listens: the server may say that it is over.
        while let Ok(event) = timeout_at(deadline, encoder.next_event(SILENCE)).await {
            if matches!(event?, ClientEvent::Closed) {
                return Err(Ended::Closed);
            }
        }
        // RTMP's timestamps wrap.
        send(&mut encoder.session, due.tag, elapsed_ms as u32)?;
        encoder.send().await?;
    }
    Ok(())
}

fn send(session: &mut ClientSession, tag: &Tag, timestamp: u32) -> Result<(), SessionError> {
    match tag.kind {
        TagKind::Video => session.send_video(timestamp, &tag.body),
        TagKind::Audio => session.send_audio(timestamp, &tag.body),
        TagKind::Script => Ok(()),
    }
}

fn unix_millis() -> u64 {
    u64::try_from(clock::unix_now()).unwrap_or_default()
}
