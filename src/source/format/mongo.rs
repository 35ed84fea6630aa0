//! Events of Debezium's connector for MongoDB: what became of documents, each a text that holds extended JSON.
//!
//! A document is the row under its `_id`. Its fields are columns by name; others are declared by where they come from:
//! `METADATA FROM 'document.address.city'`, and the whole as a text, `METADATA FROM 'document'`.
//!
//! | op | what it makes |
//! |---|---|
//! | c, r, u | the document is as in `after` |
//! | d, and the tombstone behind it | there is no document under the key |
//!
//! An update without the document says which fields changed, and nobody keeps the others as MongoDB has them: it cannot be
//! applied. Where the connector looks documents up (`capture.mode`), one that it did not find any more is deleted by an
//! event that follows.

use super::connect::Wrapping;
use super::encoding::Encoding;
use super::extended;
use super::json::{Members, utf8, word};
use super::message::{Message, Unread};
use super::shape::{Absence, Field, Fields, Metadata, Origin, Shape, Target};
use crate::change::text::json::Json;

/// How metadata names the document.
pub(super) const DOCUMENT: &str = "document";

/// The field that tells documents apart.
const ID: &str = "_id";

const MEMBERS: &[&str] = &["before", "after", "op", "updateDescription"];
const BEFORE: usize = 0;
const AFTER: usize = 1;
const OP: usize = 2;
const UPDATED: usize = 3;

/// Reads the events.
#[derive(Debug)]
pub(super) struct Mongo {
    wrapping: Wrapping,
    envelope: Members,
    key: Members,
    document: Members,
    /// By column, where it is in a document.
    places: Vec<Place>,
    /// Whether the connector looks up documents that were updated.
    looks_up: bool,
}

#[derive(Debug)]
enum Place {
    /// Beside the document.
    Nowhere,
    Whole,
    /// Below one of the fields that are looked for.
    Field(usize, Vec<String>),
}

/// One document, or its id.
struct Document<'d> {
    fields: Vec<(Field<'d>, Option<Encoding>)>,
}

impl Mongo {
    pub(super) fn new(shape: &Shape, looks_up: bool) -> Mongo {
        let mut names: Vec<String> = Vec::new();
        let mut named = |name: &str| {
            let known = names.iter().position(|it| it == name);
            known.unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            })
        };
        let key: Vec<usize> = shape.key_fields().map(|it| it.1).collect();
        let place = |(at, origin): (usize, &Origin)| match origin {
            Origin::Field if key.contains(&at) => Place::Field(named(ID), Vec::new()),
            Origin::Field => Place::Field(named(&shape.schema.columns[at].name), Vec::new()),
            Origin::Metadata(Metadata::Document(path)) => match path.split_first() {
                None => Place::Whole,
                Some((first, rest)) => Place::Field(named(first), rest.to_vec()),
            },
            Origin::Metadata(_) => Place::Nowhere,
        };
        let places = shape.origins.iter().enumerate().map(place).collect();
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        Mongo {
            wrapping: Wrapping::new(),
            envelope: Members::listed(MEMBERS),
            key: Members::listed(&["id"]),
            document: Members::listed(&known),
            places,
            looks_up,
        }
    }

    /// Tells the target what the message did.
    pub(super) fn read(&mut self, message: &Message<'_>, target: &mut Target<'_>) -> Result<(), Unread> {
        let Some(bytes) = message.value else { return self.gone(message, target, None) };
        let (_, json) = self.wrapping.unwrap(utf8(bytes, "the event")?);
        if json == "null" {
            return self.gone(message, target, None);
        }
        let envelope = self.envelope.read(json)?;
        let document = |at: usize| envelope[at].filter(|it| *it != "null").map(document).transpose();
        match envelope[OP].and_then(word) {
            Some("c" | "r" | "u") => match document(AFTER)? {
                Some(after) => {
                    let row = self.document(&after, false)?;
                    let cells = target.shape.cells(message, Absence::Null, &row)?;
                    target.put(&cells);
                    Ok(())
                }
                None if self.looks_up => Ok(()),
                None if envelope[UPDATED].is_some_and(|it| it != "null") => Err(WITHOUT_DOCUMENT.into()),
                None => Err("the event has no \"after\"".into()),
            },
            Some("d") => {
                let before = document(BEFORE)?;
                self.gone(message, target, before.as_deref())
            }
            Some(op) => Err(format!("the event's \"op\" is {op:?}, which Debezium does not have for MongoDB").into()),
            None => Err("it is no Debezium event: it has no \"op\"".into()),
        }
    }

    /// There is no document any more under the message's key, or under that of the one that was there `before`.
    fn gone(&mut self, message: &Message<'_>, target: &mut Target<'_>, before: Option<&str>) -> Result<(), Unread> {
        let key = match message.key {
            Some(key) => {
                let (_, json) = self.wrapping.unwrap(utf8(key, "the message's key")?);
                let members = self.key.read(json).map_err(|error| format!("the message's key: {error}"))?;
                members[0].map(document).transpose()?
            }
            None => None,
        };
        let row = match (&key, before) {
            (Some(id), _) => self.document(id, true)?,
            (None, Some(before)) => self.document(before, false)?,
            (None, None) => return Err("a document is deleted, and the message's key does not say which".into()),
        };
        target.gone(&target.shape.key_cells(message, &row)?);
        Ok(())
    }

    /// The columns of a document, of which `json` may be nothing but the id.
    fn document<'d>(&mut self, json: &'d str, is_id: bool) -> Result<Document<'d>, String> {
        let found =
            if is_id { Vec::new() } else { self.document.read(json).map_err(|it| format!("the document: {it}"))? };
        let field = |place: &Place| match place {
            Place::Nowhere => (Field::Absent, None),
            _ if is_id => extended::field(json),
            Place::Whole => (Field::Text(json), None),
            Place::Field(at, path) => {
                found[*at].and_then(|it| below(it, path)).map_or((Field::Absent, None), extended::field)
            }
        };
        Ok(Document { fields: self.places.iter().map(field).collect() })
    }
}

const WITHOUT_DOCUMENT: &str = "the event says which fields were updated and not what the document is: have the connector send it, \
     \"capture.mode\" = 'change_streams_update_full', and say so behind ENCODE JSON, \
     (capture.mode = 'change_streams_update_full'), so that a document that is deleted meanwhile is waited for";

/// The document that a member of an event holds: in a text, as the connector sends it, or as it is.
fn document(json: &str) -> Result<std::borrow::Cow<'_, str>, String> {
    match Json::of(json) {
        Some(Json::Text(text)) => Ok(text),
        Some(Json::Nested(object)) => Ok(object.into()),
        _ => Err("what should be a document is neither a text nor an object".into()),
    }
}

/// What is at a path below a value: members by name, items of arrays by number.
fn below<'d>(json: &'d str, path: &[String]) -> Option<&'d str> {
    let Some((name, rest)) = path.split_first() else { return Some(json) };
    let found = if json.starts_with('[') {
        let items: Vec<&serde_json::value::RawValue> = serde_json::from_str(json).ok()?;
        items.get(name.parse::<usize>().ok()?)?.get()
    } else {
        Members::listed(&[name]).read(json).ok()?[0]?
    };
    below(found, rest)
}

impl<'d> Fields<'d> for Document<'d> {
    fn field(&self, at: usize) -> Field<'d> {
        self.fields[at].0.clone()
    }

    fn encoding(&self, at: usize) -> Option<Encoding> {
        self.fields[at].1
    }
}
