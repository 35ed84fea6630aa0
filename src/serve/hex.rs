//! Bytes as hexadecimal digits.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Appends two digits a byte.
pub(crate) fn write(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(2 * bytes.len());
    for byte in bytes {
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

/// The bytes behind `text`; `None` when it is something else than pairs of digits.
pub(crate) fn read(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| if let [high, low] = pair { byte(*high, *low) } else { None }).collect()
}

/// The byte with these two digits.
pub(crate) fn byte(high: u8, low: u8) -> Option<u8> {
    let digit = |it: u8| (it as char).to_digit(16).map(|it| it as u8);
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut text = Vec::new();
        write(&bytes, &mut text);
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("000102") && text.ends_with("feff"));
        assert_eq!(read(&text), Some(bytes));
        for broken in ["0", "0x", "é", "+1"] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }
}
