//! Arrow's names of types as SQL's.

/// The SQL type behind `text`, a type as Arrow or DataFusion writes it.
pub(crate) fn sql_type(text: &str) -> String {
    let text = text.trim();
    let plain = match text {
        "Boolean" => "boolean",
        "Int8" | "Int16" | "UInt8" => "smallint",
        "Int32" | "UInt16" => "integer",
        "Int64" | "UInt32" => "bigint",
        "UInt64" | "Numeric" => "numeric",
        "Float16" | "Float32" | "Float64" => "double precision",
        "Utf8" | "LargeUtf8" | "Utf8View" | "String" => "text",
        "Binary" | "LargeBinary" | "BinaryView" => "bytea",
        "Date32" | "Date64" | "Date" => "date",
        "Null" => "unknown",
        _ => "",
    };
    if !plain.is_empty() {
        return plain.into();
    }
    let inner = |kind: &str| text.strip_prefix(kind)?.strip_prefix('(')?.strip_suffix(')');
    if let Some(it) = inner("Decimal128").or_else(|| inner("Decimal256")) {
        return format!("numeric({})", it.replace(' ', ""));
    }
    if let Some(it) = inner("Timestamp") {
        return if it.contains(',') && !it.contains("None") { "timestamptz".into() } else { "timestamp".into() };
    }
    if inner("Interval").is_some() || inner("Duration").is_some() {
        return "interval".into();
    }
    if inner("Time32").is_some() || inner("Time64").is_some() {
        return "time".into();
    }
    if let Some(it) = inner("List").or_else(|| inner("LargeList")) {
        // What else is said of the items stands in front of them.
        return format!("{}[]", sql_type(it.rsplit("non-null ").next().unwrap_or(it)));
    }
    if text.starts_with("Struct") { "record".into() } else { "an unnamed type".into() }
}

/// `name(Int64, Utf8)` as `name(bigint, text)`.
pub(super) fn signature(text: &str) -> String {
    let Some((name, arguments)) = text.trim().strip_suffix(')').and_then(|it| it.split_once('(')) else {
        return text.trim().into();
    };
    format!("{name}({})", sql_types(arguments))
}

/// A list of types, separated by commas.
pub(super) fn sql_types(text: &str) -> String {
    let (mut depth, mut start, mut out) = (0, 0, Vec::new());
    for (at, it) in text.char_indices() {
        match it {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                out.push(sql_type(&text[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    if !text[start..].trim().is_empty() {
        out.push(sql_type(&text[start..]));
    }
    out.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_sql_names() {
        for (theirs, ours) in [
            ("Int64", "bigint"),
            ("Decimal128(20, 2)", "numeric(20,2)"),
            ("Timestamp(µs)", "timestamp"),
            ("Timestamp(µs, \"+00:00\")", "timestamptz"),
            ("Timestamp(Microsecond, None)", "timestamp"),
            ("List(Int64)", "bigint[]"),
            ("List(non-null Utf8)", "text[]"),
            ("Interval(MonthDayNano)", "interval"),
            ("Dictionary(Int32, Utf8)", "an unnamed type"),
        ] {
            assert_eq!(sql_type(theirs), ours);
        }
        assert_eq!(signature("round(Decimal128(20, 2), Utf8)"), "round(numeric(20,2), text)");
        assert_eq!(signature("now()"), "now()");
    }
}
