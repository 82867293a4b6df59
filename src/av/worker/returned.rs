//! What a worker gives, held against what it was asked for and what it was given.

use super::ipc::{FromWorker, Job, SoundTarget, ToWorker};
use crate::codec;
use crate::media::{Codec, Frame, Kind, MediaTime, TrackId};

/// Times may be outside of those that were given by so much: delays of codecs.
const MARGIN: MediaTime = MediaTime::from_millis(1_000);

/// Frames for each that was given: 120 ms of Opus are less than six of AAC.
const FRAMES_PER_FRAME: u64 = 8;
/// And some that were inside.
const FRAMES_BESIDE: u64 = 256;

/// Bytes a second of media time: 160 Mbit/s.
const MOST_BYTES_PER_SECOND: u64 = 20 << 20;
/// And what may come at once.
const BYTES_BESIDE: u64 = 64 << 20;

/// Why a report cannot be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Implausible {
    /// No job like this has such an answer.
    #[error("it gives {0} where nobody asked for that")]
    Unasked(&'static str),
    /// Of a track that it was not given, or did not announce.
    #[error("it gives a frame of a track that is not there")]
    UnknownTrack,
    /// A track of another codec than was asked for.
    #[error("it gives {0}")]
    WrongCodec(Codec),
    /// Decoding times do not rise, or come after the frame is shown.
    #[error("its times do not rise")]
    Order,
    /// Times that have nothing to do with what it was given.
    #[error("its times are not those of what it was given")]
    Times,
    /// More than there can be.
    #[error("it gives more than there can be")]
    TooMuch,
    /// A frame that is not what it says, or cannot be read.
    #[error("it gives frames that cannot be read")]
    Payload,
}

/// What is known of one job.
#[derive(Debug)]
pub struct Returned {
    /// What pictures and sound become; `None` where there is nothing to give.
    video: Option<Codec>,
    audio: Option<Codec>,
    image: bool,
    given: Vec<TrackId>,
    lanes: Vec<Lane>,
    /// Earliest and latest time that was given.
    times: Option<(MediaTime, MediaTime)>,
    frames_given: u64,
    frames_returned: u64,
    bytes_returned: u64,
}

#[derive(Debug)]
struct Lane {
    track: TrackId,
    codec: Codec,
    /// Of the newest frame.
    dts: Option<MediaTime>,
}

impl Returned {
    /// For such a job.
    pub const fn new(job: &Job) -> Self {
        let (video, audio, image) = match job {
            Job::Convert(convert) => {
                let audio = match convert.audio {
                    None => None,
                    Some(SoundTarget::Opus) => Some(Codec::Opus),
                    Some(SoundTarget::Aac) => Some(Codec::Aac),
                };
                (if convert.video.is_some() { Some(Codec::H264) } else { None }, audio, false)
            }
            Job::BurnIn(_) => (Some(Codec::H264), None, false),
            Job::Image(_) => (None, None, true),
        };
        Self {
            video,
            audio,
            image,
            given: Vec::new(),
            lanes: Vec::new(),
            times: None,
            frames_given: 0,
            frames_returned: 0,
            bytes_returned: 0,
        }
    }

    /// Notes what the worker is given.
    pub fn given(&mut self, order: &ToWorker) {
        match order {
            ToWorker::Track(track) if !self.given.contains(&track.id) => self.given.push(track.id),
            ToWorker::Frame(frame) => {
                self.frames_given += 1;
                let (earliest, latest) = self.times.unwrap_or((frame.dts, frame.pts));
                self.times = Some((earliest.min(frame.dts), latest.max(frame.pts)));
            }
            _ => {}
        }
    }

    /// Checks what the worker gives.
    ///
    /// # Errors
    /// When that cannot be.
    pub fn check(&mut self, report: &FromWorker) -> Result<(), Implausible> {
        match report {
            FromWorker::Track(track) => {
                if !self.given.contains(&track.id) {
                    return Err(Implausible::UnknownTrack);
                }
                let wanted = match track.kind() {
                    Kind::Video => self.video,
                    Kind::Audio => self.audio,
                };
                if wanted != Some(track.codec) {
                    return Err(Implausible::WrongCodec(track.codec));
                }
                if !self.lanes.iter().any(|lane| lane.track == track.id) {
                    self.lanes.push(Lane { track: track.id, codec: track.codec, dts: None });
                }
                Ok(())
            }
            FromWorker::Frame(frame) => self.check_frame(frame),
            FromWorker::Sprite(_) if !self.image => Err(Implausible::Unasked("an image")),
            FromWorker::Hello(_) => Err(Implausible::Unasked("a greeting")),
            FromWorker::Progress { .. } if self.frames_given == 0 => Err(Implausible::Unasked("progress")),
            FromWorker::Sprite(_)
            | FromWorker::Progress { .. }
            | FromWorker::Ended
            | FromWorker::Failed(_) => Ok(()),
        }
    }

    fn check_frame(&mut self, frame: &Frame) -> Result<(), Implausible> {
        let lane = self.lanes.iter_mut().find(|lane| lane.track == frame.track);
        let lane = lane.ok_or(Implausible::UnknownTrack)?;
        if lane.dts.is_some_and(|before| frame.dts <= before) || frame.dts > frame.pts {
            return Err(Implausible::Order);
        }
        let first = lane.dts.replace(frame.dts).is_none();
        let (earliest, latest) = self.times.ok_or(Implausible::Times)?;
        if frame.dts < earliest - MARGIN || frame.pts > latest + MARGIN {
            return Err(Implausible::Times);
        }
        self.frames_returned += 1;
        self.bytes_returned += frame.payload.len() as u64;
        let seconds = (latest - earliest).since(MediaTime::ZERO).as_secs() + 1;
        if self.frames_returned > self.frames_given.saturating_mul(FRAMES_PER_FRAME) + FRAMES_BESIDE
            || self.bytes_returned > seconds.saturating_mul(MOST_BYTES_PER_SECOND) + BYTES_BESIDE
        {
            return Err(Implausible::TooMuch);
        }
        let facts = codec::inspect(lane.codec, &frame.payload).map_err(|_| Implausible::Payload)?;
        if facts.keyframe != frame.keyframe || (first && !frame.keyframe) {
            return Err(Implausible::Payload);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::ipc::{BurnIn, Convert, Encoding, Size, Sprite};
    use super::*;
    use crate::codec::samples;
    use crate::media::Track;

    fn track(codec: Codec) -> Track {
        let config = samples::of(codec);
        let description = codec::describe(codec, &config).unwrap();
        let (config, params) = (description.config, description.params);
        Track { id: TrackId(0), group: 0, rank: 0, codec, config, params }
    }

    fn frame(millis: i64, keyframe: bool) -> Frame {
        let time = MediaTime::from_millis(millis);
        let slice: &[u8] =
            if keyframe { &[0, 0, 0, 3, 0x65, 0x88, 0x80] } else { &[0, 0, 0, 3, 0x41, 0xe0, 0x80] };
        let payload = Bytes::copy_from_slice(slice);
        Frame { track: TrackId(0), pts: time, dts: time, keyframe, disposable: false, payload }
    }

    /// A burn-in that was given a second of frames, and has announced its track.
    fn burn_in() -> Returned {
        let mut returned = Returned::new(&Job::BurnIn(BurnIn { encoding: Encoding::default() }));
        returned.given(&ToWorker::Track(track(Codec::H264)));
        for index in 0..25 {
            returned.given(&ToWorker::Frame(frame(index * 40, index == 0)));
        }
        assert_eq!(returned.check(&FromWorker::Track(track(Codec::H264))), Ok(()));
        returned
    }

    #[test]
    fn what_was_asked_for_passes() {
        let mut returned = burn_in();
        for index in 0..25 {
            assert_eq!(returned.check(&FromWorker::Frame(frame(index * 40, index == 0))), Ok(()));
        }
        assert_eq!(returned.check(&FromWorker::Progress { dts: MediaTime::ZERO }), Ok(()));
        assert_eq!(returned.check(&FromWorker::Ended), Ok(()));
    }

    #[test]
    fn times_must_rise_and_be_those_of_the_source() {
        let mut returned = burn_in();
        returned.check(&FromWorker::Frame(frame(400, true))).unwrap();
        assert_eq!(returned.check(&FromWorker::Frame(frame(400, false))), Err(Implausible::Order));
        let mut late = frame(440, false);
        late.dts = late.pts + MediaTime::from_nanos(1);
        assert_eq!(returned.check(&FromWorker::Frame(late)), Err(Implausible::Order));
        for millis in [-1_001, 1_961] {
            let report = FromWorker::Frame(frame(millis, true));
            assert_eq!(burn_in().check(&report), Err(Implausible::Times), "{millis}");
        }
    }

    #[test]
    fn a_stream_begins_with_a_keyframe_that_is_one() {
        assert_eq!(burn_in().check(&FromWorker::Frame(frame(0, false))), Err(Implausible::Payload));
        let lie = Frame { keyframe: true, ..frame(0, false) };
        assert_eq!(burn_in().check(&FromWorker::Frame(lie)), Err(Implausible::Payload));
        let nonsense = Frame { payload: Bytes::from_static(&[0, 0, 1]), ..frame(0, true) };
        assert_eq!(burn_in().check(&FromWorker::Frame(nonsense)), Err(Implausible::Payload));
    }

    #[test]
    fn nothing_comes_that_nobody_asked_for() {
        let mut returned = burn_in();
        let sprite = Sprite { size: Size { width: 1, height: 1 }, frames: Vec::new() };
        assert_eq!(returned.check(&FromWorker::Sprite(sprite)), Err(Implausible::Unasked("an image")));
        let other = Frame { track: TrackId(9), ..frame(0, true) };
        assert_eq!(returned.check(&FromWorker::Frame(other)), Err(Implausible::UnknownTrack));
        let hevc = FromWorker::Track(track(Codec::H265));
        assert_eq!(returned.check(&hevc), Err(Implausible::WrongCodec(Codec::H265)));
        let opus = Convert { video: None, audio: Some(SoundTarget::Opus), after: Convert::ALL };
        let mut returned = Returned::new(&Job::Convert(opus));
        returned.given(&ToWorker::Track(track(Codec::Aac)));
        assert_eq!(returned.check(&FromWorker::Track(track(Codec::Opus))), Ok(()));
        let aac = FromWorker::Track(track(Codec::Aac));
        assert_eq!(returned.check(&aac), Err(Implausible::WrongCodec(Codec::Aac)));
        let progress = FromWorker::Progress { dts: MediaTime::ZERO };
        assert_eq!(returned.check(&progress), Err(Implausible::Unasked("progress")));
    }

    #[test]
    fn there_is_a_limit_to_what_can_be_made_of_a_frame() {
        let mut returned = burn_in();
        let most = 25 * FRAMES_PER_FRAME + FRAMES_BESIDE;
        for index in 0..most {
            let mut frame = frame(0, index == 0);
            frame.dts = MediaTime::from_nanos(index as i64);
            frame.pts = frame.dts;
            assert_eq!(returned.check(&FromWorker::Frame(frame)), Ok(()));
        }
        assert_eq!(returned.check(&FromWorker::Frame(frame(40, false))), Err(Implausible::TooMuch));
    }
}
