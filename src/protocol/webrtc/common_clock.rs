//! One clock for a publisher's sound and picture.
//!
//! RTP timestamps of two tracks have nothing in common until the sender's reports tie each to the sender's wall clock
//! (RFC 3550 §6.4.1). Until then frames are placed by when they arrived; afterwards each track is drawn toward what the
//! reports say, slowly enough that nobody hears or sees it, and never by a jump.

use crate::media::{MediaTime, TrackId};

/// A track is drawn toward its true place by at most one part in so many of the time that passes in it.
const SLEW: i64 = 100;
/// Reports that would move a track farther than this are nonsense and ignored.
const FARTHEST: MediaTime = MediaTime::from_millis(5000);

/// Places the frames of a publisher's tracks on one clock, whose zero is when the publisher came in.
#[derive(Debug, Default)]
pub struct CommonClock {
    tracks: Vec<TrackClock>,
    /// The sender's wall clock at this clock's zero, from the first report.
    wall_zero: Option<MediaTime>,
}

#[derive(Debug)]
struct TrackClock {
    track: TrackId,
    /// This clock's time minus the track's own.
    offset: MediaTime,
    /// What `offset` should be, as the newest report has it.
    target: Option<MediaTime>,
    newest: MediaTime,
}

impl CommonClock {
    /// The time of a frame: `source` is the track's own time, `arrival` when it came in, since the publisher did.
    pub fn place(&mut self, track: TrackId, source: MediaTime, arrival: MediaTime) -> MediaTime {
        let Some(clock) = self.tracks.iter_mut().find(|clock| clock.track == track) else {
            let offset = arrival - source;
            self.tracks.push(TrackClock { track, offset, target: None, newest: source });
            return source + offset;
        };
        let passed = source - clock.newest;
        clock.newest = clock.newest.max(source);
        if let Some(target) = clock.target {
            let most = (passed.as_nanos() / SLEW).max(0);
            let wanted = (target - clock.offset).as_nanos();
            clock.offset += MediaTime::from_nanos(wanted.clamp(-most, most));
        }
        source + clock.offset
    }

    /// Takes in a sender's report: the track's own time `source` is the sender's wall-clock time `wall`.
    pub fn report(&mut self, track: TrackId, source: MediaTime, wall: MediaTime) {
        let Some(clock) = self.tracks.iter_mut().find(|clock| clock.track == track) else { return };
        let zero = *self.wall_zero.get_or_insert(wall - (source + clock.offset));
        let target = wall - zero - source;
        if (target - clock.offset).abs() <= FARTHEST {
            clock.target = Some(target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIDEO: TrackId = TrackId(0);
    const AUDIO: TrackId = TrackId(1);

    fn ms(millis: i64) -> MediaTime {
        MediaTime::from_millis(millis)
    }

    /// Sound and picture taken at the same moments; sound has arrived 80 ms late.
    fn run(seconds: i64, report: bool) -> (i64, Vec<i64>) {
        let mut clock = CommonClock::default();
        let (mut skew, mut steps, mut last) = (0, Vec::new(), None);
        for at in (0..seconds * 1000).step_by(20) {
            let picture = clock.place(VIDEO, ms(70_000 + at), ms(at));
            let sound = clock.place(AUDIO, ms(9_000_000 + at), ms(at + 80));
            if report && at == 1000 {
                clock.report(VIDEO, ms(70_000 + at), ms(1_700_000_000_000 + at));
                clock.report(AUDIO, ms(9_000_000 + at), ms(1_700_000_000_000 + at));
            }
            skew = (sound - picture).as_millis();
            steps.extend(last.map(|last: MediaTime| (sound - last).as_nanos()));
            last = Some(sound);
        }
        (skew, steps)
    }

    #[test]
    fn without_reports_frames_stay_where_they_arrived() {
        assert_eq!(run(30, false).0, 80);
    }

    #[test]
    fn reports_draw_the_tracks_together_without_a_jump() {
        let (skew, steps) = run(30, true);
        assert_eq!(skew, 0);
        assert!(steps.iter().all(|step| (19_800_000..=20_200_000).contains(step)), "at most a hundredth");
    }

    #[test]
    fn a_report_that_is_nonsense_moves_nothing() {
        let mut clock = CommonClock::default();
        clock.place(VIDEO, ms(0), ms(0));
        clock.place(AUDIO, ms(0), ms(0));
        clock.report(VIDEO, ms(0), ms(1_700_000_000_000));
        clock.report(AUDIO, ms(0), ms(0));
        clock.report(TrackId(9), ms(0), MediaTime::MAX);
        assert_eq!(clock.place(AUDIO, ms(60_000), ms(60_000)), ms(60_000));
    }
}
