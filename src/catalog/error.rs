//! Problems in view files, shown with file, line and a caret.

use std::fmt;

use super::File;

/// A place in a file: byte offsets, half open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Index into [`super::Catalog::files`].
    pub file: usize,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// Something wrong with a declaration: what, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// Where, when it is known.
    pub span: Option<Span>,
    /// What to do.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem at `span`.
    pub fn at(span: Span, message: impl Into<String>) -> Problem {
        Problem { message: message.into(), span: Some(span), hint: None }
    }

    /// The same problem with advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// The problem in one line: where, what, and what to do.
    pub fn brief(&self, files: &[File]) -> String {
        let place = self.span.and_then(|span| Some((span, files.get(span.file)?))).map(|(span, file)| {
            let start = file.text.floor_char_boundary(span.start.min(file.text.len()));
            let line = file.text[..start].matches('\n').count() + 1;
            format!("{}:{line}: ", file.path)
        });
        let hint = self.hint.as_ref().map(|it| format!(" ({it})"));
        format!("{}{}{}", place.unwrap_or_default(), self.message, hint.unwrap_or_default())
    }

    /// The problem as a user reads it:
    ///
    /// ```text
    /// error: column "prise" does not exist
    ///   --> views/shop.sql:12:8
    ///    |
    /// 12 | SELECT prise FROM products
    ///    |        ^^^^^
    ///    = hint: did you mean "price"?
    /// ```
    pub fn render(&self, files: &[File]) -> String {
        let mut out = format!("error: {}", self.message);
        if let Some((span, file)) = self.span.and_then(|span| Some((span, files.get(span.file)?))) {
            let start = file.text.floor_char_boundary(span.start.min(file.text.len()));
            let line_start = file.text[..start].rfind('\n').map_or(0, |at| at + 1);
            let line_end = file.text[start..].find('\n').map_or(file.text.len(), |at| start + at);
            let line = &file.text[line_start..line_end];
            let number = file.text[..start].matches('\n').count() + 1;
            let column = file.text[line_start..start].chars().count();
            let end = file.text.floor_char_boundary(span.end.clamp(start, line_end));
            let width = file.text[start..end].chars().count().max(1);
            let gutter = " ".repeat(number.to_string().len());
            out += &format!("\n{gutter}--> {}:{number}:{}", file.path, column + 1);
            out += &format!("\n{gutter} |\n{number} | {line}\n{gutter} | {}{}", " ".repeat(column), "^".repeat(width));
            if let Some(hint) = &self.hint {
                out += &format!("\n{gutter} = hint: {hint}");
            }
        } else if let Some(hint) = &self.hint {
            out += &format!("\nhint: {hint}");
        }
        out
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}
