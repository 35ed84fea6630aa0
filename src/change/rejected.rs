//! Messages that no table could be made of, kept for people to look at.

use std::collections::VecDeque;

/// A message that was left out of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The place in the partition.
    pub offset: i64,
    /// Why it cannot be read.
    pub reason: String,
    /// Its key, if it has one.
    pub key: Option<Excerpt>,
    /// Its value, if it has one.
    pub value: Option<Excerpt>,
}

/// The beginning of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The first [`Excerpt::LENGTH`] of them at most.
    pub bytes: Vec<u8>,
    /// How many there are.
    pub length: usize,
}

/// What was left out of one table since the process started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejections {
    /// How many messages.
    pub count: u64,
    /// The last ones of them, at most [`Rejections::KEPT`], in the order in which they were read.
    pub last: VecDeque<Rejected>,
}

impl Excerpt {
    /// How many bytes are kept.
    pub const LENGTH: usize = 1024;

    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Excerpt {
        Excerpt { bytes: bytes[..bytes.len().min(Excerpt::LENGTH)].to_vec(), length: bytes.len() }
    }
}

impl Rejections {
    /// How many messages are kept.
    pub const KEPT: usize = 100;

    /// One more.
    pub fn add(&mut self, rejected: Rejected) {
        self.count += 1;
        self.last.push_back(rejected);
        if self.last.len() > Rejections::KEPT {
            self.last.pop_front();
        }
    }

    /// Those that came behind these.
    pub fn extend(&mut self, later: Rejections) {
        let count = self.count + later.count;
        later.last.into_iter().for_each(|it| self.add(it));
        self.count = count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(offset: i64) -> Rejected {
        let (topic, reason) = ("t".into(), "no JSON".into());
        Rejected { topic, partition: 0, offset, reason, key: None, value: Some(Excerpt::of(&[b'x'; 3000])) }
    }

    #[test]
    fn all_are_counted_and_the_last_ones_kept() {
        let mut all = Rejections::default();
        for batch in 0..5 {
            let mut later = Rejections::default();
            (0..150).for_each(|it| later.add(rejected(batch * 150 + it)));
            all.extend(later);
        }
        assert_eq!((all.count, all.last.len()), (750, Rejections::KEPT));
        assert_eq!((all.last[0].offset, all.last[99].offset), (650, 749));
        let value = all.last[0].value.as_ref().expect("a value");
        assert_eq!((value.bytes.len(), value.length), (Excerpt::LENGTH, 3000));
    }
}
