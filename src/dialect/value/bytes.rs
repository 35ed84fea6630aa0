//! Bytes as text: the hex and escape forms of `bytea`, and the formats of `encode` and `decode`.

use super::Failure;

const HEX: &[u8; 16] = b"0123456789abcdef";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// How many characters of base64 a line has.
const LINE: usize = 76;

/// `\x` and two digits a byte.
pub(in crate::dialect) fn text(bytes: &[u8]) -> String {
    format!("\\x{}", hex(bytes))
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
        "hex" => Ok(hex(bytes)),
        "base64" => Ok(base64(bytes)),
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

fn hex(bytes: &[u8]) -> String {
    let digit = |it: u8| char::from(HEX[usize::from(it)]);
    bytes.iter().flat_map(|it| [digit(it >> 4), digit(it & 15)]).collect()
}

fn unhex(text: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for it in text.chars() {
        // Between bytes, not within one, white space is passed over.
        if high.is_none() && matches!(it, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let digit = it.to_digit(16).ok_or_else(|| format!("invalid hexadecimal digit: \"{it}\""))? as u8;
        match high.take() {
            None => high = Some(digit),
            Some(high) => bytes.push(high << 4 | digit),
        }
    }
    if high.is_some() { Err("invalid hexadecimal data: odd number of digits".into()) } else { Ok(bytes) }
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

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4 / 3 + 4);
    let mut in_line = 0;
    for group in bytes.chunks(3) {
        let bits = group.iter().enumerate().fold(0u32, |bits, (at, it)| bits | u32::from(*it) << (16 - 8 * at));
        for at in 0..4 {
            let digit = BASE64[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= group.len() { char::from(digit) } else { '=' });
        }
        in_line += 4;
        if in_line == LINE {
            text.push('\n');
            in_line = 0;
        }
    }
    text.truncate(text.trim_end_matches('\n').len());
    text
}

fn unbase64(text: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count, mut ends) = (0u32, 0, 0);
    for it in text.bytes() {
        if matches!(it, b' ' | b'\n' | b'\t' | b'\r') {
            continue;
        }
        let value = if it == b'=' {
            // Only the last two of four may be missing, and nothing follows them.
            if ends == 0 && count < 2 {
                return Err("unexpected \"=\" while decoding base64 sequence".into());
            }
            ends += 1;
            0
        } else {
            let value = BASE64.iter().position(|digit| *digit == it).filter(|_| ends == 0);
            value
                .ok_or_else(|| format!("invalid symbol \"{}\" found while decoding base64 sequence", char::from(it)))?
        };
        bits = bits << 6 | value as u32;
        count += 1;
        if count == 4 {
            let group = [(bits >> 16) as u8, (bits >> 8) as u8, bits as u8];
            bytes.extend_from_slice(&group[..3 - ends.min(2)]);
            (bits, count) = (0, 0);
        }
    }
    if count == 0 { Ok(bytes) } else { Err("invalid base64 end sequence".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back() {
        for length in 0..130u32 {
            let bytes: Vec<u8> = (0..length).map(|it| (it * 37 % 256) as u8).collect();
            for format in ["hex", "base64", "escape"] {
                let encoded = encode(&bytes, format).expect(format);
                assert_eq!(decode(&encoded, format).expect(&encoded), bytes, "{format}");
            }
            assert_eq!(parse(&text(&bytes)).expect("own text"), bytes);
        }
        assert_eq!(encode(b"a", "base64").expect("known"), "YQ==");
        assert!(decode("YQ", "base64").is_err() && decode("abc", "hex").is_err() && encode(b"", "x").is_err());
    }
}
