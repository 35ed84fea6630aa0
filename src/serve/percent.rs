//! Percent-encoding in paths and query strings.

use std::borrow::Cow;

use crate::change::text::bytes::hex_byte;

/// The text behind `raw`, which is mostly itself; `plus_is_space` in query strings. `None` when an escape is broken or
/// the bytes are no UTF-8.
pub(crate) fn decode(raw: &str, plus_is_space: bool) -> Option<Cow<'_, str>> {
    if !raw.bytes().any(|it| it == b'%' || (plus_is_space && it == b'+')) {
        return Some(Cow::Borrowed(raw));
    }
    let mut bytes = raw.bytes();
    let mut out = Vec::with_capacity(raw.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => hex_byte(bytes.next()?, bytes.next()?)?,
            b'+' if plus_is_space => b' ',
            _ => byte,
        });
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

/// `text` as one part of a path or query string.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives() {
        for text in ["", "a,b", "é/?&=#%+ ", "\0"] {
            assert_eq!(decode(&encode(text), false).as_deref(), Some(text));
            assert_eq!(decode(&encode(text), true).as_deref(), Some(text));
        }
        assert_eq!(decode("a+b", true).as_deref(), Some("a b"));
        assert_eq!(decode("a+b", false).as_deref(), Some("a+b"));
        for broken in ["%", "%1", "%zz", "%ff"] {
            assert_eq!(decode(broken, false), None, "{broken}");
        }
    }
}
