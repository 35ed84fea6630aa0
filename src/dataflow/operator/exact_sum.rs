//! Exact sums: integers in 192 bits, doubles in a superaccumulator, so that taking values back leaves no trace.
//!
//! The sum of doubles is a signed integer in units of 2^-1074; only the limbs in use are kept. Equal sums have equal
//! bytes however they came about, so a group that returns to what it was is unchanged.

/// A sum of `i128`s that cannot overflow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct IntegerSum {
    pub(crate) low: u128,
    pub(crate) high: i64,
}

impl IntegerSum {
    /// Adds `value`, or takes it back.
    pub(crate) fn add(&mut self, value: i128, insert: bool) {
        let sign = if value < 0 { -1 } else { 0 };
        if insert {
            let (low, carry) = self.low.overflowing_add(value as u128);
            (self.low, self.high) = (low, self.high + sign + i64::from(carry));
        } else {
            let (low, borrow) = self.low.overflowing_sub(value as u128);
            (self.low, self.high) = (low, self.high - sign - i64::from(borrow));
        }
    }

    /// The sum, if it fits.
    pub(crate) fn total(&self) -> Option<i128> {
        let low = self.low as i128;
        (self.high == if low < 0 { -1 } else { 0 }).then_some(low)
    }
}

/// An exact sum of finite doubles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FloatSum {
    /// Two's complement, least limb first; `limbs[0]` counts 2^(64 × base − 1074).
    pub(crate) limbs: Vec<u64>,
    pub(crate) base: usize,
}

impl FloatSum {
    /// Adds a finite `value`, or takes it back.
    pub(crate) fn add(&mut self, value: f64, insert: bool) {
        let bits = value.to_bits();
        let exponent = (bits >> 52 & 0x7FF) as usize;
        let fraction = bits & ((1 << 52) - 1);
        let mantissa = if exponent == 0 { fraction } else { fraction | 1 << 52 };
        if mantissa == 0 {
            return;
        }
        let shift = exponent.max(1) - 1;
        let wide = u128::from(mantissa) << (shift % 64);
        self.cover(shift / 64);
        let at = shift / 64 - self.base;
        let negative = (bits >> 63 == 1) == insert;
        let parts = [wide as u64, (wide >> 64) as u64];
        let mut carry = false;
        for (offset, limb) in self.limbs[at..].iter_mut().enumerate() {
            let part = parts.get(offset).copied().unwrap_or(0);
            let (first, second);
            if negative {
                (*limb, first) = limb.overflowing_sub(part);
                (*limb, second) = limb.overflowing_sub(u64::from(carry));
            } else {
                (*limb, first) = limb.overflowing_add(part);
                (*limb, second) = limb.overflowing_add(u64::from(carry));
            }
            carry = first | second;
        }
        self.trim();
    }

    /// The nearest double; infinite when beyond all doubles.
    pub(crate) fn total(&self) -> f64 {
        let negative = self.limbs.last().is_some_and(|it| it >> 63 == 1);
        let mut magnitude = self.limbs.clone();
        if negative {
            let mut carry = true;
            for limb in &mut magnitude {
                (*limb, carry) = (!*limb).overflowing_add(u64::from(carry));
            }
        }
        let Some(top) = magnitude.iter().rposition(|it| *it != 0) else { return 0.0 };
        let bit = top * 64 + 63 - magnitude[top].leading_zeros() as usize;
        let value = round(&magnitude, bit, self.base * 64);
        if negative { -value } else { value }
    }

    /// Makes room for a value whose least limb is number `limb`, and for a carry and a sign beyond it.
    fn cover(&mut self, limb: usize) {
        if self.limbs.is_empty() {
            self.base = limb;
        }
        if limb < self.base {
            self.limbs.splice(0..0, std::iter::repeat_n(0, self.base - limb));
            self.base = limb;
        }
        let sign = self.limbs.last().map_or(0, |it| if it >> 63 == 1 { u64::MAX } else { 0 });
        let length = self.limbs.len().max(limb - self.base + 2) + 1;
        self.limbs.resize(length, sign);
    }

    /// The shortest form: no zero limbs below, no limbs above that only repeat the sign.
    fn trim(&mut self) {
        while let [.., below, top] = self.limbs[..] {
            let sign = if below >> 63 == 1 { u64::MAX } else { 0 };
            if top != sign {
                break;
            }
            self.limbs.pop();
        }
        let zeros = self.limbs.iter().take_while(|it| **it == 0).count();
        self.limbs.drain(..zeros);
        self.base = if self.limbs.is_empty() { 0 } else { self.base + zeros };
    }
}

/// The double nearest to `magnitude` × 2^(`offset` − 1074), whose highest set bit is number `bit`; ties to even.
fn round(magnitude: &[u64], bit: usize, offset: usize) -> f64 {
    let get = |at: usize| magnitude[at / 64] >> (at % 64) & 1;
    // The lowest bit a double can hold: 52 below the highest, but never below 2^-1074, which is bit −offset here.
    let lowest = bit.saturating_sub(52);
    let mut mantissa = (lowest..=bit).rev().fold(0u64, |sum, at| sum << 1 | get(at));
    if lowest > 0 && get(lowest - 1) == 1 {
        let sticky = (0..lowest - 1).any(|at| get(at) == 1);
        mantissa += u64::from(sticky || mantissa & 1 == 1);
    }
    // Two exact steps, since 2^-1074 times a large power would overflow on the way.
    let power = (lowest + offset) as i32 - 1074;
    let first = power.clamp(-1022, 971);
    mantissa as f64 * 2f64.powi(first) * 2f64.powi(power - first)
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn integers_pass_the_limits_and_come_back() {
        let mut sum = IntegerSum::default();
        sum.add(i128::MAX, true);
        sum.add(i128::MAX, true);
        assert_eq!(sum.total(), None);
        sum.add(i128::MAX, false);
        assert_eq!(sum.total(), Some(i128::MAX));
        sum.add(i128::MIN, true);
        assert_eq!(sum.total(), Some(-1));
        sum.add(-1, false);
        assert_eq!(sum, IntegerSum::default());
    }

    #[test]
    fn doubles_are_summed_exactly() {
        let total = |values: &[f64]| {
            let mut sum = FloatSum::default();
            values.iter().for_each(|it| sum.add(*it, true));
            sum.total()
        };
        assert_eq!(total(&[1e100, 1.0, -1e100]), 1.0);
        assert_eq!(total(&[0.1, 0.2, 0.3]), 0.6);
        assert_eq!(total(&[f64::MAX, f64::MAX]), f64::INFINITY);
        assert_eq!(total(&[f64::MAX, f64::MAX, -f64::MAX]), f64::MAX);
        assert_eq!(total(&[5e-324, 5e-324]), 1e-323);
        assert_eq!(total(&[-2.5]), -2.5);
        assert_eq!(total(&[1.0, f64::EPSILON / 2.0]), 1.0);
        assert_eq!(total(&[1.0, f64::EPSILON / 2.0, 1e-300]), 1.0 + f64::EPSILON);
    }

    #[test]
    fn taking_back_leaves_no_trace() {
        for seed in 0..200 {
            let mut random = SmallRng::seed_from_u64(seed);
            let mut value = || f64::from_bits(random.random::<u64>());
            let values: Vec<f64> = std::iter::repeat_with(&mut value).filter(|it| it.is_finite()).take(20).collect();
            let mut sum = FloatSum::default();
            values[..5].iter().for_each(|it| sum.add(*it, true));
            let before = sum.clone();
            values[5..].iter().for_each(|it| sum.add(*it, true));
            values[5..].iter().rev().for_each(|it| sum.add(*it, false));
            assert_eq!(sum, before, "seed {seed}");
            values[..5].iter().for_each(|it| sum.add(*it, false));
            assert_eq!(sum, FloatSum::default(), "seed {seed}");
            let mut one = FloatSum::default();
            one.add(values[0], true);
            assert_eq!(one.total(), values[0], "seed {seed}");
        }
    }
}
