//! Why a query cannot be kept: the reason, what to do, and how to find the place in the view file.

use datafusion::common::{DataFusionError, SchemaError};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::catalog::{LineMap, Problem, Span, View, did_you_mean};

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
        let (start, end) = match &self.place {
            Place::Query => whole(),
            Place::Lines([line, column, end_line, end_column]) => {
                (lines.offset(*line, *column), lines.offset(*end_line, *end_column))
            }
            Place::Words(words) => find_words(&view.query, words).unwrap_or_else(whole),
        };
        let base = view.query_span.start;
        let span = Span { file: view.query_span.file, start: base + start, end: base + end };
        Problem { message: self.message, span: Some(span), hint: self.hint }
    }
}

impl From<DataFusionError> for Refusal {
    fn from(error: DataFusionError) -> Refusal {
        if let DataFusionError::SchemaError(schema, _) = error.find_root() {
            return schema_refusal(schema, place_of(&error));
        }
        let mut message = error.strip_backtrace();
        if let DataFusionError::Plan(text) | DataFusionError::NotImplemented(text) = error.find_root() {
            message = text.clone();
        }
        if let Some((_, rest)) = message.split_once("Invalid function '")
            && let Some((name, rest)) = rest.split_once('\'')
        {
            let near = rest.split_once("Did you mean '").and_then(|(_, it)| it.split_once('\''));
            let refusal = Refusal::new(format!("function {name}() does not exist")).at_words(name);
            return Refusal { hint: near.and_then(|(near, _)| did_you_mean(name, [near])), ..refusal };
        }
        if message.starts_with("Recursive CTE") {
            return Refusal::new("recursive queries cannot be kept up to date yet").at_words("recursive");
        }
        let first_line = message.lines().next().unwrap_or_default().trim_end_matches('.').to_string();
        Refusal { message: first_line, hint: None, place: place_of(&error).unwrap_or(Place::Query) }
    }
}

fn place_of(error: &DataFusionError) -> Option<Place> {
    let span = error.diagnostic()?.span?;
    Some(Place::Lines([span.start.line, span.start.column, span.end.line, span.end.column]))
}

fn schema_refusal(error: &SchemaError, place: Option<Place>) -> Refusal {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let name = field.flat_name();
            let near = match &field.relation {
                Some(relation) => {
                    let same = valid_fields.iter().filter(|it| it.relation.as_ref() == Some(relation));
                    did_you_mean(&field.name, same.map(|it| it.name.as_str()))
                }
                None => did_you_mean(&field.name, valid_fields.iter().map(|it| it.name.as_str())),
            };
            let place = place.unwrap_or(Place::Words(name.clone()));
            Refusal { message: format!("column \"{name}\" does not exist"), hint: near, place }
        }
        SchemaError::AmbiguousReference { field } => {
            let message = format!("column \"{}\" is ambiguous", field.name);
            let place = place.unwrap_or(Place::Words(field.name.clone()));
            Refusal { message, hint: Some("write the table's name in front of it".into()), place }
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            let refusal = Refusal::new(format!("two columns are called \"{name}\"")).at_words(name.as_str());
            refusal.hint("name one of them with AS")
        }
    }
}

/// The byte range of the tokens of `words` in `query`, compared without case.
fn find_words(query: &str, words: &str) -> Option<(usize, usize)> {
    let lines = LineMap::new(query);
    let tokens = |text: &str| {
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location().unwrap_or_default();
        tokens.into_iter().filter(|it| !matches!(it.token, Token::Whitespace(_))).collect::<Vec<_>>()
    };
    let plain = |token: &Token| match token {
        Token::Word(word) => word.value.to_lowercase(),
        other => other.to_string(),
    };
    let wanted: Vec<String> = tokens(words).iter().map(|it| plain(&it.token)).collect();
    let all = tokens(query);
    let found = all.windows(wanted.len().max(1)).find(|window| {
        window.len() == wanted.len() && window.iter().zip(&wanted).all(|(token, word)| plain(&token.token) == *word)
    })?;
    let (start, end) = (found.first()?.span.start, found.last()?.span.end);
    Some((lines.offset(start.line, start.column), lines.offset(end.line, end.column)))
}
