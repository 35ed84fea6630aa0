//! From the type a column is declared with to the SQL type of its cells.
//!
//! SQLite knows five affinities and lets any word be a type, so words are read as the database they come from reads
//! them. Every word has a type; what a cell of each takes is said in `value`.
//!
//! | declared | SQL type |
//! |---|---|
//! | `BOOLEAN`, `BOOL`, `LOGICAL`, `BIT`, `BIT(1)` | boolean |
//! | any name with `INT`, `LONG`, `SHORT`, `BYTE`, `SERIAL`, `COUNTER`, `YEAR`, `BIT(n)`, `OID` | bigint |
//! | any name with `REAL`, `FLOA` or `DOUB` | double precision |
//! | `DECIMAL`, `NUMERIC`, `NUMBER`, `DEC`, `FIXED` with (p) or (p, s), p ≤ 38 | numeric(p, s) |
//! | the same without arguments, or with others | double precision |
//! | `MONEY`, `CURRENCY`; `SMALLMONEY` | numeric(19, 4); numeric(10, 4) |
//! | any name with `CHAR`, `CLOB` or `TEXT`; `JSON`, `UUID`, `TIME`, `INTERVAL`, `STRING`, `ENUM` … | text |
//! | any name with `BLOB` or `BINARY`; `BYTEA`, `IMAGE`, `RAW`, `GEOMETRY`, `POINT` and its like | bytea |
//! | `DATE` | date |
//! | any name with `TIMESTAMP` or `DATETIME`; with `TZ`, `WITH TIME ZONE` or `OFFSET` in it | timestamp; timestamptz |
//! | no type, `ANY`, every other word | text |

use crate::change::DataType;

/// Words whose values are shapes on a map, as GeoPackage and SpatiaLite store them.
const SHAPES: &[&str] = &["GEOMETRY", "GEOGRAPHY", "POINT", "LINESTRING", "POLYGON", "CURVE", "SURFACE"];

/// How SQLite converts values stored in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Affinity {
    Integer,
    Real,
    Numeric,
    Text,
    Blob,
}

/// SQLite's five rules; in a STRICT table the same names lead to the same storage, and ANY converts nothing.
pub(super) fn affinity(declared: &str) -> Affinity {
    let name = declared.to_ascii_uppercase();
    let has = |part: &str| name.contains(part);
    if has("INT") {
        Affinity::Integer
    } else if has("CHAR") || has("CLOB") || has("TEXT") {
        Affinity::Text
    } else if name.is_empty() || has("BLOB") || name == "ANY" {
        Affinity::Blob
    } else if has("REAL") || has("FLOA") || has("DOUB") {
        Affinity::Real
    } else {
        Affinity::Numeric
    }
}

/// The type a declared type name stands for.
pub(super) fn natural_type(declared: &str) -> DataType {
    let upper = declared.to_ascii_uppercase();
    let (name, arguments) = parts(&upper);
    let has = |part: &str| name.contains(part);
    match name.as_str() {
        "BOOL" | "BOOLEAN" | "LOGICAL" => DataType::Boolean,
        "BIT" if matches!(arguments, None | Some("1")) => DataType::Boolean,
        "DATE" => DataType::Date,
        "DECIMAL" | "NUMERIC" | "NUMBER" | "DEC" | "FIXED" => arguments.and_then(decimal).unwrap_or(DataType::Float64),
        "MONEY" | "CURRENCY" => DataType::Decimal { precision: 19, scale: 4 },
        "SMALLMONEY" => DataType::Decimal { precision: 10, scale: 4 },
        "BIT" | "LONG" | "SHORT" | "BYTE" | "YEAR" | "COUNTER" | "OID" | "ROWID" => DataType::Int64,
        "BYTEA" | "IMAGE" | "RAW" | "LONG RAW" | "ROWVERSION" => DataType::Bytes,
        // These have INT or another rule's word in them.
        "INTERVAL" => DataType::Text,
        _ if has("TIMESTAMP") || has("DATETIME") => {
            let zoned = has("TZ") || has("OFFSET") || has("WITH TIME ZONE") || has("WITH LOCAL TIME ZONE");
            if zoned { DataType::TimestampTz } else { DataType::Timestamp }
        }
        _ if has("REAL") || has("FLOA") || has("DOUB") || name == "NUM" => DataType::Float64,
        _ if SHAPES.iter().any(|it| has(it)) => DataType::Bytes,
        _ if has("BLOB") || has("BINARY") => DataType::Bytes,
        _ if has("CHAR") || has("CLOB") || has("TEXT") => DataType::Text,
        _ if has("INT") || has("SERIAL") => DataType::Int64,
        // No type, ANY, and words of which SQLite makes nothing (UUID, JSON, TIME): text takes every value.
        _ => DataType::Text,
    }
}

/// Whether the owner declared what a column holds: no type and words that mean nothing to SQLite are read as text for
/// want of anything better.
pub(super) fn says_what_it_holds(declared: &str) -> bool {
    natural_type(declared) != DataType::Text || affinity(declared) == Affinity::Text
}

/// The type that takes most of what a column of this affinity holds, whatever its declared meaning.
pub(super) fn stored_type(declared: &str) -> DataType {
    match affinity(declared) {
        Affinity::Integer => DataType::Int64,
        Affinity::Real => DataType::Float64,
        Affinity::Numeric | Affinity::Text => DataType::Text,
        Affinity::Blob => match natural_type(declared) {
            DataType::Bytes => DataType::Bytes,
            _ => DataType::Text,
        },
    }
}

/// Whether the values of a column declared so can be read as they are by those who ask for a row by them: each has one
/// spelling, and all are of one kind.
pub(super) fn is_plain_key(declared: &str) -> bool {
    let (data_type, affinity) = (natural_type(declared), affinity(declared));
    keeps_keys_apart(data_type, affinity) && (affinity != Affinity::Blob || data_type == DataType::Bytes)
}

/// Whether two values that SQLite holds apart in a column of this affinity are always two cells of this type, when only
/// the type's own spelling of a value is taken.
pub(super) fn keeps_keys_apart(data_type: DataType, affinity: Affinity) -> bool {
    match data_type {
        DataType::Timestamp | DataType::TimestampTz => false,
        DataType::Decimal { .. } => matches!(affinity, Affinity::Integer | Affinity::Real | Affinity::Numeric),
        _ => true,
    }
}

/// The name without arguments, signs and superfluous spaces, and the arguments: `DECIMAL(10,2) UNSIGNED` is a
/// `DECIMAL` of `10,2`.
fn parts(upper: &str) -> (String, Option<&str>) {
    let (before, arguments, behind) = match upper.split_once('(') {
        Some((before, rest)) => match rest.split_once(')') {
            Some((arguments, behind)) => (before, Some(arguments.trim()), behind),
            None => (before, Some(rest.trim()), ""),
        },
        None => (upper, None, ""),
    };
    let plain = |it: &&str| !matches!(*it, "UNSIGNED" | "SIGNED" | "ZEROFILL" | "NATIVE");
    let words: Vec<&str> = before.split_whitespace().chain(behind.split_whitespace()).filter(plain).collect();
    (words.join(" "), arguments)
}

fn decimal(arguments: &str) -> Option<DataType> {
    let mut parts = arguments.split(',').map(|it| it.trim().parse::<u8>());
    let precision = parts.next()?.ok()?;
    let scale = parts.next().unwrap_or(Ok(0)).ok()?;
    let fits = (1..=38).contains(&precision) && scale <= precision && parts.next().is_none();
    fits.then_some(DataType::Decimal { precision, scale })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_names_have_the_types_their_owners_expect() {
        let decimal = |precision, scale| DataType::Decimal { precision, scale };
        for (data_type, names) in [
            (DataType::Boolean, "BOOLEAN|bool|Bit|BIT(1)|logical"),
            (
                DataType::Int64,
                "INTEGER|int|unsigned big int|TINYINT(1)|INT8|BIGINT UNSIGNED|LONG|YEAR|year(4)|BIGSERIAL|serial|COUNTER|\
                 BIT(8)|byte|mediumint(9)",
            ),
            (
                DataType::Float64,
                "REAL|double precision|FLOAT(24)|FLOATING POINT|NUMERIC|decimal|NUMBER|NUM|DECIMAL(40,2)|DECIMAL(4,5)|\
                 NUMBER(*)|double unsigned|BINARY_DOUBLE|DECIMAL(5,-2)|DECIMAL(65,30)",
            ),
            (decimal(10, 2), "DECIMAL(10, 2)|numeric(10,2)|Number(10,2)|DECIMAL(10,2) UNSIGNED|dec( 10 , 2 )"),
            (decimal(5, 0), "numeric(5)|NUMBER(5)"),
            (decimal(19, 4), "MONEY|currency"),
            (decimal(10, 4), "SmallMoney"),
            (
                DataType::Text,
                "varchar(20)|TEXT|LONGVARCHAR|nvarchar(50)|CLOB|LONGTEXT|JSON|jsonb|UUID|uniqueidentifier|TIME|time(6)|\
                 INTERVAL|STRING||ANY|ENUM('INT','REAL')|VARYING CHARACTER(255)|XML|[whatever]|memo|name",
            ),
            (
                DataType::Bytes,
                "blob|LONGBLOB|BINARY(16)|VARBINARY(255)|long varbinary|BYTEA|image|POINT|MULTIPOLYGON|GEOMETRY|RAW(16)",
            ),
            (DataType::Date, "DATE|date"),
            (
                DataType::Timestamp,
                "DATETIME|datetime(6)|TIMESTAMP|TIMESTAMP(3)|TIMESTAMP WITHOUT TIME ZONE|datetime2|smalldatetime",
            ),
            (
                DataType::TimestampTz,
                "TIMESTAMPTZ|timestamp with time zone|TIMESTAMP(6) WITH TIME ZONE|DATETIMEOFFSET|TIMESTAMP_TZ",
            ),
        ] {
            for name in names.split('|') {
                assert_eq!(natural_type(name), data_type, "{name:?}");
            }
        }
    }
}
