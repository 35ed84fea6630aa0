//! The pieces of JSON that values are made of, with numbers as the digits they were written with.

use std::borrow::Cow;

/// One JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Boolean(bool),
    /// The number as it stands there.
    Number(&'a str),
    Text(Cow<'a, str>),
    /// An array or an object as it stands there.
    Nested(&'a str),
}

impl<'a> Json<'a> {
    /// What `json` is, which somebody has read as JSON already; `None` when it is none all the same.
    pub(crate) fn of(json: &'a str) -> Option<Json<'a>> {
        Some(match json.as_bytes().first()? {
            b'n' => Json::Null,
            b't' => Json::Boolean(true),
            b'f' => Json::Boolean(false),
            b'"' => Json::Text(unquoted(json)?),
            b'-' | b'0'..=b'9' => Json::Number(json),
            b'[' | b'{' => Json::Nested(json),
            _ => return None,
        })
    }
}

/// The text of a JSON string; most have no escapes and are borrowed.
fn unquoted(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    match inner.contains(['\\', '"']) {
        true => serde_json::from_str(json).ok().map(Cow::Owned),
        false => Some(Cow::Borrowed(inner)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_told_by_its_first_character() {
        for (json, value) in [
            ("null", Some(Json::Null)),
            ("true", Some(Json::Boolean(true))),
            ("-1.50e3", Some(Json::Number("-1.50e3"))),
            ("\"é\"", Some(Json::Text("é".into()))),
            ("\"a\\u00e9\\n\\\"\"", Some(Json::Text("aé\n\"".into()))),
            ("\"\"", Some(Json::Text("".into()))),
            ("[1, 2]", Some(Json::Nested("[1, 2]"))),
            ("{}", Some(Json::Nested("{}"))),
            ("\"", None),
            ("\"a\"b\"", None),
            ("\"\\x\"", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(Json::of(json), value, "{json}");
        }
        assert!(matches!(Json::of("\"plain\""), Some(Json::Text(Cow::Borrowed("plain")))));
    }
}
