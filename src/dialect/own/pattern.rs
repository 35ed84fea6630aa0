//! Functions and operators of regular expressions.

use std::sync::Arc;

use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::ScalarFunction;

use super::cell::{Cell, Kind, Output};
use super::overload::{Function, Overload, Run};
use crate::dialect::value::pattern::{Pattern, Span, TOO_LARGE};
use crate::dialect::value::{Failure, code_of};

type Result<T> = std::result::Result<T, Failure>;

use Kind::{Boolean, Int32, Text, Texts};

const fn overload(takes: &'static [Kind], gives: Kind, run: Run) -> Overload {
    Overload { takes, gives, run }
}

/// The pattern a call matches with; `None` when it does not match.
pub(crate) fn pattern_of(call: &ScalarFunction) -> Option<&Expr> {
    let pattern = call.args.get(1)?;
    let is_text = |it: &Expr| match it {
        Expr::Literal(value, _) => value.data_type().is_string(),
        Expr::Cast(it) => it.field.data_type().is_string(),
        _ => false,
    };
    match call.name() {
        // With a place instead of a pattern it is the substring from there on.
        "substring" => (call.args.len() == 2 && is_text(pattern)).then_some(pattern),
        name if FUNCTIONS.iter().any(|it| it.name == name) => Some(pattern),
        _ => None,
    }
}

/// Why `pattern` cannot be matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PatternProblem {
    /// It takes too much memory.
    TooLarge,
    /// It says what is not done here.
    Unsupported(String),
    /// It is none.
    Invalid(String),
}

/// Whether `pattern` can be matched.
pub(crate) fn check_pattern(pattern: &str) -> std::result::Result<(), PatternProblem> {
    match Pattern::new(pattern, false) {
        Ok(_) => Ok(()),
        Err(failure) if failure == TOO_LARGE => Err(PatternProblem::TooLarge),
        Err(failure) if code_of(&failure) == "0A000" => Err(PatternProblem::Unsupported(failure)),
        Err(failure) => Err(PatternProblem::Invalid(failure)),
    }
}

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "_matches",
        overloads: &[overload(&[Text, Text], Boolean, |it| {
            Ok(Output::Boolean(Pattern::new(it[1].text(), false)?.is_match(it[0].text())))
        })],
    },
    Function {
        name: "_matches_any_case",
        overloads: &[overload(&[Text, Text], Boolean, |it| {
            Ok(Output::Boolean(Pattern::new(it[1].text(), true)?.is_match(it[0].text())))
        })],
    },
    Function {
        name: "regexp_like",
        overloads: &[overload(&[Text, Text], Boolean, like), overload(&[Text, Text, Text], Boolean, like)],
    },
    Function {
        name: "regexp_count",
        overloads: &[
            overload(&[Text, Text], Int32, count),
            overload(&[Text, Text, Int32], Int32, count),
            overload(&[Text, Text, Int32, Text], Int32, count),
        ],
    },
    Function {
        name: "regexp_instr",
        overloads: &[
            overload(&[Text, Text], Int32, instr),
            overload(&[Text, Text, Int32], Int32, instr),
            overload(&[Text, Text, Int32, Int32], Int32, instr),
            overload(&[Text, Text, Int32, Int32, Int32], Int32, instr),
            overload(&[Text, Text, Int32, Int32, Int32, Text], Int32, instr),
            overload(&[Text, Text, Int32, Int32, Int32, Text, Int32], Int32, instr),
        ],
    },
    Function {
        name: "regexp_substr",
        overloads: &[
            overload(&[Text, Text], Text, substr),
            overload(&[Text, Text, Int32], Text, substr),
            overload(&[Text, Text, Int32, Int32], Text, substr),
            overload(&[Text, Text, Int32, Int32, Text], Text, substr),
            overload(&[Text, Text, Int32, Int32, Text, Int32], Text, substr),
        ],
    },
    Function {
        name: "regexp_match",
        overloads: &[overload(&[Text, Text], Texts, matched), overload(&[Text, Text, Text], Texts, matched)],
    },
    Function {
        name: "regexp_replace",
        overloads: &[
            overload(&[Text, Text, Text], Text, |it| {
                let flags = Flags::default();
                replaced(it, &flags, 0, Some(1))
            }),
            overload(&[Text, Text, Text, Text], Text, |it| {
                let flags = Flags::read(it[3].text())?;
                replaced(it, &flags, 0, if flags.global { None } else { Some(1) })
            }),
            overload(&[Text, Text, Text, Int32], Text, |it| replaced_from(it, &Flags::default())),
            overload(&[Text, Text, Text, Int32, Int32], Text, |it| replaced_from(it, &Flags::default())),
            overload(&[Text, Text, Text, Int32, Int32, Text], Text, |it| {
                replaced_from(it, &Flags::read(it[5].text())?)
            }),
        ],
    },
    Function {
        name: "regexp_split_to_array",
        overloads: &[overload(&[Text, Text], Texts, split), overload(&[Text, Text, Text], Texts, split)],
    },
];

#[derive(Default)]
struct Flags {
    global: bool,
    ignore_case: bool,
}

impl Flags {
    fn read(text: &str) -> Result<Flags> {
        let mut flags = Flags::default();
        for flag in text.chars() {
            match flag {
                'g' => flags.global = true,
                'i' => flags.ignore_case = true,
                'c' => flags.ignore_case = false,
                // Newlines are letters like any other: the default.
                's' | 't' => {}
                'b' | 'e' | 'm' | 'n' | 'p' | 'q' | 'w' | 'x' => {
                    return Err(format!("the flag \"{flag}\" of a regular expression is not supported"));
                }
                _ => return Err(format!("invalid regular expression option: \"{flag}\"")),
            }
        }
        Ok(flags)
    }

    /// The flags of a function of one match or all, for which `g` means nothing.
    fn without_global(cell: Option<&Cell<'_>>, function: &str) -> Result<Flags> {
        let flags = cell.map_or(Ok(Flags::default()), |it| Flags::read(it.text()))?;
        if flags.global { Err(format!("{function}() does not support the \"global\" option")) } else { Ok(flags) }
    }

    fn pattern(&self, text: &str) -> Result<Arc<Pattern>> {
        Pattern::new(text, self.ignore_case)
    }
}

/// All matches that begin at `from` or later, one after another.
struct Matches<'a> {
    pattern: &'a Pattern,
    text: &'a str,
    next: Option<usize>,
}

impl<'a> Matches<'a> {
    fn new(pattern: &'a Pattern, text: &'a str, from: usize) -> Matches<'a> {
        Matches { pattern, text, next: Some(from) }
    }
}

impl Iterator for Matches<'_> {
    type Item = Result<Span>;

    fn next(&mut self) -> Option<Result<Span>> {
        let from = self.next?;
        let found = match self.pattern.find(self.text, from) {
            Ok(found) => found?,
            Err(failure) => {
                self.next = None;
                return Some(Err(failure));
            }
        };
        // After an empty match the next letter is passed over.
        self.next = if found.is_empty() {
            self.text[found.end..].chars().next().map(|it| found.end + it.len_utf8())
        } else {
            Some(found.end)
        };
        Some(Ok(found))
    }
}

/// The bytes before character number `start`, counted from 1.
fn start_of(text: &str, start: i64) -> Result<Option<usize>> {
    let Some(before) = usize::try_from(start - 1).ok() else {
        return Err(format!("invalid value for parameter \"start\": {start}"));
    };
    let mut places = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    Ok(places.nth(before))
}

fn like(it: &[Cell<'_>]) -> Result<Output> {
    let flags = Flags::without_global(it.get(2), "regexp_like")?;
    Ok(Output::Boolean(flags.pattern(it[1].text())?.is_match(it[0].text())))
}

fn count(it: &[Cell<'_>]) -> Result<Output> {
    let flags = Flags::without_global(it.get(3), "regexp_count")?;
    let pattern = flags.pattern(it[1].text())?;
    let Some(start) = start_of(it[0].text(), it.get(2).map_or(1, |it| it.int()))? else { return Ok(Output::Int(0)) };
    let mut count = 0;
    for found in Matches::new(&pattern, it[0].text(), start) {
        found?;
        count += 1;
    }
    Ok(Output::Int(count))
}

/// Match number `number` from character `start` on: the match, or one group of it.
fn numbered(pattern: &Pattern, text: &str, (start, number, group): (i64, i64, i64)) -> Result<Option<Span>> {
    let positive = |it: i64, name: &str| {
        let found = usize::try_from(it - 1).ok();
        found.ok_or_else(|| format!("invalid value for parameter \"{name}\": {it}"))
    };
    let skipped = positive(number, "n")?;
    let group = usize::try_from(group).map_err(|_| format!("invalid value for parameter \"subexpr\": {group}"))?;
    let Some(start) = start_of(text, start)? else { return Ok(None) };
    let Some(found) = Matches::new(pattern, text, start).nth(skipped).transpose()? else { return Ok(None) };
    match group {
        0 => Ok(Some(found)),
        group if group > pattern.groups() => Ok(None),
        group => Ok(pattern.captures(text, &found)?.swap_remove(group - 1)),
    }
}

fn instr(it: &[Cell<'_>]) -> Result<Output> {
    let flags = Flags::without_global(it.get(5), "regexp_instr")?;
    let (text, pattern) = (it[0].text(), flags.pattern(it[1].text())?);
    let at = |place: usize, default: i64| it.get(place).map_or(default, |it| it.int());
    let end = match at(4, 0) {
        0 => false,
        1 => true,
        other => return Err(format!("invalid value for parameter \"endoption\": {other}")),
    };
    let found = numbered(&pattern, text, (at(2, 1), at(3, 1), at(6, 0)))?;
    let place = found.map(|it| if end { it.end } else { it.start });
    Ok(Output::Int(place.map_or(0, |it| text[..it].chars().count() as i64 + 1)))
}

fn substr(it: &[Cell<'_>]) -> Result<Output> {
    let flags = Flags::without_global(it.get(4), "regexp_substr")?;
    let (text, pattern) = (it[0].text(), flags.pattern(it[1].text())?);
    let at = |place: usize, default: i64| it.get(place).map_or(default, |it| it.int());
    let found = numbered(&pattern, text, (at(2, 1), at(3, 1), at(5, 0)))?;
    Ok(found.map_or(Output::Null, |it| Output::Text(text[it].into())))
}

/// The groups of the first match, or the match where there are none.
fn matched(it: &[Cell<'_>]) -> Result<Output> {
    let flags = Flags::without_global(it.get(2), "regexp_match")?;
    let (text, pattern) = (it[0].text(), flags.pattern(it[1].text())?);
    let Some(found) = pattern.find(text, 0)? else { return Ok(Output::Null) };
    if pattern.groups() == 0 {
        return Ok(Output::Texts(vec![Some(text[found].into())]));
    }
    let groups = pattern.captures(text, &found)?.into_iter();
    Ok(Output::Texts(groups.map(|it| it.map(|it| text[it].into())).collect()))
}

/// What matches, or what of it is in the first group.
pub(super) fn substring(it: &[Cell<'_>]) -> Result<Output> {
    let (text, pattern) = (it[0].text(), Pattern::new(it[1].text(), false)?);
    let Some(found) = pattern.find(text, 0)? else { return Ok(Output::Null) };
    let found = if pattern.groups() == 0 { Some(found) } else { pattern.captures(text, &found)?.swap_remove(0) };
    Ok(found.map_or(Output::Null, |it| Output::Text(text[it].into())))
}

fn replaced_from(it: &[Cell<'_>], flags: &Flags) -> Result<Output> {
    let Some(start) = start_of(it[0].text(), it[3].int())? else { return Ok(Output::Text(it[0].text().into())) };
    let number = it.get(4).map_or(1, |it| it.int());
    match usize::try_from(number) {
        Ok(0) => replaced(it, flags, start, None),
        Ok(number) => replaced(it, flags, start, Some(number)),
        Err(_) => Err(format!("invalid value for parameter \"n\": {number}")),
    }
}

/// The text with match number `number` replaced, or with all.
fn replaced(it: &[Cell<'_>], flags: &Flags, start: usize, number: Option<usize>) -> Result<Output> {
    let (text, pattern) = (it[0].text(), flags.pattern(it[1].text())?);
    let template = Template::read(it[2].text());
    let (mut out, mut copied) = (String::with_capacity(text.len()), 0);
    for (at, found) in Matches::new(&pattern, text, start).enumerate() {
        let found = found?;
        if number.is_none_or(|it| it == at + 1) {
            out.push_str(&text[copied..found.start]);
            template.write(&pattern, text, &found, &mut out)?;
            copied = found.end;
        }
        if number.is_some_and(|it| it == at + 1) {
            break;
        }
    }
    out.push_str(&text[copied..]);
    Ok(Output::Text(out))
}

/// What a match is replaced by.
struct Template<'a>(Vec<Piece<'a>>);

enum Piece<'a> {
    Text(&'a str),
    /// 0 is the whole match.
    Group(usize),
}

impl<'a> Template<'a> {
    fn read(text: &'a str) -> Template<'a> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('\\') {
            pieces.push(Piece::Text(&rest[..at]));
            let after = &rest[at + 1..];
            match after.bytes().next() {
                Some(digit @ b'1'..=b'9') => pieces.push(Piece::Group(usize::from(digit - b'0'))),
                Some(b'&') => pieces.push(Piece::Group(0)),
                Some(b'\\') => pieces.push(Piece::Text("\\")),
                _ => {
                    pieces.push(Piece::Text("\\"));
                    rest = after;
                    continue;
                }
            }
            rest = &after[1..];
        }
        pieces.push(Piece::Text(rest));
        Template(pieces)
    }

    fn write(&self, pattern: &Pattern, text: &str, found: &Span, out: &mut String) -> Result<()> {
        let has_groups = self.0.iter().any(|it| matches!(it, Piece::Group(1..)));
        let groups = if has_groups { pattern.captures(text, found)? } else { Vec::new() };
        for piece in &self.0 {
            match piece {
                Piece::Text(it) => out.push_str(it),
                Piece::Group(0) => out.push_str(&text[found.clone()]),
                Piece::Group(it) => {
                    if let Some(Some(group)) = groups.get(it - 1) {
                        out.push_str(&text[group.clone()]);
                    }
                }
            }
        }
        Ok(())
    }
}

/// What stands between the matches; empty ones at the ends, or right behind another, divide nothing.
fn split(it: &[Cell<'_>]) -> Result<Output> {
    let flags = Flags::without_global(it.get(2), "regexp_split_to_array")?;
    let (text, pattern) = (it[0].text(), flags.pattern(it[1].text())?);
    let (mut parts, mut copied) = (Vec::new(), 0);
    for found in Matches::new(&pattern, text, 0) {
        let found = found?;
        if found.is_empty() && (found.start == copied || found.start == text.len()) {
            continue;
        }
        parts.push(Some(text[copied..found.start].to_owned()));
        copied = found.end;
    }
    parts.push(Some(text[copied..].to_owned()));
    Ok(Output::Texts(parts))
}
