//! The formats of answers with many rows: JSON, NDJSON (a JSON object a line) and CSV, as the `Accept` header asks.
//!
//! In CSV values stand as in JSON, without its quotes: NULL is nothing at all, an empty text is `""`. Lines end with a
//! line feed; the first one has the columns' names.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

use super::json;
use super::problem::Problem;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    Json,
    Ndjson,
    Csv,
}

/// The media types of each, the first of which is answered.
const MEDIA_TYPES: [(Format, &[&str]); 3] = [
    (Format::Json, &["application/json", "application/problem+json"]),
    (Format::Ndjson, &["application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines"]),
    (Format::Csv, &["text/csv"]),
];

impl Format {
    /// The format asked for: of those that are liked best the one that is named first; JSON where anything will do.
    pub(crate) fn asked(headers: &HeaderMap) -> Result<Format, Problem> {
        let mut best: Option<(u32, Format)> = None;
        let mut any = false;
        for line in headers.get_all(header::ACCEPT) {
            for item in line.to_str().unwrap_or("").split(',').filter(|it| !it.trim().is_empty()) {
                any = true;
                let (liked, format) = (quality(item), accepted(item));
                if let Some(format) = format.filter(|_| liked > best.map_or(0, |it| it.0)) {
                    best = Some((liked, format));
                }
            }
        }
        match best {
            Some((_, format)) => Ok(format),
            None if !any => Ok(Format::Json),
            None => {
                let detail = "none of the formats in the Accept header can be answered";
                Err(Problem::new(StatusCode::NOT_ACCEPTABLE, "0A000", detail)
                    .hint("there are application/json, application/x-ndjson and text/csv"))
            }
        }
    }

    pub(crate) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Format::Json => "application/json",
            Format::Ndjson => "application/x-ndjson",
            Format::Csv => "text/csv; charset=utf-8",
        })
    }

    /// Whether there is no end without which what is there cannot be read, so that an answer may be of any length.
    pub(crate) fn is_lines(self) -> bool {
        self != Format::Json
    }

    /// What stands in front of the first row of a list.
    pub(crate) fn open<'a>(self, names: impl Iterator<Item = &'a str>, out: &mut Vec<u8>) {
        match self {
            Format::Json => out.push(b'['),
            Format::Ndjson => {}
            Format::Csv => {
                for (at, name) in names.enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    write_csv(name, out);
                }
                out.push(b'\n');
            }
        }
    }

    /// What stands behind the last one.
    pub(crate) fn close(self, out: &mut Vec<u8>) {
        if self == Format::Json {
            out.push(b']');
        }
    }

    /// Appends a row of `count` cells. `cell` appends `"name":` where it is given true, or else the value, as JSON.
    pub(crate) fn row<E>(
        self,
        is_first: bool,
        count: usize,
        out: &mut Vec<u8>,
        mut cell: impl FnMut(usize, bool, &mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self == Format::Json && !is_first {
            out.push(b',');
        }
        if self.is_object() {
            out.push(b'{');
        }
        for at in 0..count {
            if at > 0 {
                out.push(b',');
            }
            if self.is_object() {
                cell(at, true, out)?;
            }
            let start = out.len();
            cell(at, false, out)?;
            if self == Format::Csv {
                csv_field(out, start);
            }
        }
        if self.is_object() {
            out.push(b'}');
        }
        if self.is_lines() {
            out.push(b'\n');
        }
        Ok(())
    }

    fn is_object(self) -> bool {
        self != Format::Csv
    }
}

/// How much an item of an Accept header is liked, in thousandths.
fn quality(item: &str) -> u32 {
    let given = item.split(';').skip(1).find_map(|it| it.trim().strip_prefix("q="));
    let given = given.map_or(Some(1.0), |it| it.trim().parse::<f32>().ok());
    given.map_or(0, |it| (it.clamp(0.0, 1.0) * 1000.0) as u32)
}

/// The format an item of an Accept header takes.
fn accepted(item: &str) -> Option<Format> {
    let media_type = item.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let named = MEDIA_TYPES.iter().find(|(_, types)| types.contains(&&*media_type));
    match &*media_type {
        "*/*" | "application/*" => Some(Format::Json),
        "text/*" => Some(Format::Csv),
        _ => named.map(|it| it.0),
    }
}

/// Makes the JSON value that stands in `out` from `start` on a field of CSV.
fn csv_field(out: &mut Vec<u8>, start: usize) {
    match out[start] {
        // Only null begins like that.
        b'n' => out.truncate(start),
        b'"' => {
            let text = serde_json::from_slice::<String>(&out[start..]).expect("a JSON string was written");
            out.truncate(start);
            write_csv(&text, out);
        }
        b'[' | b'{' => {
            let text = String::from_utf8_lossy(&out[start..]).into_owned();
            out.truncate(start);
            write_csv(&text, out);
        }
        _ => {}
    }
}

fn write_csv(text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() && !text.contains(['"', ',', '\n', '\r']) {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}

/// Appends `"name":`.
pub(crate) fn write_label(name: &str, out: &mut Vec<u8>) {
    json::write_text(name, out);
    out.push(b':');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_liked_format_is_answered() {
        let asked = |accept: &str| {
            let mut headers = HeaderMap::new();
            if !accept.is_empty() {
                headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
            }
            Format::asked(&headers).map_err(|it| it.status.as_u16())
        };
        for (accept, expected) in [
            ("", Ok(Format::Json)),
            ("*/*", Ok(Format::Json)),
            ("text/csv", Ok(Format::Csv)),
            ("TEXT/CSV;charset=utf-8", Ok(Format::Csv)),
            ("application/x-ndjson", Ok(Format::Ndjson)),
            ("application/jsonl, text/csv", Ok(Format::Ndjson)),
            ("application/json;q=0.5, text/csv;q=0.9", Ok(Format::Csv)),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Ok(Format::Json)),
            ("text/html", Err(406)),
            ("text/csv;q=0", Err(406)),
        ] {
            assert_eq!(asked(accept), expected, "{accept}");
        }
    }

    #[test]
    fn csv_fields_say_the_same_as_json() {
        for (json, csv) in [
            ("null", ""),
            ("\"\"", "\"\""),
            ("\"a\"", "a"),
            ("\"a,b\"", "\"a,b\""),
            ("\"a\\\"b\\n\"", "\"a\"\"b\n\""),
            ("12.50", "12.50"),
            ("true", "true"),
            ("[1,2]", "\"[1,2]\""),
        ] {
            let mut out = json.as_bytes().to_vec();
            csv_field(&mut out, 0);
            assert_eq!(String::from_utf8(out).unwrap(), csv, "{json}");
        }
    }
}
