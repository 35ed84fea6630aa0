//! Latencies: every sample is kept, so that a quantile is a sample and not an estimate.

use std::time::Duration;

/// Samples of one kind.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    samples: Vec<Duration>,
}

/// The figures of some samples, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Quantiles {
    /// How many samples there were.
    pub samples: usize,
    /// The median.
    pub p50_us: f64,
    /// 99 in 100 are not above this.
    pub p99_us: f64,
    /// The greatest.
    pub max_us: f64,
}

impl Latencies {
    /// None yet.
    pub fn new() -> Latencies {
        Latencies::default()
    }

    /// Adds one.
    pub fn push(&mut self, sample: Duration) {
        self.samples.push(sample);
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: Latencies) {
        self.samples.extend(other.samples);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The figures; `None` without samples.
    pub fn quantiles(mut self) -> Option<Quantiles> {
        self.samples.sort_unstable();
        let last = self.samples.len().checked_sub(1)?;
        let at = |share: f64| self.samples[(last as f64 * share).ceil() as usize].as_secs_f64() * 1e6;
        Some(Quantiles { samples: last + 1, p50_us: at(0.5), p99_us: at(0.99), max_us: at(1.0) })
    }
}

impl Quantiles {
    /// A time in the unit a person would choose.
    pub fn readable(us: f64) -> String {
        match us {
            us if us < 100.0 => format!("{us:.1} µs"),
            us if us < 10_000.0 => format!("{us:.0} µs"),
            us => format!("{:.1} ms", us / 1000.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.clone().quantiles(), None);
        (1..=101).rev().for_each(|us| latencies.push(Duration::from_micros(us)));
        let quantiles = latencies.quantiles().unwrap();
        assert_eq!((quantiles.samples, quantiles.p50_us, quantiles.p99_us), (101, 51.0, 100.0));
        assert_eq!(quantiles.max_us, 101.0);
    }
}
