//! The flash jury: five random viewers judge a reported comment within seconds.

use std::collections::HashMap;
use std::time::Duration;

use super::message::Seq;
use super::person::{Prefix, UserId};
use crate::random::Random;

/// Jurors of a case.
pub const JURORS: usize = 5;
/// With fewer there is no jury, and moderators decide.
pub const LEAST_JURORS: usize = 3;
/// Cases at one time in a room.
const MAX_CASES: usize = 16;

/// Somebody who could be a juror.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Who.
    pub user: UserId,
    /// From where.
    pub prefix: Prefix,
}

/// A reported comment and those who judge it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Its number.
    pub id: u64,
    /// What was reported.
    pub comment: Seq,
    /// Who wrote it.
    pub author: UserId,
    /// Who reported it.
    pub reporter: UserId,
    /// Who judges, and how.
    pub votes: Vec<(UserId, Option<bool>)>,
    deadline: Duration,
}

impl Case {
    fn count(&self, wanted: Option<bool>) -> usize {
        self.votes.iter().filter(|(_, vote)| *vote == wanted).count()
    }

    /// The verdict, once it is certain: a majority of those who were asked, so that staying away acquits.
    fn verdict(&self, now: Duration) -> Option<bool> {
        let needed = self.votes.len() / 2 + 1;
        let (guilty, open) = (self.count(Some(true)), self.count(None));
        if guilty >= needed {
            return Some(true);
        }
        (now >= self.deadline || guilty + open < needed).then_some(false)
    }
}

/// The cases of a room.
#[derive(Clone, Debug, Default)]
pub struct Juries {
    cases: Vec<Case>,
    last: u64,
}

impl Juries {
    /// Calls a jury, unless there are too few who could sit on it or too many cases already.
    ///
    /// Candidates are those who have been here long enough and have no part in it; who sits on another jury, or comes from
    /// where a party comes from, is left out, and with `one_per_network` there is one juror of a network at most: neither a
    /// crowd of fresh sessions nor one household makes a majority.
    pub fn call(
        &mut self,
        (comment, author, reporter): (Seq, Candidate, Candidate),
        candidates: impl Iterator<Item = Candidate>,
        one_per_network: bool,
        deadline: Duration,
        random: &mut Random,
    ) -> Option<&Case> {
        if self.cases.len() >= MAX_CASES || self.is_tried(author.user) {
            return None;
        }
        let parties = [author, reporter];
        let is_free = |candidate: &Candidate| {
            parties.iter().all(|party| {
                party.user != candidate.user && !(one_per_network && party.prefix == candidate.prefix)
            }) && !self.cases.iter().any(|case| case.votes.iter().any(|(juror, _)| *juror == candidate.user))
        };
        let free = candidates.filter(is_free);
        let pool: Vec<UserId> = if one_per_network {
            let mut networks: HashMap<Prefix, Vec<UserId>> = HashMap::new();
            free.for_each(|candidate| networks.entry(candidate.prefix).or_default().push(candidate.user));
            let mut households: Vec<Vec<UserId>> = networks.into_values().collect();
            // The map's order is not the seed's.
            households.iter_mut().for_each(|users| users.sort_unstable());
            households.sort_unstable();
            households.iter().map(|users| users[random.below(users.len())]).collect()
        } else {
            let mut users: Vec<UserId> = free.map(|candidate| candidate.user).collect();
            users.sort_unstable();
            users
        };
        if pool.len() < LEAST_JURORS {
            return None;
        }
        let votes = random.choose(pool, JURORS).into_iter().map(|juror| (juror, None)).collect();
        self.last += 1;
        let case =
            Case { id: self.last, comment, author: author.user, reporter: reporter.user, votes, deadline };
        self.cases.push(case);
        self.cases.last()
    }

    /// Takes a juror's vote; the first counts. `false` when this is none of theirs.
    pub fn vote(&mut self, case: u64, juror: UserId, guilty: bool) -> bool {
        let votes = self.cases.iter_mut().filter(|open| open.id == case).flat_map(|open| &mut open.votes);
        let Some((_, vote)) = votes.into_iter().find(|(user, _)| *user == juror) else { return false };
        vote.get_or_insert(guilty);
        true
    }

    /// A case that is decided, and whether the author is guilty. To be asked until there is none.
    pub fn decided(&mut self, now: Duration) -> Option<(Case, bool)> {
        let (place, verdict) =
            self.cases.iter().enumerate().find_map(|(place, case)| Some((place, case.verdict(now)?)))?;
        Some((self.cases.swap_remove(place), verdict))
    }

    /// Whether somebody's comment is before a jury.
    pub fn is_tried(&self, author: UserId) -> bool {
        self.cases.iter().any(|case| case.author == author)
    }

    /// When the next case ends at the latest.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.cases.iter().map(|case| case.deadline).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Duration = Duration::from_secs(10);

    fn candidate(user: u64, network: u8) -> Candidate {
        Candidate { user: UserId(user), prefix: Prefix::v4([10, 0, network, 1]) }
    }

    fn call(juries: &mut Juries, seed: u64, crowd: &[Candidate]) -> Option<Case> {
        let parties = (7, candidate(1, 1), candidate(2, 2));
        juries.call(parties, crowd.iter().copied(), true, END, &mut Random::new(seed)).cloned()
    }

    fn crowd() -> Vec<Candidate> {
        (1..60).map(|user| candidate(user, user as u8)).collect()
    }

    #[test]
    fn b32_jurors_are_five_others_from_five_places() {
        // A hundred sessions of the reporter's household and of one other are not worth more than one juror.
        let mut stuffed = crowd();
        stuffed.extend((100..200).map(|user| candidate(user, 2)));
        stuffed.extend((200..300).map(|user| candidate(user, 9)));
        let mut of_network_9 = 0;
        for seed in 0..500 {
            let case = call(&mut Juries::default(), seed, &stuffed).unwrap();
            assert_eq!(case.votes.len(), JURORS);
            let network = |user: &UserId| stuffed.iter().find(|c| c.user == *user).unwrap().prefix;
            let mut networks: Vec<Prefix> = case.votes.iter().map(|(user, _)| network(user)).collect();
            assert!(
                !networks.contains(&Prefix::v4([10, 0, 1, 0]))
                    && !networks.contains(&Prefix::v4([10, 0, 2, 0]))
            );
            of_network_9 += networks.iter().filter(|network| **network == Prefix::v4([10, 0, 9, 0])).count();
            networks.sort_unstable_by_key(|network| format!("{network:?}"));
            networks.dedup();
            assert_eq!(networks.len(), JURORS);
        }
        // 57 networks have five seats: about 44 of 500 juries.
        assert!((20..80).contains(&of_network_9), "{of_network_9}");
    }

    #[test]
    fn a_majority_of_those_asked_decides_and_silence_acquits() {
        for (votes, at, expected) in [
            (vec![true, true, true], 1, Some(true)),
            (vec![true, true], 1, None),
            (vec![true, true], 10, Some(false)),
            (vec![false, false, false], 1, Some(false)),
            (vec![true, false, true, false], 1, None),
            (vec![], 10, Some(false)),
        ] {
            let mut juries = Juries::default();
            let case = call(&mut juries, 3, &crowd()).unwrap();
            for ((juror, _), vote) in case.votes.iter().zip(&votes) {
                assert!(juries.vote(case.id, *juror, *vote));
                assert!(juries.vote(case.id, *juror, !*vote), "the first vote counts");
            }
            assert!(!juries.vote(case.id, UserId(1), true) && !juries.vote(case.id, UserId(2), true));
            let decided = juries.decided(Duration::from_secs(at)).map(|(_, guilty)| guilty);
            assert_eq!(decided, expected, "{votes:?}");
            assert_eq!(juries.is_tried(UserId(1)), expected.is_none());
        }
    }

    #[test]
    fn a_small_room_has_no_jury_and_nobody_sits_on_two() {
        let mut juries = Juries::default();
        assert_eq!(call(&mut juries, 1, &crowd()[..4]), None, "the parties and two others");
        assert_eq!(call(&mut juries, 1, &crowd()[..5]).unwrap().votes.len(), 3);
        let parties = (8, candidate(50, 50), candidate(51, 51));
        let second =
            juries.call(parties, crowd()[..8].iter().copied(), true, END, &mut Random::new(1)).cloned();
        let second = second.unwrap();
        for (juror, _) in &second.votes {
            assert!(!juries.cases[0].votes.iter().any(|(other, _)| other == juror));
        }
        assert_eq!(call(&mut juries, 1, &crowd()), None, "one case at a time against one author");
    }
}
