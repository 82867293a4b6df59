//! The hashtags of comments that make up a moment.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::media::MediaTime;

/// A moment lasts so long.
const MOMENT: MediaTime = MediaTime::from_millis(60_000);
/// Counts that are remembered.
const MAX_COUNTS: usize = 1000;
/// Hashtags that make up a moment: the most used ones.
const HASHTAGS: usize = 20;

/// What was counted in the last moment.
#[derive(Debug, Default)]
pub struct HashtagMoment(VecDeque<(MediaTime, Arc<str>, u32)>);

impl HashtagMoment {
    /// A hashtag was used so often around `at`; the broadcast is at `now`.
    pub fn add(&mut self, at: MediaTime, tag: &Arc<str>, count: u32, now: MediaTime) {
        self.0.push_back((at, Arc::clone(tag), count));
        while self.0.len() > MAX_COUNTS || self.0.front().is_some_and(|(at, _, _)| *at < now - MOMENT) {
            self.0.pop_front();
        }
    }

    /// Those that are used most at `now`.
    pub fn hashtags(&self, now: MediaTime) -> BTreeSet<Arc<str>> {
        let mut counts: BTreeMap<&Arc<str>, u64> = BTreeMap::new();
        for (_, tag, count) in self.0.iter().filter(|(at, _, _)| *at >= now - MOMENT) {
            *counts.entry(tag).or_default() += u64::from(*count);
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| Reverse(*count));
        counts.into_iter().take(HASHTAGS).map(|(tag, _)| Arc::clone(tag)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> MediaTime {
        MediaTime::from_millis(seconds * 1000)
    }

    #[test]
    fn a_moment_is_made_of_what_is_used_most_and_goes_by() {
        let mut moment = HashtagMoment::default();
        for number in 0..30_u32 {
            moment.add(at(10), &format!("tag{number:02}").into(), number + 1, at(10));
        }
        moment.add(at(40), &"tag00".into(), 100, at(40));
        let now = moment.hashtags(at(40));
        assert_eq!(now.len(), HASHTAGS);
        assert!(now.contains("tag00") && now.contains("tag29") && !now.contains("tag01"));
        assert_eq!(moment.hashtags(at(71)), BTreeSet::from([Arc::from("tag00")]), "the others are over");
        assert_eq!(moment.hashtags(at(101)), BTreeSet::new());
    }

    #[test]
    fn a_storm_of_hashtags_is_bounded() {
        let mut moment = HashtagMoment::default();
        for number in 0..10_000 {
            moment.add(at(1), &number.to_string().into(), 1, at(1));
        }
        assert_eq!(moment.0.len(), MAX_COUNTS);
    }
}
