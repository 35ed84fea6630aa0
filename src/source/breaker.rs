//! The circuit breaker in front of what a source reads from, the same for all kinds.
//!
//! It is closed while attempts succeed. A failure opens it: nothing is asked before a pause is over, which doubles with every
//! failure up to a bound. Then one attempt decides: it closes the breaker, or opens it again for longer. How often it
//! failed and when it is tried again stands in the source's state ([`SourceHealth::Retrying`]).

use std::time::{Duration, Instant};

use rand::Rng;

use crate::change::SourceHealth;

/// The breaker of one source.
#[derive(Debug, Clone)]
pub(super) struct Breaker {
    shortest: Duration,
    longest: Duration,
    failures: u32,
    next: Instant,
}

impl Breaker {
    /// A closed one, whose pauses are between these two.
    pub(super) fn new(shortest: Duration, longest: Duration) -> Breaker {
        Breaker { shortest, longest, failures: 0, next: Instant::now() }
    }

    /// An attempt succeeded.
    pub(super) fn close(&mut self) {
        self.failures = 0;
    }

    /// An attempt failed.
    pub(super) fn open(&mut self) {
        let doubled = self.shortest.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        self.next = Instant::now() + jittered(doubled.min(self.longest));
    }

    /// It failed for what a person has to mend; the next one comes after about `pause`.
    #[cfg(any(feature = "kafka", feature = "postgres"))]
    pub(super) fn open_for(&mut self, pause: Duration) {
        self.failures = self.failures.saturating_add(1);
        self.next = Instant::now() + jittered(pause);
    }

    /// When the next attempt is due.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// The state of a source that is not reached for this reason.
    pub(super) fn retrying(&self, reason: String) -> SourceHealth {
        SourceHealth::Retrying { reason, attempts: self.failures, next: self.next }
    }
}

/// Between half and all of `time`: many that lost one server must not all come back at once.
pub(super) fn jittered(time: Duration) -> Duration {
    time.mul_f64(rand::rng().random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_begin_anew_after_a_success() {
        let (shortest, longest) = (Duration::from_secs(10), Duration::from_secs(100));
        let mut breaker = Breaker::new(shortest, longest);
        assert!(breaker.next() <= Instant::now());
        for round in 0..2 {
            for (failure, pause) in [10, 20, 40, 80, 100, 100].into_iter().enumerate() {
                let (before, pause) = (Instant::now(), Duration::from_secs(pause));
                breaker.open();
                let after = Instant::now();
                assert!(breaker.next() >= before + pause / 2 && breaker.next() <= after + pause, "{round}: {pause:?}");
                let SourceHealth::Retrying { attempts, next, reason } = breaker.retrying("away".into()) else {
                    unreachable!("it is tried again")
                };
                assert_eq!((attempts as usize, next, reason.as_str()), (failure + 1, breaker.next(), "away"));
            }
            breaker.close();
        }
        (0..100).for_each(|_| breaker.open());
        assert!(breaker.next() <= Instant::now() + longest);
    }
}
