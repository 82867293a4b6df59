//! From a source's own timestamps to media time.

use std::time::Duration;

use crate::media::{MediaTime, TrackId};

/// A step between two frames of a track that no encoder makes on purpose.
const JUMP: MediaTime = MediaTime::from_millis(10_000);

/// The least step between two decoding times of a track: a tick of the coarsest clock that we speak, RTMP's.
const LEAST_STEP: MediaTime = MediaTime::from_millis(1);

/// Places the frames of one publisher on the broadcast's clock.
///
/// The source's clock is trusted for the distance between frames and nothing else: its zero is put where the publisher
/// came in, jumps (an encoder that resets, or leaps an hour) are replaced by the time that really went by, and the
/// decoding time of each track rises strictly.
#[derive(Debug)]
pub struct Timeline {
    /// Media time at which the publisher came in.
    base: MediaTime,
    tracks: Vec<TrackClock>,
    jumps: u64,
}

#[derive(Clone, Copy, Debug)]
struct TrackClock {
    track: TrackId,
    offset: MediaTime,
    source: MediaTime,
    placed: MediaTime,
}

impl Timeline {
    /// For a publisher that came in at media time `base`.
    pub const fn new(base: MediaTime) -> Self {
        Self { base, tracks: Vec::new(), jumps: 0 }
    }

    /// How often the source's clock jumped.
    pub const fn jumps(&self) -> u64 {
        self.jumps
    }

    /// The decoding time of a frame in media time. `source` is the decoding time on the source's clock, `elapsed`
    /// the time since the publisher came in.
    pub fn place(&mut self, track: TrackId, source: MediaTime, elapsed: Duration) -> MediaTime {
        let arrival = self.base + elapsed.into();
        let Some(index) = self.tracks.iter().position(|clock| clock.track == track) else {
            let offset = match self.neighbour(track, source) {
                Some(offset) => offset,
                None if self.tracks.is_empty() => self.base - source,
                None => arrival - source,
            };
            let placed = source + offset;
            self.tracks.push(TrackClock { track, offset, source, placed });
            return placed;
        };
        let TrackClock { offset, source: previous, placed, .. } = self.tracks[index];
        let jumped = (source - previous).abs() > JUMP;
        let offset = if jumped {
            self.jumps += 1;
            // The other tracks of this source have often jumped already: stay in step with them.
            self.neighbour(track, source).unwrap_or_else(|| arrival.max(placed + LEAST_STEP) - source)
        } else {
            offset
        };
        let placed = (source + offset).max(placed + LEAST_STEP);
        self.tracks[index] = TrackClock { track, offset, source, placed };
        placed
    }

    /// The offset of another track whose clock stands near `source`.
    fn neighbour(&self, track: TrackId, source: MediaTime) -> Option<MediaTime> {
        let near = |clock: &&TrackClock| clock.track != track && (clock.source - source).abs() <= JUMP;
        self.tracks
            .iter()
            .filter(near)
            .min_by_key(|clock| (clock.source - source).abs())
            .map(|clock| clock.offset)
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

    fn place(timeline: &mut Timeline, track: TrackId, source: i64, elapsed: u64) -> i64 {
        timeline.place(track, ms(source), Duration::from_millis(elapsed)).as_millis()
    }

    #[test]
    fn the_first_frame_is_where_the_publisher_came_in_and_distances_are_the_sources() {
        let mut timeline = Timeline::new(ms(5_000));
        assert_eq!(place(&mut timeline, VIDEO, 90_000, 3), 5_000);
        assert_eq!(place(&mut timeline, AUDIO, 89_990, 4), 4_990);
        assert_eq!(place(&mut timeline, VIDEO, 90_033, 900), 5_033, "arrival does not matter");
        assert_eq!(place(&mut timeline, AUDIO, 90_013, 901), 5_013);
        assert_eq!(timeline.jumps(), 0);
    }

    #[test]
    fn b20_a_jump_is_replaced_by_the_time_that_went_by_and_tracks_stay_together() {
        for leap in [3_600_000, -3_600_000, 100_000_000_000] {
            let mut timeline = Timeline::new(ms(0));
            place(&mut timeline, VIDEO, 10_000_000, 0);
            place(&mut timeline, AUDIO, 10_000_000, 0);
            assert_eq!(place(&mut timeline, VIDEO, 10_000_040 + leap, 40), 40);
            assert_eq!(place(&mut timeline, AUDIO, 10_000_020, 41), 20, "not yet jumped");
            assert_eq!(place(&mut timeline, AUDIO, 10_000_043 + leap, 50), 43, "in step with the video");
            assert_eq!(place(&mut timeline, VIDEO, 10_000_080 + leap, 81), 80);
            assert_eq!(timeline.jumps(), 2);
        }
    }

    #[test]
    fn b20_decoding_times_rise_whatever_the_source_says() {
        let mut timeline = Timeline::new(ms(0));
        let placed: Vec<i64> =
            [0, 0, 0, 40, 20, 10, 80].iter().map(|&source| place(&mut timeline, VIDEO, source, 0)).collect();
        assert_eq!(placed, [0, 1, 2, 40, 41, 42, 80]);
    }

    #[test]
    fn b20_absurd_clocks_do_not_panic() {
        let mut timeline = Timeline::new(ms(0));
        for source in [MediaTime::MAX, MediaTime::from_nanos(i64::MIN), MediaTime::ZERO, MediaTime::MAX] {
            timeline.place(VIDEO, source, Duration::MAX);
        }
    }
}
