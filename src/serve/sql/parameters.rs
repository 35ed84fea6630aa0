//! PostgreSQL-style parameters: `$1`, typed by where they stand, else by what they are given.

use axum::http::StatusCode;
use datafusion::arrow::datatypes::{DataType as ArrowType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::LogicalPlan;

use super::failure::problem;
use crate::change::text::json::Json;
use crate::change::{DataType, Value, ZONE, counted};
use crate::dialect::sql_type;
use crate::serve::problem::Problem;
use crate::serve::value::parse_json;

/// The most parameters of a statement.
const MAX_PARAMETERS: usize = 1000;

/// The types of `$1`, `$2`, …, where the query tells them.
pub(super) type Parameters = Vec<Option<ArrowType>>;

/// The parameters of `plan`, whose text has `places` of them; some may stand where nothing is asked any more.
pub(super) fn of(plan: &LogicalPlan, places: usize) -> Result<Parameters, Problem> {
    let found = plan.get_parameter_types().map_err(|it| problem(&it))?;
    let mut parameters = vec![None; places.min(MAX_PARAMETERS)];
    for (id, data_type) in found {
        let number = id.strip_prefix('$').and_then(|it| it.parse::<usize>().ok());
        let number = number.filter(|it| (1..=MAX_PARAMETERS).contains(it));
        let Some(number) = number else {
            let detail = format!("parameters are written $1, $2 and so on, not {id}");
            return Err(Problem::new(StatusCode::BAD_REQUEST, "42601", detail));
        };
        if parameters.len() < number {
            parameters.resize(number, None);
        }
        parameters[number - 1] = data_type;
    }
    Ok(parameters)
}

/// Refuses too many or too few values.
pub(super) fn check_count(parameters: &Parameters, given: usize) -> Result<(), Problem> {
    if parameters.len() == given {
        return Ok(());
    }
    let detail = format!(
        "the statement has {}, but {} in \"params\"",
        counted(parameters.len(), "parameter"),
        if given == 1 { "there is 1 value".into() } else { format!("there are {given} values") }
    );
    Err(Problem::new(StatusCode::BAD_REQUEST, "42P02", detail)
        .hint("give a value for each of $1, $2 and so on, in this order"))
}

/// The values of the parameters.
pub(super) fn bind(parameters: &Parameters, given: &[&str]) -> Result<Vec<ScalarValue>, Problem> {
    check_count(parameters, given.len())?;
    let one = |(at, (data_type, json)): (usize, (&Option<ArrowType>, &&str))| {
        let value = match data_type.as_ref().map(|it| known_type(it).ok_or(it)) {
            Some(Ok(DataType::Decimal { precision, scale })) => {
                let data_type = decimal_for(json, precision, scale);
                parse_json(json, data_type).map(|it| scalar(it, data_type))
            }
            Some(Ok(data_type)) => parse_json(json, data_type).map(|it| scalar(it, data_type)),
            Some(Err(data_type)) => Err(format!("a parameter cannot be of type {}", sql_type(&data_type.to_string()))),
            None => untyped(json),
        };
        value.map_err(|it| Problem::bad_value(format!("${}: {it}", at + 1)))
    };
    parameters.iter().zip(given).enumerate().map(one).collect()
}

/// The column type whose values a parameter of this type takes.
fn known_type(data_type: &ArrowType) -> Option<DataType> {
    Some(match data_type {
        ArrowType::Boolean => DataType::Boolean,
        ArrowType::Int8 | ArrowType::Int16 | ArrowType::Int32 => DataType::Int32,
        ArrowType::Int64 | ArrowType::UInt8 | ArrowType::UInt16 | ArrowType::UInt32 => DataType::Int64,
        ArrowType::UInt64 => DataType::Decimal { precision: 20, scale: 0 },
        ArrowType::Float16 | ArrowType::Float32 | ArrowType::Float64 => DataType::Float64,
        ArrowType::Decimal128(precision, scale) => {
            DataType::Decimal { precision: *precision, scale: u8::try_from(*scale).ok()? }
        }
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => DataType::Text,
        ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView => DataType::Bytes,
        ArrowType::Date32 | ArrowType::Date64 => DataType::Date,
        ArrowType::Timestamp(
            TimeUnit::Second | TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond,
            zone,
        ) => {
            if zone.is_some() {
                DataType::TimestampTz
            } else {
                DataType::Timestamp
            }
        }
        _ => return None,
    })
}

/// A decimal type with at least so many digits that also holds the number `json`: what a parameter is compared with does
/// not bound what may be given for it. A number that no decimal holds is left to be refused.
fn decimal_for(json: &str, precision: u8, scale: u8) -> DataType {
    let digits = json.trim_matches('"').trim_start_matches(['-', '+']);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = whole.bytes().chain(fraction.bytes()).all(|it| it.is_ascii_digit());
    let wanted_scale = fraction.len().max(usize::from(scale));
    let wanted = whole.len().max(usize::from(precision - scale)) + wanted_scale;
    match (u8::try_from(wanted), u8::try_from(wanted_scale)) {
        (Ok(precision), Ok(scale)) if plain && precision <= 38 => DataType::Decimal { precision, scale },
        _ => DataType::Decimal { precision, scale },
    }
}

/// A value of `data_type` for DataFusion.
fn scalar(value: Value, data_type: DataType) -> ScalarValue {
    let null = || ScalarValue::try_from(&data_type.to_arrow()).unwrap_or(ScalarValue::Null);
    match value {
        Value::Null | Value::Error(_) => null(),
        Value::Boolean(it) => ScalarValue::Boolean(Some(it)),
        Value::Float(it) => ScalarValue::Float64(Some(it)),
        Value::Text(it) => ScalarValue::Utf8(Some(it)),
        Value::Bytes(it) => ScalarValue::Binary(Some(it)),
        Value::Decimal(it) => match data_type {
            DataType::Decimal { precision, scale } => ScalarValue::Decimal128(Some(it), precision, scale as i8),
            _ => null(),
        },
        Value::Int(it) => match data_type {
            // The parser has checked the range.
            DataType::Int32 => ScalarValue::Int32(Some(it as i32)),
            DataType::Date => ScalarValue::Date32(i32::try_from(it).ok()),
            DataType::Timestamp => ScalarValue::TimestampMicrosecond(Some(it), None),
            DataType::TimestampTz => ScalarValue::TimestampMicrosecond(Some(it), Some(ZONE.into())),
            _ => ScalarValue::Int64(Some(it)),
        },
    }
}

/// The value of a parameter whose place does not tell its type.
fn untyped(json: &str) -> Result<ScalarValue, String> {
    let number = |data_type| parse_json(json, data_type).map(|it| scalar(it, data_type));
    match Json::of(json) {
        Some(Json::Null) => Ok(ScalarValue::Null),
        Some(Json::Boolean(it)) => Ok(ScalarValue::Boolean(Some(it))),
        Some(Json::Text(it)) => Ok(ScalarValue::Utf8(Some(it.into_owned()))),
        Some(Json::Number(it)) if it.contains(['e', 'E']) => number(DataType::Float64),
        Some(Json::Number(it)) => match it.split_once('.') {
            None => number(DataType::Int64),
            Some((_, fraction)) if fraction.len() <= 38 => {
                number(DataType::Decimal { precision: 38, scale: fraction.len() as u8 })
            }
            Some(_) => number(DataType::Float64),
        },
        Some(Json::Nested(_)) => Err("a parameter is a text, a number, true, false or null".into()),
        None => Err("no valid text".into()),
    }
}
