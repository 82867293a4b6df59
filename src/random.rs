//! Seeded randomness: who is given the same seed and the same events does the same.

/// SplitMix64. Good enough to choose jurors, samples and winners of a tie, and no secret comes from it.
#[derive(Clone, Debug)]
pub struct Random(u64);

/// The step of the sequence: 2^64 divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// The sequence of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number below `bound`, which is not zero; the bias is below 2^-32 for the bounds used here.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound.max(1) as u128) >> 64) as usize
    }

    /// `count` of the candidates in random order, all equally likely; all of them when there are fewer.
    pub fn choose<T>(&mut self, mut candidates: Vec<T>, count: usize) -> Vec<T> {
        let count = count.min(candidates.len());
        for place in 0..count {
            let other = place + self.below(candidates.len() - place);
            candidates.swap(place, other);
        }
        candidates.truncate(count);
        candidates
    }
}

/// Spreads a number over all 64 bits; the same number gives the same result.
pub const fn mix(number: u64) -> u64 {
    let mut z = number;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_candidate_is_chosen_about_as_often() {
        let mut random = Random::new(7);
        let mut chosen = [0_u32; 20];
        for _ in 0..4000 {
            for candidate in random.choose((0..20).collect(), 5) {
                chosen[candidate] += 1;
            }
        }
        assert!(chosen.iter().all(|count| (900..1100).contains(count)), "{chosen:?}");
        assert_eq!(random.choose(vec![1, 2], 5).len(), 2);
    }
}
