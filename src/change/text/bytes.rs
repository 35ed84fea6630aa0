//! Bytes as text: hexadecimal digits and base64.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// What is wrong with a text that stands for no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// A character that is no digit.
    Digit(char),
    /// A `=` where more digits are needed, or something behind it.
    Padding,
    /// It ends too early.
    Length,
}

/// Which digits base64 has for 62 and 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alphabet {
    /// `+` and `/`.
    Standard,
    /// `-` and `_`.
    UrlSafe,
}

/// Between digits, white space is passed over.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r')
}

/// Appends two digits a byte.
pub(crate) fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(2 * bytes.len());
    for byte in bytes {
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

/// The bytes behind pairs of digits; white space may stand between them.
pub(crate) fn read_hex(text: &str) -> Result<Vec<u8>, Broken> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for it in text.chars() {
        if high.is_none() && it.is_ascii() && is_space(it as u8) {
            continue;
        }
        let digit = it.to_digit(16).ok_or(Broken::Digit(it))? as u8;
        match high.take() {
            None => high = Some(digit),
            Some(high) => bytes.push(high << 4 | digit),
        }
    }
    if high.is_some() { Err(Broken::Length) } else { Ok(bytes) }
}

/// The byte with these two digits.
pub(crate) fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |it: u8| char::from(it).to_digit(16).map(|it| it as u8);
    Some(digit(high)? << 4 | digit(low)?)
}

/// Appends the base64 of `bytes`, with a line feed after every `line` characters but the last.
pub(crate) fn write_base64(bytes: &[u8], line: usize, out: &mut Vec<u8>) {
    const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut in_line = 0;
    for group in bytes.chunks(3) {
        if in_line == line {
            out.push(b'\n');
            in_line = 0;
        }
        let bits = group.iter().enumerate().fold(0u32, |bits, (at, it)| bits | u32::from(*it) << (16 - 8 * at));
        for at in 0..4 {
            let digit = STANDARD[(bits >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= group.len() { digit } else { b'=' });
        }
        in_line += 4;
    }
}

/// The bytes behind base64 with its padding; white space may stand between digits.
pub(crate) fn read_base64(text: &str, alphabet: Alphabet) -> Result<Vec<u8>, Broken> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count, mut ends) = (0u32, 0, 0);
    for it in text.bytes().filter(|it| !is_space(*it)) {
        let value = if it == b'=' {
            // Only the last two of four may be missing, and nothing follows them.
            if ends == 0 && count < 2 {
                return Err(Broken::Padding);
            }
            ends += 1;
            0
        } else {
            sextet(it, alphabet).filter(|_| ends == 0).ok_or(Broken::Digit(char::from(it)))?
        };
        bits = bits << 6 | value;
        count += 1;
        if count == 4 {
            let group = [(bits >> 16) as u8, (bits >> 8) as u8, bits as u8];
            bytes.extend_from_slice(&group[..3 - ends.min(2)]);
            (bits, count) = (0, 0);
        }
    }
    if count == 0 { Ok(bytes) } else { Err(Broken::Length) }
}

/// The six bits of a digit of base64.
fn sextet(digit: u8, alphabet: Alphabet) -> Option<u32> {
    let (plus, slash) = if alphabet == Alphabet::Standard { (b'+', b'/') } else { (b'-', b'_') };
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        _ if digit == plus => 62,
        _ if digit == slash => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::super::text_of;
    use super::*;

    #[test]
    fn bytes_survive() {
        let bytes: Vec<u8> = (0..=255).collect();
        let hex = text_of(|out| write_hex(&bytes, out));
        assert!(hex.starts_with("000102") && hex.ends_with("feff"));
        assert_eq!(read_hex(&hex), Ok(bytes));
        for length in 0..130u32 {
            let bytes: Vec<u8> = (0..length).map(|it| (it * 37 % 256) as u8).collect();
            let base64 = text_of(|out| write_base64(&bytes, 76, out));
            assert!(base64.lines().all(|it| it.len() <= 76) && !base64.ends_with('\n'));
            assert_eq!(read_base64(&base64, Alphabet::Standard).as_ref(), Ok(&bytes));
            let url = base64.replace('+', "-").replace('/', "_");
            assert_eq!(read_base64(&url, Alphabet::UrlSafe), Ok(bytes));
        }
    }

    #[test]
    fn what_stands_for_no_bytes_is_told() {
        for (text, broken) in [
            ("0", Broken::Length),
            ("0x", Broken::Digit('x')),
            ("é", Broken::Digit('é')),
            ("+1", Broken::Digit('+')),
            ("0 0", Broken::Digit(' ')),
        ] {
            assert_eq!(read_hex(text), Err(broken), "{text}");
        }
        assert_eq!(read_hex("00 fF\n"), Ok(vec![0, 255]));
        for (text, broken) in [
            ("YQ", Broken::Length),
            ("Y=", Broken::Padding),
            ("=", Broken::Padding),
            ("YQ==YQ==", Broken::Digit('Y')),
            ("a-b_", Broken::Digit('-')),
        ] {
            assert_eq!(read_base64(text, Alphabet::Standard), Err(broken), "{text}");
        }
        assert_eq!(read_base64("YQ==", Alphabet::Standard), Ok(b"a".to_vec()));
        assert_eq!(read_base64("a+b/", Alphabet::UrlSafe), Err(Broken::Digit('+')));
    }
}
