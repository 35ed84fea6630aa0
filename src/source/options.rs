//! Reads the options of declarations against the lists of those that a kind knows: each is honoured or refused.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::catalog::{Name, Options, Problem, Source, Span, Table, did_you_mean};

/// An option that a kind knows.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Its name, as it is told to users.
    pub name: &'static str,
    /// Other spellings that are taken for it, as other systems have them.
    pub aliases: &'static [&'static str],
    /// What it is for: "the file".
    pub meaning: &'static str,
    /// Whether it has to be given.
    pub need: Need,
    /// What its value has to be.
    pub form: Form,
}

/// Whether an option has to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It has to; this is an example of a value.
    Required(&'static str),
    /// Without it there is nothing to know.
    Optional,
    /// Without it, this is its value.
    Default(&'static str),
}

/// What an option's value has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Any text.
    Text,
    /// A whole number in this range, both ends included.
    Number(u64, u64),
    /// A whole number with a unit.
    Duration,
    /// true or false.
    Boolean,
    /// One of these words, in any case.
    OneOf(&'static [&'static str]),
    /// A file or directory; a relative path starts at the base directory.
    Path,
    /// A text that may not stand in a view file: `NAME_env` names a variable that holds it, `NAME_file` a file.
    Secret,
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text, for whom it is meant.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    Number(u64),
    Duration(Duration),
    Boolean(bool),
    Path(PathBuf),
    Secret(Secret),
}

/// The values of options, by the names of the list they were read against. Each has one form: to ask for another is a
/// mistake of the kind, not of the user.
#[derive(Debug, Clone, Default)]
pub struct Values(BTreeMap<&'static str, Value>);

impl Values {
    /// The value of a text or of one of some words, which are in lower case.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|it| match it {
            Value::Text(it) => it.as_str(),
            other => unreachable!("option {name} is no text: {other:?}"),
        })
    }

    /// The value of a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name).map(|it| match it {
            Value::Number(it) => *it,
            other => unreachable!("option {name} is no number: {other:?}"),
        })
    }

    /// The value of a duration.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        self.0.get(name).map(|it| match it {
            Value::Duration(it) => *it,
            other => unreachable!("option {name} is no duration: {other:?}"),
        })
    }

    /// The value of what is true or false.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.0.get(name).map(|it| match it {
            Value::Boolean(it) => *it,
            other => unreachable!("option {name} is not true or false: {other:?}"),
        })
    }

    /// The value of a path, with the base directory in front of a relative one.
    pub fn path(&self, name: &str) -> Option<&Path> {
        self.0.get(name).map(|it| match it {
            Value::Path(it) => it.as_path(),
            other => unreachable!("option {name} is no path: {other:?}"),
        })
    }

    /// The value of a secret.
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.0.get(name).map(|it| match it {
            Value::Secret(it) => it,
            other => unreachable!("option {name} is no secret: {other:?}"),
        })
    }
}

/// What options are read with, and what is wrong with those read so far.
#[derive(Debug)]
pub struct Reading<'a> {
    base: &'a Path,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Where secrets stand that may not stand there: nobody shows these places.
    pub(super) exposed: Vec<Span>,
    variable: fn(&str) -> Option<String>,
}

impl<'a> Reading<'a> {
    /// Relative paths start at `base`.
    pub fn new(base: &'a Path) -> Reading<'a> {
        Reading { base, problems: Vec::new(), exposed: Vec::new(), variable: |name| std::env::var(name).ok() }
    }

    /// What stands there is not shown.
    #[cfg(feature = "kafka")]
    pub(super) fn hide(&mut self, at: Span) {
        self.exposed.push(at);
    }

    /// The values of `options`, all of which have to be in `known`. A required one that is missing is told at `at`, where
    /// `owner` wants it. `None` when there is a problem.
    pub fn options(&mut self, options: &Options, known: &[Known], at: Span, owner: &str) -> Option<Values> {
        let before = self.problems.len();
        self.refuse_unknown(options, &[known], owner);
        let values = self.values(options, known, at, owner);
        (self.problems.len() == before).then_some(values)
    }

    /// The values of a source's options and of those of each of its tables. An unshared source and its table have one list
    /// of options for both.
    pub fn declared(
        &mut self,
        source: &Source,
        tables: &[&Table],
        of_source: &[Known],
        of_table: &[Known],
    ) -> Option<(Values, Vec<Values>)> {
        let before = self.problems.len();
        let (at, owner) = (source.connector.span, format!("connector '{}'", source.connector.text));
        let of_tables = format!("a table of {owner}");
        if source.is_unshared {
            self.refuse_unknown(&source.options, &[of_source, of_table], &owner);
        } else {
            self.refuse_unknown(&source.options, &[of_source], &owner);
        }
        let values = self.values(&source.options, of_source, at, &owner);
        let mut by_table = Vec::new();
        for table in tables {
            let options = if source.is_unshared { &source.options } else { &table.options };
            if !source.is_unshared {
                self.refuse_unknown(options, &[of_table], &of_tables);
            }
            let at = if source.is_unshared { at } else { table.span };
            by_table.push(self.values(options, of_table, at, &of_tables));
        }
        (self.problems.len() == before).then_some((values, by_table))
    }

    fn refuse_unknown(&mut self, options: &Options, lists: &[&[Known]], owner: &str) {
        let names: Vec<String> = lists.iter().copied().flatten().flat_map(Known::names).collect();
        let told = |it: &Known| format!("{}{}", it.name, if it.form == Form::Secret { "_env" } else { "" });
        let told: Vec<String> = lists.iter().copied().flatten().map(told).collect();
        let secrets = || lists.iter().copied().flatten().filter(|it| it.form == Form::Secret).flat_map(Known::names);
        for (name, value) in options.iter().filter(|it| !names.contains(&it.0.text)) {
            // Under a name that is only misspelt it may be the secret itself.
            if did_you_mean(&name.text, secrets().collect::<Vec<_>>().iter().map(String::as_str)).is_some() {
                self.exposed.push(value.span);
            }
            let list = if told.is_empty() {
                format!("{owner} has no options")
            } else {
                format!("{owner} has these options: {}", told.join(", "))
            };
            let hint = did_you_mean(&name.text, names.iter().map(String::as_str)).unwrap_or(list);
            let problem = Problem::at(name.span, format!("there is no option \"{}\"", name.text));
            self.problems.push(problem.with_hint(hint));
        }
    }

    /// The values of the options that are in `known`; of others nothing is said.
    fn values(&mut self, options: &Options, known: &[Known], at: Span, owner: &str) -> Values {
        let mut values = Values::default();
        for it in known {
            let names: Vec<String> = it.names().collect();
            let mut given = options.iter().filter(|(name, _)| names.contains(&name.text));
            let first = given.next();
            if let Some((name, _)) = given.next() {
                let problem = Problem::at(name.span, format!("option \"{}\" is given twice", it.name));
                self.problems.push(problem.with_hint(format!("leave one of them out: {}", names.join(", "))));
            }
            let value = match (first, it.need) {
                (Some((name, value)), _) => self.value(it, name, value),
                (None, Need::Default(text)) => self.value(it, &word(it.name, at), &word(text, at)),
                (None, Need::Optional) => None,
                (None, Need::Required(example)) => {
                    let message = format!("{owner} needs the option \"{}\": {}", it.name, it.meaning);
                    let hint = match it.form {
                        Form::Secret => format!("add {0}_env = 'VARIABLE' or {0}_file = 'path'", it.name),
                        _ => format!("add {} = '{example}'", it.name),
                    };
                    self.problems.push(Problem::at(at, message).with_hint(hint));
                    None
                }
            };
            values.0.extend(value.map(|value| (it.name, value)));
        }
        values
    }

    fn value(&mut self, known: &Known, name: &Name, value: &Name) -> Option<Value> {
        let text = value.text.as_str();
        let wrong = |what: String| Err(Problem::at(value.span, format!("\"{text}\" is not {what}")));
        let read = match known.form {
            Form::Text => Ok(Value::Text(text.into())),
            Form::Number(least, most) => match text.parse() {
                Ok(number) if (least..=most).contains(&number) => Ok(Value::Number(number)),
                _ => wrong(format!("a whole number from {least} to {most}")),
            },
            Form::Duration => value.duration().map(Value::Duration),
            Form::Boolean => match text.to_ascii_lowercase().as_str() {
                "true" => Ok(Value::Boolean(true)),
                "false" => Ok(Value::Boolean(false)),
                _ => wrong("true or false".into()),
            },
            Form::OneOf(words) => match words.iter().find(|it| it.eq_ignore_ascii_case(text)) {
                Some(word) => Ok(Value::Text((*word).into())),
                None => wrong(format!("one of {}", words.join(", "))).map_err(|it| {
                    let near = did_you_mean(text, words.iter().copied());
                    near.into_iter().fold(it, Problem::with_hint)
                }),
            },
            Form::Path if text.is_empty() => wrong("a path".into()),
            Form::Path => Ok(Value::Path(self.base.join(text))),
            Form::Secret => self.secret(known, name, value).map(|it| Value::Secret(Secret(it))),
        };
        read.map_err(|it| self.problems.push(it)).ok()
    }

    fn secret(&mut self, known: &Known, name: &Name, value: &Name) -> Result<String, Problem> {
        let failed = |message: String| Err(Problem::at(value.span, message));
        if name.text.ends_with("_env") {
            return match (self.variable)(&value.text) {
                Some(secret) => Ok(secret),
                None => failed(format!("the environment variable \"{}\" is not set", value.text)),
            };
        }
        if name.text.ends_with("_file") {
            let path = self.base.join(&value.text);
            return match std::fs::read_to_string(&path) {
                // Who writes such a file ends its line.
                Ok(secret) => Ok(secret.trim_end_matches(['\r', '\n']).into()),
                Err(error) => failed(format!("{} cannot be read: {error}", path.display())),
            };
        }
        self.exposed.push(value.span);
        let problem =
            Problem::at(name.span, format!("\"{}\" is a secret and may not stand in a view file", known.name));
        let hint =
            format!("name a variable that holds it, {0}_env = 'VARIABLE', or a file, {0}_file = 'path'", known.name);
        Err(problem.with_hint(hint))
    }
}

impl Known {
    /// All spellings of its name, those of its twins among them when it is a secret.
    fn names(&self) -> impl Iterator<Item = String> {
        let twins: &[&str] = if self.form == Form::Secret { &["", "_env", "_file"] } else { &[""] };
        let names = std::iter::once(self.name).chain(self.aliases.iter().copied());
        names.flat_map(|name| twins.iter().map(move |twin| format!("{name}{twin}")))
    }
}

fn word(text: &str, span: Span) -> Name {
    Name { text: text.into(), span }
}
