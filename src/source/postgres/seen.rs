//! Which transactions a copy has seen. What they did is in its rows, so their changes are passed over when they come with
//! the stream; all others are applied.
//!
//! Places in the log cannot tell this: a transaction is visible a moment after its place in the log is settled, and with
//! synchronous replication much later. Its number and PostgreSQL's own snapshot can.

/// A snapshot as `pg_current_snapshot()` writes it: `xmin:xmax:in,progress`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// All before this one had ended.
    oldest: u64,
    /// This one and all after it had not begun.
    next: u64,
    in_progress: Vec<u64>,
}

impl Seen {
    /// Reads the text.
    pub(super) fn parse(text: &str) -> Option<Seen> {
        let mut parts = text.split(':');
        let mut number = || parts.next()?.parse().ok();
        let (oldest, next) = (number()?, number()?);
        let in_progress = parts.next()?.split(',').filter(|it| !it.is_empty()).map(|it| it.parse().ok());
        Some(Seen { oldest, next, in_progress: in_progress.collect::<Option<_>>()? })
    }

    /// Whether the transaction with this number, which has committed since, was over then.
    pub(super) fn has(&self, number: u32) -> bool {
        let number = self.whole(number);
        number < self.oldest || number < self.next && !self.in_progress.contains(&number)
    }

    /// The stream counts transactions with 32 bits only; it is the one that is nearest.
    fn whole(&self, number: u32) -> u64 {
        let distance = number.wrapping_sub(self.next as u32) as i32;
        self.next.saturating_add_signed(i64::from(distance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_has_what_was_over() {
        let seen = Seen::parse("100:105:100,103").unwrap();
        let over: Vec<u32> = (98..107).filter(|it| seen.has(*it)).collect();
        assert_eq!(over, [98, 99, 101, 102, 104]);
        assert_eq!(Seen::parse("7:7:").unwrap(), Seen { oldest: 7, next: 7, in_progress: vec![] });
        assert_eq!((Seen::parse("7"), Seen::parse("7:8:x")), (None, None));
    }

    #[test]
    fn numbers_go_round() {
        let seen = Seen::parse("8589934590:8589934595:8589934591").unwrap();
        let low = |it: u64| it as u32;
        assert!(seen.has(low(8_589_934_592)) && seen.has(low(8_589_934_580)));
        assert!(!seen.has(low(8_589_934_591)) && !seen.has(low(8_589_934_595)) && !seen.has(low(8_589_934_600)));
    }
}
