//! A window of the newest items of a stream, under a byte and item budget, with the places where a reader may join.

use std::collections::VecDeque;

use crate::media::MediaTime;

/// What a ring keeps at most.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Media time that is kept for readers who fall behind. The newest join point and all after it are kept as
    /// well, however long ago it was, as long as the other two limits allow.
    pub window: MediaTime,
    /// Bytes of payload, whatever their media time.
    pub bytes: usize,
    /// Items, whatever their media time.
    pub items: usize,
}

/// One item of a ring.
#[derive(Clone, Debug)]
pub struct Slot<T, P> {
    /// The item.
    pub value: T,
    /// Its decoding time.
    pub time: MediaTime,
    /// Payload bytes, for the budget.
    pub bytes: usize,
    /// What a reader must be told before this item when he begins here; `None` where he cannot begin.
    pub preamble: Option<P>,
}

/// The newest items of a stream, numbered from zero as they come.
///
/// Eviction goes by whole stretches between join points while the window allows it, so that what is left begins
/// where a reader can begin; only the hard limits on bytes and items cut anywhere.
#[derive(Clone, Debug)]
pub struct Ring<T, P> {
    slots: VecDeque<Slot<T, P>>,
    /// Sequence number of the first slot.
    first: u64,
    bytes: usize,
    /// Sequence numbers of the slots with a preamble, oldest first.
    joins: VecDeque<u64>,
    budget: Budget,
}

impl<T, P> Ring<T, P> {
    /// An empty ring.
    pub fn new(budget: Budget) -> Self {
        Self { slots: VecDeque::new(), first: 0, bytes: 0, joins: VecDeque::new(), budget }
    }

    /// Appends an item; evicts what the budget no longer holds.
    pub fn push(&mut self, slot: Slot<T, P>) {
        if slot.preamble.is_some() {
            self.joins.push_back(self.end());
        }
        self.bytes += slot.bytes;
        let now = slot.time;
        self.slots.push_back(slot);
        while self.second_join_is_old_enough(now) {
            self.evict_to(self.joins[1]);
        }
        while self.bytes > self.budget.bytes || self.slots.len() > self.budget.items {
            self.evict_to(self.first + 1);
        }
    }

    /// The sequence number that the next item will get.
    pub fn end(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// The sequence number of the oldest item that is still here.
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// The newest place where a reader may begin.
    pub fn newest_join(&self) -> Option<u64> {
        self.joins.back().copied()
    }

    /// The oldest place where a reader may begin.
    pub fn oldest_join(&self) -> Option<u64> {
        self.joins.front().copied()
    }

    /// The newest place not later than this time where a reader may begin, else the oldest.
    pub fn join_at(&self, time: MediaTime) -> Option<u64> {
        let is_in_time = |join: &&u64| self.slot(**join).is_some_and(|slot| slot.time <= time);
        self.joins.iter().rev().find(is_in_time).or(self.joins.front()).copied()
    }

    /// The sequence number of the newest item of this time that is the one looked for. Times do not fall.
    pub fn find_last(&self, time: MediaTime, is_it: impl Fn(&T) -> bool) -> Option<u64> {
        let back = self.slots.iter().rev().take_while(|slot| slot.time >= time);
        let found = back.enumerate().find(|(_, slot)| slot.time == time && is_it(&slot.value));
        found.map(|(back, _)| self.end() - 1 - back as u64)
    }

    /// The item with this sequence number, if it is here.
    pub fn slot(&self, sequence: u64) -> Option<&Slot<T, P>> {
        self.slots.get(usize::try_from(sequence.checked_sub(self.first)?).ok()?)
    }

    /// Up to `limit` items from `sequence` on.
    pub fn range(&self, sequence: u64, limit: usize) -> impl Iterator<Item = &Slot<T, P>> {
        let skip = usize::try_from(sequence.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.slots.range(skip.min(self.slots.len())..).take(limit)
    }

    fn second_join_is_old_enough(&self, now: MediaTime) -> bool {
        let second = self.joins.get(1).and_then(|&join| self.slot(join));
        second.is_some_and(|slot| now - slot.time >= self.budget.window)
    }

    fn evict_to(&mut self, sequence: u64) {
        while self.first < sequence {
            let Some(slot) = self.slots.pop_front() else { return };
            self.bytes -= slot.bytes;
            self.first += 1;
        }
        while self.joins.front().is_some_and(|&join| join < self.first) {
            self.joins.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(window_ms: i64, bytes: usize, items: usize) -> Ring<u32, ()> {
        Ring::new(Budget { window: MediaTime::from_millis(window_ms), bytes, items })
    }

    fn push(ring: &mut Ring<u32, ()>, n: u32, key_every: u32) {
        ring.push(Slot {
            value: n,
            time: MediaTime::from_millis(i64::from(n) * 100),
            bytes: 10,
            preamble: n.is_multiple_of(key_every).then_some(()),
        });
    }

    #[test]
    fn keeps_whole_gops_that_cover_the_window() {
        let mut ring = ring(1_000, 1 << 20, 1 << 20);
        for n in 0..100 {
            push(&mut ring, n, 5);
        }
        assert_eq!(ring.first() % 5, 0, "begins at a join point");
        let kept = ring.end() - ring.first();
        assert!((10..=15).contains(&kept), "{kept} items of 100 ms for a window of 1 s");
        assert_eq!(ring.newest_join(), Some(95));
    }

    #[test]
    fn who_goes_on_for_another_begins_at_a_keyframe_before_what_was_given() {
        let mut ring = ring(1_000, 1 << 20, 1 << 20);
        assert_eq!(ring.join_at(MediaTime::ZERO), None);
        for n in 0..20 {
            push(&mut ring, n, 5);
        }
        let first = ring.first();
        for (millis, join) in [(1_999, 15), (1_500, 15), (1_499, 10), (0, first)] {
            assert_eq!(ring.join_at(MediaTime::from_millis(millis)), Some(join), "{millis} ms");
        }
    }

    #[test]
    fn a_gop_longer_than_the_window_is_kept_whole() {
        let mut ring = ring(1_000, 1 << 20, 1 << 20);
        for n in 0..100 {
            push(&mut ring, n, 1_000);
        }
        assert_eq!((ring.first(), ring.newest_join()), (0, Some(0)));
    }

    #[test]
    fn b21_a_gop_that_never_ends_is_cut_by_bytes_and_by_items() {
        for (bytes, items) in [(200, 1_000), (100_000, 20)] {
            let mut ring = ring(1_000, bytes, items);
            for n in 0..100 {
                push(&mut ring, n, 1_000);
            }
            assert_eq!(ring.end() - ring.first(), 20);
            assert_eq!(ring.newest_join(), None, "nobody can begin without the keyframe");
        }
    }

    #[test]
    fn ranges_are_clipped_to_what_is_there() {
        let mut ring = ring(0, 100, 3);
        for n in 0..10 {
            push(&mut ring, n, 1_000);
        }
        let values = |from, limit| ring.range(from, limit).map(|slot| slot.value).collect::<Vec<_>>();
        assert_eq!(values(0, 10), [7, 8, 9]);
        assert_eq!(values(8, 1), [8]);
        assert!(values(10, 5).is_empty() && values(u64::MAX, 5).is_empty());
        assert!(ring.slot(6).is_none() && ring.slot(7).is_some());
    }
}
