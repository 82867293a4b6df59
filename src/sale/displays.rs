//! Which sessions were shown a burned-in overlay for long enough.
//!
//! The server knows of each connection of its own which stretch of the programme was written to it without a gap. An
//! overlay was displayed to a session when that stretch and the overlay's frames have the required time in common. Who
//! leaves or lags before counts for nothing: nothing is ever counted that was not sent.

use std::collections::HashSet;

use crate::hub::Watching;
use crate::ledger::SessionId;
use crate::media::MediaTime;

/// Counts an overlay's sessions, each once.
#[derive(Debug)]
pub struct Displays {
    first: MediaTime,
    /// The first moment without the overlay.
    end: MediaTime,
    required: MediaTime,
    counted: HashSet<SessionId>,
}

impl Displays {
    /// Of an overlay whose first frame was sent at `first`, and that is on until `end`, unless it is shortened.
    pub fn new(first: MediaTime, end: MediaTime, required: MediaTime) -> Self {
        Self { first, end, required: required.min(end - first), counted: HashSet::new() }
    }

    /// The overlay was not on any more from `end` on. What is required stays the same.
    pub fn shorten(&mut self, end: MediaTime) {
        self.end = self.end.min(end);
    }

    /// Of those that it is for, the sessions that it was shown to for long enough by now and that are not counted yet.
    pub fn due(&self, audience: &[Watching], is_for: impl Fn(&Watching) -> bool) -> Vec<SessionId> {
        let due = audience.iter().filter(|watching| {
            let Some(seen) = watching.seen else { return false };
            seen.until.min(self.end) - seen.since.max(self.first) >= self.required
                && !self.counted.contains(&SessionId(watching.session))
                && is_for(watching)
        });
        due.map(|watching| SessionId(watching.session)).collect()
    }

    /// A session is counted: the ledger has it.
    pub fn count(&mut self, session: SessionId) {
        self.counted.insert(session);
    }

    /// The ledger could not take it.
    pub fn uncount(&mut self, session: SessionId) {
        self.counted.remove(&session);
    }

    /// How many are counted.
    pub fn counted(&self) -> usize {
        self.counted.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::hub::{Protocol, Seen};

    const fn ms(millis: i64) -> MediaTime {
        MediaTime::from_millis(millis)
    }

    fn watching(session: u64, since: i64, until: i64) -> Watching {
        let seen = Some(Seen { since: ms(since), until: ms(until) });
        Watching { session, protocol: Protocol::Rtmp, seen, variant: 0, cohort: Arc::default() }
    }

    #[test]
    fn a_session_counts_once_and_only_after_the_required_time() {
        let mut displays = Displays::new(ms(10_000), ms(18_000), ms(1000));
        let nothing = Watching { seen: None, ..watching(9, 0, 0) };
        let audience = [
            watching(1, 0, 10_999),
            watching(2, 0, 11_000),
            watching(3, 10_500, 11_400),
            watching(4, 17_001, 40_000),
            watching(5, 17_000, 40_000),
            nothing,
        ];
        assert_eq!(displays.due(&audience, |_| true), [SessionId(2), SessionId(5)]);
        assert_eq!(displays.due(&audience, |watching| watching.session > 2), [SessionId(5)]);
        displays.count(SessionId(2));
        assert_eq!(displays.due(&audience, |_| true), [SessionId(5)]);
        assert_eq!(displays.counted(), 1);
    }

    #[test]
    fn frames_that_were_not_shown_count_for_nobody() {
        let mut displays = Displays::new(ms(10_000), ms(18_000), ms(1000));
        displays.shorten(ms(10_800));
        assert_eq!(displays.due(&[watching(1, 0, 60_000)], |_| true), []);
        let short = Displays::new(ms(10_000), ms(10_400), ms(1000));
        assert_eq!(
            short.due(&[watching(1, 0, 10_400)], |_| true),
            [SessionId(1)],
            "the whole of a short one is enough"
        );
    }
}
