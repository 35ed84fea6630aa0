//! `EXTRACT(field FROM value)`: an exact number with as many decimals as the field has.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::cell::{Cell, Kind, Output, arrays_of, cell, collect};
use crate::dialect::arguments::over_arrays;
use crate::dialect::value::Failure;
use crate::dialect::value::part::{From, part, scale};
use crate::dialect::value::unit::Unit;
use crate::dialect::{said, sql_type};

/// The name of the function.
pub(in crate::dialect) const EXTRACT: &str = "extract";

/// Stands in the metadata of a numeric that has no precision of its own, though it is kept with one.
pub(crate) const PLAIN_NUMERIC: &str = "plain_numeric";

/// The most digits a field has.
const DIGITS: u8 = 20;

/// The function behind the syntax.
pub(super) fn extract() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Extract { signature: Signature::any(2, Volatility::Immutable) }))
}

/// What a field is taken from.
pub(super) fn source(value: Cell<'_>, kind: Kind) -> From {
    match (value, kind) {
        (Cell::Interval(it), _) => From::Interval(it),
        (value, Kind::Date) => From::Date(value.int()),
        (value, Kind::TimestampTz) => From::TimestampTz(value.int()),
        (value, _) => From::Timestamp(value.int()),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Extract {
    signature: Signature,
}

fn kind_of(data_type: &DataType) -> Result<Kind> {
    let kind = Kind::of(data_type);
    let kind = kind.filter(|it| matches!(it, Kind::Date | Kind::Timestamp | Kind::TimestampTz | Kind::Interval));
    kind.ok_or_else(|| {
        let message = format!(
            "extract takes a date, a timestamp or an interval, not {}; cast it to one",
            sql_type(&data_type.to_string())
        );
        said("42883", message)
    })
}

/// The field, which is a constant.
fn field_of(field: Option<&ScalarValue>) -> Result<&str> {
    let field = field.and_then(|it| it.try_as_str().flatten());
    field.ok_or_else(|| said("42883", "extract takes a field by name"))
}

fn type_of(field: &str, kind: Kind) -> Result<Kind> {
    let unit = Unit::named(field)
        .ok_or_else(|| said("22023", format!("unit \"{field}\" not recognized for type {}", kind.name())))?;
    Ok(Kind::Numeric { precision: DIGITS, scale: scale(unit, kind == Kind::Date) })
}

impl ScalarUDFImpl for Extract {
    fn name(&self) -> &str {
        EXTRACT
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Err(DataFusionError::Internal("the type of extract follows from the field".into()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let [_, from] = args.arg_fields else {
            return Err(said("42883", "extract takes a field and a value"));
        };
        let field = field_of(args.scalar_arguments.first().copied().flatten())?;
        let data_type = type_of(field, kind_of(from.data_type())?)?.arrow();
        let plain = [(PLAIN_NUMERIC.to_owned(), String::new())].into();
        Ok(Arc::new(Field::new(self.name(), data_type, true).with_metadata(plain)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let field = match args.args.first() {
            Some(ColumnarValue::Scalar(it)) => field_of(Some(it))?.to_owned(),
            _ => return Err(said("42883", "extract takes a field by name")),
        };
        let from = args.args.get(1).map(|it| kind_of(&it.data_type()));
        let from = from.ok_or_else(|| said("42883", "extract takes a field and a value"))??;
        let gives = type_of(&field, from)?;
        over_arrays(args, |arrays| {
            let arrays = arrays_of(&arrays[1..], &[from])?;
            let results = (0..arrays[0].len()).map(|row| match cell(&arrays[0], from, row) {
                None => Ok(Output::Null),
                Some(value) => match part(&field, source(value, from)) {
                    Ok((value, _)) => Ok(Output::Numeric(value)),
                    Err(failure) => Err::<Output, Failure>(failure),
                },
            });
            collect(gives, results)
        })
    }
}
