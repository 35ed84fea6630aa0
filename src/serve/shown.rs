//! What an answer shows of a row: columns, in an order, under names, some of them as another type.
//!
//! ```text
//! select=id,title:name,price::text,*
//! ```

use super::format::write_label;
use super::grammar::{find_unquoted, split_list, unquoted};
use super::json;
use super::problem::Problem;
use super::router::App;
use super::served::Served;
use super::sql::Cast;
use crate::change::{DataType, Datum};

/// One column of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) column: usize,
    /// Its name in the answer, where it is another, and as it stands in a JSON object.
    renamed: Option<(String, Box<[u8]>)>,
    /// The type asked for, as it was written, and what makes it once that is known.
    cast: Option<(String, Option<Cast>)>,
}

impl Shown {
    /// A column as it is.
    pub(crate) fn plain(column: usize) -> Shown {
        Shown { column, renamed: None, cast: None }
    }

    /// The type that is asked for.
    fn wanted_cast(&self) -> Option<&str> {
        self.cast.as_ref().map(|(written, _)| &**written)
    }

    /// Its name in the answer.
    pub(crate) fn name<'a>(&'a self, served: &'a Served) -> &'a str {
        match &self.renamed {
            Some((name, _)) => name,
            None => &served.relation.schema.columns[self.column].name,
        }
    }

    /// `"name":`
    pub(crate) fn label<'a>(&'a self, served: &'a Served) -> &'a [u8] {
        match &self.renamed {
            Some((_, label)) => label,
            None => &served.labels[self.column],
        }
    }

    /// Appends the value; the message of an error cell, or of a cast that fails, comes back.
    pub(crate) fn write(&self, datum: Datum<'_>, data_type: DataType, out: &mut Vec<u8>) -> Result<(), String> {
        match &self.cast {
            Some((_, Some(cast))) => cast.write(datum, data_type, out),
            _ => json::write_datum(datum, data_type, out).map_err(str::to_string),
        }
    }
}

/// All visible columns as they are.
pub(crate) fn all(served: &Served) -> Vec<Shown> {
    (0..served.relation.schema.visible).map(Shown::plain).collect()
}

/// The columns named in `list`, in that order. What is named twice in the same way is shown once; two columns of one
/// name are refused, since an object has a name once.
pub(crate) fn parse(served: &Served, list: &str) -> Result<Vec<Shown>, Problem> {
    let parts = split_list(list).map_err(|it| Problem::bad_request(format!("select: {it}")))?;
    let mut all: Vec<Shown> = Vec::new();
    for part in parts {
        let items = if part.trim() == "*" { self::all(served) } else { vec![one(served, part.trim())?] };
        for item in items {
            let name = item.name(served);
            match all.iter().find(|it| it.name(served) == name) {
                None => all.push(item),
                Some(other) if other.column == item.column && other.wanted_cast() == item.wanted_cast() => {}
                Some(_) => {
                    let detail = format!("select: two columns of the answer are called \"{name}\"");
                    return Err(Problem { code: "42701", ..Problem::bad_request(detail) }
                        .hint("give one of them another name: other:column"));
                }
            }
        }
    }
    Ok(all)
}

/// Gets the casts among `select` ready.
pub(crate) fn prepare_casts(app: &App, served: &Served, select: &mut [Shown]) -> Result<(), Problem> {
    for Shown { column, cast, .. } in select {
        if let Some((wanted, cast)) = cast {
            *cast = Some(app.sql().cast(served, *column, wanted)?);
        }
    }
    Ok(())
}

fn one(served: &Served, text: &str) -> Result<Shown, Problem> {
    let refused = |detail: String, hint: &str| Err(Problem::bad_request(format!("select: {detail}")).hint(hint));
    // A column may have colons or points in its name, so what is one is not taken apart.
    if let Some(column) = served.relation.schema.index_of(&unquoted(text)) {
        return Ok(Shown::plain(column));
    }
    if text.ends_with(')') && find_unquoted(text, "(").is_some() && find_unquoted(text, "::").is_none() {
        let hint = "what belongs together is joined in a view; sums and counts are there too, or by POST /v1/sql";
        return refused(format!("\"{text}\" is neither a column nor a cast"), hint);
    }
    if find_unquoted(text, "->").is_some() {
        return refused(format!("\"{text}\" looks into JSON, which is text here"), "select the column whole");
    }
    let (text, cast) = match find_unquoted(text, "::") {
        Some(at) => (&text[..at], Some((text[at + 2..].trim().to_string(), None))),
        None => (text, None),
    };
    let (name, column) = match find_unquoted(text, ":") {
        Some(at) => (Some(unquoted(text[..at].trim())), &text[at + 1..]),
        None => (None, text),
    };
    let column = served.column(&unquoted(column.trim()))?;
    if name.as_ref().is_some_and(String::is_empty) {
        return refused(format!("\"{text}\" gives a column an empty name"), "write name:column");
    }
    let renamed = name.map(|name| {
        let mut label = Vec::new();
        write_label(&name, &mut label);
        (name, label.into_boxed_slice())
    });
    Ok(Shown { column, renamed, cast })
}
