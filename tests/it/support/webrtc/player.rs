//! A viewer over WHEP, and what he has got so far.

use std::collections::HashSet;

use onair::media::{Codec, Kind};
use str0m::media::Direction;

use super::driver::{Driver, Frame, Happening, Report};
use super::session::{Offering, Options, Session};
use crate::support::{DEADLINE, Server};

/// A viewer who keeps all he gets.
pub struct WhepPlayer {
    /// The session.
    pub session: Session,
    /// Pictures so far.
    pub pictures: Vec<Frame>,
    /// Packets of sound so far.
    pub sounds: Vec<Frame>,
    /// Reports so far.
    pub reports: Vec<Report>,
    /// What else he has seen and done.
    pub tally: Tally,
    /// The session is over.
    pub gone: bool,
}

/// Numbers.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Media packets that came.
    pub packets: usize,
    /// The sources that they came from.
    pub sources: HashSet<u32>,
    /// Packets that he reported lost, repetitions included.
    pub nacked: usize,
    /// Keyframes that he asked for.
    pub keyframe_requests: usize,
    /// The server said that a stream is over.
    pub byes: usize,
}

impl WhepPlayer {
    /// Watches a channel.
    pub async fn join(server: &Server, channel: &str) -> Self {
        Self::with(server, channel, Options::default()).await
    }

    /// Watches a channel.
    pub async fn with(server: &Server, channel: &str, options: Options) -> Self {
        let mut player = Self::begin(server, channel, &options).await;
        player.session.connected().await;
        player
    }

    /// Has his offer answered.
    pub async fn begin(server: &Server, channel: &str, options: &Options) -> Self {
        let offering = Offering::make(server, Direction::RecvOnly, options).await;
        let response = offering.post(server, &format!("/whep/{channel}"), None).await;
        Self::of(offering.begin(server, None, response).await)
    }

    /// A viewer of whom nothing is known yet but his session.
    pub fn of(session: Session) -> Self {
        Self {
            session,
            pictures: Vec::new(),
            sounds: Vec::new(),
            reports: Vec::new(),
            tally: Tally::default(),
            gone: false,
        }
    }

    /// Takes in what happens until it is as wanted.
    pub async fn until(&mut self, mut wanted: impl FnMut(&Self) -> bool) {
        let waited = tokio::time::timeout(DEADLINE, async {
            while !wanted(self) {
                self.step().await;
                assert!(!self.gone || wanted(self), "the session is over: {}", self.standing());
            }
        });
        if waited.await.is_err() {
            panic!("not within {DEADLINE:?}: {}", self.standing());
        }
    }

    /// Where he stands, for messages.
    fn standing(&self) -> String {
        let (pictures, sounds) = (self.pictures.len(), self.sounds.len());
        format!("{pictures} pictures, {sounds} packets of sound, {:?}", self.tally)
    }

    /// Takes in what happens next. Cancel-safe.
    pub async fn step(&mut self) {
        match self.session.next().await {
            Some(happening) => self.take(happening),
            None => self.gone = true,
        }
    }

    /// Asks for a keyframe.
    pub async fn request_keyframe(&self) {
        self.session.run(Driver::request_keyframe).await;
    }

    /// From now on asks for a keyframe whenever something is missing for good, as browsers do.
    pub async fn asks_when_lost(&self) {
        self.session.run(|driver| driver.asks_when_lost = true).await;
    }

    /// Takes in what has happened already.
    pub fn look(&mut self) {
        while let Some(happening) = self.session.try_next() {
            self.take(happening);
        }
    }

    fn take(&mut self, happening: Happening) {
        match happening {
            Happening::Frame(frame) if frame.codec.kind() == Kind::Video => self.pictures.push(frame),
            Happening::Frame(frame) => self.sounds.push(frame),
            Happening::Report(report) => self.reports.push(report),
            Happening::Packet(ssrc) => {
                self.tally.packets += 1;
                self.tally.sources.insert(ssrc);
            }
            Happening::Nacked(lost) => self.tally.nacked += lost,
            Happening::KeyframeRequested => self.tally.keyframe_requests += 1,
            Happening::Bye => self.tally.byes += 1,
            Happening::Gone => self.gone = true,
            Happening::Checked | Happening::Connected | Happening::KeyframeRequest | Happening::Nack(_) => {}
        }
    }

    /// Waits until there are so many pictures in all.
    pub async fn until_pictures(&mut self, count: usize) {
        self.until(|player| player.pictures.len() >= count).await;
    }

    /// Waits until the session is over.
    pub async fn until_gone(&mut self) {
        self.until(|player| player.gone).await;
    }

    /// The frames of a kind.
    pub fn of_kind(&self, kind: Kind) -> &[Frame] {
        match kind {
            Kind::Video => &self.pictures,
            Kind::Audio => &self.sounds,
        }
    }

    /// The packets of frames of a kind follow one another without a gap.
    pub fn assert_no_gap(&self, kind: Kind) {
        for (index, pair) in self.of_kind(kind).windows(2).enumerate() {
            assert!(pair[1].contiguous, "{kind:?} {}: something is missing before it", index + 1);
            assert_eq!(*pair[1].sequence.start(), pair[0].sequence.end() + 1, "{kind:?} {}", index + 1);
        }
    }

    /// Ticks from the first frame of a kind to each.
    pub fn ticks(&self, kind: Kind) -> Vec<i64> {
        let frames = self.of_kind(kind);
        frames.iter().map(|frame| frame.ticks as i64 - frames[0].ticks as i64).collect()
    }
}

/// The options of a viewer who takes no sound.
pub fn without_sound() -> Options {
    let mut options = Options::default();
    options.codecs.retain(|codec| *codec != Codec::Opus);
    options
}
