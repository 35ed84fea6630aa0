//! Skew: few products are looked at, bought and repriced much more often than the rest.
//!
//! Ranks follow a continuous power law close to Zipf's, sampled by inverting its distribution: no table, so a
//! sampler over millions of products costs nothing to make.

use rand::Rng;
use rand::rngs::SmallRng;

/// Popularity falls with rank^-EXPONENT, as measured for web shops.
const EXPONENT: f64 = 1.08;

/// Scatters the ranks over the ids; a prime, so that it has no factor in common with the number of ids.
const SCATTER: u64 = 2_654_435_761;

/// Samples ids from 1 to n.
#[derive(Debug, Clone, Copy)]
pub struct Skew {
    ids: u64,
    /// n^(1-s) - 1, the weight of the whole distribution.
    span: f64,
}

impl Skew {
    /// A sampler of ids from 1 to `ids`.
    pub fn new(ids: i64) -> Skew {
        let ids = u64::try_from(ids).unwrap_or(0).max(1);
        Skew { ids, span: (ids as f64 + 1.0).powf(1.0 - EXPONENT) - 1.0 }
    }

    /// The next id.
    pub fn sample(&self, random: &mut SmallRng) -> i64 {
        let uniform: f64 = random.random();
        let rank = (uniform * self.span + 1.0).powf(1.0 / (1.0 - EXPONENT)) as u64;
        self.scatter(rank.clamp(1, self.ids) - 1)
    }

    /// The id of the product with this rank (0 is the most popular).
    pub fn scatter(&self, rank: u64) -> i64 {
        let scattered = u128::from(rank) * u128::from(SCATTER) % u128::from(self.ids);
        i64::try_from(scattered).unwrap_or(0) + 1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::SeedableRng;

    use super::*;

    #[test]
    fn ranks_are_scattered_over_all_ids() {
        let skew = Skew::new(1000);
        let ids: HashSet<i64> = (0..1000).map(|rank| skew.scatter(rank)).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| (1..=1000).contains(id)));
    }

    #[test]
    fn the_first_tenth_gets_most_of_the_samples() {
        let skew = Skew::new(10_000);
        let popular: HashSet<i64> = (0..1000).map(|rank| skew.scatter(rank)).collect();
        let mut random = SmallRng::seed_from_u64(1);
        let hits = (0..10_000).filter(|_| popular.contains(&skew.sample(&mut random))).count();
        assert!((7000..9500).contains(&hits), "{hits}");
    }
}
