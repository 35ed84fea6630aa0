//! Rows to Arrow: the schema a relation has for SQL, and batches of its rows.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int32Builder,
    Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};

use crate::change::{Column, DataType, Datum};

/// The Arrow schema of these columns.
pub(super) fn schema(columns: &[Column]) -> SchemaRef {
    let field = |column: &Column| Field::new(&column.name, column.data_type.to_arrow(), column.nullable);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// An array of `cells`, all of `data_type`. The place and message of the first error cell come back as the error.
pub(super) fn array<'a>(
    data_type: DataType,
    cells: impl Iterator<Item = Datum<'a>>,
) -> Result<ArrayRef, (usize, String)> {
    macro_rules! build {
        ($builder:expr, $($pattern:pat => $value:expr),+) => {{
            let mut builder = $builder;
            for (at, cell) in cells.enumerate() {
                match cell {
                    Datum::Error(message) => return Err((at, message.into())),
                    $($pattern => builder.append_value($value),)+
                    _ => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }};
    }
    Ok(match data_type {
        DataType::Boolean => build!(BooleanBuilder::new(), Datum::Boolean(it) => it),
        DataType::Int32 => build!(Int32Builder::new(), Datum::Int(it) => it as i32),
        DataType::Int64 => build!(Int64Builder::new(), Datum::Int(it) => it),
        DataType::Float64 => build!(Float64Builder::new(), Datum::Float(it) => it),
        DataType::Decimal { .. } => {
            build!(Decimal128Builder::new().with_data_type(data_type.to_arrow()), Datum::Decimal(it) => it)
        }
        DataType::Text => build!(StringBuilder::new(), Datum::Text(it) => it),
        DataType::Bytes => build!(BinaryBuilder::new(), Datum::Bytes(it) => it),
        DataType::Date => build!(Date32Builder::new(), Datum::Int(it) => it as i32),
        DataType::Timestamp | DataType::TimestampTz => {
            let builder = TimestampMicrosecondBuilder::new().with_data_type(data_type.to_arrow());
            build!(builder, Datum::Int(it) => it)
        }
    })
}
