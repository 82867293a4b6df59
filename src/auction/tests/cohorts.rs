//! Nobody is told apart in a group of fewer than k.

use super::*;
use crate::random::Random;

fn viewer(country: &str, device: Device) -> Cohort {
    Cohort { country: country.parse().ok(), device: Some(device), language: None, ..cohort() }
}

fn grouped(audience: &[(Cohort, usize)], k: u32) -> Cohorts {
    let viewers = audience.iter().flat_map(|(viewer, count)| std::iter::repeat_n(viewer.clone(), *count));
    Cohorts::group(viewers, k, 256)
}

fn names(cohorts: &Cohorts) -> Vec<(String, u32)> {
    cohorts.groups().map(|(cohort, count)| (cohort.to_string(), count)).collect()
}

#[test]
fn small_groups_merge_into_their_parents() {
    let (phone, tv) = (Device::Phone, Device::Tv);
    let audience = [
        (viewer("de", phone), 60),
        (viewer("de", tv), 30),
        (viewer("at", phone), 40),
        (viewer("at", tv), 30),
    ];
    let cohorts = grouped(&audience, 50);
    // The televisions of Germany are too few, and so are those and the phones of Austria: 30 are a rest that takes in
    // the smallest group until it is large enough.
    assert_eq!(names(&cohorts), [("*".to_owned(), 90), ("at/*/*".to_owned(), 70)]);
    let of = |viewer: &Cohort| cohorts.place(viewer);
    assert_eq!((of(&audience[0].0), of(&audience[1].0), of(&audience[2].0)), (Some(0), Some(0), Some(1)));
    assert_eq!(of(&viewer("ch", tv)), Some(0), "who comes too late is in the nearest one");
}

#[test]
fn an_audience_below_k_is_one_group_of_which_nothing_is_told() {
    let cohorts = grouped(&[(viewer("de", Device::Phone), 30), (viewer("at", Device::Tv), 19)], 50);
    assert_eq!(names(&cohorts), [("*".to_owned(), 49)]);
    assert_eq!(cohorts.groups().next().unwrap().0, &Cohort::everybody());
    assert_eq!(grouped(&[], 50).groups().count(), 0);
}

#[test]
fn an_audience_of_strangers_is_grouped_at_once() {
    // Pages that make up a tag for every viewer must cost no more than the viewers.
    let stranger = |number: u32| Cohort { tags: BTreeSet::from([number.to_string().into()]), ..cohort() };
    let cohorts = Cohorts::group((0..50_000).map(stranger), 50, 256);
    assert_eq!(names(&cohorts), [("at/en/phone".to_owned(), 50_000)]);
    assert_eq!(cohorts.place(&stranger(7)), Some(0));
    let none = Cohorts::group([], 50, 256);
    assert_eq!(none.place(&stranger(7)), None);
}

#[test]
fn without_consent_nothing_is_told() {
    let silent = Cohort { consent: false, ..viewer("de", Device::Phone) };
    let cohorts = grouped(&[(silent.clone(), 100), (viewer("de", Device::Phone), 100)], 50);
    assert_eq!(names(&cohorts), [("*".to_owned(), 100), ("de/*/phone".to_owned(), 100)]);
    assert_eq!(cohorts.place(&silent), Some(0));
}

#[test]
fn whatever_the_audience_no_group_is_below_k_and_everybody_is_in_one() {
    let mut random = Random::new(1);
    for _ in 0..300 {
        let audience: Vec<(Cohort, usize)> = (0..random.below(25))
            .map(|_| {
                let mut viewer = viewer(["de", "at", "ch", "?"][random.below(4)], Device::Phone);
                viewer.consent = random.below(4) > 0;
                viewer.device = [None, Some(Device::Tv), Some(Device::Phone)][random.below(3)];
                viewer.tags = if random.below(3) == 0 { words(["news"]) } else { words([]) };
                (viewer, random.below(120))
            })
            .collect();
        let (k, at_most) = (1 + random.below(100) as u32, 1 + random.below(8));
        let viewers = audience.iter().flat_map(|(viewer, count)| std::iter::repeat_n(viewer.clone(), *count));
        let cohorts = Cohorts::group(viewers, k, at_most);
        let all: usize = audience.iter().map(|(_, count)| count).sum();
        let groups: Vec<(&Cohort, u32)> = cohorts.groups().collect();
        assert_eq!(groups.iter().map(|(_, count)| *count as usize).sum::<usize>(), all);
        assert!(groups.len() <= at_most.max(1));
        if all < k as usize {
            assert!(groups.iter().all(|(cohort, _)| **cohort == Cohort::everybody()));
        } else {
            assert!(groups.iter().all(|(_, count)| *count >= k), "{groups:?} below {k}");
        }
        for (viewer, count) in audience.iter().filter(|(_, count)| *count > 0) {
            let place = cohorts.place(viewer).unwrap_or_else(|| panic!("{count} are nowhere"));
            let told = groups[place].0;
            assert!(told.country.is_none() || told.country == viewer.country, "nobody is told to be another");
            assert!(!told.consent || viewer.consent);
        }
    }
}
