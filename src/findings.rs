//! What `vantage check` says of values that a table's columns would not take.

use vantage::catalog::{Catalog, Table};
use vantage::change::{DataType, Schema};
use vantage::source::{Finding, Sources};

/// What a sample of the rows of `table` tells, and the declaration that would read them all, as lines.
pub(crate) fn notes(catalog: &Catalog, sources: &Sources, table: &Table, schema: &Schema) -> Vec<String> {
    let findings = match sources.of(table).sample(table, schema) {
        Ok(findings) => findings,
        Err(error) => return vec![format!("  note: the rows of {} could not be looked at: {error}", table.name)],
    };
    let mut lines: Vec<String> = findings.iter().map(|it| format!("  note: {}", words(&table.name, it))).collect();
    if findings.iter().any(|it| it.fitting.is_some()) {
        let declaration = declaration(catalog, table, schema, &findings);
        lines.push(format!("        to read all of these rows: {declaration}"));
    }
    lines
}

fn words(table: &str, it: &Finding) -> String {
    let Finding { column, rows, errors, .. } = it;
    match (&it.first, it.fitting) {
        (Some(first), _) => {
            format!("{table}.{column}: {errors} of {rows} sampled rows would have an error cell, the first: {first}")
        }
        (None, Some(fitting)) => format!(
            "{table}.{column} has no declared type that says what it holds, so it is read as text; in all of {rows} \
             sampled rows it could be {fitting}"
        ),
        (None, None) => format!("{table}.{column} has no declared type that says what it holds, so it is read as text"),
    }
}

/// `CREATE TABLE` with the columns' types as they are, but for those that do not fit.
fn declaration(catalog: &Catalog, table: &Table, schema: &Schema, findings: &[Finding]) -> String {
    let column = |it: &vantage::change::Column| {
        let found = findings.iter().find(|finding| finding.column == it.name);
        let data_type: DataType = found.and_then(|it| it.fitting).unwrap_or(it.data_type);
        let null = if it.nullable || found.is_some() { "" } else { " NOT NULL" };
        format!("{} {data_type}{null}", name(&it.name))
    };
    let columns: Vec<String> = schema.visible_columns().iter().map(column).collect();
    let source = name(&catalog.sources[table.source].name);
    let upstream = table.upstream.replace('\'', "''");
    let origin = match catalog.sources[table.source].is_unshared {
        true => "WITH (…)".into(),
        false => format!("FROM {source} TABLE '{upstream}'"),
    };
    format!("CREATE TABLE {} ({}) {origin};", name(&table.name), columns.join(", "))
}

/// A name as a view file has to spell it.
fn name(text: &str) -> String {
    let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_';
    let is_plain = text.bytes().all(plain) && !text.starts_with(|it: char| it.is_ascii_digit()) && !text.is_empty();
    if is_plain { text.into() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}
