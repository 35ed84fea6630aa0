//! One topic as it is read: its partitions with how far each was read, and the tables that are made of it.

use crate::change::TableId;
use crate::source::format::Reader;

/// A topic of the source.
#[derive(Debug)]
pub(super) struct Topic {
    /// Its name.
    pub(super) name: String,
    /// By number; empty while the topic is not there.
    pub(super) partitions: Vec<Partition>,
    /// What is made of its messages.
    pub(super) tables: Vec<Table>,
    /// Why nothing of it is read now. Its places stay where they are.
    pub(super) held: Option<String>,
    /// Whether that is because it is not there, which may change.
    pub(super) is_missing: bool,
}

/// A table of the topic.
#[derive(Debug)]
pub(super) struct Table {
    /// Its number in the catalog.
    pub(super) id: TableId,
    /// Makes changes of messages.
    pub(super) reader: Reader,
    /// Whether it is being copied: then every message is for it, and else only what the places do not cover.
    pub(super) is_copied: bool,
    /// Whether a message that cannot be read is left out.
    pub(super) skips_errors: bool,
    /// Why its copy was given up.
    pub(super) given_up: Option<String>,
}

/// One partition.
#[derive(Debug)]
pub(super) struct Partition {
    /// The offset of the next message to be read.
    pub(super) next: i64,
    /// Tables that are followed know all messages below this one.
    pub(super) known: i64,
    /// Where a copy ends: the end of the log when it began. It is `first` when there is nothing to copy.
    pub(super) target: i64,
    /// The end of the log when it was last asked for.
    pub(super) end: i64,
    /// Where reading began.
    pub(super) first: i64,
    /// What was made of everything below this one was handed on. Messages between it and `next` wait for others.
    pub(super) passed: i64,
    /// Of the last message that was handed on; none when what is at the place is no message.
    pub(super) digest: Option<i64>,
    /// The digest that the message at `known - 1` has to have, until it was seen.
    pub(super) expected: Option<i64>,
    /// Whether more was handed on since this was last told.
    pub(super) is_moved: bool,
    /// When its end was last asked for and it was behind: what was to be read next, and how often nothing had been waiting.
    pub(super) behind: Option<(i64, u64)>,
}

/// How a partition gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It does.
    Fine,
    /// What is to be read next was deleted.
    Lost,
    /// What is to be read next is there, nothing else is waiting, and it does not come.
    Stuck,
}

impl Topic {
    /// Whether a copy has come to the end that the topic had at its beginning.
    pub(super) fn is_copied(&self) -> bool {
        self.held.is_some() || self.partitions.iter().all(|it| it.next >= it.target)
    }

    /// Whether everything is read that was there when the ends were last asked for.
    pub(super) fn is_current(&self) -> bool {
        self.held.is_some() || self.partitions.iter().all(|it| it.next >= it.end)
    }

    /// How many messages of a copy were read, and how many there are.
    pub(super) fn progress(&self) -> (u64, u64) {
        let count = |from: i64, to: i64| u64::try_from(to - from).expect("a copy ends behind its beginning");
        self.partitions.iter().fold((0, 0), |(read, all), it| {
            (read + count(it.first, it.next.min(it.target)), all + count(it.first, it.target))
        })
    }
}

impl Partition {
    /// Whether what is held was read from another log: the message at the place of the position is a different one.
    pub(super) fn is_other(&mut self, offset: i64, digest: i64) -> bool {
        if offset < self.known - 1 {
            return false;
        }
        // A message behind it says nothing: the one at the place was compacted away, or is no message.
        let expected = self.expected.take();
        offset == self.known - 1 && expected.is_some_and(|it| it != digest)
    }

    /// Learns where the log begins and ends now, when nothing was waiting `idles` times so far.
    pub(super) fn check(&mut self, low: i64, high: i64, idles: u64) -> Progress {
        self.end = high;
        if self.next < low {
            return Progress::Lost;
        }
        let before = self.behind.take();
        if self.next >= high {
            return Progress::Fine;
        }
        self.behind = Some((self.next, idles));
        // A message that waits behind others is none that does not come.
        match before {
            Some((next, then)) if next == self.next && idles > then => Progress::Stuck,
            _ => Progress::Fine,
        }
    }

    /// What was made of everything up to `offset` is handed on; its digest is that of the message there, if there is one.
    pub(super) fn pass(&mut self, offset: i64, digest: Option<i64>) {
        self.passed = offset + 1;
        if self.passed >= self.known {
            self.digest = digest;
        }
        self.is_moved = true;
    }

    /// Everything below `next` was read, of which the last is no message; whether nothing of it waits.
    pub(super) fn skip_to(&mut self, next: i64, is_free: bool) {
        self.next = self.next.max(next);
        if is_free && self.passed < self.next {
            self.pass(self.next - 1, None);
        }
    }

    /// The offset of the last message that every table that is followed knows.
    pub(super) fn place(&self) -> Option<u64> {
        u64::try_from(self.passed.max(self.known) - 1).ok()
    }
}

/// How the places of a topic and its log fit together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fit {
    /// The log goes on from there.
    Continues,
    /// The log begins behind it: so many messages are gone.
    Gap {
        /// The partition.
        partition: i32,
        /// What was to be read next.
        next: i64,
        /// Where the log begins now.
        low: i64,
    },
    /// The log ends before it: it is another one.
    Other {
        /// What of it is not as it was.
        evidence: String,
    },
}

/// Whether a log from `low` to `high` goes on from `next`.
pub(super) fn fit(partition: i32, next: i64, low: i64, high: i64) -> Fit {
    if next < low {
        Fit::Gap { partition, next, low }
    } else if next > high {
        let evidence = format!("partition {partition} was read up to {}, and ends at {} now", next - 1, high - 1);
        Fit::Other { evidence }
    } else {
        Fit::Continues
    }
}

impl Fit {
    /// What is wrong and what to do.
    pub(super) fn reason(&self, topic: &str) -> Option<String> {
        let cure = "its tables stand where they are; where the topic still holds every row (it is compacted, or nothing \
                    expires), on_gap = 'resync' has them copied again as a difference";
        match self {
            Fit::Continues => None,
            Fit::Gap { partition, next, low } => {
                let lost = low - next;
                let messages = crate::change::counted(usize::try_from(lost).unwrap_or(usize::MAX), "message");
                Some(format!(
                    "gap: {messages} of topic \"{topic}\" (partition {partition}, offsets {next} to {}) were deleted \
                     before they were read; {cure}",
                    low - 1
                ))
            }
            Fit::Other { evidence } => {
                Some(format!("gap: topic \"{topic}\" was created anew or is another one: {evidence}; {cure}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_goes_on_from_anywhere_between_its_ends() {
        for (next, expected) in [(5, true), (7, true), (9, true), (4, false), (10, false)] {
            assert_eq!(fit(0, next, 5, 9) == Fit::Continues, expected, "{next}");
        }
        let reason = fit(3, 17, 40, 50).reason("orders").expect("a gap");
        assert!(reason.contains("23 messages of topic \"orders\" (partition 3, offsets 17 to 39)"), "{reason}");
    }

    #[test]
    fn a_partition_that_is_behind_and_gets_nothing_is_stuck() {
        let mut it = partition(None);
        assert_eq!(it.check(0, 9, 0), Progress::Fine);
        // Behind for the first time; then nothing was waiting and it is as far behind.
        assert_eq!(it.check(0, 12, 5), Progress::Fine);
        assert_eq!(it.check(0, 12, 6), Progress::Stuck);
        // An engine that is slow leaves messages waiting.
        assert_eq!(it.check(0, 12, 6), Progress::Fine);
        it.next = 10;
        assert_eq!(it.check(0, 12, 9), Progress::Fine);
        assert_eq!(it.check(11, 12, 10), Progress::Lost);
    }

    fn partition(expected: Option<i64>) -> Partition {
        Partition {
            next: 9,
            known: 10,
            target: 9,
            end: 9,
            first: 9,
            passed: 9,
            digest: None,
            expected,
            is_moved: false,
            behind: None,
        }
    }

    #[test]
    fn the_message_at_the_place_tells_whether_the_log_is_the_same() {
        for (expected, offset, digest, is_other) in [
            (Some(7), 9, 7, false),
            (Some(7), 9, 8, true),
            (Some(7), 10, 8, false),
            (Some(7), 3, 8, false),
            (None, 9, 8, false),
        ] {
            assert_eq!(partition(expected).is_other(offset, digest), is_other);
        }
    }
}
