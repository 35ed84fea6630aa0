//! One message of a log, as whatever carries it hands it over, and why one cannot be read.

use std::fmt;

use crate::change::text::bytes::write_hex;

/// A message, borrowed from its carrier.
#[derive(Debug, Clone, Copy)]
pub(in crate::source) struct Message<'a> {
    /// The topic.
    pub(in crate::source) topic: &'a str,
    /// The partition.
    pub(in crate::source) partition: i32,
    /// The place in the partition.
    pub(in crate::source) offset: i64,
    /// In milliseconds since 1970.
    pub(in crate::source) timestamp_ms: Option<i64>,
    /// The key.
    pub(in crate::source) key: Option<&'a [u8]>,
    /// The value; none is a tombstone.
    pub(in crate::source) value: Option<&'a [u8]>,
    /// Names and values of the headers.
    pub(in crate::source) headers: &'a [(&'a str, Option<&'a [u8]>)],
    /// How many partitions the topic has.
    pub(in crate::source) partitions: usize,
}

impl<'a> Message<'a> {
    /// The value of the last header of this name.
    pub(super) fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.iter().rev().find(|it| it.0 == name)?.1
    }
}

/// Why a message is no change of its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) struct Poison(pub(in crate::source) String);

impl From<String> for Poison {
    fn from(reason: String) -> Poison {
        Poison(reason)
    }
}

impl From<&str> for Poison {
    fn from(reason: &str) -> Poison {
        Poison(reason.into())
    }
}

impl fmt::Display for Poison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a message was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) enum Unread {
    /// It cannot be read.
    Poison(Poison),
    /// What it takes to read it cannot be had now, and may be later: nothing is wrong with the message.
    Later(String),
    /// The same, and a person has to mend something.
    Refused(String),
}

impl From<Poison> for Unread {
    fn from(poison: Poison) -> Unread {
        Unread::Poison(poison)
    }
}

impl From<String> for Unread {
    fn from(reason: String) -> Unread {
        Unread::Poison(Poison(reason))
    }
}

impl From<&str> for Unread {
    fn from(reason: &str) -> Unread {
        Unread::Poison(reason.into())
    }
}

/// How much of a message is shown.
const SHOWN: usize = 120;

/// The beginning of a message's bytes, for people: as text where it is one, in hexadecimal digits else.
pub(in crate::source) fn beginning(bytes: Option<&[u8]>) -> String {
    let Some(bytes) = bytes else { return "nothing".into() };
    let (shown, more) = if bytes.len() > SHOWN { (&bytes[..SHOWN], "…") } else { (bytes, "") };
    let text = match std::str::from_utf8(shown) {
        Ok(text) => text,
        // Cut within a character.
        Err(error) if error.error_len().is_none() && !more.is_empty() => {
            std::str::from_utf8(&shown[..error.valid_up_to()]).expect("valid up to there")
        }
        Err(_) => {
            let mut digits = Vec::new();
            write_hex(&shown[..shown.len().min(SHOWN / 3)], &mut digits);
            let more = if bytes.len() > SHOWN / 3 { "…" } else { "" };
            return format!("0x{}{more}", String::from_utf8_lossy(&digits));
        }
    };
    format!("{}{more}", text.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_message_is_fit_to_print() {
        assert_eq!(beginning(None), "nothing");
        assert_eq!(beginning(Some(b"{\"a\":\n1}")), "{\\\"a\\\":\\n1}");
        assert_eq!(beginning(Some(&[0, 255, 16])), "0x00ff10");
        let long = format!("{}é", "x".repeat(SHOWN - 1));
        assert_eq!(beginning(Some(long.as_bytes())), format!("{}…", "x".repeat(SHOWN - 1)));
    }
}
