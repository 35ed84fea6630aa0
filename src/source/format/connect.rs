//! What Kafka Connect's JSON converter wraps around a value when it sends schemas along: `{"schema": …, "payload": …}`.

use serde::Deserialize;

use super::encoding::{Encoding, Field, Modes};
use super::json::Members;
use super::shape::Shape;

/// Takes the wrapping off.
#[derive(Debug, Clone)]
pub(super) struct Wrapping(Members);

impl Wrapping {
    pub(super) fn new() -> Wrapping {
        Wrapping(Members::listed(&["schema", "payload"]))
    }

    /// The schema and the value inside `json`; no schema where there is no wrapping.
    pub(super) fn unwrap<'a>(&mut self, json: &'a str) -> (Option<&'a str>, &'a str) {
        // The schema comes first. Everything else is not looked into twice, and whoever reads it says what is wrong.
        let inside = json.trim_start().strip_prefix('{').map_or("", str::trim_start);
        if !inside.starts_with("\"schema\"") {
            return (None, json);
        }
        match self.0.read(json).as_deref() {
            Ok(&[Some(schema), Some(payload)]) if is_schema(schema) => (Some(schema), payload),
            _ => (None, json),
        }
    }
}

fn is_schema(schema: &str) -> bool {
    schema.starts_with('{') || schema == "null"
}

/// A schema, and those of its fields.
#[derive(Debug, Deserialize)]
struct Node {
    #[serde(flatten)]
    own: Field,
    #[serde(default)]
    fields: Vec<Node>,
}

/// What the schema of the last event says of the columns. All events of a log have the same one, for a long time.
#[derive(Debug, Clone)]
pub(super) struct Schemas {
    modes: Modes,
    last: String,
    encodings: Vec<Option<Encoding>>,
}

impl Schemas {
    pub(super) fn new(modes: Modes) -> Schemas {
        Schemas { modes, last: String::new(), encodings: Vec::new() }
    }

    /// By column, how its field is written: `schema` is that of a struct whose fields are the columns, or of an envelope
    /// that has such a struct `within` it. A schema of a single value is that of column `only`.
    pub(super) fn encodings(
        &mut self,
        schema: &str,
        within: Option<&str>,
        shape: &Shape,
        only: Option<usize>,
    ) -> Result<&[Option<Encoding>], String> {
        if self.last != schema {
            self.encodings = self.read(schema, within, shape, only)?;
            self.last = schema.into();
        }
        Ok(&self.encodings)
    }

    fn read(
        &self,
        schema: &str,
        within: Option<&str>,
        shape: &Shape,
        only: Option<usize>,
    ) -> Result<Vec<Option<Encoding>>, String> {
        let mut encodings = vec![None; shape.width()];
        let unreadable = |error: serde_json::Error| format!("the schema of the event cannot be read: {error}");
        let Some(root) = serde_json::from_str::<Option<Node>>(schema).map_err(unreadable)? else {
            return Ok(encodings);
        };
        let named = |node: &Node, name: &str| node.own.field.as_deref() == Some(name);
        let row = match within {
            Some(name) => {
                let row = root.fields.iter().find(|it| named(it, name));
                row.ok_or_else(|| format!("the schema of the event has no field {name:?}"))?
            }
            None => &root,
        };
        let encoding =
            |field: &Field, at: usize| Encoding::of_field(field, shape.schema.data_type(at), self.modes).map(Some);
        match only.filter(|_| row.own.kind != "struct") {
            Some(at) => encodings[at] = encoding(&row.own, at)?,
            None => {
                for (name, at) in shape.fields() {
                    if let Some(node) = row.fields.iter().find(|it| named(it, name)) {
                        encodings[at] = encoding(&node.own, at)?;
                    }
                }
            }
        }
        Ok(encodings)
    }
}
