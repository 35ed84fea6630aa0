//! What `WITH (…)` and `FORMAT … ENCODE …` say: words with their places. What they mean is the source's kind's to know.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use datafusion::sql::sqlparser::tokenizer::Token;
use serde::{Deserialize, Serialize};

use super::tokens::Cursor;
use super::{Problem, Span};

/// A word of a view file and where it stands. Two are the same when they say the same, wherever they stand.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Name {
    /// The word: of a name as SQL means it (lower case unless quoted), of a value what stands between the quotes.
    pub text: String,
    /// Where it stands.
    #[serde(skip)]
    pub span: Span,
}

impl Name {
    /// A duration is a whole number with a unit: 500ms, 1s, 5m, 1h, 7d, also with a space or the unit as a word.
    pub fn duration(&self) -> Result<Duration, Problem> {
        let digits = self.text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
        let millis = match self.text[digits.len()..].to_ascii_lowercase().as_str() {
            "ms" => Some(1),
            "s" | "sec" | "second" | "seconds" => Some(1_000),
            "m" | "min" | "minute" | "minutes" => Some(60_000),
            "h" | "hour" | "hours" => Some(3_600_000),
            "d" | "day" | "days" => Some(86_400_000),
            _ => None,
        };
        let count = digits.trim_end().parse::<u32>().ok();
        let duration = count.zip(millis).map(|(count, millis)| Duration::from_millis(u64::from(count) * millis));
        duration.ok_or_else(|| {
            Problem::at(self.span, format!("\"{}\" is not a duration", self.text))
                .with_hint("write '500ms', '1s', '5m' or '1h'")
        })
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        self.text == other.text
    }
}

impl Eq for Name {}

// Without the place, so that what is derived from a declaration does not change when it is moved.
impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

/// The pairs of `WITH (name = 'value', …)` in the order in which they are written; no name stands twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Options(Vec<(Name, Name)>);

impl Options {
    /// The pairs: name and value.
    pub fn iter(&self) -> impl Iterator<Item = &(Name, Name)> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the option called `name` out, with its value.
    pub(super) fn take(&mut self, name: &str) -> Option<(Name, Name)> {
        let at = self.0.iter().position(|it| it.0.text == name)?;
        Some(self.0.remove(at))
    }

    /// Takes out the options whose names begin with `prefix`, which they lose.
    fn take_prefixed(&mut self, prefix: &str) -> Options {
        let (taken, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.0).into_iter().partition(|it| it.0.text.starts_with(prefix));
        self.0 = rest;
        let bare = |(name, value): (Name, Name)| (Name { text: name.text[prefix.len()..].into(), ..name }, value);
        Options(taken.into_iter().map(bare).collect())
    }

    /// The same options without regard to their order, for comparing.
    pub fn sorted(&self) -> Options {
        let mut sorted = self.clone();
        sorted.0.sort_by(|a, b| a.0.text.cmp(&b.0.text));
        sorted
    }
}

/// How messages are read: `FORMAT DEBEZIUM ENCODE JSON (…)`, or 'format' = 'debezium-json' among the options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// What a message says of a row: `plain`, `upsert`, `debezium` …, in lower case.
    pub envelope: Name,
    /// How it is written: `json`, `avro`, `csv` …, in lower case.
    pub encoding: Name,
    /// The options behind it.
    pub options: Options,
}

impl Format {
    /// From a word as Flink has it: `debezium-json` is an envelope and an encoding, `csv` alone a plain one. A suffix
    /// that names the framing is part of Avro here, and `raw` is bytes as they are.
    fn of_word(word: &Name, options: Options) -> Format {
        let text = word.text.to_lowercase();
        let text = text.strip_suffix("-confluent").unwrap_or(&text);
        let (envelope, encoding) = text.rsplit_once('-').unwrap_or(("plain", text));
        let encoding = if encoding == "raw" { "bytes" } else { encoding };
        let part = |text: &str| Name { text: text.into(), span: word.span };
        Format { envelope: part(envelope), encoding: part(encoding), options }
    }
}

/// `WITH (name = 'value', …)` behind its first word. Names are bare (also with points: properties.bootstrap.server) or
/// quoted; a number, true and false may stand without quotes.
pub(super) fn options(cursor: &mut Cursor<'_>) -> Result<Options, Problem> {
    let mut seen: HashSet<String> = HashSet::new();
    let pairs = cursor.list(|cursor| {
        let name = option_name(cursor)?;
        if !seen.insert(name.text.clone()) {
            return Err(Problem::at(name.span, format!("option \"{}\" is given twice", name.text)));
        }
        cursor.expect(&Token::Eq)?;
        Ok((name, option_value(cursor)?))
    })?;
    Ok(Options(pairs))
}

fn option_name(cursor: &mut Cursor<'_>) -> Result<Name, Problem> {
    let mut name = Name { text: String::new(), span: cursor.here() };
    loop {
        name.text += &match cursor.peek() {
            Some(Token::Word(word)) if word.quote_style.is_some() => word.value.clone(),
            Some(Token::Word(word)) => word.value.to_lowercase(),
            Some(Token::SingleQuotedString(text)) => text.clone(),
            _ => return Err(cursor.expected("an option's name")),
        };
        name.span.end = cursor.here().end;
        cursor.skip(1);
        if !cursor.accept(&Token::Period) {
            return Ok(name);
        }
        name.text.push('.');
    }
}

fn option_value(cursor: &mut Cursor<'_>) -> Result<Name, Problem> {
    let plain = match cursor.peek() {
        Some(Token::Number(digits, false)) => Some(digits.clone()),
        Some(Token::Word(word)) if word.quote_style.is_none() => {
            Some(word.value.to_lowercase()).filter(|it| it == "true" || it == "false")
        }
        _ => None,
    };
    let Some(text) = plain else { return cursor.string("the option's value") };
    let value = Name { text, span: cursor.here() };
    cursor.skip(1);
    Ok(value)
}

/// How messages are read, from either spelling: the clause that may follow, or what stands among the `options`.
pub(super) fn format(cursor: &mut Cursor<'_>, options: &mut Options) -> Result<Option<Format>, Problem> {
    let word = options.take("format").map(|(name, value)| {
        let own = options.take_prefixed(&format!("{}.", value.text));
        (name, Format::of_word(&value, own))
    });
    if !cursor.accept_keyword("FORMAT") {
        return Ok(word.map(|it| it.1));
    }
    if let Some((name, _)) = word {
        let problem = Problem::at(name.span, "the format is given twice");
        return Err(problem.with_hint("leave this option out, or the clause FORMAT … ENCODE …"));
    }
    let envelope = cursor.name("what a message says of a row, such as PLAIN, UPSERT or DEBEZIUM")?;
    if !cursor.accept_keyword("ENCODE") {
        let problem = cursor.expected("ENCODE");
        return Err(problem.with_hint("write FORMAT DEBEZIUM ENCODE JSON, say"));
    }
    let encoding = cursor.name("how messages are written, such as JSON, AVRO or CSV")?;
    let options = match cursor.peek() {
        Some(Token::LParen) => self::options(cursor)?,
        _ => Options::default(),
    };
    Ok(Some(Format { envelope, encoding, options }))
}
