//! The cues of a channel for those who tell of them beside the stream.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::broadcast::{self, error::RecvError};

use super::Channel;
use crate::media::{Cue, CueId, CueState, MediaTime};

/// Cues that wait for a reader who is slow; one who is slower is told anew of those that stand.
const WAITING: usize = 64;
/// Cues that a reader remembers to have told of; as many as can stand.
const KNOWN: usize = 64;

/// Tells everybody at once.
#[derive(Debug)]
pub(super) struct Announcer(broadcast::Sender<(u64, Cue)>);

impl Default for Announcer {
    fn default() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }
}

impl Announcer {
    /// A cue has gone into the broadcast of this number.
    pub fn tell(&self, broadcast: u64, cue: Cue) {
        // Nobody may be listening.
        let _ = self.0.send((broadcast, cue));
    }

    fn subscribe(&self) -> broadcast::Receiver<(u64, Cue)> {
        self.0.subscribe()
    }
}

/// The cues of what is on the air, of this broadcast and those to come: first those that stand, then each revision as it is
/// announced, each once, and once more when it is over.
#[derive(Debug)]
pub struct Announcements {
    channel: Arc<Channel>,
    coming: broadcast::Receiver<(u64, Cue)>,
    standing: VecDeque<Cue>,
    /// The broadcast that `known` is of: another's cues may have the same names.
    broadcast: u64,
    known: VecDeque<Known>,
}

/// What a reader was told of a cue.
#[derive(Debug)]
struct Known {
    id: CueId,
    revision: u32,
    /// That it is over.
    is_over: bool,
}

impl Announcements {
    pub(super) fn new(channel: Arc<Channel>) -> Self {
        let coming = channel.announcer.subscribe();
        let mut announcements =
            Self { channel, coming, standing: VecDeque::new(), broadcast: 0, known: VecDeque::new() };
        announcements.look();
        announcements
    }

    /// The next cue, and the media time of the newest frame. A channel that is deleted has none any more. Cancel-safe.
    pub async fn next(&mut self) -> (Cue, MediaTime) {
        loop {
            while let Some(cue) = self.standing.pop_front() {
                if self.is_news(&cue) {
                    return (cue, self.now());
                }
            }
            match self.coming.recv().await {
                Ok((broadcast, cue)) => {
                    self.is_of(broadcast);
                    if self.is_news(&cue) {
                        return (cue, self.now());
                    }
                }
                Err(RecvError::Lagged(_)) => self.look(),
                // The channel is held here.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    /// Takes in what stands now.
    fn look(&mut self) {
        if let Some((broadcast, standing)) = self.channel.standing_cues() {
            self.is_of(broadcast);
            self.standing = standing.into();
        }
    }

    fn is_of(&mut self, broadcast: u64) {
        if self.broadcast != broadcast {
            self.broadcast = broadcast;
            self.known.clear();
            self.standing.clear();
        }
    }

    fn is_news(&mut self, cue: &Cue) -> bool {
        let now = self.now();
        let is_over = cue.state == CueState::Announced && cue.end().is_some_and(|end| end <= now);
        let place = self.known.iter().position(|known| known.id == cue.id);
        let known = place.and_then(|place| self.known.get(place));
        if known.is_some_and(|known| (known.revision, known.is_over) >= (cue.revision, is_over)) {
            return false;
        }
        match place {
            Some(place) => drop(self.known.remove(place)),
            None if self.known.len() >= KNOWN => drop(self.known.pop_front()),
            None => {}
        }
        self.known.push_back(Known { id: cue.id.clone(), revision: cue.revision, is_over });
        true
    }

    fn now(&self) -> MediaTime {
        self.channel.newest().map_or(MediaTime::ZERO, |(_, newest)| newest)
    }
}
