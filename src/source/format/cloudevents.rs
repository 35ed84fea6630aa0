//! CloudEvents in both of Kafka's modes: attributes in headers and the data as the value, or all of it in one JSON object.
//!
//! The data's fields are columns; attributes are columns `METADATA FROM 'ce_NAME'`. In a table without a key each event is
//! a row, and one that is sent again is that same row: the key is its source and id, which the specification has unique.
//! In a table with a key, an event of a type in `delete.types`, and in binary mode one without data, deletes.

use super::encoding::{Encoding, Modes};
use super::json::{Members, utf8, word};
use super::key::KeyReader;
use super::message::{Message, Unread};
use super::rows::{Row, Rows};
use super::shape::{Absence, Field, Fields, Metadata, Origin, Shape, Target};

/// How headers spell attributes.
pub(super) const PREFIX: &str = "ce_";

/// Reads CloudEvents.
#[derive(Debug)]
pub(super) struct CloudEvents {
    members: Members,
    /// The attributes whose members come behind the fixed ones.
    attributes: Vec<String>,
    key: KeyReader,
    rows: Rows,
    /// Events of other types are none of this table's; all are when it is empty.
    types: Vec<String>,
    deleting: Vec<String>,
}

const FIXED: [&str; 4] = ["specversion", "type", "data", "data_base64"];
const SPECVERSION: usize = 0;
const TYPE: usize = 1;
const DATA: usize = 2;
const DATA_BASE64: usize = 3;

/// The attributes of an event.
struct Attributes<'a, 'f> {
    names: &'f [String],
    values: Vec<Field<'a>>,
}

/// An event's data with its attributes.
struct Event<'a, 'f> {
    row: Option<Row<'a, 'f>>,
    attributes: &'f Attributes<'a, 'f>,
    key: Option<&'f dyn Fields<'a>>,
}

impl CloudEvents {
    pub(super) fn new(shape: &Shape, modes: Modes, types: Vec<String>, deleting: Vec<String>) -> CloudEvents {
        let mut attributes: Vec<String> = Vec::new();
        for origin in &shape.origins {
            if let Origin::Metadata(Metadata::Attribute(name)) = origin
                && !attributes.contains(name)
            {
                attributes.push(name.clone());
            }
        }
        let width = FIXED.len() + attributes.len();
        // `type` is one of the fixed ones, and may be a column as well.
        let own = attributes.iter().enumerate().map(|(at, name)| (name.as_str(), FIXED.len() + at));
        let fixed = FIXED.iter().enumerate().map(|(at, name)| (*name, at));
        let members = Members::new(own.chain(fixed), width);
        let (key, rows) = (KeyReader::new(shape, modes), Rows::new(shape, modes));
        CloudEvents { members, attributes, key, rows, types, deleting }
    }

    /// Tells the target what the message did.
    pub(super) fn read(&mut self, message: &Message<'_>, target: &mut Target<'_>) -> Result<(), Unread> {
        let content_type = message.header("content-type").and_then(|it| std::str::from_utf8(it).ok());
        let structured = "application/cloudevents";
        let is_structured = content_type
            .and_then(|it| it.get(..structured.len()))
            .is_some_and(|it| it.eq_ignore_ascii_case(structured));
        if is_structured { self.read_structured(message, target) } else { self.read_binary(message, target) }
    }

    fn read_structured(&mut self, message: &Message<'_>, target: &mut Target<'_>) -> Result<(), Unread> {
        let bytes = message.value.ok_or("the message has no value, where its content type announces a CloudEvent")?;
        let members = self.members.read(utf8(bytes, "the event")?)?;
        let kind = members[TYPE].and_then(word);
        check_version(members[SPECVERSION].and_then(word))?;
        if members[DATA_BASE64].is_some() {
            return Err("the event's data is binary, and the table's is JSON".into());
        }
        let own = self.attributes.iter().enumerate().map(|(at, name)| match name.as_str() {
            "type" => members[TYPE].into(),
            "specversion" => members[SPECVERSION].into(),
            _ => members[FIXED.len() + at].into(),
        });
        let values = own.collect();
        self.take(message, target, kind, values, members[DATA].filter(|it| *it != "null"), false)
    }

    fn read_binary(&mut self, message: &Message<'_>, target: &mut Target<'_>) -> Result<(), Unread> {
        let header = |name: &str| {
            let name = format!("{PREFIX}{name}");
            message.header(&name).map(|it| utf8(it, &format!("header {name}"))).transpose()
        };
        let data = message.value.map(|it| utf8(it, "the event's data")).transpose()?;
        // A tombstone may come without any attribute.
        if data.is_some() || header("specversion")?.is_some() {
            check_version(header("specversion")?)?;
        }
        let values = self.attributes.iter().map(|it| header(it).map(|it| it.map_or(Field::Absent, Field::Text)));
        let values = values.collect::<Result<_, String>>()?;
        self.take(message, target, header("type")?, values, data, data.is_none())
    }

    fn take<'a>(
        &mut self,
        message: &Message<'a>,
        target: &mut Target<'_>,
        kind: Option<&str>,
        values: Vec<Field<'a>>,
        data: Option<&'a str>,
        is_tombstone: bool,
    ) -> Result<(), Unread> {
        let is_one_of = |types: &[String]| kind.is_some_and(|kind| types.iter().any(|it| it == kind));
        let deletes = is_tombstone || is_one_of(&self.deleting);
        if !deletes && !self.types.is_empty() && !is_one_of(&self.types) {
            return Ok(());
        }
        let shape = target.shape;
        let attributes = Attributes { names: &self.attributes, values };
        let row = match data {
            Some(data) => self.rows.read(data, shape)?,
            None => None,
        };
        let key = if deletes { self.key.read(message, shape)? } else { None };
        let key = key.as_ref().map(|it| it as &dyn Fields<'a>);
        let event = Event { row, attributes: &attributes, key };
        if deletes {
            target.gone(&shape.key_cells(message, &event)?);
        } else {
            target.put(&shape.cells(message, Absence::Null, &event)?);
        }
        Ok(())
    }
}

fn check_version(version: Option<&str>) -> Result<(), String> {
    match version {
        Some("1.0") => Ok(()),
        Some(other) => Err(format!("the event is of version {other:?} of CloudEvents, which is not 1.0")),
        None => Err("it is no CloudEvent: there is no specversion".into()),
    }
}

impl<'a> Fields<'a> for Event<'a, '_> {
    fn field(&self, at: usize) -> Field<'a> {
        let of_row = self.row.as_ref().map_or(Field::Absent, |it| it.field(at));
        match (of_row, self.key) {
            (Field::Absent, Some(key)) => key.field(at),
            (field, _) => field,
        }
    }

    fn encoding(&self, at: usize) -> Option<Encoding> {
        let of_row = self.row.as_ref().filter(|it| it.field(at) != Field::Absent);
        match of_row {
            Some(row) => row.encoding(at),
            None => self.key?.encoding(at),
        }
    }

    fn attribute(&self, name: &str) -> Field<'a> {
        let at = self.attributes.names.iter().position(|it| it == name);
        at.map_or(Field::Absent, |at| self.attributes.values[at].clone())
    }
}
