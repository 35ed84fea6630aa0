//! A Bloom filter over the heads of a run's keys, so that a reader passes over the runs that do not have its key.

use super::run::Head;

/// Bits for each key; with two of them set, about one miss in twenty is searched for in vain.
const BITS_PER_KEY: usize = 8;

/// Runs shorter than this are searched as fast as a filter is asked.
const KEYS_MIN: usize = 2048;

/// Which heads a run may hold.
#[derive(Debug, Default)]
pub(super) struct Filter {
    /// Their number is a power of two, or zero where there is no filter.
    words: Vec<u64>,
}

impl Filter {
    /// The filter of a run with these heads; none for a short run.
    pub(super) fn new(heads: impl ExactSizeIterator<Item = Head>) -> Filter {
        if heads.len() < KEYS_MIN {
            return Filter::default();
        }
        let mut words = vec![0; (heads.len() * BITS_PER_KEY / 64).next_power_of_two()];
        for head in heads {
            let (at, bits) = place(head, words.len());
            words[at] |= bits;
        }
        Filter { words }
    }

    /// Whether a run with this filter may hold a key with this head; `false` is certain.
    #[inline]
    pub(super) fn may_hold(&self, head: Head) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let (at, bits) = place(head, self.words.len());
        self.words[at] & bits == bits
    }
}

/// The word of a head and its two bits there: one cache line is read.
#[inline]
fn place(head: Head, words: usize) -> (usize, u64) {
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        (product >> 64) as u64 ^ product as u64
    };
    let hash = fold(head[0] ^ 0x9E37_79B9_7F4A_7C15, head[1] ^ 0xC2B2_AE3D_27D4_EB4F);
    let hash = fold(hash ^ head[2] ^ 0x1656_67B1_9E37_79F9, 0x9E37_79B9_7F4A_7C15);
    let bits = 1 << (hash >> 58) | 1 << (hash >> 52 & 63);
    ((hash >> 8) as usize & (words - 1), bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::RelationId;
    use crate::store::run::head_of;

    #[test]
    fn no_key_is_missed_and_few_strangers_pass() {
        let head = |number: u64| {
            let mut key = vec![2];
            key.extend_from_slice(&(number | 1 << 63).to_be_bytes());
            head_of(RelationId(7), &key)
        };
        let filter = Filter::new((0..50_000usize).map(|number| head(number as u64 * 3)));
        assert!((0..50_000).all(|number| filter.may_hold(head(number * 3))));
        let strangers = (0..50_000).filter(|number| filter.may_hold(head(number * 3 + 1))).count();
        assert!(strangers < 6_000, "{strangers} of 50000 pass");
    }

    #[test]
    fn a_short_run_has_none() {
        let filter = Filter::new((0..10usize).map(|number| [number as u64, 0, 0]));
        assert!(filter.may_hold([99, 99, 99]));
    }
}
