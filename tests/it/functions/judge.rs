//! Whether two values are the same, by type.

/// A value with its type; `None` is NULL.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Typed {
    pub(super) data_type: String,
    pub(super) text: Option<String>,
}

impl Typed {
    /// A value out of a JSON answer.
    pub(super) fn of_json(value: &serde_json::value::RawValue, data_type: &str) -> Typed {
        let json = value.get();
        let text = match json.as_bytes().first() {
            Some(b'n') => None,
            Some(b'"') => Some(serde_json::from_str::<String>(json).expect("a JSON text")),
            Some(b'[') => Some(array_text(&serde_json::from_str(json).expect("a JSON array"))),
            _ => Some(json.into()),
        };
        Typed { data_type: data_type.into(), text }
    }

    fn stem(&self) -> &str {
        self.data_type.split('(').next().unwrap_or(&self.data_type)
    }

    fn scale(&self) -> Option<i32> {
        self.data_type.strip_suffix(')')?.split_once(',')?.1.parse().ok()
    }
}

fn array_text(value: &serde_json::Value) -> String {
    let items = value.as_array().expect("an array").iter().map(|it| match it {
        serde_json::Value::Null => "NULL".to_string(),
        serde_json::Value::String(it) if it.is_empty() || it.contains(['{', '}', ',', '"', '\\', ' ', '\n']) => {
            format!("\"{}\"", it.replace('\\', "\\\\").replace('"', "\\\""))
        }
        serde_json::Value::String(it) => it.clone(),
        serde_json::Value::Array(_) => array_text(it),
        other => other.to_string(),
    });
    format!("{{{}}}", items.collect::<Vec<_>>().join(","))
}

/// What is different, in words.
pub(super) fn difference(wanted: &Typed, found: &Typed) -> Option<String> {
    if !same_type(wanted.stem(), found.stem()) {
        return Some(format!("type {}, not {}", found.data_type, wanted.data_type));
    }
    let same = match (&wanted.text, &found.text) {
        (None, None) => true,
        (Some(a), Some(b)) => same_value(a, b, found),
        _ => false,
    };
    let show = |it: &Typed| it.text.as_ref().map_or("NULL".into(), |it| format!("{it:?}"));
    (!same).then(|| format!("{}, not {}", show(found), show(wanted)))
}

/// Integers are of one kind here: those of an owner's file and of a query are bigint.
fn same_type(wanted: &str, found: &str) -> bool {
    let is_integer = |it: &str| matches!(it, "integer" | "bigint" | "smallint");
    let item = |it: &str| it.trim_end_matches("[]").to_string();
    match (wanted, found) {
        ("unknown" | "character varying", found) => found == "text",
        (wanted, found) if wanted.ends_with("[]") && found.ends_with("[]") => same_type(&item(wanted), &item(found)),
        (wanted, found) => wanted == found || is_integer(wanted) && is_integer(found),
    }
}

fn same_value(wanted: &str, found: &str, typed: &Typed) -> bool {
    match typed.stem() {
        "boolean" => wanted.starts_with('t') == found.starts_with('t'),
        "double precision" => {
            let (Ok(a), Ok(b)) = (wanted.parse::<f64>(), found.parse::<f64>()) else { return false };
            // The last digits of transcendental functions are the library's.
            a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= a.abs() * 1e-14
        }
        "numeric" => same_numeric(wanted, found, typed.scale().unwrap_or(0)),
        "date" | "timestamp" | "timestamptz" => moment(wanted) == moment(found),
        _ => wanted == found,
    }
}

/// A numeric has a fixed scale here; what PostgreSQL has beyond it was rounded.
fn same_numeric(wanted: &str, found: &str, scale: i32) -> bool {
    let digits = |it: &str| it.split_once('.').map_or(String::new(), |it| it.1.trim_end_matches('0').to_string());
    let plain = |it: &str| {
        let (whole, _) = it.split_once('.').unwrap_or((it, ""));
        let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |it| ("-", it));
        let whole = whole.trim_start_matches('0');
        let text = format!("{sign}{}.{}", if whole.is_empty() { "0" } else { whole }, digits(it));
        if text == "-0." { "0.".to_string() } else { text }
    };
    if plain(wanted) == plain(found) {
        return true;
    }
    if digits(wanted).len() as i32 <= scale {
        return false;
    }
    let (Ok(a), Ok(b)) = (wanted.parse::<f64>(), found.parse::<f64>()) else { return false };
    (a - b).abs() <= 0.500_001 * 10f64.powi(-scale) || (a - b).abs() <= a.abs() * 1e-15
}

/// A point in time as PostgreSQL writes it, also out of JSON, where years are ISO 8601's.
fn moment(text: &str) -> String {
    let text = text.replacen('T', " ", 1).replace('Z', "");
    let (text, era) = text.strip_suffix(" BC").map_or((text.as_str(), ""), |it| (it, " BC"));
    let text = text.strip_suffix("+00").unwrap_or(text);
    let rest = text.trim_start_matches(['+', '-']);
    let (year, rest) = rest.split_once('-').expect("a year");
    let year: i64 = year.parse().expect("a year");
    match (text.starts_with('-'), year, era) {
        (true, ..) | (false, 0, _) => format!("{:04}-{rest} BC", year + 1),
        _ => format!("{year:04}-{rest}{era}"),
    }
}
