//! Functions of strings, of text by characters and of bytes by bytes.

use std::collections::HashSet;

use super::cell::{Cell, Kind, Output};
use super::overload::{Function, Overload, Run};
use crate::dialect::value::Failure;

type Result = std::result::Result<Output, Failure>;

use Kind::{Boolean, Bytes, Int32, Int64, Text};

const fn overload(takes: &'static [Kind], gives: Kind, run: Run) -> Overload {
    Overload { takes, gives, run }
}

fn text(text: impl Into<String>) -> Result {
    Ok(Output::Text(text.into()))
}

fn length(length: usize) -> Result {
    Ok(Output::Int(length as i64))
}

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "length",
        overloads: &[
            overload(&[Text], Int32, |it| length(it[0].text().chars().count())),
            overload(&[Bytes], Int32, |it| length(it[0].bytes().len())),
        ],
    },
    Function { name: "char_length", overloads: &[overload(&[Text], Int32, |it| length(it[0].text().chars().count()))] },
    Function {
        name: "character_length",
        overloads: &[overload(&[Text], Int32, |it| length(it[0].text().chars().count()))],
    },
    Function {
        name: "octet_length",
        overloads: &[
            overload(&[Text], Int32, |it| length(it[0].text().len())),
            overload(&[Bytes], Int32, |it| length(it[0].bytes().len())),
        ],
    },
    Function {
        name: "bit_length",
        overloads: &[
            overload(&[Text], Int32, |it| length(it[0].text().len() * 8)),
            overload(&[Bytes], Int32, |it| length(it[0].bytes().len() * 8)),
        ],
    },
    Function { name: "upper", overloads: &[overload(&[Text], Text, |it| text(mapped(it[0].text(), upper)))] },
    Function { name: "lower", overloads: &[overload(&[Text], Text, |it| text(mapped(it[0].text(), lower)))] },
    Function { name: "initcap", overloads: &[overload(&[Text], Text, |it| text(initcap(it[0].text())))] },
    Function { name: "left", overloads: &[overload(&[Text, Int32], Text, left)] },
    Function { name: "right", overloads: &[overload(&[Text, Int32], Text, right)] },
    Function {
        name: "lpad",
        overloads: &[
            overload(&[Text, Int32], Text, |it| pad(it, " ", true)),
            overload(&[Text, Int32, Text], Text, |it| pad(it, it[2].text(), true)),
        ],
    },
    Function {
        name: "rpad",
        overloads: &[
            overload(&[Text, Int32], Text, |it| pad(it, " ", false)),
            overload(&[Text, Int32, Text], Text, |it| pad(it, it[2].text(), false)),
        ],
    },
    Function {
        name: "repeat",
        overloads: &[overload(&[Text, Int32], Text, |it| {
            text(it[0].text().repeat(usize::try_from(it[1].int()).unwrap_or(0)))
        })],
    },
    Function {
        name: "replace",
        overloads: &[overload(&[Text, Text, Text], Text, |it| {
            let (whole, from) = (it[0].text(), it[1].text());
            text(if from.is_empty() { whole.into() } else { whole.replace(from, it[2].text()) })
        })],
    },
    Function {
        name: "reverse",
        overloads: &[overload(&[Text], Text, |it| text(it[0].text().chars().rev().collect::<String>()))],
    },
    Function { name: "split_part", overloads: &[overload(&[Text, Text, Int32], Text, split_part)] },
    Function { name: "translate", overloads: &[overload(&[Text, Text, Text], Text, translate)] },
    Function {
        name: "strpos",
        overloads: &[overload(&[Text, Text], Int32, |it| Ok(Output::Int(strpos(it[0].text(), it[1].text()))))],
    },
    Function {
        name: "_position",
        overloads: &[
            overload(&[Text, Text], Int32, |it| Ok(Output::Int(strpos(it[0].text(), it[1].text())))),
            overload(&[Bytes, Bytes], Int32, |it| Ok(Output::Int(bytes_position(it[0].bytes(), it[1].bytes())))),
        ],
    },
    Function {
        name: "substring",
        overloads: &[
            overload(&[Text, Text], Text, super::pattern::substring),
            overload(&[Text, Int32], Text, |it| substring(it[0].text(), it[1].int(), None)),
            overload(&[Text, Int32, Int32], Text, |it| substring(it[0].text(), it[1].int(), Some(it[2].int()))),
            overload(&[Bytes, Int32], Bytes, |it| bytes_substring(it[0].bytes(), it[1].int(), None)),
            overload(&[Bytes, Int32, Int32], Bytes, |it| {
                bytes_substring(it[0].bytes(), it[1].int(), Some(it[2].int()))
            }),
        ],
    },
    Function {
        name: "overlay",
        overloads: &[
            overload(&[Text, Text, Int32], Text, |it| overlay(it, it[1].text().chars().count() as i64)),
            overload(&[Text, Text, Int32, Int32], Text, |it| overlay(it, it[3].int())),
            overload(&[Bytes, Bytes, Int32], Bytes, |it| bytes_overlay(it, it[1].bytes().len() as i64)),
            overload(&[Bytes, Bytes, Int32, Int32], Bytes, |it| bytes_overlay(it, it[3].int())),
        ],
    },
    Function {
        name: "btrim",
        overloads: &[
            overload(&[Text], Text, |it| text(it[0].text().trim_matches(' '))),
            overload(&[Text, Text], Text, |it| text(it[0].text().trim_matches(|at| it[1].text().contains(at)))),
            overload(&[Bytes, Bytes], Bytes, |it| bytes_trim(it, true, true)),
        ],
    },
    Function {
        name: "ltrim",
        overloads: &[
            overload(&[Text], Text, |it| text(it[0].text().trim_start_matches(' '))),
            overload(&[Text, Text], Text, |it| text(it[0].text().trim_start_matches(|at| it[1].text().contains(at)))),
            overload(&[Bytes, Bytes], Bytes, |it| bytes_trim(it, true, false)),
        ],
    },
    Function {
        name: "rtrim",
        overloads: &[
            overload(&[Text], Text, |it| text(it[0].text().trim_end_matches(' '))),
            overload(&[Text, Text], Text, |it| text(it[0].text().trim_end_matches(|at| it[1].text().contains(at)))),
            overload(&[Bytes, Bytes], Bytes, |it| bytes_trim(it, false, true)),
        ],
    },
    Function {
        name: "ascii",
        overloads: &[overload(&[Text], Int32, |it| {
            Ok(Output::Int(it[0].text().chars().next().map_or(0, |it| u32::from(it).into())))
        })],
    },
    Function { name: "chr", overloads: &[overload(&[Int32], Text, chr)] },
    Function {
        name: "to_hex",
        overloads: &[
            overload(&[Int32], Text, |it| text(format!("{:x}", it[0].int() as i32))),
            overload(&[Int64], Text, |it| text(format!("{:x}", it[0].int()))),
        ],
    },
    Function {
        name: "starts_with",
        overloads: &[overload(&[Text, Text], Boolean, |it| {
            Ok(Output::Boolean(it[0].text().starts_with(it[1].text())))
        })],
    },
    Function { name: "like_escape", overloads: &[overload(&[Text, Text], Text, like_escape)] },
    // What concat() writes for a truth value, where a cast writes the whole word.
    Function {
        name: "_boolean_letter",
        overloads: &[overload(&[Boolean], Text, |it| text(if it[0].boolean() { "t" } else { "f" }))],
    },
];

/// Each character by itself: where a letter's other case is not one letter, it stays as it is.
fn mapped(whole: &str, map: fn(char) -> char) -> String {
    whole.chars().map(map).collect()
}

fn upper(it: char) -> char {
    let mut upper = it.to_uppercase();
    if upper.len() == 1 { upper.next().unwrap_or(it) } else { it }
}

fn lower(it: char) -> char {
    let mut lower = it.to_lowercase();
    // Of İ only the letter without its dot is one letter.
    if lower.len() == 1 || it == 'İ' { lower.next().unwrap_or(it) } else { it }
}

fn initcap(whole: &str) -> String {
    let mut in_word = false;
    let capitalised = whole.chars().map(|it| {
        let mapped = if in_word { lower(it) } else { upper(it) };
        in_word = it.is_alphanumeric();
        mapped
    });
    capitalised.collect()
}

/// The bytes before character number `count`.
fn bytes_before(whole: &str, count: usize) -> usize {
    whole.char_indices().nth(count).map_or(whole.len(), |(at, _)| at)
}

fn left(it: &[Cell<'_>]) -> Result {
    let (whole, count) = (it[0].text(), it[1].int());
    let count = if count < 0 { whole.chars().count() as i64 + count } else { count };
    text(&whole[..bytes_before(whole, usize::try_from(count).unwrap_or(0))])
}

const LEAST: i64 = i32::MIN as i64;

fn right(it: &[Cell<'_>]) -> Result {
    let (whole, count) = (it[0].text(), it[1].int());
    let skipped = match count {
        // PostgreSQL negates it as an integer, where it stays what it is.
        LEAST => 0,
        count if count < 0 => -count,
        count => whole.chars().count() as i64 - count,
    };
    text(&whole[bytes_before(whole, usize::try_from(skipped).unwrap_or(0))..])
}

fn pad(it: &[Cell<'_>], fill: &str, before: bool) -> Result {
    let (whole, wanted) = (it[0].text(), usize::try_from(it[1].int()).unwrap_or(0));
    let present = whole.chars().count();
    if present >= wanted {
        return text(&whole[..bytes_before(whole, wanted)]);
    }
    let padding: String = fill.chars().cycle().take(wanted - present).collect();
    text(if before { padding + whole } else { whole.to_owned() + &padding })
}

fn split_part(it: &[Cell<'_>]) -> Result {
    let (whole, delimiter, field) = (it[0].text(), it[1].text(), it[2].int());
    if field == 0 {
        return Err("field position must not be zero".into());
    }
    if whole.is_empty() {
        return text("");
    }
    if delimiter.is_empty() {
        return text(if matches!(field, 1 | -1) { whole } else { "" });
    }
    let mut parts = whole.split(delimiter);
    let found = match usize::try_from(field) {
        Ok(field) => parts.nth(field - 1),
        Err(_) => {
            let parts: Vec<&str> = parts.collect();
            let at = usize::try_from(parts.len() as i64 + field).ok();
            at.and_then(|it| parts.get(it).copied())
        }
    };
    text(found.unwrap_or(""))
}

fn translate(it: &[Cell<'_>]) -> Result {
    let (whole, from, to) = (it[0].text(), it[1].text(), it[2].text());
    let translated = whole.chars().filter_map(|letter| match from.chars().position(|it| it == letter) {
        Some(at) => to.chars().nth(at),
        None => Some(letter),
    });
    text(translated.collect::<String>())
}

fn strpos(whole: &str, part: &str) -> i64 {
    whole.find(part).map_or(0, |it| whole[..it].chars().count() as i64 + 1)
}

fn bytes_position(whole: &[u8], part: &[u8]) -> i64 {
    if part.is_empty() {
        return 1;
    }
    whole.windows(part.len()).position(|it| it == part).map_or(0, |it| it as i64 + 1)
}

/// From where to where, counted from 0, a substring goes.
fn bounds(from: i64, count: Option<i64>, length: usize) -> std::result::Result<(usize, usize), Failure> {
    let end = match count {
        Some(count) if count < 0 => return Err("negative substring length not allowed".into()),
        Some(count) => from + count - 1,
        None => i64::MAX,
    };
    let inside = |it: i64| usize::try_from(it).unwrap_or(0).min(length);
    let (start, end) = (inside(from - 1), inside(end));
    Ok((start, end.max(start)))
}

fn substring(whole: &str, from: i64, count: Option<i64>) -> Result {
    let (start, end) = bounds(from, count, whole.len())?;
    let start_bytes = bytes_before(whole, start);
    let rest = &whole[start_bytes..];
    text(&rest[..bytes_before(rest, end - start)])
}

fn bytes_substring(whole: &[u8], from: i64, count: Option<i64>) -> Result {
    let (start, end) = bounds(from, count, whole.len())?;
    Ok(Output::Bytes(whole[start..end].to_vec()))
}

/// Where a replaced part begins and ends, counted from 0.
fn replaced(from: i64, count: i64, length: usize) -> std::result::Result<(usize, usize), Failure> {
    if from <= 0 {
        return Err("negative substring length not allowed".into());
    }
    if i32::try_from(from + count).is_err() {
        return Err("integer out of range".into());
    }
    let inside = |it: i64| usize::try_from(it).unwrap_or(0).min(length);
    Ok((inside(from - 1), inside(from + count - 1)))
}

fn overlay(it: &[Cell<'_>], count: i64) -> Result {
    let whole = it[0].text();
    let (start, end) = replaced(it[2].int(), count, whole.len())?;
    let (start, end) = (bytes_before(whole, start), bytes_before(whole, end));
    text([&whole[..start], it[1].text(), &whole[end..]].concat())
}

fn bytes_overlay(it: &[Cell<'_>], count: i64) -> Result {
    let whole = it[0].bytes();
    let (start, end) = replaced(it[2].int(), count, whole.len())?;
    Ok(Output::Bytes([&whole[..start], it[1].bytes(), &whole[end..]].concat()))
}

fn bytes_trim(it: &[Cell<'_>], start: bool, end: bool) -> Result {
    let set: HashSet<u8> = it[1].bytes().iter().copied().collect();
    let mut rest = it[0].bytes();
    while let Some((first, after)) = rest.split_first().filter(|(first, _)| start && set.contains(first)) {
        debug_assert!(set.contains(first));
        rest = after;
    }
    while let Some((_, before)) = rest.split_last().filter(|(last, _)| end && set.contains(last)) {
        rest = before;
    }
    Ok(Output::Bytes(rest.to_vec()))
}

/// A pattern of LIKE with another letter for escapes, or none, as one that escapes with a backslash.
fn like_escape(it: &[Cell<'_>]) -> Result {
    let mut letters = it[1].text().chars();
    let escape = letters.next();
    if letters.next().is_some() {
        return Err("invalid escape string".into());
    }
    if escape == Some('\\') {
        return text(it[0].text());
    }
    let (mut pattern, mut escaped) = (String::new(), false);
    for letter in it[0].text().chars() {
        match letter {
            letter if Some(letter) == escape && !escaped => {
                pattern.push('\\');
                escaped = true;
                continue;
            }
            '\\' if !escaped => pattern.push_str("\\\\"),
            letter => pattern.push(letter),
        }
        escaped = false;
    }
    text(pattern)
}

fn chr(it: &[Cell<'_>]) -> Result {
    match it[0].int() {
        0 => Err("null character not permitted".into()),
        code if code < 0 => Err("character number must be positive".into()),
        code => match u32::try_from(code).ok().and_then(char::from_u32) {
            Some(it) => text(it),
            None => Err(format!("requested character not valid for encoding: {code}")),
        },
    }
}
