//! The columns that `CREATE TABLE` writes out: names, types, key.

use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::{DataType as Sql, ExactNumberInfo, TimezoneInfo};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::tokens::Cursor;
use super::{DeclaredColumn, Name, Problem};
use crate::change::DataType;

/// `(name type …, PRIMARY KEY (…))`.
pub(super) fn declared_columns(cursor: &mut Cursor<'_>) -> Result<Vec<DeclaredColumn>, Problem> {
    let mut columns: Vec<DeclaredColumn> = Vec::new();
    let mut key: Option<Vec<Name>> = None;
    let mut names = HashSet::new();
    cursor.list(|cursor| {
        let here = cursor.here();
        if cursor.accept_keyword("PRIMARY") {
            cursor.expect_keyword("KEY")?;
            if key.is_some() || columns.iter().any(|it| it.primary_key) {
                return Err(Problem::at(here, "the primary key is declared twice"));
            }
            key = Some(cursor.list(|cursor| cursor.name("a key column"))?);
            not_enforced(cursor);
            return Ok(());
        }
        if cursor.peek_keyword("WATERMARK") {
            let problem = Problem::at(here, "a table has no watermark");
            return Err(problem.with_hint("leave it out: views hold what was committed, and wait for nothing"));
        }
        let name = cursor.name("a column's name")?;
        if !names.insert(name.text.clone()) {
            return Err(Problem::at(name.span, format!("column \"{}\" is declared twice", name.text)));
        }
        let column = column(cursor, &name)?;
        if column.primary_key && (key.is_some() || columns.iter().any(|it| it.primary_key)) {
            let problem = Problem::at(name.span, "the primary key is declared twice");
            return Err(problem.with_hint("write a key of several columns behind them: PRIMARY KEY (…, …)"));
        }
        columns.push(column);
        Ok(())
    })?;
    for part in key.into_iter().flatten() {
        let Some(column) = columns.iter_mut().find(|it| it.name == part.text) else {
            return Err(Problem::at(part.span, format!("key column \"{}\" is not declared", part.text)));
        };
        (column.not_null, column.primary_key) = (true, true);
    }
    Ok(columns)
}

/// What follows a column's name.
fn column(cursor: &mut Cursor<'_>, name: &Name) -> Result<DeclaredColumn, Problem> {
    if cursor.peek_keyword("AS") {
        let problem = Problem::at(cursor.here(), "a table's columns are its source's");
        return Err(problem.with_hint("compute it in a view"));
    }
    let mut column = DeclaredColumn::new(name.text.clone(), data_type(cursor)?);
    loop {
        if cursor.accept_keyword("NOT") {
            cursor.expect_keyword("NULL")?;
            column.not_null = true;
        } else if cursor.accept_keyword("PRIMARY") {
            cursor.expect_keyword("KEY")?;
            not_enforced(cursor);
            (column.not_null, column.primary_key) = (true, true);
        } else if cursor.accept_keyword("METADATA") {
            let from = cursor.accept_keyword("FROM");
            column.metadata = Some(if from { cursor.string("what the column holds")? } else { name.clone() });
            cursor.accept_keyword("VIRTUAL");
        } else if !cursor.accept_keyword("NULL") {
            return Ok(column);
        }
    }
}

/// Flink has every key followed by these words. Here a key is the source's, so it is its owner who enforces it.
fn not_enforced(cursor: &mut Cursor<'_>) {
    let second = cursor.rest().get(1).map(|it| it.token.token.to_string());
    if cursor.peek_keyword("NOT") && second.is_some_and(|it| it.eq_ignore_ascii_case("enforced")) {
        cursor.skip(2);
    }
}

fn data_type(cursor: &mut Cursor<'_>) -> Result<DataType, Problem> {
    let span = cursor.here();
    let tokens = cursor.rest().iter().map(|it| it.token.clone()).collect();
    let mut parser = Parser::new(&PostgreSqlDialect {}).with_tokens_with_locations(tokens);
    let parsed = parser.parse_data_type().map_err(|_| cursor.expected("a type"))?;
    cursor.skip(parser.index());
    let decimal = |info: &ExactNumberInfo| match *info {
        ExactNumberInfo::None => Some((38, 10)),
        ExactNumberInfo::Precision(precision) => Some((precision, 0)),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => Some((precision, u64::try_from(scale).ok()?)),
    };
    let data_type = match &parsed {
        Sql::Boolean | Sql::Bool => DataType::Boolean,
        Sql::TinyInt(_) | Sql::SmallInt(_) | Sql::Int2(_) | Sql::Int(_) | Sql::Int4(_) | Sql::Integer(_) => {
            DataType::Int32
        }
        Sql::BigInt(_) | Sql::Int8(_) => DataType::Int64,
        Sql::Real | Sql::Float4 | Sql::Float8 | Sql::Float(_) | Sql::Double(_) | Sql::DoublePrecision => {
            DataType::Float64
        }
        Sql::Numeric(info) | Sql::Decimal(info) | Sql::Dec(info) => match decimal(info) {
            Some((precision @ 1..=38, scale)) if scale <= precision => {
                DataType::Decimal { precision: precision as u8, scale: scale as u8 }
            }
            _ => return Err(Problem::at(span, "a numeric has 1 to 38 digits, at most all of them behind the point")),
        },
        Sql::Text | Sql::Varchar(_) | Sql::CharacterVarying(_) | Sql::String(_) => DataType::Text,
        // These have no operators of their own here: they are texts as their owner writes them.
        Sql::JSON | Sql::JSONB | Sql::Uuid => DataType::Text,
        Sql::Bytea | Sql::Blob(_) | Sql::Bytes(_) | Sql::Varbinary(_) => DataType::Bytes,
        Sql::Date => DataType::Date,
        Sql::Timestamp(_, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone) => DataType::TimestampTz,
        Sql::Timestamp(..) => DataType::Timestamp,
        // As Flink calls it: an instant, shown in the reader's zone.
        Sql::Custom(name, _) if name.to_string().eq_ignore_ascii_case("timestamp_ltz") => DataType::TimestampTz,
        other => {
            let problem = Problem::at(span, format!("type {other} is not supported"));
            let hint = "types: boolean, integer, bigint, double precision, numeric(p,s), text, bytea, date, timestamp, \
                        timestamptz; json, jsonb and uuid as text";
            return Err(problem.with_hint(hint));
        }
    };
    Ok(data_type)
}
