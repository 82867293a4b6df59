//! Which group of a programme's viewers gets which variant of it.
//!
//! At a cue the viewers are grouped anew. A group that is there again keeps its variant, so that its viewers, and players that
//! cannot go over, stay where they are.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::auction::Cohorts;
use crate::media::Cohort;
use crate::overlay::VariantSet;

/// The variants of a broadcast's programme.
#[derive(Debug)]
pub struct Variants {
    /// Whose each of them was last.
    of: Vec<Option<Cohort>>,
}

/// The viewers of a programme in groups, each with its variant.
#[derive(Clone, Debug)]
pub struct Arranged {
    /// The groups.
    pub cohorts: Arc<Cohorts>,
    /// The variant of each group, by its place.
    variants: Arc<[u8]>,
    /// How many variants there are.
    pub in_use: u8,
}

impl Default for Variants {
    /// The programme is the same for all.
    fn default() -> Self {
        Self { of: vec![None] }
    }
}

impl Variants {
    /// Gives each group a variant. There are no more groups than there may be variants.
    ///
    /// Variant 0 is for everybody of whom nothing is told. Once there are two, there are two up to the end of the broadcast.
    pub fn arrange(&mut self, cohorts: Cohorts) -> Arranged {
        let groups: Vec<(&Cohort, u32)> = cohorts.groups().collect();
        let mut variants: Vec<Option<usize>> = vec![None; groups.len()];
        let is_alone = groups.len() == 1;
        for (place, (cohort, _)) in groups.iter().enumerate() {
            let before = self.of.iter().position(|of| of.as_ref() == Some(*cohort));
            variants[place] = match **cohort == Cohort::everybody() || is_alone {
                true => Some(0),
                // The first one is free for those of whom nothing is told.
                false => before.filter(|variant| *variant > 0),
            };
        }
        let mut by_size: Vec<usize> = (0..groups.len()).collect();
        by_size.sort_by_key(|place| Reverse(groups[*place].1));
        for place in by_size {
            if variants[place].is_none() {
                variants[place] = (0..).find(|variant| !variants.contains(&Some(*variant)));
            }
        }
        let variants: Vec<usize> = variants.into_iter().flatten().collect();
        let in_use = variants.iter().map(|variant| variant + 1).max().unwrap_or(1).max(self.of.len());
        self.of = vec![None; in_use];
        for ((cohort, _), variant) in groups.iter().zip(&variants) {
            self.of[*variant] = Some((*cohort).clone());
        }
        let number = |variant: usize| u8::try_from(variant).unwrap_or(u8::MAX);
        let variants = variants.into_iter().map(number).collect();
        Arranged { cohorts: Arc::new(cohorts), variants, in_use: number(in_use) }
    }
}

impl Arranged {
    /// The variant that such a viewer gets.
    pub fn variant_of(&self, cohort: &Cohort) -> u8 {
        let place = self.cohorts.place(cohort);
        place.and_then(|place| self.variants.get(place)).copied().unwrap_or(0)
    }

    /// The variant of the group in this place.
    pub fn variant(&self, place: usize) -> u8 {
        self.variants.get(place).copied().unwrap_or(0)
    }

    /// The variants in which that group's overlay is drawn: its own. The largest group's is in those that are nobody's, too: there
    /// may be players who cannot go over.
    pub fn drawn_in(&self, place: usize) -> VariantSet {
        let own = VariantSet::one(self.variant(place));
        let sizes = self.cohorts.groups().map(|(_, count)| count).enumerate();
        let largest = sizes.min_by_key(|(place, count)| (Reverse(*count), *place)).map(|(place, _)| place);
        let nobodys =
            (0..self.in_use).filter(|variant| largest == Some(place) && !self.variants.contains(variant));
        nobodys.fold(own, VariantSet::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(country: &str) -> Cohort {
        Cohort { consent: true, country: country.parse().ok(), ..Cohort::default() }
    }

    fn grouped(audience: &[(&str, usize)], at_most: usize) -> Cohorts {
        let audience = audience.iter().flat_map(|(country, count)| {
            let cohort = if country.is_empty() { Cohort::everybody() } else { of(country) };
            std::iter::repeat_n(cohort, *count)
        });
        Cohorts::group(audience, 50, at_most)
    }

    #[test]
    fn those_of_whom_nothing_is_told_get_the_first_and_others_one_of_their_own() {
        let arranged = Variants::default().arrange(grouped(&[("", 60), ("de", 80)], 2));
        assert_eq!(arranged.in_use, 2);
        assert_eq!([Cohort::everybody(), of("de"), of("fr")].map(|who| arranged.variant_of(&who)), [0, 1, 0]);
        for place in 0..2 {
            assert_eq!(arranged.drawn_in(place), VariantSet::one(arranged.variant(place)));
        }
    }

    #[test]
    fn a_group_that_is_there_again_keeps_its_variant() {
        let mut variants = Variants::default();
        let first = variants.arrange(grouped(&[("de", 80), ("fr", 60)], 2));
        assert_eq!(
            [of("de"), of("fr")].map(|who| first.variant_of(&who)),
            [0, 1],
            "the larger has the first"
        );
        let grown = variants.arrange(grouped(&[("de", 80), ("fr", 90)], 2));
        assert_eq!([of("de"), of("fr")].map(|who| grown.variant_of(&who)), [0, 1]);
        let joined = variants.arrange(grouped(&[("", 70), ("fr", 90)], 2));
        assert_eq!([Cohort::everybody(), of("fr")].map(|who| joined.variant_of(&who)), [0, 1]);
        let replaced = variants.arrange(grouped(&[("", 70), ("it", 90)], 2));
        assert_eq!([of("fr"), of("it")].map(|who| replaced.variant_of(&who)), [0, 1]);
    }

    #[test]
    fn what_is_sold_to_the_largest_group_is_in_variants_that_are_nobodys_too() {
        let mut variants = Variants::default();
        variants.arrange(grouped(&[("", 60), ("de", 80)], 2));
        let alone = variants.arrange(grouped(&[("fr", 80)], 2));
        assert_eq!((alone.in_use, alone.variant_of(&of("fr")), alone.variant_of(&of("de"))), (2, 0, 0));
        assert_eq!(alone.drawn_in(0), VariantSet::one(0).with(1));

        let mut variants = Variants::default();
        variants.arrange(grouped(&[("", 60), ("de", 80), ("fr", 70)], 3));
        let two = variants.arrange(grouped(&[("", 60), ("fr", 70)], 3));
        assert_eq!((two.variant_of(&of("fr")), two.in_use), (2, 3));
        assert_eq!(two.drawn_in(1), VariantSet::one(2).with(1));
        assert_eq!(two.drawn_in(0), VariantSet::one(0));
    }

    #[test]
    fn an_audience_of_few_is_not_parted() {
        let arranged = Variants::default().arrange(grouped(&[("de", 30), ("fr", 40)], 2));
        assert_eq!((arranged.in_use, arranged.cohorts.groups().count()), (1, 1));
        assert_eq!(arranged.drawn_in(0), VariantSet::one(0));
    }
}
