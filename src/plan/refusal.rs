//! Why a query cannot be kept: the reason, what to do, and how to find the place in the view file.

use datafusion::error::DataFusionError;

use crate::catalog::{LineMap, Problem, Span, View, did_you_mean};
use crate::dialect::{self, Told, find_words};

/// A refusal without its file.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    message: String,
    hint: Option<String>,
    place: Place,
}

/// Where in the query.
#[derive(Debug, Clone)]
enum Place {
    /// The whole query.
    Query,
    /// Lines and columns in the query's text: start and end.
    Lines([u64; 4]),
    /// The first occurrence of these words in a row.
    Words(String),
}

/// Results of planning steps.
pub(crate) type Planned<T> = Result<T, Refusal>;

impl Refusal {
    /// A refusal of the whole query.
    pub(crate) fn new(message: impl Into<String>) -> Refusal {
        Refusal { message: message.into(), hint: None, place: Place::Query }
    }

    /// The same with advice.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Refusal {
        self.hint = Some(hint.into());
        self
    }

    /// The same, pointing at the first occurrence of `words` in the query.
    pub(crate) fn at_words(mut self, words: impl Into<String>) -> Refusal {
        self.place = Place::Words(words.into());
        self
    }

    /// The problem as it is shown: places in the query become places in the view's file.
    pub(crate) fn into_problem(self, view: &View) -> Problem {
        let lines = LineMap::new(&view.query);
        let whole = || {
            let first_line = view.query.find('\n').unwrap_or(view.query.len());
            (0, view.query[..first_line].trim_end().len())
        };
        let found = match &self.place {
            Place::Query => None,
            Place::Lines(place) => Some(*place),
            Place::Words(words) => find_words(&view.query, words),
        };
        let (start, end) = found.map_or_else(whole, |[line, column, end_line, end_column]| {
            (lines.offset(line, column), lines.offset(end_line, end_column))
        });
        let base = view.query_span.start;
        let span = Span { file: view.query_span.file, start: base + start, end: base + end };
        Problem { message: self.message, span: Some(span), hint: self.hint }
    }
}

impl From<DataFusionError> for Refusal {
    fn from(error: DataFusionError) -> Refusal {
        let told = dialect::tell(&error);
        if let Some(reference) = &told.reference {
            // Who only checks view files sees the log, too: it is told to those who ask for it.
            tracing::debug!(%reference, %error, "a query is refused");
        }
        told.into()
    }
}

impl From<Told> for Refusal {
    fn from(told: Told) -> Refusal {
        let near = told.near.and_then(|(name, known)| did_you_mean(&name, known.iter().map(String::as_str)));
        let place = match (told.place, told.words) {
            (Some(lines), _) => Place::Lines(lines),
            (None, Some(words)) => Place::Words(words),
            (None, None) => Place::Query,
        };
        Refusal { message: told.message, hint: near.or(told.hint), place }
    }
}
