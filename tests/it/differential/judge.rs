//! Whether two answers are the same: rows as multisets or as lists, values and types.

use serde_json::value::RawValue;

use crate::support::postgres::Answer;

/// An answer of Vantage: names and types of its columns, its values as JSON texts.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Answered {
    pub(crate) columns: Vec<AnsweredColumn>,
    pub(crate) rows: Vec<Vec<Box<RawValue>>>,
}

#[derive(Debug, serde::Deserialize)]
pub(crate) struct AnsweredColumn {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) data_type: String,
}

/// What is different, in words; `None` when nothing is.
pub(crate) fn difference(expected: &Answer, actual: &Answered, ordered: bool) -> Option<String> {
    let names: Vec<&str> = expected.columns.iter().map(|it| it.0.as_str()).collect();
    let actual_names: Vec<&str> = actual.columns.iter().map(|it| it.name.as_str()).collect();
    if names != actual_names {
        return Some(format!("columns are called {actual_names:?}, not {names:?}"));
    }
    for ((name, wanted), column) in expected.columns.iter().zip(&actual.columns) {
        if !is_type(wanted, &column.data_type) {
            return Some(format!("column {name} is {}, not {wanted}", column.data_type));
        }
    }
    let mut wanted: Vec<Vec<Cell>> = Vec::new();
    for row in &expected.rows {
        let cells = row.iter().zip(&expected.columns).map(|(it, column)| Cell::of_postgres(it.as_deref(), column.1));
        wanted.push(cells.collect());
    }
    let mut found: Vec<Vec<Cell>> = Vec::new();
    for row in &actual.rows {
        found.push(
            row.iter().zip(&actual.columns).map(|(it, column)| Cell::of_json(it.get(), &column.data_type)).collect(),
        );
    }
    if !ordered {
        wanted.sort_by(|a, b| compare(a, b));
        found.sort_by(|a, b| compare(a, b));
    }
    let same = wanted.len() == found.len()
        && wanted.iter().zip(&found).all(|(a, b)| a.iter().zip(b).all(|(a, b)| a.is_same(b)));
    (!same).then(|| format!("PostgreSQL: {}\n   Vantage: {}", show(&wanted), show(&found)))
}

/// Whether a column of PostgreSQL's type may be one of this type of ours. Integers are of one type; and what PostgreSQL
/// makes a numeric of any length is a number here that holds it.
fn is_type(wanted: &str, actual: &str) -> bool {
    let stem = actual.split('(').next().unwrap_or(actual);
    match wanted {
        "integer" | "bigint" | "smallint" => matches!(stem, "integer" | "bigint" | "smallint"),
        "numeric" => matches!(stem, "numeric" | "bigint" | "integer" | "double precision"),
        // A bare NULL or text.
        "unknown" => stem == "text",
        other => stem == other,
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Null,
    /// A number, by its digits, and how many of them are behind the point when they are all there are.
    Number(String, Option<usize>),
    Text(String),
}

impl Cell {
    fn of_postgres(text: Option<&str>, data_type: &str) -> Cell {
        let Some(text) = text else { return Cell::Null };
        match data_type {
            "integer" | "bigint" | "smallint" | "numeric" => Cell::Number(text.into(), None),
            "double precision" | "real" => Cell::Number(text.into(), None),
            "boolean" => Cell::Text(if text == "t" { "true" } else { "false" }.into()),
            "timestamptz" => Cell::Text(text.trim_end_matches("+00").into()),
            _ => Cell::Text(text.into()),
        }
    }

    fn of_json(json: &str, data_type: &str) -> Cell {
        if json == "null" {
            return Cell::Null;
        }
        let text = || serde_json::from_str::<String>(json).unwrap_or_else(|_| json.into());
        let (stem, scale) = data_type.split_once('(').unwrap_or((data_type, ""));
        let scale = || scale.trim_end_matches(')').split_once(',').and_then(|(_, it)| it.parse().ok());
        match stem {
            "integer" | "bigint" | "smallint" => Cell::Number(text(), None),
            "numeric" => Cell::Number(text(), scale()),
            "double precision" | "real" => Cell::Number(text(), Some(usize::MAX)),
            "timestamp" | "timestamptz" => Cell::Text(text().replace('T', " ").trim_end_matches('Z').into()),
            _ => Cell::Text(text()),
        }
    }

    fn is_same(&self, other: &Cell) -> bool {
        match (self, other) {
            (Cell::Number(a, _), Cell::Number(b, digits)) => {
                if trimmed(a) == trimmed(b) {
                    return true;
                }
                let (Ok(a), Ok(b)) = (a.parse::<f64>(), b.parse::<f64>()) else { return false };
                if a.is_nan() || b.is_nan() {
                    return a.is_nan() && b.is_nan();
                }
                // Sums of doubles depend on the order; a numeric of a fixed scale is rounded to it.
                let rounding = match digits {
                    Some(usize::MAX) => a.abs() * 1e-12,
                    Some(digits) => 0.500_001 * 0.1_f64.powi(*digits as i32),
                    None => return false,
                };
                (a - b).abs() <= rounding
            }
            (a, b) => a == b,
        }
    }
}

/// A decimal without zeros that say nothing.
fn trimmed(number: &str) -> &str {
    let number = number.strip_suffix(".0").unwrap_or(number);
    if number.contains('.') && !number.contains(['e', 'E']) {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

fn compare(a: &[Cell], b: &[Cell]) -> std::cmp::Ordering {
    let rank = |cell: &Cell| match cell {
        Cell::Null => 0,
        Cell::Number(..) => 1,
        Cell::Text(_) => 2,
    };
    let cells = |(a, b): (&Cell, &Cell)| match (a, b) {
        (Cell::Number(a, _), Cell::Number(b, _)) => {
            let (a, b) = (a.parse::<f64>().unwrap_or(f64::NAN), b.parse::<f64>().unwrap_or(f64::NAN));
            a.total_cmp(&b)
        }
        (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
        (a, b) => rank(a).cmp(&rank(b)),
    };
    a.iter().zip(b).map(cells).find(|it| it.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
}

fn show(rows: &[Vec<Cell>]) -> String {
    let cell = |it: &Cell| match it {
        Cell::Null => "NULL".to_string(),
        Cell::Number(it, _) => it.clone(),
        Cell::Text(it) => format!("{it:?}"),
    };
    let row = |it: &Vec<Cell>| format!("({})", it.iter().map(cell).collect::<Vec<_>>().join(", "));
    let shown: Vec<String> = rows.iter().take(12).map(row).collect();
    format!("{} rows {}", rows.len(), shown.join(" "))
}
