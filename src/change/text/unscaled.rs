//! Integers of any size, of which decimals are made by those who send them: Java's `BigInteger` and its scale.

use std::borrow::Cow;

use super::Fault;
use super::decimal::{Excess, parse, rescale, shifted, write_point};

/// PostgreSQL's numerics have no more digits behind the point, nor could anybody read them.
const MAX_SCALE: u32 = 16_383;
/// Unscaled integers of more bytes are refused: nearly 20,000 digits.
const MAX_BYTES: usize = 8_192;

/// Such an integer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unscaled {
    Small(i128),
    /// Decimal digits with the sign.
    Large(String),
}

impl Unscaled {
    /// Of its two's complement, the highest byte first.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Result<Unscaled, Fault> {
        let first = *bytes.first().ok_or(Fault::Syntax)?;
        let fill = if first >= 0x80 { 0xff } else { 0 };
        if bytes.len() > MAX_BYTES {
            return Err(Fault::Range);
        }
        if bytes.len() <= 16 {
            let mut whole = [fill; 16];
            whole[16 - bytes.len()..].copy_from_slice(bytes);
            return Ok(Unscaled::Small(i128::from_be_bytes(whole)));
        }
        Ok(Unscaled::Large(large_text(bytes, fill)))
    }

    fn text(&self) -> Cow<'_, str> {
        match self {
            Unscaled::Small(it) => Cow::Owned(it.to_string()),
            Unscaled::Large(it) => Cow::Borrowed(it),
        }
    }

    /// As a decimal: in units of 10^-`to` what this is in units of 10^-`scale`.
    pub(crate) fn units(&self, scale: i32, (precision, to): (u8, u8), excess: Excess) -> Result<i128, Fault> {
        let Unscaled::Small(units) = *self else {
            return parse(&self.exponential(scale)?, precision, to, excess);
        };
        let rescaled = rescale(units, scale, precision, to)?;
        let is_same = || shifted(rescaled, i64::from(scale) - i64::from(to)) == Some(units);
        if excess == Excess::Rounded || is_same() { Ok(rescaled) } else { Err(Fault::Excess) }
    }

    /// The decimal with an exponent, as texts of numbers are read.
    pub(crate) fn exponential(&self, scale: i32) -> Result<String, Fault> {
        if scale.unsigned_abs() > MAX_SCALE {
            return Err(Fault::Range);
        }
        Ok(format!("{}e{}", self.text(), -scale))
    }

    /// Appends the decimal with all its digits.
    pub(crate) fn write(&self, scale: i32, out: &mut Vec<u8>) -> Result<(), Fault> {
        if scale.unsigned_abs() > MAX_SCALE {
            return Err(Fault::Range);
        }
        let text = self.text();
        let (negative, digits) = text.strip_prefix('-').map_or((false, &*text), |it| (true, it));
        match usize::try_from(scale) {
            Ok(scale) => write_point(negative, digits.as_bytes(), scale, out),
            Err(_) => {
                write_point(negative, digits.as_bytes(), 0, out);
                let zeros = if digits == "0" { 0 } else { scale.unsigned_abs() as usize };
                out.resize(out.len() + zeros, b'0');
            }
        }
        Ok(())
    }
}

/// The digits of a two's complement whose sign is `fill`: divided by 10^9 until nothing is left.
fn large_text(bytes: &[u8], fill: u8) -> String {
    const NINE_DIGITS: u64 = 1_000_000_000;
    let mut limbs: Vec<u32> = bytes
        .rchunks(4)
        .rev()
        .map(|chunk| chunk.iter().fold(u32::from(fill) * 0x0101_0101, |limb, byte| limb << 8 | u32::from(*byte)))
        .collect();
    if fill != 0 {
        // The magnitude is the complement and one.
        let mut carry = true;
        for limb in limbs.iter_mut().rev() {
            (*limb, carry) = (!*limb).overflowing_add(u32::from(carry));
        }
        if carry {
            limbs.insert(0, 1);
        }
    }
    let mut groups = Vec::new();
    while limbs.iter().any(|it| *it != 0) {
        let mut rest = 0;
        for limb in &mut limbs {
            let value = rest << 32 | u64::from(*limb);
            (*limb, rest) = ((value / NINE_DIGITS) as u32, value % NINE_DIGITS);
        }
        groups.push(rest);
    }
    let first = groups.pop().unwrap_or(0);
    let mut text = format!("{}{first}", if fill == 0 { "" } else { "-" });
    for group in groups.iter().rev() {
        text.push_str(&format!("{group:09}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unscaled(text: &str) -> Unscaled {
        match text.parse() {
            Ok(it) => Unscaled::Small(it),
            Err(_) => Unscaled::Large(text.into()),
        }
    }

    #[test]
    fn integers_of_any_size_are_read_from_their_bytes() {
        let power = |bytes: usize| [vec![1], vec![0; bytes]].concat();
        let two_128 = "340282366920938463463374607431768211456";
        for (bytes, text) in [
            (vec![0], "0"),
            (vec![0x27, 0x0f], "9999"),
            (vec![0xff], "-1"),
            (vec![0x80], "-128"),
            (vec![0, 0x80], "128"),
            (i128::MIN.to_be_bytes().to_vec(), "-170141183460469231731687303715884105728"),
            (power(16), two_128),
            ([vec![0xff; 3], vec![0; 16]].concat(), &format!("-{two_128}")),
            ([vec![0xff; 20], vec![5]].concat(), "-251"),
            (vec![0; 40], "0"),
            (power(24), "6277101735386680763835789423207666416102355444464034512896"),
        ] {
            let found = Unscaled::of_bytes(&bytes).expect("an integer");
            assert_eq!(found.text(), text);
        }
        assert_eq!(Unscaled::of_bytes(&[]), Err(Fault::Syntax));
        assert_eq!(Unscaled::of_bytes(&[1; 9000]), Err(Fault::Range));
    }

    #[test]
    fn unscaled_integers_come_to_the_scale_of_a_type() {
        let wide = format!("12{}", "0".repeat(40));
        for (text, scale, refused, rounded) in [
            ("9999", 2, Ok(9999), Ok(9999)),
            ("-12345", 3, Err(Fault::Excess), Ok(-1235)),
            ("-12340", 3, Ok(-1234), Ok(-1234)),
            ("5", 0, Ok(500), Ok(500)),
            ("5", -2, Ok(50_000), Ok(50_000)),
            (&wide, 40, Ok(1200), Ok(1200)),
            (&wide, 2, Err(Fault::Range), Err(Fault::Range)),
            ("1", 100_000, Err(Fault::Excess), Ok(0)),
        ] {
            let unscaled = unscaled(text);
            assert_eq!(unscaled.units(scale, (10, 2), Excess::Refused), refused, "{text} {scale}");
            assert_eq!(unscaled.units(scale, (10, 2), Excess::Rounded), rounded, "{text} {scale}");
        }
        for (text, scale, written) in [
            ("9999", 2, "99.99"),
            ("-5", 3, "-0.005"),
            ("12", -3, "12000"),
            ("0", -3, "0"),
            (&wide, 41, &format!("1.2{}", "0".repeat(40))),
        ] {
            let mut out = Vec::new();
            assert_eq!(unscaled(text).write(scale, &mut out), Ok(()));
            assert_eq!(String::from_utf8(out).unwrap(), written);
        }
        assert_eq!(unscaled("1").write(i32::MIN, &mut Vec::new()), Err(Fault::Range));
    }
}
