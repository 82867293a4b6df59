//! Who reads what, when a room is faster than people can read.
//!
//! Each comment then goes to a share of the viewers, chosen by a hash of viewer and comment: each viewer gets about as
//! many, each comment is read by about as many, and who comes back gets the same ones again. Comments of those who keep
//! order, one's own, and those of people one talks with always come through. Nobody is told that the room is full.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::message::Seq;
use super::person::UserId;
use crate::random::mix;

/// People one talks with: the latest so many.
const MAX_PARTNERS: usize = 32;

/// Over how long the speed of a room is measured.
const WINDOW: Duration = Duration::from_secs(3);

/// An event, written once for all who get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Its number; 0 for what is not kept, as counts.
    pub seq: Seq,
    /// It, as JSON.
    pub json: Bytes,
    /// Who gets it.
    pub audience: Audience,
}

/// Who gets an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All.
    Everyone,
    /// Some, and those whom it concerns.
    Sample {
        /// Who wrote it.
        author: UserId,
        /// How many of 2^32 viewers get it; `u32::MAX` is all.
        share: u32,
        /// Whom it answers or names.
        addressed: Box<[UserId]>,
    },
}

/// One connection's side of it.
#[derive(Clone, Debug)]
pub struct Reader {
    me: UserId,
    /// The newest event that was had, so that none comes twice.
    seen: Seq,
    /// Moderators read everything.
    everything: bool,
    partners: VecDeque<UserId>,
}

impl Reader {
    /// Somebody who has had all events up to `seen`.
    pub const fn new(me: UserId, seen: Seq, everything: bool) -> Self {
        Self { me, seen, everything, partners: VecDeque::new() }
    }

    /// Whether to send this event; each is asked about once, in order.
    pub fn wants(&mut self, posted: &Posted) -> bool {
        if posted.seq == 0 {
            return true;
        }
        if posted.seq <= self.seen {
            return false;
        }
        self.seen = posted.seq;
        let Audience::Sample { author, share, addressed } = &posted.audience else { return true };
        if *author == self.me {
            addressed.iter().for_each(|partner| self.talks_with(*partner));
            return true;
        }
        if addressed.contains(&self.me) {
            self.talks_with(*author);
            return true;
        }
        self.everything
            || *share == u32::MAX
            || self.partners.contains(author)
            || (mix(self.me.0 ^ mix(posted.seq)) >> 32) as u32 <= *share
    }

    /// Whether everything of a batch that all get is news, and then notes that it was had. `first` and `last` are the
    /// batch's lowest and highest number.
    pub fn takes_all_from(&mut self, first: Seq, last: Seq) -> bool {
        let is_news = self.seen < first;
        if is_news {
            self.seen = self.seen.max(last);
        }
        is_news
    }

    /// Somebody became a moderator, or is one no longer.
    pub const fn reads_everything(&mut self, everything: bool) {
        self.everything = everything;
    }

    fn talks_with(&mut self, partner: UserId) {
        if partner == self.me || self.partners.contains(&partner) {
            return;
        }
        if self.partners.len() == MAX_PARTNERS {
            self.partners.pop_front();
        }
        self.partners.push_back(partner);
    }
}

/// How fast a room talks.
#[derive(Clone, Debug, Default)]
pub struct Speed {
    /// Comments within the window, the older the less they count.
    level: f64,
    at: Duration,
}

impl Speed {
    /// A comment came; returns its share when a viewer should read at most `readable` comments a second.
    pub fn comment(&mut self, readable: u32, now: Duration) -> u32 {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.level = self.level * (-passed / WINDOW.as_secs_f64()).exp() + 1.0;
        self.at = now;
        let rate = self.level / WINDOW.as_secs_f64();
        if readable == 0 || rate <= f64::from(readable) {
            return u32::MAX;
        }
        // A ratio below one: the product fits.
        (f64::from(readable) / rate * f64::from(u32::MAX)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: UserId = UserId(0xabc);

    fn comment(seq: Seq, author: u64, share: u32, addressed: &[UserId]) -> Posted {
        Posted {
            seq,
            json: Bytes::new(),
            audience: Audience::Sample { author: UserId(author), share, addressed: addressed.into() },
        }
    }

    #[test]
    fn a_fast_room_is_sampled_fairly() {
        let mut speed = Speed::default();
        let mut shares = Vec::new();
        for n in 0..2000_u32 {
            shares.push(speed.comment(10, Duration::from_millis(u64::from(n) * 10)));
        }
        assert_eq!(shares[0], u32::MAX, "a room that begins to talk is read whole");
        let mut counts = Vec::new();
        let mut read_by = vec![0; 1000];
        for viewer in 0..200 {
            let mut reader = Reader::new(UserId(mix(viewer)), 0, false);
            let wanted: Vec<bool> =
                (0..1000).map(|n| reader.wants(&comment(n as u64 + 1, 5, shares[1000 + n], &[]))).collect();
            counts.push(wanted.iter().filter(|wanted| **wanted).count());
            wanted.iter().zip(&mut read_by).for_each(|(wanted, count)| *count += i32::from(*wanted));
        }
        // 100 comments a second, of which 10 are read: of 1,000 each viewer gets 100, and each has 20 of 200 readers.
        assert!(counts.iter().all(|count| (60..150).contains(count)), "{counts:?}");
        assert!(read_by.iter().all(|count| (4..42).contains(count)), "{read_by:?}");
        assert_eq!(
            speed.comment(10, Duration::from_secs(60)),
            u32::MAX,
            "a room that calmed down is read whole"
        );
        assert_eq!(speed.comment(0, Duration::from_secs(60)), u32::MAX, "0 is no limit");
    }

    #[test]
    fn what_concerns_a_viewer_always_comes_through() {
        let mut reader = Reader::new(ME, 0, false);
        assert!(!reader.wants(&comment(1, 7, 0, &[])));
        assert!(reader.wants(&comment(2, 7, 0, &[ME])), "an answer");
        assert!(reader.wants(&comment(3, 7, 0, &[])), "and then what the other says next");
        assert!(reader.wants(&comment(4, ME.0, 0, &[UserId(8)])), "one's own");
        assert!(reader.wants(&comment(5, 8, 0, &[])), "and whom one answers");
        let everyone = Posted { seq: 6, json: Bytes::new(), audience: Audience::Everyone };
        assert!(reader.wants(&everyone));
        assert!(!reader.wants(&everyone), "nothing twice");
        reader.reads_everything(true);
        assert!(reader.wants(&comment(9, 9, 0, &[])));
    }

    #[test]
    fn those_one_talks_with_are_remembered_up_to_a_limit() {
        let mut reader = Reader::new(ME, 0, false);
        for n in 0..1000 {
            reader.wants(&comment(n + 1, 10_000 + n, 0, &[ME]));
        }
        assert_eq!(reader.partners.len(), MAX_PARTNERS);
    }
}
