//! What is declared of a table that is made of messages: the format, what each column is read from, and the key.

use std::sync::Arc;

use super::avro::Keys;
use super::cloudevents::{CloudEvents, PREFIX};
use super::csv::Csv;
use super::debezium::Debezium;
use super::encoding::{Modes, OPTIONS};
use super::key::KeyReader;
use super::mongo::{DOCUMENT, Mongo};
use super::outbox::{self, Outbox};
use super::rows::{self, Plain, Upsert};
use super::shape::{Metadata, Origin, Shape};
use super::{Reader, Reads, Schemas};
use crate::catalog::{DeclaredColumn, Format, Name, Problem, Span, Table, did_you_mean};
use crate::change::{Collation, Column, DataType, KeyColumn, Schema};
use crate::source::options::{Form, Known, Need, Reading, Values};

const fn optional(name: &'static str, form: Form, meaning: &'static str) -> Known {
    Known { name, aliases: &[], meaning, need: Need::Optional, form }
}

const fn mode(at: usize) -> Known {
    optional(OPTIONS[at].0, Form::OneOf(OPTIONS[at].1), "how the values are written")
}

const OF_JSON: &[Known] = &[mode(0), mode(1), mode(2), mode(3)];

/// A schema says everything but how bytes are a text, and what a bare number counts.
const OF_AVRO: &[Known] = &[mode(1), mode(3)];

/// Whether the number of a schema stands in front of messages in Protobuf.
const FRAMING: &str = "framing";

/// In how many bytes, if there is no registry to know.
#[cfg(feature = "kafka")]
const CONFLUENT_ID_BYTES: usize = 4;

#[cfg(feature = "kafka")]
const OF_PROTOBUF: &[Known; 3] = &[
    Known {
        name: "schema.location",
        aliases: &[],
        meaning: "the file with the descriptors, as protoc --include_imports --descriptor_set_out writes it",
        need: Need::Required("shop.desc"),
        form: Form::Path,
    },
    Known {
        name: "message",
        aliases: &[],
        meaning: "the type of the messages, with its package",
        need: Need::Required("shop.Order"),
        form: Form::Text,
    },
    optional(
        FRAMING,
        Form::OneOf(&["confluent", "plain"]),
        "whether the number of a schema stands in front of messages",
    ),
];

const OF_CLOUDEVENTS: &[Known] = &[
    mode(0),
    mode(1),
    mode(2),
    mode(3),
    optional("types", Form::Text, "the types of events the table is made of, with commas between them"),
    optional("delete.types", Form::Text, "the types of events that delete a row, with commas between them"),
];

const OF_CSV: &[Known] = &[
    Known {
        name: "delimiter",
        aliases: &[],
        meaning: "what stands between fields",
        need: Need::Default(","),
        form: Form::OneOf(&[",", ";", "|", "\t"]),
    },
    optional("without_header", Form::OneOf(&["true"]), "that a message is a line and no header"),
];

/// How the connector for MongoDB is told to send updates.
const CAPTURE_MODE: &str = "capture.mode";

/// With these the documents that were updated are looked up.
const LOOKS_UP: &[&str] = &["change_streams_update_full", "change_streams_update_full_with_pre_image"];

const OF_MONGO: &[Known] =
    &[optional(CAPTURE_MODE, Form::OneOf(LOOKS_UP), "that the connector looks up documents that were updated")];

/// What the messages of a table say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Envelope {
    Debezium,
    Mongo,
    Upsert,
    Plain,
    CloudEvents,
    Outbox,
    Csv,
}

/// How a table's messages are read.
#[derive(Debug)]
struct Spelled {
    /// As it stands behind FORMAT and ENCODE.
    envelope: &'static str,
    encoding: &'static str,
    is: Envelope,
    options: &'static [Known],
}

const fn spelled(envelope: &'static str, encoding: &'static str, is: Envelope, options: &'static [Known]) -> Spelled {
    Spelled { envelope, encoding, is, options }
}

const FORMATS: &[Spelled] = &[
    spelled("debezium", "json", Envelope::Debezium, OF_JSON),
    spelled("debezium_mongo", "json", Envelope::Mongo, OF_MONGO),
    spelled("upsert", "json", Envelope::Upsert, OF_JSON),
    spelled("plain", "json", Envelope::Plain, OF_JSON),
    spelled("debezium", AVRO, Envelope::Debezium, OF_AVRO),
    spelled("upsert", AVRO, Envelope::Upsert, OF_AVRO),
    spelled("plain", AVRO, Envelope::Plain, OF_AVRO),
    #[cfg(feature = "kafka")]
    spelled("upsert", PROTOBUF, Envelope::Upsert, OF_PROTOBUF),
    #[cfg(feature = "kafka")]
    spelled("plain", PROTOBUF, Envelope::Plain, OF_PROTOBUF),
    spelled("cloudevents", "json", Envelope::CloudEvents, OF_CLOUDEVENTS),
    spelled("outbox", "json", Envelope::Outbox, OF_JSON),
    spelled("plain", "csv", Envelope::Csv, OF_CSV),
];

const AVRO: &str = "avro";
#[cfg(feature = "kafka")]
const PROTOBUF: &str = "protobuf";

/// How values are written.
#[derive(Debug, Clone)]
enum Written {
    /// As text: JSON, or lines.
    Text,
    /// With schemas that a registry has; where the format says so.
    Avro(Span),
    /// As messages of one type, with the number of a schema in front or without; where a registry is declared, with.
    #[cfg(feature = "kafka")]
    Protobuf(prost_reflect::MessageDescriptor, Option<bool>),
}

/// How a table is made of messages.
#[derive(Debug, Clone)]
pub(in crate::source) struct Layout {
    envelope: Envelope,
    written: Written,
    shape: Shape,
    modes: Modes,
    delimiter: char,
    types: Vec<String>,
    deleting: Vec<String>,
    /// Whether documents that were updated are looked up by whoever sends them.
    looks_up: bool,
}

impl Layout {
    /// What is declared of `table`; `None` when there are problems, which `reading` has then.
    pub(in crate::source) fn of(table: &Table, reading: &mut Reading<'_>) -> Option<Layout> {
        let before = reading.problems.len();
        let Some(format) = &table.format else {
            let problem =
                Problem::at(table.span, format!("table \"{}\" does not say how its messages are read", table.name));
            reading.problems.push(problem.with_hint(format!("add {}", spellings().join(", or "))));
            return None;
        };
        let is_meant = |it: &&Spelled| it.envelope == format.envelope.text && it.encoding == format.encoding.text;
        let Some(Spelled { is: envelope, options: known, .. }) = FORMATS.iter().find(is_meant) else {
            reading.problems.push(unknown_format(format));
            return None;
        };
        let values = reading.options(&format.options, known, format.encoding.span, "the format");
        reading.problems.extend(unkeyed(table, *envelope));
        let origins: Vec<Origin> =
            table.declared.iter().map(|it| origin(it, *envelope, &mut reading.problems)).collect();
        let written = values.as_ref().and_then(|it| written(table, format, it, &mut reading.problems));
        if reading.problems.len() > before {
            return None;
        }
        let (values, written) = values.zip(written).expect("options without problems");
        let modes = modes(*envelope, &values, known);
        let (schema, origins) = with_key(&table.declared, origins, *envelope);
        let list = |name| match *envelope {
            Envelope::CloudEvents => words(values.text(name)),
            _ => Vec::new(),
        };
        let delimiter = values.text("delimiter").and_then(|it| it.chars().next()).unwrap_or(',');
        Some(Layout {
            envelope: *envelope,
            written,
            shape: Shape::new(schema, origins, modes),
            modes,
            delimiter,
            types: list("types"),
            deleting: list("delete.types"),
            looks_up: *envelope == Envelope::Mongo && values.text(CAPTURE_MODE).is_some(),
        })
    }

    /// The columns and key of its rows.
    pub(in crate::source) fn schema(&self) -> &Schema {
        &self.shape.schema
    }

    /// Where it is declared that its messages name schemas which only a registry has, if they do.
    pub(in crate::source) fn registered(&self) -> Option<Span> {
        match self.written {
            Written::Avro(at) => Some(at),
            _ => None,
        }
    }

    /// A reader of its messages; `schemas` has those that they name.
    pub(in crate::source) fn reader(&self, schemas: Option<&Arc<dyn Schemas>>) -> Reader {
        let (shape, modes) = (&self.shape, self.modes);
        let registry = || schemas.expect("a table whose messages name schemas has a registry");
        let key = || match self.written {
            Written::Avro(_) => KeyReader::new(shape, modes).or_avro(Keys::new(registry(), shape, modes)),
            _ => KeyReader::new(shape, modes),
        };
        let values = || match &self.written {
            Written::Text => rows::Values::json(shape, modes),
            Written::Avro(_) => rows::Values::avro(shape, modes, registry()),
            #[cfg(feature = "kafka")]
            Written::Protobuf(descriptor, framed) => {
                let id_bytes = schemas.map(|it| it.id_bytes()).filter(|_| *framed != Some(false));
                let id_bytes = id_bytes.or((*framed == Some(true)).then_some(CONFLUENT_ID_BYTES));
                rows::Values::Protobuf(super::protobuf::Protobuf::new(descriptor.clone(), shape, modes, id_bytes))
            }
        };
        let reads = match self.envelope {
            Envelope::Debezium => Reads::Debezium(match self.written {
                Written::Avro(_) => Debezium::avro(key(), shape, modes, registry()),
                _ => Debezium::json(key(), shape, modes),
            }),
            Envelope::Upsert => Reads::Upsert(Upsert::new(key(), values())),
            Envelope::Plain => Reads::Plain(Plain::new(values())),
            Envelope::Mongo => Reads::Mongo(Mongo::new(shape, self.looks_up)),
            Envelope::CloudEvents => {
                Reads::CloudEvents(CloudEvents::new(shape, modes, self.types.clone(), self.deleting.clone()))
            }
            Envelope::Outbox => Reads::Outbox(Outbox::new(shape, modes)),
            Envelope::Csv => Reads::Csv(Csv::new(shape, self.delimiter)),
        };
        Reader::new(reads, shape.clone())
    }
}

/// How the values of a format are written.
fn written(table: &Table, format: &Format, values: &Values, problems: &mut Vec<Problem>) -> Option<Written> {
    match format.encoding.text.as_str() {
        AVRO => Some(Written::Avro(format.encoding.span)),
        #[cfg(feature = "kafka")]
        PROTOBUF => protobuf(table, format, values, problems),
        _ => Some(Written::Text),
    }
}

/// The type of a table's messages, by the file that describes it.
#[cfg(feature = "kafka")]
fn protobuf(table: &Table, format: &Format, values: &Values, problems: &mut Vec<Problem>) -> Option<Written> {
    use super::protobuf::{Trouble, descriptor};
    let at = |option: &Known| {
        let given = format.options.iter().find(|it| it.0.text == option.name || option.aliases.contains(&&*it.0.text));
        given.map_or(format.encoding.span, |it| it.1.span)
    };
    let [location, message, _] = OF_PROTOBUF;
    let path = values.path(location.name).expect("a required option");
    let found = descriptor(path, values.text(message.name).expect("a required option"));
    let descriptor = match found {
        Ok(descriptor) => descriptor,
        Err(Trouble::File(reason)) => {
            let hint = "write it with protoc --include_imports --descriptor_set_out=FILE";
            problems.push(Problem::at(at(location), reason).with_hint(hint));
            return None;
        }
        Err(Trouble::Message(reason, hint)) => {
            problems.push(Problem::at(at(message), reason).with_hint(hint));
            return None;
        }
    };
    // The columns of a key may be in the message's key alone.
    for column in table.declared.iter().filter(|it| it.metadata.is_none() && !it.primary_key) {
        if descriptor.get_field_by_name(&column.name).is_none() {
            let name = descriptor.full_name();
            let fields: Vec<String> = descriptor.fields().map(|it| it.name().to_owned()).collect();
            let problem = Problem::at(at(message), format!("{name} has no field \"{}\"", column.name));
            let near = did_you_mean(&column.name, fields.iter().map(String::as_str));
            problems.push(problem.with_hint(near.unwrap_or(format!("it has {}", fields.join(", ")))));
        }
    }
    Some(Written::Protobuf(descriptor, values.text(FRAMING).map(|it| it == "confluent")))
}

fn spellings() -> Vec<String> {
    let spelled = |it: &Spelled| format!("FORMAT {} ENCODE {}", it.envelope.to_uppercase(), it.encoding.to_uppercase());
    FORMATS.iter().map(spelled).collect()
}

fn unknown_format(format: &Format) -> Problem {
    let Format { envelope, encoding, .. } = format;
    let known: Vec<&str> = FORMATS.iter().map(|it| it.envelope).collect();
    if !known.contains(&envelope.text.as_str()) {
        let problem = Problem::at(envelope.span, format!("there is no format {}", envelope.text.to_uppercase()));
        let near = did_you_mean(&envelope.text, known.iter().copied());
        return problem.with_hint(near.unwrap_or(format!("formats: {}", spellings().join(", "))));
    }
    let message = format!("format {} is not read from {}", envelope.text.to_uppercase(), encoding.text.to_uppercase());
    Problem::at(encoding.span, message).with_hint(format!("formats: {}", spellings().join(", ")))
}

/// What is wrong with the columns and the key as a whole.
fn unkeyed(table: &Table, envelope: Envelope) -> Option<Problem> {
    if table.declared.iter().all(|it| it.metadata.is_some()) {
        let problem = Problem::at(table.span, format!("table \"{}\" has no columns", table.name));
        return Some(problem.with_hint("messages do not say what columns there are: write them out, with their types"));
    }
    let keys = table.declared.iter().filter(|it| it.primary_key).count();
    if envelope == Envelope::Mongo && keys > 1 {
        let problem = Problem::at(table.span, format!("the key of table \"{}\" has {keys} columns", table.name));
        return Some(problem.with_hint("what tells documents apart is their _id: declare one column as the key"));
    }
    let needs_key = matches!(envelope, Envelope::Debezium | Envelope::Mongo | Envelope::Upsert);
    (needs_key && keys == 0).then(|| {
        let problem = Problem::at(table.span, format!("table \"{}\" has no primary key", table.name));
        problem.with_hint("its messages say what became of rows, and the key says of which: add PRIMARY KEY (…)")
    })
}

fn modes(envelope: Envelope, values: &Values, known: &[Known]) -> Modes {
    // Where schemas say what bytes are, nothing is supposed.
    let is_debezium = envelope == Envelope::Debezium && known.iter().any(|it| it.name == OPTIONS[0].0);
    let mut modes = if is_debezium { Modes::DEBEZIUM } else { Modes::PLAIN };
    for (name, _) in OPTIONS.iter().filter(|it| known.iter().any(|known| known.name == it.0)) {
        if let Some(value) = values.text(name) {
            modes.set(name, value).expect("the list of options is where the values were checked");
        }
    }
    modes
}

fn words(list: Option<&str>) -> Vec<String> {
    let words = list.unwrap_or_default().split(',').map(str::trim).filter(|it| !it.is_empty());
    words.map(str::to_owned).collect()
}

/// What a column is read from.
fn origin(column: &DeclaredColumn, envelope: Envelope, problems: &mut Vec<Problem>) -> Origin {
    let Some(name) = &column.metadata else { return Origin::Field };
    let Some(metadata) = metadata(name, envelope) else {
        let beside = "topic, partition, offset, timestamp, key, headers.NAME";
        let own = match envelope {
            Envelope::CloudEvents => ", ce_NAME",
            Envelope::Mongo => ", document, document.PATH",
            _ => "",
        };
        let problem = Problem::at(name.span, format!("a message has no metadata \"{}\"", name.text));
        problems.push(problem.with_hint(format!("it has {beside}{own}")));
        return Origin::Field;
    };
    let fitting: &[DataType] = match metadata {
        Metadata::Topic => &[DataType::Text],
        Metadata::Partition => &[DataType::Int32, DataType::Int64],
        Metadata::Offset => &[DataType::Int64],
        Metadata::Timestamp => &[DataType::TimestampTz, DataType::Timestamp, DataType::Int64],
        Metadata::Key | Metadata::Header(_) | Metadata::Attribute(_) | Metadata::Document(_) => {
            return Origin::Metadata(metadata);
        }
    };
    if !fitting.contains(&column.data_type) {
        let names: Vec<String> = fitting.iter().map(|it| it.sql_name()).collect();
        let message = format!("the message's {} is not of type {}", name.text, column.data_type);
        problems.push(Problem::at(name.span, message).with_hint(format!("declare it {}", names.join(" or "))));
    }
    Origin::Metadata(metadata)
}

fn metadata(name: &Name, envelope: Envelope) -> Option<Metadata> {
    Some(match name.text.as_str() {
        "topic" => Metadata::Topic,
        "partition" => Metadata::Partition,
        "offset" => Metadata::Offset,
        "timestamp" => Metadata::Timestamp,
        "key" => Metadata::Key,
        text => {
            let header = text.strip_prefix("headers.").filter(|it| !it.is_empty());
            let attribute = text.strip_prefix(PREFIX).filter(|_| envelope == Envelope::CloudEvents);
            match (header, attribute) {
                (Some(name), _) => Metadata::Header(name.into()),
                (None, Some(name)) => Metadata::Attribute(name.into()),
                (None, None) => Metadata::Document(path(text).filter(|_| envelope == Envelope::Mongo)?),
            }
        }
    })
}

/// The path in a document that metadata names.
fn path(text: &str) -> Option<Vec<String>> {
    let path = text.strip_prefix(DOCUMENT)?;
    let parts: Vec<String> = match path.strip_prefix('.') {
        Some(path) => path.split('.').map(str::to_owned).collect(),
        None if path.is_empty() => Vec::new(),
        None => return None,
    };
    parts.iter().all(|it| !it.is_empty()).then_some(parts)
}

/// The schema of the declared columns. Where no key is declared, hidden columns are one: what tells events apart where the
/// format says so, else their place in the log.
fn with_key(declared: &[DeclaredColumn], mut origins: Vec<Origin>, envelope: Envelope) -> (Schema, Vec<Origin>) {
    let column = |name: &str, data_type, nullable| Column {
        name: name.into(),
        data_type,
        nullable,
        collation: Collation::Binary,
    };
    let mut columns: Vec<Column> = declared.iter().map(|it| column(&it.name, it.data_type, !it.not_null)).collect();
    let visible = columns.len();
    let mut key: Vec<usize> = (0..visible).filter(|it| declared[*it].primary_key).collect();
    if key.is_empty() {
        let attribute = |name: &str| Metadata::Attribute(name.into());
        let hidden = match envelope {
            Envelope::CloudEvents => {
                vec![("_source", DataType::Text, attribute("source")), ("_id", DataType::Text, attribute("id"))]
            }
            Envelope::Outbox => vec![("_id", DataType::Text, Metadata::Header(outbox::ID.into()))],
            _ => vec![
                ("_partition", DataType::Int32, Metadata::Partition),
                ("_offset", DataType::Int64, Metadata::Offset),
            ],
        };
        for (name, data_type, metadata) in hidden {
            key.push(columns.len());
            columns.push(column(name, data_type, false));
            origins.push(Origin::Metadata(metadata));
        }
    }
    let key = key.into_iter().map(KeyColumn::ascending).collect();
    (Schema { columns: columns.into(), visible, key }, origins)
}
