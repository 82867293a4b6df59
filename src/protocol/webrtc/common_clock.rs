//! One clock for a publisher's sound and picture.
//!
//! RTP timestamps of two tracks have nothing in common until the sender's reports tie each to the sender's wall clock
//! (RFC 3550 §6.4.1). Until then frames are placed by when they arrived; afterwards the picture is drawn to where the
//! reports say it belongs beside the sound: slowly, never by a jump. Sound itself is never moved: its packets follow one
//! another without gap or overlap, and a decoder that is told otherwise invents or drops samples.

use crate::media::{Kind, MediaTime};

/// The picture is drawn toward its true place by at most one part in so many of the time that passes in it.
const SLEW: i64 = 100;
/// Reports that would move the picture farther than this are nonsense and ignored.
const FARTHEST: MediaTime = MediaTime::from_millis(5000);

/// Places the frames of a publisher's sound and picture on one clock, whose zero is when the publisher came in.
#[derive(Debug, Default)]
pub struct CommonClock {
    sound: Option<TrackClock>,
    picture: Option<TrackClock>,
}

#[derive(Debug)]
struct TrackClock {
    /// This clock's time minus the track's own.
    offset: MediaTime,
    newest: MediaTime,
    /// The sender's wall clock minus the track's own time, as the newest report has it.
    wall: Option<MediaTime>,
}

impl CommonClock {
    /// The time of a frame: `source` is the track's own time, `arrival` when it came in, since the publisher did.
    pub fn place(&mut self, kind: Kind, source: MediaTime, arrival: MediaTime) -> MediaTime {
        let target = self.target().filter(|_| kind == Kind::Video);
        let clock = self.track(kind).get_or_insert(TrackClock {
            offset: arrival - source,
            newest: source,
            wall: None,
        });
        let passed = source - clock.newest;
        clock.newest = clock.newest.max(source);
        if let Some(target) = target.filter(|target| (*target - clock.offset).abs() <= FARTHEST) {
            let most = (passed.as_nanos() / SLEW).max(0);
            clock.offset += MediaTime::from_nanos((target - clock.offset).as_nanos().clamp(-most, most));
        }
        source + clock.offset
    }

    /// Takes in a sender's report: the track's own time `source` is the sender's wall-clock time `wall`.
    pub fn report(&mut self, kind: Kind, source: MediaTime, wall: MediaTime) {
        if let Some(clock) = self.track(kind) {
            clock.wall = Some(wall - source);
        }
    }

    /// Where the picture's offset should be: what was taken at one time of the sender's wall clock has one time here.
    fn target(&self) -> Option<MediaTime> {
        let (sound, picture) = (self.sound.as_ref()?, self.picture.as_ref()?);
        Some(sound.offset + (picture.wall? - sound.wall?))
    }

    const fn track(&mut self, kind: Kind) -> &mut Option<TrackClock> {
        match kind {
            Kind::Audio => &mut self.sound,
            Kind::Video => &mut self.picture,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: i64) -> MediaTime {
        MediaTime::from_millis(millis)
    }

    /// Sound and picture taken at the same moments; the picture has arrived `late` ms after the sound. Returns how far
    /// they are apart in the end, and the steps from sound to sound and from picture to picture in nanoseconds.
    fn run(seconds: i64, report: bool, late: i64) -> (i64, Vec<i64>, Vec<i64>) {
        let mut clock = CommonClock::default();
        let (mut sounds, mut pictures) = (Vec::new(), Vec::new());
        for at in (0..seconds * 1000).step_by(20) {
            sounds.push(clock.place(Kind::Audio, ms(9_000_000 + at), ms(at)));
            pictures.push(clock.place(Kind::Video, ms(70_000 + at), ms(at + late)));
            if report && at % 1000 == 0 {
                clock.report(Kind::Video, ms(70_000 + at), ms(1_700_000_000_000 + at));
                clock.report(Kind::Audio, ms(9_000_000 + at), ms(1_700_000_000_000 + at));
            }
        }
        let apart = (*pictures.last().unwrap() - *sounds.last().unwrap()).as_millis();
        let steps = |times: &[MediaTime]| times.windows(2).map(|two| (two[1] - two[0]).as_nanos()).collect();
        (apart, steps(&sounds), steps(&pictures))
    }

    #[test]
    fn without_reports_frames_stay_where_they_arrived() {
        assert_eq!(run(30, false, 80).0, 80);
    }

    #[test]
    fn reports_draw_the_picture_to_the_sound_and_never_move_the_sound() {
        for late in [80, -80, 200] {
            let (apart, sounds, pictures) = run(30, true, late);
            assert_eq!(apart, 0);
            assert!(sounds.iter().all(|step| *step == 20_000_000), "packets of sound touch each other");
            assert!(
                pictures.iter().all(|step| (19_800_000..=20_200_000).contains(step)),
                "at most a hundredth"
            );
        }
    }

    #[test]
    fn a_report_that_is_nonsense_moves_nothing() {
        let mut clock = CommonClock::default();
        clock.report(Kind::Video, ms(0), MediaTime::MAX);
        clock.place(Kind::Video, ms(0), ms(0));
        clock.place(Kind::Audio, ms(0), ms(0));
        clock.report(Kind::Video, ms(0), ms(1_700_000_000_000));
        clock.report(Kind::Audio, ms(0), ms(0));
        assert_eq!(clock.place(Kind::Video, ms(60_000), ms(60_000)), ms(60_000));
    }
}
