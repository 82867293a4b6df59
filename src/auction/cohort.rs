//! Cohorts: the audience in groups that are large enough to be spoken of outside the server.

use std::collections::BTreeMap;

use crate::media::Cohort;

/// The smallest group that is spoken of, by default: the k of k-anonymity.
pub const DEFAULT_K: u32 = 50;

/// How a cohort's parent differs from it; those that are given up first come first.
const GENERALISATIONS: [fn(&mut Cohort); 5] = [
    |cohort| cohort.tags.clear(),
    |cohort| cohort.device = None,
    |cohort| cohort.language = None,
    |cohort| cohort.country = None,
    |cohort| cohort.consent = false,
];

/// An audience in cohorts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cohorts {
    groups: BTreeMap<Cohort, u32>,
    /// Where groups went that were too small.
    merged: BTreeMap<Cohort, Cohort>,
}

impl Cohorts {
    /// Groups an audience: a group of fewer than `k` merges into its parent. What is left in the end and is still too few
    /// takes the smallest group in, and so on, so that no group of fewer than `k` can be told apart; an audience of fewer
    /// is one group of which nothing is told. There are `at_most` groups, the smallest ones merge.
    pub fn group(audience: impl IntoIterator<Item = Cohort>, k: u32, at_most: usize) -> Self {
        let mut cohorts = Self::default();
        for viewer in audience {
            *cohorts.groups.entry(viewer.told()).or_default() += 1;
        }
        for generalise in GENERALISATIONS {
            let small: Vec<Cohort> = cohorts.below(k).cloned().collect();
            for cohort in small {
                let mut parent = cohort.clone();
                generalise(&mut parent);
                cohorts.merge(&cohort, &parent);
            }
        }
        let everybody = Cohort::everybody();
        while let Some(smallest) = cohorts.smallest() {
            let rest = cohorts.groups.get(&everybody);
            let is_rest_small = rest.is_some_and(|count| *count < k);
            if !is_rest_small && cohorts.groups.len() <= at_most.max(1) {
                break;
            }
            cohorts.merge(&smallest, &everybody);
        }
        cohorts
    }

    /// The groups with their sizes.
    pub fn groups(&self) -> impl Iterator<Item = (&Cohort, u32)> {
        self.groups.iter().map(|(cohort, count)| (cohort, *count))
    }

    /// The place among the groups of the one that a viewer is in. Who came too late to be counted is in the nearest one.
    pub fn place(&self, viewer: &Cohort) -> Option<usize> {
        let mut group = viewer.clone().told();
        let mut generalisations = GENERALISATIONS.iter();
        // Groups merge into more general ones only, so this comes to an end.
        loop {
            if let Some(parent) = self.merged.get(&group) {
                group.clone_from(parent);
            } else if self.groups.contains_key(&group) {
                return self.groups.keys().position(|cohort| *cohort == group);
            } else {
                generalisations.next()?(&mut group);
            }
        }
    }

    fn below(&self, k: u32) -> impl Iterator<Item = &Cohort> {
        self.groups.iter().filter(move |(_, count)| **count < k).map(|(cohort, _)| cohort)
    }

    /// The smallest group that something is told of.
    fn smallest(&self) -> Option<Cohort> {
        let told = self.groups.iter().filter(|(cohort, _)| **cohort != Cohort::everybody());
        told.min_by_key(|(_, count)| **count).map(|(cohort, _)| cohort.clone())
    }

    fn merge(&mut self, cohort: &Cohort, parent: &Cohort) {
        if cohort == parent {
            return;
        }
        let Some(count) = self.groups.remove(cohort) else { return };
        *self.groups.entry(parent.clone()).or_default() += count;
        self.merged.insert(cohort.clone(), parent.clone());
    }
}
