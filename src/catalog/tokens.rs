//! The tokens of one SQL file with their places in bytes, and a cursor that reads declarations off them.
//!
//! sqlparser counts lines and characters; everything shown to users here counts bytes, so the places are mapped once.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace, Word};

use super::{Name, Problem, Span};
use crate::dialect::syntax_error;

/// Maps sqlparser's places (line and character, both from 1) in a text to byte offsets.
#[derive(Debug, Clone)]
pub(crate) struct LineMap<'a> {
    text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> LineMap<'a> {
    pub(crate) fn new(text: &'a str) -> LineMap<'a> {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        LineMap { text, line_starts }
    }

    /// The byte offset of `line` and `column`; the end of the text when there is no such place.
    pub(crate) fn offset(&self, line: u64, column: u64) -> usize {
        let Some(start) = (line as usize).checked_sub(1).and_then(|it| self.line_starts.get(it)) else {
            return self.text.len();
        };
        let rest = &self.text[*start..];
        let within = rest.char_indices().nth((column as usize).saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
        start + within
    }
}

/// A token and where it is.
#[derive(Debug, Clone)]
pub(crate) struct PlacedToken {
    pub(crate) token: TokenWithSpan,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// All tokens of `text`, white space included.
pub(crate) fn tokenize(file: usize, text: &str) -> Result<Vec<PlacedToken>, Problem> {
    let lines = LineMap::new(text);
    let offset = |at: Location| lines.offset(at.line, at.column);
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location().map_err(|error| {
        let start = offset(error.location);
        let message = syntax_error(&error.into()).message("the file");
        Problem::at(Span { file, start, end: start + 1 }, message)
    })?;
    let placed = tokens.into_iter().map(|token| {
        let (start, end) = (offset(token.span.start), offset(token.span.end));
        PlacedToken { token, start, end }
    });
    Ok(placed.collect())
}

/// One statement: its tokens without white space, and the comment directly in front of it.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) tokens: Vec<PlacedToken>,
    pub(crate) doc: String,
}

/// Splits tokens at semicolons.
pub(crate) fn split_statements(tokens: Vec<PlacedToken>) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut current = Statement { tokens: Vec::new(), doc: String::new() };
    let mut doc: Vec<String> = Vec::new();
    // A comment on the line on which the last statement ended still belongs to that one, and a blank line separates
    // a comment from what follows.
    let (mut same_line, mut newlines) = (false, 0);
    for token in tokens {
        match &token.token.token {
            Token::EOF => {}
            Token::Whitespace(Whitespace::Newline) => {
                same_line = false;
                newlines += 1;
                if newlines > 1 {
                    doc.clear();
                }
            }
            Token::Whitespace(Whitespace::SingleLineComment { comment, .. }) => {
                if !std::mem::take(&mut same_line) {
                    doc.push(comment.trim().to_string());
                }
                newlines = usize::from(comment.ends_with('\n'));
            }
            Token::Whitespace(Whitespace::MultiLineComment(comment)) => {
                if !same_line {
                    let lines = comment.lines().map(|line| line.trim().trim_start_matches('*').trim());
                    doc.push(lines.collect::<Vec<_>>().join("\n").trim().to_string());
                }
                newlines = 0;
            }
            Token::Whitespace(_) => {}
            Token::SemiColon => {
                if !current.tokens.is_empty() {
                    statements
                        .push(std::mem::replace(&mut current, Statement { tokens: Vec::new(), doc: String::new() }));
                }
                doc.clear();
                (same_line, newlines) = (true, 0);
            }
            _ => {
                if current.tokens.is_empty() {
                    current.doc = doc.join("\n");
                }
                doc.clear();
                (same_line, newlines) = (false, 0);
                current.tokens.push(token);
            }
        }
    }
    if !current.tokens.is_empty() {
        statements.push(current);
    }
    statements
}

/// Reads a statement from the front.
pub(crate) struct Cursor<'a> {
    file: usize,
    tokens: &'a [PlacedToken],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor over a statement's tokens, of which there is at least one.
    pub(crate) fn new(file: usize, tokens: &'a [PlacedToken]) -> Cursor<'a> {
        Cursor { file, tokens, at: 0 }
    }

    /// The whole statement.
    pub(crate) fn whole(&self) -> Span {
        let (first, last) = (self.tokens.first(), self.tokens.last());
        Span { file: self.file, start: first.map_or(0, |it| it.start), end: last.map_or(0, |it| it.end) }
    }

    /// The tokens not read yet.
    pub(crate) fn rest(&self) -> &'a [PlacedToken] {
        &self.tokens[self.at..]
    }

    /// Goes on behind `count` more tokens.
    pub(crate) fn skip(&mut self, count: usize) {
        self.at = (self.at + count).min(self.tokens.len());
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.tokens.len()
    }

    pub(crate) fn peek(&self) -> Option<&'a Token> {
        self.rest().first().map(|it| &it.token.token)
    }

    /// Where the next token is; behind the last one at the end.
    pub(crate) fn here(&self) -> Span {
        match self.rest().first() {
            Some(token) => Span { file: self.file, start: token.start, end: token.end },
            None => {
                let end = self.whole().end;
                Span { file: self.file, start: end.saturating_sub(1), end }
            }
        }
    }

    /// "expected …, found …" at the next token.
    pub(crate) fn expected(&self, what: &str) -> Problem {
        let found = self.peek().map_or("the end of the statement".to_string(), |it| format!("\"{it}\""));
        Problem::at(self.here(), format!("expected {what}, found {found}"))
    }

    /// Whether the next word is `keyword` (in upper case).
    pub(crate) fn peek_keyword(&self, keyword: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(Word { value, quote_style: None, .. })) if value.eq_ignore_ascii_case(keyword))
    }

    pub(crate) fn accept_keyword(&mut self, keyword: &str) -> bool {
        let found = self.peek_keyword(keyword);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn expect_keyword(&mut self, keyword: &str) -> Result<(), Problem> {
        if self.accept_keyword(keyword) { Ok(()) } else { Err(self.expected(keyword)) }
    }

    pub(crate) fn accept(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn expect(&mut self, token: &Token) -> Result<(), Problem> {
        if self.accept(token) { Ok(()) } else { Err(self.expected(&format!("\"{token}\""))) }
    }

    /// A name; `what` says of what.
    pub(crate) fn name(&mut self, what: &str) -> Result<Name, Problem> {
        match self.peek() {
            Some(Token::Word(word)) => {
                let text = if word.quote_style.is_some() { word.value.clone() } else { word.value.to_lowercase() };
                let name = Name { text, span: self.here() };
                self.at += 1;
                if self.peek() == Some(&Token::Period) {
                    let message = format!("{what} has no schema or database in front of it");
                    return Err(Problem::at(self.here(), message).with_hint("write the bare name"));
                }
                Ok(name)
            }
            _ => Err(self.expected(what)),
        }
    }

    /// A text in single quotes.
    pub(crate) fn string(&mut self, what: &str) -> Result<Name, Problem> {
        match self.peek() {
            Some(Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text)) => {
                let name = Name { text: text.clone(), span: self.here() };
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.expected(what).with_hint("write it in single quotes: 'like this'")),
        }
    }

    /// `( item, … )` with at least one item.
    pub(crate) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Cursor<'a>) -> Result<T, Problem>,
    ) -> Result<Vec<T>, Problem> {
        self.expect(&Token::LParen)?;
        let mut items = vec![item(self)?];
        while self.accept(&Token::Comma) {
            items.push(item(self)?);
        }
        self.expect(&Token::RParen)?;
        Ok(items)
    }
}
