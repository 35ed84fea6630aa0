//! `sum` that fails instead of wrapping.
//!
//! DataFusion's own sum of integers wraps around. This one adds integers and decimals in 128 bits and refuses a
//! result its type cannot hold; partial sums that only pass through such a value do no harm. Floats are left to
//! DataFusion.

use std::collections::HashMap;
use std::mem::size_of;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type, UInt64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_aggregate::sum::Sum;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, GroupsAccumulator, Signature};

/// The aggregate function.
#[derive(Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct CheckedSum {
    inner: Sum,
}

fn is_exact(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int64 | DataType::UInt64 | DataType::Decimal128(..))
}

impl AggregateUDFImpl for CheckedSum {
    fn name(&self) -> &str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if is_exact(args.return_field.data_type()) {
            return Ok(Box::new(Total::new(&args)));
        }
        self.inner.accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if is_exact(args.return_field.data_type()) {
            return Ok(Box::new(Total::new(&args)));
        }
        self.inner.create_sliding_accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        if is_exact(args.return_field.data_type()) {
            return Ok(vec![Arc::new(Field::new(format!("{}[total]", args.name), DataType::Binary, true))]);
        }
        self.inner.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !is_exact(args.return_field.data_type()) && self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }
}

/// A running total; for DISTINCT, how often each value was seen.
#[derive(Debug)]
struct Total {
    sum: i128,
    count: u64,
    seen: Option<HashMap<i128, u64>>,
    result: DataType,
}

impl Total {
    fn new(args: &AccumulatorArgs<'_>) -> Total {
        let seen = args.is_distinct.then(HashMap::new);
        Total { sum: 0, count: 0, seen, result: args.return_field.data_type().clone() }
    }

    fn add(&mut self, value: i128) -> Result<()> {
        if let Some(seen) = &mut self.seen {
            let times = seen.entry(value).or_default();
            *times += 1;
            if *times > 1 {
                return Ok(());
            }
        }
        self.count += 1;
        self.sum = self.sum.checked_add(value).ok_or_else(|| self.overflow())?;
        Ok(())
    }

    fn subtract(&mut self, value: i128) -> Result<()> {
        if let Some(seen) = &mut self.seen
            && let Some(times) = seen.get_mut(&value)
        {
            *times -= 1;
            if *times > 0 {
                return Ok(());
            }
            seen.remove(&value);
        }
        self.count -= 1;
        self.sum = self.sum.checked_sub(value).ok_or_else(|| self.overflow())?;
        Ok(())
    }

    fn overflow(&self) -> DataFusionError {
        let name = super::arrow_json::sql_name(&self.result);
        ArrowError::ArithmeticOverflow(format!("the sum is out of range for type {name}")).into()
    }

    fn each(&mut self, values: &ArrayRef, mut apply: impl FnMut(&mut Total, i128) -> Result<()>) -> Result<()> {
        match values.data_type() {
            DataType::Int64 => {
                let values = values.as_primitive::<Int64Type>();
                values.iter().flatten().try_for_each(|it| apply(self, i128::from(it)))
            }
            DataType::UInt64 => {
                let values = values.as_primitive::<UInt64Type>();
                values.iter().flatten().try_for_each(|it| apply(self, i128::from(it)))
            }
            DataType::Decimal128(..) => {
                let values = values.as_primitive::<Decimal128Type>();
                values.iter().flatten().try_for_each(|it| apply(self, it))
            }
            other => Err(DataFusionError::Internal(format!("sum of {other}"))),
        }
    }
}

impl Accumulator for Total {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.each(&values[0], Total::add)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.each(&values[0], Total::subtract)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.count == 0 {
            return ScalarValue::try_from(&self.result);
        }
        match self.result {
            DataType::Int64 => i64::try_from(self.sum).map(|it| ScalarValue::Int64(Some(it))),
            DataType::UInt64 => u64::try_from(self.sum).map(|it| ScalarValue::UInt64(Some(it))),
            DataType::Decimal128(precision, scale) => {
                let fits = self.sum.unsigned_abs() < 10u128.pow(u32::from(precision));
                return match fits {
                    true => Ok(ScalarValue::Decimal128(Some(self.sum), precision, scale)),
                    false => Err(self.overflow()),
                };
            }
            _ => return Err(self.overflow()),
        }
        .map_err(|_| self.overflow())
    }

    fn size(&self) -> usize {
        size_of::<Total>() + self.seen.as_ref().map_or(0, |it| it.capacity() * 32)
    }

    // The total or the distinct values, 16 bytes each; nothing when there was no value.
    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let bytes = match &self.seen {
            Some(seen) => seen.keys().flat_map(|it| it.to_le_bytes()).collect(),
            None if self.count > 0 => self.sum.to_le_bytes().to_vec(),
            None => Vec::new(),
        };
        Ok(vec![ScalarValue::Binary(Some(bytes))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for state in states[0].as_binary::<i32>().iter().flatten() {
            for value in state.chunks_exact(16) {
                self.add(i128::from_le_bytes(value.try_into().unwrap_or_default()))?;
            }
        }
        Ok(())
    }
}
