//! Values as programs write them: a declared type, the SQL literal that is written, and the JSON that it must become.
//!
//! Every value is made from what it means, so that the expected answer is known without reading any form back.

use rand::Rng;
use rand::rngs::SmallRng;
use rusqlite::Connection;

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Real,
    /// Digits behind the point.
    Decimal(u32),
    Boolean,
    Timestamp,
    TimestampTz,
    Date,
    Text,
    Bytes,
    Untyped,
}

/// Declared types, as programs and people write them.
pub(super) const DECLARED: &[(Kind, &str)] = &[
    (Kind::Integer, "INTEGER"),
    (Kind::Integer, "BIGINT UNSIGNED"),
    (Kind::Integer, "TINYINT(1)"),
    (Kind::Integer, "LONG"),
    (Kind::Integer, "mediumint"),
    (Kind::Real, "REAL"),
    (Kind::Real, "DOUBLE PRECISION"),
    (Kind::Real, "NUMERIC"),
    (Kind::Real, "float"),
    (Kind::Decimal(2), "DECIMAL(10,2)"),
    (Kind::Decimal(3), "numeric(8, 3)"),
    (Kind::Decimal(2), "NUMBER(9,2)"),
    (Kind::Decimal(4), "MONEY"),
    (Kind::Boolean, "BOOLEAN"),
    (Kind::Boolean, "bool"),
    (Kind::Boolean, "BIT"),
    (Kind::Timestamp, "DATETIME"),
    (Kind::Timestamp, "TIMESTAMP"),
    (Kind::Timestamp, "datetime(6)"),
    (Kind::TimestampTz, "TIMESTAMPTZ"),
    (Kind::TimestampTz, "TIMESTAMP WITH TIME ZONE"),
    (Kind::Date, "DATE"),
    (Kind::Text, "TEXT"),
    (Kind::Text, "VARCHAR(255)"),
    (Kind::Text, "JSON"),
    (Kind::Text, "CLOB"),
    (Kind::Text, "NVARCHAR(40) COLLATE NOCASE"),
    (Kind::Bytes, "BLOB"),
    (Kind::Bytes, "VARBINARY(16)"),
    (Kind::Bytes, "BINARY(4)"),
    (Kind::Untyped, ""),
];

/// A literal for a column of `kind` and the JSON text of its cell.
pub(super) fn value(kind: Kind, rng: &mut SmallRng, clock: &Connection) -> (String, String) {
    if rng.random_bool(0.1) {
        return ("NULL".into(), "null".into());
    }
    match kind {
        Kind::Integer => integer(rng),
        Kind::Real => {
            let it = f64::from(rng.random_range(-4000..4000)) / 8.0;
            (format!("{it:?}"), format!("{it:?}"))
        }
        Kind::Decimal(scale) => decimal(scale, rng),
        Kind::Boolean => {
            let it = rng.random_bool(0.5);
            let written = if it { TRUTHS } else { LIES };
            (pick(rng, written).into(), it.to_string())
        }
        Kind::Timestamp => timestamp(rng, clock, ""),
        Kind::TimestampTz => timestamp(rng, clock, "Z"),
        Kind::Date => date(rng, clock),
        Kind::Text => text(rng),
        Kind::Bytes => match rng.random_range(0..4) {
            0 => ("'plain'".into(), "\"\\\\x706c61696e\"".into()),
            1 => ("x''".into(), "\"\\\\x\"".into()),
            _ => {
                let hex = format!("{:04x}", rng.random_range(0..65536));
                (format!("x'{hex}'"), format!("\"\\\\x{hex}\""))
            }
        },
        Kind::Untyped => match rng.random_range(0..4) {
            0 => ("4711".into(), "\"4711\"".into()),
            1 => ("-2.5".into(), "\"-2.5\"".into()),
            2 => ("x'00ff'".into(), "\"\\\\x00ff\"".into()),
            _ => text(rng),
        },
    }
}

const TRUTHS: &[&str] = &["1", "'t'", "'true'", "'TRUE'", "'yes'", "'y'", "'on'", "TRUE", "'1'", "-1", "x'01'"];
const LIES: &[&str] = &["0", "'f'", "'false'", "'False'", "'no'", "'n'", "'off'", "FALSE", "'0'", "0.0", "x'00'"];

pub(super) fn pick<'a>(rng: &mut SmallRng, from: &[&'a str]) -> &'a str {
    from[rng.random_range(0..from.len())]
}

fn integer(rng: &mut SmallRng) -> (String, String) {
    let it: i64 = match rng.random_range(0..6) {
        0 => i64::MAX,
        1 => -(1 << 53) - 1,
        _ => rng.random_range(-50..50),
    };
    let written = match rng.random_range(0..3) {
        0 => format!("'{it}'"),
        1 if it.abs() < 100 => format!("{it}.0"),
        _ => it.to_string(),
    };
    (written, it.to_string())
}

/// Digits that are kept and digits that round.
fn decimal(scale: u32, rng: &mut SmallRng) -> (String, String) {
    let one = 10i64.pow(scale);
    let size: i64 = rng.random_range(0..99_999);
    let (more, up) =
        [("", 0), ("0", 0), ("1", 0), ("49", 0), ("5", 1), ("50001", 1), ("99", 1)][rng.random_range(0..7)];
    let digits = |units: i64| format!("{}.{:0width$}", units / one, units % one, width = scale as usize);
    let sign = if rng.random_bool(0.3) { "-" } else { "" };
    let written = format!("{sign}{}{more}", digits(size));
    let kept = digits(size + up);
    let is_zero = size + up == 0;
    let read = if is_zero { kept } else { format!("{sign}{kept}") };
    (if rng.random_bool(0.3) { format!("'{written}'") } else { written }, read)
}

fn text(rng: &mut SmallRng) -> (String, String) {
    let it = pick(rng, &["", "a", "naïve", "O'Hara", "x y ", "{\"a\":[1,null]}", "line\nbreak", "\\x00", "日本", "Ab"]);
    (format!("'{}'", it.replace('\'', "''")), serde_json::to_string(it).expect("JSON"))
}

/// What SQLite's own clock makes of seconds since 1970.
fn clock_text(clock: &Connection, format: &str, seconds: i64) -> String {
    clock.query_row("SELECT strftime(?1, ?2, 'unixepoch')", (format, seconds), |row| row.get(0)).expect("a time")
}

fn timestamp(rng: &mut SmallRng, clock: &Connection, zone: &str) -> (String, String) {
    // From 1975 to 2100, where numbers are of one unit only.
    let seconds: i64 = rng.random_range(157_766_400..4_102_444_800);
    let micros: i64 = if rng.random_bool(0.5) { 0 } else { rng.random_range(0..1000) * 1000 };
    let fraction = |width: usize| format!(".{:0<width$}", &format!("{micros:06}")[..width.min(6)]);
    let utc = clock_text(clock, "%Y-%m-%d %H:%M:%S", seconds);
    let ahead: i64 = [0, 120, -210, 345, 840][rng.random_range(0..5)];
    let local = clock_text(clock, "%Y-%m-%d %H:%M:%S", seconds + 60 * ahead);
    let sign = if ahead < 0 { '-' } else { '+' };
    let (hours, minutes) = (ahead.abs() / 60, ahead.abs() % 60);
    let written = match rng.random_range(0..14) {
        0 if micros == 0 => format!("'{utc}'"),
        1 if micros == 0 => format!("'{}Z'", utc.replace(' ', "T")),
        2 if micros == 0 => format!("{seconds}"),
        3 if micros == 0 => format!("'{utc} UTC'"),
        4 => format!("{}", seconds * 1000 + micros / 1000),
        5 => format!("{}", seconds * 1_000_000 + micros),
        6 => format!("{}", seconds * 1_000_000_000 + micros * 1000),
        7 => format!("'{}{}Z'", utc.replace(' ', "T"), fraction(3)),
        8 => format!("'{local}{}{sign}{hours:02}:{minutes:02}'", fraction(9)),
        9 => format!("'{local}{} {sign}{hours:02}{minutes:02} CEST m=+0.01'", fraction(6)),
        10 => format!("'{local}{} {sign}{hours:02}:{minutes:02}'", fraction(3)),
        11 => format!("'{}{}'", utc.replace(' ', "T"), fraction(7)),
        12 => format!("{seconds}{}", fraction(3)),
        _ => format!("'{utc}{}'", fraction(6)),
    };
    let shown = fraction(6);
    let shown = if micros == 0 { "" } else { shown.trim_end_matches('0') };
    (written, format!("\"{}{shown}{zone}\"", utc.replace(' ', "T")))
}

fn date(rng: &mut SmallRng, clock: &Connection) -> (String, String) {
    let noon: i64 = rng.random_range(1_826..47_000) * 86_400 + 43_200;
    let day = clock_text(clock, "%Y-%m-%d", noon);
    let written = match rng.random_range(0..6) {
        0 => format!("'{day} 12:30:00'"),
        1 => format!("'{day}T00:00:00.000Z'"),
        2 => day.replace('-', ""),
        3 => noon.to_string(),
        4 => (noon * 1000).to_string(),
        _ => format!("'{day}'"),
    };
    (written, format!("\"{day}\""))
}
