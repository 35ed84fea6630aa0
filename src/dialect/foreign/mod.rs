//! The one place where errors of the libraries below become ours.
//!
//! DataFusion, Arrow and the SQL parser speak to programmers: their texts name their own types and inner parts. Here
//! each is turned into what PostgreSQL would say, with its SQLSTATE, the place and what to do. What is not recognised is
//! never passed on: the user gets a text of ours with a reference, and the log the original under the same reference.
//!
//! Errors of our own rules travel through DataFusion as [`Said`] and arrive as they were said.

mod missing;
mod phrases;
mod place;
mod syntax;
mod types;

use std::hash::BuildHasher;

use datafusion::arrow::error::ArrowError;
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;

pub(crate) use self::place::find_words;
pub(crate) use self::syntax::{SyntaxError, syntax_error};
pub(crate) use self::types::sql_type;

use self::phrases::translated;
use super::TooLong;

/// What a user is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// The SQLSTATE.
    pub(crate) code: &'static str,
    /// What happened.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: Option<String>,
    /// Lines and columns of start and end in the statement, from 1, where they are known.
    pub(crate) place: Option<[u64; 4]>,
    /// Words of the statement that tell the place where `place` does not.
    pub(crate) words: Option<String>,
    /// A name that is not known, and those that are.
    pub(crate) near: Option<(String, Vec<String>)>,
    /// Set where the error was not recognised: what the user is given to find it in the log by.
    pub(crate) reference: Option<String>,
}

impl Told {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Told {
        Told { code, message: message.into(), ..Told::default() }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Told {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn at_words(mut self, words: impl Into<String>) -> Told {
        self.words = Some(words.into());
        self
    }
}

/// An error of our own on its way through DataFusion.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Said {
    /// The SQLSTATE.
    pub(crate) code: &'static str,
    /// What happened.
    pub(crate) message: String,
}

/// An error with this SQLSTATE and text, for where DataFusion wants one of its own.
pub(crate) fn said(code: &'static str, message: impl Into<String>) -> DataFusionError {
    DataFusionError::External(Box::new(Said { code, message: message.into() }))
}

/// What a user is told of `error`.
pub(crate) fn tell(error: &DataFusionError) -> Told {
    let told = tell_root(error.find_root());
    let span = error.diagnostic().and_then(|it| it.span);
    let place = span.map(|it| [it.start.line, it.start.column, it.end.line, it.end.column]);
    Told { place: told.place.or(place.filter(|it| it[0] > 0)), ..told }
}

fn tell_root(error: &DataFusionError) -> Told {
    match error {
        DataFusionError::External(inner) => match (inner.downcast_ref::<Said>(), inner.downcast_ref::<TooLong>()) {
            (Some(said), _) => Told::new(said.code, said.message.clone()),
            (None, Some(too_long)) => Told::new("54000", too_long.to_string()),
            (None, None) => {
                let text = inner.to_string();
                translated(&text).unwrap_or_else(|| unknown("22000", &text))
            }
        },
        DataFusionError::Collection(all) if !all.is_empty() => tell(&all[0]),
        DataFusionError::ArrowError(inner, _) => tell_arrow(inner),
        DataFusionError::SQL(inner, _) => syntax_error(inner).told(),
        DataFusionError::SchemaError(inner, _) => schema(inner),
        DataFusionError::Plan(text) | DataFusionError::NotImplemented(text) | DataFusionError::Configuration(text) => {
            translated(text).unwrap_or_else(|| unknown("0A000", text))
        }
        DataFusionError::Execution(text) => translated(text).unwrap_or_else(|| unknown("22000", text)),
        DataFusionError::ResourcesExhausted(_) => Told::new("53200", "the statement needs more memory than it may use")
            .hint("filter more, or declare a view that keeps the result"),
        other => {
            let text = other.strip_backtrace();
            translated(&text).unwrap_or_else(|| unknown("XX000", &text))
        }
    }
}

/// What a user is told of an error of Arrow's.
pub(crate) fn tell_arrow(error: &ArrowError) -> Told {
    match error {
        ArrowError::DivideByZero => Told::new("22012", "division by zero"),
        ArrowError::ArithmeticOverflow(text) => {
            translated(text).unwrap_or_else(|| Told::new("22003", "value out of range"))
        }
        ArrowError::ExternalError(inner) => match inner.downcast_ref::<DataFusionError>() {
            Some(inner) => tell(inner),
            None => unknown("22000", &inner.to_string()),
        },
        ArrowError::CastError(text) | ArrowError::ParseError(text) => {
            translated(text).unwrap_or_else(|| unknown("22P02", text))
        }
        ArrowError::ComputeError(text)
        | ArrowError::InvalidArgumentError(text)
        | ArrowError::NotYetImplemented(text) => translated(text).unwrap_or_else(|| unknown("22000", text)),
        ArrowError::OffsetOverflowError(_) => {
            Told::new("54000", "a column of the result is too large").hint("ask for fewer rows, or for shorter texts")
        }
        other => unknown("22000", &other.to_string()),
    }
}

fn schema(error: &SchemaError) -> Told {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let name = field.flat_name();
            let of_relation = |it: &&Column| field.relation.is_none() || it.relation == field.relation;
            let near = valid_fields.iter().filter(of_relation).map(|it| it.name.clone()).collect();
            let told = Told::new("42703", format!("column \"{name}\" does not exist")).at_words(name);
            Told { near: Some((field.name.clone(), near)), ..told }
        }
        SchemaError::AmbiguousReference { field } => {
            Told::new("42702", format!("column reference \"{}\" is ambiguous", field.name))
                .hint("write the table's name in front of it")
                .at_words(field.name.clone())
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            // A cast is no part of a name: min(a) and min(a::text) are called alike.
            Told::new("0A000", format!("two columns of one step called \"{name}\" are not supported"))
                .hint("name one of them with AS; where aggregates differ in a cast only, cast in a subquery of FROM")
                .at_words(name.clone())
        }
    }
}

/// What is told of an error nobody thought of. The same error always has the same reference; whoever tells it logs it.
fn unknown(code: &'static str, text: &str) -> Told {
    let reference = format!("{:08x}", foldhash::quality::FixedState::with_seed(1).hash_one(text) as u32);
    let (message, hint) = match code {
        "0A000" => ("this form of query is not supported", "write it in another way"),
        "42601" => ("the statement cannot be read", "write it in another way"),
        "XX000" => ("the statement failed unexpectedly", "this is a fault of Vantage's own"),
        _ => ("a value could not be computed", "leave expressions out to find which one it is"),
    };
    Told { reference: Some(reference.clone()), ..Told::new(code, message) }
        .hint(format!("{hint}; the log tells more of {reference}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_passed_on() {
        let foreign = "the zorkmid arena of LogicalPlan is exhausted";
        for error in [
            DataFusionError::Plan(foreign.into()),
            DataFusionError::Execution(foreign.into()),
            DataFusionError::Internal(foreign.into()),
            DataFusionError::NotImplemented(foreign.into()),
            DataFusionError::ArrowError(Box::new(ArrowError::ComputeError(foreign.into())), None),
            DataFusionError::ArrowError(Box::new(ArrowError::IpcError(foreign.into())), None),
            DataFusionError::External(foreign.into()),
            DataFusionError::ResourcesExhausted(foreign.into()),
        ] {
            let told = tell(&error);
            let all = format!("{} {}", told.message, told.hint.unwrap_or_default());
            assert!(!all.contains("zorkmid") && !all.contains("LogicalPlan"), "{all}");
        }
    }

    #[test]
    fn our_own_words_arrive() {
        let error = said("22008", "there is no 30th of February").context("while nobody looked");
        assert_eq!(tell(&error), Told::new("22008", "there is no 30th of February"));
    }
}
