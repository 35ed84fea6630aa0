//! How wide rows are, so that no batch of them is large.
//!
//! An operator that multiplies rows writes a value as often as it hands on rows in a batch. Where a statement turns out
//! to have rows too wide for that, it is run again with smaller batches: few statements have such rows, and those that
//! have them are better slow than out of memory.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait, RecordBatch};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::DataFusionError;

/// About how many bytes a batch may have that multiplies rows.
const MULTIPLIED_BYTES: usize = 16 << 20;
/// What a value takes whose length is the same in all rows, at most.
const FIXED_BYTES: usize = 16;

/// A row is too wide to be multiplied in batches of as many rows as there are.
#[derive(Debug, thiserror::Error)]
#[error("a row of {bytes} bytes cannot be joined in batches of {times} rows")]
pub(super) struct TooWide {
    bytes: usize,
    times: usize,
}

impl TooWide {
    /// What `error` says about it.
    pub(super) fn of(error: &DataFusionError) -> Option<&TooWide> {
        match error.find_root() {
            DataFusionError::External(inner) => inner.downcast_ref(),
            _ => None,
        }
    }

    /// How many rows a batch may have.
    pub(super) fn rows(&self) -> usize {
        // Half, so that rows that are a little wider do not make it begin again.
        (MULTIPLIED_BYTES / 2 / self.bytes.max(1)).clamp(1, (self.times / 2).max(1))
    }
}

/// Refuses a batch with a row so wide that `times` of it are too much. One at a time always is possible.
pub(super) fn check(batch: &RecordBatch, times: usize) -> Result<(), TooWide> {
    if times <= 1 {
        return Ok(());
    }
    let bytes: usize = batch.columns().iter().map(widest).sum();
    if bytes.saturating_mul(times) <= MULTIPLIED_BYTES { Ok(()) } else { Err(TooWide { bytes, times }) }
}

/// The same where a row is written as often as one of its `lists` has elements, or as a batch has rows if that is more:
/// what stands beside the lists is multiplied, and smaller batches do not help against long lists.
pub(super) fn check_lists(batch: &RecordBatch, lists: &[usize], batch_rows: usize) -> Result<(), DataFusionError> {
    let columns = || batch.columns().iter().enumerate();
    let beside = columns().filter(|(at, _)| !lists.contains(at)).map(|(_, it)| widest(it)).sum::<usize>();
    let bytes = beside.saturating_add(FIXED_BYTES);
    let items = columns().filter(|(at, _)| lists.contains(at)).map(|(_, it)| all_items(it)).max().unwrap_or(0);
    if bytes.saturating_mul(items) > 4 * MULTIPLIED_BYTES {
        let wide = TooWide { bytes, times: items };
        return Err(DataFusionError::ResourcesExhausted(wide.to_string()));
    }
    let short = batch_rows <= 1 || bytes.saturating_mul(batch_rows) <= MULTIPLIED_BYTES;
    if short { Ok(()) } else { Err(DataFusionError::External(Box::new(TooWide { bytes, times: batch_rows }))) }
}

/// How many elements the longest list of `array` may have with those of the lists in it.
fn all_items(array: &ArrayRef) -> usize {
    let inner = match array.data_type() {
        DataType::List(_) => all_items(array.as_list::<i32>().values()),
        DataType::LargeList(_) => all_items(array.as_list::<i64>().values()),
        DataType::FixedSizeList(..) => all_items(array.as_fixed_size_list().values()),
        _ => return 1,
    };
    most_items(array).saturating_mul(inner)
}

/// How many elements the longest list of `array` has.
pub(super) fn most_items(array: &ArrayRef) -> usize {
    match array.data_type() {
        DataType::List(_) => longest(array.as_list::<i32>().offsets()),
        DataType::LargeList(_) => longest(array.as_list::<i64>().offsets()),
        DataType::FixedSizeList(_, items) => usize::try_from(*items).unwrap_or(0),
        _ => 0,
    }
}

/// The bytes of the widest value of `array`.
fn widest(array: &ArrayRef) -> usize {
    match array.data_type() {
        DataType::Utf8 => longest(array.as_string::<i32>().offsets()),
        DataType::LargeUtf8 => longest(array.as_string::<i64>().offsets()),
        DataType::Binary => longest(array.as_binary::<i32>().offsets()),
        DataType::LargeBinary => longest(array.as_binary::<i64>().offsets()),
        // A view does not copy what it shows.
        DataType::List(_) => items(most_items(array), array.as_list::<i32>().values()),
        DataType::LargeList(_) => items(most_items(array), array.as_list::<i64>().values()),
        DataType::FixedSizeList(..) => items(most_items(array), array.as_fixed_size_list().values()),
        _ => FIXED_BYTES,
    }
}

fn items(longest: usize, values: &ArrayRef) -> usize {
    // As if the longest had the widest elements, which need not be so.
    longest.saturating_mul(widest(values).min(values.get_array_memory_size()))
}

fn longest<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> usize {
    offsets.lengths().max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Int64Array, ListArray, StringArray};
    use datafusion::arrow::datatypes::Int64Type;
    use std::sync::Arc;

    #[test]
    fn the_widest_row_counts() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a".repeat(100_000)), None, Some("b".into())]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let batch = RecordBatch::try_from_iter([("t", texts), ("n", numbers)]).unwrap();
        assert!(check(&batch, 100).is_ok());
        assert!(check(&batch, 0).is_ok());
        let wide = check(&batch, 1024).unwrap_err();
        let error = DataFusionError::External(Box::new(wide));
        let rows = TooWide::of(&error).unwrap().rows();
        assert!((50..100).contains(&rows), "{rows}");
        assert!(check(&batch, rows).is_ok());
        let lists = vec![Some(vec![Some(1); 10]), None, Some(vec![Some(1); 1000])];
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists));
        assert_eq!(most_items(&lists), 1000);
        assert_eq!(widest(&lists), 16_000);
        assert_eq!(all_items(&lists), 1000);
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a".repeat(1_000_000), String::new(), String::new()]));
        let batch = RecordBatch::try_from_iter([("t", texts), ("l", lists)]).unwrap();
        let error = check_lists(&batch, &[1], 1024).unwrap_err();
        assert!(TooWide::of(&error).is_none() && matches!(error, DataFusionError::ResourcesExhausted(_)));
        // Without what stands beside them, lists may be long.
        assert!(check_lists(&batch.project(&[1]).unwrap(), &[0], 1024).is_ok());
    }
}
