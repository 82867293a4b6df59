//! What a worker gives, held against what it was asked for and what it was given.

use std::collections::BTreeMap;

use super::ipc::{FromWorker, Job, OutputId, SoundTarget, ToWorker};
use crate::codec;
use crate::media::{Codec, Frame, Kind, MediaTime, Track, TrackId};

/// Times may be outside of those that were given by so much: delays of codecs.
const MARGIN: MediaTime = MediaTime::from_millis(1_000);

/// Frames for each that was given, in each output: 120 ms of Opus are less than six of AAC.
const FRAMES_PER_FRAME: u64 = 8;
/// And some that were inside.
const FRAMES_BESIDE: u64 = 256;

/// Bytes a second of media time, in each output: 160 Mbit/s.
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
    /// Of an output that was never opened, or has ended as it says itself.
    #[error("it speaks of an output that is not there")]
    UnknownOutput,
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
    wanted: Wanted,
    given: Given,
    conversion: Made,
    /// Those that were opened. One that the server has closed stays: what the worker gave before it heard of that is on its
    /// way. One that has stopped stays to be known as such.
    outputs: BTreeMap<OutputId, Output>,
}

/// What a job is to give.
#[derive(Debug)]
enum Wanted {
    /// What pictures and sound become; `None` where there is nothing to give.
    Conversion {
        video: Option<Codec>,
        audio: Option<Codec>,
    },
    Outputs,
    Image,
}

/// What the worker was given.
#[derive(Debug, Default)]
struct Given {
    tracks: Vec<TrackId>,
    /// Earliest and latest time.
    times: Option<(MediaTime, MediaTime)>,
    frames: u64,
}

/// One output of a burn-in.
#[derive(Debug, Default)]
struct Output {
    made: Made,
    /// It was told to stop.
    is_to_stop: bool,
    /// It has said so.
    has_stopped: bool,
}

/// What came of a conversion, or of one output.
#[derive(Debug, Default)]
struct Made {
    lanes: Vec<Lane>,
    frames: u64,
    bytes: u64,
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
    pub fn new(job: &Job) -> Self {
        let wanted = match job {
            Job::Convert(convert) => Wanted::Conversion {
                video: convert.video.map(|_| Codec::H264),
                audio: convert.audio.map(|target| match target {
                    SoundTarget::Opus => Codec::Opus,
                    SoundTarget::Aac => Codec::Aac,
                }),
            },
            Job::BurnIn(_) => Wanted::Outputs,
            Job::Image(_) => Wanted::Image,
        };
        Self { wanted, given: Given::default(), conversion: Made::default(), outputs: BTreeMap::new() }
    }

    /// Notes what the worker is given.
    pub fn given(&mut self, order: &ToWorker) {
        match order {
            ToWorker::Track(track) if !self.given.tracks.contains(&track.id) => {
                self.given.tracks.push(track.id);
            }
            ToWorker::Frame(frame) => {
                self.given.frames += 1;
                let (earliest, latest) = self.given.times.unwrap_or((frame.dts, frame.pts));
                self.given.times = Some((earliest.min(frame.dts), latest.max(frame.pts)));
            }
            ToWorker::Open { output } => {
                self.outputs.entry(*output).or_default();
            }
            ToWorker::StopOutput { output, .. } => {
                if let Some(output) = self.outputs.get_mut(output) {
                    output.is_to_stop = true;
                }
            }
            ToWorker::Stop { .. } => {
                self.outputs.values_mut().for_each(|output| output.is_to_stop = true);
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
                let Wanted::Conversion { video, audio } = self.wanted else {
                    return Err(Implausible::Unasked("a track of no output"));
                };
                let wanted = match track.kind() {
                    Kind::Video => video,
                    Kind::Audio => audio,
                };
                self.conversion.announce(track, wanted, &self.given)
            }
            FromWorker::Frame(frame) => self.conversion.add(frame, &self.given),
            FromWorker::OutputTrack { output, track } => {
                output_of(&mut self.outputs, *output)?.made.announce(track, Some(Codec::H264), &self.given)
            }
            FromWorker::OutputFrame { output, frame } => {
                output_of(&mut self.outputs, *output)?.made.add(frame, &self.given)
            }
            FromWorker::Stopped { output } => {
                let output = output_of(&mut self.outputs, *output)?;
                if !output.is_to_stop {
                    return Err(Implausible::Unasked("the end of an output"));
                }
                *output = Output { has_stopped: true, ..Output::default() };
                Ok(())
            }
            FromWorker::Sprite(_) if !matches!(self.wanted, Wanted::Image) => {
                Err(Implausible::Unasked("an image"))
            }
            FromWorker::Hello(_) => Err(Implausible::Unasked("a greeting")),
            FromWorker::Progress { .. } if self.given.frames == 0 => Err(Implausible::Unasked("progress")),
            FromWorker::Sprite(_)
            | FromWorker::Progress { .. }
            | FromWorker::Ended
            | FromWorker::Failed(_) => Ok(()),
        }
    }
}

/// An output of which something may come.
fn output_of(outputs: &mut BTreeMap<OutputId, Output>, id: OutputId) -> Result<&mut Output, Implausible> {
    outputs.get_mut(&id).filter(|output| !output.has_stopped).ok_or(Implausible::UnknownOutput)
}

impl Made {
    fn announce(&mut self, track: &Track, wanted: Option<Codec>, given: &Given) -> Result<(), Implausible> {
        if !given.tracks.contains(&track.id) {
            return Err(Implausible::UnknownTrack);
        }
        if wanted != Some(track.codec) {
            return Err(Implausible::WrongCodec(track.codec));
        }
        if !self.lanes.iter().any(|lane| lane.track == track.id) {
            self.lanes.push(Lane { track: track.id, codec: track.codec, dts: None });
        }
        Ok(())
    }

    fn add(&mut self, frame: &Frame, given: &Given) -> Result<(), Implausible> {
        let lane = self.lanes.iter_mut().find(|lane| lane.track == frame.track);
        let lane = lane.ok_or(Implausible::UnknownTrack)?;
        if lane.dts.is_some_and(|before| frame.dts <= before) || frame.dts > frame.pts {
            return Err(Implausible::Order);
        }
        let first = lane.dts.replace(frame.dts).is_none();
        let (earliest, latest) = given.times.ok_or(Implausible::Times)?;
        if frame.dts < earliest - MARGIN || frame.pts > latest + MARGIN {
            return Err(Implausible::Times);
        }
        self.frames += 1;
        self.bytes += frame.payload.len() as u64;
        let seconds = (latest - earliest).since(MediaTime::ZERO).as_secs() + 1;
        if self.frames > given.frames.saturating_mul(FRAMES_PER_FRAME) + FRAMES_BESIDE
            || self.bytes > seconds.saturating_mul(MOST_BYTES_PER_SECOND) + BYTES_BESIDE
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

    const ONE: OutputId = OutputId(1);
    const OTHER: OutputId = OutputId(2);

    fn announced(output: OutputId) -> FromWorker {
        FromWorker::OutputTrack { output, track: track(Codec::H264) }
    }

    fn made(output: OutputId, frame: Frame) -> FromWorker {
        FromWorker::OutputFrame { output, frame }
    }

    /// A burn-in with two outputs that was given a second of frames, and has announced the track of one.
    fn burn_in() -> Returned {
        let mut returned = Returned::new(&Job::BurnIn(BurnIn { encoding: Encoding::default() }));
        returned.given(&ToWorker::Track(track(Codec::H264)));
        [ONE, OTHER].iter().for_each(|&output| returned.given(&ToWorker::Open { output }));
        for index in 0..25 {
            returned.given(&ToWorker::Frame(frame(index * 40, index == 0)));
        }
        assert_eq!(returned.check(&announced(ONE)), Ok(()));
        returned
    }

    #[test]
    fn what_was_asked_for_passes() {
        let mut returned = burn_in();
        for index in 0..25 {
            assert_eq!(returned.check(&made(ONE, frame(index * 40, index == 0))), Ok(()));
        }
        assert_eq!(returned.check(&FromWorker::Progress { dts: MediaTime::ZERO }), Ok(()));
        assert_eq!(returned.check(&FromWorker::Ended), Ok(()));
    }

    #[test]
    fn times_must_rise_and_be_those_of_the_source() {
        let mut returned = burn_in();
        returned.check(&made(ONE, frame(400, true))).unwrap();
        assert_eq!(returned.check(&made(ONE, frame(400, false))), Err(Implausible::Order));
        let mut late = frame(440, false);
        late.dts = late.pts + MediaTime::from_nanos(1);
        assert_eq!(returned.check(&made(ONE, late)), Err(Implausible::Order));
        for millis in [-1_001, 1_961] {
            let report = made(ONE, frame(millis, true));
            assert_eq!(burn_in().check(&report), Err(Implausible::Times), "{millis}");
        }
    }

    #[test]
    fn a_stream_begins_with_a_keyframe_that_is_one() {
        assert_eq!(burn_in().check(&made(ONE, frame(0, false))), Err(Implausible::Payload));
        let lie = Frame { keyframe: true, ..frame(0, false) };
        assert_eq!(burn_in().check(&made(ONE, lie)), Err(Implausible::Payload));
        let nonsense = Frame { payload: Bytes::from_static(&[0, 0, 1]), ..frame(0, true) };
        assert_eq!(burn_in().check(&made(ONE, nonsense)), Err(Implausible::Payload));
    }

    #[test]
    fn nothing_comes_that_nobody_asked_for() {
        let mut returned = burn_in();
        let sprite = Sprite { size: Size { width: 1, height: 1 }, frames: Vec::new() };
        assert_eq!(returned.check(&FromWorker::Sprite(sprite)), Err(Implausible::Unasked("an image")));
        let other = Frame { track: TrackId(9), ..frame(0, true) };
        assert_eq!(returned.check(&made(ONE, other)), Err(Implausible::UnknownTrack));
        let hevc = FromWorker::OutputTrack { output: ONE, track: track(Codec::H265) };
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
            assert_eq!(returned.check(&made(ONE, frame)), Ok(()));
        }
        assert_eq!(returned.check(&made(ONE, frame(40, false))), Err(Implausible::TooMuch));
    }

    #[test]
    fn each_output_has_its_own_times_and_limits() {
        let mut returned = burn_in();
        let frame_of_other = made(OTHER, frame(0, true));
        assert_eq!(returned.check(&frame_of_other), Err(Implausible::UnknownTrack), "not announced");
        assert_eq!(returned.check(&announced(OTHER)), Ok(()));
        returned.check(&made(ONE, frame(400, true))).unwrap();
        assert_eq!(returned.check(&made(OTHER, frame(400, false))), Err(Implausible::Payload), "no keyframe");

        let mut returned = burn_in();
        returned.check(&announced(OTHER)).unwrap();
        let most = 25 * FRAMES_PER_FRAME + FRAMES_BESIDE;
        for index in 0..most {
            let time = MediaTime::from_nanos(index as i64);
            let frame = Frame { dts: time, pts: time, ..frame(0, index == 0) };
            for output in [ONE, OTHER] {
                assert_eq!(returned.check(&made(output, frame.clone())), Ok(()));
            }
        }
        assert_eq!(returned.check(&made(OTHER, frame(40, false))), Err(Implausible::TooMuch));
    }

    #[test]
    fn an_output_must_have_been_opened_and_not_have_stopped() {
        let never = OutputId(3);
        for report in [announced(never), made(never, frame(0, true)), FromWorker::Stopped { output: never }] {
            assert_eq!(burn_in().check(&report), Err(Implausible::UnknownOutput), "{report:?}");
        }
        let mut returned = burn_in();
        let stopped = FromWorker::Stopped { output: ONE };
        assert_eq!(returned.check(&stopped), Err(Implausible::Unasked("the end of an output")));
        returned.given(&ToWorker::StopOutput { output: ONE, before: MediaTime::from_millis(400) });
        assert_eq!(returned.check(&made(ONE, frame(0, true))), Ok(()));
        assert_eq!(returned.check(&stopped), Ok(()));
        for report in [announced(ONE), made(ONE, frame(40, false)), stopped] {
            assert_eq!(returned.check(&report), Err(Implausible::UnknownOutput), "{report:?}");
        }
        let other = FromWorker::Stopped { output: OTHER };
        assert_eq!(returned.check(&other), Err(Implausible::Unasked("the end of an output")));
        returned.given(&ToWorker::Stop { before: MediaTime::MAX });
        assert_eq!(returned.check(&other), Ok(()));
    }

    #[test]
    fn what_was_on_its_way_when_an_output_was_closed_is_no_lie() {
        let mut returned = burn_in();
        returned.given(&ToWorker::StopOutput { output: ONE, before: MediaTime::from_millis(400) });
        returned.given(&ToWorker::CloseOutput { output: ONE });
        assert_eq!(returned.check(&made(ONE, frame(0, true))), Ok(()));
        assert_eq!(returned.check(&FromWorker::Stopped { output: ONE }), Ok(()));
    }

    #[test]
    fn a_burn_in_gives_nothing_without_its_output_and_a_conversion_has_none() {
        let plain = FromWorker::Track(track(Codec::H264));
        assert_eq!(burn_in().check(&plain), Err(Implausible::Unasked("a track of no output")));
        assert_eq!(burn_in().check(&FromWorker::Frame(frame(0, true))), Err(Implausible::UnknownTrack));
        let convert = Convert { video: Some(Encoding::default()), audio: None, after: Convert::ALL };
        let mut returned = Returned::new(&Job::Convert(convert));
        returned.given(&ToWorker::Track(track(Codec::H264)));
        assert_eq!(returned.check(&announced(ONE)), Err(Implausible::UnknownOutput));
        assert_eq!(returned.check(&plain), Ok(()));
    }
}
