//! MongoDB's extended JSON, in which an object with one member that begins with `$` is a value that JSON has no type for.
//!
//! | value | is |
//! |---|---|
//! | `{"$oid": "…"}`, `{"$symbol": "…"}`, `{"$uuid": "…"}` | the text |
//! | `{"$numberInt": "…"}`, `$numberLong`, `$numberDouble`, `$numberDecimal` | the number |
//! | `{"$date": …}` | the point in time: a text, milliseconds since 1970, or these as `$numberLong` |
//! | `{"$binary": {"base64": "…", "subType": "…"}}`, and as it was before version 2 | the bytes |
//! | `{"$undefined": true}` | null |
//! | others | the object |

use super::encoding::{Binary, Encoding, Unit};
use super::json::Members;
use super::shape::Field;
use super::value::Typed;
use crate::change::text::bytes::Alphabet;
use crate::change::text::json::Json;

const NAMES: &[&str] = &[
    "$oid",
    "$symbol",
    "$uuid",
    "$numberInt",
    "$numberLong",
    "$numberDouble",
    "$numberDecimal",
    "$undefined",
    "$date",
    "$binary",
];
/// Below this place the member is the value.
const TEXTS: usize = 7;
const UNDEFINED: usize = 7;
const DATE: usize = 8;
const BINARY: usize = 9;

/// The field that `json` is, and how it is written when it is not as JSON has it.
pub(super) fn field(json: &str) -> (Field<'_>, Option<Encoding>) {
    let plain = (Field::Json(json), None);
    let inside = json.strip_prefix('{').map_or("", str::trim_start);
    if !inside.starts_with("\"$") {
        return plain;
    }
    let Ok(members) = Members::listed(NAMES).read(json) else { return plain };
    let Some((at, value)) = members.iter().enumerate().find_map(|(at, it)| Some((at, (*it)?))) else { return plain };
    match (at, Json::of(value)) {
        (0..TEXTS, Some(Json::Text(_))) => (Field::Json(value), Some(Encoding::Plain)),
        (UNDEFINED, _) => (Field::Json("null"), None),
        (DATE, Some(Json::Text(_) | Json::Number(_))) => (Field::Json(value), Some(MILLISECONDS)),
        (DATE, Some(Json::Nested(_))) => match number_long(value) {
            Some(millis) => (Field::Typed(Typed::Int(millis)), Some(MILLISECONDS)),
            None => plain,
        },
        (BINARY, Some(Json::Text(_))) => (Field::Json(value), Some(BASE64)),
        (BINARY, Some(Json::Nested(_))) => match Members::listed(&["base64"]).read(value).as_deref() {
            Ok([Some(base64)]) => (Field::Json(base64), Some(BASE64)),
            _ => plain,
        },
        _ => plain,
    }
}

const MILLISECONDS: Encoding = Encoding::Instant(Unit::Milliseconds);
const BASE64: Encoding = Encoding::Bytes(Binary::Base64(Alphabet::Standard));

fn number_long(json: &str) -> Option<i64> {
    let members = Members::listed(&["$numberLong"]).read(json).ok()?;
    match Json::of(members[0]?)? {
        Json::Text(text) => text.parse().ok(),
        _ => None,
    }
}
