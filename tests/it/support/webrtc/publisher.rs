//! A publisher over WHIP.

use onair::media::Codec;
use str0m::media::Direction;

use super::driver::Happening;
use super::session::{Offering, Options, Session};
use super::{Recording, Unit};
use crate::support::{Channel, Server};

/// A publisher who sends exact frames.
pub struct WhipPublisher {
    /// The session.
    pub session: Session,
    /// Keyframes that the server has asked for, as far as was looked.
    pub keyframe_requests: usize,
    /// Packets that the server has reported lost, as far as was looked.
    pub nacked: usize,
}

impl WhipPublisher {
    /// Goes on the air in the codecs of a recording.
    pub async fn publish(server: &Server, channel: &Channel, recording: &Recording) -> Self {
        Self::with(server, channel, Options { codecs: recording.codecs(), ..Options::default() }).await
    }

    /// Goes on the air.
    pub async fn with(server: &Server, channel: &Channel, options: Options) -> Self {
        let mut publisher = Self::begin(server, channel, &options).await;
        publisher.session.connected().await;
        publisher
    }

    /// Has its offer answered.
    pub async fn begin(server: &Server, channel: &Channel, options: &Options) -> Self {
        let offering = Offering::make(server, Direction::SendOnly, options).await;
        let key = Some(channel.key.as_str());
        let response = offering.post(server, &format!("/whip/{}", channel.name), key).await;
        Self { session: offering.begin(server, key, response).await, keyframe_requests: 0, nacked: 0 }
    }

    /// A channel's options for a codec and sound.
    pub fn of(codec: Codec) -> Options {
        Options { codecs: vec![codec, Codec::Opus], ..Options::default() }
    }

    /// Sends frames, one after the other.
    pub async fn send(&mut self, units: &[Unit]) {
        let units = units.to_vec();
        self.session.run(move |driver| driver.outbound.extend(units)).await;
        self.look();
    }

    /// Counts what the server has asked for.
    pub fn look(&mut self) {
        while let Some(happening) = self.session.try_next() {
            self.count(&happening);
        }
    }

    /// Waits until the server has asked for so many keyframes.
    pub async fn until_asked_for_keyframes(&mut self, times: usize) {
        while self.keyframe_requests < times {
            let happening = self.session.next().await.expect("the publisher is there");
            self.count(&happening);
        }
    }

    fn count(&mut self, happening: &Happening) {
        match happening {
            Happening::KeyframeRequest => self.keyframe_requests += 1,
            Happening::Nack(lost) => self.nacked += lost,
            _ => {}
        }
    }

    /// Ends the session in order.
    pub async fn stop(self) {
        assert_eq!(self.session.resource.delete().await, 200);
    }
}
