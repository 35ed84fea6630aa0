//! `coalesce` while a query is bound: a constant text among dates or bytes has no type yet, which DataFusion would refuse.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// `function` as it is bound. Before it is called, the function itself takes its place, and its arguments have one type.
pub(super) fn lenient(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    if function.name() == "coalesce" {
        Arc::new(ScalarUDF::new_from_impl(Lenient { inner: function }))
    } else {
        function
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Lenient {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Lenient {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types).or_else(|error| {
            let other = arg_types.iter().find(|it| !it.is_string() && !it.is_null()).ok_or(error)?;
            let typed = arg_types.iter().map(|it| if it.is_string() { other.clone() } else { it.clone() });
            self.inner.coerce_types(&typed.collect::<Vec<_>>())
        })
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::Internal(format!("{} was not put in its place", self.name())))
    }
}
