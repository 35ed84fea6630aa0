//! Between Arrow's types and values and ours.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType as Arrow, Field, Schema as ArrowSchema, SchemaRef};
use datafusion::common::ScalarValue;

use super::refusal::{Planned, Refusal};
use crate::change::{DataType, Schema, Value};
use crate::dialect::sql_type;

/// Our type for an Arrow type; `None` when there is none.
pub(crate) fn from_arrow(data_type: &Arrow) -> Option<DataType> {
    Some(match data_type {
        Arrow::Boolean => DataType::Boolean,
        Arrow::Int8 | Arrow::Int16 | Arrow::Int32 | Arrow::UInt8 | Arrow::UInt16 => DataType::Int32,
        Arrow::Int64 | Arrow::UInt32 => DataType::Int64,
        Arrow::UInt64 => DataType::Decimal { precision: 20, scale: 0 },
        Arrow::Float16 | Arrow::Float32 | Arrow::Float64 => DataType::Float64,
        Arrow::Decimal32(precision, scale)
        | Arrow::Decimal64(precision, scale)
        | Arrow::Decimal128(precision, scale) => {
            DataType::Decimal { precision: *precision, scale: u8::try_from(*scale).ok()? }
        }
        Arrow::Utf8 | Arrow::LargeUtf8 | Arrow::Utf8View => DataType::Text,
        Arrow::Binary | Arrow::LargeBinary | Arrow::BinaryView | Arrow::FixedSizeBinary(_) => DataType::Bytes,
        Arrow::Date32 | Arrow::Date64 => DataType::Date,
        Arrow::Timestamp(_, None) => DataType::Timestamp,
        Arrow::Timestamp(_, Some(_)) => DataType::TimestampTz,
        // A bare NULL is text, as in PostgreSQL.
        Arrow::Null => DataType::Text,
        _ => return None,
    })
}

/// Our type, or a refusal that names the Arrow type and the expression.
pub(crate) fn require_type(data_type: &Arrow, text: &str) -> Planned<DataType> {
    from_arrow(data_type).ok_or_else(|| {
        let name = sql_type(&data_type.to_string());
        Refusal::new(format!("{text} is of type {name}, which a view cannot keep"))
            .at_words(text)
            .hint("cast it to boolean, integer, bigint, double precision, numeric, text, bytea, date or timestamp")
    })
}

/// The visible columns as DataFusion sees them.
pub(crate) fn arrow_schema(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> =
        schema.visible_columns().iter().map(|it| Field::new(&it.name, it.data_type.to_arrow(), it.nullable)).collect();
    Arc::new(ArrowSchema::new(fields))
}

/// A literal as our value and type; `None` when its type is not supported.
pub(crate) fn literal(value: &ScalarValue) -> Option<(Value, DataType)> {
    let data_type = from_arrow(&value.data_type())?;
    if value.is_null() {
        return Some((Value::Null, data_type));
    }
    let value = match value {
        ScalarValue::Boolean(Some(it)) => Value::Boolean(*it),
        ScalarValue::Utf8(Some(it)) | ScalarValue::LargeUtf8(Some(it)) | ScalarValue::Utf8View(Some(it)) => {
            Value::Text(it.clone())
        }
        ScalarValue::Binary(Some(it))
        | ScalarValue::LargeBinary(Some(it))
        | ScalarValue::BinaryView(Some(it))
        | ScalarValue::FixedSizeBinary(_, Some(it)) => Value::Bytes(it.clone()),
        ScalarValue::Decimal128(Some(it), ..) => Value::Decimal(*it),
        ScalarValue::Int64(Some(it)) => Value::Int(*it),
        ScalarValue::Float64(Some(it)) => Value::Float(*it),
        other => match other.cast_to(&data_type.to_arrow()).ok()? {
            ScalarValue::Int32(Some(it)) | ScalarValue::Date32(Some(it)) => Value::Int(i64::from(it)),
            ScalarValue::Int64(Some(it)) | ScalarValue::TimestampMicrosecond(Some(it), _) => Value::Int(it),
            ScalarValue::Float64(Some(it)) => Value::Float(it),
            ScalarValue::Decimal128(Some(it), ..) => Value::Decimal(it),
            _ => return None,
        },
    };
    Some((value, data_type))
}
