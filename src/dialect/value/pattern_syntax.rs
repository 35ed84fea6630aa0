//! The syntax of PostgreSQL's advanced regular expressions, written anew in that of the engine.

use super::Failure;

/// The largest number in braces.
const MAX_REPETITION: u32 = 255;

/// What a class of characters is, inside brackets.
const CLASSES: [(&str, &str); 12] = [
    ("alpha", "\\p{Alphabetic}"),
    ("digit", "0-9"),
    ("alnum", "\\p{Alphabetic}\\p{N}"),
    ("upper", "\\p{Uppercase}"),
    ("lower", "\\p{Lowercase}"),
    ("space", SPACE),
    ("blank", " \\t"),
    ("punct", "!-/:-@\\[-`{-~"),
    ("xdigit", "0-9A-Fa-f"),
    ("cntrl", "\\x00-\\x1f\\x7f"),
    ("word", "\\p{Alphabetic}\\p{N}_"),
    ("ascii", "\\x00-\\x7f"),
];

const SPACE: &str = "\\x09-\\x0d \\x{1680}\\x{2000}-\\x{2006}\\x{2008}-\\x{200a}\\x{2028}\\x{2029}\\x{205f}\\x{3000}";
const WORD: &str = "\\p{Alphabetic}\\p{N}_";

/// A pattern in the engine's syntax, and what is known of it.
#[derive(Debug)]
pub(super) struct Translated {
    pub(super) text: String,
    /// Whether the shortest match is wanted.
    pub(super) is_lazy: bool,
    /// Whether matches of several lengths can begin at one place.
    pub(super) has_choice: bool,
    /// Why the engine might give other groups.
    pub(super) no_captures: Option<&'static str>,
}

/// Translates `pattern`.
pub(super) fn translate(pattern: &str) -> Result<Translated, Failure> {
    let begins = |with: &[&str]| with.iter().any(|it| pattern.starts_with(it));
    if begins(&["***", "(?"]) && !begins(&["(?:", "(?=", "(?!", "(?<"]) {
        return Err("options in front of a regular expression are not supported; give them as flags".into());
    }
    let mut reader = Reader { rest: pattern.chars().collect(), at: 0, out: String::new(), ..Reader::default() };
    let preference = reader.alternatives(0)?;
    if reader.at < reader.rest.len() {
        return Err(invalid("parentheses () not balanced"));
    }
    let no_captures = match () {
        () if reader.ambiguous => Some("alternatives that can begin alike"),
        () if reader.greedy && reader.lazy => Some("greedy and lazy quantifiers"),
        () => None,
    };
    Ok(Translated {
        text: reader.out,
        is_lazy: preference == Some(true),
        has_choice: reader.greedy || reader.lazy || reader.alternation,
        no_captures,
    })
}

fn invalid(why: &str) -> Failure {
    format!("invalid regular expression: {why}")
}

fn unsupported(what: &str) -> Failure {
    format!("{what} in a regular expression is not supported")
}

#[derive(Default)]
struct Reader {
    rest: Vec<char>,
    at: usize,
    out: String,
    greedy: bool,
    lazy: bool,
    alternation: bool,
    ambiguous: bool,
}

/// How deep groups may be nested.
const MAX_DEPTH: usize = 100;

impl Reader {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += usize::from(next.is_some());
        next
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = text.chars().enumerate().all(|(at, it)| self.rest.get(self.at + at) == Some(&it));
        self.at += if found { text.chars().count() } else { 0 };
        found
    }

    /// Branches up to a closing bracket or the end. What it prefers: `true` is the shortest match.
    fn alternatives(&mut self, depth: usize) -> Result<Option<bool>, Failure> {
        if depth > MAX_DEPTH {
            return Err(unsupported("so deep a nesting of groups"));
        }
        let mut firsts = vec![self.peek()];
        let mut preference = self.branch(depth)?;
        while self.eat("|") {
            self.out.push('|');
            firsts.push(self.peek());
            self.branch(depth)?;
            preference = Some(false);
        }
        if firsts.len() > 1 {
            self.alternation = true;
            let plain = |it: &Option<char>| it.is_some_and(char::is_alphanumeric);
            let differ = firsts.iter().enumerate().all(|(at, it)| {
                let folded = |it: &Option<char>| it.map(|it| it.to_lowercase().to_string());
                firsts[..at].iter().all(|other| folded(other) != folded(it))
            });
            self.ambiguous |= !(differ && firsts.iter().all(plain));
        }
        Ok(preference)
    }

    fn branch(&mut self, depth: usize) -> Result<Option<bool>, Failure> {
        let mut preference = None;
        loop {
            match self.peek() {
                None | Some('|') => return Ok(preference),
                Some(')') if depth > 0 => return Ok(preference),
                Some(')') => return Err(invalid("parentheses () not balanced")),
                _ => {}
            }
            let start = self.out.len();
            let (inner, can_repeat) = self.atom(depth)?;
            let quantified = self.quantifier(start, can_repeat)?;
            let own = quantified.unwrap_or(inner);
            preference = preference.or(own);
        }
    }

    /// One atom or constraint: what it prefers, and whether a quantifier may follow.
    fn atom(&mut self, depth: usize) -> Result<(Option<bool>, bool), Failure> {
        let Some(letter) = self.next() else { return Ok((None, false)) };
        match letter {
            '(' => {
                if self.eat("?:") {
                    self.out.push_str("(?:");
                } else if self.peek() == Some('?') {
                    return Err(unsupported("a look at what follows or precedes"));
                } else {
                    self.out.push('(');
                }
                let preference = self.alternatives(depth + 1)?;
                if !self.eat(")") {
                    return Err(invalid("parentheses () not balanced"));
                }
                self.out.push(')');
                return Ok((preference, true));
            }
            '[' => self.brackets()?,
            '.' => self.out.push('.'),
            '^' | '$' => {
                self.out.push_str(if letter == '^' { "\\A" } else { "\\z" });
                return Ok((None, false));
            }
            '*' | '+' | '?' => return Err(invalid("quantifier operand invalid")),
            '{' if self.peek().is_some_and(|it| it.is_ascii_digit()) => {
                return Err(invalid("quantifier operand invalid"));
            }
            '\\' => return self.escape().map(|can_repeat| (None, can_repeat)),
            letter => self.literal(letter),
        }
        Ok((None, true))
    }

    fn literal(&mut self, letter: char) {
        if letter.is_alphanumeric() && !letter.is_ascii_control() || letter == ' ' {
            self.out.push(letter);
        } else {
            self.out.push_str(&format!("\\x{{{:x}}}", u32::from(letter)));
        }
    }

    /// A quantifier after the atom written from `start` on: `None` when there is none; else what it prefers, which is
    /// what its atom prefers for a fixed number.
    fn quantifier(&mut self, start: usize, can_repeat: bool) -> Result<Option<Option<bool>>, Failure> {
        let text = match self.peek() {
            Some('*') => "*".to_owned(),
            Some('+') => "+".to_owned(),
            Some('?') => "?".to_owned(),
            Some('{') if self.rest.get(self.at + 1).is_some_and(|it| it.is_ascii_digit()) => self.braces()?,
            _ => return Ok(None),
        };
        if !can_repeat {
            return Err(invalid("quantifier operand invalid"));
        }
        if !text.starts_with('{') {
            self.at += 1;
        }
        let lazy = self.eat("?");
        if matches!(self.peek(), Some('*' | '+' | '?')) {
            return Err(invalid("quantifier operand invalid"));
        }
        let fixed = text.starts_with('{') && !text.contains(',');
        // The atom as one, whatever letters it was written with.
        self.out.insert_str(start, "(?:");
        self.out.push(')');
        self.out.push_str(&text);
        if fixed {
            return Ok(None);
        }
        self.out.push_str(if lazy { "?" } else { "" });
        self.lazy |= lazy;
        self.greedy |= !lazy;
        Ok(Some(Some(lazy)))
    }

    fn braces(&mut self) -> Result<String, Failure> {
        let end = self.rest[self.at..].iter().position(|it| *it == '}');
        let end = end.ok_or_else(|| invalid("braces {} not balanced"))?;
        let text: String = self.rest[self.at..=self.at + end].iter().collect();
        self.at += end + 1;
        let inner = &text[1..text.len() - 1];
        let (low, high) = inner.split_once(',').unwrap_or((inner, inner));
        let number = |it: &str| it.parse::<u32>().ok().filter(|it| *it <= MAX_REPETITION);
        let bad = || invalid("invalid repetition count(s)");
        let low = number(low).ok_or_else(bad)?;
        if !high.is_empty() && number(high).is_none_or(|high| high < low) {
            return Err(bad());
        }
        Ok(text)
    }

    /// What follows a backslash outside of brackets; whether it can be repeated.
    fn escape(&mut self) -> Result<bool, Failure> {
        let Some(letter) = self.next() else { return Err(invalid("invalid escape \\ sequence")) };
        let constraint = match letter {
            'y' => "\\b",
            'Y' => "\\B",
            'm' => "\\b{start}",
            'M' => "\\b{end}",
            'A' => "\\A",
            'Z' => "\\z",
            _ => "",
        };
        if !constraint.is_empty() {
            self.out.push_str(constraint);
            return Ok(false);
        }
        match class_escape(letter) {
            Some((class, negated)) => {
                self.out.push_str(&format!("[{}{class}]", if negated { "^" } else { "" }));
            }
            None => {
                let letter = letter_escape(letter)?;
                self.literal(letter);
            }
        }
        Ok(true)
    }

    /// A bracket expression whose first bracket has been read.
    fn brackets(&mut self) -> Result<(), Failure> {
        let negated = self.eat("^");
        self.out.push_str(if negated { "[^" } else { "[" });
        let mut first = true;
        loop {
            let Some(letter) = self.next() else { return Err(invalid("brackets [] not balanced")) };
            match letter {
                ']' if !first => break,
                '[' if matches!(self.peek(), Some('.' | '=')) => return Err(unsupported("a collating element")),
                '[' if self.eat(":") => self.class()?,
                letter => self.range(letter)?,
            }
            first = false;
        }
        self.out.push(']');
        Ok(())
    }

    /// A named class whose `[:` has been read.
    fn class(&mut self) -> Result<(), Failure> {
        let mut name = String::new();
        while let Some(letter) = self.peek().filter(char::is_ascii_alphabetic) {
            name.push(letter);
            self.at += 1;
        }
        let known = CLASSES.iter().find(|(it, _)| *it == name).filter(|_| self.eat(":]"));
        let (_, class) = known.ok_or_else(|| invalid("invalid character class"))?;
        self.out.push_str(class);
        Ok(())
    }

    /// One character of a bracket expression, or a range from it on.
    fn range(&mut self, letter: char) -> Result<(), Failure> {
        let Some(from) = self.bracketed(letter)? else { return Ok(()) };
        let is_range = self.peek() == Some('-') && self.rest.get(self.at + 1).is_some_and(|it| *it != ']');
        if !is_range {
            self.literal(from);
            return Ok(());
        }
        self.at += 1;
        let Some(letter) = self.next() else { return Err(invalid("brackets [] not balanced")) };
        if letter == '[' && matches!(self.peek(), Some('.' | '=' | ':')) {
            return Err(invalid("invalid character range"));
        }
        let to =
            if letter == '\\' { self.next().ok_or_else(|| invalid("invalid escape \\ sequence"))? } else { letter };
        let to = if letter == '\\' { letter_escape(to)? } else { to };
        if to < from {
            return Err(invalid("invalid character range"));
        }
        self.literal(from);
        self.out.push('-');
        self.literal(to);
        Ok(())
    }

    /// A character in brackets; `None` when it was a class that is written already.
    fn bracketed(&mut self, letter: char) -> Result<Option<char>, Failure> {
        if letter != '\\' {
            return Ok(Some(letter));
        }
        let Some(escaped) = self.next() else { return Err(invalid("invalid escape \\ sequence")) };
        match class_escape(escaped) {
            Some((class, false)) => {
                self.out.push_str(class);
                Ok(None)
            }
            Some(_) => Err(unsupported("a negated class within brackets")),
            None => letter_escape(escaped).map(Some),
        }
    }
}

/// The class an escape stands for, and whether for what is not in it.
fn class_escape(letter: char) -> Option<(&'static str, bool)> {
    Some(match letter {
        'd' => ("0-9", false),
        'D' => ("0-9", true),
        's' => (SPACE, false),
        'S' => (SPACE, true),
        'w' => (WORD, false),
        'W' => (WORD, true),
        _ => return None,
    })
}

/// The character an escape stands for.
fn letter_escape(letter: char) -> Result<char, Failure> {
    Ok(match letter {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'f' => '\u{c}',
        'v' => '\u{b}',
        'a' => '\u{7}',
        'b' => '\u{8}',
        'e' => '\u{1b}',
        'B' => '\\',
        '1'..='9' => return Err(unsupported("a back reference")),
        letter if letter.is_alphanumeric() => return Err(unsupported(&format!("the escape \\{letter}"))),
        letter => letter,
    })
}
