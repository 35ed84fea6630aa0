//! Arrays, maps and records as JSON, with each value in them as a column of texts would have it.

use super::datum::Datum;
use super::schema::{Kind, Meaning, Schema};
use crate::change::DataType;
use crate::source::format::encoding::Modes;
use crate::source::format::value::{quoted, write_json};

/// Appends the value that follows.
pub(super) fn write(
    datum: &mut Datum<'_>,
    schema: &Schema,
    at: usize,
    depth: usize,
    out: &mut String,
) -> Result<(), String> {
    let node = schema.node(at);
    match (&node.kind, node.meaning) {
        (Kind::Array(items), _) => {
            let mut between = "[";
            datum.items(|datum| {
                out.push_str(std::mem::replace(&mut between, ","));
                write_any(datum, schema, *items, depth, out)
            })?;
            out.push_str(if between == "[" { "[]" } else { "]" });
        }
        (Kind::Map(values), _) => {
            let mut between = "{";
            datum.items(|datum| {
                out.push_str(std::mem::replace(&mut between, ","));
                out.push_str(&quoted(datum.key()?));
                out.push(':');
                write_any(datum, schema, *values, depth, out)
            })?;
            out.push_str(if between == "{" { "{}" } else { "}" });
        }
        (Kind::Record(fields), Meaning::Plain) => {
            out.push('{');
            for (number, (name, field)) in fields.iter().enumerate() {
                out.push_str(if number == 0 { "" } else { "," });
                out.push_str(&quoted(name));
                out.push(':');
                write_any(datum, schema, *field, depth, out)?;
            }
            out.push('}');
        }
        _ => unreachable!("only values that hold others are nested"),
    }
    Ok(())
}

fn write_any(datum: &mut Datum<'_>, schema: &Schema, at: usize, depth: usize, out: &mut String) -> Result<(), String> {
    let at = match &schema.node(at).kind {
        Kind::Union(branches) => branches[datum.branch(branches.len())?],
        _ => at,
    };
    let encoding = schema.encoding(at, DataType::Text, Modes::PLAIN);
    write_json(datum.value_within(schema, at, depth)?, encoding, out);
    Ok(())
}
