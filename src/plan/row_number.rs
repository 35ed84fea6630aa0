//! `row_number()` as PostgreSQL types it: bigint, so that arithmetic with it stays bigint. DataFusion counts unsigned.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};

/// The name of the function.
pub(super) const NAME: &str = "row_number";

/// The function as views bind it. It is never called: an ordered relation takes its place.
pub(super) fn row_number() -> Arc<WindowUDF> {
    Arc::new(WindowUDF::new_from_impl(RowNumber { signature: Signature::nullary(Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RowNumber {
    signature: Signature,
}

impl WindowUDFImpl for RowNumber {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(&self, _arguments: PartitionEvaluatorArgs<'_>) -> Result<Box<dyn PartitionEvaluator>> {
        Err(DataFusionError::Internal(format!("{NAME}() was not replaced by an ordered relation")))
    }

    fn field(&self, arguments: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(arguments.name(), DataType::Int64, false)))
    }
}
