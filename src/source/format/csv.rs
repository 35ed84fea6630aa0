//! One line of comma-separated values a message, as RFC 4180 has it; the columns are the declared ones, in order.

use super::json::utf8;
use super::message::{Message, Unread};
use super::shape::{Absence, Field, Fields, Shape, Target};

/// Reads lines.
#[derive(Debug)]
pub(super) struct Csv {
    delimiter: char,
    /// By column, its place in the line.
    places: Vec<Option<usize>>,
    count: usize,
}

struct Line<'f, 'p> {
    fields: &'f [Value],
    places: &'p [Option<usize>],
}

/// A field of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Value {
    text: String,
    /// An empty field without quotes is NULL.
    is_quoted: bool,
}

impl Csv {
    pub(super) fn new(shape: &Shape, delimiter: char) -> Csv {
        let mut places = vec![None; shape.width()];
        let mut count = 0;
        for (_, at) in shape.fields() {
            places[at] = Some(count);
            count += 1;
        }
        Csv { delimiter, places, count }
    }

    /// Tells the target what the message did.
    pub(super) fn read(&mut self, message: &Message<'_>, target: &mut Target<'_>) -> Result<(), Unread> {
        let bytes = message.value.ok_or("the message has no value: it should hold a line")?;
        let fields = fields(utf8(bytes, "the line")?, self.delimiter)?;
        if fields.len() != self.count {
            return Err(Unread::from(format!("the line has {} fields, and {} are declared", fields.len(), self.count)));
        }
        let line = Line { fields: &fields, places: &self.places };
        let cells = target.shape.cells(message, Absence::Refused, &line)?;
        target.put(&cells);
        Ok(())
    }
}

impl<'f> Fields<'f> for Line<'f, '_> {
    fn field(&self, at: usize) -> Field<'f> {
        match self.places[at].map(|it| &self.fields[it]) {
            None => Field::Absent,
            Some(Value { text, is_quoted: false }) if text.is_empty() => Field::Json("null"),
            Some(value) => Field::Text(&value.text),
        }
    }
}

/// The fields of a line, which may end as lines do.
fn fields(line: &str, delimiter: char) -> Result<Vec<Value>, String> {
    let line = line.strip_suffix('\n').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (value, behind) = match rest.strip_prefix('"') {
            Some(inner) => quoted(inner)?,
            None => {
                let end = rest.find([delimiter, '\n', '\r']).unwrap_or(rest.len());
                (Value { text: rest[..end].into(), is_quoted: false }, &rest[end..])
            }
        };
        fields.push(value);
        match behind.chars().next() {
            None => return Ok(fields),
            Some(it) if it == delimiter => rest = &behind[delimiter.len_utf8()..],
            Some('\n' | '\r') => return Err("the message has more than one line".into()),
            Some(it) => return Err(format!("field {} goes on with {it:?} behind its closing quote", fields.len())),
        }
    }
}

/// The text up to the closing quote, in which two quotes stand for one.
fn quoted(inner: &str) -> Result<(Value, &str), String> {
    let mut text = String::new();
    let mut rest = inner;
    loop {
        let Some(end) = rest.find('"') else { return Err("a quote is opened and not closed".into()) };
        text += &rest[..end];
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                text.push('"');
                rest = more;
            }
            None => return Ok((Value { text, is_quoted: true }, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_as_the_rfc_has_it() {
        for (line, expected) in [
            ("a,b", Ok(vec!["a", "b"])),
            ("a,b\r\n", Ok(vec!["a", "b"])),
            (",", Ok(vec!["", ""])),
            ("\"a,\"\"b\"\"\n\",c", Ok(vec!["a,\"b\"\n", "c"])),
            ("a b, c", Ok(vec!["a b", " c"])),
            ("", Ok(vec![""])),
            ("a\nb", Err("the message has more than one line")),
            ("\"a", Err("a quote is opened and not closed")),
            ("\"a\"b,c", Err("field 1 goes on with 'b' behind its closing quote")),
        ] {
            let found = fields(line, ',').map(|it| it.into_iter().map(|it| it.text).collect::<Vec<_>>());
            assert_eq!(found, expected.map(|it| it.into_iter().map(str::to_owned).collect()).map_err(str::to_owned));
        }
        assert_eq!(fields("\"\"", ','), Ok(vec![Value { text: String::new(), is_quoted: true }]));
    }
}
