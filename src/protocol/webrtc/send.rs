//! One viewer's view of one track: which packet comes next, and under which sequence number and timestamp.
//!
//! Payloads are shared ([`History`]); a viewer's packets are numbered by himself, so that joining late, being moved to
//! the newest keyframe and a change of the source leave no gap in his sequence numbers. The way back, from a sequence
//! number that he reports lost to the shared payload, is a short list of stretches in which both rise together.

use std::collections::VecDeque;

use super::history::{History, Packet};

/// Stretches that are remembered; a viewer who is moved more often loses retransmission of the older ones.
const MAX_STRETCHES: usize = 8;

/// A decoder that starts at a keyframe in the past gets the frames since then at this pace, in RTP ticks a frame, unless
/// they are too many to fit before the next frame.
const MOST_STEP: i64 = 90;

/// A stretch of packets that follow one another both in the history and on the wire.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// Wire index of its first packet.
    wire: u64,
    /// History index of the same packet.
    packet: u64,
    catch_up: CatchUp,
}

/// Timestamps of frames that are sent late so that a decoder can start: compressed, so that the player does not take
/// the past for its clock, and ending where the live frames begin.
#[derive(Clone, Copy, Debug, Default)]
struct CatchUp {
    /// The first frame with its true time; frames before it are compressed.
    live: u64,
    /// The frame that the first compressed timestamp is for.
    first: u64,
    /// That timestamp in media ticks.
    base: i64,
    /// Ticks from frame to frame.
    step: i64,
}

impl CatchUp {
    fn ticks(&self, packet: &Packet) -> i64 {
        if packet.frame >= self.live {
            return packet.ticks;
        }
        self.base + (packet.frame.saturating_sub(self.first)) as i64 * self.step
    }
}

/// A packet as this viewer gets it.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The shared payload.
    pub packet: &'a Packet,
    /// Its index in the history.
    pub index: u64,
    /// Its index on the wire; the low 16 bits are the sequence number, before the viewer's own first one is added.
    pub wire: u64,
    /// Media time on the RTP clock, compressed if it is sent late.
    pub ticks: i64,
    /// The packet is one of the past, sent so that the decoder can start.
    pub late: bool,
}

/// A viewer's place in a track.
#[derive(Debug, Default)]
pub struct Cursor {
    stretches: VecDeque<Stretch>,
    /// History index of the next packet; `None` while waiting for a keyframe.
    next: Option<u64>,
    /// Wire index of the next packet.
    wire: u64,
    /// Media ticks of the newest packet sent.
    sent: Option<i64>,
    /// Only a keyframe newer than this will do: the viewer could not keep up with what followed an older one.
    newer_than: Option<u64>,
    /// Media ticks of the first and the newest frame that were sent whole since he was put in his place, or since something
    /// was missing in the stream. The past that a decoder starts with is not among them: it flits by.
    seen: Option<(i64, i64)>,
    /// Something was missing in the stream, and decoders wait for a keyframe.
    broken: bool,
}

impl Cursor {
    /// Puts the viewer on the newest keyframe, at the first call or when he lost too much; the frames since then follow
    /// at once. `interval` is the distance of two frames in ticks. `false` when there is no keyframe in memory.
    pub fn begin(&mut self, history: &History, interval: i64) -> bool {
        let keyframe =
            history.keyframe().filter(|keyframe| self.newer_than.is_none_or(|old| *keyframe > old));
        let Some((start, newest)) = keyframe.zip(history.newest()) else {
            self.next = None;
            return false;
        };
        let Some(first) = history.get(start).map(|packet| packet.frame) else { return false };
        let frames = (newest.frame - first) as i64;
        let catch_up = match self.sent {
            // The newest frame has its true time; those before it lead up to it.
            None => {
                let step = (interval / (frames + 1)).clamp(1, MOST_STEP);
                CatchUp { live: newest.frame, first, base: newest.ticks - frames * step, step }
            }
            // Time does not go back for somebody who has seen the present: the past is squeezed in before the next frame.
            Some(sent) => {
                let step = (interval / (frames + 2)).clamp(1, MOST_STEP);
                CatchUp { live: newest.frame + 1, first, base: sent.max(newest.ticks) + step, step }
            }
        };
        self.newer_than = None;
        self.stretch(start, catch_up);
        true
    }

    /// Leaves out what a viewer who does not keep up still lacks: he goes on from a keyframe that he has not had, as
    /// soon as there is one.
    pub fn skip(&mut self, history: &History, interval: i64) {
        self.newer_than = self.next.take().or(self.newer_than);
        self.begin(history, interval);
    }

    /// How old the next packet is against the newest, in ticks. What is sent late so that a decoder can start has no age.
    pub fn lag(&self, history: &History) -> i64 {
        let next = self.next.and_then(|next| history.get(next));
        let (Some(next), Some(newest), Some(stretch)) = (next, history.newest(), self.stretches.back())
        else {
            return 0;
        };
        if next.frame < stretch.catch_up.live { 0 } else { newest.ticks - next.ticks }
    }

    /// Puts the viewer on the live edge, for tracks in which every packet can be decoded.
    pub fn begin_live(&mut self, history: &History) {
        self.stretch(history.end(), CatchUp::default());
    }

    /// Goes on in another history, behind the frame there that is the same as the newest one sent; `false` when there is none, or
    /// something of that frame is still to be sent. What was sent is found in the new one as far back as both are the same.
    pub fn go_over(&mut self, from: &History, to: &History) -> bool {
        let (Some(next), Some(stretch)) = (self.next, self.stretches.back()) else { return false };
        let Some(newest) = next.checked_sub(1).and_then(|newest| from.get(newest)) else { return false };
        let is_whole = from.get(next).is_none_or(|after| after.frame != newest.frame);
        let Some(there) =
            to.end_of(newest.ticks).filter(|_| is_whole && newest.frame >= stretch.catch_up.live)
        else {
            return false;
        };
        let same = |back: &u64| {
            let packets = from.get(next.wrapping_sub(*back)).zip(to.get(there.wrapping_sub(*back)));
            packets
                .is_some_and(|(here, there)| here.is_the_same(there) && here.frame >= stretch.catch_up.live)
        };
        let count = (1..=self.wire - stretch.wire).take_while(same).count() as u64;
        let before = next.checked_sub(count + 1).and_then(|before| from.get(before));
        // Of half a frame nothing can be said.
        if count == 0 || before.is_some_and(|before| before.frame == newest.frame) {
            return false;
        }
        let sent = Stretch { wire: self.wire - count, packet: there - count, catch_up: CatchUp::default() };
        self.stretches = VecDeque::from([sent]);
        (self.seen, self.next) = (None, Some(there));
        true
    }

    /// Goes on in another history with what is later than what was sent, for tracks in which every packet can be decoded.
    pub fn go_over_live(&mut self, to: &History) {
        let next = self.sent.and_then(|sent| to.after(sent)).unwrap_or_else(|| to.end());
        self.stretches.clear();
        self.stretch(next, CatchUp::default());
    }

    /// Whether the viewer has a place to go on from.
    pub const fn is_started(&self) -> bool {
        self.next.is_some()
    }

    /// The next packet, if there is one.
    pub fn next<'a>(&mut self, history: &'a History) -> Option<Outgoing<'a>> {
        let index = self.next?;
        let Some(packet) = history.get(index) else {
            // Trimmed away: the caller begins again at a keyframe.
            if index < history.end() {
                self.next = None;
            }
            return None;
        };
        let catch_up = self.stretches.back()?.catch_up;
        let outgoing = Outgoing {
            packet,
            index,
            wire: self.wire,
            ticks: catch_up.ticks(packet),
            late: packet.frame < catch_up.live,
        };
        self.next = Some(index + 1);
        self.wire += 1;
        self.sent = Some(outgoing.ticks);
        if packet.follows_gap {
            self.seen = None;
        }
        self.broken = (self.broken || packet.follows_gap) && !packet.keyframe;
        let is_whole = history.get(index + 1).is_none_or(|after| after.frame != packet.frame);
        if is_whole && !outgoing.late && !self.broken {
            self.seen = Some((self.seen.map_or(packet.ticks, |(first, _)| first), packet.ticks));
        }
        Some(outgoing)
    }

    /// How many packets are still to be sent.
    pub fn behind(&self, history: &History) -> u64 {
        self.next.map_or(0, |next| history.end() - next.min(history.end()))
    }

    /// The packet that had this index on the wire, if its payload is still kept.
    pub fn sent<'a>(&self, wire: u64, history: &'a History) -> Option<Outgoing<'a>> {
        if wire >= self.wire {
            return None;
        }
        let stretch = self.stretches.iter().rev().find(|stretch| stretch.wire <= wire)?;
        let index = stretch.packet + (wire - stretch.wire);
        let packet = history.get(index)?;
        let ticks = stretch.catch_up.ticks(packet);
        Some(Outgoing { packet, index, wire, ticks, late: packet.frame < stretch.catch_up.live })
    }

    /// The newest wire index with these low 16 bits, counted from the viewer's first sequence number.
    pub fn unwrap(&self, low: u16) -> Option<u64> {
        let newest = self.wire.checked_sub(1)?;
        let back = u64::from((newest as u16).wrapping_sub(low));
        newest.checked_sub(back)
    }

    /// Media ticks of the newest packet sent.
    pub const fn newest_ticks(&self) -> Option<i64> {
        self.sent
    }

    /// Media ticks of the first and the newest frame that the viewer has been sent without a gap.
    pub const fn seen(&self) -> Option<(i64, i64)> {
        self.seen
    }

    fn stretch(&mut self, packet: u64, catch_up: CatchUp) {
        (self.seen, self.broken) = (None, false);
        self.next = Some(packet);
        if self.stretches.len() == MAX_STRETCHES {
            self.stretches.pop_front();
        }
        self.stretches.push_back(Stretch { wire: self.wire, packet, catch_up });
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::history::Limits;
    use super::*;
    use crate::format::rtp::Payload;

    const FRAME: i64 = 3000;

    /// Two packets a frame, a keyframe every `gop` frames.
    fn history(frames: u64, gop: u64) -> History {
        let mut history = History::new(Limits { retransmit: 100, bytes: 1 << 20 });
        for frame in 0..frames {
            push(&mut history, frame, gop);
        }
        history
    }

    fn push(history: &mut History, frame: u64, gop: u64) {
        let payload = |marker| Payload { bytes: Bytes::from_static(b"payload"), marker };
        history.push([payload(false), payload(true)], frame as i64 * FRAME, frame.is_multiple_of(gop));
    }

    fn drain(cursor: &mut Cursor, history: &History) -> Vec<(u64, u64, i64)> {
        std::iter::from_fn(|| cursor.next(history))
            .map(|outgoing| (outgoing.wire, outgoing.packet.frame, outgoing.ticks))
            .collect()
    }

    #[test]
    fn a_viewer_who_joins_gets_the_gop_compressed_to_end_at_the_live_frames_time() {
        for frames in [1, 2, 30, 299] {
            let mut history = history(600 + frames, 300);
            let mut cursor = Cursor::default();
            assert!(cursor.begin(&history, FRAME));
            let sent = drain(&mut cursor, &history);
            assert_eq!(sent.len() as u64, frames * 2);
            assert_eq!(sent[0].1, 600, "begins with the keyframe");
            let live = (600 + frames as i64 - 1) * FRAME;
            assert_eq!(sent.last().unwrap().2, live, "the newest frame has its true time");
            assert!(
                live - sent[0].2 <= FRAME.max(frames as i64),
                "and those before it lie within an interval"
            );
            assert!(sent.windows(2).all(|two| two[1].0 == two[0].0 + 1), "no gap in the sequence");
            assert!(sent.windows(2).all(|two| (two[1].1 == two[0].1) == (two[1].2 == two[0].2)));
            push(&mut history, 600 + frames, 300);
            let next = drain(&mut cursor, &history);
            assert_eq!(next[0].2, live + FRAME, "live frames follow at their own time");
        }
    }

    #[test]
    fn a_viewer_who_is_moved_to_the_keyframe_sees_neither_time_nor_numbers_go_back() {
        let mut history = history(650, 300);
        let mut cursor = Cursor::default();
        cursor.begin(&history, FRAME);
        let first = drain(&mut cursor, &history);
        assert!(cursor.begin(&history, FRAME));
        let again = drain(&mut cursor, &history);
        assert_eq!(again.len(), first.len());
        assert!(again[0].0 == first.last().unwrap().0 + 1 && again[0].2 > first.last().unwrap().2);
        push(&mut history, 650, 300);
        let live = drain(&mut cursor, &history);
        assert_eq!(live[0].2, 650 * FRAME);
        assert!(live[0].2 > again.last().unwrap().2, "the past fits in before the next frame");
    }

    #[test]
    fn what_a_viewer_has_seen_begins_live_and_begins_again_after_every_gap() {
        let mut history = history(650, 300);
        let mut cursor = Cursor::default();
        assert!(cursor.begin(&history, FRAME) && cursor.seen().is_none());
        drain(&mut cursor, &history);
        assert_eq!(cursor.seen(), Some((649 * FRAME, 649 * FRAME)), "the past flits by");
        (650..655).for_each(|frame| push(&mut history, frame, 300));
        cursor.next(&history);
        assert_eq!(cursor.seen(), Some((649 * FRAME, 649 * FRAME)), "half a frame is none");
        drain(&mut cursor, &history);
        assert_eq!(cursor.seen(), Some((649 * FRAME, 654 * FRAME)));

        history.gap();
        (655..657).for_each(|frame| push(&mut history, frame, 657));
        drain(&mut cursor, &history);
        assert_eq!(cursor.seen(), None, "something was missing in the stream");
        (657..659).for_each(|frame| push(&mut history, frame, 657));
        drain(&mut cursor, &history);
        assert_eq!(cursor.seen(), Some((657 * FRAME, 658 * FRAME)), "a decoder goes on with the keyframe");

        assert!(cursor.begin(&history, FRAME) && cursor.seen().is_none());
        (659..661).for_each(|frame| push(&mut history, frame, 657));
        drain(&mut cursor, &history);
        assert_eq!(cursor.seen(), Some((659 * FRAME, 660 * FRAME)), "he was put on the keyframe");
    }

    #[test]
    fn what_was_sent_is_found_again_under_its_number_with_the_same_time() {
        let history = history(650, 300);
        let mut cursor = Cursor::default();
        cursor.begin(&history, FRAME);
        let mut sent = drain(&mut cursor, &history);
        cursor.begin(&history, FRAME);
        sent.extend(drain(&mut cursor, &history));
        for (wire, frame, ticks) in sent {
            let again = cursor.sent(cursor.unwrap(wire as u16).unwrap(), &history).unwrap();
            assert_eq!((again.wire, again.packet.frame, again.ticks), (wire, frame, ticks));
        }
    }

    #[test]
    fn b29_numbers_that_were_never_sent_are_not_found() {
        let history = history(10, 10);
        let mut cursor = Cursor::default();
        assert_eq!(cursor.unwrap(5), None);
        cursor.begin(&history, FRAME);
        assert_eq!(drain(&mut cursor, &history).len(), 20);
        assert!(cursor.unwrap(20).is_none() && cursor.unwrap(u16::MAX).is_none());
        assert!(cursor.sent(20, &history).is_none() && cursor.sent(u64::MAX, &history).is_none());
    }

    #[test]
    fn without_a_keyframe_a_viewer_waits_and_one_who_fell_out_begins_again() {
        let mut history = History::new(Limits { retransmit: 4, bytes: 1 << 20 });
        let mut cursor = Cursor::default();
        assert!(!cursor.begin(&history, FRAME) && !cursor.is_started());
        for frame in 0..10 {
            push(&mut history, frame, 10);
        }
        assert!(cursor.begin(&history, FRAME));
        cursor.next(&history);
        for frame in 10..40 {
            push(&mut history, frame, 10);
        }
        assert!(cursor.next(&history).is_none() && !cursor.is_started());
    }

    #[test]
    fn a_viewer_goes_over_behind_a_frame_that_both_have_and_what_he_lost_is_found_there() {
        let (mut one, mut other) = (history(40, 10), history(0, 10));
        let mut cursor = Cursor::default();
        cursor.begin(&one, FRAME);
        let mut sent = drain(&mut cursor, &one);
        assert!(!cursor.go_over(&one, &other), "there is nothing yet");
        // Two more packets at first, and other pictures up to the 35th frame.
        other.push([Payload { bytes: Bytes::from_static(b"x"), marker: true }], -FRAME, true);
        for frame in 0..35 {
            other.push([Payload { bytes: Bytes::from_static(b"other"), marker: true }], frame * FRAME, false);
        }
        assert!(!cursor.go_over(&one, &other));
        (35..39).for_each(|frame| push(&mut other, frame, 10));
        assert!(!cursor.go_over(&one, &other), "it has not come so far");
        push(&mut other, 39, 10);
        for history in [&mut one, &mut other] {
            push(history, 40, 10);
        }
        let half = cursor.next(&one).unwrap();
        sent.push((half.wire, half.packet.frame, half.ticks));
        assert!(!cursor.go_over(&one, &other), "half a frame is to be sent yet");
        sent.extend(drain(&mut cursor, &one));
        assert!(cursor.go_over(&one, &other));
        (41..43).for_each(|frame| push(&mut other, frame, 10));
        let next: Vec<_> =
            drain(&mut cursor, &other).iter().map(|(wire, _, ticks)| (*wire, *ticks)).collect();
        let wire = sent.last().unwrap().0 + 1;
        let packets = [(41, 0), (41, 1), (42, 2), (42, 3)];
        assert_eq!(next, packets.map(|(frame, packet)| (wire + packet, frame * FRAME)));
        assert_eq!(cursor.seen(), Some((41 * FRAME, 42 * FRAME)), "of this one he has seen nothing before");
        for (wire, frame, ticks) in sent.into_iter().rev() {
            match cursor.sent(wire, &other) {
                // What was sent to start the decoder had other times.
                None => assert!(frame <= 39),
                Some(again) => assert_eq!((again.ticks, again.packet.ticks), (ticks, frame as i64 * FRAME)),
            }
        }
    }

    #[test]
    fn sound_goes_over_to_what_is_later() {
        let (mut one, mut other) = (history(0, 1), history(0, 1));
        let mut cursor = Cursor::default();
        cursor.begin_live(&one);
        (0..5).for_each(|frame| push(&mut one, frame, 1));
        drain(&mut cursor, &one);
        (3..7).for_each(|frame| push(&mut other, frame, 1));
        cursor.go_over_live(&other);
        let ticks: Vec<_> = drain(&mut cursor, &other).iter().map(|(_, _, ticks)| ticks / FRAME).collect();
        assert_eq!(ticks, [5, 5, 6, 6]);
        let empty = history(0, 1);
        cursor.go_over_live(&empty);
        assert!(cursor.is_started() && cursor.next(&empty).is_none());
    }

    #[test]
    fn sound_begins_at_the_live_edge() {
        let mut history = history(10, 1);
        let mut cursor = Cursor::default();
        cursor.begin_live(&history);
        assert!(cursor.is_started() && cursor.next(&history).is_none());
        push(&mut history, 10, 1);
        assert_eq!(drain(&mut cursor, &history)[0], (0, 10, 10 * FRAME));
    }

    #[test]
    fn who_does_not_keep_up_goes_on_from_a_keyframe_that_he_has_not_had() {
        let mut history = history(5, 10);
        let mut cursor = Cursor::default();
        assert!(cursor.begin(&history, FRAME));
        assert_eq!(cursor.lag(&history), 0, "the past that a decoder starts with has no age");
        drain(&mut cursor, &history);
        (5..13).for_each(|frame| push(&mut history, frame, 10));
        assert_eq!(cursor.lag(&history), 7 * FRAME);

        cursor.skip(&history, FRAME);
        assert_eq!(cursor.lag(&history), 0);
        let next = cursor.next(&history).unwrap();
        assert_eq!((next.wire, next.packet.frame), (10, 10), "no number is left out");

        (13..19).for_each(|frame| push(&mut history, frame, 10));
        cursor.skip(&history, FRAME);
        assert!(!cursor.is_started(), "the keyframe in memory is the one that he could not follow");
        assert!(!cursor.begin(&history, FRAME));
        cursor.skip(&history, FRAME);
        (19..21).for_each(|frame| push(&mut history, frame, 10));
        assert!(cursor.begin(&history, FRAME));
        assert_eq!(drain(&mut cursor, &history)[0].1, 20);
    }
}
