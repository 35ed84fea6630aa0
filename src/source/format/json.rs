//! Finds the members of JSON objects by name, each as the text it has there. What a member means is read later, and only
//! when somebody wants it.

use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A reader of objects that knows some names.
///
/// The objects of one log have their members in the same order nearly always, so it remembers that of the last one: a
/// name is compared with what is expected at its place before it is looked up.
#[derive(Debug, Clone)]
pub(super) struct Members {
    known: HashMap<String, usize>,
    /// How long the answers are.
    width: usize,
    /// The names in the last object, with the places they are put at.
    order: Vec<(String, Option<usize>)>,
}

impl Members {
    /// Knows each name and the place in the answer where its member is put; answers are `width` long.
    pub(super) fn new<'n>(names: impl IntoIterator<Item = (&'n str, usize)>, width: usize) -> Members {
        let known = names.into_iter().map(|(name, place)| (name.to_string(), place)).collect();
        Members { known, width, order: Vec::new() }
    }

    /// Knows these names, and answers in their order.
    pub(super) fn listed(names: &[&str]) -> Members {
        Members::new(names.iter().enumerate().map(|(place, name)| (*name, place)), names.len())
    }

    /// The members of the object `json`. Of two with one name the last is taken, as in JavaScript.
    pub(super) fn read<'a>(&mut self, json: &'a str) -> Result<Vec<Option<&'a str>>, String> {
        let mut found = vec![None; self.width];
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let object = Object { members: self, found: &mut found };
        object.deserialize(&mut deserializer).and_then(|()| deserializer.end()).map_err(|error| error.to_string())?;
        Ok(found)
    }

    fn place(&mut self, at: usize, name: &str) -> Option<usize> {
        if let Some((expected, place)) = self.order.get(at)
            && expected == name
        {
            return *place;
        }
        let place = self.known.get(name).copied();
        self.order.truncate(at);
        // Objects whose members never end are no reason to remember them all.
        if at < 1024 {
            self.order.push((name.into(), place));
        }
        place
    }
}

struct Object<'m, 'a> {
    members: &'m mut Members,
    found: &'m mut Vec<Option<&'a str>>,
}

impl<'a> DeserializeSeed<'a> for Object<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Object<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let mut at = 0;
        while let Some(place) = map.next_key_seed(Name { members: self.members, at })? {
            match place {
                Some(place) => self.found[place] = Some(map.next_value::<&'a RawValue>()?.get()),
                None => {
                    map.next_value::<serde::de::IgnoredAny>()?;
                }
            }
            at += 1;
        }
        Ok(())
    }
}

/// The name of the member at place `at`, which becomes its place in the answer.
struct Name<'m> {
    members: &'m mut Members,
    at: usize,
}

impl<'a> DeserializeSeed<'a> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.members.place(self.at, name))
    }
}

/// The text of bytes that have to be UTF-8.
pub(super) fn utf8<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str, String> {
    std::str::from_utf8(bytes).map_err(|error| format!("{what} is no UTF-8 behind byte {}", error.valid_up_to()))
}

/// The text of a JSON string, as far as it is one without escapes; all that is compared with known words.
pub(super) fn word(json: &str) -> Option<&str> {
    json.strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_in_any_order_and_nested_ones_are_not_looked_at() {
        let mut members = Members::listed(&["a", "b", "é\""]);
        for (json, expected) in [
            (r#"{"a":1,"b":"x"}"#, [Some("1"), Some("\"x\""), None]),
            (r#"{"a": 1 , "b": "x"}"#, [Some("1"), Some("\"x\""), None]),
            (r#"{"b":{"a":2,"c":[1,"}"]},"a":null}"#, [Some("null"), Some(r#"{"a":2,"c":[1,"}"]}"#), None]),
            (r#"{"z":[[[{}]]],"\u00e9\"":true,"a":1.50}"#, [Some("1.50"), None, Some("true")]),
            (r#"{"a":1,"a":2}"#, [Some("2"), None, None]),
            ("{}", [None, None, None]),
        ] {
            for _ in 0..2 {
                assert_eq!(members.read(json).as_deref(), Ok(&expected[..]), "{json}");
            }
        }
        for json in ["", "1", "[]", "null", "{", r#"{"a":1"#, r#"{"a":1}x"#, r#"{"a":01}"#, r#"{"a":tru}"#, "{a:1}"] {
            assert!(members.read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        let mut members = Members::listed(&["a"]);
        // Whether it is taken or refused, it is answered.
        let _ = members.read(&deep);
        assert_eq!(members.read("{\"a\":1}"), Ok(vec![Some("1")]));
    }
}
