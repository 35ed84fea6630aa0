//! Bytes as text: the hex and escape forms of `bytea`, and the formats of `encode` and `decode`.

use super::Failure;
use crate::change::text::bytes::{Alphabet, Broken, read_base64, read_hex, write_base64, write_hex};
use crate::change::text::text_of;

/// How many characters of base64 a line has.
const LINE: usize = 76;

/// `\x` and two digits a byte.
pub(in crate::dialect) fn text(bytes: &[u8]) -> String {
    text_of(|out| {
        out.extend_from_slice(b"\\x");
        write_hex(bytes, out);
    })
}

/// Reads either form of a `bytea`.
pub(in crate::dialect) fn parse(text: &str) -> Result<Vec<u8>, Failure> {
    match text.strip_prefix("\\x") {
        Some(digits) => unhex(digits),
        None => unescape(text),
    }
}

/// `encode(bytes, format)`.
pub(in crate::dialect) fn encode(bytes: &[u8], format: &str) -> Result<String, Failure> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => Ok(text_of(|out| write_hex(bytes, out))),
        "base64" => Ok(text_of(|out| write_base64(bytes, LINE, out))),
        "escape" => Ok(escape(bytes)),
        _ => Err(unknown_format(format)),
    }
}

/// `decode(text, format)`.
pub(in crate::dialect) fn decode(text: &str, format: &str) -> Result<Vec<u8>, Failure> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => unhex(text),
        "base64" => unbase64(text),
        "escape" => unescape(text),
        _ => Err(unknown_format(format)),
    }
}

fn unknown_format(format: &str) -> Failure {
    format!("unrecognized encoding: \"{format}\"")
}

fn unhex(text: &str) -> Result<Vec<u8>, Failure> {
    read_hex(text).map_err(|broken| match broken {
        Broken::Digit(it) => format!("invalid hexadecimal digit: \"{it}\""),
        Broken::Length | Broken::Padding => "invalid hexadecimal data: odd number of digits".into(),
    })
}

fn unbase64(text: &str) -> Result<Vec<u8>, Failure> {
    read_base64(text, Alphabet::Standard).map_err(|broken| match broken {
        Broken::Digit(it) => format!("invalid symbol \"{it}\" found while decoding base64 sequence"),
        Broken::Padding => "unexpected \"=\" while decoding base64 sequence".into(),
        Broken::Length => "invalid base64 end sequence".into(),
    })
}

fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            0 | 0x80.. => text.push_str(&format!("\\{byte:03o}")),
            byte => text.push(char::from(*byte)),
        }
    }
    text
}

fn unescape(text: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        match (first, after) {
            (b'\\', [b'\\', after @ ..]) => {
                bytes.push(b'\\');
                rest = after;
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            (b'\\', _) => return Err("invalid input syntax for type bytea".into()),
            (byte, after) => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        for format in ["hex", "base64", "escape"] {
            let encoded = encode(&bytes, format).expect(format);
            assert_eq!(decode(&encoded, format).expect(&encoded), bytes, "{format}");
        }
        assert_eq!(parse(&text(&bytes)).expect("own text"), bytes);
        assert_eq!(encode(b"a", "base64").expect("known"), "YQ==");
        assert!(decode("YQ", "base64").is_err() && decode("abc", "hex").is_err() && encode(b"", "x").is_err());
    }
}
