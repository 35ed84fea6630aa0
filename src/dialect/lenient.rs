//! `coalesce` while a query is bound: a constant text among dates or bytes has no type yet, which DataFusion would refuse.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};

use super::wrapped::{Difference, wrapped};

/// `function` as it is bound. Before it is called, the function itself takes its place, and its arguments have one type.
pub(super) fn lenient(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    if function.name() == "coalesce" { wrapped(function, Lenient) } else { function }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Lenient;

impl Difference for Lenient {
    fn coerce_types(&self, inner: &ScalarUDF, types: &[DataType]) -> Result<Vec<DataType>> {
        inner.coerce_types(types).or_else(|error| {
            let other = types.iter().find(|it| !it.is_string() && !it.is_null()).ok_or(error)?;
            let typed = types.iter().map(|it| if it.is_string() { other.clone() } else { it.clone() });
            inner.coerce_types(&typed.collect::<Vec<_>>())
        })
    }

    fn invoke(&self, inner: &ScalarUDF, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::Internal(format!("{} was not put in its place", inner.name())))
    }
}
