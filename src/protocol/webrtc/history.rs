//! The RTP payloads of one track, made once and kept for all viewers of a shard: for those who join, and for what was
//! lost on the way.

use std::collections::VecDeque;

use crate::format::rtp::Payload;

/// A payload with what every viewer's header is made from.
#[derive(Clone, Debug)]
pub struct Packet {
    /// The payload, and whether it is its frame's last.
    pub payload: Payload,
    /// Media time of its frame in ticks of the RTP clock.
    pub ticks: i64,
    /// The number of its frame within the track.
    pub frame: u64,
    /// A decoder can start with its frame.
    pub keyframe: bool,
    /// Something is missing before its frame.
    pub follows_gap: bool,
}

impl Packet {
    /// Whether both say the same of the same moment.
    pub fn is_the_same(&self, other: &Self) -> bool {
        (self.ticks, self.keyframe, self.payload.marker)
            == (other.ticks, other.keyframe, other.payload.marker)
            && self.payload.bytes == other.payload.bytes
    }
}

/// Packets by their index, which rises by one a packet and never begins again.
#[derive(Debug)]
pub struct History {
    packets: VecDeque<Packet>,
    /// Index of the oldest packet.
    first: u64,
    /// Index of the first packet of the newest keyframe, while it is there.
    keyframe: Option<u64>,
    /// Payload bytes that are kept.
    bytes: usize,
    limits: Limits,
    frames: u64,
    /// Something is missing before the next frame.
    gap: bool,
}

/// What a history keeps.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Packets that are kept before the newest keyframe, for retransmission.
    pub retransmit: usize,
    /// Payload bytes; the oldest packets go, even those of the newest GOP.
    pub bytes: usize,
}

impl History {
    /// An empty history.
    pub const fn new(limits: Limits) -> Self {
        Self { packets: VecDeque::new(), first: 0, keyframe: None, bytes: 0, limits, frames: 0, gap: false }
    }

    /// Appends a frame's payloads.
    pub fn push(&mut self, payloads: impl IntoIterator<Item = Payload>, ticks: i64, keyframe: bool) {
        let frame = self.frames;
        let follows_gap = std::mem::take(&mut self.gap);
        self.frames += 1;
        let start = self.end();
        for payload in payloads {
            self.bytes += payload.bytes.len();
            self.packets.push_back(Packet { payload, ticks, frame, keyframe, follows_gap });
        }
        if keyframe && self.end() > start {
            self.keyframe = Some(start);
        }
        self.trim();
    }

    /// Something is missing before the next frame.
    pub const fn gap(&mut self) {
        self.gap = true;
    }

    /// The packet of this index, if it is kept.
    pub fn get(&self, index: u64) -> Option<&Packet> {
        self.packets.get(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }

    /// The index that the next packet will have.
    pub fn end(&self) -> u64 {
        self.first + self.packets.len() as u64
    }

    /// The index behind the last packet of this time.
    pub fn end_of(&self, ticks: i64) -> Option<u64> {
        let back = self.packets.iter().rposition(|packet| packet.ticks == ticks)?;
        Some(self.first + back as u64 + 1)
    }

    /// The index of the first packet that is later than this time.
    pub fn after(&self, ticks: i64) -> Option<u64> {
        let place = self.packets.iter().position(|packet| packet.ticks > ticks)?;
        Some(self.first + place as u64)
    }

    /// The newest packet.
    pub fn newest(&self) -> Option<&Packet> {
        self.packets.back()
    }

    /// Where a decoder can start: the first packet of the newest keyframe.
    pub const fn keyframe(&self) -> Option<u64> {
        self.keyframe
    }

    fn trim(&mut self) {
        let by_count = self.end().saturating_sub(self.limits.retransmit as u64);
        // Nobody joins before the newest keyframe, and without one everything may be waited for.
        let keep_from = self.keyframe.map_or(self.first, |keyframe| keyframe.min(by_count));
        while self.first < keep_from || self.bytes > self.limits.bytes {
            let Some(oldest) = self.packets.pop_front() else { break };
            self.bytes -= oldest.payload.bytes.len();
            self.first += 1;
        }
        self.keyframe = self.keyframe.filter(|&keyframe| keyframe >= self.first);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn payloads(count: usize) -> Vec<Payload> {
        (1..=count).map(|n| Payload { bytes: Bytes::from(vec![0; 100]), marker: n == count }).collect()
    }

    fn history(retransmit: usize, bytes: usize) -> History {
        History::new(Limits { retransmit, bytes })
    }

    #[test]
    fn keeps_the_newest_gop_and_what_may_be_asked_for_again() {
        let mut history = history(5, 1 << 20);
        for frame in 0..100 {
            history.push(payloads(3), frame * 3000, frame % 10 == 0);
        }
        assert_eq!((history.end(), history.keyframe()), (300, Some(270)));
        assert!(history.get(270).unwrap().keyframe && history.get(269).is_none());
        assert_eq!(history.get(299).unwrap().ticks, 99 * 3000);
        history.push(payloads(1), 0, true);
        assert_eq!(history.keyframe(), Some(300));
        assert!(history.get(296).is_some() && history.get(295).is_none(), "five packets for retransmission");
    }

    #[test]
    fn b21_a_gop_that_never_ends_is_cut_by_bytes_and_nobody_begins_within_it() {
        let mut history = history(5, 1000);
        history.push(payloads(3), 0, true);
        for frame in 1..100 {
            history.push(payloads(1), frame, false);
        }
        assert_eq!((history.end() - history.first, history.keyframe()), (10, None));
    }
}
