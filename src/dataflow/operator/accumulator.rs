//! Accumulators: the state of one aggregate of one group, linear in its input, and its bytes in the hidden column.

use std::fmt::Write;

use super::exact_sum::{FloatSum, IntegerSum};
use crate::change::text::decimal;
use crate::change::{DataType, Datum, pow10};
use crate::dataflow::expression::{
    BIGINT_RANGE, FLOAT_OVERFLOW, INTEGER_RANGE, NUMERIC_OVERFLOW, decimal_to_float, multiply_divide, rescale, scale_of,
};
use crate::plan::{Aggregate, AggregateFunction};

/// What one aggregate has seen of one group.
#[derive(Debug, Default)]
pub(crate) struct Accumulator {
    /// Values that are not NULL.
    count: i64,
    integers: IntegerSum,
    floats: FloatSum,
    /// NaN, +∞, −∞.
    specials: [i64; 3],
    /// Values that are errors, and the text of one of them.
    errors: i64,
    message: String,
}

impl Accumulator {
    /// Back to nothing seen.
    pub(crate) fn reset(&mut self) {
        self.count = 0;
        self.integers = IntegerSum::default();
        self.floats.limbs.clear();
        self.floats.base = 0;
        self.specials = [0; 3];
        self.errors = 0;
        self.message.clear();
    }

    /// Adds a value, or takes it back.
    pub(crate) fn update(&mut self, aggregate: &Aggregate, datum: Datum<'_>, insert: bool) {
        let by = if insert { 1 } else { -1 };
        let sums = matches!(aggregate.function, AggregateFunction::Sum | AggregateFunction::Avg);
        match datum {
            Datum::Null => return,
            Datum::Error(message) => {
                self.errors += by;
                self.note(message, insert, aggregate);
                return;
            }
            Datum::Int(it) if sums => self.integers.add(i128::from(it), insert),
            Datum::Decimal(it) if sums => self.integers.add(it, insert),
            Datum::Float(it) if sums && it.is_finite() => self.floats.add(it, insert),
            Datum::Float(it) if sums => {
                let which = if it.is_nan() { 0 } else { 1 + usize::from(it < 0.0) };
                self.specials[which] += by;
            }
            _ => {}
        }
        self.count += by;
    }

    /// Keeps one example of the errors; when it heals while others stay, the text says only that there are some.
    fn note(&mut self, message: &str, insert: bool, aggregate: &Aggregate) {
        if self.errors == 0 {
            self.message.clear();
        } else if insert && (self.message.is_empty() || self.errors == 1) {
            self.message.clear();
            self.message.push_str(message);
        } else if !insert && self.message == message {
            self.message.clear();
            let _ = write!(self.message, "{}: an input row has an error", aggregate.text);
        }
    }

    /// The aggregate's value for a group of `rows` rows; a result that does not fit is told in `text`. Min and max
    /// are read elsewhere: here they are only errors or NULL.
    pub(crate) fn result<'a>(&'a self, aggregate: &Aggregate, rows: i64, text: &'a mut String) -> Datum<'a> {
        if self.errors > 0 {
            return Datum::Error(&self.message);
        }
        let outcome = match aggregate.function {
            AggregateFunction::CountAll => Ok(Datum::Int(rows)),
            AggregateFunction::Count => Ok(Datum::Int(self.count)),
            AggregateFunction::Min | AggregateFunction::Max => Ok(Datum::Null),
            _ if self.count == 0 => Ok(Datum::Null),
            AggregateFunction::Sum => self.sum(aggregate),
            AggregateFunction::Avg => self.average(aggregate),
        };
        outcome.unwrap_or_else(|message| {
            text.clear();
            let _ = write!(text, "{}: {message}", aggregate.text);
            Datum::Error(text)
        })
    }

    fn sum(&self, aggregate: &Aggregate) -> Result<Datum<'static>, &'static str> {
        if aggregate.argument_type == DataType::Float64 {
            return self.float_sum().map(Datum::Float);
        }
        let total = self.integers.total();
        let scale = scale_of(aggregate.argument_type);
        match aggregate.data_type {
            DataType::Decimal { precision, scale: to } => {
                rescale(total.ok_or(NUMERIC_OVERFLOW)?, scale, precision, to).map(Datum::Decimal)
            }
            DataType::Float64 => Ok(Datum::Float(decimal_to_float(total.ok_or(FLOAT_OVERFLOW)?, scale))),
            DataType::Int32 => {
                let total = total.and_then(|it| i32::try_from(it).ok());
                total.map(|it| Datum::Int(it.into())).ok_or(INTEGER_RANGE)
            }
            _ => total.and_then(|it| i64::try_from(it).ok()).map(Datum::Int).ok_or(BIGINT_RANGE),
        }
    }

    fn average(&self, aggregate: &Aggregate) -> Result<Datum<'static>, &'static str> {
        if aggregate.argument_type == DataType::Float64 {
            return self.float_sum().map(|it| Datum::Float(it / self.count as f64));
        }
        let total = self.integers.total().ok_or(NUMERIC_OVERFLOW)?;
        let from = scale_of(aggregate.argument_type);
        let DataType::Decimal { precision, scale } = aggregate.data_type else {
            return Ok(Datum::Float(decimal_to_float(total, from) / self.count as f64));
        };
        let count = i128::from(self.count);
        let value = if scale >= from {
            multiply_divide(total, pow10(scale - from), count)
        } else {
            multiply_divide(total, 1, count * pow10(from - scale))
        };
        value.and_then(|it| decimal::fit(it, precision).ok()).map(Datum::Decimal).ok_or(NUMERIC_OVERFLOW)
    }

    fn float_sum(&self) -> Result<f64, &'static str> {
        match self.specials {
            [0, 0, 0] => Some(self.floats.total()).filter(|it| it.is_finite()).ok_or(FLOAT_OVERFLOW),
            [0, _, 0] => Ok(f64::INFINITY),
            [0, 0, _] => Ok(f64::NEG_INFINITY),
            _ => Ok(f64::NAN),
        }
    }

    /// Appends the state; the layout follows from the aggregate, so nothing describes it.
    pub(crate) fn encode(&self, aggregate: &Aggregate, out: &mut Vec<u8>) {
        put(zigzag(self.errors.into()), out);
        if self.errors != 0 {
            put(self.message.len() as u128, out);
            out.extend_from_slice(self.message.as_bytes());
        }
        match aggregate.function {
            AggregateFunction::Sum | AggregateFunction::Avg if aggregate.argument_type == DataType::Float64 => {
                put(zigzag(self.count.into()), out);
                self.specials.iter().for_each(|it| put(zigzag((*it).into()), out));
                put(self.floats.base as u128, out);
                put(self.floats.limbs.len() as u128, out);
                self.floats.limbs.iter().for_each(|it| out.extend_from_slice(&it.to_le_bytes()));
            }
            AggregateFunction::Sum | AggregateFunction::Avg => {
                put(zigzag(self.count.into()), out);
                put(zigzag(self.integers.low as i128), out);
                // How far the upper bits are from a mere sign: 0 unless the sum is beyond 128 bits.
                let sign = if (self.integers.low as i128) < 0 { -1 } else { 0 };
                put(zigzag((self.integers.high - sign).into()), out);
            }
            AggregateFunction::Count => put(zigzag(self.count.into()), out),
            AggregateFunction::CountAll | AggregateFunction::Min | AggregateFunction::Max => {}
        }
    }

    /// Reads what [`Accumulator::encode`] wrote; `None` when the bytes end early.
    pub(crate) fn decode(&mut self, aggregate: &Aggregate, bytes: &mut &[u8]) -> Option<()> {
        self.reset();
        self.errors = signed(bytes)?;
        if self.errors != 0 {
            let length = usize::try_from(take(bytes)?).ok()?;
            let (message, rest) = bytes.split_at_checked(length)?;
            self.message.push_str(std::str::from_utf8(message).ok()?);
            *bytes = rest;
        }
        match aggregate.function {
            AggregateFunction::Sum | AggregateFunction::Avg if aggregate.argument_type == DataType::Float64 => {
                self.count = signed(bytes)?;
                for special in &mut self.specials {
                    *special = signed(bytes)?;
                }
                self.floats.base = usize::try_from(take(bytes)?).ok()?;
                for _ in 0..take(bytes)? {
                    let (limb, rest) = bytes.split_first_chunk::<8>()?;
                    self.floats.limbs.push(u64::from_le_bytes(*limb));
                    *bytes = rest;
                }
            }
            AggregateFunction::Sum | AggregateFunction::Avg => {
                self.count = signed(bytes)?;
                let low = unzigzag(take(bytes)?);
                let sign = if low < 0 { -1 } else { 0 };
                self.integers = IntegerSum { low: low as u128, high: signed(bytes)? + sign };
            }
            AggregateFunction::Count => self.count = signed(bytes)?,
            AggregateFunction::CountAll | AggregateFunction::Min | AggregateFunction::Max => {}
        }
        Some(())
    }
}

pub(super) fn put_signed(value: i64, out: &mut Vec<u8>) {
    put(zigzag(value.into()), out);
}

pub(super) fn signed(bytes: &mut &[u8]) -> Option<i64> {
    i64::try_from(unzigzag(take(bytes)?)).ok()
}

fn zigzag(value: i128) -> u128 {
    (value << 1 ^ value >> 127) as u128
}

fn unzigzag(value: u128) -> i128 {
    (value >> 1) as i128 ^ -((value & 1) as i128)
}

/// Seven bits a byte, the least first.
fn put(mut value: u128, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u128> {
    let (mut value, mut shift) = (0u128, 0);
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if shift > 126 {
            return None;
        }
        value |= u128::from(byte & 0x7F) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
}
