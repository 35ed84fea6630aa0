//! Functions of bytes.

use super::cell::{Cell, Kind, Output};
use super::overload::{Function, Overload, Run};
use crate::dialect::value::{Failure, bytes};

type Result = std::result::Result<Output, Failure>;

use Kind::{Bytes, Int32, Int64, Text};

const fn overload(takes: &'static [Kind], gives: Kind, run: Run) -> Overload {
    Overload { takes, gives, run }
}

/// The one encoding there is, by its names.
const UTF8: [&str; 3] = ["utf8", "utf-8", "unicode"];

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "encode",
        overloads: &[overload(&[Bytes, Text], Text, |it| bytes::encode(it[0].bytes(), it[1].text()).map(Output::Text))],
    },
    Function {
        name: "decode",
        overloads: &[overload(&[Text, Text], Bytes, |it| bytes::decode(it[0].text(), it[1].text()).map(Output::Bytes))],
    },
    Function { name: "get_byte", overloads: &[overload(&[Bytes, Int32], Int32, get_byte)] },
    Function { name: "set_byte", overloads: &[overload(&[Bytes, Int32, Int32], Bytes, set_byte)] },
    Function { name: "get_bit", overloads: &[overload(&[Bytes, Int64], Int32, get_bit)] },
    Function { name: "set_bit", overloads: &[overload(&[Bytes, Int64, Int32], Bytes, set_bit)] },
    Function {
        name: "bit_count",
        overloads: &[overload(&[Bytes], Int64, |it| {
            Ok(Output::Int(it[0].bytes().iter().map(|it| i64::from(it.count_ones())).sum()))
        })],
    },
    Function { name: "convert_from", overloads: &[overload(&[Bytes, Text], Text, convert_from)] },
    Function {
        name: "convert_to",
        overloads: &[overload(&[Text, Text], Bytes, |it| {
            known_encoding(it[1].text())?;
            Ok(Output::Bytes(it[0].text().as_bytes().to_vec()))
        })],
    },
    Function {
        name: "_bytes_concat",
        overloads: &[overload(&[Bytes, Bytes], Bytes, |it| Ok(Output::Bytes([it[0].bytes(), it[1].bytes()].concat())))],
    },
];

fn known_encoding(name: &str) -> std::result::Result<(), Failure> {
    if UTF8.contains(&name.to_ascii_lowercase().as_str()) {
        Ok(())
    } else {
        Err(format!("the encoding \"{name}\" is not supported; UTF8 is"))
    }
}

fn convert_from(it: &[Cell<'_>]) -> Result {
    known_encoding(it[1].text())?;
    let bytes = it[0].bytes();
    match std::str::from_utf8(bytes) {
        Ok(text) if !bytes.contains(&0) => Ok(Output::Text(text.into())),
        _ => Err("invalid byte sequence for encoding \"UTF8\"".into()),
    }
}

fn place(index: i64, length: usize) -> std::result::Result<usize, Failure> {
    let found = usize::try_from(index).ok().filter(|it| *it < length);
    found.ok_or_else(|| format!("index {index} out of valid range, 0..{}", length as i64 - 1))
}

fn get_byte(it: &[Cell<'_>]) -> Result {
    let bytes = it[0].bytes();
    Ok(Output::Int(bytes[place(it[1].int(), bytes.len())?].into()))
}

fn set_byte(it: &[Cell<'_>]) -> Result {
    let mut bytes = it[0].bytes().to_vec();
    let at = place(it[1].int(), bytes.len())?;
    // Only the lowest eight bits are taken.
    bytes[at] = it[2].int() as u8;
    Ok(Output::Bytes(bytes))
}

fn get_bit(it: &[Cell<'_>]) -> Result {
    let bytes = it[0].bytes();
    let at = place(it[1].int(), bytes.len() * 8)?;
    Ok(Output::Int((bytes[at / 8] >> (at % 8) & 1).into()))
}

fn set_bit(it: &[Cell<'_>]) -> Result {
    let mut bytes = it[0].bytes().to_vec();
    let at = place(it[1].int(), bytes.len() * 8)?;
    match it[2].int() {
        0 => bytes[at / 8] &= !(1 << (at % 8)),
        1 => bytes[at / 8] |= 1 << (at % 8),
        _ => return Err("new bit must be 0 or 1".into()),
    }
    Ok(Output::Bytes(bytes))
}
