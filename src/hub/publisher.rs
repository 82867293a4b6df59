//! The writing end of a channel.

use std::sync::Arc;

use tokio::sync::watch;

use super::broadcast::Broadcast;
use super::channel::{Channel, Dismissal};
use crate::media::{Cue, Frame, MediaTime, Track};

/// The one who writes a channel's broadcast. Never waits; whoever reads too slowly misses something.
///
/// Dropping it interrupts the broadcast, unless another publisher has taken over.
#[derive(Debug)]
pub struct Publisher {
    pub(super) channel: Arc<Channel>,
    pub(super) broadcast: Arc<Broadcast>,
    pub(super) generation: u64,
    pub(super) dismissed: watch::Receiver<Option<Dismissal>>,
    pub(super) keyframe_requests: watch::Receiver<u64>,
}

impl Publisher {
    /// Announces a track, or a change of it. Frames of tracks that were not announced are ignored.
    pub fn configure(&mut self, track: Track) {
        if self.is_on_air() {
            self.broadcast.configure(track);
        }
    }

    /// Hands on a frame whose timestamps are on the source's own clock.
    pub fn write(&mut self, frame: Frame) {
        if self.is_on_air() {
            let over = self.broadcast.write(frame);
            self.channel.over(&self.broadcast, over);
        }
    }

    /// Announces, updates or withdraws a cue, whose times are media time: to the one who has
    /// [taken](Channel::take_cues) the channel's cues, else to everybody.
    pub fn cue(&mut self, cue: Cue) {
        if self.is_on_air() {
            self.channel.hear(&self.broadcast, cue);
        }
    }

    /// Media time of the newest frame: where a cue "now" stands.
    pub fn newest(&self) -> MediaTime {
        self.broadcast.newest()
    }

    /// Waits until the publisher is sent away. Cancel-safe.
    pub async fn dismissed(&mut self) -> Dismissal {
        match self.dismissed.wait_for(Option::is_some).await {
            Ok(reason) => reason.unwrap_or(Dismissal::Replaced),
            // The channel forgot us: that happens on a takeover.
            Err(_) => Dismissal::Replaced,
        }
    }

    /// Becomes `Some` when the publisher is sent away: for those who wait beside other things.
    pub fn dismissal(&self) -> watch::Receiver<Option<Dismissal>> {
        self.dismissed.clone()
    }

    /// Changes when somebody needs a keyframe.
    pub fn keyframe_requests(&self) -> watch::Receiver<u64> {
        self.keyframe_requests.clone()
    }

    fn is_on_air(&self) -> bool {
        self.dismissed.borrow().is_none()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.channel.metrics.publishers.dec();
        self.channel.depart(self.generation);
    }
}
