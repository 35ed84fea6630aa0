//! Overloaded functions of one row, and which overload a call means.

use std::hash::{Hash, Hasher};

use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature as Accepted, Volatility};

use super::cell::{Cell, Kind, Output, arrays_of, cell, collect};
use super::written::missing;
use crate::dialect::arguments::over_arrays;
use crate::dialect::value::Failure;
use crate::dialect::{said, sql_type};

/// A function.
#[derive(Debug)]
pub(in crate::dialect) struct Function {
    /// With `_` first when queries cannot call it by name.
    pub(in crate::dialect) name: &'static str,
    pub(in crate::dialect) overloads: &'static [Overload],
}

/// What a function is for arguments of some kinds.
#[derive(Debug)]
pub(in crate::dialect) struct Overload {
    pub(in crate::dialect) takes: &'static [Kind],
    pub(in crate::dialect) gives: Kind,
    /// Computes one row's value; it is NULL where an argument is.
    pub(in crate::dialect) run: Run,
}

pub(in crate::dialect) type Run = fn(&[Cell<'_>]) -> std::result::Result<Output, Failure>;

/// The kinds of a call's arguments; `None` is a constant text or NULL, which takes the kind that is wanted.
pub(in crate::dialect) type Signature = [Option<Kind>];

/// The overload a call means.
pub(in crate::dialect) fn resolve(function: &Function, arguments: &Signature) -> Result<&'static Overload> {
    let fitting = function.overloads.iter().filter_map(|it| Some((distance(it.takes, arguments)?, it)));
    let nearest = fitting.min_by_key(|(distance, _)| *distance);
    nearest.map(|(_, it)| it).ok_or_else(|| {
        let types: Vec<&str> = arguments.iter().map(|it| it.map_or("unknown", Kind::name)).collect();
        said("42883", missing(function.name, &types))
    })
}

/// How far the arguments are from what is taken; `None`: they cannot be converted to it implicitly.
fn distance(takes: &[Kind], arguments: &Signature) -> Option<u32> {
    if takes.len() != arguments.len() {
        return None;
    }
    takes.iter().zip(arguments).map(|(to, from)| implicit(*from, *to)).sum()
}

fn implicit(from: Option<Kind>, to: Kind) -> Option<u32> {
    let Some(from) = from else {
        // A constant is text rather than anything else, then of the preferred types of their categories.
        return Some(match to {
            Kind::Text => 0,
            Kind::Float64 | Kind::TimestampTz | Kind::Interval => 1,
            _ => 2,
        });
    };
    Some(match (from, to) {
        (from, to) if from == to => 0,
        (Kind::Int32, Kind::Int64) => 2,
        // Integers of an owner's file are bigint, and so are those of a query: where PostgreSQL has only a function of
        // integer, they are taken, too.
        (Kind::Int64, Kind::Int32) => 6,
        (Kind::Int32 | Kind::Int64 | Kind::Numeric { .. }, Kind::Float64) => 5,
        (Kind::Date | Kind::Timestamp, Kind::TimestampTz) => 3,
        (Kind::Date, Kind::Timestamp) => 4,
        _ => return None,
    })
}

/// A function as DataFusion calls it.
#[derive(Debug)]
pub(in crate::dialect) struct Own {
    function: &'static Function,
    accepted: Accepted,
}

impl Own {
    pub(super) fn new(function: &'static Function) -> Own {
        Own { function, accepted: Accepted::user_defined(Volatility::Immutable) }
    }

    /// The overload for arguments of these types, any of which might be a constant text.
    fn overload(&self, types: &[DataType]) -> Result<&'static Overload> {
        let exact: Vec<Option<Kind>> = types.iter().map(Kind::of).collect();
        let known = |(it, kind): (&DataType, &Option<Kind>)| kind.is_some() || it.is_null();
        if !types.iter().zip(&exact).all(known) {
            let types: Vec<String> = types.iter().map(|it| sql_type(&it.to_string())).collect();
            let types: Vec<&str> = types.iter().map(String::as_str).collect();
            return Err(said("42883", missing(self.function.name, &types)));
        }
        let constant = |it: &Option<Kind>| it.filter(|it| *it != Kind::Text);
        resolve(self.function, &exact).or_else(|error| {
            let texts: Vec<Option<Kind>> = exact.iter().map(constant).collect();
            resolve(self.function, &texts).map_err(|_| error)
        })
    }
}

impl PartialEq for Own {
    fn eq(&self, other: &Own) -> bool {
        self.function.name == other.function.name
    }
}

impl Eq for Own {}

impl Hash for Own {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.name.hash(state);
    }
}

impl ScalarUDFImpl for Own {
    fn name(&self) -> &str {
        self.function.name
    }

    fn signature(&self) -> &Accepted {
        &self.accepted
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(self.overload(arg_types)?.takes.iter().map(|it| it.arrow()).collect())
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.overload(arg_types)?.gives.arrow())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let types: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
        let overload = self.overload(&types)?;
        let rows_without_arguments = if args.args.is_empty() { args.number_rows } else { 0 };
        over_arrays(args, |arrays| {
            let arrays = arrays_of(arrays, overload.takes)?;
            let rows = arrays.first().map_or(rows_without_arguments.max(1), |it| it.len());
            let mut cells = Vec::with_capacity(arrays.len());
            let results = (0..rows).map(|row| {
                cells.clear();
                for (array, kind) in arrays.iter().zip(overload.takes) {
                    match cell(array, *kind, row) {
                        Some(it) => cells.push(it),
                        None => return Ok(Output::Null),
                    }
                }
                (overload.run)(&cells)
            });
            collect(overload.gives, results)
        })
    }
}
